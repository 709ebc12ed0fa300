"""The oracle: every clause of specs/01, 03, 04 and 05 once more, slow and obvious.

Written from the text of the specification alone. Plain Python integers, lists and fractions, no
NumPy arithmetic: arrays come in by ``.tolist()``. Nothing of the project is imported: a record
needs the fields that the text names, an operator the name of its class. ``oracle_types`` holds what
is refused, the types and the work of chapter 04; ``oracle_codes`` chapter 02 and the bytes of
files; ``oracle_programs`` records from JSON.
"""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import product
from math import floor, prod
from typing import NamedTuple

BOUND = 2**31 - 2
RULES = ("half_even", "half_up", "half_away")


class Refused(Exception):  # noqa: N818 - the word of the specification
    """The specification refuses this."""


def require(condition: bool, rule: str) -> None:
    if not condition:
        raise Refused(rule)


class Value(NamedTuple):
    """An operand: a type [lo, hi], a shape, and the nested lists of a constant (else None)."""

    lo: int
    hi: int
    shape: tuple[int, ...]
    values: list | None = None


def value_of(operand) -> Value:
    """Value of a TensorType or a Constant."""
    kind = operand.type
    if hasattr(operand, "array"):
        return Value(kind.lo, kind.hi, tuple(operand.array.shape), operand.array.tolist())
    return Value(kind.lo, kind.hi, tuple(operand.shape))


def numbers_in(nested):
    """All integers of nested lists, in C order [1.2.2]."""
    if isinstance(nested, list):
        for part in nested:
            yield from numbers_in(part)
    else:
        yield nested


def each(function, *nested):
    """Apply ``function`` to the numbers at the same places of nested lists of one shape."""
    if isinstance(nested[0], list):
        return [each(function, *parts) for parts in zip(*nested, strict=True)]
    return function(*nested)


# --- 01 numbers ---------------------------------------------------------------------------------


def type_name(lo: int, hi: int) -> str:
    """[1.1.2]"""
    if (lo, hi) == (-1, 1):
        return "ternary"
    for K in range(1, 33):
        if (lo, hi) == (0, 2**K - 1):
            return f"uint{K}"
        if (lo, hi) == (-(2 ** (K - 1)), 2 ** (K - 1) - 1):
            return f"int{K}"
        if K >= 2 and (lo, hi) == (-(2 ** (K - 1) - 1), 2 ** (K - 1) - 1):
            return f"sint{K}"
    return f"int[{lo},{hi}]"


def type_range(name) -> tuple[int, int]:
    """[1.1.1] [1.1.2]: the inverse of :func:`type_name` and the range written out."""
    short = re.fullmatch(r"(u|s|)int([1-9][0-9]?)", str(name))
    written = re.fullmatch(r"int\[(-?[0-9]+),(-?[0-9]+)\]", str(name))
    if name == "ternary":
        lo, hi = -1, 1
    elif written:
        lo, hi = int(written[1]), int(written[2])
    else:
        require(short is not None, "[1.1.2] name")
        K, half = int(short[2]), 2 ** (int(short[2]) - 1)
        require(K <= 32 and (short[1] != "s" or K >= 2), "[1.1.2] K")
        lo, hi = {"u": (0, 2**K - 1), "s": (-(half - 1), half - 1), "": (-half, half - 1)}[short[1]]
    require(-(2**31) <= lo <= hi <= 2**31 - 1, "[1.1.1]")
    return lo, hi


def type_bits(lo: int, hi: int) -> int:
    """[1.1.3]: try the fields from the narrowest."""
    k = 1
    while True:
        if lo >= 0 and hi <= 2**k - 1:
            return k
        if lo < 0 and -(2 ** (k - 1)) <= lo and hi <= 2 ** (k - 1) - 1:
            return k
        k += 1


def type_storage(lo: int, hi: int) -> str:
    """[1.1.3]: the first storage that holds the range."""
    storages = (("int8", -128, 127), ("uint8", 0, 255), ("int16", -32768, 32767),
                ("uint16", 0, 65535), ("int32", -(2**31), 2**31 - 1))
    return next(name for name, least, most in storages if least <= lo and hi <= most)


def saturate(x: int, lo: int, hi: int) -> int:
    """[1.4.1]"""
    if x < lo:
        return lo
    if x > hi:
        return hi
    return x


# --- 03 requantization and thresholds -----------------------------------------------------------


def round_fraction(q: Fraction, rule: str) -> int:
    """[3.1.1]"""
    below = floor(q)
    above = below + 1
    if q - below < Fraction(1, 2):
        return below
    if q - below > Fraction(1, 2):
        return above
    if rule == "half_even":
        return below if below % 2 == 0 else above
    if rule == "half_up":
        return above
    assert rule == "half_away", rule
    return above if q > 0 else below


def rounding_shift(x: int, shift: int, rule: str) -> int:
    """[3.1.1]"""
    return round_fraction(Fraction(x, 2**shift), rule)


def requantize(acc: int, mult: int, shift: int, lo: int, hi: int, rule: str) -> int:
    """[3.2.2]"""
    return saturate(rounding_shift(acc * mult, shift, rule), lo, hi)


def ratio_to_mult_shift(ratio: float | Fraction) -> tuple[int, int]:
    """[3.3.1]: try the shifts from the largest."""
    r = Fraction(ratio)
    if r == 0:
        return 0, 0
    for shift in range(46, -1, -1):
        m = round_fraction(abs(r) * 2**shift, "half_even")
        if m <= 2**15 - 1:
            return (m if r > 0 else -m), shift
    raise Refused("[3.3.1] negative shift")


