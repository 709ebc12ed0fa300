"""Cases of chapter 01: types, their widths and storage, saturation."""

from __future__ import annotations

from refnet.vectors.cases.build import Case, function_case

_NAMES = (
    ("ternary", "two bits and no field for -2; other tools call this int2 and allow -2"),
    ("sint2", "the symmetric two-bit range is ternary and is never called sint2"),
    ("uint1", "one bit, no sign: a width of 0 or a signed storage is a mistake"),
    ("int1", "one bit in two's complement: the range [-1, 0]"),
    ("uint2", "the 2-bit activation codes 0 to 3"),
    ("int8", "the full two's complement range, -128 included"),
    ("sint8", "the narrow range [-127, 127]: as wide as int8 and not int8"),
    ("uint8", "stored unsigned: the first storage that holds it is uint8"),
    ("uint16", "needs uint16, because int16 stops at 32767"),
    ("int[-129,0]", "nine bits: one below int8, so storage goes to int16"),
    ("int[0,0]", "a type of the one integer 0 has a width of one bit"),
    ("int[0,3]", "a range written out is the type with the short name"),
    ("int[-4,4]", "4 needs a fourth bit although -4 needs only three"),
    ("int[-3,5]", "an uneven range: the wider side decides"),
    ("int[128,200]", "no negative number, so unsigned storage, zero or not"),
    ("int[-2147483646,2147483646]", "the accumulator: 32 bits, one short of sint32"),
    ("int32", "the widest range of all, -2**31 included"),
    ("uint31", "the widest unsigned range that int32 stores"),
)
_REFUSED = (
    ("uint32", "range", "leaves [-2**31, 2**31 - 1]: no storage of 32 signed bits holds it"),
    ("sint1", "attribute", "a symmetric type needs two bits"),
    ("int0", "attribute", "no width of zero"),
    ("int33", "attribute", "no width above 32"),
    ("int[3,2]", "range", "lo exceeds hi: an empty range is no type"),
    ("float32", "attribute", "real types do not exist here"),
    ("int[-2147483649,0]", "range", "one below the least bound"),
    ("Ternary", "attribute", "names are exact: case counts"),
)


def _types() -> list[Case]:
    cases = [
        function_case(
            f"numbers.type.{i:04d}",
            "1.1.1 1.1.2 1.1.3",
            "integer_type",
            {"name": name},
            {},
            "TYPE BASIC" if i < 6 else "TYPE BOUNDARY",
            f"Range, width, storage (bits, signed) and canonical name (ASCII) of {name}: {why}.",
            tier="smoke" if i < 6 else "core",
        )
        for i, (name, why) in enumerate(_NAMES, start=1)
    ]
    cases += [
        function_case(
            f"numbers.type_refused.{i:04d}",
            "1.1.1 1.1.2",
            "integer_type",
            {"name": name},
            {},
            "TYPE",
            f"The name {name!r} is refused: {why}.",
            error=error,
        )
        for i, (name, error, why) in enumerate(_REFUSED, start=1)
    ]
    return cases


def _saturation() -> list[Case]:
    rows = (
        (-128, 127, [-129, -128, -127, 0, 126, 127, 128], "both ends of int8 and their neighbours"),
        (-127, 127, [-129, -128, -127, 127, 128], "the symmetric range: -128 becomes -127"),
        (0, 3, [-1, 0, 3, 4, 1000, -1000], "an unsigned range: negative numbers become 0"),
        (-1, 1, [-2, -1, 0, 1, 2, 2147483646, -2147483646], "ternary, from the far ends"),
        (5, 9, [0, 4, 5, 9, 10], "a range without zero: zero becomes 5"),
        (7, 7, [6, 7, 8], "a range of one integer"),
        (-128, 127, [256, -256, 65536, 4294967296 - 1, -4294967296], "what wrapping would hide: "
         "low bytes of 0 and all ones"),
    )
    return [
        function_case(
            f"numbers.saturate.{i:04d}",
            "1.4.1",
            "saturate",
            {"lo": lo, "hi": hi},
            {"x": ("int64", x)},
            "SATURATE BOUNDARY",
            f"Clamping into [{lo}, {hi}]: {why}.",
            tier="smoke" if i == 1 else "core",
        )
        for i, (lo, hi, x, why) in enumerate(rows, start=1)
    ] + [
        function_case(
            "numbers.saturate_refused.0001",
            "1.4.1",
            "saturate",
            {"lo": 4, "hi": 3},
            {"x": ("int64", [0])},
            "SATURATE",
            "Clamping into [4, 3] has no answer and is refused, not swapped.",
            error="range",
        )
    ]


CASES: tuple[Case, ...] = (*_types(), *_saturation())
