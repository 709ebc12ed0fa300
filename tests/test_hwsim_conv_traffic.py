"""DRAM traffic of convolutions: loops executed through buffers, every blocking and order, equal.

The machine of [7.4.2], which asks nothing of the code it checks. Half of the input memory holds
what is used again, in elements of the map: the least room for that is found by running, and is
never more than the rows that the clause counts, which are found by trying every place. Either the
map passes by whole, or every window is fetched by itself, a word a place, those of the padding with
the others; the other half keeps the words that came first.
"""

import itertools
import os
from dataclasses import replace
from functools import cache

import pytest
from hwsim_cases import convolution, convolutions, machine
from hypothesis import assume, example, given
from hypothesis import strategies as st

from hwsim import presets
from hwsim.loops import Loops, fetched
from hwsim.mapping import machine as site
from hwsim.mapping import problem
from hwsim.traffic import choose

#: Every case with HWSIM_EXHAUSTIVE=all, every 7th with 1, else every 1231st: primes that divide no
#: number of choices.
STRIDE = {"all": 1, "1": 7}.get(os.environ.get("HWSIM_EXHAUSTIVE", ""), 1231)
MAC = [
    presets.EDGE_16X16_OS, presets.GEMMINI_16X16_WS,
    replace(presets.GEMMINI_16X16_WS, dataflow="is"),
]


def element(layer, position, step):
    """The place of the map that a position multiplies in a step; None in the padding."""
    w = layer.window
    image, place = divmod(position, w.output[0] * w.output[1])
    channel, tap = divmod(step, w.kernel[0] * w.kernel[1])
    y, x = divmod(place, w.output[1])
    v, u = divmod(tap, w.kernel[1])
    row = y * w.stride[0] + v * w.dilation[0] - w.padding[0][0]
    column = x * w.stride[1] + u * w.dilation[1] - w.padding[1][0]
    inside = 0 <= row < w.height and 0 <= column < w.width
    return (image, channel, row, column) if inside else None


