"""Depthwise convolution: lanes are channels of the input and of the output alike.

    for v:                                  vectors of 16 channels
        for tile:                           places of the output
            acc = start[v]                  in registers
            for t:                          taps
                acc += a[place + tap[t], v] * w[v, t]
            out = acc, or the code that requantizing makes of it

Bytes are unsigned, signed codes turned over as in ``int8``, and sums wrap as there; weights have 32
bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.compiled import compiled
from refnet.kernels import tile
from refnet.kernels._kernel import Kernel, Step
from refnet.kernels.direct import Direct, step
from refnet.kernels.endings import codes_of, sums_of
from refnet.kernels.int8 import SIGN, channelwise, starts, within
from refnet.kernels.places import Int64Array, Maps, Windows
from refnet.kernels.tile import COMPILED, LANE_BYTES, LANE_PAIRS, LANE_REALS
from refnet.program import INT8, INT16, UINT8, Constant, Conv, TensorType

VECTORS, PIXELS = 1, 7

_bytes_nest, _byte_codes_nest = sums_of(LANE_BYTES), codes_of(LANE_BYTES, tile.INT8)
_pairs_nest, _pair_codes_nest = sums_of(LANE_PAIRS), codes_of(LANE_PAIRS, tile.INT16)
_reals_nest, _rectified_nest = sums_of(LANE_REALS), sums_of(LANE_REALS, rectified=True)


def _applies(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> bool:
    fits = any(within(x, kind) for kind in (UINT8, INT16))
    return COMPILED and fits and channelwise(op, x, w)


def prepare(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> Step:
    """Pack the weights; the step packs the activations at each call."""
    size, bias = (x.shape[1], x.shape[2]), None if b is None else b.array
    if within(x, UINT8):
        return step(direct(op, size, w.array, bias, dtype=np.uint8), np.uint8)
    if within(x, INT8):
        ready = direct(op, size, w.array, bias, dtype=np.uint8, signed=True)
        return step(ready, np.uint8, flip=SIGN)
    return step(direct(op, size, w.array, bias, dtype=np.int16), np.int16)


def direct(
    op: Conv, size: tuple[int, int], w: NDArray[Any], b: NDArray[Any] | None,
    *, dtype: Any, signed: bool = False, rectified: bool = False,
) -> Direct:
    """The convolution ready for maps (C, *size) of ``dtype``: uint8, int16 or float32.

    w (C, 1, R, S), b (C,), C > 1. ``signed`` bytes are codes turned over; ``rectified`` sets
    negative floats to zero.
    """
    maps = Maps(
        channels=op.groups, size=size, border=op.padding, itemsize=np.dtype(dtype).itemsize
    )
    windows = Windows(op=op, maps=maps, kernel=w.shape[2:], filters=len(w))
    if dtype == np.float32:
        start = windows.by_lane(np.zeros(len(w)) if b is None else b, np.float32)
        weights, loop_codes = windows.weights(w, np.float32), None
        loop_sums = _rectified if rectified else _reals
    else:
        start = starts(windows, w, b, signed=signed)
        weights = windows.weights(w, np.int32)
        loop_sums = _bytes if dtype == np.uint8 else _pairs
        loop_codes = _byte_codes if dtype == np.uint8 else _pair_codes
    return Direct(
        windows=windows, weights=weights, vectors=VECTORS, pixels=PIXELS, start=start,
        loop_sums=loop_sums, loop_codes=loop_codes,
    )  # fmt: skip


@compiled
def _bytes(operands: Int64Array) -> None:
    """The loop nest of the file header, sums to ``out``."""
    _bytes_nest(VECTORS, PIXELS, operands.ctypes.data)


@compiled
def _byte_codes(operands: Int64Array) -> None:
    """The loop nest of the file header, codes to ``out``."""
    _byte_codes_nest(VECTORS, PIXELS, operands.ctypes.data)


@compiled
def _pairs(operands: Int64Array) -> None:
    """The loop nest of the file header, sums to ``out``."""
    _pairs_nest(VECTORS, PIXELS, operands.ctypes.data)


@compiled
def _pair_codes(operands: Int64Array) -> None:
    """The loop nest of the file header, codes to ``out``."""
    _pair_codes_nest(VECTORS, PIXELS, operands.ctypes.data)


@compiled
def _reals(operands: Int64Array) -> None:
    """The loop nest of the file header on floats."""
    _reals_nest(VECTORS, PIXELS, operands.ctypes.data)


@compiled
def _rectified(operands: Int64Array) -> None:
    """The loop nest of the file header on floats, negative sums set to zero."""
    _rectified_nest(VECTORS, PIXELS, operands.ctypes.data)


KERNEL = Kernel(name="depthwise", op=Conv, prepare=prepare, applies=_applies)
