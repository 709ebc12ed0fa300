"""Mappings: in which order a layer's folds run, and how much of each operand stays on the chip.

Candidates never change what the array does, only what is fetched again: the clocks of the array are
the same for all of them. Chapter [7.4] of the specification states and derives the rules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwsim.architecture import Architecture
from hwsim.checks import ceil_div, normalise
from hwsim.counts import Problem
from hwsim.layers import Gemm


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """One way to run a group of a layer: dataflow, order of the folds, and tiles.

    ``order`` says which operand moves least: ``inputs-stay`` or ``weights-stay``. A tile of
    ``tile_m`` rows of X, ``tile_k`` steps and ``tile_n`` columns of W is finished before the next.
    ``input_sweeps`` and ``weight_sweeps`` say how often the whole operand passes by.
    """

    dataflow: str
    order: str
    tile_m: int
    tile_k: int
    tile_n: int
    input_sweeps: int
    weight_sweeps: int

    def __post_init__(self) -> None:
        normalise(self, "Mapping", "tile_m tile_k tile_n input_sweeps weight_sweeps")


def problem(layer: Gemm, architecture: Architecture) -> Problem:
    """One group of ``layer`` with the widths its operands have in this machine.

    Raises ``ValueError`` where the PE cannot multiply such operands.
    """
    pe = architecture.element
    ternary = layer.weights.lo >= -1 and layer.weights.hi <= 1
    refused = pe.refusal(layer.input.bits, layer.weights.bits, ternary, layer.accumulator_bits)
    if refused:
        raise ValueError(f"layer {layer.name!r} on {architecture.name!r}: {refused}")
    return Problem(
        m=layer.m,
        k=layer.k,
        n=layer.n,
        input_bits=pe.storage_bits(layer.input.bits),
        weight_bits=pe.storage_bits(layer.weights.bits),
        output_bits=pe.storage_bits(layer.output.bits),
        accumulator_bits=pe.accumulator_bits,
    )


def candidates(layer: Gemm, architecture: Architecture) -> tuple[Mapping, ...]:
    """The mappings to choose from, best-liked first; there is always one."""
    p = problem(layer, architecture)
    if architecture.dataflow == "ws":
        return (_weight_stationary(layer, p, architecture),)
    return _output_stationary(layer, p, architecture)


def _output_stationary(layer: Gemm, p: Problem, a: Architecture) -> tuple[Mapping, ...]:
    """Either a block of rows of X stays while W passes by, or a block of columns of W while X does.

    A block may be several folds only if the stripe of the other operand that a fold takes can wait
    for all of them. Where not even one fold of X fits, only blocks of W are left [7.4.3].
    """
    row_folds, column_folds = ceil_div(p.m, a.rows), ceil_div(p.n, a.columns)
    room = a.input.half_bits // p.input_bits
    high = _most(row_folds, lambda folds: _live(layer, folds * a.rows) <= room)
    columns = a.weights.half_bits // (p.k * p.weight_bits)
    wide = column_folds if columns >= p.n else columns // a.columns
    if wide == 0:
        high = min(high, 1)
    wide = max(1, wide) if high else 1
    weights_stay = Mapping(
        dataflow=a.dataflow, order="weights-stay",
        tile_m=min(a.rows, p.m), tile_k=p.k, tile_n=min(wide * a.columns, p.n),
        input_sweeps=ceil_div(column_folds, wide), weight_sweeps=row_folds,
    )
    if high == 0:
        return (weights_stay,)
    inputs_stay = Mapping(
        dataflow=a.dataflow, order="inputs-stay",
        tile_m=min(high * a.rows, p.m), tile_k=p.k, tile_n=min(a.columns, p.n),
        input_sweeps=1, weight_sweeps=ceil_div(row_folds, high),
    )
    return inputs_stay, weights_stay


def _weight_stationary(layer: Gemm, p: Problem, a: Architecture) -> Mapping:
    """Columns of W outermost, passes over X within, K innermost, where sums must stay [7.4.4].

    If the accumulators hold all m rows of several column folds at once, K goes outside of these:
    a slice of X then serves them all before it leaves.
    """
    rows = a.array.pass_rows or p.m
    column_folds = ceil_div(p.n, a.columns)
    together = 1
    slice_channels = ceil_div(a.rows, p.k // layer.geometry.channels) + 1
    live = layer.geometry.live_elements(p.m, slice_channels)
    if live * p.input_bits <= a.input.half_bits:
        together = min(max(1, rows // p.m), column_folds)
    return Mapping(
        dataflow="ws", order="weights-stay",
        tile_m=min(rows, p.m), tile_k=min(a.rows, p.k), tile_n=min(together * a.columns, p.n),
        input_sweeps=ceil_div(column_folds, together), weight_sweeps=ceil_div(p.m, rows),
    )


def _live(layer: Gemm, positions: int) -> int:
    """Input elements that must be on the chip for a block of output positions, all channels."""
    window = layer.geometry
    return window.live_elements(min(positions, layer.m), window.channels)


def _most(limit: int, fits: Callable[[int], bool]) -> int:
    """The largest count in 0..limit that fits; ``fits`` holds up to some count and not beyond."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low
