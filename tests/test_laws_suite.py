"""The suite on right quantizers, on wrong ones of other hands, and what it says about them."""

import functools
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest

from refnet.autograd import Tensor
from refnet.laws import LAWS, QuantizerUnderTest, run_laws
from refnet.laws.mutants import RIGHT
from refnet.laws.protocol import is_quantizer, of
from refnet.program import TERNARY, UINT2, IntType
from refnet.quant import (
    QUANTIZERS,
    TTQ,
    TWN,
    DoReFaWeights,
    HalfWave,
    LQWeights,
    Ternary,
    Uniform,
    fake_quantize,
)

SMALL = 6


def wide(x):
    return np.asarray(x, dtype=np.float64)


def q4(quantize, **facts):
    """A quantizer of 4 bits and scale 0.1 that claims to round half to even."""
    known = {"dequantize": lambda c: c * 0.1, "levels": (-8, 7), "tie": "even"}
    return QuantizerUnderTest(quantize, **{**known, **facts})


# --- No false alarm ------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", RIGHT)
def test_right_twins_break_nothing(subject):
    assert run_laws(RIGHT[subject], seed=1, max_examples=SMALL).failed == ()


def backward(quantizer):
    def grad(x, g):
        tensor = Tensor(x, requires_grad=True)
        fake_quantize(tensor, quantizer).backward(g)
        return tensor.grad

    return grad


FITTED = np.random.default_rng(5).normal(size=200)
MORE = {
    Uniform: [Uniform(type=UINT2, scale=0.1), Uniform(type=IntType(lo=-8, hi=7), scale=3.0)],
    Ternary: [Ternary(alpha=0.3)],
    HalfWave: [HalfWave(bits=1), HalfWave(bits=4, theta=0.5, scale=0.3), HalfWave(theta=0.7)],
}
TIES = {Uniform: "even", Ternary: "even", HalfWave: "down"}
# Weight rules whose boundaries are no midpoints of what their codes stand for: a threshold of its
# own (TWN, TTQ), rounding behind tanh (DoReFa), levels put on an integer grid after the encoding.
NOT_NEAREST = (TWN, TTQ, DoReFaWeights, LQWeights)


def records():
    for make in QUANTIZERS:
        yield from (make().fit(FITTED), *MORE.get(make, ()))


@pytest.mark.parametrize("quantizer", list(records()), ids=repr)
def test_every_quantizer_of_the_project_obeys(quantizer):
    facts = {"tie": TIES[type(quantizer)]} if type(quantizer) in TIES else {}
    if isinstance(quantizer, NOT_NEAREST):
        facts = {"disclaims": ("nearest", "error_bound")}
    q = of(quantizer, grad=backward(quantizer), **facts)
    report = run_laws(q, max_examples=SMALL)
    assert report.failed == (), report.lines()
    assert {"codes", "elementwise", "gradient", "gradient_saturated", "nan"} <= set(report.passed)


def test_records_are_known_by_what_they_have():
    assert is_quantizer(Uniform())
    assert not is_quantizer(Uniform)
    skipping = of(HalfWave(bits=2))
    assert skipping.levels == range(4)
    assert of(Ternary()).levels == range(-1, 2)


def correct():
    yield q4(lambda x: np.clip(np.rint(wide(x) / 0.1), -8, 7).astype(np.int8))
    yield q4(lambda x: np.clip(np.rint(wide(x) / 0.1), -8, 7))               # codes as floats
    yield q4(lambda x: np.clip(np.floor(wide(x) / 0.1 + 0.5), -8, 7).astype(int), tie="up")
    # A power of two divides exactly in every dtype.
    yield q4(lambda x: np.clip(np.rint(x / 0.25), -8, 7).astype(int), dequantize=lambda c: c / 4)
    yield q4(lambda x: np.clip(np.rint(x / 0.1), -8, 7).astype(int), division="input")
    # Levels in binary32 tell the scale roughly only; stated, it is exact.
    rough = q4(
        lambda x: np.clip(np.rint(wide(x) / 0.1), -8, 7).astype(np.int8),
        dequantize=lambda c: np.float32(0.1) * c.astype(np.float32),
    )
    yield rough
    yield replace(rough, scale=0.1)
    yield QuantizerUnderTest(
        lambda x: np.digitize(x, [-0.5, 0.1, 0.9]), levels=(0, 3), thresholds=[-0.5, 0.1, 0.9],
        tie="up",
    )
    yield q4(
        lambda x: np.clip(np.rint(wide(x) / 0.05) + 130, 0, 255).astype(np.uint8),
        dequantize=lambda c: (c - 130.0) * 0.05, levels=range(256),
    )
    table = np.array([-1.0, -0.25, 0.25, 1.0])
    yield QuantizerUnderTest(
        lambda x: np.searchsorted([-0.625, 0.0, 0.625], x), dequantize=lambda c: table[c],
        levels=(0, 3),
    )


