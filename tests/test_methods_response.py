"""Response reconstruction: the z step, descent, and that it answers better than the kernel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refnet.methods import response
from refnet.methods.als import core_step, reconstruct
from refnet.methods.response import (
    Response,
    _Problem,
    matrix,
    rectified_step,
    respond,
    weighted_sweep,
)
from refnet.methods.starts import strided
from refnet.methods.terms import block_term
from refnet.methods.tucker import swapped


@given(
    y=st.integers(0, 40), v=st.integers(-60, 60), penalty=st.sampled_from([0.01, 0.1, 1.0, 10.0])
)
def test_z_step_is_no_worse_than_any_point_of_a_fine_grid(y, v, penalty):
    def cost(z):
        return (y / 10 - np.maximum(z, 0)) ** 2 + penalty * (z - v / 10) ** 2

    z = rectified_step(np.array([y / 10]), np.array([v / 10]), penalty)
    assert cost(z[0]) <= cost(np.linspace(-8, 8, 4001)).min() + 1e-12


def layer_and_patches(seed, S=6, T=8, P=4, N=400, rank=5):
    """A kernel, correlated patches (S*P, N) as rectified responses are, and the responses."""
    rng = np.random.default_rng(seed)
    K = rng.normal(size=(S, T, P))
    X = rng.normal(size=(S * P, rank)) @ rng.normal(size=(rank, N))
    X = np.maximum(X + 0.3 * rng.normal(size=X.shape), 0)
    return K, X, swapped(K).reshape(T, -1) @ X


def test_kernel_of_factors_in_the_order_of_patches():
    rng = np.random.default_rng(0)
    factors = tuple(rng.normal(size=n) for n in ((2, 3, 2), (2, 2, 2, 4), (2, 5, 2)))
    W, K = matrix(factors), reconstruct(*factors)
    assert W[4, 2 * 4 + 3] == K[2, 4, 3]


@given(seed=st.integers(0, 100), R=st.integers(1, 2), s=st.integers(1, 3), t=st.integers(1, 3))
@settings(max_examples=20)
def test_weighted_sweeps_never_raise_the_quadratic(seed, R, s, t):
    K, X, Z = layer_and_patches(seed)
    factors = block_term(K, R, s, t, rng=np.random.default_rng(0), sweeps=5, restarts=0)
    problem = _Problem(C=X @ X.T, D=Z @ X.T, P=4)
    values = [problem.value(factors)]
    for _ in range(4):
        factors = weighted_sweep(factors, problem)
        values.append(problem.value(factors))
    assert np.all(np.diff(values) <= 1e-10 * np.sum(Z**2))


def test_white_patches_give_the_decomposition_of_the_kernel():
    """With C = I the quadratic is the kernel's error, and its core step the plain one."""
    K = np.random.default_rng(3).normal(size=(6, 7, 4))
    A, B = strided(K, 2, 2, 2, np.random.default_rng(0))
    G = core_step(K, A, np.zeros((2, 2, 2, 4)), B)
    W = swapped(K).reshape(7, -1)
    problem = _Problem(C=np.eye(24), D=W, P=4)
    miss = np.sum((K - reconstruct(A, G, B)) ** 2)
    assert problem.value((A, G, B)) == pytest.approx(miss - np.sum(K**2), rel=1e-12)
    better = weighted_sweep((A, G, B), problem)
    assert problem.value(better) <= problem.value((A, G, B))


@pytest.mark.parametrize("seed", range(4))
def test_reconstruction_answers_better_and_the_nonlinear_one_best_behind_a_relu(seed):
    K, X, Z = layer_and_patches(seed)
    Z = Z - np.quantile(Z, 0.5, axis=1, keepdims=True)
    start = block_term(K, 2, 2, 2, rng=np.random.default_rng(0), restarts=0)

    def errors(factors, bias):
        v = matrix(factors) @ X + bias[:, None]
        return np.sum((Z - v) ** 2), np.sum((np.maximum(Z, 0) - np.maximum(v, 0)) ** 2)

    none, linear, full = (
        errors(*respond(start, X, Z, rectified=rectified, settings=given))
        for rectified, given in (
            (False, Response(sweeps=0)), (False, Response()), (True, Response()),
        )
    )
    assert linear[0] < 0.8 * none[0]
    assert full[1] < linear[1] < none[1]


def test_the_best_factors_are_kept_whatever_the_sweeps_do(monkeypatch):
    K, X, Z = layer_and_patches(0)
    start = block_term(K, 2, 2, 2, rng=np.random.default_rng(0), restarts=0)
    monkeypatch.setattr(response, "weighted_sweep", lambda f, problem: (0 * f[0], f[1], f[2]))
    factors, _ = respond(start, X, Z, rectified=True, settings=Response())
    assert all(a is b for a, b in zip(factors, start, strict=True))


def test_asymmetric_inputs_are_made_up_for():
    """Patches that are wrong in a way that a linear map can undo are undone."""
    K, X, Z = layer_and_patches(1)
    start = block_term(K, 1, 6, 8, rng=np.random.default_rng(0))
    wrong = 0.5 * X + 1.0
    settings_ = Response(sweeps=60)
    factors, bias = respond(start, wrong, Z, rectified=False, settings=settings_)
    missed = np.sum((matrix(factors) @ wrong + bias[:, None] - Z) ** 2)
    centred = np.sum((Z - Z.mean(axis=1, keepdims=True)) ** 2)
    # What is left is the ridge, a thousandth, squared.
    assert missed < 1e-4 * centred


def test_silent_inputs_and_few_samples_keep_the_kernel_finite():
    K, X, Z = layer_and_patches(0)
    start = block_term(K, 2, 2, 2, rng=np.random.default_rng(0), restarts=0)
    for patches, responses in ((0 * X, 0 * Z), (X[:, :1], Z[:, :1]), (0 * X, Z)):
        factors, bias = respond(start, patches, responses, rectified=True, settings=Response())
        assert all(np.isfinite(f).all() for f in (*factors, bias))
    _, bias = respond(start, 0 * X, Z, rectified=False, settings=Response())
    assert np.allclose(bias, Z.mean(axis=1))


@pytest.mark.parametrize("bad", [{"sweeps": -1}, {"iterations": -1}, {"penalties": (0.0,)}])
def test_settings_that_are_none_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        Response(**bad)
