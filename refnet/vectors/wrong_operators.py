"""Wrong operators: convolution, thresholds, pools, sums, shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from refnet.program import Add, Conv, MaxPool, Reshape, SumPool, Threshold, saturate
from refnet.vectors.answering import Ints

_Arrays = tuple[Ints, ...]
_NONE = ((0, 0), (0, 0))


def _evaluated(op: Any, *arrays: Ints) -> Ints:
    y: Ints = op.evaluate(*arrays)
    return y


def conv_with(change: Callable[[Any, Ints, Ints], tuple[Any, Ints, Ints]]) -> Any:
    """Convolution after ``change`` of (op, x, w)."""

    def wrong(op: Conv, arrays: _Arrays) -> Ints:
        changed, x, w = change(op, arrays[0], arrays[1])
        return _evaluated(changed, x, w, *arrays[2:])

    return wrong


def _padded(x: Ints, padding: Any, **how: Any) -> Ints:
    return np.pad(x, ((0, 0), (0, 0), *padding), **how)


def flipped(op: Any, x: Ints, w: Ints) -> Any:
    """True convolution: the kernel is turned by half a turn."""
    return op, x, w[:, :, ::-1, ::-1]


def kernel_transposed(op: Any, x: Ints, w: Ints) -> Any:
    """Kernel rows and columns exchanged in memory."""
    return op, x, w.reshape(*w.shape[:2], w.shape[3], w.shape[2]).swapaxes(2, 3)


def edge_padded(op: Any, x: Ints, w: Ints) -> Any:
    """Pads with the nearest element of the map."""
    return replace(op, padding=_NONE), _padded(x, op.padding, mode="edge"), w


def one_padded(op: Any, x: Ints, w: Ints) -> Any:
    """Pads with the code 1."""
    return replace(op, padding=_NONE), _padded(x, op.padding, constant_values=1), w


def pads_exchanged(op: Any, x: Ints, w: Ints) -> Any:
    """Before and after exchanged: the bottom pad on top, the right pad on the left."""
    return replace(op, padding=tuple(p[::-1] for p in op.padding)), x, w


def pad_axes_exchanged(op: Any, x: Ints, w: Ints) -> Any:
    """Height and width exchanged in the pads."""
    return replace(op, padding=op.padding[::-1]), x, w


def stride_axes_exchanged(op: Any, x: Ints, w: Ints) -> Any:
    """Height and width exchanged in the stride."""
    return replace(op, stride=op.stride[::-1]), x, w


def dilation_ignored(op: Any, x: Ints, w: Ints) -> Any:
    """Neighbouring places whatever the dilation."""
    return replace(op, dilation=(1, 1)), x, w


def groups_interleaved(op: Any, x: Ints, w: Ints) -> Any:
    """Group g reads the channels g, g + G, g + 2G ..."""
    order = np.arange(x.shape[1]).reshape(-1, op.groups).T.ravel()
    return op, x[:, order], w


def first_channels(op: Any, x: Ints, w: Ints) -> Any:
    """Every group reads the channels of the first."""
    return op, np.tile(x[:, : w.shape[1]], (1, op.groups, 1, 1)), w


def filters_interleaved(op: Conv, arrays: _Arrays) -> Ints:
    """Filter f belongs to group f mod G."""
    order = np.arange(len(arrays[1])).reshape(-1, op.groups).T.ravel()
    y = np.empty_like(op.evaluate(*arrays))
    bias = [b[order] for b in arrays[2:]]
    y[:, order] = op.evaluate(arrays[0], arrays[1][order], *bias)
    return y


def ceil_size(op: Any, arrays: _Arrays) -> Ints:
    """A last window that hangs over is kept: the output size is rounded up."""
    kernel = arrays[1].shape[2:] if isinstance(op, Conv) else op.kernel
    spread = op.dilation if isinstance(op, Conv) else (1, 1)
    pads = []
    for n, k, d, s, p in zip(
        arrays[0].shape[2:], kernel, spread, op.stride, op.padding, strict=True
    ):
        room = n + sum(p) - d * (k - 1) - 1
        pads.append((p[0], p[1] + -room % s))
    x = arrays[0].astype(np.int64)
    lowest = np.iinfo(np.int64).min if isinstance(op, MaxPool) else 0
    wide = _padded(x, pads, constant_values=lowest)
    return _evaluated(replace(op, padding=_NONE), wide, *arrays[1:])


def bias_ignored(op: Conv, arrays: _Arrays) -> Ints:
    """The bias is left out."""
    return op.evaluate(*arrays[:2])


def bias_subtracted(op: Conv, arrays: _Arrays) -> Ints:
    """The bias enters with the other sign."""
    bias = [-b.astype(np.int64) for b in arrays[2:]]
    return op.evaluate(*arrays[:2], *bias)


def accumulator_16(op: Any, arrays: _Arrays) -> Ints:
    """The sum keeps 16 bits."""
    return _evaluated(op, *arrays).astype(np.int16)


def accumulator_16_saturated(op: Any, arrays: _Arrays) -> Ints:
    """The sum saturates at 16 bits."""
    return saturate(op.evaluate(*arrays), -(2**15), 2**15 - 1)


def accumulator_float32(op: Conv, arrays: _Arrays) -> Ints:
    """The sum is kept in single precision."""
    return op.evaluate(*arrays).astype(np.float32).astype(np.int64)


def weights_unsigned(op: Any, x: Ints, w: Ints) -> Any:
    """The trit -1 is read as its magnitude."""
    return op, x, np.abs(w.astype(np.int64))


def first_image(op: Any, arrays: _Arrays) -> Ints:
    """Every image gives the result of the first."""
    y = op.evaluate(*arrays)
    return np.repeat(y[:1], len(y), axis=0)


def strict(op: Threshold, arrays: _Arrays) -> Ints:
    """``>`` for ``>=``."""
    x, t, sign = arrays
    return op.evaluate(x, t.astype(np.int64) + 1, sign)


def sign_ignored(op: Threshold, arrays: _Arrays) -> Ints:
    """x itself is compared whatever the sign."""
    x, t, sign = arrays
    return op.evaluate(x, t, np.ones_like(sign))


def sign_complements(op: Threshold, arrays: _Arrays) -> Ints:
    """Sign -1 counts the thresholds that are not passed."""
    x, t, sign = arrays
    y = op.evaluate(x, t, np.ones_like(sign))
    flip = (sign == -1).reshape(1, -1, *(1,) * (x.ndim - 2))
    return np.where(flip, t.shape[1] - y, y)


def sign_strict(op: Threshold, arrays: _Arrays) -> Ints:
    """Sign -1 compares with ``>``: ``x < -t`` for ``x <= -t``."""
    x, t, sign = arrays
    return op.evaluate(x, t.astype(np.int64) + (sign == -1)[:, None], sign)


def sign_on_thresholds(op: Threshold, arrays: _Arrays) -> Ints:
    """The sign multiplies the thresholds instead of x."""
    x, t, sign = arrays
    return op.evaluate(x, t.astype(np.int64) * sign[:, None], np.ones_like(sign))


def one_row(op: Threshold, arrays: _Arrays) -> Ints:
    """The thresholds of the first channel for all."""
    x, t, sign = arrays
    return op.evaluate(x, np.repeat(t[:1], len(t), axis=0), sign)


def equal_once(op: Threshold, arrays: _Arrays) -> Ints:
    """Equal thresholds count once."""
    x, t, sign = arrays
    once = t.astype(np.int64)
    once[:, 1:][np.diff(once, axis=1) == 0] = 2**40
    return op.evaluate(x, once, sign)


def zero_wins(op: MaxPool, arrays: _Arrays) -> Ints:
    """Padding is the number 0 and takes part."""
    return replace(op, padding=_NONE).evaluate(_padded(arrays[0], op.padding, constant_values=0))


def pool_stride_is_kernel(op: Any, arrays: _Arrays) -> Ints:
    """The stride is taken from the kernel."""
    return _evaluated(replace(op, stride=op.kernel), *arrays)


def pool_kernel_exchanged(op: Any, arrays: _Arrays) -> Ints:
    """Height and width of the kernel exchanged."""
    turned = replace(op, kernel=op.kernel[::-1], padding=op.padding[::-1])
    return _evaluated(turned, *arrays)


def largest_magnitude(op: MaxPool, arrays: _Arrays) -> Ints:
    """The element of the largest magnitude wins."""
    x = arrays[0].astype(np.int64)
    top, bottom = op.evaluate(x), -op.evaluate(-x)
    return np.where(np.abs(bottom) > np.abs(top), bottom, top)


def averaged(op: SumPool, arrays: _Arrays) -> Ints:
    """The sum is divided by the number of places."""
    return op.evaluate(*arrays) // op.places


def padding_rescaled(op: SumPool, arrays: _Arrays) -> Ints:
    """Windows with padding are scaled up: the divisor of the average would leave padding out."""
    inside = op.evaluate(np.ones_like(arrays[0], dtype=np.int64))
    return op.evaluate(*arrays) * op.places // np.maximum(inside, 1)


def edge_summed(op: SumPool, arrays: _Arrays) -> Ints:
    """Pads with the nearest element."""
    return replace(op, padding=_NONE).evaluate(_padded(arrays[0], op.padding, mode="edge"))


def maximum_for_sum(op: SumPool, arrays: _Arrays) -> Ints:
    """The maximum of the window."""
    return MaxPool(kernel=op.kernel, stride=op.stride, padding=op.padding).evaluate(*arrays)


def added_in_8_bits(op: Add, arrays: _Arrays) -> Ints:
    """The sum keeps 8 bits."""
    return op.evaluate(*arrays).astype(np.int8)


def added_saturated(op: Add, arrays: _Arrays) -> Ints:
    """The sum is clamped to 8 bits."""
    return saturate(op.evaluate(*arrays), -128, 127)


def last_axis_first(op: Reshape, arrays: _Arrays) -> Ints:
    """F order: the first axis runs fastest."""
    x = arrays[0]
    flat = [image.reshape(op.shape, order="F") for image in x]
    return np.array(flat, dtype=np.int64).reshape(len(x), *op.shape)


def channels_last(op: Reshape, arrays: _Arrays) -> Ints:
    """The map is flattened as (H, W, C)."""
    x = arrays[0]
    return np.moveaxis(x, 1, -1).reshape(len(x), *op.shape)
