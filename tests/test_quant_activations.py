"""DoReFa's and LQ-Nets' activations against their formulas, and the scales that HalfWave fits."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.autograd import Tensor
from refnet.program import IntType
from refnet.quant import DoReFaActivations, LQActivations, fake_quantize


@pytest.mark.parametrize("bits", [1, 2, 3, 8])
def test_dorefa_is_rounding_of_the_clipped_value(bits):
    n = 2**bits - 1
    q = DoReFaActivations(bits=bits)
    x = np.random.default_rng(0).uniform(-0.5, 1.5, 5000)
    assert np.array_equal(q.codes(x), np.round(n * np.clip(x, 0, 1)))
    assert q.values(q.codes(x)) == pytest.approx(np.round(n * np.clip(x, 0, 1)) / n, rel=1e-15)
    ties = (np.arange(1, n + 1) - 0.5) / n
    assert q.codes(ties).tolist() == list(range(n))
    assert q.codes(np.nextafter(ties, 2)).tolist() == list(range(1, n + 1))
    assert q.fit(x) == q
    assert q.type == IntType.unsigned(bits)


def test_dorefa_gradient_passes_inside_the_clip():
    x = Tensor(np.array([-1.0, 0.0, 1e-9, 0.5, np.nextafter(1, 0), 1.0, 3.0]), True)
    fake_quantize(x, DoReFaActivations()).backward(np.arange(1.0, 8.0))
    assert x.grad.tolist() == [0, 0, 3, 4, 5, 0, 0]


@given(
    basis=st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, 3.0]), min_size=1, max_size=3),
    x=st.lists(st.sampled_from([-1.0, 0.0, 0.1, 0.5, 0.625, 1.25, 2.7, 9.0, np.inf]), max_size=9),
)
def test_lqnets_takes_the_nearest_level_of_its_table(basis, x):
    q = LQActivations(basis=tuple(basis), table_bits=8)
    sums = {
        sum(b * v for b, v in zip(bits, basis, strict=True))
        for bits in product((0, 1), repeat=len(basis))
    }
    if any(basis):
        # Multiples of 1/4 up to 9 fit the grid of 255 exactly.
        assert sorted({0, *q.table}) == pytest.approx([v / q.delta for v in sorted(sums)])
    levels = sorted({0, *q.table})
    for value, code in zip(x, q.codes(np.array(x, dtype=float)).tolist(), strict=True):
        assert code in levels
        if np.isfinite(value):
            miss = [abs(level * q.delta - value) for level in levels]
            assert abs(code * q.delta - value) <= min(miss) + 1e-12


def test_lqnets_levels_that_meet_on_the_grid_are_one():
    q = LQActivations(basis=(1.0, 1.0), table_bits=2)
    assert q.table == (1, 1, 2)
    assert q.codes(np.array([0.4, 0.6, 1.4, 1.6])).tolist() == [0, 1, 1, 2]
    near = LQActivations(basis=(1e-9, 1.0))
    assert near.table == (0, 1, 1)
    assert near.codes(np.array([1e-9, 0.6])).tolist() == [0, 1]
    assert LQActivations(basis=(0.0, 0.0)).codes(np.array([-1.0, 0.4, 3.0])).tolist() == [0, 0, 1]


def test_lqnets_fit_errs_less_than_equal_steps_and_gives_no_negative_basis():
    x = np.random.default_rng(1).normal(size=20_000)
    fitted = LQActivations(table_bits=8).fit(x)
    positive = np.maximum(x, 0)
    error = np.mean((positive - fitted.values(fitted.codes(x))) ** 2)
    # Equal steps at their best leave 0.0234, free levels 0.0220 of N(0, 1); sums of two numbers
    # lie between. The mean of 20000 squares is good to a few percent.
    assert 0.0220 * 0.95 < error < 0.0234 * 1.03
    assert all(v >= 0 for v in fitted.basis)
    assert LQActivations().fit(-np.abs(x)) == LQActivations()
    assert LQActivations().fit(np.zeros(0)) == LQActivations()
    lonely = LQActivations().fit(np.array([0.5]))
    assert lonely.values(lonely.codes(np.array([0.5]))) == pytest.approx([0.5])
    moved = LQActivations(basis=(1.0, 2.0), momentum=0.75).refresh(np.array([-1.0, 0.6, 1.9, 3.3]))
    # Codes (1, 0), (0, 1), (1, 1): v1 and v2 of least squares are 0.6 and 1.9 plus 0.8 / 3 each.
    step = np.array([0.6, 1.9]) + 0.8 / 3
    assert moved.basis == pytest.approx(0.75 * np.array([1.0, 2.0]) + 0.25 * step)
    still = LQActivations().refresh(-np.abs(x))
    assert still == LQActivations()


def test_lqnets_gradient_passes_between_zero_and_the_largest_level():
    q = LQActivations(basis=(1.0, 2.0))
    top = q.type.hi * q.delta
    assert top == 3.0
    inside = q.mask(np.array([-1.0, 0.0, 0.1, 2.9, 3.0]))
    assert inside.tolist() == [False, False, True, True, False]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DoReFaActivations(bits=0), "bits=0"),
        (lambda: DoReFaActivations(bits=True), "bits=True"),
        (lambda: LQActivations(basis=(-1.0,)), "at least 0"),
        (lambda: LQActivations(basis=()), "1 to 3"),
        (lambda: LQActivations(table_bits=1), "table_bits=1"),
        (lambda: LQActivations(momentum=-0.1), "momentum"),
        (lambda: LQActivations().codes(np.array([np.nan])), "LQActivations.codes: holds NaN"),
        (lambda: LQActivations().fit(np.array([np.nan])), "LQActivations.fit: holds NaN"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
