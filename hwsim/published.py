"""Published machines: what the model gives beside what was published, and why they differ.

Every row names its source. Nothing here is fitted: machines are the presets, prices those of
:mod:`hwsim.units`. ``recalled`` marks figures and precisions that were written down from memory of
a paper, not read again. Chapter [7d.4].
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hwsim import presets
from hwsim.architecture import Architecture
from hwsim.checks import ceil_div
from hwsim.energy import EnergyTable
from hwsim.fused_networks import BATCH, networks
from hwsim.layers import Gemm, Operand, Workload
from hwsim.report import Report
from hwsim.rowstationary import ALEXNET
from hwsim.simulator import simulate
from hwsim.technology import energy_factor
from hwsim.units import unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure of one machine: ``model`` and ``published`` in ``unit``, and what differs."""

    machine: str
    what: str
    unit: str
    model: float
    published: float
    source: str
    why: str

    @property
    def ratio(self) -> float:
        """Model over publication."""
        return self.model / self.published

    def as_dict(self) -> dict[str, str | float]:
        """Plain data."""
        return {
            "machine": self.machine, "what": self.what, "unit": self.unit, "model": self.model,
            "published": self.published, "ratio": self.ratio, "source": self.source,
            "why": self.why,
        }


def rows() -> tuple[Row, ...]:
    """Every row, machine by machine."""
    parts = (_bismo(), _stripes(), _loom(), _bit_fusion(), _unpu(), _ternary_chips())
    return tuple(row for part in parts for row in part)


