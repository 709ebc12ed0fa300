"""Layers that quantize real weights at every pass, against their quantized form and in training."""

import numpy as np
import pytest

from refnet import kernels
from refnet.autograd import Tensor
from refnet.lower import lower
from refnet.nn import BatchNorm2d, Flatten, Sequential
from refnet.program import SINT8, UINT8, run
from refnet.quant import (
    BWN,
    TTQ,
    TWN,
    WEIGHT_QUANTIZERS,
    FakeQuantConv2d,
    FakeQuantLinear,
    HalfWave,
    LQActivations,
    LQWeights,
    QuantConv2d,
    QuantInput,
    Quantize,
    QuantLinear,
    Uniform,
    absorb_batch_norm,
    freeze,
    insert_batch_norm,
    run_frozen,
)

every = pytest.mark.parametrize("rule", [make() for make in WEIGHT_QUANTIZERS], ids=repr)
GEOMETRY = {"stride": (2, 1), "padding": ((1, 0), (2, 1)), "dilation": (1, 2), "groups": 2}


def conv(rule, rng, dtype=np.float32):
    weight = rng.normal(size=(4, 3, 2, 3)).astype(dtype)
    weight[2] = 0
    return FakeQuantConv2d(weight, rng.normal(size=4).astype(dtype), quantizer=rule, **GEOMETRY)


@every
def test_the_quantized_layer_computes_the_same_function(rule):
    rng = np.random.default_rng(0)
    layer = conv(rule, rng).eval()
    x = rng.normal(size=(2, 6, 7, 9)).astype(np.float32)
    same = layer.quantized()
    assert isinstance(same, QuantConv2d)
    assert np.array_equal(same(Tensor(x)).numpy(), layer(Tensor(x)).numpy())
    assert same.type == rule.type
    assert np.array_equal(same.codes(), same.latent.numpy())
    assert not same.codes()[2].any()
    plain = FakeQuantLinear(rng.normal(size=(3, 5)), quantizer=rule).eval()
    y = rng.normal(size=(4, 5))
    assert isinstance(plain.quantized(), QuantLinear)
    assert np.array_equal(plain.quantized()(Tensor(y)).numpy(), plain(Tensor(y)).numpy())


@every
def test_weights_are_quantized_anew_and_the_state_moves_in_training_only(rule):
    rng = np.random.default_rng(1)
    layer = conv(rule, rng).eval()
    x = Tensor(rng.normal(size=(2, 6, 7, 9)).astype(np.float32))
    before = layer(x).numpy()
    assert np.array_equal(layer(x).numpy(), before)
    layer.latent.assign(rng.normal(size=layer.latent.shape).astype(np.float32))
    moved = layer(x).numpy()
    assert not np.array_equal(moved, before)
    assert np.array_equal(layer.quantized()(x).numpy(), moved)
    layer.train()
    # A pass of training uses the state as it was, whatever becomes of it.
    assert np.array_equal(layer(x).numpy(), moved)
    changed = not np.array_equal(layer.eval()(x).numpy(), moved)
    assert changed == isinstance(rule, LQWeights)


def test_what_a_rule_trains_is_a_parameter_and_what_it_averages_a_buffer():
    rng = np.random.default_rng(2)
    for rule, parameters, size in ((TTQ(), 3, 2), (LQWeights(), 2, 2), (BWN(), 2, 0)):
        layer = conv(rule, rng)
        assert len(layer.parameters()) == parameters
        assert layer.state_dict()["state"].shape == (4, size)
        other = conv(rule, np.random.default_rng(3))
        other.load_state_dict(layer.state_dict())
        x = Tensor(rng.normal(size=(1, 6, 7, 9)).astype(np.float32))
        assert np.array_equal(other.eval()(x).numpy(), layer.eval()(x).numpy())
        assert np.array_equal(layer.copy()(x).numpy(), layer(x).numpy())
    layer = conv(TTQ(), rng)
    layer(x).backward(np.ones(layer(x).shape, np.float32))
    assert all(p.grad is not None and p.grad.dtype == np.float32 for p in layer.parameters())


