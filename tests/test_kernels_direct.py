"""Convolutions on maps that lie place after place: remainders everywhere, extremes, bounds."""

from __future__ import annotations

import sys
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from conftest import NO_JIT
from guarded import guarded
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from refnet.kernels import KERNELS, bytepairs, depthwise, direct, float32, int8, int16
from refnet.kernels.direct import addressed, codes, largest_sum
from refnet.kernels.places import Maps
from refnet.kernels.tiers import Tier, highest
from refnet.laws.arrays import filled
from refnet.program import (
    INT8,
    INT16,
    SINT8,
    UINT8,
    Conv,
    IntType,
    Requantize,
    TensorType,
    constant,
    evaluate,
)

pytestmark = pytest.mark.skipif(NO_JIT, reason="vectors exist only in compiled code")
BYTEWISE = highest() >= Tier.AVX512
#: Kinds of codes that a convolution can read here.
CODES = ["pairs", "byte pairs", "bytes"][: 1 + highest()]
WAYS = ["uniform", "uniform", "uniform", "lowest", "highest"]


@st.composite
def cases(draw, *, channelwise=None):
    """Op, size of the map, weights shape and images: channels 1 to 70, widths 1 to 30."""
    groups = draw(st.sampled_from([1, 1, 2, 3, 5]))
    per_group, filters = (draw(st.integers(1, 70 // groups)) for _ in range(2))
    if channelwise or (channelwise is None and draw(st.integers(0, 3)) == 0):
        groups, per_group, filters = draw(st.integers(2, 70)), 1, 1
    sizes, kernel, stride, pads, dilation = zip(*(draw(axes()) for _ in range(2)), strict=True)
    op = Conv(stride=stride, padding=pads, dilation=dilation, groups=groups)
    return op, sizes, (filters * groups, per_group, *kernel), draw(st.integers(1, 3))


@st.composite
def axes(draw):
    kernel, dilation, stride = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(
        st.integers(1, 3)
    )
    pads = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    least = max(1, dilation * (kernel - 1) + 1 - sum(pads))
    return draw(st.integers(least, 30)), kernel, stride, pads, dilation


def drawn(rng, kind, shape):
    return filled(rng, kind, shape, WAYS[int(rng.integers(len(WAYS)))])


@settings(max_examples=40)
@given(cases(), st.sampled_from([UINT8, INT8, SINT8, INT16, IntType(lo=0, hi=3)]), st.data())
def test_kernels_equal_the_meaning(case, x_type, data):
    op, size, shape, images = case
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    w = constant(drawn(rng, INT8, shape), INT8)
    # What could leave 32 bits is no operation.
    most = np.abs(w.array.astype(np.int64)).sum(axis=(1, 2, 3)).max()
    assume(most * max(-x_type.lo, x_type.hi) < 2**31 - 2**16)
    x = TensorType(type=x_type, shape=(shape[1] * op.groups, *size))
    b = constant(drawn(rng, INT16, shape[:1]), INT16)
    operands = (x, w, *([b] if data.draw(st.booleans()) else []))
    values, result = drawn(rng, x_type, (images, *x.shape)), op.infer(*operands)
    want = evaluate(op, (values, *(o.array for o in operands[1:])), result)
    names = {"int8", "bytepairs", "int16", "depthwise"}
    tried = [k for k in KERNELS if k.name in names and k.tier <= highest()]
    tried = [k for k in tried if k.applies(op, *operands)]
    assert {"int16", "depthwise"} & {k.name for k in tried}
    for kernel in tried:
        out = np.full((images, *result.shape), 77, dtype=result.type.dtype)
        kernel.prepare(op, *operands)((values,), out)
        np.testing.assert_array_equal(out, want, strict=True, err_msg=kernel.name)


@pytest.mark.skipif(not BYTEWISE, reason="needs the byte dot product")
def test_which_kernel_applies():
    def names(x_type, w):
        operands = TensorType(type=x_type, shape=(8, 3, 3)), constant(w)
        return {k.name for k in KERNELS if k.op is Conv and k.applies(Conv(), *operands)} - {
            "conv", "ternary", "bitserial"
        }

    w = np.full((16, 8, 1, 1), 127)
    assert names(UINT8, w) == names(INT8, -w - 1) == {"int8", "bytepairs", "int16"}
    assert names(UINT8, w + 1) == names(IntType(lo=-1, hi=128), w) == {"int16"}
    assert names(IntType(lo=0, hi=256), w) == names(INT16, w * 258) == {"int16"}
    assert names(IntType(lo=0, hi=32768), w) == set()


def made(op, size, w, b, *, signed, kind, rectified=False):
    """The convolution, the dtype of its input, what turns it over and the dtype of its codes."""
    if kind == "float":
        build = depthwise if w.shape[1] == 1 and op.groups == len(w) > 1 else float32
        extra = {"dtype": np.float32} if build is depthwise else {}
        return build.direct(op, size, w, b, rectified=rectified, **extra), np.float32, 0
    bytewise = kind != "pairs"
    dtype = np.uint8 if bytewise else np.int16
    if w.shape[1] == 1 and op.groups == len(w) > 1:
        ready = depthwise.direct(op, size, w, b, dtype=dtype, signed=signed and bytewise)
    elif bytewise:
        build = int8 if kind == "bytes" else bytepairs
        ready = build.direct(op, size, w, b, signed=signed)
    else:
        ready = int16.direct(op, size, w, b)
    return ready, dtype, int8.SIGN if signed and bytewise else 0


def run(
    ready, x, dtype, flip, border, out_dtype, ending=None, rows=None, fence=lambda array: array
):
    """NCHW in, NCHW out; what lies around the written maps must stay as it is."""
    maps, images = ready.windows.maps, len(x)
    data = maps.buffer(images, flip)
    shifted = x.astype(np.float32) if dtype == np.float32 else x.astype(np.int32) ^ flip
    maps.view(data, images, dtype)[...] = shifted.transpose(0, 2, 3, 1).astype(dtype)
    target = Maps(
        channels=ready.windows.filters, size=ready.windows.out, border=border,
        itemsize=np.dtype(out_dtype).itemsize,
    )
    out = fence(target.buffer(images, 7))
    ready.run(fence(data), images, out, target, ending, rows)
    inside = target.view(out, images, out_dtype)
    result = inside.transpose(0, 3, 1, 2).copy()
    inside.view(np.uint8)[...] = 7
    assert (out == 7).all()
    return result


@settings(max_examples=30)
@given(cases(), st.booleans(), st.sampled_from(["half_even", "half_up", "half_away"]), st.data())
def test_codes_equal_convolution_and_requantization(case, signed, rounding, data):
    op, size, shape, images = case
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    w, b = drawn(rng, INT8, shape), drawn(rng, INT16, shape[:1])
    x = drawn(rng, INT8 if signed else UINT8, (images, shape[1] * op.groups, *size))
    # Small shifts with mult = 1 give ties, the others meet every size of a product.
    ties = data.draw(st.booleans())
    mult = rng.choice([-1, 1, 3], len(w)) if ties else rng.integers(-32767, 32768, len(w))
    shift = rng.integers(0, 12, len(w)) if ties else rng.integers(0, 47, len(w))
    kind = data.draw(st.sampled_from([UINT8, INT8, IntType(lo=-3, hi=100), IntType(lo=5, hi=6)]))
    want = Requantize(type=kind, rounding=rounding).evaluate(op.evaluate(x, w, b), mult, shift)
    largest = largest_sum(INT8 if signed else UINT8, w, b)
    for way in CODES:
        ready, dtype, flip = made(op, size, w, b, signed=signed, kind=way)
        out_dtype = np.int16 if way == "pairs" else kind.dtype
        ending = codes(ready.windows, mult, shift, kind, rounding, largest=largest)
        got = run(ready, x, dtype, flip, ((1, 0), (2, 1)), out_dtype, ending)
        np.testing.assert_array_equal(got, want, err_msg=way)
        if way != "pairs":
            turned = codes(
                ready.windows, mult, shift, kind, rounding, largest=largest, flip=128
            )
            got = run(ready, x, dtype, flip, ((0, 0), (0, 0)), np.uint8, turned)
            np.testing.assert_array_equal(got, (want + 128) % 256)


@pytest.mark.parametrize("least", [0, 15])
@pytest.mark.parametrize("rounding", ["half_even", "half_up", "half_away"])
def test_codes_round_the_largest_products_once(rounding, least):
    """Sums and multipliers at their bounds, at every shift: one product, one rounding.

    Without the shifts below 15 no factor is above 1, which the shorter ways of rounding ask for.
    """
    shift = np.arange(least, 47)
    n = len(shift)
    w = np.ones((n, 1, 1, 1), dtype=np.int8)
    # Beside ties: binary32 holds no such sum, and no such product of a sum that it does hold.
    sums = [2**24, 2**24 + 2**11 + 1, *(
        (2**22 + beside) * pow(32767, -1, 2**23) % 2**23 for beside in (-1, 0, 1)
    )]  # fmt: skip
    short = [s - 255 for total in sums for s in (total, -total)]
    for b in (2**31 - 2 - 255, -(2**31 - 2), 2**30 + 1, *short, -1, 0):
        for mult in (32767, -32767, 1):
            x, kind = np.full((1, 1, 1, 1), 255, dtype=np.uint8), IntType(lo=-32768, hi=32767)
            bias, factor = np.full(n, b), np.full(n, mult)
            ready = int16.direct(Conv(), (1, 1), w, bias)
            ending = codes(
                ready.windows, factor, shift, kind, rounding, largest=largest_sum(UINT8, w, bias)
            )
            got = run(ready, x, np.int16, 0, ((0, 0), (0, 0)), np.int16, ending)
            y = [Fraction(255 + b) * mult / 2**s for s in shift.tolist()]
            want = [min(max(rounded(v, rounding), kind.lo), kind.hi) for v in y]
            assert got.ravel().tolist() == want


def rounded(y: Fraction, rounding: str) -> int:
    if rounding == "half_even":
        return round(y)
    up = (2 * y + 1).__floor__() // 2 if (2 * y).denominator == 1 else round(y)
    return up if rounding == "half_up" or y >= 0 else -rounded(-y, "half_away")


U = 2.0**-24


def float_bound(op, x, w, b, x_error=0.0):
    """A bound of the error of a sum of K products and a bias in binary32, in any order.

    Each product passes at most K + 1 roundings (its own, and one for each addition), and
    (1 + u)**n - 1 <= n u / (1 - n u) (Higham 2002, lemma 3.1). An error of the input adds |w| times
    itself.
    """
    n = int(np.prod(w.shape[1:])) + 2
    gamma = n * U / (1 - n * U)
    size = op_evaluate(op, np.abs(x) + x_error, np.abs(w), np.abs(b))
    return gamma * size + op_evaluate(op, np.zeros_like(x) + x_error, np.abs(w), 0 * b)


def op_evaluate(op, x, w, b):
    """The convolution in binary64; its own rounding is 2**-29 of the bound."""
    from refnet.autograd import conv2d, no_grad

    with no_grad():
        y = conv2d(
            x.astype(np.float64), w.astype(np.float64), b.astype(np.float64), stride=op.stride,
            padding=op.padding, dilation=op.dilation, groups=op.groups,
        )
    return y.numpy()


@settings(max_examples=30)
@given(cases(), st.booleans(), st.integers(0, 2**32))
def test_floats_stay_within_the_bound_of_their_roundings(case, rectified, seed):
    op, size, shape, images = case
    rng = np.random.default_rng(seed)
    w, b = (rng.normal(size=s).astype(np.float32) for s in (shape, shape[:1]))
    x = rng.normal(size=(images, shape[1] * op.groups, *size)).astype(np.float32)
    ready, dtype, _ = made(op, size, w, b, signed=False, kind="float", rectified=rectified)
    got = run(ready, x, dtype, 0, ((0, 1), (1, 0)), np.float32)
    want = op_evaluate(op, x, w, b)
    want = np.maximum(want, 0) if rectified else want
    assert (np.abs(got - want) <= 1.0001 * float_bound(op, x, w, b)).all()


def test_floats_that_are_no_numbers_stay_so():
    w, b = np.ones((1, 1, 1, 1), np.float32), np.zeros(1, np.float32)
    x = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-40], np.float32).reshape(1, 1, 1, 5)
    ready = float32.direct(Conv(), (1, 5), w, b, rectified=True)
    got = run(ready, x, np.float32, 0, ((0, 0), (0, 0)), np.float32).ravel()
    assert np.isnan(got[0])
    assert got[1:].tolist() == [np.inf, 0.0, 0.0, float(x[0, 0, 0, 4])]


@settings(max_examples=25)
@given(cases(), st.sampled_from(["float", *CODES]))
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mprotect")
def test_nothing_outside_the_buffers_is_touched(case, kind):
    op, size, shape, images = case
    rng = np.random.default_rng(0)
    w, b = filled(rng, INT8, shape, "uniform"), filled(rng, INT8, shape[:1], "uniform")
    x = filled(rng, INT8, (images, shape[1] * op.groups, *size), "uniform")
    ready, dtype, flip = made(op, size, w, b, signed=True, kind=kind)
    out = np.float32 if kind == "float" else np.int32
    want = run(ready, x, dtype, flip, ((0, 0), (0, 0)), out)
    fences = []

    def fenced(*operands):
        fences.append([guarded(o) if isinstance(o, np.ndarray) else o for o in operands])
        return addressed(*fences[-1])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(direct, "addressed", fenced)
        got = run(replace(ready, _tables={}), x, dtype, flip, ((0, 0), (0, 0)), out, fence=guarded)
    np.testing.assert_array_equal(got, want)
    assert sum(isinstance(o, np.ndarray) for o in fences[0]) == 6


def test_rows_may_be_computed_by_themselves():
    op = Conv(stride=(2, 1), padding=1)
    rng = np.random.default_rng(3)
    w, b = filled(rng, INT8, (20, 3, 3, 3), "uniform"), np.arange(20)
    x = filled(rng, UINT8, (2, 3, 11, 9), "uniform")
    ready, dtype, flip = made(op, (11, 9), w, b, signed=False, kind="pairs")
    whole = run(ready, x, dtype, flip, ((0, 0), (0, 0)), np.int32)
    part = run(ready, x, dtype, flip, ((0, 0), (0, 0)), np.int32, rows=(2, 4))
    np.testing.assert_array_equal(part[:, :, 2:4], whole[:, :, 2:4])
    untouched = np.full_like(part, 0x07070707)
    np.testing.assert_array_equal(part[:, :, :2], untouched[:, :, :2])
    np.testing.assert_array_equal(part[:, :, 4:], untouched[:, :, 4:])


@pytest.mark.skipif(highest() < Tier.AVX2, reason="adds bytes by pairs")
@pytest.mark.parametrize("pair", [(64, 64), (65, 64), (127, 127), (-128, -128), (127, -128)])
def test_pairs_of_bytes_never_saturate(pair):
    w = np.zeros((17, 4, 1, 3), np.int8)
    w[16, :2, 0, 1] = pair
    w[3] = np.array([(1, -2, 3), (-4, 5, 6), (7, 8, -9), (0, 1, 2)]).reshape(4, 1, 3)
    x = np.full((1, 4, 2, 7), 255)
    ready, dtype, _ = made(Conv(), (2, 7), w, None, signed=False, kind="byte pairs")
    twice = abs(sum(pair)) > 128
    assert len(ready.taps) == 3 + twice
    got = run(ready, x, dtype, 0, ((0, 0), (0, 0)), np.int32)
    np.testing.assert_array_equal(got, Conv().evaluate(x, w))
    assert bytepairs.narrow(Conv(), w) == (not twice)
