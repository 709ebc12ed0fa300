"""Binary weights: the sign, and the mean magnitude as scale.

Source: Rastegari et al. 2016 (binary weight networks, the half of XNOR-Net about weights). For a
filter w, codes sign(w) and alpha = mean|w| minimise ||w - alpha c||^2 over c in {-1, +1}.
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
class BWN(Stateless):
    """Codes -1 and +1 worth ``alpha``; zero has the sign +1.

    Types are ranges, so the codes are of the ternary type and take two bits each. A filter of
    zeros has scale 0 in the formula: as rows it becomes zero codes and scale 1, the same weights.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.alpha) and self.alpha > 0):
            raise ValueError(f"BWN: alpha {self.alpha} must be finite and positive")

    @property
    def type(self) -> IntType:
        """The ternary type, the narrowest range with -1 and +1."""
        return TERNARY

    def fit(self, x: FloatArray) -> Self:
        """The mean magnitude of the filter ``x``; a zero ``x`` keeps alpha."""
        wide = finite(x, "BWN.fit").reshape(1, -1)
        return replace(self, alpha=float(self.rows(wide)[1][0])) if wide.any() else self

    def codes(self, x: FloatArray) -> IntArray:
        """-1 below zero, else +1; NaN is refused."""
        return np.where(refuse_nan(x, "BWN.codes") < 0, -1, 1).astype(np.int8)

    def values(self, codes: IntArray) -> Reals:
        """``alpha * codes``."""
        return np.asarray(codes, dtype=np.float64) * self.alpha

    def mask(self, x: FloatArray) -> NDArray[np.bool_]:
        """Everywhere: pretrained weights lie far inside the [-1, 1] of the paper's mask."""
        return everywhere(x)

    def rows(self, w: Reals, state: Reals | None = None) -> Rows:
        """Signs (F, K) and mean magnitudes (F,)."""
        # Dividing first keeps sums of the largest numbers in range.
        return alive(self.codes(w), np.sum(np.abs(w) / w.shape[1], axis=1))
