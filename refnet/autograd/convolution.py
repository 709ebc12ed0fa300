"""Two-dimensional convolution (cross-correlation, as in every network library) in NCHW layout.

The taps of a block of images are copied side by side (im2col) and multiplied with the weights in
one matrix product a group. The columns live in a small reused buffer and are made again in the
backward pass instead of being kept, which saves memory traffic as well as memory.

Letters: N batch, C input channels, F filters, R S kernel, H W map, OH OW output map, G groups,
K = C / G * R * S reduction of one group.
"""

from dataclasses import replace
from typing import TypeAlias

import numpy as np

from refnet.autograd.chunks import CHUNK, map_chunks, run_chunks, scratch, slices
from refnet.autograd.differentiable import Forward, Operand, differentiable
from refnet.autograd.graph import Array, Gradients
from refnet.autograd.windows import PaddingLike, Pair, PairLike, Window, padding_pairs, pair

Block: TypeAlias = tuple[slice, slice]  # images, output rows

# A weight gradient reduces over the positions of a chunk: too few of them starve the product.
POSITIONS = 256


@differentiable
def conv2d(
    x: Operand,
    w: Operand,
    b: Operand = None,
    *,
    stride: PairLike = 1,
    padding: PaddingLike = 0,
    dilation: PairLike = 1,
    groups: int = 1,
) -> Forward:
    """Convolve x (N, C, H, W) with w (F, C / groups, R, S), plus b (F,) -> (N, F, OH, OW).

    `stride`, `padding` and `dilation` are integers or (vertical, horizontal) pairs; padding with
    zeros may also be ((top, bottom), (left, right)). OH = (H + top + bottom - dilation * (R - 1)
    - 1) // stride + 1. Sums of float64 integers below 2**53 are exact. Raises `ValueError` for
    shapes that do not fit.
    """
    _check(x, w, b, groups)
    window = Window(
        name="conv2d",
        map=x.shape[2:],
        size=w.shape[2:],
        stride=pair("conv2d: stride", stride),
        padding=padding_pairs("conv2d: padding", padding),
        dilation=pair("conv2d: dilation", dilation),
    )
    dtype = np.result_type(x, w)
    x, w = x.astype(dtype, copy=False), w.astype(dtype, copy=False)
    y = _correlate(x, w, window, groups)
    if b is not None:
        y = y + b[:, None, None] if b.dtype != dtype else np.add(y, b[:, None, None], out=y)

    def closure(g: Array) -> Gradients:
        of_x = _input_gradient_by_correlation if _is_correlation(window) else _input_gradient
        gradients: Gradients = (
            lambda: of_x(g, w, window, groups),
            lambda: _weight_gradient(x, g, w.shape, window, groups),
        )
        return gradients if b is None else (*gradients, lambda: g.sum(axis=(0, 2, 3)))

    return y, (closure if b is not None else lambda g: (*closure(g), None))


def _check(x: Array, w: Array, b: Array | None, groups: int) -> None:
    seen = f"conv2d: x {x.shape}, w {w.shape}, groups={groups} do not fit"
    if x.ndim != 4 or w.ndim != 4:
        raise ValueError(f"{seen}: needs x (N, C, H, W) and w (F, C / groups, R, S)")
    if groups < 1 or w.shape[0] % groups:
        raise ValueError(f"{seen}: {w.shape[0]} filters are not a multiple of groups")
    if x.shape[1] != w.shape[1] * groups:
        raise ValueError(f"{seen}: {x.shape[1]} != {w.shape[1]} * {groups}")
    if b is not None and b.shape != w.shape[:1]:
        raise ValueError(f"conv2d: w {w.shape}, b {b.shape} do not fit: b must be {w.shape[:1]}")


