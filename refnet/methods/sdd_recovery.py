"""Full-precision weight recovery: what the ternary factors lost, kept in their latents.

Source: Wang and Cheng, Fixed-point Factorized Networks, CVPR 2017. With q the rounding to codes,

    min ||W - X^ D Y^^T||_F^2   such that   q(X^) = X,  q(Y^) = Y

so fine-tuning starts from real factors that nearly give W while the network computes with X and Y.
In fine-tuning the latents stay within [-1.5, 1.5] (``QuantWeights.constrain``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.compiled import compiled
from refnet.methods.sdd_loops import Codes, Reals

#: Latents keep this distance from where rounding would change, also after rounding to binary32.
MARGIN = 1e-3


def recover(
    W: NDArray[Any], X: Codes, d: NDArray[Any], Y: Codes, *, sweeps: int = 30,
    margin: float = MARGIN,
) -> tuple[Reals, Reals]:
    """Latents X^ (m, k) and Y^ (n, k) whose roundings are X and Y, with W ~ X^ diag(d) Y^^T.

    One sweep is cyclic coordinate descent over every row of X^, then over every row of Y^; each
    step is the exact minimum in one entry, clipped to its box [code - 1/2 + margin, code + 1/2 -
    margin], so the error never rises. Components with d = 0 stay as they are. Raises
    ``ValueError`` on shapes that do not fit, NaN, negative sweeps or a margin outside (0, 1/2).

    >>> W = np.array([[1.0, 0.6]])
    >>> X_hat, Y_hat = recover(W, np.array([[1]]), np.array([1.0]), np.array([[1], [1]]))
    >>> np.round(X_hat @ Y_hat.T, 6).tolist()
    [[1.0, 0.6]]
    """
    W, d = np.asarray(W, dtype=np.float64), np.asarray(d, dtype=np.float64)
    if W.ndim != 2 or (X.shape, Y.shape) != ((W.shape[0], d.size), (W.shape[1], d.size)):
        raise ValueError(
            f"recover: W {W.shape}, X {X.shape}, d {d.shape}, Y {Y.shape}, "
            "rule (m, n), (m, k), (k,), (n, k)"
        )
    if not (np.isfinite(W).all() and np.isfinite(d).all()):
        raise ValueError("recover: W or d holds NaN or infinity, rule finite")
    if sweeps < 0 or not 0 < margin < 0.5:
        raise ValueError(f"recover: sweeps={sweeps}, margin={margin}, rule >= 0, in (0, 1/2)")
    # Dividing W and d by one power of two changes nothing else, and keeps products in range.
    exponent = int(np.frexp(max(np.abs(W).max(initial=0.0), np.abs(d).max(initial=0.0)))[1])
    W, d = np.ldexp(W, -exponent), np.ldexp(d, -exponent)
    room = 0.5 - margin
    X_hat, Y_hat = X.astype(np.float64), Y.astype(np.float64)
    for _ in range(sweeps):
        _improve(W, X_hat, Y_hat * d, X, room)
        _improve(W.T, Y_hat, X_hat * d, Y, room)
    return X_hat, Y_hat


def _improve(W: Reals, Z: Reals, B: Reals, codes: Codes, room: float) -> None:
    """One pass over min ||W - Z B^T||^2, Z within ``room`` of its codes, in place."""
    H = B.T @ B
    slope = Z @ H - W @ B
    wide = codes.astype(np.float64)
    descend_box(H, slope, Z, wide - room, wide + room)


@compiled
def descend_box(H: Reals, slope: Reals, Z: Reals, low: Reals, high: Reals) -> None:
    """A pass of coordinate descent for each row z of Z; ``slope`` is Z H minus the linear term.

    Rows do not see each other. Coordinates whose H[j, j] is zero do not move.
    """
    for i in range(Z.shape[0]):
        z, g = Z[i], slope[i]
        for j in range(Z.shape[1]):
            if H[j, j] > 0.0:
                new = min(max(z[j] - g[j] / H[j, j], low[i, j]), high[i, j])
                delta = new - z[j]
                if delta != 0.0:
                    z[j] = new
                    for c in range(Z.shape[1]):
                        g[c] += delta * H[j, c]
