"""DoReFa: weights through tanh onto an even grid, activations clipped to [0, 1].

Source: Zhou et al. 2016. With n = 2**k - 1 and q(r) = round(n r) / n:

    w^ = 2 q(tanh(w) / (2 max|tanh(w)|) + 1/2) - 1        the maximum over the layer
    a^ = q(clip(a, 0, 1))

Ties, which the paper leaves open: for weights upwards, so that w = 0 (always a tie) becomes the
smallest positive level, as sign(0) = +1; for activations downwards, so that they are thresholds
with closed upper ends [3.4]. The gradient treats q as the identity.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from refnet.program.types import IntArray, IntType
from refnet.quant.base import FloatArray, finite
from refnet.quant.staircase import Staircase
from refnet.quant.weights import Reals, Rows, alive, everywhere, refuse_nan


def _check_bits(name: str, bits: int) -> None:
    if isinstance(bits, bool) or bits not in range(1, 9):
        raise ValueError(f"{name}: bits={bits!r} must be an integer from 1 to 8")


@dataclass(frozen=True, slots=True, kw_only=True)
class DoReFaWeights:
    """Odd codes -n, -n + 2, ..., n worth ``gain / n`` each; there is no zero.

    ``top`` is max|tanh(w)|. In the paper ``gain`` is 1 and a batch norm behind the layer undoes
    the loss of scale; in a layer each filter has a trained gain in its place, which begins at the
    least-squares scale of its codes. The range holds even codes too, so the type is [-n, n].

    >>> q = DoReFaWeights(bits=2).fit(np.array([-1.0, 0.0, 0.2, 1.0]))
    >>> q.codes(np.array([-1.0, 0.0, 0.2, 1.0])).tolist()
    [-3, 1, 1, 3]
    """

    bits: int = 2
    top: float = 1.0
    gain: float = 1.0

    def __post_init__(self) -> None:
        _check_bits("DoReFaWeights", self.bits)
        if not 0 < self.top <= 1:
            raise ValueError(f"DoReFaWeights: top {self.top} must lie in (0, 1]")
        if not (np.isfinite(self.gain) and self.gain > 0):
            raise ValueError(f"DoReFaWeights: gain {self.gain} must be finite and positive")

    @property
    def type(self) -> IntType:
        """The range [-n, n]."""
        n = 2**self.bits - 1
        return IntType(lo=-n, hi=n)

    @property
    def trained(self) -> bool:
        """The gain of each filter is trained."""
        return True

    def fit(self, x: FloatArray) -> Self:
        """The range of the layer ``x``; a zero ``x`` keeps it."""
        top = float(np.max(np.abs(np.tanh(finite(x, "DoReFaWeights.fit"))), initial=0.0))
        return replace(self, top=top) if top > 0 else self

    def codes(self, x: FloatArray) -> IntArray:
        """Odd codes, those of the ends beyond the range; NaN is refused."""
        wide = refuse_nan(x, "DoReFaWeights.codes")
        n = self.type.hi
        place = n * np.clip(np.tanh(wide) / (2 * self.top) + 0.5, 0, 1)
        whole = np.floor(place)
        # The difference is exact, which place + 1/2 would not be.
        nearest = whole + (place - whole >= 0.5)
        return (2 * nearest - n).astype(self.type.dtype)

    def values(self, codes: IntArray) -> Reals:
        """``gain / n * codes``."""
        return np.asarray(codes, dtype=np.float64) * (self.gain / self.type.hi)

    def mask(self, x: FloatArray) -> NDArray[np.bool_]:
        """Everywhere (``gradient`` goes through tanh)."""
        return everywhere(x)

    def start(self, w: Reals) -> Reals:
        """Gains (F, 1) of least squares, n <w, c> / <c, c>; zero for a filter of zeros."""
        codes = self.fit(w).codes(w).astype(np.float64)
        gains: Reals = np.sum(w * codes, axis=1) / np.sum(codes * codes, axis=1) * self.type.hi
        return gains[:, None]

    def rows(self, w: Reals, state: Reals) -> Rows:
        """Codes (F, K) on the range of the whole layer, and gain / n (F,)."""
        return alive(self.fit(w).codes(w), state[:, 0] / self.type.hi)

    def gradient(self, g: Reals, w: Reals, state: Reals) -> tuple[Reals, Reals]:
        """Of the latents (F, K), through tanh and the maximum, and of the gains (F, 1)."""
        bent = np.tanh(w)
        slope = 1 - bent * bent
        codes = self.fit(w).codes(w) / self.type.hi
        to_gain = np.sum(g * codes, axis=1, keepdims=True)
        weighed = g * state
        largest = int(np.argmax(np.abs(bent)))
        top = float(np.abs(bent).flat[largest])
        if top == 0:
            return weighed, to_gain
        to_latent = weighed * slope / top
        # The first of the largest latents also carries the gradient of the maximum.
        to_top = -np.sum(weighed * (bent / top)) / top
        to_latent.flat[largest] += to_top * np.sign(bent.flat[largest]) * slope.flat[largest]
        return to_latent, to_gain

    def refresh(self, w: Reals, state: Reals) -> Reals:
        """The gradient trains the gains; nothing else moves them."""
        return state


@dataclass(frozen=True, slots=True, kw_only=True)
class DoReFaActivations(Staircase):
    """Activations clipped to [0, 1] on ``bits``-bit codes of equal steps.

    >>> DoReFaActivations(bits=2).codes(np.array([-1.0, 0.2, 0.5, 2.0])).tolist()
    [0, 1, 1, 3]
    """

    bits: int = 2

    def __post_init__(self) -> None:
        _check_bits("DoReFaActivations", self.bits)

    @property
    def type(self) -> IntType:
        """Unsigned, ``bits`` wide."""
        return IntType.unsigned(self.bits)

    @property
    def delta(self) -> float:
        """1 / n."""
        return 1 / self.type.hi

    @property
    def thresholds(self) -> Reals:
        """(k - 1/2) / n for k = 1..n."""
        return (np.arange(1, self.type.hi + 1) - 0.5) / self.type.hi

    def fit(self, x: FloatArray) -> Self:
        """Itself: the range is [0, 1] whatever the data."""
        finite(x, "DoReFaActivations.fit")
        return self
