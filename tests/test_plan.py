"""Whole programs: reference, hook and plan give the same integers and the same errors."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest
from conftest import NO_JIT
from hypothesis import given
from hypothesis import strategies as st

from refnet import kernels
from refnet.kernels.plan import CHUNK_IMAGES
from refnet.kernels.tiers import Tier, runnable
from refnet.laws.arrays import arrays_of, filled, int_types
from refnet.program import (
    INT8,
    SINT8,
    TERNARY,
    UINT8,
    Add,
    Constant,
    Conv,
    IntType,
    MaxPool,
    Node,
    Op,
    Program,
    ProgramError,
    Requantize,
    Reshape,
    SumPool,
    TensorType,
    Threshold,
    constant,
    run,
)

MANY = 2 * CHUNK_IMAGES + 3


@dataclass
class Builder:
    """Nodes one after the other, constants named after the node they belong to."""

    types: dict[str, TensorType]
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Constant] = field(default_factory=dict)

    def add(self, name: str, op: Op, *inputs: str, **constants: Constant) -> TensorType:
        self.constants.update({f"{name}.{k}": v for k, v in constants.items()})
        names = (*inputs, *(f"{name}.{k}" for k in constants))
        self.nodes.append(Node(name=name, op=op, inputs=names))
        self.types[name] = op.infer(*(self.types.get(n) or self.constants[n] for n in names))
        return self.types[name]

    def program(self) -> Program:
        source = next(iter(self.types))
        return Program(
            name="chain", input=source, input_type=self.types[source], nodes=tuple(self.nodes),
            constants=self.constants, output=self.nodes[-1].name,
        )


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """conv - threshold - max pool - conv - requantize - add of the pool - sum pool - reshape."""
    size, C, F = draw(st.integers(4, 7)), draw(st.integers(1, 3)), draw(st.sampled_from([2, 9, 33]))
    x = TensorType(type=draw(int_types(limit=255)), shape=(C, size, size))

    def array(kind: IntType, *shape: int) -> Constant:
        return Constant(type=kind, array=draw(arrays_of(kind, shape)))

    chain = Builder(types={"x": x})
    acc = chain.add("c1", Conv(padding=1), "x", w=array(INT8, F, C, 3, 3), b=array(INT8, F))
    t = array(acc.type, F, draw(st.sampled_from([1, 3, 4, 15]))).array
    sign = np.where(array(TERNARY, F).array < 0, -1, 1)
    chain.add("t1", Threshold(), "c1", t=constant(np.sort(t, axis=1)), sign=constant(sign))
    chain.add("p1", MaxPool(kernel=2, stride=2, padding=draw(st.integers(0, 1))), "t1")
    groups = draw(st.sampled_from([1, F]))
    chain.add("c2", Conv(padding=1, groups=groups), "p1", w=array(TERNARY, F, F // groups, 3, 3))
    rounding = draw(st.sampled_from(["half_even", "half_up", "half_away"]))
    chain.add("r2", Requantize(type=SINT8, rounding=rounding), "c2",
              mult=array(IntType(lo=-99, hi=99), F), shift=array(IntType(lo=0, hi=8), F))
    rows, columns = chain.add("a2", Add(), "r2", "p1").shape[1:]
    chain.add("s2", SumPool(kernel=(rows, columns), stride=1), "a2")
    chain.add("v", Reshape(shape=(F,)), "s2")
    return chain.program()


def cut(program: Program, output: str) -> Program:
    """The program that ends at ``output``, with what leads to it only."""
    needed, kept = {output}, []
    for node in reversed(program.nodes):
        if node.name in needed:
            kept.append(node)
            needed.update(node.inputs)
    return Program(
        name=program.name, input=program.input, input_type=program.input_type,
        nodes=tuple(reversed(kept)), output=output,
        constants={k: v for k, v in program.constants.items() if k in needed},
    )


@given(programs(), st.sampled_from([0, 1, 3] if NO_JIT else [0, 1, 3, MANY]), st.data())
def test_chains_agree_on_every_value(program, images, data):
    x = data.draw(arrays_of(program.input_type.type, (images, *program.input_type.shape)))
    want, trace = run(program, x, trace=True)
    got, twin = run(program, x, execute=kernels.execute, trace=True)
    for name, value in trace.items():
        assert twin[name].dtype == value.dtype
        np.testing.assert_array_equal(twin[name], value, strict=True, err_msg=name)
    np.testing.assert_array_equal(got, want, strict=True)
    for threads, tier in [*((1, tier) for tier in runnable()), (2, None)]:
        y = kernels.compile(program, threads=threads, tier=tier)(x)
        np.testing.assert_array_equal(y, want, strict=True)


@given(programs(), st.data())
def test_plans_agree_on_every_value(program, data):
    x = data.draw(arrays_of(program.input_type.type, (2, *program.input_type.shape)))
    for name, value in run(program, x, trace=True)[1].items():
        y = kernels.compile(cut(program, name))(x)
        np.testing.assert_array_equal(y, value, strict=True, err_msg=name)


def example(filters: int = 8) -> Program:
    """A convolution whose value is used twice, so that its life outlasts one stage."""
    rng = np.random.default_rng(5)
    chain = Builder(types={"x": TensorType(type=UINT8, shape=(2, 6, 6))})
    w = Constant(type=TERNARY, array=filled(rng, TERNARY, (filters, 2, 3, 3), "uniform"))
    chain.add("c", Conv(padding=1), "x", w=w)
    chain.add("m", MaxPool(kernel=3, stride=1, padding=1), "c")
    chain.add("s", Add(), "m", "c")
    chain.add("d", Add(), "s", "s")
    return chain.program()


def images(program: Program, count: int) -> np.ndarray:
    shape = (count, *program.input_type.shape)
    return filled(np.random.default_rng(6), program.input_type.type, shape, "uniform")


def test_threads_may_share_a_plan():
    program = example()
    x = images(program, 4 if NO_JIT else MANY)
    plan, want = kernels.compile(program, threads=2), run(program, x)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(plan, [x] * 8))
    for got in results:
        np.testing.assert_array_equal(got, want, strict=True)


def test_chunks_meet_at_every_remainder():
    program = example(filters=1)
    x = images(program, CHUNK_IMAGES + 1)
    want = run(program, x)
    plan = kernels.compile(program, threads=3)
    for count in (1, CHUNK_IMAGES - 1, CHUNK_IMAGES, CHUNK_IMAGES + 1):
        np.testing.assert_array_equal(plan(x[:count]), want[:count], strict=True)


def test_input_of_any_layout_is_left_alone():
    program = example(filters=2)
    x = images(program, 2)
    want = run(program, x)
    for given_x in (np.asfortranarray(x), x.astype(">i4"), np.repeat(x, 2, axis=3)[..., ::2]):
        before = given_x.copy()
        np.testing.assert_array_equal(kernels.compile(program)(given_x), want, strict=True)
        np.testing.assert_array_equal(given_x, before)


@pytest.mark.skipif(NO_JIT, reason="counts what the compiler made")
def test_layouts_are_not_compiled_for_one_by_one():
    chain = Builder(types={"x": TensorType(type=UINT8, shape=(2, 6, 6))})
    chain.add("m", MaxPool(kernel=3, stride=1), "x")
    plan = kernels.compile(chain.program())
    x = images(plan.program, 3)
    plan(x)
    made = len(kernels.pooling._max_pool.signatures)
    plan(np.asfortranarray(x))
    assert len(kernels.pooling._max_pool.signatures) == made


def test_a_program_without_nodes_gives_its_input():
    source = TensorType(type=UINT8, shape=(3,))
    program = Program(
        name="wire", input="x", input_type=source, nodes=(), constants={}, output="x"
    )
    x = np.arange(6, dtype=np.uint8).reshape(2, 3)
    y = kernels.compile(program, threads=2)(x)
    np.testing.assert_array_equal(y, x, strict=True)
    assert not np.shares_memory(x, y)


def test_plan_refuses_what_run_refuses():
    program = example(filters=1)
    x = images(program, 40).astype(np.int64)
    x[39, 0, 0, 0] = 256
    for bad in (x, x[:, :, :5], x[0], x.astype(np.float32)):
        with pytest.raises(ProgramError) as expected:
            run(program, bad)
        with pytest.raises(ProgramError) as seen:
            kernels.compile(program, threads=2)(bad)
        assert str(seen.value) == str(expected.value)


@pytest.mark.parametrize("threads", [0, -1, 1.0, True, None])
def test_threads_must_be_a_count(threads):
    with pytest.raises(ValueError, match="threads"):
        kernels.compile(example(filters=1), threads=threads)


def test_stages_name_their_kernels():
    chain = Builder(types={"x": TensorType(type=UINT8, shape=(9, 6, 6))})
    wide = Constant(type=INT8, array=np.full((32, 9, 1, 1), 5))
    chain.add("c", Conv(), "x", w=wide)
    t, sign = constant(np.arange(96).reshape(32, 3)), constant(np.ones(32, dtype=np.int8))
    chain.add("t", Threshold(), "c", t=t, sign=sign)
    chain.add("d", Conv(), "t", w=constant(np.ones((1, 32, 1, 1), dtype=np.int8)))
    plan = kernels.compile(chain.program(), tier="portable")
    first = kernels.choose(Conv(), (chain.types["x"], wide), Tier.PORTABLE).name
    assert [stage.kernel for stage in plan.stages] == [first, "threshold", "bitserial"]
    assert [stage.nodes for stage in plan.stages] == [("c",), ("t",), ("d",)]


def test_import_compiles_nothing():
    code = (
        "import sys\n"
        "from refnet.kernels import bitserial\n"
        "assert not getattr(bitserial._count, 'signatures', []), 'compiled at import'\n"
        "assert not {'matplotlib', 'hypothesis', 'refnet.autograd'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
