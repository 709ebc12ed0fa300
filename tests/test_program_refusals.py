"""What the operators refuse ([4] of the specification), and with which words."""

import numpy as np
import oracle
import oracle_types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.laws.operations import conv_operations, operations
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
    Op,
    ProgramError,
    Requantize,
    Reshape,
    SumPool,
    TensorType,
    Threshold,
    constant,
)
from refnet.program.operators import attributes

BOUND = 2**31 - 2
INT32 = IntType.twos_complement(32)


def tensor(kind: IntType, *shape: int) -> TensorType:
    return TensorType(type=kind, shape=shape)


def ones(*shape: int) -> Constant:
    return constant(np.ones(shape, dtype=np.int8))


def ints(*numbers: int) -> Constant:
    return constant(np.array(numbers))


MAP = tensor(UINT2, 4, 5, 6)
VECTOR = tensor(UINT2, 4)
POOL = {"kernel": 2, "stride": 1}
REQUANTIZE = Requantize(type=INT8, rounding="half_up")

REFUSALS = [
    (Conv(), (MAP,), "1 operands, rule 2 to 3"),
    (Conv(), (MAP, ones(1, 4, 1, 1), ints(1), ints(1)), "4 operands, rule 2 to 3"),
    (Conv(), (ones(4, 5, 6), ones(1, 4, 1, 1)), "x must be an activation"),
    (Conv(), (VECTOR, ones(1, 4, 1, 1)), r"x \(4,\) must have 3 axes"),
    (Conv(), (MAP, MAP), "w must be a constant"),
    (Conv(), (MAP, ones(4, 1, 1)), r"w \(4, 1, 1\) does not fit"),
    (Conv(), (MAP, ones(2, 3, 1, 1)), r"x \(4, 5, 6\), w \(2, 3, 1, 1\), groups=1 .*4 != 3 \* 1"),
    (Conv(groups=2), (MAP, ones(2, 4, 1, 1)), r"4 != 4 \* 2"),
    (Conv(groups=2), (MAP, ones(3, 2, 1, 1)), "3 filters in 2 groups"),
    (Conv(), (MAP, ones(1, 4, 6, 1)), r"map \(5, 6\) with padding .* smaller than the kernel"),
    (Conv(), (MAP, ones(1, 4, 1, 7)), "smaller than the kernel"),
    (Conv(dilation=(4, 1), padding=((1, 2), (0, 0))), (MAP, ones(1, 4, 3, 1)), "dilation"),
    (Conv(), (MAP, ones(2, 4, 1, 1), MAP), "b must be a constant"),
    (Conv(), (MAP, ones(2, 4, 1, 1), ones(3)), r"b \(3,\) does not fit, rule \(2,\)"),
    (Conv(), (MAP, ones(2, 4, 1, 1), ones(2, 1)), r"b \(2, 1\) does not fit"),
    (Conv(), (MAP, ones(1, 4, 1, 1), ints(BOUND - 11)), rf"can reach \[0, {BOUND + 1}\]"),
    (Conv(), (MAP, ones(1, 4, 1, 1), ints(-BOUND - 1)), rf"can reach \[-{BOUND + 1}, 12\]"),
    (Threshold(), (VECTOR, ones(4, 1)), "2 operands, rule 3"),
    (Threshold(), (ones(4), ones(4, 1), ones(4)), "x must be an activation"),
    (Threshold(), (VECTOR, VECTOR, ones(4)), "t must be a constant"),
    (Threshold(), (VECTOR, ones(3, 1), ones(4)), r"t \(3, 1\) does not fit, rule \(4, 'any'\)"),
    (Threshold(), (VECTOR, ones(4), ones(4)), "t .* does not fit"),
    (Threshold(), (VECTOR, ones(4, 1), VECTOR), "sign must be a constant"),
    (Threshold(), (VECTOR, ones(4, 1), ones(1)), r"sign \(1,\) does not fit, rule \(4,\)"),
    (Threshold(), (VECTOR, ones(4, 1), ints(1, 1, 0, 1)), "sign must hold -1 and"),
    (Threshold(), (VECTOR, ones(4, 1), ints(1, 1, 2, 1)), "sign must hold -1 and"),
    (Threshold(), (tensor(UINT2, 1), constant(np.array([[2, 1]])), ints(1)), "must not fall"),
    (Threshold(), (tensor(UINT2, 1), constant(np.array([[2**31 - 1, -(2**31)]])), ints(1)),
     "must not fall"),
    (Threshold(), (tensor(INT32, 4), ones(4, 1), ones(4)), "x can reach"),
    (REQUANTIZE, (VECTOR, ones(4), ones(4), ones(4)), "4 operands, rule 3"),
    (REQUANTIZE, (VECTOR, VECTOR, ones(4)), "mult must be a constant"),
    (REQUANTIZE, (VECTOR, ones(1), ones(4)), r"mult \(1,\) does not fit"),
    (REQUANTIZE, (VECTOR, ones(4), ones(4, 1)), r"shift \(4, 1\) does not fit"),
    (REQUANTIZE, (VECTOR, ints(1, 1, 2**15, 1), ones(4)), r"mult in \[1, 32768\], rule \[-32767"),
    (REQUANTIZE, (VECTOR, ints(1, -(2**15), 1, 1), ones(4)), r"mult in \[-32768, 1\]"),
    (REQUANTIZE, (VECTOR, ones(4), ints(0, 0, 0, 47)), r"shift in \[0, 47\], rule \[0, 46\]"),
    (REQUANTIZE, (VECTOR, ones(4), ints(0, 0, 0, -1)), r"shift in \[-1, 0\]"),
    (REQUANTIZE, (ones(4), ones(4), ones(4)), "x must be an activation"),
    (REQUANTIZE, (tensor(INT32, 4), ones(4), ones(4)), "x can reach"),
    (Requantize(type=INT32, rounding="half_up"), (VECTOR, ones(4), ones(4)), "type can reach"),
    (Add(), (VECTOR,), "1 operands, rule 2"),
    (Add(), (VECTOR, MAP), r"x \(4,\) and y \(4, 5, 6\) must have one shape"),
    (Add(), (VECTOR, ones(4)), "y must be an activation"),
    (Add(), (ones(4), VECTOR), "x must be an activation"),
    (Add(), (VECTOR, tensor(IntType(lo=0, hi=BOUND - 2), 4)), "the sum can reach"),
    (Add(), (VECTOR, tensor(IntType(lo=-BOUND - 1, hi=0), 4)), "the sum can reach"),
    (MaxPool(**POOL), (MAP, MAP), "2 operands, rule 1"),
    (MaxPool(**POOL), (VECTOR,), "must have 3 axes"),
    (MaxPool(**POOL), (ones(4, 5, 6),), "x must be an activation"),
    (MaxPool(kernel=(6, 1), stride=1), (MAP,), "smaller than the kernel"),
    (SumPool(**POOL), (), "0 operands, rule 1"),
    (SumPool(kernel=(1, 7), stride=1), (MAP,), "smaller than the kernel"),
    (SumPool(**POOL), (tensor(IntType(lo=0, hi=2**29), 1, 2, 2),), r"the sum can reach \[0, 2147"),
    (Reshape(shape=(4,)), (VECTOR, VECTOR), "2 operands, rule 1"),
    (Reshape(shape=(119,)), (MAP,), r"x \(4, 5, 6\) has 120 elements, shape \(119,\) not"),
    (Reshape(shape=(4,)), (ones(4),), "x must be an activation"),
]


