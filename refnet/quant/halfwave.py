"""Half-wave activation quantizers: HWGQ and the sparse quantizer of two-step quantization.

Source: Cai et al. 2017 (HWGQ) and Wang et al. 2018 (TSQ), stage 1. On a pre-activation x:

    Q(x) = 0 if x <= eps;  k * delta if t_k < x <= t_(k+1),  k = 1..M,  M = 2**bits - 1
    t_1 = eps,  t_k = (k - 1/2) * delta for k >= 2,  t_(M+1) = infinity

eps = Phi^-1(theta) makes a share theta of normal pre-activations zero, and delta minimises
E[(max(x, 0) - Q(x))^2] under N(0, 1). theta = 1/2 is HWGQ; theta = None is the joint optimum over
eps and delta, where eps = delta / 2 (plain rounding).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist
from typing import Self

import numpy as np
from numpy.typing import NDArray

from refnet.program.types import IntArray, IntType
from refnet.quant.base import FloatArray, finite

_NORMAL = NormalDist()
_SWEEPS = 1000


@lru_cache
def solve(bits: int, theta: float | None) -> tuple[float, float]:
    """``(eps, delta)`` for N(0, 1), by the fixed point of the least-squares condition.

    With the thresholds held, the best delta is sum_k k E[x; I_k] / sum_k k^2 P(I_k) (the
    derivative of the error in delta is zero); moving thresholds 2..M to the midpoints between
    levels never raises the error either, so the alternation descends, as Lloyd's does.
    Raises ``ValueError`` where eps would lie above the second threshold: level 1 is unreachable.
    """
    levels = 2**bits - 1
    eps = 0.0 if theta is None else _NORMAL.inv_cdf(theta)
    delta = max(1.0, eps)
    for _ in range(_SWEEPS):
        first = delta / 2 if theta is None else eps
        edges = [first, *((k - 0.5) * delta for k in range(2, levels + 1))]
        edges[1:] = [max(edge, first) for edge in edges[1:]]
        density = [*map(_NORMAL.pdf, edges), 0.0]
        below = [*map(_NORMAL.cdf, edges), 1.0]
        top = sum(k * (density[k - 1] - density[k]) for k in range(1, levels + 1))
        bottom = sum(k * k * (below[k] - below[k - 1]) for k in range(1, levels + 1))
        previous, delta = delta, top / bottom
        if abs(delta - previous) <= 1e-15 * delta:
            break
    if levels > 1 and eps > 1.5 * delta:
        raise ValueError(
            f"HalfWave: bits={bits}, theta={theta} gives eps {eps:.4f} above the second threshold "
            f"{1.5 * delta:.4f}: level 1 would be unreachable"
        )
    return (delta / 2 if theta is None else eps), delta


@dataclass(frozen=True, slots=True)
class HalfWave:
    """Unsigned ``bits``-bit codes of positive pre-activations, sparse below ``eps``.

    ``scale`` stretches the quantizer of N(0, 1) to pre-activations of that standard deviation.
    The upper end of each interval is closed: x equal to a threshold has the lower code.
    The gradient passes where 0 < x < M * delta, as TSQ declares it.

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
    def thresholds(self) -> NDArray[np.float64]:
        """Thresholds t_1..t_M (M,), ascending."""
        upper = (np.arange(2, self.type.hi + 1) - 0.5) * self.delta
        return np.concatenate([[self.eps], upper])

    def fit(self, x: FloatArray) -> Self:
        """The scale that minimises the squared error on pre-activations ``x``.

        Alternates codes and the best scale for them, from the root mean square of ``x``; a sample
        without positive values keeps scale 1.
        """
        positive = np.maximum(finite(x, "HalfWave.fit").ravel(), 0)
        if not positive.any():
            return replace(self, scale=1.0)
        unit = solve(self.bits, self.theta)[1]
        fitted = replace(self, scale=float(np.sqrt(np.mean(positive**2) * 2)))
        for _ in range(100):
            codes = fitted.codes(positive).astype(np.float64)
            if not codes.any():
                fitted = replace(fitted, scale=fitted.scale / 2)
                continue
            scale = float(codes @ positive / (codes @ codes) / unit)
            if scale == fitted.scale:
                break
            fitted = replace(fitted, scale=scale)
        return fitted

    def codes(self, x: FloatArray) -> IntArray:
        """The number of thresholds below x; infinities saturate, NaN is refused."""
        wide = np.asarray(x, dtype=np.float64)
        if np.isnan(wide).any():
            raise ValueError("HalfWave.codes: holds NaN, rule none")
        codes = np.zeros(wide.shape, dtype=self.type.dtype)
        for threshold in self.thresholds:
            codes += wide > threshold
        return codes

    def values(self, codes: IntArray) -> NDArray[np.float64]:
        """``delta * codes``."""
        return np.asarray(codes, dtype=np.float64) * self.delta

    def mask(self, x: FloatArray) -> NDArray[np.bool_]:
        """Where 0 < x < M * delta."""
        wide = np.asarray(x, dtype=np.float64)
        inside: NDArray[np.bool_] = (wide > 0) & (wide < self.type.hi * self.delta)
        return inside
