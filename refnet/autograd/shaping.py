"""Differentiable functions that move elements without arithmetic."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from refnet.autograd.differentiable import Forward, Operand, differentiable
from refnet.autograd.graph import Array, Gradients


@differentiable
def reshape(x: Operand, *, shape: int | Sequence[int]) -> Forward:
    """Give x another shape of the same size, in C order; one entry may be -1."""
    return x.reshape(shape), lambda g: (g.reshape(x.shape),)


@differentiable
def transpose(x: Operand, *, axes: Sequence[int] | None = None) -> Forward:
    """Permute the axes: axis i of the result is axis axes[i] of x. None reverses them."""
    order = tuple(reversed(range(x.ndim))) if axes is None else tuple(a % x.ndim for a in axes)
    inverse = tuple(int(i) for i in np.argsort(order))
    return x.transpose(order), lambda g: (g.transpose(inverse),)


@differentiable
def concatenate(*arrays: Operand, axis: int = 0) -> Forward:
    """Join arrays along an existing axis."""
    ends = np.cumsum([a.shape[axis] for a in arrays])[:-1]
    return np.concatenate(arrays, axis=axis), lambda g: tuple(np.split(g, ends, axis=axis))


@differentiable
def stack(*arrays: Operand, axis: int = 0) -> Forward:
    """Join arrays of one shape along a new axis."""
    y = np.stack(arrays, axis=axis)
    return y, lambda g: tuple(np.moveaxis(g, axis, 0))


@differentiable
def pad(x: Operand, *, width: Sequence[tuple[int, int]], value: float = 0.0) -> Forward:
    """Surround x with a constant: `width` holds (before, after) for every axis."""
    if len(width) != x.ndim:
        raise ValueError(f"pad: x {x.shape}, width {width} do not fit: one pair an axis is needed")
    inner = tuple(slice(b, b + n) for (b, _), n in zip(width, x.shape, strict=True))
    return np.pad(x, width, constant_values=value), lambda g: (g[inner],)


@differentiable
def getitem(x: Operand, *, index: Any) -> Forward:
    """Return x[index]; elements that are picked twice collect both gradients."""

    def closure(g: Array) -> Gradients:
        result = np.zeros(x.shape, dtype=g.dtype)
        if _picks_once(index):
            result[index] = g
        else:
            np.add.at(result, index, g)
        return (result,)

    return np.asarray(x[index]), closure


def _picks_once(index: Any) -> bool:
    """Tell whether an index consists of integers and slices only, so that nothing repeats."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(p is None or p is Ellipsis or isinstance(p, int | np.integer | slice) for p in parts)
