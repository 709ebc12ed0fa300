"""Folding batch norm into the layer before it.

With gamma, beta, mean, var and epsilon of the batch norm, evaluation mode gives
gamma (W x + b - mean) / sqrt(var + epsilon) + beta, which is W' x + b' with
W' = W gamma / sqrt(var + epsilon) and b' = beta + (b - mean) gamma / sqrt(var + epsilon).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.nn.composites import Sequential
from refnet.nn.layers import BatchNorm2d, Conv2d, Linear
from refnet.nn.module import Module


def fold_batch_norm(
    layer: Conv2d | Linear, bn: BatchNorm2d
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight and bias (F,) of the one layer that does what `layer` and then `bn` do, in float64.

    Any gamma is right: a negative one turns a filter over, zero leaves the constant beta.
    """
    filters = len(bn.running_mean)
    if layer.weight.shape[0] != filters:
        raise ValueError(
            f"fold: batch norm of {filters} channels does not fit weight {layer.weight.shape}"
        )
    weight = layer.weight.numpy().astype(np.float64)
    scale, shift = affine_form(bn, None if layer.bias is None else layer.bias.numpy())
    return weight * scale.reshape(-1, *[1] * (weight.ndim - 1)), shift


def affine_form(
    bn: BatchNorm2d, bias: NDArray[np.floating[Any]] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale and shift (F,) in float64 with which ``bn`` in evaluation mode maps y + bias.

    bn(y + bias) = scale * y + shift, channel by channel; no bias is 0.
    """
    filters = len(bn.running_mean)
    gamma = np.ones(filters) if bn.weight is None else bn.weight.numpy().astype(np.float64)
    beta = np.zeros(filters) if bn.bias is None else bn.bias.numpy().astype(np.float64)
    scale = gamma / np.sqrt(bn.running_var.astype(np.float64) + bn.eps)
    before = np.zeros(filters) if bias is None else bias.astype(np.float64)
    return scale, beta + (before - bn.running_mean) * scale


def fold(net: Module) -> Module:
    """A new network in which every batch norm right behind a Conv2d or Linear is folded into it.

    It equals `net` in evaluation mode; the parameters keep their dtype. A batch norm anywhere
    else in a Sequential stays.
    """

    def replace(name: str, module: Module) -> Module | None:
        return _folded(module) if isinstance(module, Sequential) else None

    return net.rebuild(replace)


def _folded(block: Sequential) -> Sequential:
    layers: list[Module] = []
    for layer in block:
        before = layers[-1] if layers else None
        if isinstance(layer, BatchNorm2d) and isinstance(before, Conv2d | Linear):
            layers[-1] = _merged(before, layer)
        else:
            layers.append(fold(layer))
    new = Sequential(*layers)
    new.training = block.training
    return new


def _merged(layer: Conv2d | Linear, bn: BatchNorm2d) -> Conv2d | Linear:
    weight, bias = (a.astype(layer.weight.dtype) for a in fold_batch_norm(layer, bn))
    new: Conv2d | Linear
    if isinstance(layer, Conv2d):
        new = Conv2d.of(
            weight, bias, stride=layer.stride, padding=layer.padding, dilation=layer.dilation,
            groups=layer.groups,
        )
    else:
        new = Linear.of(weight, bias)
    new.training = layer.training
    return new
