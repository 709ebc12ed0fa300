"""The laws of fits, factorizations and sums on right and wrong functions."""

import numpy as np
import pytest

from refnet.laws import QuantizerUnderTest, run_laws
from refnet.quant.ternary import optimal_ternary

FACTOR = ("factor_ternary", "factor_residual", "factor_gain")


def greedy(W, k):
    """Each term the best of all ternary pairs: brute force on small matrices, alternating else."""
    X, d, Y = np.zeros((len(W), k), np.int8), np.zeros(k), np.zeros((W.shape[1], k), np.int8)
    residual = np.array(W, dtype=float)
    for j in range(k):
        y = np.sign(residual[np.argmax(np.abs(residual).sum(axis=1))]).astype(np.int8)
        if not y.any():
            break
        for _ in range(5):
            x = optimal_ternary(residual @ y)[0]
            if not x.any():
                break
            y = optimal_ternary(residual.T @ x)[0]
        if not (x.any() and y.any()):
            break
        scale = float(x @ residual @ y) / (np.count_nonzero(x) * np.count_nonzero(y))
        X[:, j], d[j], Y[:, j] = x, max(scale, 0.0), y
        residual = residual - scale * np.outer(x, y)
    return X, d, Y


def failed(**facts):
    return run_laws(QuantizerUnderTest(**facts), max_examples=20).failed


def test_a_greedy_factorization_obeys_its_laws():
    assert failed(factorize=greedy, claims=FACTOR) == ()


def negative(W, k):
    X, d, Y = greedy(W, k)
    return -X, -d, Y


def fractions(W, k):
    X, d, Y = greedy(W, k)
    return X / 2, 2 * d, Y


def worse(W, k):
    X, d, Y = greedy(W, k)
    return X, d * (1 + 2 * (np.arange(k) == 2)), Y


def rough(W, k):
    X, d, Y = greedy(W, k)
    return X, d * 1.01, Y


@pytest.mark.parametrize(
    ("wrong", "law"),
    [(negative, "factor_ternary"), (fractions, "factor_ternary"), (worse, "factor_residual"),
     (rough, "factor_gain"), (lambda W, k: greedy(W, k + 1), "factor_ternary")],
)
def test_wrong_factorizations_are_noticed(wrong, law):
    assert law in failed(factorize=wrong, claims=FACTOR)


def test_products_of_integers_are_exact():
    def integers(X, d, Y):
        return (X.astype(np.int64) * d) @ Y.T.astype(np.int64)

    def floats(X, d, Y):
        # Sums of 300 products of 15 bits leave binary32; the last bit is lost in any order.
        return ((X * d.astype(np.float32)) @ Y.T.astype(np.float32)).astype(np.int64) // 2 * 2

    assert failed(reconstruct=integers) == ()
    assert failed(reconstruct=floats) == ("reconstruct_exact",)


def test_the_optimal_ternary_vector_obeys_every_law_of_fits():
    claims = ("fit_ternary", "fit_scale", "fit_order", "fit_mean", "fit_optimal")
    assert failed(fit=optimal_ternary, claims=claims) == ()


def test_laws_that_must_be_claimed_are_unknown_otherwise():
    report = run_laws(QuantizerUnderTest(fit=optimal_ternary, factorize=greedy), max_examples=3)
    for law in ("fit_optimal", "factor_gain"):
        assert report.reasons[law] == "must be claimed by name"


def test_functions_that_change_their_input_are_noticed():
    def fit(w):
        found = optimal_ternary(w)
        w *= 2
        return found

    def factorize(W, k):
        found = greedy(W, k)
        W *= 2
        return found

    assert "fit_ternary" in failed(fit=fit)
    assert "factor_ternary" in failed(factorize=factorize)
