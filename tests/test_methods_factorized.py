"""The factorized method: its layers against the factors, its rules, groups, data and limits."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.autograd import Tensor
from refnet.methods import Factorized, LayerData, compress
from refnet.methods.activations import eight_bit_activations
from refnet.methods.base import apply
from refnet.methods.factorized import relative_error, semidiscrete
from refnet.nn import (
    AvgPool2d,
    Conv2d,
    Dataset,
    Flatten,
    Linear,
    ReLU,
    Residual,
    Sequential,
    train,
)
from refnet.program import SINT8, UINT8
from refnet.quant import QuantConv2d, Quantize, QuantLinear, Uniform, freeze, run_frozen


def conv(**options):
    options = {"stride": (2, 1), "padding": ((1, 0), (2, 1)), "dilation": (1, 2), **options}
    return Conv2d(4, 6, (3, 2), **options, rng=np.random.default_rng(0))


def compressed(layer, method, shape=(16, 4, 7, 8), seed=1):
    x = np.abs(np.random.default_rng(seed).normal(size=shape)).astype(np.float32)
    data = LayerData(inputs=x, targets=apply(layer, x), quantizer=None)
    return method.compress_layer(layer, data, np.random.default_rng(0)), data


def response_error(new, data):
    y = apply(new, data.inputs)
    return np.sum((y - data.targets) ** 2.0) / np.sum(data.targets**2.0)


LAYERS = {
    "plain": lambda: conv(stride=1, padding=1, dilation=1), "geometry": conv,
    "two groups": lambda: conv(groups=2), "no bias": lambda: conv(bias=False),
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_the_two_layers_are_the_factored_kernel(make):
    layer = make()
    new, data = compressed(layer, Factorized(bits=16))
    first, codes, last = new
    assert isinstance(first, QuantConv2d)
    assert isinstance(last, QuantConv2d)
    for field in ("stride", "padding", "dilation", "groups"):
        assert getattr(first, field) == getattr(layer, field)
    assert last.latent.shape[2:] == (1, 1)
    assert last.bias is not None
    G, F = layer.groups, len(layer.weight.numpy())
    Y = first.weight().numpy().reshape(G, -1, first.latent[0].size)
    X = last.weight().numpy().reshape(G, F // G, -1)
    kernel = np.einsum("gfk,gkn->gfn", X, Y).reshape(layer.weight.shape)
    dense = Conv2d.of(
        kernel, last.bias.numpy(), stride=layer.stride, padding=layer.padding,
        dilation=layer.dilation, groups=G,
    )
    y = apply(new, data.inputs)
    # Each of k codes is off by at most half a step; X sums k of them times a scale.
    step = codes.quantizer.scale * X.shape[2] * np.abs(last.scale.numpy()).max()
    assert np.abs(y - apply(dense, data.inputs)).max() <= 0.5 * step + 1e-5


def test_a_linear_layer_becomes_two():
    layer = Linear(20, 9, rng=np.random.default_rng(0))
    new, data = compressed(layer, Factorized(), shape=(200, 20))
    assert isinstance(new[0], QuantLinear)
    assert isinstance(new[2], QuantLinear)
    assert new[0].latent.shape == (9, 20)
    assert new[1].quantizer.type == SINT8
    assert response_error(new, data) < 0.1


def test_filters_have_the_mean_of_the_original_without_labels():
    layer = conv()
    new, data = compressed(layer, Factorized(k=2, bits=8))
    # Sums of binary32 over some thousand positions.
    assert np.allclose(apply(new, data.inputs).mean(axis=(0, 2, 3)),
                       data.targets.mean(axis=(0, 2, 3)), atol=1e-4)


def test_more_components_and_wider_codes_fit_better():
    errors = [response_error(*compressed(conv(), Factorized(k=k))) for k in (1, 2, 4, 8, 16)]
    assert all(b < a for a, b in pairwise(errors))
    wide = [response_error(*compressed(conv(), Factorized(k=16, bits=b))) for b in (8, 10, 16)]
    assert wide[2] <= wide[1] <= wide[0]


def test_reconstruction_fits_the_responses_better_than_the_kernel_alone():
    plain = response_error(*compressed(conv(), Factorized(responses=0)))
    assert response_error(*compressed(conv(), Factorized())) < 0.9 * plain


def test_inputs_that_the_data_never_vary_keep_their_weights():
    layer = Linear(24, 8, rng=np.random.default_rng(0))
    W = layer.weight.numpy()
    for seen in (12, 0):
        x = np.full((300, 24), 0.5, np.float32)
        x[:, :seen] = np.random.default_rng(1).uniform(size=(300, seen))
        data = LayerData(inputs=x, targets=apply(layer, x), quantizer=None)
        new = Factorized(k=12).compress_layer(layer, data, np.random.default_rng(0))
        first, last = new[0].weight().numpy(), new[2].weight().numpy()
        left = (last @ first - W)[:, seen:]
        assert np.linalg.norm(left) < 0.5 * np.linalg.norm(W[:, seen:])


def test_recovery_changes_latents_and_no_code():
    without, with_it = (compressed(conv(), Factorized(recovery=n))[0] for n in (0, 30))
    for a, b in ((without[0], with_it[0]), (without[2], with_it[2])):
        assert np.array_equal(a.codes(), b.codes())
        assert np.array_equal(a.scale.numpy(), b.scale.numpy())
        assert np.array_equal(a.latent.numpy(), a.codes())
        assert not np.array_equal(a.latent.numpy(), b.latent.numpy())


# --- how many components ------------------------------------------------------------------------


def test_the_number_of_components_follows_the_rule():
    W = np.random.default_rng(0).normal(size=(8, 30))
    assert Factorized().components(W) == 8
    assert Factorized(k=11).components(W) == 11
    assert Factorized(cost=0.5).components(W) == int(0.5 * 240 / 38) == 3
    assert Factorized(cost=1e-9).components(W) == 1
    assert Factorized(error=1e-9).components(W) == 32
    assert Factorized().components(np.zeros((3, 2))) == 2
    assert Factorized(error=0.1).components(np.zeros((3, 2))) == 1


@given(st.floats(0.05, 0.95), st.integers(0, 99))
def test_the_error_rule_takes_the_fewest_of_the_greedy(error, seed):
    W = np.random.default_rng(seed).normal(size=(5, 12))
    k = Factorized(error=error).components(W)

    def greedy(k):
        return relative_error(W, *semidiscrete(W, k, sweeps=0, identity=False, joint=False))

    assert greedy(k) <= error + 1e-9 or k == 20
    assert k == 1 or greedy(k - 1) > error - 1e-9


def test_every_group_gets_what_the_largest_needs():
    layer = conv(groups=2)
    weight = layer.weight.numpy().copy()
    weight[:3] = 0.5
    layer.weight.assign(weight)
    new, _ = compressed(layer, Factorized(error=0.3, responses=0))
    assert len(new[0].latent.numpy()) % 2 == 0
    per_group = len(new[0].latent.numpy()) // 2
    assert per_group > 1
    # The constant group is one component: the others are dead filters.
    assert not new[0].codes()[1:per_group].any()
    assert not new[2].codes()[:3, 1:].any()


def test_dead_layers_keep_their_bias_and_lower():
    rng = np.random.default_rng(0)
    layers = [Conv2d(1, 2, 1, rng=rng), ReLU(), Conv2d(2, 3, 1, rng=rng), ReLU()]
    layers[2].weight.assign(np.zeros((3, 2, 1, 1), np.float32))
    layers[2].bias.assign(np.array([1.0, 2.0, -1.0], np.float32))
    net = Sequential(*layers, Flatten(), Linear(12, 2, rng=rng))
    x = rng.uniform(size=(9, 1, 2, 2)).astype(np.float32)
    small, report = compress(
        net, Factorized(), x, rng=rng, input_quantizer=Uniform(type=UINT8, scale=1 / 255)
    )
    assert report.dead_filters == {"3.0": (0,), "3.1": (0, 1, 2)}
    scores = run_frozen(freeze(small), rng.integers(0, 256, (4, 1, 2, 2)).astype(np.uint8))
    assert np.all(scores == scores[:1])


# --- activations, training ----------------------------------------------------------------------


def test_layers_get_codes_wherever_they_have_none():
    rng = np.random.default_rng(0)
    net = Sequential(
        Conv2d(1, 4, 3, padding=1, rng=rng), ReLU(), AvgPool2d(2), Conv2d(4, 4, 1, rng=rng),
        Residual(Sequential(Conv2d(4, 4, 1, rng=rng), ReLU(), Conv2d(4, 4, 1, rng=rng))),
        Flatten(), Linear(16, 3, rng=rng),
    )
    x = rng.uniform(size=(20, 1, 4, 4)).astype(np.float32)
    prepared = eight_bit_activations(net, x)
    kinds = [type(m).__name__ for m in prepared]
    assert kinds == ["Conv2d", "Quantize", "AvgPool2d", "Quantize", "Conv2d", "Residual",
                     "Flatten", "Quantize", "Linear"]
    assert prepared[1].quantizer.type == prepared[3].quantizer.type == UINT8
    assert prepared[7].quantizer.type == SINT8
    # The branch takes the sum of accumulators: it needs codes of its own.
    assert isinstance(prepared[5].main[0], Quantize)
    again = eight_bit_activations(prepared, x)
    assert repr(again) == repr(prepared)
    assert apply(prepared, x) == pytest.approx(apply(net.eval(), x), abs=0.1)
    single = eight_bit_activations(Linear(3, 2, rng=rng), np.ones((2, 3), np.float32))
    assert isinstance(single, Linear)


def test_training_keeps_latents_where_their_gradient_passes():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (64, 1, 4, 4)).astype(np.uint8)
    labels = (images.reshape(64, -1).mean(axis=1) > 128).astype(np.int64)
    data = Dataset(
        name="grey", source="drawn", train_images=images, train_labels=labels,
        test_images=images, test_labels=labels, classes=2,
    )
    layers = [Conv2d(1, 4, 3, rng=rng), ReLU(), Conv2d(4, 4, 2, rng=rng), ReLU(), Flatten()]
    net = Sequential(*layers, Linear(4, 2, rng=rng))
    small, _ = compress(net, Factorized(), data.calibration, rng=rng)
    train(small, data, epochs=3, batch_size=16, lr=0.3, rng=rng, progress=False)
    latents = small[3][0].latent.numpy()
    assert np.abs(latents).max() == 1.5


@pytest.mark.parametrize(
    "settings",
    [{"k": 0}, {"k": 2, "error": 0.1}, {"error": -0.1}, {"cost": 0}, {"cost": float("nan")},
     {"k": 2.5}, {"bits": 7}, {"bits": 17}, {"sweeps": -1}, {"responses": -1}, {"recovery": -1},
     {"samples": 0}, {"k": True}, {"k": "3"}, {"error": "x"}, {"cost": float("inf")},
     {"bits": 8.0}, {"sweeps": 2.5}, {"samples": 1.5}, {"recovery": None}],
)
def test_settings_outside_their_rule_are_refused(settings):
    with pytest.raises(ValueError, match="Factorized"):
        Factorized(**settings)


def test_gradients_reach_every_parameter_of_the_factors():
    new, data = compressed(conv(), Factorized())
    (new(Tensor(data.inputs[:2])) ** 2).sum().backward()
    for name, parameter in new.named_parameters():
        assert parameter.grad is not None, name
        assert np.any(parameter.grad), name
