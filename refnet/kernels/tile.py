"""The loop nest of direct convolution with a tile of sums in registers, as LLVM code.

Lanes are output channels: a vector holds 16 of them, a tile holds V vectors times P places of the
output, all in registers. A *word* is what one lane takes of the input at once, 32 bits: one float,
two 16-bit or four 8-bit codes. Inputs lie place after place with their channels together, and zeros
around the map, so every tap is an address:

    for block:                                        V vectors, or 1
        for tile:                                     P places
            for p, v:    acc[p, v] = start[v]
            for t:                                    words of the window
                for v: w[v] = weights[v, t]           16 words, one for each lane
                for p:
                    a = data[places[p] + taps[t]]
                    for v: acc[p, v] += a * w[v]
            ending(acc)                               to the output, see ``endings``

An ``Arithmetic`` says what a is (one word in all lanes, one for each half, or one for each lane)
and what the last line means. All addresses are integers, all offsets are in bytes, and nothing is
checked here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llvmlite import ir
from numba.core import config

from refnet.kernels.tiers import Tier, highest

#: Output channels of a vector, on every machine: 32-bit lanes of 512 bits.
LANES = 16
#: Bytes of a vector of words.
VECTOR_BYTES = 4 * LANES
#: Vectors of a tile of one place, for outputs of one place: four streams of weights.
ONE_PLACE_VECTORS = 4
#: Numbers in a row of the table of blocks, see ``Windows.blocks``.
_BLOCK_NUMBERS = 5

#: Whether anything is compiled: without the compiler there are no vectors.
COMPILED = not config.DISABLE_JIT  # type: ignore[attr-defined]
#: Whether a vector of 16 words is one register.
WIDE = highest() >= Tier.AVX512

INT8, INT16, INT32, INT64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
FLOAT, DOUBLE = ir.FloatType(), ir.DoubleType()
INT32S, INT64S = ir.VectorType(INT32, LANES), ir.VectorType(INT64, LANES)
FLOATS, DOUBLES = ir.VectorType(FLOAT, LANES), ir.VectorType(DOUBLE, LANES)

Value = Any
Builder = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """``kind`` of a vector of sums; multiply(builder, acc, a, w) -> acc.

    fetch(builder, address, step) -> a, where the next group of channels is ``step`` bytes on.
    """

    kind: Any
    fetch: Callable[[Builder, Value, Value], Value]
    multiply: Callable[[Builder, Value, Value, Value], Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Operands of the tiles of one block, as LLVM values of 64 bits.

    ``places`` is the address of offsets into ``data``, ``taps`` that of ``words`` 32-bit offsets,
    and ``targets`` that of offsets into the output. Groups of input channels are ``step`` bytes
    apart. Weights of a vector follow each other; those of the next come ``stride`` bytes later.
    ``vector`` and ``channel`` are the first of the block, ``lanes`` counts the filters of the last
    vector.
    """

    data: Value
    places: Value
    taps: Value
    words: Value
    step: Value
    weights: Value
    stride: Value
    start: Value
    targets: Value
    vector: Value
    channel: Value
    lanes: Value


#: ending(builder, acc, block, V) with acc a row of V vectors for each place of a tile.
Ending = Callable[[Builder, list[list[Value]], Block], None]


def number(value: int) -> Value:
    """A 64-bit constant."""
    return ir.Constant(INT64, value)


def load(b: Builder, address: Value, kind: Any) -> Value:
    """The value of type ``kind`` at ``address``, which need not be aligned."""
    return b.load(b.inttoptr(address, kind.as_pointer()), align=1, typ=kind)


def spread(b: Builder, value: Value, lanes: int = LANES) -> Value:
    """``value`` in every lane."""
    kind = ir.VectorType(value.type, lanes)
    first = b.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(INT32, 0))
    order = ir.Constant(ir.VectorType(INT32, lanes), [0] * lanes)
    return b.shuffle_vector(first, ir.Constant(kind, ir.Undefined), order)


def call(b: Builder, name: str, kind: Any, *operands: Value) -> Value:
    """Call the LLVM intrinsic ``name``."""
    signature = ir.FunctionType(kind, [operand.type for operand in operands])
    return b.call(b.module.globals.get(name) or ir.Function(b.module, signature, name), operands)


