"""Convolution of 8-bit weights and 8-bit activations by sums of two byte products: tier AVX2.

The loop nest of ``int8``, whose dot product takes two instructions here. The first one multiplies
unsigned by signed bytes and adds neighbours in 16 bits, where the sum saturates; the second one
adds those in 32 bits. Two products fit 16 bits where

    255 * (|w0| + |w1|) < 2**15,        |w0| + |w1| <= 128

for weights of one sign. A word of the window in which any filter breaks the rule is visited twice,
with half of its weights each time, which are at most 64: sums stay exact whatever the weights are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.compiled import compiled
from refnet.kernels import int8, tile
from refnet.kernels._kernel import Kernel, Step
from refnet.kernels.direct import Direct, step
from refnet.kernels.endings import codes_of, sums_of
from refnet.kernels.int8 import SIGN
from refnet.kernels.places import Int64Array, aligned
from refnet.kernels.tiers import Tier
from refnet.kernels.tile import BYTE_PAIRS, BYTE_PAIRS_BY_TWO
from refnet.program import Constant, Conv, TensorType

#: Vectors and places of a tile: two registers a vector, and room for weights and products.
VECTORS, PIXELS = 1, 5
#: Neighbours of one sign together, at most.
_MOST = (2**15 - 1) // 255
#: Share of words visited twice from which pairs of 16 bits are faster.
_MOST_TWICE = 0.25

_sums_nest, _sums_nest_by_two = sums_of(BYTE_PAIRS), sums_of(BYTE_PAIRS_BY_TWO)
_codes_nest = codes_of(BYTE_PAIRS, tile.INT8)
_codes_nest_by_two = codes_of(BYTE_PAIRS_BY_TWO, tile.INT8)


def unsaturated(weights: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """weights (vectors, words, 16, 4) with some words in two, and which ones (words,).

    >>> w = np.zeros((1, 2, 16, 4), np.int8)
    >>> w[0, 0, 3], w[0, 1, 5] = [100, -100, 0, 0], [100, 29, 0, 0]
    >>> parts, twice = unsaturated(w)
    >>> twice.tolist(), parts[0, 1:, 5, :2].tolist()
    ([False, True], [[50, 14], [50, 15]])
    """
    signs = np.stack([np.maximum(weights, 0), -np.minimum(weights.astype(np.int16), 0)])
    pairs = signs.reshape(*signs.shape[:-1], 2, 2).sum(axis=-1, dtype=np.int16)
    twice = (pairs > _MOST).any(axis=(0, 1, 3, 4))
    parts = np.repeat(weights, 1 + twice, axis=1)
    second = np.cumsum(1 + twice)[twice] - 1
    parts[:, second - 1] >>= 1
    parts[:, second] -= parts[:, second - 1]
    return parts, twice


def _pays(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> bool:
    return int8.pays(op, x, w, b) and narrow(op, w.array)


def narrow(op: Conv, w: NDArray[Any]) -> bool:
    """Whether few words of the weights (F, C/G, R, S) are visited twice."""
    # Words are the same for maps of any size that hold a window.
    size = [op.dilation[i] * (w.shape[2 + i] - 1) + 1 for i in range(2)]
    ready = int8.direct(op, (size[0], size[1]), w, None, signed=False)
    return bool(unsaturated(ready.weights)[1].mean() <= _MOST_TWICE)


def prepare(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> Step:
    """Pack the weights; the step packs the activations at each call."""
    signed = x.type.lo < 0
    bias = None if b is None else b.array
    ready = direct(op, (x.shape[1], x.shape[2]), w.array, bias, signed=signed)
    return step(ready, np.uint8, flip=SIGN if signed else 0)


def direct(
    op: Conv, size: tuple[int, int], w: NDArray[Any], b: NDArray[Any] | None, *, signed: bool
) -> Direct:
    """As ``int8.direct``."""
    ready = int8.direct(op, size, w, b, signed=signed)
    weights, twice = unsaturated(ready.weights)
    paired = ready.windows.paired
    return replace(
        ready, weights=aligned(weights), taps=np.repeat(ready.windows.taps, 1 + twice),
        vectors=VECTORS, pixels=PIXELS, loop_sums=_sums_by_two if paired else _sums,
        loop_codes=_codes_by_two if paired else _codes, _tables={},
    )  # fmt: skip


@compiled
def _sums(operands: Int64Array) -> None:
    """The loop nest of ``int8``, sums to the output."""
    _sums_nest(VECTORS, PIXELS, operands.ctypes.data)


@compiled
def _sums_by_two(operands: Int64Array) -> None:
    """As ``_sums`` with two groups in each vector."""
    _sums_nest_by_two(VECTORS, PIXELS, operands.ctypes.data)


@compiled
def _codes(operands: Int64Array) -> None:
    """The loop nest of ``int8``, codes to the output."""
    _codes_nest(VECTORS, PIXELS, operands.ctypes.data)


@compiled
def _codes_by_two(operands: Int64Array) -> None:
    """As ``_codes`` with two groups in each vector."""
    _codes_nest_by_two(VECTORS, PIXELS, operands.ctypes.data)


KERNEL = Kernel(
    name="bytepairs", op=Conv, prepare=prepare, applies=int8.KERNEL.applies, pays=_pays,
    tier=Tier.AVX2,
)  # fmt: skip
