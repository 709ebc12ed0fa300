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
from hwsim.energy import EnergyTable
from hwsim.layers import Gemm, Operand, Window, Workload
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
        unit="%", model=100 * (1 - _POPCOUNT_SHARED),
        published=100 * (1 - bismo_luts(1, 0, 1) / bismo_luts(1, 64, 1)),
        source="LUT = Dm Dn (1.17 Dk + 44.1 + 120.1), cost model of the BISMO repository",
        why="standard cells count operand registers, which cost an FPGA no LUT, and shift by one "
        "place where BISMO shifts by any number",
    )


# Area share of the accumulator of the popcount unit, by benchmarks/synthesis.py.
_POPCOUNT_SHARED = 0.32


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
        why="units alone, without the memories that dominate the base; our one-bit unit has "
        "registers for both operands of every lane and a 32-bit sum, Loom's shares them",
    )


def _map(
    name: str, size: int, channels: int, filters: int, bits: tuple[int, int], kernel: int = 3
) -> Gemm:
    """A convolution that keeps the size of its map, batch 16."""
    pad, batch = kernel // 2, 16
    layer = product(name, batch * size * size, channels * kernel**2, filters, *bits)
    window = Window(batch=batch, channels=channels, height=size, width=size,
                    kernel=(kernel, kernel), padding=((pad, pad), (pad, pad)), output=(size, size))
    stored = replace(layer.input, elements=batch * channels * size * size)
    return replace(layer, input=stored, window=window)


def _vgg_like(width: int) -> list[Gemm]:
    """Courbariaux' binary network: 617 M products at width 128, 158 M at 64."""
    w, one, edge = width, (1, 1), (8, 8)
    sizes = ((32, 3, w), (32, w, w), (16, w, 2 * w), (16, 2 * w, 2 * w), (8, 2 * w, 4 * w),
             (8, 4 * w, 4 * w))
    layers = [_map(f"c{i}", *size, edge if i == 0 else one) for i, size in enumerate(sizes)]
    return [*layers, product("f0", 16, 64 * w, 1024, *one), product("f1", 16, 1024, 1024, *one),
            product("f2", 16, 1024, 10, *edge)]


def _bit_fusion() -> Iterator[Row]:
    a, speed = presets.find("bit-fusion"), []
    #: Layers, published ms on Eyeriss and on Bit Fusion, and how the shapes are known.
    networks = (
        ("SVHN", _vgg_like(64), 1.412, 0.1647, "shapes of Courbariaux' binary network, half wide"),
        ("CIFAR10", _vgg_like(128), 5.519, 0.4117, "shapes of Courbariaux' binary network"),
        ("RNN", [product("h", 16, 4096, 2048, 4, 4)], 0.1311, 0.0493,
         "2048 units taken from its 17 M operations"),
        ("LSTM", [product("h", 16, 1800, 3600, 4, 4)], 0.1026, 0.0421,
         "900 units taken from its 13 M operations"),
    )
    for name, layers, eyeriss, published, known in networks:
        report = simulate(Workload(name=name, layers=tuple(layers)), a)
        milliseconds = report.seconds * 1e3 / 16
        speed.append((eyeriss / milliseconds, eyeriss / published))
        yield Row(
            machine=a.name, what=f"{name}, an image of a batch of 16", unit="ms",
            model=milliseconds, published=published,
            source="simulator of the Bit Fusion repository, notebook output",
            why=f"{known}; buffers and the 128 bits of DRAM a clock are assumed; every layer and "
            "map passes DRAM here, and inputs that do not fit half a buffer have weights pass "
            "again, where its simulator cuts k and searches tiles",
        )
    means = [math.prod(gain[i] for gain in speed) ** (1 / len(speed)) for i in (0, 1)]
    yield Row(
        machine=a.name, what="speed-up over Eyeriss, mean of these four", unit="x",
        model=means[0], published=means[1], source="the same table, its Eyeriss times",
        why="3.9 is the published mean of all eight; AlexNet, LeNet-5, VGG-7 and ResNet-18 there "
        "are variants whose shapes we have not seen",
    )


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
        "bits with three values in four, and its lanes have registers for both operands, the "
        "chip's weights stay",
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
