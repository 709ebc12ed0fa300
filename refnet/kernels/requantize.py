"""Requantize: multiply, one rounding shift, saturate ([3.2] of the specification).

    for n, c:                           images, channels
        for p:                          elements of the map: the vector loop
            product = x[n, c, p] * mult[c]
            out[n, c, p] = saturate((product + half[c] - down) >> shift[c])

``half`` is half of 2**shift, 0 where shift is 0; the shift takes the floor, so ``down = 0`` sends
ties up, and ``down = 1`` sends ties down and changes nothing else. The three roundings are three
choices of ``down``. The product has at most 46 bits and a sign: 64-bit arithmetic never overflows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.compiled import compiled
from refnet.kernels._kernel import Kernel, Step
from refnet.program import Constant, IntArray, Requantize, TensorType

Int64Array = NDArray[np.int64]

_HALF_EVEN, _HALF_UP, _HALF_AWAY = 0, 1, 2
_MODES = {"half_even": _HALF_EVEN, "half_up": _HALF_UP, "half_away": _HALF_AWAY}


def prepare(op: Requantize, x: TensorType, mult: Constant, shift: Constant) -> Step:
    """Widen the constants to 64 bits."""
    mults, shifts = mult.array.astype(np.int64), shift.array.astype(np.int64)
    lo, hi, mode = np.int64(op.type.lo), np.int64(op.type.hi), _MODES[op.rounding]

    def step(activations: tuple[IntArray, ...], out: IntArray) -> None:
        wide = activations[0].astype(np.int32, copy=False)
        shape = (*out.shape[:2], -1)
        _requantize(wide.reshape(shape), mults, shifts, lo, hi, mode, out.reshape(shape))

    return step


@compiled
def _down(product: np.int64, shift: np.int64, mode: int) -> np.int64:
    """1 where a tie goes down: even with the even floor, away from zero below zero."""
    if mode == _HALF_EVEN:
        return np.int64(1) - ((product >> shift) & np.int64(1))
    if mode == _HALF_AWAY:
        return np.int64(product < 0)
    return np.int64(0)


@compiled
def _requantize(
    x: NDArray[np.int32], mult: Int64Array, shift: Int64Array,
    lo: np.int64, hi: np.int64, mode: int, out: NDArray[Any],
) -> None:
    """The loop nest of the file header on (N, C, P)."""
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            half = (np.int64(1) << shift[c]) >> np.int64(1)
            for p in range(x.shape[2]):
                product = np.int64(x[n, c, p]) * mult[c]
                # Without a shift there is no tie, and half is 0: take no step down.
                down = _down(product, shift[c], mode) if half > 0 else np.int64(0)
                y = (product + half - down) >> shift[c]
                out[n, c, p] = min(max(y, lo), hi)


KERNEL = Kernel(name="requantize", op=Requantize, prepare=prepare)
