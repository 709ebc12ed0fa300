"""Chains of layers run tile by tile, so that maps between them never leave the chip.

A factorized or low-rank layer is two or three products with maps in between that nobody else
reads. Fused, the last product is made a few rows at a time; every tile makes the rows of the maps
before it that are still missing, and rows that later tiles need again stay in the memory for maps.
Nothing is made twice. Chapter [7d.5].
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

from hwsim.architecture import Architecture
from hwsim.counts import Activity, Counts
from hwsim.layers import Gemm, Window, Workload
from hwsim.mapping import Mapping, problem
from hwsim.report import LayerReport, Report
from hwsim.simulator import Kept, kept_maps, layer_report, memory_counts, simulate, tariffs
from hwsim.traffic import choose

#: Products of the longest chain that is considered.
LONGEST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A chain that is run fused: its layers, the tiles, and what the spilled chain would cost."""

    layers: tuple[str, ...]
    tile_rows: int
    tiles: int
    held_bits: int
    weights_stay: bool
    spilled_cycles: int
    fused_cycles: int
    spilled_dram_bits: int
    fused_dram_bits: int
    spilled_pj: float
    fused_pj: float

    def as_dict(self) -> dict[str, Any]:
        """Plain data, units in the names."""
        return {name: getattr(self, name) for name in self.__slots__} | {
            "layers": list(self.layers)}

    def __str__(self) -> str:
        names = " + ".join(self.layers)
        weights = "stay" if self.weights_stay else "pass each tile"
        return (
            f"{names}: {self.tiles} tiles of {self.tile_rows} rows, {self.held_bits / 8192:.1f} "
            f"KiB of maps on the chip, weights {weights}; "
            f"DRAM {self.spilled_dram_bits / 8e6:.3f} to {self.fused_dram_bits / 8e6:.3f} MB, "
            f"cycles {self.spilled_cycles} to {self.fused_cycles}, energy "
            f"{self.spilled_pj / 1e6:.1f} to {self.fused_pj / 1e6:.1f} uJ"
        )


class Rows(NamedTuple):
    """Rows of a layer's output that one tile makes, and the rows of its input that it reads."""

    first: int
    last: int
    input_first: int
    input_last: int


def linked(workload: Workload) -> tuple[tuple[Gemm, ...], ...]:
    """Longest runs of products each of which alone reads the one before it.

    Fused work between them is done as results leave the array. The map that is written must be the
    map that is read: the same images, rows and columns.
    """
    running = [x for x in workload.layers if isinstance(x, Gemm) or not x.fused]
    readers = Counter(name for layer in running for name in layer.reads)
    runs: list[list[Gemm]] = []
    for before, after in pairwise(running):
        if not (isinstance(before, Gemm) and isinstance(after, Gemm)):
            continue
        w, v = before.geometry, after.geometry
        same = (w.batch, *w.output) == (v.batch, v.height, v.width)
        if after.reads == (before.name,) and readers[before.name] == 1 and same:
            if runs and runs[-1][-1] is before:
                runs[-1].append(after)
            else:
                runs.append([before, after])
    return tuple(tuple(run) for run in runs)


def tile_rows(chain: Sequence[Gemm], height: int) -> Iterator[tuple[Rows, ...]]:
    """The rows of every layer in every tile of ``height`` rows of the last output, one image.

    The last tile makes all rows of every map, also those that no window reads.
    """
    outputs = [layer.geometry.output[0] for layer in chain]
    done = [0] * len(chain)
    for end in range(height, outputs[-1] + height, height):
        need = [min(end, outputs[-1])]
        for layer, rows in zip(reversed(chain[1:]), reversed(outputs[:-1]), strict=True):
            reach = _input_rows(layer.geometry, 0, need[0])[1]
            need.insert(0, rows if need[-1] == outputs[-1] else min(rows, max(0, reach)))
        tile = []
        for layer, start, stop in zip(chain, done, need, strict=True):
            w = layer.geometry
            low, high = _input_rows(w, start, stop) if stop > start else (0, 0)
            tile.append(Rows(start, max(start, stop), max(0, low), min(w.height, high)))
        done = [rows.last for rows in tile]
        yield tuple(tile)


