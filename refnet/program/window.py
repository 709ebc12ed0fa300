"""Sliding windows of convolution and pooling ([4.1.2], [4.1.3] of the specification)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.program.types import SIZE_BOUND, ProgramError

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]


def _integers(value: Any) -> bool:
    return all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in value)


def normal_pair(value: Any, what: str, least: int) -> Pair:
    """An integer, or (height, width), as a pair of integers from ``least`` to 2**31 - 1."""
    pair = (value, value) if isinstance(value, (int, np.integer)) else value
    if not (isinstance(pair, Sequence) and len(pair) == 2 and _integers(pair)):
        raise ProgramError(f"{what}={value!r} must be an integer or a pair of integers")
    if min(pair) < least or max(pair) > SIZE_BOUND:
        raise ProgramError(f"{what}={value!r} must be from {least} to 2**31 - 1")
    return int(pair[0]), int(pair[1])


def normal_pads(value: Any) -> Pads:
    """An integer, (height, width) or ((top, bottom), (left, right)) as the last of these forms."""
    if isinstance(value, Sequence) and len(value) == 2 and not _integers(value):
        return normal_pair(value[0], "padding", 0), normal_pair(value[1], "padding", 0)
    high, wide = normal_pair(value, "padding", 0)
    return (high, high), (wide, wide)


def output_size(
    size: Sequence[int], kernel: Sequence[int], stride: Pair, padding: Pads, dilation: Pair
) -> Pair:
    """Output height and width: floor((size + pads - dilation*(kernel - 1) - 1)/stride) + 1."""
    out = []
    for n, k, step, pads, spread in zip(size, kernel, stride, padding, dilation, strict=True):
        room = n + sum(pads) - spread * (k - 1) - 1
        if room < 0:
            raise ProgramError(
                f"map {tuple(size)} with padding {padding} is smaller than the kernel "
                f"{tuple(kernel)} with dilation {dilation}"
            )
        out.append(room // step + 1)
    return out[0], out[1]


def padded(x: NDArray[Any], padding: Pads, value: int) -> NDArray[Any]:
    """x (N, C, H, W) with ``value`` around each map."""
    return np.pad(x, ((0, 0), (0, 0), *padding), constant_values=value)


def taps(
    xp: NDArray[Any], kernel: Sequence[int], stride: Pair, dilation: Pair, size: Pair
) -> Iterator[tuple[Pair, NDArray[Any]]]:
    """For each kernel place (r, s): what it meets at every output, a view (N, C, H', W')."""
    for r in range(kernel[0]):
        for s in range(kernel[1]):
            top, left = r * dilation[0], s * dilation[1]
            bottom = top + (size[0] - 1) * stride[0] + 1
            right = left + (size[1] - 1) * stride[1] + 1
            yield (r, s), xp[:, :, top : bottom : stride[0], left : right : stride[1]]
