"""Ternary convolutions by popcounts, alone and with what is fused to them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from conftest import NO_JIT
from guarded import guarded
from hypothesis import given, settings
from hypothesis import strategies as st
from test_kernels_direct import axes

from refnet import kernels
from refnet.kernels import Kernel, bytetable, popcount
from refnet.kernels.families import family_of
from refnet.kernels.fused import match, staircase
from refnet.kernels.layouts import Planes, planes_for, reach, rows_to_maps
from refnet.kernels.pairs import pairs_for
from refnet.kernels.tables import tables
from refnet.kernels.team import Meeting, Team, share
from refnet.kernels.tiers import Tier, highest
from refnet.laws.arrays import arrays_of, filled
from refnet.laws.operations import Operation
from refnet.program import (
    TERNARY,
    Add,
    Constant,
    Conv,
    IntType,
    Node,
    Op,
    Program,
    Requantize,
    TensorType,
    Threshold,
    constant,
    evaluate,
    run,
)
from refnet.program.networks import resnet18
from refnet.program.window import output_size

# Without the compiler there is nothing to test; the code is legal on any CPU.
pytestmark = pytest.mark.skipif(NO_JIT, reason="vectors exist only in compiled code")
FUSES = highest() >= Tier.AVX2
WAYS = ["uniform", "uniform", "lowest", "highest"]
ROUNDINGS = ["half_even", "half_up", "half_away"]


def few_bits(bits: int) -> IntType:
    return IntType.unsigned(bits)


@st.composite
def convolutions(draw) -> Operation:
    """Channels 1 to 70, maps up to 30 a side, groups up to depthwise, 1 to 4 bits."""
    groups = draw(st.sampled_from([1, 1, 2, 3, 7, 33]))
    per_group, filters = (draw(st.integers(1, 70 // groups)) for _ in range(2))
    sizes, kernel, stride, pads, dilation = zip(*(draw(axes()) for _ in range(2)), strict=True)
    op = Conv(stride=stride, padding=pads, dilation=dilation, groups=groups)
    kind = draw(st.sampled_from([*map(few_bits, (1, 2, 2, 3, 4)), IntType(lo=0, hi=9)]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    shape = (filters * groups, per_group, *kernel)
    w = constant(filled(rng, TERNARY, shape, draw(st.sampled_from(WAYS))))
    bias = [constant(rng.integers(-99, 99, size=shape[0]))] if draw(st.booleans()) else []
    x = TensorType(type=kind, shape=(groups * per_group, *sizes))
    images = (draw(st.integers(1, 3)), *x.shape)
    return Operation(
        op=op, operands=(x, w, *bias),
        activations=(filled(rng, kind, images, draw(st.sampled_from(WAYS))),),
    )


def carried_out(case: Operation, kernel: Kernel = popcount.KERNEL) -> np.ndarray:
    assert kernel.applies(case.op, *case.operands)
    out = np.full((len(case.activations[0]), *case.result.shape), 77, case.result.type.dtype)
    kernel.prepare(case.op, *case.operands)(case.activations, out)
    return out


@pytest.mark.skipif(highest() < Tier.AVX2, reason="shuffles bytes")
@settings(max_examples=60)
@given(convolutions())
def test_table_sums_have_remainders_everywhere(case):
    if case.operands[0].type.bits <= 2:
        np.testing.assert_array_equal(
            carried_out(case, bytetable.KERNEL),
            evaluate(case.op, case.arrays, case.result), strict=True,
        )


@pytest.mark.skipif(highest() < Tier.AVX2, reason="shuffles bytes")
@pytest.mark.parametrize("trit", [-1, 1])
def test_table_sums_hold_the_largest_reduction(trit):
    x = TensorType(type=few_bits(2), shape=(21845, 1, 1))
    w = constant(np.full((2, 21845, 1, 1), trit))
    values = np.full((5, *x.shape), 3, np.int8)
    case = Operation(op=Conv(), operands=(x, w), activations=(values,))
    assert (carried_out(case, bytetable.KERNEL) == trit * 3 * 21845).all()
    more = constant(np.full((2, 21846, 1, 1), trit))
    assert not bytetable.KERNEL.applies(Conv(), replace(x, shape=(21846, 1, 1)), more)


@settings(max_examples=60)
@given(convolutions())
def test_sums_have_remainders_everywhere(case):
    np.testing.assert_array_equal(
        carried_out(case), evaluate(case.op, case.arrays, case.result), strict=True
    )


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
@pytest.mark.parametrize("trit", [-1, 1])
def test_sums_attain_the_proved_bound(bits, trit):
    x = TensorType(type=few_bits(bits), shape=(70, 5, 3))
    w = constant(np.full((33, 70, 3, 3), trit))
    values = filled(np.random.default_rng(0), x.type, (2, *x.shape), "highest")
    case = Operation(op=Conv(), operands=(x, w), activations=(values,))
    got = carried_out(case)
    proved = case.result.type
    assert {int(got.min()), int(got.max())} <= {proved.lo, proved.hi}
    np.testing.assert_array_equal(got, evaluate(case.op, case.arrays, case.result))


@pytest.mark.parametrize("bias", [-(2**31) + 700, 2**31 - 700])
def test_biases_may_reach_the_bound_of_the_format(bias):
    x = TensorType(type=few_bits(4), shape=(40, 1, 1))
    w, b = constant(np.ones((2, 40, 1, 1), np.int8)), constant(np.array([bias, 0]))
    values = filled(np.random.default_rng(0), x.type, (9, *x.shape), "uniform")
    case = Operation(op=Conv(), operands=(x, w, b), activations=(values,))
    np.testing.assert_array_equal(
        carried_out(case), evaluate(case.op, case.arrays, case.result), strict=True
    )


@given(
    st.sampled_from([planes_for, pairs_for]), st.integers(1, 70), st.integers(1, 4),
    st.tuples(st.integers(1, 7), st.integers(1, 7)), st.integers(0, 2), st.integers(0, 99),
)
@settings(max_examples=60)
def test_layouts_give_back_what_was_packed(layout, channels, bits, size, pad, seed):
    bits = min(bits, 2) if layout is pairs_for else bits
    kind = TensorType(type=few_bits(bits), shape=(channels, *size))
    made = layout(kind, ((pad, 0), (1, pad)))
    x = filled(np.random.default_rng(seed), kind.type, (2, *kind.shape), "uniform")
    packed, out = made.empty(2), np.empty_like(x)
    made.pack(guarded(x), packed)
    made.unpack(packed, out)
    np.testing.assert_array_equal(out, x)
    items = made.pixel_items
    inside = packed.reshape(-1, items)[made.insides(2) // items]
    assert np.count_nonzero(packed) == np.count_nonzero(inside)


@given(
    st.integers(1, 3), st.integers(1, 30), st.integers(1, 40),
    st.sampled_from([np.int8, np.uint8, np.int16, np.int32]),
)
def test_rows_are_turned_to_maps(images, pixels, filters, dtype):
    bounds, rng = np.iinfo(dtype), np.random.default_rng(pixels)
    shape = (images, pixels, 32 * -(-filters // 32))
    rows = rng.integers(bounds.min, bounds.max, size=shape, endpoint=True, dtype=np.int32)
    out = guarded(np.zeros((images, filters, pixels), dtype))
    rows_to_maps(guarded(rows), out)
    np.testing.assert_array_equal(out, rows[:, :, :filters].transpose(0, 2, 1))


@pytest.mark.parametrize("images", [1, 2, 5])
def test_no_byte_beyond_the_buffers_is_touched(images):
    op, size = Conv(stride=2, padding=((1, 2), (0, 1)), dilation=(1, 2)), (4, 5)
    x = TensorType(type=few_bits(2), shape=(35, *size))
    w = constant(filled(np.random.default_rng(1), TERNARY, (40, 35, 3, 2), "uniform"))
    planes = planes_for(x, reach(op, x, (3, 2)))
    made, out = popcount.counter(op, planes, w), output_size(size, (3, 2), op.stride, op.padding,
                                                             op.dilation)
    target = Planes(shape=(40, *out), bits=2, pads=((0, 0), (0, 0)))
    t, sign = constant(np.tile([-3, 0, 4], (40, 1))), constant(np.ones(40, np.int8))
    sums = op.infer(x, w).type
    steps, flips = staircase(t, sign, sums, made.constant[:40])
    values = filled(np.random.default_rng(2), x.type, (images, *x.shape), "uniform")
    words = planes.empty(images)
    planes.pack(values, words)
    windows = planes.windows(images, op, out)
    codes = guarded(target.empty(images))
    popcount.convolve_codes(
        guarded(words), windows, 0, len(windows), guarded(made.offsets), made.first,
        guarded(made.weights), guarded(steps), flips, 2, codes, target.insides(images),
    )
    got = np.empty((images, 40, *out), np.uint8)
    target.unpack(codes, got)
    acc = op.evaluate(values, w.array)
    np.testing.assert_array_equal(got, Threshold().evaluate(acc, t.array, sign.array))


@pytest.mark.skipif(highest() < Tier.AVX2, reason="shuffles bytes")
@pytest.mark.parametrize("images", [1, 4])
def test_no_byte_beyond_the_tables_is_touched(images):
    op, size = Conv(stride=2, padding=((1, 2), (0, 1)), dilation=(1, 2)), (4, 5)
    x = TensorType(type=few_bits(2), shape=(35, *size))
    w = constant(filled(np.random.default_rng(1), TERNARY, (40, 35, 3, 2), "uniform"))
    layout = pairs_for(x, reach(op, x, (3, 2)))
    made, out = bytetable.counter(op, layout, w), output_size(size, (3, 2), op.stride, op.padding,
                                                              op.dilation)
    target = pairs_for(TensorType(type=few_bits(2), shape=(40, *out)), ((0, 0), (0, 0)))
    t, sign = constant(np.tile([-3, 0, 4], (40, 1))), constant(np.ones(40, np.int8))
    steps, flips = staircase(t, sign, op.infer(x, w).type, made.constant[:40])
    values = filled(np.random.default_rng(2), x.type, (images, *x.shape), "uniform")
    codes = guarded(layout.empty(images))
    layout.pack(guarded(values), codes)
    windows, rows = layout.windows(images, op, out), guarded(
        np.zeros((images * out[0] * out[1], 64), np.int32)
    )
    packed = guarded(target.empty(images))
    for bits, kept in ((2, bytetable.NO_ROWS), (0, rows)):
        bytetable.convolve(
            codes, windows, 0, len(windows), guarded(made.offsets), made.first,
            guarded(made.weights), guarded(tables()), bytetable.NO_BLOCKS,
            guarded(made.constant.astype(np.int32)), bytetable.NOWHERE, bytetable.NO_ROWS, kept,
            guarded(steps), flips, bits, packed, target.insides(images),
        )
    got, acc = np.empty((images, 40, *out), np.uint8), op.evaluate(values, w.array)
    target.unpack(packed, got)
    np.testing.assert_array_equal(got, Threshold().evaluate(acc, t.array, sign.array))
    sums = rows[:, :40].reshape(images, *out, 40).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(sums, acc)


class Net:
    """A program that grows node by node."""

    def __init__(self, x: TensorType) -> None:
        self.types, self.nodes, self.held = {"x": x}, [], {}

    def add(self, name: str, op: Op, *values: str, **held: Constant) -> str:
        named = {f"{name}.{key}": item for key, item in held.items()}
        self.types[name] = op.infer(*(self.types[v] for v in values), *named.values())
        self.nodes.append(Node(name=name, op=op, inputs=(*values, *named)))
        self.held.update(named)
        return name

    def program(self, output: str) -> Program:
        """The program that ends at ``output``."""
        needed, kept = {output}, []
        for node in reversed(self.nodes):
            if node.name in needed:
                kept.append(node)
                needed.update(node.inputs)
        return Program(
            name="net", input="x", input_type=self.types["x"], nodes=tuple(reversed(kept)),
            constants={k: v for k, v in self.held.items() if k in needed}, output=output,
        )


def stairs(rng, kind: IntType, C: int, levels: int) -> dict[str, Constant]:
    """Thresholds where values are, beside the bounds, and of both signs."""
    middle = rng.integers(-9, 10, size=(C, levels))
    bounds = rng.choice([kind.lo, kind.hi, kind.hi + 1], size=(C, levels))
    t = np.where(rng.random((C, levels)) < 0.9, middle, np.clip(bounds, -(2**31) + 2, 2**31 - 2))
    return {"t": constant(np.sort(t, axis=1)), "sign": constant(rng.choice([-1, 1], size=C))}


@st.composite
def residual_nets(draw) -> Net:
    """Codes, a residual branch on a stream with or without its rectifier, a convolution after."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    C, F, levels = (draw(st.integers(*ends)) for ends in ((1, 40), (1, 70), (1, 15)))
    size, stride = draw(st.tuples(st.integers(1, 9), st.integers(1, 9))), draw(st.integers(1, 2))
    net = Net(TensorType(type=few_bits(draw(st.integers(1, 4))), shape=(C, *size)))

    def ternary(filters: int, channels: int, kernel: int) -> Constant:
        shape = (filters, channels, kernel, kernel)
        return Constant(type=TERNARY, array=filled(rng, TERNARY, shape, "uniform"))

    def scaled(name: str, x: str) -> str:
        op = Requantize(
            type=IntType(lo=-50, hi=40), rounding=draw(st.sampled_from(ROUNDINGS))
        )
        most = draw(st.sampled_from([3, 300]))
        mult, shift = rng.integers(-most, most, size=F), rng.integers(0, 9, size=F)
        return net.add(name, op, x, mult=constant(mult), shift=constant(shift))

    net.add("a", Conv(stride=stride, padding=1), "x", w=ternary(F, C, 3))
    net.add("ta", Threshold(), "a", **stairs(rng, net.types["a"].type, F, levels))
    net.add("b", Conv(padding=1), "ta", w=ternary(F, F, 3))
    main = scaled("rb", "b")
    net.add("s", Conv(stride=stride), "x", w=ternary(F, C, 1))
    shortcut = scaled("rs", "s")
    x = net.add("sum", Add(), *draw(st.permutations([main, shortcut])))
    if draw(st.booleans()):
        ones, zeros = constant(np.ones(F, np.int8)), constant(np.zeros(F, np.int8))
        relu = Requantize(type=IntType(lo=0, hi=70), rounding="half_up")
        x = net.add("relu", relu, x, mult=ones, shift=zeros)
    net.add("ty", Threshold(), x, **stairs(rng, net.types[x].type, F, levels))
    net.add("c", Conv(), "ty", w=ternary(3, F, 1))
    net.add("rc", Requantize(type=IntType(lo=-9, hi=9), rounding="half_even"), "c",
            mult=constant(np.array([1, 2, 3])), shift=constant(np.array([1, 2, 3])))
    return net


