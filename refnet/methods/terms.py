"""Block-term decomposition of a kernel tensor: the best of several starts, in canonical form.

Source: De Lathauwer, SIAM J. Matrix Anal. Appl. 30 (2008), parts I to III (block terms); the
starts are in :mod:`refnet.methods.starts`, the iteration in :mod:`refnet.methods.als`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.methods import starts
from refnet.methods.als import EXACT, Factors, Fit, als, orthonormal, relative_error
from refnet.methods.tucker import Reals, check_ranks, checked


def block_term(
    K: NDArray[Any], R: int, s: int, t: int, *, rng: np.random.Generator, sweeps: int = 500,
    tol: float = 1e-6, restarts: int = 2,
) -> Factors:
    """Factors ``(A (R, S, s), G (R, s, t, P), B (R, T, t))`` of K (S, T, P).

    The best of alternating least squares from the strided HOSVD, from commuting matrices (exact
    where K has a generic exact decomposition) and from ``restarts`` random starts; an exact fit
    ends the search. In canonical form [6.7.2]. Raises ``ValueError`` where s > S, t > T, R < 1, or
    K is not finite.

    >>> rng = np.random.default_rng(0)
    >>> A, G, B = (rng.normal(size=n) for n in ((2, 8, 2), (2, 2, 3, 9), (2, 9, 3)))
    >>> from refnet.methods.als import reconstruct
    >>> K = reconstruct(A, G, B)
    >>> bool(np.allclose(reconstruct(*block_term(K, 2, 2, 3, rng=rng)), K))
    True
    """
    fit = fit_block_term(K, R, s, t, rng=rng, sweeps=sweeps, tol=tol, restarts=restarts)
    return fit.A, fit.G, fit.B


def fit_block_term(
    K: NDArray[Any], R: int, s: int, t: int, *, rng: np.random.Generator, sweeps: int = 500,
    tol: float = 1e-6, restarts: int = 2,
) -> Fit:
    """:func:`block_term` with the errors of its best run."""
    wide = checked("block_term", K)
    if R < 1 or sweeps < 0 or restarts < 0:
        raise ValueError(
            f"block_term: R={R}, sweeps={sweeps}, restarts={restarts}, rule >= 1, >= 0, >= 0"
        )
    check_ranks("block_term", wide, s, t)
    # A power of two: no digit of K is lost, and no square leaves the range.
    unit = float(2.0 ** np.frexp(np.abs(wide).max())[1])
    scaled = wide / unit
    best: Fit | None = None
    for start in (starts.commuting, starts.strided, *(starts.random,) * restarts):
        pair = start(scaled, R, s, t, rng)
        if pair is None:
            continue
        fit = als(scaled, *pair, sweeps=sweeps, tol=tol)
        if best is None or fit.error < best.error:
            best = fit
        if best.error <= 10 * EXACT:
            break
    assert best is not None
    A, G, B = canonical(best.A, best.G, best.B)
    errors = (*best.errors, relative_error(scaled, A, G, B))
    return Fit(A=A, G=unit * G, B=B, errors=errors)


def canonical(A: Reals, G: Reals, B: Reals) -> Factors:
    """The canonical form of factors, with the same reconstruction [6.7.2].

    Blocks in order of falling ||G_r||; A_r and B_r have orthonormal columns, turned so that the
    slices of G_r are orthogonal along both ranks and of falling norm (a HOSVD of each term); the
    entry of largest magnitude in each column, the first of equals, is positive.
    """
    A, G = orthonormal(A, G)
    B, other = orthonormal(B, G.transpose(0, 2, 1, 3))
    A, G = _turned(A, other.transpose(0, 2, 1, 3))
    B, other = _turned(B, G.transpose(0, 2, 1, 3))
    G = other.transpose(0, 2, 1, 3)
    order = np.argsort(-np.linalg.norm(G.reshape(len(G), -1), axis=1), kind="stable")
    return A[order], np.ascontiguousarray(G[order]), B[order]


def _turned(A: Reals, G: Reals) -> tuple[Reals, Reals]:
    """Orthonormal blocks turned by the left singular vectors of the cores; signs are fixed."""
    R, s, t, P = G.shape
    core = G.reshape(R, s, t * P)
    turn = np.linalg.svd(core)[0]
    A = np.matmul(A, turn)
    largest = np.abs(A).argmax(axis=1)
    sign = np.where(np.take_along_axis(A, largest[:, None], axis=1) < 0, -1.0, 1.0)
    core = np.matmul(turn.transpose(0, 2, 1), core) * sign.transpose(0, 2, 1)
    return A * sign, core.reshape(R, s, t, P)