@cache
def touched(w, positions):
    """Whole rows under any ``positions`` consecutive windows, of the padded map, but no more than
    the map has; times its width."""
    (P, Q), reach = w.output, w.dilation[0] * (w.kernel[0] - 1) + 1
    rows = 0
    for first in range(w.batch * P * Q - positions + 1):
        last = first + positions - 1
        rows = max(rows, sum(
            len({y * w.stride[0] + v for y in range(P) for v in range(reach)
                 if first // Q <= image * P + y <= last // Q})
            for image in range(first // (P * Q), last // (P * Q) + 1)
        ))
    return min(rows, w.batch * w.height) * w.width


def waits(layer, a, loops):
    """Elements that the rule of [7.4.2] wants room for, so that a sweep fetches none twice."""
    w, area = layer.window, layer.window.kernel[0] * layer.window.kernel[1]
    if area == 1:
        return 0
    if a.dataflow == "is":
        return touched(w, loops.tile_m) * w.channels
    if a.dataflow == "os":
        return touched(w, min(a.rows, layer.m)) * w.channels
    channels = channels_of_a_slice(layer, a) if loops.weight_sweeps == 1 else w.channels
    cut = layer.k > a.rows and a.rows % area != 0
    return touched(w, 1) * channels + cut * touched(w, layer.m)


def channels_of_a_slice(layer, a):
    """The most channels that a slice of K lies in, wherever in a kernel it begins."""
    area = layer.window.kernel[0] * layer.window.kernel[1]
    starts = range(0, a.rows * area, a.rows)
    return min(layer.window.channels, max((s + a.rows - 1) // area - s // area + 1 for s in starts))


def whole_map(layer):
    w = layer.window
    sizes = (w.batch, w.channels, w.height, w.width)
    return list(itertools.product(*map(range, sizes)))


class Half:
    """The half of a memory that keeps the words that came first."""

    def __init__(self, room):
        self.room, self.kept, self.reads = room, set(), 0

    def pass_by(self, words):
        """Words that go by once; those that are kept cost nothing."""
        for word in dict.fromkeys(words):
            if word not in self.kept:
                self.reads += 1
                if len(self.kept) < self.room:
                    self.kept.add(word)


def sweep(layer, steps, half, by_window, most):
    """One sweep over X; ``steps`` are lists of (position, step of the product).

    Whatever is used in several steps waits in the half in use, if it is not kept. What then is the
    least room is never more than ``most``, and there is that much.
    """
    pairs = [pair for step in steps for pair in step]
    if by_window:
        half.pass_by(pairs)
    else:
        touched = [e for e in (element(layer, *pair) for pair in pairs) if e is not None]
        half.pass_by([*touched, *whole_map(layer)])
    least = least_room(layer, steps, half, by_window)
    assert least <= half.room
    assert by_window or least <= most


def least_room(layer, steps, half, by_window):
    """The most elements that wait in any step, each from its first use to its last."""
    first, last = {}, {}
    for time, step in enumerate(steps):
        for pair in step:
            word = pair if by_window else element(layer, *pair)
            if word is not None and word not in half.kept:
                first.setdefault(word, time)
                last[word] = time
    waiting = {word for word in first if first[word] < last[word]}
    least = 0
    for time in range(len(steps)):
        held = {word for word in waiting if first[word] <= time <= last[word]}
        if by_window:
            held = {element(layer, *word) for word in held} - {None}
        least = max(least, len(held))
    return least


def blocks(whole, size):
    return [range(i, min(i + size, whole.stop)) for i in range(whole.start, whole.stop, size)]


def grid(rows, columns):
    return [(r, c) for r in rows for c in columns]


def skewed(rows, steps):
    """The clocks of an output-stationary fold: row r takes in step t at clock t + r."""
    clocks = [[] for _ in range(len(rows) + len(steps) - 1)]
    for r, row in enumerate(rows):
        for t, step in enumerate(steps):
            clocks[t + r].append((row, step))
    return clocks


class Loop:
    """The sizes of a layer on a machine, and its operands on their way."""

    def __init__(self, layer, a, loops):
        self.layer, self.a, self.loops = layer, a, loops
        self.M, self.K, self.N = range(layer.m), range(layer.k), range(layer.n)
        self.X, self.W = Half(a.input.bytes // 2), Half(a.weights.bytes // 2)
        w = layer.window
        stored = w.batch * w.channels * w.height * w.width
        self.rule = waits(layer, a, loops)
        self.inputs_stay = loops.order == "inputs-stay"
        self.by_window = self.rule > self.X.room or layer.m * layer.k < stored

    def sweep(self, steps):
        """No more has to wait than the rule says, or than what stays for the next columns of W.

        That is the block [7.4.3], [7.4.4], or one fold of rows where W stays and results do.
        """
        w, most = self.layer.window, self.rule
        fold = self.a.rows if self.a.dataflow == "os" else 0
        if stays := min(max(self.loops.tile_m if self.inputs_stay else 0, fold), self.layer.m):
            most = max(most, touched(w, stays) * w.channels)
        sweep(self.layer, steps, self.X, self.by_window, most)

    def os_inputs_stay(self):
        steps = []
        for high in blocks(self.M, self.loops.tile_m):
            for _ in blocks(self.N, self.a.columns):
                for rows in blocks(high, self.a.rows):
                    steps += skewed(rows, self.K)
            self.W.pass_by(grid(self.K, self.N))
        self.sweep(steps)

    def os_weights_stay(self):
        for wide in blocks(self.N, self.loops.tile_n):
            self.W.kept, steps = set(), []
            for rows in blocks(self.M, self.a.rows):
                for _ in blocks(wide, self.a.columns):
                    steps += skewed(rows, self.K)
                self.W.pass_by(grid(self.K, wide))
            self.sweep(steps)

    def ws_weights_stay(self):
        for wide in blocks(self.N, self.loops.tile_n):
            self.W.kept, steps = set(), []
            for rows in blocks(self.M, self.loops.tile_m):
                for ks in blocks(self.K, self.a.rows):
                    for _ in blocks(wide, self.a.columns):
                        steps += [grid([m], ks) for m in rows]
                self.W.pass_by(grid(self.K, wide))
            self.sweep(steps)

    def is_inputs_stay(self):
        fits = self.fits(self.loops.tile_m)
        whole = []
        for high in blocks(self.M, self.loops.tile_m):
            steps = []
            for _ in blocks(self.N, self.loops.tile_n):
                for ks in blocks(self.K, self.a.rows):
                    steps += [grid(rows, ks) for rows in blocks(high, self.a.columns)]
            self.W.pass_by(grid(self.K, self.N))
            whole += steps
            if not fits:
                self.pass_again(high)
        if fits:
            self.sweep(whole)
        elif self.by_window:
            self.X.reads += self.layer.m * self.layer.k
        else:
            self.X.reads += len(whole_map(self.layer))

    def fits(self, positions):
        w = self.layer.window
        return touched(w, positions) * w.channels <= self.X.room

    def pass_again(self, high):
        """All passes over a block but the first; it stays if it fits as a piece of the map."""
        words = grid(high, self.K)
        if self.fits(len(high)):
            held = {element(self.layer, *pair) for pair in words} - {None}
            assert len(held) <= self.X.room
            return
        kept = set(words[: self.X.room])
        for _ in blocks(self.N, self.loops.tile_n)[1:]:
            self.X.reads += sum(word not in kept for word in words)

    def run(self):
        getattr(self, f"{self.a.dataflow}_{self.loops.order.replace('-', '_')}")()
        return self.X.reads, self.W.reads


def blockings(layer, a):
    """Every order with every block that is legal: what is called resident fits half a memory."""
    m, k, n, w = layer.m, layer.k, layer.n, layer.window
    x_room, w_room = a.input.bytes // 2, a.weights.bytes // 2

    def live(positions, channels=w.channels):
        return touched(w, min(positions, m)) * channels

    if a.dataflow == "os":
        row_folds, column_folds = -(-m // a.rows), -(-n // a.columns)
        stripe = min(n, a.columns) * k <= w_room
        for high in range(1, row_folds + 1):
            if live(high * a.rows) <= x_room and (stripe or high == 1):
                tile, sweeps = min(high * a.rows, m), -(-row_folds // high)
                yield Loops("inputs-stay", True, tile, k, 0, 1, sweeps)
        for wide in range(1, column_folds + 1):
            tile = min(wide * a.columns, n)
            if wide == 1 or (tile * k <= w_room and live(a.rows) <= x_room):
                yield Loops("weights-stay", True, 0, k, tile, -(-column_folds // wide), row_folds)
        return
    turned, area = a.dataflow == "is", k // w.channels
    streamed, across = (n, m) if turned else (m, n)
    rows, folds = min(a.array.pass_rows, streamed), -(-across // a.columns)
    passes = -(-streamed // rows)
    channels = channels_of_a_slice(layer, a)
    for together in range(1, folds + 1):
        block = live(together * a.columns) <= x_room or area == 1
        stays = min(a.rows, k) * n <= w_room and block if turned else live(m, channels) <= x_room
        if together > 1 and (together * streamed > a.array.pass_rows or not stays):
            continue
        tile, sweeps = min(together * a.columns, across), -(-folds // together)
        if turned:
            yield Loops("inputs-stay", True, tile, a.rows, rows, passes, sweeps)
        else:
            yield Loops("weights-stay", True, rows, a.rows, tile, sweeps, passes)


def check(layer, a):
    """Every blocking and order: the formula is what the loops read, and the best is chosen."""
    p, words = problem(layer, a), []
    for loops in blockings(layer, a):
        words.append(fetched(p, layer.window, site(p, a), loops))
        assert words[-1] == Loop(layer, a, loops).run(), (a, layer, loops)
    _, moved = choose(layer, p, a)
    assert (moved.input_read_bits + moved.weight_read_bits) // 8 == min(map(sum, words))


EVEN = st.one_of(st.integers(1, 12), st.integers(4, 120)).map(lambda n: 2 * n)


@given(
    base=st.sampled_from(MAC), layer=convolutions(largest=5), rows=st.integers(1, 9),
    columns=st.integers(1, 4), sizes=st.tuples(EVEN, EVEN, EVEN),
    short=st.sampled_from([None, 0, 0, 1]),
)
@example(  # slices that end in the middle of a kernel
    base=presets.GEMMINI_16X16_WS, layer=convolution((6, 6), (2, 2), 2, 1), rows=3, columns=1,
    sizes=(8, 8, 200), short=0,
)
@example(  # slices that never straddle a kernel
    base=presets.GEMMINI_16X16_WS, layer=convolution((8, 6), (3, 2), 2, 1), rows=3, columns=1,
    sizes=(8, 8, 400), short=0,
)
@example(  # a fold on three rows of the output
    base=presets.EDGE_16X16_OS, layer=convolution((6, 3), (3, 3), 1, 1, padding=((1, 1), (1, 1))),
    rows=9, columns=1, sizes=(8, 40, 200), short=0,
)
@example(  # a seam between two images
    base=presets.EDGE_16X16_OS, layer=convolution((3, 3), (3, 3), 1, 2, batch=3), rows=2,
    columns=2, sizes=(8, 40, 200), short=0,
)
def test_any_convolution_reads_what_its_loops_read(base, layer, rows, columns, sizes, short):
    """Halos, strides, padding, dilation, groups, batches; and rooms that are just large enough."""
    assume(layer.m * layer.k <= 2500)
    one = 2 * max(rows, columns)  # what one clock takes in
    a = machine(base, rows=rows, columns=columns,
                sizes=tuple(map(max, sizes, (one, one, 8 * columns))))
    if short is not None:
        needed = waits(layer, a, list(blockings(layer, a))[-1]) - short
        a = replace(a, input=replace(a.input, bytes=max(one, 2 * needed)))
    check(layer, a)


def small_layers():
    """Every kernel, stride, padding and dilation of small layers, on maps up to 4 x 3."""
    choices = ((1, 2, 3), (1, 2), (1, 3), (1, 2), (0, 1), (1, 2), (1, 2), (1, 2), (1, 3), (1, 2))
    for R, S, step, along, pad, spread, C, batch, F, G in itertools.product(*choices):
        if 4 + 2 * pad > spread * (R - 1) and 3 + 2 * pad > S - 1:
            yield convolution(
                (4, 3), (R, S), G * C, G * F, stride=(step, along), dilation=(spread, 1),
                padding=((pad, pad), (0, pad)), batch=batch, groups=G,
            )


@pytest.mark.parametrize("base", MAC, ids=lambda a: a.dataflow)
def test_every_small_convolution_blocking_and_order(base):
    """On arrays 1 x 2, 3 x 1, 4 x 3, with six sets of memories; see STRIDE."""
    rooms = [(8, 8, 24), (12, 40, 24), (40, 12, 48), (24, 24, 100), (80, 60, 60), (200, 200, 300)]
    cases = itertools.product(small_layers(), ((1, 2), (3, 1), (4, 3)), rooms)
    for layer, (rows, columns), sizes in itertools.islice(cases, 0, None, STRIDE):
        check(layer, machine(base, rows=rows, columns=columns, sizes=sizes))


def test_a_strided_convolution_by_hand():
    """3 x 3 at stride 2 on 5 x 5, one channel: four windows of 9, rows of 5 elements.

    Two positions on two rows of the array: they touch rows 0 to 2, 15 elements.
    """
    layer = convolution((5, 5), (3, 3), 1, 2, stride=(2, 2))
    held = machine(presets.EDGE_16X16_OS, rows=2, columns=1, sizes=(50, 8, 64))
    p = problem(layer, held)
    found = {loops.order: fetched(p, layer.window, site(p, held), loops)
             for loops in blockings(layer, held)}
    # 25 elements are kept whole: W in two sweeps, nine words a column of which four stay.
    assert found["weights-stay"] == (25, 2 * (9 + 5))
    tight = machine(presets.EDGE_16X16_OS, rows=2, columns=1, sizes=(28, 8, 64))
    found = {loops.order: fetched(p, layer.window, site(p, tight), loops)
             for loops in blockings(layer, tight)}
    # 14 of 15 elements: every window by itself, 36 words, of which 14 stay for the second column.
    assert found == {"weights-stay": (36 + 36 - 14, 2 * (9 + 5))}
