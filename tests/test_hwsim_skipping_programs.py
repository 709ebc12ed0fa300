"""Zero skipping of compiled programs: every layer through the stepped machine, and the commands."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hwsim_cases import TOML, small_program

from hwsim import presets, simulate, stepped_skipping
from hwsim.architecture import Architecture
from hwsim.batch import evaluate
from hwsim.cli import main
from hwsim.layers import Gemm, Operand, Workload
from hwsim.mapping import problem
from hwsim.skipping import activity, skipped
from hwsim.stepped_parts import plain_product
from hwsim.unfold import unfolded_inputs, unfolded_weights
from hwsim.workload import from_program
from refnet.program import (
    TERNARY,
    UINT2,
    Conv,
    MaxPool,
    Node,
    Program,
    TensorType,
    Threshold,
    constant,
    run,
    save,
)

SKIPS = ("weights", "inputs", "both")
LANES = TOML.replace('pe = "int8"', 'pe = "int8-dot"').replace('"ws"', '"lanes"').replace(
    "[input]", 'depth = 4\nskip = "both"\nreach = 3\n[input]', 1)


@pytest.fixture
def lanes(tmp_path) -> Architecture:
    path = tmp_path / "lanes.toml"
    path.write_text(LANES)
    return Architecture.from_toml(path)


def spread_program() -> Program:
    """A dilated, strided, unevenly padded convolution in three groups."""
    rng = np.random.default_rng(2)
    return Program(
        name="spread", input="x", input_type=TensorType(type=UINT2, shape=(3, 8, 7)),
        constants={"w": constant(rng.integers(-1, 2, size=(6, 1, 3, 2)), TERNARY)},
        nodes=(Node(name="c", inputs=("x", "w"), op=Conv(
            groups=3, dilation=(2, 3), stride=(1, 2), padding=((2, 1), (0, 3)))),),
        output="c",
    )


def traced(program: Program, images: int) -> tuple[Workload, dict[str, np.ndarray]]:
    """A program on random codes, half of them zero."""
    rng = np.random.default_rng(images)
    kind = program.input_type
    x = rng.integers(kind.type.lo, kind.type.hi + 1, size=(images, *kind.shape))
    x *= rng.integers(0, 2, size=x.shape)
    trace = run(program, x.astype(kind.type.dtype), trace=True)[1]
    return from_program(program, trace=trace), trace


@pytest.mark.parametrize("program", [small_program(), spread_program()], ids=lambda p: p.name)
def test_the_unfolded_product_is_the_convolution(program):
    workload, trace = traced(program, 2)
    for layer in workload.layers:
        if not isinstance(layer, Gemm):
            continue
        X, W = (M.astype(np.int64) for M in (unfolded_inputs(layer), unfolded_weights(layer)))
        op = next(node for node in program.nodes if node.name == layer.name)
        bias = program.constants[op.inputs[2]].array if len(op.inputs) > 2 else 0
        N, F, P, Q = trace[layer.name].shape
        products = (X @ W).reshape(layer.groups, N, P, Q, F // layer.groups)
        acc = products.transpose(1, 0, 4, 2, 3).reshape(N, F, P, Q)
        assert (acc + np.reshape(bias, (1, -1, 1, 1)) == trace[layer.name]).all()


@pytest.mark.parametrize("skip", SKIPS)
@pytest.mark.parametrize("program", [small_program(), spread_program()], ids=lambda p: p.name)
def test_a_program_is_the_stepped_machine(program, skip, lanes):
    """All groups of every product: products, clocks, counts and bits of the lists."""
    lanes = replace(lanes, skip=skip, rows=3, columns=2)
    workload, _ = traced(program, 1)
    for layer in workload.layers:
        if not isinstance(layer, Gemm):
            continue
        p = problem(layer, lanes)
        found = skipped(layer, p, lanes.array)
        assert found.basis == "codes"
        X, W = unfolded_inputs(layer).tolist(), unfolded_weights(layer).tolist()
        ternary = layer.weights.lo == -1 and layer.weights.hi == 1
        activities, products, bits = [], 0, 0
        for g in range(layer.groups):
            values, seen, machine = stepped_skipping.skipping(
                X[g], W[g], replace(p, groups=1), lanes.array, value_bits=1 if ternary else 8)
            assert values == plain_product(X[g], W[g])
            activities.append(seen)
            products, bits = products + machine.products, bits + machine.stream_bits
        got = activity(p, lanes.array, found)
        assert (found.products, found.weight_bits) == (products, bits)
        assert got.compute_cycles == sum(a.compute_cycles for a in activities)
        assert got.cycles == sum(a.cycles for a in activities)
        counts = sum((a.counts for a in activities[1:]), start=activities[0].counts)
        assert replace(got.counts, skipped_macs=0) == counts


def test_the_report_says_what_zeros_save(lanes):
    workload, _ = traced(small_program(), 2)
    report = simulate(workload, lanes)
    dense = simulate(workload, replace(lanes, skip="none", reach=1))
    for layer, plain in zip(report.layers, dense.layers, strict=True):
        assert plain.skipping is None
        if layer.kind != "Gemm":
            assert layer.skipping is None
            continue
        found = layer.skipping
        assert found.dense_cycles == plain.compute_cycles
        assert layer.compute_cycles == found.compute_cycles <= plain.compute_cycles
        assert layer.fill_drain_cycles == plain.fill_drain_cycles + layer.groups
        assert layer.counts.macs == plain.counts.macs
        assert layer.counts.skipped_macs == layer.counts.macs - found.products > 0
        assert 0 < layer.utilisation <= 1
        # The weights fit: one pass of the lists, in whole bits for each of the groups.
        lists = -(-found.weight_bits // layer.groups) * layer.groups
        assert layer.counts.weight_dram_read_bits == lists
    data = report.as_dict()
    assert data["layers"][0]["skipping"]["basis"] == "codes"
    assert "skipping" not in dense.as_dict()["layers"][0]
    assert "c2: " in report.to_table()
    assert "of the products made (from codes)" in report.to_table()
    assert report.to_csv().count("\n") == 1 + len(report.layers)
    # Without a trace, inputs are not known: both falls back to the zeros of the weights.
    (first, *_) = simulate(from_program(small_program()), lanes).layers
    assert first.skipping.basis == "counts"


def test_the_commands(tmp_path, capsys):
    program = small_program()
    save(program, tmp_path / "p.refnet")
    (tmp_path / "lanes.toml").write_text(LANES)
    x = np.random.default_rng(4).integers(0, 9, size=(2, 2, 9, 7)).astype(np.uint8)
    np.save(tmp_path / "x.npy", x)
    base = ["simulate", str(tmp_path / "p.refnet"), "--arch", str(tmp_path / "lanes.toml")]
    assert main([*base, "--json", "--codes", str(tmp_path / "x.npy")]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["architecture"]["skip"] == "both"
    workload = from_program(program, trace=run(program, x, trace=True)[1])
    report = simulate(workload, Architecture.from_toml(tmp_path / "lanes.toml"))
    assert data == json.loads(report.to_json())
    assert [la["skipping"]["basis"] for la in data["layers"] if "skipping" in la] == ["codes"] * 3


def test_codes_that_do_not_fit_get_one_line(tmp_path, capsys):
    save(small_program(), tmp_path / "p.refnet")
    (tmp_path / "g.csv").write_text("Layer,M,N,K,\nqk,100,20,64,\n")
    np.save(tmp_path / "wide.npy", np.zeros((1, 2, 9, 8), dtype=np.uint8))
    np.save(tmp_path / "none.npy", np.zeros((0, 2, 9, 7), dtype=np.uint8))
    np.save(tmp_path / "object.npy", np.array([{}], dtype=object))
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "empty.npy").write_text("")
    cases = [("p.refnet", "wide.npy", "wide.npy: "), ("p.refnet", "none.npy", "one image or more"),
             ("p.refnet", "object.npy", "object.npy: "), ("p.refnet", "text.npy", "text.npy: "),
             ("p.refnet", "empty.npy", "empty.npy: "), ("p.refnet", "no.npy", "No such file"),
             ("g.csv", "wide.npy", "a topology, codes given; rule a program")]
    for workload, codes, seen in cases:
        arguments = ["simulate", str(tmp_path / workload), "--arch", "edge-16x16-os",
                     "--codes", str(tmp_path / codes)]
        assert main(arguments) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert seen in err


def test_the_architecture_of_the_benchmarks():
    path = Path(__file__).parents[1] / "benchmarks" / "architectures" / "skip-8x8x16.toml"
    array = Architecture.from_toml(path).array
    assert (array.rows, array.columns, array.depth, array.skip) == (8, 8, 16, "both")


def test_machines_that_cannot_skip_are_refused(lanes):
    with pytest.raises(ValueError, match="skip='weights', rule 'none' on 'os'"):
        replace(presets.EDGE_16X16_OS, skip="weights")
    with pytest.raises(ValueError, match="skip='both', rule 'none' on PE stripes"):
        replace(lanes, pe="stripes")
    with pytest.raises(ValueError, match="reach=3, rule 1 without skip"):
        replace(lanes, skip="none")
    with pytest.raises(ValueError, match="skip='all', rule 'none' or"):
        replace(lanes, skip="all")
    with pytest.raises(ValueError, match="needs lanes PEs, 'int8' is mac"):
        replace(lanes, pe="int8")
    assert "4 lanes" in lanes.size
    assert lanes.described.endswith("skip both, reach 3")
    operand = Operand(lo=0, hi=1, elements=1)
    layer = Gemm(name="g", m=1, k=1, n=1, input=operand, weights=operand, output=operand)
    with pytest.raises(ValueError, match="'mine' has skip='both', rule 'none'"):
        evaluate([layer], [lanes])


def test_the_benchmark_takes_several_programs(tmp_path):
    """Layers of every program are in the result; a program without its codes is refused."""
    script = Path(__file__).parents[1] / "benchmarks" / "zero_skipping.py"
    rng = np.random.default_rng(5)
    files = []
    for name in ("one", "two"):
        # A single group: the benchmark runs each product as a whole.
        program = Program(
            name=name, input="x", input_type=TensorType(type=UINT2, shape=(3, 5, 4)),
            constants={"w": constant(rng.integers(-1, 2, size=(6, 3, 3, 2)), TERNARY)},
            nodes=(Node(name="c", inputs=("x", "w"), op=Conv()),), output="c",
        )
        save(program, tmp_path / f"{name}.refnet")
        np.save(tmp_path / f"{name}.npy", rng.integers(0, 4, size=(1, 3, 5, 4)).astype(np.uint8))
        files += [str(tmp_path / f"{name}.refnet"), str(tmp_path / f"{name}.npy")]

    def start(arguments):
        return subprocess.run([sys.executable, str(script), *arguments], capture_output=True,
                              text=True)

    written = tmp_path / "found.json"
    done = start([*files, "--reach", "2", "--slice", "2", "2", "--json", str(written)])
    assert done.returncode == 0, done.stderr
    found = json.loads(written.read_text())["programs"]
    assert [one["program"] for one in found] == ["one", "two"]
    assert [len(one["layers"]) for one in found] == [3, 3]
    done = start(files[:3])
    assert done.returncode == 2
    assert done.stderr == "zero_skipping: 3 files, rule a CODES.npy after each PROGRAM\n"


def vgg_like(rng: np.random.Generator) -> Program:
    """Six ternary convolutions of 32, 64 and 128 filters with 2-bit codes between, CIFAR's maps."""
    constants, nodes, source, channels = {}, [], "x", 3
    for i, filters in enumerate((32, 32, 64, 64, 128, 128)):
        names = {part: f"c{i}.{part}" for part in ("w", "t", "s")}
        size = filters, channels, 3, 3
        constants[names["w"]] = constant(rng.choice((-1, 0, 1), size=size, p=(0.3, 0.4, 0.3)),
                                         TERNARY)
        spread = round(1.5 * (9 * channels) ** 0.5)
        constants[names["t"]] = constant(np.sort(rng.integers(-spread, spread + 1,
                                                              size=(filters, 3)), axis=1))
        constants[names["s"]] = constant(np.ones(filters, dtype=np.int64))
        nodes += [Node(name=f"c{i}", inputs=(source, names["w"]), op=Conv(padding=1)),
                  Node(name=f"a{i}", inputs=(f"c{i}", names["t"], names["s"]), op=Threshold())]
        source, channels = f"a{i}", filters
        if i % 2:
            nodes.append(Node(name=f"p{i}", inputs=(source,), op=MaxPool(kernel=2, stride=2)))
            source = f"p{i}"
    return Program(name="vgg", input="x", input_type=TensorType(type=UINT2, shape=(3, 32, 32)),
                   constants=constants, nodes=tuple(nodes), output=source)


