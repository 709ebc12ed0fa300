"""Ternary weights: the least-squares optimum of one scale and codes -1, 0, +1.

Source: TSQ's initialisation and the half step of the semidiscrete decomposition (papers: TSQ
section on initialisation; Kolda and O'Leary 1998). For a vector w, min over alpha, c of
||w - alpha c||^2 keeps the J largest magnitudes, J maximising (sum of them)^2 / J, and alpha is
their mean.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Self

import numpy as np
from numpy.typing import NDArray

from refnet.program.types import TERNARY, IntArray, IntType
from refnet.quant.base import FloatArray, finite
from refnet.quant.weights import Reals, Rows, Stateless, alive

# Two candidates closer than this could change places by rounding; they are compared exactly.
_CLOSE = 1e-11


def optimal_ternary(w: FloatArray) -> tuple[NDArray[np.int8], float]:
    """The codes (int8, shape of ``w``) and the scale alpha >= 0 that minimise ||w - alpha c||^2.

    Among equally good supports the smallest is taken; a zero ``w`` gives zero codes and alpha 0.
    Groups of equal magnitude are never cut, so the result does not depend on the sort.
    Raises ``ValueError`` on NaN or infinity.

    >>> codes, alpha = optimal_ternary(np.array([1.0, -0.9, 0.2, 0.0]))
    >>> codes.tolist(), alpha
    ([1, -1, 0, 0], 0.95)
    """
    wide = finite(w, "optimal_ternary")
    size = np.abs(wide).ravel()
    codes = np.zeros(wide.shape, dtype=np.int8)
    largest = size.max(initial=0.0)
    if largest == 0:
        return codes, 0.0
    # A power of two brings the largest magnitude to [0.5, 1): exact, and squares stay in range.
    exponent = int(np.frexp(largest)[1])
    descending = np.sort(np.ldexp(size, -exponent))[::-1]
    kept = _support(descending)
    threshold = np.ldexp(descending[kept - 1], exponent)
    keep = np.abs(wide) >= threshold
    codes[keep] = np.sign(wide[keep]).astype(np.int8)
    return codes, float(np.ldexp(descending[:kept].mean(), exponent))


def _support(descending: NDArray[np.float64]) -> int:
    """The smallest J that maximises (sum of the first J)^2 / J."""
    counts = np.arange(1, len(descending) + 1)
    gain = np.cumsum(descending) ** 2 / counts
    # Only the end of a group of equal magnitudes can be the best support.
    ends = np.append(descending[1:] < descending[:-1], True) & (descending > 0)
    close = np.flatnonzero(ends & (gain >= gain[ends].max() * (1 - _CLOSE)))
    if len(close) == 1:
        return int(close[0]) + 1
    best, best_gain, total, done = 0, Fraction(-1), Fraction(0), 0
    for last in close:
        total += sum(map(Fraction, descending[done : last + 1].tolist()), start=Fraction(0))
        done = int(last) + 1
        exact = total * total / done
        if exact > best_gain:
            best, best_gain = done, exact
    return best


def ternary_rows(w: FloatArray) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """:func:`optimal_ternary` of each w[f]: codes in the shape of ``w`` and alpha (F,).

    All rows are sorted and summed at once; those with a near tie are decided one by one.
    """
    wide = finite(w, "ternary_rows")
    size = np.abs(wide).reshape(len(wide), -1)
    exponent = np.frexp(size.max(axis=1, initial=0.0))[1]
    descending = np.sort(np.ldexp(size, -exponent[:, None]), axis=1)[:, ::-1]
    if not descending.size:
        return np.zeros(w.shape, dtype=np.int8), np.zeros(len(w))
    gain = np.cumsum(descending, axis=1) ** 2 / np.arange(1, descending.shape[1] + 1)
    ends = np.diff(descending, axis=1, append=-1.0) < 0
    gain = np.where(ends & (descending > 0), gain, -1.0)
    best = gain.max(axis=1, keepdims=True)
    kept = np.argmax(gain, axis=1) + 1
    for f in np.flatnonzero(np.sum(gain >= best * (1 - _CLOSE), axis=1) > 1):
        kept[f] = _support(descending[f])
    threshold = np.take_along_axis(descending, kept[:, None] - 1, axis=1)
    keep = (np.ldexp(size, -exponent[:, None]) >= threshold) & (size > 0)
    codes = np.where(keep.reshape(wide.shape), np.sign(wide), 0).astype(np.int8)
    means = [row[:count].mean() for row, count in zip(descending, kept, strict=True)]
    return codes, np.ldexp(means, exponent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ternary(Stateless):
    """Codes -1, 0, +1 of one scale: the nearest of -alpha, 0, +alpha, ties to 0.

    ``fit`` takes the least-squares optimum, of which these codes are the codes. The gradient
    passes up to 1.5 alpha, bounds included; as ``rows``, where alpha follows the latents, to all.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.alpha) and self.alpha > 0):
            raise ValueError(f"Ternary: alpha {self.alpha} must be finite and positive")

    @property
    def type(self) -> IntType:
        """The ternary type."""
        return TERNARY

    def fit(self, x: FloatArray) -> Self:
        """The optimal scale of ``x``; a zero ``x`` keeps alpha 1."""
        alpha = optimal_ternary(x)[1]
        return replace(self, alpha=alpha if alpha > 0 else 1.0)

    def codes(self, x: FloatArray) -> IntArray:
        """Nearest codes; infinities saturate, NaN is refused."""
        ratio = np.asarray(x, dtype=np.float64) / self.alpha
        if np.isnan(ratio).any():
            raise ValueError("Ternary.codes: holds NaN, rule none")
        return np.clip(np.rint(ratio), -1, 1).astype(np.int8)

    def values(self, codes: IntArray) -> NDArray[np.float64]:
        """``alpha * codes``."""
        return np.asarray(codes, dtype=np.float64) * self.alpha

    def mask(self, x: FloatArray) -> NDArray[np.bool_]:
        """Where |x| is at most 1.5 alpha."""
        inside: NDArray[np.bool_] = np.abs(np.asarray(x, dtype=np.float64)) <= 1.5 * self.alpha
        return inside

    def rows(self, w: Reals, state: Reals | None = None) -> Rows:
        """The optimal codes (F, K) and scales (F,) of each filter, whatever ``alpha`` is."""
        return alive(*ternary_rows(w))
