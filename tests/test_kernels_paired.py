"""Two groups of eight filters share a vector: each half of the lanes reads its own channels."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from conftest import NO_JIT
from guarded import guarded
from test_kernels_direct import CODES, drawn, float_bound, made, op_evaluate, run

from refnet.kernels.direct import codes, largest_sum
from refnet.program import INT8, UINT8, Conv, Requantize

pytestmark = pytest.mark.skipif(NO_JIT, reason="vectors exist only in compiled code")
FENCE = guarded if sys.platform.startswith("linux") else np.array

#: Groups, channels of a group, size of the map: tiles of seven places, with and without a rest.
CASES = [(2, 1, (3, 3)), (4, 3, (5, 4)), (8, 4, (7, 8)), (6, 8, (2, 13)), (2, 17, (9, 9))]


@pytest.mark.parametrize(("groups", "per_group", "size"), CASES)
def test_integers_of_two_groups(groups, per_group, size):
    rng = np.random.default_rng(groups * per_group)
    op, shape = Conv(padding=1, groups=groups), (8 * groups, per_group, 3, 3)
    w, b = drawn(rng, INT8, shape), rng.integers(-999, 999, shape[0])
    x = drawn(rng, INT8, (2, per_group * groups, *size))
    mult, shift = rng.integers(-32767, 32768, shape[0]), np.full(shape[0], 25)
    want = Requantize(type=UINT8, rounding="half_even").evaluate(op.evaluate(x, w, b), mult, shift)
    for kind in CODES:
        ready, dtype, flip = made(op, size, w, b, signed=True, kind=kind)
        assert ready.windows.paired == (kind != "pairs")
        ending = codes(
            ready.windows, mult, shift, UINT8, "half_even", largest=largest_sum(INT8, w, b)
        )
        out = np.int16 if kind == "pairs" else np.uint8
        got = run(ready, x, dtype, flip, ((0, 0), (0, 0)), out, ending, fence=FENCE)
        np.testing.assert_array_equal(got, want, err_msg=kind)


@pytest.mark.parametrize(("groups", "per_group", "size"), CASES)
def test_floats_of_two_groups(groups, per_group, size):
    rng = np.random.default_rng(groups * per_group)
    op, shape = Conv(padding=1, groups=groups), (8 * groups, per_group, 3, 3)
    w, b = (rng.normal(size=s).astype(np.float32) for s in (shape, shape[:1]))
    x = rng.normal(size=(2, per_group * groups, *size)).astype(np.float32)
    ready, dtype, _ = made(op, size, w, b, signed=False, kind="float")
    assert ready.windows.paired
    got = run(ready, x, dtype, 0, ((0, 0), (0, 0)), np.float32, fence=FENCE)
    error = np.abs(got - op_evaluate(op, x, w, b))
    assert (error <= 1.0001 * float_bound(op, x, w, b)).all()
