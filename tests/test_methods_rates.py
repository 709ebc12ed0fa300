"""Balanced learning rates of networks: chains, rules, identities, training that needs them."""


import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.autograd import Tensor
from refnet.methods import BlockTerm, Factorized, balance_of
from refnet.methods.balancing import spread
from refnet.methods.base import LayerData, apply
from refnet.methods.naming import methods_of
from refnet.methods.rates import RULES, balanced_rates, chains_of, rule_for
from refnet.nn import (
    SGD,
    BatchNorm2d,
    Conv2d,
    Linear,
    ReLU,
    Residual,
    Sequential,
)
from refnet.program.types import SINT8, TERNARY, UINT8, IntType
from refnet.quant import QuantConv2d, Quantize, QuantLinear, Uniform, insert_batch_norm

WIDE = Quantize(Uniform(type=IntType.symmetric(16), scale=1e-3))
seeds = st.integers(0, 10**6)


def ternary(rng, *shape, **geometry):
    kind = QuantConv2d if len(shape) == 4 else QuantLinear
    return kind(rng.uniform(-1.5, 1.5, shape), rng.uniform(0.01, 0.1, shape[0]), type=TERNARY,
                **geometry)


def factorized(seed, groups=1, normal=False):
    """Y^T (k = 3 a group), codes of 16 bits, X; perhaps with batch norms."""
    rng = np.random.default_rng(seed)
    first, last = (ternary(rng, n * groups, c, s, s, groups=groups)
                   for n, c, s in ((3, 2, 3), (4, 3, 1)))
    if not normal:
        return Sequential(first, WIDE.copy(), last)
    norms = [BatchNorm2d(3 * groups), BatchNorm2d(4 * groups)]
    for norm in norms:
        norm.weight.assign(rng.uniform(0.1, 2, norm.weight.shape))
    return Sequential(first, norms[0], WIDE.copy(), last, norms[1])


def backward(net, split, x, seed):
    """A backward pass from random gradients of the outputs; gradients (N, K, H, W) of the middle.

    The middle is what the first ``split`` layers give.
    """
    layers = list(net.train())
    before = Sequential(*layers[:split])(Tensor(x))
    middle = Tensor(before.numpy(), requires_grad=True)
    y = Sequential(*layers[split:])(middle)
    (y * Tensor(np.random.default_rng(seed + 1).normal(size=y.shape))).sum().backward()
    (before * Tensor(middle.grad)).sum().backward()
    return middle.grad


def along(tensor, values, groups=1):
    """<gradient, values> for every row of a tensor, or for every column of a group's rows."""
    product = tensor.grad * values
    if product.shape[1:] == (3, 1, 1):
        return product.reshape(groups, -1, 3).sum(axis=1).ravel()
    return product.reshape(len(product), -1).sum(axis=1)


# --- identities ---------------------------------------------------------------------------------


@given(seeds, st.sampled_from([1, 2]))
def test_euler_identities_of_a_factorized_layer_hold_for_every_component(seed, groups):
    net = factorized(seed, groups)
    x = np.random.default_rng(seed).normal(size=(2, 2 * groups, 5, 5))
    reached = backward(net, 1, x, seed)
    first, last = net[0], net[2]
    of_d = first.scale.grad * first.scale.numpy()
    # The same products as for D, summed in another order: a few hundred roundings.
    size = np.abs(first.latent.grad * first.codes()).sum()
    assert np.allclose(along(first.latent, first.codes()), of_d, rtol=0, atol=1e-13 * size)
    # X meets the middle as codes, which are at most half a step from what D gives.
    room = 0.5e-3 * np.abs(reached).sum(axis=(0, 2, 3))
    of_x = along(last.latent, last.codes(), groups)
    assert np.all(np.abs(of_x - of_d) <= room + 1e-13 * size)


@given(seeds)
def test_behind_a_batch_norm_the_norm_stands_for_the_scale(seed):
    net = factorized(seed, normal=True)
    x = np.random.default_rng(seed).normal(size=(4, 2, 5, 5))
    reached = backward(net, 2, x, seed)
    first, norm, _, last, after = net
    assert [link.diagonal for link in chains_of(net)[0]] == [norm.weight, after.weight]
    of_d = norm.weight.grad * norm.weight.numpy()
    of_norm = of_d + norm.bias.grad * norm.bias.numpy()
    # The gradients of batch norms are binary32.
    size = np.abs(reached * apply(Sequential(first, norm), x)).sum()
    room = 0.5e-3 * np.abs(reached).sum(axis=(0, 2, 3))
    assert np.all(np.abs(along(last.latent, last.codes()) - of_norm) <= room + 1e-5 * size)
    # A scale s changes nothing but eps beside the variance: s dL/ds = eps / (var + eps) of_d.
    variance = apply(first, x).var(axis=(0, 2, 3))
    left = 1e-5 / (variance + 1e-5) * of_d
    of_scale = first.scale.grad * first.scale.numpy()
    assert np.allclose(of_scale, left, rtol=0, atol=1e-5 * size)


