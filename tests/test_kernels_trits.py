"""Products with ternary matrices by tables: exact in integers, within bounds in floats."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refnet.kernels import KERNELS, choose
from refnet.kernels.lookup import WORDS
from refnet.kernels.tiers import Tier, highest
from refnet.kernels.trits import TritMatrix
from refnet.program import UINT8, Conv, IntType, TensorType, constant, evaluate

pytestmark = pytest.mark.skipif(highest() < Tier.AVX512, reason="needs AVX-512")


@settings(max_examples=30)
@given(
    st.integers(1, 19), st.integers(1, 260), st.integers(1, 140),
    st.sampled_from(["random", "highest", "lowest"]), st.integers(0, 2**32),
)
def test_integers_are_exact(N, K, M, way, seed):
    rng = np.random.default_rng(seed)
    w = rng.integers(-1, 2, (M, K)).astype(np.int8)
    x = rng.integers(-255, 256, (N, K)).astype(np.int16)
    if way != "random":
        # All products of the first filter have one sign, and the largest size.
        w[0] = rng.choice([-1, 1], K)
        x[:] = w[0].astype(np.int16) * (255 if way == "highest" else -255)
    got = TritMatrix.of(w)(x)
    np.testing.assert_array_equal(got, x.astype(np.int64) @ w.T)


def test_sums_of_a_slice_fit_16_bits():
    assert WORDS.triples * 3 * 255 <= np.iinfo(np.int16).max


@settings(max_examples=25)
@given(st.integers(1, 11), st.integers(1, 230), st.integers(1, 140), st.integers(0, 2**32))
def test_floats_stay_within_the_bound_of_their_additions(N, K, M, seed):
    rng = np.random.default_rng(seed)
    w, x = rng.integers(-1, 2, (M, K)), rng.normal(size=(N, K)).astype(np.float32)
    got = TritMatrix.of(w, floats=True)(x)
    # Each of K numbers passes at most K + 3 additions: (1 + u)**n - 1 <= n u / (1 - n u).
    n, wide = K + 3, x.astype(np.float64)
    bound = n * 2.0**-24 / (1 - n * 2.0**-24) * (np.abs(wide) @ np.abs(w.T))
    assert (np.abs(got - wide @ w.T) <= 1.0001 * bound).all()


@settings(max_examples=15)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 150), st.integers(0, 2**32))
def test_the_kernel_equals_the_meaning(images, side, K, seed):
    rng = np.random.default_rng(seed)
    w, b = constant(rng.integers(-1, 2, (70, K, 1, 1))), constant(rng.integers(-99, 99, 70))
    kind = [UINT8, IntType(lo=-255, hi=3)][seed % 2]
    x = TensorType(type=kind, shape=(K, side, 2))
    values = rng.integers(kind.lo, kind.hi + 1, (images, *x.shape)).astype(kind.dtype)
    result = Conv().infer(x, w, b)
    (kernel,) = [k for k in KERNELS if k.name == "trits"]
    assert kernel.applies(Conv(), x, w, b)
    out = np.full((images, *result.shape), 77, result.type.dtype)
    kernel.prepare(Conv(), x, w, b)((values,), out)
    want = evaluate(Conv(), (values, w.array, b.array), result)
    np.testing.assert_array_equal(out, want, strict=True)


def test_size_decides():
    w = np.ones((512, 128, 1, 1), np.int8)
    x = TensorType(type=UINT8, shape=(128, 1, 1))
    assert choose(Conv(), (x, constant(w))).name == "trits"
    assert choose(Conv(), (x, constant(w[:511]))).name == "int8"
    wide = TensorType(type=IntType(lo=0, hi=256), shape=(128, 1, 1))
    assert choose(Conv(), (wide, constant(w))).name == "int16"


def test_what_does_not_fit_is_refused():
    for w in (np.full((2, 2), 2), np.zeros((0, 3), int), np.zeros(3, int)):
        with pytest.raises(ValueError, match="TritMatrix"):
            TritMatrix.of(w)
    matrix = TritMatrix.of(np.ones((2, 3), np.int8))
    for x in (np.ones((1, 3)), np.ones((1, 2), int), np.ones(3, int)):
        with pytest.raises(ValueError, match="rule"):
            matrix(x)
    assert matrix(np.ones((0, 3), int)).shape == (0, 2)
    strided = np.ones((2, 6), np.int64)[:, ::2]
    np.testing.assert_array_equal(matrix(strided), [[3, 3], [3, 3]])
