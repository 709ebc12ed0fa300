"""The rank of a noisy matrix by empirical variational Bayes matrix factorization.

Source: Nakajima, Sugiyama, Babacan, Tomioka, JMLR 14 (2013): the global solution in closed form
(theorem 2, corollaries 1 and 2). Kim et al. (ICLR 2016) choose the ranks of Tucker-2 by it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from refnet.methods.tucker import Reals, checked, swapped, unfold


def evbmf(Y: NDArray[Any], noise: float | None = None) -> tuple[Reals, float]:
    """Singular values that the posterior mean keeps, shrunk, and the noise variance.

    ``Y`` (L, M) in either orientation; ``noise`` is the variance of an element, by default the one
    of least free energy. The number of values is the estimated rank; 0 for a zero matrix.
    """
    Y = np.asarray(Y, dtype=np.float64)
    if Y.ndim != 2 or not Y.size or not np.isfinite(Y).all():
        raise ValueError(f"evbmf: Y {Y.shape}, rule finite (L, M), not empty")
    L, M = sorted(Y.shape)
    values = np.linalg.svd(Y, compute_uv=False)
    if values[0] == 0:
        return np.zeros(0), 0.0
    # The scale is taken out: a tiny kernel must not meet the absolute tolerance of the search.
    unit = float(values[0])
    variance = _least_free_energy(values / unit, L, M) if noise is None else noise / unit**2
    scaled = values / unit
    kept = scaled[scaled > math.sqrt(M * variance * _threshold(L / M))]
    share = 1 - (L + M) * variance / kept**2
    inner = np.maximum(share**2 - 4 * L * M * variance**2 / kept**4, 0)
    return unit * kept / 2 * (share + np.sqrt(inner)), unit**2 * variance


def _threshold(ratio: float) -> float:
    """x underbar of corollary 1, from the fitted tau underbar = 2.5129 sqrt(L / M)."""
    tau = 2.5129 * math.sqrt(ratio)
    return (1 + tau) * (1 + ratio / tau)


def _least_free_energy(values: Reals, L: int, M: int) -> float:
    """The noise variance between the bounds of corollary 2 whose free energy is least."""
    ratio, threshold = L / M, _threshold(L / M)
    first = min(math.ceil(L / (1 + ratio)) - 1, L) - 1
    tail = values[min(first + 1, L - 1) :]
    upper = float(np.sum(values**2)) / (L * M)
    lower = max(float(tail[0] ** 2) / (M * threshold), float(np.mean(tail**2)) / M)
    # Without noise the bound is zero, and the free energy has no minimum above it.
    lower = max(lower, 1e-16 * upper)
    if lower >= upper:
        return upper
    found = minimize_scalar(
        lambda log: _free_energy(math.exp(log), values, M, ratio, threshold),
        bounds=(math.log(lower), math.log(upper)), method="bounded",
    )
    return float(math.exp(found.x))


def _free_energy(
    variance: float, values: Reals, M: int, ratio: float, threshold: float
) -> float:
    """The free energy of theorem 2 up to constants, as a function of the noise variance."""
    x = np.maximum(values**2 / (M * variance), np.finfo(float).tiny)
    signal, rest = x[x > threshold], x[x <= threshold]
    excess = signal - (1 + ratio)
    tau = (excess + np.sqrt(np.maximum(excess**2 - 4 * ratio, 0))) / 2
    return float(
        np.sum(rest - np.log(rest)) + np.sum(signal - tau)
        + np.sum(np.log((tau + 1) / signal)) + ratio * np.sum(np.log(tau / ratio + 1))
    )


def vbmf_ranks(K: NDArray[Any]) -> tuple[int, int]:
    """Ranks (s, t), at least 1, of both unfoldings of K (S, T, P), as Kim et al. choose them."""
    wide = checked("vbmf_ranks", K)
    s, t = (len(evbmf(unfold(X))[0]) for X in (wide, swapped(wide)))
    return max(1, s), max(1, t)
