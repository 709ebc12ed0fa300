"""Block-term decomposition by alternating least squares.

A kernel tensor as a sum of R terms of low multilinear rank (De Lathauwer 2008; for convolutions
Wang et al., ACM MM 2016):

    min over A_r, G_r, B_r of ||K - sum_r G_r x_1 A_r x_2 B_r||^2
    K (S, T, P), A (R, S, s), G (R, s, t, P), B (R, T, t)

Each factor with the other two fixed is a linear least-squares problem; the R blocks of a factor
are solved jointly. After A or B is solved, a QR decomposition makes each block orthonormal and
hands the triangle to G: A_r M, G_r x_1 M^-1 is the same term, and without a gauge ALS may run off
in scale. The ridge pulls towards the present factor (a proximal step), not towards zero, so no
step raises the error and an exact decomposition stays exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from refnet.methods.tucker import Reals, swapped, unfold

Factors = tuple[Reals, Reals, Reals]

# Up to this many unknowns a slice the normal matrix of the core is factored, beyond it is only
# applied (conjugate gradients).
_DENSE = 1200
# The core of the last sweep is a good start, so a few steps do.
_CG_STEPS = 10
_CG_TOL = 1e-6
# An error this small is rounding.
EXACT = 1e-13


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """Factors and the relative error ||K - K'|| / ||K|| before and after each sweep."""

    A: Reals
    G: Reals
    B: Reals
    errors: tuple[float, ...]

    @property
    def error(self) -> float:
        """The relative error of the factors."""
        return self.errors[-1]


def reconstruct(A: NDArray[Any], G: NDArray[Any], B: NDArray[Any]) -> NDArray[Any]:
    """The tensor sum_r G_r x_1 A_r x_2 B_r (S, T, P); exact on integers [6.7.1].

    >>> A, B = np.array([[[1], [0]], [[0], [1]]]), np.array([[[1]], [[2]]])
    >>> reconstruct(A, np.array([[[[3]]], [[[5]]]]), B)[:, :, 0].tolist()
    [[3], [10]]
    """
    R, S, s = A.shape
    t, P = G.shape[2:]
    left = np.matmul(A, G.reshape(R, s, t * P)).reshape(R, S, t, P)
    left = left.transpose(3, 1, 0, 2).reshape(P, S, R * t)
    right = B.transpose(0, 2, 1).reshape(R * t, -1)
    return np.ascontiguousarray(np.matmul(left, right).transpose(1, 2, 0))


def als(K: Reals, A: Reals, B: Reals, *, sweeps: int, tol: float) -> Fit:
    """Sweeps A, B, G from a start whose blocks ``A`` and ``B`` have orthonormal columns.

    The first G is the least-squares one. Stops after ``sweeps``, when a sweep lowers the error by
    less than the share ``tol``, or when the error is rounding.
    """
    norm = float(np.linalg.norm(K))
    G = core_step(K, A, np.zeros((*A.shape[::2], B.shape[2], K.shape[2])), B)
    errors = [relative_error(K, A, G, B, norm)]
    for _ in range(sweeps):
        new = sweep(K, A, G, B)
        error = relative_error(K, *new, norm)
        # Close to the solution only rounding can raise the error; the better factors stay.
        if error >= errors[-1]:
            break
        A, G, B = new
        errors.append(error)
        if error <= EXACT or errors[-2] - error <= tol * error:
            break
    return Fit(A=A, G=G, B=B, errors=tuple(errors))


def relative_error(K: Reals, A: Reals, G: Reals, B: Reals, norm: float | None = None) -> float:
    """||K - K'|| / ||K||; 0 for a zero K and zero K'."""
    miss = float(np.linalg.norm(K - reconstruct(A, G, B)))
    norm = float(np.linalg.norm(K)) if norm is None else norm
    return miss / norm if norm else miss


def sweep(K: Reals, A: Reals, G: Reals, B: Reals) -> tuple[Reals, Reals, Reals]:
    """One round: A, then B, then G."""
    A, G = orthonormal(factor_step(K, A, G, B), G)
    turned = G.transpose(0, 2, 1, 3)
    B, turned = orthonormal(factor_step(swapped(K), B, turned, A), turned)
    return A, core_step(K, A, turned.transpose(0, 2, 1, 3), B), B


