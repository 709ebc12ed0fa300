"""Folding: the folded layer equals convolution and batch norm up to a derived rounding bound."""

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
    Linear,
    ReLU,
    Residual,
    Sequential,
    fold,
    fold_batch_norm,
    models,
)


def wide_norm(channels, r, *, affine=True):
    """A float64 batch norm with gammas of both signs and one zero, and some tiny variances."""
    bn = BatchNorm2d(channels, affine=affine).astype(np.float64).eval()
    bn.running_mean[...] = r.standard_normal(channels) * 5
    bn.running_var[...] = 10.0 ** r.uniform(-9, 2, channels)
    if affine:
        gamma = r.standard_normal(channels)
        gamma[0] = 0
        bn.weight.assign(gamma)
        bn.bias.assign(r.standard_normal(channels))
    return bn


def bound(magnitude, bn, bias, terms):
    """How far the two ways of computing may differ, u = 2**-53 being the unit roundoff.

    Both compute s (sum w x + b - m) + beta, where sum |w x| <= magnitude. A sum of `terms`
    products errs by at most terms u magnitude; forming s takes 4 roundings, each of the other
    operations 1, and no path has more than 8 beside the sum. Each way thus errs by at most
    (terms + 8) u (|s| (magnitude + |b| + |m|) + |beta|), to first order, hence the factor 2; 1 more
    in the count covers the higher orders.
    """
    gamma = 1.0 if bn.weight is None else np.abs(bn.weight.numpy())
    beta = 0.0 if bn.bias is None else np.abs(bn.bias.numpy())
    scale = gamma / np.sqrt(bn.running_var + bn.eps)
    line = (-1,) + (1,) * (magnitude.ndim - 2)
    rest = np.abs(bias) + np.abs(bn.running_mean)
    size = scale.reshape(line) * (magnitude + rest.reshape(line))
    size = size + np.broadcast_to(beta, scale.shape).reshape(line)
    return 2 * (terms + 9) * 2.0**-53 * size


