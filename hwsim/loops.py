"""Orders of loops over folds, and what they read from DRAM: for one case, or for a lane a case.

``p`` is a :class:`hwsim.counts.Problem`, ``w`` a :class:`hwsim.layers.Window` and ``a`` has the
sizes of the array and its memories (:class:`Machine`); any of their sizes may be an array of
integers. Clauses [7.4.1] to [7.4.4].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from hwsim.checks import ceil_div
from hwsim.lanes import Whole, common_divisor, larger, pick, smaller


class Machine(NamedTuple):
    """What the loops depend on; ``input_room`` and ``weight_room`` are whole elements kept.

    ``pass_rows`` is as in :class:`hwsim.counts.Array`, never None. Of machines whose sums may wait
    in the output memory (:mod:`hwsim.sums`): ``sum_room`` sums, products of a ``step``, and slices
    of k at most.
    """

    dataflow: str
    rows: Whole
    columns: Whole
    input_room: Whole
    weight_room: Whole
    pass_rows: Whole
    sum_room: int = 0
    step: int = 1
    most_slices: int = 1


class Loops(NamedTuple):
    """An order of the folds with its tiles, where it can be used at all.

    A tile of ``tile_m`` rows of X, ``tile_k`` steps and ``tile_n`` columns of W is finished before
    the next; the whole operands pass by ``input_sweeps`` and ``weight_sweeps`` times.
    """

    order: str
    usable: Any
    tile_m: Whole
    tile_k: Whole
    tile_n: Whole
    input_sweeps: Whole
    weight_sweeps: Whole


def swept(total: Whole, sweeps: Whole, room: Whole) -> Whole:
    """What is read when an operand passes by ``sweeps`` times and ``room`` of it may stay.

    The first sweep reads all; every later one reads what did not stay [7.4.1].

    >>> swept(100, 3, 0), swept(100, 3, 40), swept(100, 3, 100)
    (300, 220, 100)
    """
    return total + (sweeps - 1) * larger(0, total - room)


def live_elements(w: Any, positions: Whole, channels: Whole) -> Whole:
    """Input elements, in whole rows, that consecutive output positions touch at most [7.4.2].

    The maximum over all places of ``positions`` positions on the map, rows of padding counted with
    the others, but never more than the map itself; never falling when ``positions`` grows.
    """
    image = w.output[0] * w.output[1]
    positions = smaller(positions, w.batch * image)
    last = w.batch * image - positions  # the last place to start
    # Rows and seams grow with the place in the first image; only ends of rows can be better.
    late = smaller(last, image - 1)
    early = larger(late // w.output[1] * w.output[1] - 1, smaller(late, w.output[1] - 1))
    rows = larger(_rows(w, late, positions), _rows(w, early, positions))
    return smaller(rows, w.batch * w.height) * w.width * smaller(channels, w.channels)


def _rows(w: Any, start: Whole, positions: Whole) -> Whole:
    """Input rows under ``positions`` windows, the first of them number ``start``.

    A row of windows more is a step more, an image more the rows that two windows share.
    """
    reach = w.dilation[0] * (w.kernel[0] - 1) + 1
    step = smaller(reach, w.stride[0])
    end = start + positions - 1
    rows = end // w.output[1] - start // w.output[1] + 1
    image = w.output[0] * w.output[1]
    images = end // image - start // image + 1
    return rows * step + images * (reach - step)


def orders(p: Any, w: Any, a: Machine) -> tuple[Loops, ...]:
    """The orders to choose from, best-liked first, each with the largest block that fits."""
    if a.dataflow == "ws":
        return _weights_in_place(p, w, a)
    if a.dataflow == "is":
        return _inputs_in_place(p, w, a)
    return _results_in_place(p, w, a)


def _results_in_place(p: Any, w: Any, a: Machine) -> tuple[Loops, ...]:
    """Either a block of rows of X stays while W passes by, or a block of columns of W while X does.

    A block may be several folds only if the stripe of the other operand that a fold takes can wait
    for all of them. Where not even one fold of X fits, only blocks of W are left [7.4.3].
    """
    row_folds, column_folds = ceil_div(p.m, a.rows), ceil_div(p.n, a.columns)
    high = _most(row_folds, lambda folds: _fits(p, w, a, folds * a.rows))
    held = a.weight_room // p.k
    wide = pick(held >= p.n, column_folds, held // a.columns)
    high = pick(wide == 0, smaller(high, 1), high)
    wide = pick(high == 0, 1, larger(1, wide))
    one_m, one_n = smaller(a.rows, p.m), smaller(a.columns, p.n)
    return (
        Loops("inputs-stay", high > 0, smaller(larger(high, 1) * a.rows, p.m), p.k, one_n,
              1, ceil_div(row_folds, larger(high, 1))),
        Loops("weights-stay", True, one_m, p.k, smaller(wide * a.columns, p.n),
              ceil_div(column_folds, wide), row_folds),
    )


def _weights_in_place(p: Any, w: Any, a: Machine) -> tuple[Loops, ...]:
    """Columns of W outermost, passes over X within, K innermost, where sums must stay [7.4.4].

    If the accumulators hold all m rows of several column folds at once, K goes outside of these:
    a slice of X then serves them all before it leaves.
    """
    column_folds, passes = ceil_div(p.n, a.columns), ceil_div(p.m, a.pass_rows)
    channels = slice_channels(a.rows, p.k // w.channels)
    together = smaller(larger(1, a.pass_rows // p.m), column_folds)
    together = pick(live_elements(w, p.m, channels) <= a.input_room, together, 1)
    tile_m, tile_k = smaller(a.pass_rows, p.m), smaller(a.rows, p.k)
    return (
        Loops("weights-stay", True, tile_m, tile_k, smaller(together * a.columns, p.n),
              ceil_div(column_folds, together), passes),
    )


def slice_channels(rows: Whole, area: Whole) -> Whole:
    """Channels that a slice of ``rows`` steps touches at most; a kernel has ``area`` steps.

    Slices begin at multiples of ``rows``, so at multiples of the common divisor within a kernel.
    """
    return (area - common_divisor(rows, area) + rows - 1) // area + 1


def _inputs_in_place(p: Any, w: Any, a: Machine) -> tuple[Loops, ...]:
    """The same with the operands exchanged: columns of the array are output positions."""
    column_folds, passes = ceil_div(p.m, a.columns), ceil_div(p.n, a.pass_rows)
    together = smaller(larger(1, a.pass_rows // p.n), column_folds)
    blocks = _most(column_folds, lambda folds: _fits(p, w, a, folds * a.columns))
    # Positions of a 1 x 1 kernel share no element: nothing of X has to wait for the next fold.
    blocks = pick(p.k == w.channels, column_folds, blocks)
    fits = smaller(a.rows, p.k) * p.n <= a.weight_room
    together = pick(fits, larger(1, smaller(together, blocks)), 1)
    tile_n, tile_k = smaller(a.pass_rows, p.n), smaller(a.rows, p.k)
    return (
        Loops("inputs-stay", True, smaller(together * a.columns, p.m), tile_k, tile_n,
              passes, ceil_div(column_folds, together)),
    )


def _fits(p: Any, w: Any, a: Machine, positions: Whole) -> Any:
    """Whether all channels of these output positions stay in half of the input memory."""
    return live_elements(w, smaller(positions, p.m), w.channels) <= a.input_room


def _most(limit: Whole, fits: Callable[[Whole], Any]) -> Whole:
    """The largest count in 0..limit that fits; ``fits`` holds up to some count and not beyond."""
    low, high = 0 * limit, limit
    if np.all(fits(limit)):
        return limit
    while np.any(low < high):
        middle = (low + high + 1) // 2
        holds = fits(larger(middle, 1)) | (middle == 0)
        low, high = pick(holds, middle, low), pick(holds, high, middle - 1)
    return low


def fetched(p: Any, w: Any, a: Machine, loops: Loops) -> tuple[Whole, Whole]:
    """Elements of X and of W that one group reads from DRAM under an order of the loops."""
    once = _one_sweep(p, w, a, loops)
    if loops.order == "inputs-stay":
        weights = swept(p.k * p.n, loops.weight_sweeps, a.weight_room)
        return once + _read_again(p, w, a, loops), weights

    def column_block(n: Whole) -> Whole:
        return swept(p.k * n, loops.weight_sweeps, a.weight_room)

    return swept(once, loops.input_sweeps, a.input_room), pieces(p.n, loops.tile_n, column_block)


def _read_again(p: Any, w: Any, a: Machine, loops: Loops) -> Whole:
    """X under inputs that stay: a tile that does not fit is read again in each of its passes."""
    if a.dataflow != "is":
        return 0

    def missing(positions: Whole) -> Whole:
        held = _fits(p, w, a, positions)
        return pick(held, 0, larger(0, positions * p.k - a.input_room))

    return (loops.input_sweeps - 1) * pieces(p.m, loops.tile_m, missing)


def pieces(total: Whole, size: Whole, value: Callable[[Whole], Whole]) -> Whole:
    """Sum of ``value`` over the pieces of ``size`` that cover ``total``."""
    whole, rest = total // size, total % size
    return whole * value(size) + pick(rest > 0, value(larger(rest, 1)), 0)


def _one_sweep(p: Any, w: Any, a: Machine, loops: Loops) -> Whole:
    """Elements that one sweep over the input reads: all it needs once, if that stays where it must.

    Else every window is fetched by itself [7.4.2]. Windows further apart than they are large leave
    elements out: never more than the windows hold.
    """
    stored = w.batch * w.channels * w.height * w.width
    stays = overlap_elements(p, w, a, loops) <= a.input_room
    return pick(stays, smaller(stored, p.m * p.k), p.m * p.k)


def overlap_elements(p: Any, w: Any, a: Machine, loops: Loops) -> Whole:
    """Input elements that a sweep must hold so that none is fetched twice within it [7.4.2].

    Results or inputs in place: all that the windows of one fold touch, or of the folds that share a
    slice. Weights in place: the rows under one window, in the channels of one slice of K, or in all
    if a sweep is several passes; and a whole map of one channel where a slice ends in the middle of
    its kernel. Windows of one element have nothing in common.
    """
    area = p.k // w.channels
    if a.dataflow == "is":
        return pick(area == 1, 0, live_elements(w, loops.tile_m, w.channels))
    if a.dataflow != "ws":
        return pick(area == 1, 0, live_elements(w, smaller(a.rows, p.m), w.channels))
    channels = pick(loops.weight_sweeps == 1, slice_channels(a.rows, area), w.channels)
    cut = pick(a.rows % area != 0, pick(p.k > a.rows, 1, 0), 0)
    held = live_elements(w, 1, channels) + cut * live_elements(w, p.m, 1)
    return pick(area == 1, 0, held)
