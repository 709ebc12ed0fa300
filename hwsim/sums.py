"""Sums that wait in the output memory between slices of k: an order of the loops by its own rule.

Machines whose accumulators load and store their sums (``sums`` "memory" of an architecture) may cut
k, so that a block of results is larger than what the array holds. Clause [7.4.8].
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hwsim.checks import ceil_div
from hwsim.loops import Loops, Machine, live_elements, pieces, slice_channels

ORDER = "sums-stay"


def most_slices(p: Any, a: Any) -> int:
    """Slices of k at most, so that the port of the output memory keeps up with the array.

    A block of results is written and read once a slice as sums, and once more as results, in the
    clocks that the array works on it.
    """
    steps = ceil_div(p.k, step(p, a))
    clocks = steps * int(a.element.step_clocks(p.input_bits, p.weight_bits))
    block = min(a.rows, p.m) * min(a.columns, p.n)
    spare = a.output.bandwidth_bits_per_cycle * clocks // block - p.output_bits
    return int(1 + max(0, spare) // p.accumulator_bits)


def step(p: Any, a: Any) -> int:
    """Products of a step of a unit; a slice of k is whole steps, so that no clock is lost."""
    return int(a.element.step_products(a.depth, p.input_bits, p.weight_bits))


def orders(p: Any, w: Any, a: Machine) -> Iterator[Loops]:
    """Every size of a tile of results whose sums, slice of W and slice of X fit their halves."""
    row_folds, column_folds = ceil_div(p.m, a.rows), ceil_div(p.n, a.columns)
    steps = ceil_div(p.k, a.step)
    slices = [size for size in _sizes(steps) if ceil_div(steps, size) <= a.most_slices][::-1]
    for wide in _sizes(column_folds):
        tile_n = min(wide * a.columns, p.n)
        for high in _sizes(row_folds):
            tile_m = min(high * a.rows, p.m)
            if tile_m * tile_n > a.sum_room:
                break
            found = Loops(ORDER, True, tile_m, 0, tile_n, ceil_div(column_folds, wide),
                          ceil_div(row_folds, high))
            yield from _with_slices(p, w, a, found, slices)


def _with_slices(p: Any, w: Any, a: Machine, found: Loops, slices: list[int]) -> Iterator[Loops]:
    """The tile with the longest slice in which all it needs of X waits, and with the longest."""
    whole = part = None
    for size in slices:
        cut = found._replace(tile_k=min(size * a.step, p.k))
        if cut.tile_k * cut.tile_n > a.weight_room:
            continue
        if part is None and min(a.rows, p.m) * cut.tile_k <= a.input_room:
            part = cut
        if _waits(p, w, cut) <= a.input_room:
            whole = cut
            break
    yield from dict.fromkeys(loops for loops in (whole, part) if loops is not None)


def _sizes(folds: int) -> Iterator[int]:
    """The least size of a piece for every number of pieces, from 1 to all.

    >>> list(_sizes(10))
    [1, 2, 3, 4, 5, 10]
    """
    size = 1
    while size < folds:
        yield size
        size = ceil_div(folds, ceil_div(folds, size) - 1)
    yield folds


def _waits(p: Any, w: Any, found: Loops) -> int:
    """Elements of X that the windows of a tile touch in the channels of a slice, at most."""
    channels = slice_channels(found.tile_k, p.k // w.channels)
    return int(min(live_elements(w, found.tile_m, channels), found.tile_m * found.tile_k))


def fetched(p: Any, w: Any, a: Machine, loops: Loops) -> tuple[int, int]:
    """Elements of X and of W that one group reads: every tile all it needs, nothing stays after it.

    X once a tile if what a slice needs waits for all of its windows; else every window by itself.
    """
    inputs = p.m * p.k
    if _waits(p, w, loops) <= a.input_room:
        inputs = pieces(p.m, loops.tile_m, lambda positions: min(
            live_elements(w, positions, w.channels), positions * p.k))
    return loops.input_sweeps * inputs, loops.weight_sweeps * p.k * p.n


def sum_bits(p: Any, loops: Loops) -> int:
    """Bits of sums of one group that the output memory takes, and gives back, between slices."""
    if loops.order != ORDER:
        return 0
    return int((ceil_div(p.k, loops.tile_k) - 1) * p.m * p.n * p.accumulator_bits)
