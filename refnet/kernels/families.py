"""Kernels of ternary convolutions that can be fused, one family a tier, under common names.

A family packs codes in its layout, weights for it, and carries out what ``fused`` finds. ``Ready``
is a group made ready; ``run`` takes arrays read and written, and the pixels from which to which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.kernels import bytetable, popcount
from refnet.kernels._kernel import Kernel
from refnet.kernels.bytetable import NO_BLOCKS, NO_ROWS, NOWHERE
from refnet.kernels.layouts import Int32Array, Int64Array, Layout, Words, planes_for
from refnet.kernels.microkernels import TILE
from refnet.kernels.pairs import Bytes, pairs_for
from refnet.kernels.popcount import Counter
from refnet.kernels.tables import PIXELS, tables
from refnet.kernels.tiers import Tier
from refnet.program import TensorType
from refnet.program.window import Pads

_NO_STEPS = np.zeros((1, 0, 0), dtype=np.int32)
_NO_WORDS = np.zeros((0, 0, 0, 0, 0), dtype=np.uint32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A group made ready: the convolution, how its sums are scaled, and where its codes go.

    ``scaling`` (blocks, 6, LANES) and ``ranges`` as ``popcount.convolve_rows`` takes them; sums
    are bare where ``scaling`` has no blocks, and there are no codes where ``bits`` is 0.
    """

    made: Counter
    windows: Int64Array
    scaling: Int32Array = field(default_factory=lambda: NO_BLOCKS)
    ranges: Int64Array = field(default_factory=lambda: NOWHERE)
    steps: Int32Array = field(default_factory=lambda: _NO_STEPS)
    flips: Int64Array = field(default_factory=lambda: NOWHERE)
    bits: int = 0
    places: Int64Array = field(default_factory=lambda: NOWHERE)

    @property
    def sums(self) -> Int32Array:
        """What completes the sums, as 32 bits."""
        return self.made.constant.astype(np.int32)


#: run(activations, start, stop, addend or None, rows or None, codes or None).
Run = Callable[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The kernels of a tier: ``tile`` pixels are one tile, codes have ``most_bits`` at most."""

    kernel: Kernel
    most_bits: int
    tile: int
    layout: Callable[[TensorType, Pads], Layout]
    counter: Callable[..., Counter]
    ready: Callable[[Ready], Run]
    pack_rows: Callable[..., None]


def _by_popcounts(ready: Ready) -> Run:
    made, sums = ready.made, ready.sums

    def run(
        x: Words, start: int, stop: int, addend: Int32Array | None, rows: Int32Array | None,
        codes: Words | None,
    ) -> None:
        first = x, ready.windows, start, stop, made.offsets, made.first, made.weights
        ends = ready.steps, ready.flips, ready.bits
        if len(ready.scaling):
            popcount.convolve_rows(
                *first, ready.scaling, ready.ranges, _or(addend, NO_ROWS), _or(rows, NO_ROWS),
                *ends, _or(codes, _NO_WORDS), ready.places,
            )
        elif rows is None:
            popcount.convolve_codes(*first, *ends, _or(codes, _NO_WORDS), ready.places)
        else:
            popcount.convolve_sums(*first, sums, rows)

    return run


def _by_tables(ready: Ready) -> Run:
    made, sums, held = ready.made, ready.sums, tables()

    def run(
        x: Bytes, start: int, stop: int, addend: Int32Array | None, rows: Int32Array | None,
        codes: Bytes | None,
    ) -> None:
        bytetable.convolve(
            x, ready.windows, start, stop, made.offsets, made.first, made.weights, held,
            ready.scaling, sums, ready.ranges, _or(addend, NO_ROWS), _or(rows, NO_ROWS),
            ready.steps, ready.flips, ready.bits, _or(codes, bytetable.NO_CODES), ready.places,
        )

    return run


def _or(array: NDArray[Any] | None, empty: NDArray[Any]) -> NDArray[Any]:
    return empty if array is None else array


_POPCOUNTS = Family(
    kernel=popcount.KERNEL, most_bits=popcount.MOST_BITS, tile=TILE, layout=planes_for,
    counter=popcount.counter, ready=_by_popcounts, pack_rows=popcount.pack_rows,
)
_TABLES = Family(
    kernel=bytetable.KERNEL, most_bits=bytetable.MOST_BITS, tile=PIXELS, layout=pairs_for,
    counter=bytetable.counter, ready=_by_tables, pack_rows=bytetable.pack_rows,
)


def family_of(tier: Tier) -> Family | None:
    """The family that a tier runs best; none where sums are not kept in vectors."""
    return {Tier.AVX512: _POPCOUNTS, Tier.AVX2: _TABLES}.get(tier)
