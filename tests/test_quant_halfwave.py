"""Half-wave quantizers: the published constants, their optimality, intervals and gradients."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.autograd import Tensor
from refnet.quant import HalfWave, fake_quantize

# The least error of the quantizer under N(0, 1): bits, theta, eps, delta, error. First HWGQ and
# the joint optimum by bits, then two bits by sparsity (0.6255 is eps = 0.32, as TSQ released it).
TABLE = [
    (1, 0.5, 0.0, 0.7979, 0.1817), (2, 0.5, 0.0, 0.5388, 0.04322), (3, 0.5, 0.0, 0.3217, 0.01020),
    (4, 0.5, 0.0, 0.1842, 0.00251), (1, None, 0.6120, 1.2240, 0.0951),
    (2, None, 0.3254, 0.6508, 0.02343), (3, None, 0.1767, 0.3534, 0.00644),
    (4, None, 0.0966, 0.1932, 0.00185), (8, 0.5, 0.0, 0.0165, 0.0000),
    (2, 0.55, 0.126, 0.5798, 0.0311),
    (2, 0.6, 0.253, 0.6244, 0.0245), (2, 0.6255, 0.320, 0.6488, 0.0234),
    (2, 0.65, 0.385, 0.6734, 0.0242), (2, 0.6875, 0.489, 0.7136, 0.0289),
    (2, 0.7, 0.524, 0.7277, 0.0315), (2, 0.75, 0.674, 0.7868, 0.0482),
    (2, 0.8, 0.842, 0.8275, 0.0767),
]
ZEROS = {1: 0.730, 2: 0.628, 3: 0.570, 4: 0.539}

# N(0, 1) as the midpoints of equal cells of [0, 9]: the rule of the midpoints is off by less than
# h^2 / 24 times second derivatives where Q is constant and h^2 at its jumps, together below 1e-7.
CELLS = 100_000
X = (np.arange(CELLS) + 0.5) * (9 / CELLS)
MASS = np.exp(-X * X / 2) / np.sqrt(2 * np.pi) * (9 / CELLS)


def brute_error(eps, delta, bits):
    """E[(max(x, 0) - Q(x))^2] with Q written out: rounded, kept off zero and off the top."""
    rounded = np.clip(np.ceil(X / delta - 0.5), 1, 2**bits - 1) * delta
    return float(np.sum(MASS * (X - np.where(eps < X, rounded, 0)) ** 2))


def best(f, lo, hi):
    """The minimum of a function with one valley, by golden section."""
    ratio = (5**0.5 - 1) / 2
    while hi - lo > 1e-6:
        a, b = hi - ratio * (hi - lo), lo + ratio * (hi - lo)
        lo, hi = (lo, b) if f(a) < f(b) else (a, hi)
    return (lo + hi) / 2


@pytest.mark.parametrize(("bits", "theta", "eps", "delta", "error"), TABLE)
def test_published_constants_and_the_search_by_brute_force(bits, theta, eps, delta, error):
    q = HalfWave(bits, theta)
    assert q.eps == pytest.approx(eps, abs=0.51e-3 if theta and theta > 0.5 else 0.51e-4)
    assert q.delta == pytest.approx(delta, abs=0.51e-4)
    digits = 0.6e-5 if error < 0.05 and bits < 8 and theta in {None, 0.5} else 0.6e-4
    assert brute_error(q.eps, q.delta, bits) == pytest.approx(error, abs=digits)

    def along(d):
        return brute_error(d / 2 if theta is None else q.eps, d, bits)

    # A valley is flat: an error off by 1e-7 moves its bottom by the root of that, some 5e-4.
    found = best(along, 0.8 * delta, 1.2 * delta)
    assert q.delta == pytest.approx(found, abs=5e-4)
    assert along(q.delta) <= along(found) + 1e-7
    if theta is None:
        assert NormalDist().cdf(q.eps) == pytest.approx(ZEROS[bits], abs=0.6e-3)
        for change in (0.98, 1.02):
            assert brute_error(q.eps * change, q.delta, bits) > along(q.delta)


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


@pytest.mark.parametrize(("bits", "last"), [(2, 0.843), (3, 0.7025), (4, 0.614)])
def test_an_unreachable_level_is_refused(bits, last):
    q = HalfWave(bits, last)
    assert q.thresholds[0] <= q.thresholds[1]
    with pytest.raises(ValueError, match="unreachable"):
        HalfWave(bits, last + 0.001)
    # Further out the error has a second valley, where delta is large and eps below 1.5 delta; it
    # is the higher one.
    for theta in (0.87, 0.9, 0.97, 0.99):
        with pytest.raises(ValueError, match="unreachable"):
            HalfWave(bits, theta)


@given(bits=st.integers(1, 4), theta=st.floats(0.5, 0.614))
def test_every_code_has_its_interval_and_delta_is_best_for_any_theta(bits, theta):
    q = HalfWave(bits, theta)
    assert np.all(np.diff(q.thresholds) > 0)
    assert NormalDist().cdf(q.eps) == pytest.approx(theta, abs=1e-9)
    here = brute_error(q.eps, q.delta, bits)
    # Rounding of sums over the cells is far below this; the valley rises by some 1e-5 here.
    assert here <= min(brute_error(q.eps, q.delta * c, bits) for c in (0.98, 1.02))


@given(theta=st.floats(0.5, 1, exclude_max=True))
def test_one_bit_reaches_any_sparsity(theta):
    q = HalfWave(1, theta)
    assert q.delta >= q.eps
    assert q.type.hi == 1


def test_tiny_and_huge_samples_have_a_scale():
    for size in (1e300, 1e-300, 5e-324):
        assert HalfWave().fit(np.array([size, -size])).scale > 0
    x = np.abs(np.random.default_rng(5).normal(size=50))
    for power in (-900, 900):
        assert HalfWave().fit(np.ldexp(x, power)).scale == np.ldexp(HalfWave().fit(x).scale, power)
