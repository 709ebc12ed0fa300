"""Layers of quantized networks: what methods produce and training fine-tunes.

A quantized weight is ``scale[f] * codes[f, ...]`` with ``codes = saturate(round(latent))``. The
latents are real numbers in units of one code, so the codes and the scale are trained apart: the
gradient of the weight reaches the latents straight through (where they are not saturated) and the
scale through the codes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

import refnet.autograd as ag
from refnet.autograd import Tensor, differentiable
from refnet.nn.module import Module
from refnet.program.types import TERNARY, IntArray, IntType
from refnet.program.window import Pads, Pair, normal_pads, normal_pair
from refnet.quant.base import Quantizer, fake_quantize
from refnet.quant.lqnets import LQActivations
from refnet.quant.uniform import Uniform

Network = TypeVar("Network", bound=Module)


@differentiable
def round_to_codes(latent: Any, *, type: IntType, binary: bool = False) -> Any:
    """``saturate(round(latent))``, ties to even; the gradient passes up to half a code beyond.

    ``binary`` codes are -1 below zero, else +1: fine-tuning cannot bring back a code 0.
    """
    codes = _codes(latent, type, binary)
    mask = (latent >= type.lo - 0.5) & (latent <= type.hi + 0.5)
    return codes, lambda g: (g * mask,)


def _codes(latent: NDArray[Any], type: IntType, binary: bool) -> NDArray[Any]:
    one = latent.dtype.type(1)
    signs: NDArray[Any] = np.where(latent < 0, -one, one)
    return signs if binary else np.clip(np.rint(latent), type.lo, type.hi)


@dataclass(eq=False, init=False, repr=False)
class Quantize(Module):
    """An activation quantizer: x of any shape -> values of the quantizer, straight-through.

    The basis of :class:`LQActivations` is state of the layer: each batch of training moves it,
    after it was used.
    """

    kind: Quantizer
    basis: NDArray[np.float64] | None

    def __init__(self, quantizer: Quantizer) -> None:
        self.kind = quantizer
        self.basis = None
        if isinstance(quantizer, LQActivations):
            self.basis = np.array(quantizer.basis)

    @property
    def quantizer(self) -> Quantizer:
        """The quantizer as it is now."""
        if self.basis is None or not isinstance(self.kind, LQActivations):
            return self.kind
        return replace(self.kind, basis=tuple(self.basis.tolist()))

    def __call__(self, x: Tensor) -> Tensor:
        """Quantize a batch."""
        quantizer = self.quantizer
        if self.training and isinstance(quantizer, LQActivations):
            self.basis = np.array(quantizer.refresh(x.numpy()).basis)
        return fake_quantize(x, quantizer)


@dataclass(eq=False, init=False, repr=False)
class QuantInput(Module):
    """The head of a quantized network: fixes shape (without N), code type and scale of the input.

    Images that lie on the grid, such as bytes times the scale, pass unchanged.
    """

    quantizer: Uniform
    shape: tuple[int, ...]

    def __init__(self, quantizer: Uniform, shape: tuple[int, ...]) -> None:
        self.quantizer = quantizer
        self.shape = tuple(shape)

    def __call__(self, x: Tensor) -> Tensor:
        """Quantize a batch; ``ValueError`` for images of another shape."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"QuantInput: x {x.shape} must be (N, *{self.shape})")
        return fake_quantize(x, self.quantizer)


