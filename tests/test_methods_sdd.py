"""The semidiscrete decomposition: identities of the paper, its twin, exact arithmetic, limits."""

from itertools import pairwise
from itertools import product as every
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import nnls

from refnet.methods import sdd_exact
from refnet.methods import sdd_loops as loops
from refnet.methods import sdd_twin as twin
from refnet.methods.sdd import (
    STARTS,
    canonical,
    joint_scales,
    product,
    relative_error,
    semidiscrete,
    squared_error,
)
from refnet.quant.ternary import optimal_ternary, ternary_rows
from refnet.vectors.cli import vectors_in

shapes = st.tuples(st.integers(1, 6), st.integers(1, 7))
lattice = shapes.flatmap(lambda s: arrays(np.float64, s, elements=st.integers(-4, 4).map(float)))
reals = shapes.flatmap(
    lambda s: arrays(np.float64, s, elements=st.floats(-8, 8, allow_subnormal=False, width=32))
)
matrices = st.one_of(lattice, reals)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def begun(W, k):
    m, n = W.shape
    return W.copy(), np.zeros((k, m), np.int8), np.zeros(k), np.zeros((k, n), np.int8)


def compiled_run(W, k, sweeps, starts, binary=False, limit=100):
    """Greedy and sweeps by the loops; squared residuals after each component and each sweep."""
    R, X, d, Y = begun(W, k)
    Rt = R.T.copy()
    loops.greedy(R, Rt, X, d, Y, 0, np.array(starts), limit, binary, 0.0)
    for _ in range(sweeps):
        loops.sweep(R, Rt, X, d, Y, limit, binary, 0.0)
    assert np.array_equal(R, Rt.T)
    return R, X, d, Y


def twin_run(W, k, sweeps, starts, binary=False, limit=100):
    R, X, d, Y = begun(W, k)
    twin.greedy(R, X, d, Y, 0, np.array(starts), limit, binary, 0.0)
    for _ in range(sweeps):
        twin.sweep(R, X, d, Y, limit, binary, 0.0)
    return R, X, d, Y


# --- the twin, and the half step ----------------------------------------------------------------


@given(matrices, st.integers(1, 5), st.integers(0, 2), st.permutations(range(4)), st.booleans())
def test_loops_and_twin_give_the_same_bits(W, k, sweeps, starts, binary):
    for a, b in zip(
        compiled_run(W, k, sweeps, starts, binary), twin_run(W, k, sweeps, starts, binary),
        strict=True,
    ):
        assert np.array_equal(a, b)


def test_loops_and_twin_give_the_same_bits_on_a_larger_matrix():
    W = normal(6, 110)
    for starts in ([0], [1], [2], [3], [0, 1, 2, 3]):
        for a, b in zip(compiled_run(W, 4, 2, starts), twin_run(W, 4, 2, starts), strict=True):
            assert np.array_equal(a, b)


@given(st.lists(st.integers(-6, 6), min_size=1, max_size=7))
def test_the_half_step_is_the_optimal_ternary_approximation(values):
    s = np.array(values, dtype=float)
    codes = np.empty(len(s), np.int8)
    along, support = loops.best_codes(s, False, codes)
    assert np.array_equal(codes, optimal_ternary(s)[0])
    assert along == s @ codes
    assert support == np.count_nonzero(codes)


@given(st.lists(st.integers(-6, 6), min_size=1, max_size=7))
def test_the_binary_half_step_is_best_of_all_signs(values):
    s = np.array(values, dtype=float)
    codes = np.empty(len(s), np.int8)
    along, support = loops.best_codes(s, True, codes)
    best = max(abs(s @ np.array(c)) for c in every((-1, 1), repeat=len(s)))
    assert along == s @ codes == best
    assert support == len(s)
    assert np.all(codes[s == 0] == 1)


# --- what the paper says ------------------------------------------------------------------------


@given(matrices.filter(np.any), st.integers(1, 5), st.sampled_from(sorted(STARTS.values())))
def test_each_component_takes_exactly_beta_off_the_squared_residual(W, k, start):
    before = np.sum(W**2)
    # R takes at most one rounding an entry and component; squares of n entries below 2 ||W||.
    slack = 1e-13 * before
    for i in range(1, k + 1):
        R, X, d, Y = compiled_run(W, i, 0, [start])
        after = np.sum(R**2)
        beta = d[-1] ** 2 * np.count_nonzero(X[-1]) * np.count_nonzero(Y[-1])
        assert abs(before - beta - after) <= slack
        before = after


@given(matrices.filter(np.any), st.integers(1, 5), st.booleans())
def test_refinement_never_raises_the_residual(W, k, binary):
    errors = [np.sum(compiled_run(W, k, s, [2], binary)[0] ** 2) for s in range(5)]
    slack = 1e-12 * np.sum(W**2)
    assert all(b <= a + slack for a, b in pairwise(errors))


