"""Integer types, tensor types and constants against [1] of the specification."""

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.laws.arrays import int_types
from refnet.program import (
    ACCUMULATOR,
    INT8,
    INT16,
    SINT8,
    TERNARY,
    UINT2,
    UINT8,
    Constant,
    IntType,
    ProgramError,
    TensorType,
    constant,
)

SMALL = [(lo, hi) for lo in range(-20, 21) for hi in range(lo, 21)]
POWERS = [
    (sign * (2**k) + a, 2**m + b)
    for k in range(0, 31, 3) for m in range(0, 31, 3) for sign in (-1, 0)
    for a in (-1, 0, 1) for b in (-2, -1, 0) if sign * 2**k + a <= 2**m + b
]
EDGES = [(-(2**31), 2**31 - 1), (-(2**31), -(2**31)), (2**31 - 1, 2**31 - 1), (-(2**31), 0),
         (-(2**31) + 1, 2**31 - 1), (-129, 0), (0, 256), (-1, 32768), (-32769, 0), (0, 65536)]


def test_name_bits_and_storage_of_every_small_range_and_of_ranges_at_powers_of_two():
    for lo, hi in SMALL + POWERS + EDGES:
        kind = IntType(lo=lo, hi=hi)
        seen = (kind.name, kind.bits, str(kind.dtype), kind.signed, str(kind))
        name = oracle.type_name(lo, hi)
        want = (name, oracle.type_bits(lo, hi), oracle.type_storage(lo, hi), lo < 0, name)
        assert seen == want, (lo, hi)
        assert IntType.parse(kind.name) == kind


@pytest.mark.parametrize("bits", range(1, 33))
def test_families_of_each_width(bits):
    if bits < 32:
        assert IntType.parse(f"uint{bits}") == IntType.unsigned(bits)
        assert IntType.unsigned(bits) == IntType(lo=0, hi=2**bits - 1)
    assert IntType.parse(f"int{bits}") == IntType.twos_complement(bits)
    assert (IntType.twos_complement(bits).lo, IntType.twos_complement(bits).bits) == (
        -(2 ** (bits - 1)), bits)
    if bits > 1:
        assert IntType.parse(f"sint{bits}") == IntType.symmetric(bits)
        assert IntType.symmetric(bits).lo == -IntType.symmetric(bits).hi == 1 - 2 ** (bits - 1)


def test_named_constants_are_the_ranges_they_say():
    ranges = {t: (t.lo, t.hi) for t in (TERNARY, UINT2, UINT8, INT8, SINT8, INT16, ACCUMULATOR)}
    assert list(ranges.values()) == [
        (-1, 1), (0, 3), (0, 255), (-128, 127), (-127, 127), (-32768, 32767),
        (2 - 2**31, 2**31 - 2)]


@pytest.mark.parametrize("name", [
    "", "uint", "uint0", "uint33", "int0", "int33", "sint1", "sint33", "uint32", "Ternary",
    "ternary ", " uint2", "uint2\n", "uint-2", "int[3]", "int[0,3", "int[0, 3]", "int[+0,3]",
    "int[5,3]", "int[0,2147483648]", "int[-2147483649,0]", "int[0,99999999999]", "float32",
    "uint\u0662", "int[\u0660,\u0663]", "uint002", "int[,3]", "int[1.0,3]",
])
def test_a_text_that_names_no_type_is_refused(name):
    with pytest.raises(ProgramError, match=r"type|IntType"):
        IntType.parse(name)


@pytest.mark.parametrize(("lo", "hi"), [
    (1, 0), (0, 2**31), (-(2**31) - 1, 0), (True, 1), (0, False), (0.0, 1), (0, "1"), (None, 1),
])
def test_a_range_that_is_none_is_refused(lo, hi):
    with pytest.raises(ProgramError, match="IntType"):
        IntType(lo=lo, hi=hi)


def test_bounds_of_numpy_become_plain_integers():
    kind = IntType(lo=np.int8(-3), hi=np.uint64(5))
    assert type(kind.lo) is int
    assert type(kind.hi) is int
    assert kind == IntType(lo=-3, hi=5)


def test_contains_at_both_ends():
    kind = IntType(lo=-3, hi=5)
    assert kind.contains(np.array([-3, 5, 0]))
    assert not kind.contains(np.array([-4]))
    assert not kind.contains(np.array([6]))
    assert not kind.contains(np.array([2**64 - 3], dtype=np.uint64))
    assert kind.contains(np.empty((0, 2), dtype=np.int8))