def _input_rows(w: Window, first: int, last: int) -> tuple[int, int]:
    """Rows of the input under output rows first to last - 1, beyond the map where it is padded."""
    low = first * w.stride[0] - w.padding[0][0]
    return low, low + (last - first - 1) * w.stride[0] + w.dilation[0] * (w.kernel[0] - 1) + 1


def held_rows(tiles: Sequence[tuple[Rows, ...]], i: int) -> int:
    """Most rows of map ``i`` (output of layer i, input of layer i + 1) that are held at once.

    While a tile is made, from the first row that it or a later one reads to the last row there is.
    """
    most, first = 0, None
    for tile in reversed(tiles):
        if tile[i + 1].last > tile[i + 1].first:
            low = tile[i + 1].input_first
            first = low if first is None else min(first, low)
        start = tile[i].last if first is None else min(first, tile[i].last)
        most = max(most, tile[i].last - start)
    return most


class _Made(NamedTuple):
    """A chain with tiles of one height: the reports of its layers, and how it was made."""

    layers: tuple[LayerReport, ...]
    height: int
    tiles: int
    held_bits: int
    weights_stay: bool

    @property
    def cost(self) -> tuple[int, int]:
        """DRAM bits, then clocks."""
        return (sum(layer.counts.dram_bits for layer in self.layers),
                sum(layer.total_cycles for layer in self.layers))


def fused(chain: Sequence[Gemm], a: Architecture, kept: dict[str, Kept]) -> _Made | None:
    """The best height of tiles for ``chain``: fewest DRAM bits, then clocks; None if none fits."""
    last = chain[-1].geometry.output[0]
    heights = sorted({last, *(2**i for i in range(last.bit_length()) if 2**i < last)})
    found = [made for height in heights if (made := _made(chain, height, a, kept)) is not None]
    return min(found, key=lambda made: made.cost, default=None)


def _made(
    chain: Sequence[Gemm], height: int, a: Architecture, kept: dict[str, Kept]
) -> _Made | None:
    tiles = list(tile_rows(chain, height))
    held = sum(
        held_rows(tiles, i) * layer.geometry.output[1] * layer.groups * layer.n
        * a.element.storage_bits(layer.output.bits)
        for i, layer in enumerate(chain[:-1])
    )
    room = 0 if a.maps is None else a.maps.half_bits
    ends = ((chain[0].input, kept[chain[0].name].input),
            (chain[-1].output, kept[chain[-1].name].output))
    for operand, waits in ends:
        room -= operand.elements * a.element.storage_bits(operand.bits) * waits
    if held > room:
        return None
    stay = sum(
        layer.weights.elements * a.element.storage_bits(layer.weights.bits) for layer in chain
    ) <= a.weights.half_bits
    layers = tuple(
        _layer(layer, [tile[i] for tile in tiles], a, stay, Kept(
            input=i > 0 or kept[layer.name].input,
            output=i < len(chain) - 1 or kept[layer.name].output))
        for i, layer in enumerate(chain)
    )
    return _Made(layers, height, len(tiles), held, stay)


def _layer(
    layer: Gemm, rows: Sequence[Rows], a: Architecture, stay: bool, kept: Kept
) -> LayerReport:
    """One layer of a fused chain: the sums over its tiles, times the images."""
    p, batch = problem(layer, a), layer.geometry.batch
    compute = fill = 0
    counts, mapping = Counts(), None
    seen: dict[tuple[int, ...], tuple[Activity, Counts, Mapping]] = {}
    weights = layer.weights.elements * p.weight_bits
    for tile in rows:
        if tile.last == tile.first:
            continue
        part = _part(layer, tile)
        key = (part.m, part.geometry.height, *part.geometry.padding[0])
        if key not in seen:
            mine = replace(p, m=part.m)
            chosen, moved = choose(part, mine, a, input_on_chip=kept.input)
            activity = a.flow.activity(mine, a.array)
            events = activity.counts + memory_counts(mine, moved, kept) * layer.groups
            seen[key] = activity, events, chosen
        activity, events, chosen = seen[key]
        compute += activity.compute_cycles
        fill += activity.fill_drain_cycles
        counts, mapping = counts + events, mapping or chosen
    assert mapping is not None
    counts = counts * batch
    if stay:
        counts = replace(counts, weight_dram_read_bits=weights, weight_sram_write_bits=weights)
    activity = Activity(compute_cycles=compute * batch, fill_drain_cycles=fill * batch,
                        counts=counts)
    return layer_report(layer, p, a, mapping, activity, counts, tariffs(a))


