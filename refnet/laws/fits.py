"""Laws of functions that fit ternary codes to data: one scale for a vector, or a factorization."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.laws.bound import Bound, Broken, call, integral, untouched
from refnet.laws.case import Case, Counterexample
from refnet.laws.elementary import Verdict

Vector = NDArray[np.float64]
Integers = NDArray[np.int64]


def _fit(bound: Bound, w: Vector) -> tuple[NDArray[np.int64], float]:
    assert bound.q.fit is not None
    codes, alpha = untouched(bound.q.fit, "fit", w)
    return integral(codes, w.shape, "fit"), float(alpha)


def _shown(w: Vector, codes: NDArray[np.int64], alpha: float) -> str:
    return f"w = {w.tolist()!s:.120}: codes {codes.tolist()!s:.80}, alpha {alpha!r}"


def fit_ternary(bound: Bound, case: Case) -> Verdict:
    """Codes are -1, 0, 1 with the signs of w, and what is kept is at least as large as what is not.

    Equal magnitudes are kept or dropped together, and alpha is finite and not negative.
    """
    w = case.arrays["w"]
    codes, alpha = _fit(bound, w)
    kept, size = codes != 0, np.abs(w)
    holds = bool(
        np.all(np.abs(codes) <= 1)
        and np.array_equal(codes[kept], np.sign(w[kept]))
        and (not kept.any() or kept.all() or size[kept].min() > size[~kept].max())
        and np.isfinite(alpha) and alpha >= 0
    )
    return w.size if holds else Counterexample(detail=_shown(w, codes, alpha), case=case)


def fit_scale(bound: Bound, case: Case) -> Verdict:
    """fit(2^k w) has the codes of fit(w) and 2^k times its alpha."""
    w, factor = case.arrays["w"], 2.0 ** (case.seed % 41 - 20)
    codes, alpha = _fit(bound, w)
    moved, moved_alpha = _fit(bound, w * factor)
    if np.array_equal(codes, moved) and moved_alpha == alpha * factor:
        return w.size
    detail = f"{_shown(w, codes, alpha)}; times {factor!r}: {moved.tolist()!s:.80}, {moved_alpha!r}"
    return Counterexample(detail=detail, case=case)


def fit_order(bound: Bound, case: Case) -> Verdict:
    """The codes follow a permutation of w and a change of its signs."""
    w = case.arrays["w"]
    codes, alpha = _fit(bound, w)
    order = np.random.default_rng(case.seed).permutation(len(w))
    for moved, right in ((w[order], codes[order]), (w[::-1], codes[::-1]), (-w, -codes)):
        got, _ = _fit(bound, np.ascontiguousarray(moved))
        if not np.array_equal(got, right):
            detail = f"{_shown(w, codes, alpha)}; moved to {moved.tolist()}: {got.tolist()}"
            return Counterexample(detail=detail, case=case)
    return w.size


def fit_mean(bound: Bound, case: Case) -> Verdict:
    """alpha is the mean magnitude of what is kept: the least-squares scale of the codes."""
    w = case.arrays["w"]
    codes, alpha = _fit(bound, w)
    kept = codes != 0
    if not kept.any():
        return 0
    # A sum of n positive binary64 numbers in any order is within (n - 1) 2**-53 of itself,
    # relatively; the quotient adds one rounding, and mean and alpha each have these errors.
    mean = float(np.abs(w[kept]).mean())
    if abs(alpha - mean) <= mean * (2 * kept.sum() + 2) * 2.0**-53:
        return w.size
    return Counterexample(detail=f"{_shown(w, codes, alpha)}, right is {mean!r}", case=case)


def fit_optimal(bound: Bound, case: Case) -> Verdict:
    """No ternary codes have a smaller squared error, tried one by one on short integer vectors."""
    return _against_every(bound, case, lambda gained, sizes: gained > 0, "is better")


def fit_smallest(bound: Bound, case: Case) -> Verdict:
    """Of ternary codes with one squared error those that keep fewest, tried one by one."""
    return _against_every(
        bound, case, lambda gained, sizes: (gained == 0) & (sizes < 0), "keeps less at no cost"
    )


def _against_every(
    bound: Bound, case: Case, beats: Callable[[Integers, Integers], NDArray[np.bool_]], why: str
) -> Verdict:
    """Whether codes beat those of ``fit``, by what they gain over them and keep more than them."""
    w: Vector = np.rint(case.arrays["w"][:7] * 4)
    codes, alpha = _fit(bound, w)
    every = np.array(list(product((-1, 0, 1), repeat=len(w))), dtype=np.int64)
    every = every[every.any(axis=1)]
    along, kept = every @ w.astype(np.int64), np.abs(every).sum(axis=1)
    # The gain of codes c is (w c)^2 / (c c); two of them compare as integers crosswise.
    mine, count = int(codes @ w.astype(np.int64)), int(np.abs(codes).sum())
    found = beats(along**2 * max(count, 1) - mine**2 * kept, kept - count)
    if not found.any():
        return w.size
    best = every[int(np.flatnonzero(found)[0])]
    detail = f"{_shown(w, codes, alpha)}; {best.tolist()} {why}"
    return Counterexample(detail=detail, case=case)


# --- Factorizations X diag(d) Y^T -----------------------------------------------------------------


def _factors(bound: Bound, W: NDArray[Any], rank: int) -> tuple[NDArray[Any], ...]:
    factorize = bound.q.factorize
    assert factorize is not None
    found = untouched(lambda given: factorize(given, rank), "factorize", W)
    X, d, Y = (np.asarray(a) for a in found)
    shapes = (X.shape, d.shape, Y.shape)
    if shapes != ((W.shape[0], rank), (rank,), (W.shape[1], rank)):
        raise Broken(f"factorize: shapes {shapes} of W {W.shape} and k = {rank}")
    return X, d, Y


def factor_ternary(bound: Bound, case: Case) -> Verdict:
    """X and Y hold -1, 0, 1 only, and d is finite and not negative."""
    W = case.arrays["W"]
    X, d, Y = _factors(bound, W, 3)
    holds = np.isin(X, (-1, 0, 1)).all() and np.isin(Y, (-1, 0, 1)).all()
    if holds and np.isfinite(d).all() and (d >= 0).all():
        return W.size
    return Counterexample(detail=f"W = {W.tolist()!s:.150}: a factor has other values", case=case)


def factor_residual(bound: Bound, case: Case) -> Verdict:
    """More terms never leave a larger residual |W - X diag(d) Y^T|."""
    W = case.arrays["W"]
    before = float(np.sum(W**2))
    for rank in range(1, 5):
        X, d, Y = _factors(bound, W, rank)
        after = float(np.sum((W - (X * d) @ Y.T) ** 2))
        # Both sums are rounded; the differences are of the size of W at most.
        if after > before + np.sum(W**2) * 1e-12:
            shown = f"{after!r} with {rank} terms, {before!r} with one less"
            detail = f"W = {W.tolist()!s:.120}: residual {shown}"
            return Counterexample(detail=detail, case=case)
        before = after
    return W.size


def factor_gain(bound: Bound, case: Case) -> Verdict:
    """Each term of a greedy factorization takes d^2 |x|_0 |y|_0 off the squared residual."""
    W = case.arrays["W"]
    X, d, Y = _factors(bound, W, 3)
    residual = W.copy()
    for j in range(3):
        before = float(np.sum(residual**2))
        residual = residual - d[j] * np.outer(X[:, j], Y[:, j])
        gain = float(d[j]) ** 2 * np.count_nonzero(X[:, j]) * np.count_nonzero(Y[:, j])
        if abs(before - float(np.sum(residual**2)) - gain) > np.sum(W**2) * 1e-12:
            detail = f"W = {W.tolist()!s:.150}: term {j} takes another amount than {gain!r}"
            return Counterexample(detail=detail, case=case)
    return W.size


def reconstruct_exact(bound: Bound, case: Case) -> Verdict:
    """Of integers, the product is exact: flipping (x, y) or permuting the terms changes no bit."""
    X, d, Y = (case.arrays[name] for name in ("X", "d", "Y"))
    assert bound.q.reconstruct is not None
    right: NDArray[Any] = (X.astype(np.int64) * d) @ Y.T.astype(np.int64)
    order = np.random.default_rng(case.seed).permutation(len(d))
    ways = ((X, d, Y), (-X, d, -Y), (X[:, order], d[order], Y[:, order]))
    for way in ways:
        got = integral(call(bound.q.reconstruct, *(a.copy() for a in way)), right.shape, "product")
        if not np.array_equal(got, right):
            place = tuple(np.argwhere(got != right)[0])
            detail = f"{len(d)} terms: {got[place]} at {place}, right is {right[place]}"
            return Counterexample(detail=detail, case=case)
    return right.size