@pytest.mark.parametrize("shape", [
    (), (1, 1, 1, 1, 1), (0,), (3, -1), (2.0,), (True,), ("3",), (None,), (2**31,), (10**4000,),
])
def test_a_shape_that_is_none_is_refused(shape):
    with pytest.raises(ProgramError, match="TensorType: shape"):
        TensorType(type=UINT2, shape=shape)


def test_a_tensor_type_counts_and_prints():
    tensor = TensorType(type=UINT2, shape=[np.int64(3), 4, 5])
    assert tensor.shape == (3, 4, 5)
    assert all(type(n) is int for n in tensor.shape)
    assert (tensor.elements, str(tensor)) == (60, "uint2 (3, 4, 5)")
    wide = TensorType(type=UINT2, shape=(2**31 - 1,) * 4)
    assert wide.elements == (2**31 - 1) ** 4       # not an integer of 64 bits


@given(int_types(), st.integers(0, 2**32 - 1))
def test_a_constant_keeps_its_values_in_the_storage_of_its_type(kind, seed):
    values = np.random.default_rng(seed).integers(kind.lo, kind.hi + 1, size=(2, 3))
    held = Constant(type=kind, array=values)
    assert held.array.tolist() == values.tolist()
    assert held.array.dtype == kind.dtype
    assert held.shape == (2, 3)
    tight = constant(values)
    assert (tight.type.lo, tight.type.hi) == (values.min(), values.max())
    assert constant(values, kind) == held


def test_a_constant_is_a_copy_and_read_only():
    source = np.array([[1, 0, -1]], dtype=np.int8)
    held = Constant(type=TERNARY, array=source)
    source[:] = 0
    assert held.array.tolist() == [[1, 0, -1]]
    with pytest.raises(ValueError, match="read-only"):
        held.array[0, 0] = 0


def test_a_constant_is_held_in_c_order():
    transposed = np.arange(6).reshape(2, 3).T
    held = constant(transposed)
    assert held.array.flags.c_contiguous
    assert held.array.tobytes() == bytes([0, 3, 1, 4, 2, 5])


def test_constants_are_equal_by_type_shape_and_values():
    one = constant(np.array([1, 2]))
    assert one == constant(np.array([1, 2], dtype=np.uint16))
    assert hash(one) == hash(constant(np.array([1, 2])))
    others = [constant(np.array([1, 2]), UINT8), constant(np.array([1, 3])),
              constant(np.array([[1, 2]])), constant(np.array([2, 1]))]
    assert one not in others
    assert one != [1, 2]


@pytest.mark.parametrize(("array", "kind", "message"), [
    (np.array([2]), TERNARY, r"\[2, 2\] leave its type ternary"),
    (np.array([2**64 - 1], dtype=np.uint64), TERNARY, "leave its type ternary"),
    (np.array([1.0]), TERNARY, "dtype float64"),
    (np.array([True]), TERNARY, "dtype bool"),
    (np.array(1), TERNARY, r"shape \(\)"),
    (np.ones((1, 1, 1, 1, 1), np.int8), TERNARY, "1 to 4 axes"),
    (np.empty((2, 0), np.int8), TERNARY, "size >= 1"),
])
def test_an_array_that_is_no_constant_is_refused(array, kind, message):
    with pytest.raises(ProgramError, match=message):
        Constant(type=kind, array=array)


@pytest.mark.parametrize("array", [np.array([1.0]), np.empty(0, np.int8), np.array(["1"])])
def test_constant_without_a_type_needs_integers(array):
    with pytest.raises(ProgramError, match="constant: "):
        constant(array)


def test_constant_refuses_what_no_type_holds():
    with pytest.raises(ProgramError, match="IntType"):
        constant(np.array([2**31]))


@pytest.mark.parametrize(
    ("make", "bits"),
    [(IntType.unsigned, 0), (IntType.unsigned, 33), (IntType.twos_complement, 0),
     (IntType.symmetric, 1), (IntType.symmetric, -3)],
)
def test_widths_that_no_name_has_are_refused(make, bits):
    with pytest.raises(ProgramError, match=f"{bits} bits, rule"):
        make(bits)
