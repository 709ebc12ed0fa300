"""Maps that lie place after place (N, H, W, C), and where the taps of a convolution find them.

The map of an image has its border around it, channels of a place lie together, and after the last
place there is room for a word. A window begins at a *place*, a number of bytes; what it sees from
there are *runs* of bytes side by side. Where all channels belong to one group and columns follow
each other, a run is a whole row of the kernel, else it is one tap. Runs are cut into words of four
bytes; in the last one weights are zero, so what lies there does not matter, and no channel is ever
padded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.kernels.tile import LANES, ONE_PLACE_VECTORS
from refnet.program import Conv
from refnet.program.window import Pads, Pair, output_size

Int64Array = NDArray[np.int64]
Bytes = NDArray[np.uint8]

#: Bytes of a word.
WORD_BYTES = 4
#: Room behind the last place of a buffer, in bytes: a vector may be read from its last byte on.
SLACK_BYTES = 64
#: Places of a block aim at this: their channels stay in the second cache while filters change.
_BLOCK_PLACES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Maps:
    """Maps (C, H, W) of ``itemsize`` bytes an element, with ``border`` around each."""

    channels: int
    size: Pair
    border: Pads = ((0, 0), (0, 0))
    itemsize: int = 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels, the border included."""
        (top, bottom), (left, right) = self.border
        return top + self.size[0] + bottom, left + self.size[1] + right, self.channels

    @property
    def place_bytes(self) -> int:
        """From one place to the next."""
        return self.channels * self.itemsize

    @property
    def row_bytes(self) -> int:
        """From one row to the next."""
        return self.shape[1] * self.place_bytes

    @property
    def image_bytes(self) -> int:
        """From one image to the next."""
        return self.shape[0] * self.row_bytes

    def buffer(self, images: int, fill: int = 0) -> Bytes:
        """Room for the maps of ``images`` images, every byte ``fill``."""
        return np.full(images * self.image_bytes + SLACK_BYTES, fill, dtype=np.uint8)

    def view(self, buffer: Bytes, images: int, dtype: Any) -> NDArray[Any]:
        """The maps in ``buffer`` as an array (images, H, W, C), without the border."""
        room = buffer[: images * self.image_bytes]
        whole: NDArray[Any] = room.view(dtype).reshape(images, *self.shape)
        (top, _), (left, _) = self.border
        return whole[:, top : top + self.size[0], left : left + self.size[1]]

    def targets(self, images: int) -> Int64Array:
        """The offset of every place inside the border: (images * H * W,)."""
        (top, _), (left, _) = self.border
        first = top * self.row_bytes + left * self.place_bytes
        return _grid(self, images, self.size, (1, 1)) + np.int64(first)


def _grid(maps: Maps, images: int, size: Pair, stride: Pair) -> Int64Array:
    image, row, column = (np.arange(n, dtype=np.int64) for n in (images, *size))
    return (
        image[:, None, None] * maps.image_bytes
        + row[:, None] * (stride[0] * maps.row_bytes)
        + column * (stride[1] * maps.place_bytes)
    ).ravel()


