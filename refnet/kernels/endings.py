"""What becomes of the sums in a tile: the intrinsics that kernels consist of.

``sums_of`` stores the sums, 32 bits each. ``codes_of`` requantizes them first [4.3], in binary64,
where nothing but the one rounding is inexact, and stores codes as wide as the kernel reads
them. A sum has 31 bits and a multiplier 15, so

    y = sum * (mult / 2**shift)                                  46 bits: exact
    y = y + nudge                                                48 bits: exact
    y = min(max(y, lo), hi)                                      bounds are integers
    code = y + 1.5 * 2**52                                       rounds to an integer, ties to even

The low bits of the last sum are the code in two's complement. ``nudge`` is a quarter of what y is a
multiple of, 2**-(shift + 2): too little to pass a tie, enough to leave one. It is 0 for half_even,
positive for half_up, and has the sign of y for half_away.

Where ties go to even and |mult| < 2**shift, y fits 32 bits, so one addition with a multiplication
before it, fused or not, gives the integer, and 32-bit integers are clamped.

Where moreover no sum is beyond 2**24, it is a binary32 number, and one fused multiplication and
addition of binary32 rounds the exact y + 1.5 * 2**23 to an integer, ties to even, half the work
again. That holds for |y| <= 2**22; whatever is rounded beyond stays beyond, since rounding is
monotone, and ends at a bound. The bits of a binary32 number from 2**23 to 2**24 are an integer that
grows with it, and those of a negative one are a negative integer, so integers are clamped here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from refnet.kernels import tile
from refnet.kernels.tiers import Tier, highest
from refnet.kernels.tile import (
    DOUBLE,
    DOUBLES,
    FLOATS,
    INT32,
    INT32S,
    INT64,
    INT64S,
    LANES,
    Arithmetic,
    Block,
    Builder,
    Value,
)

#: 1.5 * 2**52: numbers near it are multiples of 1, and its low 32 bits are zeros.
_TO_INTEGER = 1.5 * 2.0**52
#: The same for binary32, and its bits.
_TO_SHORT_INTEGER, _ITS_BITS = 1.5 * 2.0**23, 0x4B400000
_WORD_BYTES = 4


#: Whether a product and a sum may be rounded once, as one instruction.
FUSES = highest() >= Tier.AVX2

#: Operands of a loop nest with the address of the output, and those of requantizing.
_NEST, _ROUNDING = 12, 7


def _signature(vectors: Any, pixels: Any) -> Any:
    """The sizes of the tile are literals; then comes the address of the operands."""
    if not all(isinstance(size, types.IntegerLiteral) for size in (vectors, pixels)):
        return None
    return types.void(vectors, pixels, types.int64)


def _operands(b: Builder, address: Value, count: int) -> list[Value]:
    """``count`` numbers of 64 bits that lie at ``address``."""
    return [tile.load(b, b.add(address, tile.number(8 * i)), INT64) for i in range(count)]


def sums_of(arithmetic: Arithmetic, *, rectified: bool = False) -> Any:
    """The intrinsic that runs the loop nest and stores sums.

    Called with V, P and the address of numbers of 64 bits: the operands of ``tile.nest``, then the
    address of the output. ``rectified`` sets negative floats to zero.
    """

    @intrinsic(prefer_literal=True)
    def sums(context, vectors, pixels, operands):  # type: ignore[no-untyped-def]
        def generate(context, b, signature, arguments):  # type: ignore[no-untyped-def]
            *operands, address = _operands(b, arguments[2], _NEST)

            def ending(b: Builder, acc: list[list[Value]], block: Block) -> None:
                if rectified:
                    acc = [[_rectified(b, a) for a in row] for row in acc]
                _write(b, acc, address, block, _WORD_BYTES)

            sizes = vectors.literal_value, pixels.literal_value
            tile.nest(b, operands, arithmetic, ending, *sizes)
            return context.get_dummy_value()

        return _signature(vectors, pixels), generate

    return sums


def codes_of(arithmetic: Arithmetic, kind: Any) -> Any:
    """The intrinsic that runs the loop nest, requantizes and stores codes as integers of ``kind``.

    Called as that of ``sums_of``. Behind the address of the output lie ``scale`` and ``nudge``,
    addresses of 16 binary64 numbers a vector, ``away`` with the sign bit set where ``nudge`` has
    the sign of y, the ``way`` of the file header (0, 1 or 2; with 2 ``scale`` are binary32
    numbers), ``flip`` with the bits of a stored code that are turned over, and the bounds ``lo``
    and ``hi`` in binary64.
    """

    @intrinsic(prefer_literal=True)
    def codes(context, vectors, pixels, operands):  # type: ignore[no-untyped-def]
        def generate(context, b, signature, arguments):  # type: ignore[no-untyped-def]
            held = _operands(b, arguments[2], _NEST + _ROUNDING)
            operands, (address, *rounding) = held[: _NEST - 1], held[_NEST - 1 :]
            rounding[5:] = [b.bitcast(bound, DOUBLE) for bound in rounding[5:]]

            def ending(b: Builder, acc: list[list[Value]], block: Block) -> None:
                stored, size = ir.VectorType(kind, LANES), kind.width // 8
                for way, code in enumerate((_requantized, _nearest, _fused)[: 2 + FUSES]):
                    with b.if_then(b.icmp_signed("==", rounding[3], tile.number(way))):
                        _write(b, code(b, acc, block, rounding, stored), address, block, size)

            sizes = vectors.literal_value, pixels.literal_value
            tile.nest(b, operands, arithmetic, ending, *sizes)
            return context.get_dummy_value()

        return _signature(vectors, pixels), generate

    return codes


def _rectified(b: Builder, a: Value) -> Value:
    zeros = ir.Constant(a.type, [0.0] * LANES)
    return b.select(b.fcmp_ordered("<", a, zeros), zeros, a)


def _requantized(
    b: Builder, acc: list[list[Value]], block: Block, rounding: Sequence[Value], kind: Any
) -> list[list[Value]]:
    """The formula of the file header for each vector of sums."""
    scale, nudge, away, _, flip = rounding[:5]
    lo, hi = (tile.spread(b, value) for value in rounding[5:])
    signs, turned = tile.spread(b, away), tile.spread(b, b.trunc(flip, kind.element))
    magic = ir.Constant(DOUBLES, [_TO_INTEGER] * LANES)
    coded: list[list[Value]] = [[] for _ in acc]
    for v in range(len(acc[0])):
        offset = b.mul(b.add(block.vector, tile.number(v)), tile.number(8 * LANES))
        factor = tile.load(b, b.add(scale, offset), DOUBLES)
        push = tile.load(b, b.add(nudge, offset), INT64S)
        for row, codes in zip(acc, coded, strict=True):
            y = b.fmul(b.sitofp(row[v], DOUBLES), factor)
            signed = b.or_(b.and_(b.bitcast(y, INT64S), signs), push)
            y = b.fadd(y, b.bitcast(signed, DOUBLES))
            y = b.select(b.fcmp_ordered("<", y, lo), lo, y)
            y = b.select(b.fcmp_ordered(">", y, hi), hi, y)
            whole = b.bitcast(b.fadd(y, magic), INT64S)
            codes.append(b.xor(b.trunc(whole, kind), turned))
    return coded


def _nearest(
    b: Builder, acc: list[list[Value]], block: Block, rounding: Sequence[Value], kind: Any
) -> list[list[Value]]:
    """The short way of the file header for each vector of sums."""
    scale, flip = rounding[0], rounding[4]
    lo, hi = (tile.spread(b, b.fptosi(value, INT32)) for value in rounding[5:])
    turned = tile.spread(b, b.trunc(flip, kind.element))
    magic = ir.Constant(DOUBLES, [_TO_INTEGER] * LANES)
    coded: list[list[Value]] = [[] for _ in acc]
    for v in range(len(acc[0])):
        offset = b.mul(b.add(block.vector, tile.number(v)), tile.number(8 * LANES))
        factor = tile.load(b, b.add(scale, offset), DOUBLES)
        for row, codes in zip(acc, coded, strict=True):
            y = b.sitofp(row[v], DOUBLES)
            moved = tile.call(b, f"llvm.fmuladd.v{LANES}f64", DOUBLES, y, factor, magic)
            whole = b.trunc(b.bitcast(moved, INT64S), INT32S)
            whole = b.select(b.icmp_signed("<", whole, lo), lo, whole)
            whole = b.select(b.icmp_signed(">", whole, hi), hi, whole)
            codes.append(b.xor(b.trunc(whole, kind), turned))
    return coded


def _fused(
    b: Builder, acc: list[list[Value]], block: Block, rounding: Sequence[Value], kind: Any
) -> list[list[Value]]:
    """The way in binary32 of the file header for each vector of sums."""
    scale, flip = rounding[0], rounding[4]
    zero = ir.Constant(INT32, _ITS_BITS)
    lo, hi = (tile.spread(b, b.add(zero, b.fptosi(value, INT32))) for value in rounding[5:])
    turned = tile.spread(b, b.trunc(flip, kind.element))
    magic = ir.Constant(FLOATS, [_TO_SHORT_INTEGER] * LANES)
    coded: list[list[Value]] = [[] for _ in acc]
    for v in range(len(acc[0])):
        offset = b.mul(b.add(block.vector, tile.number(v)), tile.number(tile.VECTOR_BYTES))
        factor = tile.load(b, b.add(scale, offset), FLOATS)
        for row, codes in zip(acc, coded, strict=True):
            y = b.sitofp(row[v], FLOATS)
            moved = tile.call(b, f"llvm.fma.v{LANES}f32", FLOATS, y, factor, magic)
            whole = b.bitcast(moved, INT32S)
            whole = b.select(b.icmp_signed("<", whole, lo), lo, whole)
            whole = b.select(b.icmp_signed(">", whole, hi), hi, whole)
            codes.append(b.xor(b.trunc(whole, kind), turned))
    return coded


def _write(
    b: Builder, rows: list[list[Value]], out: Value, block: Block, element_bytes: int
) -> None:
    """Store each row of vectors at the target of its place, from the block's channel on."""
    first = b.add(out, b.mul(block.channel, tile.number(element_bytes)))
    whole = b.icmp_signed("==", block.lanes, tile.number(LANES))
    with b.if_else(whole) as branches:
        for partial, branch in enumerate(branches):
            with branch:
                for p, row in enumerate(rows):
                    offset = tile.load(b, b.add(block.targets, tile.number(8 * p)), INT64)
                    target = b.add(first, offset)
                    for v, value in enumerate(row):
                        address = b.add(target, tile.number(element_bytes * LANES * v))
                        if partial and v == len(row) - 1:
                            tile.store_first(b, value, address, block.lanes)
                        else:
                            tile.store(b, value, address)
