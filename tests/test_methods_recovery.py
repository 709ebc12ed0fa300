"""Recovery keeps the codes and lowers the error; response reconstruction against its definition."""

from itertools import pairwise
from itertools import product as every

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from refnet.methods import sdd_loops as loops
from refnet.methods.sdd import product, relative_error, semidiscrete
from refnet.methods.sdd_recovery import MARGIN, descend_box, recover
from refnet.methods.sdd_response import reconstruct, response_error
from refnet.quant.ternary import optimal_ternary

matrices = st.tuples(st.integers(1, 6), st.integers(1, 7)).flatmap(
    lambda s: arrays(np.float64, s, elements=st.floats(-8, 8, allow_subnormal=False, width=32))
)


def left(W, X_hat, d, Y_hat):
    return float(np.linalg.norm(W - product(X_hat, d, Y_hat)))


# --- recovery -----------------------------------------------------------------------------------


@given(matrices, st.integers(1, 5))
def test_codes_never_change_and_the_error_never_rises(W, k):
    X, d, Y = semidiscrete(W, k)
    errors = [left(W, X, d, Y)]
    for sweeps in range(1, 6):
        X_hat, Y_hat = recover(W, X, d, Y, sweeps=sweeps)
        # Also as binary32, the dtype of latents in a layer.
        for latent, codes in ((X_hat, X), (Y_hat, Y)):
            assert np.array_equal(np.rint(latent.astype(np.float32)), codes)
            assert np.abs(latent).max() <= 1.5 - MARGIN
        errors.append(left(W, X_hat, d, Y_hat))
    slack = 1e-12 * (np.linalg.norm(W) + 1e-300)
    assert all(b <= a + slack for a, b in pairwise(errors))


@pytest.mark.parametrize(
    ("m", "n", "k", "most"), [(64, 576, 64, 0.09), (128, 128, 128, 0.005)]
)
def test_latents_nearly_give_a_normal_matrix_back(m, n, k, most):
    W = np.random.default_rng(0).normal(size=(m, n))
    X, d, Y = semidiscrete(W, k)
    assert relative_error(W, X, d, Y) > 0.2
    X_hat, Y_hat = recover(W, X, d, Y)
    assert left(W, X_hat, d, Y_hat) / np.linalg.norm(W) <= most


def test_a_pass_is_the_plain_one_column_after_the_other():
    rng = np.random.default_rng(2)
    codes, B = rng.integers(-1, 2, (7, 5)).astype(float), rng.normal(size=(9, 5))
    W, H = rng.normal(size=(7, 9)), B.T @ B
    fast, plain = codes.copy(), codes.copy()
    slope = plain @ H - W @ B
    descend_box(H, slope.copy(), fast, codes - 0.4, codes + 0.4)
    for j in range(5):
        new = np.clip(plain[:, j] - slope[:, j] / H[j, j], codes[:, j] - 0.4, codes[:, j] + 0.4)
        slope += np.outer(new - plain[:, j], H[j])
        plain[:, j] = new
    assert np.array_equal(fast, plain)


def test_dead_components_and_zero_matrices_stay():
    X, d, Y = semidiscrete(np.zeros((3, 4)), 2)
    assert not recover(np.zeros((3, 4)), X, d, Y)[0].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"W": np.ones((2, 2))}, "rule"),
        ({"d": np.ones(2)}, "rule"),
        ({"W": np.full((2, 3), np.nan)}, "NaN"),
        ({"sweeps": -1}, "sweeps=-1"),
        ({"margin": 0.5}, "margin=0.5"),
    ],
)
def test_bad_input_is_refused(change, message):
    good = {"W": np.ones((2, 3)), "X": np.ones((2, 1), np.int8), "d": np.ones(1),
            "Y": np.ones((3, 1), np.int8)}
    with pytest.raises(ValueError, match=message):
        recover(**{**good, **change})


# --- response reconstruction --------------------------------------------------------------------


def problem(seed, m, n, N, k):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, n)) @ rng.normal(size=(n, N)) + rng.normal(size=(n, 1))
    W = rng.normal(size=(m, n))
    return W, A, W @ A, W @ A @ A.T, A @ A.T


def error_of(Z, A, X, d, Y):
    return float(np.sum((Z - product(X, d, Y) @ A) ** 2))


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 6), st.integers(1, 9),
       st.integers(1, 4))