def _blocks(images: int, channels: int, window: Window) -> list[Block]:
    """Cut the work into blocks whose columns have about CHUNK elements."""
    height, width = window.output
    row = channels * window.size[0] * window.size[1] * width
    count = max(CHUNK // (row * height), -(-POSITIONS // (height * width)))
    if count >= 1 and row * height <= 4 * CHUNK:
        return [(block, slice(0, height)) for block in slices(images, count)]
    rows = slices(height, max(1, CHUNK // row))
    return [(slice(n, n + 1), block) for n in range(images) for block in rows]


def _columns(x: Array, block: Block, window: Window, groups: int) -> Array:
    """Copy what every tap sees of a block of x (N, C, H, W) -> (G, K, positions), in scratch."""
    images, rows = block
    part = x[images].transpose(1, 0, 2, 3)
    count = rows.stop - rows.start
    shape = (*part.shape[:1], *window.size, part.shape[1], count, window.output[1])
    columns = scratch("columns", shape, x.dtype)
    for r, s, tap in window.taps(window.padded(part, rows, 0), count):
        columns[:, r, s] = tap
    return columns.reshape(groups, -1, part.shape[1] * count * window.output[1])


def _positions(g: Array, block: Block, groups: int) -> Array:
    """Copy a block of an output gradient (N, F, OH, OW) -> (G, F / G, positions), in scratch."""
    part = g[block[0], :, block[1]].transpose(1, 0, 2, 3)
    copy = scratch("positions", part.shape, g.dtype)
    copy[...] = part
    return copy.reshape(groups, part.shape[0] // groups, -1)


def _correlate(x: Array, w: Array, window: Window, groups: int) -> Array:
    """Compute the convolution without bias."""
    filters = w.shape[0]
    y = np.empty((x.shape[0], filters, *window.output), dtype=x.dtype)
    matrix = w.reshape(groups, filters // groups, -1)

    def work(block: Block) -> None:
        columns = _columns(x, block, window, groups)
        target = y[block[0], :, block[1]].transpose(1, 0, 2, 3)
        product = scratch("product", target.shape, x.dtype)
        np.matmul(
            matrix, columns, out=product.reshape(groups, filters // groups, columns.shape[2])
        )
        target[...] = product

    run_chunks(work, _blocks(x.shape[0], x.shape[1], window))
    return y


def _weight_gradient(
    x: Array, g: Array, shape: tuple[int, ...], window: Window, groups: int
) -> Array:
    """Sum g (F, positions) @ columns (K, positions).T over the blocks, in their order."""
    total = np.zeros((groups, shape[0] // groups, shape[1] * shape[2] * shape[3]), dtype=g.dtype)

    def work(block: Block) -> Array:
        columns = _columns(x, block, window, groups)
        return np.asarray(np.matmul(_positions(g, block, groups), columns.swapaxes(1, 2)))

    for part in map_chunks(work, _blocks(x.shape[0], x.shape[1], window)):
        total += part
    return total.reshape(shape)


def _is_correlation(window: Window) -> bool:
    """Tell whether the input gradient is itself a plain convolution of the output gradient."""
    return window.stride == (1, 1) and all(
        max(padding) < reach for padding, reach in zip(window.padding, window.reach, strict=True)
    )


def _input_gradient_by_correlation(g: Array, w: Array, window: Window, groups: int) -> Array:
    """Convolve g with the kernels turned by half a turn, filters and channels swapped."""
    filters, channels, *size = w.shape
    grouped = w.reshape(groups, filters // groups, channels, *size)[..., ::-1, ::-1]
    turned = np.ascontiguousarray(grouped.swapaxes(1, 2)).reshape(groups * channels, -1, *size)

    def opposite(padding: Pair, reach: int) -> Pair:
        return reach - 1 - padding[0], reach - 1 - padding[1]

    back = replace(
        window,
        map=window.output,
        padding=(
            opposite(window.padding[0], window.reach[0]),
            opposite(window.padding[1], window.reach[1]),
        ),
    )
    return _correlate(g, turned, back, groups)


def _input_gradient(g: Array, w: Array, window: Window, groups: int) -> Array:
    """Compute w.T @ g and add every tap back to where it came from (col2im)."""
    filters, channels, *size = w.shape
    channels *= groups
    result = np.empty((g.shape[0], channels, *window.map), dtype=g.dtype)
    matrix = w.reshape(groups, filters // groups, -1).swapaxes(1, 2)
    every_row = slice(0, window.output[0])

    def work(images: slice) -> None:
        count = images.stop - images.start
        product = scratch("columns", (channels, *size, count, *window.output), g.dtype)
        positions = _positions(g, (images, every_row), groups)
        flat = product.reshape(groups, -1, positions.shape[2])
        np.matmul(matrix, positions, out=flat)
        canvas = scratch("padded", (channels, count, *window.canvas_shape()), g.dtype)
        canvas[...] = 0
        for r, s, tap in window.taps(canvas, window.output[0]):
            tap += product[:, r, s]
        result[images] = window.interior(canvas).transpose(1, 0, 2, 3)

    elements = channels * size[0] * size[1] * window.output[0] * window.output[1]
    run_chunks(work, slices(g.shape[0], max(1, CHUNK // elements)))
    return result
