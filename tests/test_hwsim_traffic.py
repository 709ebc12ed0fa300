"""DRAM traffic: executed loops, monotone in every memory and bandwidth, once if it fits."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace

import pytest
from hwsim_cases import conv, gemm, machine
from hypothesis import assume, example, given
from hypothesis import strategies as st

from hwsim import presets
from hwsim.architecture import Architecture
from hwsim.counts import Counts
from hwsim.layers import Gemm, Window, Workload
from hwsim.loops import Loops, fetched, overlap_elements, swept
from hwsim.mapping import candidates, problem
from hwsim.mapping import machine as site
from hwsim.simulator import simulate
from hwsim.traffic import choose, stall_cycles, traffic

#: Every case with HWSIM_EXHAUSTIVE=1, else every 37th, which shares no factor with any size.
STRIDE = 1 if os.environ.get("HWSIM_EXHAUSTIVE") == "1" else 37


def with_bytes(base: Architecture, name: str, size: int) -> Architecture:
    return replace(base, **{name: replace(getattr(base, name), bytes=size)})


class Buffer:
    """Half keeps what came first, half holds the slice in use if it fits there."""

    def __init__(self, room: int) -> None:
        self.room, self.reads = room, 0
        self.kept: set[tuple[int, int]] = set()
        self.slice: set[tuple[int, int]] = set()

    def use(self, elements: list[tuple[int, int]]) -> None:
        for element in elements:
            if element not in self.kept and element not in self.slice:
                self.reads += 1
                if len(self.kept) < self.room:
                    self.kept.add(element)
        self.slice = set(elements) if len(elements) <= self.room else set()


def blocks(total: int, size: int) -> list[range]:
    return [range(i, min(i + size, total)) for i in range(0, total, size)]


def grid(rows: range, columns: range) -> list[tuple[int, int]]:
    return [(r, c) for r in rows for c in columns]


def executed(layer: Gemm, a: Architecture, loops: Loops) -> tuple[int, int]:
    """Words of X and W read from DRAM by the loops that ``loops`` stands for, fold by fold."""
    X, W = Buffer(a.input.bytes // 2), Buffer(a.weights.bytes // 2)
    WALKS[a.dataflow, loops.order](layer, a, loops, X, W)
    return X.reads, W.reads


def os_inputs_stay(layer: Gemm, a: Architecture, loops: Loops, X: Buffer, W: Buffer) -> None:
    for high in blocks(layer.m, loops.tile_m):
        for columns in blocks(layer.n, a.columns):
            for rows in within(high, a.rows):
                X.use(grid(high, range(layer.k)))
                assert set(grid(rows, range(layer.k))) <= X.kept | X.slice
                W.use(grid(range(layer.k), columns))


def os_weights_stay(layer: Gemm, a: Architecture, loops: Loops, X: Buffer, W: Buffer) -> None:
    for wide in blocks(layer.n, loops.tile_n):
        W.kept = set()
        for rows in blocks(layer.m, a.rows):
            for columns in within(wide, a.columns):
                X.use(grid(rows, range(layer.k)))
                W.use(grid(range(layer.k), columns))


def ws_weights_stay(layer: Gemm, a: Architecture, loops: Loops, X: Buffer, W: Buffer) -> None:
    for wide in blocks(layer.n, loops.tile_n):
        W.kept = set()
        for rows in blocks(layer.m, loops.tile_m):
            for ks in blocks(layer.k, a.rows):
                for columns in within(wide, a.columns):
                    X.use(grid(rows, ks))
                    W.use(grid(ks, columns))


def is_inputs_stay(layer: Gemm, a: Architecture, loops: Loops, X: Buffer, W: Buffer) -> None:
    for high in blocks(layer.m, loops.tile_m):
        X.kept = set()
        for filters in blocks(layer.n, loops.tile_n):
            for ks in blocks(layer.k, a.rows):
                for rows in within(high, a.columns):
                    X.use(grid(rows, ks))
                    W.use(grid(ks, filters))


WALKS = {
    ("os", "inputs-stay"): os_inputs_stay, ("os", "weights-stay"): os_weights_stay,
    ("ws", "weights-stay"): ws_weights_stay, ("is", "inputs-stay"): is_inputs_stay,
}


def within(whole: range, size: int) -> list[range]:
    return [range(i, min(i + size, whole.stop)) for i in range(whole.start, whole.stop, size)]


def blockings(layer: Gemm, a: Architecture) -> list[Loops]:
    """Every order with every block that is legal: what is called resident fits half a memory."""
    m, k, n = layer.m, layer.k, layer.n
    x_room, w_room = a.input.bytes // 2, a.weights.bytes // 2
    found = []
    if a.dataflow == "os":
        row_folds, column_folds = -(-m // a.rows), -(-n // a.columns)
        stripe = min(n, a.columns) * k <= w_room
        for high in range(1, row_folds + 1):
            tile = min(high * a.rows, m)
            if tile * k <= x_room and (stripe or high == 1):
                found.append(Loops("inputs-stay", True, tile, k, 0, 1, -(-row_folds // high)))
        for wide in range(1, column_folds + 1):
            tile, fits = min(wide * a.columns, n), min(m, a.rows) * k <= x_room
            if wide == 1 or (tile * k <= w_room and fits):
                sweeps = -(-column_folds // wide), row_folds
                found.append(Loops("weights-stay", True, 0, k, tile, *sweeps))
        return found
    turned = a.dataflow == "is"
    streamed, across = (n, m) if turned else (m, n)
    rows, folds = min(a.array.pass_rows, streamed), -(-across // a.columns)
    passes = -(-streamed // rows)
    for together in range(1, folds + 1):
        slice_fits = min(a.rows, k) * streamed <= (w_room if turned else x_room)
        if together > 1 and (together * streamed > a.array.pass_rows or not slice_fits):
            continue
        tile, sweeps = min(together * a.columns, across), -(-folds // together)
        found.append(
            Loops("inputs-stay", True, tile, a.rows, rows, passes, sweeps) if turned
            else Loops("weights-stay", True, rows, a.rows, tile, sweeps, passes)
        )
    return found


EVEN = st.integers(4, 60).map(lambda n: 2 * n)
MAC = [
    presets.EDGE_16X16_OS, presets.GEMMINI_16X16_WS,
    replace(presets.GEMMINI_16X16_WS, dataflow="is"),
]


def check_blockings(a: Architecture, layer: Gemm) -> None:
    """Every blocking and order: the formula is what the loops read, and the best is chosen."""
    p, words = problem(layer, a), []
    for loops in blockings(layer, a):
        words.append(fetched(p, layer.geometry, site(p, a), loops))
        assert words[-1] == executed(layer, a, loops), (a, layer, loops)
    _, moved = choose(layer, p, a)
    assert (moved.input_read_bits + moved.weight_read_bits) // 8 == min(map(sum, words))


@pytest.mark.parametrize("base", MAC, ids=lambda a: a.dataflow)
def test_every_blocking_and_order_reads_what_its_loops_read(base):
    """All m, k, n up to 5 on arrays up to 3 x 3 with six sets of memories; see STRIDE."""
    rooms = [(4, 4, 12), (6, 14, 24), (14, 6, 24), (20, 20, 40), (40, 12, 100), (12, 60, 200)]
    sizes = range(1, 6)
    cases = itertools.product(sizes, sizes, sizes, (1, 2, 3), (1, 2, 3), rooms)
    for m, k, n, rows, columns, room in itertools.islice(cases, 0, None, STRIDE):
        one = 2 * max(rows, columns)  # what one clock takes in
        least = (one, one, 8 * columns)
        sizes_held = tuple(map(max, room, least))
        a = machine(base, rows=rows, columns=columns, sizes=sizes_held)
        check_blockings(a, gemm(m, k, n))


@given(
    base=st.sampled_from(MAC),
    m=st.integers(1, 9), k=st.integers(1, 9), n=st.integers(1, 9),
    rows=st.integers(1, 4), columns=st.integers(1, 4), sizes=st.tuples(EVEN, EVEN, EVEN),
)
def test_traffic_is_what_the_executed_loops_read(base, m, k, n, rows, columns, sizes):
    assume(sizes[2] >= 8 * columns)
    a = machine(base, rows=rows, columns=columns, sizes=sizes)
    layer = gemm(m, k, n)
    p = problem(layer, a)
    check_blockings(a, layer)
    for mapping in candidates(layer, a):
        moved = traffic(layer, p, a, mapping)
        words = moved.input_read_bits // 8, moved.weight_read_bits // 8
        assert words == executed(layer, a, mapping.loops)


LAYERS = st.one_of(
    st.builds(gemm, st.integers(1, 40), st.integers(1, 40), st.integers(1, 40)),
    st.builds(
        conv, st.integers(3, 12), st.integers(1, 3), st.sampled_from([2, 4]),
        st.sampled_from([2, 4, 8]), stride=st.integers(1, 4), pad=st.integers(0, 2),
        batch=st.integers(1, 3), groups=st.integers(1, 2),
    ),
)
BASES = st.sampled_from([*MAC, replace(presets.BISMO_8X256X8, depth=4)])
SIZES = st.integers(32, 3000)


@given(
    base=BASES, layer=LAYERS, sizes=st.tuples(SIZES, SIZES, SIZES), rows=st.integers(1, 4),
    grouping=st.sampled_from(["serial", "packed"]), columns=st.integers(1, 4),
    which=st.sampled_from(["input", "weights", "output"]),
    more=st.integers(1, 3000), bandwidth=st.integers(1, 64), sram=st.integers(1, 64),
)
def test_more_memory_never_costs(
    base, layer, sizes, rows, grouping, columns, which, more, bandwidth, sram
):
    small = machine(
        base, rows=rows, columns=columns, sizes=sizes, bandwidth=bandwidth, sram=sram
    )
    if small.flow.style == "mac":
        small = replace(small, grouping=grouping)
    large = with_bytes(small, which, getattr(small, which).bytes + more)
    before, after = (simulate(Workload(name="w", layers=(layer,)), a) for a in (small, large))
    assert after.counts.dram_bits <= before.counts.dram_bits
    assert after.total_cycles <= before.total_cycles
    for report in (before, after):
        c = report.counts
        p = problem(layer, small)
        needed = min(layer.input.elements, layer.groups * layer.m * layer.k)
        assert c.input_dram_read_bits >= needed * p.input_bits
        assert c.weight_dram_read_bits >= layer.weights.elements * p.weight_bits
        assert c.output_dram_write_bits == layer.output.elements * p.output_bits


@given(
    base=BASES, layer=LAYERS, sizes=st.tuples(SIZES, SIZES, SIZES), bandwidth=st.integers(1, 64),
    more=st.integers(1, 100), which=st.sampled_from(["dram", "input", "weights", "output"]),
)
def test_more_bandwidth_never_costs(base, layer, sizes, bandwidth, more, which):
    slow = machine(base, sizes=sizes, bandwidth=bandwidth, sram=bandwidth)
    memory = getattr(slow, which)
    faster = replace(memory, bandwidth_bits_per_cycle=memory.bandwidth_bits_per_cycle + more)
    fast = replace(slow, **{which: faster})
    before, after = (simulate(Workload(name="w", layers=(layer,)), a) for a in (slow, fast))
    assert after.counts == before.counts
    assert after.total_cycles <= before.total_cycles


@pytest.mark.parametrize("base", MAC, ids=lambda a: a.dataflow)
@pytest.mark.parametrize("layer", [gemm(50, 40, 30), conv(9, 3, 4, 8, pad=1, batch=2, groups=2)])
def test_a_layer_that_fits_is_read_once(base, layer):
    a = machine(base, sizes=(2 * layer.input.elements, 2 * layer.weights.elements, 16000))
    p = problem(layer, a)
    _, moved = choose(layer, p, a)
    assert moved.input_read_bits * layer.groups == 8 * layer.input.elements
    assert moved.weight_read_bits * layer.groups == 8 * layer.weights.elements


@pytest.mark.parametrize("base", [presets.EDGE_16X16_OS, presets.GEMMINI_16X16_WS])
def test_a_layer_that_fits_nowhere_is_streamed(base):
    """Smallest memories the array accepts: every fold fetches its operands again."""
    layer = gemm(8, 1000, 8)
    a = machine(base, sizes=(4, 4, 16))
    moved = traffic(layer, problem(layer, a), a, candidates(layer, a)[-1])
    kept = 2  # words in half of four bytes
    assert moved.input_read_bits == 8 * (8000 + 3 * (8000 - kept))
    sweeps = 4 if base.dataflow == "os" else 8
    assert moved.weight_read_bits == 8 * 4 * (2000 + (sweeps - 1) * (2000 - kept))


def test_windows_that_do_not_overlap_on_chip_are_fetched_one_by_one():
    layer = conv(12, 3, 4, 2)
    tiny = machine(presets.EDGE_16X16_OS, sizes=(64, 64, 64))
    p = problem(layer, tiny)
    _, moved = choose(layer, p, tiny)
    assert moved.input_read_bits == 8 * layer.m * layer.k
    roomy = machine(presets.EDGE_16X16_OS, sizes=(2 * 4 * 12 * 12, 64, 64))
    assert choose(layer, p, roomy)[1].input_read_bits == 8 * layer.input.elements


def windows():
    """Small windows of every output size, batch, kernel, stride, dilation and padding."""
    three, two = (1, 2, 3), (1, 2)
    sizes = itertools.product(three, three, three, three, (1, 2, 3, 5), two, (0, 1))
    for P, Q, batch, R, stride, dilation, pad in sizes:
        height = (P - 1) * stride + dilation * (R - 1) + 1 - 2 * pad
        if height > 0:
            yield Window(
                batch=batch, channels=2, height=height, width=5, kernel=(R, 1),
                stride=(stride, 1), padding=((pad, pad), (0, 0)), dilation=(dilation, 1),
                output=(P, Q),
            )


def test_live_elements_are_what_any_consecutive_windows_touch():
    """Equal over every place of every number of windows, whole padded rows counted one by one."""
    for w in windows():
        (P, Q), reach = w.output, w.dilation[0] * (w.kernel[0] - 1) + 1
        under = [
            {(i // (P * Q), i // Q % P * w.stride[0] + v) for v in range(reach)}
            for i in range(w.batch * P * Q)
        ]
        for positions in range(1, len(under) + 1):
            most = max(
                len(set().union(*under[first : first + positions]))
                for first in range(len(under) - positions + 1)
            )
            expected = min(most, w.batch * w.height) * w.width
            assert w.live_elements(positions, 1) == expected, (w, positions)
        assert w.live_elements(len(under) + 1, 9) == 2 * w.live_elements(len(under), 1)


def used(layer: Gemm, position: int, k: int) -> tuple[int, int, int, int] | None:
    """The input element (image, channel, row, column) that a position multiplies in step k."""
    w = layer.window
    image, place = divmod(position, w.output[0] * w.output[1])
    channel, tap = divmod(k, w.kernel[0] * w.kernel[1])
    h = place // w.output[1] * w.stride[0] + tap // w.kernel[1] - w.padding[0][0]
    c = place % w.output[1] * w.stride[1] + tap % w.kernel[1] - w.padding[1][0]
    return (image, channel, h, c) if 0 <= h < w.height and 0 <= c < w.width else None


@given(
    base=st.sampled_from(MAC),
    H=st.integers(3, 7), R=st.integers(1, 3), C=st.integers(1, 5), stride=st.integers(1, 3),
    pad=st.integers(0, 1), batch=st.integers(1, 2), rows=st.integers(1, 9),
    pass_rows=st.integers(1, 60),
)
@example(base=presets.GEMMINI_16X16_WS, H=12, R=3, C=2, stride=1, pad=0, batch=1, rows=4,
         pass_rows=100)
@example(base=presets.GEMMINI_16X16_WS, H=7, R=3, C=5, stride=1, pad=0, batch=1, rows=9,
         pass_rows=10)
def test_overlap_holds_all_that_a_sweep_uses_again(
    base, H, R, C, stride, pad, batch, rows, pass_rows
):
    layer = conv(H, R, C, 2, stride=stride, pad=pad, batch=batch)
    a = machine(base, rows=rows, sizes=(4000, 4000, 16 * pass_rows))
    mapping = candidates(layer, a)[0]
    steps = []
    if base.dataflow == "os":
        steps = [grid(ms, range(layer.k)) for ms in blocks(layer.m, rows)]
    elif base.dataflow == "is":
        for high in blocks(layer.m, mapping.tile_m):
            steps += [grid(ms, ks) for ks in blocks(layer.k, rows) for ms in within(high, 2)]
    else:
        for ms in blocks(layer.m, mapping.tile_m):
            steps += [grid(range(m, m + 1), ks) for ks in blocks(layer.k, rows) for m in ms]
    first, last = {}, {}
    for time, pairs in enumerate(steps):
        for element in (used(layer, m, k) for m, k in pairs):
            if element is not None:
                first.setdefault(element, time)
                last[element] = time
    again = [e for e in first if first[e] < last[e]]
    held = max(sum(first[e] <= t <= last[e] for e in again) for t in range(len(steps)))
    p = problem(layer, a)
    assert held <= overlap_elements(p, layer.geometry, site(p, a), mapping.loops)


@pytest.mark.parametrize("base", MAC, ids=lambda a: a.dataflow)
def test_windows_far_apart_leave_elements_out(base):
    """1 x 1 at stride 2 on 12 x 12: a quarter of the map is read, whatever the memories hold."""
    layer = conv(12, 1, 4, 2, stride=2)
    for size in (64, 4000):
        a = machine(base, sizes=(size, 64, 4000))
        _, moved = choose(layer, problem(layer, a), a)
        assert moved.input_read_bits == 8 * 4 * 6 * 6


def test_a_block_of_folds_needs_the_stripe_of_the_other_operand():
    """X would fit in two folds, but two columns of 20 weights do not: one fold, W thrice."""
    a = machine(presets.EDGE_16X16_OS, sizes=(200, 60, 64))
    layer = gemm(6, 20, 4)
    inputs_stay = candidates(layer, a)[0]
    assert inputs_stay.order == "inputs-stay"
    assert (inputs_stay.tile_m, inputs_stay.weight_sweeps) == (2, 3)
    p = problem(layer, a)
    words = traffic(layer, p, a, inputs_stay)
    assert (words.input_read_bits // 8, words.weight_read_bits // 8) == (120, 80 + 2 * (80 - 30))
    assert executed(layer, a, inputs_stay.loops) == (120, 180)


def test_swept():
    assert swept(10, 1, 0) == 10
    assert swept(10, 4, 25) == 10
    assert swept(10, 4, 3) == 10 + 3 * 7


def test_stall_in_three_phases():
    a = machine(presets.EDGE_16X16_OS, bandwidth=10, sram=1000)
    counts = Counts(input_dram_read_bits=600, output_dram_write_bits=400)
    # 25 bits before (3 clocks), 15 after (2), 960 between: 96 clocks beside the array's 50.
    assert stall_cycles(50, counts, 25, 15, a) == 3 + 96 + 2 - 50
    assert stall_cycles(500, counts, 25, 15, a) == 3 + 2
    ports = Counts(input_sram_read_bits=70_001)
    assert stall_cycles(50, ports, 0, 0, a) == 71 - 50


def test_equal_candidates_take_the_first():
    layer = gemm(2, 3, 2)
    a = machine(presets.EDGE_16X16_OS)
    assert choose(layer, problem(layer, a), a)[0] == candidates(layer, a)[0]
