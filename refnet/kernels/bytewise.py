"""Steps of a plan on maps of bytes that lie place after place: the 8-bit layers of a network.

    eight_bit     Conv and Requantize by the tiles of ``direct``, codes in registers
    pool          MaxPool, channels side by side: the vector loop
    widen         bytes to rows of 32-bit sums, where the residual stream begins
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.compiled import compiled
from refnet.kernels import int8, int16
from refnet.kernels.direct import Direct, codes, largest_sum
from refnet.kernels.forms import bytes_of
from refnet.kernels.layouts import Int32Array
from refnet.kernels.pack import bytes_to_places, to_places
from refnet.kernels.places import Bytes
from refnet.kernels.team import share
from refnet.program import Constant, Conv, MaxPool, Requantize, TensorType


def eight_bit(
    direct: Callable[..., Direct] | None, op: Conv, then: Requantize, x: TensorType,
    held: tuple[Constant, ...], mult: Constant, shift: Constant,
) -> Any:
    """The action of Conv (weights and bias ``held``) and Requantize, from plain to bytes.

    ``direct`` is that of ``int8`` or of ``bytepairs``; without one codes are read as 16 bits.
    """
    size, signed = (x.shape[1], x.shape[2]), x.type.lo < 0
    bias = held[1].array if len(held) > 1 else None
    dtype: Any = np.uint8
    if direct is None:
        ready, dtype = int16.direct(op, size, held[0].array, bias, to_bytes=True), np.int16
    else:
        ready = direct(op, size, held[0].array, bias, signed=signed)
    ending = codes(
        ready.windows, mult.array, shift.array, then.type, then.rounding,
        largest=largest_sum(x.type, held[0].array, bias),
    )
    maps, flip = ready.windows.maps, int8.SIGN if signed and direct is not None else 0
    target = bytes_of(TensorType(type=then.type, shape=(len(held[0].array), *ready.windows.out)))

    def action(reads: Any, writes: Any, images: int, part: int, parts: int) -> None:
        # Packing the input is so little work that every part packs all of it.
        data = maps.buffer(images, flip)
        if direct is None:
            to_places(reads[0][:images], maps.view(data, images, dtype))
        else:
            bytes_to_places(reads[0][:images], flip, maps.view(data, images, dtype))
        start, stop = share(ready.windows.out[0], 1, part, parts)
        if start < stop:
            rows = None if parts == 1 else (start, stop)
            ready.run(data, images, writes[0], target, ending, rows)

    return action


def pool(op: MaxPool, x: TensorType, result: TensorType) -> Any:
    """The action of MaxPool, from bytes to bytes."""
    rows = zip(op.kernel, op.stride, (op.padding[0][0], op.padding[1][0]), strict=True)
    window = np.array(list(rows), dtype=np.int64)
    source, target = bytes_of(x), bytes_of(result)

    def action(reads: Any, writes: Any, images: int, part: int, parts: int) -> None:
        start, stop = share(result.shape[1], 1, part, parts)
        _pool(
            source.view(reads[0], images, np.uint8), window, start, stop,
            target.view(writes[0], images, np.uint8),
        )

    return action


@compiled
def _span(i: int, axis: NDArray[np.int64], size: int) -> tuple[int, int]:
    """The places of output i on a map of ``size`` places: first, and one after the last."""
    first = i * axis[1] - axis[2]
    return max(first, 0), min(first + axis[0], size)


@compiled
def _pool(
    x: Bytes, window: NDArray[np.int64], start: int, stop: int, out: Bytes
) -> None:
    """Rows ``start`` to ``stop`` of the output."""
    for n in range(out.shape[0]):
        for i in range(start, stop):
            top, bottom = _span(i, window[0], x.shape[1])
            for j in range(out.shape[2]):
                left, right = _span(j, window[1], x.shape[2])
                best = out[n, i, j]
                best[:] = 0    # codes are unsigned: nothing is less
                for y in range(top, bottom):
                    for z in range(left, right):
                        codes = x[n, y, z]
                        for c in range(len(best)):
                            best[c] = codes[c] if codes[c] > best[c] else best[c]


@compiled
def widen(x: Bytes, rows: Int32Array) -> None:
    """x (P, C) -> rows (P, lanes); lanes past C stay."""
    for p in range(x.shape[0]):
        for c in range(x.shape[1]):
            rows[p, c] = x[p, c]
