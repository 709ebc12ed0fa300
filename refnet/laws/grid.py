"""The right codes of a real number, in exact rationals: the oracle of the laws.

A grid has codes in ascending order and a boundary between any two neighbours. Between two
boundaries one code is right; on a boundary (a *tie*) the tie rule chooses.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
#: What a tie goes to. ``even``: the even multiple of the step (of the code, in tables);
#: ``even_code``: the even code, which differs where the zero point is odd; ``away`` from zero;
#: ``zero``: towards zero; ``up``: the larger real; ``down``: the smaller real.
TIES = ("even", "even_code", "away", "zero", "up", "down")
#: How exactly a uniform quantizer finds x / scale: ``exact``; ``binary64``, where the exact
#: quotient or its binary64 rounding is accepted; ``input``, the quotient in the dtype of x. Where
#: ties go to even codes so is the sum of the quotient and the zero point, rounded.
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

    @abstractmethod
    def sure(self, x: Floats) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """(codes, where they are sure) of finite reals: the fast twin of :meth:`nearest`.

        Where it is sure, the code is the only right one; near boundaries it is not.
        """

    @abstractmethod
    def boundaries_as_floats(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """The binary64 numbers nearest to these boundaries."""

    @abstractmethod
    def levels_as_floats(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """The binary64 numbers nearest to these levels; none where they are not known."""

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

    def sure(self, x: Floats) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """By the quotient, where it is farther from a tie than it can be wrong."""
        with np.errstate(all="ignore"):
            if self.division == "input":
                q = (x / x.dtype.type(self.scale)).astype(np.float64)
            else:
                q = x.astype(np.float64) / self.scale
            whole = np.rint(q)
            # The quotient is within 2**-53 of its size (2**-1075 where it is subnormal) and the
            # difference from a whole number below 2**50 is exact.
            room = 0.0 if self.division == "input" else np.maximum(np.abs(q), 1.0) * 2.0**-50
            if self.tie == "even_code":
                kind = x.dtype if self.division == "input" else np.dtype(np.float64)
                room = room + (np.abs(q) + abs(self.zero)) * (4 * float(np.finfo(kind).eps))
            found = (np.abs(q) < 2.0**49) & (0.5 - np.abs(q - whole) > room)
            first, last = self.codes[0] - self.zero, self.codes[-1] - self.zero
            if max(abs(first), abs(last)) < 2**49 and self.division != "input":
                # The quotient lies far beyond an end, even where it overflows.
                found |= np.abs(q) >= 2.0**49
            codes = np.clip(np.where(found, whole, 0), first, last).astype(np.int64) + self.zero
        return codes, found

    def boundaries_as_floats(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """One rounding: k + 1/2 is exact."""
        with np.errstate(all="ignore"):
            steps = indices + (self.codes[0] - self.zero) + 0.5
            found: NDArray[np.float64] = np.float64(self.scale) * steps
        return found

    def levels_as_floats(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """One rounding."""
        with np.errstate(all="ignore"):
            steps = indices + (self.codes[0] - self.zero)
            found: NDArray[np.float64] = np.float64(self.scale) * steps
        return found

    def _codes(self, x: np.floating[Any], tie: str | None) -> tuple[int, ...]:
        """Integers throughout: the quotient is top / bottom, its rounding a floor division."""
        number, step = float(x).as_integer_ratio(), self.scale.as_integer_ratio()
        top, bottom = number[0] * step[1], number[1] * step[0]
        if self.division != "input":
            found = self._rounded(top, bottom, tie)
            # The exact quotient and its binary64 rounding differ by 2**-53 of their size at most,
            # so away from a boundary they have one code. So have sums with the zero point.
            beside = (2 * top + bottom) % (2 * bottom)
            reach = abs(top) + (abs(self.zero) * bottom if self.tie == "even_code" else 0)
            if self.division == "exact" or min(beside, 2 * bottom - beside) << 52 > 2 * reach:
                return found
            quotient: np.floating[Any] = np.float64(float(x) / self.scale)
        else:
            with np.errstate(all="ignore"):
                quotient = x / x.dtype.type(self.scale)
            found = ()
        if not math.isfinite(quotient):
            return found or self._rounded(top, bottom, tie)
        if abs(quotient) == _BELOW_HALF and self.division == "binary64":
            return tuple(dict.fromkeys(found + self._rounded(1 if top > 0 else -1, 2, None)))
        found += self._rounded(*quotient.as_integer_ratio(), tie)
        if self.tie == "even_code":
            # The zero point is added before rounding, and the sum is a float as well.
            with np.errstate(all="ignore"):
                total = float(quotient + quotient.dtype.type(self.zero))
            if math.isfinite(total):
                moved = Fraction(total) - self.zero
                found += self._rounded(*moved.as_integer_ratio(), tie)
        return tuple(dict.fromkeys(found))

    def _rounded(self, top: int, bottom: int, tie: str | None) -> tuple[int, ...]:
        whole, rest = divmod(2 * top + bottom, 2 * bottom)
        codes: tuple[int, ...] = (whole + self.zero,)
        if rest == 0:
            codes = resolve(tie, codes[0] - 1, codes[0], self.zero, Fraction(top, bottom))
        low, high = self.codes[0], self.codes[-1]
        return tuple(dict.fromkeys(min(max(code, low), high) for code in codes))
