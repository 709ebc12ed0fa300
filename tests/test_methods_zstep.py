"""The z steps against a fine grid, against brute force over intervals, and at their ties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.methods.zstep import Z_STEPS, Steps, cost, exact, relaxed
from refnet.quant import HalfWave, LloydHalfWave, Ternary, Uniform

PENALTIES = st.sampled_from([0.01, 0.1, 1.0, 10.0])
# Levels that no rule spaces evenly, and thresholds that are not half-way between them.
UNEVEN = Steps(np.array([0.25, 0.5, 2.0]), np.array([0.0, 0.375, 1.5, 2.25]))
step_kinds = st.sampled_from(
    [UNEVEN, *(Steps.of(HalfWave(bits, theta)) for bits in (1, 2, 3) for theta in (None, 0.5)),
     Steps.of(LloydHalfWave(3, 0.5))]
)


@given(x=st.lists(st.integers(-40, 40), min_size=1), levels=st.integers(1, 4),
       theta=st.sampled_from([None, 0.5, 0.6]), even=st.booleans())
def test_steps_are_those_of_the_quantizer(x, levels, theta, even):
    q = HalfWave(levels, theta) if even else LloydHalfWave(levels, theta)
    steps = Steps.of(q)
    around = np.concatenate([np.array(x) / 10, q.thresholds, np.nextafter(q.thresholds, 9)])
    assert np.array_equal(steps(around), q.values(q.codes(around)))
    # A level that no x reaches is no candidate of a z step.
    assert np.all(np.diff(steps.thresholds) > 0)


def test_quantizers_without_thresholds_have_no_steps():
    assert [Steps.of(q) for q in (None, Uniform(), Ternary())] == [None] * 3


@given(y=st.integers(0, 3), v=st.integers(-60, 60), penalty=PENALTIES, steps=step_kinds)
def test_the_relaxed_step_is_no_worse_than_any_point_of_a_fine_grid(y, v, penalty, steps):
    level, at = np.array([steps.levels[y % len(steps.levels)]]), np.array([v / 10])
    z = relaxed(level, at, penalty, steps)
    grid = np.linspace(-8, 8, 4001)
    # The candidates are computed with a few units of rounding of numbers below 100.
    least = cost(level, grid, at, penalty, steps.relax(grid)).min()
    assert cost(level, z, at, penalty, steps.relax(z))[0] <= least + 1e-12


@given(y=st.integers(0, 3), v=st.integers(-60, 60), penalty=PENALTIES, steps=step_kinds)
def test_the_exact_step_is_the_best_of_all_intervals(y, v, penalty, steps):
    level, at = np.array([steps.levels[y % len(steps.levels)]]), np.array([v / 10])
    z = exact(level, at, penalty, steps)
    # The grid holds the ends of every interval as they can be reached, and points between.
    ends = np.concatenate([steps.thresholds, np.nextafter(steps.thresholds, np.inf)])
    grid = np.concatenate([np.linspace(-8, 8, 4001), ends, at])
    assert cost(level, z, at, penalty, steps(z))[0] <= cost(level, grid, at, penalty,
                                                            steps(grid)).min()


def test_intervals_are_open_on_the_left_and_closed_on_the_right():
    v = np.array([-1.0, 0.25, 0.4, 9.0])
    up = exact(np.full(4, 0.375), v, 1e-3, UNEVEN)
    assert up.tolist() == [np.nextafter(0.25, 1), np.nextafter(0.25, 1), 0.4, 0.5]
    down = exact(np.zeros(4), v, 1e-3, UNEVEN)
    assert down.tolist() == [-1.0, 0.25, 0.25, 0.25]
    assert UNEVEN(up).tolist() == [0.375] * 4
    assert UNEVEN(down).tolist() == [0.0] * 4


def test_an_interval_between_can_win():
    # y is the top level and v far below it: the way to a middle level is shorter than to the top.
    z = exact(np.array([2.25]), np.array([0.0]), 1.0, UNEVEN)
    assert UNEVEN(z)[0] == 1.5


def test_equal_thresholds_leave_an_interval_out():
    steps = Steps(np.array([1.0, 1.0]), np.array([0.0, 1.0, 2.0]))
    z = exact(np.array([1.0, 2.0]), np.array([0.0, 0.0]), 0.01, steps)
    assert steps(z).tolist() == [0.0, 2.0] or steps(z).tolist() == [2.0, 2.0]
    assert 1.0 not in steps(z)


def test_the_first_of_equals_is_taken():
    # v = 1/2 between levels 0 and 1, y = 1/2: both pieces and the middle cost the same for the
    # relaxed quantizer of one step at both ends.
    steps = Steps(np.array([0.5]), np.array([0.0, 1.0]))
    z = exact(np.array([0.5]), np.array([0.5]), 1.0, steps)
    assert z.tolist() == [0.5]
    # The two levels are equally far from y, and v can be kept at 1/2, in the lower interval.
    assert relaxed(np.array([0.0]), np.array([0.0]), 1.0, steps).tolist() == [0.0]


@pytest.mark.parametrize("name", Z_STEPS)
@given(seed=st.integers(0, 2**32), penalty=PENALTIES)
def test_no_step_is_worse_than_staying_at_the_response(name, seed, penalty):
    rng = np.random.default_rng(seed)
    y, v = UNEVEN.levels[rng.integers(0, 4, (3, 5))], rng.normal(size=(3, 5))
    z = Z_STEPS[name](y, v, penalty, UNEVEN)
    assert z.shape == v.shape
    quantize = UNEVEN.relax if name == "relaxed" else UNEVEN
    assert np.all(cost(y, z, v, penalty, quantize(z)) <= cost(y, v, v, penalty, quantize(v))
                  + 1e-14)


@pytest.mark.parametrize(
    ("theta", "eps", "delta"), [(None, 0.3254, 0.6508), (0.5, 0.0, 0.5388), (0.6255, 0.32, 0.6488)]
)
def test_the_steps_of_the_paper_to_four_digits(theta, eps, delta):
    steps = Steps.of(HalfWave(2, theta))
    # 0.6255 is itself rounded, which moves eps by up to 5e-5 / phi(0.32) = 1.4e-4.
    assert steps.thresholds[0] == pytest.approx(eps, abs=5e-5 if theta != 0.6255 else 2e-4)
    assert steps.levels == pytest.approx(np.arange(4) * steps.levels[1], rel=1e-15)
    assert steps.levels[1] == pytest.approx(delta, abs=5e-5 if theta != 0.6255 else 2e-4)
