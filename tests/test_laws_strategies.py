"""What the strategies promise: ties are ties, neighbours are neighbours, scales are binary32."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.laws import strategies
from refnet.laws.grid import UniformGrid
from refnet.laws.points import neighbours, saturating_points, tie_points
from refnet.program.types import ACCUMULATOR_BOUND

KINDS = (np.float16, np.float32, np.float64)
kinds = st.sampled_from(KINDS)


@given(st.data(), kinds, st.integers(-6, 6), st.integers(0, 15))
def test_ties_lie_within_two_floats_of_a_boundary(data, kind, power, zero):
    scale = 2.0**power
    x = data.draw(strategies.ties(scale, zero, levels=range(16), dtype=kind))
    assert x.dtype == kind
    middle = (np.floor(float(x) / scale) + 0.5) * scale
    near = min((middle + d * scale for d in (-1, 0, 1)), key=lambda m: abs(m - float(x)))
    beside = neighbours(np.array([near], dtype=kind), 2)
    assert x in beside


@given(st.data(), kinds)
def test_lattice_points_lie_beside_levels(data, kind):
    x = data.draw(strategies.lattice_points(0.25, 3, levels=(0, 15), dtype=kind))
    level = kind(np.rint(float(x) / 0.25) * 0.25)
    assert x in neighbours(np.array([level], dtype=kind), 1)


@given(st.data(), kinds)
def test_saturating_reals_lie_at_the_ends_or_beyond(data, kind):
    x = float(data.draw(strategies.saturating(0.5, levels=(-8, 7), dtype=kind)))
    assert abs(x) >= 3.0
    assert np.isfinite(x)


def test_saturating_reals_meet_every_integer_width():
    grid = UniformGrid(codes=range(16), scale=1.0, zero=0)
    found = set(saturating_points(grid, np.dtype(np.float64)).tolist())
    assert {2.0**k for k in (7, 8, 15, 16, 31, 32, 63, 64)} <= found


@given(strategies.scales())
def test_scales_are_positive_binary32_numbers(scale):
    assert scale > 0
    assert float(np.float32(scale)) == scale


def test_every_kind_of_scale_is_what_it_says():
    @given(strategies.scales(("power_of_two",)))
    def powers(scale):
        assert np.log2(scale) == np.rint(np.log2(scale))

    @given(strategies.scales(("subnormal",)))
    def subnormals(scale):
        assert scale < 2.0**-126

    @given(strategies.scales(("short",)))
    def short(scale):
        assert scale.as_integer_ratio()[0].bit_length() <= 6 or scale >= 64

    powers()
    subnormals()
    short()


@given(st.integers(-(2**15) + 1, 2**15 - 1), st.integers(0, 46), st.data())
def test_accumulators_lie_beside_ties(mult, shift, data):
    acc = data.draw(strategies.accumulators_near_tie(mult, shift))
    assert abs(acc) <= ACCUMULATOR_BOUND
    if mult and abs(acc) < ACCUMULATOR_BOUND:
        q = Fraction(acc * mult, 2**shift)
        tie = np.floor(float(q)) + Fraction(1, 2)
        gap = min(abs(q - tie - k) for k in (-1, 0, 1))
        assert gap <= Fraction(3 * abs(mult), 2**shift)


@given(strategies.ternary_matrices(3, 7))
def test_ternary_matrices_are(w):
    assert w.shape == (3, 7)
    assert w.dtype == np.int8
    assert set(np.unique(w)) <= {-1, 0, 1}


@given(strategies.ulp_neighbours(st.just(np.float32(1)), ulps=1))
def test_neighbours_keep_their_dtype(x):
    assert x in (np.nextafter(np.float32(1), np.float32(0)), np.float32(1), np.float32(1.0000001))


@given(strategies.critical_arrays(0.1, levels=(0, 255), dtype=np.float16))
def test_critical_arrays_stay_small_and_finite(x):
    assert x.dtype == np.float16
    assert x.size < 500
    assert np.isfinite(x).all()


@given(strategies.special_reals(np.float64))
def test_special_reals_are_finite(x):
    assert np.isfinite(x)


def test_all_ties_of_small_widths_are_enumerated():
    grid = UniformGrid(codes=range(256), scale=0.25, zero=0)
    found = set(tie_points(grid, np.dtype(np.float32), range(255)).tolist())
    assert {(k + 0.5) * 0.25 for k in range(255)} <= found


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="kind 'odd'"):
        given(strategies.scales(("odd",)))(lambda scale: None)()
    with pytest.raises(ValueError, match="without gaps"):
        strategies.ties(1.0, levels=[-1, 1])
    with pytest.raises(ValueError, match="mult"):
        strategies.accumulators_near_tie(2**15, 0)
