"""Codes of at most 2 bits as offsets of tables, a byte for two channels, see ``tables``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.compiled import compiled
from refnet.kernels.layouts import Int64Array, Layout, aligned, blocks_of, bytes_of_maps
from refnet.kernels.microkernels import LANES
from refnet.kernels.turning import pairs_of_block, pairs_of_pixel
from refnet.program import IntArray, TensorType
from refnet.program.window import Pads

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs(Layout):
    """16 * (even + 4 * odd) for each pair of channels, LANES channels at a time."""

    @property
    def pixel_items(self) -> int:
        """Bytes of a pixel."""
        return LANES // 2 * blocks_of(self.shape[0])

    def empty(self, images: int) -> Bytes:
        """(images, rows, columns, bytes)."""
        return aligned((images, *self.padded, self.pixel_items), np.uint8)

    def pack(self, x: IntArray, packed: Bytes) -> None:
        """x (n, C, H, W) of codes."""
        _pack(bytes_of_maps(x), self.insides(len(x)), packed)

    def unpack(self, packed: Bytes, out: IntArray) -> None:
        """The inverse of :meth:`pack`."""
        (top, _), (left, _) = self.pads
        _unpack(packed, top, left, out)


def pairs_for(x: TensorType, pads: Pads) -> Pairs:
    """The layout of an unsigned activation (C, H, W), or of a vector (K,) as one pixel."""
    C, H, W = (*x.shape, 1, 1)[:3]
    return Pairs(shape=(C, H, W), bits=x.type.bits, pads=pads)


@compiled
def _pack(x: Bytes, places: Int64Array, out: Bytes) -> None:
    """x (n, C, P) into pairs at ``places``, as ``layouts`` packs planes."""
    P = x.shape[2]
    block, line = np.zeros((32, 16), np.uint8), np.zeros(32, np.uint8)
    for n in range(x.shape[0]):
        for k in range(out.shape[3] // 16):
            at = out.ctypes.data + 16 * k
            channels = min(32, x.shape[1] - 32 * k)
            line[:] = 0
            block[:] = 0
            for p in range(0, P if P < 16 else 0):
                for c in range(channels):
                    line[c] = x[n, 32 * k + c, p]
                pairs_of_pixel(
                    line.ctypes.data, 0, places[n * P + p :].ctypes.data, 1, 2, 0, at
                )
            for tile in range(0, P if P >= 16 else 0, 16):
                p = min(tile, P - 16)
                source, stride = x[n, 32 * k, p:].ctypes.data, P
                if channels < 32:
                    for c in range(channels):
                        for i in range(16):
                            block[c, i] = x[n, 32 * k + c, p + i]
                    source, stride = block.ctypes.data, 16
                pairs_of_block(source, stride, places[n * P + p :].ctypes.data, 1, 2, 0, at)


@compiled
def _unpack(words: Bytes, top: int, left: int, out: NDArray[Any]) -> None:
    for n in range(out.shape[0]):
        for c in range(out.shape[1]):
            shift = 4 + 2 * (c % 2)
            for y in range(out.shape[2]):
                for z in range(out.shape[3]):
                    out[n, c, y, z] = (words[n, top + y, left + z, c // 2] >> shift) & 3
