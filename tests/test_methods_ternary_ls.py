"""Least squares in few codes against brute force and planted solutions; degenerate problems."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.methods.bitsplit import Grid
from refnet.methods.descent import FORMS
from refnet.methods.ternary_ls import (
    bit_split_least_squares,
    gram,
    least_squares,
    ternary_least_squares,
)

forms = pytest.mark.parametrize("form", FORMS)


def explained(X, z, w):
    """(z^T u)^2 / u^T u of the response u = X^T w, exactly: how much of ||z||^2 it explains.

    X and z hold small integers.
    """
    u = w @ X.astype(np.int64)
    along, power = int(u @ z.astype(np.int64)), int(u @ u)
    return Fraction(along**2, power) if power else Fraction(0)


def best_of_all(X, z):
    """The most that any ternary codes explain, by trying them all."""
    codes = np.array(list(product((-1, 0, 1), repeat=len(X))))
    u = codes @ X.astype(np.int64)
    along, power = (u @ z.astype(np.int64)) ** 2, np.sum(u * u, axis=1)
    pairs = {(int(a), int(p)) for a, p in zip(along, power, strict=True) if p}
    return max((Fraction(*pair) for pair in pairs), default=Fraction(0))


@forms
@given(seed=st.integers(0, 2**32), n=st.integers(1, 6))
def test_never_better_than_brute_force_and_never_worse_than_its_start(form, seed, n):
    rng = np.random.default_rng(seed)
    X = rng.integers(-2, 3, (n, 6)).astype(float)
    z = rng.integers(-3, 4, 6).astype(float)
    start = rng.integers(-1, 2, n).astype(np.int8)
    w, N, D = least_squares(X, z, start, form=form)
    # All of it is integers below 2**53, so the best of all codes is a bound without tolerance.
    got = explained(X, z, w)
    assert got == (Fraction(N) ** 2 / Fraction(D) if D else 0)
    assert explained(X, z, start) <= got <= best_of_all(X, z)


def test_most_small_problems_end_in_the_global_optimum():
    hits = dict.fromkeys(FORMS, 0)
    for seed, form in product(range(60), FORMS):
        rng = np.random.default_rng(seed)
        X, z = rng.integers(0, 4, (4, 10)).astype(float), rng.integers(-9, 10, 10).astype(float)
        w, _ = ternary_least_squares(X, z, form=form)
        hits[form] += explained(X, z, w) == best_of_all(X, z)
    # Coordinate descent is a local search: 49 (profile) and 42 (fixed) when this was written.
    assert hits["profile"] >= 45
    assert hits["fixed"] >= 38


@forms
@pytest.mark.parametrize("bits", ["ternary", 1, 2, 3, 4, 8])
@given(seed=st.integers(0, 2**32))
def test_a_planted_solution_is_found_again(form, bits, seed):
    rng = np.random.default_rng(seed)
    top = Grid.of(bits).type.hi
    w = rng.integers(-top, top + 1, 12)
    if bits == 1:
        w = 2 * rng.integers(0, 2, 12) - 1
    w[0] = top
    X = rng.normal(size=(12, 60))
    z = 0.37 * (X.T @ w)
    if bits == "ternary":
        got, alpha = ternary_least_squares(X, z, form=form)
    else:
        got, alpha = bit_split_least_squares(X, z, bits, form=form)
    assert got.tolist() == w.tolist()
    # alpha = N / D; N and D are sums of up to 12 * 12 products of sums of 60 terms, each exact to
    # some ten units of rounding, and D is at least 1/100 of the sum of the magnitudes here.
    assert alpha == pytest.approx(0.37, rel=1e-11)


@given(seed=st.integers(0, 2**32), n=st.integers(1, 5))
def test_the_result_cannot_be_bettered_by_one_weight(seed, n):
    rng = np.random.default_rng(seed)
    X, z = rng.integers(0, 4, (n, 8)).astype(float), rng.integers(-5, 6, 8).astype(float)
    w, alpha = ternary_least_squares(X, z)
    here = explained(X, z, w)
    for j, code in product(range(n), (-1, 0, 1)):
        other = w.copy()
        other[j] = code
        # The descent moves for a relative gain of more than 2**-40 only.
        assert float(explained(X, z, other)) <= float(here) * (1 + 2.0**-39)
    assert alpha >= 0
    assert (alpha == 0) == (not w.any())


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (9, 3), (400, 7), (385, 384)])
def test_gram_is_the_product_and_symmetric(shape):
    X = np.random.default_rng(0).integers(-9, 10, shape).astype(float)
    G = gram(X)
    assert np.array_equal(G, X @ X.T)
    real = np.random.default_rng(0).normal(size=shape)
    assert np.array_equal(gram(real), gram(real).T)


def test_a_start_may_be_given():
    rng = np.random.default_rng(2)
    X, z = rng.normal(size=(5, 20)), rng.normal(size=20)
    start = rng.normal(size=5)
    w, alpha = ternary_least_squares(X, z, start=start)
    turned, same = ternary_least_squares(X, z, start=-start)
    assert (w.tolist(), alpha) == (turned.tolist(), same)
    assert ternary_least_squares(X, -z, start=start)[0].tolist() == (-w).tolist()


@pytest.mark.parametrize("solve", [ternary_least_squares,
                                   lambda X, z: bit_split_least_squares(X, z, 1),
                                   lambda X, z: bit_split_least_squares(X, z, 4)])
def test_degenerate_problems_are_zero_or_finite(solve):
    rng = np.random.default_rng(0)
    for X, z in (
        (np.zeros((3, 5)), np.ones(5)), (np.ones((2, 4)), np.zeros(4)),
        (np.zeros((0, 4)), np.ones(4)), (np.ones((2, 0)), np.ones(0)),
    ):
        w, alpha = solve(X, z)
        assert alpha == 0.0
        assert w.shape == (len(X),)
        assert not w.any()
    for X in (rng.normal(size=(9, 3)), np.ones((4, 3)), rng.normal(size=(3, 3)) * 1e-300,
              rng.normal(size=(3, 3)) * 1e300):
        w, alpha = solve(X, np.ones(3))
        assert np.isfinite(alpha)
        assert alpha >= 0


def test_what_does_not_fit_is_refused():
    bad = [
        (np.ones((2, 3)), np.ones(2), {}, "rule"),
        (np.ones((2, 3)), np.array([1, np.nan, 1]), {}, "NaN"),
        (np.full((2, 3), np.inf), np.ones(3), {}, "infinity"),
        (np.ones((2, 3)), np.ones(3), {"start": np.ones(3)}, "start"),
        (np.ones((2, 3)), np.ones(3), {"start": np.array([1, np.nan])}, "start"),
        (np.ones((2, 3)), np.ones(3), {"form": "newton"}, "form 'newton'"),
    ]
    for X, z, options, message in bad:
        with pytest.raises(ValueError, match=message):
            ternary_least_squares(X, z, **options)
    for bits in (0, 9, True, "binary", 2.5):
        with pytest.raises(ValueError, match="weight_bits"):
            bit_split_least_squares(np.ones((2, 3)), np.ones(3), bits)
