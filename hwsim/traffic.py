"""Traffic with DRAM under a mapping, in exact bits, and the clocks in which the array waits for it.

The rules are those of chapter [7.4]: half of a memory keeps, the other half is filled meanwhile.
More memory or more bandwidth never costs a bit or a clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.architecture import Architecture, Memory
from hwsim.checks import ceil_div, normalise
from hwsim.counts import Counts, Problem
from hwsim.layers import Gemm
from hwsim.mapping import Mapping, candidates


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Bits that one group of a layer moves to and from DRAM."""

    input_read_bits: int
    weight_read_bits: int
    output_write_bits: int

    def __post_init__(self) -> None:
        normalise(self, "Traffic", "input_read_bits weight_read_bits output_write_bits", least=0)

    @property
    def bits(self) -> int:
        """All of it."""
        return self.input_read_bits + self.weight_read_bits + self.output_write_bits


def swept(bits: int, sweeps: int, resident_bits: int) -> int:
    """Bits read when an operand passes by ``sweeps`` times and ``resident_bits`` of it may stay.

    The first sweep reads all; every later one reads what did not stay [7.4.1].

    >>> swept(100, 3, 0), swept(100, 3, 40), swept(100, 3, 100)
    (300, 220, 100)
    """
    return bits + (sweeps - 1) * max(0, bits - resident_bits)


def traffic(layer: Gemm, p: Problem, architecture: Architecture, mapping: Mapping) -> Traffic:
    """DRAM bits of one group of ``layer``: inputs and weights by their sweeps, outputs once."""
    sweep = _input_sweep_bits(layer, p, architecture, mapping)
    inputs = swept(sweep, mapping.input_sweeps, _room(architecture.input, p.input_bits))
    room = _room(architecture.weights, p.weight_bits)
    if mapping.order == "inputs-stay":
        weights = swept(p.k * p.n * p.weight_bits, mapping.weight_sweeps, room)
    else:
        whole, rest = divmod(p.n, mapping.tile_n)
        block = p.k * p.weight_bits
        weights = whole * swept(block * mapping.tile_n, mapping.weight_sweeps, room)
        weights += swept(block * rest, mapping.weight_sweeps, room)
    return Traffic(
        input_read_bits=inputs,
        weight_read_bits=weights,
        output_write_bits=p.m * p.n * p.output_bits,
    )


def _room(memory: Memory, bits: int) -> int:
    """Bits of whole elements that half of the memory keeps."""
    return memory.half_bits // bits * bits


def _input_sweep_bits(layer: Gemm, p: Problem, a: Architecture, mapping: Mapping) -> int:
    """Bits that one sweep over the input reads: every element once, if what is used again stays.

    Else every window is fetched by itself [7.4.2].
    """
    stored = layer.input.elements // layer.groups * p.input_bits
    if overlap_elements(layer, p, a, mapping) * p.input_bits <= a.input.half_bits:
        return stored
    return max(stored, p.m * p.k * p.input_bits)


def overlap_elements(layer: Gemm, p: Problem, a: Architecture, mapping: Mapping) -> int:
    """Input elements that a sweep must hold so that none is fetched twice within it [7.4.2].

    Output-stationary: all that the windows of one fold touch. Weight-stationary: the rows under one
    window, in the channels of one slice of K, or in all if a sweep is several passes; and a whole
    map of one channel where a slice ends in the middle of its kernel.
    """
    window = layer.geometry
    if mapping.dataflow != "ws":
        return window.live_elements(min(a.rows, p.m), window.channels)
    area = p.k // window.channels
    channels = ceil_div(a.rows, area) + 1 if mapping.weight_sweeps == 1 else window.channels
    shared = window.live_elements(p.m, 1) if a.rows % area and p.k > a.rows else 0
    return window.live_elements(1, channels) + shared


def choose(layer: Gemm, p: Problem, architecture: Architecture) -> tuple[Mapping, Traffic]:
    """The candidate that moves the fewest bits, the first of equals."""
    options = [(m, traffic(layer, p, architecture, m)) for m in candidates(layer, architecture)]
    return min(options, key=lambda option: option[1].bits)


def stall_cycles(
    array_cycles: int, counts: Counts, first_bits: int, last_bits: int, architecture: Architecture
) -> int:
    """Clocks in which the array waits: never negative, and falling with every bandwidth [7.4.5].

    The words of the first clock (``first_bits``) must arrive before the array starts, the last row
    of results (``last_bits``) leaves after it ends; everything else moves while it works, and
    whatever takes longer than the array holds it up.
    """
    a, c = architecture, counts
    rate = a.dram.bandwidth_bits_per_cycle
    between = max(0, c.dram_bits - first_bits - last_bits)
    ports = (
        (c.input_sram_read_bits, a.input), (c.input_sram_write_bits, a.input),
        (c.weight_sram_read_bits, a.weights), (c.weight_sram_write_bits, a.weights),
        (c.output_sram_read_bits, a.output), (c.output_sram_write_bits, a.output),
    )
    slowest = max(ceil_div(bits, memory.bandwidth_bits_per_cycle) for bits, memory in ports)
    overlapped = max(array_cycles, ceil_div(between, rate), slowest)
    return ceil_div(first_bits, rate) + overlapped + ceil_div(last_bits, rate) - array_cycles
