"""Rounding, requantization, ratios and thresholds against [1.4] and [3] of the specification."""

from fractions import Fraction
from itertools import product
from math import floor, inf, nan

import numpy as np
import oracle
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refnet.laws.arrays import int_types
from refnet.program import (
    ACCUMULATOR,
    INT8,
    IntType,
    integer_thresholds,
    ratio_to_mult_shift,
    requantize,
    rounding_shift,
    saturate,
)

RULES = ("half_even", "half_up", "half_away")
MULT, SHIFT, ACC = 2**15 - 1, 46, 2**31 - 2


# --- saturate -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64])
@pytest.mark.parametrize(("lo", "hi"), [(-128, 127), (0, 255), (-3, 5), (7, 7), (0, 2**31 - 1)])
def test_saturate_is_the_clause_for_every_storage(dtype, lo, hi):
    info = np.iinfo(dtype)
    near = {v + d for v in (lo, hi, 0, info.min, info.max) for d in (-1, 0, 1)}
    x = [v for v in sorted(near) if info.min <= v <= info.max]
    got = saturate(np.array(x, dtype=dtype), lo, hi).tolist()
    assert got == [oracle.saturate(v, lo, hi) for v in x]


def test_saturate_refuses_an_empty_range():
    with pytest.raises(ValueError, match="lo 2 exceeds hi 1"):
        saturate(np.array([0]), 2, 1)


# --- rounding shift -----------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_rounding_shift_of_every_small_number(rule):
    x = np.arange(-300, 301)
    for shift in range(9):
        want = [oracle.rounding_shift(v, shift, rule) for v in x.tolist()]
        assert rounding_shift(x, shift, rule).tolist() == want


@pytest.mark.parametrize("rule", RULES)
def test_rounding_shift_at_every_shift_and_at_the_ends_of_64_bits(rule):
    for shift in range(63):
        half, one = (1 << shift) >> 1, 1 << shift
        x = {k * half + d for k in (-5, -3, -2, -1, 0, 1, 2, 3, 5) for d in (-1, 0, 1)}
        x |= {2**63 - 1, -(2**63), one - 1, -one}
        x = sorted(v for v in x if -(2**63) <= v < 2**63)
        want = [oracle.rounding_shift(v, shift, rule) for v in x]
        assert rounding_shift(np.array(x), shift, rule).tolist() == want, shift


def test_rounding_shift_broadcasts():
    got = rounding_shift(np.array([[5], [-5]]), np.array([0, 1, 2]), "half_even")
    assert got.tolist() == [[5, 2, 1], [-5, -2, -1]]
    assert rounding_shift(np.empty((0, 3), np.int8), np.empty(0, np.int8)[:, None],
                          "half_up").shape == (0, 3)


@pytest.mark.parametrize("rule", ["", "half", "half_down", "HALF_UP", None])
def test_a_rounding_rule_is_always_named(rule):
    with pytest.raises(ValueError, match="half_even, half_up, half_away"):
        rounding_shift(np.array([1]), 1, rule)


@pytest.mark.parametrize("shift", [-1, 63, np.array([0, -1]), np.array([63, 0])])
def test_a_shift_out_of_range_is_refused(shift):
    with pytest.raises(ValueError, match=r"shift in \[.*rule \[?0"):
        rounding_shift(np.array([1, 1]), shift, "half_up")


@pytest.mark.parametrize("x", [np.array([1.5]), np.array([True]), np.array([2**63], np.uint64)])
def test_rounding_shift_takes_only_integers_of_64_bits(x):
    with pytest.raises(ValueError, match="rounding_shift: x"):
        rounding_shift(x, 1, "half_up")


# --- requantize ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("mult", "shift"), [(3, 1), (-5, 3), (1, 6), (64, 7), (-96, 10), (0, 4)])
def test_requantize_every_small_accumulator(rule, mult, shift):
    acc = np.arange(-(2**12), 2**12 + 1)
    kind = IntType(lo=-100, hi=120)
    want = [oracle.requantize(v, mult, shift, kind.lo, kind.hi, rule) for v in acc.tolist()]
    assert requantize(acc, mult, shift, kind, rule).tolist() == want


