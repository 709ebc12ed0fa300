"""Weight quantizers: integer codes and a scale for each filter, anew at every step of training.

The real weights are latents: they are trained, and what computes is ``scale[f] * codes[f]``. A rule
may keep numbers of its own beside the latents of each filter, its state (F, P): two trained scales
(TTQ), a basis that follows a running average (LQ-Nets), or none (P = 0).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from refnet.autograd import differentiable
from refnet.program.types import IntArray
from refnet.quant.base import FloatArray, Quantizer, finite

Reals: TypeAlias = NDArray[np.float64]
#: Codes (F, K) and scales (F,). A filter without any weight left has zero codes and scale 1.
Rows: TypeAlias = tuple[IntArray, Reals]


class WeightQuantizer(Quantizer, Protocol):
    """A quantizer that also takes the filters of a layer as rows w (F, K), finite binary64.

    As a :class:`Quantizer`, ``fit`` takes one filter and ``codes`` are its codes; ``rows`` does
    that to all filters at once.
    """

    @property
    def trained(self) -> bool:
        """Whether the state is trained by its gradient; otherwise ``refresh`` moves it."""

    def start(self, w: Reals) -> Reals:
        """The state (F, P) with which training begins at latents ``w``."""

    def rows(self, w: Reals, state: Reals) -> Rows:
        """Codes of ``type`` (F, K) and scales (F,)."""

    def gradient(self, g: Reals, w: Reals, state: Reals) -> tuple[Reals, Reals]:
        """From the gradient g (F, K) of the quantized weights: that of ``w`` and of the state."""

    def refresh(self, w: Reals, state: Reals) -> Reals:
        """The state after a step of training that met latents ``w``."""


class Stateless(ABC):
    """What rules share that compute everything from the latents: no state, gradient as it comes.

    Scales follow the latents at every step, so no latent saturates and none is masked. Abstract.
    """

    __slots__ = ()

    @property
    def trained(self) -> bool:
        """There is nothing to train."""
        return False

    def start(self, w: Reals) -> Reals:
        """No numbers (F, 0)."""
        return np.zeros((len(w), 0))

    @abstractmethod
    def rows(self, w: Reals, state: Reals | None = None) -> Rows:
        """Codes (F, K) and scales (F,)."""

    def gradient(self, g: Reals, w: Reals, state: Reals) -> tuple[Reals, Reals]:
        """Straight through to every latent."""
        return g, np.zeros_like(state)

    def refresh(self, w: Reals, state: Reals) -> Reals:
        """Nothing changes."""
        return state


@differentiable
def quantize_rows(latent: Any, state: Any, *, quantizer: WeightQuantizer) -> Any:
    """Quantized weights ``scale * codes`` in the shape (F, ...) and dtype of ``latent``.

    The gradient is the one that the quantizer declares. ``ValueError`` for NaN or infinity.
    """
    w, held = as_rows(latent, quantizer), state.astype(np.float64)
    codes, scale = quantizer.rows(w, held)
    value = codes.astype(latent.dtype) * scale.astype(latent.dtype)[:, None]

    def backward(g: Any) -> Any:
        flat = g.reshape(w.shape).astype(np.float64)
        to_latent, to_state = quantizer.gradient(flat, w, held)
        return to_latent.reshape(latent.shape).astype(g.dtype), to_state.astype(g.dtype)

    return value.reshape(latent.shape), backward


def as_rows(latent: FloatArray, quantizer: WeightQuantizer) -> Reals:
    """Latents (F, ...) as finite rows (F, K)."""
    wide = finite(latent, f"{type(quantizer).__name__}: weights")
    return wide.reshape(len(wide), -1)


def alive(codes: IntArray, scale: Reals) -> Rows:
    """Codes and scales with zero codes and scale 1 where a filter has no weight left."""
    dead = (scale == 0) | ~codes.any(axis=1)
    return np.where(dead[:, None], 0, codes).astype(codes.dtype), np.where(dead, 1.0, scale)


def everywhere(x: FloatArray) -> NDArray[np.bool_]:
    """The mask of a quantizer that lets every gradient pass."""
    return np.ones(np.shape(x), dtype=np.bool_)


def refuse_nan(x: FloatArray, what: str) -> Reals:
    """``x`` as binary64 without NaN; infinities may saturate."""
    wide = np.asarray(x, dtype=np.float64)
    if np.isnan(wide).any():
        raise ValueError(f"{what}: holds NaN, rule none")
    return wide