def nest(
    b: Builder, operands: Sequence[Value], arithmetic: Arithmetic, ending: Ending,
    vectors: int, pixels: int,
) -> None:
    """The loop nest of the file header.

    ``operands``: data, places, their number, taps, their number, step, weights, start, blocks,
    their number, targets; all of 64 bits.
    """
    data, places, count, taps, words, step, weights, start, blocks, rows, targets = operands
    stride = b.mul(words, number(VECTOR_BYTES))

    def row(b: Builder, i: Value, _: Sequence[Value]) -> list[Value]:
        at = b.add(blocks, b.mul(i, number(8 * _BLOCK_NUMBERS)))
        vector, size, offset, channel, lanes = (
            load(b, b.add(at, number(8 * n)), INT64) for n in range(_BLOCK_NUMBERS)
        )
        block = Block(
            data=b.add(data, offset), places=places, taps=taps, words=words, step=step,
            weights=b.add(weights, b.mul(vector, stride)), stride=stride, targets=targets,
            start=b.add(start, b.mul(vector, number(VECTOR_BYTES))), vector=vector,
            channel=channel, lanes=lanes,
        )  # fmt: skip
        for V, P in {ONE_PLACE_VECTORS: 1, vectors: pixels, 1: pixels}.items():
            with b.if_then(b.icmp_signed("==", size, number(V))):
                tiles = number(1) if P == 1 else b.udiv(count, number(P))
                loop(b, tiles, [], tile_of(block, V, P))
        return []

    def tile_of(block: Block, V: int, P: int) -> Body:
        def tile(b: Builder, i: Value, _: Sequence[Value]) -> list[Value]:
            skip = b.mul(i, number(8 * P))
            moved = replace(
                block, places=b.add(block.places, skip), targets=b.add(block.targets, skip)
            )
            ending(b, _sums(b, moved, arithmetic, V, P), moved)
            return []

        return tile

    loop(b, rows, [], row)


def _sums(
    b: Builder, block: Block, arithmetic: Arithmetic, vectors: int, pixels: int
) -> list[list[Value]]:
    """The sums of one tile: a row of ``vectors`` vectors for each place."""
    places = [
        b.add(block.data, load(b, b.add(block.places, number(8 * p)), INT64))
        for p in range(pixels)
    ]
    starts = [
        load(b, b.add(block.start, number(VECTOR_BYTES * v)), arithmetic.kind)
        for v in range(vectors)
    ]
    strides = [b.mul(block.stride, number(v)) for v in range(vectors)]

    def word(b: Builder, t: Value, carried: Sequence[Value]) -> list[Value]:
        at, *acc = carried
        offset = b.sext(load(b, b.add(block.taps, b.shl(t, number(2))), INT32), INT64)
        w = [load(b, b.add(at, stride), arithmetic.kind) for stride in strides]
        for p, place in enumerate(places):
            a = arithmetic.fetch(b, b.add(place, offset), block.step)
            for v in range(vectors):
                i = p * vectors + v
                acc[i] = arithmetic.multiply(b, acc[i], a, w[v])
        return [b.add(at, number(VECTOR_BYTES)), *acc]

    sums = loop(b, block.words, [block.weights, *starts * pixels], word)[1:]
    return [sums[p * vectors : (p + 1) * vectors] for p in range(pixels)]


#: body(builder, index, carried) -> carried.
Body = Callable[[Builder, Value, Sequence[Value]], list[Value]]


def loop(b: Builder, count: Value, carried: Sequence[Value], body: Body) -> list[Value]:
    """Repeat ``body`` ``count`` >= 1 times, handing on what it returns."""
    before = b.block
    inside, after = b.append_basic_block("inside"), b.append_basic_block("after")
    b.branch(inside)
    b.position_at_end(inside)
    index = b.phi(INT64)
    index.add_incoming(number(0), before)
    held = [b.phi(value.type) for value in carried]
    for phi, value in zip(held, carried, strict=True):
        phi.add_incoming(value, before)
    results = body(b, index, held)
    following = b.add(index, number(1))
    index.add_incoming(following, b.block)
    for phi, value in zip(held, results, strict=True):
        phi.add_incoming(value, b.block)
    b.cbranch(b.icmp_signed("<", following, count), inside, after)
    b.position_at_end(after)
    return results


def store(b: Builder, value: Value, address: Value) -> None:
    """Store a whole vector."""
    b.store(value, b.inttoptr(address, value.type.as_pointer()), align=1)


def store_first(b: Builder, value: Value, address: Value, lanes: Value) -> None:
    """Store the first ``lanes`` lanes of a vector and leave the memory behind them alone."""
    kind, iota = value.type, ir.Constant(INT32S, list(range(LANES)))
    mask = b.icmp_signed("<", iota, spread(b, b.trunc(lanes, INT32)))
    pointer = b.inttoptr(address, kind.as_pointer())
    suffix = "f32" if kind == FLOATS else f"i{kind.element.width}"
    name = f"llvm.masked.store.v{LANES}{suffix}.p0"
    call(b, name, ir.VoidType(), value, pointer, ir.Constant(INT32, 1), mask)


def _word(kind: Any) -> Callable[[Builder, Value, Value], Value]:
    return lambda b, address, step: spread(b, load(b, address, kind))