# --- chains -------------------------------------------------------------------------------------


def test_chains_run_through_batch_norms_and_signed_codes_and_end_at_others():
    rng = np.random.default_rng(0)
    pair, other = factorized(0, normal=True), ternary(rng, 2, 4, 1, 1)
    unsigned = Quantize(Uniform(type=UINT8, scale=1e-2))
    flat = Sequential(*pair, unsigned, other, ReLU(), Sequential(*factorized(1)))
    assert [len(chain) for chain in chains_of(flat)] == [2, 1, 2]
    assert chains_of(flat)[0][1].norm is pair[4]
    # Another batch norm is no diagonal of a layer that has one, and floats end a chain.
    assert len(chains_of(Sequential(*pair, BatchNorm2d(4), WIDE, other))) == 2
    assert len(chains_of(Sequential(other, Conv2d(2, 2, 1, rng=rng), other.copy()))) == 2
    branches = Residual(Sequential(pair[0], WIDE), Sequential(pair[3]))
    assert [len(chain) for chain in chains_of(Sequential(other, branches, WIDE, other))] == [1] * 4
    assert chains_of(Linear(2, 2, rng=rng)) == []


# --- rules --------------------------------------------------------------------------------------


def multipliers(net, rule):
    """Multipliers by name of parameter: rates are 1 / l^2."""
    names = [name for name, _ in net.named_parameters()]
    rates = balanced_rates(net, rule)
    return {n: np.asarray(r, dtype=float) ** -0.5 for n, r in zip(names, rates, strict=True)}


def norms_of(net, found):
    return {n: np.linalg.norm(found[n] * t.numpy()) for n, t in net.named_parameters()}


def test_every_rule_gives_a_rate_for_every_parameter_and_none_changes_nothing():
    net = Sequential(*factorized(0), ReLU(), Linear(3, 2, rng=np.random.default_rng(0)))
    for rule in RULES:
        rates = balanced_rates(net, rule)
        SGD(net.parameters(), lr=0.1, rates=rates)
        assert rates[-2:] == [1, 1]
        halved = balanced_rates(net, rule, power=1)
        for a, b in zip(rates, halved, strict=True):
            assert np.allclose(a, np.square(b), rtol=1e-12)
    assert balanced_rates(net, "none") == [1.0] * len(net.parameters())


def test_layers_get_equal_norms_and_keep_the_product():
    net = factorized(3)
    found = multipliers(net, "layer")
    norms = norms_of(net, found)
    assert np.allclose(list(norms.values()), norms["0.latent"], rtol=1e-9)
    assert np.prod(list(found.values())) == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("groups", [1, 2])
def test_every_component_of_a_factorized_layer_gets_equal_norms(groups):
    net = factorized(4, groups)
    found = multipliers(net, "component")
    Y, d = (net.state_dict()[f"0.{n}"] * found[f"0.{n}"] for n in ("latent", "scale"))
    X = net.state_dict()["2.latent"] * found["2.latent"]
    for g in range(groups):
        for i in range(3):
            row = 3 * g + i
            column = X[4 * g : 4 * g + 4, i]
            wanted = np.linalg.norm(Y[row])
            assert np.linalg.norm(column) == pytest.approx(wanted, rel=1e-9)
            assert abs(d[row]) == pytest.approx(wanted, rel=1e-9)
    assert found["2.scale"].shape == ()


def test_every_block_of_a_chain_of_three_gets_equal_norms():
    rng = np.random.default_rng(5)
    A, G, B = (ternary(rng, *s, groups=g) for s, g in (
        ((6, 5, 1, 1), 1), ((4, 3, 3, 3), 2), ((7, 4, 1, 1), 1)))
    net = Sequential(A, WIDE, G, WIDE.copy(), B)
    found = multipliers(net, "component")
    scaled = {n: t.numpy() * found[n] for n, t in net.named_parameters()}
    for r in range(2):
        parts = [scaled["0.latent"][3 * r : 3 * r + 3], scaled["0.scale"][3 * r : 3 * r + 3],
                 scaled["2.latent"][2 * r : 2 * r + 2], scaled["2.scale"][2 * r : 2 * r + 2],
                 scaled["4.latent"][:, 2 * r : 2 * r + 2]]
        norms = [np.linalg.norm(part) for part in parts]
        assert np.allclose(norms, norms[0], rtol=1e-9)


