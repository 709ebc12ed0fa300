"""Cases of chapter 03 on rounding, multipliers and shifts, and of the operator Requantize [4.3].

Rows of the tables are only ever appended: their place is their id.
"""

from __future__ import annotations

import struct
from typing import Any

from refnet.program import IntType, Requantize, arith
from refnet.vectors.cases.build import Case, function_case, operator_case
from refnet.vectors.stream import Stream

RULES = arith.ROUNDINGS
_TOP = 2**31 - 2
#: (32769 * d + 1) / 65536 over d lies 2**-58 above the tie 32769 / 65536.
_BELOW = 2**42 + 32767
_NEXT = (32769 * _BELOW + 1) // 65536

_SHIFTS: tuple[tuple[list[int], int | list[int], str, str], ...] = (
    ([-7, -5, -3, -1, 1, 3, 5, 7], 1, "TIE SIGN",
     "every odd number over 2 is a tie, on both sides of zero, next to even and odd integers"),
    ([-6, -5, -3, -2, 2, 3, 5, 6, 10, -10], 2, "TIE SIGN",
     "quarters: 2 and 6 of 4 are ties, 1 and 3 are not"),
    ([-9, -8, -7, 7, 8, 9, 23, 24, 25, -23, -24, -25], 4, "TIE BOUNDARY",
     "ties of 16 with the numbers one below and one above them"),
    ([-5, 7, 0, -2147483646, 2147483646], 0, "BOUNDARY", "no shift, no tie: the number itself"),
    ([2**45, 2**45 - 1, 2**45 + 1, -(2**45), -(2**45) - 1, -(2**45) + 1, 3 * 2**45], 46,
     "TIE BOUNDARY", "the longest shift: one half, and its neighbours one unit away"),
    ([3, 3, 3, 3, -3, -3, -3, -3], [0, 1, 2, 3, 0, 1, 2, 3], "TIE SIGN",
     "one shift an element: 3, 1.5, 0.75, 0.375 and their negatives"),
    ([2**45 - 2**14, 2**45 - 2**14 - 1, 2**31 + 2**14], 15, "TIE BOUNDARY",
     "products beyond 32 bits with a tie in the low bits: a float of 24 bits loses it"),
    ([-1, 1, -2, 2], 3, "SIGN", "small numbers: below one half they become 0, not -1"),
)

# acc, mult, shift, type, flags, why
_PRODUCTS: tuple[tuple[list[int], Any, Any, str, str, str], ...] = (
    ([5, -5, 3, -3, 1, -1], 3, 1, "int8", "TIE SIGN", "7.5, 4.5, 1.5 and their negatives"),
    ([5, -5, 7, -7], -3, 1, "int8", "TIE SIGN",
     "a negative multiplier: the tie rule sees its sign"),
    ([126, 127, 128, 129, -127, -128, -129, -130], 1, 0, "int8", "SATURATE BOUNDARY",
     "both ends of int8 without rounding, and their neighbours"),
    ([253, 254, 255, 256, 257, -255, -256, -257, -258], 1, 1, "int8", "SATURATE TIE BOUNDARY",
     "127.5 and -128.5 round beyond the type or stay in it: round first, then clamp"),
    ([1000, -1000, 300, -300], 1, 2, "int8", "SATURATE SIGN",
     "250 and 75: an accumulator clamped to the type before it is scaled gives 32"),
    ([5, 6, 7, 8, -1, -2], 1, 1, "uint2", "SATURATE TIE", "2-bit codes: 2.5, 3, 3.5, 4, -0.5, -1"),
    ([1, 2, 3, -1, -2, -3], 1, 1, "ternary", "SATURATE TIE SIGN", "halves into ternary codes"),
    ([-257, -256, -255, -254, 254, 255], 1, 1, "sint8", "SATURATE TIE BOUNDARY",
     "the symmetric type ends at -127 where int8 goes on to -128"),
    ([_TOP, -_TOP, _TOP, -_TOP], [32767, 32767, -32767, -32767], 46, "int8", "ACCUMULATOR SIGN",
     "the largest products there are, 46 bits: 32-bit products wrap"),
    ([_TOP, -_TOP, 2**30, -(2**30)], 32767, 31, "int16", "ACCUMULATOR SATURATE",
     "the largest accumulators against the largest multiplier into 16 bits"),
    ([_TOP, -_TOP, _TOP - 1], 16384, 14, "int[-2147483646,2147483646]", "ACCUMULATOR",
     "a ratio of one on the largest accumulators gives them back; a float32 does not"),
    ([10922, 10923, -10922, -10923], 21845, 16, "int16", "BASIC", "one third as (21845, 16)"),
    ([1, 2, 3, -1, -2, -3], 0, 0, "int8", "DEGENERATE", "the ratio zero is (0, 0)"),
    ([65536 * 3 + 32768, 65536 + 32768, -(65536 + 32768), 32767, 32768], 1, 16, "int8",
     "TIE BOUNDARY", "1 over 2**16: ties in the middle of the low half-word"),
    ([49151, 49152, 49153, -49151, -49152, -49153, 16384, 81920], 16384, 30, "int8",
     "TIE BOUNDARY", "ties of 65536 next to numbers that a high multiplication rounds into ties"),
    ([3, -3, 1, 7], [1, 1, 3, 5], [1, 1, 2, 3], "int8", "TIE SIGN",
     "another multiplier and shift for each element"),
    ([12, 20, -12, 28], -16384, 17, "int8", "TIE SIGN", "-1.5, -2.5, 1.5, -3.5 by (-16384, 17)"),
)


