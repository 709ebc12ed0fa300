"""Blocks of maps turned from channel after channel to pixel after pixel and back, as vector code.

Rows of a block are vectors. One round interleaves vector i with vector i + n/2, which moves the
highest bit of the row's number to the low end of the element's number and the other bits up by one;
as many rounds as a row's number has bits therefore transpose the block. Everything is generic LLVM.
Arguments are addresses and counts of bytes or items.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.errors import TypingError

from refnet.kernels.microkernels import LANES, Builder, Value, load, microkernel, store

#: Pixels of a block of codes (LANES channels), and pixels and lanes of a block of sums.
PIXELS, SIDE = 16, 8

_INT8, _INT16, _INT32, _INT64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_ROW = ir.VectorType(_INT8, PIXELS)
_CODES = ir.VectorType(_INT8, LANES)
_COUPLES = ir.VectorType(_INT16, LANES // 2)
_SUMS = ir.VectorType(_INT32, SIDE)


def _interleaved(b: Builder, rows: list[Value]) -> list[Value]:
    """One round of the file header."""
    width, half, turned = rows[0].type.count, len(rows) // 2, []
    for first, second in zip(rows[:half], rows[half:], strict=True):
        for start in (0, width // 2):
            order = [start + i // 2 + width * (i % 2) for i in range(width)]
            mask = ir.Constant(ir.VectorType(_INT32, width), order)
            turned.append(b.shuffle_vector(first, second, mask))
    return turned


def _pixels(b: Builder, x: Value, stride: Value) -> list[Value]:
    """Codes x[LANES, PIXELS], rows ``stride`` bytes apart, as a vector of channels a pixel."""
    rows = [
        load(b, x, _ROW, b.mul(stride, _INT64(c)), align=1) for c in range(LANES)
    ]
    for _ in range(LANES.bit_length() - 1):
        rows = _interleaved(b, rows)
    whole = ir.Constant(ir.VectorType(_INT32, LANES), list(range(LANES)))
    return [b.shuffle_vector(*rows[2 * p : 2 * p + 2], whole) for p in range(PIXELS)]


def _as_pairs(b: Builder, codes: Value, out: Value, bits: int, plane_bytes: Value) -> None:
    """LANES codes as offsets of tables, see ``pairs``."""
    couples = b.bitcast(b.and_(codes, ir.Constant(_CODES, [3] * LANES)), _COUPLES)
    even = b.shl(couples, ir.Constant(_COUPLES, [4] * (LANES // 2)))
    odd = b.lshr(couples, ir.Constant(_COUPLES, [2] * (LANES // 2)))
    store(b, b.trunc(b.or_(even, odd), ir.VectorType(_INT8, LANES // 2)), out)


def _as_planes(b: Builder, codes: Value, out: Value, bits: int, plane_bytes: Value) -> None:
    """LANES codes as a word a plane."""
    for bit in range(bits):
        held = b.and_(codes, ir.Constant(_CODES, [1 << bit] * LANES))
        ones = b.icmp_unsigned("!=", held, ir.Constant(_CODES, None))
        store(b, b.bitcast(ones, _INT32), out, b.mul(plane_bytes, _INT64(bit)))


def _packed(write: Callable[..., None], count: int) -> Any:
    """The intrinsic that packs LANES channels of ``count`` pixels: of a block, or of one."""

    @microkernel
    def pack(
        typing: Any, x: Any, stride: Any, places: Any, unit: Any, bits: Any, plane_bytes: Any,
        out: Any,
    ) -> Any:
        if not isinstance(bits, types.IntegerLiteral):
            raise TypingError("pack: bits must be a literal")

        def emit(context: Any, b: Builder, signature: Any, arguments: Any) -> Value:
            x, stride, places, unit, _, plane_bytes, out = arguments
            codes = [load(b, x, _CODES, align=1)] if count == 1 else _pixels(b, x, stride)
            for p, pixel in enumerate(codes):
                place = b.mul(load(b, places, _INT64, 8 * p, align=8), unit)
                write(b, pixel, b.add(out, place), bits.literal_value, plane_bytes)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 4, bits, *[types.int64] * 2), emit

    return pack


#: pack(x, stride, places, unit, bits, plane_bytes, out): pixel p goes to out + unit * places[p].
pairs_of_block, pairs_of_pixel = _packed(_as_pairs, PIXELS), _packed(_as_pairs, 1)
planes_of_block, planes_of_pixel = _packed(_as_planes, PIXELS), _packed(_as_planes, 1)


@microkernel
def turn_sums(
    typing: Any, rows: Any, row_bytes: Any, out: Any, out_bytes: Any, itemsize: Any
) -> Any:
    """out[lane, pixel] = rows[pixel, lane], SIDE of each, 32 bits to integers of ``itemsize``."""
    if not isinstance(itemsize, types.IntegerLiteral):
        raise TypingError("turn_sums: itemsize must be a literal")
    kind = ir.VectorType(ir.IntType(8 * itemsize.literal_value), SIDE)

    def emit(context: Any, b: Builder, signature: Any, arguments: Any) -> Value:
        rows, row_bytes, out, out_bytes, _ = arguments
        sums = [load(b, rows, _SUMS, b.mul(row_bytes, _INT64(p))) for p in range(SIDE)]
        for _ in range(SIDE.bit_length() - 1):
            sums = _interleaved(b, sums)
        for lane, values in enumerate(sums):
            narrow = values if kind == _SUMS else b.trunc(values, kind)
            pointer = b.inttoptr(
                b.add(out, b.mul(out_bytes, _INT64(lane))), kind.as_pointer()
            )
            b.store(narrow, pointer, align=1)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4, itemsize), emit
