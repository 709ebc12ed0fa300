"""The suite on correct quantizers of many conventions: no false alarm."""

import functools
from dataclasses import dataclass, replace

import numpy as np
import pytest
from law_subjects import SMALL, q4, wide

from refnet.autograd import Tensor
from refnet.laws import QuantizerUnderTest, run_laws
from refnet.laws.mutants import RIGHT
from refnet.laws.protocol import is_quantizer, of
from refnet.program import UINT2, IntType
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
