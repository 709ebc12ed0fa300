"""Read buffers under a given bandwidth: which clock of the array waits for prefetches [7b.9.2].

The addresses of an operand, in the order of their prefetches, are cut into lines. A window of half
a buffer of lines is on the chip; a request that is in none of them moves the window on, half a
buffer a time and round again at the end, until it is in one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hwsim.checks import ceil_div
from hwsim.scalesim.skew import IntArray

_STEP = 4096


@dataclass(slots=True, kw_only=True)
class Prefetches:
    """A read buffer as time sees it.

    ``first`` clocks fill it before the array starts, each further prefetch takes ``each`` clocks;
    ``waits`` has the clocks of the array that need some, and how many. ``start`` and ``stop`` are
    the first and last clock with a request. ``ready`` is when the last prefetch was done.
    """

    bandwidth: int
    first: int
    each: int
    waits: Counter[int]
    start: int
    stop: int
    ready: int = -1
    count: int = 0

    def serve(self, row: int, clock: int) -> int:
        """Clocks that row ``row`` of requests takes above one, if asked for at ``clock``.

        The tool adds what is left of each prefetch, negative or not, and once more if positive.
        """
        extra = 0
        for _ in range(self.waits[row]):
            self.count += 1
            self.ready += self.each + 1
            late = self.ready - (clock + 1 + extra)
            extra += 2 * late if late > 0 else late
        return extra

    @property
    def words(self) -> int:
        """Words of all prefetches, filled up to whole clocks."""
        return (self.first + self.count * self.each) * self.bandwidth


class _Window:
    """The lines on the chip, as how often each address is in one of them."""

    def __init__(self, addresses: IntArray, size: int, words: int) -> None:
        self.addresses, self.line = addresses, ceil_div(words, 100)
        self.lines = len(addresses) // self.line + 1
        half = ceil_div(words // 2, self.line)
        self.kept = min(self.lines, half)
        self.step = min(self.lines - self.kept, half)
        self.held = np.zeros(size, dtype=np.int64)
        self.start = 0
        self._count(0, self.kept, 1)

    def _count(self, first: int, lines: int, sign: int) -> None:
        """Add or take ``lines`` lines from ``first`` on, round the end."""
        before = min(lines, self.lines - first)
        for low, high in ((first, first + before), (0, lines - before)):
            part = self.addresses[low * self.line : high * self.line]
            np.add.at(self.held, part, sign)

    def move(self) -> None:
        """Half a buffer goes, half a buffer comes."""
        self._count(self.start, self.step, -1)
        self._count((self.start + self.kept) % self.lines, self.step, 1)
        self.start = (self.start + self.step) % self.lines

    def waits(self, stream: Iterator[tuple[IntArray, IntArray]]) -> tuple[Counter[int], int, int]:
        """Prefetches by clock, and the clocks of the first and the last request of ``stream``."""
        found: Counter[int] = Counter()
        first = last = -1
        for clocks, addresses in stream:
            if not len(clocks):
                continue
            first, last = int(clocks[0]) if first < 0 else first, int(clocks[-1])
            at = self._missing(addresses, 0)
            while at < len(addresses):
                while not self.held[addresses[at]]:
                    self.move()
                    found[int(clocks[at])] += 1
                at = self._missing(addresses, at)
        return found, first, last

    def _missing(self, addresses: IntArray, start: int) -> int:
        """The place of the first address from ``start`` on that is not on the chip."""
        for low in range(start, len(addresses), _STEP):
            absent = self.held[addresses[low : low + _STEP]] == 0
            if absent.any():
                return low + int(absent.argmax())
        return len(addresses)


def prefetches(
    addresses: IntArray, places: int, size: int, stream: Iterator[tuple[IntArray, IntArray]],
    words: int, bandwidth: int,
) -> Prefetches:
    """The buffer of ``words`` words under ``bandwidth`` words a clock.

    ``addresses`` (below ``size``) is the order of prefetches, which had ``places`` places with the
    idle ones; ``stream`` is what the array asks for.
    """
    waits, start, stop = _Window(addresses, size, words).waits(stream)
    each = ceil_div(words // 2, bandwidth)
    return Prefetches(
        bandwidth=bandwidth, first=min(each, ceil_div(places, bandwidth)), each=each, waits=waits,
        start=start, stop=stop,
    )
