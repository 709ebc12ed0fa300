"""Layers: shapes, initial weights, batch norm by its definition, what they refuse."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import refnet.autograd as ag
from refnet.autograd import Tensor, no_grad
from refnet.nn import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from refnet.nn.layers import he_normal


def rng():
    return np.random.default_rng(0)


def noise(*shape, dtype=np.float64):
    return rng().standard_normal(shape).astype(dtype)


def test_conv_passes_all_its_settings_on():
    layer = Conv2d(
        4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2, rng=rng()
    )
    layer.bias.assign(np.arange(6))
    x = Tensor(noise(2, 4, 9, 8, dtype=np.float32))
    expected = ag.conv2d(
        x, layer.weight, layer.bias, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2
    )
    assert layer(x).shape == (2, 6, 5, 10)
    assert np.array_equal(layer(x).numpy(), expected.numpy())


def test_conv_weight_and_settings_are_as_in_pytorch():
    layer = Conv2d(4, 8, 3, groups=4, bias=False, padding=1, rng=rng())
    assert layer.weight.shape == (8, 1, 3, 3)
    assert layer.weight.dtype == np.float32
    assert layer.bias is None
    assert layer.padding == ((1, 1), (1, 1))
    assert Conv2d(1, 1, 1, padding=((0, 1), (2, 3)), rng=rng()).padding == ((0, 1), (2, 3))
    assert len(layer.parameters()) == 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Conv2d(3, 4, 3, groups=2, rng=rng()), "groups=2 must divide 3 and 4"),
        (lambda: Conv2d(4, 3, 3, groups=2, rng=rng()), "groups=2 must divide 4 and 3"),
        (lambda: Conv2d(4, 4, 3, groups=0, rng=rng()), "groups=0"),
        (lambda: Conv2d(1, 1, 0, rng=rng()), "kernel_size is 0"),
        (lambda: Conv2d(1, 1, (3, 3, 3), rng=rng()), r"kernel_size is \(3, 3, 3\)"),
        (lambda: Conv2d(1, 1, 3, stride=0, rng=rng()), "stride is 0"),
        (lambda: Conv2d(1, 1, 3, padding=-1, rng=rng()), "padding is -1"),
        (lambda: Conv2d(1, 1, 3, padding=((1, 1), (0, -1)), rng=rng()), r"padding is \(0, -1\)"),
        (lambda: Conv2d(0, 1, 3, rng=rng()), "must not be empty"),
        (lambda: Linear(0, 1, rng=rng()), "must not be empty"),
        (lambda: Conv2d.of(np.zeros((2, 2, 3))), "must be"),
        (lambda: Conv2d.of(np.zeros((2, 2, 3, 3)), np.zeros(3)), r"bias \(3,\) must be \(2,\)"),
        (lambda: Linear.of(np.zeros((2, 2, 1))), "must be"),
        (lambda: Linear.of(np.zeros((2, 3)), np.zeros(3)), r"bias \(3,\) must be \(2,\)"),
        (lambda: BatchNorm2d(0), "num_features=0"),
        (lambda: BatchNorm2d(1, eps=0.0), "eps=0"),
        (lambda: BatchNorm2d(1, momentum=1.5), "momentum=1.5"),
        (lambda: MaxPool2d(2, stride=0), "stride is 0"),
        (lambda: AvgPool2d(0), "kernel_size is 0"),
    ],
)
def test_layers_refuse(make, said):
    with pytest.raises(ValueError, match=said) as error:
        make()
    assert "\n" not in str(error.value)


def test_given_weights_keep_their_dtype_and_are_copied():
    weight = noise(2, 3, 1, 1)
    layer = Conv2d.of(weight, np.zeros(2), stride=2)
    weight[...] = 0
    assert layer.weight.dtype == np.float64
    assert layer.weight.numpy().all()
    assert layer.stride == (2, 2)
    assert layer.training
    assert Linear.of(noise(2, 3)).bias is None


def test_initial_weights_have_he_variance():
    weight = he_normal((400, 20, 5, 5), rng())
    # The variance of n normal draws is known to about 1 / sqrt(n) = 0.0022; 5 deviations.
    assert weight.var() == pytest.approx(2 / 500, rel=5 * math.sqrt(2 / weight.size))
    assert np.array_equal(weight, he_normal((400, 20, 5, 5), rng()))


def test_linear_is_affine():
    x, weight, bias = noise(4, 3), noise(2, 3) + 1, noise(2)
    y = Linear.of(weight, bias)(Tensor(x)).numpy()
    for n in range(4):
        for f in range(2):
            by_hand = sum(x[n, k] * weight[f, k] for k in range(3)) + bias[f]
            assert y[n, f] == pytest.approx(by_hand, rel=1e-12)
    assert Linear.of(weight, bias)(Tensor(x[:0])).shape == (0, 2)


@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 4, 2), (2, 3, 1, 1), (1, 3, 2, 1)])
def test_batch_norm_by_its_definition(shape):
    layer = BatchNorm2d(3, eps=1e-3, momentum=0.25).astype(np.float64)
    gamma, beta = np.array([2.0, -1.0, 0.0]), np.array([0.5, 0.0, 3.0])
    layer.weight.assign(gamma)
    layer.bias.assign(beta)
    running_mean, running_var = np.zeros(3), np.ones(3)
    for seed in range(2):
        x = np.random.default_rng(seed).standard_normal(shape) * 3 + 1
        y = layer(Tensor(x)).numpy()
        for c in range(3):
            values = [float(v) for v in x[:, c].ravel()]
            mean = sum(values) / len(values)
            squares = sum((v - mean) ** 2 for v in values)
            scale = gamma[c] / math.sqrt(squares / len(values) + 1e-3)
            assert y[:, c] == pytest.approx((x[:, c] - mean) * scale + beta[c], abs=1e-12)
            running_mean[c] = 0.75 * running_mean[c] + 0.25 * mean
            running_var[c] = 0.75 * running_var[c] + 0.25 * squares / (len(values) - 1)
    assert layer.running_mean == pytest.approx(running_mean, abs=1e-12)
    assert layer.running_var == pytest.approx(running_var, abs=1e-12)
    over = (1, 3) + (1,) * (len(shape) - 2)
    scale = (gamma / np.sqrt(running_var + 1e-3)).reshape(over)
    expected = (x - running_mean.reshape(over)) * scale + beta.reshape(over)
    before = layer.state_dict()
    assert layer.eval()(Tensor(x)).numpy() == pytest.approx(expected, abs=1e-12)
    assert all(np.array_equal(a, before[n]) for n, a in layer.state_dict().items())


def test_batch_norm_without_affine_part_has_no_parameters():
    layer = BatchNorm2d(2, affine=False)
    assert layer.parameters() == []
    assert list(layer.state_dict()) == ["running_mean", "running_var"]
    y = layer(Tensor(noise(8, 2, 3, 3, dtype=np.float32))).numpy()
    assert y.dtype == np.float32
    assert np.abs(y.mean(axis=(0, 2, 3))).max() < 1e-6
    assert layer.eval()(Tensor(np.zeros((0, 2, 3, 3), np.float32))).shape == (0, 2, 3, 3)


def test_batch_norm_trains_and_carries_gradients_in_both_modes():
    layer = BatchNorm2d(3).astype(np.float64)
    layer.running_var[...] = [1.0, 4.0, 9.0]
    x = Tensor(noise(2, 3, 2, 2), requires_grad=True)
    layer.eval()(x).sum().backward()
    assert x.grad[0, :, 0, 0] == pytest.approx(1 / np.sqrt(np.array([1, 4, 9]) + 1e-5))
    assert layer.bias.grad.tolist() == [8, 8, 8]
    x.zero_grad()
    layer.train()(x).sum().backward()
    assert np.abs(x.grad).max() < 1e-12


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1), (0, 3, 2, 2)])
def test_batch_norm_cannot_train_on_one_value(shape):
    layer = BatchNorm2d(3)
    with pytest.raises(ValueError, match="at least 2"):
        layer(Tensor(np.zeros(shape, np.float32)))
    assert np.array_equal(layer.running_mean, np.zeros(3))


@pytest.mark.parametrize("shape", [(2, 4), (3,), (2, 3, 4), (2, 4, 3, 3)])
def test_batch_norm_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match="BatchNorm2d: x"):
        BatchNorm2d(3)(Tensor(np.zeros(shape, np.float32)))


def test_pools_use_their_kernel_as_stride():
    x = Tensor(np.arange(16.0).reshape(1, 1, 4, 4))
    assert MaxPool2d(2)(x).numpy().ravel().tolist() == [5, 7, 13, 15]
    assert AvgPool2d(2)(x).numpy().ravel().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert MaxPool2d((4, 1), stride=(1, 3))(x).numpy().ravel().tolist() == [12, 15]
    assert AvgPool2d(2, padding=1)(x).numpy()[0, 0, 0].tolist() == [0, 0.75, 0.75]
    assert MaxPool2d(2, padding=1)(-x).numpy()[0, 0, 0].tolist() == [0, -1, -3]
    assert GlobalAvgPool2d()(x).numpy().tolist() == [[[[7.5]]]]


@given(
    shape=st.tuples(
        st.integers(0, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)
    )
)
def test_flatten_relu_and_global_average(shape):
    x = noise(*shape)
    assert np.array_equal(Flatten()(Tensor(x)).numpy(), x.reshape(shape[0], math.prod(shape[1:])))
    assert np.array_equal(ReLU()(Tensor(x)).numpy(), np.maximum(x, 0))
    assert GlobalAvgPool2d()(Tensor(x)).shape == (*shape[:2], 1, 1)


def test_sequential_is_a_sequence():
    layers = (ReLU(), Flatten(), ReLU())
    net = Sequential(*layers)
    assert (len(net), tuple(net), net[-1]) == (3, layers, layers[2])
    assert Sequential()(Tensor([1.0])).numpy().tolist() == [1]
    with pytest.raises(TypeError, match="layer 1 is"):
        Sequential(ReLU(), "relu")


def test_residual_adds():
    x = Tensor(noise(2, 3, 4, 4, dtype=np.float32))
    conv, shortcut = Conv2d(3, 3, 1, rng=rng()), Conv2d(3, 3, 1, rng=rng())
    with no_grad():
        assert np.array_equal(Residual(conv)(x).numpy(), (conv(x) + x).numpy())
        both = Residual(conv, shortcut)(x).numpy()
        assert np.array_equal(both, (conv(x) + shortcut(x)).numpy())
        with pytest.raises(ValueError, match=r"main gives \(2, 2, 4, 4\), shortcut \(2, 3, 4, 4\)"):
            Residual(Conv2d(3, 2, 1, rng=rng()))(x)
        # NumPy would broadcast these two.
        with pytest.raises(ValueError, match="must be equal"):
            Residual(Conv2d(3, 1, 1, rng=rng()))(x)
