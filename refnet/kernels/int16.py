"""Convolution of 16-bit weights and activations by dot products of pairs, on any processor.

    for b:                                  vectors of 16 filters
        for tile:                           places of the output
            acc = start[b]                  in registers
            for t:                          words of the window, two codes
                acc += dot(a[place + tap[t]], w[b, t])
            out = acc, or the code that requantizing makes of it

The twin of ``int8`` where there is no byte dot product, and the kernel of all wider codes. Products
and their sums wrap at 32 bits; since every partial sum fits [1.3.1], none does.
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
from refnet.kernels.int8 import channelwise, holds, pays, within
from refnet.kernels.places import Int64Array, Maps, Windows
from refnet.kernels.tile import COMPILED, PAIRS, WIDE
from refnet.program import INT16, Constant, Conv, TensorType

#: Vectors and places of a tile. Where a vector takes two registers of 16, five places are left.
VECTORS, PIXELS = (2, 7) if WIDE else (1, 5)

_sums_nest, _codes_nest = sums_of(PAIRS), codes_of(PAIRS, tile.INT16)
_byte_codes_nest = codes_of(PAIRS, tile.INT8)


def _applies(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> bool:
    fits = holds(INT16, w) and within(x, INT16)
    return COMPILED and fits and not channelwise(op, x, w)


def prepare(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> Step:
    """Pack the weights; the step packs the activations at each call."""
    bias = None if b is None else b.array
    return step(direct(op, (x.shape[1], x.shape[2]), w.array, bias), np.int16)


def direct(
    op: Conv, size: tuple[int, int], w: NDArray[Any], b: NDArray[Any] | None,
    *, to_bytes: bool = False,
) -> Direct:
    """The convolution ready for maps (C, *size) of int16 with zeros around.

    w (F, C/G, R, S) of 16-bit values; b (F,). Codes are written as bytes with ``to_bytes``.
    """
    maps = Maps(channels=w.shape[1] * op.groups, size=size, border=op.padding, itemsize=2)
    windows = Windows(op=op, maps=maps, kernel=w.shape[2:], filters=len(w))
    start = np.zeros(len(w), np.int32) if b is None else b
    return Direct(
        windows=windows, weights=windows.weights(w, np.int16), vectors=VECTORS, pixels=PIXELS,
        start=windows.by_lane(start, np.int32), loop_sums=_sums,
        loop_codes=_byte_codes if to_bytes else _codes,
    )  # fmt: skip


@compiled
def _sums(operands: Int64Array) -> None:
    """The loop nest of the file header, sums to ``out``."""
    _sums_nest(VECTORS, PIXELS, operands.ctypes.data)


@compiled
def _codes(operands: Int64Array) -> None:
    """The loop nest of the file header, codes to ``out``."""
    _codes_nest(VECTORS, PIXELS, operands.ctypes.data)


@compiled
def _byte_codes(operands: Int64Array) -> None:
    """The loop nest of the file header, codes as bytes to the output."""
    _byte_codes_nest(VECTORS, PIXELS, operands.ctypes.data)


KERNEL = Kernel(name="int16", op=Conv, prepare=prepare, applies=_applies, pays=pays)
