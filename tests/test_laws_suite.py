"""What a report of the suite says, and what it leaves unknown."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from law_subjects import OWN_DTYPE, SMALL, q4, wide

from refnet.laws import LAWS, QuantizerUnderTest, run_laws
from refnet.laws.mutants import RIGHT
from refnet.program import TERNARY


def test_unknown_is_never_passed():
    q = QuantizerUnderTest(lambda x: np.rint(np.clip(x, -9, 9)), claims=["monotone"])
    report = run_laws(q, max_examples=3)
    assert report.passed == ("monotone",)
    assert report.ok
    assert len(report.unknown) == len(LAWS) - 1
    assert report.reasons["codes"] == "not claimed"
    few = run_laws(replace(q, claims=None, disclaims=["monotone"]), max_examples=3)
    assert few.reasons["monotone"] == "disclaimed"
    assert few.reasons["tie"].startswith("needs levels")
    nothing = run_laws(q4(lambda x: x, claims=[]), max_examples=3)
    assert nothing.passed == nothing.failed == ()
    assert not nothing.ok


def test_a_counterexample_is_small_and_exact():
    q = q4(lambda x: np.clip(np.floor(wide(x) / 0.25 + 0.5), -8, 7), dequantize=lambda c: c * 0.25)
    found = run_laws(q, max_examples=SMALL).counterexamples["tie"]
    assert (found.value, found.got, found.right, found.distance) == (0.125, 1, (0,), Fraction(0))
    assert found.case.x.shape == (1, 1)
    assert found.detail == (
        "x = 0.125 (0x1.0000000000000p-3, float16); scale 0.25; exactly on a tie; code 1, "
        "right is 0"
    )


def test_drawn_scales_shrink():
    def coarse(x, scale):
        # Right for all scales that are tried before any is drawn.
        return np.clip(np.rint(wide(x) / (scale * (1 + (2.0**10 < scale < 2.0**20)))), -8, 7)

    q = QuantizerUnderTest(coarse, levels=(-8, 7))
    found = run_laws(q, max_examples=200, laws=["nearest"]).counterexamples["nearest"]
    # The simplest of the scales above 2**10 that are drawn.
    assert found.case.params.scale == 2.0**11
    assert found.case.x.shape == (1, 1)


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [(2.0**-126, 2.0**100, "float32"), (2.0**-10, 2.0**9, "float16"), (0.01, 0.02, "float64")],
)
def test_scales_and_zero_points_stay_where_they_are_taken(low, high, dtype):
    def picky(x, scale, zero_point):
        if not (low <= scale <= high and float(np.dtype(dtype).type(scale)) == scale):
            raise ValueError(f"scale {scale}")
        if zero_point not in range(-8, 8):
            raise ValueError(f"zero point {zero_point}")
        return np.clip(np.rint(wide(x) / scale) + zero_point, -8, 7)

    q = QuantizerUnderTest(
        picky, levels=(-8, 7), tie="even", scale_range=(low, high), scale_dtype=dtype
    )
    laws = ["nearest", "tie", "scale_equivariant", "zero_point_shift"]
    report = run_laws(q, max_examples=20, laws=laws)
    assert report.failed == (), report.lines()
    assert "nearest" in report.passed


def test_the_same_seed_gives_the_same_report():
    for q in (OWN_DTYPE, replace(RIGHT["affine"], tie="up")):
        few = {"seed": 3, "max_examples": SMALL, "laws": ["nearest", "tie", "odd", "elementwise"]}
        first, again = (run_laws(q, **few).plain() for _ in range(2))
        assert first == again


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_one_dtype_is_enough(dtype):
    q = q4(lambda x: np.clip(np.rint(wide(x) / 0.1), -8, 7).astype(np.int8), dtypes=(dtype,))
    report = run_laws(q, max_examples=SMALL)
    assert report.failed == ()
    assert report.reasons["float_dtype"] == "needs two dtypes"


def test_dtypes_that_are_not_taken_are_not_given():
    def picky(x):
        assert x.dtype == np.float32
        return np.clip(np.rint(wide(x) / 0.1), -8, 7)

    assert run_laws(q4(picky, dtypes=("float32",)), max_examples=SMALL).failed == ()
    assert "codes" in run_laws(q4(picky), max_examples=SMALL).failed


def test_channels_may_lie_on_any_axis_of_arrays_of_one_rank():
    scales = np.array([0.5, 0.1, 3.0])

    def quantize(x):
        assert np.ndim(x) == 4
        return np.clip(np.rint(wide(x) / scales.reshape(1, 3, 1, 1)), -8, 7)

    q = QuantizerUnderTest(
        quantize, levels=(-8, 7), scale=scales, axis=1, ndim=4, tie="even",
        dequantize=lambda c: c * scales.reshape(1, 3, 1, 1),
    )
    report = run_laws(q, max_examples=SMALL)
    assert report.failed == (), report.lines()
    assert {"channels", "nearest", "tie", "onto", "values"} <= set(report.passed)


@pytest.mark.parametrize(
    ("passes", "inclusive", "grad"),
    [
        ("everywhere", "both", lambda x, g: g.copy()),
        ("levels", "neither", lambda x, g: g * ((x > -0.8) & (x < 0.7))),
        ((-0.35, 0.35), "low", lambda x, g: g * ((x >= -0.35) & (x < 0.35))),
        (lambda x: np.abs(x) < 3, "both", lambda x: np.abs(x) < 3),
        ((-np.inf, 0.0), "high", lambda x, g: g * (x <= 0)),
    ],
)
def test_gradients_pass_where_it_is_declared(passes, inclusive, grad):
    def exact(x, *g):
        with np.errstate(invalid="ignore"):
            return grad(wide(x), *g)

    facts = {"passes": passes, "inclusive": inclusive}
    two = (lambda x, g: exact(x, g)) if grad.__code__.co_argcount == 2 else (lambda x: exact(x))
    q = q4(lambda x: np.clip(np.rint(wide(x) / 0.1), -8, 7), grad=two, scale=0.1, **facts)
    report = run_laws(q, max_examples=SMALL)
    # -0.8 and 0.7 are no products of 0.1 in binary64: a bound of levels is exact.
    assert set(report.failed) <= ({"gradient"} if passes == "levels" else set())
    other = {"both": "neither", "neither": "both", "low": "high", "high": "low"}[inclusive]
    if passes not in ("everywhere", "levels") and not callable(passes):
        assert "gradient" in run_laws(replace(q, inclusive=other), max_examples=3).failed


def test_cells_reach_half_a_step_beyond_the_levels():
    def grad(x, g):
        r = wide(x) / 0.5
        return np.where((r >= -1.5) & (r <= 1.5), g, 0)

    q = QuantizerUnderTest(
        lambda x: np.clip(np.rint(wide(x) / 0.5), -1, 1), levels=TERNARY, scale=0.5, grad=grad,
        passes="cells",
    )
    assert run_laws(q, max_examples=SMALL).failed == ()
    assert "gradient" in run_laws(replace(q, passes="levels"), max_examples=3).failed


def test_refused_values_are_those_that_are_declared():
    def refuses(x):
        if not np.isfinite(x).all():
            raise ValueError("finite numbers only")
        return np.clip(np.rint(wide(x) / 0.1), -8, 7)

    assert run_laws(q4(refuses, nan="refuse", infinity="refuse"), max_examples=3).failed == ()
    assert run_laws(q4(refuses, nan="zero"), max_examples=3).failed == ("infinity", "nan")


def test_a_law_without_a_case_is_unknown():
    report = run_laws(
        QuantizerUnderTest(lambda x: np.zeros(np.shape(x), int), scale=[1.0], axis=0, levels=(0, 1),
                           claims=["channels"]),
        max_examples=3,
    )
    assert report.reasons["channels"].startswith("no case")
    assert report.passed == ()


def test_nothing_is_warned_of():
    q = q4(lambda x: np.clip(np.rint(x / 0.1) * 1e300 * 1e300, -8, 7))
    run_laws(q, max_examples=3)
