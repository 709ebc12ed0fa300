"""Columns drawn from a layer's data give the layer's responses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.autograd import Tensor
from refnet.methods import LayerData
from refnet.methods.sampling import draw
from refnet.nn import Conv2d, Linear


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
    weights = layer.weight.numpy().reshape(groups, 4 // groups, -1)
    for w, (X, Z) in zip(weights, draw(layer, data, 17, rng), strict=True):
        assert Z.shape[1] == min(17, data.targets[:, 0].size)
        assert X.flags.c_contiguous
        assert np.array_equal(w @ X, Z)


def test_linear_layers_and_the_original_inputs():
    rng = np.random.default_rng(0)
    layer = Linear(5, 3, rng=rng)
    x, original = rng.normal(size=(2, 8, 5)).astype(np.float32)
    data = LayerData(
        inputs=x, targets=layer(Tensor(original)).numpy(), quantizer=None, original_inputs=original
    )
    [(X, Z)] = draw(layer, data, 8, rng, original=True)
    assert np.array_equal(X, original.T)
    [(X, _)] = draw(layer, data, 3, rng)
    assert X.shape == (5, 3)
    assert all(column.astype(np.float32) in x for column in X.T)
    with pytest.raises(ValueError, match="no original inputs"):
        draw(layer, LayerData(inputs=x, targets=Z.T, quantizer=None), 3, rng, original=True)


@pytest.mark.parametrize("broken", ["inputs", "targets"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused_by_name(broken, value):
    layer = Linear(2, 2, rng=np.random.default_rng(0))
    arrays = {"inputs": np.ones((3, 2)), "targets": np.ones((3, 2))}
    arrays[broken][1, 1] = value
    with pytest.raises(ValueError, match=f"draw: {broken}"):
        draw(layer, LayerData(**arrays, quantizer=None), 3, np.random.default_rng(0))
