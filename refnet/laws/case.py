"""A case (what a law is tried on) and a counterexample (how it failed), in exact numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.laws.bound import Bound, Params
from refnet.laws.grid import Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Parameters, named arrays and a seed: everything that a law looks at.

    ``arrays["x"]`` are columns (C, n) of reals in the dtype in which they are to be given.
    """

    params: Params = field(default_factory=Params)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    seed: int = 0

    @property
    def x(self) -> NDArray[Any]:
        """The columns of reals."""
        return self.arrays["x"]

    def only(self, channel: int, places: Any) -> Case:
        """The same case with these places of one channel; other channels are given zeros."""
        found = np.zeros((len(self.x), len(np.atleast_1d(places))), dtype=self.x.dtype)
        found[channel] = self.x[channel, np.atleast_1d(places)]
        return Case(params=self.params, arrays={**self.arrays, "x": found}, seed=self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterexample:
    """How a law failed: one line of exact numbers, and the small case that shows it.

    ``value``, ``got``, ``right`` are the real and the codes where the law is about one real;
    ``distance`` is the real minus the nearest tie.
    """

    detail: str
    case: Case
    value: float | None = None
    got: int | None = None
    right: tuple[int, ...] | None = None
    distance: Fraction | None = None


def real(value: Any) -> str:
    """A float as a decimal that reads back to it, its bits, and its dtype.

    >>> real(np.float32(0.1))
    '0.1 (0x1.99999a0000000p-4, float32)'
    """
    return f"{value!s} ({float(value).hex()}, {value.dtype.name})"


def fraction(value: Fraction) -> str:
    """A rational; powers of two as such, long ones also in decimals.

    >>> fraction(Fraction(-3, 2**40)), fraction(Fraction(1, 3))
    ('-3 * 2**-40', '1/3')
    """
    n, d = value.numerator, value.denominator
    if d > 2**16 and d & (d - 1) == 0:
        return f"{n} * 2**-{d.bit_length() - 1}" if abs(n) < 10**6 else f"{float(value):.17g}"
    return str(value) if d < 10**9 and abs(n) < 10**9 else f"{float(value):.17g}"


def simplest(places: NDArray[Any], x: NDArray[Any]) -> int:
    """Of the places of ``x``, one whose real is easiest to read: few bits, then small, positive."""
    values = x[places]

    def key(index: int) -> tuple[int, float, bool]:
        value = float(values[index])
        bits = value.as_integer_ratio()[0].bit_length() if np.isfinite(value) else 99
        return (bits if abs(value) >= 1e-6 or value == 0 else bits + 60, abs(value), value < 0)

    return int(places[min(range(len(places)), key=key)])


def parameters_text(bound: Bound, channel: int = 0) -> str:
    """Scale and zero point as far as they are known."""
    grids = bound.grids
    scale = getattr(grids[channel], "scale", None) if grids else bound.scale
    zero = getattr(grids[channel], "zero", None) if grids else bound.zero_point
    parts = [f"channel {channel}"] if bound.q.axis is not None else []
    if scale is not None:
        parts.append(f"scale {scale!r}")
    if zero:
        parts.append(f"zero point {zero}")
    return ", ".join(parts)


def place_text(grid: Grid, x: np.floating[Any]) -> tuple[str, Fraction]:
    """Where a real lies as seen from the nearest tie, in words, and as a number."""
    away = grid.above(Fraction(float(x)))
    if away == 0 and grid.exact_ties:
        return "exactly on a tie", away
    side = "above" if away > 0 else "below"
    return f"{fraction(abs(away))} {side} the nearest tie", away


def wrong_code(
    bound: Bound, case: Case, channel: int, place: int, got: int, right: tuple[int, ...]
) -> Counterexample:
    """The counterexample of one real with a wrong code."""
    x = case.x[channel, place]
    parts = [f"x = {real(x)}", parameters_text(bound, channel)]
    distance = None
    if bound.grids is not None and np.isfinite(x):
        words, distance = place_text(bound.grids[channel], x)
        parts.append(words)
    right_text = " or ".join(map(str, right))
    parts.append(f"code {got}, right is {right_text}")
    return Counterexample(
        detail="; ".join(p for p in parts if p), case=case.only(channel, place), value=float(x),
        got=got, right=right, distance=distance,
    )
