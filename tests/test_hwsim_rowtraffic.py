"""Words of row-stationary passes: closed forms against passes that move them, and the chip."""

import itertools
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from hwsim.rowstationary import ALEXNET, RowMapping, RowShape
from hwsim.rowtraffic import ISCA_2016, LevelCosts, row_traffic

NAMES = ("batch", "groups", "channels", "filters", "kernel_rows", "kernel_columns", "output_rows",
         "output_columns", "stride", "padding")


def cut(total, size):
    return [range(i, min(i + size, total)) for i in range(0, total, size)]


class Chip:
    """Buffer, network and PEs; every word that moves is named and counted where it moves."""

    def __init__(self, shape, mapping):
        self.s, self.m, self.count, self.sums = shape, mapping, Counter(), set()

    def run(self):
        s, m = self.s, self.m
        for group in range(s.groups):
            for filters in cut(s.filters, m.filters):
                for images in cut(s.batch, m.n):
                    for strip in cut(s.output_rows, m.e):
                        self.block(group, filters, images, strip)
        return self.count

    def block(self, group, filters, images, strip):
        """Sums of a block stay in the buffer while all channels pass by, then go to DRAM."""
        self.sums = set()
        for channels in cut(self.s.channels, self.m.q * self.m.r):
            waiting = set()
            for low in range(filters.start, filters.stop, self.m.p * self.m.t):
                some = range(low, min(low + self.m.p * self.m.t, filters.stop))
                self.one_pass(group, some, channels, images, strip, waiting)
            self.count["input_dram_reads"] += len(waiting)
        self.count["output_dram_writes"] += len(self.sums)

    def one_pass(self, group, filters, channels, images, strip, waiting):
        """PE (t, r, i, y) takes rows from the network; a word that several take is read once."""
        s, m = self.s, self.m
        inputs, weights, chains = set(), set(), {}
        for mine, theirs in itertools.product(slots(filters, m.p), slots(channels, m.q)):
            for i, y in itertools.product(range(s.kernel_rows), strip):
                held = {(n, c, y * s.stride + i - s.padding, x) for n in images for c in theirs
                        for x in range(s.input_columns)
                        if 0 <= y * s.stride + i - s.padding < s.input_rows}
                rows = {(f, c, i, j) for f in mine for c in theirs for j in range(s.kernel_columns)}
                self.count["input_deliveries"] += len(held)
                self.count["weight_deliveries"] += len(rows)
                inputs, weights = inputs | held, weights | rows
                for n, f, x in itertools.product(images, mine, range(s.output_columns)):
                    chains.setdefault((n, f, y, x), []).append((theirs.start, i))
                    self.count["macs"] += len(theirs) * s.kernel_columns
        waiting |= inputs
        self.count["input_buffer_reads"] += len(inputs)
        self.count["weight_buffer_reads"] += len(weights)
        self.count["weight_dram_reads"] += len(weights)
        for result, pes in chains.items():
            self.count["sum_moves"] += len(pes) - 1  # up the column, from PE to PE
            self.count["sum_buffer_reads"] += result in self.sums
            self.count["sum_buffer_writes"] += 1
            self.sums.add(result)


def slots(items, size):
    return [items[i : i + size] for i in range(0, len(items), size)]


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 2), *[st.integers(1, 5)] * 2,
                    *[st.integers(1, 3)] * 2, *[st.integers(1, 4)] * 2, st.integers(1, 4),
                    st.integers(0, 1)),
    mapping=st.tuples(*[st.integers(1, 3)] * 5, st.integers(1, 2), st.integers(1, 3)),
)
@example(sizes=(2, 1, 5, 5, 3, 2, 4, 3, 1, 1), mapping=(3, 1, 2, 2, 2, 2, 2))
@example(sizes=(3, 2, 2, 3, 1, 1, 4, 2, 3, 0), mapping=(2, 1, 1, 1, 1, 2, 2))
def test_closed_forms_are_what_the_passes_move(sizes, mapping):
    e, p, q, r, t, blocks, n = mapping
    assume(sizes[0] * sizes[1] * sizes[2] * sizes[3] * sizes[6] * sizes[7] <= 600)
    try:
        shape = RowShape(**dict(zip(NAMES, sizes, strict=True)))
        m = RowMapping(e=e, p=p, q=q, r=r, t=t, m=blocks * p * t, n=n)
        moved = row_traffic(shape, m)
    except ValueError:
        assume(False)
    counted = Chip(shape, m).run()
    assert {name: getattr(moved, name) for name in moved.__slots__} == {
        name: counted[name] for name in moved.__slots__
    }


