"""Tucker-2, empirical variational Bayes, and the group lasso on its core."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from refnet.methods.als import reconstruct
from refnet.methods.grouplasso import group_lasso, shrunk
from refnet.methods.ranks import energy_ranks
from refnet.methods.tucker import hooi, hosvd, left_singular, swapped, tucker
from refnet.methods.vbmf import _threshold as threshold
from refnet.methods.vbmf import evbmf, vbmf_ranks

sizes = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4))


@given(shape=sizes, ranks=st.tuples(st.integers(1, 6), st.integers(1, 6)), seed=st.integers(0, 99))
def test_hosvd_keeps_its_error_bound_and_hooi_is_no_worse(shape, ranks, seed):
    K = np.random.default_rng(seed).normal(size=shape)
    s, t = min(ranks[0], shape[0]), min(ranks[1], shape[1])
    norm = np.linalg.norm(K)
    dropped = sum(
        np.sum(left_singular(X)[1][k:] ** 2) for X, k in ((K, s), (swapped(K), t))
    )
    errors = []
    for G, U, V in (hosvd(K, s, t), hooi(K, s, t)):
        assert G.shape == (s, t, shape[2])
        # A product of two orthonormal factors is off by some eps times the norm.
        assert np.allclose(U.T @ U, np.eye(s), atol=1e-12)
        assert np.allclose(V.T @ V, np.eye(t), atol=1e-12)
        errors.append(np.sum((K - tucker(G, U, V)) ** 2))
    slack = 1e-12 * norm**2
    assert errors[0] <= dropped + slack
    assert errors[1] <= errors[0] + slack


def test_higher_order_iteration_ends_where_neither_factor_can_be_bettered():
    K = np.random.default_rng(2).normal(size=(9, 8, 5))
    G, U, V = hooi(K, 3, 4, sweeps=500, tol=1e-14)
    energy = np.sum(G**2)
    sides = ((tucker(K, np.eye(9), V.T), 3), (swapped(tucker(K, U.T, np.eye(8))), 4))
    for projected, rank in sides:
        best = np.sum(left_singular(projected)[1][:rank] ** 2)
        # The last sweep gained less than 1e-14 of the energy; before it, at a linear rate, more.
        assert energy == pytest.approx(best, rel=1e-9)
    assert energy > 1.01 * np.sum(hosvd(K, 3, 4)[0] ** 2)


def test_the_fitted_threshold_of_variational_bayes_is_the_root_it_stands_for():
    """tau with phi(tau) + phi(tau / a) = 0, phi(z) = log(z + 1) / z - 1/2 (corollary 1)."""
    def phi(z):
        return math.log(z + 1) / z - 0.5

    for ratio, accuracy in ((1.0, 1e-4), (0.3, 0.02), (0.05, 0.05)):
        tau = brentq(lambda t, a=ratio: phi(t) + phi(t / a), 1e-6, 10)
        exact = (1 + tau) * (1 + ratio / tau)
        assert threshold(ratio) == pytest.approx(exact, rel=accuracy)


def test_full_ranks_are_exact_and_a_planted_tensor_is_found():
    rng = np.random.default_rng(0)
    K = tucker(rng.normal(size=(3, 2, 9)), rng.normal(size=(7, 3)), rng.normal(size=(8, 2)))
    for s, t in ((3, 2), (7, 8)):
        assert np.allclose(tucker(*hosvd(K, s, t)), K, atol=1e-12)
    assert energy_ranks(K, 1 - 1e-12) == (3, 2)
    assert energy_ranks(K, 1e-9) == (1, 1)


def test_more_rows_than_columns_still_give_orthonormal_factors():
    G, U, V = hosvd(np.ones((6, 2, 1)), 5, 1)
    assert np.allclose(U.T @ U, np.eye(5), atol=1e-12)
    assert np.allclose(tucker(G, U, V), 1, atol=1e-12)


@pytest.mark.parametrize(
    ("K", "s", "t", "message"),
    [
        (np.zeros((2, 3)), 1, 1, r"rule real \(S, T, P\)"),
        (np.zeros((0, 3, 1)), 1, 1, "not empty"),
        (np.full((2, 3, 1), np.inf), 1, 1, "NaN or infinity"),
        (np.ones((2, 3, 1)), 3, 1, "1 <= s <= 2"),
        (np.ones((2, 3, 1)), 1, 0, "1 <= t <= 3"),
        (np.ones((2, 3, 1), dtype=complex), 1, 1, "rule real"),
    ],
)
def test_bad_kernels_and_ranks_are_refused(K, s, t, message):
    with pytest.raises(ValueError, match=message):
        hosvd(K, s, t)
    with pytest.raises(ValueError, match=message):
        hooi(K, s, t)


def test_variational_bayes_finds_rank_and_noise_of_a_planted_matrix():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        L, M, rank, sigma = 60, 200, 7, 0.3
        Y = rng.normal(size=(L, rank)) @ rng.normal(size=(rank, M))
        values, variance = evbmf(Y + sigma * rng.normal(size=Y.shape))
        assert len(values) == rank
        # The variance of a sample of 12,000 has a standard error of 1.3 %.
        assert variance == pytest.approx(sigma**2, rel=0.05)
        assert len(evbmf((Y + sigma * rng.normal(size=Y.shape)).T)[0]) == rank


def test_variational_bayes_does_not_depend_on_units_and_knows_pure_noise():
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(40, 90))
    assert len(evbmf(noise)[0]) == 0
    Y = 5 * np.outer(rng.normal(size=40), rng.normal(size=90)) + noise
    one, small = evbmf(Y), evbmf(1e-9 * Y)
    assert len(one[0]) == len(small[0]) == 1
    assert 1e9 * small[0] == pytest.approx(one[0], rel=1e-6)
    assert len(evbmf(Y, noise=1.0)[0]) == 1
    assert evbmf(np.zeros((3, 4))) == (pytest.approx(np.zeros(0)), 0.0)
    assert len(evbmf(np.outer(np.ones(3), np.ones(5)))[0]) == 1
    K = np.repeat(Y[:, :, None], 2, axis=2)
    assert vbmf_ranks(K)[0] >= 1
    with pytest.raises(ValueError, match="finite"):
        evbmf(np.full((2, 2), np.nan))


def orthogonal_terms(rng, R=3, s=2, t=3, noise=0.0):
    A = np.linalg.qr(rng.normal(size=(8, R * s)))[0].reshape(8, R, s).transpose(1, 0, 2)
    B = np.linalg.qr(rng.normal(size=(12, R * t)))[0].reshape(12, R, t).transpose(1, 0, 2)
    K = reconstruct(A, rng.normal(size=(R, s, t, 9)), B)
    return K + noise * np.std(K) * rng.normal(size=K.shape)


@pytest.mark.parametrize("seed", range(4))
def test_group_lasso_learns_the_blocks_that_were_planted(seed):
    rng = np.random.default_rng(seed)
    found = group_lasso(orthogonal_terms(rng, noise=0.05), 3, 3, 2, 3, penalty=0.1, rng=rng)
    assert found.grouped
    assert found.live.sum() == 3
    assert found.error < 0.06
    assert np.all(np.diff(found.objectives) <= 1e-12 * found.objectives[0])


@given(penalty=st.sampled_from([0.0, 0.3, 0.9, 1.0]), seed=st.integers(0, 50))
@settings(max_examples=30)
def test_group_lasso_objective_never_rises(penalty, seed):
    rng = np.random.default_rng(seed)
    K = rng.normal(size=(7, 6, 4))
    found = group_lasso(K, 3, 2, 2, 3, penalty=penalty, sweeps=20, rng=rng)
    assert np.all(np.diff(found.objectives) <= 1e-12 * found.objectives[0])
    assert found.live.all() or penalty > 0
    assert found.live.any() or penalty > 0.5
    assert 0 <= found.error <= 1 + 1e-12


def test_proximal_step_is_the_minimum():
    """Against a fine line search along the block, on which the minimum must lie."""
    rng = np.random.default_rng(0)
    C = rng.normal(size=(2, 3, 2))
    for mu in (0.1, 1.0, 10.0):
        best = min(
            np.sum((C - a * C) ** 2) / 2 + mu * a * np.linalg.norm(C)
            for a in np.linspace(0, 1, 2001)
        )
        G = shrunk(C, 2, 3, mu)
        assert np.sum((C - G) ** 2) / 2 + mu * np.linalg.norm(G) <= best + 1e-12


def test_group_lasso_refuses_by_name_and_takes_zeros():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"penalty=2"):
        group_lasso(np.ones((4, 4, 1)), 2, 2, 1, 1, penalty=2, rng=rng)
    with pytest.raises(ValueError, match="1 <= s <= 4"):
        group_lasso(np.ones((4, 4, 1)), 3, 2, 2, 1, penalty=0.1, rng=rng)
    assert group_lasso(np.zeros((4, 4, 2)), 2, 2, 2, 2, penalty=0.5, rng=rng).error == 0
