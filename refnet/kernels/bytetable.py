"""Ternary convolution of 1- and 2-bit activations by byte tables, with what follows: tier AVX2.

Without a vector popcount, sums of two products are looked up instead, see ``tables``; what is
counted is what ``popcount`` counts, so its constants and thresholds serve here as well.

    for each share of the weights that stays in the second cache:
        for each tile of 6 pixels:          any images and rows: a pixel is an address
            for each block of 64 filters in the share:
                sums[6, 64] = look_up       steps of four channels of the window, in registers
                codes or sums of the tile   thresholds, or rescale, add, clamp

Sums are of 16 bits at first, so 3*K must fit them. Groups are handled as ``popcount`` does.
"""

from __future__ import annotations

import numpy as np

from refnet.compiled import compiled
from refnet.kernels._kernel import Kernel, Step
from refnet.kernels.conv import bias_of
from refnet.kernels.layouts import (
    Int32Array,
    Int64Array,
    Layout,
    aligned,
    blocks_of,
    reach,
    rows_to_maps,
)
from refnet.kernels.microkernels import LANES, add_saturated, rescale
from refnet.kernels.pairs import Bytes, pairs_for
from refnet.kernels.popcount import Counter
from refnet.kernels.tables import (
    FILTERS,
    PAIRS,
    PIXELS,
    QUAD,
    ROOM_BYTES,
    TURNED,
    ZEROS,
    look_up,
    pack_pairs,
    tables,
)
from refnet.kernels.ternary import is_ternary
from refnet.kernels.tiers import Tier
from refnet.program import Constant, Conv, IntArray, TensorType
from refnet.program.window import output_size

#: Bits of an activation, and of a code, at most.
MOST_BITS = 2
_LEAST_CHANNELS = 8
#: Bytes of weights that are used by all tiles before the next ones are read.
_SHARE_BYTES = 1 << 18
_LOWEST, _HIGHEST = -(2**31), 2**31 - 1
#: Blocks of LANES filters in a block of tables.
_PARTS = FILTERS // LANES

NO_ROWS = np.zeros((0, 0), dtype=np.int32)
NO_BLOCKS = np.zeros((0, 0, 0), dtype=np.int32)
NO_CODES = np.zeros((0, 0, 0, 0), dtype=np.uint8)
NOWHERE = np.zeros(0, dtype=np.int64)


