"""From a quantized network in real numbers to a frozen network in integers.

What flows between layers is described by a :class:`_Signal`: real = scale[c] * integer + offset[c].
Behind an activation quantizer it is one scale and no offset (codes); behind a convolution each
channel has its own (accumulators). A quantizer turns accumulators into codes by integer thresholds
(staircases such as the half wave, [3.4]) or by a multiplier and a shift (uniform, [3.3]).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from refnet.nn import AvgPool2d, Flatten, GlobalAvgPool2d, MaxPool2d, Module, Residual, Sequential
from refnet.program.arith import integer_thresholds, ratio_to_mult_shift
from refnet.program.operators import Conv
from refnet.program.pooling import SumPool
from refnet.program.types import ACCUMULATOR_BOUND, IntType, TensorType, constant
from refnet.program.window import Pads, Pair
from refnet.quant.fake import FakeQuantConv2d, FakeQuantLinear
from refnet.quant.frozen import (
    FrozenAdd,
    FrozenConv,
    FrozenFlatten,
    FrozenInput,
    FrozenMaxPool,
    FrozenRequantize,
    FrozenSumPool,
    FrozenThreshold,
)
from refnet.quant.layers import QuantConv2d, QuantInput, Quantize, QuantLinear
from refnet.quant.normalize import absorb_batch_norm
from refnet.quant.staircase import Staircase
from refnet.quant.uniform import Uniform

#: Requantized branches of a residual sum use this many bits, so the sum has one more.
RESIDUAL_BITS = 16

_Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signal:
    """What the integers of a tensor mean: real = scale[c] * integer + offset[c], or one for all.

    ``waiting`` are layers that commute with a quantizer (max-pool, flatten) and are put behind it.
    """

    type: IntType
    shape: tuple[int, ...]
    scale: _Reals
    offset: _Reals
    waiting: tuple[Module, ...] = ()

    @property
    def is_codes(self) -> bool:
        """One scale and no offset: what a convolution may take as input."""
        return bool(np.all(self.scale == self.scale[0]) and not self.offset.any())


@dataclass(slots=True)
class _Builder:
    """The frozen layers so far, and what the last of them gives."""

    signal: _Signal
    layers: list[Module] = field(default_factory=list)

    def add(self, layer: Module, signal: _Signal) -> None:
        self.layers.append(layer)
        self.signal = signal


def freeze(net: Module) -> Sequential:
    """The frozen network of a quantized ``net``: integer layers that compute on codes.

    ``net`` is a Sequential that begins with :class:`QuantInput` and whose convolutions and linear
    layers are quantized, with a quantizer between any two of them: what ``compress`` returns.
    Batch norms behind them are absorbed into scales and biases.
    Its result on codes equals ``run(lower(freeze(net)), codes)``. The last layer gives integer
    scores of one common scale. Raises ``ValueError`` naming a layer that has no integer form.
    """
    if not isinstance(net, Sequential) or not len(net) or not isinstance(net[0], QuantInput):
        raise ValueError("freeze: the network must be a Sequential that begins with QuantInput")
    head = net[0]
    net = absorb_batch_norm(net)
    one = np.array([head.quantizer.scale])
    start = _Signal(
        type=head.quantizer.type, shape=head.shape, scale=one, offset=np.zeros(1)
    )
    builder = _Builder(signal=start)
    builder.layers.append(
        FrozenInput(head.quantizer.type, head.shape, head.quantizer.scale)
    )
    _freeze_all(builder, list(net)[1:])
    _finish(builder)
    return Sequential(*builder.layers).eval()


def _freeze_all(builder: _Builder, layers: list[Module]) -> None:
    for layer in layers:
        match layer:
            case Sequential():
                _freeze_all(builder, list(layer))
            case QuantConv2d() | QuantLinear():
                _convolve(builder, layer)
            case FakeQuantConv2d() | FakeQuantLinear():
                _convolve(builder, layer.quantized())
            case Quantize(quantizer=Staircase() as quantizer):
                _threshold(builder, quantizer)
            case Quantize(quantizer=Uniform() as quantizer):
                _requantize(builder, quantizer)
            case MaxPool2d() | Flatten():
                _commuting(builder, layer)
            case AvgPool2d() | GlobalAvgPool2d():
                _average(builder, layer)
            case Residual():
                _residual(builder, layer)
            case _:
                raise ValueError(f"freeze: {type(layer).__name__} has no integer form")


def _convolve(builder: _Builder, layer: QuantConv2d | QuantLinear) -> None:
    signal = builder.signal
    if signal.waiting or not signal.is_codes:
        raise ValueError(
            f"freeze: {type(layer).__name__} of {layer.latent.shape} has no quantizer before it"
        )
    codes, bias = layer.codes(), layer.bias
    if isinstance(layer, QuantConv2d):
        op = Conv(
            stride=layer.stride, padding=layer.padding, dilation=layer.dilation,
            groups=layer.groups,
        )
    else:
        op, codes = Conv(), codes[..., None, None]
        if signal.shape[1:] != (1, 1):
            _flatten(builder)
            signal = builder.signal
    scale = np.broadcast_to(layer.scale.numpy().astype(np.float64), len(codes))
    # A filter whose scale is zero is as dead as one whose codes are.
    codes = np.where(scale.reshape(-1, 1, 1, 1) == 0, 0, codes).astype(codes.dtype)
    scale = np.where(scale == 0, 1.0, scale) * signal.scale[0]
    offset = np.zeros(len(codes)) if bias is None else bias.numpy().astype(np.float64)
    out = op.infer(TensorType(type=signal.type, shape=signal.shape), constant(codes, layer.type))
    frozen = FrozenConv(
        codes, None, layer.type, op.stride, op.padding, op.dilation, op.groups
    )
    builder.add(frozen, _Signal(type=out.type, shape=out.shape, scale=scale, offset=offset))


def _channels(signal: _Signal) -> tuple[_Reals, _Reals]:
    """Scale and offset of every channel (C,)."""
    count = signal.shape[0]
    return np.broadcast_to(signal.scale, count), np.broadcast_to(signal.offset, count)


def _quantized(builder: _Builder, frozen: Module, type: IntType, step: float) -> None:
    """Put a quantizer and behind it the layers that waited for it."""
    before = builder.signal
    after = _Signal(
        type=type, shape=before.shape, scale=np.array([step]), offset=np.zeros(1)
    )
    builder.add(frozen, after)
    for layer in before.waiting:
        _commuting(builder, layer)


def _threshold(builder: _Builder, quantizer: Staircase) -> None:
    signal = builder.signal
    scale, offset = _channels(signal)
    t, sign = integer_thresholds(quantizer.thresholds, scale, offset, signal.type)
    _quantized(builder, FrozenThreshold(t, sign), quantizer.type, quantizer.delta)


def _requantize(builder: _Builder, quantizer: Uniform) -> None:
    """Multiplier and shift of each channel; the offset goes into the bias of the convolution."""
    _add_bias(builder)
    scale, _ = _channels(builder.signal)
    _quantized(builder, _requantizer(scale, quantizer.scale, quantizer.type),
               quantizer.type, quantizer.scale)


def _requantizer(scale: _Reals, step: float, type: IntType) -> FrozenRequantize:
    pairs = [ratio_to_mult_shift(float(s) / step) for s in scale]
    mult, shift = (np.array(column) for column in zip(*pairs, strict=True))
    return FrozenRequantize(mult.astype(np.int16), shift.astype(np.int8), type)


def _add_bias(builder: _Builder) -> None:
    """Turn the offset into an integer bias of the convolution just before.

    The bias is saturated so that accumulators stay within their bound; this needs a real offset
    of some 2**30 steps, far beyond any type that follows.
    """
    signal, last = builder.signal, builder.layers[-1]
    if not signal.offset.any():
        return
    if not isinstance(last, FrozenConv) or last.bias is not None:
        raise ValueError("freeze: an offset has no convolution just before it to go into")
    room = ACCUMULATOR_BOUND - max(-signal.type.lo, signal.type.hi)
    bias = np.clip(np.rint(signal.offset / signal.scale), -room, room).astype(np.int32)
    type = IntType(
        lo=signal.type.lo + min(int(bias.min()), 0), hi=signal.type.hi + max(int(bias.max()), 0)
    )
    builder.layers[-1] = FrozenConv(
        last.codes, bias, last.type, last.stride, last.padding, last.dilation, last.groups
    )
    builder.signal = _Signal(
        type=type, shape=signal.shape, scale=signal.scale, offset=np.zeros(1),
        waiting=signal.waiting,
    )


def _commuting(builder: _Builder, layer: Module) -> None:
    """Max-pool and flatten: at once on codes, behind the next quantizer on accumulators."""
    signal = builder.signal
    if not signal.is_codes:
        builder.signal = _Signal(
            type=signal.type, shape=signal.shape, scale=signal.scale, offset=signal.offset,
            waiting=(*signal.waiting, layer),
        )
    elif isinstance(layer, MaxPool2d):
        if np.any(signal.scale < 0):
            raise ValueError("freeze: MaxPool2d of codes with a negative scale has no integer form")
        pool = SumPool(kernel=layer.kernel_size, stride=layer.stride, padding=layer.padding)
        shape = _pooled_shape(pool, signal)
        builder.add(
            FrozenMaxPool(pool.kernel, pool.stride, pool.padding),
            _Signal(type=signal.type, shape=shape, scale=signal.scale, offset=signal.offset),
        )
    else:
        _flatten(builder)


def _flatten(builder: _Builder) -> None:
    signal = builder.signal
    builder.add(
        FrozenFlatten(as_map=True),
        _Signal(
            type=signal.type, shape=(math.prod(signal.shape), 1, 1), scale=signal.scale,
            offset=signal.offset,
        ),
    )


def _pooled_shape(pool: SumPool, signal: _Signal) -> tuple[int, ...]:
    # The range plays no part in the shape, and a wide one could refuse the sum.
    return pool.infer(TensorType(type=IntType(lo=0, hi=1), shape=signal.shape)).shape


def _average(builder: _Builder, layer: AvgPool2d | GlobalAvgPool2d) -> None:
    """An average is the sum, with the scale divided by the number of places: nothing is rounded."""
    signal = builder.signal
    if signal.waiting:
        raise ValueError(f"freeze: {type(layer).__name__} has no quantizer between it and the pool")
    kernel: Pair
    padding: Pads
    if isinstance(layer, AvgPool2d):
        kernel, stride, padding = layer.kernel_size, layer.stride, layer.padding
    else:
        height, width = signal.shape[1:]
        kernel = stride = (height, width)
        padding = ((0, 0), (0, 0))
    if signal.offset.any() and np.any(padding):
        raise ValueError("freeze: AvgPool2d with padding needs a quantizer before it")
    pool = SumPool(kernel=kernel, stride=stride, padding=padding)
    out = pool.infer(TensorType(type=signal.type, shape=signal.shape))
    builder.add(
        FrozenSumPool(pool.kernel, pool.stride, pool.padding),
        _Signal(
            type=out.type, shape=out.shape, scale=signal.scale / pool.places, offset=signal.offset
        ),
    )


def _residual(builder: _Builder, layer: Residual) -> None:
    """Both branches requantized to one fine scale that holds the larger, then added."""
    branches = []
    for branch in (layer.main, layer.shortcut):
        sub = _Builder(signal=builder.signal)
        if branch is not None:
            _freeze_all(sub, [branch])
        if sub.signal.waiting:
            raise ValueError("freeze: a branch of Residual ends in a pool without a quantizer")
        if sub.layers:
            _add_bias(sub)
        branches.append(sub)
    type = IntType.symmetric(RESIDUAL_BITS)
    reach = max(
        float(np.abs(b.signal.scale).max()) * max(-b.signal.type.lo, b.signal.type.hi)
        for b in branches
    )
    step = reach / type.hi
    for sub in branches:
        sub.layers.append(_requantizer(_channels(sub.signal)[0], step, type))
    shape = branches[0].signal.shape
    total = IntType(lo=2 * type.lo, hi=2 * type.hi)
    builder.add(
        FrozenAdd(*(Sequential(*b.layers) for b in branches)),
        _Signal(type=total, shape=shape, scale=np.array([step]), offset=np.zeros(1)),
    )


def _finish(builder: _Builder) -> None:
    """Scores (K,) of one scale: offsets become biases, scales are brought to the largest."""
    signal = builder.signal
    if signal.waiting and not all(isinstance(layer, Flatten) for layer in signal.waiting):
        raise ValueError("freeze: the network ends in a pool without a quantizer")
    if builder.layers and signal.offset.any():
        _add_bias(builder)
    scale, _ = _channels(builder.signal)
    if np.any(scale != scale[0]):
        reach = max(-builder.signal.type.lo, builder.signal.type.hi)
        type = IntType(lo=-reach, hi=reach)
        builder.layers.append(_requantizer(scale, float(np.abs(scale).max()), type))
    builder.layers.append(FrozenFlatten(as_map=False))
