"""Pooling over windows of a map, in NCHW layout."""

import numpy as np

from refnet.autograd.chunks import CHUNK, run_chunks, slices
from refnet.autograd.differentiable import Forward, Operand, differentiable
from refnet.autograd.graph import Array
from refnet.autograd.windows import PaddingLike, PairLike, Window, padding_pairs, pair


def _window(
    name: str, x: Array, kernel_size: PairLike, stride: PairLike | None, padding: PaddingLike
) -> Window:
    if x.ndim != 4:
        raise ValueError(f"{name}: x {x.shape} does not fit: needs (N, C, H, W)")
    size = pair(f"{name}: kernel_size", kernel_size)
    window = Window(
        name=name,
        map=x.shape[2:],
        size=size,
        stride=size if stride is None else pair(f"{name}: stride", stride),
        padding=padding_pairs(f"{name}: padding", padding),
        dilation=(1, 1),
    )
    if any(2 * max(p) > k for p, k in zip(window.padding, size, strict=True)):
        raise ValueError(
            f"{name}: padding {window.padding}, kernel {size} do not fit:"
            " padding must be at most half the kernel"
        )
    return window


def _chunks(x: Array) -> list[slice]:
    image = max(1, x.shape[1] * x.shape[2] * x.shape[3])
    return slices(x.shape[0], max(1, CHUNK // image))


def _all_rows(window: Window) -> slice:
    return slice(0, window.output[0])


@differentiable
def max_pool2d(
    x: Operand,
    *,
    kernel_size: PairLike,
    stride: PairLike | None = None,
    padding: PaddingLike = 0,
) -> Forward:
    """Take the maximum of every window of x (N, C, H, W) -> (N, C, OH, OW).

    Padding never wins. `stride` None means `kernel_size`. On ties the gradient goes to the first
    maximum of the window, row by row.
    """
    window = _window("max_pool2d", x, kernel_size, stride, padding)
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    y = np.empty((*x.shape[:2], *window.output), dtype=x.dtype)

    def forward(images: slice) -> None:
        canvas = window.padded(x[images], _all_rows(window), lowest)
        target = y[images]
        for r, s, tap in window.taps(canvas, window.output[0]):
            if r == s == 0:
                target[...] = tap
            else:
                np.maximum(target, tap, out=target)

    run_chunks(forward, _chunks(x))
    return y, lambda g: (_max_gradient(x, y, g, window, lowest),)


def _max_gradient(x: Array, y: Array, g: Array, window: Window, lowest: float) -> Array:
    result = np.empty(x.shape, dtype=g.dtype)

    def work(images: slice) -> None:
        canvas = window.padded(x[images], _all_rows(window), lowest)
        sums = np.zeros((*x[images].shape[:2], *window.canvas_shape()), dtype=g.dtype)
        unclaimed = np.ones(y[images].shape, dtype=bool)
        taps = window.taps(canvas, window.output[0])
        targets = window.taps(sums, window.output[0])
        for (_, _, tap), (_, _, target) in zip(taps, targets, strict=True):
            # "not less" instead of "equal": a window with a NaN still hands its gradient on.
            wins = np.less(tap, y[images])
            np.logical_not(wins, out=wins)
            wins &= unclaimed
            unclaimed ^= wins
            target += g[images] * wins
        result[images] = window.interior(sums)

    run_chunks(work, _chunks(x))
    return result


@differentiable
def avg_pool2d(
    x: Operand,
    *,
    kernel_size: PairLike,
    stride: PairLike | None = None,
    padding: PaddingLike = 0,
) -> Forward:
    """Average every window of x (N, C, H, W) -> (N, C, OH, OW).

    The divisor is always the full window: padding counts as zeros. `stride` None means
    `kernel_size`.
    """
    window = _window("avg_pool2d", x, kernel_size, stride, padding)
    divisor = x.dtype.type(window.size[0] * window.size[1])
    y = np.zeros((*x.shape[:2], *window.output), dtype=np.result_type(x.dtype, np.float16))

    def forward(images: slice) -> None:
        canvas = window.padded(x[images], _all_rows(window), 0)
        target = y[images]
        for _, _, tap in window.taps(canvas, window.output[0]):
            target += tap
        target /= divisor

    def closure(g: Array) -> tuple[Array]:
        result = np.empty(x.shape, dtype=g.dtype)

        def backward(images: slice) -> None:
            sums = np.zeros((*x[images].shape[:2], *window.canvas_shape()), dtype=g.dtype)
            share = g[images] / g.dtype.type(divisor)
            for _, _, tap in window.taps(sums, window.output[0]):
                tap += share
            result[images] = window.interior(sums)

        run_chunks(backward, _chunks(x))
        return (result,)

    run_chunks(forward, _chunks(x))
    return y, closure


@differentiable
def global_avg_pool2d(x: Operand) -> Forward:
    """Average every map of x (N, C, H, W) -> (N, C)."""
    if x.ndim != 4 or x.shape[2] * x.shape[3] == 0:
        raise ValueError(f"global_avg_pool2d: x {x.shape} does not fit: needs (N, C, H, W)")
    y = x.mean(axis=(2, 3))
    count = x.shape[2] * x.shape[3]
    return y, lambda g: (np.broadcast_to((g / g.dtype.type(count))[:, :, None, None], x.shape),)
