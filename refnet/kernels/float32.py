"""Direct convolution of floats (binary32), dense and grouped, with a rectifier if wanted.

    for b:                                  vectors of 16 filters
        for tile:                           places of the output
            acc = bias[b]                   in registers
            for t:                          taps and channels of the window
                acc += a[place + tap[t]] * w[b, t]
            out = acc, or max(acc, 0)

Each output is summed in one stated order, taps by rows and channels innermost, whatever the number
of threads or images is. A processor that fuses multiplication and addition rounds once for a
product, any other twice: between machines the last bits may differ.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.compiled import compiled
from refnet.kernels.direct import Direct
from refnet.kernels.endings import sums_of
from refnet.kernels.places import Int64Array, Maps, Windows
from refnet.kernels.tile import REALS, REALS_BY_TWO, WIDE
from refnet.program import Conv

#: Vectors and places of a tile. Where a vector takes two registers of 16, five places are left.
VECTORS, PIXELS = (2, 7) if WIDE else (1, 5)

_sums_nest, _sums_nest_by_two = sums_of(REALS), sums_of(REALS_BY_TWO)
_rectified_nest = sums_of(REALS, rectified=True)
_rectified_nest_by_two = sums_of(REALS_BY_TWO, rectified=True)


def direct(
    op: Conv, size: tuple[int, int], w: NDArray[Any], b: NDArray[Any] | None,
    *, rectified: bool = False,
) -> Direct:
    """The convolution ready for maps (C, *size) of float32 with zeros around.

    w (F, C/G, R, S); b (F,); ``rectified`` sets negative sums to zero.
    """
    maps = Maps(channels=w.shape[1] * op.groups, size=size, border=op.padding, itemsize=4)
    windows = Windows(op=op, maps=maps, kernel=w.shape[2:], filters=len(w), pairs=True)
    start = np.zeros(len(w)) if b is None else b
    loops = (_sums_by_two, _rectified_by_two) if windows.paired else (_sums, _rectified)
    return Direct(
        windows=windows, weights=windows.weights(w, np.float32), vectors=VECTORS, pixels=PIXELS,
        start=windows.by_lane(start, np.float32), loop_sums=loops[rectified],
    )  # fmt: skip


@compiled
def _sums(operands: Int64Array) -> None:
    """The loop nest of the file header, sums to ``out``."""
    _sums_nest(VECTORS, PIXELS, operands.ctypes.data)


@compiled
def _sums_by_two(operands: Int64Array) -> None:
    """As ``_sums`` with two groups in each vector."""
    _sums_nest_by_two(VECTORS, PIXELS, operands.ctypes.data)


@compiled
def _rectified(operands: Int64Array) -> None:
    """The loop nest of the file header, negative sums set to zero."""
    _rectified_nest(VECTORS, PIXELS, operands.ctypes.data)


@compiled
def _rectified_by_two(operands: Int64Array) -> None:
    """As ``_rectified`` with two groups in each vector."""
    _rectified_nest_by_two(VECTORS, PIXELS, operands.ctypes.data)
