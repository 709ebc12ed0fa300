"""Two-step quantization: the layers it makes, its settings, its preparation."""

import numpy as np
import pytest

from refnet.autograd import Tensor
from refnet.methods import LayerData, TwoStep, compress
from refnet.methods.base import dead_filters
from refnet.nn import Conv2d, Flatten, Linear, ReLU, Residual, Sequential
from refnet.program import TERNARY
from refnet.quant import HalfWave, LloydHalfWave, QuantConv2d, Quantize


@pytest.mark.parametrize("groups", [1, 3])
def test_compressed_layer_keeps_the_geometry_and_the_codes_found(groups):
    rng = np.random.default_rng(0)
    layer = Conv2d(3, 6, 3, padding=1, stride=2, groups=groups, rng=rng)
    x = rng.integers(0, 4, (10, 3, 9, 9)).astype(np.float32)
    data = LayerData(inputs=x, targets=layer(Tensor(x)).numpy(), quantizer=HalfWave(2))
    new = TwoStep(samples=100).compress_layer(layer, data, np.random.default_rng(5))
    assert isinstance(new, QuantConv2d)
    assert new.type == TERNARY
    assert new(Tensor(x)).shape == data.targets.shape
    assert np.max(np.abs(new.latent.numpy() - new.codes())) <= 0.45 + 1e-6
    again = TwoStep(samples=100).compress_layer(layer, data, np.random.default_rng(5))
    assert all(np.array_equal(a, again.state_dict()[k]) for k, a in new.state_dict().items())


def test_linear_layers_and_fewer_samples_than_inputs():
    rng = np.random.default_rng(0)
    layer = Linear(50, 4, rng=rng)
    x = rng.integers(0, 4, (7, 50)).astype(np.float32)
    data = LayerData(inputs=x, targets=layer(Tensor(x)).numpy(), quantizer=None)
    new = TwoStep().compress_layer(layer, data, rng)
    assert new.latent.shape == (4, 50)
    assert np.isfinite(new(Tensor(x)).numpy()).all()


def test_prepare_replaces_every_relu_and_is_idempotent():
    rng = np.random.default_rng(0)
    inner = Residual(Sequential(Conv2d(2, 2, 1, rng=rng), ReLU()), Conv2d(2, 2, 1, rng=rng))
    net = Sequential(Conv2d(1, 2, 3, rng=rng), ReLU(), inner, ReLU(), Residual(ReLU()))
    x = rng.normal(size=(4, 1, 5, 5)).astype(np.float32)
    prepared = TwoStep(bits=3).prepare(net, x)
    kinds = [type(m) for _, m in prepared.walk()]
    assert kinds.count(Quantize) == 4
    assert ReLU not in kinds
    assert sum(isinstance(m, ReLU) for _, m in net.walk()) == 4
    again = TwoStep(bits=3).prepare(prepared, x)
    assert repr(again) == repr(prepared)


def a_layer(seed=0, **geometry):
    rng = np.random.default_rng(seed)
    layer = Conv2d(3, 6, 3, padding=1, rng=rng, **geometry)
    x, original = rng.integers(0, 4, (2, 10, 3, 6, 6)).astype(np.float32)
    data = LayerData(
        inputs=x, targets=layer(Tensor(original)).numpy(), quantizer=HalfWave(2),
        original_inputs=original,
    )
    return layer, data


@pytest.mark.parametrize("z_step", ["relaxed", "exact"])
def test_levels_that_are_not_equally_far_apart_are_targets_too(z_step):
    layer, data = a_layer()
    q = LloydHalfWave(3, 0.5).fit(data.targets)
    data = LayerData(inputs=data.inputs, targets=data.targets, quantizer=q)

    def error(**settings):
        method = TwoStep(z_step=z_step, **settings)
        y = method.compress_layer(layer, data, np.random.default_rng(0))(Tensor(data.inputs))
        wanted, got = (q.values(q.codes(a)) for a in (data.targets, y.numpy()))
        return np.sum((wanted - got) ** 2)

    assert error() < error(iterations=0)