def to_table(found: Sequence[Row]) -> str:
    """Aligned text: a line a row, then the reasons."""
    head = ("machine", "what", "unit", "model", "published", "ratio", "source")
    cells = [head, *((r.machine, r.what, r.unit, f"{r.model:.4g}", f"{r.published:.4g}",
                      f"{r.ratio:.2f}", r.source) for r in found)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = ["  ".join(cell.rjust(w) if 3 <= i <= 5 else cell.ljust(w)
                       for i, (cell, w) in enumerate(zip(row, widths, strict=True))).rstrip()
             for row in cells]
    reasons = dict.fromkeys(f"{r.machine}, {r.what}: {r.why}" for r in found)
    return "\n".join([*lines, "", *reasons]) + "\n"


def product(
    name: str, m: int, k: int, n: int, input_bits: int, weight_bits: int, *, groups: int = 1,
    ternary: bool = False,
) -> Gemm:
    """A product of unsigned inputs and signed weights of these widths (one bit: 0 and 1)."""
    top = 2 ** (weight_bits - 1)
    low, high = (0, 1) if weight_bits == 1 else (-1, 1) if ternary else (-top, top - 1)
    largest = 2**input_bits - 1
    return Gemm(
        name=name, m=m, k=k, n=n, groups=groups,
        input=Operand(lo=0, hi=largest, elements=groups * m * k),
        weights=Operand(lo=low, hi=high, elements=groups * k * n),
        output=Operand(lo=0, hi=largest, elements=groups * m * n),
    )


def array_cycles(layers: Sequence[Gemm], a: Architecture) -> int:
    """Clocks of the array, waiting for memory left out."""
    report = simulate(Workload(name="w", layers=tuple(layers)), a)
    return sum(layer.compute_cycles + layer.fill_drain_cycles for layer in report.layers)


def _bismo() -> Iterator[Row]:
    for a, published in ((presets.BISMO_8X256X8, 6.5), (presets.find("bismo-10x256x10"), 15.4)):
        layer = product("g", 64 * a.rows, 16 * a.depth, 64 * a.columns, 1, 1)
        tops = 2 * layer.macs * a.clock_hz / array_cycles([layer], a) / 1e12
        yield Row(machine=a.name, what="binary operations", unit="TOPS", model=tops,
                  published=published, source="Umuroglu et al., FPL 2018 and TRETS 2019",
                  why="the published figure is the peak; the model adds 3 clocks of pipeline")
    yield Row(
        machine="bismo-8x256x8", what="share of a unit of 64 bits that grows with its width",
        unit="%", model=100 * (1 - unit("popcount").shared_area),
        published=100 * (1 - bismo_luts(1, 0, 1) / bismo_luts(1, 64, 1)),
        source="LUT = Dm Dn (1.17 Dk + 44.1 + 120.1), cost model of the BISMO repository",
        why="a standard-cell adder of 64 bits is larger beside its accumulator than in LUTs, where "
        "BISMO shifts by any number and the model by one place",
    )


def bismo_luts(rows: int, depth: int, columns: int) -> float:
    """LUTs of BISMO's array by its own cost model (Umuroglu et al., repository).

    >>> round(bismo_luts(8, 256, 8))
    29678
    """
    return rows * columns * (1.17 * depth + 44.1 + 120.1)


#: AlexNet's convolutions: bits of the inputs for full accuracy (Stripes, table 1: recalled).
_ALEXNET_BITS = (9, 8, 5, 5, 7)
_ALEXNET_WEIGHT_BITS = 11


def _alexnet(weight_bits: int, bits: Sequence[int] = _ALEXNET_BITS) -> list[Gemm]:
    layers = []
    for (name, shape, *_), width in zip(ALEXNET, bits, strict=True):
        kernel = shape.kernel_rows * shape.kernel_columns
        layers.append(product(
            name, shape.output_rows * shape.output_columns, shape.channels * kernel,
            shape.filters // shape.groups, width, weight_bits, groups=shape.groups,
        ))
    return layers


def _stripes() -> Iterator[Row]:
    base, a = presets.find("dadiannao-like"), presets.find("stripes")
    source = "Judd et al., MICRO 2016"
    gain = array_cycles(_alexnet(16), base) / array_cycles(_alexnet(16), a)
    yield Row(
        machine=a.name, what="speed-up over its bit-parallel base, AlexNet's convolutions",
        unit="x", model=gain, published=1.92, source=f"{source}, mean of its networks",
        why="one network with recalled precisions against a mean of 1.30 to 4.51; no time for "
        "other layers; 13 x 13 maps fill 169 of 176 windows, 11 x 11 x 3 inputs 363 of 368 lanes",
    )
    um2 = unit(a.pe).area_um2(a.depth) * a.rows / unit(base.pe).area_um2(base.depth)
    yield Row(
        machine=a.name, what="area over its base", unit="x", model=um2, published=1.32,
        source=source, why="units alone; the published figure has the memories of both in it",
    )


def _loom() -> Iterator[Row]:
    base, a = presets.find("loom-base"), presets.find("loom-1bit")
    layers = _alexnet(_ALEXNET_WEIGHT_BITS)
    yield Row(
        machine=a.name, what="speed-up over its bit-parallel base, AlexNet's convolutions",
        unit="x", model=array_cycles(layers, base) / array_cycles(layers, a), published=4.38,
        source="Sharify et al., DAC 2018, mean of its networks",
        why="one network with recalled precisions a layer (11 bits of weights); the published mean "
        "finds shorter precisions for groups of activations while it runs",
    )
    power = [unit(x.pe).energy_fj(x.depth) * x.rows * x.columns for x in (base, a)]
    yield Row(
        machine=a.name, what="energy efficiency over its base, units alone", unit="x",
        model=array_cycles(layers, base) * power[0] / (array_cycles(layers, a) * power[1]),
        published=3.54, source="Sharify et al., DAC 2018, mean of its networks",
        why="units alone, without the memories that dominate the base; every 16 lanes have a "
        "32-bit sum, whose clock is half of the unit's energy; precisions as above",
    )


_FUSION_SOURCE = "simulator of the Bit Fusion repository"


def _bit_fusion() -> Iterator[Row]:
    a, speed = presets.find("bit-fusion"), []
    for network in networks():
        report = simulate(Workload(name=network.name, layers=network.layers), a)
        milliseconds = report.seconds * 1e3 / BATCH
        speed.append((network.eyeriss_ms / milliseconds, network.eyeriss_ms / network.fusion_ms))
        waits = sum(layer.stall_cycles for layer in report.layers) / report.total_cycles
        weights = sum(x.weights.elements * a.element.storage_bits(x.weights.bits)
                      for x in network.layers)
        passes = report.counts.weight_dram_read_bits / weights
        yield Row(
            machine=a.name, what=f"{network.name}, an image of a batch of {BATCH}", unit="ms",
            model=milliseconds, published=network.fusion_ms,
            source=f"{_FUSION_SOURCE}, notebook output",
            why=f"the model waits for DRAM {waits:.0%} of the time: weights pass it {passes:.1f} "
            "times, once for the rows whose 48-bit sums wait in half the output memory; its "
            "simulator also reads every 32-bit result from DRAM before it is written, with which "
            f"the model takes {_results_read_too(report) / BATCH:.4g} ms; clocks of the array are "
            "in the next row",
        )
        yield Row(
            machine=a.name, what=f"{network.name}, clocks of the array alone", unit="1000 clocks",
            model=sum(layer.compute_cycles for layer in report.layers) / 1e3,
            published=network.fusion_clocks / 1e3,
            source=f"{_FUSION_SOURCE}, committed sweep at 192 bits a clock: cycles less waits",
            why="lanes take k as one run; its simulator fills them tap by tap (of 25 taps with 32 "
            "channels each a step, here four steps) and rounds maps and k up to its tiles",
        )
    means = [math.prod(gain[i] for gain in speed) ** (1 / len(speed)) for i in (0, 1)]
    yield Row(
        machine=a.name, what="speed-up over Eyeriss, mean of the eight", unit="x",
        model=means[0], published=means[1], source="the same table, its Eyeriss times",
        why="as in the rows above: results that are read, clocks of the array; Eyeriss is the "
        "published one on both sides",
    )


def _results_read_too(report: Report) -> float:
    """Milliseconds if DRAM also gave every result once before it takes it."""
    dram, cycles = report.architecture.dram, 0
    for layer in report.layers:
        bits = layer.counts.dram_bits + layer.counts.output_dram_write_bits
        cycles += max(layer.total_cycles, ceil_div(bits, dram.bandwidth_bits_per_cycle))
    return cycles / report.architecture.clock_hz * 1e3


#: UNPU: bits of the weights -> GOPS and TOPS/W (8 and 4 bits recalled).
_UNPU = {16: (345.6, 3.08), 8: (691.0, 5.57), 4: (1382.0, 11.6), 1: (7372.0, 50.6)}


def _unpu() -> Iterator[Row]:
    a = presets.find("unpu")
    low = EnergyTable(name="65nm-0.63V", node_nm=65, voltage_v=0.63, sram_process="65 nm itrs-hp")
    for bits, (gops, tops_w) in _UNPU.items():
        layer = product("g", 64 * a.rows, 72 * a.depth, 16 * a.columns, 16, bits)
        cycles = array_cycles([layer], a)
        recalled = " (recalled)" if bits in (4, 8) else ""
        source = f"Lee et al., JSSC 2019{recalled}"
        yield Row(
            machine=a.name, what=f"rate at {bits}-bit weights", unit="GOPS",
            model=2 * layer.macs * a.clock_hz / cycles / 1e9, published=gops, source=source,
            why="peak of the chip" if bits > 1 else "the chip keeps four inputs a table where "
            "weights have one bit, +1 or -1; the model keeps three",
        )
        joules = cycles * a.rows * a.columns * low.pe(a.pe, a.depth).pj * 1e-12
        yield Row(
            machine=a.name, what=f"efficiency at {bits}-bit weights", unit="TOPS/W",
            model=2 * layer.macs / joules / 1e12, published=tops_w, source=source,
            why="units alone at 65 nm and the lowest supply, 0.63 V; the chip's figure has "
            "memories, network and control in it, at a supply that is not stated",
        )


def _ternary_chips() -> Iterator[Row]:
    sub = EnergyTable(name="20nm-0.5V", node_nm=20, voltage_v=0.5)
    cutie = presets.find("tcn-cutie")
    yield Row(
        machine=cutie.name, what="energy of an operation, ternary x ternary", unit="fJ",
        model=sub.pe(cutie.pe, cutie.depth).pj * 1e3 / (2 * cutie.depth), published=0.97,
        source="TCN-CUTIE, arXiv 2212.00688: 1036 TOp/s/W at 0.5 V",
        why="units alone, priced at 20 nm for 22; the model's inputs are unsigned codes of two "
        "bits with three values in four, the chip's are ternary, and its weights stay",
    )
    yield from _braintta()


def _braintta() -> Iterator[Row]:
    factor, _ = energy_factor(45, 0.9, 20, 0.8)
    for what, kind, lanes, bits, published in (
        ("binary", "loom1", 32, 1, 35.0), ("ternary", "ternary2-dot", 16, 2, 67.0),
        ("8-bit", "int8-dot", 4, 8, 405.0),
    ):
        a = replace(presets.find("braintta"), pe=kind, depth=lanes)
        layer = product("g", 256, 64 * lanes, 64, bits, bits, ternary=what == "ternary")
        (report,) = simulate(Workload(name=what, layers=(layer,)), a).layers
        parts = ("pe", "registers", "input_sram", "weight_sram", "output_sram")
        pj = sum(report.energy_by_component_pj[part] for part in parts) * factor
        yield Row(
            machine=a.name, what=f"energy of an operation, {what}", unit="fJ",
            model=pj * 1e3 / (2 * layer.macs), published=published,
            source="Molendijk et al., BrainTTA, arXiv 2211.11331",
            why="units and SRAM, priced at 20 nm and an assumed 0.8 V for 22 nm; the published "
            "core is programmable: its instructions, moves and clock are not in the model",
        )
