"""Half-wave quantizers: the published constants, their optimality, intervals and gradients."""

from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from refnet.autograd import Tensor
from refnet.quant import HalfWave, fake_quantize
from refnet.quant.halfwave import solve

# Constants of the two papers and of their released code, to the digits that are given there.
CONSTANTS = [
    (1, 0.5, 0.0, 0.7979), (2, 0.5, 0.0, 0.5388), (3, 0.5, 0.0, 0.3217), (4, 0.5, 0.0, 0.1842),
    (1, None, 0.6120, 1.2240), (2, None, 0.3254, 0.6508), (3, None, 0.1767, 0.3534),
    (4, None, 0.0966, 0.1932), (2, 0.55, 0.126, 0.5798), (2, 0.6, 0.253, 0.6244),
    (2, 0.75, 0.674, 0.7868), (2, 0.8, 0.842, 0.8275),
]


@pytest.mark.parametrize(("bits", "theta", "eps", "delta"), CONSTANTS)
def test_published_constants(bits, theta, eps, delta):
    q = HalfWave(bits, theta)
    assert q.eps == pytest.approx(eps, abs=0.5e-3 if theta and theta > 0.5 else 0.5e-4)
    assert q.delta == pytest.approx(delta, abs=0.51e-4)


def error(eps, delta, levels):
    """E[(max(x, 0) - Q(x))^2] under N(0, 1) by quadrature, piece by piece."""
    edges = [0.0, eps, *[max((k - 0.5) * delta, eps) for k in range(2, levels + 1)], 12.0]
    pdf = NormalDist().pdf
    return sum(
        quad(lambda x, k=k: (x - k * delta) ** 2 * pdf(x), a, b, epsabs=1e-13)[0]
        for k, (a, b) in enumerate(pairwise(edges))
    )


@pytest.mark.parametrize(("bits", "theta"), [(1, 0.5), (2, 0.5), (2, 0.6255), (2, None), (3, None)])
def test_delta_is_a_minimum_of_the_error(bits, theta):
    eps, delta = solve(bits, theta)
    levels = 2**bits - 1
    here = error(eps, delta, levels)
    for change in (0.999, 1.001):
        assert error(eps, delta * change, levels) > here
        if theta is None:
            assert error(eps * change, delta, levels) > here


def test_published_errors():
    assert error(*solve(2, 0.5), 3) == pytest.approx(0.04322, abs=0.5e-5)
    assert error(*solve(2, None), 3) == pytest.approx(0.02343, abs=0.5e-5)


@given(
    bits=st.integers(1, 4), theta=st.sampled_from([None, 0.5, 0.6]),
    scale=st.sampled_from([1.0, 0.01, 3.7]), step=st.sampled_from([-1, 0, 1]),
    level=st.integers(0, 14),
)
def test_intervals_are_closed_at_the_top(bits, theta, scale, step, level):
    q = HalfWave(bits, theta, scale)
    level %= q.type.hi
    t = q.thresholds[level]
    x = {-1: np.nextafter(t, -np.inf), 0: t, 1: np.nextafter(t, np.inf)}[step]
    below = int(np.sum(q.thresholds < t))
    assert int(q.codes(np.array(x))) == (below if step < 1 else int(np.sum(q.thresholds <= t)))


def test_fit_finds_the_scale_of_normal_data():
    # The fitted scale averages n samples, its standard deviation is about 1 / sqrt(n).
    x = 2.5 * np.random.default_rng(0).normal(size=100_000)
    assert abs(HalfWave(2).fit(x).scale / 2.5 - 1) < 5 / np.sqrt(len(x))
    for bits in (1, 2, 4):
        q = HalfWave(bits).fit(x)
        errors = [
            np.sum((np.maximum(x, 0) - w.values(w.codes(x))) ** 2)
            for w in (q, HalfWave(bits, None, q.scale * 1.01), HalfWave(bits, None, q.scale * 0.99))
        ]
        assert errors[0] <= min(errors[1:])


def test_fit_without_positive_values_keeps_scale_one():
    assert HalfWave().fit(np.array([-1.0, -2.0])).scale == 1.0
    assert HalfWave().fit(np.zeros(0)).scale == 1.0
    lonely = HalfWave().fit(np.array([1e-3, *[-1.0] * 9]))
    assert lonely.codes(np.array([1e-3])) > 0


def test_straight_through_gradient_passes_between_zero_and_the_top_level():
    q = HalfWave(2, 0.6)
    top = 3 * q.delta
    x = Tensor(np.array([-1.0, 0.0, 1e-9, q.eps, np.nextafter(top, 0), top, 99.0]), True)
    y = fake_quantize(x, q)
    y.backward(np.arange(1.0, 8.0))
    assert y.numpy().tolist() == q.values(q.codes(x.numpy())).tolist()
    assert x.grad.tolist() == [0, 0, 3, 4, 5, 0, 0]
    saturated = Tensor(np.full(4, 1e3), True)
    fake_quantize(saturated, q).backward(np.ones(4))
    assert not saturated.grad.any()


@pytest.mark.parametrize(
    "bad", [{"bits": 0}, {"bits": 9}, {"bits": True}, {"theta": 0.4}, {"theta": 1.0}]
)
def test_settings_that_are_none_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        HalfWave(**bad)


def test_an_unreachable_level_is_refused():
    with pytest.raises(ValueError, match="unreachable"):
        HalfWave(2, 0.85)