def fits(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> bool:
    """Whether weights are trits, codes unsigned of 2 bits, and sums fit 16 bits."""
    K = w.array[0].size
    return x.type.lo >= 0 and x.type.bits <= MOST_BITS and is_ternary(w) and TURNED * K < 2**16


def _pays(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> bool:
    return w.shape[1] >= _LEAST_CHANNELS


def counter(op: Conv, layout: Layout, w: Constant, b: Constant | None = None) -> Counter:
    """Pack the weights, (blocks, steps, PAIRS, FILTERS), for activations that lie in pairs."""
    filters, per_group, rows, columns = w.shape
    blocks, quads = -(-filters // FILTERS), layout.pixel_items // PAIRS
    group, block = np.arange(filters) // (filters // op.groups), np.arange(filters) // FILTERS
    first = np.array([group[block == i].min() * per_group // QUAD for i in range(blocks)])
    ends = np.array([(group[block == i].max() + 1) * per_group - 1 for i in range(blocks)])
    span = int((ends // QUAD - first).max()) + 1
    first = np.minimum(first, quads - span)
    weights = aligned((blocks, rows * columns * span, PAIRS, FILTERS), np.uint8)
    weights[:] = ZEROS
    codes = w.array.astype(np.int64)
    _pack_weights(codes, group * per_group, first, span, weights)
    taps = np.add.outer(
        np.arange(rows) * op.dilation[0] * layout.padded[1], np.arange(columns) * op.dilation[1]
    )
    offsets = taps.reshape(-1, 1) * layout.pixel_items + PAIRS * np.arange(span)
    constant = np.zeros(blocks_of(filters) * LANES, dtype=np.int64)
    constant[:filters] = bias_of(w, b) - TURNED * (codes < 0).sum(axis=(1, 2, 3))
    return Counter(
        planes=layout, weights=weights, offsets=offsets.reshape(-1).astype(np.int32),
        first=PAIRS * first.astype(np.int64), constant=constant,
    )


@compiled
def _pack_weights(
    codes: Int64Array, channel: Int64Array, first: Int64Array, span: int, weights: Bytes
) -> None:
    """codes (F, C/G, R, S), the first channel of each filter -> entries of tables."""
    filters, per_group, rows, columns = codes.shape
    for f in range(filters):
        for c in range(per_group):
            at = channel[f] + c - QUAD * first[f // FILTERS]
            for r in range(rows):
                for s in range(columns):
                    step = (r * columns + s) * span + at // QUAD
                    # An entry starts as two zeros; a trit moves its digit up or down by one.
                    pair, digit = at % QUAD // 2, 3 ** (at % 2)
                    weights[f // FILTERS, step, pair, f % FILTERS] += codes[f, c, r, s] * digit


# --- the loops ----------------------------------------------------------------------------------


@compiled
def _pack_code(values: int, thresholds: int, flip: int, bits: int, out: int) -> None:
    if bits == 1:
        pack_pairs(values, thresholds, flip, 1, out)
    else:
        pack_pairs(values, thresholds, flip, 2, out)


@compiled
def convolve(
    x: Bytes, windows: Int64Array, start: int, stop: int, offsets: Int32Array, first: Int64Array,
    weights: Bytes, tables: Bytes, scaling: Int32Array, constant: Int32Array, ranges: Int64Array,
    addend: Int32Array, rows: Int32Array, thresholds: Int32Array, flips: Int64Array, bits: int,
    out: Bytes, places: Int64Array,
) -> None:
    """The loop nest of the file header for pixels ``start`` to ``stop``.

    Sums are rescaled by ``scaling`` (blocks, 6, LANES), then ``addend`` is added and clamped; to
    ``rows``; then their codes go to ``out`` at ``places``. Without scaling ``rows`` are sums and
    ``constant``, and ``thresholds`` are those of bare sums. What has no rows is left out, and 0
    ``bits`` make no codes. ``rows`` may be the ``addend`` itself.
    """
    room, pixels = np.empty(ROOM_BYTES, np.uint8), np.empty(PIXELS, np.int64)
    sums = np.empty((PIXELS, FILTERS), np.int32)
    steps = weights.shape[1]
    share = max(1, _SHARE_BYTES // (PAIRS * FILTERS * steps))
    for low in range(0, weights.shape[0], share):
        for tile in range(start, stop, PIXELS):
            count = min(PIXELS, stop - tile)
            # A tile that is not full repeats its last window.
            for q in range(PIXELS):
                pixels[q] = x.ctypes.data + windows[tile + min(q, count - 1)]
            for group in range(low, min(low + share, weights.shape[0])):
                look_up(pixels.ctypes.data, first[group], offsets.ctypes.data,
                        weights[group].ctypes.data, steps, tables.ctypes.data, room.ctypes.data,
                        sums.ctypes.data)
                lanes = len(constant) - FILTERS * group
                for i in range(min(_PARTS, lanes // LANES) * count):
                    q, block = i % count, _PARTS * group + i // count
                    here = sums.ctypes.data + 4 * (FILTERS * q + LANES * (i // count))
                    y = here
                    if len(rows):
                        y = rows.ctypes.data + 4 * (rows.shape[1] * (tile + q) + LANES * block)
                    if len(addend):
                        other = 4 * (addend.shape[1] * (tile + q) + LANES * block)
                        rescale(here, scaling[block].ctypes.data, ranges[0], ranges[1], here)
                        add_saturated(here, addend.ctypes.data + other, ranges[2], ranges[3], y)
                    elif len(scaling):
                        rescale(here, scaling[block].ctypes.data, ranges[0], ranges[1], y)
                    elif len(rows):
                        # No bounds: the sum may wrap and be right, as the constant may.
                        add_saturated(here, constant.ctypes.data + 4 * LANES * block,
                                      _LOWEST, _HIGHEST, y)
                    if bits:
                        _pack_code(y, thresholds[block].ctypes.data, flips[block], bits,
                                   out.ctypes.data + places[tile + q] + LANES // 2 * block)


@compiled
def pack_rows(
    rows: Int32Array, thresholds: Int32Array, flips: Int64Array, bits: int, out: Bytes,
    places: Int64Array,
) -> None:
    """Codes of rows (P, lanes), packed into pairs."""
    for p in range(len(rows)):
        for block in range(len(flips)):
            _pack_code(
                rows[p].ctypes.data + 4 * LANES * block, thresholds[block].ctypes.data,
                flips[block], bits, out.ctypes.data + places[p] + LANES // 2 * block,
            )


# --- as a kernel of one operator ----------------------------------------------------------------


def prepare(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> Step:
    """Pack the weights; each call packs its images and turns rows into maps again."""
    kernel = (w.shape[2], w.shape[3])
    size = output_size(x.shape[1:], kernel, op.stride, op.padding, op.dilation)
    layout = pairs_for(x, reach(op, x, kernel))
    made, held = counter(op, layout, w, b), tables()
    constant = made.constant.astype(np.int32)

    def step(activations: tuple[IntArray, ...], out: IntArray) -> None:
        images = len(out)
        codes = layout.empty(images)
        layout.pack(activations[0], codes)
        rows = np.empty((images, size[0] * size[1], len(constant)), dtype=np.int32)
        windows = layout.windows(images, op, size)
        convolve(
            codes, windows, 0, len(windows), made.offsets, made.first, made.weights, held,
            NO_BLOCKS, constant, NOWHERE, NO_ROWS, rows.reshape(-1, len(constant)), NO_BLOCKS,
            NOWHERE, 0, NO_CODES, NOWHERE,
        )
        rows_to_maps(rows, out.reshape(images, w.shape[0], -1))

    return step


KERNEL = Kernel(
    name="bytetable", op=Conv, prepare=prepare, applies=fits, pays=_pays, tier=Tier.AVX2
)