def real_code(levels: list[float], scale: float, offset: float, acc: int) -> int:
    """[3.4.1] on the exact rational of [3.4.2]."""
    p = Fraction(scale) * acc + Fraction(offset)
    return sum(1 for v in levels if p > Fraction(v))


def integer_thresholds(levels, scale, offset, lo: int, hi: int) -> tuple[list[int], int]:
    """[3.4.2] [3.4.3] of one channel whose accumulator has the type [lo, hi]."""
    sign = -1 if scale < 0 else 1
    if sign == -1:
        lo, hi = -hi, -lo
    if scale == 0:
        return [lo if Fraction(offset) > Fraction(v) else hi + 1 for v in levels], sign
    taus = [(Fraction(v) - Fraction(offset)) / abs(Fraction(scale)) for v in levels]
    return [saturate(floor(tau) + 1, lo, hi + 1) for tau in taus], sign


# --- 04 operators: meanings ---------------------------------------------------------------------


def window_count(size: int, pads, kernel: int, stride: int, dilation: int = 1) -> int:
    """[4.1.2]"""
    number = size + pads[0] + pads[1] - dilation * (kernel - 1) - 1
    require(number >= 0, "[4.1.2] the kernel is larger than the padded map")
    return number // stride + 1


def conv_terms(op, x: list, w: list, b: list | None, f: int, i: int, j: int) -> list[int]:
    """[4.1.3]: the numbers whose sum is acc[f, i, j], the bias first. x is one image (C, H, W)."""
    H, W = len(x[0]), len(x[0][0])
    per_group, R, S = len(w[0]), len(w[0][0]), len(w[0][0][0])
    g = f // (len(w) // op.groups)
    terms = [] if b is None else [b[f]]
    for c, r, s in product(range(per_group), range(R), range(S)):
        row = i * op.stride[0] + r * op.dilation[0] - op.padding[0][0]
        column = j * op.stride[1] + s * op.dilation[1] - op.padding[1][0]
        inside = 0 <= row < H and 0 <= column < W
        terms.append(w[f][c][r][s] * (x[g * per_group + c][row][column] if inside else 0))
    return terms


def conv(op, x: list, w: list, b: list | None = None) -> list:
    """[4.1.3]"""
    images = []
    for image in x:
        height = window_count(
            len(image[0]), op.padding[0], len(w[0][0]), op.stride[0], op.dilation[0])
        width = window_count(
            len(image[0][0]), op.padding[1], len(w[0][0][0]), op.stride[1], op.dilation[1])
        images.append([
            [[sum(conv_terms(op, image, w, b, f, i, j)) for j in range(width)]
             for i in range(height)]
            for f in range(len(w))
        ])
    return images


def threshold(op, x: list, t: list, sign: list) -> list:
    """[4.2.2]"""
    def code(element: int, c: int) -> int:
        return sum(1 for level in t[c] if sign[c] * element >= level)

    return [[each(lambda e, c=c: code(e, c), image[c]) for c in range(len(t))] for image in x]


def requantized(op, x: list, mult: list, shift: list) -> list:
    """[4.3.1]"""
    def code(acc: int, c: int) -> int:
        return requantize(acc, mult[c], shift[c], op.type.lo, op.type.hi, op.rounding)

    return [[each(lambda e, c=c: code(e, c), image[c]) for c in range(len(mult))] for image in x]


def add(op, x: list, y: list) -> list:
    """[4.4.1]"""
    return each(lambda a, b: a + b, x, y)


def windows(op, channel: list) -> list:
    """[4.5.1]: for each output, the elements of its window that lie in the map (H, W)."""
    H, W = len(channel), len(channel[0])
    height = window_count(H, op.padding[0], op.kernel[0], op.stride[0])
    width = window_count(W, op.padding[1], op.kernel[1], op.stride[1])

    def at(i: int, j: int) -> tuple[int, ...]:
        top, left = i * op.stride[0] - op.padding[0][0], j * op.stride[1] - op.padding[1][0]
        return tuple(
            channel[row][column]
            for row in range(top, top + op.kernel[0]) if 0 <= row < H
            for column in range(left, left + op.kernel[1]) if 0 <= column < W
        )

    return [[at(i, j) for j in range(width)] for i in range(height)]


def max_pool(op, x: list) -> list:
    """[4.5.2]"""
    return [[each(max, windows(op, channel)) for channel in image] for image in x]


def sum_pool(op, x: list) -> list:
    """[4.6.1]"""
    return [[each(sum, windows(op, channel)) for channel in image] for image in x]


def reshape(op, x: list) -> list:
    """[4.7.1]"""
    def shaped(flat: list[int], shape: tuple[int, ...]) -> list:
        if len(shape) == 1:
            return flat
        step = prod(shape[1:])
        return [shaped(flat[k * step:(k + 1) * step], shape[1:]) for k in range(shape[0])]

    return [shaped(list(numbers_in(image)), op.shape) for image in x]


#: The meaning of every operator by name: function(op, operands with the batch axis, nested lists).
ORACLE = {
    "Conv": conv, "Threshold": threshold, "Requantize": requantized, "Add": add,
    "MaxPool": max_pool, "SumPool": sum_pool, "Reshape": reshape,
}


def run_program(program, x: list) -> dict[str, list]:
    """[5.2.1]: every value by name, the input and the constants included."""
    values = {program.input: x}
    values.update({name: c.array.tolist() for name, c in program.constants.items()})
    for node in program.nodes:
        meaning = ORACLE[type(node.op).__name__]
        values[node.name] = meaning(node.op, *(values[n] for n in node.inputs))
    return values
