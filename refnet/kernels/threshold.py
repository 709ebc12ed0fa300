"""Threshold: codes by counting thresholds passed, [4.2] of the specification.

    for n, c:                           images, channels
        for k:                          thresholds
            for p:                      elements of the map: the vector loop
                out[n, c, p] += sign[c] * x[n, c, p] >= t[c, k]

A negated accumulator still fits 32 bits [1.3.1].
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.compiled import compiled
from refnet.kernels._kernel import Kernel, Step
from refnet.program import Constant, IntArray, TensorType, Threshold

Int32Array = NDArray[np.int32]


def prepare(op: Threshold, x: TensorType, t: Constant, sign: Constant) -> Step:
    """Widen the constants to 32 bits."""
    thresholds, signs = t.array.astype(np.int32), sign.array.astype(np.int32)

    def step(activations: tuple[IntArray, ...], out: IntArray) -> None:
        wide = activations[0].astype(np.int32, copy=False)
        shape = (*out.shape[:2], -1)
        _threshold(wide.reshape(shape), thresholds, signs, out.reshape(shape))

    return step


@compiled
def _threshold(x: Int32Array, t: Int32Array, sign: Int32Array, out: NDArray[Any]) -> None:
    """The loop nest of the file header on (N, C, P)."""
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            codes, values = out[n, c], x[n, c]
            codes[:] = 0
            for k in range(t.shape[1]):
                for p in range(len(codes)):
                    codes[p] += sign[c] * values[p] >= t[c, k]


KERNEL = Kernel(name="threshold", op=Threshold, prepare=prepare)
