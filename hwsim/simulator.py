"""The simulator: a workload and an architecture in, a report out.

Layers run one after the other; every layer reads its inputs from DRAM and writes its results there,
fused work and maps that a memory for them holds excepted. Clocks and counts come from the closed
forms, traffic from the mapping rules, energy from one dot product at the end.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from hwsim import energy, skipping
from hwsim.architecture import Architecture, Memory
from hwsim.area import LANE_UM2, areas, memories, pe_um2
from hwsim.banks import bank_cycles
from hwsim.checks import ceil_div
from hwsim.counts import Activity, Counts, Problem
from hwsim.energy import EnergyTable, Price, Tariff
from hwsim.lanes import Whole, smaller
from hwsim.layers import Gemm, Layer, Vector, Workload
from hwsim.mapping import Mapping, problem
from hwsim.report import LayerReport, Report
from hwsim.traffic import Traffic, choose, stall_cycles


def simulate(workload: Workload, architecture: Architecture) -> Report:
    """Cycles, counts and energy of ``workload`` on ``architecture``.

    Raises ``ValueError`` naming the layer, what was seen and the rule where the PEs cannot
    multiply its operands.
    """
    prices, kept = tariffs(architecture), kept_maps(workload, architecture)

    def cost(layer: Layer) -> LayerReport:
        stays = kept.get(layer.name, Kept())
        if isinstance(layer, Gemm):
            return gemm_report(layer, architecture, stays, prices)
        return _vector(layer, architecture, stays, prices)

    return Report(
        workload=workload.name,
        architecture=architecture,
        layers=tuple(cost(layer) for layer in workload.layers),
        areas=areas(architecture),
        prices=tuple({tariff.price.name: tariff.price for tariff in prices}.values()),
    )


def tariffs(architecture: Architecture) -> tuple[Tariff, ...]:
    """Every line of the bill of this architecture: which count pays which price."""
    table = energy.table(architecture.technology)
    kind, lanes = architecture.pe, architecture.depth
    pe = Tariff(component="pe", count="pe_operations", price=table.pe(kind, lanes))
    idle = Tariff(component="idle", count="pe_idle_cycles", price=table.idle(kind, lanes))
    moves = ("input_register_write_bits", "weight_register_write_bits", "accumulator_move_bits")
    registers = _each("registers", moves, table.logic("register"))
    pins = ("input_dram_read_bits", "weight_dram_read_bits", "parameter_dram_read_bits",
            "output_dram_write_bits")
    dram = _each("dram", pins, energy.dram_price(architecture.dram.kind))
    vector = tuple(
        Tariff(component="vector", count=f"{operation}s", price=table.logic(operation))
        for operation in ("addition", "multiplication", "comparison")
    )
    leakage = _leakage_tariffs(architecture, table)
    return (pe, *registers, *_sram_tariffs(architecture, table), *dram, *vector, idle, *leakage)


def _each(component: str, names: tuple[str, ...], price: Price) -> tuple[Tariff, ...]:
    return tuple(Tariff(component=component, count=name, price=price) for name in names)


def _sram_tariffs(a: Architecture, table: EnergyTable) -> tuple[Tariff, ...]:
    """Words read and written of each SRAM, at the price of its size and word width."""
    return _sram_lines(memories(a), table)


# Machines of a sweep share most of their memories.
@lru_cache(maxsize=1024)
def _sram_lines(held: tuple[tuple[str, Memory], ...], table: EnergyTable) -> tuple[Tariff, ...]:
    return tuple(
        Tariff(
            component=name, count=f"{name}_{access}_bits", per=memory.word_bits,
            price=table.sram(name, memory.array_bytes, memory.word_bits, write=access == "write"),
        )
        for name, memory in held
        for access in ("read", "write")
    )


def _leakage_tariffs(a: Architecture, table: EnergyTable) -> tuple[Tariff, ...]:
    """What all SRAMs and the logic leak in every clock, stalls included."""
    prices = list(_sram_leaks(memories(a), table, a.clock_hz))
    prices.append((table.logic_leakage("pe", pe_um2(a), a.clock_hz), 1))
    prices.append((table.logic_leakage("vector", a.vector_lanes * LANE_UM2, a.clock_hz), 1))
    return tuple(
        Tariff(component="leakage", count="cycles", price=price, times=times)
        for price, times in prices
    )


@lru_cache(maxsize=1024)
def _sram_leaks(
    held: tuple[tuple[str, Memory], ...], table: EnergyTable, clock_hz: int
) -> tuple[tuple[Price, int], ...]:
    """Price of a clock and number of the arrays of each SRAM."""
    return tuple(
        (table.sram_leakage(name, memory.array_bytes, clock_hz), memory.arrays)
        for name, memory in held
    )


class Kept(NamedTuple):
    """Which maps of a layer wait on the chip: that of its input, and the one it writes."""

    input: bool = False
    output: bool = False


def chains(workload: Workload) -> tuple[tuple[Layer, Layer], ...]:
    """Writers whose map one layer alone reads, the next that runs; each with its reader."""
    running = [x for x in workload.layers if isinstance(x, Gemm) or not x.fused]
    readers = Counter(name for layer in running for name in layer.reads)
    return tuple(
        (writer, reader) for writer, reader in pairwise(running)
        if reader.reads == (writer.name,) and readers[writer.name] == 1
    )


def kept_maps(workload: Workload, a: Architecture) -> dict[str, Kept]:
    """Maps that stay: read by one layer only, the next that runs, and not larger than half.

    Each is decided by itself, so that a larger memory keeps all that a smaller one does [7.4.6].
    """
    running = [x for x in workload.layers if isinstance(x, Gemm) or not x.fused]
    kept = {layer.name: Kept() for layer in running}
    if a.maps is None:
        return kept
    for writer, reader in chains(workload):
        if map_bits(writer, a) <= a.maps.half_bits:
            kept[writer.name] = kept[writer.name]._replace(output=True)
            kept[reader.name] = Kept(input=True)
    return kept


def map_bits(writer: Layer, a: Architecture) -> int:
    """Bits that the results of a layer take in this machine."""
    return writer.output.elements * a.element.storage_bits(writer.output.bits)


def gemm_report(
    layer: Gemm, a: Architecture, kept: Kept, prices: tuple[Tariff, ...]
) -> LayerReport:
    """A layer on the array, the memory working ahead."""
    p = problem(layer, a)
    found = skipping.skipped(layer, p, a.array) if a.skip != "none" else None
    mapping, moved = choose(layer, p, a, input_on_chip=kept.input)
    activity, moved = _skipping(p, a, found, moved)
    counts = activity.counts + memory_counts(p, moved, kept) * layer.groups
    return layer_report(layer, p, a, mapping, activity, counts, prices, found)


def layer_report(
    layer: Gemm, p: Problem, a: Architecture, mapping: Mapping, activity: Activity,
    counts: Counts, prices: tuple[Tariff, ...], found: skipping.Skipped | None = None,
) -> LayerReport:
    """The report of a product from its clocks and the counts of its traffic: stalls and prices."""
    idle = activity.cycles * a.rows * a.columns - activity.counts.pe_operations
    counts = counts + Counts(
        parameter_dram_read_bits=layer.parameter_bits, additions=layer.additions,
        pe_idle_cycles=idle,
    )
    busiest = bank_cycles(p, a, counts)
    stall = stall_cycles(activity.cycles, counts, *edges(p, a), a, bank_cycles=busiest)
    cycles = activity.cycles + stall
    return LayerReport(
        name=layer.name, kind="Gemm", groups=layer.groups, m=layer.m, k=layer.k, n=layer.n,
        mapping=mapping,
        compute_cycles=activity.compute_cycles, fill_drain_cycles=activity.fill_drain_cycles,
        stall_cycles=stall, utilisation=_utilisation(p, cycles, a, found), skipping=found,
        counts=counts, sram_words=_sram_words(counts, a),
        energy_by_component_pj=energy.bill(prices, counts, cycles),
    )


def _skipping(
    p: Problem, a: Architecture, found: skipping.Skipped | None, moved: Traffic
) -> tuple[Activity, Traffic]:
    """Activity, and traffic with the weights as lists where zeros are skipped [7c.4.4]."""
    if found is None:
        return a.flow.activity(p, a.array), moved
    dense = p.groups * p.k * p.n * p.weight_bits
    bits = ceil_div(moved.weight_read_bits * found.weight_bits, dense)
    return skipping.activity(p, a.array, found), replace(moved, weight_read_bits=bits)


def memory_counts(p: Problem, moved: Traffic, kept: Kept) -> Counts:
    """What the traffic of one group adds: DRAM, and the SRAM sides that face it."""
    results = p.m * p.n
    source = "map_sram" if kept.input else "input_dram"
    target = "map_sram" if kept.output else "output_dram"
    return Counts(
        **{f"{source}_read_bits": moved.input_read_bits,
           f"{target}_write_bits": moved.output_write_bits},
        input_sram_write_bits=moved.input_read_bits,
        weight_dram_read_bits=moved.weight_read_bits,
        weight_sram_write_bits=moved.weight_read_bits,
        output_sram_read_bits=results * p.output_bits + moved.sum_bits,
        output_sram_write_bits=moved.sum_bits,
    )


def _sram_words(counts: Counts, a: Architecture) -> int:
    """Accesses to all SRAMs, each in words of its own width."""
    return sum(
        ceil_div(getattr(counts, f"{name}_{access}_bits"), memory.word_bits)
        for name, memory in memories(a)
        for access in ("read", "write")
    )


def edges(p: Any, a: Any) -> tuple[Whole, Whole]:
    """Bits of the words that the first clock takes in, and of the last row of results [7.4.5]."""
    last = smaller(a.columns, p.n) * p.output_bits
    if a.dataflow == "ws":
        return smaller(a.columns, p.n) * p.weight_bits, last
    if a.dataflow == "is":
        return smaller(a.columns, p.m) * p.input_bits, smaller(a.columns, p.m) * p.output_bits
    if a.dataflow == "os":
        return p.input_bits + p.weight_bits, last
    rows, columns = smaller(a.rows, p.m), smaller(a.columns, p.n)
    if a.dataflow == "lanes":
        held = smaller(a.element.step_products(a.depth, p.input_bits, p.weight_bits), p.k)
        return held * (rows * p.input_bits + columns * p.weight_bits), last
    return (rows + columns) * smaller(a.depth, p.k), last


def _utilisation(
    p: Problem, cycles: int, a: Architecture, found: skipping.Skipped | None
) -> float:
    """Wanted products over those the array could have made at these widths."""
    pe, widths = a.element, (p.input_bits, p.weight_bits)
    could = cycles * a.rows * a.columns * pe.step_products(a.depth, *widths)
    made = p.macs if found is None else found.products
    return made * int(pe.step_clocks(*widths)) / int(could)


def _vector(
    layer: Vector, a: Architecture, kept: Kept, prices: tuple[Tariff, ...]
) -> LayerReport:
    """Element-wise work: a lane does one operation, or passes one element, a clock.

    Fused work keeps pace with the array and costs no clocks, only its operations and constants.
    """
    counts = Counts(
        additions=layer.additions, multiplications=layer.multiplications,
        comparisons=layer.comparisons, parameter_dram_read_bits=layer.parameter_bits,
    )
    busy = 0
    if not layer.fused:
        elements = sum(operand.elements for operand in layer.inputs)
        busy = ceil_div(max(layer.operations, elements, layer.output.elements), a.vector_lanes)
        counts += _vector_memory(layer, a, kept)
    stall = stall_cycles(busy, counts, 0, 0, a)
    return LayerReport(
        name=layer.name, kind=layer.kind, groups=1, m=0, k=0, n=0, mapping=None,
        compute_cycles=busy, fill_drain_cycles=0, stall_cycles=stall, utilisation=0.0,
        counts=counts, sram_words=_sram_words(counts, a),
        energy_by_component_pj=energy.bill(prices, counts, busy + stall),
    )


def _vector_memory(layer: Vector, a: Architecture, kept: Kept) -> Counts:
    """Inputs once through the input SRAM, results once back through the output SRAM."""
    width = a.element.storage_bits
    read = sum(operand.elements * width(operand.bits) for operand in layer.inputs)
    written = layer.output.elements * width(layer.output.bits)
    source = "map_sram" if kept.input else "input_dram"
    target = "map_sram" if kept.output else "output_dram"
    return Counts(
        **{f"{source}_read_bits": read, f"{target}_write_bits": written},
        input_sram_write_bits=read, input_sram_read_bits=read,
        output_sram_write_bits=written, output_sram_read_bits=written,
    )