def _rounding_shifts() -> list[Case]:
    cases = []
    for rule in RULES:
        for i, (x, shift, flags, why) in enumerate(_SHIFTS, start=1):
            shifts = shift if isinstance(shift, list) else [shift] * len(x)
            cases.append(function_case(
                f"rounding.{rule}.{i:04d}", "3.1.1 3.1.3", "rounding_shift", {"rounding": rule},
                {"x": ("int64", x), "shift": ("uint8", shifts)}, flags,
                f"Rounding shift, {rule}: {why}.", tier="smoke" if i == 1 else "core"))
    refused: tuple[tuple[str, dict[str, str], list[int], str, str], ...] = (
        ("3.1.2", {}, [1], "attribute", "no rounding rule is named, and there is no default"),
        ("3.1.2", {"rounding": "nearest"}, [1], "attribute",
         "a rule of that name does not exist: nearest says nothing about ties"),
        ("3.1.1", {"rounding": "half_even"}, [-1], "operand", "a negative shift is no shift"),
    )
    return cases + [
        function_case(f"rounding.refused.{i:04d}", clause, "rounding_shift", given,
                      {"x": ("int64", [5]), "shift": ("int8", shift)}, "BOUNDARY",
                      f"A rounding shift that must be refused: {why}.", error=error)
        for i, (clause, given, shift, error, why) in enumerate(refused, start=1)
    ]


def _spread(value: Any, size: int) -> list[int]:
    return list(value) if isinstance(value, list) else [value] * size


def _requantizations() -> list[Case]:
    cases = []
    for rule in RULES:
        for i, (acc, mult, shift, type, flags, why) in enumerate(_PRODUCTS, start=1):
            cases.append(function_case(
                f"rounding.requantize_{rule}.{i:04d}", "3.2.1 3.2.2 3.1.1 1.4.1", "requantize",
                {"type": type, "rounding": rule},
                {"acc": ("int32", acc), "mult": ("sint16", _spread(mult, len(acc))),
                 "shift": ("uint8", _spread(shift, len(acc)))},
                flags, f"Requantization into {type}, {rule}: {why}.",
                tier="smoke" if i in (1, 4) else "core"))
    refused = (({"type": "int8"}, "no rounding rule is named, and there is no default"),
               ({"type": "int8", "rounding": "round"}, "a rule of that name does not exist"))
    bound = function_case(
        "rounding.requantize_refused.0003", "1.3.1 3.2.2", "requantize",
        {"type": "int8", "rounding": "half_up"},
        {"acc": ("int32", [_TOP + 1]), "mult": ("sint16", [1]), "shift": ("uint8", [0])},
        "ACCUMULATOR BOUNDARY", "Must be refused: the number 2**31 - 1 is no accumulator.",
        error="range")
    cases += [
        function_case(f"rounding.requantize_refused.{i:04d}", "3.1.2 3.2.2", "requantize", given,
                      {"acc": ("int32", [5]), "mult": ("sint16", [3]), "shift": ("uint8", [1])},
                      "TIE", f"A requantization that must be refused: {why}.", error="attribute")
        for i, (given, why) in enumerate(refused, start=1)
    ]
    return [*cases, bound]