def factor_step(K: Reals, A: Reals, G: Reals, B: Reals) -> Reals:
    """All A_r jointly: A Z = K_(1) with Z (R*s, T*P) the stack of the unfolded G_r x_2 B_r."""
    R, S, s = A.shape
    Z = np.matmul(B[:, None], G).reshape(R * s, -1)
    now = A.transpose(0, 2, 1).reshape(R * s, S)
    solved = _ridge_solve(Z @ Z.T, Z @ unfold(K).T, now)
    return solved.reshape(R, s, S).transpose(0, 2, 1)


def orthonormal(A: Reals, G: Reals) -> tuple[Reals, Reals]:
    """The gauge: A_r = Q_r U_r becomes Q_r, and G_r becomes G_r x_1 U_r."""
    R, s, t, P = G.shape
    Q, U = np.linalg.qr(A)
    return Q, np.matmul(U, G.reshape(R, s, t * P)).reshape(R, s, t, P)


def core_step(K: Reals, A: Reals, G: Reals, B: Reals) -> Reals:
    """All G_r jointly, the same problem for every p.

    The normal matrix has the blocks (A_r^T A_q) kron (B_r^T B_q); the matrix of the problem, with
    S*T rows, is never formed.
    """
    R, s, t, P = G.shape
    right = np.matmul(B.transpose(0, 2, 1)[:, None], np.tensordot(A, K, (1, 0)))
    a, b = _grams(A), _grams(B)
    if R * s * t > _DENSE:
        return _core_by_gradients(a, b, right, G)
    # (r, i, q, k) and (r, j, q, l) -> rows (r, i, j), columns (q, k, l)
    normal = a[:, :, None, :, :, None] * b[:, None, :, :, None, :]
    size = R * s * t
    solved = _ridge_solve(
        normal.reshape(size, size), right.reshape(size, P), G.reshape(size, P)
    )
    return solved.reshape(R, s, t, P)


def _grams(A: Reals) -> Reals:
    """The products A_r^T A_q as (R, s, R, s)."""
    R, S, s = A.shape
    flat = A.transpose(1, 0, 2).reshape(S, R * s)
    return (flat.T @ flat).reshape(R, s, R, s)


def _ridge_solve(normal: Reals, right: Reals, now: Reals) -> Reals:
    """x of least |M x - y|^2 + ridge |x - now|^2, from M^T M and M^T y.

    The ridge is what rounding may take from the smallest eigenvalue, n eps ||M^T M||.
    """
    ridge = len(normal) * np.finfo(float).eps * float(np.linalg.norm(normal))
    shifted = normal + (ridge + np.finfo(float).tiny) * np.eye(len(normal))
    # The difference from the present factor is solved for: its rounding is relative to the step.
    step: Reals = cho_solve(cho_factor(shifted), right - normal @ now)
    return now + step


def _core_by_gradients(a: Reals, b: Reals, right: Reals, G: Reals) -> Reals:
    """Conjugate gradients on the normal equations from the present core: no step raises the error.

    The diagonal blocks of the normal matrix are the identity (the gauge), so none is preconditioned
    by more.
    """
    residual = right - _apply_normal(a, b, G)
    direction, power = residual, float(np.sum(residual**2))
    enough = _CG_TOL**2 * float(np.sum(right**2))
    for _ in range(_CG_STEPS):
        if power <= enough:
            break
        image = _apply_normal(a, b, direction)
        curvature = float(np.sum(direction * image))
        if not curvature > 0:
            break
        G = G + (power / curvature) * direction
        residual = residual - (power / curvature) * image
        before, power = power, float(np.sum(residual**2))
        direction = residual + (power / before) * direction
    return G


def _apply_normal(a: Reals, b: Reals, G: Reals) -> Reals:
    """sum_q (A_r^T A_q) G_q (B_q^T B_r) for every r."""
    R, s, t, P = G.shape
    left = np.matmul(a.reshape(R * s, R, s).transpose(1, 0, 2), G.reshape(R, s, t * P))
    left = left.reshape(R, R, s, t, P).transpose(1, 2, 4, 0, 3).reshape(R, s * P, R * t)
    both = np.matmul(left, b.reshape(R, t, R * t).transpose(0, 2, 1))
    image: Reals = both.reshape(R, s, P, t).transpose(0, 1, 3, 2)
    return image
