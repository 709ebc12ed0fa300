"""Units, ranges, published machines and comparisons: pinned figures, and rules they must keep."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hwsim_cases import gemm

from hwsim import presets, ranges, read_topology, simulate
from hwsim.architecture import from_dict
from hwsim.area import pe_um2
from hwsim.cli import main
from hwsim.compare import compare, machines
from hwsim.fairness import DEPTH, EDGE_BITS, machine
from hwsim.layers import Workload
from hwsim.lowbit import LOW_BIT
from hwsim.pe import KINDS
from hwsim.published import product, rows
from hwsim.shapes import Shape, as_method
from hwsim.units import BASE, UNITS, Range, unit

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
ROWS = {(row.machine, row.what): row for row in rows()}


def test_every_kind_has_area_energy_and_a_place_in_comparisons():
    names = {pe.name for pe in KINDS}
    assert {u.name for u in UNITS} == names == set(DEPTH) == set(EDGE_BITS)
    for one in UNITS:
        assert one.source
        assert one.shares is None or abs(sum(one.shares) - 100) <= 2
        assert one.area_um2(one.lanes) == one.um2
        assert one.energy_fj(2 * one.lanes) <= 2 * one.fj * (1 + 1e-12)


def test_ratios_in_use_are_those_of_the_research_table():
    """Relative to the int8 MAC with a 24-bit sum: a unit, or a lane of it."""
    for name, lanes, area, energy in (
        ("int8", 1, 1.39, 1.20), ("int4", 1, 0.41, 0.38), ("ternary8", 1, 0.32, 0.51),
        ("ternary2", 1, 0.20, 0.29), ("ternary2-dot", 16, 0.063, 0.053),
        ("popcount", 64, 0.015, 0.012),
    ):
        one = unit(name)
        assert one.area_um2(lanes) / lanes / BASE[0] == pytest.approx(area, rel=0.04)
        assert one.energy_fj(lanes) / lanes / BASE[1] == pytest.approx(energy, rel=0.04)


def test_units_by_ratio_are_those_of_the_committed_synthesis():
    result = json.loads((BENCHMARKS / "results" / "synthesis.json").read_text())
    measured, base = result["units"], result["units"][result["base"]]
    for name, what in (
        ("int8-dot", "4 lanes int8, one 32-bit sum"), ("int4-dot", "4 lanes int4, one 16-bit sum"),
        ("ternary8-dot", "16 lanes ternary x 8 bit, one 24-bit sum"),
        ("ternary-serial", "16 lanes ternary x 1 bit, shifted sum"),
        ("stripes", "16 lanes 16 bit x 1 bit, shifted sum (Stripes)"),
        ("loom1", "16 lanes 1 x 1 bit, shifted sum (Loom)"),
        ("loom4", "16 lanes 4 x 1 bit, shifted sum (Loom)"),
    ):
        found, one = measured[what], unit(name)
        # Ratios are written down to a thousandth of the base, of which 0.032 is the least.
        assert one.um2 == pytest.approx(found["um2"] / base["um2"] * BASE[0], rel=0.02)
        assert one.fj == pytest.approx(found["pj"] / base["pj"] * BASE[1], rel=0.02)
    judged = [row for row in result["ratios"] if row["area_in_use"] is not None]
    assert len(judged) == 8
    for row in judged:
        assert row["area_within"], row
        assert row["energy_within"], row


@pytest.mark.parametrize(
    ("machine_", "what", "ratio"),
    [
        ("bismo-8x256x8", "binary operations", 1.008),
        ("bismo-10x256x10", "binary operations", 0.997),
        ("stripes", "speed-up over its bit-parallel base, AlexNet's convolutions", 1.127),
        ("loom-1bit", "speed-up over its bit-parallel base, AlexNet's convolutions", 0.510),
        ("bit-fusion", "AlexNet, an image of a batch of 16", 1.053),
        ("bit-fusion", "CIFAR10, an image of a batch of 16", 0.718),
        ("bit-fusion", "ResNet-18, an image of a batch of 16", 1.102),
        ("bit-fusion", "RNN, an image of a batch of 16", 1.135),
        ("bit-fusion", "ResNet-18, clocks of the array alone", 1.000),
        ("bit-fusion", "RNN, clocks of the array alone", 1.000),
        ("bit-fusion", "LSTM, clocks of the array alone", 0.974),
        ("bit-fusion", "AlexNet, clocks of the array alone", 0.850),
        ("unpu", "rate at 16-bit weights", 1.000),
        ("unpu", "rate at 1-bit weights", 0.750),
    ],
)
def test_published_machines_are_pinned(machine_, what, ratio):
    assert ROWS[machine_, what].ratio == pytest.approx(ratio, abs=6e-4)


def test_every_published_row_is_whole():
    for row in ROWS.values():
        assert math.isfinite(row.ratio)
        assert min(row.model, row.published) > 0
        assert all((row.source, row.why, row.unit))
        presets.find(row.machine)
    sixteen, one = (ROWS["unpu", f"efficiency at {bits}-bit weights"] for bits in (16, 1))
    assert one.model / sixteen.model == pytest.approx(16, rel=1e-3)  # 16.4 on the chip
    assert {row.machine for row in ROWS.values()} == {
        "bismo-8x256x8", "bismo-10x256x10", "stripes", "loom-1bit", "bit-fusion", "unpu",
        "tcn-cutie", "braintta"}


def test_low_bit_machines_are_presets_that_say_what_is_assumed():
    names = [a.name for a in presets.EVERY]
    assert len(set(names)) == len(names)
    for a in LOW_BIT:
        assert from_dict(a.as_dict()) == a
        assert presets.resolve(a.name) is a
        assert any(word in a.source for word in ("assumed", "of this project", "the rest as"))
        bits = 2 if a.element.ternary_weights else 8
        layer = product("g", 5, 70, 9, bits, bits, ternary=a.element.ternary_weights)
        assert simulate(Workload(name="w", layers=(layer,)), a).energy_pj > 0


@pytest.mark.parametrize("equal", ["area", "bandwidth"])
@pytest.mark.parametrize("name", [pe.name for pe in KINDS])
def test_machines_are_as_large_as_the_base_and_no_larger(name, equal):
    base = presets.GEMMINI_16X16_WS
    one = machine(base, name, equal)
    parts = [a for a in (one.main, one.spare) if a is not None]
    if equal == "area":
        used = sum(map(pe_um2, parts))
        assert 0.85 * pe_um2(base) <= used <= pe_um2(base)
    for a in parts:
        assert a.clock_hz == base.clock_hz
        assert (a.input.bytes, a.dram) == (base.input.bytes, base.dram)


def test_what_cannot_be_made_equal_is_refused():
    tiny = replace(presets.EDGE_16X16_OS, rows=1, columns=1)
    with pytest.raises(ValueError, match="PE stripes: not one unit at the area of"):
        machine(tiny, "stripes", "area")
    with pytest.raises(ValueError, match="equal 'weight', rule area or bandwidth"):
        machine(tiny, "stripes", "weight")
    with pytest.raises(ValueError, match="'nothing': exist"):
        machines(["nothing"], "area")
    with pytest.raises(ValueError, match="no machine takes any workload"):
        compare([Workload(name="w", layers=(gemm(2, 2, 2),))], machines(["ternary2"], "area"))


def test_ranges_hold_the_value_and_add_up():
    with pytest.raises(ValueError, match="rule low <= 1 <= high"):
        Range(low=1.1, high=2.0)
    report = simulate(Workload(name="w", layers=(gemm(5, 6, 7),)), presets.EDGE_16X16_OS)
    low, high = ranges.energy_range(report)
    assert low < report.energy_pj < high
    parts = [ranges.of_component(report, name).of(pj)
             for name, pj in report.energy_by_component_pj.items()]
    assert high == pytest.approx(sum(top for _, top in parts))
    least, most = ranges.area_range(report)
    assert least < report.area_mm2 < most


def small() -> Workload:
    net = read_topology(BENCHMARKS / "topologies" / "vgg16.csv")
    return replace(net, layers=net.layers[9:13] + net.layers[-1:])


def test_a_comparison_adds_main_and_spare_array():
    net = small()
    workload = as_method(net, Shape.parse("twostep"))
    (one,) = machines(["ternary2-dot"], "area")
    (cost,) = compare([workload], [one]).costs
    products = [layer for layer in workload.layers if hasattr(layer, "macs")]
    assert cost.spare_macs == products[0].macs + products[-1].macs
    assert cost.macs == net.macs
    inner = [layer for layer in workload.layers if layer not in (products[0], products[-1])]
    outer = [products[0], products[-1]]
    parts = [simulate(Workload(name="w", layers=tuple(layers)), a)
             for layers, a in ((inner, one.main), (outer, one.spare))]
    assert cost.cycles == sum(part.total_cycles for part in parts)
    assert cost.energy_pj == pytest.approx(sum(part.energy_pj for part in parts), rel=1e-12)
    assert cost.energy_low_pj < cost.energy_pj < cost.energy_high_pj


def test_compare_on_the_command_line(tmp_path, capsys):
    topology = BENCHMARKS / "topologies" / "alexnet.csv"
    arguments = ["compare", str(topology), "--as", "none", "--as", "twostep", "--arch",
                 "edge-16x16-os,ternary2-dot,bitfusion"]
    assert main([*arguments, "--csv", str(tmp_path / "c.csv"), "--plot", str(tmp_path / "c.svg"),
                 "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    table = list(csv.DictReader(io.StringIO((tmp_path / "c.csv").read_text())))
    assert len(table) == len(found["costs"]) == 5  # 8-bit products do not fit ternary2-dot
    assert "its PEs refuse" in found["notes"][0]
    assert (tmp_path / "c.svg").read_text().startswith("<?xml")
    assert main(arguments) == 0
    assert capsys.readouterr().out.count("twostep") == 3
    assert main(["compare", str(topology), "--arch", "a-b"]) == 2
    assert main([*arguments, "--plot", "c.txt"]) == 2
    assert main(["published", "--json"]) == 0
    capsys.readouterr()


@pytest.fixture
def liberty(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    import liberty

    return liberty


def test_energy_of_gates_is_toggles_times_prices(liberty, tmp_path):
    """One inverter into one flip-flop, every figure by hand."""
    (tmp_path / "a.lib").write_text("""library (l) { nom_voltage : 2.0; /* comment */
      cell (INV) { area : 3; pin(A) { direction : input; capacitance : 0.5; }
        pin(Y) { direction : output; function : "(!A)"; internal_power() {
          rise_power(t) { values ("1, 2", "3, 4"); } fall_power(t) { values ("1, 2"); } } } }
      cell (DFF) { area : 7; ff (Q1, Q2) { next_state : "D"; clocked_on : "CK"; }
        pin(CK) { direction : input; capacitance : 0.25; }
        pin(D) { direction : input; capacitance : 2.0; }
        pin(Q) { direction : output; function : "Q1"; } } }""")
    library = liberty.read_liberty(tmp_path / "a.lib")
    cells = liberty.cells(library)
    netlist = liberty.Netlist(
        {"clk": ("input", [2]), "x": ("input", [3]), "q": ("output", [5])},
        {"i": ("INV", {"A": 3, "Y": 4}), "accumulator.f": ("DFF", {"CK": 2, "D": 4, "Q": 5})},
    )
    ones = (1 << liberty.STREAMS) - 1
    found = liberty.measure(netlist, cells, 2.0, lambda *a: [ones if a[2] % 2 else 0], 0)
    assert found.um2 == {"logic": 3.0, "accumulator": 7.0}
    # The inverter changes each clock: 2 inside, at the second slew; 2.0 * 2^2 / 2 on its load, and
    # as its input does, 0.5 * 2^2 / 2 there.
    assert found.pj["logic"] == pytest.approx(2 + 4 + 1)
    assert found.pj["clock"] == pytest.approx(0.25 * 4)
    assert found.pj["accumulator"] == 0.0  # its output drives nothing, and no price is given
    for text, value in (("(A B)", 0b1000), ("A+B", 0b1110), ("(!((A^B) C))", 0b1001)):
        nets = {"A": "v[1]", "B": "v[2]", "C": "v[3]"}
        v = {1: 0b1010, 2: 0b1100, 3: 0b1111}
        assert eval(liberty._expression(text, nets), {"v": v}) & 15 == value
