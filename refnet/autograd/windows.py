"""The geometry of a window that slides over a map, shared by convolution and pooling."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

import numpy as np

from refnet.autograd.chunks import scratch
from refnet.autograd.graph import Array

Pair: TypeAlias = tuple[int, int]
# An integer for both axes, or one for each: (vertical, horizontal).
PairLike: TypeAlias = int | Pair
# As above, or ((top, bottom), (left, right)).
PaddingLike: TypeAlias = int | Pair | tuple[Pair, Pair]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A window of R x S taps sliding over an H x W map.

    The map (H, W) is surrounded by `padding` ((top, bottom), (left, right)); taps are `dilation`
    apart and positions `stride` apart, each (vertical, horizontal). Raises `ValueError` naming the
    function `name` if the window does not fit.
    """

    name: str
    map: Pair
    size: Pair
    stride: Pair
    padding: tuple[Pair, Pair]
    dilation: Pair

    def __post_init__(self) -> None:
        if min(self.size + self.stride + self.dilation) < 1:
            raise ValueError(
                f"{self.name}: kernel {self.size}, stride {self.stride}, dilation {self.dilation}"
                " do not fit: all must be >= 1"
            )
        if min(self.padding[0] + self.padding[1]) < 0:
            raise ValueError(f"{self.name}: padding {self.padding} does not fit: it must be >= 0")
        if min(self.output) < 1:
            raise ValueError(
                f"{self.name}: map {self.map}, padding {self.padding}, kernel {self.size},"
                f" dilation {self.dilation} do not fit: the window {self.reach}"
                " is larger than the padded map"
            )

    @property
    def reach(self) -> Pair:
        """The extent of one window, dilation included: (d * (R - 1) + 1, ...)."""
        return (
            self.dilation[0] * (self.size[0] - 1) + 1,
            self.dilation[1] * (self.size[1] - 1) + 1,
        )

    @property
    def output(self) -> Pair:
        """The number of window positions (vertical, horizontal)."""
        (h, w), (rh, rw) = self.map, self.reach
        (top, bottom), (left, right) = self.padding
        return (
            (h + top + bottom - rh) // self.stride[0] + 1,
            (w + left + right - rw) // self.stride[1] + 1,
        )

    def padded(self, x: Array, rows: slice, fill: float) -> Array:
        """Return the padded part of x (..., H, W) that the output rows `rows` look at.

        The result is x itself, sliced, where no padding is needed, and otherwise scratch memory.
        """
        height, width = self.map
        top, left = self.padding[0][0], self.padding[1][0]
        first = rows.start * self.stride[0] - top
        count = (rows.stop - rows.start - 1) * self.stride[0] + self.reach[0]
        columns = (self.output[1] - 1) * self.stride[1] + self.reach[1]
        if first >= 0 and first + count <= height and left == 0 and columns <= width:
            return x[..., first : first + count, :columns]
        canvas = scratch("padded", (*x.shape[:-2], count, columns), x.dtype)
        low = min(max(-first, 0), count)
        high = max(min(height - first, count), low)
        right = min(left + width, columns)
        canvas[..., :low, :] = fill
        canvas[..., high:, :] = fill
        canvas[..., low:high, :left] = fill
        canvas[..., low:high, right:] = fill
        canvas[..., low:high, left:right] = x[..., first + low : first + high, : right - left]
        return canvas

    def taps(self, canvas: Array, rows: int) -> Iterator[tuple[int, int, Array]]:
        """Yield (r, s, view) for every tap: what tap (r, s) sees at `rows` x OW positions."""
        (sh, sw), (dh, dw) = self.stride, self.dilation
        height, width = (rows - 1) * sh + 1, (self.output[1] - 1) * sw + 1
        for r in range(self.size[0]):
            for s in range(self.size[1]):
                down, across = r * dh, s * dw
                yield r, s, canvas[..., down : down + height : sh, across : across + width : sw]

    def seen(self, axis: int, first: int, count: int) -> tuple[slice, slice]:
        """Follow one tap along an axis through `count` positions, the first at map index `first`.

        Returns the slice of positions that lie inside the map, and the map indices they see.
        """
        step, size = self.stride[axis], self.map[axis]
        low = min(max(-(first // step), 0), count)
        high = min(max(-((first - size) // step), low), count)
        if low == high:
            return slice(0, 0), slice(0, 0)
        return slice(low, high), slice(first + step * low, first + step * (high - 1) + 1, step)

    def canvas_shape(self) -> Pair:
        """Return the extent of map and padding together."""
        return (self.map[0] + sum(self.padding[0]), self.map[1] + sum(self.padding[1]))

    def interior(self, canvas: Array) -> Array:
        """Return the part of a whole canvas that is the map."""
        top, left = self.padding[0][0], self.padding[1][0]
        return canvas[..., top : top + self.map[0], left : left + self.map[1]]


def _is_integer(value: object) -> TypeGuard[int | np.integer[Any]]:
    return isinstance(value, int | np.integer)


def pair(name: str, value: PairLike) -> Pair:
    """Normalise an integer or a pair to a pair."""
    if _is_integer(value):
        return int(value), int(value)
    if not isinstance(value, tuple | list) or [*map(_is_integer, value)] != [True, True]:
        raise ValueError(f"{name}: {value!r} is not an integer or a pair of integers")
    return int(value[0]), int(value[1])


def padding_pairs(name: str, value: PaddingLike) -> tuple[Pair, Pair]:
    """Normalise padding to ((top, bottom), (left, right))."""
    if isinstance(value, tuple | list) and len(value) == 2:
        vertical, horizontal = value
        return pair(name, vertical), pair(name, horizontal)
    vertical, horizontal = pair(name, value)
    return (vertical, vertical), (horizontal, horizontal)