def _word_for_each_half(kind: Any) -> Callable[[Builder, Value, Value], Value]:
    halves = [i < LANES // 2 for i in range(LANES)]
    low = ir.Constant(ir.VectorType(ir.IntType(1), LANES), halves)

    def fetch(b: Builder, address: Value, step: Value) -> Value:
        # Integers even of floats: masks of floats wait for the ports of products.
        here, beside = (spread(b, load(b, at, INT32)) for at in (address, b.add(address, step)))
        both = b.select(_unforeseen(b, step) if WIDE else low, here, beside)
        return b.bitcast(both, ir.VectorType(kind, LANES))

    return fetch


def _unforeseen(b: Builder, step: Value) -> Value:
    """The lower half of the lanes, as a mask that LLVM cannot foresee (``step`` is not 0).

    Then it reads the second word under the mask, which is one instruction, and not two words and a
    shuffle that takes the place of a product.
    """
    lane = ir.Constant(INT32S, list(range(LANES)))
    half = spread(b, b.select(b.icmp_signed("==", step, number(0)), *(
        ir.Constant(INT32, n) for n in (LANES, LANES // 2)
    )))  # fmt: skip
    return b.icmp_signed("<", lane, half)


def _fused_multiply_add(b: Builder, acc: Value, a: Value, w: Value) -> Value:
    """One rounding where the processor has such an instruction, else two."""
    return call(b, f"llvm.fmuladd.v{LANES}f32", FLOATS, a, w, acc)


def _dot_of_bytes(b: Builder, acc: Value, a: Value, w: Value) -> Value:
    return call(b, "llvm.x86.avx512.vpdpbusd.512", INT32S, acc, a, w)


def _dot_by_pairs(b: Builder, acc: Value, a: Value, w: Value) -> Value:
    """Neighbouring products are added in 16 bits first, where they must fit; AVX2."""
    half, words = LANES // 2, ir.VectorType(INT16, LANES)
    narrow, ones = ir.VectorType(INT32, half), ir.Constant(words, [1] * LANES)
    sums = []
    for first in (0, half):
        order = ir.Constant(ir.VectorType(INT32, half), list(range(first, first + half)))
        bytes_ = (
            b.bitcast(
                b.shuffle_vector(value, ir.Constant(INT32S, ir.Undefined), order),
                ir.VectorType(INT8, 4 * half),
            ) for value in (a, w)
        )  # fmt: skip
        pairs = call(b, "llvm.x86.avx2.pmadd.ub.sw", words, *bytes_)
        sums.append(call(b, "llvm.x86.avx2.pmadd.wd", narrow, pairs, ones))
    whole = ir.Constant(ir.VectorType(INT32, LANES), list(range(LANES)))
    return b.add(acc, b.shuffle_vector(*sums, whole))


def _dot_of_pairs(b: Builder, acc: Value, a: Value, w: Value) -> Value:
    """x86 has one instruction for it, which LLVM finds in this form."""
    halves, wide = ir.VectorType(INT16, 2 * LANES), ir.VectorType(INT32, 2 * LANES)
    products = b.mul(*(b.sext(b.bitcast(value, halves), wide) for value in (a, w)))
    even, odd = (
        b.shuffle_vector(
            products, ir.Constant(wide, ir.Undefined),
            ir.Constant(INT32S, list(range(first, 2 * LANES, 2))),
        )
        for first in (0, 1)
    )  # fmt: skip
    return b.add(acc, b.add(even, odd))


def _product(b: Builder, acc: Value, a: Value, w: Value) -> Value:
    return b.add(acc, b.mul(a, w))


def _unsigned_bytes(b: Builder, address: Value, step: Value) -> Value:
    return b.zext(load(b, address, ir.VectorType(INT8, LANES)), INT32S)


def _signed_pairs(b: Builder, address: Value, step: Value) -> Value:
    return b.sext(load(b, address, ir.VectorType(INT16, LANES)), INT32S)


#: Floats times floats.
REALS = Arithmetic(kind=FLOATS, fetch=_word(FLOAT), multiply=_fused_multiply_add)
#: Four products of unsigned and signed bytes at once; AVX-512 VNNI only. Sums wrap.
BYTES = Arithmetic(kind=INT32S, fetch=_word(INT32), multiply=_dot_of_bytes)
#: The same by two instructions of AVX2; two products together must fit 16 bits.
BYTE_PAIRS = Arithmetic(kind=INT32S, fetch=_word(INT32), multiply=_dot_by_pairs)
#: The same for two groups of eight filters each, which share a vector.
REALS_BY_TWO = replace(REALS, fetch=_word_for_each_half(FLOAT))
BYTES_BY_TWO = replace(BYTES, fetch=_word_for_each_half(INT32))
BYTE_PAIRS_BY_TWO = replace(BYTE_PAIRS, fetch=_word_for_each_half(INT32))
#: Two products of signed 16-bit numbers at once. Sums wrap.
PAIRS = Arithmetic(kind=INT32S, fetch=_word(INT32), multiply=_dot_of_pairs)
#: Every lane its own channel: floats; unsigned bytes times 32 bits; 16 bits times 32 bits.
LANE_REALS = Arithmetic(
    kind=FLOATS, fetch=lambda b, at, step: load(b, at, FLOATS), multiply=_fused_multiply_add
)
LANE_BYTES = Arithmetic(kind=INT32S, fetch=_unsigned_bytes, multiply=_product)
LANE_PAIRS = Arithmetic(kind=INT32S, fetch=_signed_pairs, multiply=_product)
