"""Add and Reshape ([4.4], [4.7] of the specification).

    for p:                              elements of the batch: the vector loop
        out[p] = x[p] + y[p]
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.compiled import compiled
from refnet.kernels._kernel import Kernel, Step
from refnet.program import Add, IntArray, Reshape, TensorType

Int32Array = NDArray[np.int32]


def prepare_add(op: Add, x: TensorType, y: TensorType) -> Step:
    """Nothing to pack; sums are 32-bit, which the type rule proves enough."""

    def step(activations: tuple[IntArray, ...], out: IntArray) -> None:
        x, y = (a.astype(np.int32, copy=False).reshape(-1) for a in activations)
        _add(x, y, out.reshape(-1))

    return step


@compiled
def _add(x: Int32Array, y: Int32Array, out: NDArray[Any]) -> None:
    for p in range(len(out)):
        out[p] = x[p] + y[p]


def prepare_reshape(op: Reshape, x: TensorType) -> Step:
    """Nothing to pack and nothing to compile: C order stays C order."""

    def step(activations: tuple[IntArray, ...], out: IntArray) -> None:
        np.copyto(out, activations[0].reshape(out.shape), casting="unsafe")

    return step


ADD_KERNEL = Kernel(name="add", op=Add, prepare=prepare_add, activations=2)
RESHAPE_KERNEL = Kernel(name="reshape", op=Reshape, prepare=prepare_reshape)
