"""Least squares in few codes: the weights of one scale that give wanted responses.

Source: two-step quantization (Wang et al. 2018), stage 2; for more bits, Bit-split and stitching
(Wang et al. 2020). For one filter with inputs X (n, N) and wanted responses z (N,):

    min over alpha, w in {-1, 0, 1}^n of ||z - alpha X^T w||^2

With alpha eliminated this maximises (s^T w)^2 / (w^T G w), s = X z, G = X X^T, by coordinate
descent (:mod:`refnet.methods.descent`). A bias is the same problem with X and z centred.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.autograd.chunks import run_chunks, slices
from refnet.methods.bitsplit import TERNARY_GRID, Codes, Grid, Reals
from refnet.methods.descent import descend, start_at

# Rows of a block of G, so that a block and a strip of its factors stay in a second-level cache.
_BLOCK = 384


def gram(X: Reals) -> Reals:
    """G = X X^T (n, n) of X (n, N), by blocks of rows that threads share; exactly symmetric.

    Blocks depend on n alone, so any number of threads gives the same bits.
    """
    G = np.empty((len(X), len(X)))
    parts = slices(len(X), _BLOCK)

    def block(pair: tuple[slice, slice]) -> None:
        i, j = pair
        G[i, j] = X[i] @ X[j].T
        G[j, i] = G[i, j].T

    run_chunks(block, [(i, j) for i in parts for j in parts if i.start <= j.start])
    return G


def least_squares(
    X: Reals, z: Reals, codes: Codes, *, grid: Grid = TERNARY_GRID, form: str = "profile",
    sweeps: int = 50,
) -> tuple[Codes, float, float]:
    """One filter from start ``codes`` (n,): ``(w, N, D)`` with z ~ (N / D) X^T w, N >= 0 [6.2].

    Without a response that helps, w is zero and so are N and D. On integers all of it is exact.
    """
    G = gram(X)
    found = descend(
        G, (X @ z)[None], start_at(G, codes[None]), grid=grid, form=form, sweeps=sweeps
    )
    if found.scales(G)[0] == 0:
        return np.zeros_like(codes), 0.0, 0.0
    return found.state.codes[0], float(found.N[0]), float(found.D[0])


def ternary_least_squares(
    X: NDArray[Any], z: NDArray[Any], *, start: NDArray[Any] | None = None,
    form: str = "profile", sweeps: int = 50,
) -> tuple[Codes, float]:
    """One filter: X (n, N), z (N,) -> ``(w int8 (n,), alpha >= 0)`` with z ~ alpha X^T w.

    ``start`` (n,) are real weights whose optimal ternary codes begin the descent; without it, they
    are the ridge solution of the real least squares. ``form`` is the coordinate rule, ``profile``
    or ``fixed``. Where no response helps, w and alpha are zero.

    >>> X = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]])
    >>> w, alpha = ternary_least_squares(X, np.array([0.5, -0.5, 0.5]))
    >>> w.tolist(), round(alpha, 12)
    ([1, -1], 0.5)
    """
    return _solved(X, z, start, TERNARY_GRID, form, sweeps)


def bit_split_least_squares(
    X: NDArray[Any], z: NDArray[Any], bits: int, *, start: NDArray[Any] | None = None,
    form: str = "profile", sweeps: int = 100,
) -> tuple[Codes, float]:
    """:func:`ternary_least_squares` with weights of ``bits`` bits, +-(2**(bits - 1) - 1).

    One bit has the weights -1 and +1, all zero only where no response helps.

    >>> X = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]])
    >>> w, alpha = bit_split_least_squares(X, np.array([0.5, -1.5, -0.5]), 3)
    >>> w.tolist(), round(alpha, 12)
    ([1, -3], 0.5)
    """
    return _solved(X, z, start, Grid.of(bits), form, sweeps)


def _solved(
    X: NDArray[Any], z: NDArray[Any], start: NDArray[Any] | None, grid: Grid, form: str,
    sweeps: int,
) -> tuple[Codes, float]:
    """Codes and scale of one filter from a real start; refuses what does not fit or is infinite."""
    X, z = np.asarray(X, dtype=np.float64), np.asarray(z, dtype=np.float64)
    if X.ndim != 2 or z.shape != X.shape[1:]:
        raise ValueError(f"ternary_least_squares: X {X.shape}, z {z.shape}, rule (n, N) and (N,)")
    if not (np.isfinite(X).all() and np.isfinite(z).all()):
        raise ValueError("ternary_least_squares: X or z holds NaN or infinity, rule finite")
    # Powers of two are exact, and keep the squares in range.
    (X, X_exponent), (z, z_exponent) = _unit(X), _unit(z)
    if start is None:
        G = X @ X.T
        ridge = 1e-6 * np.trace(G) / max(len(G), 1) + np.finfo(float).tiny
        start = np.linalg.solve(G + ridge * np.eye(len(G)), X @ z)
    start = np.asarray(start, dtype=np.float64)
    if start.shape != X.shape[:1] or not np.isfinite(start).all():
        raise ValueError(
            f"ternary_least_squares: start {start.shape}, rule {X.shape[:1]} and finite"
        )
    w, N, D = least_squares(X, z, grid.start(start[None])[0], grid=grid, form=form, sweeps=sweeps)
    return w, float(np.ldexp(N / D, z_exponent - X_exponent)) if D else 0.0


def _unit(a: Reals) -> tuple[Reals, int]:
    """``a`` times a power of two, its largest magnitude in [0.5, 1), and the power taken away."""
    exponent = int(np.frexp(np.abs(a).max(initial=0.0))[1])
    return np.ldexp(a, -exponent), exponent