@given(
    st.lists(st.integers(-ACC, ACC) | st.sampled_from([-ACC, ACC, 0, 1, -1]), max_size=8),
    st.integers(-MULT, MULT) | st.sampled_from([-MULT, MULT]), st.integers(0, SHIFT), int_types(),
    st.sampled_from(RULES))
@example([ACC, -ACC], MULT, 0, ACCUMULATOR, "half_up")
@example([ACC, -ACC], -MULT, SHIFT, ACCUMULATOR, "half_away")
def test_requantize_is_the_clause(acc, mult, shift, kind, rule):
    got = requantize(np.array(acc, dtype=np.int64), mult, shift, kind, rule)
    assert got.dtype == np.int64
    assert got.tolist() == [oracle.requantize(a, mult, shift, kind.lo, kind.hi, rule) for a in acc]


def test_requantize_broadcasts_multipliers_and_shifts():
    acc, mult, shift = np.array([[10, -10]]), np.array([[1], [3]], np.int8), np.array([[1], [2]])
    assert requantize(acc, mult, shift, INT8, "half_up").tolist() == [[5, -5], [8, -7]]


@pytest.mark.parametrize(("acc", "mult", "shift", "what"), [
    (2**31 - 1, 1, 0, "acc"), (-(2**31), 1, 0, "acc"), (1, 2**15, 0, "mult"),
    (1, -(2**15), 0, "mult"), (1, 1, 47, "shift"), (1, 1, -1, "shift"),
    (np.array([1.0]), 1, 0, "acc"), (1, np.array([0.5]), 0, "mult"),
    (1, 1, np.array([0.5]), "shift"),
])
def test_requantize_refuses_what_the_clauses_do_not_cover(acc, mult, shift, what):
    with pytest.raises(ValueError, match=f"requantize: {what}"):
        requantize(np.asarray(acc), mult, shift, INT8, "half_up")


# --- ratio to multiplier and shift --------------------------------------------------------------


def nearest(ratio: Fraction) -> Fraction:
    """Least distance of any legal mult / 2**shift from the ratio, by trying all shifts."""
    size = abs(ratio)
    return min(
        abs(Fraction(min(floor(size * 2**shift) + step, MULT), 2**shift) - size)
        for shift in range(SHIFT + 1) for step in (0, 1)
    )


def boundary_ratios():
    for shift in (0, 1, 2, 14, 15, 16, 45, 46, 47, 48):
        for m in (0, 1, 2, 3, 2**14 - 1, 2**14, 2**14 + 1, 2**15 - 2, 2**15 - 1, 2**15):
            for quarter in (-3, -2, -1, 0, 1, 2, 3):
                yield Fraction(4 * m + quarter, 4 * 2**shift)


def test_ratio_at_every_boundary_is_the_clause_and_the_nearest():
    for ratio in boundary_ratios():
        for r in (ratio, -ratio):
            if abs(r) >= MULT + Fraction(1, 2):
                with pytest.raises(ValueError, match="ratio_to_mult_shift"):
                    ratio_to_mult_shift(r)
                continue
            mult, shift = ratio_to_mult_shift(r)
            assert (mult, shift) == oracle.ratio_to_mult_shift(r), r
            assert abs(Fraction(mult, 2**shift) - r) == nearest(r), r


@given(st.floats(-32767.0, 32767.0) | st.fractions(-32767, 32767))
@example(5e-324)
@example(-2.0**-47)
@example(0.1)
def test_ratio_of_any_number_is_the_clause(ratio):
    mult, shift = ratio_to_mult_shift(ratio)
    assert (mult, shift) == oracle.ratio_to_mult_shift(ratio)
    assert type(mult) is int
    assert type(shift) is int


@pytest.mark.parametrize("ratio", [
    inf, -inf, nan, 32767.5, -32767.5, 1e300, Fraction(10**400), -Fraction(10**400),
])
def test_a_ratio_with_no_pair_is_refused(ratio):
    with pytest.raises(ValueError, match="ratio_to_mult_shift"):
        ratio_to_mult_shift(ratio)