@pytest.mark.parametrize(("op", "operands", "message"), REFUSALS)
def test_operands_that_do_not_fit_are_refused_in_one_line(op, operands, message):
    with pytest.raises(ProgramError, match=message) as caught:
        op.infer(*operands)
    assert "\n" not in str(caught.value)
    with pytest.raises(oracle.Refused):
        oracle_types.infer(op, *map(oracle.value_of, operands))
    with pytest.raises(ProgramError, match=message):
        op.work(*operands)


def outcome(infer, *arguments):
    try:
        return infer(*arguments)
    except (ProgramError, oracle.Refused):
        return None


def as_value(result: TensorType | None):
    return result and oracle.value_of(result)


@pytest.mark.parametrize("kind", OPERATORS, ids=lambda kind: kind.__name__)
@given(st.data())
def test_operands_of_another_operation_are_accepted_or_refused_like_the_oracle(kind, data):
    """Random operands, some from a second operation of any kind: rarely legal."""
    first, other = data.draw(operations(kind)), data.draw(operations())
    pool = [*first.operands, *other.operands]
    operands = list(first.operands)
    for place in data.draw(st.lists(st.integers(0, len(operands) - 1), min_size=1, max_size=2)):
        operands[place] = data.draw(st.sampled_from(pool))
    want = outcome(oracle_types.infer, first.op, *map(oracle.value_of, operands))
    assert as_value(outcome(first.op.infer, *operands)) == want


@given(conv_operations(), st.data())
def test_attributes_of_another_convolution_are_accepted_or_refused_like_the_oracle(first, data):
    changes = {
        "stride": st.integers(1, 4), "padding": st.integers(0, 3), "dilation": st.integers(1, 5),
        "groups": st.integers(1, 9),
    }
    name = data.draw(st.sampled_from(sorted(changes)))
    op = Conv(**(attributes(first.op) | {name: data.draw(changes[name])}))
    operands = [oracle.value_of(operand) for operand in first.operands]
    want = outcome(oracle_types.infer, op, *operands)
    assert as_value(outcome(op.infer, *first.operands)) == want


# --- attributes ---------------------------------------------------------------------------------


