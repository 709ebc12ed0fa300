"""Gradients of weight quantizers: to the latents and to trained scales, as each rule declares."""

from itertools import product

import numpy as np
import pytest

from refnet.autograd import Tensor
from refnet.quant import BWN, TTQ, TWN, DoReFaWeights, LQWeights, Ternary
from refnet.quant.weights import quantize_rows


def gradients(rule, w, state, g):
    latent, held = Tensor(w, requires_grad=True), Tensor(state, requires_grad=True)
    quantize_rows(latent, held, quantizer=rule).backward(g)
    return latent.grad, held.grad


@pytest.mark.parametrize("rule", [Ternary(), TWN(), BWN(), LQWeights()], ids=repr)
def test_rules_of_the_latents_alone_pass_the_gradient_straight(rule):
    rng = np.random.default_rng(4)
    w, g = rng.normal(size=(3, 2, 2)), rng.normal(size=(3, 2, 2))
    state = rule.start(w.reshape(3, -1))
    to_latent, to_state = gradients(rule, w, state, g)
    assert np.array_equal(to_latent, g)
    assert not to_state.any()
    if not isinstance(rule, Ternary):  # as rows, its scale follows the latents
        assert rule.mask(w).all()


def test_ttq_trains_scales_by_sums_over_their_sets_and_latents_by_scale():
    w = np.array([[1.0, -0.5, 0.04, -0.05, 0.05, 0.06], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    g = np.arange(1.0, 13.0).reshape(2, 6)
    state = np.array([[0.75, 0.25], [1.0, 1.0]])
    to_latent, to_state = gradients(TTQ(t=0.05), w, state, g)
    # The threshold is 0.05; on it the weight is zero.
    assert to_latent.tolist() == [
        [1 * 0.75, 2 * 0.25, 3.0, 4.0, 5.0, 6 * 0.75], [7.0, 8.0, 9.0, 10.0, 11.0, 12.0],
    ]
    assert to_state.tolist() == [[1.0 + 6.0, -2.0], [0.0, 0.0]]


def test_ttq_scale_gradients_are_those_of_the_real_function():
    rng = np.random.default_rng(5)
    w, g = rng.normal(size=(4, 30)), rng.normal(size=(4, 30))
    rule = TTQ(t=0.3)
    state = rng.uniform(0.5, 1.5, (4, 2))
    threshold = 0.3 * np.abs(w).max(axis=1, keepdims=True)

    def loss(s):  # linear in the scales, so differences are exact up to rounding
        return np.sum(g * ((w > threshold) * s[:, :1] - (w < -threshold) * s[:, 1:]))

    for f, sign in product(range(4), range(2)):
        step = np.zeros_like(state)
        step[f, sign] = 0.5
        slope = loss(state + step) - loss(state - step)
        assert gradients(rule, w, state, g)[1][f, sign] == pytest.approx(slope, rel=1e-9)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_dorefa_gradient_is_that_of_the_function_without_rounding(bits):
    rng = np.random.default_rng(6)
    w, g = rng.normal(size=(3, 5)), rng.normal(size=(3, 5))
    gain = rng.uniform(0.5, 2, (3, 1))
    rule = DoReFaWeights(bits=bits)
    to_latent, to_gain = gradients(rule, w, gain, g)

    def loss(v):
        bent = np.tanh(v)
        return np.sum(g * gain * (2 * (bent / (2 * np.abs(bent).max()) + 0.5) - 1))

    h = 1e-6
    for f, j in product(range(3), range(5)):
        step = np.zeros_like(w)
        step[f, j] = h
        # A central difference errs by h^2 times third derivatives and by rounding over h: 1e-9.
        slope = (loss(w + step) - loss(w - step)) / (2 * h)
        assert to_latent[f, j] == pytest.approx(slope, abs=1e-7)
    codes = rule.fit(w).codes(w)
    assert to_gain[:, 0] == pytest.approx(np.sum(g * codes, axis=1) / (2**bits - 1), rel=1e-12)
