"""Chains of convolutions: the same as one after the other, in bands or whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import NO_JIT
from hypothesis import given, settings
from hypothesis import strategies as st
from test_kernels_direct import cases, drawn, float_bound, op_evaluate

from refnet.kernels import chain as chains
from refnet.kernels.chain import FloatConv, IntegerConv, float_chain, integer_chain, integer_step
from refnet.kernels.tiers import Tier, runnable
from refnet.laws.arrays import filled
from refnet.program import INT8, UINT8, Conv, IntType, Requantize, TensorType

pytestmark = pytest.mark.skipif(NO_JIT, reason="vectors exist only in compiled code")


@pytest.fixture(params=["whole", "bands"])
def bands(request, monkeypatch):
    if request.param == "bands":
        set_bands(monkeypatch, 1)


def set_bands(monkeypatch, places):
    monkeypatch.setattr(chains, "_WHOLE_BYTES", 0)
    monkeypatch.setattr(chains, "_BAND_PLACES", places)


@st.composite
def layers(draw):
    """1x1, any convolution of ``cases``, 1x1: (op, shape of w) each, the map, images."""
    op, size, shape, images = draw(cases())
    ends = [draw(st.integers(1, 40)) for _ in range(2)]
    inner = shape[1] * op.groups
    return [
        (Conv(), (inner, ends[0], 1, 1)), (op, shape), (Conv(), (ends[1], shape[0], 1, 1))
    ], size, images  # fmt: skip


def integers(shapes, kinds, seed):
    rng = np.random.default_rng(seed)
    found = []
    for (op, shape), kind in zip(shapes, kinds, strict=True):
        F, K = shape[0], int(np.prod(shape[1:]))
        # About the size at which codes fill their range and some saturate.
        shift = np.full(F, 20 + int(np.log2(K)))
        rounding = ["half_even", "half_up", "half_away"][seed % 3]
        found.append(IntegerConv(
            op=op, w=drawn(rng, INT8, shape), b=filled(rng, INT8, shape[:1], "uniform"),
            requantize=Requantize(type=kind, rounding=rounding),
            mult=rng.integers(-32767, 32767, F), shift=shift,
        ))  # fmt: skip
    return found


def evaluated(found, x):
    for layer in found:
        acc = layer.op.evaluate(x, layer.w, layer.b)
        x = layer.requantize.evaluate(acc, layer.mult, layer.shift)
    return x


@settings(max_examples=25)
@given(case=layers(), types=st.lists(st.sampled_from(
    [UINT8, INT8, IntType(lo=-7, hi=7)]), min_size=4, max_size=4), seed=st.integers(0, 2**32))
def check_integers(case, types, seed):
    shapes, size, images = case
    found = integers(shapes, types[1:], seed)
    x = drawn(np.random.default_rng(seed), types[0], (images, shapes[0][1][1], *size))
    want = evaluated(found, x)
    for tier in runnable():
        if tier == Tier.AVX2:
            continue  # the same code as below it
        ready = integer_chain(found, size, types[0], tier=tier)
        out = np.empty(want.shape, types[-1].dtype)
        step = integer_step(ready, TensorType(type=types[0], shape=x.shape[1:]), types[-1])
        for _ in range(2):  # buffers are used again
            out[...] = 3
            step((x,), out)
            np.testing.assert_array_equal(out, want)


def test_integer_chains_equal_their_operators(bands):
    check_integers()


@settings(max_examples=20)
@given(case=layers(), seed=st.integers(0, 2**32))
def check_floats(case, seed):
    shapes, size, images = case
    rng = np.random.default_rng(seed)
    found = [
        FloatConv(
            op=op, w=rng.normal(size=shape).astype(np.float32),
            b=rng.normal(size=shape[:1]).astype(np.float32), rectified=i == 1,
        )
        for i, (op, shape) in enumerate(shapes)
    ]
    x = rng.normal(size=(images, shapes[0][1][1], *size)).astype(np.float32)
    ready = float_chain(found, size)
    data, out = ready.source.buffer(images), ready.target.buffer(images)
    ready.source.view(data, images, np.float32)[...] = x.transpose(0, 2, 3, 1)
    ready(data, images, out)
    got = ready.target.view(out, images, np.float32).transpose(0, 3, 1, 2)
    want, error = x.astype(np.float64), np.zeros(x.shape)
    for layer in found:
        error = float_bound(layer.op, want, layer.w, layer.b, error)
        want = op_evaluate(layer.op, want, layer.w, layer.b)
        # A rectifier never moves two numbers farther apart.
        want = np.maximum(want, 0) if layer.rectified else want
    assert (np.abs(got - want) <= 1.0001 * error).all()


def test_float_chains_stay_within_the_bound_of_their_roundings(bands):
    check_floats()


def test_bands_and_threads_change_no_bit(monkeypatch):
    rng = np.random.default_rng(5)
    shapes = [(16, 8, 1, 1), (24, 8, 3, 3), (9, 24, 1, 1)]
    ops = [Conv(), Conv(padding=1, groups=2), Conv()]
    found = [
        FloatConv(op=op, w=rng.normal(size=s).astype(np.float32))
        for op, s in zip(ops, shapes, strict=True)
    ]
    results = []
    for places in (1000, 20):
        set_bands(monkeypatch, places)
        ready = float_chain(found, (17, 13))
        data = ready.source.buffer(1)
        ready.source.view(data, 1, np.float32)[...] = np.arange(17 * 13 * 8).reshape(17, 13, 8)

        def work(_, ready=ready, data=data):
            out = ready.target.buffer(1)
            ready(data, 1, out)
            return out

        with ThreadPoolExecutor(3) as pool:
            results += pool.map(work, range(6))
    assert all(np.array_equal(results[0], other) for other in results)
