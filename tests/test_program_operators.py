"""Meaning, type rule, work and purity of every operator against [4] of the specification."""

from itertools import permutations, product

import numpy as np
import oracle
import oracle_types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refnet.laws.arrays import rngs
from refnet.laws.operations import operations
from refnet.program import (
    INT8,
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
    Reshape,
    SumPool,
    TensorType,
    Threshold,
    Work,
    constant,
)

EACH = pytest.mark.parametrize("kind", OPERATORS, ids=lambda kind: kind.__name__)
BOUND = 2**31 - 2


def tensor(kind: IntType, *shape: int) -> TensorType:
    return TensorType(type=kind, shape=shape)


def values(operation) -> list[oracle.Value]:
    return [oracle.value_of(operand) for operand in operation.operands]


def test_every_operator_has_an_oracle():
    names = {kind.__name__ for kind in OPERATORS}
    assert set(oracle.ORACLE) == set(oracle_types.INFER) == names


@EACH
@given(st.data())
def test_evaluate_is_the_oracle_and_touches_nothing(kind, data):
    operation = data.draw(operations(kind))
    before = [array.copy() for array in operation.arrays]
    for array in operation.activations:
        array.flags.writeable = False
    got = operation.op.evaluate(*operation.arrays)
    assert got.dtype == np.int64
    nested = [array.tolist() for array in operation.arrays]
    assert got.tolist() == oracle.ORACLE[kind.__name__](operation.op, *nested)
    assert got.shape == (len(operation.activations[0]), *operation.result.shape)
    for array, old in zip(operation.arrays, before, strict=True):
        assert np.array_equal(array, old)
        assert not np.shares_memory(got, array)
    wide = [array.astype(np.int64) for array in operation.arrays]
    again = operation.op.evaluate(*wide)
    assert again.tobytes() == got.tobytes()
    assert not any(np.shares_memory(again, array) for array in wide)


@EACH
@given(st.data())
def test_the_type_of_the_result_is_the_oracle_and_holds_it(kind, data):
    operation = data.draw(operations(kind))
    want = oracle_types.infer(operation.op, *values(operation))
    result = operation.result
    assert (result.type.lo, result.type.hi, result.shape) == (want.lo, want.hi, want.shape)
    assert result.type.contains(operation.op.evaluate(*operation.arrays))


@EACH
@given(st.data())
def test_work_is_the_oracle(kind, data):
    operation = data.draw(operations(kind))
    got = operation.op.work(*operation.operands)
    assert got == Work(**oracle_types.work(operation.op, *values(operation)))


@EACH
@given(st.data())
def test_an_image_of_the_result_depends_on_that_image_alone(kind, data):
    operation = data.draw(operations(kind))
    whole = operation.op.evaluate(*operation.arrays)
    for n in range(len(whole)):
        alone = [a if isinstance(o, Constant) else a[n:n + 1]
                 for o, a in zip(operation.operands, operation.arrays, strict=True)]
        assert np.array_equal(operation.op.evaluate(*alone), whole[n:n + 1])


# --- proved ranges ------------------------------------------------------------------------------


@given(operations(Conv), rngs)
@settings(max_examples=40)
def test_partial_sums_of_a_convolution_in_any_order_stay_in_the_range(operation, rng):
    x, w, *b = [array.tolist() for array in operation.arrays]
    kind, (F, height, width) = operation.result.type, operation.result.shape
    for image, f in product(x, range(F)):
        i, j = int(rng.integers(height)), int(rng.integers(width))
        terms = oracle.conv_terms(operation.op, image, w, b[0] if b else None, f, i, j)
        for order in (terms, terms[::-1], sorted(terms), sorted(terms)[::-1],
                      [terms[k] for k in rng.permutation(len(terms))]):
            partial = 0
            for term in order:
                partial += term
                assert kind.lo <= partial <= kind.hi


@given(st.data())
def test_the_range_of_a_convolution_is_attained_by_a_partial_sum(data):
    """The kernel as large as the map, and x the end of its type that makes each term extreme."""
    operation = data.draw(operations(Conv))
    w, bias = operation.operands[1], operation.operands[2:]
    kind = operation.operands[0].type
    op = Conv(groups=operation.op.groups)
    x_map = tensor(kind, w.shape[1] * op.groups, *w.shape[2:])
    result = op.infer(x_map, w, *bias).type
    F, per_group, R, S = w.shape
    b = bias[0].array.tolist() if bias else None
    least, most = [], []
    for f, end in product(range(F), (kind.lo, kind.hi)):
        first = f // (F // op.groups) * per_group
        x = [[[0] * S for _ in range(R)] for _ in range(x_map.shape[0])]
        for c, r, s in product(range(per_group), range(R), range(S)):
            other = kind.lo + kind.hi - end
            x[first + c][r][s] = end if w.array[f, c, r, s] > 0 else other
        terms = oracle.conv_terms(op, x, w.array.tolist(), b, f, 0, 0)
        least.append(sum(term for term in terms if term < 0))
        most.append(sum(term for term in terms if term > 0))
    assert (min(least), max(most)) == (result.lo, result.hi)


def test_all_orders_of_a_small_convolution_stay_in_the_range_and_attain_it():
    w, b = constant(np.array([[[[2, -3, 1]]], [[[-1, 2, 2]]]])), constant(np.array([-4, 3]))
    kind = IntType(lo=-1, hi=2)
    result = Conv().infer(tensor(kind, 1, 1, 3), w, b).type
    partials = set()
    for x in product(range(kind.lo, kind.hi + 1), repeat=3):
        for f in range(2):
            terms = oracle.conv_terms(
                Conv(), [[list(x)]], w.array.tolist(), b.array.tolist(), f, 0, 0)
            for order in permutations(terms):
                partials |= {sum(order[:n]) for n in range(len(order) + 1)}
    assert (min(partials), max(partials)) == (result.lo, result.hi)