def test_integers_and_pairs_are_normalised():
    op = Conv(stride=2, padding=(1, 2), dilation=[3, np.int64(4)], groups=2)
    assert attributes(op) == {
        "stride": (2, 2), "padding": ((1, 1), (2, 2)), "dilation": (3, 4), "groups": 2}
    assert attributes(Conv(padding=((1, 2), (3, 4)))) == attributes(Conv()) | {
        "padding": ((1, 2), (3, 4))}
    assert Conv(padding=1) == Conv(padding=((1, 1), (1, 1)))
    for kind in (MaxPool, SumPool):
        assert attributes(kind(kernel=3, stride=(1, 2), padding=[1, (0, 2)])) == {
            "kernel": (3, 3), "stride": (1, 2), "padding": ((1, 1), (0, 2))}
        assert kind(kernel=(2, 5), stride=1).places == 10
    assert attributes(Threshold()) == attributes(Add()) == {}
    assert attributes(Reshape(shape=[2, np.int64(3)])) == {"shape": (2, 3)}


@pytest.mark.parametrize("value", [0, -1, (1, 0), (1,), (1, 1, 1), 1.0, (1.0, 1), "11", "1", None,
                                   True, (True, 1), {1: 1, 2: 2}, 2**31, (1, 2**31), 10**4000])
@pytest.mark.parametrize("name", ["stride", "dilation", "kernel", "pool stride"])
def test_a_pair_that_is_none_is_refused(name, value):
    make = {
        "stride": lambda: Conv(stride=value), "dilation": lambda: Conv(dilation=value),
        "kernel": lambda: MaxPool(kernel=value, stride=1),
        "pool stride": lambda: SumPool(kernel=1, stride=value),
    }
    with pytest.raises(ProgramError, match=f"{name.split()[-1]}=.* must be"):
        make[name]()


@pytest.mark.parametrize("value", [
    -1, (0, -1), ((0, 0), (0, -1)), ((0,), (0, 0)), ((0, 0), (0, 0), (0, 0)), 0.5, "00", ("0", 0),
    ((0, 0.0), (0, 0)), True, None, (None, 0), 2**31, ((0, 2**31), (0, 0))])
def test_a_padding_that_is_none_is_refused(value):
    for make in (lambda: Conv(padding=value), lambda: MaxPool(kernel=9, stride=1, padding=value)):
        with pytest.raises(ProgramError, match=r"padding=.* must be"):
            make()


@pytest.mark.parametrize("groups", [0, -1, True, 1.0, "1", None, (1, 1), 2**31])
def test_groups_that_are_none_are_refused(groups):
    with pytest.raises(ProgramError, match=r"groups=.* must be"):
        Conv(groups=groups)


@pytest.mark.parametrize("padding", [2, ((2, 0), (0, 0)), (0, 3), ((0, 0), (0, 3))])
@pytest.mark.parametrize("kind", [MaxPool, SumPool])
def test_a_pad_of_a_pool_stays_below_its_kernel(kind, padding):
    with pytest.raises(ProgramError, match="must stay below the kernel"):
        kind(kernel=(2, 3), stride=1, padding=padding)
    kind(kernel=(2, 3), stride=1, padding=((1, 1), (2, 2)))


@pytest.mark.parametrize("shape", [(), (1, 1, 1, 1), (1,) * 5, (0,), (-1,), (1.0,), (True,)])
def test_a_shape_of_reshape_has_one_to_three_axes(shape):
    with pytest.raises(ProgramError, match=r"shape .* must "):
        Reshape(shape=shape)


def test_requantize_names_a_type_and_a_rounding():
    with pytest.raises(ProgramError, match="type 'int8' must be an IntType"):
        Requantize(type="int8", rounding="half_up")
    for rounding in ("nearest", None, ["half_up"]):
        with pytest.raises(ProgramError, match="is none of half_even, half_up, half_away"):
            Requantize(type=INT8, rounding=rounding)


def test_an_operator_is_complete_or_does_not_exist():
    class Half(Op):
        def infer(self, *operands):
            return operands[0]

    with pytest.raises(TypeError, match="abstract"):
        Half()
    with pytest.raises(TypeError, match="abstract"):
        Op()


def test_types_that_fit_exactly_are_accepted():
    """The neighbours of the refusals above."""
    assert Add().infer(VECTOR, tensor(IntType(lo=0, hi=BOUND - 3), 4)).type.hi == BOUND
    assert Conv().infer(MAP, ones(1, 4, 5, 6)).shape == (1, 1, 1)
    assert Conv(dilation=(4, 1), padding=((2, 2), (0, 0))).infer(MAP, ones(1, 4, 3, 1)).shape == (
        1, 1, 6)
    assert Threshold().infer(tensor(UINT8, 1), constant(np.array([[3, 3]])), ints(-1)).type == (
        IntType(lo=0, hi=2))
    assert REQUANTIZE.infer(tensor(TERNARY, 2), ints(-32767, 32767), ints(0, 46)).type == INT8
    assert MaxPool(kernel=(5, 6), stride=9).infer(tensor(INT32, 1, 5, 6)) == tensor(INT32, 1, 1, 1)
    assert Reshape(shape=(2, 60)).infer(MAP) == tensor(UINT2, 2, 60)
