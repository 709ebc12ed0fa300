"""Whole workloads: parts add up, the same bytes every time, layers that do not run are named."""

import csv
import importlib.util
import io
import itertools
import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest
from hwsim_cases import ALEXNET, conv, gemm, small_program
from matplotlib.text import Text

import hwsim
from hwsim import dataflow, presets, stepped
from hwsim.architecture import Architecture, Memory
from hwsim.counts import Array, Problem
from hwsim.layers import Gemm, Operand, Vector, Workload
from hwsim.plot import plot, roofline
from hwsim.simulator import simulate

ALL = pytest.mark.parametrize("preset", presets.PRESETS, ids=lambda p: p.name)


@ALL
def test_alexnet_adds_up(preset):
    workload = hwsim.read_topology(ALEXNET)
    report = hwsim.simulate(workload, preset)
    assert [layer.name for layer in report.layers] == [layer.name for layer in workload.layers]
    assert report.total_cycles == sum(layer.total_cycles for layer in report.layers)
    assert report.counts.macs == workload.macs == 724_406_816
    parts = report.energy_by_component_pj
    assert report.energy_pj == pytest.approx(math.fsum(parts.values()))
    assert [name for name in parts if name != "map_sram"] == [
        "pe", "registers", "input_sram", "weight_sram", "output_sram", "dram", "vector",
        "idle", "leakage",
    ]
    assert ("map_sram" in parts) == (preset.maps is not None)
    for layer in report.layers:
        assert 0 < layer.utilisation <= 1
        assert layer.stall_cycles >= 0
        assert layer.counts.input_dram_read_bits == layer.counts.input_sram_write_bits


@ALL
def test_a_compiled_program_runs_on_every_preset(preset):
    program = small_program()
    one, four = (simulate(hwsim.from_program(program, batch=n), preset) for n in (1, 4))
    assert [layer.name for layer in one.layers] == [node.name for node in program.nodes]
    assert four.counts.macs == 4 * one.counts.macs
    assert four.counts.comparisons == 4 * one.counts.comparisons
    assert one.total_cycles < four.total_cycles <= 4 * one.total_cycles
    fused = next(layer for layer in one.layers if layer.name == "a1")
    assert fused.compute_cycles == 0
    assert fused.counts.input_dram_read_bits == fused.counts.output_dram_write_bits == 0
    assert fused.energy_by_component_pj["vector"] > 0


def test_groups_are_independent_products():
    array = presets.EDGE_16X16_OS
    together = simulate(Workload(name="w", layers=(conv(8, 3, 4, 8, groups=2),)), array)
    alone = simulate(Workload(name="w", layers=(conv(8, 3, 2, 4),)), array)
    (a,), (b,) = together.layers, alone.layers
    assert a.compute_cycles == 2 * b.compute_cycles
    assert a.fill_drain_cycles == 2 * b.fill_drain_cycles
    assert a.counts == b.counts * 2


def test_depthwise_packs_its_groups():
    """16 channels of 3 x 3 on 16 x 16: one group a fold, or 1 row fold of 16 // 9 groups."""
    serial = presets.GEMMINI_16X16_WS
    wide = replace(serial, rows=32)
    work = Workload(name="w", layers=(conv(8, 3, 16, 16, pad=1, groups=16),))
    plain, packed = (simulate(work, replace(wide, grouping=how)) for how in ("serial", "packed"))
    assert plain.layers[0].compute_cycles == 16 * 64
    assert packed.layers[0].compute_cycles == 6 * 64  # three groups of nine rows at a time
    assert plain.counts.dram_bits == packed.counts.dram_bits
    assert plain.counts.macs == packed.counts.macs


def chain() -> Workload:
    """c1 -> c2 -> add(c2, c1): the map of c1 has two readers, that of c2 one."""
    first, second = (replace(conv(8, 3, 4, 4, pad=1), name=name) for name in ("c1", "c2"))
    add = Vector(name="add", kind="Add", inputs=(second.output, first.output),
                 output=second.output, additions=256, reads=("c2", "c1"))
    last = replace(conv(8, 3, 4, 4, pad=1), name="c3", reads=("add",))
    return Workload(name="w", layers=(first, replace(second, reads=("c1",)), add, last))


