"""Workloads from programs, and the records they are made of."""

import numpy as np
import pytest
from hwsim_cases import ALEXNET, small_program

from hwsim.layers import Gemm, Operand, Vector, Window, Workload
from hwsim.topology import read_topology
from hwsim.workload import from_program, load
from refnet.program import (
    INT8,
    UINT2,
    Conv,
    Node,
    Program,
    Requantize,
    TensorType,
    Threshold,
    constant,
    run,
    save,
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


def test_layers_name_the_layers_they_read():
    reads = {layer.name: layer.reads for layer in from_program(small_program()).layers}
    assert reads["c1"] == ()  # the image
    assert reads["c2"] == ("c1",)  # through its fused threshold
    assert reads["sum"] == ("a2", "c2")
    assert reads["fc"] == ("mean",)  # through a reshape
