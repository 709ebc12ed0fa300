"""Uniform symmetric quantizer: equal steps, zero is code 0."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from refnet.program.types import SINT8, IntArray, IntType
from refnet.quant.base import FloatArray, finite


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniform:
    """``codes = saturate(round(x / scale))``, ties to even, division in binary64.

    ``fit`` puts the largest magnitude on the end of the range: ``scale = max|x| / hi`` (for an
    unsigned type, the largest x). A tensor of zeros keeps scale 1. The gradient passes between
    half a step outside the two end levels, bounds included.

    >>> Uniform(scale=0.5).codes(np.array([0.25, 0.75, -0.75, 99.0])).tolist()
    [0, 2, -2, 127]
    """

    type: IntType = SINT8
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"Uniform: scale {self.scale} must be finite and positive")

    def fit(self, x: FloatArray) -> Self:
        """The same type with a scale that just reaches the largest value of ``x``."""
        wide = finite(x, "Uniform.fit")
        reach = (wide if self.type.lo >= 0 else np.abs(wide)).max(initial=0.0)
        end = self.type.hi if self.type.lo >= 0 else min(self.type.hi, -self.type.lo)
        scale = float(reach / end)
        # A subnormal reach can divide to zero; it is as good as a tensor of zeros.
        return replace(self, scale=scale if scale > 0 else 1.0)

    def codes(self, x: FloatArray) -> IntArray:
        """Codes of ``x``; infinities saturate, NaN is refused."""
        ratio = np.asarray(x, dtype=np.float64) / self.scale
        if np.isnan(ratio).any():
            raise ValueError("Uniform.codes: holds NaN, rule none")
        return np.clip(np.rint(ratio), self.type.lo, self.type.hi).astype(self.type.dtype)

    def values(self, codes: IntArray) -> NDArray[np.float64]:
        """``scale * codes``."""
        return np.asarray(codes, dtype=np.float64) * self.scale

    def mask(self, x: FloatArray) -> NDArray[np.bool_]:
        """Where x is at most half a step beyond the range."""
        ratio = np.asarray(x, dtype=np.float64) / self.scale
        inside: NDArray[np.bool_] = (ratio >= self.type.lo - 0.5) & (ratio <= self.type.hi + 0.5)
        return inside