@pytest.mark.parametrize("rule", ["layer", "component"])
def test_gradients_of_white_inputs_and_outputs_get_one_size_the_last_scale_included(rule):
    rng = np.random.default_rng(9)
    net = Sequential(ternary(rng, 24, 60), WIDE, ternary(rng, 40, 24))
    backward(net, 1, rng.normal(size=(400, 60)), 9)
    found = multipliers(net, rule)
    gradients = {n: t.grad / found[n] for n, t in net.named_parameters()}
    assert len(gradients) == 4
    # Of one normal variance but for what latents differ from codes: the mean of 24 magnitudes, the
    # fewest, has a deviation of sqrt(pi / 2 - 1) / sqrt(24) = 0.15 of it.
    assert spread(gradients.values()) < 1.5


def test_xavier_gives_latents_the_deviation_of_their_fans():
    net = factorized(6)
    found = multipliers(net, "xavier")
    for name, fans in (("0", 2 * 9 + 3 * 9), ("2", 3 + 4)):
        latent = net.state_dict()[f"{name}.latent"] * found[f"{name}.latent"]
        assert np.sqrt(np.mean(latent**2)) == pytest.approx((2 / fans) ** 0.5, rel=1e-9)
    assert found["0.scale"] == found["2.scale"]
    assert np.prod(list(found.values())) == pytest.approx(1, rel=1e-9)


def test_chains_that_do_not_divide_are_balanced_by_layer():
    rng = np.random.default_rng(7)
    long = Sequential(*(m for _ in range(4) for m in (ternary(rng, 3, 3), WIDE.copy())))
    assert balanced_rates(long, "component") == balanced_rates(long, "layer")
    one = QuantLinear(rng.normal(size=(2, 3)), np.ones(1), type=SINT8)
    assert balanced_rates(one, "component") == balanced_rates(one, "layer")


def test_dead_components_keep_finite_rates():
    net = factorized(8)
    net[0].latent.assign(np.zeros(net[0].latent.shape))
    for rule in RULES:
        assert all(np.all(np.isfinite(r)) for r in balanced_rates(net, rule))


# --- methods ------------------------------------------------------------------------------------


def test_methods_say_how_they_are_balanced_and_refuse_other_words():
    chosen = methods_of("factorized(balance=component), blockterm(balance=xavier), twostep")
    assert [balance_of(m) for m in chosen] == ["component", "xavier", "none"]
    for kind in (Factorized, BlockTerm):
        with pytest.raises(ValueError, match=f"{kind.__name__}: balance='norm', rule one of auto"):
            kind(balance="norm")
        assert balance_of(kind()) == "auto"
    for rule in ("norm", "auto"):
        with pytest.raises(ValueError, match=f"balanced_rates: rule='{rule}'"):
            balanced_rates(factorized(0), rule)


def test_gradient_descent_is_balanced_by_itself_and_adam_is_when_asked():
    assert rule_for("auto", power=2) == "component"
    assert rule_for("auto", power=1) == "none"
    assert [rule_for(rule, power=p) for rule in RULES for p in (1, 2)] == [
        rule for rule in RULES for _ in range(2)
    ]


@pytest.mark.parametrize("method", [Factorized(), BlockTerm(speedup=2)])
def test_what_methods_make_of_a_layer_is_one_chain_with_batch_norms_too(method):
    rng = np.random.default_rng(0)
    layer = Conv2d(8, 6, 3, padding=1, rng=rng)
    x = rng.uniform(size=(20, 8, 5, 5)).astype(np.float32)
    data = LayerData(inputs=x, targets=apply(layer, x), quantizer=None)
    new = method.compress_layer(layer, data, rng)
    width = len([m for _, m in new.walk() if isinstance(m, QuantConv2d)])
    assert [len(chain) for chain in chains_of(new)] == [width]
    tuned = insert_batch_norm(Sequential(new, Quantize(Uniform(type=UINT8, scale=1e-2)),
                                         ternary(rng, 2, 6, 1, 1)), x)
    assert [len(chain) for chain in chains_of(tuned)] == [width, 1]
