"""Ternary convolution of 1- and 2-bit activations by byte tables: tier AVX2.

Without a vector popcount, sums of two products are looked up instead. Two activations of 2 bits are
one of 16 tables; two trits are one of 9 entries of 16 bytes:

    table[a0 + 4*a1][(w0 + 1) + 3*(w1 + 1)] = w0*a0 + w1*a1         in [-6, 6]

and one byte shuffle looks up 32 filters at once. A byte of weights holds two entries, of four
channels; a byte of activations holds 16 times its table, its offset.

    for each block of 64 filters, each tile of 4 pixels:
        for steps of four channels of the window:
            sums8[4, 64] += shuffle(table[a], low entry) + shuffle(table[b], high entry)
        every 10 steps, before 12 * 10 could leave 8 bits:  sums16 += sums8

Sums are 16-bit in the end, so 3*K must fit. Groups are handled as ``popcount`` handles them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numpy.typing import NDArray

from refnet.compiled import compiled
from refnet.kernels._kernel import Kernel, Step
from refnet.kernels.conv import bias_of
from refnet.kernels.layouts import Int32Array, Int64Array, aligned, reach, rows_to_maps
from refnet.kernels.microkernels import Builder, Value, load, loop, microkernel, store
from refnet.kernels.ternary import is_ternary
from refnet.kernels.tiers import Tier
from refnet.program import Constant, Conv, IntArray, TensorType
from refnet.program.window import Pads, output_size

Bytes = NDArray[np.uint8]

#: Filters and pixels of a tile: 8 sums, 4 weight vectors and 2 tables fill the 16 registers.
FILTERS, PIXELS = 64, 4
#: Channels of a byte of weights.
QUAD = 4
#: Steps that 8-bit sums surely hold: each adds at most 2 * 6.
STEPS = 10
#: Both trits of both entries are 0.
_ZEROS = 0x44
_LEAST_CHANNELS = 8

_INT8, _INT32, _INT64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_BYTES = ir.VectorType(_INT8, 32)
_TABLE = ir.VectorType(_INT8, 16)
_WIDE = ir.VectorType(ir.IntType(16), 32)


def tables() -> NDArray[np.int8]:
    """The 16 tables of the file header, 16 bytes each."""
    made = aligned((16, 16), np.int8)
    for index in range(16):
        for entry in range(9):
            w0, w1 = entry % 3 - 1, entry // 3 - 1
            made[index, entry] = w0 * (index % 4) + w1 * (index // 4)
    return made


def _applies(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> bool:
    K = w.array[0].size
    return x.type.lo >= 0 and x.type.bits <= 2 and is_ternary(w) and 3 * K < 2**15


def _pays(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> bool:
    return w.shape[1] >= _LEAST_CHANNELS


# --- the microkernel ----------------------------------------------------------------------------


def _vector(byte: int) -> Any:
    return ir.Constant(_BYTES, [byte] * 32)


def _shuffle(b: Builder, table: Value, entries: Value) -> Value:
    kind = ir.FunctionType(_BYTES, [_BYTES, _BYTES])
    declared: Any = cgutils.get_or_insert_function
    return b.call(declared(b.module, kind, "llvm.x86.avx2.pshuf.b"), [table, entries])


def _table(b: Builder, tables: Value, pixel: Value, at: int) -> Value:
    """The table that the activation byte selects, in both halves of a vector."""
    offset = b.zext(load(b, pixel, _INT8, at, align=1), _INT64)
    half = load(b, tables, _TABLE, offset, align=16)
    both = ir.Constant(ir.VectorType(_INT32, 32), [*range(16)] * 2)
    return b.shuffle_vector(half, ir.Constant(_TABLE, ir.Undefined), both)


def _step(b: Builder, tables: Value, weights: Value, pixels: list[Value], sums: list[Value]) -> Any:
    """Four channels of the window."""
    packed = [load(b, weights, _BYTES, 32 * v, align=32) for v in range(2)]
    low = [b.and_(w, _vector(15)) for w in packed]
    high = [b.lshr(w, _vector(4)) for w in packed]
    following = []
    for q, pixel in enumerate(pixels):
        first, second = (_table(b, tables, pixel, at) for at in range(2))
        for v in range(2):
            total = b.add(sums[2 * q + v], _shuffle(b, first, low[v]))
            following.append(b.add(total, _shuffle(b, second, high[v])))
    return following


@microkernel
def look_up(
    typing: Any, pixels: Any, shift: Any, offsets: Any, weights: Any, steps: Any, tables: Any,
    sums: Any,
) -> Any:
    """sums[PIXELS, FILTERS] (16 bits) += the sums of ``steps`` steps of the windows."""

    def emit(context: Any, b: Builder, signature: Any, arguments: Any) -> Value:
        pixels, shift, offsets, weights, steps, tables, sums = arguments
        bases = [b.add(load(b, pixels, _INT64, 8 * q), shift) for q in range(PIXELS)]
        most = _INT64(STEPS)
        rounds = b.sdiv(b.add(steps, _INT64(STEPS - 1)), most)
        with loop(b, rounds, []) as part:
            start = b.mul(part.index, most)
            left = b.sub(steps, start)
            count = b.select(b.icmp_signed("<", left, most), left, most)
            with loop(b, count, [ir.Constant(_BYTES, None)] * (2 * PIXELS)) as step:
                at = b.add(start, step.index)
                offset = b.sext(load(b, offsets, _INT32, b.mul(at, _INT64(4))), _INT64)
                here = [b.add(base, offset) for base in bases]
                address = b.add(weights, b.mul(at, _INT64(FILTERS)))
                step.following[:] = _step(b, tables, address, here, step.values)
            for i, total in enumerate(step.following):
                before = load(b, sums, _WIDE, 64 * i)
                store(b, b.add(before, b.sext(total, _WIDE)), sums, 64 * i)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 7), emit


@compiled
def convolve(
    x: Bytes, windows: Int64Array, offsets: Int32Array, first: Int64Array, weights: Bytes,
    tables: NDArray[np.int8], bias: Int32Array, out: Int32Array,
) -> None:
    """Sums of all windows to rows of ``out`` (P, lanes); the loop nest of the file header."""
    sums, pixels = np.empty((PIXELS, FILTERS), np.int16), np.empty(PIXELS, np.int64)
    for block in range(weights.shape[0]):
        for tile in range(0, len(windows), PIXELS):
            count = min(PIXELS, len(windows) - tile)
            for q in range(PIXELS):
                pixels[q] = x.ctypes.data + windows[tile + min(q, count - 1)]
            sums[:] = 0
            look_up(
                pixels.ctypes.data, first[block], offsets.ctypes.data, weights[block].ctypes.data,
                weights.shape[1], tables.ctypes.data, sums.ctypes.data,
            )
            for q in range(count):
                for f in range(FILTERS):
                    total = sums[q, f] + bias[FILTERS * block + f]
                    out[tile + q, FILTERS * block + f] = np.int32(total)


# --- packing ------------------------------------------------------------------------------------


@compiled
def _pack_weights(
    codes: Int64Array, channel: Int64Array, first: Int64Array, span: int, weights: Bytes
) -> None:
    """codes (F, C/G, R, S), the first channel of each filter -> bytes (blocks, steps, FILTERS)."""
    filters, per_group, rows, columns = codes.shape
    for f in range(filters):
        for c in range(per_group):
            at = channel[f] + c - QUAD * first[f // FILTERS]
            place = 3 ** (at % 2) * 16 ** (at % QUAD // 2)
            for r in range(rows):
                for s in range(columns):
                    step = (r * columns + s) * span + at // QUAD
                    # A byte starts as four zeros; a trit moves its digit up or down by one.
                    weights[f // FILTERS, step, f % FILTERS] += codes[f, c, r, s] * place


@compiled
def _pack(x: NDArray[Any], top: int, left: int, out: Bytes) -> None:
    """x (n, C, H, W) of 2-bit codes -> offsets of tables, a byte for two channels."""
    for n in range(x.shape[0]):
        for y in range(x.shape[2]):
            for c in range(x.shape[1]):
                shift = 4 + 2 * (c % 2)
                for z in range(x.shape[3]):
                    out[n, top + y, left + z, c // 2] |= np.uint8(np.uint32(x[n, c, y, z]) << shift)


def prepare(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> Step:
    """Pack the weights; each call packs its images and turns rows into maps again."""
    filters, per_group, rows, columns = w.shape
    size = output_size(x.shape[1:], (rows, columns), op.stride, op.padding, op.dilation)
    pads, blocks = reach(op, x, (rows, columns)), -(-filters // FILTERS)
    quads = -(-x.shape[0] // QUAD)
    shape = (x.shape[1] + sum(pads[0]), x.shape[2] + sum(pads[1]), 2 * quads)
    group, block = np.arange(filters) // (filters // op.groups), np.arange(filters) // FILTERS
    first = np.array([group[block == i].min() * per_group // QUAD for i in range(blocks)])
    ends = np.array([(group[block == i].max() + 1) * per_group - 1 for i in range(blocks)])
    span = int((ends // QUAD - first).max()) + 1
    first = np.minimum(first, quads - span)
    weights = aligned((blocks, rows * columns * span, FILTERS), np.uint8)
    weights[:] = _ZEROS
    _pack_weights(w.array.astype(np.int64), group * per_group, first, span, weights)
    taps = np.add.outer(
        np.arange(rows) * op.dilation[0] * shape[1], np.arange(columns) * op.dilation[1]
    )
    offsets = (taps.reshape(-1, 1) * shape[2] + 2 * np.arange(span)).reshape(-1).astype(np.int32)
    bias = np.zeros(blocks * FILTERS, dtype=np.int32)
    bias[:filters] = bias_of(w, b)
    held = tables()

    def step(activations: tuple[IntArray, ...], out: IntArray) -> None:
        images = len(out)
        words = np.zeros((images, *shape), dtype=np.uint8)
        _pack(activations[0], pads[0][0], pads[1][0], words)
        sums = np.empty((images, size[0] * size[1], len(bias)), dtype=np.int32)
        convolve(
            words, _windows(op, images, size, shape, pads), offsets, 2 * first, weights, held,
            bias, sums.reshape(-1, len(bias)),
        )
        rows_to_maps(sums, out.reshape(images, filters, -1))

    return step


def _windows(
    op: Conv, images: int, size: tuple[int, int], shape: tuple[int, int, int], pads: Pads
) -> Int64Array:
    """Byte offset of the first element of each window."""
    y = np.arange(size[0]) * op.stride[0] - op.padding[0][0] + pads[0][0]
    z = np.arange(size[1]) * op.stride[1] - op.padding[1][0] + pads[1][0]
    n = np.arange(images) * shape[0]
    at = ((n[:, None, None] + y[:, None]) * shape[1] + z) * shape[2]
    return np.asarray(at.reshape(-1), dtype=np.int64)


KERNEL = Kernel(
    name="bytetable", op=Conv, prepare=prepare, applies=_applies, pays=_pays, tier=Tier.AVX2
)
