"""Hypothesis strategies that aim at the places where quantizers and integer operators go wrong.

Ordinary strategies for floats almost never meet a tie of a lattice. Each of these says which class
of bugs it reaches. Reals are NumPy scalars of the wanted dtype, arrays are 1-D unless said.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from refnet.laws.grid import UniformGrid
from refnet.laws.points import (
    critical_points,
    level_points,
    neighbours,
    saturating_points,
    special_points,
    tie_points,
)
from refnet.laws.programs import programs as programs
from refnet.laws.sut import levels_of
from refnet.program.arith import MULT_BOUND, SHIFT_BOUND
from refnet.program.types import ACCUMULATOR_BOUND

Real = np.floating[Any]
SCALE_KINDS = ("power_of_two", "short", "random", "subnormal")
#: And binary64 numbers that no binary32 number equals.
LONG = "long"


def _grid(scale: float, zero_point: int, levels: Any) -> UniformGrid:
    codes = levels_of(levels)
    if not isinstance(codes, range):
        raise ValueError(f"levels {levels!r}: rule codes without gaps")
    return UniformGrid(codes=codes, scale=float(scale), zero=zero_point)


def _one_of(reals: NDArray[Any]) -> st.SearchStrategy[Real]:
    """One of these; nothing where all overflow their dtype."""
    return st.sampled_from(list(reals)) if len(reals) else st.nothing()


def lattice_points(
    scale: float, zero_point: int = 0, *, levels: Any, dtype: Any = np.float32
) -> st.SearchStrategy[Real]:
    """Levels ``scale * (k - zero_point)`` as floats, and the floats beside them.

    Reaches truncation, zero points that slip, levels that are not their own code.
    """
    grid = _grid(scale, zero_point, levels)
    kind = np.dtype(dtype)
    return st.integers(0, len(grid.codes) - 1).flatmap(
        lambda i: _one_of(level_points(grid, kind, [i]))
    )


def ties(
    scale: float, zero_point: int = 0, *, levels: Any, dtype: Any = np.float32
) -> st.SearchStrategy[Real]:
    """The float nearest to a middle between two levels, and the two floats on either side.

    Reaches every wrong rounding rule, double rounding, reciprocals, and > for >=.
    """
    grid = _grid(scale, zero_point, levels)
    kind = np.dtype(dtype)
    return st.integers(0, len(grid.codes) - 2).flatmap(
        lambda i: _one_of(tie_points(grid, kind, [i]))
    )


@st.composite
def ulp_neighbours(draw: st.DrawFn, reals: st.SearchStrategy[Real], *, ulps: int = 2) -> Real:
    """A drawn real moved by up to ``ulps`` floats of its own dtype.

    Reaches comparisons whose boundary is off by a rounding: binary32 division, rounded scales.
    """
    value = draw(reals)
    beside: Real = draw(st.sampled_from(list(neighbours(np.array([value]), ulps))))
    return beside


def saturating(
    scale: float, zero_point: int = 0, *, levels: Any, dtype: Any = np.float32
) -> st.SearchStrategy[Real]:
    """Reals beyond both ends: by half steps, by multiples of 2**8 to 2**64 steps, the largest.

    Reaches missing clips, conversions to an integer before the clip, bounds off by one.
    """
    return st.sampled_from(
        list(saturating_points(_grid(scale, zero_point, levels), np.dtype(dtype)))
    )


def special_reals(dtype: Any = np.float32) -> st.SearchStrategy[Real]:
    """Zeros of both signs, subnormal and largest floats, round numbers.

    Reaches the sign of zero, divisions by zero, subnormal numbers that are flushed.
    """
    return st.sampled_from(list(special_points(np.dtype(dtype))))


@st.composite
def critical_arrays(
    draw: st.DrawFn, scale: float, zero_point: int = 0, *, levels: Any, dtype: Any = np.float32,
    most: int = 200,
) -> NDArray[Any]:
    """All of the above in one array of about ``most`` reals: what the laws are tried on."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return critical_points(_grid(scale, zero_point, levels), np.dtype(dtype), rng, most)


@st.composite
def scales(draw: st.DrawFn, kinds: tuple[str, ...] = SCALE_KINDS) -> float:
    """A scale that is a binary32 number, of one of ``SCALE_KINDS``; or a ``long`` one, binary64.

    ``power_of_two`` makes ties exact in every dtype; ``short`` (few bits) makes them exact where
    x / scale is not; ``random`` is what data give; ``subnormal`` (below 2**-126) reaches eps added
    to scales and reciprocals that overflow; ``long`` reaches scales that are stored in binary32.
    """
    kind = draw(st.sampled_from(kinds))
    if kind not in (*SCALE_KINDS, LONG):
        raise ValueError(f"scales: kind {kind!r}, rule some of {(*SCALE_KINDS, LONG)}")
    exponent = draw(st.integers(-8, 8) | st.integers(-60, 40) | st.integers(-100, 90))
    if kind == "power_of_two":
        return 2.0**exponent
    if kind == "short":
        return draw(st.integers(3, 63)) * 2.0 ** (exponent - 4)
    if kind == "subnormal":
        return draw(st.integers(1, 2**16)) * 2.0**-149
    if kind == LONG:
        return float(draw(st.integers(2**51, 2**52 - 1)) * 2 + 1) * 2.0 ** (exponent - 52)
    return float(np.float32(draw(st.integers(2**23, 2**24 - 1)) * 2.0 ** (exponent - 23)))


@st.composite
def ternary_matrices(
    draw: st.DrawFn, rows: int | None = None, columns: int | None = None
) -> NDArray[np.int8]:
    """Ternary matrices (rows, columns), int8: random, of one sign, of zeros, sparse.

    Reaches the code of -1, zero rows without a scale, accumulators at their bound.
    """
    shape = (rows or draw(st.integers(1, 9)), columns or draw(st.integers(1, 40)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["random", "ones", "minus_ones", "zeros", "sparse"]))
    if kind in ("ones", "minus_ones", "zeros"):
        value = {"ones": 1, "minus_ones": -1, "zeros": 0}[kind]
        return np.full(shape, value, dtype=np.int8)
    chance = [0.05, 0.9, 0.05] if kind == "sparse" else [1 / 3] * 3
    return rng.choice(np.array([-1, 0, 1], dtype=np.int8), size=shape, p=chance)


def near_tie(mult: int, shift: int, k: int, beside: int) -> int:
    """The accumulator nearest to ``(2k + 1) / 2 * 2**shift / mult``, moved, within its bound."""
    exact = ((2 * k + 1) * 2**shift) // (2 * mult) if mult else k
    return max(-ACCUMULATOR_BOUND, min(ACCUMULATOR_BOUND, exact + beside))


def accumulators_near_tie(mult: int, shift: int) -> st.SearchStrategy[int]:
    """Accumulators whose product with ``mult`` lies on or beside an odd multiple of 2**(shift - 1).

    Reaches double rounding, ties that go the wrong way, products of too few bits.
    """
    if not (abs(mult) <= MULT_BOUND and 0 <= shift <= SHIFT_BOUND):
        raise ValueError(f"mult {mult}, shift {shift}: rule [3.2.1]")
    return st.builds(
        lambda k, beside: near_tie(mult, shift, k, beside),
        st.integers(-300, 300) | st.integers(-(2**31), 2**31), st.integers(-2, 2),
    )
