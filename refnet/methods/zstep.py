"""The z step of stage 2: the pre-activation that suits both the wanted code and the response.

With the weights held, each element of z is a problem of its own ([6.4]): for the target level y and
the response v = alpha x^T w + b,

    min over z of (y - Q(z))^2 + lambda (z - v)^2

for the quantizer Q itself (:func:`exact`), or for Q~(z) = clip(z, lowest level, highest level),
which has no steps on which the first term stops pulling (:func:`relaxed`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refnet.quant import Quantizer
from refnet.quant.staircase import Staircase

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """A quantizer as arrays: ``thresholds`` (M,) and ``levels`` (M+1,), both ascending."""

    thresholds: Reals
    levels: Reals

    def __post_init__(self) -> None:
        t, levels = self.thresholds, self.levels
        fits = t.ndim == levels.ndim == 1 and len(levels) == len(t) + 1
        if not (fits and np.all(np.diff(t) >= 0) and np.all(np.diff(levels) >= 0)):
            raise ValueError(
                f"Steps: thresholds {t.tolist()}, levels {levels.tolist()}, rule ascending, "
                "one level more than thresholds"
            )

    @classmethod
    def of(cls, quantizer: Quantizer | None) -> Steps | None:
        """The steps of a quantizer that counts thresholds; None for every other.

        A threshold that stands several times is one step to a level that is as much higher.
        """
        if not isinstance(quantizer, Staircase):
            return None
        thresholds, times = np.unique(quantizer.thresholds, return_counts=True)
        codes = np.concatenate([[0], np.cumsum(times)]).astype(quantizer.type.dtype)
        return cls(thresholds, quantizer.values(codes))

    def __call__(self, x: Reals) -> Reals:
        """The level of each x: as many steps up as thresholds lie below x."""
        y = np.full(x.shape, self.levels[0])
        for threshold, level in zip(self.thresholds, self.levels[1:], strict=True):
            np.copyto(y, level, where=x > threshold)
        return y

    def relax(self, x: Reals) -> Reals:
        """Q~(x): x between the lowest and the highest level."""
        return np.clip(x, self.levels[0], self.levels[-1])


def relaxed(y: Reals, v: Reals, penalty: float, steps: Steps) -> Reals:
    """The z that minimises (y - Q~(z))^2 + penalty (z - v)^2, element by element [6.4.2].

    One candidate in each of the three pieces of Q~; the cheapest is the minimum, the first on ties.
    """
    low, top = steps.levels[0], steps.levels[-1]
    pieces = (
        np.minimum(v, low),
        np.clip((penalty * v + y) / (1 + penalty), low, top),
        np.maximum(v, top),
    )
    return _cheapest(pieces, tuple(map(steps.relax, pieces)), y, v, penalty)


def exact(y: Reals, v: Reals, penalty: float, steps: Steps) -> Reals:
    """The z that minimises (y - Q(z))^2 + penalty (z - v)^2, element by element [6.4.3].

    One candidate in each interval, the point next to v. Intervals are open on the left, so the
    lowest point of one is the binary64 number after its threshold. The first of equals is taken.
    """
    # Below the lowest threshold and above the highest there is no end.
    lowest = np.concatenate([[-np.inf], np.nextafter(steps.thresholds, np.inf)])
    highest = np.concatenate([steps.thresholds, [np.inf]])
    # Equal thresholds leave an interval without a point.
    some = np.flatnonzero(lowest <= highest)
    points = tuple(np.clip(v, lowest[k], highest[k]) for k in some)
    return _cheapest(points, tuple(steps.levels[some]), y, v, penalty)


def cost(y: Reals, z: Reals, v: Reals, penalty: float, quantized: Reals | float) -> Reals:
    """(y - q)^2 + penalty (z - v)^2 of each element, with ``quantized`` q = Q(z) or Q~(z)."""
    price: Reals = (y - quantized) ** 2 + penalty * (z - v) ** 2
    return price


def _cheapest(
    points: tuple[Reals, ...], values: tuple[Reals | float, ...], y: Reals, v: Reals, penalty: float
) -> Reals:
    """Of each element the first point of least cost, where Q or Q~ has these values."""
    best = points[0].copy()
    least = cost(y, best, v, penalty, values[0])
    for z, value in zip(points[1:], values[1:], strict=True):
        price = cost(y, z, v, penalty, value)
        cheaper = price < least
        np.copyto(best, z, where=cheaper)
        np.copyto(least, price, where=cheaper)
    return best


ZStep = Callable[[Reals, Reals, float, Steps], Reals]

#: The z steps by name.
Z_STEPS: dict[str, ZStep] = {"relaxed": relaxed, "exact": exact}