class QuantWeights(Module):
    """What quantized layers share: codes and scales of their weights. Abstract.

    ``binary`` layers have the codes -1 and +1 only, declared as the ternary type.
    """

    latent: Tensor
    scale: Tensor
    bias: Tensor | None
    type: IntType
    binary: bool

    def _fill_weights(
        self, latent: NDArray[Any], scale: NDArray[Any], bias: NDArray[Any] | None, type: IntType,
        binary: bool,
    ) -> None:
        name = self.__class__.__name__
        if scale.shape not in ((len(latent),), (1,)) or not np.all(np.isfinite(scale)):
            raise ValueError(
                f"{name}: scale {scale.shape} must be ({len(latent)},) or (1,), and finite"
            )
        if bias is not None and bias.shape != (len(latent),):
            raise ValueError(f"{name}: bias {bias.shape} must be ({len(latent)},)")
        if not np.all(np.isfinite(latent)):
            raise ValueError(f"{name}: latent holds NaN or infinity, rule finite")
        self.latent = Tensor(latent, requires_grad=True)
        self.scale = Tensor(scale, requires_grad=True)
        self.bias = None if bias is None else Tensor(bias, requires_grad=True)
        if binary and type != TERNARY:
            raise ValueError(f"{name}: binary codes have the type {type}, rule {TERNARY}")
        self.type = type
        self.binary = binary

    def codes(self) -> IntArray:
        """The integer weights, in the shape of the latents."""
        return _codes(self.latent.numpy(), self.type, self.binary).astype(self.type.dtype)

    def constrain(self) -> None:
        """Clip the latents to half a code beyond the range, where the gradient still passes.

        Beyond, it would not: a latent that the momentum of an optimiser carried there would stay.
        """
        self.latent.assign(
            np.clip(self.latent.numpy(), self.type.lo - 0.5, self.type.hi + 0.5)
        )

    def weight(self) -> Tensor:
        """The real weights ``scale * codes`` as the network uses them."""
        per_filter = (self.scale.size, *(1,) * (self.latent.ndim - 1))
        codes = round_to_codes(self.latent, type=self.type, binary=self.binary)
        return codes * self.scale.reshape(per_filter)


@dataclass(eq=False, init=False, repr=False)
class QuantConv2d(QuantWeights):
    """Convolution with quantized weights: x (N, C, H, W) -> (N, F, H', W').

    ``latent`` (F, C/G, R, S), ``scale`` (F,) or one for all (1,), ``bias`` (F,) or None; codes of
    ``type``.
    """

    latent: Tensor
    scale: Tensor
    bias: Tensor | None
    type: IntType
    binary: bool
    stride: Pair
    padding: Pads
    dilation: Pair
    groups: int

    def __init__(
        self, latent: NDArray[Any], scale: NDArray[Any], bias: NDArray[Any] | None = None, *,
        type: IntType, stride: int | Pair = 1, padding: int | Pair | Pads = 0,
        dilation: int | Pair = 1, groups: int = 1, binary: bool = False,
    ) -> None:
        if latent.ndim != 4 or groups < 1 or len(latent) % groups:
            raise ValueError(
                f"QuantConv2d: latent {latent.shape} must be (F, C/G, R, S), G={groups} divide F"
            )
        self._fill_weights(latent, scale, bias, type, binary)
        self.stride = normal_pair(stride, "stride", 1)
        self.padding = normal_pads(padding)
        self.dilation = normal_pair(dilation, "dilation", 1)
        self.groups = groups

    def __call__(self, x: Tensor) -> Tensor:
        """Convolve a batch."""
        return ag.conv2d(
            x, self.weight(), self.bias, stride=self.stride, padding=self.padding,
            dilation=self.dilation, groups=self.groups,
        )


@dataclass(eq=False, init=False, repr=False)
class QuantLinear(QuantWeights):
    """Affine map with quantized weights: x (N, K) -> (N, F).

    ``latent`` (F, K), ``scale`` (F,) or one for all (1,), ``bias`` (F,) or None; codes of ``type``.
    """

    latent: Tensor
    scale: Tensor
    bias: Tensor | None
    type: IntType
    binary: bool

    def __init__(
        self, latent: NDArray[Any], scale: NDArray[Any], bias: NDArray[Any] | None = None, *,
        type: IntType, binary: bool = False,
    ) -> None:
        if latent.ndim != 2:
            raise ValueError(f"QuantLinear: latent {latent.shape} must be (F, K)")
        self._fill_weights(latent, scale, bias, type, binary)

    def __call__(self, x: Tensor) -> Tensor:
        """Map a batch."""
        y = ag.matmul(x, self.weight().T)
        return y if self.bias is None else y + self.bias


def hold_codes(net: Network) -> Network:
    """A copy whose codes stay as they are in training; scales, biases and batch norms still move.

    Fine-tuning with labels that cannot undo what a solver found.
    """
    new = net.copy()
    for _, layer in new.walk():
        if isinstance(layer, QuantWeights):
            layer.latent = Tensor(layer.latent.numpy())
    return new


def weight_bits(layer: QuantWeights) -> int:
    """Bits of the codes at the width of their type, without scales."""
    return math.prod(layer.latent.shape) * layer.type.bits
