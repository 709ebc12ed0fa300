"""Where the matrices of a product are zero: the unfolded X and W of a layer whose codes are known.

Rows of X are ordered as images, output rows, output columns; k as channels, kernel rows, kernel
columns. Padding is zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.layers import Gemm


def unfolded_inputs(layer: Gemm) -> NDArray[np.integer[Any]]:
    """X (groups, m, k) of a layer with codes of its input."""
    codes, w = layer.input.codes, layer.geometry
    assert codes is not None
    maps = codes.reshape(w.batch, layer.groups, w.channels, w.height, w.width)
    maps = np.pad(maps, ((0, 0), (0, 0), (0, 0), *w.padding))
    (down, right), (high, wide), (P, Q) = w.dilation, w.stride, w.output
    taps = [
        maps[..., r * down : r * down + high * P : high, s * right : s * right + wide * Q : wide]
        [..., :P, :Q]
        for r in range(w.kernel[0]) for s in range(w.kernel[1])
    ]
    # (taps, N, G, C, P, Q) -> (G, N, P, Q, C, taps)
    X = np.stack(taps).transpose(2, 1, 4, 5, 3, 0)
    return X.reshape(layer.groups, layer.m, layer.k)


def unfolded_weights(layer: Gemm) -> NDArray[np.integer[Any]]:
    """W (groups, k, n) of a layer with codes of its weights, stored (F, C/G, R, S)."""
    codes = layer.weights.codes
    assert codes is not None
    return codes.reshape(layer.groups, layer.n, layer.k).transpose(0, 2, 1)


def input_mask(layer: Gemm) -> NDArray[np.bool_]:
    """Where X is not zero."""
    mask: NDArray[np.bool_] = unfolded_inputs(layer) != 0
    return mask


def weight_mask(layer: Gemm) -> NDArray[np.bool_]:
    """Where W is not zero."""
    mask: NDArray[np.bool_] = unfolded_weights(layer) != 0
    return mask
