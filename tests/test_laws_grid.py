"""The oracle of the laws against plain rationals, and what it infers from levels."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.laws.grid import TIES, UniformGrid, resolve
from refnet.laws.points import critical_points
from refnet.laws.strategies import scales, ties
from refnet.laws.tabulated import TableGrid, is_exact, tabulated, uniform_step

CODES = range(-8, 8)


def rounded(q: Fraction, rule: str, zero: int) -> set[int]:
    """The integers that q may round to, plus the zero point: definition by definition."""
    low = floor(q)
    if q - low != Fraction(1, 2):
        return {floor(q + Fraction(1, 2)) + zero}
    match rule:
        case "even":
            return {(low if low % 2 == 0 else low + 1) + zero}
        case "even_code":
            return {low + zero if (low + zero) % 2 == 0 else low + 1 + zero}
        case "up":
            return {low + 1 + zero}
        case "down":
            return {low + zero}
        case "away":
            return {(low + 1 if q > 0 else low) + zero}
    return {(low if q > 0 else low + 1) + zero}


@st.composite
def cases(draw):
    scale, zero = draw(scales()), draw(st.integers(-9, 9))
    # The levels must be numbers of the dtype.
    kinds = (np.float16, np.float32, np.float64)
    fits = [k for k in kinds if scale * 20 < float(np.finfo(k).max)]
    kind = draw(st.sampled_from(fits))
    return scale, zero, draw(ties(scale, zero, levels=CODES, dtype=kind))


@given(case=cases(), rule=st.sampled_from(TIES))
def test_right_codes_are_those_of_the_exact_quotient(case, rule):
    scale, zero, x = case
    grid = UniformGrid(codes=CODES, scale=scale, zero=zero, tie=rule, division="exact")
    q = Fraction(float(x)) / Fraction(scale)
    want = {min(max(c, -8), 7) for c in rounded(q, rule, zero)}
    assert set(grid.right(x)) == want
    either = {min(max(c, -8), 7) for c in rounded(q, "up", zero) | rounded(q, "down", zero)}
    assert set(grid.nearest(x)) == either
    assert want <= either


@given(case=cases(), rule=st.sampled_from(TIES))
def test_binary64_accepts_the_exact_quotient_and_its_rounding(case, rule):
    scale, zero, x = case
    grid = UniformGrid(codes=CODES, scale=scale, zero=zero, tie=rule)
    quotients = {Fraction(float(x)) / Fraction(scale), Fraction(float(x) / scale)}
    if rule == "even_code":
        # What is rounded there is the sum with the zero point, itself a binary64 number.
        quotients.add(Fraction(float(x) / scale + zero) - zero)
    want = {min(max(c, -8), 7) for q in quotients for c in rounded(q, rule, zero)}
    if abs(float(x) / scale) != 0.49999999999999994:
        assert set(grid.right(x)) == want
    assert want <= set(grid.right(x)) <= set(grid.nearest(x)) | want


def test_input_division_is_that_of_the_dtype():
    x = np.float32(0.35)
    grid = UniformGrid(codes=CODES, scale=0.1, zero=0, tie="even", division="input")
    assert grid.right(x) == (int(np.rint(x / np.float32(0.1))),)
    below = np.nextafter(np.float32(0.5), np.float32(0))
    for rule, codes in (("even_code", {1, 2}), ("even", {1})):
        odd = UniformGrid(codes=CODES, scale=1.0, zero=1, tie=rule, division="input")
        assert set(odd.right(below)) == codes              # 0.49999997 + 1 is 1.5 in binary32
    tiny = UniformGrid(codes=CODES, scale=1e-40, zero=0, division="input")
    assert tiny.right(np.float16(1)) == (7,)              # 1 / 0 in binary16


def test_just_below_half_may_count_as_half():
    x = np.float64(0.49999999999999994)
    for sign in (1, -1):
        lenient = UniformGrid(codes=CODES, scale=1.0, zero=0)
        assert set(lenient.right(sign * x)) == {0, sign}
        strict = UniformGrid(codes=CODES, scale=1.0, zero=0, division="exact")
        assert strict.right(sign * x) == (0,)


def test_distance_is_measured_from_boundaries_that_exist():
    grid = UniformGrid(codes=CODES, scale=0.5, zero=0)
    assert grid.above(Fraction(100)) == 100 - Fraction(13, 4)
    assert grid.above(Fraction(1, 4)) == 0
    assert grid.is_tie(np.float32(0.25))
    assert not grid.is_tie(np.float32(0.26))
    assert grid.boundary(0) == Fraction(-15, 4)


def test_thresholds_are_exact_and_obey_the_rule():
    for rule, code in (("up", 1), ("down", 0), ("zero", 0), ("away", 1)):
        grid = tabulated((0, 1, 5), np.zeros(0), [0.1, 2.0], rule)
        assert grid.right(np.float64(0.1)) == (code,)
        assert grid.nearest(np.float64(0.1)) == (0, 1)
        assert grid.right(np.float32(0.1)) == (1,)          # a little above 0.1
        assert grid.right(np.float64(9)) == (5,)


def test_midpoints_of_levels_have_slack_and_no_ties():
    grid = tabulated((0, 1), np.array([0.1, 0.4], dtype=np.float32), None, "even")
    assert isinstance(grid, TableGrid)
    assert grid.right(np.float64(0.25)) == (0, 1)
    assert grid.right(np.float64(0.2500001)) == (1,)
    assert not grid.is_tie(np.float64(0.25))


@pytest.mark.parametrize("zero", [None, 0])
def test_the_scale_is_found_from_levels(zero):
    codes = range(-8, 8)
    assert uniform_step(codes, np.arange(-8, 8) * 0.1, zero) == (0.1, 0)
    narrow = np.arange(-8, 8, dtype=np.float32)
    assert uniform_step(codes, narrow * np.float32(0.25), zero) == (0.25, 0)
    # 0.1 in binary32 may be the rounding of another scale.
    assert uniform_step(codes, narrow * np.float32(0.1), zero) is None
    assert uniform_step(codes, np.arange(-8, 8) * 0.1 + 0.01, zero) is None
    assert uniform_step((0, 1, 3), np.array([0, 1, 3.0]), zero) is None


def test_a_zero_point_is_found_where_a_level_is_zero():
    assert uniform_step(range(16), (np.arange(16) - 3) * 0.1, None) == (0.1, 3)
    assert is_exact(0.75, np.dtype(np.float16))
    assert not is_exact(0.1, np.dtype(np.float32))
    assert is_exact(0.1, np.dtype(np.float64))


def test_ties_at_zero_have_no_way_away_from_it():
    assert resolve("away", -1, 1, 0, Fraction(0)) == (-1, 1)
    assert resolve("up", -1, 1, 0, Fraction(0)) == (1,)
    assert resolve(None, 0, 1, 0, Fraction(1, 2)) == (0, 1)
    assert resolve("even", 3, 5, 0, Fraction(4)) == (3, 5)


# --- The fast twin -------------------------------------------------------------------------------


@given(
    scale=scales(("power_of_two", "short", "random", "subnormal", "long")), zero=st.integers(-8, 7),
    division=st.sampled_from(["exact", "binary64", "input"]), seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from(["float16", "float32", "float64"]),
)
def test_what_is_sure_is_the_only_right_code(scale, zero, division, seed, dtype):
    grid = UniformGrid(codes=CODES, scale=scale, zero=zero, division=division)
    x = critical_points(grid, np.dtype(dtype), np.random.default_rng(seed), 300)
    codes, sure = grid.sure(x)
    for value, code, certain in zip(x, codes.tolist(), sure.tolist(), strict=True):
        if certain:
            assert grid.nearest(value) == (code,)


def test_few_places_are_unsure():
    grid = UniformGrid(codes=CODES, scale=0.1, zero=0)
    x = np.random.default_rng(0).normal(size=500)
    assert grid.sure(x)[1].all()
    tie = float(grid.boundary(8))
    assert not grid.sure(np.array([tie, np.nextafter(tie, 1), np.nextafter(tie, 0)]))[1].any()
    assert grid.sure(np.array([1e300, -1e300, 1e308 * 1.7]))[1].all()


@given(seed=st.integers(0, 2**32 - 1), declared=st.booleans())
def test_what_is_sure_in_tables_is_the_only_right_code(seed, declared):
    rng = np.random.default_rng(seed)
    levels = np.cumsum(rng.integers(1, 9, size=4)) * 0.1 - 2
    grid = tabulated(range(4), levels, (levels[1:] + levels[:-1]) / 2 if declared else None, "up")
    x = critical_points(grid, np.dtype(np.float64), rng, 100)
    codes, sure = grid.sure(x)
    assert sure.sum() > len(x) // 2
    for value, code, certain in zip(x, codes.tolist(), sure.tolist(), strict=True):
        if certain:
            assert grid.nearest(value) == (code,)


@given(scale=scales(), zero=st.integers(-8, 7))
def test_boundaries_and_levels_as_floats_are_rounded_once(scale, zero):
    grid = UniformGrid(codes=CODES, scale=scale, zero=zero)
    places = np.arange(len(CODES) - 1)
    wanted = [float(grid.boundary(i)) for i in places.tolist()]
    assert grid.boundaries_as_floats(places).tolist() == wanted
    assert grid.levels_as_floats(places).tolist() == [float(grid.level(i)) for i in places.tolist()]
