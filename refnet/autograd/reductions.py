"""Differentiable functions that sum over axes: reductions, matrix products, softmax.

`axis` is an integer, a tuple of them or None for all axes, as in NumPy.
"""

from typing import TypeAlias

import numpy as np

from refnet.autograd.differentiable import Forward, Operand, differentiable
from refnet.autograd.graph import Array

Axis: TypeAlias = int | tuple[int, ...] | None


def _spread(g: Array, shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Array:
    """Broadcast the gradient of a reduction back to the shape that was reduced."""
    if axis is not None and not keepdims:
        g = np.expand_dims(g, axis)
    return np.broadcast_to(g, shape)


def _count(name: str, x: Array, axis: Axis) -> int:
    """Count the elements behind one result; none is an error."""
    axes = range(x.ndim) if axis is None else np.atleast_1d(axis)
    count = int(np.prod([x.shape[a] for a in axes], dtype=np.int64))
    if count == 0:
        raise ValueError(f"{name}: x {x.shape}, axis={axis} do not fit: nothing to average")
    return count


@differentiable
def sum(x: Operand, *, axis: Axis = None, keepdims: bool = False) -> Forward:
    """Sum over `axis`."""
    y = np.sum(x, axis=axis, keepdims=keepdims)
    return y, lambda g: (_spread(g, x.shape, axis, keepdims),)


@differentiable
def mean(x: Operand, *, axis: Axis = None, keepdims: bool = False) -> Forward:
    """Average over `axis`; raises `ValueError` where there is nothing to average."""
    count = _count("mean", x, axis)
    y = np.mean(x, axis=axis, keepdims=keepdims)
    return y, lambda g: (_spread(g / g.dtype.type(count), x.shape, axis, keepdims),)


@differentiable
def var(x: Operand, *, axis: Axis = None, keepdims: bool = False, correction: int = 0) -> Forward:
    """Average of the squared deviations from the mean, divided by count - correction."""
    count = _count("var", x, axis) - correction
    if count <= 0:
        raise ValueError(
            f"var: x {x.shape}, axis={axis}, correction={correction} do not fit:"
            f" {count + correction} values minus {correction} leave no divisor"
        )
    centred = x - np.mean(x, axis=axis, keepdims=True)
    y = np.sum(centred * centred, axis=axis, keepdims=keepdims) / centred.dtype.type(count)
    return y, lambda g: (
        _spread(g * g.dtype.type(2 / count), x.shape, axis, keepdims) * centred,
    )


def _first(x: Array, g: Array, axis: Axis, keepdims: bool, largest: bool) -> Array:
    """Give the gradient of each extremum to the first element, in C order, that attains it."""
    axes = tuple(range(x.ndim)) if axis is None else tuple(np.atleast_1d(axis) % x.ndim)
    kept = [a for a in range(x.ndim) if a not in axes]
    order = [*kept, *axes]
    moved = x.transpose(order)
    table = moved.reshape([x.shape[a] for a in kept] + [-1])
    first = (table.argmax(axis=-1) if largest else table.argmin(axis=-1))[..., None]
    result = np.zeros(table.shape, dtype=g.dtype)
    np.put_along_axis(result, first, g.reshape(first.shape), axis=-1)
    return result.reshape(moved.shape).transpose(np.argsort(order))


@differentiable
def max(x: Operand, *, axis: Axis = None, keepdims: bool = False) -> Forward:
    """Maximum over `axis`; on ties the gradient goes to the first maximum in C order."""
    y = np.max(x, axis=axis, keepdims=keepdims)
    return y, lambda g: (_first(x, g, axis, keepdims, largest=True),)


@differentiable
def min(x: Operand, *, axis: Axis = None, keepdims: bool = False) -> Forward:
    """Minimum over `axis`; on ties the gradient goes to the first minimum in C order."""
    y = np.min(x, axis=axis, keepdims=keepdims)
    return y, lambda g: (_first(x, g, axis, keepdims, largest=False),)


@differentiable
def matmul(a: Operand, b: Operand) -> Forward:
    """Matrix product a (..., m, k) @ b (..., k, n) -> (..., m, n), leading axes broadcast.

    A vector (k,) is a row on the left and a column on the right, and its axis is removed again.
    """
    rows = a[None, :] if a.ndim == 1 else a
    columns = b[:, None] if b.ndim == 1 else b
    if a.ndim == 0 or b.ndim == 0 or rows.shape[-1] != columns.shape[-2]:
        raise ValueError(
            f"matmul: a {a.shape}, b {b.shape} do not fit: needs a (..., m, k), b (..., k, n)"
        )

    def full(g: Array) -> Array:
        g = g[..., None] if b.ndim == 1 else g
        return np.expand_dims(g, -2) if a.ndim == 1 else g

    def of_a(g: Array) -> Array:
        result = np.matmul(full(g), columns.swapaxes(-1, -2))
        return np.asarray(result[..., 0, :] if a.ndim == 1 else result)

    def of_b(g: Array) -> Array:
        result = np.matmul(rows.swapaxes(-1, -2), full(g))
        return np.asarray(result[..., 0] if b.ndim == 1 else result)

    return np.matmul(a, b), lambda g: (lambda: of_a(g), lambda: of_b(g))


def _log_sum(x: Array, axis: Axis) -> Array:
    """Return log(sum(exp(x))) with the reduced axes kept; the largest term is taken out first."""
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, x.dtype.type(0))
    with np.errstate(divide="ignore"):  # log(0) = -inf is the right value for a row of -inf
        return np.asarray(np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top)


@differentiable
def logsumexp(x: Operand, *, axis: Axis = None, keepdims: bool = False) -> Forward:
    """Return log(sum(exp(x))) over `axis`, without overflow."""
    kept = _log_sum(x, axis)
    y = kept if keepdims else np.squeeze(kept, axis=axis)
    return y, lambda g: (_spread(g, x.shape, axis, keepdims) * np.exp(x - kept),)


@differentiable
def log_softmax(x: Operand, *, axis: int = -1) -> Forward:
    """Return x - logsumexp(x) along `axis`: the logarithms of probabilities that sum to 1."""
    y = x - _log_sum(x, axis)
    return y, lambda g: (g - np.exp(y) * np.sum(g, axis=axis, keepdims=True),)
