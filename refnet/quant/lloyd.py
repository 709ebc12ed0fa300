"""Half-wave quantizer with levels that are not equally far apart, put on a grid of integers.

Source: Lloyd 1982 for the levels; Cai et al. 2017 (HWGQ) for the half wave, whose code lists the
two levels {0.453, 1.51}. On a pre-activation x, with free levels 0 < v_1 < ... < v_M:

    Q(x) = 0 if x <= eps;  v_k if t_k < x <= t_(k+1)
    t_1 = eps,  t_k = (v_(k-1) + v_k) / 2 for k >= 2,  t_(M+1) = infinity

The levels minimise E[(max(x, 0) - Q(x))^2] under N(0, 1): each is the mean of its interval. They
reach any sparsity theta, also where equal steps have no level left to use (theta above 0.83 at two
bits). Integer layers want codes of one step, so :class:`LloydHalfWave` rounds the levels to a table
of integers; see there for what that costs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist
from typing import Self

import numpy as np

from refnet.program.types import IntType
from refnet.quant.base import FloatArray
from refnet.quant.staircase import (
    Reals,
    Staircase,
    fitted_scale,
    integer_table,
    table_thresholds,
)

_NORMAL = NormalDist()
_SWEEPS = 10_000


@lru_cache
def lloyd_levels(levels: int, theta: float | None) -> tuple[float, ...]:
    """The best levels v_1..v_M for N(0, 1), by Lloyd's alternation of levels and midpoints.

    ``eps = Phi^-1(theta)`` is held; ``theta=None`` lets it be v_1 / 2 as well, the joint optimum.
    Neither half step raises the error, and log-concave densities have one optimum only.

    >>> [round(v, 3) for v in lloyd_levels(2, 0.5)]
    [0.453, 1.51]
    """
    eps = 0.0 if theta is None else _NORMAL.inv_cdf(theta)
    found = tuple(eps + 2.5 * (k + 1) / levels for k in range(levels))
    for _ in range(_SWEEPS):
        first = found[0] / 2 if theta is None else eps
        middles = ((a + b) / 2 for a, b in pairwise(found))
        edges = [first, *middles, math.inf]
        density = [_NORMAL.pdf(edge) for edge in edges]
        # Shares of the upper tail, which keep their digits where a distribution function ends in 1.
        above = [math.erfc(edge / math.sqrt(2)) / 2 for edge in edges]
        means = tuple(
            (density[k] - density[k + 1]) / (above[k] - above[k + 1]) for k in range(levels)
        )
        moved = max(abs(a - b) for a, b in zip(means, found, strict=True))
        found = means
        if moved <= 1e-14 * found[-1]:
            break
    return found


@lru_cache
def _unit(
    levels: int, theta: float | None, table_bits: int
) -> tuple[tuple[int, ...], float, float]:
    """Table, delta and eps for N(0, 1)."""
    table, delta = integer_table(np.array(lloyd_levels(levels, theta)), 2**table_bits - 1)
    eps = table[0] * delta / 2 if theta is None else _NORMAL.inv_cdf(theta)
    if levels > 1 and eps >= (table[0] + table[1]) * delta / 2:
        raise ValueError(
            f"theta={theta} gives eps {eps:.4f} above the second threshold of the levels "
            f"{table}, rule more table_bits"
        )
    return table, delta, eps


@dataclass(frozen=True, slots=True)
class LloydHalfWave(Staircase):
    """Codes L_k of the ``levels`` non-zero Lloyd levels, integers of at most ``table_bits`` bits.

    The codes are the integer levels themselves, with one ``delta``: a following convolution adds
    them as they are, and the Threshold operator gives them by counting (see
    :mod:`refnet.quant.staircase`), L_M comparisons an element. A finer grid costs comparisons and
    wider codes; it costs this much error over the real Lloyd levels (theta 0.5 / 0.6255 / None):

    | levels | 4 bits | 5 bits | 6 bits |
    | --- | --- | --- | --- |
    | 2 | 0.0 / 0.04 / 0.0 % | 0.0 % | 0.0 % |
    | 3 | 0.8 / 0.2 / 0.6 % | 0.04 / 0.1 / 0.0 % | 0.0 % |
    | 7 | 11 / 9 / 6 % | 2.5 / 0.4 / 0.7 % | 0.3 / 0.05 / 0.3 % |

    Beyond eps the nearest level is taken. Scale, closed ends and gradient as in ``HalfWave``.

    >>> q = LloydHalfWave(levels=2, theta=0.5)
    >>> q.table, q.codes(np.array([-1.0, 0.0, 0.1, 0.9, 1.0])).tolist()
    ((3, 10), [0, 0, 3, 3, 10])
    >>> q.thresholds.round(3).tolist()
    [0.0, 0.0, 0.0, 0.982, 0.982, 0.982, 0.982, 0.982, 0.982, 0.982]
    """

    levels: int = 3
    theta: float | None = None
    scale: float = 1.0
    table_bits: int = 4

    def __post_init__(self) -> None:
        for name, value, most in (("levels", self.levels, 15), ("table_bits", self.table_bits, 8)):
            if isinstance(value, bool) or value not in range(1, most + 1):
                raise ValueError(
                    f"LloydHalfWave: {name}={value!r} must be an integer from 1 to {most}"
                )
        if self.theta is not None and not 0.5 <= self.theta < 1:
            raise ValueError(f"LloydHalfWave: theta={self.theta} must lie in [0.5, 1)")
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"LloydHalfWave: scale={self.scale} must be finite and positive")
        try:
            _unit(self.levels, self.theta, self.table_bits)
        except ValueError as error:
            raise ValueError(
                f"LloydHalfWave: levels={self.levels}, table_bits={self.table_bits}: {error}"
            ) from None

    @property
    def table(self) -> tuple[int, ...]:
        """The integer levels L_1 < ... < L_M."""
        return _unit(self.levels, self.theta, self.table_bits)[0]

    @property
    def type(self) -> IntType:
        """The range [0, L_M]."""
        return IntType(lo=0, hi=self.table[-1])

    @property
    def eps(self) -> float:
        """The first threshold: everything up to it is zero."""
        return _unit(self.levels, self.theta, self.table_bits)[2] * self.scale

    @property
    def delta(self) -> float:
        """The real value of code 1, which need not be a level."""
        return _unit(self.levels, self.theta, self.table_bits)[1] * self.scale

    @property
    def thresholds(self) -> Reals:
        """Thresholds (L_M,): eps L_1 times, then the midpoints of neighbouring levels repeated."""
        return table_thresholds(self.table, self.eps, self.delta)

    def fit(self, x: FloatArray) -> Self:
        """The scale that minimises the squared error on pre-activations ``x``.

        A sample without positive values keeps scale 1.
        """
        unit = replace(self, scale=1.0).delta
        scale = fitted_scale(
            x, "LloydHalfWave.fit", lambda s, part: replace(self, scale=s).codes(part) * unit
        )
        return replace(self, scale=scale)