@given(
    seed=st.integers(0, 999), groups=st.sampled_from([1, 2]), with_bias=st.booleans(),
    affine=st.booleans(), padding=st.integers(0, 1),
)
def test_fold_equals_convolution_and_batch_norm(seed, groups, with_bias, affine, padding):
    r = np.random.default_rng(seed)
    weight = r.standard_normal((4, 4 // groups, 3, 3))
    bias = r.standard_normal(4) if with_bias else None
    conv = Conv2d.of(weight, bias, groups=groups, padding=padding)
    bn = wide_norm(4, r, affine=affine)
    x = r.standard_normal((2, 4, 5, 5))
    folded_weight, folded_bias = fold_batch_norm(conv, bn)
    assert folded_weight.dtype == folded_bias.dtype == np.float64
    with no_grad():
        apart = bn(conv(Tensor(x))).numpy()
        settings = {"groups": groups, "padding": padding}
        folded = ag.conv2d(x, folded_weight, folded_bias, **settings).numpy()
        magnitude = ag.conv2d(np.abs(x), np.abs(weight), **settings).numpy()
    allowed = bound(magnitude, bn, np.zeros(4) if bias is None else bias, weight[0].size)
    assert (np.abs(apart - folded) <= allowed).all()


def test_zero_gamma_leaves_beta_and_negative_gamma_turns_over():
    r = np.random.default_rng(0)
    conv = Conv2d.of(r.standard_normal((2, 1, 1, 1)), np.array([3.0, 4.0]))
    bn = BatchNorm2d(2).astype(np.float64)
    bn.weight.assign([0.0, -2.0])
    bn.bias.assign([7.0, 1.0])
    bn.running_mean[...] = [1.0, 1.0]
    bn.running_var[...] = [0.0, 4.0 - 1e-5]
    weight, bias = fold_batch_norm(conv, bn)
    assert weight[0, 0, 0, 0] == 0
    assert bias[0] == 7
    assert weight[1, 0, 0, 0] == pytest.approx(-conv.weight.numpy()[1, 0, 0, 0], rel=1e-15)
    assert bias[1] == pytest.approx(1 - (4 - 1), rel=1e-15)


def test_epsilon_stands_inside_the_root():
    conv = Conv2d.of(np.ones((1, 1, 1, 1)))
    bn = BatchNorm2d(1, affine=False, eps=0.25).astype(np.float64)
    bn.running_var[...] = 0.0
    assert fold_batch_norm(conv, bn)[0].item() == 2


def test_linear_folds_in_float64_even_from_float32():
    r = np.random.default_rng(1)
    layer, bn = Linear(5, 3, rng=r), BatchNorm2d(3).eval()
    bn.running_var[...] = [0.1, 0.2, 0.3]
    weight, bias = fold_batch_norm(layer, bn)
    exact = layer.weight.numpy().astype(np.float64) / np.sqrt(
        bn.running_var.astype(np.float64) + 1e-5
    )[:, None]
    assert np.abs(weight - exact).max() < 1e-15
    assert bias.shape == (3,)
    with pytest.raises(ValueError, match=r"3 channels does not fit weight \(2, 5\)"):
        fold_batch_norm(Linear(5, 2, rng=r), bn)


@pytest.mark.parametrize(
    "net",
    [
        models.small_convnet(image_size=8, filters=(4, 8, 8), rng=np.random.default_rng(0)),
        models.lenet(image_size=8, filters=(3, 4), hidden=5, rng=np.random.default_rng(0)),
        models.small_resnet(
            in_channels=1, image_size=8, filters=(4, 6), rng=np.random.default_rng(0)
        ),
    ],
    ids=["convnet", "lenet", "resnet"],
)
def test_fold_of_a_tree(net):
    r = np.random.default_rng(2)
    net = net.astype(np.float64).eval()
    for _, module in net.walk():
        if isinstance(module, BatchNorm2d):
            channels = len(module.running_mean)
            module.running_mean[...] = r.standard_normal(channels)
            module.running_var[...] = r.uniform(0.5, 2, channels)
            module.weight.assign(r.standard_normal(channels))
            module.bias.assign(r.standard_normal(channels))
    before = net.state_dict()
    folded = fold(net)
    assert not any(isinstance(module, BatchNorm2d) for _, module in folded.walk())
    assert not any(module.training for _, module in folded.walk())
    x = Tensor(r.standard_normal((3, 1, 8, 8)))
    with no_grad():
        y, expected = folded(x).numpy(), net(x).numpy()
    # No derived bound through all layers: float64 rounding is far below 1e-12 of the outputs here,
    # and any wrong folding far above.
    assert np.abs(y - expected).max() <= 1e-12 * np.abs(expected).max()
    assert all(np.array_equal(a, before[n]) for n, a in net.state_dict().items())


def test_fold_leaves_other_batch_norms_and_modes_alone():
    r = np.random.default_rng(3)
    net = Sequential(
        BatchNorm2d(1), Conv2d(1, 2, 1, rng=r), AvgPool2d(1), BatchNorm2d(2),
        Residual(Sequential(Conv2d(2, 2, 1, stride=1, groups=2, rng=r), BatchNorm2d(2))), ReLU(),
    )
    net[1].eval()
    folded = fold(net)
    assert [type(layer).__name__ for layer in folded] == [
        "BatchNorm2d", "Conv2d", "AvgPool2d", "BatchNorm2d", "Residual", "ReLU",
    ]
    assert len(folded[4].main) == 1
    assert folded[4].main[0].groups == 2
    assert folded[4].main[0].weight.dtype == np.float32
    assert folded.training
    assert not folded[1].training
    alone = Conv2d(1, 2, 1, rng=r)
    assert repr(fold(alone)) == repr(alone)
