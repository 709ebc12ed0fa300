"""The two streams of reads of a layer: what misses, and the clock of each request [7b.3].

Folds run one after the other, columns outermost. Output-stationary, both operands enter skewed.
Weight- and input-stationary, the operand that stays is loaded first, last row of the array first,
one row a clock, and the other enters skewed R clocks after the start of the fold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwsim.scalesim.layer import Folding, Layer
from hwsim.scalesim.misses import Misses, blocks, capacity, cyclic, windowed
from hwsim.scalesim.skew import clock_of
from hwsim.scalesim.windows import Windows, distinct, previous


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """Reads of one operand: requests of the array, DRAM reads, and clocks (from 0).

    ``first`` and ``final`` are the clocks of the first and the last request, ``refilled`` is that
    of the last refill of the buffer, None if there was none.
    """

    requests: int
    capacity: int
    misses: Misses
    first: int
    final: int
    refilled: int | None


def inputs(layer: Layer, folding: Folding, kilobytes: int) -> Reads:
    """Reads of X, the windows of the input map."""
    f, half = folding, capacity(kilobytes)
    if f.dataflow == "is":
        clock, ports, passes = _loaded(f), f.C, 1
    else:
        lead = 0 if f.dataflow == "os" else f.R
        clock, ports, passes = _swept(f, f.rows, f.time, lead), f.R, f.column_folds
    misses = _input_misses(layer, f, passes, half)
    final = _last_input(layer, f) if layer.overhangs else clock(passes * layer.m * layer.k - 1)
    requests = passes * layer.m * layer.k
    return _reads(requests, misses, half, ports, (clock(0), final), clock, "IFMAP")


def filters(layer: Layer, folding: Folding, kilobytes: int) -> Reads:
    """Reads of W."""
    f, half = folding, capacity(kilobytes)
    size = layer.k * layer.n
    if f.dataflow == "ws":
        clock, ports, requests = _loaded(f), f.C, size
        misses = cyclic(size, size, half)
    elif f.dataflow == "is":
        clock, ports, requests = _swept(f, f.rows, f.time, f.R), f.R, size * f.column_folds
        misses = cyclic(size, requests, half)
    else:
        clock, ports, requests = _repeated(f), f.C, size * f.row_folds
        count, rest = divmod(f.columns, f.C)
        misses = blocks(f.C * f.time, count, f.row_folds, rest * f.time, half)
    ends = clock(0), clock(requests - 1)
    return _reads(requests, misses, half, ports, ends, clock, "Filter")


def _reads(
    requests: int, misses: Misses, half: int, ports: int, ends: tuple[int, int],
    clock: Callable[[int], int], name: str,
) -> Reads:
    if misses.refills > 1 and half < ports:
        raise ValueError(
            f"half of the {name} SRAM holds {half} words, one clock of the array asks for {ports}: "
            "two prefetches can end in one clock, where the tool divides by zero"
        )
    return Reads(
        requests=requests, capacity=half, misses=misses, first=ends[0], final=ends[1],
        refilled=clock(misses.last) if misses.refills else None,
    )


def _input_misses(layer: Layer, f: Folding, passes: int, half: int) -> Misses:
    """Closed forms where no two windows share an element or all of them fit, else the stream."""
    length = layer.m * layer.k
    dense = layer.kept == layer.block
    if not layer.overlaps and not layer.overhangs:
        return cyclic(length, length * passes, half)
    if dense and distinct(layer) < half:
        return Misses(reads=distinct(layer), refills=0, last=-1)
    return windowed(previous(layer, f), passes, half)


def _swept(f: Folding, total: int, time: int, lead: int) -> Callable[[int], int]:
    """Clock of a request: every pass walks over ``total`` ports in folds of R."""

    def clock(position: int) -> int:
        done, position = divmod(position, total * time)
        fold, element = divmod(position, f.R * time)
        ports = min(f.R, total - fold * f.R)
        fold += done * f.row_folds
        return fold * f.fold_cycles + lead + clock_of(element, time, ports)

    return clock


def _repeated(f: Folding) -> Callable[[int], int]:
    """Clock of a request for W, output-stationary: a column fold is asked for in every row fold."""

    def clock(position: int) -> int:
        column, position = divmod(position, f.C * f.time * f.row_folds)
        ports = min(f.C, f.columns - column * f.C)
        row, element = divmod(position, ports * f.time)
        fold = column * f.row_folds + row
        return fold * f.fold_cycles + clock_of(element, f.time, ports)

    return clock


def _loaded(f: Folding) -> Callable[[int], int]:
    """Clock of a request for the operand that stays."""

    def clock(position: int) -> int:
        column, position = divmod(position, f.rows * f.C)
        ports = min(f.C, f.columns - column * f.C)
        row, element = divmod(position, f.R * ports)
        used = min(f.R, f.rows - row * f.R)
        fold = column * f.row_folds + row
        return fold * f.fold_cycles + f.R - used + element // ports

    return clock


def _last_input(layer: Layer, f: Folding) -> int:
    """Clock of the last request that lies on the map, where windows hang over its edge."""
    windows = Windows(layer)
    for fold in reversed(range(f.folds)):
        column, row = divmod(fold, f.row_folds)
        along = np.arange(row * f.R, min(row * f.R + f.R, f.rows))
        if f.dataflow == "os":
            clocks, taps = np.indices((len(along), f.time))
            held = windows.inside(along[clocks], taps)
            asked = clocks + taps
        elif f.dataflow == "ws":
            positions, ports = np.indices((f.time, len(along)))
            held = windows.inside(positions, along[ports])
            asked = f.R + positions + ports
        else:
            across = np.arange(column * f.C, min(column * f.C + f.C, f.columns))
            held = windows.inside(across[None, :], along[:, None])
            asked = np.broadcast_to((f.R - 1 - (along - row * f.R))[:, None], held.shape)
        if held.any():
            return fold * f.fold_cycles + int(asked[held].max())
    raise AssertionError("the first window lies on the map")
