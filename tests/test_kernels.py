"""Every kernel equals the meaning of its operator, bit for bit, and whole programs do."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from conftest import NO_JIT
from hypothesis import given
from hypothesis import strategies as st

from refnet.kernels import KERNELS, choose, execute, pooling
from refnet.kernels.dispatch import plain
from refnet.kernels.tiers import Tier, highest
from refnet.laws.arrays import arrays_of, filled
from refnet.laws.operations import STRATEGIES, Operation, operations
from refnet.program import (
    ACCUMULATOR,
    INT8,
    INT16,
    OPERATORS,
    TERNARY,
    UINT2,
    UINT8,
    Add,
    Constant,
    Conv,
    IntType,
    MaxPool,
    ProgramError,
    Requantize,
    TensorType,
    constant,
    evaluate,
)


def assert_same(got: np.ndarray, want: np.ndarray) -> None:
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want, strict=True)


def outcomes(case: Operation) -> dict[str, np.ndarray]:
    """What each kernel this CPU may run makes of the operation, and what the hook makes of it."""
    result, results = case.result, {"execute": execute(case.op, case.arrays, case.result)}
    for kernel in (k for k in KERNELS if k.tier <= highest()):
        if kernel.op is type(case.op) and kernel.applies(case.op, *case.operands):
            out = np.full((len(case.activations[0]), *result.shape), 77, dtype=result.type.dtype)
            if len(out):
                kernel.prepare(case.op, *case.operands)(case.activations, out)
            results[kernel.name] = out
    return results


def check(case: Operation) -> None:
    want = evaluate(case.op, case.arrays, case.result)
    for got in outcomes(case).values():
        assert_same(got, want)


def test_every_operator_has_a_strategy_and_a_kernel():
    assert set(STRATEGIES) == set(OPERATORS)
    assert {kernel.op for kernel in KERNELS} == set(OPERATORS)
    assert len({kernel.name for kernel in KERNELS}) == len(KERNELS)


@pytest.mark.parametrize("kind", OPERATORS, ids=lambda kind: kind.__name__)
def test_kernels_equal_the_meaning(kind):
    @given(operations(kind))
    def same(case):
        check(case)

    same()


@st.composite
def worded(draw: st.DrawFn) -> Operation:
    """Ternary convolutions of few-bit codes with channel counts around a word and its half."""
    op = Conv(
        stride=draw(st.tuples(st.integers(1, 2), st.integers(1, 2))),
        dilation=draw(st.tuples(st.integers(1, 2), st.integers(1, 2))),
        padding=((draw(st.integers(0, 2)), 0), (1, draw(st.integers(0, 2)))),
        groups=draw(st.integers(1, 2)),
    )
    per_group = draw(st.sampled_from([32, 63, 64, 65, 70]))
    w = draw(arrays_of(TERNARY, (draw(st.integers(1, 3)) * op.groups, per_group, 2, 2)))
    x_type = draw(st.sampled_from([IntType(lo=0, hi=hi) for hi in (1, 2, 3, 6, 7, 8, 15)]))
    x = TensorType(type=x_type, shape=(per_group * op.groups, 4, 4))
    return Operation(
        op=op, operands=(x, constant(w)), activations=(draw(arrays_of(x_type, (2, *x.shape))),)
    )


@given(worded())
def test_bit_planes_fill_words_to_any_degree(case):
    assert choose(case.op, case.operands, Tier.PORTABLE).name == "bitserial"
    assert {"bitserial", "ternary", "conv"} < set(outcomes(case))
    check(case)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(
    ("x_type", "w_value", "places"),
    [(UINT8, 127, 49), (UINT8, -128, 49), (INT16, -32768, 1), (INT16, 32767, 1),
     (UINT2, 1, 49), (IntType.unsigned(4), -1, 49), (ACCUMULATOR, -1, 1)],
)
def test_accumulators_reach_the_bound_of_the_format(x_type, w_value, places, sign):
    rows = int(places**0.5)
    w = constant(np.full((2, 9 if places > 1 else 1, rows, rows), w_value))
    x = TensorType(type=x_type, shape=(w.shape[1], rows + 1, rows))
    proved = Conv().infer(x, w).type
    room = ACCUMULATOR.hi - proved.hi if sign > 0 else ACCUMULATOR.lo - proved.lo
    operands = (x, w, constant(np.array([room, 0])))
    values = filled(np.random.default_rng(0), x_type, (2, *x.shape), "lowest")
    values[1] = x_type.hi
    case = Operation(op=Conv(), operands=operands, activations=(values,))
    check(case)
    assert sign * ACCUMULATOR.hi in execute(case.op, case.arrays, case.result)


@pytest.mark.parametrize("rounding", ["half_even", "half_up", "half_away"])
def test_requantize_on_every_residue_of_small_shifts(rounding):
    op = Requantize(type=INT8, rounding=rounding)
    shift = np.arange(6).repeat(2)
    mult = np.tile([1, -1], 6)
    shape = (12, 129)
    values = np.broadcast_to(np.arange(-64, 65, dtype=np.int8), (1, *shape)).copy()
    operands = (TensorType(type=INT8, shape=shape), constant(mult), constant(shift))
    check(Operation(op=op, operands=operands, activations=(values,)))


@pytest.mark.parametrize("shift", [0, 1, 16, 31, 45, 46])
@pytest.mark.parametrize("rounding", ["half_even", "half_up", "half_away"])
def test_requantize_at_the_largest_products(rounding, shift):
    op = Requantize(type=ACCUMULATOR, rounding=rounding)
    x = TensorType(type=ACCUMULATOR, shape=(2, 4))
    ends = [ACCUMULATOR.lo, ACCUMULATOR.hi, ACCUMULATOR.lo + 1, ACCUMULATOR.hi - 1]
    operands = (x, constant(np.array([-32767, 32767])), constant(np.array([shift, shift])))
    check(Operation(op=op, operands=operands, activations=(np.array([[ends] * 2], np.int32),)))


def test_kernel_is_chosen_by_values():
    x8, x2 = (TensorType(type=kind, shape=(32, 3, 3)) for kind in (UINT8, UINT2))
    trits = Constant(type=INT8, array=np.ones((2, 32, 1, 1), dtype=np.int8))
    bytes_ = constant(np.full((2, 32, 1, 1), 2))
    assert choose(Conv(), (x2, trits), Tier.PORTABLE).name == "bitserial"
    # Without the compiler the kernels that are code of vectors step aside.
    x8_names, bytes_names = ({"ternary"}, {"conv"}) if NO_JIT else ({"int16"}, {"int16"})
    assert choose(Conv(), (x8, trits), Tier.PORTABLE).name in x8_names
    assert choose(Conv(), (x2, bytes_), Tier.PORTABLE).name in bytes_names
    thin = TensorType(type=UINT2, shape=(1, 3, 3)), constant(np.ones((2, 1, 1, 1), dtype=np.int8))
    assert choose(Conv(), thin, Tier.PORTABLE).name == "ternary"
    wide = TensorType(type=IntType(lo=0, hi=2**17), shape=(32, 3, 3))
    assert choose(Conv(), (wide, bytes_), Tier.PORTABLE).name == "conv"


@pytest.mark.parametrize(
    ("x_type", "least", "most", "kernel"),
    [
        ("uint1", -1, 1, "bitserial"), ("uint4", -1, 1, "bitserial"),
        ("int[2,15]", 0, 1, "bitserial"), ("int[0,16]", -1, 1, "ternary"),
        ("int[-1,3]", -1, 0, "ternary"), ("ternary", -1, 1, "ternary"),
        ("uint2", -2, 1, "conv"), ("uint2", -1, 2, "conv"),
    ],
)
def test_bit_planes_and_trits_stop_where_their_ranges_do(x_type, least, most, kernel):
    x = TensorType(type=IntType.parse(x_type), shape=(32, 2, 2))
    w = constant(np.array([least, most] * 32).reshape(2, 32, 1, 1))
    swift = set() if NO_JIT or kernel == "bitserial" else {"int8", "int16"}
    assert choose(Conv(), (x, w), Tier.PORTABLE).name in swift | {kernel}
    values = filled(np.random.default_rng(1), x.type, (2, *x.shape), "uniform")
    check(Operation(op=Conv(), operands=(x, w), activations=(values,)))


AWKWARD = {
    "fortran order": np.asfortranarray,
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "reversed": lambda a: np.ascontiguousarray(a[..., ::-1])[..., ::-1],
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "int64": lambda a: a.astype(np.int64),
    "uint64": lambda a: (a + np.uint64(0)) if a.dtype.kind == "u" else a.astype(np.int64),
    "read-only": lambda a: np.frombuffer(a.tobytes(), dtype=a.dtype).reshape(a.shape),
    "misaligned": lambda a: np.frombuffer(b"-" + a.tobytes(), a.dtype, offset=1).reshape(a.shape),
}


@pytest.mark.parametrize("way", AWKWARD)
@given(case=operations())
def test_layout_of_operands_does_not_matter(way, case):
    arrays = tuple(AWKWARD[way](a) if a.size else a for a in case.arrays)
    want = evaluate(case.op, case.arrays, case.result)
    assert_same(execute(case.op, arrays, case.result), want)


@pytest.mark.parametrize("way", AWKWARD)
@pytest.mark.parametrize("storage", [np.int8, np.uint8, np.int16, np.uint16, np.int32])
def test_kernels_meet_plain_arrays_only(way, storage):
    x = np.arange(24, dtype=storage).reshape(2, 3, 4)
    y = plain(AWKWARD[way](x))
    assert y.dtype in {np.dtype(storage), np.dtype(np.int32)}
    assert y.flags.carray
    np.testing.assert_array_equal(y, x)
    assert plain(x) is x


@pytest.mark.skipif(NO_JIT, reason="counts what the compiler made")
def test_layouts_are_not_compiled_for_one_by_one():
    op = MaxPool(kernel=2, stride=1)
    case = np.arange(36, dtype=np.int16).reshape(1, 4, 3, 3)
    result = op.infer(TensorType(type=INT16, shape=(4, 3, 3)))
    execute(op, (case,), result)
    made = len(pooling._max_pool.signatures)
    for way in AWKWARD.values():
        execute(op, (way(case),), result)
    assert len(pooling._max_pool.signatures) == made


def test_execute_refuses_what_kernels_would_take_on_trust():
    x, w = np.ones((1, 2, 3, 3), dtype=np.int8), np.ones((1, 2, 1, 1), dtype=np.int8)
    result = Conv().infer(TensorType(type=INT8, shape=(2, 3, 3)), constant(w))
    bad = {
        "rule integer arrays": (x.astype(np.float32), w),
        "do not fit": (x, np.ones((1, 3, 1, 1), dtype=np.int8)),
        "asked for": (np.ones((1, 2, 4, 4), dtype=np.int8), w),
        "constant": (x, w[:0]),
    }
    for message, operands in bad.items():
        with pytest.raises(ProgramError, match=message):
            execute(Conv(), operands, result)
    with pytest.raises(ProgramError, match="asked for"):
        execute(Conv(), (x, w), TensorType(type=IntType(lo=0, hi=1), shape=(1, 3, 3)))
    sums = TensorType(type=INT8, shape=(2, 3, 3))
    with pytest.raises(ProgramError, match="images"):
        execute(Add(), (x, np.concatenate([x, x])), sums)
    with pytest.raises(ProgramError, match="no kernel"):
        choose(SimpleNamespace(), ())
