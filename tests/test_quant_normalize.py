"""Batch norm put behind quantized layers and taken away again: the function stays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.autograd import Tensor, no_grad
from refnet.nn import BatchNorm2d, Flatten, Residual, Sequential
from refnet.program import TERNARY, UINT8
from refnet.quant import (
    FakeQuantConv2d,
    HalfWave,
    LQWeights,
    QuantConv2d,
    QuantInput,
    Quantize,
    QuantLinear,
    Uniform,
    absorb_batch_norm,
    freeze,
    hold_codes,
    insert_batch_norm,
    reestimate_batch_norm,
    run_frozen,
)


def conv(rng, filters, channels, *, dead=False, bias=True, groups=1):
    latent = rng.integers(-1, 2, (filters, channels // groups, 3, 3)).astype(np.float64)
    if dead:
        latent[0] = 0
    return QuantConv2d(
        latent, rng.uniform(0.1, 0.5, filters), rng.normal(size=filters) if bias else None,
        type=TERNARY, padding=1, groups=groups,
    )


def network(rng, *, dead=False, bias=True):
    """float64 throughout, so that only rounding of 53 bits parts the forms."""
    unit = Sequential(conv(rng, 4, 4, bias=bias), Quantize(HalfWave()), conv(rng, 4, 4))
    return Sequential(
        QuantInput(Uniform(type=UINT8, scale=1 / 255), (2, 4, 4)),
        conv(rng, 4, 2, dead=dead, bias=bias), Quantize(HalfWave()),
        Residual(unit, conv(rng, 4, 4, groups=2)), Quantize(HalfWave()), Flatten(),
        QuantLinear(rng.integers(-1, 2, (3, 64)) * 1.0, np.ones(1), np.zeros(3), type=TERNARY),
    ).eval()


def responses(net, x):
    """What every quantizer of the net sees, with the output last."""
    seen = []
    with no_grad():
        y = Tensor(x)
        for layer in net:
            if isinstance(layer, Quantize):
                seen.append(y.numpy())
            y = layer(y)
    return [*seen, y.numpy()]


@given(seed=st.integers(0, 99), dead=st.booleans(), bias=st.booleans())
def test_inserting_and_absorbing_keep_the_function(seed, dead, bias):
    rng = np.random.default_rng(seed)
    net = network(rng, dead=dead, bias=bias)
    x = rng.integers(0, 256, (20, 2, 4, 4)) / 255
    tuned = insert_batch_norm(net, x)
    assert sum(isinstance(layer, BatchNorm2d) for _, layer in tuned.walk()) == 4
    assert not any(isinstance(layer, BatchNorm2d) for _, layer in net.walk())
    back = absorb_batch_norm(tuned)
    # Batch norms hold float32, so mean, variance, weight and bias of a response y each carry one
    # rounding, 2**-24 of values of at most max |y| (the square root halves it, the ratio doubles
    # it again): six of them cover the product and the sum. Only the first response is compared:
    # behind it a code may turn at a tie.
    first = responses(net, x)[0]
    allowed = 6 * 2.0**-24 * max(1.0, float(np.abs(first).max()))
    for other in (tuned, back):
        assert np.abs(responses(other, x)[0] - first).max() <= allowed
    assert not any(isinstance(layer, BatchNorm2d) for _, layer in back.walk())
    assert freeze(back)


def test_the_last_layer_keeps_its_bias_and_gets_none():
    rng = np.random.default_rng(0)
    net = network(rng)
    tuned = insert_batch_norm(net, rng.uniform(size=(5, 2, 4, 4)))
    assert isinstance(tuned[-1], QuantLinear)
    assert tuned[-1].bias is not None
    assert all(
        layer.bias is None for _, layer in tuned.walk() if isinstance(layer, QuantConv2d)
    )


def test_a_negative_weight_gives_a_negative_scale_that_freezes():
    rng = np.random.default_rng(1)
    net = network(rng)
    tuned = insert_batch_norm(net, rng.uniform(size=(5, 2, 4, 4)))
    norm = tuned[2]
    norm.weight.assign(-norm.weight.numpy())
    back = absorb_batch_norm(tuned)
    assert np.all(back[1].scale.numpy() < 0)
    assert freeze(back)


def test_a_dead_filter_stays_finite_through_training_statistics():
    rng = np.random.default_rng(2)
    tuned = insert_batch_norm(network(rng, dead=True), rng.uniform(size=(8, 2, 4, 4)))
    tuned.train()
    out = tuned(Tensor(rng.uniform(size=(8, 2, 4, 4))))
    assert np.isfinite(out.numpy()).all()
    absorbed = absorb_batch_norm(tuned)
    assert np.isfinite(absorbed[1].scale.numpy()).all()


def test_reestimation_gives_the_statistics_of_all_batches_and_changes_nothing_else():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(30, 2, 3, 3)) * 3 + 1
    net = Sequential(BatchNorm2d(2, momentum=0.3).astype(np.float64))
    new = reestimate_batch_norm(net, x, batch_size=10)
    parts = np.split(x, 3)
    mean = np.mean([p.mean(axis=(0, 2, 3)) for p in parts], axis=0)
    var = np.mean([p.var(axis=(0, 2, 3), ddof=1) for p in parts], axis=0)
    # Three running updates, three roundings each, of values below 16.
    assert np.abs(new[0].running_mean - mean).max() <= 16 * 9 * 2.0**-52
    assert np.abs(new[0].running_var - var).max() <= 16 * 64 * 2.0**-52
    assert new[0].momentum == 0.3
    assert np.array_equal(net[0].running_mean, np.zeros(2))


def test_reestimation_moves_nothing_but_statistics():
    rng = np.random.default_rng(7)
    layer = FakeQuantConv2d(rng.normal(size=(4, 2, 3, 3)), quantizer=LQWeights())
    layer.state = layer.state * 1.5  # a basis that the next step of training would move
    net = Sequential(layer, BatchNorm2d(4))
    new = reestimate_batch_norm(net, rng.normal(size=(6, 2, 5, 5)), batch_size=3)
    moved = {k for k, v in new.state_dict().items() if not np.array_equal(v, net.state_dict()[k])}
    assert moved == {"1.running_mean", "1.running_var"}
    assert not any(module.training for _, module in new.walk())


def test_reestimation_refuses_a_batch_without_statistics():
    with pytest.raises(ValueError, match="training needs at least 2"):
        reestimate_batch_norm(Sequential(BatchNorm2d(2)), np.ones((1, 2), np.float32))


def test_held_codes_get_no_gradient_and_everything_else_does():
    rng = np.random.default_rng(4)
    net = network(rng)
    x = rng.uniform(size=(8, 2, 4, 4))
    held = hold_codes(insert_batch_norm(net, x)).train()
    held(Tensor(x)).sum().backward()
    layers = [layer for _, layer in held.walk() if isinstance(layer, QuantConv2d | QuantLinear)]
    norms = [layer for _, layer in held.walk() if isinstance(layer, BatchNorm2d)]
    assert all(layer.latent.grad is None for layer in layers)
    assert layers[-1].scale.grad is not None
    assert all(bn.weight.grad is not None and bn.bias.grad is not None for bn in norms)
    assert net[1].latent.requires_grad


def test_training_leaves_a_scale_alone_behind_which_a_batch_norm_stands():
    rng = np.random.default_rng(6)
    tuned = insert_batch_norm(network(rng), rng.uniform(size=(8, 2, 4, 4)))
    *layers, last = [m for _, m in tuned.walk() if isinstance(m, QuantConv2d | QuantLinear)]
    assert [layer.scale.requires_grad for layer in layers] == [False] * 4
    assert last.scale.requires_grad
    # Then the scale has what the batch norm learnt.
    absorbed = [m for _, m in absorb_batch_norm(tuned).walk() if isinstance(m, QuantConv2d)]
    assert [layer.scale.requires_grad for layer in absorbed] == [True] * 4


def test_a_layer_with_a_batch_norm_gets_no_second_one_and_freezing_absorbs_it():
    rng = np.random.default_rng(5)
    x = rng.uniform(size=(5, 2, 4, 4))
    once = insert_batch_norm(network(rng), x)
    twice = insert_batch_norm(once, x)
    assert [type(layer) for _, layer in twice.walk()] == [type(layer) for _, layer in once.walk()]
    codes = rng.integers(0, 256, (3, 2, 4, 4)).astype(np.uint8)
    apart, together = freeze(absorb_batch_norm(once)), freeze(once)
    assert np.array_equal(run_frozen(apart, codes), run_frozen(together, codes))
