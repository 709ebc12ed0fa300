"""The inner loops of the bit-plane kernels, as vector code for LLVM.

Numba's own loops keep neither a tile of accumulators in registers nor a comparison in a mask, so
these few loops are written down instruction by instruction. Everything is generic LLVM (32-bit
lanes, ``ctpop``), legal on any CPU; it is only fast where a vector popcount exists, which is why
the kernels that use it ask for tier AVX512.

A lane is an output channel; ``LANES`` of them, two vectors, make a block. The weights of a block
are, for each word of the reduction, two masks of ``LANES`` words: not zero, then negative.
Arguments are addresses (as integers), and counts that are at least 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

#: Output channels of a block, which are the bits of a packed word too.
LANES = 32
#: Pixels of a tile: 2 x 7 accumulators, 4 weight vectors and temporaries fill the 32 registers.
TILE = 7

_WIDTH = 16
_HALVES = LANES // _WIDTH
_INT16, _INT32, _INT64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_INT32, _WIDTH)
_VECTOR_BYTES = 4 * _WIDTH
_WEIGHT_BYTES = 2 * _HALVES * _VECTOR_BYTES

Value = Any
Builder = Any


# --- words of the vector language ---------------------------------------------------------------


@dataclass(slots=True)
class _Loop:
    """A counted loop: its index, the values it carries, and what they are on the next round."""

    index: Value
    values: list[Value]
    following: list[Value]


@contextmanager
def loop(builder: Builder, rounds: Value, start: list[Value]) -> Iterator[_Loop]:
    """The body is emitted inside ``with``; afterwards ``following`` holds the final values."""
    before = builder.block
    body, after = builder.append_basic_block("loop"), builder.append_basic_block("done")
    builder.branch(body)
    builder.position_at_end(body)
    index = builder.phi(_INT64)
    index.add_incoming(_INT64(0), before)
    phis = [builder.phi(value.type) for value in start]
    state = _Loop(index=index, values=list(phis), following=list(phis))
    yield state
    last = builder.block
    for phi, first, following in zip(phis, start, state.following, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(following, last)
    advanced = builder.add(index, _INT64(1))
    index.add_incoming(advanced, last)
    builder.cbranch(builder.icmp_signed("<", advanced, rounds), body, after)
    builder.position_at_end(after)


def _at(builder: Builder, address: Value, offset: Value | int) -> Value:
    step = _INT64(offset) if isinstance(offset, int) else offset
    return builder.add(address, step)


def load(
    builder: Builder, address: Value, kind: Any, offset: Value | int = 0, align: int = 4
) -> Value:
    """A read at a multiple of ``align`` bytes."""
    pointer = builder.inttoptr(_at(builder, address, offset), kind.as_pointer())
    return builder.load(pointer, align=align)


def store(builder: Builder, value: Value, address: Value, offset: Value | int = 0) -> None:
    """A write at a multiple of 4 bytes."""
    pointer = builder.inttoptr(_at(builder, address, offset), value.type.as_pointer())
    builder.store(value, pointer, align=4)


def _splat(builder: Builder, scalar: Value) -> Value:
    first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), scalar, _INT32(0))
    lanes = ir.Constant(ir.VectorType(_INT32, _WIDTH), None)
    return builder.shuffle_vector(first, ir.Constant(_VECTOR, ir.Undefined), lanes)


def _ones(builder: Builder, vector: Value) -> Value:
    """Ones in each lane."""
    kind = ir.FunctionType(_VECTOR, [_VECTOR])
    declared: Any = cgutils.get_or_insert_function
    function = declared(builder.module, kind, f"llvm.ctpop.v{_WIDTH}i32")
    return builder.call(function, [vector])


def _weights(builder: Builder, weights: Value, word: Value) -> tuple[list[Value], list[Value]]:
    """The masks of one word: not zero, and negative, a vector a half of the block."""
    address = _at(builder, weights, builder.mul(word, _INT64(_WEIGHT_BYTES)))
    loaded = [
        load(builder, address, _VECTOR, i * _VECTOR_BYTES) for i in range(2 * _HALVES)
    ]
    return loaded[:_HALVES], loaded[_HALVES:]


def _matches(
    builder: Builder, cells: list[Value], nonzero: Value, negative: Value, sums: list[Value]
) -> list[Value]:
    """sums + ones of nonzero & (cell ^ negative), step by step for all cells: no long chains."""
    words = [builder.and_(nonzero, builder.xor(cell, negative)) for cell in cells]
    counts = [_ones(builder, word) for word in words]
    return [builder.add(total, count) for total, count in zip(sums, counts, strict=True)]


def _offset(builder: Builder, offsets: Value, word: Value) -> Value:
    """Where the word lies behind the first word of the window."""
    loaded = load(builder, offsets, _INT32, builder.mul(word, _INT64(4)))
    return builder.sext(loaded, _INT64)


# --- the microkernels ---------------------------------------------------------------------------


def microkernel(function: Callable[..., Any]) -> Any:
    """Make it callable from compiled functions of any module; integer constants stay literal."""
    return intrinsic(prefer_literal=True)(function)


@microkernel
def count_tile(
    typing: Any, pixels: Any, shift: Any, offsets: Any, weights: Any, words: Any, planes: Any,
    plane_bytes: Any, sums: Any,
) -> Any:
    """sums[TILE, LANES] = sum over planes b of 2**b * popcounts over ``words`` words.

    ``pixels`` holds TILE addresses of windows (plane 0), to which ``shift`` is added; word k of the
    window lies ``offsets[k]`` bytes behind its first one. Planes are taken from the high one down,
    doubling the sums before each, so one accumulator an output is enough.
    """

    def emit(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        pixels, shift, offsets, weights, words, planes, plane_bytes, sums = arguments
        top = builder.mul(builder.sub(planes, _INT64(1)), plane_bytes)
        start = _at(builder, shift, top)
        bases = [_at(builder, load(builder, pixels, _INT64, 8 * q), start) for q in range(TILE)]
        zeros = [ir.Constant(_VECTOR, None)] * (TILE * _HALVES)
        with loop(builder, planes, [*zeros, *bases]) as plane:
            doubled = [builder.add(total, total) for total in plane.values[: len(zeros)]]
            bases = plane.values[len(zeros) :]
            with loop(builder, words, doubled) as word:
                offset = _offset(builder, offsets, word.index)
                nonzero, negative = _weights(builder, weights, word.index)
                cells = [_splat(builder, load(builder, b, _INT32, offset)) for b in bases]
                for h in range(_HALVES):
                    part = slice(h * TILE, h * TILE + TILE)
                    word.following[part] = _matches(
                        builder, cells, nonzero[h], negative[h], word.values[part]
                    )
            lower = [builder.sub(base, plane_bytes) for base in bases]
            plane.following[:] = [*word.following, *lower]
        for i, total in enumerate(plane.following[: len(zeros)]):
            h, q = divmod(i, TILE)
            store(builder, total, sums, (q * _HALVES + h) * _VECTOR_BYTES)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 8), emit


@microkernel
def count_pixel(
    typing: Any, pixel: Any, offsets: Any, weights: Any, words: Any, planes: Any,
    plane_bytes: Any, sums: Any,
) -> Any:
    """sums[LANES] of one window: each weight is read once for all planes (a literal count).

    For few pixels, where reading the weights takes the time.
    """
    if not isinstance(planes, types.IntegerLiteral):
        raise TypingError("count_pixel: planes must be a literal")
    bits = planes.literal_value

    def emit(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        pixel, offsets, weights, words, _, plane_bytes, sums = arguments
        zeros = [ir.Constant(_VECTOR, None)] * (bits * _HALVES)
        bases = [_at(builder, pixel, builder.mul(plane_bytes, _INT64(b))) for b in range(bits)]
        with loop(builder, words, zeros) as word:
            offset = _offset(builder, offsets, word.index)
            nonzero, negative = _weights(builder, weights, word.index)
            cells = [_splat(builder, load(builder, b, _INT32, offset)) for b in bases]
            for h in range(_HALVES):
                part = slice(h * bits, h * bits + bits)
                word.following[part] = _matches(
                    builder, cells, nonzero[h], negative[h], word.values[part]
                )
        for h in range(_HALVES):
            total, *lower = reversed(word.following[h * bits : h * bits + bits])
            for plane in lower:
                total = builder.add(builder.add(total, total), plane)
            store(builder, total, sums, h * _VECTOR_BYTES)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4, planes, *[types.int64] * 2), emit


@microkernel
def pack_codes(
    typing: Any, values: Any, thresholds: Any, flip: Any, bits: Any, plane_bytes: Any, out: Any
) -> Any:
    """Codes of values[LANES] against thresholds[2**bits - 1, LANES], as one word a plane.

    A code counts the thresholds passed; as they ascend, its bits follow from a binary search:
    the highest from the middle threshold, each other one from the threshold that those before
    select. The comparison's mask is the packed word; bits of ``flip`` turn the codes of lanes over.
    """
    if not isinstance(bits, types.IntegerLiteral):
        raise TypingError("pack_codes: bits must be a literal")
    count = bits.literal_value

    def emit(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        values, thresholds, flip, _, plane_bytes, out = arguments
        words = [builder.trunc(flip, _INT32)] * count
        for h in range(_HALVES):
            x = load(builder, values, _VECTOR, h * _VECTOR_BYTES)
            masks: list[Value] = []
            for b in reversed(range(count)):
                rows = range((1 << b) - 1, (1 << count) - 1, 2 << b)
                found = [
                    load(builder, thresholds, _VECTOR, (row * _HALVES + h) * _VECTOR_BYTES)
                    for row in rows
                ]
                for mask in reversed(masks):
                    pairs = zip(found[0::2], found[1::2], strict=True)
                    found = [builder.select(mask, high, low) for low, high in pairs]
                masks.append(builder.icmp_signed(">=", x, found[0]))
                half = builder.zext(builder.bitcast(masks[-1], _INT16), _INT32)
                words[b] = builder.xor(words[b], builder.shl(half, _INT32(h * _WIDTH)))
        for b, word in enumerate(words):
            store(builder, word, out, builder.mul(plane_bytes, _INT64(b)))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3, bits, *[types.int64] * 2), emit


@microkernel
def rescale(typing: Any, sums: Any, constants: Any, lo: Any, hi: Any, out: Any) -> Any:
    """out[LANES] = saturate((x*mult + half - down) >> shift) of x = sums[LANES] + constant.

    ``constants`` [6, LANES]: constant, mult, half, shift, and two masks that say where a tie goes
    down: 1 at an even floor, 1 below zero [3.1]. All must fit 32 bits, as the caller proves.
    """

    def emit(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        sums, constants, lo, hi, out = arguments
        low, high = (_splat(builder, builder.trunc(bound, _INT32)) for bound in (lo, hi))
        sign_bit = _splat(builder, _INT32(31))
        for h in range(_HALVES):
            constant, mult, half, shift, even, below = (
                load(builder, constants, _VECTOR, (row * _HALVES + h) * _VECTOR_BYTES)
                for row in range(6)
            )
            x = builder.add(load(builder, sums, _VECTOR, h * _VECTOR_BYTES), constant)
            product = builder.mul(x, mult)
            floor_even = builder.and_(even, builder.not_(builder.ashr(product, shift)))
            negative = builder.and_(below, builder.lshr(product, sign_bit))
            down = builder.or_(floor_even, negative)
            y = builder.ashr(builder.sub(builder.add(product, half), down), shift)
            y = builder.select(builder.icmp_signed("<", y, low), low, y)
            y = builder.select(builder.icmp_signed(">", y, high), high, y)
            store(builder, y, out, h * _VECTOR_BYTES)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), emit


@microkernel
def add_saturated(typing: Any, x: Any, y: Any, lo: Any, hi: Any, out: Any) -> Any:
    """out[LANES] = saturate(x[LANES] + y[LANES])."""

    def emit(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        x, y, lo, hi, out = arguments
        low, high = (_splat(builder, builder.trunc(bound, _INT32)) for bound in (lo, hi))
        for h in range(_HALVES):
            at = h * _VECTOR_BYTES
            total = builder.add(load(builder, x, _VECTOR, at), load(builder, y, _VECTOR, at))
            total = builder.select(builder.icmp_signed("<", total, low), low, total)
            total = builder.select(builder.icmp_signed(">", total, high), high, total)
            store(builder, total, out, at)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), emit
