"""Sums that wait in the output memory: executed tile by tile, every tile tried, monotone."""

from dataclasses import replace
from itertools import product as pairs

import pytest
from hwsim_cases import convolutions
from hypothesis import given
from hypothesis import strategies as st
from test_hwsim_conv_traffic import element

from hwsim import presets, simulate
from hwsim.architecture import Dram, Memory
from hwsim.batch import evaluate
from hwsim.layers import Gemm, Operand, Workload
from hwsim.mapping import machine, mapping_of, orders, problem
from hwsim.simulator import Kept, gemm_report, tariffs
from hwsim.sums import ORDER
from hwsim.traffic import traffic

BASE = replace(presets.find("bit-fusion"), pe="int8-dot", name="small")


def small(rows=1, columns=2, depth=2, kept=(16, 16, 8), port=48, dram=8):
    """Halves of so many inputs, weights and sums of 32 bits."""
    x, w, sums = kept
    return replace(
        BASE, rows=rows, columns=columns, depth=depth,
        input=Memory(bytes=2 * x, word_bits=8, bandwidth_bits_per_cycle=512),
        weights=Memory(bytes=2 * w, word_bits=8, bandwidth_bits_per_cycle=512),
        output=Memory(bytes=8 * sums, word_bits=8, bandwidth_bits_per_cycle=port),
        dram=Dram(kind="DDR3", bandwidth_bits_per_cycle=dram),
    )


def gemm(m, k, n):
    def byte(elements):
        return Operand(lo=-128, hi=127, elements=elements)

    return Gemm(name="g", m=m, k=k, n=n, input=byte(m * k), weights=byte(k * n),
                output=byte(m * n))


def blocks(total, size):
    return [range(i, min(i + size, total)) for i in range(0, total, size)]


