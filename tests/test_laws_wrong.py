"""The suite on wrong quantizers that are in no library."""


import numpy as np
import pytest
from law_subjects import OWN_DTYPE, SMALL, q4, wide

from refnet.laws import QuantizerUnderTest, run_laws

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
    "own dtype": OWN_DTYPE,
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
    "binary32 sums of products": QuantizerUnderTest(
        dot=lambda x, w: (np.float32(x) @ np.float32(w).T).astype(np.int64),
        dot_types=((-128, 127), range(-128, 128)),
    ),
    "16-bit sums of products": QuantizerUnderTest(
        dot=lambda x, w: (np.int16(x) @ np.int16(w).T), dot_types=((0, 15), (-7, 7)),
    ),
    "24-bit sums of products": QuantizerUnderTest(
        dot=lambda x, w: ((np.int64(x) @ np.int64(w).T + 2**23) & (2**24 - 1)) - 2**23,
        dot_types=((0, 255), (-1, 1)),
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
