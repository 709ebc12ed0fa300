"""Models: shapes for the image sizes they are meant for, their size, the order of their blocks."""

import numpy as np
import pytest

from refnet.autograd import Tensor, no_grad
from refnet.nn import BatchNorm2d, Conv2d, Linear, MaxPool2d, ReLU
from refnet.nn.models import lenet, small_convnet, small_resnet, vgg_small

MAKERS = (small_convnet, lenet, vgg_small, small_resnet)


def rng():
    return np.random.default_rng(0)


def macs(net, x):
    """Multiply-accumulates of all Conv2d and Linear layers of a flat network for one image."""
    total = 0
    with no_grad():
        for layer in net.eval():
            x = layer(x)
            if isinstance(layer, Conv2d | Linear):
                total += x.size * layer.weight.numpy()[0].size
    return total


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(("channels", "size"), [(1, 8), (1, 28), (3, 32)])
def test_models_map_images_to_logits_and_reach_every_parameter(make, channels, size):
    net = make(in_channels=channels, image_size=size, classes=7, rng=rng())
    x = rng().random((4, channels, size, size), dtype=np.float32)
    logits = net(Tensor(x))
    assert logits.shape == (4, 7)
    assert logits.dtype == np.float32
    (logits * rng().standard_normal((4, 7)).astype(np.float32)).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert np.abs(parameter.grad).max() > 0, name
    assert isinstance(net[-1], Linear)
    with no_grad():
        assert net.eval()(Tensor(x[:0])).shape == (0, 7)


@pytest.mark.parametrize("make", MAKERS)
def test_the_generator_alone_decides_the_weights(make):
    one, same = make(rng=rng()).state_dict(), make(rng=rng()).state_dict()
    other = make(rng=np.random.default_rng(1)).state_dict()
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["0.weight"], other["0.weight"])


def test_small_convnet_pools_before_the_nonlinearity_and_is_affordable():
    net = small_convnet(rng=rng())
    kinds = [type(layer) for layer in net]
    assert kinds[:4] == [Conv2d, BatchNorm2d, MaxPool2d, ReLU]
    assert all(layer.bias is None for layer in net if isinstance(layer, Conv2d))
    assert macs(net, Tensor(np.zeros((1, 1, 28, 28), np.float32))) <= 3_500_000
    plain = small_convnet(affine=False, rng=rng())
    assert not any(layer.parameters() for layer in plain if isinstance(layer, BatchNorm2d))
    small = small_convnet(image_size=8, rng=rng())
    assert [type(layer) for layer in small][:3] == [Conv2d, BatchNorm2d, ReLU]


@pytest.mark.parametrize(("make", "size"), [
    (small_convnet, 3), (lenet, 3), (vgg_small, 7), (small_resnet, 0),
])
def test_images_too_small_are_refused(make, size):
    with pytest.raises(ValueError, match=f"image_size={size}"):
        make(image_size=size, rng=rng())