class Twin:
    """Every tile, slice, block and product of an order, in buffers that hold what they hold."""

    def __init__(self, layer, a, loops):
        self.layer, self.a, self.loops = layer, a, loops
        self.x = self.w = self.sums_moved = self.steps = 0
        self.sums, self.done = {}, {}
        self.rooms = a.input.half_bits // 8, a.weights.half_bits // 8, a.output.half_bits // 32
        for columns in blocks(layer.n, loops.tile_n):
            for rows in blocks(layer.m, loops.tile_m):
                self.tile(rows, columns)

    def place(self, row, step):
        if self.layer.window is None:
            return row, step
        return element(self.layer, row, step)

    def tile(self, rows, columns):
        slices = blocks(self.layer.k, self.loops.tile_k)
        needs = [{self.place(m, k) for m in rows for k in part} - {None} for part in slices]
        waits = max(map(len, needs)) <= self.rooms[0]
        held = set()
        for part, needed in zip(slices, needs, strict=True):
            if waits:
                self.x += len(needed - held)
                held = needed
            assert len(part) * len(columns) <= self.rooms[1]
            self.w += len(part) * len(columns)
            for some in blocks(len(rows), self.a.rows):
                if not waits:
                    assert len(some) * len(part) <= self.rooms[0]
                    self.x += len(some) * len(part)
                for others in blocks(len(columns), self.a.columns):
                    self.steps += -(-len(part) // self.a.depth)
                    for m, n in pairs((rows[i] for i in some), (columns[i] for i in others)):
                        self.accumulate(m, n, part, last=part is slices[-1])
        assert not self.sums

    def accumulate(self, m, n, part, *, last):
        self.sums_moved += (m, n) in self.sums
        sum_ = self.sums.pop((m, n), 0) + sum((m + 2 * k) * (n - k) for k in part)
        (self.done if last else self.sums)[m, n] = sum_
        assert len(self.sums) <= self.rooms[2]


def waiting(layer, p, a):
    """The orders whose sums wait in the memory."""
    found = orders(p, layer.geometry, machine(p, a))
    return [loops for loops in found if loops.order == ORDER]


def traffic_of(layer, p, a, loops):
    return traffic(layer, p, a, mapping_of(a, loops))


def checked(layer, a):
    """Both sides of every order whose sums wait; how many there are."""
    p, found = problem(layer, a), 0
    for loops in waiting(layer, p, a):
        found += 1
        twin, moved = Twin(layer, a, loops), traffic_of(layer, p, a, loops)
        assert twin.done == {(m, n): sum((m + 2 * k) * (n - k) for k in range(layer.k))
                             for m in range(layer.m) for n in range(layer.n)}
        assert moved.weight_read_bits == 8 * twin.w
        assert moved.sum_bits == 32 * twin.sums_moved
        assert layer.groups * twin.steps == a.flow.activity(p, a.array).compute_cycles
        if layer.window is None:
            assert moved.input_read_bits == 8 * twin.x
        else:
            assert moved.input_read_bits >= 8 * twin.x
    return found


@pytest.mark.parametrize("kept", [(2, 4, 2), (6, 6, 4), (16, 8, 12), (40, 40, 9)])
@pytest.mark.parametrize("array", [(1, 2, 2), (2, 2, 1), (2, 1, 3)])
def test_products_are_the_executed_loops(array, kept):
    found = 0
    for m, k, n in pairs((1, 2, 5), (1, 4, 7), (1, 3, 6)):
        for port in (24, 1000):
            found += checked(gemm(m, k, n), small(*array, kept=kept, port=port))
    assert found > 15


@given(convolutions(), st.tuples(st.integers(4, 60), st.integers(4, 60), st.integers(2, 20)))
def test_convolutions_never_read_more_than_the_bound(layer, kept):
    checked(layer, small(kept=kept, port=1000))


@given(st.tuples(*[st.integers(1, 12)] * 3),
       st.tuples(st.integers(2, 60), st.integers(4, 60), st.integers(2, 40)))
def test_no_other_tile_reads_less(sizes, kept):
    """Every tile of whole blocks and steps, not only those with a number of pieces of their own."""
    layer, a = gemm(*sizes), small(kept=kept, port=1000)
    p = problem(layer, a)
    m, k, n = sizes
    best = min((8 * (-(-n // N) * m * k + -(-m // M) * k * n + m * n)
                for M in range(1, m + 1) for N in range(2, n + 2, 2) for K in range(2, k + 2, 2)
                if min(M, m) * min(N, n) <= kept[2] and min(K, k) * min(N, n) <= kept[1]
                and min(1, m) * min(K, k) <= kept[0]), default=None)
    mine = min((traffic_of(layer, p, a, loops).bits
                for loops in waiting(layer, p, a)), default=None)
    assert mine == best


@given(st.tuples(*[st.integers(1, 40)] * 3),
       st.tuples(st.integers(2, 90), st.integers(4, 90), st.integers(2, 60)),
       st.tuples(*[st.integers(0, 40)] * 3), st.integers(8, 300), st.integers(0, 300))
def test_more_memory_or_bandwidth_never_costs(sizes, kept, more, port, wider):
    layer = gemm(*sizes)
    less = small(kept=kept, port=port)
    larger = small(kept=tuple(a + b for a, b in zip(kept, more, strict=True)), port=port + wider)
    array = replace(less, sums="array")
    few, many, never = (gemm_report(layer, a, Kept(), tariffs(a)) for a in (less, larger, array))
    assert many.counts.dram_bits <= few.counts.dram_bits <= never.counts.dram_bits
    assert many.total_cycles <= few.total_cycles <= never.total_cycles


def test_the_port_of_the_output_keeps_up_with_the_array():
    """Sums and results of a block in no more clocks than its steps; here 20 clocks a block."""
    layer = gemm(4, 40, 2)
    for port, slices in ((3, 1), (4, 2), (7, 2), (8, 3), (1000, 313)):
        a = small(kept=(80, 4, 8), port=port)
        p = problem(layer, a)
        assert machine(p, a).most_slices == slices
        for loops in waiting(layer, p, a):
            written = traffic_of(layer, p, a, loops).sum_bits + p.m * p.n * p.output_bits
            assert written <= port * a.flow.activity(p, a.array).compute_cycles


def test_machines_whose_sums_cannot_wait_are_refused():
    with pytest.raises(ValueError, match="sums='memory', rule 'array' on 'os'"):
        replace(presets.EDGE_16X16_OS, sums="memory")
    with pytest.raises(ValueError, match="sums='dram', rule 'array' or 'memory'"):
        replace(BASE, sums="dram")
    with pytest.raises(ValueError, match="sums='memory', rule 'array' with skip='both'"):
        replace(BASE, skip="both")
    with pytest.raises(ValueError, match="sums='memory', rule 'array' with banks=2 of output"):
        replace(BASE, output=replace(BASE.output, banks=2))
    with pytest.raises(ValueError, match="'small' has sums='memory', rule 'array'"):
        evaluate([gemm(1, 1, 1)], [BASE])


def test_the_report_counts_the_sums():
    workload = Workload(name="w", layers=(gemm(6, 40, 4),))
    (layer,) = simulate(workload, small(kept=(40, 8, 24), port=1000)).layers
    assert layer.mapping.order == ORDER
    slices = -(-40 // layer.mapping.tile_k)
    assert slices > 1
    sums = (slices - 1) * 6 * 4 * 32
    assert layer.counts.output_sram_read_bits == sums + 6 * 4 * 8
    assert layer.counts.output_sram_write_bits == sums + 6 * 4 * 8
    assert "sums wait in memory" in small().described
