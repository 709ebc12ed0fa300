"""Layers whose real weights are quantized anew at every forward pass.

They differ from :mod:`refnet.quant.layers` in what is trained: there latents in units of one code
with a scale beside them, which keep the codes that a solver found; here the real weights, from
which a rule makes codes and scales at every step. ``quantized()`` leads from the one to the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import refnet.autograd as ag
from refnet.autograd import Tensor
from refnet.nn.module import Module
from refnet.program.window import Pads, Pair, normal_pads, normal_pair
from refnet.quant.layers import QuantConv2d, QuantLinear
from refnet.quant.weights import Rows, WeightQuantizer, as_rows, quantize_rows


class FakeQuantWeights(Module):
    """What the layers share: latents, the rule, and its state (F, P). Abstract.

    The state is a parameter if the rule trains it by gradient, otherwise a buffer that moves with
    each batch of training, after it was used.
    """

    latent: Tensor
    state: Tensor | NDArray[Any]
    bias: Tensor | None
    quantizer: WeightQuantizer

    def _fill_weights(
        self, latent: NDArray[Any], bias: NDArray[Any] | None, quantizer: WeightQuantizer
    ) -> None:
        name = self.__class__.__name__
        if bias is not None and bias.shape != (len(latent),):
            raise ValueError(f"{name}: bias {bias.shape} must be ({len(latent)},)")
        state = quantizer.start(as_rows(latent, quantizer)).astype(latent.dtype)
        self.latent = Tensor(latent, requires_grad=True)
        self.state = Tensor(state, requires_grad=True) if quantizer.trained else state
        self.bias = None if bias is None else Tensor(bias, requires_grad=True)
        self.quantizer = quantizer

    def weight(self) -> Tensor:
        """The quantized weights as the network uses them; in training the state moves on."""
        used = self.state
        if self.training and isinstance(used, np.ndarray):
            rows = as_rows(self.latent.numpy(), self.quantizer)
            self.state = self.quantizer.refresh(rows, used.astype(np.float64)).astype(used.dtype)
        return quantize_rows(self.latent, used, quantizer=self.quantizer)

    def _rows(self) -> Rows:
        state = self.state.numpy() if isinstance(self.state, Tensor) else self.state
        rows = as_rows(self.latent.numpy(), self.quantizer)
        return self.quantizer.rows(rows, state.astype(np.float64))

    def _arrays(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
        """Codes in the shape of the latents, scales, and the bias, in the dtype of the latents."""
        codes, scale = self._rows()
        dtype = self.latent.dtype
        bias = None if self.bias is None else self.bias.numpy()
        return codes.reshape(self.latent.shape).astype(dtype), scale.astype(dtype), bias


@dataclass(eq=False, init=False, repr=False)
class FakeQuantConv2d(FakeQuantWeights):
    """Convolution with real weights quantized at every pass: x (N, C, H, W) -> (N, F, H', W').

    ``latent`` (F, C/G, R, S) real weights, ``bias`` (F,) or None.
    """

    latent: Tensor
    state: Tensor | NDArray[Any]
    bias: Tensor | None
    quantizer: WeightQuantizer
    stride: Pair
    padding: Pads
    dilation: Pair
    groups: int

    def __init__(
        self, latent: NDArray[Any], bias: NDArray[Any] | None = None, *,
        quantizer: WeightQuantizer, stride: int | Pair = 1, padding: int | Pair | Pads = 0,
        dilation: int | Pair = 1, groups: int = 1,
    ) -> None:
        if latent.ndim != 4 or groups < 1 or len(latent) % groups:
            raise ValueError(
                f"FakeQuantConv2d: latent {latent.shape} must be (F, C/G, R, S), "
                f"G={groups} divide F"
            )
        self._fill_weights(latent, bias, quantizer)
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

    def quantized(self) -> QuantConv2d:
        """The layer of the present codes and scales; it computes the same function."""
        codes, scale, bias = self._arrays()
        return QuantConv2d(
            codes, scale, bias, type=self.quantizer.type, stride=self.stride,
            padding=self.padding, dilation=self.dilation, groups=self.groups,
        )


@dataclass(eq=False, init=False, repr=False)
class FakeQuantLinear(FakeQuantWeights):
    """Affine map with real weights quantized at every pass: x (N, K) -> (N, F).

    ``latent`` (F, K) real weights, ``bias`` (F,) or None.
    """

    latent: Tensor
    state: Tensor | NDArray[Any]
    bias: Tensor | None
    quantizer: WeightQuantizer

    def __init__(
        self, latent: NDArray[Any], bias: NDArray[Any] | None = None, *, quantizer: WeightQuantizer
    ) -> None:
        if latent.ndim != 2:
            raise ValueError(f"FakeQuantLinear: latent {latent.shape} must be (F, K)")
        self._fill_weights(latent, bias, quantizer)

    def __call__(self, x: Tensor) -> Tensor:
        """Map a batch."""
        y = ag.matmul(x, self.weight().T)
        return y if self.bias is None else y + self.bias

    def quantized(self) -> QuantLinear:
        """The layer of the present codes and scales; it computes the same function."""
        codes, scale, bias = self._arrays()
        return QuantLinear(codes, scale, bias, type=self.quantizer.type)
