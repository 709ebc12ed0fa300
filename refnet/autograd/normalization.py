"""Batch normalization, fused: one function forward, one backward.

S. Ioffe, C. Szegedy, "Batch Normalization", ICML 2015, algorithm 1; the gradient in closed form.
"""

from collections.abc import Callable

import numpy as np

from refnet.autograd.differentiable import Forward, Operand, differentiable
from refnet.autograd.graph import Array, Gradients


def _layout(
    name: str, x: Array, **vectors: Array | None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the axes to reduce over and the shape that lines a (C,) vector up with x."""
    if x.ndim not in (2, 4):
        raise ValueError(f"{name}: x {x.shape} does not fit: needs (N, C) or (N, C, H, W)")
    for label, vector in vectors.items():
        if vector is not None and vector.shape != x.shape[1:2]:
            raise ValueError(
                f"{name}: x {x.shape}, {label} {vector.shape} do not fit:"
                f" {label} must be {x.shape[1:2]}"
            )
    axes = (0, 2, 3) if x.ndim == 4 else (0,)
    return axes, (1, -1, 1, 1) if x.ndim == 4 else (1, -1)


def _statistics(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """Return the mean (C,), x minus the mean, and the biased variance (C,)."""
    if x.size == 0:
        raise ValueError(f"batch_norm: x {x.shape} has no values to take statistics of")
    mean = x.mean(axis=axes)
    centred = x - (mean[:, None, None] if x.ndim == 4 else mean)
    return mean, centred, np.mean(centred * centred, axis=axes)


@differentiable
def batch_norm(
    x: Operand,
    gamma: Operand = None,
    beta: Operand = None,
    *,
    eps: float = 1e-5,
    observe: Callable[[Array, Array], None] | None = None,
) -> Forward:
    """Normalize each channel of x (N, C) or (N, C, H, W) with the statistics of the batch.

    y = gamma * (x - mean) / sqrt(var + eps) + beta, with gamma, beta (C,) or None for 1 and 0;
    `var` divides by the number of values (biased). `observe(mean, var)`, arrays (C,), is called
    once, so that a layer can keep running averages. Raises `ValueError` for an empty batch.
    """
    axes, column = _layout("batch_norm", x, gamma=gamma, beta=beta)
    mean, centred, var = _statistics(x, axes)
    count = x.size // x.shape[1]
    if observe is not None:
        observe(mean.copy(), var.copy())
    inverse = 1 / np.sqrt(var + x.dtype.type(eps))
    slope = inverse if gamma is None else inverse * gamma
    y = centred * slope.reshape(column)
    if beta is not None:
        y += beta.reshape(column)

    def closure(g: Array) -> Gradients:
        sum_g = g.sum(axis=axes)
        sum_gx = (g * centred).sum(axis=axes) * inverse

        def of_x() -> Array:
            # slope * (g - mean(g) - z * mean(g * z)), where z is the normalized x
            pull = slope * inverse * sum_gx / x.dtype.type(count)
            result = g * slope.reshape(column)
            result -= centred * pull.reshape(column)
            result -= (slope * sum_g / x.dtype.type(count)).reshape(column)
            return np.asarray(result)

        return (of_x, None if gamma is None else sum_gx, None if beta is None else sum_g)

    return y, closure


@differentiable
def batch_norm_inference(
    x: Operand,
    gamma: Operand,
    beta: Operand,
    mean: Operand,
    var: Operand,
    *,
    eps: float = 1e-5,
) -> Forward:
    """Normalize each channel of x (N, C) or (N, C, H, W) with given statistics.

    y = gamma * (x - mean) / sqrt(var + eps) + beta; all four are (C,), gamma and beta may be None.
    """
    axes, column = _layout(
        "batch_norm_inference", x, gamma=gamma, beta=beta, mean=mean, var=var
    )
    inverse = 1 / np.sqrt(var + var.dtype.type(eps))
    slope = inverse if gamma is None else inverse * gamma
    shift = -mean * slope if beta is None else beta - mean * slope
    y = x * slope.reshape(column)
    y += shift.reshape(column)

    def closure(g: Array) -> Gradients:
        def of_gamma() -> Array:
            return np.asarray((g * (x - mean.reshape(column))).sum(axis=axes) * inverse)

        return (
            lambda: g * slope.reshape(column),
            None if gamma is None else of_gamma,
            None if beta is None else lambda: g.sum(axis=axes),
            lambda: -g.sum(axis=axes) * slope,
            lambda: of_gamma() * slope * inverse / -2,
        )

    return y, closure
