"""Bit-split: digits and back, the start by alternating scales, the binary layer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.autograd import Tensor
from refnet.methods.bitsplit import Grid
from refnet.program import SINT8, TERNARY
from refnet.quant import QuantLinear, optimal_ternary
from refnet.quant.layers import round_to_codes

BITS = (None, "ternary", 1, 2, 3, 4, 8)


def test_ranges_of_the_grids():
    found = {bits: (Grid.of(bits).type.name, Grid.of(bits).binary) for bits in BITS}
    assert found == {
        None: ("ternary", False), "ternary": ("ternary", False), 1: ("ternary", True),
        2: ("ternary", False), 3: ("sint3", False), 4: ("sint4", False), 8: ("sint8", False),
    }


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_split_and_stitch_are_inverse_on_every_code(bits):
    grid = Grid.of(bits)
    codes = np.arange(grid.type.lo, grid.type.hi + 1, dtype=np.int8)[None]
    digits = grid.split(codes)
    assert digits.dtype == np.int8
    assert digits.shape == (1, bits - 1, codes.size)
    assert np.array_equal(grid.stitch(digits), codes)
    assert np.all(digits * codes[:, None] >= 0)
    assert np.abs(digits).max() == 1


def error(w, q):
    wide = q.astype(float)
    alpha = (w @ wide) / (wide @ wide) if q.any() else 0.0
    return float(np.sum((w - alpha * wide) ** 2))


@given(seed=st.integers(0, 2**32), n=st.integers(1, 30), bits=st.sampled_from([3, 4, 8]))
def test_the_start_is_no_worse_than_rounding_and_within_its_type(seed, n, bits):
    w = np.random.default_rng(seed).normal(size=n)
    grid = Grid.of(bits)
    codes = grid.start(w[None])[0]
    top = grid.type.hi
    largest = np.rint(w / (np.abs(w).max() / top)).astype(int)
    # Both alternations only lower the error; sums of 30 terms round below 1e-14 of the whole.
    assert error(w, codes) <= error(w, largest) + 1e-14 * float(w @ w)
    assert grid.type.contains(codes)
    assert codes.dtype == np.int8


def test_more_bits_fit_better():
    w = np.random.default_rng(0).normal(size=(1, 500))
    errors = [error(w[0], Grid.of(bits).start(w)[0]) for bits in (1, 2, 3, 4, 8)]
    assert errors == sorted(errors, reverse=True)


@given(st.lists(st.floats(-5, 5, allow_subnormal=False), min_size=1, max_size=8))
def test_ternary_and_binary_starts(values):
    w = np.array(values)
    assert np.array_equal(Grid.of("ternary").start(w[None])[0], optimal_ternary(w)[0])
    assert np.array_equal(Grid.of(2).start(w[None])[0], optimal_ternary(w)[0])
    assert Grid.of(1).start(w[None])[0].tolist() == [-1 if v < 0 else 1 for v in values]


@pytest.mark.parametrize("bits", [3, 4, 8])
@pytest.mark.parametrize("w", [np.zeros(3), np.full(3, 1e-320), np.array([1e300, -1e300, 0.0]),
                               np.zeros(0)])
def test_extreme_weights_stay_finite(bits, w):
    codes = Grid.of(bits).start(w[None])[0]
    assert codes.shape == w.shape
    assert Grid.of(bits).type.contains(codes)
    assert codes.any() == (np.abs(w).max(initial=0.0) > 1e-300)


@pytest.mark.parametrize("bad", [0, -1, 9, True, 2.5, "2", "binary"])
def test_other_widths_are_refused(bad):
    with pytest.raises(ValueError, match="weight_bits="):
        Grid.of(bad)


def test_a_binary_layer_has_no_code_zero_however_it_is_trained():
    latent = np.array([[0.0, -0.0, 0.2, -0.2], [3.0, -3.0, 1e-9, -1e-9]], dtype=np.float32)
    layer = QuantLinear(latent, np.ones(2, np.float32), None, type=TERNARY, binary=True)
    assert layer.codes().tolist() == [[1, 1, 1, -1], [1, -1, 1, -1]]
    assert layer.codes().dtype == np.int8
    assert np.array_equal(layer.weight().numpy(), layer.codes())
    assert layer.weight().numpy().dtype == np.float32
    x = Tensor(latent, requires_grad=True)
    round_to_codes(x, type=TERNARY, binary=True).sum().backward()
    assert x.grad.tolist() == [[1, 1, 1, 1], [0, 0, 1, 1]]
    with pytest.raises(ValueError, match="binary codes have the type sint8"):
        QuantLinear(latent, np.ones(2), None, type=SINT8, binary=True)
