"""Cases of chapter 02: codes to bytes and back, and bytes that are no code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from refnet.program import IntType, packing
from refnet.vectors.cases.build import Case, Typed, function_case
from refnet.vectors.stream import Stream

_PACKED = (
    # type, codes, flags, why
    ("ternary", [1, 0, -1, 1, -1], "PACKING SIGN",
     "five trits in two bytes: -1 is 11, the first code sits lowest"),
    ("ternary", [-1], "PACKING SIGN DEGENERATE", "one trit: 11 and six zero bits"),
    ("ternary", [0, 0, 0, 1], "PACKING", "the only non-zero trit is the last of its byte"),
    ("ternary", [[1, 0, 0, -1, 1], [-1, 1, 1, 0, 0]], "PACKING LAYOUT",
     "two rows of five: each row starts on a byte"),
    ("uint1", [1, 0, 1, 1, 0, 0, 0, 1, 1], "PACKING",
     "nine single bits: one spills into a second byte"),
    ("uint2", [3, 0, 2, 1, 1], "PACKING BASIC",
     "2-bit activation codes, first code in the lowest bits"),
    ("uint2", [[[0, 1, 2], [3, 0, 1]], [[2, 3, 0], [1, 2, 3]]], "PACKING LAYOUT",
     "rows of three leave two pad bits each; the outer axes stay"),
    ("uint3", [5, 3, 7, 0, 6, 1, 2, 4, 7], "PACKING",
     "3-bit fields cross byte borders without gaps"),
    ("int3", [-4, 3, -1, 0, -2], "PACKING SIGN", "two's complement in three bits, -4 included"),
    ("sint4", [-7, 7, -1, 1], "PACKING SIGN",
     "the symmetric type of four bits has two's complement fields"),
    ("int[-5,3]", [-5, 3, 0], "PACKING SIGN", "a range needs the four bits of its wider side"),
    ("int[2,5]", [2, 5, 3], "PACKING",
     "a range away from zero is not shifted to zero: the field is the code"),
    ("int8", [-128, 127, -1, 0], "PACKING BOUNDARY",
     "a byte a code: the bytes of two's complement"),
    ("int12", [-2048, 2047, -1], "PACKING BOUNDARY",
     "12-bit fields: lower bits first, across bytes"),
    ("uint16", [1, 256, 65535], "PACKING", "16 bits: the low byte comes first"),
    ("int32", [-2147483648, 2147483647, 1], "PACKING BOUNDARY", "32 bits, both ends"),
)
_TRITS = (
    ([-1, -1, -1, -1, -1], "PACKING SIGN BOUNDARY", "the largest byte, 242"),
    ([1, 0, -1], "PACKING", "three trits: the two missing ones count as zeros"),
    ([1, 0, 0, 0, 0], "PACKING", "the first trit has the weight 1"),
    ([0, 0, 0, 0, 1], "PACKING", "the fifth trit has the weight 81"),
    ([1, 0, -1, 1, -1, 1], "PACKING", "six trits: a second byte holds one"),
    ([[0, 1, -1, 0, 1, 1], [-1, 0, 0, 0, 0, -1]], "PACKING LAYOUT",
     "two rows, each on its own bytes"),
    ([0], "PACKING DEGENERATE", "a lone zero is the byte 0"),
)
_NO_CODES: tuple[tuple[str, str, dict[str, Any], dict[str, Any], str], ...] = (
    ("2.1.2 2.1.3", "unpack_bits", {"type": "ternary", "size": 1}, {"bytes": [0b10]},
     "the field 10 is no trit"),
    ("2.1.2 2.1.3", "unpack_bits", {"type": "ternary", "size": 4}, {"bytes": [0b10000000]},
     "the field 10 as the last of a byte"),
    ("2.1.3", "unpack_bits", {"type": "ternary", "size": 3}, {"bytes": [0b01000000]},
     "padding bits after three trits are not zero"),
    ("2.1.3", "unpack_bits", {"type": "uint3", "size": 2}, {"bytes": [0b10000000]},
     "a padding bit after two 3-bit fields is not zero"),
    ("2.1.3", "unpack_bits", {"type": "uint2", "size": 5}, {"bytes": [1]},
     "five 2-bit codes need two bytes, one is given"),
    ("2.1.3", "unpack_bits", {"type": "uint2", "size": 4}, {"bytes": [1, 0]},
     "a byte too many, although it is zero"),
    ("2.1.3", "unpack_bits", {"type": "sint4", "size": 1}, {"bytes": [8]},
     "the field 1000 would be -8, which sint4 does not hold"),
    ("2.1.3", "unpack_bits", {"type": "int[0,4]", "size": 1}, {"bytes": [5]},
     "the field 101 is above the largest code 4"),
    ("2.1.3", "unpack_bits", {"type": "int[2,5]", "size": 1}, {"bytes": [1]},
     "the field 001 is below the least code 2"),
    ("2.2.1", "unpack_trits", {"size": 5}, {"bytes": [243]}, "the byte 243 holds no five trits"),
    ("2.2.1", "unpack_trits", {"size": 5}, {"bytes": [255]}, "the byte 255 holds no five trits"),
    ("2.2.1", "unpack_trits", {"size": 3}, {"bytes": [27]},
     "a missing trit of the last byte is not zero"),
    ("2.2.1", "unpack_trits", {"size": 6}, {"bytes": [0]},
     "six trits need two bytes, one is given"),
    ("2.1.3 2.3.1", "unpack_planes", {"type": "uint2", "size": 4}, {"bytes": [[9], [5], [0]]},
     "three planes for a type of two bits"),
    ("2.1.3 2.3.1", "unpack_planes", {"type": "uint2", "size": 4}, {"bytes": [[9], [16]]},
     "padding of a plane is not zero"),
    ("2.1.3 2.3.1", "unpack_planes", {"type": "ternary", "size": 1}, {"bytes": [[0], [1]]},
     "plane 1 without plane 0 is the field 10: no trit"),
    ("2.4.1", "unpack_ternary_planes", {"size": 1}, {"nonzero": [0], "negative": [1]},
     "a negative zero"),
    ("2.1.3 2.4.1", "unpack_ternary_planes", {"size": 3}, {"nonzero": [8], "negative": [0]},
     "padding of a mask is not zero"),
)


def _one_way(
    kind: str, i: int, clauses: str, op: str, attributes: Mapping[str, Any],
    inputs: Mapping[str, Typed], flags: str, comment: str,
) -> Case:  # fmt: skip
    """A case of one packing; the first of each kind belongs to the smoke tier."""
    return function_case(f"codes.{kind}.{i:04d}", clauses, op, attributes, inputs, flags,
                         comment + ".", tier="smoke" if i == 1 else "core")


def _both_ways() -> list[Case]:
    cases = []
    for i, (name, codes, flags, why) in enumerate(_PACKED, start=1):
        type, array = IntType.parse(name), np.array(codes)
        clauses = "2.1.1 2.1.2" if name == "ternary" else "2.1.1"
        given, back = {"type": name}, {"type": name, "size": array.shape[-1]}
        held = {"codes": (name, codes)}
        packed = {"bytes": ("uint8", packing.pack_bits(array, type))}
        planes = {"bytes": ("uint8", packing.pack_planes(array, type))}
        cases += [
            _one_way("bits", i, clauses, "pack_bits", given, held, flags,
                     f"Codes of {name} to bytes: {why}"),
            _one_way("bits_back", i, clauses + " 2.1.3", "unpack_bits", back, packed, flags,
                     f"Bytes to codes of {name}: {why}"),
            _one_way("planes", i, "2.3.1", "pack_planes", given, held, flags,
                     f"Codes of {name} to bit planes, plane 0 first: {why}"),
            _one_way("planes_back", i, "2.3.1", "unpack_planes", back, planes, flags,
                     f"Bit planes to codes of {name}: {why}"),
        ]
    return cases


def _trits() -> list[Case]:
    cases = []
    for i, (codes, flags, why) in enumerate(_TRITS, start=1):
        array = np.array(codes)
        pair = zip(("nonzero", "negative"), packing.pack_ternary_planes(array), strict=True)
        masks = {k: ("uint8", m) for k, m in pair}
        held, size = {"codes": ("ternary", codes)}, {"size": array.shape[-1]}
        packed = {"bytes": ("uint8", packing.pack_trits(array))}
        cases += [
            _one_way("trits", i, "2.2.1", "pack_trits", {}, held, flags,
                     f"Trits five to a byte: {why}"),
            _one_way("trits_back", i, "2.2.1", "unpack_trits", size, packed, flags,
                     f"Bytes to trits: {why}"),
            _one_way("masks", i, "2.4.1", "pack_ternary_planes", {}, held, flags,
                     f"Trits to the masks non-zero and negative: {why}"),
            _one_way("masks_back", i, "2.4.1", "unpack_ternary_planes", size, masks, flags,
                     f"Masks to trits: {why}"),
        ]
    return cases


def _refused() -> list[Case]:
    cases = [
        function_case(f"codes.refused.{i:04d}", clauses, op, attributes,
                      {k: ("uint8", v) for k, v in held.items()}, "PACKING",
                      f"Bytes that must be refused: {why}.", error="code")
        for i, (clauses, op, attributes, held, why) in enumerate(_NO_CODES, start=1)
    ]
    outside = (("uint2", [0, 4]), ("ternary", [2]), ("sint8", [-128]))
    return cases + [
        function_case(f"codes.outside.{i:04d}", "2.1.1", "pack_bits", {"type": name},
                      {"codes": ("int8", codes)}, "PACKING BOUNDARY",
                      f"Codes {codes} leave {name}: packing them would lose bits.", error="range")
        for i, (name, codes) in enumerate(outside, start=1)
    ]


def _random() -> list[Case]:
    cases = []
    for i, name in enumerate(("ternary", "uint2", "int5", "uint8", "int[-20,90]"), start=1):
        id = f"codes.random.{i:04d}"
        type = IntType.parse(name)
        codes = Stream(id).integers(type.lo, type.hi, (3, 17))
        cases.append(function_case(
            id, "2.1.1 1.2.2", "pack_bits", {"type": name}, {"codes": (name, codes)},
            "PACKING PSEUDO_RANDOM", f"Three rows of 17 pseudo-random codes of {name} to bytes."))
    trits = Stream("codes.random.0006").integers(-1, 1, (4, 23))
    return [
        *cases,
        function_case("codes.random.0006", "2.2.1", "pack_trits", {}, {"codes": ("ternary", trits)},
                      "PACKING PSEUDO_RANDOM", "Four rows of 23 pseudo-random trits."),
        function_case("codes.all_trits.0001", "2.2.1", "unpack_trits", {"size": 5 * 243},
                      {"bytes": ("uint8", np.arange(243))}, "PACKING BOUNDARY",
                      "Every byte that holds trits, 0 to 242, read back: the digits of all."),
    ]


CASES: tuple[Case, ...] = (*_both_ways(), *_trits(), *_refused(), *_random())