def test_a_deep_program_is_exact_and_a_slice_of_each_layer_is_stepped(tmp_path):
    rng = np.random.default_rng(6)
    save(vgg_like(rng), tmp_path / "vgg.refnet")
    np.save(tmp_path / "x.npy", rng.integers(0, 4, size=(1, 3, 32, 32)).astype(np.uint8))
    script = Path(__file__).parents[1] / "benchmarks" / "zero_skipping.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "vgg.refnet"), str(tmp_path / "x.npy"),
         "--reach", "8", "--slice", "5", "9", "--json", str(tmp_path / "found.json")],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads((tmp_path / "found.json").read_text())["programs"]
    layers = found["layers"]
    sizes = [(1024, 27, 32), (1024, 288, 32), (256, 288, 64), (256, 576, 64), (64, 576, 128),
             (64, 1152, 128)]
    assert [(x["m"], x["k"], x["n"]) for x in layers[::3]] == sizes
    assert [x["skip"] for x in layers] == list(SKIPS) * 6
    assert {x["basis"] for x in layers} == {"codes"}
    for one in layers:
        macs = one["m"] * one["k"] * one["n"]
        assert 0 < one["products"] < macs
        assert one["balanced_cycles"] <= one["compute_cycles"] <= one["dense_cycles"]
        assert one["slice_cycles_stepped"] > 0
