"""Ternary matrices times 8-bit codes or floats, by the tables of ``lookup`` (AVX-512).

    for rows:                               eight or four rows of x, then one by one
        nest of ``lookup``

A weight takes 1.8 bits, so at batch 1, where reading weights is all the work, a layer runs several
times faster than in bytes. With many rows tables are built for each, which pays where they meet
many filters. Sums of codes are exact; floats are only added, never multiplied by a rounded scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from refnet.compiled import compiled
from refnet.kernels._kernel import Kernel, Step
from refnet.kernels.conv import bias_of
from refnet.kernels.lookup import REALS, WORDS, Element, multiply_of
from refnet.kernels.pack import from_places, to_places
from refnet.kernels.ternary import is_ternary
from refnet.kernels.tiers import Tier
from refnet.program import Constant, Conv, IntArray, TensorType

#: Filters from which looking up is faster than byte dot products.
LEAST_FILTERS = 512
#: Largest magnitude of a code.
MOST = 255
WORD_ROWS, REAL_ROWS = 8, 4

_words_nest, _reals_nest = multiply_of(WORDS), multiply_of(REALS)


@dataclass(frozen=True, kw_only=True)
class TritMatrix:
    """A ternary matrix (M, K) ready to be multiplied: x (N, K) -> x w^T (N, M).

    Made for 8-bit codes or for floats. Codes beyond ±255 are for the caller to keep away.
    """

    filters: int
    columns: int
    element: Element
    indices: NDArray[Any]

    @classmethod
    def of(cls, w: IntArray, *, floats: bool = False) -> Self:
        """Pack w (M, K) of -1, 0, 1."""
        if w.ndim != 2 or w.size == 0 or w.min() < -1 or w.max() > 1:
            raise ValueError(f"TritMatrix: w {w.shape}, rule -1, 0, 1 of shape (M, K)")
        element = REALS if floats else WORDS
        return cls(
            filters=len(w), columns=w.shape[1], element=element, indices=element.packed(w)
        )

    def __call__(self, x: NDArray[Any]) -> NDArray[Any]:
        """x (N, K) -> (N, M): int32 of codes, float32 of floats."""
        kinds = "f" if self.element is REALS else "iu"
        if x.ndim != 2 or x.shape[1] != self.columns or x.dtype.kind not in kinds:
            raise ValueError(f"TritMatrix: x {x.dtype} {x.shape}, rule (N, {self.columns})")
        return self.multiplied(self.element.rows(x, len(self.indices)))[:, : self.filters]

    def multiplied(self, rows: NDArray[Any]) -> NDArray[Any]:
        """rows of ``element.rows`` -> (N, filters filled up to whole blocks)."""
        element, indices = self.element, self.indices
        width = indices.shape[1] * element.blocks * element.lanes
        floats = element is REALS
        out = np.zeros((len(rows), width), np.float32 if floats else np.int32)
        tables = element.scratch(REAL_ROWS if floats else WORD_ROWS)
        if len(rows):
            (_reals if floats else _words)(rows, tables, indices, out)
        return out


@compiled
def _words(
    x: NDArray[Any], tables: NDArray[Any], indices: NDArray[Any], out: NDArray[Any]
) -> None:
    """The loop of the file header on codes."""
    n, slices, blocks = 0, indices.shape[0], indices.shape[1]
    while n < len(x):
        if len(x) - n >= WORD_ROWS:
            _words_nest(WORD_ROWS, x[n].ctypes.data, x.strides[0], tables.ctypes.data,
                        indices.ctypes.data, out[n].ctypes.data, out.strides[0], slices, blocks)
            n += WORD_ROWS
        else:
            _words_nest(1, x[n].ctypes.data, x.strides[0], tables.ctypes.data,
                        indices.ctypes.data, out[n].ctypes.data, out.strides[0], slices, blocks)
            n += 1


@compiled
def _reals(
    x: NDArray[Any], tables: NDArray[Any], indices: NDArray[Any], out: NDArray[Any]
) -> None:
    """The loop of the file header on floats."""
    n, slices, blocks = 0, indices.shape[0], indices.shape[1]
    while n < len(x):
        if len(x) - n >= REAL_ROWS:
            _reals_nest(REAL_ROWS, x[n].ctypes.data, x.strides[0], tables.ctypes.data,
                        indices.ctypes.data, out[n].ctypes.data, out.strides[0], slices, blocks)
            n += REAL_ROWS
        else:
            _reals_nest(1, x[n].ctypes.data, x.strides[0], tables.ctypes.data,
                        indices.ctypes.data, out[n].ctypes.data, out.strides[0], slices, blocks)
            n += 1


def _applies(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> bool:
    plain = op.groups == 1 and op.stride == (1, 1) and not any(map(any, op.padding))
    codes = x.type.lo >= -MOST and x.type.hi <= MOST
    return plain and w.shape[2:] == (1, 1) and codes and is_ternary(w)


def _pays(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> bool:
    return w.shape[0] >= LEAST_FILTERS and w.shape[1] >= WORDS.triples


def prepare(op: Conv, x: TensorType, w: Constant, b: Constant | None = None) -> Step:
    """Pack the weights; places of all images are the rows."""
    matrix, bias = TritMatrix.of(w.array[:, :, 0, 0]), bias_of(w, b)
    slices = len(matrix.indices)

    def step(activations: tuple[IntArray, ...], out: IntArray) -> None:
        images, channels, height, width = activations[0].shape
        columns = slices * WORDS.triples * 3
        rows = np.zeros((images, height, width, columns), np.int16)
        to_places(activations[0], rows[..., :channels])
        sums = matrix.multiplied(rows.reshape(-1, columns))[:, : len(bias)] + bias
        from_places(sums.reshape(images, height, width, -1), out)

    return step


KERNEL = Kernel(
    name="trits", op=Conv, prepare=prepare, applies=_applies, pays=_pays, tier=Tier.AVX512
)