#: JSSC 2017, table V: accesses of the global buffer and of DRAM in MB, power in mW.
MEASURED = {
    "CONV1": (18.5, 5.0, 332), "CONV2": (77.6, 4.0, 288), "CONV3": (50.2, 3.0, 266),
    "CONV4": (37.4, 2.1, 235), "CONV5": (24.9, 1.3, 236),
}
#: Zeros in the inputs of the five layers (the same table), and those of CONV5 for its results.
ZEROS = (0.0001, 0.387, 0.725, 0.793, 0.776, 0.776)


def compressed(words, zeros):
    """Run lengths: 64 bits hold three values that are not zero."""
    return words * (1 - zeros) * 64 / 3 / 16


@pytest.mark.parametrize("layer", range(5))
def test_alexnet_on_the_chip(layer):
    """Buffer within 1 % (CONV3: under the mapping of its neighbours); DRAM within 25 %."""
    name, shape, mapping, *_ = ALEXNET[layer]
    buffer_mb, dram_mb, _ = MEASURED[name]
    moved = row_traffic(shape, mapping)
    if name == "CONV3":
        assert moved.buffer_words * 2e-6 / buffer_mb == pytest.approx(1.39, abs=0.01)
        moved = row_traffic(shape, ALEXNET[3][2])
    assert moved.buffer_words * 2e-6 == pytest.approx(buffer_mb, rel=0.01)
    dram = moved.weight_dram_reads + compressed(moved.input_dram_reads, ZEROS[layer])
    dram += compressed(moved.output_dram_writes, ZEROS[layer + 1])
    assert dram * 2e-6 == pytest.approx(dram_mb, rel=0.25)


@pytest.mark.parametrize("layer", range(5))
def test_relative_energies_of_the_paper(layer):
    """ISCA 2016, fig. 10, batch 16, 1e9 multiply-accumulates: ALU and scratchpads to the digit."""
    _, shape, mapping, *_ = ALEXNET[layer]
    energy = row_traffic(replace(shape, batch=16), mapping).energy(ISCA_2016)
    mac, spad = ((1.69, 6.75), (3.58, 14.33), (2.39, 9.57), (1.79, 7.18), (1.20, 4.78))[layer]
    assert energy["mac"] / 1e9 == pytest.approx(mac, abs=0.005)
    assert energy["spad"] / 1e9 == pytest.approx(spad, abs=0.005)
    assert energy["buffer"] + energy["array"] < energy["spad"]


@pytest.mark.parametrize("layer", range(5))
def test_power_on_the_chip(layer):
    """With 2, 1, 4 and 15 pJ a word at the four levels on chip and 30 mW standing, 0.6 to 1.1."""
    name, shape, mapping, ms, _ = ALEXNET[layer]
    costs = LevelCosts(mac=2, spad=1, array=4, buffer=15, dram=0)
    energy_pj = sum(row_traffic(shape, mapping).energy(costs).values())
    assert 0.6 < (energy_pj * 1e-9 / (ms * 1e-3) + 30) / MEASURED[name][2] < 1.1


def test_what_does_not_fit_is_refused():
    _, conv5, mapping, *_ = ALEXNET[4]
    with pytest.raises(ValueError, match="86528 sums and 4056 inputs in the buffer, rule at most"):
        row_traffic(replace(conv5, filters=256), replace(mapping, m=128))
    with pytest.raises(ValueError, match="m=40, rule a multiple of p t = 32"):
        replace(mapping, m=40)
    with pytest.raises(ValueError, match="padding=3, a map of"):
        replace(conv5, output_rows=2, padding=3)
    with pytest.raises(ValueError, match="8 sets of 3 x 13 PEs"):
        row_traffic(conv5, replace(mapping, t=4, m=64))