def test_the_response_error_never_rises_and_is_the_one_of_the_definition(seed, m, n, N, k):
    W, A, Z, S, G = problem(seed, m, n, N, k)
    X, d, Y = semidiscrete(W, k)
    power = float(np.sum(Z**2))
    errors = [error_of(Z, A, X, d, Y)]
    for sweeps in range(1, 5):
        found = reconstruct(S, G, X, d, Y, sweeps=sweeps)
        errors.append(error_of(Z, A, *found))
        assert np.isclose(response_error(S, G, power, *found), errors[-1] / power, atol=1e-9)
        assert np.all(found[1] >= 0)
        assert set(np.unique(found[0])) | set(np.unique(found[2])) <= {-1, 0, 1}
    # M is kept up to date in the metric G, whose condition enters the rounding.
    assert all(b <= a + 1e-9 * power for a, b in pairwise(errors))


def plain_sweep(Z, A, X, d, Y):
    """One sweep in the words of the paper, on the responses themselves."""
    for i in range(len(d)):
        E = Z - product(np.delete(X, i, 1), np.delete(d, i), np.delete(Y, i, 1)) @ A
        X[:, i] = optimal_ternary(E @ (Y[:, i] @ A))[0]
        x, y = X[:, i], Y[:, i]
        d[i] = x @ E @ (y @ A) / (x @ x * np.sum((y @ A) ** 2))
        for j in range(len(y)):
            costs = []
            for code in (-1, 0, 1):
                y[j] = code
                costs.append(np.sum((E - d[i] * np.outer(x, y @ A)) ** 2))
            y[j] = np.argmin(costs) - 1
        d[i] = x @ E @ (y @ A) / (x @ x * np.sum((y @ A) ** 2))


@pytest.mark.parametrize("seed", range(5))
def test_a_sweep_is_the_one_of_the_paper(seed):
    W, A, Z, S, G = problem(seed, 5, 7, 30, 3)
    X, d, Y = semidiscrete(W, 3)
    found = reconstruct(S, G, X, d, Y, sweeps=2)
    for _ in range(2):
        plain_sweep(Z, A, X, d, Y)
    assert np.array_equal(found[0], X)
    assert np.array_equal(found[2], Y)
    assert np.allclose(found[1], d, rtol=1e-8)


def test_one_component_ends_where_no_single_step_helps():
    _, A, Z, S, G = problem(1, 3, 4, 20, 1)
    X, d, Y = reconstruct(S, G, *semidiscrete(S, 1), sweeps=50)
    best = error_of(Z, A, X, d, Y)
    for x in every((-1, 0, 1), repeat=3):
        p = A.T @ Y[:, 0]
        size = sum(map(abs, x)) * (p @ p)
        if size:
            along = np.array(x) @ Z @ p
            assert np.sum(Z**2) - along**2 / size >= best * (1 - 1e-9)
    for j in range(4):
        for code in (-1, 0, 1):
            other = Y.copy()
            other[j] = code
            assert error_of(Z, A, X, d, other) >= best * (1 - 1e-9)


def test_with_white_inputs_it_is_refinement_of_the_decomposition():
    W = np.random.default_rng(5).normal(size=(6, 40))
    X, d, Y = semidiscrete(W, 4, sweeps=0, joint=False)
    errors = []
    for sweeps in (0, 1, 20):
        found = reconstruct(W, np.eye(40), X, d, Y, sweeps=sweeps)
        errors.append(relative_error(W, *found))
        power = float(np.sum(W**2))
        response = response_error(W, np.eye(40), power, *found)
        assert np.isclose(errors[-1] ** 2, response, rtol=1e-9)
    assert errors[2] <= errors[1] < errors[0]


def test_reconstruction_gains_on_correlated_inputs():
    W, _, Z, S, G = problem(3, 8, 24, 400, 8)
    X, d, Y = semidiscrete(W, 8)
    power = float(np.sum(Z**2))
    before = response_error(S, G, power, X, d, Y)
    assert response_error(S, G, power, *reconstruct(S, G, X, d, Y, sweeps=20)) < 0.7 * before


def test_inputs_that_never_vary_leave_no_component():
    X, d, Y = semidiscrete(np.ones((2, 3)), 1)
    found = reconstruct(np.zeros((2, 3)), np.zeros((3, 3)), X, d, Y, sweeps=3)
    assert not found[1].any()
    assert not found[0].any()
    assert response_error(np.zeros((2, 3)), np.zeros((3, 3)), 0.0, *found) == 0


def test_a_code_that_gains_nothing_is_kept():
    y = np.array([1, -1], np.int8)
    loops._descend_codes(np.zeros(2), np.zeros((2, 2)), np.zeros(2), 1.0, y)
    assert y.tolist() == [1, -1]