@given(matrices.filter(np.any), st.integers(1, 4))
def test_the_joint_scales_are_the_non_negative_least_squares_solution(W, k):
    X, d, Y = semidiscrete(W, k, joint=False)
    best = joint_scales(W, X, d, Y)
    assert squared_error(W, X, best, Y) <= squared_error(W, X, d, Y) + 1e-12 * np.sum(W**2)
    alive = d > 0
    design = np.stack([np.outer(x, y).ravel() for x, y in zip(X.T, Y.T, strict=True)], axis=1)
    _, rest = nnls(design[:, alive].astype(float), W.ravel())
    # Coordinate descent stops at steps of 1e-12 of the largest scale; with nearly collinear
    # components that leaves a residual of the square root of it.
    assert np.sqrt(squared_error(W, X, best, Y)) <= rest + 1e-6 * np.linalg.norm(W)
    assert np.all(best >= 0)
    assert np.all(best[~alive] == 0)


@given(st.integers(0, 10**6), st.integers(1, 5))
def test_scales_that_would_be_negative_are_zero(seed, k):
    rng = np.random.default_rng(seed)
    X, Y = rng.integers(-1, 2, (4, k)).astype(np.int8), rng.integers(-1, 2, (5, k)).astype(np.int8)
    W = rng.normal(size=(4, 5))
    best = joint_scales(W, X, np.ones(k), Y)
    design = np.stack([np.outer(x, y).ravel() for x, y in zip(X.T, Y.T, strict=True)], axis=1)
    _, rest = nnls(design.astype(float), W.ravel())
    assert np.all(best >= 0)
    # The stop rule of the descent, as above.
    assert np.sqrt(squared_error(W, X, best, Y)) <= rest + 1e-6 * np.linalg.norm(W)


@given(matrices, st.integers(0, 3))
def test_the_error_is_at_most_that_of_ternary_rows_and_columns(W, extra):
    for V in (W, np.ascontiguousarray(W.T)):
        codes, alpha = ternary_rows(V)
        rows = np.sum((V - alpha[:, None] * codes) ** 2)
        found = semidiscrete(V, len(V) + extra)
        assert squared_error(V, *found) <= rows * (1 + 1e-12)


def test_the_identity_start_is_a_fixed_point_on_normal_weights():
    W = normal(12, 100)
    codes, alpha = ternary_rows(W)
    X, d, Y = np.eye(12, dtype=np.int8), alpha.copy(), codes.copy()
    R = W - alpha[:, None] * codes
    loops.sweep(R, R.T.copy(), X, d, Y, 100, False, 0.0)
    assert np.array_equal(X, np.eye(12))
    assert np.array_equal(Y, codes)
    # Scales are recomputed from sums over 100 entries: a few roundings.
    assert np.allclose(d, alpha, rtol=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_a_planted_factorization_is_found_again(seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.integers(-1, 2, (30, 4)), rng.integers(-1, 2, (45, 4))
    d = np.array([1.0, 0.6, 0.35, 0.2])
    found = canonical(*semidiscrete(product(X, d, Y), 4, joint=False))
    planted = canonical(X.astype(np.int8), d, Y.astype(np.int8))
    order = np.argsort(-found[1])
    assert np.array_equal(found[0][:, order], planted[0])
    assert np.array_equal(found[2][:, order], planted[2])
    assert np.allclose(found[1][order], d, rtol=1e-9)


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="minutes without the JIT")
@pytest.mark.parametrize(
    ("m", "n", "k", "most"),
    # Relative errors of the research table after 10 sweeps (64 x 576) or of the greedy (128 x 128).
    [(64, 576, 16, 0.880), (64, 576, 32, 0.747), (64, 576, 64, 0.434),
     (128, 128, 32, 0.720), (128, 128, 64, 0.507), (128, 128, 128, 0.248), (128, 128, 256, 0.060)],
)
def test_errors_on_normal_matrices_reach_the_known_ones(m, n, k, most):
    W = normal(m, n)
    assert relative_error(W, *semidiscrete(W, k)) <= most


def test_binary_factors_are_signs_and_more_components_fit_better():
    W = normal(12, 30)
    errors = []
    for k in (1, 4, 12, 24):
        X, d, Y = semidiscrete(W, k, binary=True)
        assert set(np.unique(X)) == set(np.unique(Y)) == {-1, 1}
        errors.append(relative_error(W, X, d, Y))
    assert errors == sorted(errors, reverse=True)
    # Of normal entries, sign and mean magnitude leave 1 - 2/pi of the power.
    assert errors[2] < np.sqrt(1 - 2 / np.pi)


# --- canonical form, scaling, limits ------------------------------------------------------------


@given(matrices, st.integers(1, 5), st.booleans())
def test_the_form_is_canonical_and_deterministic(W, k, binary):
    X, d, Y = semidiscrete(W, k, binary=binary)
    assert X.shape == (W.shape[0], k)
    assert Y.shape == (W.shape[1], k)
    assert (X.dtype, d.dtype, Y.dtype) == (np.int8, np.float64, np.int8)
    assert np.all(d >= 0)
    dead = d == 0
    assert np.all(X[:, dead] == int(binary))
    for column in X.T:
        nonzero = column[column != 0]
        assert not len(nonzero) or nonzero[0] == 1
    for a, b in zip((X, d, Y), semidiscrete(W.copy(), k, binary=binary), strict=True):
        assert np.array_equal(a, b)


@given(lattice, st.integers(1, 3), st.integers(-900, 900))
def test_a_power_of_two_scales_nothing_but_d(W, k, power):
    X, d, Y = semidiscrete(W, k)
    scaled = semidiscrete(np.ldexp(W, power), k)
    assert np.array_equal(X, scaled[0])
    assert np.array_equal(np.ldexp(d, power), scaled[1])
    assert np.array_equal(Y, scaled[2])


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (3, 4)])
def test_degenerate_matrices(shape, binary):
    X, d, Y = semidiscrete(np.zeros(shape), 2, binary=binary)
    assert not d.any()
    empty = int(binary)
    assert np.all(empty == X)
    assert np.all(empty == Y)
    W = np.arange(1.0, 1 + shape[0] * shape[1]).reshape(shape)
    found = semidiscrete(W, 3 * W.size, binary=binary)
    # More components than entries: nothing but rounding is left of a ternary decomposition.
    assert relative_error(W, *found) < (0.5 if binary else 1e-6)
    assert np.isfinite(found[1]).all()


