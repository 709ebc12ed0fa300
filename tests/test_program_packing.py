"""Packings against [2] of the specification."""

from itertools import product

import numpy as np
import oracle_codes
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import Refused, type_bits

from refnet.laws.arrays import int_types
from refnet.program import TERNARY, UINT2, IntType
from refnet.program.packing import (
    pack_bits,
    pack_planes,
    pack_ternary_planes,
    pack_trits,
    unpack_bits,
    unpack_planes,
    unpack_ternary_planes,
    unpack_trits,
)

WIDTHS = [
    *(IntType.unsigned(k) for k in range(1, 9)), *(IntType.twos_complement(k) for k in range(1, 9)),
    *(IntType.symmetric(k) for k in range(2, 9)), IntType(lo=-5, hi=3), IntType(lo=3, hi=5),
    IntType(lo=-6, hi=-2), IntType(lo=0, hi=0), IntType(lo=-3, hi=-3), IntType(lo=-4, hi=2),
]


def as_bytes(row) -> np.ndarray:
    return np.array(row, dtype=np.uint8)


@pytest.mark.parametrize("kind", WIDTHS, ids=str)
def test_every_code_of_every_width_packs_as_the_clauses_say_and_comes_back(kind):
    row = list(range(kind.lo, kind.hi + 1))
    row += row[::-1][: -len(row) % 8 + 3]               # not a whole number of bytes
    codes = np.array(row)
    packed, planes = pack_bits(codes, kind), pack_planes(codes, kind)
    assert packed.dtype == planes.dtype == np.uint8
    assert packed.tolist() == oracle_codes.pack_bits(row, kind.lo, kind.hi)
    assert planes.tolist() == oracle_codes.pack_planes(row, kind.lo, kind.hi)
    for back in (unpack_bits(packed, len(row), kind), unpack_planes(planes, len(row), kind)):
        assert back.dtype == kind.dtype
        assert back.tolist() == row


@given(int_types(limit=2**31 - 1), st.integers(0, 19), st.integers(0, 2**32 - 1))
def test_rows_of_any_type_pack_one_by_one(kind, size, seed):
    codes = np.random.default_rng(seed).integers(kind.lo, kind.hi + 1, size=(2, 3, size))
    packed, planes = pack_bits(codes, kind), pack_planes(codes, kind)
    for i, j in np.ndindex(2, 3):
        row = codes[i, j].tolist()
        assert packed[i, j].tolist() == oracle_codes.pack_bits(row, kind.lo, kind.hi)
        assert planes[:, i, j].tolist() == oracle_codes.pack_planes(row, kind.lo, kind.hi)
    assert unpack_bits(packed, size, kind).tolist() == codes.tolist()
    assert unpack_planes(planes, size, kind).tolist() == codes.tolist()


@pytest.mark.parametrize("size", range(7))
def test_every_row_of_trits(size):
    rows = list(product((-1, 0, 1), repeat=size))
    codes = np.array(rows, dtype=np.int8).reshape(len(rows), size)
    packed, (nonzero, negative) = pack_trits(codes), pack_ternary_planes(codes)
    fields = pack_bits(codes, TERNARY)
    assert packed.dtype == nonzero.dtype == negative.dtype == np.uint8
    for k, row in enumerate(map(list, rows)):
        assert packed[k].tolist() == oracle_codes.pack_trits(row)
        assert [nonzero[k].tolist(), negative[k].tolist()] == list(oracle_codes.pack_masks(row))
        assert fields[k].tolist() == oracle_codes.pack_bits(row, -1, 1)
    for back in (unpack_trits(packed, size), unpack_ternary_planes(nonzero, negative, size),
                 unpack_bits(fields, size, TERNARY)):
        assert back.dtype == np.int8
        assert back.tolist() == codes.tolist()


def test_masks_are_the_planes_of_the_two_bit_fields():
    codes = np.array([-1, 0, 1, 1, -1, 0, 0, -1, 1])
    assert np.array_equal(np.stack(pack_ternary_planes(codes)), pack_planes(codes, TERNARY))


def outcome(function, *arguments):
    """What a function gives, as lists, or "refused"."""
    try:
        result = function(*arguments)
    except (Refused, ValueError):
        return "refused"
    return result.tolist() if isinstance(result, np.ndarray) else result


