"""The right codes of a real number, in exact rationals: the oracle of the laws.

A grid has codes in ascending order and a boundary between any two neighbours. Between two
boundaries one code is right; on a boundary (a *tie*) the tie rule chooses.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

#: What a tie goes to. ``even``: the even multiple of the step (of the code, in tables);
#: ``even_code``: the even code, which differs where the zero point is odd; ``away`` from zero;
#: ``zero``: towards zero; ``up``: the larger real; ``down``: the smaller real.
TIES = ("even", "even_code", "away", "zero", "up", "down")
#: How exactly a uniform quantizer finds x / scale: ``exact``; ``binary64``, where the exact
#: quotient or its binary64 rounding is accepted; ``input``, the quotient in the dtype of x.
DIVISIONS = ("exact", "binary64", "input")
#: The binary64 number below one half: adding one half to it gives 1, so floor(q + 1/2), the usual
#: way to round half up, takes it for a tie. Accepted in ``binary64``, not in ``exact``.
_BELOW_HALF = 0.49999999999999994


class Grid(ABC):
    """Codes, boundaries and right answers. All numbers are exact.

    ``codes`` ascend; ``zero`` is the code of the real number 0 (None where 0 is no level);
    ``exact_ties``: whether boundaries are known exactly.
    """

    codes: Sequence[int]
    zero: int | None
    exact_ties: bool

    @abstractmethod
    def boundary(self, index: int) -> Fraction:
        """The boundary between ``codes[index]`` and ``codes[index + 1]``."""

    @abstractmethod
    def level(self, index: int) -> Fraction | None:
        """The real that ``codes[index]`` stands for, where that is known."""

    @abstractmethod
    def nearest(self, x: np.floating[Any]) -> tuple[int, ...]:
        """The right codes of a finite ``x`` whatever the tie rule: two of them on a tie."""

    @abstractmethod
    def right(self, x: np.floating[Any]) -> tuple[int, ...]:
        """The right codes of a finite ``x`` by the tie rule."""

    @abstractmethod
    def above(self, x: Fraction) -> Fraction:
        """``x`` minus the nearest boundary: 0 on a tie."""

    def is_tie(self, x: np.floating[Any]) -> bool:
        """Whether ``x`` lies exactly on a boundary."""
        return self.exact_ties and self.above(Fraction(float(x))) == 0


def resolve(tie: str | None, low: int, high: int, zero: int, at: Fraction) -> tuple[int, ...]:
    """What of ``low`` and ``high`` a tie at the real ``at`` may give; both without a rule."""
    if tie is None or (at == 0 and tie in ("away", "zero")):
        return low, high
    if tie in ("even", "even_code"):
        base = zero if tie == "even" else 0
        even = tuple(code for code in (low, high) if (code - base) % 2 == 0)
        return even if len(even) == 1 else (low, high)
    to_high = tie == "up" or (tie == "away" and at > 0) or (tie == "zero" and at < 0)
    return (high,) if to_high else (low,)


@dataclass(frozen=True, slots=True, kw_only=True)
class UniformGrid(Grid):
    """``code = clip(round(x / scale) + zero, lo, hi)``."""

    codes: range
    scale: float
    zero: int
    tie: str | None = None
    division: str = "binary64"
    exact_ties: bool = True

    def boundary(self, index: int) -> Fraction:
        """Half a step above the level."""
        return Fraction(self.scale) * (2 * (self.codes[index] - self.zero) + 1) / 2

    def level(self, index: int) -> Fraction:
        """``scale * (code - zero)``."""
        return Fraction(self.scale) * (self.codes[index] - self.zero)

    def nearest(self, x: np.floating[Any]) -> tuple[int, ...]:
        """Nearest codes of every accepted quotient."""
        return self._codes(x, None)

    def right(self, x: np.floating[Any]) -> tuple[int, ...]:
        """Codes of every accepted quotient by the tie rule."""
        return self._codes(x, self.tie)

    def above(self, x: Fraction) -> Fraction:
        """Measured from the boundaries between codes only, not from ties beyond the ends."""
        step = Fraction(self.scale)
        below = math.floor(x / step - Fraction(1, 2))
        first, last = self.codes[0] - self.zero, self.codes[-1] - self.zero - 1
        near = {min(max(k, first), last) for k in (below, below + 1)}
        return min((x - step * (2 * k + 1) / 2 for k in near), key=abs)

    def _codes(self, x: np.floating[Any], tie: str | None) -> tuple[int, ...]:
        """Integers throughout: the quotient is top / bottom, its rounding a floor division."""
        number, step = float(x).as_integer_ratio(), self.scale.as_integer_ratio()
        top, bottom = number[0] * step[1], number[1] * step[0]
        if self.division != "input":
            found = self._rounded(top, bottom, tie)
            # The exact quotient and its binary64 rounding differ by 2**-53 of their size at most,
            # so away from a boundary they have one code.
            beside = (2 * top + bottom) % (2 * bottom)
            if self.division == "exact" or min(beside, 2 * bottom - beside) << 52 > 2 * abs(top):
                return found
            quotient = float(x) / self.scale
        else:
            with np.errstate(all="ignore"):
                quotient = float(x / x.dtype.type(self.scale))
            found = ()
        if not math.isfinite(quotient):
            return found or self._rounded(top, bottom, tie)
        if abs(quotient) == _BELOW_HALF and self.division == "binary64":
            return tuple(dict.fromkeys(found + self._rounded(1 if top > 0 else -1, 2, None)))
        return tuple(dict.fromkeys(found + self._rounded(*quotient.as_integer_ratio(), tie)))

    def _rounded(self, top: int, bottom: int, tie: str | None) -> tuple[int, ...]:
        whole, rest = divmod(2 * top + bottom, 2 * bottom)
        codes: tuple[int, ...] = (whole + self.zero,)
        if rest == 0:
            codes = resolve(tie, codes[0] - 1, codes[0], self.zero, Fraction(top, bottom))
        low, high = self.codes[0], self.codes[-1]
        return tuple(dict.fromkeys(min(max(code, low), high) for code in codes))


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