def test_an_exhausted_residual_leaves_dead_components():
    X, d, Y = semidiscrete(3.0 * np.outer([1, -1, 0], [0, 1, 1]), 4)
    assert d.tolist() == [3, 0, 0, 0]
    assert X[:, 0].tolist() == [1, -1, 0]
    assert Y[:, 0].tolist() == [0, 1, 1]
    assert not X[:, 1:].any()
    assert not Y[:, 1:].any()


@pytest.mark.parametrize(
    ("W", "options", "message"),
    [
        (np.ones((2, 2)), {"k": 0}, "k=0"),
        (np.ones((2, 2)), {"k": 1, "sweeps": -1}, "sweeps=-1"),
        (np.ones((2, 2)), {"k": 1, "starts": ("nowhere",)}, "nowhere"),
        (np.ones((2, 2)), {"k": 1, "starts": ()}, "one or more"),
        (np.ones(2), {"k": 1}, "rule"),
        (np.ones((0, 2)), {"k": 1}, "m >= 1"),
        (np.array([[np.nan]]), {"k": 1}, "NaN"),
        (np.array([[np.inf]]), {"k": 1}, "NaN or infinity"),
        (np.ones((2, 2)) * 1j, {"k": 1}, "complex128, rule real"),
        (np.array([["a"]]), {"k": 1}, "rule real"),
        (np.ones((2, 2)), {"k": 1.5}, "k=1.5"),
        (np.ones((2, 2)), {"k": "2"}, "k='2'"),
        (np.ones((2, 2)), {"k": 1, "sweeps": 1.5}, "sweeps=1.5"),
    ],
)
def test_bad_input_is_refused(W, options, message):
    with pytest.raises(ValueError, match=message):
        semidiscrete(W, **options)


@settings(max_examples=20)
@given(matrices)
def test_the_argument_is_not_changed(W):
    kept = W.copy()
    semidiscrete(W, 2)
    assert np.array_equal(W, kept)


# --- exact arithmetic ---------------------------------------------------------------------------

integers = st.tuples(st.integers(1, 4), st.integers(1, 5)).flatmap(
    lambda s: arrays(np.int64, s, elements=st.integers(-5, 5))
)


@given(integers, st.integers(1, 4), st.integers(0, 2), st.permutations(sorted(STARTS)),
       st.integers(1, 4), st.booleans())
def test_integers_are_decomposed_as_in_exact_arithmetic(W, k, sweeps, order, count, binary):
    starts = tuple(order[:count])
    half_step = sdd_exact.binary if binary else sdd_exact.ternary
    exact = sdd_exact.semidiscrete(
        W.tolist(), k, sweeps=sweeps, starts=starts, half_step=half_step
    )
    X, d, Y = semidiscrete(
        W, k, sweeps=sweeps, starts=starts, identity=False, joint=False, binary=binary
    )
    assert [x for x, _, _ in exact] == X.T.tolist()
    assert [y for _, _, y in exact] == Y.T.tolist()
    # Entries of a few bits and a few dozen roundings of the residual.
    assert np.allclose(d, [float(v) for _, v, _ in exact], rtol=1e-12, atol=1e-14)


def test_the_golden_decompositions_are_found_from_binary64():
    folder = Path(__file__).parents[1] / "specs" / "vectors"
    vectors = [v for v in vectors_in([folder / "semidiscrete.json"]) if v.result == "must"]
    assert len(vectors) > 30
    for vector in vectors:
        given = dict(vector.attributes)
        X, d, Y = semidiscrete(
            vector.arrays["W"], given.pop("k"), **given, identity=False, joint=False
        )
        wanted = {a.name: a.array() for a in vector.outputs}
        assert np.array_equal(X, wanted["X"]), vector.id
        assert np.array_equal(Y, wanted["Y"]), vector.id
        scales = wanted["numerator"] / wanted["denominator"]
        assert np.allclose(d, scales, rtol=1e-12, atol=0), vector.id
