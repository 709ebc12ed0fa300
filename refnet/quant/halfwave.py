"""Half-wave activation quantizers: HWGQ and the sparse quantizer of two-step quantization.

Source: Cai et al. 2017 (HWGQ) and Wang et al. 2018 (TSQ), stage 1. On a pre-activation x:

    Q(x) = 0 if x <= eps;  k * delta if t_k < x <= t_(k+1),  k = 1..M,  M = 2**bits - 1
    t_1 = eps,  t_k = (k - 1/2) * delta for k >= 2,  t_(M+1) = infinity

eps = Phi^-1(theta) makes a share theta of normal pre-activations zero, and delta minimises
E[(max(x, 0) - Q(x))^2] under N(0, 1). theta = 1/2 is HWGQ; theta = None is the joint optimum over
eps and delta, where eps = delta / 2 (plain rounding).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist
from typing import Self

import numpy as np

from refnet.program.types import IntType
from refnet.quant.base import FloatArray
from refnet.quant.staircase import Reals, Staircase, fitted_scale

_NORMAL = NormalDist()
#: Candidates for delta, in a geometric row, before the best is refined.
_ROW = 200


@lru_cache
def solve(bits: int, theta: float | None) -> tuple[float, float]:
    """``(eps, delta)`` of least error E[(max(x, 0) - Q(x))^2] under N(0, 1).

    The error may have several valleys, so a row of candidates is tried. At the best threshold for
    each delta, the midpoints between levels, the error falls with delta as long as delta is below
    sum_k k E[x; I_k] / sum_k k^2 P(I_k), its best value for these intervals; bisection finds where
    they meet. (Alternating the two, as Lloyd does, hardly moves at eight bits.) Raises
    ``ValueError`` where eps lies above the second threshold: level 1 would be unreachable.
    """
    levels = 2**bits - 1
    eps = None if theta is None else _NORMAL.inv_cdf(theta)
    row = np.geomspace(0.5 / levels, 3 + (eps or 0), _ROW).tolist()
    best = min(range(1, _ROW - 1), key=lambda i: _error(row[i], eps, levels)[0])
    lo, hi = row[best - 1], row[best + 1]
    while lo < (delta := (lo + hi) / 2) < hi:
        lo, hi = (delta, hi) if _error(delta, eps, levels)[1] > delta else (lo, delta)
    if eps is None:
        return delta / 2, delta
    if levels > 1 and eps > 1.5 * delta:
        raise ValueError(
            f"HalfWave: bits={bits}, theta={theta} gives eps {eps:.4f} above the second threshold "
            f"{1.5 * delta:.4f}: level 1 would be unreachable"
        )
    return eps, delta


def _error(delta: float, eps: float | None, levels: int) -> tuple[float, float]:
    """The error of levels k * delta less E[max(x, 0)^2] = 1/2, and the best delta there.

    Without the 1/2 the number keeps its digits where nearly all of the error is in zeros.
    """
    first = delta / 2 if eps is None else eps
    edges = [first, *(max((k - 0.5) * delta, first) for k in range(2, levels + 1)), math.inf]
    density = [_NORMAL.pdf(edge) for edge in edges]
    # Shares of the upper tail, which keep their digits where a distribution function ends in 1.
    above = [math.erfc(edge / math.sqrt(2)) / 2 for edge in edges]
    top = sum(k * (density[k - 1] - density[k]) for k in range(1, levels + 1))
    bottom = sum(k * k * (above[k - 1] - above[k]) for k in range(1, levels + 1))
    return delta * delta * bottom - 2 * delta * top, top / bottom


@dataclass(frozen=True, slots=True)
class HalfWave(Staircase):
    """Unsigned ``bits``-bit codes of positive pre-activations, sparse below ``eps``.

    ``scale`` stretches the quantizer of N(0, 1) to pre-activations of that standard deviation.
    x equal to a threshold has the lower code, and the gradient passes where 0 < x < M * delta, as
    TSQ declares it.

    >>> q = HalfWave(bits=2, theta=0.5)
    >>> round(q.delta, 4), q.codes(np.array([-1.0, 0.0, 0.1, 0.9, 9.0])).tolist()
    (0.5388, [0, 0, 1, 2, 3])
    """

    bits: int = 2
    theta: float | None = None
    scale: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.bits, bool) or self.bits not in range(1, 9):
            raise ValueError(f"HalfWave: bits={self.bits!r} must be an integer from 1 to 8")
        if self.theta is not None and not 0.5 <= self.theta < 1:
            raise ValueError(f"HalfWave: theta={self.theta} must lie in [0.5, 1)")
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"HalfWave: scale={self.scale} must be finite and positive")
        solve(self.bits, self.theta)

    @property
    def type(self) -> IntType:
        """Unsigned, ``bits`` wide."""
        return IntType.unsigned(self.bits)

    @property
    def eps(self) -> float:
        """The first threshold: everything up to it is zero."""
        return solve(self.bits, self.theta)[0] * self.scale

    @property
    def delta(self) -> float:
        """The distance between levels."""
        return solve(self.bits, self.theta)[1] * self.scale

    @property
    def thresholds(self) -> Reals:
        """Thresholds t_1..t_M (M,), ascending."""
        upper = (np.arange(2, self.type.hi + 1) - 0.5) * self.delta
        return np.concatenate([[self.eps], upper])

    def fit(self, x: FloatArray) -> Self:
        """The scale that minimises the squared error on pre-activations ``x``.

        Alternates codes and the best scale for them, from the root mean square of ``x``; a sample
        without positive values keeps scale 1.
        """
        unit = solve(self.bits, self.theta)[1]
        scale = fitted_scale(
            x, "HalfWave.fit", lambda s, part: replace(self, scale=s).codes(part) * unit
        )
        return replace(self, scale=scale)
