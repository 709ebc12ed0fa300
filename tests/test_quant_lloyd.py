"""Half-wave quantizers of unequal levels: Lloyd's levels, the integer table, the program."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refnet import kernels
from refnet.autograd import Tensor
from refnet.lower import lower
from refnet.nn import BatchNorm2d, Flatten, MaxPool2d, Sequential
from refnet.program import SINT8, TERNARY, UINT8, Threshold, run
from refnet.quant import (
    HalfWave,
    LloydHalfWave,
    QuantConv2d,
    QuantInput,
    Quantize,
    QuantLinear,
    Uniform,
    fake_quantize,
    freeze,
    run_frozen,
    trace_frozen,
)
from refnet.quant.lloyd import lloyd_levels
from refnet.quant.staircase import integer_table, table_thresholds

PHI = NormalDist()

# N(0, 1) as the midpoints of a million equal cells of [0, 9]: the rule of the midpoints is off by
# less than h^2 / 24 times the second derivatives, 1e-11, and the tail beyond 9 holds 1e-19.
CELLS = 1_000_000
X = (np.arange(CELLS) + 0.5) * (9 / CELLS)
MASS = np.exp(-X * X / 2) / np.sqrt(2 * np.pi) * (9 / CELLS)


def error(q):
    """E[(max(x, 0) - Q(x))^2] under N(0, 1), by brute force."""
    return float(np.sum(MASS * (X - q.values(q.codes(X))) ** 2))


# eps = 0: the two levels that HWGQ lists, three of its kind; three levels with eps = 0.32.
@pytest.mark.parametrize(
    ("levels", "eps", "expected"),
    [
        (2, 0.0, (0.453, 1.510)), (3, 0.0, (0.318, 1.000, 1.894)),
        (3, 0.32, (0.596, 1.216, 2.054)),
    ],
)
def test_published_levels(levels, eps, expected):
    found = lloyd_levels(levels, PHI.cdf(eps))
    assert found == pytest.approx(expected, abs=0.6e-3)


@pytest.mark.parametrize("theta", [None, 0.5, 0.6255, 0.83, 0.9, 0.99, 0.999999])
@pytest.mark.parametrize("levels", [1, 2, 3, 7, 15])
def test_each_level_is_the_mean_of_its_interval(levels, theta):
    v = np.array(lloyd_levels(levels, theta))
    first = v[0] / 2 if theta is None else PHI.inv_cdf(theta)
    edges = np.array([first, *(v[1:] + v[:-1]) / 2, 9.0])
    cell = np.digitize(X, edges)
    for k in range(levels):
        inside = cell == k + 1
        # An interval ends up to half a cell (5e-6) from where the grid cuts it, which moves the
        # mean by at most that share of the interval's width times the density's variation.
        mean = np.sum(X[inside] * MASS[inside]) / MASS[inside].sum()
        assert abs(v[k] - mean) < 1e-4


@pytest.mark.parametrize("theta", [None, 0.5, 0.6255])
def test_unequal_levels_err_less_than_equal_ones_and_the_table_costs_what_is_said(theta):
    fine = LloydHalfWave(3, theta, table_bits=8)
    table = LloydHalfWave(3, theta)
    equal = HalfWave(2, theta)
    assert error(fine) < error(table) < error(equal)
    assert error(table) < 1.01 * error(fine)
    assert error(LloydHalfWave(7, theta, table_bits=6)) < 1.004 * error(
        LloydHalfWave(7, theta, table_bits=8)
    )


def test_known_errors_of_three_levels():
    assert error(LloydHalfWave(3, 0.5, table_bits=8)) == pytest.approx(0.02899, abs=2e-5)
    assert error(LloydHalfWave(3, None, table_bits=8)) == pytest.approx(0.02200, abs=2e-5)


@pytest.mark.parametrize("theta", [0.83, 0.85, 0.9, 0.99, 0.999])
def test_any_sparsity_is_reached(theta):
    q = LloydHalfWave(3, theta)
    assert q.eps == pytest.approx(PHI.inv_cdf(theta))
    assert set(q.codes(np.linspace(-1, 9, 100_000)).tolist()) == {0, *q.table}
    zeros = 0.5 + MASS[q.codes(X) == 0].sum()
    assert zeros == pytest.approx(theta, abs=1e-5)


@given(
    levels=st.lists(st.integers(1, 40), min_size=1, max_size=6, unique=True),
    delta=st.sampled_from([1.0, 0.3, 1e-12, 1e9]), bits=st.integers(1, 8),
)
def test_a_table_is_the_best_of_all_least_squares_tables(levels, delta, bits):
    v = np.sort(np.array(levels, dtype=float)) * delta
    top = 2**bits - 1
    candidates = [np.rint(v * (n / v[-1])) for n in range(len(v), top + 1)]
    if all(len({0.0, *c}) <= len(v) for c in candidates):
        with pytest.raises(ValueError, match="collide"):
            integer_table(v, top)
        return
    table, found = integer_table(v, top)
    assert len(table) == len(v)
    assert table[-1] <= top
    assert all(a < b for a, b in zip((0, *table), table, strict=False))
    cost = np.sum((v - found * np.array(table)) ** 2)
    for other in candidates:
        if len({0.0, *other}) == len(v) + 1:
            step = other @ v / (other @ other)
            # Rounding of sums of squares up to |v|^2.
            assert cost <= np.sum((v - step * other) ** 2) + 1e-15 * (v @ v)
    if v[-1] / delta <= top:
        assert cost <= 1e-28 * (v @ v)


@given(
    levels=st.integers(1, 3), theta=st.sampled_from([None, 0.5, 0.7, 0.9]),
    scale=st.sampled_from([1.0, 0.01, 3.7]), step=st.sampled_from([-1, 0, 1]),
    which=st.integers(0, 2),
)
def test_intervals_are_closed_at_the_top(levels, theta, scale, step, which):
    q = LloydHalfWave(levels, theta, scale)
    t = np.unique(q.thresholds)[which % levels]
    x = {-1: np.nextafter(t, -np.inf), 0: t, 1: np.nextafter(t, np.inf)}[step]
    below = (0, *q.table)[which % levels]
    assert int(q.codes(np.array(x))) == (below if step < 1 else q.table[which % levels])
    assert int(q.codes(np.array(x))) == int(np.sum(q.thresholds < x))


def test_beyond_eps_the_nearest_level_is_taken():
    q = LloydHalfWave(3, 0.6, 1.3)
    x = np.random.default_rng(0).uniform(q.eps, 4, 10_000)
    levels = np.array(q.table) * q.delta
    assert np.array_equal(q.values(q.codes(x)), levels[np.argmin(np.abs(x[:, None] - levels), 1)])


def test_equal_steps_are_the_half_wave():
    q = HalfWave(2, 0.6)
    assert np.array_equal(table_thresholds((1, 2, 3), q.eps, q.delta), q.thresholds)


def test_fit_gradient_and_degenerate_samples():
    x = 2.5 * np.random.default_rng(0).normal(size=100_000)
    # The fitted scale averages n samples, its standard deviation is about 1 / sqrt(n). The table
    # differs from the best levels, so its best scale is not exactly that of the data either.
    assert abs(LloydHalfWave(3).fit(x).scale / 2.5 - 1) < 5 / np.sqrt(len(x)) + 0.01
    assert LloydHalfWave().fit(-np.abs(x)).scale == 1.0
    assert LloydHalfWave().fit(np.zeros(0)).scale == 1.0
    for size in (1e300, 1e-300, 5e-324):
        assert LloydHalfWave().fit(np.array([size])).scale > 0
    q = LloydHalfWave(3, 0.6)
    top = q.table[-1] * q.delta
    meets = Tensor(np.array([-1.0, 0.0, 1e-9, q.eps, np.nextafter(top, 0), top, 99.0]), True)
    y = fake_quantize(meets, q)
    y.backward(np.arange(1.0, 8.0))
    assert y.numpy().tolist() == q.values(q.codes(meets.numpy())).tolist()
    assert meets.grad.tolist() == [0, 0, 3, 4, 5, 0, 0]
    assert q.codes(np.array([np.inf, -np.inf])).tolist() == [q.table[-1], 0]
    with pytest.raises(ValueError, match=r"LloydHalfWave.codes: holds NaN"):
        q.codes(np.array([np.nan]))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"levels": 0}, "levels=0"), ({"levels": 16}, "levels=16"), ({"levels": True}, "True"),
        ({"table_bits": 0}, "table_bits=0"), ({"table_bits": 9}, "table_bits=9"),
        ({"theta": 0.4}, "theta=0.4"), ({"theta": 1.0}, "theta=1.0"),
        ({"scale": 0.0}, "scale=0.0"), ({"scale": np.nan}, "scale=nan"),
        ({"levels": 15, "theta": 0.5}, "collide.*more table_bits"),
        ({"levels": 7, "theta": 0.99}, "collide.*more table_bits"),
    ],
)
def test_settings_that_are_none_are_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        LloydHalfWave(**bad)


def network(rng, q):
    """Two staircases behind convolutions of scales of both signs, a pool between them."""
    def conv(channels, filters, type):
        shape = (filters, channels, 3, 3)
        latent = rng.integers(type.lo, type.hi + 1, shape).astype(float)
        scale = rng.choice([-1.0, 1.0], filters) * rng.uniform(0.01, 0.3, filters)
        return QuantConv2d(latent, scale, rng.normal(size=filters), type=type, padding=1)

    return Sequential(
        QuantInput(Uniform(type=UINT8, scale=1 / 255), (1, 6, 6)), conv(1, 4, SINT8), Quantize(q),
        conv(4, 5, TERNARY), MaxPool2d(2), Quantize(q), Flatten(),
        QuantLinear(rng.integers(-9, 9, (3, 45)).astype(float), np.array([0.1]), type=SINT8),
    )


@pytest.mark.parametrize(
    "q", [LloydHalfWave(2, 0.5), LloydHalfWave(3, None, 0.7), LloydHalfWave(7, 0.9, 2.0, 6)]
)
@settings(max_examples=15)
@given(seed=st.integers(0, 2**32))
def test_network_program_and_kernels_agree_and_codes_are_levels(q, seed):
    rng = np.random.default_rng(seed)
    net = network(rng, q)
    codes = rng.integers(0, 256, (3, 1, 6, 6)).astype(np.uint8)
    codes[0], codes[1] = 0, 255
    frozen = freeze(net)
    program = lower(frozen)
    scores = run(program, codes)
    assert np.array_equal(run_frozen(frozen, codes), scores)
    assert np.array_equal(run(program, codes, execute=kernels.execute), scores)
    met = [
        step for node, step in zip(program.nodes, trace_frozen(frozen, codes), strict=True)
        if isinstance(node.op, Threshold)
    ]
    assert len(met) == 2
    assert all(set(np.unique(step).tolist()) <= {0, *q.table} for step in met)
    # Each threshold counts, and a 2 x 2 pool compares three times for each of 5 x 3 x 3 results.
    assert program.work().comparisons == q.table[-1] * (4 * 36 + 5 * 36) + 3 * 45


def test_first_codes_of_a_program_are_those_of_the_real_quantizer():
    # Dyadic scale and offsets make the real pre-activations exact, so no tie can tell them apart.
    rng = np.random.default_rng(3)
    net = network(rng, LloydHalfWave(3, 0.9))
    layer = net[1]
    layer.scale.assign(np.array([0.25, -0.125, 0.5, 1.0]) / 64)
    layer.bias.assign(np.array([0.5, 0.0, -0.75, 2.0]))
    codes = rng.integers(0, 256, (5, 1, 6, 6)).astype(np.uint8)
    head = Sequential(
        QuantInput(Uniform(type=UINT8, scale=1.0), (1, 6, 6)), layer, net[2], Flatten(),
        QuantLinear(np.eye(144), np.ones(1), type=SINT8),
    )
    real = net[2].quantizer.codes(layer(Tensor(codes.astype(float))).numpy())
    assert np.array_equal(trace_frozen(freeze(head), codes)[1], real)


@pytest.mark.parametrize("kind", [HalfWave(2, 0.6255), LloydHalfWave(3, 0.6255)])
def test_behind_a_plain_batch_norm_theta_is_the_share_of_zeros(kind):
    # The papers put Q behind a batch norm without gain and shift, whose output is N(0, 1) here.
    n = 200_000
    x = np.random.default_rng(0).normal(3, 7, (n, 1, 1, 1))
    y = BatchNorm2d(1, affine=False)(Tensor(x))
    codes = kind.codes(y.numpy())
    # Five standard deviations of a share and of a mean of n samples.
    assert abs(np.mean(codes == 0) - 0.6255) < 5 * np.sqrt(0.25 / n)
    assert abs(kind.fit(y.numpy()).scale - 1) < 5 / np.sqrt(n) + 0.01