def _random() -> list[Case]:
    cases = []
    for i, (rule, type) in enumerate(
        [(rule, type) for rule in RULES for type in ("int8", "uint2", "int16")], start=1
    ):
        id = f"rounding.random.{i:04d}"
        draw = Stream(id)
        shift = draw.integers(1, 6, (24,))
        # Multipliers of few bits and short shifts meet many ties; real scales meet none.
        acc, mult = draw.integers(-999, 999, (24,)), draw.integers(-7, 7, (24,))
        cases.append(function_case(
            id, "3.2.2", "requantize", {"type": type, "rounding": rule},
            {"acc": ("int32", acc), "mult": ("sint16", mult), "shift": ("uint8", shift)},
            "TIE PSEUDO_RANDOM", f"Pseudo-random small products, many of them ties, {rule}."))
    return cases


def _real(*bits: str) -> list[float]:
    return [struct.unpack(">d", bytes.fromhex(b))[0] for b in bits]


def _ratios() -> list[Case]:
    rows: tuple[tuple[list[float], str, str], ...] = (
        ([1.0, -1.0, 0.5, 2.0, 0.75, -3.0], "BASIC SIGN", "powers of two and their likes"),
        ([0.0, -0.0], "DEGENERATE", "both zeros are (0, 0)"),
        ([1 / 3, 0.1, -0.7, 1e-3], "BASIC", "decimal fractions, taken as the binary64 they are"),
        ([32767.75 / 32768, 32767.5 / 32768, 32767.25 / 32768], "BOUNDARY TIE",
         "m rounds to 2**15, which is too much: one shift less"),
        ([16384.5 / 32768, 16385.5 / 32768, -16384.5 / 32768], "TIE SIGN",
         "m lies between two integers: to the even one, whatever the sign"),
        ([32767.0, 32766.5, 32767.25, 32767.4375], "BOUNDARY", "the largest ratios: shift 0"),
        ([2.0**-32, 2.0**-33, 2.0**-40, 2.0**-46], "BOUNDARY",
         "small ratios: the shift stops at 46 and the multiplier gets shorter"),
        ([2.0**-47, 3 * 2.0**-47, 2.0**-48, 5 * 2.0**-47], "BOUNDARY TIE",
         "halves of the smallest step: ties to even, down to 0 with shift 46"),
        (_real("0000000000000001", "0010000000000000", "3ff0000000000001", "3fefffffffffffff"),
         "BOUNDARY", "the least subnormal, the least normal number, the neighbours of one"),
        ([(3.5 - 2.0**-20) * 2.0**-46, -(1.5 - 2.0**-20) * 2.0**-46, 2.0**-47 + 2.0**-70],
         "BOUNDARY TIE", "next to halves of the smallest step: of 15 bits first, they are ties"),
    )
    cases = [
        function_case(f"rounding.ratio.{i:04d}", "3.3.1", "ratio_to_mult_shift", {},
                      {"ratio": ("binary64", ratios)}, flags, f"Real ratios to pairs: {why}.",
                      tier="smoke" if i == 1 else "core")
        for i, (ratios, flags, why) in enumerate(rows, start=1)
    ]
    cases.append(function_case(
        "rounding.ratio_exact.0001", "3.3.1 3.3.2", "ratio_to_mult_shift", {},
        {"numerator": ("int64", [1, -1, 2, 65533, 65535, 0]),
         "denominator": ("int64", [3, 7, 3, 65536, 65536, 5])},
        "TIE RATIONAL", "Rationals n/d: taken as they are, not as the nearest real number."))
    cases.append(function_case(
        "rounding.ratio_exact.0002", "3.3.1 3.3.2", "ratio_to_mult_shift", {},
        {"numerator": ("int64", [_NEXT, -_NEXT, 32769]),
         "denominator": ("int64", [_BELOW, _BELOW, 65536])},
        "TIE RATIONAL", "Rationals within 2**-58 of a tie, which they are once they are binary64."))
    return cases + _refused_ratios()


