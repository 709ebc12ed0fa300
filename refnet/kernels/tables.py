"""The inner loops of the byte-table kernel, as vector code for LLVM (AVX2).

    look_up       sums of a tile of PIXELS windows and FILTERS filters
    pack_pairs    codes of LANES sums against thresholds, as offsets of tables

Two activations of 2 bits are one of 16 tables, two trits one of 9 entries of 16 bytes. With

    f(1, a) = a,    f(0, a) = 0,    f(-1, a) = 3 - a,

    table[a0 + 4*a1][(w0 + 1) + 3*(w1 + 1)] = f(w0, a0) + f(w1, a1)         in [0, 6]

A sum of f is a sum of products and 3 for each weight of -1: the popcounts of ``bitserial``, whose
constant completes them. A byte holds 21 steps of two entries; bytes are then added to 16 bits, two
neighbours at once: with acc = even + 256*odd,

    L += acc, H += acc >> 8     and in the end     odd = H, even = L - 256*H     (mod 2**16)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numpy.typing import NDArray

from refnet.kernels.layouts import aligned
from refnet.kernels.microkernels import LANES, Builder, Value, load, loop, microkernel, store

#: Filters and pixels of a tile: 12 sums, 2 weight vectors and a table fill the 16 registers.
FILTERS, PIXELS = 64, 6
#: Vectors of a tile.
_VECTORS = FILTERS // 32
#: Channels of a step, and entries of tables that they are.
QUAD, PAIRS = 4, 2
#: Steps that unsigned bytes surely hold: each adds at most 2 * 6.
STEPS = 255 // 12
#: The entry of two zero trits.
ZEROS = 4
#: What is to be taken away for each weight of -1.
TURNED = 3
#: Bytes of sums of 16 bits that a tile needs room for.
ROOM_BYTES = 2 * 32 * _VECTORS * PIXELS

_INT8, _INT16, _INT32, _INT64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_BYTES = ir.VectorType(_INT8, 32)
_TABLE = ir.VectorType(_INT8, 16)
_HALVES = ir.VectorType(_INT16, 16)
_ORDER = ir.VectorType(_INT32, 32)
_WORDS = ir.VectorType(_INT32, LANES)


def tables() -> NDArray[np.uint8]:
    """The 16 tables of the file header, 16 bytes each."""
    made = aligned((16, 16), np.uint8)
    for index in range(16):
        for entry in range(9):
            w0, w1 = entry % 3 - 1, entry // 3 - 1
            made[index, entry] = _counted(w0, index % 4) + _counted(w1, index // 4)
    return made


def _counted(w: int, a: int) -> int:
    """f of the file header."""
    return w * a if w >= 0 else TURNED - a


def _shuffle(b: Builder, table: Value, entries: Value) -> Value:
    kind = ir.FunctionType(_BYTES, [_BYTES, _BYTES])
    declared: Any = cgutils.get_or_insert_function
    return b.call(declared(b.module, kind, "llvm.x86.avx2.pshuf.b"), [table, entries])


def _table(b: Builder, tables: Value, pixel: Value, at: int) -> Value:
    """The table that the activation byte selects, in both halves of a vector."""
    offset = b.zext(load(b, pixel, _INT8, at, align=1), _INT64)
    half = load(b, tables, _TABLE, offset, align=16)
    return b.shuffle_vector(
        half, ir.Constant(_TABLE, ir.Undefined), ir.Constant(_ORDER, [*range(16)] * 2)
    )


def _step(b: Builder, tables: Value, weights: Value, pixels: list[Value], sums: list[Value]) -> Any:
    """Four channels of the window."""
    following = list(sums)
    for pair in range(PAIRS):
        entries = [
            load(b, weights, _BYTES, FILTERS * pair + 32 * v, align=32) for v in range(_VECTORS)
        ]
        for q, pixel in enumerate(pixels):
            table = _table(b, tables, pixel, pair)
            for v in range(_VECTORS):
                i = _VECTORS * q + v
                following[i] = b.add(following[i], _shuffle(b, table, entries[v]))
    return following


def _widened(b: Builder, bytes_: Value, room: Value, at: int, first: Value) -> None:
    """Add bytes to L and H of the file header, which are zero in the first round."""
    acc = b.bitcast(bytes_, _HALVES)
    high = b.lshr(acc, ir.Constant(_HALVES, [8] * 16))
    for part, value in enumerate((acc, high)):
        before = load(b, room, _HALVES, 64 * at + 32 * part)
        held = b.select(first, ir.Constant(_HALVES, None), before)
        store(b, b.add(held, value), room, 64 * at + 32 * part)


def _written(b: Builder, room: Value, at: int, sums: Value) -> None:
    """32 sums of 32 bits, filters in order."""
    low, high = (load(b, room, _HALVES, 64 * at + 32 * part) for part in range(2))
    even = b.sub(low, b.shl(high, ir.Constant(_HALVES, [8] * 16)))
    turns = [i // 2 + 16 * (i % 2) for i in range(LANES)]
    both = b.shuffle_vector(even, high, ir.Constant(_ORDER, turns))
    store(b, b.zext(both, _WORDS), sums, 4 * LANES * at)


@microkernel
def look_up(
    typing: Any, pixels: Any, shift: Any, offsets: Any, weights: Any, steps: Any, tables: Any,
    room: Any, sums: Any,
) -> Any:
    """sums[PIXELS, FILTERS] (32 bits) = sums of f over ``steps`` steps of the windows.

    ``pixels`` holds PIXELS addresses of windows, to which ``shift`` is added; step k lies
    ``offsets[k]`` bytes behind the first. ``room`` has ROOM_BYTES, whatever they hold.
    """

    def emit(context: Any, b: Builder, signature: Any, arguments: Any) -> Value:
        pixels, shift, offsets, weights, steps, tables, room, sums = arguments
        bases = [b.add(load(b, pixels, _INT64, 8 * q, align=8), shift) for q in range(PIXELS)]
        most = _INT64(STEPS)
        rounds = b.sdiv(b.add(steps, _INT64(STEPS - 1)), most)
        with loop(b, rounds, []) as part:
            start = b.mul(part.index, most)
            left = b.sub(steps, start)
            count = b.select(b.icmp_signed("<", left, most), left, most)
            zeros = [ir.Constant(_BYTES, None)] * (_VECTORS * PIXELS)
            with loop(b, count, zeros) as step:
                at = b.add(start, step.index)
                offset = b.sext(load(b, offsets, _INT32, b.mul(at, _INT64(4))), _INT64)
                here = [b.add(base, offset) for base in bases]
                address = b.add(weights, b.mul(at, _INT64(PAIRS * FILTERS)))
                step.following[:] = _step(b, tables, address, here, step.values)
            first = b.icmp_signed("==", part.index, _INT64(0))
            for i, total in enumerate(step.following):
                _widened(b, total, room, i, first)
        for i in range(_VECTORS * PIXELS):
            _written(b, room, i, sums)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 8), emit


@microkernel
def pack_pairs(
    typing: Any, values: Any, thresholds: Any, flip: Any, bits: Any, out: Any
) -> Any:
    """Codes of values[LANES] against thresholds[2**bits - 1, LANES], as LANES / 2 bytes.

    A code counts the thresholds passed; bits of ``flip`` turn the codes of lanes over. A byte is
    the offset of the table for two codes: 16 * (even + 4 * odd).
    """
    if not isinstance(bits, types.IntegerLiteral):
        raise TypingError("pack_pairs: bits must be a literal")
    most = 2**bits.literal_value - 1

    def emit(context: Any, b: Builder, signature: Any, arguments: Any) -> Value:
        values, thresholds, flip, _, out = arguments
        x, code = load(b, values, _WORDS), ir.Constant(_WORDS, None)
        for level in range(most):
            passed = load(b, thresholds, _WORDS, 4 * LANES * level)
            code = b.sub(code, b.sext(b.icmp_signed(">=", x, passed), _WORDS))
        narrow = b.trunc(code, _BYTES)
        turned = b.bitcast(b.trunc(flip, _INT32), ir.VectorType(ir.IntType(1), LANES))
        narrow = b.xor(narrow, b.and_(b.sext(turned, _BYTES), ir.Constant(_BYTES, [most] * 32)))
        pairs = b.bitcast(narrow, _HALVES)
        even = b.shl(pairs, ir.Constant(_HALVES, [4] * 16))
        odd = b.lshr(pairs, ir.Constant(_HALVES, [2] * 16))
        store(b, b.trunc(b.or_(even, odd), _TABLE), out)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3, bits, types.int64), emit
