"""Weight balancing: Euler identities, invariant products, gradients of one size, equal rates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import refnet.autograd as ag
from refnet.autograd import Tensor
from refnet.methods.balancing import (
    balance,
    equal_component_norms,
    equal_norms,
    sgd_rates,
    spread,
    xavier_std,
)
from refnet.methods.sdd import product, semidiscrete
from refnet.nn import SGD, Adam
from refnet.program.types import TERNARY
from refnet.quant import QuantLinear

seeds = st.integers(0, 10**6)


def factors_of(seed, m=4, n=6, k=3):
    rng = np.random.default_rng(seed)
    return [
        rng.normal(size=(m, k)), np.exp(rng.normal(scale=4, size=k)), rng.normal(size=(n, k))
    ]


def gradients(X, d, Y, G):
    """Gradients of a loss whose gradient in W = X D Y^T is G, by autograd."""
    tensors = [Tensor(f, requires_grad=True) for f in (X, d, Y)]
    W = ag.matmul(tensors[0] * tensors[1], tensors[2].T)
    (W * Tensor(G)).sum().backward()
    return [t.grad for t in tensors]


@given(seeds)
def test_euler_identities_hold_for_every_component(seed):
    X, d, Y = factors_of(seed)
    gX, gd, gY = gradients(X, d, Y, np.random.default_rng(seed + 1).normal(size=(4, 6)))
    along = np.sum(gX * X, axis=0)
    # Sums of 24 products; the scale of what may cancel is that of the absolute sum.
    slack = 1e-13 * np.sum(np.abs(gX * X), axis=0).max() + 1e-300
    assert np.allclose(d * gd, along, rtol=1e-9, atol=slack * 100)
    assert np.allclose(np.sum(gY * Y, axis=0), along, rtol=1e-9, atol=slack * 100)


@given(seeds)
def test_balancing_keeps_the_product_and_levels_the_norms(seed):
    factors = factors_of(seed)
    W = product(*factors)
    for multipliers in (
        equal_norms(factors), equal_component_norms(factors), xavier_std([(3, 4), None, (6, 3)])
    ):
        assert np.allclose(product(*balance(factors, multipliers)), W, rtol=1e-12, atol=0)
    levelled = [np.linalg.norm(f) for f in balance(factors, equal_norms(factors))]
    assert np.allclose(levelled, levelled[0], rtol=1e-12)
    parts = balance(factors, equal_component_norms(factors))
    columns = [np.sqrt(np.sum(p.reshape(-1, 3) ** 2, axis=0)) for p in parts]
    assert np.allclose(columns, columns[0], rtol=1e-12)


@given(seeds)
def test_balancing_divides_gradients_by_the_multipliers(seed):
    factors = factors_of(seed)
    G = np.random.default_rng(seed).normal(size=(4, 6))
    multipliers = equal_norms(factors)
    before, after = gradients(*factors, G), gradients(*balance(factors, multipliers), G)
    for a, b, m in zip(before, after, multipliers, strict=True):
        assert np.allclose(b, a / m, rtol=1e-9)


def test_block_terms_balance_alike():
    rng = np.random.default_rng(0)
    A, G, B = rng.normal(size=(5, 3)), 100 * rng.normal(size=(3, 4, 9)), rng.normal(size=(6, 4))
    scaled = balance([A, G, B], equal_norms([A, G, B]))
    kernels = [np.einsum("as,stp,bt->abp", *f) for f in ([A, G, B], scaled)]
    assert np.allclose(*kernels, rtol=1e-12)
    assert np.ptp([np.linalg.norm(f) for f in scaled]) < 1e-9


@pytest.mark.parametrize(
    ("factors", "expected"),
    [
        ([np.zeros(3), np.ones(3)], (1, 1)),
        ([np.full(4, 1e-200), np.full(4, 1e200)], (1e200, 1e-200)),
    ],
)
def test_zero_and_extreme_factors(factors, expected):
    # Powers of two of a logarithm of 665: some 1e-13 of it is a few 1e-11 relative.
    assert equal_norms(factors) == pytest.approx(expected, rel=1e-9)


def test_refused_arguments():
    with pytest.raises(ValueError, match="last axes"):
        equal_component_norms([np.ones((2, 3)), np.ones(2)])
    with pytest.raises(ValueError, match="at least one None"):
        xavier_std([(2, 3)])
    with pytest.raises(ValueError, match="sizes >= 1"):
        xavier_std([(0, 3), None])


def test_gradients_of_ternary_factors_differ_ten_thousandfold_and_balanced_ones_do_not():
    rng = np.random.default_rng(0)
    W, G = 0.01 * rng.normal(size=(48, 288)), rng.normal(size=(48, 288))
    factors = [f.astype(np.float64) for f in semidiscrete(W, 48)]
    assert spread(gradients(*factors, G)) > 5e3
    for multipliers in (equal_norms(factors), equal_component_norms(factors)):
        assert spread(gradients(*balance(factors, multipliers), G)) < 2
    # The rule from the fans takes the scale of W for granted, so it does less here.
    xavier = xavier_std([(48, 48), None, (288, 48)])
    assert spread(gradients(*balance(factors, xavier), G)) < 20


@given(seeds, st.floats(1e-3, 0.1))
def test_rates_do_what_scaling_does_under_plain_sgd(seed, lr):
    factors, G = factors_of(seed), np.random.default_rng(seed).normal(size=(4, 6))
    multipliers = equal_norms(factors)
    lr *= min(multipliers) ** 2

    def trained(start, rates):
        tensors = [Tensor(f, requires_grad=True) for f in start]
        optimizer = SGD(tensors, lr=lr, rates=rates)
        for _ in range(3):
            optimizer.zero_grad()
            (ag.matmul(tensors[0] * tensors[1], tensors[2].T) * Tensor(G)).sum().backward()
            optimizer.step()
        return [t.numpy() for t in tensors]

    scaled = trained(balance(factors, multipliers), None)
    unscaled = trained(factors, sgd_rates(multipliers))
    for a, b, m in zip(scaled, unscaled, multipliers, strict=True):
        size = max(np.abs(a).max(), np.abs(b * m).max())
        assert np.allclose(a, b * m, rtol=1e-9, atol=1e-12 * size)


def test_latents_are_clipped_to_where_the_gradient_passes():
    layer = QuantLinear(np.array([[-2.0, -1.5, 0.2], [1.5, 1.6, 9.0]]), np.ones(2), type=TERNARY)
    layer.constrain()
    assert layer.latent.numpy().tolist() == [[-1.5, -1.5, 0.2], [1.5, 1.5, 1.5]]
    layer(Tensor(np.ones((1, 3)))).sum().backward()
    assert np.all(layer.latent.grad == 1)


@pytest.mark.parametrize("kind", [SGD, Adam])
@pytest.mark.parametrize("rates", [[1.0], [1.0, 0.0], [1.0, -1.0], [1.0, float("nan")]])
def test_rates_are_positive_and_one_for_each_parameter(kind, rates):
    with pytest.raises(ValueError, match="rates"):
        kind([Tensor(1.0), Tensor(2.0)], lr=0.1, rates=rates)


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_a_rate_for_every_row_does_what_a_parameter_for_every_row_does(kind):
    rng = np.random.default_rng(0)
    start, rates = rng.normal(size=(3, 2)), np.array([0.5, 1.0, 2.0])
    whole, rows = Tensor(start.copy(), requires_grad=True), [
        Tensor(row.copy(), requires_grad=True) for row in start
    ]
    together, apart = kind([whole], lr=0.1, rates=[rates[:, None]]), kind(rows, lr=0.1, rates=rates)
    for _ in range(3):
        together.zero_grad()
        apart.zero_grad()
        ((whole * whole).sum() + sum((row * row).sum() for row in rows)).backward()
        together.step()
        apart.step()
    assert np.array_equal(whole.numpy(), [row.numpy() for row in rows])


@pytest.mark.parametrize(
    "rate", [np.ones(3), np.ones((1, 1, 2)), np.array([[1.0, 0.0]]), np.array([1.0, np.nan])]
)
def test_a_rate_that_is_an_array_fits_its_parameter(rate):
    with pytest.raises(ValueError, match="rates"):
        SGD([Tensor(np.ones((3, 2)))], lr=0.1, rates=[rate])