def bits_first(x, bits, scale, zero_point):
    return np.clip(np.rint(wide(x) / scale) + zero_point, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def by_keyword(x, *, scale, zero_point):
    return bits_first(x, 4, scale, zero_point)


@dataclass
class NoHash:
    """Callable, compared by value, and so without a hash."""

    low: int = -8

    def __call__(self, x, scale):
        return np.clip(np.rint(wide(x) / scale), self.low, 7)


MAGNITUDES = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def sign_and_magnitude(x):
    size = np.searchsorted((MAGNITUDES[1:] + MAGNITUDES[:-1]) / 2, np.abs(wide(x)))
    return size + 8 * ((wide(x) < 0) & (size > 0))


def of_signs(codes):
    return np.where(codes >= 8, -1.0, 1.0) * MAGNITUDES[np.asarray(codes) % 8]


SIGNED = QuantizerUnderTest(
    sign_and_magnitude, levels=[k for k in range(16) if k != 8], dequantize=of_signs
)


def correct_and_unusual():
    drawn = {"levels": (-8, 7), "tie": "even"}
    yield QuantizerUnderTest(functools.partial(bits_first, bits=4), **drawn)
    yield QuantizerUnderTest(by_keyword, **drawn)
    yield QuantizerUnderTest(NoHash(), **drawn)
    # The sum with the zero point is rounded too, in binary64 and in the dtype of x.
    yield QuantizerUnderTest(
        lambda x, scale, zero_point: np.clip(np.rint(wide(x) / scale + zero_point), -8, 7),
        levels=(-8, 7), tie="even_code",
    )
    yield QuantizerUnderTest(
        lambda x, scale, zero_point: np.clip(
            np.rint(x / np.float32(scale) + np.float32(zero_point)), -8, 7
        ),
        levels=(-8, 7), tie="even_code", division="input", dtypes=("float32",),
    )
    # Codes that do not ascend with their reals.
    yield SIGNED
    yield q4(lambda x: np.clip(np.rint(wide(x) / -0.5), -8, 7), dequantize=lambda c: c * -0.5)


@pytest.mark.parametrize("q", list(correct_and_unusual()))
def test_conventions_of_others_break_nothing(q):
    report = run_laws(q, max_examples=60)
    assert report.failed == (), report.lines()
    assert "nearest" in report.passed
    assert q.tie != "even_code" or "tie" in report.passed


def test_codes_that_do_not_ascend_are_judged_by_their_reals():
    report = run_laws(SIGNED, max_examples=SMALL)
    assert {"nearest", "onto", "infinity"} <= set(report.passed)
    reason = "holds where codes ascend with their reals"
    assert {n for n, why in report.reasons.items() if why == reason} == {
        "monotone", "reached", "saturates",
    }
    wrong = replace(SIGNED, quantize=lambda x: np.where(wide(x) < -4, 0, sign_and_magnitude(x)))
    assert {"nearest", "onto", "infinity"} <= set(run_laws(wrong, max_examples=SMALL).failed)


@pytest.mark.parametrize("q", list(correct()))
def test_correct_quantizers_of_many_styles_break_nothing(q):
    report = run_laws(q, max_examples=SMALL)
    assert report.failed == (), report.lines()


# --- Wrong quantizers that are in no library -----------------------------------------------------

LEVELS = np.array([-1, -0.3, 0.2, 1.0])
CALLS = [0]


def every_tenth_call(x):
    CALLS[0] += 1
    return np.clip(np.rint(wide(x) / 0.1), -8, 7 - (CALLS[0] % 10 == 0)).astype(int)


def noisy(x):
    jitter = np.random.default_rng().random(np.shape(x)) * 1e-3
    return np.clip(np.rint(wide(x) / 0.1 + jitter), -8, 7).astype(int)


WRONG = {
    "nearest by search overflows": QuantizerUnderTest(
        lambda x: np.abs(wide(x)[..., None] - LEVELS).argmin(-1),
        dequantize=lambda c: LEVELS[c], levels=(0, 3),
    ),
    "own dtype": q4(lambda x: np.clip(np.rint(x / 0.1), -8, 7).astype(int)),
    "half away at a scale without exact ties": q4(
        lambda x: np.clip(np.copysign(np.floor(np.abs(wide(x)) / 0.1 + 0.5), x), -8, 7).astype(int)
    ),
    "one tie of many": q4(
        lambda x: np.clip(np.where(wide(x) / 0.1 == 4.5, 5, np.rint(wide(x) / 0.1)), -8, 7)
    ),
    "only levels known, one missing": QuantizerUnderTest(
        lambda x: np.clip(np.rint(wide(x) / 0.1), -7, 7).astype(int), levels=(-8, 7)
    ),
    "a level in the middle missing": QuantizerUnderTest(
        lambda x: np.where((c := np.clip(np.rint(wide(x)), -8, 7)) == 3, 4, c), levels=(-8, 7)
    ),
    "stochastic": q4(noisy),
    "now and then": q4(every_tenth_call),
    "32-bit integers wrap": q4(
        lambda x: np.clip(
            np.clip(np.rint(wide(x) / 0.1), -(2.0**60), 2.0**60).astype(np.int64).astype(np.int32),
            -8, 7,
        )
    ),
    "large arrays in halves": q4(
        lambda x: np.clip(np.rint((wide(x) if x.size < 50000 else np.float16(x)) / 0.1), -8, 7)
    ),
    "the last of 39, 79, ...": q4(
        lambda x: np.where(
            (np.arange(x.size) == x.size - 1).reshape(x.shape) & (x.size % 40 == 39), -8,
            np.clip(np.rint(wide(x) / 0.1), -8, 7),
        )
    ),
    "gradient through binary32": q4(
        lambda x: np.clip(np.rint(wide(x) / 0.25), -8, 7), dequantize=lambda c: c / 4,
        grad=lambda x, g: np.where((wide(x) >= -2) & (wide(x) <= 1.75), np.float32(g), 0),
        passes="levels",
    ),
    "binary32 sums": QuantizerUnderTest(
        reconstruct=lambda X, d, Y: (np.float32(X) * np.float32(d)) @ np.float32(Y).T
    ),
    "transposed": QuantizerUnderTest(
        lambda x: np.ascontiguousarray(np.rint(np.clip(wide(x), -8, 7)).T).reshape(np.shape(x)),
        levels=(-8, 7),
    ),
    "scale along the last axis": QuantizerUnderTest(
        lambda x: np.clip(np.rint(wide(x) / np.resize([0.5, 0.1], np.shape(x)[-1])), -8, 7),
        levels=(-8, 7), scale=[0.5, 0.1], axis=0,
    ),
    "view of the input": QuantizerUnderTest(lambda x: x, dtypes=("float64",)),
    "raises": q4(lambda x: np.asarray(x).nope),
    "None": q4(lambda x: None),
    "no way back": q4(lambda x: np.clip(np.rint(wide(x) / 0.1), -8, 7), dequantize=lambda c: c.no),
    "a way back to nothing": q4(
        lambda x: np.clip(np.rint(wide(x) / 0.1), -8, 7), dequantize=lambda c: c * np.nan,
        grad=lambda x, g: g, passes="levels",
    ),
    "everything is zero": q4(lambda x: np.zeros(np.shape(x), int), dequantize=lambda c: c * 0.0),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_quantizers_of_other_hands_are_noticed(name):
    report = run_laws(WRONG[name], max_examples=SMALL)
    assert report.failed
    for counterexample in report.counterexamples.values():
        assert counterexample.detail
        assert "\n" not in counterexample.detail


# --- What a report says --------------------------------------------------------------------------


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
    for q in (WRONG["own dtype"], replace(RIGHT["affine"], tie="up")):
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
