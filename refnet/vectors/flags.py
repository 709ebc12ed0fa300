"""What the flags and error classes of the vectors mean; written into the header of every file."""

from __future__ import annotations


def _flag(meaning: str, suggests: str) -> dict[str, str]:
    return {"meaning": meaning, "suggests": suggests}


#: What a vector looks at, and what failing it suggests.
FLAGS: dict[str, dict[str, str]] = {
    "BASIC": _flag(
        "the plain case, nothing special meets in it",
        "the operator is not the one of the specification: start here",
    ),
    "TIE": _flag(
        "a value lies exactly between two results",
        "another tie rule, a second rounding, or rounding before the sign is applied",
    ),
    "SATURATE": _flag(
        "a result leaves its type and is clamped",
        "wrapping, clamping at the wrong place, or a range that is symmetric where it must not be",
    ),
    "BOUNDARY": _flag(
        "values at, one below and one above a limit",
        "> for >=, an off-by-one threshold, a limit that is taken from the wrong type",
    ),
    "SIGN": _flag(
        "negative numbers, negative multipliers, sign -1",
        "division that truncates, an unsigned conversion, a sign that is forgotten",
    ),
    "PADDING": _flag(
        "places outside the map take part",
        "another padding value, before and after exchanged, or height and width exchanged",
    ),
    "WINDOW": _flag(
        "stride, dilation and remainder of the windows",
        "a rounded-up output size, an ignored stride or dilation, axes exchanged",
    ),
    "GROUPS": _flag(
        "channels in groups, up to one channel a group",
        "groups interleaved instead of consecutive, or every group reading the first channels",
    ),
    "PACKING": _flag(
        "codes to bytes and back",
        "another order of bits, digits, bytes or planes, or another code for -1",
    ),
    "ACCUMULATOR": _flag(
        "sums near the proved bound",
        "an accumulator of too few bits, or one that saturates on the way",
    ),
    "DEGENERATE": _flag(
        "empty batch, one element, one channel, zero weights",
        "a loop or a shape rule that needs at least two of something",
    ),
    "LAYOUT": _flag(
        "the order of axes and elements",
        "F order for C order, or channels last for channels first",
    ),
    "TYPE": _flag(
        "the names, widths and proved ranges of integer types",
        "a range taken from the data or from the storage instead of from the rule",
    ),
    "WORK": _flag(
        "operation counts",
        "zero weights skipped, padding left out, or the bias counted as a MAC",
    ),
    "FILE": _flag(
        "program files to the byte",
        "another header order, alignment, byte order, or a checksum that is not looked at",
    ),
    "CHAIN": _flag(
        "several steps, every value on the way given",
        "compare the intermediates: the first one that differs names the step",
    ),
    "NEGATIVE": _flag(
        "must be refused",
        "a missing check: the implementation answers where the rule says there is no answer",
    ),
    "NO_IMAGE": _flag(
        "optional: a batch of no image, which an implementation may refuse [1.2.3]",
        "a loop that runs at least once; refuse an empty batch if it is not supported",
    ),
    "RATIONAL": _flag(
        "optional: ratios as fractions, which an implementation may refuse [3.3.2]",
        "a fraction that was rounded to a binary64 number first",
    ),
    "STRESS": _flag(
        "constructed to reach the proved bound of an accumulator",
        "an accumulator narrower than the claimed width",
    ),
    "PSEUDO_RANDOM": _flag(
        "numbers from SHA-256 of the vector's id and a counter",
        "something that the designed cases of the same operator should also show",
    ),
}

#: Flags that make a vector one that an implementation may refuse, and why it may.
OPTIONAL = ("NO_IMAGE", "RATIONAL")

#: Why a must_fail vector is refused.
ERRORS: dict[str, str] = {
    "accumulator": "a sum could leave [-(2**31 - 2), 2**31 - 2] [1.3.1]",
    "attribute": "an attribute is missing, unknown or outside its rule",
    "code": "bytes that are no code, padding that is not zero, a row of the wrong length",
    "file": "a program file that is not exactly what [5.3] says",
    "operand": "a number, kind or count of operands outside its rule",
    "program": "steps, names or constants that do not make a program",
    "range": "a value or a type outside the range that the rule allows",
    "shape": "shapes that do not fit each other",
}
