"""Workloads from programs and from topology files."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hwsim
from hwsim.layers import Gemm, Operand, Vector, Window, Workload
from hwsim.topology import read_topology
from hwsim.workload import from_program, load
from refnet.program import (
    INT8,
    SINT8,
    TERNARY,
    UINT2,
    UINT8,
    Add,
    Conv,
    MaxPool,
    Node,
    Program,
    Requantize,
    Reshape,
    SumPool,
    TensorType,
    Threshold,
    constant,
    run,
    save,
)

ALEXNET = Path(__file__).parents[1] / "benchmarks" / "topologies" / "alexnet.csv"


def small_program() -> Program:
    """Every operator; a fused and an unfused threshold; groups, stride, padding, bias."""
    rng = np.random.default_rng(7)

    def integers(lo, hi, *shape):
        return rng.integers(lo, hi + 1, size=shape)

    ladder = np.sort(integers(-300, 300, 8, 3), axis=1)
    ones = constant(np.ones(8, dtype=np.int64))
    return Program(
        name="small", input="x", input_type=TensorType(type=UINT8, shape=(2, 9, 7)),
        constants={
            "c1.w": constant(integers(-127, 127, 8, 2, 3, 3), SINT8),
            "c1.b": constant(integers(-99, 99, 8), INT8),
            "t": constant(ladder), "s": ones,
            "c2.w": constant(integers(-1, 1, 8, 4, 3, 3), TERNARY),
            "fc.w": constant(integers(-1, 1, 5, 8, 1, 1), TERNARY),
            "mult": constant(integers(1, 9, 5)), "shift": constant(integers(1, 3, 5)),
        },
        nodes=(
            Node(name="c1", op=Conv(padding=1, stride=(2, 1)), inputs=("x", "c1.w", "c1.b")),
            Node(name="a1", op=Threshold(), inputs=("c1", "t", "s")),
            Node(name="c2", op=Conv(padding=1, groups=2), inputs=("a1", "c2.w")),
            Node(name="a2", op=Threshold(), inputs=("c2", "t", "s")),
            Node(name="sum", op=Add(), inputs=("a2", "c2")),
            Node(name="a3", op=Threshold(), inputs=("sum", "t", "s")),
            Node(name="max", op=MaxPool(kernel=2, stride=2), inputs=("a3",)),
            Node(name="mean", op=SumPool(kernel=(2, 3), stride=1), inputs=("max",)),
            Node(name="flat", op=Reshape(shape=(8, 1, 1)), inputs=("mean",)),
            Node(name="fc", op=Conv(), inputs=("flat", "fc.w")),
            Node(name="y", op=Requantize(type=INT8, rounding="half_even"),
                 inputs=("fc", "mult", "shift")),
        ),
        output="y",
    )


def test_convolutions_become_products():
    layers = {layer.name: layer for layer in from_program(small_program(), batch=3).layers}
    c1, c2, fc = layers["c1"], layers["c2"], layers["fc"]
    assert isinstance(c1, Gemm)
    assert (c1.groups, c1.m, c1.k, c1.n) == (1, 3 * 5 * 7, 18, 8)
    assert (c1.input.elements, c1.weights.elements, c1.output.elements) == (378, 144, 840)
    assert (c1.input.bits, c1.weights.bits, c1.output.bits) == (8, 8, 2)  # the fused codes
    assert (c1.additions, c1.parameter_bits) == (840, 8 * 8)
    assert c1.accumulator_bits == small_program().types["c1"].type.bits
    assert c1.window == Window(
        batch=3, channels=2, height=9, width=7, kernel=(3, 3), stride=(2, 1),
        padding=((1, 1), (1, 1)), output=(5, 7),
    )
    assert (c2.groups, c2.m, c2.k, c2.n) == (2, 105, 36, 4)
    assert c2.output.bits == c2.accumulator_bits  # two readers: the sums themselves are written
    assert (fc.m, fc.k, fc.n, fc.output.bits) == (3, 8, 5, 8)
    assert [layer.name for layer in layers.values() if getattr(layer, "fused", False)] == [
        "a1", "flat", "y",
    ]


def test_all_work_is_carried():
    program = small_program()
    for batch in (1, 4):
        layers = from_program(program, batch=batch).layers
        work = program.work()
        assert len(layers) == len(program.nodes)
        assert sum(la.macs for la in layers if isinstance(la, Gemm)) == batch * work.macs
        assert sum(la.additions for la in layers) == batch * work.additions
        vectors = [la for la in layers if isinstance(la, Vector)]
        assert sum(la.multiplications for la in vectors) == batch * work.multiplications
        assert sum(la.comparisons for la in vectors) == batch * work.comparisons
        constants = sum(c.array.size * c.type.bits for n, c in program.constants.items())
        weights = sum(la.weights.elements * la.weights.bits for la in layers
                      if isinstance(la, Gemm))
        shared = 2 * sum(program.constants[n].array.size * program.constants[n].type.bits
                         for n in ("t", "s"))  # read by three thresholds
        assert sum(la.parameter_bits for la in layers) == constants - weights + shared


def test_zeros_of_weights_are_known_and_of_activations_with_a_trace():
    program = small_program()
    blind = {layer.name: layer for layer in from_program(program).layers}
    weights = program.constants["c2.w"].array
    assert blind["c2"].weights.zeros == int((weights == 0).sum())
    assert blind["c2"].input.zeros is None
    x = np.random.default_rng(1).integers(0, 256, size=(2, 2, 9, 7))
    _, trace = run(program, x, trace=True)
    seen = {layer.name: layer for layer in from_program(program, trace=trace).layers}
    assert seen["c2"].m == 2 * blind["c2"].m
    assert seen["c2"].input.zeros == int((trace["a1"] == 0).sum())
    assert np.array_equal(seen["c2"].input.codes, trace["a1"])
    assert seen["sum"].inputs[1].zeros == int((trace["c2"] == 0).sum())


def test_fused_chain_of_two():
    w = constant(np.ones((1, 1, 1, 1), dtype=np.int64))
    one, two = constant(np.array([1])), constant(np.array([2]))
    program = Program(
        name="chain", input="x", input_type=TensorType(type=UINT2, shape=(1, 4, 4)),
        constants={"w": w, "mult": two, "shift": one, "t": constant(np.array([[1]])), "s": one},
        nodes=(
            Node(name="c", op=Conv(), inputs=("x", "w")),
            Node(name="r", op=Requantize(type=INT8, rounding="half_up"),
                 inputs=("c", "mult", "shift")),
            Node(name="q", op=Threshold(), inputs=("r", "t", "s")),
        ),
        output="q",
    )
    c, r, q = from_program(program).layers
    assert isinstance(r, Vector)
    assert isinstance(q, Vector)
    assert (r.fused, q.fused, c.output.bits) == (True, True, 1)


@pytest.mark.parametrize("batch", [0, -1, 1.5, True, "2"])
def test_batch_is_checked(batch):
    with pytest.raises(ValueError, match=r"from_program: batch=.*rule an integer >= 1"):
        from_program(small_program(), batch=batch)


def test_load_tells_programs_from_topologies(tmp_path):
    save(small_program(), tmp_path / "p.prog")
    assert load(tmp_path / "p.prog") == from_program(small_program())
    assert load(ALEXNET) == read_topology(ALEXNET)
    with pytest.raises(ValueError, match=r"p\.prog: a program, topology 'gemm' given"):
        load(tmp_path / "p.prog", kind="gemm")


def test_alexnet_has_the_published_size():
    workload = hwsim.read_topology(ALEXNET)
    macs = {layer.name: layer.macs for layer in workload.layers}
    assert macs["Conv1"] == 55 * 55 * 96 * 363
    convolutions = sum(n for name, n in macs.items() if name.startswith("Conv"))
    assert convolutions == 665_784_864
    assert workload.macs - convolutions == 58_621_952
    weights = sum(layer.weights.elements for layer in workload.layers)
    assert weights == 60_954_656  # 60.97 million parameters less the biases


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


CONV_HEADER = "Layer, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, F, Stride,"


def test_output_size_is_the_ceiling(tmp_path):
    path = write(
        tmp_path / "net.csv", CONV_HEADER, "a,224,224,11,11,3,96,4,", "", "b,224,224,7,7,3,64,2,"
    )
    a, b = read_topology(path).layers
    assert a.window.output == (55, 55)  # the floor gives 54
    assert b.window.output == (110, 110)  # the floor gives 109


def test_dp_in_the_name_is_depthwise(tmp_path):
    path = write(tmp_path / "net.csv", CONV_HEADER, "Conv2_DP , 10,10,3,3, 32,2,1,")
    (layer,) = read_topology(path).layers
    assert (layer.name, layer.groups, layer.m, layer.k, layer.n) == ("Conv2_DP", 32, 64, 9, 2)
    assert layer.weights.elements == 32 * 9 * 2


def test_gemm_topology(tmp_path):
    path = write(tmp_path / "net.csv", "Layer, M, N, K,", "qk, 100, 20, 64,")
    (layer,) = read_topology(path, kind="gemm").layers
    assert (layer.m, layer.n, layer.k, layer.groups) == (100, 20, 64, 1)
    assert (layer.input.elements, layer.weights.elements, layer.output.elements) == (
        6400, 1280, 2000,
    )


MALFORMED = [
    ("conv", "a,1,1,1,1,1,1,1", "line ends in '1'"),
    ("conv", "a,1,1,1,1,1,1,", "7 fields"),
    ("conv", "a,1,1,1,1,1,1,1,1,", "9 fields"),
    ("conv", "a,8,8,1,1,1,1,1,2:4,", "sparsity '2:4'"),
    ("conv", "a,8,8,1,1,one,1,1,", "channels 'one'"),
    ("conv", "a,8,8,1,1,0,1,1,", "channels '0'"),
    ("conv", "a,8,8,1,1,-3,1,1,", "channels '-3'"),
    ("conv", "a,8,8,1,1,1.5,1,1,", "channels '1.5'"),
    ("conv", "a,8,8,1,1,1,1,\u0662,", "stride '\u0662'"),
    ("conv", "a,8,8,1,1,1,1," + "9" * 5000 + ",", "stride '999"),
    ("conv", "a,2,8,3,3,1,1,1,", "kernel 3x3 on a map of 2x8"),
    ("conv", ",8,8,1,1,1,1,1,", "empty layer name"),
    ("conv", ",,,,,,,,", "empty layer name"),
    ("gemm", "a,1,1,", "3 fields"),
    ("gemm", "a,1,1,1,2:4,", "sparsity '2:4'"),
    ("gemm", "a,1,1,1,7,", "5 fields"),
]


@pytest.mark.parametrize(("kind", "line", "seen"), MALFORMED)
def test_malformed_lines_are_named(tmp_path, kind, line, seen):
    path = write(tmp_path / "net.csv", "header,", "", line)
    with pytest.raises(ValueError, match="rule") as caught:
        read_topology(path, kind=kind)
    message = str(caught.value)
    assert message.startswith(f"{path}:3: ")
    assert seen in message
    assert "\n" not in message


def test_malformed_files(tmp_path):
    with pytest.raises(ValueError, match="no layers"):
        read_topology(write(tmp_path / "a.csv", CONV_HEADER))
    with pytest.raises(ValueError, match="no layers"):
        read_topology(write(tmp_path / "b.csv"))
    with pytest.raises(ValueError, match="'x' appears twice"):
        read_topology(write(tmp_path / "c.csv", "M,", "x,1,1,1,", "x,1,1,1,"), kind="gemm")
    (tmp_path / "d.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not a text file"):
        read_topology(tmp_path / "d.csv")
    with pytest.raises(ValueError, match="topology kind 'lstm'"):
        read_topology(tmp_path / "a.csv", kind="lstm")
    with pytest.raises(FileNotFoundError):
        read_topology(tmp_path / "missing.csv")


@given(st.text(max_size=60), st.sampled_from(["conv", "gemm"]))
def test_any_text_gives_layers_or_a_value_error(tmp_path_factory, text, kind):
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    path.write_text("header\n" + text, encoding="utf-8", errors="replace")
    message = ""
    try:
        read_topology(path, kind=kind)
    except ValueError as error:
        message = str(error)
    assert not message or message.startswith(f"{path}:")


def operand(elements: int, **more) -> Operand:
    return Operand(lo=0, hi=1, elements=elements, **more)


def test_records_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match=r"Operand: range \[2, 1\], rule lo <= hi"):
        Operand(lo=2, hi=1, elements=1)
    with pytest.raises(ValueError, match="zeros=3, rule 0 to 2"):
        operand(2, zeros=3)
    with pytest.raises(ValueError, match="3 codes, 2 elements"):
        operand(2, codes=np.zeros(3, dtype=int))
    with pytest.raises(ValueError, match="zeros=1, the codes hold 2"):
        operand(2, zeros=1, codes=np.zeros(2, dtype=int))
    good = {"name": "g", "m": 2, "k": 3, "n": 4}
    with pytest.raises(ValueError, match="Gemm 'g': 11 weights, rule groups"):
        Gemm(**good, input=operand(6), weights=operand(11), output=operand(8))
    with pytest.raises(ValueError, match="Gemm 'g': 9 outputs, rule groups"):
        Gemm(**good, input=operand(6), weights=operand(12), output=operand(9))
    with pytest.raises(ValueError, match="Gemm 'g': 7 inputs, rule 6 by its window"):
        Gemm(**good, input=operand(7), weights=operand(12), output=operand(8))
    with pytest.raises(ValueError, match=r"\(m, k\) = \(2, 3\), its window gives \(2, 4\)"):
        Gemm(**good, input=operand(8), weights=operand(12), output=operand(8),
             window=Window(channels=4, height=2, width=1, output=(2, 1)))
    with pytest.raises(ValueError, match="Vector 'v': no inputs"):
        Vector(name="v", kind="Add", inputs=(), output=operand(1))
    with pytest.raises(ValueError, match="Workload 'w': no layers"):
        Workload(name="w", layers=())


@pytest.mark.parametrize(
    ("lo", "hi", "bits"),
    [(0, 0, 1), (0, 1, 1), (0, 255, 8), (-1, 0, 1), (-1, 1, 2), (-2, 1, 2), (-127, 127, 8),
     (-128, 127, 8), (-129, 0, 9), (-5, -3, 4), (0, 256, 9)],
)
def test_operand_bits(lo, hi, bits):
    assert Operand(lo=lo, hi=hi, elements=1).bits == bits
