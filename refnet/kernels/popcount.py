"""Ternary convolution by vector popcounts, with what follows it fused: tier AVX512.

The formula is that of ``bitserial``; here lanes are output channels, and nothing but packed words
is read or written:

    for each share of the weights that stays in the second cache:
        for each tile of 7 pixels:          any images and rows: a pixel is an address
            for each block of 32 filters in the share:
                sums[7, 32] = count_tile    planes, words of the window: the loop in registers
                codes or sums of the tile   thresholds, or rescale, add, clamp

No window is ever copied: word k of a window lies ``offsets[k]`` behind its first word, for any
kernel, stride and dilation. Groups need no loop either: a block of filters reads the words that
hold the channels of any of its filters, and masks of a filter are zero outside of its group.

Sums of popcounts stay below 2**31 because (2**bits - 1) * K does, which ``applies`` asks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.compiled import compiled
from refnet.kernels._kernel import Kernel, Step
from refnet.kernels.conv import bias_of
from refnet.kernels.layouts import (
    Int32Array,
    Int64Array,
    Layout,
    Planes,
    Words,
    aligned,
    blocks_of,
    planes_for,
    reach,
    rows_to_maps,
)
from refnet.kernels.microkernels import (
    LANES,
    TILE,
    add_saturated,
    count_pixel,
    count_tile,
    pack_codes,
    rescale,
)
from refnet.kernels.ternary import is_ternary
from refnet.kernels.tiers import Tier
from refnet.program import Constant, Conv, IntArray, TensorType
from refnet.program.window import output_size

#: Bits of an activation, and of a code, at most.
MOST_BITS = 4
#: Up to so many pixels are counted one by one, each weight read once for all planes.
FEW_PIXELS = 3
#: Bytes of weights that are used by all tiles before the next ones are read.
_SHARE_BYTES = 1 << 18
_BLOCK_BYTES = 2 * 4 * LANES
_LOWEST, _HIGHEST = -(2**31), 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """A convolution made ready: packed weights, and where their words meet the activations.

    ``weights`` (blocks, words, 2, LANES); word k of block i meets the activation word at
    ``offsets[k] + 4 * first[i]`` bytes behind the window. ``constant`` (blocks * LANES,) completes
    the popcounts to the sums of the operator. (``bytetable`` packs weights in its own way, and
    ``first`` are bytes there.)
    """

    planes: Layout
    weights: NDArray[Any]
    offsets: Int32Array
    first: Int64Array
    constant: Int64Array


def fits(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> bool:
    """Whether weights are trits, codes unsigned and few-bit, and popcounts fit 32 bits."""
    K = w.array[0].size
    narrow = x.type.lo >= 0 and x.type.bits <= MOST_BITS
    return narrow and is_ternary(w) and (2**MOST_BITS - 1) * K < 2**30


def counter(op: Conv, planes: Planes, w: Constant, b: Constant | None = None) -> Counter:
    """Pack the weights for activations that lie in ``planes``."""
    codes = w.array.astype(np.int64)
    filters, per_group, rows, columns = codes.shape
    blocks = blocks_of(filters)
    group = np.arange(filters) // (filters // op.groups)
    block = np.arange(filters) // LANES
    # The words a block reads: from that of the first channel of its first group ...
    first = np.array([group[block == i].min() * per_group // LANES for i in range(blocks)])
    ends = np.array([(group[block == i].max() + 1) * per_group - 1 for i in range(blocks)])
    span = int((ends // LANES - first).max()) + 1
    # ... and never beyond the last word of a plane.
    first = np.minimum(first, planes.words - span)
    weights = aligned((blocks, rows * columns * span, 2, LANES), np.uint32)
    _pack_weights(codes, group * per_group, first, span, weights)
    steps = np.ogrid[:rows, :columns]
    taps = (steps[0] * op.dilation[0] * planes.padded[1] + steps[1] * op.dilation[1])
    offsets = taps.reshape(-1, 1) * planes.pixel_items + np.arange(span)
    minus = (codes < 0).sum(axis=(1, 2, 3))
    constant = np.zeros(blocks * LANES, dtype=np.int64)
    constant[:filters] = bias_of(w, b) - (2**planes.bits - 1) * minus
    return Counter(
        planes=planes, weights=weights, offsets=(4 * offsets.reshape(-1)).astype(np.int32),
        first=first.astype(np.int64), constant=constant,
    )


@compiled
def _pack_weights(
    codes: Int64Array, channel: Int64Array, first: Int64Array, span: int, weights: Words
) -> None:
    """codes (F, C/G, R, S), the first channel of each filter -> masks, filter f in lane f % 32."""
    filters, per_group, rows, columns = codes.shape
    for f in range(filters):
        block, lane = f // 32, f % 32
        for c in range(per_group):
            at = channel[f] + c - 32 * first[block]
            bit = np.uint32(1) << np.uint32(at % 32)
            for r in range(rows):
                for s in range(columns):
                    word = (r * columns + s) * span + at // 32
                    if codes[f, c, r, s] != 0:
                        weights[block, word, 0, lane] |= bit
                    if codes[f, c, r, s] < 0:
                        weights[block, word, 1, lane] |= bit


# --- the loops ----------------------------------------------------------------------------------


@compiled
def _count(
    pixels: Int64Array, count: int, shift: int, offsets: Int32Array, weights: Words,
    planes: int, plane_bytes: int, sums: Int32Array,
) -> None:
    """Popcounts of up to 7 pixels with one block of weights (words, 2, LANES)."""
    words = weights.shape[0]
    if count > FEW_PIXELS:
        count_tile(
            pixels.ctypes.data, shift, offsets.ctypes.data, weights.ctypes.data, words, planes,
            plane_bytes, sums.ctypes.data,
        )
        return
    for q in range(count):
        pixel, out = pixels[q] + shift, sums.ctypes.data + 4 * LANES * q
        if planes == 1:
            count_pixel(pixel, offsets.ctypes.data, weights.ctypes.data, words, 1, plane_bytes, out)
        elif planes == 2:
            count_pixel(pixel, offsets.ctypes.data, weights.ctypes.data, words, 2, plane_bytes, out)
        elif planes == 3:
            count_pixel(pixel, offsets.ctypes.data, weights.ctypes.data, words, 3, plane_bytes, out)
        else:
            count_pixel(pixel, offsets.ctypes.data, weights.ctypes.data, words, 4, plane_bytes, out)


@compiled
def _pack_code(
    values: int, thresholds: int, flip: int, bits: int, plane_bytes: int, out: int
) -> None:
    if bits == 1:
        pack_codes(values, thresholds, flip, 1, plane_bytes, out)
    elif bits == 2:
        pack_codes(values, thresholds, flip, 2, plane_bytes, out)
    elif bits == 3:
        pack_codes(values, thresholds, flip, 3, plane_bytes, out)
    else:
        pack_codes(values, thresholds, flip, 4, plane_bytes, out)


@compiled
def _aim(x: Words, windows: Int64Array, tile: int, count: int, pixels: Int64Array) -> None:
    """Addresses of the windows of a tile; one that is not full repeats its last window."""
    for q in range(TILE):
        pixels[q] = x.ctypes.data + 4 * windows[tile + min(q, count - 1)]


@compiled
def convolve_codes(
    x: Words, windows: Int64Array, start: int, stop: int, offsets: Int32Array, first: Int64Array,
    weights: Words, thresholds: Int32Array, flips: Int64Array, bits: int, out: Words,
    places: Int64Array,
) -> None:
    """Codes of pixels ``start`` to ``stop``, packed into planes ``out`` at words ``places``.

    ``thresholds`` (blocks, 2**bits - 1, LANES) are those of the popcounts, see ``fused.staircase``.
    """
    planes, plane_bytes, out_bytes = x.shape[3], 4 * x.shape[4], 4 * out.shape[4]
    sums, pixels = np.empty((TILE, LANES), np.int32), np.empty(TILE, np.int64)
    blocks = weights.shape[0]
    share = max(1, _SHARE_BYTES // (_BLOCK_BYTES * weights.shape[1]))
    for low in range(0, blocks, share):
        for tile in range(start, stop, TILE):
            count = min(TILE, stop - tile)
            _aim(x, windows, tile, count, pixels)
            for block in range(low, min(low + share, blocks)):
                _count(
                    pixels, count, 4 * first[block], offsets, weights[block], planes, plane_bytes,
                    sums,
                )
                for q in range(count):
                    _pack_code(
                        sums[q].ctypes.data, thresholds[block].ctypes.data, flips[block], bits,
                        out_bytes, out.ctypes.data + 4 * (places[tile + q] + block),
                    )


@compiled
def convolve_sums(
    x: Words, windows: Int64Array, start: int, stop: int, offsets: Int32Array, first: Int64Array,
    weights: Words, constant: Int32Array, out: Int32Array,
) -> None:
    """Sums of pixels ``start`` to ``stop``: popcounts + constant, to rows of ``out`` (P, lanes)."""
    planes, plane_bytes = x.shape[3], 4 * x.shape[4]
    sums, pixels = np.empty((TILE, LANES), np.int32), np.empty(TILE, np.int64)
    blocks = weights.shape[0]
    share = max(1, _SHARE_BYTES // (_BLOCK_BYTES * weights.shape[1]))
    for low in range(0, blocks, share):
        for tile in range(start, stop, TILE):
            count = min(TILE, stop - tile)
            _aim(x, windows, tile, count, pixels)
            for block in range(low, min(low + share, blocks)):
                _count(
                    pixels, count, 4 * first[block], offsets, weights[block], planes, plane_bytes,
                    sums,
                )
                for q in range(count):
                    # No bounds: the sum may wrap and be right, as the constant may.
                    add_saturated(
                        sums[q].ctypes.data, constant.ctypes.data + 4 * LANES * block, _LOWEST,
                        _HIGHEST, out.ctypes.data + 4 * (out.shape[1] * (tile + q) + LANES * block),
                    )


@compiled
def convolve_rows(
    x: Words, windows: Int64Array, start: int, stop: int, offsets: Int32Array, first: Int64Array,
    weights: Words, scaling: Int32Array, ranges: Int64Array, addend: Int32Array, rows: Int32Array,
    thresholds: Int32Array, flips: Int64Array, bits: int, out: Words, places: Int64Array,
) -> None:
    """Sums rescaled, then ``addend`` added and clamped, to ``rows``; then their codes.

    ``scaling`` (blocks, 6, LANES) as ``rescale`` takes it, ``ranges`` the bounds of both clamps.
    An ``addend`` without rows adds nothing, ``rows`` without rows are not kept, and 0 ``bits``
    make no codes. ``rows`` may be the ``addend`` itself.
    """
    planes, plane_bytes, out_bytes = x.shape[3], 4 * x.shape[4], 4 * out.shape[4]
    sums, pixels = np.empty((TILE, LANES), np.int32), np.empty(TILE, np.int64)
    blocks = weights.shape[0]
    share = max(1, _SHARE_BYTES // (_BLOCK_BYTES * weights.shape[1]))
    for low in range(0, blocks, share):
        for tile in range(start, stop, TILE):
            count = min(TILE, stop - tile)
            _aim(x, windows, tile, count, pixels)
            for block in range(low, min(low + share, blocks)):
                _count(
                    pixels, count, 4 * first[block], offsets, weights[block], planes, plane_bytes,
                    sums,
                )
                for q in range(count):
                    here = sums[q].ctypes.data
                    scale = scaling[block].ctypes.data
                    y = here
                    if len(rows):
                        y = rows.ctypes.data + 4 * (rows.shape[1] * (tile + q) + LANES * block)
                    if len(addend):
                        other = 4 * (addend.shape[1] * (tile + q) + LANES * block)
                        rescale(here, scale, ranges[0], ranges[1], here)
                        add_saturated(here, addend.ctypes.data + other, ranges[2], ranges[3], y)
                    else:
                        rescale(here, scale, ranges[0], ranges[1], y)
                    if bits:
                        _pack_code(
                            y, thresholds[block].ctypes.data, flips[block], bits, out_bytes,
                            out.ctypes.data + 4 * (places[tile + q] + block),
                        )


@compiled
def pack_rows(
    rows: Int32Array, thresholds: Int32Array, flips: Int64Array, bits: int, out: Words,
    places: Int64Array,
) -> None:
    """Codes of rows (P, lanes), packed into planes."""
    out_bytes = 4 * out.shape[4]
    for p in range(len(rows)):
        for block in range(len(flips)):
            _pack_code(
                rows[p].ctypes.data + 4 * LANES * block, thresholds[block].ctypes.data,
                flips[block], bits, out_bytes, out.ctypes.data + 4 * (places[p] + block),
            )


# --- as a kernel of one operator ----------------------------------------------------------------


def prepare(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> Step:
    """Pack the weights; each call packs its images and turns rows into maps again."""
    kernel = (w.shape[2], w.shape[3])
    size = output_size(x.shape[1:], kernel, op.stride, op.padding, op.dilation)
    made = counter(op, planes_for(x, reach(op, x, kernel)), w, b)
    constant = made.constant.astype(np.int32)

    def step(activations: tuple[IntArray, ...], out: IntArray) -> None:
        images = len(out)
        words = made.planes.empty(images)
        made.planes.pack(activations[0], words)
        rows = np.empty((images, size[0] * size[1], len(constant)), dtype=np.int32)
        windows = made.planes.windows(images, op, size)
        convolve_sums(
            words, windows, 0, len(windows), made.offsets, made.first, made.weights, constant,
            rows.reshape(-1, len(constant)),
        )
        rows_to_maps(rows, out.reshape(images, w.shape[0], -1))

    return step


def _pays(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> bool:
    return w.shape[1] >= _LEAST_CHANNELS


#: With fewer channels a filter fills its words so little that adding is faster.
_LEAST_CHANNELS = 8

KERNEL = Kernel(
    name="popcount", op=Conv, prepare=prepare, applies=fits, pays=_pays, tier=Tier.AVX512
)
