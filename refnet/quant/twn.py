"""Ternary weight networks: weights beyond a share of the mean magnitude, their mean as scale.

Source: Li, Zhang and Liu 2016. For a filter w: Delta = 0.7 mean|w|; codes sign(w) where
|w| > Delta, else 0; alpha = mean of |w| over |w| > Delta. It approximates the least-squares optimum
of :mod:`refnet.quant.ternary`, whose threshold is 0.767 mean|w| for normal weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from refnet.program.types import TERNARY, IntArray, IntType
from refnet.quant.base import FloatArray, finite
from refnet.quant.weights import Reals, Rows, Stateless, alive, everywhere, refuse_nan


@dataclass(frozen=True, slots=True, kw_only=True)
class TWN(Stateless):
    """Codes -1, 0, +1: the sign where |w| > ``threshold``, worth ``alpha``.

    ``fit`` sets both from ``factor``; a zero filter keeps them as they are. With a ``factor`` of 1
    or more a filter of equal magnitudes has no weight left.

    >>> q = TWN().fit(np.array([1.0, -0.5, 0.25, 0.0]))
    >>> round(q.threshold, 5), q.alpha, q.codes(np.array([1.0, -0.5, 0.25, 0.0])).tolist()
    (0.30625, 0.75, [1, -1, 0, 0])
    """

    factor: float = 0.7
    threshold: float = 0.5
    alpha: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.factor) and self.factor > 0):
            raise ValueError(f"TWN: factor {self.factor} must be finite and positive")
        if not (np.isfinite([self.threshold, self.alpha]).all() and self.threshold >= 0):
            raise ValueError(f"TWN: threshold {self.threshold} must be finite and at least 0")
        if not self.alpha > 0:
            raise ValueError(f"TWN: alpha {self.alpha} must be positive")

    @property
    def type(self) -> IntType:
        """The ternary type."""
        return TERNARY

    def fit(self, x: FloatArray) -> Self:
        """Threshold and scale of the filter ``x``."""
        wide = finite(x, "TWN.fit").reshape(1, -1)
        if not wide.any():
            return self
        threshold = self._thresholds(wide)
        return replace(self, threshold=float(threshold[0]), alpha=float(self.rows(wide)[1][0]))

    def codes(self, x: FloatArray) -> IntArray:
        """Signs of what exceeds the threshold; NaN is refused."""
        wide = refuse_nan(x, "TWN.codes")
        return np.where(np.abs(wide) > self.threshold, np.sign(wide), 0).astype(np.int8)

    def values(self, codes: IntArray) -> Reals:
        """``alpha * codes``."""
        return np.asarray(codes, dtype=np.float64) * self.alpha

    def mask(self, x: FloatArray) -> NDArray[np.bool_]:
        """Everywhere."""
        return everywhere(x)

    def rows(self, w: Reals, state: Reals | None = None) -> Rows:
        """Codes (F, K) and scales (F,) of each filter by its own threshold."""
        size = np.abs(w)
        kept = size > self._thresholds(w)[:, None]
        codes = np.where(kept, np.sign(w), 0).astype(np.int8)
        count = kept.sum(axis=1)
        # Dividing first keeps sums of the largest numbers in range.
        share = np.where(kept, size, 0) / np.maximum(count, 1)[:, None]
        return alive(codes, share.sum(axis=1))

    def _thresholds(self, w: Reals) -> Reals:
        thresholds: Reals = self.factor * np.mean(np.abs(w), axis=1)
        return thresholds