@settings(max_examples=40)
@given(residual_nets(), st.integers(1, 3), st.data())
def test_plans_equal_every_value_of_a_residual_net(net, images, data):
    kind = net.types["x"]
    x = data.draw(arrays_of(kind.type, (images, *kind.shape)))
    output = data.draw(st.sampled_from([node.name for node in net.nodes]))
    for name in {output, "rc"}:
        program = net.program(name)
        np.testing.assert_array_equal(
            kernels.compile(program)(x), run(program, x), strict=True, err_msg=name
        )


@given(residual_nets(), st.data())
@settings(max_examples=10)
def test_a_value_with_more_readers_is_kept(net, data):
    names = [n for n in net.types if net.types[n].shape == net.types["sum"].shape]
    x, y = data.draw(st.tuples(st.sampled_from(names), st.sampled_from(names)))
    net.add("again", Add(), x, y)
    program = net.program("again")
    images = data.draw(arrays_of(net.types["x"].type, (2, *net.types["x"].shape)))
    np.testing.assert_array_equal(kernels.compile(program)(images), run(program, images))


@pytest.mark.parametrize("tier", [Tier.AVX2, Tier.AVX512])
def test_groups_reach_as_far_as_they_may(tier):
    program = resnet18(size=32, filters=4, classes=3, rng=np.random.default_rng(0))
    groups = {id(g): g for g in match(program, family_of(tier)).values()}.values()
    ends = sorted(tuple(node.name.split(".")[-1] for node in g.nodes) for g in groups)
    full = ("second", "branch", "sum", "stream", "codes")
    assert ends == sorted(
        [("first", "inner")] * 8 + [full] * 7 + [full[:-1]] + [("down", "shortcut")] * 3
    )
    assert match(program, family_of(Tier.PORTABLE)) == {}


