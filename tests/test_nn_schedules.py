"""Schedules: where they start, where they end, and that they are functions of the step alone."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.nn import constant, cosine, linear, staircase

ALL = (constant, linear, cosine, staircase)


@given(schedule=st.sampled_from(ALL), steps=st.integers(1, 50), data=st.data())
def test_factors_rise_to_one_and_never_leave_the_unit_interval(schedule, steps, data):
    warmup = data.draw(st.integers(0, steps - 1))
    factor = schedule(steps, warmup=warmup)
    values = [factor(step) for step in range(steps + 5)]
    assert all(0 <= v <= 1 for v in values)
    assert all(values[i] == pytest.approx((i + 1) / warmup) for i in range(warmup))
    assert values[warmup] == 1
    assert all(a >= b for a, b in zip(values[warmup:], values[warmup + 1 :], strict=False))
    assert values == [factor(step) for step in range(steps + 5)]


def test_values_on_the_way():
    assert [linear(4)(s) for s in range(6)] == [1, 0.75, 0.5, 0.25, 0, 0]
    assert cosine(4)(1) == pytest.approx(0.5 + math.sqrt(0.5) / 2)
    assert cosine(4)(2) == pytest.approx(0.5)
    assert cosine(4)(4) == 0
    assert constant(4)(100) == 1
    stairs = staircase(8, at=(0.5, 0.75), drop=0.1)
    assert [stairs(s) for s in (3, 4, 5, 6)] == pytest.approx([1, 0.1, 0.1, 0.01])


@pytest.mark.parametrize(("steps", "warmup"), [(0, 0), (4, 4), (4, -1)])
def test_impossible_lengths_are_refused(steps, warmup):
    with pytest.raises(ValueError, match=f"steps={steps}, warmup={warmup}"):
        linear(steps, warmup=warmup)
