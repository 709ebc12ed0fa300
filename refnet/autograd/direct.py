"""Direct convolution of float32 maps, three taps wide, stride 1: compiled, without columns.

With its padding, a map is one long row: output (h, k) lies at h * P + k, where P is the padded
width, and tap (r, s) sees the input r * P + s further on. So a tap adds one shifted row, times its
weight, to the row of sums; the P - OW sums behind each output row mix two rows and are dropped.
Four filters share what is read. A band of rows at a time, so that sums stay in the cache nearest
to the processor.

    for f: four filters
        sum[0..3] = 0
        for c, r: channels, rows of the kernel
            for i:
                for j: sum[j, i] += x[c, i + r*P + s] * w[f + j, c, r, s]    s = 0, 1, 2

The twin in ``convolution`` goes over columns and matrix products. A product and a sum may be
rounded once, and sums of weight gradients have the order that the processor's vectors give them:
the same bits on one machine, whatever the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import config

from refnet.autograd.chunks import TASKS, run_chunks, slices, sum_chunks
from refnet.autograd.graph import Array
from refnet.autograd.windows import Window
from refnet.compiled import compiled, contracted, reordered

TAPS = 3
#: Filters that share what is read.
SHARED = 4
#: Positions of a band: its four rows of sums take 16 KB or little more.
BAND = 1024
#: On narrower maps too many sums are dropped, and columns are few: matrix products win.
LEAST_WIDTH = 12

_COMPILED = not config.DISABLE_JIT  # type: ignore[attr-defined]


def serves(dtype: np.dtype[Any], window: Window, groups: int) -> bool:
    """Tell whether a convolution is of this kind, and faster in this way."""
    return (
        _COMPILED and dtype == np.float32 and groups == 1
        and window.size[1] == TAPS and window.stride == window.dilation == (1, 1)
        and window.output[1] >= LEAST_WIDTH
    )  # fmt: skip


def correlate(x: Array, w: Array, window: Window) -> Array:
    """Convolve x (N, C, H, W) with w (F, C, R, 3) -> (N, F, OH, OW), without bias."""
    filters = len(w)
    y = np.empty((len(x), filters, *window.output), dtype=np.float32)
    shared = _to_multiple(w)
    rows = _rows(window)

    def work(images: slice) -> None:
        _correlate(x[images], shared, y[images], *_border(window), rows)

    run_chunks(work, _cut(x))
    return y


def weight_gradient(x: Array, g: Array, shape: tuple[int, ...], window: Window) -> Array:
    """Sum over images and positions of g (N, F, OH, OW) times x (N, C, H, W) seen by each tap."""
    filters, channels, height, _ = shape
    padded = (-(-filters // SHARED) * SHARED, channels, height, TAPS)
    rows = _rows(window)

    def work(images: slice) -> Array:
        part = np.zeros(padded, dtype=np.float32)
        _weight_gradient(x[images], g[images], part, *_border(window), rows)
        return part

    return sum_chunks(work, _cut(x), np.zeros(padded, dtype=np.float32))[:filters]


def _cut(x: Array) -> list[slice]:
    return slices(len(x), max(1, -(-len(x) // TASKS)))


def _rows(window: Window) -> int:
    """Output rows of a band."""
    return min(window.output[0], max(1, BAND // (window.output[1] + TAPS - 1)))


def _border(window: Window) -> tuple[int, int]:
    return window.padding[0][0], window.padding[1][0]


def _to_multiple(w: Array) -> Array:
    """w with filters of zeros behind the last, up to a multiple of those that share."""
    padded = np.zeros((-(-len(w) // SHARED) * SHARED, *w.shape[1:]), dtype=np.float32)
    padded[: len(w)] = w
    return padded


@compiled
def _lay_out(x: Array, first: int, left: int, width: int, band: Array) -> None:
    """Write rows of x (C, H, W) from ``first`` on into the long rows ``band`` (C, rows * width)."""
    band[:] = 0
    for c in range(x.shape[0]):
        for row in range(max(0, -first), min(band.shape[1] // width, x.shape[1] - first)):
            start = row * width + left
            for k in range(x.shape[2]):
                band[c, start + k] = x[c, first + row, k]


@contracted
def _correlate(x: Array, w: Array, y: Array, top: int, left: int, rows: int) -> None:
    """The loops of the file header; F is a multiple of ``SHARED`` in w only."""
    _, filters, height, columns = y.shape
    width = columns + TAPS - 1
    band = np.empty((x.shape[1], (rows + w.shape[2]) * width), np.float32)
    for n in range(x.shape[0]):
        for first in range(0, height, rows):
            count = min(rows, height - first)
            _lay_out(x[n], first - top, left, width, band)
            sums = np.empty((SHARED, count * width), np.float32)
            for f in range(0, filters, SHARED):
                _add_taps(band, w[f : f + SHARED], width, sums)
                for j in range(min(SHARED, filters - f)):
                    for h in range(count):
                        for k in range(columns):
                            y[n, f + j, first + h, k] = sums[j, h * width + k]


@contracted
def _add_taps(band: Array, w: Array, width: int, sums: Array) -> None:
    """Set sums (4, L) to those of four filters w (4, C, R, 3)."""
    sums[:] = 0
    sum0, sum1, sum2, sum3 = sums[0], sums[1], sums[2], sums[3]
    length = sums.shape[1]
    for c in range(w.shape[1]):
        for r in range(w.shape[2]):
            at = r * width
            x0 = band[c, at : at + length]
            x1 = band[c, at + 1 : at + 1 + length]
            x2 = band[c, at + 2 : at + 2 + length]
            w00, w01, w02 = w[0, c, r, 0], w[0, c, r, 1], w[0, c, r, 2]
            w10, w11, w12 = w[1, c, r, 0], w[1, c, r, 1], w[1, c, r, 2]
            w20, w21, w22 = w[2, c, r, 0], w[2, c, r, 1], w[2, c, r, 2]
            w30, w31, w32 = w[3, c, r, 0], w[3, c, r, 1], w[3, c, r, 2]
            for i in range(length):
                a, b, d = x0[i], x1[i], x2[i]
                sum0[i] = sum0[i] + a * w00 + b * w01 + d * w02
                sum1[i] = sum1[i] + a * w10 + b * w11 + d * w12
                sum2[i] = sum2[i] + a * w20 + b * w21 + d * w22
                sum3[i] = sum3[i] + a * w30 + b * w31 + d * w32


@compiled
def _weight_gradient(x: Array, g: Array, total: Array, top: int, left: int, rows: int) -> None:
    """Add to total (F, C, R, 3), F rounded up to a multiple of ``SHARED``."""
    _, filters, height, columns = g.shape
    width = columns + TAPS - 1
    band = np.empty((x.shape[1], (rows + total.shape[2]) * width), np.float32)
    # What lies behind an output row stays zero, and so adds nothing.
    lines = np.zeros((total.shape[0], rows * width), np.float32)
    for n in range(x.shape[0]):
        for first in range(0, height, rows):
            count = min(rows, height - first)
            _lay_out(x[n], first - top, left, width, band)
            for f in range(filters):
                for h in range(count):
                    for k in range(columns):
                        lines[f, h * width + k] = g[n, f, first + h, k]
            for f in range(0, filters, SHARED):
                _add_products(band, lines, f, count * width, width, total)


@reordered
def _add_products(
    band: Array, lines: Array, f: int, length: int, width: int, total: Array
) -> None:
    """Add to total[f : f + 4] (C, R, 3) the products of four lines with each shifted row."""
    g0, g1 = lines[f, :length], lines[f + 1, :length]
    g2, g3 = lines[f + 2, :length], lines[f + 3, :length]
    zero = np.float32(0)
    for c in range(total.shape[1]):
        for r in range(total.shape[2]):
            at = r * width
            x0 = band[c, at : at + length]
            x1 = band[c, at + 1 : at + 1 + length]
            x2 = band[c, at + 2 : at + 2 + length]
            s00, s01, s02, s10, s11, s12 = zero, zero, zero, zero, zero, zero
            s20, s21, s22, s30, s31, s32 = zero, zero, zero, zero, zero, zero
            for i in range(length):
                a, b, d = x0[i], x1[i], x2[i]
                s00, s01, s02 = s00 + a * g0[i], s01 + b * g0[i], s02 + d * g0[i]
                s10, s11, s12 = s10 + a * g1[i], s11 + b * g1[i], s12 + d * g1[i]
                s20, s21, s22 = s20 + a * g2[i], s21 + b * g2[i], s22 + d * g2[i]
                s30, s31, s32 = s30 + a * g3[i], s31 + b * g3[i], s32 + d * g3[i]
            sums = ((s00, s01, s02), (s10, s11, s12), (s20, s21, s22), (s30, s31, s32))
            for j in range(SHARED):
                for s in range(TAPS):
                    total[f + j, c, r, s] += sums[j][s]
