"""Fused chains: values and words of an executed loop nest, and never more DRAM traffic."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hwsim_cases import gemm, machine, small_program
from hypothesis import given, settings
from hypothesis import strategies as st
from test_hwsim_traffic import MAC, executed

from hwsim import presets, read_topology, simulate
from hwsim.architecture import Architecture, Memory
from hwsim.fusion import _made, fused, held_rows, linked, simulate_fused, tile_rows
from hwsim.layers import Gemm, Operand, Window, Workload
from hwsim.mapping import problem
from hwsim.shapes import Shape, as_method
from hwsim.simulator import Kept
from hwsim.traffic import choose
from hwsim.workload import from_program

TOPOLOGIES = Path(__file__).parents[1] / "benchmarks" / "topologies"
ALONE = Kept()


def byte(elements: int) -> Operand:
    return Operand(lo=-128, hi=127, elements=elements)


def with_maps(a: Architecture, size: int) -> Architecture:
    return replace(a, maps=Memory(bytes=size, word_bits=8, bandwidth_bits_per_cycle=64))


def layer(name: str, before: Gemm | None, w: Window, filters: int) -> Gemm:
    """A convolution of one group on the map of the one before."""
    m, k = w.batch * w.output[0] * w.output[1], w.channels * w.kernel[0] * w.kernel[1]
    return Gemm(
        name=name, m=m, k=k, n=filters, input=byte(w.batch * w.channels * w.height * w.width),
        weights=byte(k * filters), output=byte(m * filters), window=w,
        reads=(before.name,) if before else (),
    )


@st.composite
def chains(draw: st.DrawFn, longest: int = 3) -> list[Gemm]:
    """Two or three convolutions: kernels over edges, strides that leave rows out, dilation."""
    size, channels, batch = (draw(st.integers(1, 9)), draw(st.integers(1, 6))), 2, 1
    batch, found = draw(st.integers(1, 2)), []
    for i in range(draw(st.integers(2, longest))):
        pads, kernel, stride, dilation, output = [], [], [], [], []
        for length in size:
            dilate = draw(st.integers(1, 2))
            reach = draw(st.integers(1, 3))
            pad = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
            if dilate * (reach - 1) + 1 > length + sum(pad):
                dilate, reach = 1, 1
            step = draw(st.integers(1, 3))
            pads.append(pad)
            kernel.append(reach)
            stride.append(step)
            dilation.append(dilate)
            output.append((length + sum(pad) - dilate * (reach - 1) - 1) // step + 1)
        window = Window(
            batch=batch, channels=channels, height=size[0], width=size[1], kernel=tuple(kernel),
            stride=tuple(stride), padding=tuple(pads), dilation=tuple(dilation),
            output=tuple(output),
        )
        filters = draw(st.integers(1, 4))
        found.append(layer(f"c{i}", found[-1] if found else None, window, filters))
        size, channels = window.output, filters
    return found


def row(w: Window, kernel: np.ndarray, at: dict[int, np.ndarray], y: int) -> np.ndarray:
    """One output row (F, Q) from the input rows at hand; asking for any other is a KeyError."""
    out = np.zeros((len(kernel), w.output[1]), dtype=np.int64)
    for r in range(w.kernel[0]):
        h = y * w.stride[0] - w.padding[0][0] + r * w.dilation[0]
        if not 0 <= h < w.height:
            continue
        for q in range(w.output[1]):
            for s in range(w.kernel[1]):
                x = q * w.stride[1] - w.padding[1][0] + s * w.dilation[1]
                if 0 <= x < w.width:
                    out[:, q] += kernel[:, :, r, s] @ at[h][:, x]
    return out


@settings(max_examples=25, deadline=None)
@given(chain=chains(), height=st.integers(1, 9), seed=st.integers(0, 99))
def test_tiles_make_the_values_of_the_chain_and_every_row_once(chain, height, seed):
    """Maps are dictionaries of rows, emptied of what no later tile reads."""
    rng = np.random.default_rng(seed)
    first = chain[0].geometry
    image = rng.integers(-9, 9, (first.channels, first.height, first.width))
    kernels = [rng.integers(-3, 4, (c.n, c.geometry.channels, *c.geometry.kernel)) for c in chain]
    whole = {y: image[:, y] for y in range(first.height)}
    for c, kernel in zip(chain, kernels, strict=True):
        whole = {y: row(c.geometry, kernel, whole, y) for y in range(c.geometry.output[0])}
    tiles = list(tile_rows(chain, height))
    maps: list[dict[int, np.ndarray]] = [{} for _ in chain]
    made: list[list[int]] = [[] for _ in chain]
    most = [0] * len(chain)
    for t, tile in enumerate(tiles):
        for i, (c, rows) in enumerate(zip(chain, tile, strict=True)):
            reads = range(rows.input_first, rows.input_last) if i == 0 else range(0)
            source = {y: image[:, y] for y in reads}
            for y in range(rows.first, rows.last):
                maps[i][y] = row(c.geometry, kernels[i], maps[i - 1] if i else source, y)
                made[i].append(y)
        for i, held in enumerate(maps[:-1]):
            now = [x[i + 1].input_first for x in tiles[t:] if x[i + 1].last > x[i + 1].first]
            read = {y for y in held if now and y >= min(now)}
            most[i] = max(most[i], len(read))
            later = [x[i + 1].input_first for x in tiles[t + 1:] if x[i + 1].last > x[i + 1].first]
            maps[i] = {y: v for y, v in held.items() if later and y >= min(later)}
    assert made == [list(range(c.geometry.output[0])) for c in chain]
    assert {y: v.tolist() for y, v in maps[-1].items()} == {y: v.tolist() for y, v in whole.items()}
    assert most[:-1] == [held_rows(tiles, i) for i in range(len(chain) - 1)]


@settings(max_examples=40, deadline=None)
@given(
    base=st.sampled_from(MAC), m=st.integers(1, 7), widths=st.lists(st.integers(1, 5), min_size=3,
                                                                    max_size=4),
    height=st.integers(1, 7), rooms=st.tuples(*[st.sampled_from((16, 24, 40, 100, 400))] * 2),
)
def test_words_are_those_of_an_executed_loop_nest(base, m, widths, height, rooms):
    """Chains of plain products: every tile runs its folds through buffers of sets of elements."""
    a = with_maps(machine(base, sizes=(*rooms, 64)), 4096)
    chain = [replace(gemm(m, k, n), name=f"g{i}", reads=(f"g{i - 1}",) if i else ())
             for i, (k, n) in enumerate(pairwise(widths))]
    made = _made(chain, height, a, dict.fromkeys((c.name for c in chain), ALONE))
    assert made is not None
    stay = sum(c.k * c.n for c in chain) <= a.weights.bytes // 2
    assert made.weights_stay == stay
    reads = [[0, 0] for _ in chain]
    loaded: set[str] = set()
    for start in range(0, m, height):
        for i, c in enumerate(chain):
            part = gemm(min(height, m - start), c.k, c.n)
            mapping, _ = choose(part, problem(part, a), a, input_on_chip=i > 0)
            x, w = executed(part, a, mapping.loops)
            reads[i][0] += 0 if i else x
            reads[i][1] += w if not stay else 0 if c.name in loaded else c.k * c.n
            loaded.add(c.name)
    counted = [[c.counts.input_dram_read_bits // 8, c.counts.weight_dram_read_bits // 8]
               for c in made.layers]
    assert counted == reads
    written = [c.counts.output_dram_write_bits // 8 for c in made.layers]
    assert written == [0] * (len(chain) - 1) + [m * widths[len(chain)]]


@settings(max_examples=25, deadline=None)
@given(
    chain=chains(), base=st.sampled_from(MAC), maps=st.sampled_from((8, 40, 200, 4000)),
    rooms=st.tuples(*[st.sampled_from((32, 100, 1000))] * 3),
)
def test_fusing_never_moves_more(chain, base, maps, rooms):
    a = with_maps(machine(base, sizes=rooms), maps)
    workload = Workload(name="w", layers=tuple(chain))
    spilled, report = simulate(workload, a), simulate_fused(workload, a)
    assert report.counts.dram_bits <= spilled.counts.dram_bits
    assert report.counts.macs == spilled.counts.macs
    assert report.counts.weight_dram_read_bits >= sum(c.weights.elements * 8 for c in chain)
    for piece in report.chains:
        assert piece.held_bits <= a.maps.half_bits
        assert piece.fused_dram_bits <= piece.spilled_dram_bits
    names = {name for piece in report.chains for name in piece.layers}
    for before, after in zip(spilled.layers, report.layers, strict=True):
        assert before.name == after.name
        assert before == after or before.name in names


def test_factorized_and_low_rank_layers_are_chains():
    net = read_topology(TOPOLOGIES / "vgg16.csv")
    net = replace(net, layers=net.layers[6:13])
    for method, parts in (("factorized", 2), ("blockterm", 3)):
        workload = as_method(net, Shape.parse(method))
        runs = linked(workload)
        assert {len(run) for run in runs if run[0].name.startswith("conv3")} == {parts}
        report = simulate_fused(workload, presets.find("edge-16x16-os-maps"))
        spilled = simulate(workload, presets.find("edge-16x16-os-maps"))
        saved = spilled.counts.dram_bits - report.counts.dram_bits
        assert saved == sum(c.spilled_dram_bits - c.fused_dram_bits for c in report.chains) > 0
        assert "fused conv3_2" in report.to_table()
        assert report.as_dict()["chains"][0]["layers"][0].startswith("conv3_2")


def test_chains_of_a_program_are_found():
    """The last product reads a pooled map, and a sum has two readers: one pair of products."""
    workload = from_program(small_program())
    assert [[c.name for c in run] for run in linked(workload)] == [["c1", "c2"]]


def test_what_cannot_be_fused_is_refused():
    workload = Workload(name="w", layers=(gemm(2, 2, 2),))
    with pytest.raises(ValueError, match="no memory for maps"):
        simulate_fused(workload, presets.EDGE_16X16_OS)
    assert fused(
        [gemm(2, 2, 2), replace(gemm(2, 2, 2), name="h")], presets.EDGE_16X16_OS,
        {"g": ALONE, "h": ALONE},
    ) is None