def _part(layer: Gemm, rows: Rows) -> Gemm:
    """The layer as one tile sees it, one image: some rows of its output and the input for them."""
    w = layer.geometry
    low, high = _input_rows(w, rows.first, rows.last)
    height = max(1, rows.input_last - rows.input_first)
    output = rows.last - rows.first, w.output[1]
    window = replace(
        w, batch=1, height=height, output=output,
        padding=((max(0, -low), max(0, high - w.height)), w.padding[1]),
    )
    m = output[0] * output[1]
    return replace(
        layer, m=m, window=window,
        input=replace(layer.input, codes=None, zeros=None,
                      elements=layer.groups * w.channels * height * w.width),
        output=replace(layer.output, codes=None, zeros=None, elements=layer.groups * m * layer.n),
    )


def simulate_fused(workload: Workload, a: Architecture) -> Report:
    """As :func:`hwsim.simulate`, with chains fused where that moves fewer DRAM bits.

    Of all ways to cut a run of linked products into chains of at most :data:`LONGEST`, the one with
    the fewest DRAM bits, then clocks, is taken; a layer by itself is as without fusing, so that
    fusing never moves more. Raises ``ValueError`` as :func:`hwsim.simulate` does, and where the
    machine has no memory for maps or skips zeros.
    """
    if a.maps is None:
        raise ValueError(f"{a.name!r}: no memory for maps, rule one [maps] where layers are fused")
    if a.skip != "none":
        raise ValueError(f"{a.name!r}: skip={a.skip!r}, rule 'none' where layers are fused")
    report, kept = simulate(workload, a), kept_maps(workload, a)
    alone = {layer.name: layer for layer in report.layers}
    made = [piece for run in linked(workload) for piece in _cut(run, a, kept, alone)]
    chains = tuple(_chain(piece, alone) for piece in made)
    better = {layer.name: layer for piece in made for layer in piece.layers}
    layers = tuple(better.get(layer.name, layer) for layer in report.layers)
    return replace(report, layers=layers, chains=chains)


def _cut(
    run: Sequence[Gemm], a: Architecture, kept: dict[str, Kept], alone: dict[str, LayerReport]
) -> list[_Made]:
    """The fused pieces of the best way to cut a run."""
    best: list[tuple[tuple[int, int], list[_Made]]] = [((0, 0), [])]
    for end in range(1, len(run) + 1):
        layer = alone[run[end - 1].name]
        (bits, cycles), pieces = best[end - 1]
        options = [((bits + layer.counts.dram_bits, cycles + layer.total_cycles), pieces)]
        for length in range(2, min(LONGEST, end) + 1):
            piece = fused(run[end - length:end], a, kept)
            if piece is not None:
                (bits, cycles), pieces = best[end - length]
                options.append(((bits + piece.cost[0], cycles + piece.cost[1]), [*pieces, piece]))
        best.append(min(options, key=lambda option: option[0]))
    return best[-1][1]


def _chain(piece: _Made, alone: dict[str, LayerReport]) -> Chain:
    before = [alone[layer.name] for layer in piece.layers]
    return Chain(
        layers=tuple(layer.name for layer in piece.layers), tile_rows=piece.height,
        tiles=piece.tiles, held_bits=piece.held_bits, weights_stay=piece.weights_stay,
        spilled_cycles=sum(layer.total_cycles for layer in before),
        fused_cycles=piece.cost[1],
        spilled_dram_bits=sum(layer.counts.dram_bits for layer in before),
        fused_dram_bits=piece.cost[0],
        spilled_pj=sum(layer.energy_pj for layer in before),
        fused_pj=sum(layer.energy_pj for layer in piece.layers),
    )