def with_maps(size: int) -> Architecture:
    maps = Memory(bytes=size, word_bits=128, bandwidth_bits_per_cycle=128)
    return replace(presets.EDGE_16X16_OS, maps=maps)


def test_maps_that_fit_wait_on_the_chip():
    """Four channels of 8 x 8 bytes: 2048 bits. Only the map of add is read once, by the next."""
    without = simulate(chain(), presets.EDGE_16X16_OS)
    small, large = (simulate(chain(), with_maps(size)) for size in (511, 512))
    assert small.counts.map_sram_write_bits == 0
    assert small.counts.dram_bits == without.counts.dram_bits
    assert large.counts.map_sram_write_bits == large.counts.map_sram_read_bits == 2048
    assert large.counts.dram_bits == without.counts.dram_bits - 2 * 2048
    assert large.total_cycles <= without.total_cycles
    assert [x.counts.map_sram_write_bits for x in large.layers] == [0, 0, 2048, 0]
    # Where nothing is known of the readers, nothing stays.
    unknown = Workload(name="w", layers=tuple(replace(x, reads=()) for x in chain().layers))
    assert simulate(unknown, with_maps(10**6)).counts.map_sram_write_bits == 0


def test_more_room_for_maps_never_costs():
    workload = hwsim.from_program(small_program(), batch=3)
    before = simulate(workload, presets.EDGE_16X16_OS)
    for size in (1, 100, 300, 400, 1000, 3000, 10**5):
        after = simulate(workload, with_maps(size))
        assert after.counts.dram_bits <= before.counts.dram_bits
        assert after.total_cycles <= before.total_cycles
        before = after
    kept = [x.name for x in before.layers if x.counts.map_sram_write_bits]
    # c2 is read twice, by its own threshold and by the sum; the last result leaves the chip.
    assert kept == ["c1", "sum", "a3", "max", "mean"]


def test_cycles_are_those_of_the_stepped_machine():
    """A layer too small to wait for memory: the report's clocks are the machine's."""
    preset = replace(presets.EDGE_16X16_OS, rows=3, columns=2)
    (layer,) = simulate(Workload(name="w", layers=(gemm(7, 5, 4),)), preset).layers
    X, W = [[1] * 5 for _ in range(7)], [[1] * 4 for _ in range(5)]
    _, activity = stepped.output_stationary(X, W, Problem(m=7, k=5, n=4), Array(rows=3, columns=2))
    assert layer.compute_cycles == activity.compute_cycles
    assert layer.fill_drain_cycles == activity.fill_drain_cycles
    moved = activity.counts.as_dict()
    mine = layer.counts.as_dict()
    assert all(mine[name] == moved[name] for name in moved if "register" in name or name == "macs")


def test_weight_stationary_passes_follow_the_accumulators():
    preset = presets.GEMMINI_16X16_WS
    assert preset.array.pass_rows == 512
    p = Problem(m=1300, k=16, n=16)
    activity = dataflow.weight_stationary(p, preset.array)
    assert activity.fill_drain_cycles == 3 * (2 * 16 + 16 - 2)
    (layer,) = simulate(Workload(name="w", layers=(gemm(1300, 16, 16),)), preset).layers
    assert layer.fill_drain_cycles == activity.fill_drain_cycles