# --- integer thresholds -------------------------------------------------------------------------

SCALES = (0.25, -0.25, 0.5, -1.0, 3.0, -0.3, 0.1, 1e-9, -1e9, 0.0, -0.0, 5e-324)
OFFSETS = (0.0, 0.5, -0.25, 0.1, 0.75, -1e9, 1e300)
LEVELS = ([0.5], [-0.5, 0.5], [0.25, 0.5, 0.75], [0.1, 0.1, 0.3], [-1e300, 0.0, 1e300])


@pytest.mark.parametrize(("lo", "hi"), [(-9, 9), (-4, 17), (3, 6), (-6, -2), (0, 0)])
def test_every_accumulator_has_the_exact_real_code(lo, hi):
    acc = np.arange(lo, hi + 1)
    pairs = list(product(SCALES, OFFSETS))
    scale, offset = (np.array(column) for column in zip(*pairs, strict=True))
    for levels in LEVELS:
        t, sign = integer_thresholds(np.array(levels), scale, offset, IntType(lo=lo, hi=hi))
        assert t.dtype == np.int32
        assert sign.dtype == np.int8
        codes = (sign[:, None, None] * acc[:, None] >= t[:, None, :]).sum(axis=2)
        for c, (s, o) in enumerate(pairs):
            assert (t[c].tolist(), sign[c]) == oracle.integer_thresholds(levels, s, o, lo, hi)
            assert codes[c].tolist() == [oracle.real_code(levels, s, o, a) for a in acc.tolist()]


def test_the_cases_above_have_exact_ties():
    ties = sum(
        Fraction(s) * a + Fraction(o) == Fraction(v)
        for s, o, levels in product(SCALES, OFFSETS, LEVELS) for v in levels for a in range(-9, 10))
    assert ties > 100


@given(st.data())
def test_thresholds_of_large_accumulators_are_the_clause(data):
    real = st.floats(-1e6, 1e6) | st.sampled_from([0.0, 0.5, 2.0**-20, -(2.0**-31), 1.0])
    kind = data.draw(int_types())
    levels = sorted(data.draw(st.lists(real, min_size=1, max_size=4)))
    scale, offset = data.draw(real), data.draw(real)
    t, sign = integer_thresholds(np.array(levels), np.array([scale]), np.array([offset]), kind)
    assert (t[0].tolist(), sign[0]) == oracle.integer_thresholds(
        levels, scale, offset, kind.lo, kind.hi)


def test_thresholds_at_the_accumulator_bound_fit_32_bits():
    t, sign = integer_thresholds(
        np.array([-1e300, 1e300]), np.array([1.0, -1.0]), np.zeros(2), ACCUMULATOR)
    assert t.tolist() == [[-ACC, ACC + 1]] * 2
    assert sign.tolist() == [1, -1]


@pytest.mark.parametrize(("levels", "scale", "offset", "message"), [
    ([nan], [1.0], [0.0], "finite"), ([0.0], [inf], [0.0], "finite"),
    ([0.0], [1.0], [-inf], "finite"), ([1.0, 0.5], [1.0], [0.0], r"\[1.0, 0.5\] must be ascending"),
    ([0.0], [1.0], [0.0, 1.0], "do not fit"), ([0.0], [1.0, 1.0], [0.0], "do not fit"),
    ([[0.0]], [1.0], [0.0], "do not fit"), ([0.0], [[1.0]], [[0.0]], "do not fit"),
])
def test_thresholds_refuse_numbers_that_are_none(levels, scale, offset, message):
    with pytest.raises(ValueError, match=f"integer_thresholds: .*{message}"):
        integer_thresholds(np.array(levels), np.array(scale), np.array(offset), INT8)


@pytest.mark.parametrize("kind", [IntType(lo=-ACC - 1, hi=0), IntType(lo=0, hi=ACC + 1)])
def test_thresholds_refuse_an_accumulator_beyond_the_bound(kind):
    with pytest.raises(ValueError, match="integer_thresholds: acc"):
        integer_thresholds(np.array([0.0]), np.array([1.0]), np.array([0.0]), kind)