@given(operations(SumPool))
def test_the_range_of_a_sum_is_attained_at_its_corners(operation):
    x, op = operation.operands[0], operation.op
    window = tensor(x.type, 1, *op.kernel)
    whole = SumPool(kernel=op.kernel, stride=1)
    got = whole.infer(window).type
    least, most = (
        int(whole.evaluate(np.full((1, *window.shape), end)).max())
        for end in (x.type.lo, x.type.hi)
    )
    assert (got.lo, got.hi) == (min(least, 0), max(most, 0))


@given(operations(Add))
def test_the_range_of_a_sum_of_two_is_attained(operation):
    x, y = (operand.type for operand in operation.operands)
    ends = Add().evaluate(np.array([[x.lo, x.hi]]), np.array([[y.lo, y.hi]]))
    assert (operation.result.type.lo, operation.result.type.hi) == tuple(ends[0].tolist())


@pytest.mark.parametrize(("x", "weight", "K"), [
    (IntType.twos_complement(32), -(2**31), 1), (IntType.twos_complement(32), -(2**31), 2),
    (IntType.twos_complement(32), -(2**31), 4), (IntType.twos_complement(32), 2**31 - 1, 3),
    (IntType(lo=-(2**31), hi=0), -(2**31), 4), (IntType(lo=-(2**31), hi=0), -(2**31), 8),
    (IntType(lo=-(2**31), hi=0), -(2**30), 8), (UINT8, 2**31 - 1, 1), (TERNARY, 2**31 - 1, 1),
])
def test_no_weight_is_large_enough_to_wrap_the_proof(x, weight, K):
    """Sums that are small again modulo 2**64 are refused like all others."""
    w = constant(np.full((1, K, 1, 1), weight))
    with pytest.raises(ProgramError, match="the accumulator can reach"):
        Conv().infer(tensor(x, K, 1, 1), w)


@pytest.mark.parametrize(("top", "bias"), [(BOUND, 0), (BOUND - 5, 5), (-BOUND, 0), (1, BOUND - 1)])
def test_the_accumulator_bound_is_met_exactly(top, bias):
    x, w = tensor(IntType(lo=0, hi=1), 1, 1, 1), constant(np.full((1, 1, 1, 1), top))
    result = Conv().infer(x, w, constant(np.array([bias])))
    assert result.type == IntType(lo=min(top, 0), hi=max(top, 0) + bias)
    beyond = constant(np.array([-1 if top < 0 else bias + 1]))
    with pytest.raises(ProgramError, match="rule within"):
        Conv().infer(x, w, beyond)


# --- small cases, all of them -------------------------------------------------------------------


def test_every_dot_product_of_three_trits_with_three_two_bit_codes():
    trits = np.array(list(product((-1, 0, 1), repeat=3))).reshape(27, 3, 1, 1)
    codes = np.array(list(product(range(4), repeat=3))).reshape(64, 3, 1, 1)
    got = Conv().evaluate(codes, trits)
    want = [[sum(a * b for a, b in zip(w, x, strict=True)) for w in trits.reshape(27, 3).tolist()]
            for x in codes.reshape(64, 3).tolist()]
    assert got[:, :, 0, 0].tolist() == want
    operands = (tensor(UINT2, 3, 1, 1), constant(trits, TERNARY))
    assert Conv().infer(*operands).type == IntType(lo=-9, hi=9)
    assert (got.min(), got.max()) == (-9, 9)


def test_every_threshold_triple_of_both_signs():
    rows = [(a, b, c) for a, b, c in product(range(-3, 5), repeat=3) if a <= b <= c]
    x = np.tile(np.arange(-3, 4), (2 * len(rows), 1))[None]
    t = np.array(rows + rows)
    sign = np.array([1] * len(rows) + [-1] * len(rows))
    got = Threshold().evaluate(x, t, sign)
    assert got.tolist() == oracle.threshold(Threshold(), x.tolist(), t.tolist(), sign.tolist())
    assert set(np.unique(got)) == {0, 1, 2, 3}


def test_every_small_window():
    """Kernels, strides, paddings and sizes of one axis, all combinations, for both pools."""
    rng = np.random.default_rng(0)
    for size, kernel, stride in product(range(1, 6), range(1, 5), range(1, 5)):
        x = rng.integers(-9, -1, size=(1, 1, size, 2))          # all below 0: a 0 would win
        for top, bottom in product(range(kernel), repeat=2):
            if size + top + bottom < kernel:
                continue
            for kind in (MaxPool, SumPool):
                op = kind(kernel=(kernel, 1), stride=(stride, 1), padding=((top, bottom), (0, 0)))
                assert op.evaluate(x).tolist() == oracle.ORACLE[kind.__name__](op, x.tolist())


def test_requantize_takes_the_constants_of_its_channel():
    op = Requantize(type=INT8, rounding="half_even")
    x = np.full((1, 3, 2), 5)
    got = op.evaluate(x, np.array([1, -1, 3]), np.array([0, 1, 1]))
    assert got.tolist() == [[[5, 5], [-2, -2], [8, 8]]]


def test_work_adds_up():
    one, two = Work(macs=1, additions=2, multiplications=3, comparisons=4), Work(macs=10)
    assert one + two == Work(macs=11, additions=2, multiplications=3, comparisons=4)
    assert one + one == Work(macs=2, additions=4, multiplications=6, comparisons=8)
    assert Reshape(shape=(1,)).work(tensor(UINT2, 1)) == Work()
