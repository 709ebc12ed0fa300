"""What single changes of the ternary, half-wave and record code showed to be unasked."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from refnet.program import OPERATORS, Node, Program, constant
from refnet.quant.halfwave import HalfWave
from refnet.quant.staircase import integer_table
from refnet.quant.ternary import Ternary, optimal_ternary, ternary_rows


def test_near_ties_are_decided_by_exact_sums_from_zero() -> None:
    """f(1) = 1 and f(9) = (3 + 8e-13)**2 / 9: all nine, by less than rounding could tell."""
    w = np.array([1.0, *[0.25 + 1e-13] * 8])
    assert optimal_ternary(w)[0].tolist() == [1] * 9
    assert ternary_rows(w[None])[0].tolist() == [[1] * 9]


def test_rows_without_weights() -> None:
    codes, alpha = ternary_rows(np.zeros((2, 0)))
    assert (codes.shape, alpha.tolist()) == ((2, 0), [0.0, 0.0])


def test_the_half_wave_has_two_bits_and_a_positive_scale() -> None:
    assert HalfWave().type.hi == 3
    with pytest.raises(ValueError, match="scale=0"):
        HalfWave(scale=0.0)


def test_one_level_is_code_1() -> None:
    assert integer_table(np.array([0.5]), 15, apart=False) == ((1,), 0.5)


@pytest.mark.parametrize("record", [*OPERATORS, Node, Program])
def test_records_of_programs_never_change(record: type) -> None:
    """What a validator proved stays true."""
    assert record.__dataclass_params__.frozen
    assert not hasattr(record, "__weakref__")
    assert all(f.kw_only for f in dataclasses.fields(record))


def test_constants_are_equal_by_their_numbers_and_never_change() -> None:
    one, other = constant(np.array([1, 2])), constant(np.array([1, 2]))
    assert one == other
    assert one != constant(np.array([1, 3]))
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.type = other.type


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan"), float("inf")])
def test_a_ternary_scale_is_positive_and_finite(alpha: float) -> None:
    with pytest.raises(ValueError, match="Ternary: alpha"):
        Ternary(alpha=alpha)
