"""Between maps that lie channel after channel (N, C, H, W) and place after place (N, H, W, C).

    for n, y:                               images, rows
        for c:                              channels, rows of the one layout
            for z:                          columns: a row of the other stays in the first cache
                out[n, y, z, c] = x[n, c, y, z] ^ flip

Maps of one column are the same in both layouts row by row: channels are the inner loop then.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from refnet.compiled import compiled


@compiled
def bytes_to_places(x: NDArray[Any], flip: int, out: NDArray[Any]) -> None:
    """x (N, C, H, W) of integers -> the low byte of x ^ flip in out (N, H, W, C)."""
    for n in range(x.shape[0]):
        for y in range(x.shape[2]):
            if x.shape[3] == 1:
                for c in range(x.shape[1]):
                    out[n, y, 0, c] = (x[n, c, y, 0] ^ flip) & 255
                continue
            for c in range(x.shape[1]):
                for z in range(x.shape[3]):
                    out[n, y, z, c] = (x[n, c, y, z] ^ flip) & 255


@compiled
def to_places(x: NDArray[Any], out: NDArray[Any]) -> None:
    """x (N, C, H, W) -> out (N, H, W, C)."""
    for n in range(x.shape[0]):
        for y in range(x.shape[2]):
            if x.shape[3] == 1:
                for c in range(x.shape[1]):
                    out[n, y, 0, c] = x[n, c, y, 0]
                continue
            for c in range(x.shape[1]):
                for z in range(x.shape[3]):
                    out[n, y, z, c] = x[n, c, y, z]


@compiled
def from_places(x: NDArray[Any], out: NDArray[Any]) -> None:
    """x (N, H, W, C) -> out (N, C, H, W), values as they are."""
    for n in range(x.shape[0]):
        for y in range(x.shape[1]):
            if x.shape[2] == 1:
                for c in range(x.shape[3]):
                    out[n, c, y, 0] = x[n, y, 0, c]
                continue
            for c in range(x.shape[3]):
                for z in range(x.shape[2]):
                    out[n, c, y, z] = x[n, y, z, c]
