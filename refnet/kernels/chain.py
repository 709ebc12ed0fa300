"""Convolutions one after the other on maps that lie place after place, a band of rows at a time.

A layer that a decomposition left is a chain: 1x1, grouped kxk, 1x1. Large maps, written as a whole,
would leave the caches before the next convolution reads them. So each convolution runs just far
enough ahead for the next:

    for each band of the last output:
        for link in chain:                  rows not yet there that the next one needs
            link.run(rows)

Every row is computed once. Between links lie sums of floats, or codes of integers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.kernels import bytepairs, depthwise, float32, int8, int16
from refnet.kernels._kernel import Step
from refnet.kernels.direct import Codes, Direct, codes, largest_sum
from refnet.kernels.pack import bytes_to_places, from_places, to_places
from refnet.kernels.places import Bytes, Maps
from refnet.kernels.tiers import Tier, current
from refnet.program import INT8, UINT8, Conv, IntArray, IntType, Requantize, TensorType

#: Bytes of all maps up to which they are written as a whole: a third cache holds them well.
_WHOLE_BYTES = 8_000_000
#: Places of a band otherwise; with fewer the weights, which each band reads, cost more than maps.
_BAND_PLACES = 784


class _Buffers(threading.local):
    """Maps between links, kept for the next call; their borders stay as they were filled."""

    def __init__(self) -> None:
        self.held: dict[int, list[Bytes]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A convolution, what becomes of its sums, and how the maps lie that it writes."""

    ready: Direct
    target: Maps
    ending: Codes | None = None
    #: Bytes of the border of ``target``.
    fill: int = 0

    def rows_read(self, rows: int) -> int:
        """Rows of the map that the first ``rows`` rows of the output see, counted from the top."""
        windows = self.ready.windows
        op, (top, _) = windows.op, windows.op.padding[0]
        reach = (rows - 1) * op.stride[0] + op.dilation[0] * (windows.kernel[0] - 1) - top + 1
        return max(0, min(windows.maps.size[0], reach))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """``chain(data, images, out)`` reads maps laid as ``source`` and writes the last target's."""

    links: tuple[Link, ...]
    #: Rows of the last output in a band; all of them where maps are written as a whole.
    band_rows: int
    _buffers: _Buffers = field(default_factory=_Buffers)

    @property
    def source(self) -> Maps:
        """How the maps lie that the chain reads."""
        return self.links[0].ready.windows.maps

    @property
    def target(self) -> Maps:
        """How the maps lie that it writes."""
        return self.links[-1].target

    def __call__(self, data: Bytes, images: int, out: Bytes) -> None:
        """Carry out the links; threads may share the chain."""
        between = self._between(images)
        rows = self.band_rows
        if rows >= self.target.size[0]:
            whole = [(0, link.target.size[0]) for link in self.links]
            self._rows(data, images, [*between, out], whole)
            return
        for n in range(images):
            parts = [
                buffer[n * maps.image_bytes :]
                for buffer, maps in zip([*between, out], self._targets(), strict=True)
            ]
            done = [0] * len(self.links)
            for end in range(rows, self.target.size[0] + rows, rows):
                needed = self._needed(min(end, self.target.size[0]))
                bands = list(zip(done, needed, strict=True))
                self._rows(data[n * self.source.image_bytes :], 1, parts, bands)
                done = needed

    def _targets(self) -> list[Maps]:
        return [link.target for link in self.links]

    def _rows(
        self, data: Bytes, images: int, buffers: list[Bytes], bands: list[tuple[int, int]]
    ) -> None:
        for link, out, (first, end) in zip(self.links, buffers, bands, strict=True):
            whole = (first, end) == (0, link.target.size[0])
            if first < end:
                link.ready.run(
                    data, images, out, link.target, link.ending, None if whole else (first, end)
                )
            data = out

    def _needed(self, rows: int) -> list[int]:
        """Rows of each link's output, counted from the top, for ``rows`` of the last."""
        needed = [rows]
        for link in reversed(self.links[1:]):
            needed.append(link.rows_read(needed[-1]))
        return needed[::-1]

    def _between(self, images: int) -> list[Bytes]:
        held = self._buffers.held
        if images not in held:
            held.clear()
            held[images] = [link.target.buffer(images, link.fill) for link in self.links[:-1]]
        return held[images]


def _chain(
    layers: Sequence[Direct], endings: Sequence[Codes | None], fills: Sequence[int], itemsize: int
) -> Chain:
    """Links whose maps lie as the next layer reads them, those of the last without a border."""
    links = []
    for i, (ready, ending, fill) in enumerate(zip(layers, endings, fills, strict=True)):
        windows = ready.windows
        size = itemsize if ending is not None or itemsize == 4 else 4
        target = Maps(channels=windows.filters, size=windows.out, itemsize=size)
        if i + 1 < len(layers):
            target = layers[i + 1].windows.maps
        links.append(Link(ready=ready, target=target, ending=ending, fill=fill))
    return Chain(links=tuple(links), band_rows=_band_rows(links))


