"""Convolution of 8-bit weights and 8-bit activations by byte dot products (AVX-512 VNNI).

    for b:                                  two vectors of 16 filters, or one
        for tile:                           seven places of the output
            acc = start[b]                  in registers
            for t:                          words of the window, four bytes
                acc += dot(a[place + tap[t]], w[b, t])
            out = acc, or the code that requantizing makes of it

The instruction takes unsigned bytes of the input. A signed code is held as code + 128, its byte
with the top bit turned over, and the sum is too large by 128 times the sum of the weights, which
goes into ``start``; the border around a map is then 128. Sums wrap at 32 bits on the way, and since
the true sum fits [1.3.1] it is what remains.
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
from refnet.kernels.places import Int64Array, Maps, Windows
from refnet.kernels.tiers import Tier
from refnet.kernels.tile import BYTES, BYTES_BY_TWO
from refnet.program import INT8, UINT8, Constant, Conv, IntType, TensorType

#: Vectors and places of a tile: 14 sums of the 32 registers, and twice as many products as loads.
VECTORS, PIXELS = 2, 7
#: What the byte of a signed code is turned over by.
SIGN = 128
#: Below this share of products that count, loops over positions are faster.
LEAST_USED = 0.1

_sums_nest, _sums_nest_by_two = sums_of(BYTES), sums_of(BYTES_BY_TWO)
_codes_nest, _codes_nest_by_two = codes_of(BYTES, tile.INT8), codes_of(BYTES_BY_TWO, tile.INT8)


def _applies(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> bool:
    fits = holds(INT8, w) and any(within(x, kind) for kind in (UINT8, INT8))
    return fits and not channelwise(op, x, w)


def channelwise(op: Conv, x: TensorType, w: Constant) -> bool:
    """Whether every channel has its own filter: tiles are laid out for ``depthwise`` then."""
    return op.groups == x.shape[0] == w.shape[0] > 1


def holds(kind: IntType, w: Constant) -> bool:
    """Whether every weight is of the type, whatever is declared."""
    return kind.contains(w.array)


def within(x: TensorType, kind: IntType) -> bool:
    """Whether every activation is of the type."""
    return kind.lo <= x.type.lo and x.type.hi <= kind.hi


def pays(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> bool:
    """Whether tiles are full enough."""
    maps = Maps(channels=x.shape[0], size=(x.shape[1], x.shape[2]))
    kernel = (w.shape[2], w.shape[3])
    windows = Windows(op=op, maps=maps, kernel=kernel, filters=w.shape[0])
    return windows.used >= LEAST_USED


def prepare(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> Step:
    """Pack the weights; the step packs the activations at each call."""
    signed = x.type.lo < 0
    bias = None if b is None else b.array
    ready = direct(op, (x.shape[1], x.shape[2]), w.array, bias, signed=signed)
    return step(ready, np.uint8, flip=SIGN if signed else 0)


def direct(
    op: Conv, size: tuple[int, int], w: NDArray[Any], b: NDArray[Any] | None, *, signed: bool
) -> Direct:
    """The convolution ready for maps (C, *size) of bytes, ``signed`` codes turned over.

    w (F, C/G, R, S) of 8-bit values; b (F,). The border of signed maps is filled with ``SIGN``.
    """
    maps = Maps(channels=w.shape[1] * op.groups, size=size, border=op.padding)
    windows = Windows(op=op, maps=maps, kernel=w.shape[2:], filters=len(w), pairs=True)
    return Direct(
        windows=windows, weights=windows.weights(w, np.int8), vectors=VECTORS, pixels=PIXELS,
        start=starts(windows, w, b, signed=signed),
        loop_sums=_sums_by_two if windows.paired else _sums,
        loop_codes=_codes_by_two if windows.paired else _codes,
    )  # fmt: skip


def starts(
    windows: Windows, w: NDArray[Any], b: NDArray[Any] | None, *, signed: bool
) -> NDArray[np.int32]:
    """The bias of each lane, less what turning signed codes over adds to its sum."""
    start = np.zeros(len(w), np.int64) if b is None else b.astype(np.int64)
    if signed:
        start = start - SIGN * w.sum(axis=(1, 2, 3), dtype=np.int64)
    return windows.by_lane(start, np.int64).astype(np.int32)


@compiled
def _sums(operands: Int64Array) -> None:
    """The loop nest of the file header, sums to ``out``."""
    _sums_nest(VECTORS, PIXELS, operands.ctypes.data)


@compiled
def _sums_by_two(operands: Int64Array) -> None:
    """As ``_sums`` with two groups in each vector."""
    _sums_nest_by_two(VECTORS, PIXELS, operands.ctypes.data)


@compiled
def _codes(operands: Int64Array) -> None:
    """The loop nest of the file header, codes to ``out``."""
    _codes_nest(VECTORS, PIXELS, operands.ctypes.data)


@compiled
def _codes_by_two(operands: Int64Array) -> None:
    """As ``_codes`` with two groups in each vector."""
    _codes_nest_by_two(VECTORS, PIXELS, operands.ctypes.data)


KERNEL = Kernel(
    name="int8", op=Conv, prepare=prepare, applies=_applies, pays=pays, tier=Tier.AVX512
)
