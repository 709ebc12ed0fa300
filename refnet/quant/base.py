"""What a quantizer is, and its straight-through form in training."""

from __future__ import annotations

from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from refnet.autograd import Tensor, differentiable
from refnet.program.types import IntArray, IntType

FloatArray = NDArray[np.floating[Any]]


@runtime_checkable
class Quantizer(Protocol):
    """A frozen record that maps reals to integer codes and codes to reals.

    ``codes(x)`` lie in ``type``; ``values(codes)`` are the reals that the codes stand for.
    ``mask(x)`` is where the straight-through gradient passes, declared by each quantizer.
    """

    @property
    def type(self) -> IntType:
        """The range of the codes."""

    def fit(self, x: FloatArray) -> Self:
        """A record of the same kind whose free parameters suit ``x``."""

    def codes(self, x: FloatArray) -> IntArray:
        """Codes of ``x``, in the shape of ``x`` and the storage of ``type``."""

    def values(self, codes: IntArray) -> NDArray[np.float64]:
        """The reals of ``codes``, in their shape."""

    def mask(self, x: FloatArray) -> NDArray[np.bool_]:
        """Where the gradient passes."""


@differentiable
def _straight_through(x: Any, *, quantizer: Quantizer) -> Any:
    value = quantizer.values(quantizer.codes(x)).astype(x.dtype)
    mask = quantizer.mask(x)
    return value, lambda g: (g * mask,)


def fake_quantize(x: Tensor, quantizer: Quantizer) -> Tensor:
    """``values(codes(x))`` forward, the gradient times ``mask(x)`` backward (straight-through)."""
    return _straight_through(x, quantizer=quantizer)


def finite(x: FloatArray, what: str) -> NDArray[np.float64]:
    """``x`` as binary64; refuses NaN and infinity by name."""
    array = np.asarray(x)
    if array.dtype.kind != "f":
        raise TypeError(f"{what}: dtype {array.dtype}, rule a floating dtype")
    wide = array.astype(np.float64)
    if not np.isfinite(wide).all():
        raise ValueError(f"{what}: holds NaN or infinity, rule finite")
    return wide
