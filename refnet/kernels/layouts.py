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
from refnet.kernels.turning import SIDE, planes_of_block, planes_of_pixel, turn_sums
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
        _pack(bytes_of_maps(x), self.insides(len(x)), packed)

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


def bytes_of_maps(x: IntArray) -> NDArray[np.uint8]:
    """Codes x (n, C, H, W) as bytes (n, C, H*W)."""
    return np.ascontiguousarray(x, dtype=np.uint8).reshape(*x.shape[:2], -1)


@compiled
def _block(
    x: int, stride: int, places: int, bits: int, plane_bytes: int, out: int
) -> None:
    if bits == 1:
        planes_of_block(x, stride, places, 4, 1, plane_bytes, out)
    elif bits == 2:
        planes_of_block(x, stride, places, 4, 2, plane_bytes, out)
    elif bits == 3:
        planes_of_block(x, stride, places, 4, 3, plane_bytes, out)
    else:
        planes_of_block(x, stride, places, 4, 4, plane_bytes, out)


@compiled
def _pixel(x: int, places: int, bits: int, plane_bytes: int, out: int) -> None:
    if bits == 1:
        planes_of_pixel(x, 0, places, 4, 1, plane_bytes, out)
    elif bits == 2:
        planes_of_pixel(x, 0, places, 4, 2, plane_bytes, out)
    elif bits == 3:
        planes_of_pixel(x, 0, places, 4, 3, plane_bytes, out)
    else:
        planes_of_pixel(x, 0, places, 4, 4, plane_bytes, out)


@compiled
def _pack(x: NDArray[np.uint8], places: Int64Array, words: Words) -> None:
    """x (n, C, P) into planes at ``places``, LANES channels and 16 pixels at a time.

    The last pixels are packed twice where 16 do not divide P; fewer than 16 go one by one.
    """
    bits, plane_bytes = words.shape[3], 4 * words.shape[4]
    P = x.shape[2]
    block, line = np.zeros((32, 16), np.uint8), np.zeros(32, np.uint8)
    for n in range(x.shape[0]):
        for k in range(words.shape[4]):
            out = words.ctypes.data + 4 * k
            channels = min(32, x.shape[1] - 32 * k)
            line[:] = 0
            block[:] = 0
            for p in range(0, P if P < 16 else 0):
                for c in range(channels):
                    line[c] = x[n, 32 * k + c, p]
                _pixel(line.ctypes.data, places[n * P + p :].ctypes.data, bits, plane_bytes, out)
            for tile in range(0, P if P >= 16 else 0, 16):
                p = min(tile, P - 16)
                source, stride = x[n, 32 * k, p:].ctypes.data, P
                if channels < 32:
                    for c in range(channels):
                        for i in range(16):
                            block[c, i] = x[n, 32 * k + c, p + i]
                    source, stride = block.ctypes.data, 16
                _block(
                    source, stride, places[n * P + p :].ctypes.data, bits, plane_bytes, out
                )


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
def _turn(rows: int, row_bytes: int, out: int, out_bytes: int, itemsize: int) -> None:
    if itemsize == 1:
        turn_sums(rows, row_bytes, out, out_bytes, 1)
    elif itemsize == 2:
        turn_sums(rows, row_bytes, out, out_bytes, 2)
    else:
        turn_sums(rows, row_bytes, out, out_bytes, 4)


@compiled
def rows_to_maps(rows: Int32Array, out: NDArray[Any]) -> None:
    """rows (n, P, lanes) -> out (n, F, P), integers of up to 32 bits.

    Squares of SIDE pixels and filters, the last pixels twice; what is left over one by one.
    """
    F, P = out.shape[1], out.shape[2]
    row_bytes, out_bytes = 4 * rows.shape[2], out.itemsize * P
    whole = F // SIDE * SIDE if P >= SIDE else 0
    for n in range(out.shape[0]):
        for tile in range(0, P if whole else 0, SIDE):
            p = min(tile, P - SIDE)
            for f in range(0, whole, SIDE):
                _turn(
                    rows[n, p, f:].ctypes.data, row_bytes, out[n, f, p:].ctypes.data, out_bytes,
                    out.itemsize,
                )
        for p in range(P):
            for f in range(whole, F):
                out[n, f, p] = rows[n, p, f]


@compiled
def maps_to_rows(x: NDArray[Any], rows: Int32Array) -> None:
    """x (n, F, P) -> rows (n, P, lanes); lanes past F stay."""
    for n in range(x.shape[0]):
        for f in range(x.shape[1]):
            for p in range(x.shape[2]):
                rows[n, p, f] = x[n, f, p]
