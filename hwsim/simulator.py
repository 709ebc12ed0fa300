"""The simulator: a workload and an architecture in, a report out.

Layers run one after the other; every layer reads its inputs from DRAM and writes its results there
(fused work excepted). Clocks and counts come from the closed forms, traffic from the mapping rules,
energy from one dot product at the end.
"""

from __future__ import annotations

from hwsim import energy
from hwsim.architecture import Architecture
from hwsim.checks import ceil_div
from hwsim.counts import Activity, Counts, Problem
from hwsim.energy import EnergyTable, Price, Tariff
from hwsim.layers import Gemm, Layer, Vector, Workload
from hwsim.mapping import problem
from hwsim.report import LayerReport, Report
from hwsim.traffic import Traffic, choose, stall_cycles


def simulate(workload: Workload, architecture: Architecture) -> Report:
    """Cycles, counts and energy of ``workload`` on ``architecture``.

    Raises ``ValueError`` naming the layer, what was seen and the rule where the PEs cannot
    multiply its operands.
    """
    prices = tariffs(architecture)
    return Report(
        workload=workload.name,
        architecture=architecture,
        layers=tuple(_layer(layer, architecture, prices) for layer in workload.layers),
        prices=tuple({tariff.price.name: tariff.price for tariff in prices}.values()),
    )


def tariffs(architecture: Architecture) -> tuple[Tariff, ...]:
    """Every line of the bill of this architecture: which count pays which price."""
    table = energy.table(architecture.technology)
    pe = Tariff(
        component="pe", count="pe_operations", times=architecture.depth,
        price=table.logic(f"pe {architecture.pe}"),
    )
    moves = ("input_register_write_bits", "weight_register_write_bits", "accumulator_move_bits")
    registers = _each("registers", moves, table.logic("register"))
    pins = ("input_dram_read_bits", "weight_dram_read_bits", "parameter_dram_read_bits",
            "output_dram_write_bits")
    dram = _each("dram", pins, energy.dram_price(architecture.dram.kind))
    vector = tuple(
        Tariff(component="vector", count=f"{operation}s", price=table.logic(operation))
        for operation in ("addition", "multiplication", "comparison")
    )
    return (pe, *registers, *_sram_tariffs(architecture, table), *dram, *vector)


def _each(component: str, names: tuple[str, ...], price: Price) -> tuple[Tariff, ...]:
    return tuple(Tariff(component=component, count=name, price=price) for name in names)


def _sram_tariffs(a: Architecture, table: EnergyTable) -> tuple[Tariff, ...]:
    """Words read and written of each SRAM, at the price of its size and word width."""
    memories = (("input_sram", a.input), ("weight_sram", a.weights), ("output_sram", a.output))
    return tuple(
        Tariff(
            component=name, count=f"{name}_{access}_bits", per=memory.word_bits,
            price=table.sram(name, memory.bytes, memory.word_bits, write=access == "write"),
        )
        for name, memory in memories
        for access in ("read", "write")
    )


def _layer(layer: Layer, architecture: Architecture, prices: tuple[Tariff, ...]) -> LayerReport:
    match layer:
        case Gemm():
            return _gemm(layer, architecture, prices)
        case Vector():
            return _vector(layer, architecture, prices)


def _gemm(layer: Gemm, architecture: Architecture, prices: tuple[Tariff, ...]) -> LayerReport:
    """A layer on the array: groups one after the other, the memory working ahead."""
    p = problem(layer, architecture)
    activity = architecture.flow.activity(p, architecture.array) * layer.groups
    mapping, moved = choose(layer, p, architecture)
    counts = activity.counts + _memory_counts(p, moved) * layer.groups
    counts += Counts(parameter_dram_read_bits=layer.parameter_bits, additions=layer.additions)
    stall = stall_cycles(activity.cycles, counts, *_edges(p, architecture), architecture)
    cycles = activity.cycles + stall
    return LayerReport(
        name=layer.name, kind="Gemm", groups=layer.groups, m=layer.m, k=layer.k, n=layer.n,
        mapping=mapping,
        compute_cycles=activity.compute_cycles, fill_drain_cycles=activity.fill_drain_cycles,
        stall_cycles=stall, utilisation=_utilisation(p, layer.groups, cycles, architecture),
        counts=counts, energy_by_component_pj=energy.bill(prices, counts),
    )


def _memory_counts(p: Problem, moved: Traffic) -> Counts:
    """What the traffic of one group adds: DRAM, and the SRAM sides that face it."""
    results = p.m * p.n
    return Counts(
        input_dram_read_bits=moved.input_read_bits,
        input_sram_write_bits=moved.input_read_bits,
        weight_dram_read_bits=moved.weight_read_bits,
        weight_sram_write_bits=moved.weight_read_bits,
        output_dram_write_bits=moved.output_write_bits,
        output_sram_read_bits=results * p.output_bits,
    )


def _edges(p: Problem, a: Architecture) -> tuple[int, int]:
    """Bits of the words that the first clock takes in, and of the last row of results."""
    if a.dataflow == "ws":
        first = min(a.columns, p.n) * p.weight_bits
    elif a.dataflow == "os":
        first = p.input_bits + p.weight_bits
    else:
        slice_bits = min(a.depth, p.k)
        first = (min(a.rows, p.m) + min(a.columns, p.n)) * slice_bits
    return first, min(a.columns, p.n) * p.output_bits


def _utilisation(p: Problem, groups: int, cycles: int, a: Architecture) -> float:
    """Wanted products over those the array could have made; bit products on bit-serial units."""
    products = groups * p.macs
    if a.element.style == "popcount":
        products *= p.input_bits * p.weight_bits
    return products / (cycles * a.rows * a.columns * a.depth)


def _vector(layer: Vector, a: Architecture, prices: tuple[Tariff, ...]) -> LayerReport:
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
        counts += _vector_memory(layer, a)
    activity = Activity(compute_cycles=busy, fill_drain_cycles=0, counts=counts)
    stall = stall_cycles(activity.cycles, counts, 0, 0, a)
    return LayerReport(
        name=layer.name, kind=layer.kind, groups=1, m=0, k=0, n=0, mapping=None,
        compute_cycles=busy, fill_drain_cycles=0, stall_cycles=stall, utilisation=0.0,
        counts=counts, energy_by_component_pj=energy.bill(prices, counts),
    )


def _vector_memory(layer: Vector, a: Architecture) -> Counts:
    """Inputs once from DRAM through the input SRAM, results once back through the output SRAM."""
    width = a.element.storage_bits
    read = sum(operand.elements * width(operand.bits) for operand in layer.inputs)
    written = layer.output.elements * width(layer.output.bits)
    return Counts(
        input_dram_read_bits=read, input_sram_write_bits=read, input_sram_read_bits=read,
        output_sram_write_bits=written, output_sram_read_bits=written,
        output_dram_write_bits=written,
    )
