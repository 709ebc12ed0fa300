"""The solver of block terms: planted recovery, descent, canonical form, degenerate shapes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refnet.methods import als as steps
from refnet.methods import starts
from refnet.methods.als import als, core_step, factor_step, reconstruct, relative_error
from refnet.methods.blockterm import block_term
from refnet.methods.terms import canonical, fit_block_term
from refnet.methods.tucker import hooi, swapped, tucker, unfold


def planted(seed, S=16, T=20, P=9, R=3, s=4, t=5):
    rng = np.random.default_rng(seed)
    A, G, B = (rng.normal(size=n) for n in ((R, S, s), (R, s, t, P), (R, T, t)))
    return reconstruct(A, G, B)


@given(
    S=st.integers(1, 5), T=st.integers(1, 5), P=st.integers(1, 4), R=st.integers(1, 3),
    s=st.integers(1, 4), t=st.integers(1, 4), seed=st.integers(0, 2**32),
)
def test_reconstruction_is_the_sum_over_its_indices(S, T, P, R, s, t, seed):
    rng = np.random.default_rng(seed)
    A, G, B = (rng.integers(-9, 10, n) for n in ((R, S, s), (R, s, t, P), (R, T, t)))
    assert np.array_equal(reconstruct(A, G, B), np.einsum("rai,rijp,rbj->abp", A, G, B))


@pytest.mark.parametrize("seed", range(20))
def test_planted_terms_are_found_to_rounding_from_the_default_start(seed):
    K = planted(seed, S=32, T=48, R=4, s=6, t=8)
    factors = block_term(K, 4, 6, 8, rng=np.random.default_rng(seed))
    assert relative_error(K, *factors) <= 1e-10


def test_alternating_least_squares_alone_recovers_from_the_strided_start():
    K = planted(4, S=32, T=48, R=4, s=6, t=8)
    start = starts.strided(K, 4, 6, 8, np.random.default_rng(0))
    assert als(K, *start, sweeps=500, tol=1e-9).error <= 1e-10


@pytest.mark.parametrize("start", [starts.strided, starts.commuting, starts.random])
def test_the_error_never_rises(start):
    rng = np.random.default_rng(3)
    K = planted(3) + 0.2 * rng.normal(size=(16, 20, 9))
    fit = als(K, *start(K, 3, 4, 5, rng), sweeps=60, tol=0)
    assert len(fit.errors) > 10
    assert np.all(np.diff(fit.errors) < 0)
    assert fit.error == pytest.approx(relative_error(K, fit.A, fit.G, fit.B), rel=1e-12)


@given(seed=st.integers(0, 1000), R=st.integers(1, 4), s=st.integers(1, 3), t=st.integers(1, 4))
@settings(max_examples=30)
def test_each_step_is_the_least_squares_solution(seed, R, s, t):
    """Against the matrix of the problem, formed; where it has full rank."""
    rng = np.random.default_rng(seed)
    K = rng.normal(size=(9, 8, 3))
    A, B = starts.random(K, R, s, t, rng)
    G = core_step(K, A, np.zeros((R, s, t, 3)), B)
    M = np.concatenate(
        [np.kron(a[:, i], b[:, j])[:, None] for a, b in zip(A, B, strict=True)
         for i in range(s) for j in range(t)], axis=1,
    )
    best = np.linalg.lstsq(M, K.reshape(-1, 3), rcond=None)[0]
    least = np.linalg.norm(M @ best - K.reshape(-1, 3))
    # A condition up to 1e4 loses half of the digits in the normal equations, the ridge no more.
    assert np.linalg.norm(reconstruct(A, G, B) - K) <= least + 1e-7
    Z = np.concatenate([unfold(tucker(g, np.eye(s), b)) for g, b in zip(G, B, strict=True)])
    solved = np.linalg.lstsq(Z.T, unfold(K).T, rcond=None)[0]
    least = np.linalg.norm(Z.T @ solved - unfold(K).T)
    assert np.linalg.norm(reconstruct(factor_step(K, A, G, B), G, B) - K) <= least + 1e-7


def test_conjugate_gradients_give_what_factoring_gives(monkeypatch):
    rng = np.random.default_rng(0)
    K = rng.normal(size=(12, 10, 4))
    A, B = starts.random(K, 3, 2, 2, rng)
    start = rng.normal(size=(3, 2, 2, 4))
    factored = core_step(K, A, start, B)
    monkeypatch.setattr(steps, "_DENSE", 0)
    monkeypatch.setattr(steps, "_CG_STEPS", 200)
    # The residual stops at 1e-8 of the right side; the condition of this problem is below 100.
    assert np.allclose(core_step(K, A, start, B), factored, atol=1e-5)
    fit = als(K, A, B, sweeps=20, tol=0)
    assert np.all(np.diff(fit.errors) < 0)


def test_one_block_is_tucker_and_never_worse_than_higher_order_iteration():
    K = np.random.default_rng(5).normal(size=(10, 12, 9))
    G, U, V = hooi(K, 4, 5, sweeps=200, tol=1e-12)
    fit = fit_block_term(K, 1, 4, 5, rng=np.random.default_rng(0), tol=1e-12)
    best = np.linalg.norm(K - tucker(G, U, V)) / np.linalg.norm(K)
    # Both stop at a fall of 1e-12; near the optimum the error is flat to its square root.
    assert fit.error <= best * (1 + 1e-5)


def test_rank_one_terms_are_the_cp_like_form():
    K = planted(2, R=4, s=1, t=1)
    A, G, B = block_term(K, 4, 1, 1, rng=np.random.default_rng(2))
    assert (A.shape, G.shape, B.shape) == ((4, 16, 1), (4, 1, 1, 9), (4, 20, 1))
    assert relative_error(K, A, G, B) <= 1e-10


def test_canonical_form_is_one_for_all_gauges():
    rng = np.random.default_rng(0)
    A, G, B = (rng.normal(size=n) for n in ((3, 9, 2), (3, 2, 4, 5), (3, 8, 4)))
    C, H, D = canonical(A, G, B)
    # Orthonormal factors: a reconstruction of norm some 50 is off by some eps of it.
    assert np.allclose(reconstruct(C, H, D), reconstruct(A, G, B), atol=1e-11)
    for F in (C, D):
        assert np.allclose(F.transpose(0, 2, 1) @ F, np.eye(F.shape[2]), atol=1e-12)
        rows = np.abs(F).argmax(axis=1)[:, None]
        assert np.all(np.take_along_axis(F, rows, axis=1) > 0)
    for core in (H, H.transpose(0, 2, 1, 3)):
        flat = core.reshape(3, core.shape[1], -1)
        gram = flat @ flat.transpose(0, 2, 1)
        norms = np.diagonal(gram, axis1=1, axis2=2)
        assert np.all(np.diff(norms, axis=1) <= 1e-11 * norms.max())
        assert np.allclose(gram, norms[:, :, None] * np.eye(core.shape[1]), atol=1e-10)
    assert np.all(np.diff(np.linalg.norm(H.reshape(3, -1), axis=1)) < 0)
    M, order = rng.normal(size=(3, 2, 2)), [2, 0, 1]
    other = canonical(
        (A @ M)[order], np.einsum("rij,rjkp->rikp", np.linalg.inv(M), G)[order], B[order]
    )
    for mine, its in zip((C, H, D), other, strict=True):
        assert np.allclose(mine, its, atol=1e-9)


@pytest.mark.parametrize(
    ("shape", "R", "s", "t"),
    [((1, 1, 1), 1, 1, 1), ((1, 6, 9), 2, 1, 3), ((6, 1, 9), 3, 2, 1), ((6, 5, 1), 1, 3, 3),
     ((6, 5, 1), 2, 2, 2), ((4, 5, 9), 4, 3, 3), ((5, 4, 2), 1, 5, 4), ((8, 2, 1), 1, 5, 1)],
)  # fmt: skip
def test_degenerate_shapes(shape, R, s, t):
    rng = np.random.default_rng(0)
    for K in (rng.normal(size=shape), np.zeros(shape), np.ones(shape)):
        A, G, B = block_term(K, R, s, t, rng=rng, sweeps=50)
        assert (A.shape, G.shape, B.shape) == (
            (R, shape[0], s), (R, s, t, shape[2]), (R, shape[1], t)
        )
        assert relative_error(K, A, G, B) <= 1
        assert G.any() or not K.any()


def test_more_rank_never_hurts_and_full_rank_is_exact():
    K = np.random.default_rng(1).normal(size=(6, 7, 9))
    for grown in (((1, 2), (1, 4), (1, 6)), ((1, 2), (2, 2), (3, 2))):
        errors = [
            fit_block_term(K, R, s, s, rng=np.random.default_rng(0), restarts=0).error
            for R, s in grown
        ]
        assert errors == sorted(errors, reverse=True)
    assert fit_block_term(K, 1, 6, 7, rng=np.random.default_rng(0)).error <= 1e-12


@pytest.mark.parametrize("scale", [1e-150, 1e-30, 1e30, 1e150])
def test_units_play_no_part(scale):
    K = planted(7)
    small = block_term(scale * K, 3, 4, 5, rng=np.random.default_rng(1))
    assert relative_error(K, small[0], small[1] / scale, small[2]) <= 1e-10


def test_same_seed_same_bytes_and_the_kernel_is_untouched():
    K = np.random.default_rng(0).normal(size=(8, 7, 4))
    before = K.copy()
    one, two = (block_term(K, 2, 3, 3, rng=np.random.default_rng(9), sweeps=20) for _ in range(2))
    assert [f.tobytes() for f in one] == [f.tobytes() for f in two]
    assert np.array_equal(K, before)
    single = block_term(K.astype(np.float32), 2, 3, 3, rng=np.random.default_rng(9), sweeps=1)
    assert single[1].dtype == np.float64


@pytest.mark.parametrize(
    ("K", "R", "s", "t", "message"),
    [
        (np.ones((4, 5, 9)), 2, 6, 3, "s=6, t=3, rule 1 <= s <= 4"),
        (np.ones((4, 5, 9)), 2, 3, 6, "1 <= t <= 5"),
        (np.ones((4, 5, 9)), 0, 3, 3, "R=0"),
        (np.full((4, 5, 9), np.nan), 1, 1, 1, "NaN or infinity"),
        (np.ones((4, 5, 3, 3)), 1, 1, 1, r"\(S, T, P\)"),
    ],
)
def test_bad_input_is_refused_by_name(K, R, s, t, message):
    with pytest.raises(ValueError, match=message):
        block_term(K, R, s, t, rng=np.random.default_rng(0))


def test_commuting_start_declines_where_it_has_no_case():
    rng = np.random.default_rng(0)
    for shape, R, s, t in (((8, 8, 9), 1, 3, 3), ((8, 8, 9), 3, 3, 2), ((8, 8, 1), 2, 2, 6)):
        assert starts.commuting(rng.normal(size=shape), R, s, t, rng) is None
    K = planted(0)
    A, B = starts.commuting(K, 3, 4, 5, rng)
    G = core_step(K, A, np.zeros((3, 4, 5, 9)), B)
    assert relative_error(K, A, G, B) <= 1e-8
    assert relative_error(swapped(K), B, G.transpose(0, 2, 1, 3), A) <= 1e-8
