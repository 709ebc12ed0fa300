"""Traffic with DRAM under a mapping, in exact bits, and the clocks in which the array waits for it.

The rules are those of chapter [7.4]: half of a memory keeps, the other half is filled meanwhile.
More memory or more bandwidth never costs a bit or a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hwsim import sums
from hwsim.architecture import Architecture
from hwsim.checks import ceil_div, normalise
from hwsim.counts import Problem
from hwsim.lanes import Whole, larger
from hwsim.layers import Gemm
from hwsim.loops import Loops, Machine, fetched
from hwsim.mapping import Mapping, machine, mapping_of, orders


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Bits that one group of a layer moves to and from DRAM.

    ``sum_bits`` stay on the chip: sums that the output memory takes, and gives back, between slices
    of k.
    """

    input_read_bits: int
    weight_read_bits: int
    output_write_bits: int
    sum_bits: int = 0

    def __post_init__(self) -> None:
        names = "input_read_bits weight_read_bits output_write_bits sum_bits"
        normalise(self, "Traffic", names, least=0)

    @property
    def bits(self) -> int:
        """All that crosses the pins."""
        return self.input_read_bits + self.weight_read_bits + self.output_write_bits


def traffic(layer: Gemm, p: Problem, architecture: Architecture, mapping: Mapping) -> Traffic:
    """DRAM bits of one group of ``layer``: inputs and weights by their sweeps, outputs once."""
    return _traffic(layer, p, machine(p, architecture), mapping.loops)


def _traffic(layer: Gemm, p: Problem, site: Machine, loops: Loops) -> Traffic:
    reads = sums.fetched if loops.order == sums.ORDER else fetched
    inputs, weights = reads(p, layer.geometry, site, loops)
    return Traffic(
        input_read_bits=inputs * p.input_bits,
        weight_read_bits=weights * p.weight_bits,
        output_write_bits=p.m * p.n * p.output_bits,
        sum_bits=sums.sum_bits(p, loops),
    )


def choose(
    layer: Gemm, p: Problem, architecture: Architecture, *, input_on_chip: bool = False
) -> tuple[Mapping, Traffic]:
    """The candidate that moves the fewest DRAM bits, then the fewest bits, then the fewest sums.

    The first of equals.

    Where the input waits on the chip it costs no DRAM bits.
    """
    site = machine(p, architecture)
    options = [(loops, _traffic(layer, p, site, loops))
               for loops in orders(p, layer.geometry, site)]

    def bits(option: tuple[Loops, Traffic]) -> tuple[int, int, int]:
        moved = option[1]
        return moved.bits - moved.input_read_bits * input_on_chip, moved.bits, moved.sum_bits

    loops, moved = min(options, key=bits)
    return mapping_of(architecture, loops), moved


def stall_cycles(
    array_cycles: Whole, counts: Any, first_bits: Whole, last_bits: Whole, architecture: Any,
    *, bank_cycles: Whole = 0,
) -> Whole:
    """Clocks in which the array waits: never negative, and falling with every bandwidth [7.4.5].

    The words of the first clock (``first_bits``) must arrive before the array starts, the last row
    of results (``last_bits``) leaves after it ends; everything else moves while it works, and
    whatever takes longer than the array holds it up: DRAM, a port, or the busiest bank
    (:mod:`hwsim.banks`).
    """
    a, c = architecture, counts
    rate = a.dram.bandwidth_bits_per_cycle
    between = larger(0, c.dram_bits - first_bits - last_bits)
    overlapped = larger(larger(array_cycles, bank_cycles), ceil_div(between, rate))
    ports = [
        (c.input_sram_read_bits, a.input), (c.input_sram_write_bits, a.input),
        (c.weight_sram_read_bits, a.weights), (c.weight_sram_write_bits, a.weights),
        (c.output_sram_read_bits, a.output), (c.output_sram_write_bits, a.output),
    ]
    if a.maps is not None:
        ports += [(c.map_sram_read_bits, a.maps), (c.map_sram_write_bits, a.maps)]
    for bits, memory in ports:
        overlapped = larger(overlapped, ceil_div(bits, memory.bandwidth_bits_per_cycle))
    return ceil_div(first_bits, rate) + overlapped + ceil_div(last_bits, rate) - array_cycles
