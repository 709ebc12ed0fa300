"""A convolution made ready for maps that lie place after place, whatever its arithmetic is.

``Direct`` holds packed weights and what the loops need besides. It reads one buffer and writes
another, each described by ``Maps``; nothing of it changes in a call, so threads may share it.
``step`` makes of it a step for maps that lie channel after channel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.kernels._kernel import Step
from refnet.kernels.endings import FUSES
from refnet.kernels.pack import bytes_to_places, from_places, to_places
from refnet.kernels.places import Bytes, Int64Array, Maps, Windows, repeated
from refnet.program import IntArray, IntType


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """Requantizing in the form of ``endings``: an entry for each lane, and the bounds."""

    scale: NDArray[np.floating[Any]]
    nudge: NDArray[np.float64]
    away: int
    #: 0 for any rounding; 1 where ties go to even and no y leaves 32 bits; 2 in binary32.
    way: int
    #: Bits of a stored code to turn over: 128 where the reader wants signed codes plus 128.
    flip: int
    lo: float
    hi: float
    #: All of this as the loops take it.
    operands: Int64Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        held = addressed(self.scale, self.nudge, self.away, self.way, self.flip)
        bounds = np.array([self.lo, self.hi]).view(np.int64)
        object.__setattr__(self, "operands", np.concatenate([held, bounds]))


def addressed(*operands: NDArray[Any] | int) -> Int64Array:
    """Numbers as they are, arrays by their addresses: the caller keeps them."""
    return np.array(
        [o.ctypes.data if isinstance(o, np.ndarray) else o for o in operands], dtype=np.int64
    )


def largest_sum(kind: IntType, w: NDArray[Any], b: NDArray[Any] | None) -> int:
    """A bound of every |sum| of weights (F, C/G, R, S), codes of ``kind`` and bias (F,).

    >>> w = np.array([[3, -4], [5, 0]], np.int8)[:, :, None, None]
    >>> signed, unsigned = IntType(lo=-8, hi=7), IntType(lo=0, hi=255)
    >>> largest_sum(signed, w, None), largest_sum(unsigned, w, np.array([0, -600]))
    (56, 1875)
    """
    sums = np.abs(w.astype(np.int64)).sum(axis=(1, 2, 3)) * max(abs(kind.lo), abs(kind.hi))
    return int((sums if b is None else sums + np.abs(b.astype(np.int64))).max())


def codes(
    windows: Windows, mult: NDArray[Any], shift: NDArray[Any], kind: IntType, rounding: str,
    *, largest: int, flip: int = 0,
) -> Codes:
    """The record for multipliers (F,), shifts (F,) and a type that the kernel reads [4.3].

    No |sum| is beyond ``largest``.
    """
    step = 2.0 ** -shift.astype(np.float64)
    nudge = np.zeros(len(step)) if rounding == "half_even" else step / 4
    way = int(rounding == "half_even" and bool(np.all(np.abs(mult * step) < 1)))
    if way and FUSES and largest <= 2**24:
        way = 2  # a multiplier has 15 bits and a shift 6: its quotient is a binary32 number
    return Codes(
        scale=windows.by_lane(mult * step, np.float32 if way == 2 else np.float64),
        nudge=windows.by_lane(nudge, np.float64),
        away=-(2**63) if rounding == "half_away" else 0, flip=flip, way=way,
        lo=float(kind.lo), hi=float(kind.hi),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """The operands of ``tile.nest`` and the output's address; ``held`` are arrays they point to."""

    operands: Int64Array
    held: tuple[Int64Array, ...]


#: Where the addresses of input and output stand among the operands.
_DATA, _OUT = 0, 11
_NO_ENDING = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Direct:
    """Weights (vectors, runs, words, 16, ...) and a word to start from for each lane.

    ``vectors`` and ``pixels`` are the tile of ``loop_sums`` and ``loop_codes``.
    """

    windows: Windows
    weights: NDArray[Any]
    start: NDArray[Any]
    vectors: int
    pixels: int
    loop_sums: Callable[[Int64Array], None]
    loop_codes: Callable[[Int64Array], None] | None = None
    #: Where words meet the window, if not as ``windows`` has it.
    taps: NDArray[np.int32] | None = None
    #: Tables for numbers of images, maps that are written to and rows.
    _tables: dict[Any, Any] = field(default_factory=dict)

    def run(
        self, data: Bytes, images: int, out: Bytes, target: Maps, ending: Codes | None = None,
        rows: tuple[int, int] | None = None,
    ) -> None:
        """Write what ``images`` images give to ``out``, laid as ``target``.

        Sums of 32 bits, or with ``ending`` the codes that it makes of them. ``rows`` are the
        first row of the output and the one after the last; all are computed where it is None.
        """
        loop, last = self.loop_sums, _NO_ENDING
        if ending is not None:
            assert self.loop_codes is not None
            loop, last = self.loop_codes, ending.operands
        source, target_address = data.ctypes.data, out.ctypes.data
        for begin, to, table in self._blocks(images, target, rows):
            operands = np.concatenate([table.operands, last])
            operands[_DATA], operands[_OUT] = source + begin, target_address + to
            loop(operands)

    def _blocks(
        self, images: int, target: Maps, rows: tuple[int, int] | None
    ) -> list[tuple[int, int, _Table]]:
        """Where each block of images begins in the input and the output, and its tables."""
        key = images, target, rows, "blocks"
        if key not in self._tables:
            most, size = self.windows.images, self.windows.maps.image_bytes
            self._tables[key] = [
                (n * size, n * target.image_bytes, self._table(min(most, images - n), target, rows))
                for n in range(0, images, most)
            ]
        found: list[tuple[int, int, _Table]] = self._tables[key]
        return found

    def _table(self, images: int, target: Maps, rows: tuple[int, int] | None) -> _Table:
        key = images, target, rows
        if key not in self._tables:
            shape, part = (images, *self.windows.out), slice(*(rows or (None,)))
            places, targets = (
                repeated(offsets.reshape(shape)[:, part].ravel(), self.pixels)
                for offsets in (self.windows.places(images), target.targets(images))
            )
            one_place = images * shape[1] * shape[2] == 1
            blocks = self.windows.blocks(self.vectors, one_place=one_place)
            taps = self.windows.taps if self.taps is None else self.taps
            operands = addressed(
                0, places, len(places), taps, len(taps), self.windows.step, self.weights,
                self.start, blocks, len(blocks), targets, 0,
            )
            self._tables[key] = _Table(operands=operands, held=(places, targets, blocks))
        table: _Table = self._tables[key]
        return table


def step(ready: Direct, dtype: Any, *, flip: int = 0) -> Step:
    """The sums of ``ready`` from and to maps that lie channel after channel.

    Elements lie in the buffer as ``dtype``; bytes are turned over by ``flip``, as is the border.
    """
    maps, windows = ready.windows.maps, ready.windows
    target = Maps(channels=windows.filters, size=windows.out, itemsize=4)

    def carry_out(activations: tuple[IntArray, ...], out: IntArray) -> None:
        for start in range(0, len(out), windows.images):
            x, y = (a[start : start + windows.images] for a in (activations[0], out))
            data, acc = maps.buffer(len(x), flip), target.buffer(len(x))
            inside = maps.view(data, len(x), dtype)
            if dtype == np.uint8:
                bytes_to_places(x, flip, inside)
            else:
                to_places(x, inside)
            ready.run(data, len(x), acc, target)
            from_places(target.view(acc, len(x), np.int32), y)

    return carry_out
