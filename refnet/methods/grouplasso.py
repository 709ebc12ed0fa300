"""Which blocks of a Tucker-2 core live, learned by a group lasso.

Block-term decomposition fixes the block-diagonal pattern of the core. Here the pattern is found:

    min over U, V orthonormal and G of
        1/2 ||K - G x_1 U x_2 V||^2 + mu sum_ij ||G_ij||_F

where the core G is cut into blocks of (s, t, P). The norm of a block is not squared, so whole
blocks become zero (Yuan and Lin 2006; for networks Wen et al. 2016). It serves as an ablation: a
pattern that is no permutation of a diagonal has no grouped convolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.methods import starts
from refnet.methods.tucker import (
    Reals,
    check_ranks,
    checked,
    leading,
    swapped,
    times,
    tucker,
    unfold,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pattern:
    """What the group lasso found.

    ``U`` (S, n*s), ``G`` (n*s, m*t, P), ``V`` (T, m*t); ``live`` (n, m) says which blocks are not
    zero; ``objectives`` is the objective before and after each sweep; ``error`` is relative, with
    the live blocks refitted.
    """

    U: Reals
    G: Reals
    V: Reals
    live: NDArray[np.bool_]
    objectives: tuple[float, ...]
    error: float

    @property
    def grouped(self) -> bool:
        """Whether the live blocks make a grouped convolution: at most one in each row, column."""
        return bool(self.live.sum(axis=0).max() <= 1 and self.live.sum(axis=1).max() <= 1)


def group_lasso(
    K: NDArray[Any], n: int, m: int, s: int, t: int, *, penalty: float, sweeps: int = 200,
    tol: float = 1e-8, rng: np.random.Generator,
) -> Pattern:
    """The live blocks among n times m of ranks (s, t) of K (S, T, P).

    ``penalty`` is mu as a share of the largest block norm at the start; 0 keeps all blocks, 1
    none. Every step (U, V by Procrustes, G by the proximal step) is the minimum over its variable,
    so the objective never rises; stops after ``sweeps`` or when it falls by less than the share
    ``tol``. Raises ``ValueError`` where n*s > S or m*t > T.
    """
    wide = checked("group_lasso", K)
    if min(n, m) < 1 or not 0 <= penalty <= 1:
        raise ValueError(f"group_lasso: n={n}, m={m}, penalty={penalty}, rule >= 1, >= 1, [0, 1]")
    check_ranks("group_lasso", wide, n * s, m * t)
    U, V = _start(wide, n, m, s, t, rng)
    C = tucker(wide, U.T, V.T)
    mu = penalty * float(_norms(C, s, t).max())
    G = shrunk(C, s, t, mu)
    objectives = [_objective(wide, U, G, V, s, t, mu)]
    for _ in range(sweeps):
        if not G.any():
            break
        U = _procrustes(unfold(wide) @ unfold(swapped(times(swapped(G), V))).T)
        V = _procrustes(unfold(swapped(wide)) @ unfold(swapped(times(G, U))).T)
        C = tucker(wide, U.T, V.T)
        G = shrunk(C, s, t, mu)
        objectives.append(_objective(wide, U, G, V, s, t, mu))
        if objectives[-2] - objectives[-1] <= tol * objectives[-2]:
            break
    live = _norms(G, s, t) > 0
    G = C * np.kron(live, np.ones((s, t)))[..., None]
    norm = float(np.linalg.norm(wide))
    missed = float(np.linalg.norm(wide - tucker(G, U, V)))
    return Pattern(
        U=U, G=G, V=V, live=live, objectives=tuple(objectives), error=missed / norm if norm else 0.0
    )


def shrunk(C: Reals, s: int, t: int, mu: float) -> Reals:
    """The proximal step: every block times max(0, 1 - mu / ||C_ij||_F)."""
    norms = _norms(C, s, t)
    factor = np.where(norms > mu, 1 - mu / np.where(norms > mu, norms, 1.0), 0.0)
    return C * np.kron(factor, np.ones((s, t)))[..., None]


def _norms(G: Reals, s: int, t: int) -> Reals:
    n, m, P = G.shape[0] // s, G.shape[1] // t, G.shape[2]
    blocks = G.reshape(n, s, m, t, P)
    norms: Reals = np.sqrt(np.sum(blocks**2, axis=(1, 3, 4)))
    return norms


def _objective(K: Reals, U: Reals, G: Reals, V: Reals, s: int, t: int, mu: float) -> float:
    missed = float(np.sum((K - tucker(G, U, V)) ** 2))
    return missed / 2 + mu * float(np.sum(_norms(G, s, t)))


def _procrustes(M: Reals) -> Reals:
    """The orthonormal U of largest tr(U^T M)."""
    left, _, right = np.linalg.svd(M, full_matrices=False)
    product: Reals = left @ right
    return product


def _start(
    K: Reals, n: int, m: int, s: int, t: int, rng: np.random.Generator
) -> tuple[Reals, Reals]:
    """Blocks from commuting matrices, made orthonormal together; else HOSVD factors in order."""
    pair = starts.commuting(K, n, s, t, rng) if n == m else None
    if pair is None:
        return leading(K, n * s), leading(swapped(K), m * t)
    A, B = (_procrustes(np.concatenate(list(F), axis=1)) for F in pair)
    return A, B
