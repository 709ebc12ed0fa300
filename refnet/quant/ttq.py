"""Trained ternary quantization: two trained scales, one for each sign.

Source: Zhu, Han, Mao and Dally 2017. With Delta = t max|w|:

    w^ = Wp where w > Delta;  -Wn where w < -Delta;  0 between
    dL/dWp = sum of dL/dw^ over the first set;  dL/dWn = -(sum over the second)
    dL/dw  = dL/dw^ times Wp, Wn, or 1 between

(The paper writes the second sum without its sign, which would train Wn uphill.) The paper has one
pair of scales for a layer; here each filter has its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from refnet.program.types import SINT8, IntArray, IntType
from refnet.quant.base import FloatArray, finite
from refnet.quant.weights import Reals, Rows, alive, everywhere, refuse_nan


@dataclass(frozen=True, slots=True, kw_only=True)
class TTQ:
    """Three values: ``positive`` above ``threshold``, ``-negative`` below its negative, 0 between.

    An integer layer has one step, so the larger of the two scales is code 127 and the other is
    rounded to the grid, off by at most 1/254 of the larger one; the weights take 8 bits each.

    >>> q = TTQ(threshold=0.1, positive=1.0, negative=0.5)
    >>> q.codes(np.array([0.3, 0.1, -0.3])).tolist(), q.values(np.array([127, 0, -64])).round(3)
    ([127, 0, -64], array([ 1.   ,  0.   , -0.504]))
    """

    t: float = 0.05
    threshold: float = 0.5
    positive: float = 1.0
    negative: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.t < 1:
            raise ValueError(f"TTQ: t {self.t} must lie in [0, 1)")
        if not (np.isfinite(self.threshold) and self.threshold >= 0):
            raise ValueError(f"TTQ: threshold {self.threshold} must be finite and at least 0")
        scales = (self.positive, self.negative)
        if not (np.isfinite(scales).all() and any(scales)):
            raise ValueError(f"TTQ: scales {scales} must be finite, and not both 0")

    @property
    def type(self) -> IntType:
        """Symmetric 8-bit codes."""
        return SINT8

    @property
    def trained(self) -> bool:
        """Both scales of each filter are trained."""
        return True

    def fit(self, x: FloatArray) -> Self:
        """Threshold and mean magnitudes of both sets of the filter ``x``; zeros change nothing."""
        wide = finite(x, "TTQ.fit").reshape(1, -1)
        if not wide.any():
            return self
        positive, negative = self.start(wide)[0]
        return replace(
            self, threshold=float(self._thresholds(wide)[0, 0]), positive=float(positive),
            negative=float(negative),
        )

    def codes(self, x: FloatArray) -> IntArray:
        """Codes of the three values; NaN is refused."""
        wide = refuse_nan(x, "TTQ.codes")
        _, (positive, negative) = self._grid(np.array([[self.positive, self.negative]]))
        above, below = wide > self.threshold, wide < -self.threshold
        return np.asarray(above * positive[0] - below * negative[0], dtype=np.int8)

    def values(self, codes: IntArray) -> Reals:
        """The larger scale over 127, times ``codes``."""
        scale, _ = self._grid(np.array([[self.positive, self.negative]]))
        return np.asarray(codes, dtype=np.float64) * float(scale[0])

    def mask(self, x: FloatArray) -> NDArray[np.bool_]:
        """Everywhere."""
        return everywhere(x)

    def start(self, w: Reals) -> Reals:
        """Wp and Wn (F, 2): mean magnitudes of the sets, of the other set where one is empty."""
        means = np.empty((len(w), 2))
        for column, chosen in enumerate(self._sets(w)):
            count = np.maximum(chosen.sum(axis=1), 1)[:, None]
            means[:, column] = np.sum(np.where(chosen, np.abs(w), 0) / count, axis=1)
        means = np.where(means > 0, means, means[:, ::-1])
        return np.where(means > 0, means, 1.0)

    def rows(self, w: Reals, state: Reals) -> Rows:
        """Codes (F, K) and scales (F,) of latents and scales Wp, Wn (F, 2)."""
        scale, (positive, negative) = self._grid(state)
        above, below = self._sets(w)
        codes = above * positive[:, None] - below * negative[:, None]
        return alive(codes.astype(np.int8), scale)

    def gradient(self, g: Reals, w: Reals, state: Reals) -> tuple[Reals, Reals]:
        """Of the latents (F, K) and of Wp, Wn (F, 2), as in the header."""
        above, below = self._sets(w)
        factor = np.where(above, state[:, :1], np.where(below, state[:, 1:], 1.0))
        sums = np.stack([np.sum(g * above, axis=1), -np.sum(g * below, axis=1)], axis=1)
        return g * factor, sums

    def refresh(self, w: Reals, state: Reals) -> Reals:
        """The gradient trains the scales; nothing else moves them."""
        return state

    def _thresholds(self, w: Reals) -> Reals:
        thresholds: Reals = self.t * np.max(np.abs(w), axis=1, keepdims=True)
        return thresholds

    def _sets(self, w: Reals) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        threshold = self._thresholds(w)
        return w > threshold, w < -threshold

    def _grid(self, state: Reals) -> tuple[Reals, tuple[Reals, Reals]]:
        """The real value of code 1 (F,), and the codes of Wp and of Wn (F,)."""
        scale = np.abs(state).max(axis=1) / SINT8.hi
        safe = np.where(scale > 0, scale, 1.0)
        positive, negative = np.rint(state / safe[:, None]).T
        return scale, (positive, negative)
