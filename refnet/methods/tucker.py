"""Tucker-2 decomposition of a kernel tensor: low rank in both channel modes, full in space.

    K (S, T, P) ~ G x_1 U x_2 V,   U (S, s), V (T, t) with orthonormal columns, G (s, t, P)

S input channels, T filters, P = kernel height times width. Sources: De Lathauwer, De Moor,
Vandewalle 2000 (HOSVD, HOOI); Kim et al., ICLR 2016 (for convolutions). One block of a block-term
decomposition is a Tucker-2 decomposition.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]


def checked(what: str, K: NDArray[Any]) -> Reals:
    """``K`` as binary64; refuses what is no finite, non-empty (S, T, P)."""
    K = np.asarray(K)
    if K.ndim != 3 or K.dtype.kind not in "fiu" or not K.size:
        raise ValueError(f"{what}: K {K.dtype} {K.shape}, rule real (S, T, P), not empty")
    wide = K.astype(np.float64)
    if not np.isfinite(wide).all():
        raise ValueError(f"{what}: K holds NaN or infinity, rule finite")
    return wide


def check_ranks(what: str, K: Reals, s: int, t: int) -> None:
    """Refuse ranks that the channels of ``K`` do not have."""
    S, T, _ = K.shape
    if not (1 <= s <= S and 1 <= t <= T):
        raise ValueError(f"{what}: K {K.shape}, s={s}, t={t}, rule 1 <= s <= {S}, 1 <= t <= {T}")


def swapped(K: Reals) -> Reals:
    """The tensor with its two channel modes exchanged."""
    return K.transpose(1, 0, 2)


def unfold(K: Reals) -> Reals:
    """The first mode as rows, (S, T*P)."""
    return K.reshape(len(K), -1)


def times(K: Reals, A: Reals) -> Reals:
    """The product K x_1 A of the first mode: A (m, S) -> (m, T, P)."""
    return (A @ unfold(K)).reshape(len(A), *K.shape[1:])


def left_singular(K: Reals) -> tuple[Reals, Reals]:
    """Left singular vectors (S, n) of the first unfolding and its n singular values, descending."""
    U, values, _ = np.linalg.svd(unfold(K), full_matrices=False)
    return U, values


def tucker(G: Reals, U: Reals, V: Reals) -> Reals:
    """The tensor G x_1 U x_2 V, (S, T, P)."""
    return swapped(times(swapped(times(G, U)), V))


def hosvd(K: NDArray[Any], s: int, t: int) -> tuple[Reals, Reals, Reals]:
    """Truncated higher-order SVD: ``(G (s, t, P), U (S, s), V (T, t))``.

    The squared error is at most the sum of the squared singular values that both unfoldings drop.
    """
    wide = checked("hosvd", K)
    check_ranks("hosvd", wide, s, t)
    U, V = leading(wide, s), leading(swapped(wide), t)
    return tucker(wide, U.T, V.T), U, V


def leading(K: Reals, s: int) -> Reals:
    """The first s left singular vectors, filled up to s where the unfolding has fewer columns."""
    U = left_singular(K)[0]
    if U.shape[1] < s:
        U = np.linalg.svd(unfold(K), full_matrices=True)[0]
    return U[:, :s]


def hooi(
    K: NDArray[Any], s: int, t: int, *, sweeps: int = 50, tol: float = 1e-8
) -> tuple[Reals, Reals, Reals]:
    """Higher-order orthogonal iteration from the HOSVD: ``(G, U, V)`` of least error nearby.

    Each step takes for one factor the leading singular vectors of the tensor projected on the
    other, which cannot raise the error. Stops after ``sweeps``, or when the kept energy
    ||G||^2 = ||K||^2 - ||error||^2 grows by less than the share ``tol``.
    """
    wide = checked("hooi", K)
    G, U, V = hosvd(wide, s, t)
    energy = float(np.sum(G**2))
    for _ in range(sweeps):
        U = leading(swapped(times(swapped(wide), V.T)), s)
        V = leading(swapped(times(wide, U.T)), t)
        G = tucker(wide, U.T, V.T)
        before, energy = energy, float(np.sum(G**2))
        if energy - before <= tol * energy:
            break
    return G, U, V
