"""How values lie in memory between fused kernels: bit planes with a border, and rows of sums.

    planes   words[n, y, z, b, k]     bit i of word k: bit b of the code of channel 32*k + i
    pairs    bytes[n, y, z, i]        codes of channels 2*i and 2*i + 1: 16 * (even + 4 * odd)
    sums     sums[n, p, f]            32-bit; p counts the outputs of a map, f all filters, padded

All put the channels of a pixel side by side, as the lanes of the kernels are. Packed maps have
zeros around them, so that a window is an address whatever the padding; they are written once. What
lies past the last channel may be anything: weights are zero there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.compiled import compiled
from refnet.kernels.microkernels import LANES
from refnet.program import Conv, IntArray, TensorType
from refnet.program.window import Pads, output_size

Words = NDArray[np.uint32]
Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]

#: What vectors are aligned to: a load that crosses a cache line takes twice as long.
ALIGNMENT = 64


def aligned(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Zeros at a multiple of ``ALIGNMENT`` bytes."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    held = np.zeros(size + ALIGNMENT, dtype=np.uint8)
    first = -held.ctypes.data % ALIGNMENT
    room: NDArray[Any] = held[first : first + size].view(dtype).reshape(shape)
    return room


def blocks_of(channels: int) -> int:
    """Words, or blocks of lanes, that hold ``channels``."""
    return -(-channels // LANES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout(ABC):
    """How maps (C, H, W) of codes of ``bits`` bits lie packed, with ``pads`` zeros around."""

    shape: tuple[int, int, int]
    bits: int
    pads: Pads

    @property
    @abstractmethod
    def pixel_items(self) -> int:
        """Items of the packed array from a pixel to the next."""

    @abstractmethod
    def empty(self, images: int) -> NDArray[Any]:
        """Zeros for ``images`` maps: (images, rows, columns, ...)."""

    @abstractmethod
    def pack(self, x: IntArray, packed: NDArray[Any]) -> None:
        """x (n, C, H, W) into the first n maps of ``packed``; the border stays."""

    @abstractmethod
    def unpack(self, packed: NDArray[Any], out: IntArray) -> None:
        """The inverse of :meth:`pack`."""

    @property
    def padded(self) -> tuple[int, int]:
        """Rows and columns with the border."""
        return self.shape[1] + sum(self.pads[0]), self.shape[2] + sum(self.pads[1])

    def pixels(
        self, images: int, size: tuple[int, int], stride: tuple[int, int], first: tuple[int, int]
    ) -> Int64Array:
        """Where the pixels (i, j) * stride + first (of the map) of all images begin, in order.

        Counted in items. ``first`` may be negative, down to the border.
        """
        rows, columns = self.padded
        y = np.arange(size[0]) * stride[0] + first[0] + self.pads[0][0]
        z = np.arange(size[1]) * stride[1] + first[1] + self.pads[1][0]
        n = np.arange(images) * rows
        at = ((n[:, None, None] + y[:, None]) * columns + z) * self.pixel_items
        return np.asarray(at.reshape(-1), dtype=np.int64)

    def windows(self, images: int, op: Conv, size: tuple[int, int]) -> Int64Array:
        """Where each window of ``op`` begins, whose output is ``size``."""
        first = (-op.padding[0][0], -op.padding[1][0])
        return self.pixels(images, size, op.stride, first)

    def insides(self, images: int) -> Int64Array:
        """Where each pixel of the map itself begins."""
        return self.pixels(images, self.shape[1:], (1, 1), (0, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Planes(Layout):
    """Bit planes."""

    @property
    def words(self) -> int:
        """Words of a plane of a pixel."""
        return blocks_of(self.shape[0])

    @property
    def pixel_items(self) -> int:
        """Words of a pixel."""
        return self.words * self.bits

    def empty(self, images: int) -> Words:
        """(images, rows, columns, bits, words)."""
        return aligned((images, *self.padded, self.bits, self.words), np.uint32)

    def pack(self, x: IntArray, packed: Words) -> None:
        """x (n, C, H, W) of codes."""
        (top, _), (left, _) = self.pads
        _pack(x, top, left, packed)

    def unpack(self, packed: Words, out: IntArray) -> None:
        """The inverse of :meth:`pack`."""
        (top, _), (left, _) = self.pads
        _unpack(packed, top, left, out)


def planes_for(x: TensorType, pads: Pads) -> Planes:
    """The layout of an unsigned activation (C, H, W), or of a vector (K,) as one pixel."""
    C, H, W = (*x.shape, 1, 1)[:3]
    return Planes(shape=(C, H, W), bits=x.type.bits, pads=pads)


def widest(first: Pads, second: Pads) -> Pads:
    """The border that serves two readers."""
    (top, bottom), (left, right) = (
        tuple(map(max, a, b)) for a, b in zip(first, second, strict=True)
    )
    return (top, bottom), (left, right)


def reach(op: Conv, x: TensorType, kernel: tuple[int, int]) -> Pads:
    """The border that windows of ``op`` touch: padding that no window reaches is left out."""
    size = output_size(x.shape[1:], kernel, op.stride, op.padding, op.dilation)
    pads = []
    for axis, n in enumerate(x.shape[1:]):
        before, after = op.padding[axis]
        last = (size[axis] - 1) * op.stride[axis] + (kernel[axis] - 1) * op.dilation[axis] - before
        pads.append((before, min(after, max(0, last - n + 1))))
    return pads[0], pads[1]


@compiled
def _pack(x: NDArray[Any], top: int, left: int, words: Words) -> None:
    """Bits of 32 channels at a time, along a row of the map: the vector loop."""
    bits = words.shape[3]
    row = np.zeros((bits, x.shape[3]), dtype=np.uint32)
    for n in range(x.shape[0]):
        for k in range(words.shape[4]):
            channels = min(32, x.shape[1] - 32 * k)
            for y in range(x.shape[2]):
                row[:] = 0
                for c in range(channels):
                    line = x[n, 32 * k + c, y]
                    for b in range(bits):
                        for z in range(len(line)):
                            bit = (np.uint32(line[z]) >> np.uint32(b)) & np.uint32(1)
                            row[b, z] |= bit << np.uint32(c)
                for z in range(row.shape[1]):
                    for b in range(bits):
                        words[n, top + y, left + z, b, k] = row[b, z]


@compiled
def _unpack(words: Words, top: int, left: int, out: NDArray[Any]) -> None:
    for n in range(out.shape[0]):
        for c in range(out.shape[1]):
            k, shift = c // 32, np.uint32(c % 32)
            for y in range(out.shape[2]):
                for z in range(out.shape[3]):
                    code = np.uint32(0)
                    for b in range(words.shape[3]):
                        bit = (words[n, top + y, left + z, b, k] >> shift) & np.uint32(1)
                        code |= bit << np.uint32(b)
                    out[n, c, y, z] = code


@compiled
def rows_to_maps(rows: Int32Array, out: NDArray[Any]) -> None:
    """rows (n, P, lanes) -> out (n, F, P)."""
    for n in range(out.shape[0]):
        for f in range(out.shape[1]):
            for p in range(out.shape[2]):
                out[n, f, p] = rows[n, p, f]


@compiled
def maps_to_rows(x: NDArray[Any], rows: Int32Array) -> None:
    """x (n, F, P) -> rows (n, P, lanes); lanes past F stay."""
    for n in range(x.shape[0]):
        for f in range(x.shape[1]):
            for p in range(x.shape[2]):
                rows[n, p, f] = x[n, f, p]
