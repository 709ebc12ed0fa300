"""Batch norm behind quantized layers while they are trained, and none when they are frozen.

Folding is exact in evaluation mode only. Training goes better with the statistics of the batch
(Ioffe and Szegedy 2015), and with quantized weights all the more: a code that flips moves the
whole response of its filter, which batch norm takes back. So ``insert_batch_norm`` puts one behind
each quantized layer without changing the function, and ``absorb_batch_norm`` takes it into scale
and bias, as freezing wants.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from refnet.autograd import Tensor, no_grad
from refnet.nn import BatchNorm2d, Conv2d, Linear, Module, Residual, Sequential, affine_form
from refnet.quant.base import FloatArray
from refnet.quant.fake import FakeQuantConv2d, FakeQuantLinear
from refnet.quant.layers import QuantWeights

#: Layers that a batch norm may stand behind.
Weighted: TypeAlias = QuantWeights | FakeQuantConv2d | FakeQuantLinear
_Kinds: TypeAlias = tuple[type[Module], ...]


def insert_batch_norm(
    net: Module, x: FloatArray, *,
    kinds: _Kinds = (QuantWeights, FakeQuantConv2d, FakeQuantLinear),
) -> Sequential:
    """A copy with batch norm behind every layer of quantized weights (``kinds``) but the last.

    Mean and variance are those of ``x`` (N, ...), real images; weight and bias of the batch norms
    undo them, so that in evaluation mode the network stays what it was, up to rounding. The last
    layer gives the scores and is left alone, and so is a layer that has its batch norm. Scales of
    quantized weights stay as they are in training: the batch norm behind them undoes what they do,
    and Adam would make whole steps of the gradient that its ``eps`` leaves them.
    """
    weighted: list[Module] = [layer for _, layer in net.walk() if isinstance(layer, kinds)]
    with no_grad():
        new, _ = _inserted(net, Tensor(np.asarray(x)), weighted[-1:], kinds)
    assert isinstance(new, Sequential)
    return new.eval()


def _inserted(
    module: Module, x: Tensor, spared: list[Module], kinds: _Kinds
) -> tuple[Module, Tensor]:
    """The module with batch norms, and its output on ``x``."""
    if isinstance(module, Sequential):
        layers: list[Module] = []
        for layer, following in zip_longest(module, list(module)[1:]):
            has_its_own = [layer] if isinstance(following, BatchNorm2d) else []
            new, x = _inserted(layer, x, [*spared, *has_its_own], kinds)
            layers += list(new) if isinstance(new, Sequential) else [new]
        return Sequential(*layers), x
    if isinstance(module, Residual):
        main, y = _inserted(module.main, x, spared, kinds)
        if module.shortcut is None:
            return Residual(main), y + x
        shortcut, beside = _inserted(module.shortcut, x, spared, kinds)
        return Residual(main, shortcut), y + beside
    new = module.copy().eval()
    y = new(x)
    if isinstance(new, kinds) and not any(module is layer for layer in spared):
        return Sequential(new, _undoing(new, y.numpy())), y
    return new, y


def _undoing(layer: Module, y: NDArray[np.floating[Any]]) -> BatchNorm2d:
    """A batch norm that changes nothing of ``y``; it takes over the bias of ``layer``."""
    axes = (0, 2, 3) if y.ndim == 4 else (0,)
    wide = y.astype(np.float64)
    mean, var = wide.mean(axis=axes), wide.var(axis=axes)
    bn = BatchNorm2d(y.shape[1]).eval()
    assert bn.weight is not None
    assert bn.bias is not None
    assert isinstance(layer, Weighted | Conv2d | Linear)
    bias = np.zeros(len(mean)) if layer.bias is None else layer.bias.numpy().astype(np.float64)
    layer.bias = None
    if isinstance(layer, QuantWeights):
        layer.scale = Tensor(layer.scale.numpy())
    bn.running_mean[...] = mean - bias
    bn.running_var[...] = var
    bn.weight.assign(np.sqrt(bn.running_var + bn.eps))
    bn.bias.assign(mean.astype(np.float32))
    return bn


def absorb_batch_norm(net: Sequential) -> Sequential:
    """A copy without the batch norms behind quantized layers: scale and bias do what they did.

    A layer that quantizes at every pass becomes one of its present codes, so training ends here.
    Equal to ``net`` in evaluation mode, up to rounding. A negative weight of a batch norm gives a
    negative scale, which freezing knows how to treat.
    """
    return _absorbed(net)


def _replacement(name: str, module: Module) -> Module | None:
    return _absorbed(module) if isinstance(module, Sequential) else None


def _absorbed(block: Sequential) -> Sequential:
    layers: list[Module] = []
    for layer in block:
        before = layers[-1] if layers else None
        if isinstance(layer, BatchNorm2d) and isinstance(before, Weighted):
            layers[-1] = _followed(before, layer)
        else:
            layers.append(layer.rebuild(_replacement))
    new = Sequential(*layers)
    new.training = block.training
    return new


def _followed(layer: Weighted, bn: BatchNorm2d) -> QuantWeights:
    factor, shift = affine_form(bn, None if layer.bias is None else layer.bias.numpy())
    new = layer.copy() if isinstance(layer, QuantWeights) else layer.quantized()
    dtype = new.scale.dtype
    new.scale = Tensor((new.scale.numpy() * factor).astype(dtype), requires_grad=True)
    new.bias = Tensor(shift.astype(dtype), requires_grad=True)
    return new


def reestimate_batch_norm(net: Module, x: FloatArray, *, batch_size: int = 250) -> Module:
    """A copy whose batch norms have the statistics of ``x``, the mean over its batches.

    No labels and no gradients are needed: what repairs a network whose weights were replaced, or
    whose running statistics lag behind weights that changed to the last step. All other layers
    are in evaluation mode, so that nothing else moves.
    Raises ``ValueError`` for a last batch that is too small for statistics.
    """
    new = net.copy().eval()
    found = [layer for _, layer in new.walk() if isinstance(layer, BatchNorm2d)]
    momentum = [layer.momentum for layer in found]
    parts = np.array_split(np.asarray(x), -(-len(x) // batch_size))
    for layer in found:
        layer.train()
    with no_grad():
        for count, part in enumerate(parts, start=1):
            for layer in found:
                layer.momentum = 1 / count  # the running value is then the mean of all so far
            new(Tensor(part))
    for layer, old in zip(found, momentum, strict=True):
        layer.momentum = old
    return new.eval()