def _refused_ratios() -> list[Case]:
    refused = (
        ([32767.5], "range", "rounds to 2**15 with shift 0, and a negative shift does not exist"),
        ([-40000.0], "range", "a magnitude beyond the largest multiplier"),
        (_real("7ff0000000000000"), "operand", "infinity is no ratio"),
        (_real("7ff8000000000000"), "operand", "a number that is none is no ratio"),
    )
    return [
        function_case(f"rounding.ratio_refused.{i:04d}", "3.3.1", "ratio_to_mult_shift", {},
                      {"ratio": ("binary64", ratios)}, "BOUNDARY",
                      f"A ratio that must be refused: {why}.", error=error)
        for i, (ratios, error, why) in enumerate(refused, start=1)
    ]


def _operator() -> list[Case]:
    name = "requantize"
    cases = []
    maps = [[[[3, -3], [5, -5]], [[255, -257], [1000, -1000]], [[7, -7], [2, -2]]]]
    for i, rule in enumerate(RULES, start=1):
        cases += [
            operator_case(f"{name}.channels.{i:04d}", "4.3.1 3.2.2",
                          Requantize(type=IntType.parse("int8"), rounding=rule),
                          {"x": ("int16", maps), "mult": [1, 1, -3], "shift": [1, 1, 2]},
                          "TIE SATURATE SIGN", f"A pair for each of three channels, {rule}: one "
                          "pair for all channels, or pairs along another axis, is a mistake.",
                          tier="smoke"),
            operator_case(f"{name}.vector.{i:04d}", "4.3.1",
                          Requantize(type=IntType.parse("uint2"), rounding=rule),
                          {"x": ("int8", [[-3, 1, 3], [5, 6, 7]]), "mult": [1, 3, 1],
                           "shift": [1, 2, 1]},
                          "TIE SATURATE", f"Two images of a vector (K,) into 2-bit codes, {rule}."),
            operator_case(f"{name}.bound.{i:04d}", "4.3.1 1.3.1 3.2.1",
                          Requantize(type=IntType.parse("int16"), rounding=rule),
                          {"x": ("int[-2147483646,2147483646]", [[_TOP, -_TOP, 2**30, -(2**30)]]),
                           "mult": [32767, -32767, 16384, 1], "shift": [46, 31, 30, 16]},
                          "ACCUMULATOR BOUNDARY", "The largest accumulators, multipliers and "
                          f"shift together, {rule}: the product has 46 bits."),
        ]
    half_even = Requantize(type=IntType.parse("int8"), rounding="half_even")
    return [
        *cases,
        *_wide(),
        *_axis(),
        operator_case(f"{name}.empty.0001", "4.3.1 1.2.1", half_even,
                      {"x": ("int8", _empty()), "mult": [1, 2], "shift": [0, 1]},
                      "DEGENERATE", "No image at all: an empty result of the right shape."),
        *_operator_refused(),
    ]


