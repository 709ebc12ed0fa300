"""The kernel of bit planes by itself: activations are packed before, as between two layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernel_suites import problems
from kernel_suites.timing import Contender
from refnet.kernels import layouts, popcount
from refnet.kernels.fused import staircase
from refnet.kernels.layouts import aligned
from refnet.program import TERNARY, UINT2, Conv, TensorType, Threshold, constant
from refnet.program.window import output_size


def _counted(op: Conv, x: Any, w: Any) -> tuple[Any, Any, Any, Any, tuple[int, int]]:
    """Packed activations, windows and weights of x (N, C, H, W), w (F, C, R, S)."""
    kind = TensorType(type=UINT2, shape=x.shape[1:])
    planes = layouts.planes_for(kind, op.padding)
    matrix = popcount.counter(op, planes, constant(w, TERNARY), None)
    words = planes.empty(len(x))
    planes.pack(x, words)
    size = output_size(x.shape[2:], w.shape[2:], op.stride, op.padding, op.dilation)
    return words, planes.windows(len(x), op, size), matrix, planes, size


def sums(x: Any, w: Any) -> Contender:
    """The product of codes x (N, K) and trits w (K, M), as 32-bit sums."""
    weights = np.ascontiguousarray(w.T)[:, :, None, None]
    words, windows, matrix, _, _ = _counted(Conv(), x[:, :, None, None], weights)
    held = matrix.constant.astype(np.int32)
    rows = aligned((len(windows), len(held)), np.int32)

    def run() -> None:
        popcount.convolve_sums(
            words, windows, 0, len(windows), matrix.offsets, matrix.first, matrix.weights, held,
            rows,
        )

    run()
    problems.same(rows[:, : w.shape[1]], x.astype(np.float64) @ w, "ternary x 2-bit, planes")
    return Contender(name="ternary x 2-bit, planes", run=run, ours=True)


def codes(op: Conv, x: Any, layers: list[Any]) -> Contender:
    """Convolutions of the codes x (1, C, H, W), each with thresholds, to packed 2-bit codes."""
    levels = np.array([-5, 0, 9])
    calls = [_layer(op, x, w, levels) for w in layers]
    return Contender(
        name="ternary x 2-bit, planes to planes", run=lambda: [call() for call in calls],
        layers=len(layers), ours=True,
    )  # fmt: skip


def _layer(op: Conv, x: Any, w: Any, levels: Any) -> Any:
    words, windows, matrix, _, size = _counted(op, x, w)
    target = layouts.Planes(shape=(len(w), *size), bits=2, pads=op.padding)
    out, places = target.empty(len(x)), target.insides(len(x))
    table, sign = constant(np.tile(levels, (len(w), 1))), constant(np.ones(len(w), np.int64))
    kind = op.infer(TensorType(type=UINT2, shape=x.shape[1:]), constant(w, TERNARY))
    thresholds, flips = staircase(table, sign, kind.type, matrix.constant[: len(w)])

    def run() -> None:
        popcount.convolve_codes(
            words, windows, 0, len(windows), matrix.offsets, matrix.first, matrix.weights,
            thresholds, flips, 2, out, places,
        )

    run()
    got = np.zeros((len(x), len(w), *size), np.uint8)
    target.unpack(out, got)
    want = Threshold().evaluate(op.evaluate(x, w), table.array, sign.array)
    problems.same(got, want, "ternary x 2-bit, planes to planes")
    return run
