"""The read buffers: how often a stream of addresses goes to DRAM [7b.4].

The tool puts the addresses it has not seen into sets of floor(words / 100), and searches the sets
of the current half of the buffer. When 50 sets are full it drops them all at once. So a half is a
set of ``capacity`` = 50 * floor(words / 100) addresses that starts empty, and an address costs a
read unless it is in there; a *refill* is the moment at which the half is full and forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsim.scalesim.skew import IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Misses:
    """DRAM reads of a stream, the number of refills, and where the last ended the half.

    ``last`` is the position in the stream (from 0) of the address that filled the half for the last
    time, -1 if it never did.
    """

    reads: int
    refills: int
    last: int


def capacity(kilobytes: int) -> int:
    """Addresses in half of a buffer of so many kB.

    >>> capacity(64)
    32750
    """
    return 50 * (kilobytes * 1024 // 100)


def cyclic(length: int, requests: int, capacity: int) -> Misses:
    """``requests`` addresses of an endless repetition of ``length`` different ones.

    Any ``capacity`` <= ``length`` addresses in a row differ, so all of them miss; otherwise the
    half never fills, and only the first pass misses.
    """
    if capacity > length:
        return Misses(reads=min(length, requests), refills=0, last=-1)
    refills = requests // capacity
    return Misses(reads=requests, refills=refills, last=refills * capacity - 1)


def blocks(length: int, count: int, repeats: int, rest: int, capacity: int) -> Misses:
    """``count`` blocks of ``length`` addresses, each repeated ``repeats`` times before the next.

    All addresses differ but for the repeats. One more block of ``rest`` addresses follows if
    ``rest`` is not zero.
    """
    held, refills, last = _full_blocks(length, count, repeats, capacity)
    if not rest:
        return Misses(reads=refills * capacity + held, refills=refills, last=last)
    start, need = count * length * repeats, capacity - held
    if need > rest:
        held += rest
    else:
        refills, last = refills + 1, start + need - 1
        tail = cyclic(rest, rest * repeats - need, capacity)
        refills += tail.refills
        if tail.refills:
            last = start + need + tail.last
        held = tail.reads - tail.refills * capacity
    return Misses(reads=refills * capacity + held, refills=refills, last=last)


def _full_blocks(length: int, count: int, repeats: int, capacity: int) -> tuple[int, int, int]:
    """What the half holds after the blocks of full length, the refills so far, and the last.

    If the half holds no more than a block, or no block is repeated, everything misses. Otherwise a
    block that fills the half leaves itself behind, whole: its repeats bring it back. The half is
    then full again ``ahead`` blocks later, at the same place of the block.
    """
    if repeats == 1 or capacity <= length:
        total = count * length * repeats
        refills, held = divmod(total, capacity)
        return held, refills, refills * capacity - 1
    ahead, need = divmod(capacity - 1, length)
    refills = max(0, count - 1) // ahead
    last = refills * ahead * length * repeats + need if refills else -1
    after = count - 1 - refills * ahead if count else -1
    return (after + 1) * length, refills, last


def windowed(previous: IntArray, passes: int, capacity: int) -> Misses:
    """A stream given by where each address was asked for before, repeated ``passes`` times.

    ``previous[i]`` is the position of the last request for the same address, counted in the same
    pass, negative if it lies in the pass before; ``i`` itself where position i asks for nothing.
    An address misses if its previous request lies before the half was last emptied.
    """
    length = len(previous)
    refills, start, held = 0, 0, 0
    last = -1
    while start < length * passes:
        done, inside = divmod(start, length)
        found, held = _fill(previous[inside:], inside, capacity, 0)
        if found < 0 and done + 1 < passes:
            found, held = _fill(previous[:inside], inside - length, capacity, held)
            found += length - inside if found >= 0 else 0
        if found < 0:
            break
        last = start + found
        refills, start, held = refills + 1, last + 1, 0
    return Misses(reads=refills * capacity + held, refills=refills, last=last)


def _fill(previous: IntArray, start: int, capacity: int, held: int) -> tuple[int, int]:
    """Where the half is full, -1 if nowhere, and what it holds; ``held`` at the outset."""
    step = max(2 * capacity, 2048)
    for begin in range(0, len(previous), step):
        missed = previous[begin : begin + step] < start
        count = int(np.count_nonzero(missed))
        if held + count >= capacity:
            return begin + int(np.flatnonzero(missed)[capacity - held - 1]), capacity
        held += count
    return -1, held
