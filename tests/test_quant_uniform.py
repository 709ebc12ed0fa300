"""Quantizers with equal steps: nearest level and tie rule in exact rationals, bounds, refusals."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.program import SINT8, TERNARY, UINT2, IntType
from refnet.quant import QUANTIZERS, HalfWave, Quantizer, Ternary, Uniform

TYPES = [UINT2, TERNARY, SINT8, IntType(lo=-8, hi=7)]


def nearest_even(x: Fraction, lo: int, hi: int) -> int:
    return min(max(round(x), lo), hi)


@st.composite
def near_ties(draw):
    """A scale, and points at, just below and just above a lattice point or a tie."""
    scale = draw(st.sampled_from([1.0, 0.5, 0.1, 1 / 255, 3.0, 1e-20, 2.0**-30]))
    half = draw(st.integers(-260, 260))
    x = half / 2 * scale
    return scale, draw(st.sampled_from([x, np.nextafter(x, np.inf), np.nextafter(x, -np.inf)]))


@given(case=near_ties(), type=st.sampled_from(TYPES))
def test_codes_are_the_nearest_levels_of_the_binary64_quotient(case, type):
    scale, x = case
    want = nearest_even(Fraction(x / scale), type.lo, type.hi)
    assert int(Uniform(type=type, scale=scale).codes(np.array(x))) == want


@given(half=st.integers(-300, 300), power=st.integers(-20, 20), type=st.sampled_from(TYPES))
def test_ties_go_to_even_exactly_for_powers_of_two(half, power, type):
    scale = 2.0**power
    x = np.float32(half * scale / 2)
    want = nearest_even(Fraction(half, 2), type.lo, type.hi)
    assert int(Uniform(type=type, scale=scale).codes(np.array(x))) == want


@pytest.mark.parametrize("type", TYPES)
def test_every_code_is_its_own_code(type):
    codes = np.arange(type.lo, type.hi + 1)
    q = Uniform(type=type, scale=0.1)
    assert np.array_equal(q.codes(q.values(codes)), codes)
    assert q.codes(q.values(codes)).dtype == type.dtype


@pytest.mark.parametrize("type", TYPES)
def test_the_largest_value_gets_the_end_code(type):
    x = np.array([0.3, -2.0, 1.7])
    q = Uniform(type=type).fit(x)
    codes = q.codes(x)
    assert max(abs(int(c)) for c in codes) == (type.hi if type.lo >= 0 else min(type.hi, -type.lo))
    assert np.all(np.abs(q.values(codes) - np.maximum(x, 0 if type.lo >= 0 else -9)) <= q.scale / 2)


@pytest.mark.parametrize("x", [np.zeros(3), np.zeros(0), np.full(2, 5e-324)])
def test_tensors_without_a_scale_keep_one(x):
    assert Uniform().fit(x).scale == 1.0


def test_infinities_saturate_and_nan_is_refused():
    for q in (Uniform(), Ternary(), HalfWave()):
        ends = q.codes(np.array([-np.inf, np.inf]))
        assert ends.tolist() == [q.type.lo, q.type.hi]
        with pytest.raises(ValueError, match="NaN"):
            q.codes(np.array([np.nan]))


def test_the_gradient_passes_up_to_half_a_step_beyond_the_range():
    q = Uniform(type=UINT2, scale=0.5)
    x = np.array([-0.26, -0.25, 0.0, 1.75, 1.76])
    assert q.mask(x).tolist() == [False, True, True, True, False]


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_scales_that_are_none_are_refused(scale):
    with pytest.raises(ValueError, match="scale"):
        Uniform(scale=scale)
    with pytest.raises(ValueError, match="alpha"):
        Ternary(alpha=scale)
    with pytest.raises(ValueError, match="scale"):
        HalfWave(scale=scale)


@pytest.mark.parametrize("make", QUANTIZERS)
def test_what_every_quantizer_promises(make):
    q = make()
    assert isinstance(q, Quantizer)
    x = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    before = x.copy()
    fitted = q.fit(x)
    codes = fitted.codes(x)
    assert type(fitted) is make
    assert codes.shape == x.shape
    assert codes.dtype == fitted.type.dtype
    assert fitted.type.contains(codes)
    assert fitted.mask(x).dtype == bool
    assert np.array_equal(x, before)
    assert np.array_equal(fitted.codes(fitted.values(codes)), codes)
    assert np.array_equal(fitted.codes(x.T), codes.T)
    # Zero is code 0, or one of the two next to it for weights that have no zero.
    nearest = np.abs(fitted.codes(fitted.values(np.arange(fitted.type.lo, fitted.type.hi + 1))))
    assert np.abs(fitted.codes(np.float64(0.0))) == nearest.min()
    assert fitted.codes(x[:0]).shape == (0, 4)
    with pytest.raises(ValueError, match="NaN or infinity"):
        q.fit(np.array([np.nan]))
    with pytest.raises(TypeError, match="floating"):
        q.fit(np.array([1, 2]))
