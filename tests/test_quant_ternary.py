"""The optimal ternary approximation against brute force, its ties and its scales."""

from fractions import Fraction
from itertools import combinations_with_replacement, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.quant.ternary import Ternary, optimal_ternary, ternary_rows


def gain(w, codes):
    """(w^T c)^2 / c^T c, exactly: how much of ||w||^2 the codes explain."""
    size = sum(c * c for c in codes)
    along = sum(Fraction(a) * c for a, c in zip(w, codes, strict=True))
    return along**2 / size if size else Fraction(0)


def brute_force(w):
    """The best gain of all codes, and the smallest support that reaches it."""
    every = [(gain(w, c), sum(map(abs, c))) for c in product((-1, 0, 1), repeat=len(w))]
    best = max(g for g, _ in every)
    return best, min(size for g, size in every if g == best)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=6))
def test_no_codes_are_better_and_no_smaller_support_is_as_good(values):
    codes, alpha = optimal_ternary(np.array(values, dtype=float))
    best, smallest = brute_force(values)
    assert gain(values, codes.tolist()) == best
    kept = np.abs(codes).sum()
    assert kept == (smallest if best else 0)
    assert alpha == (np.abs(np.array(values)[codes != 0]).mean() if kept else 0.0)
    assert np.all(np.sign(values)[codes != 0] == codes[codes != 0])


@pytest.mark.parametrize("n", range(1, 9))
def test_every_lattice_vector_against_every_code(n):
    """All magnitudes 0..4 in ascending order; order and signs change nothing (see below)."""
    codes = np.array(list(product((-1, 0, 1), repeat=n)))
    size = np.abs(codes).sum(axis=1)
    for w in combinations_with_replacement(range(5), n):
        found = optimal_ternary(np.array(w, dtype=float))[0]
        kept, along = int(np.abs(found).sum()), int(found @ w) ** 2
        every = (codes @ np.array(w)) ** 2
        # along / kept >= every / size, multiplied out; the zero codes explain nothing.
        assert np.all(every * max(kept, 1) <= along * size)
        equal = (every * max(kept, 1) == along * size) & (size > 0)
        assert kept == (size[equal].min() if any(w) else 0)


@given(st.lists(st.floats(-10, 10, allow_subnormal=False), min_size=1, max_size=6))
def test_real_vectors_are_as_good_as_brute_force(values):
    codes, _ = optimal_ternary(np.array(values))
    assert gain(values, codes.tolist()) == brute_force(values)[0]


def test_two_supports_with_one_gain_give_the_smaller():
    lattice = np.array([6.0, 2.0, 2.0, 2.0])
    assert gain([6, 2, 2, 2], [1, 1, 1, 1]) == gain([6, 2, 2, 2], [1, 0, 0, 0]) == 36
    assert optimal_ternary(lattice)[0].tolist() == [1, 0, 0, 0]
    assert optimal_ternary(lattice[::-1])[0].tolist() == [0, 0, 0, 1]


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=20), st.integers(-60, 60))
def test_powers_of_two_and_order_change_nothing(values, power):
    w = np.array(values, dtype=float)
    codes, alpha = optimal_ternary(w)
    scaled, scaled_alpha = optimal_ternary(w * 2.0**power)
    assert np.array_equal(codes, scaled)
    assert scaled_alpha == alpha * 2.0**power
    assert np.array_equal(optimal_ternary(w[::-1])[0], codes[::-1])
    assert np.array_equal(optimal_ternary(-w)[0], -codes)


@pytest.mark.parametrize("size", [1e300, 1e-300, 5e-324])
def test_extreme_magnitudes_neither_overflow_nor_vanish(size):
    codes, alpha = optimal_ternary(np.array([size, -size, 0.0]))
    assert codes.tolist() == [1, -1, 0]
    assert alpha == size


def test_degenerate_vectors():
    assert optimal_ternary(np.zeros((2, 3)))[0].shape == (2, 3)
    assert optimal_ternary(np.zeros(3))[1] == 0.0
    assert optimal_ternary(np.zeros(0))[1] == 0.0
    with pytest.raises(ValueError, match="NaN"):
        optimal_ternary(np.array([1.0, np.nan]))
    with pytest.raises(TypeError, match="floating"):
        optimal_ternary(np.array([1, 2]))


def test_rows_are_solved_one_by_one():
    w = np.random.default_rng(0).normal(size=(5, 2, 3))
    codes, alpha = ternary_rows(w)
    for f in range(5):
        one, scale = optimal_ternary(w[f])
        assert np.array_equal(codes[f], one)
        assert alpha[f] == scale


def test_normal_weights_reach_the_known_optimum():
    # Of N(0, 1): scale 1.2240, 45.9 % zeros, relative squared error 0.1902. Each statistic of n
    # samples stays within 5 standard deviations, which are below 1 / sqrt(n) here.
    n = 200_000
    w = np.random.default_rng(7).normal(size=n)
    codes, alpha = optimal_ternary(w)
    slack = 5 / np.sqrt(n)
    assert abs(alpha - 1.2240) < slack
    assert abs(np.mean(codes == 0) - 0.459) < slack + 5e-4
    assert abs(np.sum((w - alpha * codes) ** 2) / np.sum(w**2) - 0.1902) < slack


def test_the_quantizer_of_the_optimum_gives_its_codes():
    w = np.random.default_rng(3).normal(size=1000)
    q = Ternary().fit(w)
    assert np.array_equal(q.codes(w), optimal_ternary(w)[0])
    assert q.mask(np.array([-1.5, 1.5, 1.6]) * q.alpha).tolist() == [True, True, False]