@pytest.mark.parametrize("kind", [k for k in WIDTHS if k.bits <= 4], ids=str)
def test_every_byte_is_read_or_refused_as_the_clauses_say(kind):
    outcomes = []
    for byte, size in product(range(256), (1, 2, 8 // kind.bits)):
        got = outcome(unpack_bits, as_bytes([byte]), size, kind)
        assert got == outcome(oracle_codes.unpack_bits, [byte], size, kind.lo, kind.hi)
        outcomes.append(got == "refused")
        planes = [byte] * kind.bits
        got = outcome(unpack_planes, as_bytes(planes)[:, None], size, kind)
        assert got == outcome(
            oracle_codes.unpack_planes, [[b] for b in planes], size, kind.lo, kind.hi)
    assert True in outcomes                             # at least the padding of one code
    assert False in outcomes


@pytest.mark.parametrize("size", range(1, 7))
def test_every_byte_of_trits_is_read_or_refused_as_the_clauses_say(size):
    for byte in range(256):
        row = [byte] if size < 6 else [7, byte]
        got = outcome(unpack_trits, as_bytes(row), size)
        assert got == outcome(oracle_codes.unpack_trits, row, size)
    assert outcome(unpack_trits, as_bytes([243]), 5) == "refused"


def test_every_pair_of_masks_is_read_or_refused_as_the_clauses_say():
    for a, b in product(range(16), repeat=2):
        got = outcome(unpack_ternary_planes, as_bytes([a]), as_bytes([b]), 3)
        assert got == outcome(oracle_codes.unpack_masks, [a], [b], 3)


@pytest.mark.parametrize(("row_bytes", "size"), [(2, 4), (3, 4), (2, 0), (1, -1), (0, -1), (2, -8)])
def test_a_row_of_the_wrong_length_is_refused(row_bytes, size):
    row = np.zeros(row_bytes, dtype=np.uint8)
    for refuse in (
        lambda: unpack_bits(row, size, UINT2),
        lambda: unpack_trits(np.zeros(row_bytes + 1, np.uint8), size),
        lambda: unpack_planes(np.zeros((2, row_bytes + 1), np.uint8), size, UINT2),
        lambda: unpack_ternary_planes(np.zeros(row_bytes + 1, np.uint8), row, size),
    ):
        with pytest.raises(ValueError, match=r"unpack: .* rule"):
            refuse()


@pytest.mark.parametrize("packed", [
    np.zeros(1, np.int8), np.zeros(1), np.array(0, np.uint8), np.zeros(1, bool)])
def test_only_rows_of_bytes_are_unpacked(packed):
    good = np.zeros(1, np.uint8)
    for refuse in (
        lambda: unpack_bits(packed, 1, UINT2), lambda: unpack_trits(packed, 1),
        lambda: unpack_planes(packed, 1, UINT2), lambda: unpack_ternary_planes(packed, good, 1),
        lambda: unpack_ternary_planes(good, packed, 1),
    ):
        with pytest.raises(ValueError, match=r"unpack: .* rule"):
            refuse()


@pytest.mark.parametrize("planes", [1, 3])
def test_the_number_of_planes_is_the_width(planes):
    with pytest.raises(ValueError, match="first axis of 2"):
        unpack_planes(np.zeros((planes, 1), np.uint8), 3, UINT2)
    with pytest.raises(ValueError, match="first axis of 1"):
        unpack_planes(np.zeros(1, np.uint8), 3, IntType.unsigned(1))


def test_masks_of_two_shapes_are_refused():
    with pytest.raises(ValueError, match="unpack: "):
        unpack_ternary_planes(np.zeros(1, np.uint8), np.zeros((3, 1), np.uint8), 3)


@pytest.mark.parametrize("codes", [np.array([2]), np.array([-2]), np.array([0.0]), np.array(1)])
def test_what_is_no_row_of_codes_is_not_packed(codes):
    for refuse in (
        lambda: pack_bits(codes, TERNARY), lambda: pack_planes(codes, TERNARY),
        lambda: pack_trits(codes), lambda: pack_ternary_planes(codes),
    ):
        with pytest.raises(ValueError, match="pack: codes"):
            refuse()


def test_packing_leaves_its_arguments_alone():
    codes = np.array([-1, 0, 1])
    codes.flags.writeable = False
    assert type_bits(-1, 1) == 2
    for pack in (pack_trits, pack_ternary_planes, lambda c: pack_bits(c, TERNARY),
                 lambda c: pack_planes(c, TERNARY)):
        pack(codes)
    assert codes.tolist() == [-1, 0, 1]