def _band_rows(links: Sequence[Link]) -> int:
    maps = [links[0].ready.windows.maps, *(link.target for link in links)]
    height, width = maps[-1].size
    size = sum(each.image_bytes for each in maps)
    return height if size <= _WHOLE_BYTES else -(-_BAND_PLACES // width)


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatConv:
    """A convolution of floats: w (F, C/G, R, S), b (F,); ``rectified`` ends in max(y, 0)."""

    op: Conv
    w: NDArray[Any]
    b: NDArray[Any] | None = None
    rectified: bool = False


def float_chain(layers: Sequence[FloatConv], size: tuple[int, int]) -> Chain:
    """The chain of ``layers`` on maps (C, *size) of float32."""
    ready: list[Direct] = []
    for layer in layers:
        if layer.op.groups == layer.w.shape[0] > 1 and layer.w.shape[1] == 1:
            made = depthwise.direct(
                layer.op, size, layer.w, layer.b, dtype=np.float32, rectified=layer.rectified
            )
        else:
            made = float32.direct(layer.op, size, layer.w, layer.b, rectified=layer.rectified)
        ready.append(made)
        size = made.windows.out
    return _chain(ready, [None] * len(ready), [0] * len(ready), 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerConv:
    """A convolution of 8-bit codes and what requantizes its sums: mult and shift (F,)."""

    op: Conv
    w: IntArray
    b: IntArray | None
    requantize: Requantize
    mult: IntArray
    shift: IntArray


def integer_chain(
    layers: Sequence[IntegerConv], size: tuple[int, int], kind: IntType, *, tier: Tier | None = None
) -> Chain:
    """The chain of ``layers`` on maps (C, *size) of codes of ``kind``; all types have 8 bits.

    Below AVX2 codes lie as 16 bits, and on AVX2 where weights do not suit ``bytepairs``. Signed
    bytes are turned over, those of the result are not.
    """
    bytes_ = _bytewise(layers, current() if tier is None else tier)
    bytewise = bytes_ is not None
    ready, endings = [], []
    kinds = [kind, *(layer.requantize.type for layer in layers)]
    for i, layer in enumerate(layers):
        made = _integers(layer, size, signed=kinds[i].lo < 0, bytes_=bytes_)
        flip = int8.SIGN if bytewise and kinds[i + 1].lo < 0 and i + 1 < len(layers) else 0
        ready.append(made)
        endings.append(codes(
            made.windows, layer.mult, layer.shift, kinds[i + 1], layer.requantize.rounding,
            flip=flip, largest=largest_sum(kinds[i], layer.w, layer.b),
        ))  # fmt: skip
        size = made.windows.out
    return _chain(ready, endings, [ending.flip for ending in endings], 1 if bytewise else 2)


def _bytewise(layers: Sequence[IntegerConv], tier: Tier) -> Callable[..., Direct] | None:
    """What makes the convolutions of a chain ready whose codes lie as bytes; None if none does."""
    if tier >= Tier.AVX512:
        return int8.direct
    suits = tier >= Tier.AVX2 and all(
        _channelwise(layer) or bytepairs.narrow(layer.op, layer.w) for layer in layers
    )
    return bytepairs.direct if suits else None


def _channelwise(layer: IntegerConv) -> bool:
    return layer.op.groups == len(layer.w) > 1 and layer.w.shape[1] == 1


def _integers(
    layer: IntegerConv, size: tuple[int, int], *, signed: bool, bytes_: Callable[..., Direct] | None
) -> Direct:
    bytewise = bytes_ is not None
    if _channelwise(layer):
        dtype = np.uint8 if bytewise else np.int16
        return depthwise.direct(
            layer.op, size, layer.w, layer.b, dtype=dtype, signed=signed and bytewise
        )
    if bytes_ is not None:
        return bytes_(layer.op, size, layer.w, layer.b, signed=signed)
    return int16.direct(layer.op, size, layer.w, layer.b)


def integer_step(chain: Chain, x: TensorType, result: IntType) -> Step:
    """A step that carries out an integer chain on maps that lie channel after channel."""
    bytewise = chain.source.itemsize == 1
    flip = int8.SIGN if bytewise and x.type.lo < 0 else 0
    stored = result.dtype if bytewise else np.dtype(np.int16)

    def carry_out(activations: tuple[IntArray, ...], out: IntArray) -> None:
        images = len(out)
        data, codes = chain.source.buffer(images, flip), chain.target.buffer(images)
        if bytewise:
            bytes_to_places(activations[0], flip, chain.source.view(data, images, np.uint8))
        else:
            to_places(activations[0], chain.source.view(data, images, np.int16))
        chain(data, images, codes)
        from_places(chain.target.view(codes, images, stored), out)

    return carry_out


def eight_bits(kind: IntType) -> bool:
    """Whether codes of the type fit one byte as the chain stores it."""
    return any(held.lo <= kind.lo and kind.hi <= held.hi for held in (UINT8, INT8))
