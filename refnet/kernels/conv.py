"""Direct convolution with any integer weights: F filters, G groups, 32-bit accumulators.

    for each block of images:
        for f:                          filters
            acc[f, :] = b[f]
            for t of f:                 taps (c, r, s) whose weight is not zero
                for p:                  positions (n, i, j), contiguous: the vector loop
                    acc[f, p] += w[t] * planes[plane[t], first[t] + p]

The layout that makes the inner loop contiguous is explained in ``phases``. The inner loop has no
checks: the border is zeros in the planes. Every partial sum fits 32 bits, proved from the weights.
"""

from __future__ import annotations

import numpy as np

from refnet.compiled import compiled
from refnet.kernels._kernel import Kernel, Step
from refnet.kernels.phases import Int32Array, Phases
from refnet.program import Constant, Conv, IntArray, TensorType
from refnet.program.window import output_size


def phases_of(op: Conv, x: TensorType, w: Constant) -> Phases:
    """The layout of the maps ``x`` for weights ``w``."""
    size, kernel = (x.shape[1], x.shape[2]), (w.shape[2], w.shape[3])
    out = output_size(size, kernel, op.stride, op.padding, op.dilation)
    return Phases(op=op, map=size, kernel=kernel, out=out)


def bias_of(w: Constant, b: Constant | None) -> Int32Array:
    """b (F,) as 32-bit integers, zeros where there is none."""
    return np.zeros(w.shape[0], dtype=np.int32) if b is None else b.array.astype(np.int32)


def first_channels(op: Conv, f: IntArray, w: Constant) -> IntArray:
    """The first input channel that each filter of ``f`` sees."""
    return f // (w.shape[0] // op.groups) * w.shape[1]


def prepare(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> Step:
    """List the taps of every filter, zeros left out: plane, first cell and weight."""
    phases, bias = phases_of(op, x, w), bias_of(w, b)
    f, c, r, s = np.nonzero(w.array)
    weight = w.array[f, c, r, s].astype(np.int32)
    plane, first = phases.taps(c + first_channels(op, f, w), r, s)
    ends = np.searchsorted(f, np.arange(len(bias) + 1))

    def step(activations: tuple[IntArray, ...], out: IntArray) -> None:
        for start in range(0, len(out), phases.images):
            block = slice(start, start + phases.images)
            planes = phases.scatter(activations[0][block])
            acc = np.zeros((len(bias), planes.shape[1]), dtype=np.int32)
            _accumulate(planes, plane, first, weight, ends, bias, acc, phases.run(len(out[block])))
            phases.gather(acc, out[block])

    return step


@compiled
def _accumulate(
    planes: Int32Array, plane: IntArray, first: IntArray, weight: Int32Array,
    ends: IntArray, bias: Int32Array, acc: Int32Array, run: int,
) -> None:
    """The loop nest of the file header; ends[f] to ends[f + 1] are the taps of filter f."""
    for f in range(len(bias)):
        row = acc[f, :run]
        row[:] = bias[f]
        for t in range(ends[f], ends[f + 1]):
            source = planes[plane[t], first[t] : first[t] + run]
            w = weight[t]
            for p in range(run):
                row[p] += w * source[p]


KERNEL = Kernel(name="conv", op=Conv, prepare=prepare)
