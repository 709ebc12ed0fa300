"""Float networks by compiled convolutions: what the network gives, up to rounding."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import NO_JIT

from refnet.autograd import Tensor, no_grad
from refnet.inference import compile_network
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

pytestmark = pytest.mark.skipif(NO_JIT, reason="vectors exist only in compiled code")


def network(rng):
    """Every layer that has a step, and one batch norm that cannot be folded."""
    shortcut = Conv2d(6, 6, 1, groups=6, rng=rng)
    main = Sequential(BatchNorm2d(6), Conv2d(6, 6, 3, padding=1, groups=3, rng=rng), ReLU())
    net = Sequential(
        Conv2d(3, 4, 1, rng=rng), Conv2d(4, 8, 3, stride=(2, 1), padding=1, groups=2, rng=rng),
        Conv2d(8, 6, 1, rng=rng), BatchNorm2d(6), ReLU(), ReLU(),
        Residual(main, shortcut), Residual(Sequential(ReLU())),
        MaxPool2d(3, stride=2, padding=1), AvgPool2d(2, stride=1, padding=((1, 0), (0, 1))),
        Sequential(Flatten(), Linear(6 * 3 * 6, 5, rng=rng), ReLU(), Linear(5, 4, rng=rng)),
    )
    for _, module in net.walk():
        if isinstance(module, BatchNorm2d):
            module.running_mean[...] = rng.normal(size=6)
            module.running_var[...] = rng.uniform(0.5, 2, 6)
    return net.eval()


def given(net, x):
    """The network in binary64."""
    with no_grad():
        return net.astype(np.float64)(Tensor(x.astype(np.float64))).numpy()


def test_networks_give_what_they_are():
    rng = np.random.default_rng(0)
    net, x = network(rng), rng.normal(size=(3, 3, 11, 12)).astype(np.float32)
    ready = compile_network(net, (3, 11, 12))
    want = given(net, x)
    # Ten layers of at most 108 products, each rounded to 2**-24 of sums that are some tens of the
    # result: 10 * 110 * 2**-24 * 30 is 2e-3, and chance leaves far less.
    for _ in range(2):
        np.testing.assert_allclose(ready(x), want, rtol=0, atol=2e-3 * np.abs(want).max())
    np.testing.assert_array_equal(ready(x)[1:2], ready(x[1:2]))


def test_maps_may_be_the_result():
    rng = np.random.default_rng(1)
    net = Sequential(Conv2d(3, 20, 3, rng=rng), GlobalAvgPool2d()).eval()
    x = rng.normal(size=(2, 3, 9, 9)).astype(np.float32)
    got, want = compile_network(net, (3, 9, 9))(x), given(net, x)
    assert got.shape == want.shape == (2, 20, 1, 1)
    np.testing.assert_allclose(got, want, atol=1e-4)


def test_later_training_changes_nothing():
    rng = np.random.default_rng(2)
    net = Sequential(Conv2d(1, 2, 1, rng=rng))
    ready, x = compile_network(net, (1, 2, 2)), np.ones((1, 1, 2, 2), np.float32)
    before = ready(x)
    net.load_state_dict({k: v + 7 for k, v in net.state_dict().items()})
    np.testing.assert_array_equal(ready(x), before)
    assert net.training


def test_images_that_do_not_fit_are_refused():
    rng = np.random.default_rng(3)
    net = Sequential(Conv2d(2, 2, 3, rng=rng))
    with pytest.raises(ValueError, match="conv2d"):
        compile_network(net, (3, 5, 5))
    ready = compile_network(net, (2, 5, 5))
    for bad in (np.ones((1, 2, 5, 6)), np.ones((2, 5, 5)), np.array([[[["a"] * 5] * 5] * 2])):
        with pytest.raises(ValueError, match="inference"):
            ready(bad)
