"""The layout of direct convolution: every tap becomes one contiguous run ([4.1] of the spec).

A padded map is cut into stride_h * stride_w phase planes: the element at row y, column z goes to
plane (y mod stride_h, z mod stride_w), cell (y div stride_h, z div stride_w). Tap (r, s) meets, at
output (i, j), the element (i*stride_h + r*dilation_h, j*stride_w + s*dilation_w); that is always
the same plane, and the cell is (i, j) plus a constant. So for outputs in the order of the cells the
tap reads a run without gaps, whatever stride, padding and dilation are:

    position p = (n*rows + i)*columns + j        run of tap t: planes[plane[t], first[t] + p]

Images n of a block follow each other in a plane. Positions that are no output (the last columns and
rows of a plane) are computed from true elements and zeros, so the proved range holds for them too;
they are dropped at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.program import Conv, IntArray

Int32Array = NDArray[np.int32]

#: Positions a block aims at: a run of 32-bit accumulators that stays in the first cache.
_BLOCK_POSITIONS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Phases:
    """Phase planes of maps (H, W) that ``op`` meets with kernel (R, S): ``out`` is (H', W')."""

    op: Conv
    map: tuple[int, int]
    kernel: tuple[int, int]
    out: tuple[int, int]

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of a plane: the output and how far the taps reach beyond it."""
        rows, columns = (
            n + (k - 1) * dilation // stride
            for n, k, dilation, stride in zip(
                self.out, self.kernel, self.op.dilation, self.op.stride, strict=True
            )
        )
        return rows, columns

    @property
    def images(self) -> int:
        """Images of a block."""
        rows, columns = self.cells
        return max(1, _BLOCK_POSITIONS // (rows * columns))

    def taps(self, c: NDArray[Any], r: NDArray[Any], s: NDArray[Any]) -> tuple[IntArray, IntArray]:
        """``plane`` and ``first`` of the taps at channels c, rows r, columns s of the kernel."""
        (stride_h, stride_w), (dilation_h, dilation_w) = self.op.stride, self.op.dilation
        row, phase_h = np.divmod(r * dilation_h, stride_h)
        column, phase_w = np.divmod(s * dilation_w, stride_w)
        plane = (c * stride_h + phase_h) * stride_w + phase_w
        return plane.astype(np.int64), (row * self.cells[1] + column).astype(np.int64)

    def run(self, images: int) -> int:
        """Positions from the first output of a block of ``images`` to its last."""
        rows, columns = self.cells
        return ((images - 1) * rows + self.out[0] - 1) * columns + self.out[1]

    def scatter(self, x: IntArray) -> Int32Array:
        """x (n, C, H, W) -> planes (C * stride_h * stride_w, n * rows * columns), zeros outside."""
        stride_h, stride_w = self.op.stride
        rows, columns = self.cells
        images, channels = x.shape[:2]
        planes = np.zeros((channels, stride_h, stride_w, images, rows, columns), dtype=np.int32)
        for h in range(stride_h):
            cell_h, map_h = _overlap(h, stride_h, self.op.padding[0][0], self.map[0], rows)
            for w in range(stride_w):
                cell_w, map_w = _overlap(w, stride_w, self.op.padding[1][0], self.map[1], columns)
                window = x[:, :, map_h, map_w].swapaxes(0, 1)
                planes[:, h, w, :, cell_h, cell_w] = window
        return planes.reshape(channels * stride_h * stride_w, -1)

    def gather(self, acc: Int32Array, out: IntArray) -> None:
        """acc (F, n * rows * columns) -> out (n, F, H', W'), the positions that are outputs."""
        cells = acc.reshape(len(acc), len(out), *self.cells)
        outputs = cells[:, :, : self.out[0], : self.out[1]].swapaxes(0, 1)
        np.copyto(out, outputs, casting="unsafe")


def _overlap(phase: int, stride: int, pad: int, size: int, cells: int) -> tuple[slice, slice]:
    """The cells of a phase that lie on the map, and the places of the map they hold."""
    # Cell u holds place u*stride + phase - pad; keep 0 <= place < size.
    first = max(0, -(-(pad - phase) // stride))
    last = max(first, min(cells, -(-(size + pad - phase) // stride)))
    place = first * stride + phase - pad
    return slice(first, last), slice(place, place + (last - first) * stride, stride)
