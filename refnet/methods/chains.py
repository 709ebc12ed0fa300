"""From factors to layers: a convolution as 1x1, grouped kxk, 1x1; a linear layer as two.

With G groups of the layer and R terms a group, the k x k layer has G*R groups: block r of group g
is group g*R + r. The first layer has A_r^T as weights, the middle one G_r with stride, padding
and dilation, the last one B_r with the bias. Where the kernel is 1x1 or the layer is linear, G_r
is a matrix and goes into the first layer, which then carries stride and padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.methods.als import Factors, reconstruct
from refnet.methods.balancing import balance, equal_norms
from refnet.methods.base import FloatArray, apply, eight_bit
from refnet.methods.tucker import Reals, swapped
from refnet.nn import Conv2d, Linear, Module, Sequential
from refnet.program.types import SINT8
from refnet.quant import Quantize, Uniform


def kernels_of(layer: Conv2d | Linear) -> list[Reals]:
    """The kernel K (S, T, P) of each group of the layer."""
    weight = layer.weight.numpy().astype(np.float64)
    groups = layer.groups if isinstance(layer, Conv2d) else 1
    grouped = weight.reshape(groups, len(weight) // groups, weight.shape[1], -1)
    return [swapped(K) for K in grouped]


def weight_of(layer: Conv2d | Linear, factors: Sequence[Factors]) -> Reals:
    """The weight, in the shape of the layer's, that the factors of its groups stand for."""
    kernels = [swapped(reconstruct(*f)) for f in factors]
    return np.concatenate(kernels).reshape(layer.weight.shape)


def chain(
    layer: Conv2d | Linear, factors: Sequence[Factors], bias: NDArray[Any] | None = None
) -> Sequential:
    """The float layers that stand for ``layer``, in its dtype.

    ``factors`` are those of each group; ``bias`` (F,) takes the place of the layer's own.
    """
    if bias is None and layer.bias is not None:
        bias = layer.bias.numpy()
    dtype = layer.weight.dtype
    last_bias = None if bias is None else bias.astype(dtype)
    parts = zip(*(layer_weights(*f) for f in factors), strict=True)
    stacked = [np.concatenate(part) for part in parts]
    weights = [w.astype(dtype) for w in balance(stacked, equal_norms(stacked))]
    if isinstance(layer, Linear):
        return Sequential(Linear.of(weights[0]), Linear.of(weights[1], last_bias))
    first, groups = weights[0][..., None, None], layer.groups
    last = Conv2d.of(weights[-1][..., None, None], last_bias, groups=groups)
    if len(weights) == 2:
        return Sequential(_in_place_of(layer, first, groups), last)
    kernel = weights[1].reshape(*weights[1].shape[:2], *layer.weight.shape[2:])
    middle = _in_place_of(layer, kernel, groups * len(factors[0][0]))
    return Sequential(Conv2d.of(first, groups=groups), middle, last)


def _in_place_of(layer: Conv2d, weight: FloatArray, groups: int) -> Conv2d:
    """A convolution without bias whose window moves as that of ``layer``."""
    return Conv2d.of(
        weight, stride=layer.stride, padding=layer.padding, dilation=layer.dilation, groups=groups
    )


def layer_weights(
    A: NDArray[Any], G: NDArray[Any], B: NDArray[Any]
) -> tuple[NDArray[Any], ...]:
    """The weights of the layers of one group [6.7.3]; exact on integers.

    First (R*s, S), middle (R*t, s, P), last (T, R*t); for P = 1 first (R*t, S) and last.
    """
    R, s, t, P = G.shape
    last = B.transpose(1, 0, 2).reshape(B.shape[1], R * t)
    if P == 1:
        return np.matmul(A, G[..., 0]).transpose(0, 2, 1).reshape(R * t, -1), last
    middle = G.transpose(0, 2, 1, 3).reshape(R * t, s, P)
    return A.transpose(0, 2, 1).reshape(R * s, -1), middle, last


def eight_bit_chain(layers: Sequential, x: FloatArray) -> Sequential:
    """The chain in 8 bits: weights with a scale for each filter, signed codes between the layers.

    The codes between two layers have one scale for all channels. So each channel is first brought
    to the range [-1, 1] that it has on the inputs ``x``, and the next layer's weights take its
    range over: the step is then fine for every channel, and the scales of filters cost nothing.
    """
    floats = list(layers)
    quantized: list[Module] = []
    for i in range(len(floats) - 1):
        y = apply(floats[i], x)
        peak = np.abs(y).max(axis=(0, *range(2, y.ndim)))
        # The next layer drops a channel that is silent on all inputs: with no range to take over,
        # its weights could be the largest of their filter and leave the others no digits.
        floats[i + 1] = _scaled_inputs(floats[i + 1], peak)
        gain = 1 / np.where(peak > 0, peak, 1).astype(y.dtype)
        quantized.append(eight_bit(_scaled_outputs(floats[i], gain)))
        y = apply(quantized[-1], x)
        quantized.append(Quantize(Uniform(type=SINT8).fit(y)))
        x = apply(quantized[-1], y)
    return Sequential(*quantized, eight_bit(_weighted(floats[-1])))


def _weighted(layer: Module) -> Conv2d | Linear:
    assert isinstance(layer, Conv2d | Linear)
    return layer


def _scaled_outputs(module: Module, scale: FloatArray) -> Conv2d | Linear:
    """A copy whose outputs, all without bias, are multiplied by ``scale`` (F,)."""
    layer = _weighted(module).copy()
    weight = layer.weight.numpy()
    layer.weight.assign(weight * scale.reshape(-1, *(1,) * (weight.ndim - 1)))
    return layer


def _scaled_inputs(module: Module, scale: FloatArray) -> Conv2d | Linear:
    """A copy that does on x / scale what the layer does on x, scale (C,)."""
    layer = _weighted(module).copy()
    weight = layer.weight.numpy()
    groups = layer.groups if isinstance(layer, Conv2d) else 1
    grouped = weight.reshape(groups, -1, *weight.shape[1:])
    shaped = scale.reshape(groups, 1, -1, *(1,) * (weight.ndim - 2))
    layer.weight.assign((grouped * shaped).reshape(weight.shape))
    return layer
