"""MaxPool and SumPool ([4.5], [4.6] of the specification).

    for n, c, i, j:                     images, channels, outputs
        for y, z:                       the places of the window that lie on the map
            max or sum of x[n, c, y, z]

Places outside the map are never visited: they cannot win, and would add 0. Padding is smaller than
the kernel, so every window has a place on the map.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.compiled import compiled
from refnet.kernels._kernel import Kernel, Step
from refnet.program import IntArray, MaxPool, SumPool, TensorType


def _window(op: MaxPool | SumPool) -> NDArray[np.int64]:
    """Kernel, stride and leading padding, a row an axis."""
    rows = zip(op.kernel, op.stride, (op.padding[0][0], op.padding[1][0]), strict=True)
    return np.array(list(rows), dtype=np.int64)


def prepare_max(op: MaxPool, x: TensorType) -> Step:
    """Nothing to pack; the result has the dtype of x."""
    window = _window(op)

    def step(activations: tuple[IntArray, ...], out: IntArray) -> None:
        _max_pool(activations[0].astype(out.dtype, copy=False), window, out)

    return step


def prepare_sum(op: SumPool, x: TensorType) -> Step:
    """Nothing to pack; sums are 32-bit, which the type rule proves enough."""
    window = _window(op)

    def step(activations: tuple[IntArray, ...], out: IntArray) -> None:
        _sum_pool(activations[0].astype(np.int32, copy=False), window, out)

    return step


@compiled
def _span(i: int, axis: NDArray[np.int64], size: int) -> tuple[int, int]:
    """The places of output i on a map of ``size`` places: first, and one after the last."""
    first = i * axis[1] - axis[2]
    return max(first, 0), min(first + axis[0], size)


@compiled
def _max_pool(x: NDArray[Any], window: NDArray[np.int64], out: NDArray[Any]) -> None:
    for n in range(out.shape[0]):
        for c in range(out.shape[1]):
            for i in range(out.shape[2]):
                top, bottom = _span(i, window[0], x.shape[2])
                for j in range(out.shape[3]):
                    left, right = _span(j, window[1], x.shape[3])
                    best = x[n, c, top, left]
                    for y in range(top, bottom):
                        for z in range(left, right):
                            best = max(best, x[n, c, y, z])
                    out[n, c, i, j] = best


@compiled
def _sum_pool(x: NDArray[np.int32], window: NDArray[np.int64], out: NDArray[Any]) -> None:
    for n in range(out.shape[0]):
        for c in range(out.shape[1]):
            for i in range(out.shape[2]):
                top, bottom = _span(i, window[0], x.shape[2])
                for j in range(out.shape[3]):
                    left, right = _span(j, window[1], x.shape[3])
                    total = np.int32(0)
                    for y in range(top, bottom):
                        for z in range(left, right):
                            total += x[n, c, y, z]
                    out[n, c, i, j] = total


MAX_KERNEL = Kernel(name="max_pool", op=MaxPool, prepare=prepare_max)
SUM_KERNEL = Kernel(name="sum_pool", op=SumPool, prepare=prepare_sum)
