"""Weight balancing: factors of one product, scaled so that one learning rate suits all of them.

Source: Wang and Cheng, Fixed-point Factorized Networks, CVPR 2017. A product of factors
f_1 ... f_p does not change when each is multiplied by l_i with l_1 * ... * l_p = 1, but the
gradient of f_i is divided by l_i. For the loss as a function of W = X D Y^T the Euler identities
hold for every component i,

    <dL/dx_i, x_i> = d_i dL/dd_i = <dL/dy_i, y_i>,

so the gradient of a factor is the larger the smaller the factor is: with ternary X, Y and small D
the two differ by orders of magnitude. Factors of equal norms have gradients of one size.

Plain gradient descent with rate eta on the scaled factor l f is descent with rate eta / l^2 on f
(:func:`sgd_rates`), so layers whose latents are in units of one code are balanced by rates.
Factors of one product are all that is assumed: the factors of block terms balance alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Reals = NDArray[np.float64]


def equal_norms(factors: Sequence[Array]) -> tuple[float, ...]:
    """Multipliers with product 1 after which all factors have one Frobenius norm.

    Where a factor is zero all multipliers are 1.

    >>> equal_norms([np.ones((2, 2)), np.array([8.0])])
    (2.0, 0.5)
    """
    norms = np.array([_norms(np.reshape(f, (-1, 1)))[0] for f in factors])
    return tuple(_levelled(norms).tolist())


def equal_component_norms(factors: Sequence[Array]) -> tuple[Reals, ...]:
    """Multipliers (k,) of every factor, for factors (..., k) that meet in k components.

    Each component is a product of its own: its multipliers have product 1, and its part of every
    factor gets one norm. D is given as (1, k) or (k,).
    """
    widths = {f.shape[-1] for f in factors}
    if len(widths) != 1:
        raise ValueError(f"equal_component_norms: last axes {sorted(widths)}, rule all equal")
    norms = np.array([_norms(f.reshape(-1, f.shape[-1])) for f in factors])
    columns = np.stack([_levelled(column) for column in norms.T], axis=1)
    return tuple(columns)


def _norms(f: Array) -> Reals:
    """The norm of every column (k,), whatever its order of magnitude."""
    wide = f.astype(np.float64)
    largest = np.abs(wide).max(axis=0, initial=0.0)
    scaled = wide / np.where(largest > 0, largest, 1.0)
    found: Reals = largest * np.sqrt(np.sum(scaled * scaled, axis=0))
    return found


def _levelled(norms: Reals) -> Reals:
    """Multipliers that bring norms to their geometric mean."""
    if not (np.isfinite(norms).all() and norms.all()):
        return np.ones_like(norms)
    # In powers of two, so that a product of many or extreme norms stays in range.
    logs = np.log2(norms)
    found: Reals = np.exp2(logs.mean() - logs)
    return found


def xavier_std(
    fans: Sequence[tuple[int, int] | None], factors: Sequence[Array] | None = None
) -> tuple[float, ...]:
    """Multipliers with product 1 that give factors the deviation sqrt(2 / (fan_in + fan_out)).

    Entries are taken to be near 1, or of the root mean square that they have in ``factors``. Each
    ``None`` stands for a factor, a diagonal, that takes an equal part of what the others change.

    >>> xavier_std([(6, 2), None, (2, 6)])
    (0.5, 4.0, 0.5)
    >>> xavier_std([(6, 2), None], [np.array([[2.0, -2.0]]), np.ones(1)])
    (0.25, 4.0)
    """
    diagonals = sum(fan is None for fan in fans)
    if not diagonals or any(min(f) < 1 for f in fans if f):
        raise ValueError(f"xavier_std: fans {fans}, rule sizes >= 1 and at least one None")
    sizes = [1.0] * len(fans) if factors is None else [_rms(f) for f in factors]
    scales = [
        1.0 if fan is None else (2 / sum(fan)) ** 0.5 / size
        for fan, size in zip(fans, sizes, strict=True)
    ]
    rest = float(np.prod(scales)) ** (-1 / diagonals)
    return tuple(rest if fan is None else scale for fan, scale in zip(fans, scales, strict=True))


def _rms(f: Array) -> float:
    """The root mean square, 1 for a factor that is zero."""
    return float(_norms(np.reshape(f, (-1, 1)))[0]) / f.size**0.5 or 1.0


def balance(factors: Sequence[Array], multipliers: Sequence[float | Array]) -> list[Array]:
    """Every factor times its multiplier, a number or one for each component (last axis)."""
    return [f * m for f, m in zip(factors, multipliers, strict=True)]


def sgd_rates(multipliers: Sequence[float]) -> tuple[float, ...]:
    """Relative learning rates of plain gradient descent on factors that are not scaled."""
    return tuple(1 / m**2 for m in multipliers)


def spread(gradients: Sequence[Array]) -> float:
    """The largest mean |gradient| over the smallest one."""
    means = [float(np.mean(np.abs(g))) for g in gradients]
    return max(means) / min(means) if min(means) > 0 else float("inf")
