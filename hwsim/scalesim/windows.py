"""The input windows of a convolution as a stream of addresses, where windows share elements.

Where they do not, the stream is one of different addresses and has a closed form
(:mod:`hwsim.scalesim.misses`). Here one pass over the folds is written out, in chunks, and turned
into the positions of previous requests. Time and memory grow with m * k of the layer.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hwsim.scalesim.layer import Folding, Layer
from hwsim.scalesim.skew import IntArray, order

#: Largest pass that is written out, in window elements.
LARGEST_PASS = 1 << 27
_CHUNK = 1 << 21


def distinct(layer: Layer) -> int:
    """Elements of the map that some window touches.

    >>> distinct(Layer(height=5, width=9, kernel=(1, 2), channels=3, filters=1, stride=2))
    81
    """
    touched = layer.channels
    for size, reach, out in zip(
        (layer.height, layer.width), layer.kernel, layer.output, strict=True
    ):
        before = (out - 1) * layer.stride  # only the last window can leave the map
        touched *= (out - 1) * min(reach, layer.stride) + min(reach, max(0, size - before))
    return touched


class Windows:
    """Addresses X (m, k) of a layer: ``base`` of a position plus ``tap`` of a window element."""

    def __init__(self, layer: Layer) -> None:
        rows, columns = (layer.stride * np.arange(out) for out in layer.output)
        self.y, self.x = np.repeat(rows, len(columns)), np.tile(columns, len(rows))
        places = np.arange(layer.window).reshape(*layer.kernel, layer.channels)
        stored = np.arange(layer.window) % layer.block < layer.kept
        v, u, c = (axis[stored] for axis in np.unravel_index(np.arange(layer.window), places.shape))
        self.v, self.u = v, u
        self.height, self.width = layer.height, layer.width
        self.base = (self.y * layer.width + self.x) * layer.channels
        self.tap = (self.v * layer.width + self.u) * layer.channels + c
        self.overhangs = layer.overhangs

    def addresses(self, positions: IntArray, taps: IntArray) -> IntArray:
        """Addresses of the pairs, -1 where a window hangs over the edge; arguments broadcast."""
        held = self.base[positions] + self.tap[taps]
        if self.overhangs:
            held[~self.inside(positions, taps)] = -1
        return held

    def inside(self, positions: IntArray, taps: IntArray) -> NDArray[np.bool_]:
        """Whether the pairs lie on the map."""
        below: NDArray[np.bool_] = self.y[positions] + self.v[taps] < self.height
        return below & (self.x[positions] + self.u[taps] < self.width)


def requests(windows: Windows, folding: Folding) -> Iterator[IntArray]:
    """The addresses of one pass, fold by fold, each in the order in which the array asks."""
    match folding.dataflow:
        case "os":
            for p, t in _skewed(folding.R, folding.rows, folding.time):
                yield windows.addresses(p, t)
        case "ws":
            for p, t in _skewed(folding.R, folding.rows, folding.time):
                yield windows.addresses(t, p)
        case _:
            for first in range(0, folding.columns, folding.C):
                positions = np.arange(first, min(first + folding.C, folding.columns))
                for low in range(0, folding.rows, folding.R):
                    taps = np.arange(min(low + folding.R, folding.rows) - 1, low - 1, -1)
                    yield windows.addresses(positions[None, :], taps[:, None]).ravel()


def _skewed(ports: int, total: int, time: int) -> Iterator[tuple[IntArray, IntArray]]:
    """(index along the ports, index in time) of skewed folds of ``ports`` that cover ``total``."""
    t, p = order(time, min(ports, total))
    for first in range(0, total, ports):
        used = min(ports, total - first)
        if used < min(ports, total):
            t, p = order(time, used)
        yield first + p, t


def previous(layer: Layer, folding: Folding) -> IntArray:
    """Where each address of a pass was asked for before, as :func:`misses.windowed` wants it.

    Raises ``ValueError`` if a pass is larger than :data:`LARGEST_PASS`.
    """
    length = layer.m * layer.k
    if length > LARGEST_PASS:
        raise ValueError(
            f"{layer.m} windows of {layer.k} elements: rule at most {LARGEST_PASS} window elements "
            "where windows overlap"
        )
    before = np.empty(length, dtype=np.int64)
    size = layer.height * layer.width * layer.channels
    first, latest = np.full(size, -1), np.full(size, -1)
    start = 0
    for chunk in _chunks(requests(Windows(layer), folding)):
        _link(chunk, start, before, first, latest)
        start += len(chunk)
    seen = np.flatnonzero(first >= 0)
    before[first[seen]] = latest[seen] - length
    return before


def _chunks(parts: Iterator[IntArray]) -> Iterator[IntArray]:
    held: list[IntArray] = []
    count = 0
    for part in parts:
        held.append(part)
        count += len(part)
        if count >= _CHUNK:
            yield np.concatenate(held)
            held, count = [], 0
    if held:
        yield np.concatenate(held)


def _link(
    chunk: IntArray, start: int, before: IntArray, first: IntArray, latest: IntArray
) -> None:
    """Fill in ``before`` for one chunk; requests sorted by address, then by position, do it."""
    bits = int(len(chunk) - 1).bit_length()
    keys = np.sort((chunk << bits) | np.arange(len(chunk)))
    address, place = keys >> bits, (keys & ((1 << bits) - 1)) + start
    asked = int(np.searchsorted(address, 0))
    before[place[:asked]] = place[:asked]
    address, place = address[asked:], place[asked:]
    if not len(address):
        return
    opens = np.r_[True, address[1:] != address[:-1]]
    before[place[1:]] = place[:-1]
    heads, ends = address[opens], place[np.r_[opens[1:], True]]
    before[place[opens]] = latest[heads]
    fresh = latest[heads] < 0
    first[heads[fresh]] = place[opens][fresh]
    latest[heads] = ends