def _wide() -> list[Case]:
    return [
        operator_case(f"requantize.wide.{i:04d}", "4.3.1 3.2.2 1.4.1",
                      Requantize(type=IntType.parse("int8"), rounding=rule),
                      {"x": ("int[-2147483646,2147483646]", [[_TOP, -_TOP], [2**17, -(2**17)]]),
                       "mult": [32767, 32766], "shift": [0, 1]},
                      "SATURATE ACCUMULATOR", "Rounded products far beyond 32 bits, "
                      f"{rule}: their low bits are others, saturation has the last word.")
        for i, rule in enumerate(RULES, start=1)
    ]


def _axis() -> list[Case]:
    x = [[[[3, 3, 3], [5, 5, 5], [-7, -7, -7]], [[9, 9, 9]] * 3, [[-1, 2, 5]] * 3]]
    return [
        operator_case(f"requantize.axis.{i:04d}", "4.3.1 1.2.1",
                      Requantize(type=IntType.parse("int8"), rounding=rule),
                      {"x": ("int8", x), "mult": [1, 3, -5], "shift": [1, 2, 3]},
                      "LAYOUT TIE", "As many channels as rows and columns: a pair belongs to a "
                      f"channel, {rule}; along the rows or columns it fits as well.")
        for i, rule in enumerate(RULES, start=1)
    ]


def _empty() -> Any:
    return Stream("none").integers(0, 0, (0, 2, 1, 1))


def _operator_refused() -> list[Case]:
    int8 = IntType.parse("int8")
    half_up = Requantize(type=int8, rounding="half_up")
    x = ("int8", [[1, 2]])
    rows: tuple[tuple[str, Requantize, dict[str, Any], str, str], ...] = (
        ("3.2.1 4.3.1", half_up, {"x": x, "mult": [32768, 1], "shift": [0, 0]}, "operand",
         "a multiplier of 2**15"),
        ("3.2.1 4.3.1", half_up, {"x": x, "mult": ("int16", [1, -32768]), "shift": [0, 0]},
         "operand", "a multiplier of -2**15: int16 holds it, the rule does not"),
        ("3.2.1 4.3.1", half_up, {"x": x, "mult": [1, 1], "shift": [47, 0]}, "operand",
         "a shift of 47"),
        ("3.2.1 4.3.1", half_up, {"x": x, "mult": [1, 1], "shift": [-1, 0]}, "operand",
         "a negative shift"),
        ("4.3.1", half_up, {"x": x, "mult": [1], "shift": [0, 0]}, "shape",
         "one multiplier for two channels"),
        ("4.3.1 1.3.1", half_up, {"x": ("int32", [[1, 2]]), "mult": [1, 1], "shift": [0, 0]},
         "accumulator", "int32 goes beyond the accumulator bound, whatever the values are"),
        ("4.3.1 1.3.1", Requantize(type=IntType.parse("int32"), rounding="half_up"),
         {"x": x, "mult": [1, 1], "shift": [0, 0]}, "accumulator",
         "a result type beyond the accumulator bound"),
    )
    cases = [
        operator_case(f"requantize.refused.{i:04d}", clauses, op, operands, "BOUNDARY",
                      f"Must be refused: {why}.", error=error)
        for i, (clauses, op, operands, error, why) in enumerate(rows, start=1)
    ]
    given: tuple[dict[str, Any], ...] = (
        {"type": "int8"}, {"type": "int8", "rounding": "default"},
        {"type": "int8", "rounding": "half_up", "zero_point": 0})
    whys = ("no rounding rule is named", "the rounding rule has no such name",
            "a zero point does not exist here [1.1.1]")
    return cases + [
        function_case(f"requantize.attribute_refused.{i:04d}", "3.1.2 4.3.1", "Requantize", held,
                      {"x": x}, "BOUNDARY", f"Must be refused: {why}.",
                      constants={"mult": ("ternary", [1, 1]), "shift": ("uint1", [0, 0])},
                      error="attribute")
        for i, (held, why) in enumerate(zip(given, whys, strict=True), start=1)
    ]


ROUNDING: tuple[Case, ...] = (*_rounding_shifts(), *_requantizations(), *_random(), *_ratios())
REQUANTIZE: tuple[Case, ...] = tuple(_operator())
