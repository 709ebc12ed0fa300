"""Two-step quantization: the z step, stage 2, and the layer it makes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.autograd import Tensor
from refnet.methods import LayerData, TwoStep
from refnet.methods.twostep import draw, relaxed, transform
from refnet.nn import Conv2d, Linear, ReLU, Residual, Sequential
from refnet.program import TERNARY
from refnet.quant import HalfWave, QuantConv2d, Quantize, ternary_rows


@given(
    y=st.integers(0, 3), v=st.integers(-60, 60), penalty=st.sampled_from([0.01, 0.1, 1.0, 10.0])
)
def test_relaxed_step_is_no_worse_than_any_point_of_a_fine_grid(y, v, penalty):
    level, at, top = y * 0.65, v / 10, 3 * 0.65

    def cost(z):
        return (level - np.clip(z, 0, top)) ** 2 + penalty * (z - at) ** 2

    z = relaxed(np.array([level]), np.array([at]), penalty, top)
    assert cost(z[0]) <= cost(np.linspace(-8, 8, 4001)).min() + 1e-12


def toy(seed, *, noise=0.0, n=32, filters=6, samples=800):
    """Correlated 2-bit codes, random weights, the responses they give, and a disturbed input."""
    rng = np.random.default_rng(seed)
    q = HalfWave(2)
    mix = rng.normal(size=(n, n // 4))
    hidden = mix @ rng.normal(size=(n // 4, samples)) / np.sqrt(n / 4)
    hidden += 0.5 * rng.normal(size=(n, samples))
    X = q.values(q.codes(hidden))
    W = rng.normal(size=(filters, n)) / np.sqrt(n)
    Z = W @ X
    Z = (Z - Z.mean(axis=1, keepdims=True)) / Z.std(axis=1, keepdims=True)
    disturbed = q.values(q.codes(hidden + noise * rng.normal(size=(n, samples))))
    return disturbed, Z, W, q


def code_error(X, Z, q, codes, scale, bias):
    y = q.values(q.codes(Z))
    got = q.values(q.codes(scale[:, None] * (codes @ X) + bias[:, None]))
    return float(np.sum((y - got) ** 2) / np.sum(y**2))


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_stage_two_betters_linear_least_squares_which_betters_direct_ternary(noise):
    X, Z, W, q = toy(0, noise=noise)
    nonlinear = transform(X, Z, W, q, TwoStep())
    linear = transform(X, Z, W, q, TwoStep(iterations=0))
    codes = ternary_rows(W)[0]
    u = codes @ X
    centred = u - u.mean(axis=1, keepdims=True)
    scale = np.sum(centred * Z, axis=1) / np.sum(centred**2, axis=1)
    bias = Z.mean(axis=1) - scale * u.mean(axis=1)
    errors = [code_error(X, Z, q, *found) for found in (nonlinear, linear, (codes, scale, bias))]
    assert errors[0] <= errors[1] < errors[2]


@given(seed=st.integers(0, 1000))
def test_result_is_ternary_with_positive_scales(seed):
    X, Z, W, q = toy(seed, n=8, filters=3, samples=40)
    codes, scale, bias = transform(X, Z, W, q, TwoStep(iterations=1))
    assert set(np.unique(codes)) <= {-1, 0, 1}
    assert np.all(scale > 0)
    assert np.all(np.isfinite(bias))


def test_a_planted_ternary_layer_is_found_again():
    rng = np.random.default_rng(1)
    X = rng.integers(0, 4, (20, 400)).astype(float)
    planted = rng.integers(-1, 2, (4, 20))
    Z = 0.3 * planted @ X - 1.0
    codes, scale, bias = transform(X, Z, planted + 0.2 * rng.normal(size=(4, 20)), None, TwoStep())
    assert np.array_equal(codes, planted)
    assert scale == pytest.approx(np.full(4, 0.3), rel=1e-10)
    assert bias == pytest.approx(np.full(4, -1.0), rel=1e-8)


def test_constant_targets_and_dead_inputs_give_dead_filters_not_nan():
    X = np.random.default_rng(0).integers(0, 4, (5, 30)).astype(float)
    W = np.ones((2, 5))
    for inputs, targets in ((X, np.full((2, 30), 1.5)), (np.zeros((5, 30)), np.ones((2, 30)))):
        codes, scale, bias = transform(inputs, targets, W, HalfWave(2), TwoStep())
        assert not codes.any()
        assert scale.tolist() == [1.0, 1.0]
        assert np.all(np.isfinite(bias))


@given(
    seed=st.integers(0, 2**32), groups=st.sampled_from([1, 2, 4]), stride=st.integers(1, 2),
    padding=st.sampled_from([0, 1, ((1, 0), (0, 2))]), dilation=st.integers(1, 2),
)
def test_drawn_columns_give_the_responses_of_the_convolution(
    seed, groups, stride, padding, dilation
):
    rng = np.random.default_rng(seed)
    layer = Conv2d(
        4, 4, (2, 3), groups=groups, stride=stride, padding=padding, dilation=dilation, rng=rng
    ).astype(np.float64)
    x = rng.integers(-3, 4, (2, 4, 7, 7)).astype(float)
    layer.weight.assign(rng.integers(-3, 4, layer.weight.shape).astype(float))
    data = LayerData(inputs=x, targets=layer(Tensor(x)).numpy(), quantizer=None)
    per_group = 4 // groups
    weights = layer.weight.numpy().reshape(groups, per_group, -1)
    for w, (X, Z) in zip(weights, draw(layer, data, 17, rng), strict=True):
        assert Z.shape[1] == min(17, data.targets[:, 0].size)
        assert np.array_equal(w @ X, Z)


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


@pytest.mark.parametrize(
    "bad", [{"bits": 0}, {"samples": 0}, {"sweeps": 0}, {"iterations": -1}, {"penalties": (0.0,)}]
)
def test_settings_that_are_none_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        TwoStep(**bad)
