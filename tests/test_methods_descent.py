"""The compiled coordinate rules: equal to their twin, monotone, locally optimal, bounded."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from descents import twin
from hypothesis import given
from hypothesis import strategies as st

from refnet.methods.bitsplit import TERNARY_GRID, Grid
from refnet.methods.descent import FORMS, State, descend, start_at

forms = pytest.mark.parametrize("form", FORMS)
widths = pytest.mark.parametrize("bits", [1, 2, 3, 4])


def integer_problem(seed, n, filters, samples=7):
    """G and S of small integers, with ties: equal, silent and opposite inputs occur."""
    rng = np.random.default_rng(seed)
    X = rng.integers(-2, 3, (n, samples)).astype(float)
    if n > 2 and seed % 3 == 0:
        X[1] = X[0] if seed % 2 else -X[0]
    X[rng.random(n) < 0.1] = 0
    return X @ X.T, rng.integers(-3, 4, (filters, samples)).astype(float) @ X.T, rng


def real_problem(seed, n, filters, samples=9):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, samples)) * 10.0 ** rng.integers(-3, 4)
    return X @ X.T, rng.normal(size=(filters, samples)) @ X.T, rng


def random_codes(rng, shape, bits):
    if bits == 1:
        return (2 * rng.integers(0, 2, shape) - 1).astype(np.int8)
    top = Grid.of(bits).type.hi
    return rng.integers(-top, top + 1, shape).astype(np.int8)


@forms
@widths
@given(
    seed=st.integers(0, 2**32), n=st.integers(1, 9), sweeps=st.integers(0, 5), real=st.booleans()
)
def test_compiled_rules_are_their_twin_to_the_bit(form, bits, seed, n, sweeps, real):
    G, S, rng = (real_problem if real else integer_problem)(seed, n, 3)
    start = start_at(G, random_codes(rng, (3, n), bits))
    held = [a.copy() for a in start]
    found = descend(G, S, start, grid=Grid.of(bits), form=form, sweeps=sweeps)
    assert all(np.array_equal(a, b) for a, b in zip(start, held, strict=True))
    for f in range(3):
        w, g, N, D = twin(
            G, S[f], start.codes[f], start.GW[f], bits=bits, form=form, sweeps=sweeps
        )
        assert found.state.codes[f].tolist() == w
        assert np.array_equal(found.state.GW[f], g)
        assert (found.N[f], found.D[f]) == (N, D)


@forms
@widths
@given(seed=st.integers(0, 2**32), n=st.integers(1, 8))
def test_the_objective_never_falls_and_sums_stay_true(form, bits, seed, n):
    G, S, rng = integer_problem(seed, n, 2)
    state = start_at(G, random_codes(rng, (2, n), bits))
    before = [Fraction(-1)] * 2
    for sweeps in (0, 1, 1, 1):
        found = descend(G, S, state, grid=Grid.of(bits), form=form, sweeps=sweeps)
        state = found.state
        W = state.codes.astype(float)
        # Sums of integers below 2**53: nothing is rounded, so nothing is tolerated.
        assert np.array_equal(state.GW, W @ G)
        assert np.array_equal(found.N, np.sum(S * W, axis=1))
        assert np.array_equal(found.D, np.sum(state.GW * W, axis=1))
        assert np.all(found.N >= 0)
        assert Grid.of(bits).type.contains(state.codes)
        assert bits != 1 or state.codes.all()
        now = [Fraction(N) ** 2 / Fraction(D) if D else Fraction(0)
               for N, D in zip(found.N, found.D, strict=True)]
        assert all(a >= b for a, b in zip(now, before, strict=True))
        before = now


@widths
@given(seed=st.integers(0, 2**32), n=st.integers(1, 6))
def test_the_profile_form_ends_where_no_step_of_one_weight_is_better(bits, seed, n):
    G, S, rng = integer_problem(seed, n, 1)
    start = start_at(G, random_codes(rng, (1, n), bits))
    found = descend(G, S, start, grid=Grid.of(bits), sweeps=1000)
    w, top = found.state.codes[0].astype(float), Grid.of(bits).type.hi

    def objective(v):
        N, D = S[0] @ v, v @ G @ v
        return Fraction(N) * abs(Fraction(N)) / Fraction(D) if D else Fraction(0)

    for j, step in product(np.flatnonzero(np.diag(G)), (-2, 2) if bits == 1 else (-1, 1)):
        other = w.copy()
        other[j] = np.clip(w[j] + step, -top, top)
        assert objective(other) <= objective(w)


@given(seed=st.integers(0, 2**32), n=st.integers(1, 6))
def test_the_fixed_form_ends_where_its_rule_holds_everywhere(seed, n):
    G, S, rng = integer_problem(seed, n, 1)
    start = start_at(G, random_codes(rng, (1, n), 2))
    found = descend(G, S, start, grid=TERNARY_GRID, form="fixed", sweeps=1000)
    N, D = Fraction(found.N[0]), Fraction(found.D[0])
    if N == 0 or D == 0:
        return
    alpha, w = N / D, found.state.codes[0]
    for j in np.flatnonzero(np.diag(G)):
        g = sum(Fraction(G[j, k]) * int(w[k]) for k in range(n) if k != j)
        r = Fraction(S[0, j]) - alpha * g
        code = (r > 0) - (r < 0) if 2 * abs(r) > alpha * Fraction(G[j, j]) else 0
        assert w[j] == code


@forms
@widths
def test_silent_inputs_keep_their_codes(form, bits):
    G, S, rng = real_problem(5, 6, 4)
    G[2], G[:, 2], S[:, 2] = 0, 0, 0
    start = start_at(G, random_codes(rng, (4, 6), bits))
    found = descend(G, S, start, grid=Grid.of(bits), form=form, sweeps=9)
    turned = np.where(np.sum(S * start.codes, axis=1) < 0, -1, 1)
    assert np.array_equal(found.state.codes[:, 2], start.codes[:, 2] * turned)


@forms
@widths
def test_filters_do_not_see_each_other(form, bits):
    G, S, rng = real_problem(1, 12, 5, samples=30)
    start = start_at(G, random_codes(rng, (5, 12), bits))
    together = descend(G, S, start, grid=Grid.of(bits), form=form, sweeps=20)
    for f in range(5):
        row = slice(f, f + 1)
        alone = descend(
            G, S[row], State(*(a[row] for a in start)), grid=Grid.of(bits), form=form, sweeps=20
        )
        assert np.array_equal(together.state.codes[row], alone.state.codes)
        assert together.scales(G)[f] == alone.scales(G)[0]


def codes_after(G, S, codes, form="profile", sweeps=9, bits=2):
    G, S = np.array(G, dtype=float), np.array([S], dtype=float)
    start = start_at(G, np.array([codes], dtype=np.int8))
    found = descend(G, S, start, grid=Grid.of(bits), form=form, sweeps=sweeps)
    return found.state.codes[0].tolist()


@forms
def test_a_tie_does_not_move(form):
    # Codes 1 and -1 of the second weight explain the same as 0, or less.
    assert codes_after(np.diag([4, 4]), [4, 0], [1, 0], form) == [1, 0]
    # Two equal inputs: the code on the first explains what the code on the second would.
    assert codes_after([[4, 4], [4, 4]], [4, 4], [1, 0], form) == [1, 0]
    assert codes_after([[4, 4], [4, 4]], [4, 4], [0, 1], form) == [0, 1]


def test_ties_of_each_form():
    # alpha = 1, r = 2 and G_jj = 4: 2 |r| = alpha G_jj is a tie of the fixed rule, to 0.
    assert codes_after(np.diag([4, 4]), [4, 2], [1, 0], "fixed", 1) == [1, 0]
    assert codes_after(np.diag([4, 4]), [4, 2], [1, 1], "fixed", 1) == [1, 1]  # alpha is 3/4 here
    # From nothing, -1 and 1 of weight 0 explain nothing; of weight 1, -1 is negative and 1 gains.
    assert codes_after(np.diag([4, 4]), [0, 4], [0, 0]) == [0, 1]
    # Binary: r = 0 leaves the code.
    assert codes_after(np.diag([4, 4]), [4, 0], [1, -1], "fixed", bits=1) == [1, -1]


@forms
def test_a_carry_needs_the_stitched_step(form):
    # The best code is 4 = 100; from 3 = 011 no change of a single digit is better.
    G = np.diag([1, 49, 49, 49])
    assert codes_after(G, [4, 343, 343, 343], [3, 7, 7, 7], form, bits=4) == [4, 7, 7, 7]


def test_vanished_and_useless_responses_have_scale_zero():
    X = np.array([[1.0, 2.0], [1.0, 2.0]])
    G = X @ X.T
    opposite = start_at(G, np.array([[1, -1]], dtype=np.int8))

    def scales(S, sweeps):
        return descend(G, np.array([S]), opposite, grid=TERNARY_GRID, sweeps=sweeps).scales(G)

    assert scales([3.0, 3.0], 0).tolist() == [0.0]
    assert scales([0.0, 0.0], 5).tolist() == [0.0]
    assert scales([5.0, 5.0], 5)[0] > 0


def test_an_unknown_form_is_refused():
    start = start_at(np.eye(1), np.ones((1, 1), np.int8))
    with pytest.raises(ValueError, match="form 'other'"):
        descend(np.eye(1), np.eye(1), start, grid=TERNARY_GRID, form="other", sweeps=1)