@pytest.mark.parametrize("images", [1, 3])
def test_resnet_equals_its_meaning(images):
    program = resnet18(size=40, filters=9, classes=5, rng=np.random.default_rng(3))
    shape = (images, *program.input_type.shape)
    x = filled(np.random.default_rng(4), program.input_type.type, shape, "uniform")
    want = run(program, x)
    assert len(np.unique(want)) > 1
    for threads in (1, 2, 3):
        plan = kernels.compile(program, threads=threads)
        for _ in range(2):
            np.testing.assert_array_equal(plan(x), want, strict=True)


def test_callers_may_share_a_plan_whose_threads_share_an_image():
    program = resnet18(size=32, filters=4, classes=3, rng=np.random.default_rng(5))
    shape = (12, 1, *program.input_type.shape)
    images = filled(np.random.default_rng(6), program.input_type.type, shape, "uniform")
    plan = kernels.compile(program, threads=3)
    with ThreadPoolExecutor(4) as pool:
        for got, x in zip(pool.map(plan, images), images, strict=True):
            np.testing.assert_array_equal(got, run(program, x), strict=True)


def test_a_failing_thread_leaves_nobody_waiting():
    team, seen = Team(threads=3), []

    def work(part: int, meeting: Meeting) -> None:
        if part == 1:
            raise RuntimeError("gone")
        meeting.reach(part, 1)
        seen.append(part)

    for _ in range(2):
        with pytest.raises(RuntimeError, match="gone"):
            team.walk(work)
    assert sorted(seen) == [0, 0, 2, 2]


@given(st.integers(0, 40), st.integers(1, 9), st.integers(1, 5))
def test_shares_are_the_whole_in_order(total, unit, parts):
    shares = [share(total, unit, part, parts) for part in range(parts)]
    assert [i for first, last in shares for i in range(first, last)] == list(range(total))
    assert all(first % unit == 0 for first, last in shares if first < last)
