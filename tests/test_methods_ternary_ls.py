"""Ternary least squares against brute force, monotone descent, planted solutions."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.methods.ternary_ls import descend, scale_of, ternary_least_squares


def objective(G, s, w):
    bottom = w @ G @ w
    return 0.0 if bottom <= 0 else (s @ w) * abs(s @ w) / bottom


def problem(seed, n, samples):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 4, (n, samples)).astype(float)
    return X, rng.normal(size=samples), rng


@given(seed=st.integers(0, 2**32), n=st.integers(1, 6), sweeps=st.integers(1, 4))
def test_a_sweep_never_lowers_the_objective_of_a_row(seed, n, sweeps):
    X, _, rng = problem(seed, n, 8)
    G = X @ X.T
    S = rng.normal(size=(4, 8)) @ X.T
    W = rng.integers(-1, 2, (4, n)).astype(np.int8)
    now = [objective(G, s, w) for s, w in zip(S, W, strict=True)]
    for _ in range(sweeps):
        W = descend(G, S, W, sweeps=1)
        after = [objective(G, s, w) for s, w in zip(S, W, strict=True)]
        # Coordinates move only for a relative gain of 1e-12, sums of n terms round below that.
        assert all(b >= a - 1e-12 * abs(a) for a, b in zip(now, after, strict=True))
        now = after
    assert set(np.unique(W)) <= {-1, 0, 1}


@given(seed=st.integers(0, 2**32), n=st.integers(1, 5))
def test_the_result_cannot_be_bettered_by_one_weight(seed, n):
    X, z, _ = problem(seed, n, 8)
    w, alpha = ternary_least_squares(X, z)
    G, s = X @ X.T, X @ z
    here = objective(G, s, w.astype(float))
    for j, code in product(range(n), (-1, 0, 1)):
        other = w.astype(float)
        other[j] = code
        assert objective(G, s, other) <= here * (1 + 1e-9) + 1e-12
    assert alpha >= 0


def test_most_small_problems_end_in_the_global_optimum():
    hits = 0
    for seed in range(60):
        X, z, _ = problem(seed, 4, 10)
        w, _ = ternary_least_squares(X, z)
        G, s = X @ X.T, X @ z
        best = max(objective(G, s, np.array(c, float)) for c in product((-1, 0, 1), repeat=4))
        hits += objective(G, s, w.astype(float)) >= best * (1 - 1e-9)
    # Coordinate descent is a local search: 57 of 60 when this was written.
    assert hits >= 50


@given(seed=st.integers(0, 2**32))
def test_a_planted_solution_is_found_again(seed):
    rng = np.random.default_rng(seed)
    w = rng.integers(-1, 2, 12)
    w[0] = 1
    X = rng.normal(size=(12, 60))
    got, alpha = ternary_least_squares(X, 0.37 * (X.T @ w))
    assert got.tolist() == w.tolist()
    # alpha is a quotient of two sums of 12 * 12 terms that are exact to a few units of rounding.
    assert alpha == pytest.approx(0.37, rel=1e-12)


def test_rows_do_not_see_each_other():
    X, _, rng = problem(1, 6, 20)
    G, S = X @ X.T, rng.normal(size=(5, 20)) @ X.T
    start = rng.integers(-1, 2, (5, 6)).astype(np.int8)
    together = descend(G, S, start, sweeps=20)
    for row in range(5):
        alone = descend(G, S[row : row + 1], start[row : row + 1], sweeps=20)
        assert np.array_equal(together[row : row + 1], alone)


def test_degenerate_problems_stay_finite():
    w, alpha = ternary_least_squares(np.zeros((3, 5)), np.ones(5))
    assert alpha == 0.0
    assert w.shape == (3,)
    w, alpha = ternary_least_squares(np.ones((2, 4)), np.zeros(4))
    assert alpha == 0.0
    w, alpha = ternary_least_squares(np.random.default_rng(0).normal(size=(9, 3)), np.ones(3))
    assert np.isfinite(alpha)
    assert scale_of(np.zeros((2, 2)), np.zeros((1, 2)), np.ones((1, 2), np.int8)) == 0.0
    bad = [
        (np.ones((2, 3)), np.ones(2), {}, "rule"),
        (np.ones((2, 3)), np.array([1, np.nan, 1]), {}, "NaN"),
        (np.ones((2, 3)), np.ones(3), {"start": np.ones(3)}, "start"),
    ]
    for X, z, options, message in bad:
        with pytest.raises(ValueError, match=message):
            ternary_least_squares(X, z, **options)