@dataclass(frozen=True, kw_only=True)
class Windows:
    """How ``op`` with kernel (R, S) and F filters reads maps whose border is its padding."""

    op: Conv
    maps: Maps
    kernel: Pair
    filters: int
    #: Whether two groups of eight filters may share a vector.
    pairs: bool = False

    @cached_property
    def out(self) -> Pair:
        """Height and width of the output."""
        op = self.op
        return output_size(self.maps.size, self.kernel, op.stride, op.padding, op.dilation)

    @property
    def images(self) -> int:
        """Images of a block."""
        return max(1, _BLOCK_PLACES // (self.out[0] * self.out[1]))

    @property
    def _whole_rows(self) -> bool:
        return self.op.groups == 1 and self.op.dilation[1] == 1

    @cached_property
    def _runs(self) -> Int64Array:
        """Offset of each run from the place where the window begins."""
        rows = np.arange(self.kernel[0]) * self.op.dilation[0] * self.maps.row_bytes
        if self._whole_rows:
            return rows.astype(np.int64)
        columns = np.arange(self.kernel[1]) * self.op.dilation[1] * self.maps.place_bytes
        return (rows[:, None] + columns).ravel().astype(np.int64)

    @cached_property
    def taps(self) -> NDArray[np.int32]:
        """Offset of each word from the place where the window begins, run after run."""
        words = WORD_BYTES * np.arange(self.words)
        return (self._runs[:, None] + words).ravel().astype(np.int32)

    @property
    def channelwise(self) -> bool:
        """Whether every channel has its own filter, so that lanes are channels on both sides."""
        return self.op.groups == self.maps.channels == self.filters > 1

    @property
    def paired(self) -> bool:
        """Whether two groups share each vector, half of the lanes for either."""
        halves = self.filters == self.op.groups * LANES // 2
        return self.pairs and halves and self.op.groups % 2 == 0

    @property
    def lane_groups(self) -> int:
        """Groups whose filters never share a vector."""
        return 1 if self.channelwise else self.op.groups // (2 if self.paired else 1)

    @property
    def step(self) -> int:
        """Bytes from the channels of a group to those of the next."""
        return self.group_channels * self.maps.itemsize

    @property
    def group_channels(self) -> int:
        """Input channels of a group."""
        return self.maps.channels // self.op.groups

    @property
    def words(self) -> int:
        """Words of a run."""
        elements = self.group_channels * (self.kernel[1] if self._whole_rows else 1)
        return -(-elements * self.maps.itemsize // WORD_BYTES)

    @property
    def group_vectors(self) -> int:
        """Vectors of output channels of a group."""
        return -(-(self.filters // self.lane_groups) // LANES)

    def places(self, images: int) -> Int64Array:
        """Where the window of each output begins: (images * H' * W',)."""
        return _grid(self.maps, images, self.out, self.op.stride)

    @property
    def used(self) -> float:
        """The share of the products in a tile that are products of the convolution."""
        row = self.kernel[1] if self._whole_rows else 1
        words = self.group_channels * row * self.maps.itemsize / (WORD_BYTES * self.words)
        filters = self.filters // self.lane_groups / (LANES * self.group_vectors)
        return filters * (1.0 if self.channelwise else words)

    def weights(self, w: NDArray[Any], dtype: Any) -> NDArray[Any]:
        """w (F, C/G, R, S) -> (vectors, words, 16, elements of a word), zeros to fill up.

        A word holds what fits of ``dtype`` into four bytes.
        """
        groups, (R, S) = self.lane_groups, self.kernel
        rows = w.reshape(groups, -1, w.shape[1], R, S).transpose(0, 1, 3, 4, 2)
        runs = rows.reshape(groups, rows.shape[1], len(self._runs), -1)
        per_word = WORD_BYTES // np.dtype(dtype).itemsize
        filled = np.zeros(
            (groups, self.group_vectors * LANES, len(self._runs), self.words * per_word), dtype
        )
        filled[:, : runs.shape[1], :, : runs.shape[3]] = runs
        split = filled.reshape(-1, LANES, len(self.taps), per_word)
        return aligned(split.transpose(0, 2, 1, 3))

    def by_lane(self, values: NDArray[Any], dtype: Any) -> NDArray[Any]:
        """values (F,) -> (vectors * 16,), each where its lane is; zeros in lanes without filter."""
        grouped = values.reshape(self.lane_groups, -1)
        filled = np.zeros((self.lane_groups, self.group_vectors * LANES), dtype)
        filled[:, : grouped.shape[1]] = grouped
        return filled.ravel()

    def blocks(self, vectors: int, *, one_place: bool = False) -> Int64Array:
        """Vectors that share a tile, ``vectors`` or 1 at a time, never of two groups.

        For a single place (``one_place``) it is ONE_PLACE_VECTORS or 1. A row holds: first vector,
        vectors, offset in bytes of the first channel read, first channel written, filters in the
        last vector.
        """
        if self.channelwise:
            vectors = 1
        elif one_place:
            vectors = ONE_PLACE_VECTORS
        per_group, rows = self.filters // self.lane_groups, []
        for g in range(self.lane_groups):
            v = 0
            while v < self.group_vectors:
                count = vectors if self.group_vectors - v >= vectors else 1
                lanes = min(LANES, per_group - (v + count - 1) * LANES)
                channel = g * per_group + v * LANES
                read = channel if self.channelwise else g * self.maps.channels // self.lane_groups
                vector = g * self.group_vectors + v
                rows.append((vector, count, read * self.maps.itemsize, channel, lanes))
                v += count
        return np.array(rows, dtype=np.int64)


def aligned(array: NDArray[Any]) -> NDArray[Any]:
    """A contiguous copy that begins at a multiple of 64 bytes: no vector crosses a cache line."""
    room = np.empty(array.nbytes + SLACK_BYTES, dtype=np.uint8)
    first = -room.ctypes.data % SLACK_BYTES
    copy = room[first : first + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def repeated(offsets: Int64Array, pixels: int) -> Int64Array:
    """``offsets`` with the last one repeated up to a multiple of ``pixels``.

    A tile is then always whole: it computes the last place several times and writes it as often.
    """
    return np.pad(offsets, (0, -len(offsets) % pixels), mode="edge")
