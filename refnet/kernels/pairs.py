"""Codes of at most 2 bits as offsets of tables, a byte for two channels, see ``tables``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.compiled import compiled
from refnet.kernels.layouts import Layout, aligned, blocks_of
from refnet.kernels.microkernels import LANES
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
        (top, _), (left, _) = self.pads
        _pack(x, top, left, packed)

    def unpack(self, packed: Bytes, out: IntArray) -> None:
        """The inverse of :meth:`pack`."""
        (top, _), (left, _) = self.pads
        _unpack(packed, top, left, out)


def pairs_for(x: TensorType, pads: Pads) -> Pairs:
    """The layout of an unsigned activation (C, H, W), or of a vector (K,) as one pixel."""
    C, H, W = (*x.shape, 1, 1)[:3]
    return Pairs(shape=(C, H, W), bits=x.type.bits, pads=pads)


@compiled
def _pack(x: NDArray[Any], top: int, left: int, out: Bytes) -> None:
    for n in range(x.shape[0]):
        for y in range(x.shape[2]):
            for c in range(0, x.shape[1], 2):
                odd = c + 1 < x.shape[1]
                for z in range(x.shape[3]):
                    code = x[n, c, y, z] & 3
                    if odd:
                        code |= (x[n, c + 1, y, z] & 3) << 2
                    out[n, top + y, left + z, c // 2] = code << 4


@compiled
def _unpack(words: Bytes, top: int, left: int, out: NDArray[Any]) -> None:
    for n in range(out.shape[0]):
        for c in range(out.shape[1]):
            shift = 4 + 2 * (c % 2)
            for y in range(out.shape[2]):
                for z in range(out.shape[3]):
                    out[n, c, y, z] = (words[n, top + y, left + z, c // 2] >> shift) & 3