@pytest.mark.parametrize("bits", [None, "ternary", 1, 2, 3, 4])
def test_latents_round_to_codes_of_every_width(bits):
    layer, data = a_layer()
    new = TwoStep(weight_bits=bits, samples=200).compress_layer(
        layer, data, np.random.default_rng(0)
    )
    top = {1: 1, 3: 3, 4: 7}.get(bits, 1)
    assert (new.type.lo, new.type.hi) == (-top, top)
    codes, latent = new.codes(), new.latent.numpy()
    assert np.abs(codes).max() == top
    assert new.binary == (bits == 1)
    if bits == 1:
        assert codes.all()
        assert np.all(np.abs(latent) >= 0.05 - 1e-6)
        assert np.abs(latent).max() <= 1.45 + 1e-6
    else:
        assert np.max(np.abs(latent - codes)) <= 0.45 + 1e-6
    assert np.all(new.scale.numpy() > 0)


def test_symmetric_takes_the_original_inputs_and_asymmetric_the_real_ones():
    layer, data = a_layer()
    rng = np.random.default_rng
    found = {
        asymmetric: TwoStep(asymmetric=asymmetric).compress_layer(layer, data, rng(0))
        for asymmetric in (True, False)
    }
    swapped = LayerData(
        inputs=data.original_inputs, targets=data.targets, quantizer=data.quantizer,
        original_inputs=data.inputs,
    )
    again = TwoStep().compress_layer(layer, swapped, rng(0))
    state, other = again.state_dict(), found[False].state_dict()
    assert all(np.array_equal(state[k], other[k]) for k in state)
    assert not np.array_equal(found[True].scale.numpy(), found[False].scale.numpy())


def test_without_a_solved_bias_the_layer_keeps_its_own():
    layer, data = a_layer()
    new = TwoStep(bias=False).compress_layer(layer, data, np.random.default_rng(0))
    assert np.array_equal(new.bias.numpy(), layer.bias.numpy())
    layer, data = a_layer(bias=False)
    assert TwoStep(bias=False).compress_layer(layer, data, np.random.default_rng(0)).bias is None
    assert TwoStep().compress_layer(layer, data, np.random.default_rng(0)).bias is not None


@pytest.mark.parametrize("bits", [None, 1, 4])
def test_every_dead_filter_is_named_however_it_died(bits):
    """Constant targets, no weights, weights too small for binary32: scale or codes are zero."""
    layer, data = a_layer()
    weight = layer.weight.numpy().copy()
    weight[1], weight[4] = 0, 1e-44
    layer.weight.assign(weight)
    targets = data.targets.copy()
    targets[:, 1], targets[:, 2], targets[:, 4] = 0.7, -3.0, targets[:, 4] * np.float32(1e-47)
    new = TwoStep(weight_bits=bits).compress_layer(
        layer, LayerData(inputs=data.inputs, targets=targets, quantizer=None),
        np.random.default_rng(0),
    )
    assert dead_filters(new) == (1, 2, 4)
    dead = new(Tensor(data.inputs)).numpy()[:, [1, 2, 4]]
    assert np.allclose(dead, np.array([0.7, -3.0, 0.0])[:, None, None], rtol=1e-6)
    assert bits != 1 or new.codes().all()


@pytest.mark.parametrize("bits", [None, 1, 4])
def test_dead_filters_reach_the_report(bits):
    rng = np.random.default_rng(0)
    layers = [Conv2d(1, 2, 1, rng=rng), ReLU(), Conv2d(2, 3, 1, rng=rng), ReLU()]
    net = Sequential(*layers, Flatten(), Linear(12, 2, rng=rng))
    weight = layers[2].weight.numpy().copy()
    weight[1] = 0
    layers[2].weight.assign(weight)
    x = rng.uniform(size=(9, 1, 2, 2)).astype(np.float32)
    _, report = compress(net, TwoStep(weight_bits=bits), x, rng=rng)
    assert report.dead_filters == {"3": (1,)}


@pytest.mark.parametrize(
    "bad", [{"bits": 0}, {"samples": 0}, {"sweeps": 0}, {"iterations": -1}, {"penalties": (0.0,)},
            {"penalties": (float("nan"),)}, {"weight_bits": 0}, {"weight_bits": 2.5},
            {"weight_bits": "four"}, {"form": "newton"}, {"z_step": "none"}]
)
def test_settings_that_are_none_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        TwoStep(**bad)