def network(rule, rng, activations):
    def layer(channels, filters, rule=rule):
        shape = (filters, channels, 3, 3)
        return FakeQuantConv2d(
            rng.normal(size=shape).astype(np.float32), rng.normal(size=filters).astype(np.float32),
            quantizer=rule, padding=1,
        )

    return Sequential(
        QuantInput(Uniform(type=UINT8, scale=1 / 255), (1, 6, 6)), layer(1, 4, LQWeights()),
        Quantize(activations), layer(4, 5), Quantize(activations), Flatten(),
        QuantLinear(
            rng.integers(-9, 9, (3, 180)).astype(np.float32), np.full(1, 0.1, np.float32),
            type=SINT8,
        ),
    ).eval()


@every
def test_networks_of_them_freeze_with_and_without_batch_norm(rule):
    rng = np.random.default_rng(4)
    net = network(rule, rng, LQActivations())
    codes = rng.integers(0, 256, (5, 1, 6, 6)).astype(np.uint8)
    x = codes / np.float32(255)
    normal = insert_batch_norm(net, x)
    assert sum(isinstance(layer, BatchNorm2d) for layer in normal) == 2
    # The batch norms undo themselves up to single-precision rounding of sums of some 40 terms.
    before, after = Sequential(*list(net)[:2]), Sequential(*list(normal)[:3])
    shift = np.abs(after.eval()(Tensor(x)).numpy() - before.eval()(Tensor(x)).numpy()).max()
    assert shift < 1e-4
    assert isinstance(normal[1], FakeQuantConv2d)
    absorbed = absorb_batch_norm(normal)
    assert isinstance(absorbed[1], QuantConv2d)
    first = Sequential(*list(absorbed)[:2]).eval()(Tensor(x)).numpy()
    assert np.abs(first - before.eval()(Tensor(x)).numpy()).max() < 1e-4
    assert len(absorbed) == len(net)
    for quantized in (net, absorbed):
        frozen = freeze(quantized)
        program = lower(frozen)
        scores = run(program, codes)
        assert np.array_equal(run_frozen(frozen, codes), scores)
        assert np.array_equal(run(program, codes, execute=kernels.execute), scores)


def test_a_learned_activation_moves_in_training_after_it_was_used():
    rng = np.random.default_rng(5)
    layer = Quantize(LQActivations(basis=(1.0, 2.0), momentum=0.5))
    x = rng.normal(size=(4, 50))
    before = layer.quantizer
    y = layer(Tensor(x))
    assert np.array_equal(y.numpy(), before.values(before.codes(x)))
    assert layer.quantizer == before.refresh(x)
    assert layer.quantizer != before
    moved = layer.quantizer
    layer.eval()(Tensor(x))
    assert layer.quantizer == moved
    other = Quantize(LQActivations())
    other.load_state_dict(layer.state_dict())
    assert other.quantizer.basis == moved.basis
    assert repr(other) == repr(Quantize(LQActivations()))
    plain = Quantize(HalfWave())
    assert plain.quantizer == HalfWave()
    assert plain.state_dict() == {}


def test_a_few_steps_of_training_lower_the_loss_under_every_rule():
    from refnet.nn import Adam

    rng = np.random.default_rng(6)
    x = rng.normal(size=(64, 10)).astype(np.float32)
    target = x @ rng.normal(size=(10, 4)).astype(np.float32)
    for make in WEIGHT_QUANTIZERS:
        start = rng.normal(size=(4, 10)).astype(np.float32)
        layer = FakeQuantLinear(start, np.zeros(4, np.float32), quantizer=make())
        optimizer = Adam(layer.parameters(), lr=0.03)
        losses = []
        for _ in range(120):
            optimizer.zero_grad()
            miss = layer(Tensor(x)) - target
            loss = (miss * miss).mean()
            loss.backward()
            optimizer.step()
            losses.append(float(loss))
        assert np.mean(losses[-10:]) < 0.5 * losses[0], make.__name__


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FakeQuantConv2d(np.ones((4, 1, 1)), quantizer=TWN()), "F, C/G, R, S"),
        (lambda: FakeQuantConv2d(np.ones((3, 1, 1, 1)), quantizer=TWN(), groups=2), "divide F"),
        (lambda: FakeQuantLinear(np.ones((4, 1, 1)), quantizer=TWN()), "F, K"),
        (lambda: FakeQuantLinear(np.ones((4, 2)), np.ones(3), quantizer=TWN()), "bias"),
        (lambda: FakeQuantLinear(np.array([[np.nan]]), quantizer=TTQ()), "TTQ: weights: holds NaN"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