def test_unfused_vectors_take_clocks_and_memory():
    small = Operand(lo=0, hi=3, elements=100)
    add = Vector(name="add", kind="Add", inputs=(small, small),
                 output=Operand(lo=0, hi=6, elements=100), additions=100)
    (layer,) = simulate(Workload(name="w", layers=(add,)), presets.EDGE_16X16_OS).layers
    assert layer.compute_cycles == 13  # 200 elements in, 16 lanes
    assert layer.counts.input_dram_read_bits == 200 * 8
    assert layer.counts.output_dram_write_bits == 100 * 8
    assert layer.total_cycles == -(-300 * 8 // 64)  # DRAM holds it up
    (serial,) = simulate(Workload(name="w", layers=(add,)), presets.BISMO_8X256X8).layers
    assert serial.counts.input_dram_read_bits == 200 * 2
    assert serial.counts.output_dram_write_bits == 100 * 3


def test_operands_too_wide_are_named():
    wide = replace(gemm(2, 2, 2), input=Operand(lo=-300, hi=300, elements=4), name="fat")
    with pytest.raises(ValueError, match=r"layer 'fat' on 'edge-16x16-os': 10-bit inputs, rule"):
        simulate(Workload(name="w", layers=(wide,)), presets.EDGE_16X16_OS)
    simulate(Workload(name="w", layers=(wide,)), presets.BISMO_8X256X8)


def test_bit_serial_clocks_follow_the_widths():
    def cycles(bits: int) -> int:
        x = Operand(lo=0, hi=2**bits - 1, elements=64 * 256)
        layer = replace(gemm(64, 256, 64), input=x)
        return simulate(Workload(name="w", layers=(layer,)), presets.BISMO_8X256X8).layers[
            0
        ].compute_cycles

    assert [cycles(bits) for bits in (1, 2, 8)] == [64 * 8, 64 * 16, 64 * 64]


def test_json_is_deterministic_and_complete():
    workload = hwsim.from_program(small_program())
    text = simulate(workload, presets.EDGE_16X16_OS).to_json()
    assert text == simulate(workload, presets.EDGE_16X16_OS).to_json()
    data = json.loads(text)
    assert data["total_cycles"] == sum(layer["total_cycles"] for layer in data["layers"])
    assert data["architecture"]["technology"] == "45nm-0.9V"
    for price in data["prices"]:
        assert price["source"]
        assert price["node_nm"] == 45 or price["name"].startswith("dram")


def test_csv_has_units_in_its_columns():
    report = simulate(hwsim.from_program(small_program()), presets.GEMMINI_16X16_WS)
    rows = list(csv.DictReader(io.StringIO(report.to_csv())))
    assert len(rows) == len(report.layers)
    plain = {"name", "kind", "groups", "m", "k", "n", "utilisation", "order", "macs",
             "pe_operations", "skipped_macs", "additions", "multiplications",
             "comparisons"}
    for column in set(rows[0]) - plain:
        assert column.endswith(("_cycles", "_bits", "_pj", "_words"))
    assert sum(int(row["total_cycles"]) for row in rows) == report.total_cycles


def test_table_is_aligned():
    lines = simulate(hwsim.read_topology(ALEXNET), presets.TPU_V1).to_table().splitlines()
    widths = {len(line) for line in lines[2:17] if not line.startswith("all")}
    assert len(widths) == 1
    assert "cyc" in lines[2]
    assert "nJ" in lines[2]


@pytest.mark.parametrize("format", ["png", "svg", "pdf"])
def test_plots_are_written_the_same_every_time(tmp_path, format):
    report = simulate(hwsim.from_program(small_program()), presets.EDGE_16X16_OS)
    for name in ("a", "b"):
        plot(report, tmp_path / name, format=format)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("preset", [presets.EDGE_16X16_OS, presets.BISMO_8X256X8])
def test_rooflines_are_written_the_same_every_time(tmp_path, preset):
    report = simulate(hwsim.from_program(small_program()), preset)
    if preset.pe == "popcount":  # no layer on the array: only the roof
        only = tuple(layer for layer in report.layers if layer.kind != "Gemm")
        report = replace(report, layers=only)
    for name in ("a", "b"):
        roofline(report, tmp_path / name, format="svg")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("preset", [presets.GEMMINI_16X16_WS, presets.SCALE_SIM_32X32_OS])
def test_names_on_a_roofline_cover_nothing(tmp_path, monkeypatch, preset):
    drawn = []
    monkeypatch.setattr("hwsim.plot._save", lambda figure, *_: drawn.append(figure))
    workload = hwsim.read_topology(ALEXNET.with_name("resnet50.csv"))
    roofline(simulate(workload, preset), tmp_path / "r.png")
    (axes,) = drawn[0].axes
    drawn[0].draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    assert len(boxes) > 4
    for a, b in itertools.combinations(boxes, 2):
        assert not a.overlaps(b)
    points = axes.transData.transform(axes.collections[0].get_offsets())
    assert sum(box.count_contains(points) for box in boxes) == 0


def test_plot_of_many_layers_and_of_one(tmp_path):
    layers = tuple(replace(gemm(2, 2, 2), name=f"layer{i}") for i in range(130))
    for count in (1, 130):
        report = simulate(Workload(name="w", layers=layers[:count]), presets.EDGE_16X16_OS)
        plot(report, tmp_path / "many.png")
        assert (tmp_path / "many.png").stat().st_size > 5000


def test_importing_is_light():
    code = (
        "import sys, hwsim; "
        "heavy = {'numba', 'scipy', 'matplotlib', 'hypothesis', 'refnet.autograd'}; "
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names():
    """The function: no module is called ``hwsim.simulate``, so nothing can take its place."""
    assert hwsim.simulate is simulate
    assert importlib.util.find_spec("hwsim.simulate") is None
    assert hwsim.Architecture is Architecture
    assert hwsim.Workload is Workload
    assert isinstance(hwsim.simulate(hwsim.read_topology(ALEXNET), presets.TPU_V1), hwsim.Report)


def counts_of(preset: Architecture, layer: Gemm) -> dict[str, int]:
    """Counts of a layer that are not zero."""
    report = simulate(Workload(name="w", layers=(layer,)), preset)
    return {name: number for name, number in report.counts.as_dict().items() if number}


def test_counts_by_hand():
    """A 3 x 2 by 2 x 4 product on 2 x 2 arrays, worked out on paper; outputs of 20 bits."""
    layer = replace(gemm(3, 2, 4), output=Operand(lo=0, hi=2**20 - 1, elements=12))
    memory_side = {
        "input_sram_write_bits": 6 * 8, "input_dram_read_bits": 6 * 8,
        "weight_sram_write_bits": 8 * 8, "weight_dram_read_bits": 8 * 8,
        "output_dram_write_bits": 12 * 32,
    }
    assert counts_of(replace(presets.EDGE_16X16_OS, rows=2, columns=2), layer) == {
        "macs": 24, "pe_operations": 24, "pe_idle_cycles": 4 * (2 + 2 * 2 + 2 - 2) * 4 - 24,
        "input_sram_read_bits": 2 * 6 * 8, "input_register_write_bits": 2 * 2 * 6 * 8,
        "weight_sram_read_bits": 2 * 8 * 8, "weight_register_write_bits": 2 * 2 * 8 * 8,
        # Row folds of 2 and 1: in each column one sum makes one move, then one makes one.
        "accumulator_move_bits": 4 * (1 + 1) * 32,
        "output_sram_write_bits": 12 * 32, "output_sram_read_bits": 12 * 32, **memory_side,
    }
    assert counts_of(replace(presets.GEMMINI_16X16_WS, rows=2, columns=2), layer) == {
        "macs": 24, "pe_operations": 24, "pe_idle_cycles": 2 * (3 + 2 * 2 + 2 - 2) * 4 - 24,
        "input_sram_read_bits": 2 * 6 * 8, "input_register_write_bits": 2 * 2 * 6 * 8,
        "weight_sram_read_bits": 8 * 8, "weight_register_write_bits": 4 * (1 + 2) * 8,
        "output_sram_write_bits": 12 * 32, "output_sram_read_bits": 12 * 32, **memory_side,
    }
    narrow = replace(
        layer, input=Operand(lo=0, hi=3, elements=6), weights=Operand(lo=-1, hi=1, elements=8)
    )
    assert counts_of(replace(presets.BISMO_8X256X8, rows=2, columns=2, depth=1), narrow) == {
        "macs": 24, "pe_operations": 24 * 4, "pe_idle_cycles": (2 * 2 * 2 * 4 + 3) * 4 - 24 * 4,
        "input_sram_read_bits": 2 * 6 * 4, "weight_sram_read_bits": 2 * 8 * 4,
        "output_sram_write_bits": 12 * 20, "output_sram_read_bits": 12 * 20,
        "input_sram_write_bits": 6 * 2, "input_dram_read_bits": 6 * 2,
        "weight_sram_write_bits": 8 * 2, "weight_dram_read_bits": 8 * 2,
        "output_dram_write_bits": 12 * 20,
    }


def test_energy_and_utilisation_of_popcount_units():
    """8 x 8 x 256 in 2 x 2 bits: four clocks of 64 units of 256 bits, all of them wanted."""
    bits = {"input": Operand(lo=0, hi=3, elements=8 * 256)}
    bits["weights"] = Operand(lo=-1, hi=1, elements=8 * 256)
    layer = replace(gemm(8, 256, 8), **bits)
    (report,) = simulate(Workload(name="w", layers=(layer,)), presets.BISMO_8X256X8).layers
    assert report.compute_cycles == 4
    assert report.utilisation == 4 / report.total_cycles
    # 64 lanes take 1.154 pJ, of which they share 44 %; four times as many share as much.
    unit_pj = 1.154 * (0.44 + 0.56 * 256 / 64) * (0.9 / 1.1) ** 2
    assert report.energy_by_component_pj["pe"] == pytest.approx(4 * 64 * unit_pj)
    assert report.energy_by_component_pj["registers"] == 0


def test_constants_of_a_program_cross_the_pins_once():
    workload = hwsim.from_program(small_program())
    report = simulate(workload, presets.EDGE_16X16_OS)
    for layer, result in zip(workload.layers, report.layers, strict=True):
        assert result.counts.parameter_dram_read_bits == layer.parameter_bits
    assert report.counts.parameter_dram_read_bits > 0


@pytest.mark.parametrize(
    ("preset", "first_bits", "last_bits"),
    [
        (presets.EDGE_16X16_OS, 8 + 8, 3 * 8),  # one word of X and one of W
        (presets.GEMMINI_16X16_WS, 3 * 8, 3 * 8),  # a row of weights
        (presets.BISMO_8X256X8, (5 + 3) * 7, 3 * 8),  # a slice of every row and column
    ],
    ids=["os", "ws", "bitserial"],
)
def test_only_the_edges_wait_for_a_slow_pin(preset, first_bits, last_bits):
    """Slow pins: all bits one after the other. Faster ones: two clocks before the array starts."""
    slow = replace(preset, dram=replace(preset.dram, bandwidth_bits_per_cycle=1))
    (layer,) = simulate(Workload(name="w", layers=(gemm(5, 7, 3),)), slow).layers
    array = layer.compute_cycles + layer.fill_drain_cycles
    between = layer.counts.dram_bits - first_bits - last_bits
    assert layer.total_cycles == first_bits + max(array, between) + last_bits
    # One bit short of taking the first words in one clock.
    fast = replace(preset, dram=replace(preset.dram, bandwidth_bits_per_cycle=first_bits - 1))
    wide = replace(fast, input=replace(fast.input, bandwidth_bits_per_cycle=10**6))
    (layer,) = simulate(Workload(name="w", layers=(gemm(5, 7, 3),)), wide).layers
    array = layer.compute_cycles + layer.fill_drain_cycles
    between = layer.counts.dram_bits - first_bits - last_bits
    rate = first_bits - 1
    ports = max(-(-layer.counts.weight_sram_read_bits // wide.weights.bandwidth_bits_per_cycle),
                -(-layer.counts.weight_sram_write_bits // wide.weights.bandwidth_bits_per_cycle))
    overlapped = max(array, -(-between // rate), ports)
    assert layer.total_cycles == 2 + overlapped + -(-last_bits // rate)
