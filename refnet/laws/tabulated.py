"""Grids of any boundaries: of declared thresholds, or of the midpoints between levels."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.laws.grid import Floats, Grid, resolve


@dataclass(frozen=True, slots=True, kw_only=True)
class TableGrid(Grid):
    """Any ascending boundaries; ``slack`` is how far each may be from the true one."""

    codes: tuple[int, ...]
    boundaries: tuple[Fraction, ...]
    slack: tuple[Fraction, ...]
    levels: tuple[Fraction, ...] | None = None
    zero: int | None = None
    tie: str | None = None
    exact_ties: bool = True

    def boundary(self, index: int) -> Fraction:
        """As given."""
        return self.boundaries[index]

    def level(self, index: int) -> Fraction | None:
        """As given."""
        return None if self.levels is None else self.levels[index]

    def nearest(self, x: np.floating[Any]) -> tuple[int, ...]:
        """By comparison with the boundaries."""
        return self._codes(x, None)

    def right(self, x: np.floating[Any]) -> tuple[int, ...]:
        """By comparison with the boundaries and the tie rule."""
        return self._codes(x, self.tie)

    def above(self, x: Fraction) -> Fraction:
        """``x`` minus the nearest boundary."""
        index = bisect_left(self.boundaries, x)
        near = self.boundaries[max(index - 1, 0) : index + 1]
        return min((x - b for b in near), key=abs)

    def sure(self, x: Floats) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """By the rounded boundaries, where they are farther away than they can be wrong."""
        wide = x.astype(np.float64)
        bounds = np.array([float(b) for b in self.boundaries])
        slack = np.array([float(s) for s in self.slack])
        places = np.searchsorted(bounds, wide)
        found = np.ones(x.shape, dtype=bool)
        for beside in (places - 1, places):
            near = np.clip(beside, 0, len(bounds) - 1)
            # A rounded boundary is within 2**-53 of its size of the exact one, or 2**-1075.
            room = 2 * slack[near] + np.abs(bounds[near]) * 2.0**-50 + 2.0**-1070
            found &= np.abs(wide - bounds[near]) > room
        return np.asarray(self.codes, dtype=np.int64)[places], found

    def boundaries_as_floats(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Each rounded once."""
        return np.array([float(self.boundaries[i]) for i in indices.tolist()], dtype=np.float64)

    def levels_as_floats(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """As they were given."""
        if self.levels is None:
            return np.zeros(0)
        return np.array([float(self.levels[i]) for i in indices.tolist()], dtype=np.float64)

    def _codes(self, x: np.floating[Any], tie: str | None) -> tuple[int, ...]:
        exact = Fraction(float(x))
        index = bisect_left(self.boundaries, exact)
        for near in (index - 1, index):
            if 0 <= near < len(self.boundaries):
                distance = abs(exact - self.boundaries[near])
                if distance == 0 and self.exact_ties:
                    low, high = self.codes[near], self.codes[near + 1]
                    return resolve(tie, low, high, self.zero or 0, exact)
                if distance <= self.slack[near] and not self.exact_ties:
                    return self.codes[near], self.codes[near + 1]
        return (self.codes[index],)


def spacing(value: float, dtype: np.dtype[Any]) -> Fraction:
    """The distance between ``value`` and the next larger magnitude of ``dtype``."""
    return Fraction(float(np.spacing(abs(dtype.type(value)))))


def tabulated(
    codes: Sequence[int],
    values: np.ndarray[Any, Any],
    thresholds: Sequence[float] | None,
    tie: str | None,
) -> TableGrid:
    """The grid of declared ``thresholds``, or of midpoints between ``values`` of the codes.

    Values in floating point are their reals to within one unit in the last place, so midpoints
    have that slack and no exact ties; thresholds are exact.
    """
    levels = tuple(Fraction(float(v)) for v in values) if len(values) else None
    zero = None
    if levels is not None:
        zero = next((c for c, v in zip(codes, levels, strict=True) if v == 0), None)
    if thresholds is not None:
        bounds = tuple(Fraction(float(t)) for t in thresholds)
        slack = (Fraction(0),) * len(bounds)
    else:
        assert levels is not None
        pairs = list(pairwise(levels))
        bounds = tuple((low + high) / 2 for low, high in pairs)
        slack = tuple(
            max(spacing(float(low), values.dtype), spacing(float(high), values.dtype))
            for low, high in pairs
        )
    return TableGrid(
        codes=tuple(codes), boundaries=bounds, slack=slack, levels=levels, zero=zero, tie=tie,
        exact_ties=thresholds is not None,
    )


def is_exact(scale: float, dtype: np.dtype[Any]) -> bool:
    """Whether a scale seen in ``dtype`` is the scale itself and not its rounding.

    In binary64 it is taken as such; in a narrower dtype if it has at most half of its bits.
    """
    bits = (scale.as_integer_ratio()[0]).bit_length()
    return dtype.itemsize == 8 or bits <= (np.finfo(dtype).nmant + 1) // 2


def uniform_step(
    codes: Sequence[int], values: np.ndarray[Any, Any], zero: int | None
) -> tuple[float, int] | None:
    """(scale, zero point) where ``values`` are exactly scale * (code - zero), rounded once."""
    if len(codes) < 2 or codes[-1] - codes[0] != len(codes) - 1 or not np.isfinite(values).all():
        return None
    if zero is None:
        at = np.flatnonzero(values == 0)
        zero = int(codes[int(at[0])]) if len(at) == 1 else 0
    steps = np.asarray(codes, dtype=np.int64) - zero
    beside = np.flatnonzero(np.abs(steps) == 1)
    if not len(beside):
        return None
    scale = float(values[beside[-1]] * steps[beside[-1]])
    if scale <= 0 or not is_exact(scale, values.dtype):
        return None
    with np.errstate(all="ignore"):
        same = np.array_equal(steps.astype(values.dtype) * values.dtype.type(scale), values)
    return (scale, zero) if same else None
