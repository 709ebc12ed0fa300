"""Products with ternary matrices by tables, as LLVM code: three trits at a time, no multiplication.

Three inputs a, b, c can meet 27 triples of trits, so a table of 27 sums holds all that a filter may
make of them, and a filter is five bits of index for every three weights. A lane is a filter, and
one permutation looks up one sum for every lane:

    for s:                                  slices of the inputs: tables stay in the first cache
        for g, p:                           triples of the slice, P rows of x
            table[g, p] = t0*x[p, 3g] + t1*x[p, 3g+1] + t2*x[p, 3g+2]     27 sums in a register
        for block:                          B vectors of filters
            acc = 0                         P * B vectors in registers
            for v, j:                       vectors of indices, the indices in each
                for p, b: acc[p, b] += table[p][index[b]]
                index >>= 5
            out[p, b] += acc                32 bits

A table of 16-bit sums is one register, one of floats two. Index 13 stands for three zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from refnet.kernels import tile
from refnet.kernels.places import aligned
from refnet.kernels.tile import FLOAT, FLOATS, INT16, INT32S, Builder, Value, number

#: Weights that share an index, and the bits of an index.
TRIPLE, INDEX_BITS = 3, 5
_REGISTER_BYTES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """What a table holds: its vector, the lanes of index vectors, and how they are used.

    ``per`` indices fit a lane, a slice has ``vectors`` vectors of them, a table takes ``registers``
    registers, a block has ``blocks`` vectors of filters.
    """

    kind: Any
    index: Any
    dtype: Any
    index_dtype: Any
    per: int
    vectors: int
    registers: int
    blocks: int
    times: Callable[[Builder, Value, Value], Value]
    plus: Callable[[Builder, Value, Value], Value]
    pick: Callable[[Builder, Sequence[Value], Value], Value]
    add_to: Callable[[Builder, Value, Value], None]

    @property
    def lanes(self) -> int:
        """Filters of a vector."""
        return int(self.kind.count)

    @property
    def triples(self) -> int:
        """Triples of a slice."""
        return self.per * self.vectors

    def scratch(self, rows: int) -> NDArray[Any]:
        """Room for the tables of a slice."""
        size = (self.triples, rows, self.registers, self.lanes)
        return aligned(np.zeros(size, self.dtype))

    def packed(self, w: NDArray[Any]) -> NDArray[Any]:
        """Trits w (M, K) -> indices (slices, blocks, vectors, B, lanes), zeros to fill up."""
        M, K = w.shape
        filters = -(-M // (self.lanes * self.blocks)) * self.lanes * self.blocks
        slices = -(-K // (TRIPLE * self.triples))
        whole = np.zeros((filters, slices * self.triples, TRIPLE), np.int64)
        whole.reshape(filters, -1)[:M, :K] = w
        index = (whole + 1) @ np.array([1, 3, 9])
        split = index.reshape(-1, self.blocks, self.lanes, slices, self.vectors, self.per)
        joined = (split << INDEX_BITS * np.arange(self.per)).sum(axis=-1)
        return aligned(joined.transpose(3, 0, 4, 1, 2).astype(self.index_dtype))

    def rows(self, x: NDArray[Any], slices: int) -> NDArray[Any]:
        """x (N, K) as the nest reads it, zeros to fill up the last slice."""
        whole = np.zeros((len(x), slices * self.triples * TRIPLE), self.dtype)
        whole[:, : x.shape[1]] = x
        return whole


def multiply_of(element: Element) -> Any:
    """The intrinsic that runs the nest of the file header for P rows, P a literal.

    Called with P, addresses of x and bytes of a row, tables, weights, out and bytes of a row,
    slices, blocks; sums are added to ``out``.
    """

    @intrinsic(prefer_literal=True)
    def multiply(  # type: ignore[no-untyped-def]
        context, rows, x, x_stride, tables, weights, out, out_stride, slices, blocks
    ):
        if not isinstance(rows, types.IntegerLiteral):
            return None

        def generate(context, b, signature, arguments):  # type: ignore[no-untyped-def]
            _nest(b, arguments[1:], element, rows.literal_value)
            return context.get_dummy_value()

        return types.void(rows, *(types.int64,) * 8), generate

    return multiply


def _nest(b: Builder, operands: Sequence[Value], element: Element, P: int) -> None:
    x, x_stride, tables, weights, out, out_stride, slices, blocks = operands
    size = element.kind.element.width // 8 if element.kind.element != FLOAT else 4
    block_bytes = element.vectors * element.blocks * _REGISTER_BYTES
    row_bytes = element.lanes * 4 * element.blocks

    def a_slice(b: Builder, s: Value, _: Sequence[Value]) -> list[Value]:
        first = b.add(x, b.mul(s, number(element.triples * TRIPLE * size)))
        _build(b, element, first, x_stride, tables, P, size)
        w = b.add(weights, b.mul(b.mul(s, blocks), number(block_bytes)))

        def block(b: Builder, i: Value, _: Sequence[Value]) -> list[Value]:
            at = b.add(w, b.mul(i, number(block_bytes)))
            acc = _looked_up(b, element, at, tables, P)
            to = b.add(out, b.mul(i, number(row_bytes)))
            for p in range(P):
                row = b.add(to, b.mul(out_stride, number(p)))
                for v in range(element.blocks):
                    address = b.add(row, number(v * element.lanes * 4))
                    element.add_to(b, acc[p * element.blocks + v], address)
            return []

        tile.loop(b, blocks, [], block)
        return []

    tile.loop(b, slices, [], a_slice)


def _build(
    b: Builder, element: Element, x: Value, stride: Value, tables: Value, P: int, size: int
) -> None:
    """Tables of every triple of a slice, for P rows."""
    lanes = element.lanes * element.registers
    trits = [[(i // 3**k) % 3 - 1 if i < 27 else 0 for i in range(lanes)] for k in range(TRIPLE)]

    def triple(b: Builder, g: Value, _: Sequence[Value]) -> list[Value]:
        for p in range(P):
            at = b.add(b.add(x, b.mul(stride, number(p))), b.mul(g, number(TRIPLE * size)))
            values = [
                tile.spread(
                    b, tile.load(b, b.add(at, number(k * size)), element.kind.element),
                    element.lanes,
                )
                for k in range(TRIPLE)
            ]  # fmt: skip
            for r in range(element.registers):
                part = slice(r * element.lanes, (r + 1) * element.lanes)
                factors = [
                    ir.Constant(element.kind, [_as(element, t) for t in row[part]])
                    for row in trits
                ]
                terms = [element.times(b, v, f) for v, f in zip(values, factors, strict=True)]
                total = element.plus(b, element.plus(b, terms[0], terms[1]), terms[2])
                place = b.add(b.mul(g, number(P)), number(p))
                place = b.add(b.mul(place, number(element.registers)), number(r))
                tile.store(b, total, b.add(tables, b.mul(place, number(_REGISTER_BYTES))))
        return []

    tile.loop(b, number(element.triples), [], triple)


def _as(element: Element, trit: int) -> float | int:
    return float(trit) if element.kind.element == FLOAT else trit


def _looked_up(
    b: Builder, element: Element, at: Value, tables: Value, P: int
) -> list[Value]:
    """Sums of one block over the slice: B vectors for each of P rows."""
    B, table_bytes = element.blocks, element.registers * _REGISTER_BYTES
    zeros = ir.Constant(element.kind, [_as(element, 0)] * element.lanes)
    shift = ir.Constant(element.index, [INDEX_BITS] * element.lanes)

    def vector(b: Builder, v: Value, carried: Sequence[Value]) -> list[Value]:
        acc = list(carried)
        first = b.add(at, b.mul(v, number(B * _REGISTER_BYTES)))
        index = [
            tile.load(b, b.add(first, number(i * _REGISTER_BYTES)), element.index)
            for i in range(B)
        ]
        here = b.add(tables, b.mul(v, number(element.per * P * table_bytes)))
        for j in range(element.per):
            for p in range(P):
                place = (j * P + p) * table_bytes
                table = [
                    tile.load(b, b.add(here, number(place + r * _REGISTER_BYTES)), element.kind)
                    for r in range(element.registers)
                ]
                for i in range(B):
                    looked = element.pick(b, table, index[i])
                    acc[p * B + i] = element.plus(b, acc[p * B + i], looked)
            index = [b.lshr(each, shift) for each in index]
        return acc

    return tile.loop(b, number(element.vectors), [zeros] * (P * B), vector)


def _pick_words(b: Builder, table: Sequence[Value], index: Value) -> Value:
    return tile.call(b, "llvm.x86.avx512.permvar.hi.512", _WORDS, table[0], index)


def _pick_floats(b: Builder, table: Sequence[Value], index: Value) -> Value:
    name = "llvm.x86.avx512.vpermi2var.ps.512"
    return tile.call(b, name, FLOATS, table[0], index, table[1])


def _add_words(b: Builder, acc: Value, address: Value) -> None:
    """32 sums of 16 bits to 32 of 32 bits."""
    for half in range(2):
        order = ir.Constant(INT32S, list(range(16 * half, 16 * half + 16)))
        part = b.sext(b.shuffle_vector(acc, ir.Constant(_WORDS, ir.Undefined), order), INT32S)
        to = b.add(address, number(half * _REGISTER_BYTES))
        tile.store(b, b.add(tile.load(b, to, INT32S), part), to)


def _add_floats(b: Builder, acc: Value, address: Value) -> None:
    tile.store(b, b.fadd(tile.load(b, address, FLOATS), acc), address)


_WORDS = ir.VectorType(INT16, 32)
#: Sums of three codes of at most 255 in magnitude; a slice of 42 triples stays within 32,130.
WORDS = Element(
    kind=_WORDS, index=_WORDS, dtype=np.int16, index_dtype=np.int16, per=3, vectors=14,
    registers=1, blocks=2, times=lambda b, a, t: b.mul(a, t), plus=lambda b, a, c: b.add(a, c),
    pick=_pick_words, add_to=_add_words,
)  # fmt: skip
#: Sums of three floats.
REALS = Element(
    kind=FLOATS, index=INT32S, dtype=np.float32, index_dtype=np.int32, per=6, vectors=6,
    registers=2, blocks=4, times=lambda b, a, t: b.fmul(a, t), plus=lambda b, a, c: b.fadd(a, c),
    pick=_pick_floats, add_to=_add_floats,
)  # fmt: skip
