"""Ternary least squares: the weights of one scale and codes -1, 0, +1 that give wanted responses.

Source: two-step quantization (Wang et al. 2018), stage 2. For one filter with inputs X (n, N) and
wanted responses z (N,):

    min over alpha, w in {-1, 0, 1}^n of ||z - alpha X^T w||^2

With alpha eliminated this maximises (s^T w)^2 / (w^T G w), s = X z, G = X X^T; coordinate descent
tries the three codes of one weight at a time. A bias is the same problem with X and z centred.
The filters of a layer share G and are solved side by side; no step mixes them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.quant.ternary import ternary_rows

Reals = NDArray[np.float64]
Codes = NDArray[np.int8]

# A move must gain more than this share, or rounding could make codes alternate for ever.
_GAIN = 1e-12


def descend(G: Reals, S: Reals, W: Codes, *, sweeps: int) -> Codes:
    """Coordinate descent on the profile objective (s^T w)^2 / (w^T G w) for every row.

    ``G`` (n, n), ``S`` (m, n) the rows s, ``W`` (m, n) the start. Each row's objective, with the
    sign of s^T w, never falls; stops after ``sweeps`` or when a sweep changes nothing.
    """
    wide = W.astype(np.float64)
    for _ in range(sweeps):
        changed = False
        GW = wide @ G
        top, bottom = np.sum(S * wide, axis=1), np.sum(GW * wide, axis=1)
        for j in range(len(G)):
            step = _best_step(G[j, j], S[:, j], GW[:, j], wide[:, j], top, bottom)
            moved = np.flatnonzero(step)
            if not len(moved):
                continue
            changed = True
            delta = step[moved]
            top[moved] += S[moved, j] * delta
            bottom[moved] += 2 * delta * GW[moved, j] + delta * delta * G[j, j]
            GW[moved] += delta[:, None] * G[j]
            wide[moved, j] += delta
        if not changed:
            break
    return wide.astype(np.int8)


def _objective(top: Reals, bottom: Reals, least: float) -> Reals:
    """(s^T w)^2 / (w^T G w) with the sign of s^T w; 0 where the response vanishes."""
    good = bottom > least
    return np.where(good, top * np.abs(top) / np.where(good, bottom, 1.0), 0.0)


def _best_step(
    diagonal: float, s: Reals, g: Reals, w: Reals, top: Reals, bottom: Reals
) -> Reals:
    """The change of each row's weight j that raises its objective most; 0 where none does."""
    least = 1e-12 * max(diagonal, 0.0)
    best = _objective(top, bottom, least)
    best = best + _GAIN * np.abs(best)
    step = np.zeros_like(w)
    for code in (-1.0, 0.0, 1.0):
        delta = code - w
        value = _objective(
            top + s * delta, bottom + 2 * delta * g + delta * delta * diagonal, least
        )
        better = value > best
        best = np.where(better, value, best)
        step = np.where(better, delta, step)
    return step


def scale_of(G: Reals, S: Reals, W: Codes) -> Reals:
    """The best alpha (m,) of each row, s^T w / w^T G w; 0 where the response vanishes."""
    wide = W.astype(np.float64)
    top, bottom = np.sum(S * wide, axis=1), np.sum((wide @ G) * wide, axis=1)
    alive = bottom > 0
    return np.where(alive, top / np.where(alive, bottom, 1.0), 0.0)


def ternary_least_squares(
    X: NDArray[Any], z: NDArray[Any], *, start: NDArray[Any] | None = None, sweeps: int = 50
) -> tuple[Codes, float]:
    """One filter: X (n, N), z (N,) -> ``(w int8 (n,), alpha >= 0)`` with z ~ alpha X^T w.

    ``start`` (n,) are real weights whose optimal ternary codes begin the descent; without it, they
    are the ridge solution of the real least squares. A z without any response gives alpha 0.

    >>> X = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]])
    >>> w, alpha = ternary_least_squares(X, np.array([0.5, -0.5, 0.5]))
    >>> w.tolist(), round(alpha, 12)
    ([1, -1], 0.5)
    """
    X, z = np.asarray(X, dtype=np.float64), np.asarray(z, dtype=np.float64)
    if X.ndim != 2 or z.shape != X.shape[1:]:
        raise ValueError(f"ternary_least_squares: X {X.shape}, z {z.shape}, rule (n, N) and (N,)")
    if not (np.isfinite(X).all() and np.isfinite(z).all()):
        raise ValueError("ternary_least_squares: X or z holds NaN or infinity, rule finite")
    G, S = X @ X.T, (X @ z)[None]
    if start is None:
        ridge = 1e-6 * np.trace(G) / max(len(G), 1) + np.finfo(float).tiny
        start = np.linalg.solve(G + ridge * np.eye(len(G)), S[0])
    elif start.shape != X.shape[:1]:
        raise ValueError(f"ternary_least_squares: start {start.shape}, rule {X.shape[:1]}")
    W = descend(G, S, ternary_rows(np.asarray(start, dtype=np.float64)[None])[0], sweeps=sweeps)
    alpha = float(scale_of(G, S, W)[0])
    return (-W[0] if alpha < 0 else W[0]), abs(alpha)
