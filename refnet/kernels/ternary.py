"""Convolution with ternary weights: adds and subtracts, zeros skipped, no multiplication.

    for each block of images:
        for f:                          filters
            acc[f, :] = b[f]
            for t of f with w = +1:     taps (c, r, s)
                for p:                  positions (n, i, j), contiguous: the vector loop
                    acc[f, p] += planes[plane[t], first[t] + p]
            for t of f with w = -1:
                for p:
                    acc[f, p] -= planes[plane[t], first[t] + p]

Activations may have any type. Every partial sum fits 32 bits in any order, so plus may go first.
"""

from __future__ import annotations

import numpy as np

from refnet.compiled import compiled
from refnet.kernels._kernel import Kernel, Step
from refnet.kernels.conv import bias_of, first_channels, phases_of
from refnet.kernels.phases import Int32Array
from refnet.program import Constant, Conv, IntArray, TensorType


def is_ternary(w: Constant) -> bool:
    """Whether every weight is -1, 0 or +1, whatever type is declared."""
    return bool(w.array.min() >= -1 and w.array.max() <= 1)


def _applies(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> bool:
    return is_ternary(w)


def prepare(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> Step:
    """List the +1 taps of every filter, then its -1 taps."""
    phases, bias = phases_of(op, x, w), bias_of(w, b)
    f, c, r, s = np.nonzero(w.array)
    minus = w.array[f, c, r, s] < 0
    order = np.lexsort((minus, f))
    plane, first = (a[order] for a in phases.taps(c + first_channels(op, f, w), r, s))
    # Row f of ends: where its +1 taps start, where they end, where its -1 taps end.
    keys = (2 * f + minus)[order]
    ends = np.searchsorted(keys, 2 * np.arange(len(bias))[:, None] + np.arange(3))

    def step(activations: tuple[IntArray, ...], out: IntArray) -> None:
        for start in range(0, len(out), phases.images):
            block = slice(start, start + phases.images)
            planes = phases.scatter(activations[0][block])
            acc = np.zeros((len(bias), planes.shape[1]), dtype=np.int32)
            _accumulate(planes, plane, first, ends, bias, acc, phases.run(len(out[block])))
            phases.gather(acc, out[block])

    return step


@compiled
def _accumulate(
    planes: Int32Array, plane: IntArray, first: IntArray,
    ends: IntArray, bias: Int32Array, acc: Int32Array, run: int,
) -> None:
    """The loop nest of the file header."""
    for f in range(len(bias)):
        row = acc[f, :run]
        row[:] = bias[f]
        for t in range(ends[f, 0], ends[f, 1]):
            source = planes[plane[t], first[t] : first[t] + run]
            for p in range(run):
                row[p] += source[p]
        for t in range(ends[f, 1], ends[f, 2]):
            source = planes[plane[t], first[t] : first[t] + run]
            for p in range(run):
                row[p] -= source[p]


KERNEL = Kernel(name="ternary", op=Conv, prepare=prepare, applies=_applies)
