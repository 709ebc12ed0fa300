"""Blocks of a convolution and their columns: what the taps of the kernel see (im2col).

Only the S horizontal taps are copied side by side. The R vertical taps look at the same rows, only
further down, so each of them is a slice of the columns and costs no copy: R matrix products of
reduction C / G * S replace one of reduction C / G * R * S, with a third of the memory traffic at
R = 3. To make the slices contiguous, the rows of one phase (row modulo vertical stride) are stored
together, and each stored row holds all images of the block: columns are (C, S, phase, row, image,
OW) in memory and (G, C / G * S, positions) to the matrix product.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from refnet.autograd import chunks
from refnet.autograd.chunks import scratch, slices
from refnet.autograd.graph import Array
from refnet.autograd.windows import Window

# A weight gradient reduces over the positions of a block: too few of them starve the product.
POSITIONS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some images and some output rows of a convolution with a given window."""

    window: Window
    images: slice
    rows: slice

    @property
    def shape(self) -> tuple[int, int, int]:
        """Output rows, images, output columns: the order in which positions are numbered."""
        rows, images = self.rows.stop - self.rows.start, self.images.stop - self.images.start
        return rows, images, self.window.output[1]

    @property
    def stored(self) -> int:
        """Rows kept of one phase: enough for the last tap at the last output row."""
        return self.shape[0] + (self.window.reach[0] - 1) // self.window.stride[0]

    def tap(self, r: int) -> slice:
        """Return the positions of the columns that vertical tap r sees."""
        rows, images, width = self.shape
        row, phase = divmod(r * self.window.dilation[0], self.window.stride[0])
        start = (phase * self.stored + row) * images * width
        return slice(start, start + rows * images * width)

    def places(self) -> Iterator[tuple[tuple[int, int], tuple[slice, slice], tuple[slice, slice]]]:
        """Yield ((s, phase), (rows, columns) in storage, (rows, columns) in the map)."""
        window = self.window
        (top, _), (left, _) = window.padding
        phases = {r * window.dilation[0] % window.stride[0] for r in range(window.size[0])}
        for phase in sorted(phases):
            first = self.rows.start * window.stride[0] - top + phase
            stored_rows, map_rows = window.seen(0, first, self.stored)
            for s in range(window.size[1]):
                stored_columns, map_columns = window.seen(
                    1, s * window.dilation[1] - left, window.output[1]
                )
                yield (s, phase), (stored_rows, stored_columns), (map_rows, map_columns)

    def storage(self, channels: int, dtype: np.dtype[np.generic]) -> Array:
        """Return scratch memory for the columns (C, S, phase, row, image, OW)."""
        _, images, width = self.shape
        window = self.window
        shape = (channels, window.size[1], window.stride[0], self.stored, images, width)
        return scratch("columns", shape, dtype)


def cut(images: int, channels: int, window: Window, *, whole_maps: bool = False) -> list[Block]:
    """Cut a convolution into blocks whose columns have about chunks.CHUNK elements.

    An image that is far larger is cut into blocks of rows, unless `whole_maps` is set.
    """
    height, width = window.output
    row = channels * window.size[1] * window.stride[0] * width  # columns of one output row
    every_row = slice(0, height)
    if row * height > 4 * chunks.CHUNK and not whole_maps:
        parts = slices(height, max(1, chunks.CHUNK // row))
        return [
            Block(window=window, images=slice(n, n + 1), rows=rows)
            for n in range(images)
            for rows in parts
        ]
    enough = -(-POSITIONS // (height * width))
    count = max(chunks.CHUNK // (row * height), enough)
    return [Block(window=window, images=part, rows=every_row) for part in slices(images, count)]


def is_pointwise(window: Window) -> bool:
    """Tell whether every output position sees exactly the input position it lies on."""
    return window.size == window.stride == (1, 1) and window.output == window.map


def gather(x: Array, block: Block, groups: int) -> Array:
    """Collect the columns of a block of x (N, C, H, W) -> (G, C / G * S, positions), in scratch."""
    channels = x.shape[1]
    if is_pointwise(block.window) and block.shape[1] == 1:  # large maps need no copy at all
        return x[block.images.start, :, block.rows].reshape(groups, channels // groups, -1)
    part = x[block.images].transpose(1, 2, 0, 3)
    columns = block.storage(channels, x.dtype)
    for (s, phase), (rows, places), (map_rows, map_columns) in block.places():
        target = columns[:, s, phase]
        target[:, : rows.start] = 0
        target[:, rows.stop :] = 0
        target = target[:, rows]
        target[..., : places.start] = 0
        target[..., places.stop :] = 0
        target[..., places] = part[:, map_rows, :, map_columns]
    return columns.reshape(groups, channels // groups * block.window.size[1], -1)


def scatter(columns: Array, block: Block, result: Array) -> None:
    """Add the columns (C, S, phase, row, image, OW) of a block to where they came from."""
    part = result[block.images].transpose(1, 2, 0, 3)
    for (s, phase), (rows, places), (map_rows, map_columns) in block.places():
        part[:, map_rows, :, map_columns] += columns[:, s, phase, rows, :, places]
