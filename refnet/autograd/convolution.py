"""Two-dimensional convolution (cross-correlation, as in every network library) in NCHW layout.

What the taps see of a block of images is copied side by side (see `columns`) and multiplied with
the weights, one matrix product a vertical tap and group. The columns live in a small reused buffer
and are made again in the backward pass instead of being kept, which saves memory traffic as well
as memory.

Letters: N batch, C input channels, F filters, R S kernel, H W map, OH OW output map, G groups.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from refnet.autograd.chunks import run_chunks, scratch, sum_chunks
from refnet.autograd.columns import Block, cut, gather, scatter
from refnet.autograd.differentiable import Forward, Operand, differentiable
from refnet.autograd.graph import Array, Gradients
from refnet.autograd.windows import PaddingLike, Pair, PairLike, Window, padding_pairs, pair


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
    window = _window(x, w, stride, padding, dilation)
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


def _window(
    x: Array, w: Array, stride: PairLike, padding: PaddingLike, dilation: PairLike
) -> Window:
    return Window(
        name="conv2d",
        map=x.shape[2:],
        size=w.shape[2:],
        stride=pair("conv2d: stride", stride),
        padding=padding_pairs("conv2d: padding", padding),
        dilation=pair("conv2d: dilation", dilation),
    )


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


def _matrices(w: Array, groups: int) -> list[Array]:
    """Split w (F, C / G, R, S) by vertical tap: R matrices (G, F / G, C / G * S)."""
    filters, channels, height, width = w.shape
    grouped = w.reshape(groups, filters // groups, channels, height, width)
    shape = (groups, filters // groups, channels * width)
    return [np.ascontiguousarray(grouped[:, :, :, r]).reshape(shape) for r in range(height)]


def _positions(g: Array, block: Block, groups: int) -> Array:
    """Line up a block of g (N, F, OH, OW) -> (G, F / G, positions), copied only if needed."""
    rows, images, width = block.shape
    shape = (groups, g.shape[1] // groups, rows * images * width)
    if images == 1:
        return g[block.images.start, :, block.rows].reshape(shape)
    part = g[block.images, :, block.rows].transpose(1, 2, 0, 3)
    copy = scratch("positions", part.shape, g.dtype)
    copy[...] = part
    return copy.reshape(shape)


def _correlate(x: Array, w: Array, window: Window, groups: int) -> Array:
    """Compute the convolution without bias."""
    if _is_direct(x.dtype, window, groups):
        from refnet.autograd import direct

        return direct.correlate(x, w, window)
    return _correlate_columns(x, w, window, groups)


def _is_direct(dtype: np.dtype[Any], window: Window, groups: int) -> bool:
    """Tell whether the compiled loops serve; the compiler is loaded for a candidate only."""
    if dtype != np.float32 or groups != 1 or window.size[1] != 3:
        return False
    from refnet.autograd import direct

    return direct.serves(dtype, window, groups)


def _correlate_columns(x: Array, w: Array, window: Window, groups: int) -> Array:
    """The same from columns and matrix products, for every kind of convolution."""
    filters = w.shape[0]
    y = np.empty((x.shape[0], filters, *window.output), dtype=x.dtype)
    matrices = _matrices(w, groups)

    def work(block: Block) -> None:
        columns = gather(x, block, groups)
        target = y[block.images, :, block.rows].transpose(1, 2, 0, 3)
        in_place = block.shape[1] == 1 and block.shape[0] == window.output[0]
        product = target if in_place else scratch("product", target.shape, x.dtype)
        flat = product.reshape(groups, filters // groups, -1)
        term = scratch("term", flat.shape, x.dtype)
        for r, matrix in enumerate(matrices):
            np.matmul(matrix, columns[..., block.tap(r)], out=term if r else flat)
            if r:
                flat += term
        if not in_place:
            target[...] = product

    run_chunks(work, cut(x.shape[0], x.shape[1], window))
    return y


def _weight_gradient(
    x: Array, g: Array, shape: tuple[int, ...], window: Window, groups: int
) -> Array:
    """Sum over images and positions of g times what each tap sees, (F, C / G, R, S)."""
    if _is_direct(g.dtype, window, groups):
        from refnet.autograd import direct

        return direct.weight_gradient(x, g, shape, window)
    return _weight_gradient_columns(x, g, shape, window, groups)


def _weight_gradient_columns(
    x: Array, g: Array, shape: tuple[int, ...], window: Window, groups: int
) -> Array:
    """Sum g (F, positions) @ columns (C / G * S, positions).T, for each vertical tap."""
    filters, channels, height, width = shape
    parts = (height, groups, filters // groups, channels * width)

    def work(block: Block) -> Array:
        columns = gather(x, block, groups).swapaxes(1, 2)
        positions = _positions(g, block, groups)
        result = np.empty(parts, dtype=g.dtype)
        for r in range(height):
            np.matmul(positions, columns[:, block.tap(r)], out=result[r])
        return result

    total = sum_chunks(work, cut(x.shape[0], x.shape[1], window), np.zeros(parts, dtype=g.dtype))
    return np.moveaxis(total.reshape(height, filters, channels, width), 0, 2)


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
    """Compute w.T @ g for each vertical tap and add the columns back to where they came from."""
    channels = w.shape[1] * groups
    result = np.zeros((g.shape[0], channels, *window.map), dtype=g.dtype)
    matrices = [matrix.swapaxes(1, 2) for matrix in _matrices(w, groups)]

    def work(block: Block) -> None:
        positions = _positions(g, block, groups)
        columns = block.storage(channels, g.dtype)
        columns[...] = 0
        flat = columns.reshape(groups, w.shape[1] * w.shape[3], -1)
        term = scratch("term", (*flat.shape[:2], positions.shape[2]), g.dtype)
        for r, matrix in enumerate(matrices):
            np.matmul(matrix, positions, out=term)
            flat[..., block.tap(r)] += term
        scatter(columns, block, result)

    run_chunks(work, cut(g.shape[0], channels, window, whole_maps=True))
    return result
