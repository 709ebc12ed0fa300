"""The ternary kernel of the tier by itself: activations are packed, as between two layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernel_suites import problems
from kernel_suites.timing import Contender
from refnet.kernels import tiers
from refnet.kernels.families import Family, Ready, family_of
from refnet.kernels.fused import staircase
from refnet.kernels.layouts import aligned
from refnet.program import TERNARY, UINT2, Conv, TensorType, Threshold, constant
from refnet.program.window import output_size


def _family() -> Family:
    family = family_of(tiers.current())
    assert family is not None
    return family


def _counted(op: Conv, x: Any, w: Any) -> tuple[Any, Any, Any, tuple[int, int]]:
    """Packed activations, windows and weights of x (N, C, H, W), w (F, C, R, S)."""
    layout = _family().layout(TensorType(type=UINT2, shape=x.shape[1:]), op.padding)
    matrix = _family().counter(op, layout, constant(w, TERNARY), None)
    packed = layout.empty(len(x))
    layout.pack(x, packed)
    size = output_size(x.shape[2:], w.shape[2:], op.stride, op.padding, op.dilation)
    return packed, layout.windows(len(x), op, size), matrix, size


def sums(x: Any, w: Any) -> Contender:
    """The product of codes x (N, K) and trits w (K, M), as 32-bit sums."""
    weights = np.ascontiguousarray(w.T)[:, :, None, None]
    packed, windows, matrix, _ = _counted(Conv(), x[:, :, None, None], weights)
    multiply = _family().ready(Ready(made=matrix, windows=windows))
    rows = aligned((len(windows), len(matrix.constant)), np.int32)

    def run() -> None:
        multiply(packed, 0, len(windows), None, rows, None)

    run()
    problems.same(rows[:, : w.shape[1]], x.astype(np.float64) @ w, "ternary x 2-bit, packed")
    return Contender(name="ternary x 2-bit, packed", run=run, ours=True)


def codes(op: Conv, x: Any, layers: list[Any]) -> Contender:
    """Convolutions of the codes x (1, C, H, W), each with thresholds, to packed 2-bit codes."""
    levels = np.array([-5, 0, 9])
    calls = [_layer(op, x, w, levels) for w in layers]
    return Contender(
        name="ternary x 2-bit, packed to packed", run=lambda: [call() for call in calls],
        layers=len(layers), ours=True,
    )  # fmt: skip


def _layer(op: Conv, x: Any, w: Any, levels: Any) -> Any:
    packed, windows, matrix, size = _counted(op, x, w)
    target = _family().layout(TensorType(type=UINT2, shape=(len(w), *size)), op.padding)
    out, places = target.empty(len(x)), target.insides(len(x))
    table, sign = constant(np.tile(levels, (len(w), 1))), constant(np.ones(len(w), np.int64))
    kind = op.infer(TensorType(type=UINT2, shape=x.shape[1:]), constant(w, TERNARY))
    thresholds, flips = staircase(table, sign, kind.type, matrix.constant[: len(w)])
    convolve = _family().ready(Ready(
        made=matrix, windows=windows, steps=thresholds, flips=flips, bits=2, places=places
    ))  # fmt: skip

    def run() -> None:
        convolve(packed, 0, len(windows), None, None, out)

    run()
    got = np.zeros((len(x), len(w), *size), np.uint8)
    target.unpack(out, got)
    want = Threshold().evaluate(op.evaluate(x, w), table.array, sign.array)
    problems.same(got, want, "ternary x 2-bit, packed to packed")
    return run
