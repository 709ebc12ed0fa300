"""Where the alternating least squares of a block-term decomposition begin.

A start is a pair of factors A (R, S, s), B (R, T, t) whose blocks have orthonormal columns.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh, pinvh

from refnet.methods.tucker import Reals, left_singular, swapped, tucker

# The problem of commuting matrices has (R*s)^2 unknowns; beyond this it costs more than it gives.
_LARGEST = 32
_DRAWS = 8


def strided(K: Reals, R: int, s: int, t: int, rng: np.random.Generator) -> tuple[Reals, Reals]:
    """HOSVD factors dealt out in strides: block r has singular vectors r, r + R, r + 2 R, ..."""
    return _dealt(K, R, s, rng), _dealt(swapped(K), R, t, rng)


def _dealt(K: Reals, R: int, s: int, rng: np.random.Generator) -> Reals:
    U = left_singular(K)[0][:, : R * s]
    S, found = U.shape
    if found < R * s:
        # There are not enough singular vectors: random directions stand for the others.
        U = np.hstack([U, rng.standard_normal((S, R * s - found))])
    return np.linalg.qr(U.reshape(S, s, R).transpose(2, 0, 1))[0]


def random(K: Reals, R: int, s: int, t: int, rng: np.random.Generator) -> tuple[Reals, Reals]:
    """Random subspaces."""
    S, T, _ = K.shape
    A, B = rng.standard_normal((R, S, s)), rng.standard_normal((R, T, t))
    return np.linalg.qr(A)[0], np.linalg.qr(B)[0]


def commuting(
    K: Reals, R: int, s: int, t: int, rng: np.random.Generator
) -> tuple[Reals, Reals] | None:
    """The start that finds an exact decomposition without iteration, where one of it is likely.

    If K_p = A G_p B^T for every p, with G_p block-diagonal and A, B square and invertible (after
    projection on the first R*s and R*t singular vectors), then X K_p = K_p Y holds for
    X = A L A^-1, Y = B^-T L' B^T with any L that is a multiple of the identity on each block, and
    for generic K for no others. The R solutions (X, Y) of least squares are found by eigenvectors;
    the eigenspaces of a random one of them are the blocks. None where a total rank exceeds the
    channels, or the problem is large.
    """
    S, T, P = K.shape
    n, m = R * s, R * t
    if R == 1 or n > min(S, _LARGEST, T * P) or m > min(T, S * P):
        return None
    U, V = left_singular(K)[0][:, :n], left_singular(swapped(K))[0][:, :m]
    C = tucker(K, U.T, V.T).transpose(2, 0, 1)
    solutions, D = _commuting_pairs(C, R)
    best, spread = None, -1.0
    for _ in range(_DRAWS):
        X = np.tensordot(rng.standard_normal(R), solutions, 1)
        values = np.linalg.eigvals(X).real
        means = np.sort(values).reshape(R, s).mean(axis=1)
        gap = float(np.diff(means).min() / np.linalg.norm(X))
        if gap > spread:
            best, spread = (X, means), gap
    assert best is not None
    X, means = best
    Y = D @ np.einsum("plm,lk,pkn->mn", C, X, C, optimize=True)
    A = np.stack([U @ _null_space(X - mean * np.eye(n), s) for mean in means])
    B = np.stack([V @ _null_space(Y.T - mean * np.eye(m), t) for mean in means])
    return A, B


def _commuting_pairs(C: Reals, R: int) -> tuple[Reals, Reals]:
    """The R matrices X (R, n, n) of least ||X C_p - C_p Y||, Y eliminated; and (sum C^T C)^-1.

    C (P, n, m). Y = (sum_p C_p^T C_p)^-1 sum_p C_p^T X C_p, and what is left of the squared norm is
    a quadratic form in X.
    """
    P, n, _ = C.shape
    D = pinvh(np.tensordot(C, C, ((0, 1), (0, 1))))
    E = np.einsum("pij,jk,qlk->ilpq", C, D, C, optimize=True).reshape(n * n, P * P)
    F = np.einsum("pij,qlj->pqil", C, C, optimize=True).reshape(P * P, n * n)
    form = -(E @ F).reshape(n, n, n, n).transpose(0, 2, 1, 3)
    form[np.arange(n), :, np.arange(n)] += np.tensordot(C, C, ((0, 2), (0, 2)))
    form = form.reshape(n * n, n * n)
    vectors = eigh(form + form.T, subset_by_index=[0, R - 1])[1]
    return vectors.T.reshape(R, n, n), D


def _null_space(M: Reals, size: int) -> Reals:
    """An orthonormal basis of the ``size`` directions that M shortens most."""
    return np.linalg.svd(M)[2][-size:].T
