"""Hypothesis strategies: integer types, and arrays of them filled with what overflows first."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from refnet.program import (
    ACCUMULATOR,
    INT8,
    INT16,
    SINT8,
    TERNARY,
    UINT2,
    UINT8,
    IntType,
)
from refnet.program.types import ACCUMULATOR_BOUND

#: Ways to fill an array: over the range, with an end, with ends, zero and what lies beside them.
FILLS = ("uniform", "lowest", "highest", "corners")
#: Generators of random numbers; an array comes from one of these and stays small for Hypothesis.
rngs = st.integers(0, 2**32 - 1).map(np.random.default_rng)
#: Numbers of images; the empty batch is one of them.
batches = st.sampled_from([1, 2, 3, 1, 2, 3, 0])
#: Types that have a name.
NAMED_TYPES = (
    *(IntType.unsigned(bits) for bits in (1, 3, 4)), UINT2, UINT8, IntType.unsigned(16),
    TERNARY, INT8, SINT8, INT16, ACCUMULATOR,
)


@st.composite
def int_types(draw: st.DrawFn, limit: int = ACCUMULATOR_BOUND) -> IntType:
    """A named or an arbitrary range, cut to magnitudes of at most ``limit``."""
    if draw(st.booleans()):
        kind = draw(st.sampled_from(NAMED_TYPES))
        return IntType(lo=max(kind.lo, -limit), hi=min(kind.hi, limit))
    reach = min(limit, 2 ** draw(st.integers(0, 31)))
    ends = draw(st.tuples(st.integers(-reach, reach), st.integers(-reach, reach)))
    return IntType(lo=min(ends), hi=max(ends))


def filled(
    rng: np.random.Generator, kind: IntType, shape: tuple[int, ...], fill: str
) -> NDArray[Any]:
    """An array of ``kind`` in its storage dtype, filled in one of the ways of ``FILLS``."""
    lo, hi = kind.lo, kind.hi
    if fill == "uniform":
        values = rng.integers(lo, hi, size=shape, endpoint=True)
    elif fill == "corners":
        corners = [v for v in (lo, lo + 1, -1, 0, 1, hi - 1, hi) if lo <= v <= hi]
        values = rng.choice(np.array(corners, dtype=np.int64), size=shape)
    else:
        values = np.full(shape, lo if fill == "lowest" else hi, dtype=np.int64)
    return values.astype(kind.dtype)


@st.composite
def arrays_of(draw: st.DrawFn, kind: IntType, shape: tuple[int, ...]) -> NDArray[Any]:
    """An array of ``kind`` and ``shape`` in the storage dtype of ``kind``."""
    return filled(draw(rngs), kind, shape, draw(st.sampled_from(FILLS)))


def shapes(least: int = 1, most: int = 3) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes without the batch axis, of ``least`` to ``most`` axes, sizes 1 to 9."""
    return st.lists(st.integers(1, 9), min_size=least, max_size=most).map(tuple)
