"""Lanes that skip, one clock at a time: every lane has a queue of what it wants.

Weights, where they are skipped, come as the lists the memory holds: coded first, and taken apart
again here. Beside :mod:`hwsim.stepped_lanes`, and like it independent of the formulas.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from hwsim.counts import Activity, Array, Problem
from hwsim.stepped_lanes import run
from hwsim.stepped_parts import Matrix, Product
from hwsim.stepped_units import FilledUnit, Step, Sums

Entry = tuple[int, int]


class Lists:
    """The weights of a column in one window: for every lane, values with their places."""

    def __init__(self, W: Matrix, n: int, ks: range, depth: int) -> None:
        self.lanes: list[list[Entry]] = [[] for _ in range(min(depth, len(ks)))]
        for at, k in enumerate(ks):
            if W[k][n] != 0:
                self.lanes[at % depth].append((at // depth, W[k][n]))

    def bits(self, reach: int, value_bits: int) -> tuple[int, int]:
        """(all bits, those that say where): a length a lane, and for each weight its place."""
        place = length = 0
        while 1 << place < reach:
            place += 1
        while 1 << length < reach + 1:
            length += 1
        wanted = sum(map(len, self.lanes))
        index = len(self.lanes) * length + wanted * place
        return index + wanted * value_bits, index


class Skipping(FilledUnit):
    """Parallel lanes with a stage before them that picks operands from the window."""

    stages = ("fill", "combine", "accumulate", "write")

    def __init__(
        self, X: Matrix, W: Matrix, p: Problem, array: Array, value_bits: int
    ) -> None:
        super().__init__(X, W, p, array, (False, False))
        self.value_bits = value_bits
        self.products = self.index_bits = self.stream_bits = 0
        self.queues: dict[tuple[int, int], list[deque[Entry]]] = {}
        self.picked: dict[tuple[int, int], list[Entry]] = {}

    def steps(self) -> Iterator[Step]:
        """A window for as many clocks as its longest queue has entries, and for one at least."""
        p, array = self.p, self.array
        for m0 in range(0, p.m, array.rows):
            rows = range(m0, min(m0 + array.rows, p.m))
            for n0 in range(0, p.n, array.columns):
                columns = range(n0, min(n0 + array.columns, p.n))
                for k0 in range(0, p.k, array.depth * array.reach):
                    ks = range(k0, min(k0 + array.depth * array.reach, p.k))
                    self._load(rows, columns, ks)
                    while True:
                        over = all(len(q) <= 1 for lanes in self.queues.values() for q in lanes)
                        yield Step(rows, columns, ks, 0, 0, 0, False, False,
                                   over and ks.stop == p.k)
                        if over:
                            break

    def _load(self, rows: range, columns: range, ks: range) -> None:
        """The window arrives: inputs whole, weights whole or as lists."""
        p, array, events = self.p, self.array, self.events
        self.queues = {}  # those of the last block are empty
        read = len(rows) * len(ks) * p.input_bits
        events["input_sram_read_bits"] += read
        events["input_register_write_bits"] += read
        events["macs"] += len(rows) * len(columns) * len(ks)
        for n in columns:
            lists, bits, index = self._weights(n, ks)
            events["weight_sram_read_bits"] += bits
            events["weight_register_write_bits"] += bits
            if rows.start == 0:  # the stream of weights, counted once
                self.stream_bits += bits
                self.index_bits += index
            for m in rows:
                self.queues[m, n] = [
                    deque((k, w) for place, w in lane if self._looked_at(m, k := (
                        ks.start + place * array.depth + number)))
                    for number, lane in enumerate(lists)
                ]

    def _weights(self, n: int, ks: range) -> tuple[list[list[Entry]], int, int]:
        depth = self.array.depth
        if self.array.skip == "inputs":
            lanes: list[list[Entry]] = [[] for _ in range(min(depth, len(ks)))]
            for at, k in enumerate(ks):
                lanes[at % depth].append((at // depth, self.W[k][n]))
            return lanes, len(ks) * self.p.weight_bits, 0
        lists = Lists(self.W, n, ks, depth)
        return lists.lanes, *lists.bits(self.array.reach, self.value_bits)

    def _looked_at(self, m: int, k: int) -> bool:
        return self.array.skip == "weights" or self.X[m][k] != 0

    def fill(self, step: Step) -> None:
        """Every lane takes what is first in its queue."""
        self.picked = {}
        for m in step.rows:
            for n in step.columns:
                ready = [queue for queue in self.queues[m, n] if queue]
                taken = [queue.popleft() for queue in ready]
                self.picked[m, n] = [(self.X[m][k], w) for k, w in taken]
                self.products += len(taken)
                self.events["pe_operations"] += bool(taken)

    def combine(self, step: Step) -> Sums:
        """Products of the lanes that took something, added."""
        return {unit: sum(x * w for x, w in pairs) for unit, pairs in self.picked.items()}

    def tally(self, step: Step) -> None:
        """Work is counted where it is picked."""


def skipping(
    X: Matrix, W: Matrix, problem: Problem, array: Array, *, value_bits: int
) -> tuple[Product, Activity, Skipping]:
    """Run X W on lanes that skip: product, activity of one group, and the machine.

    ``value_bits`` is the width of a weight in a list. The machine knows the ``products`` it made,
    and of one pass of the weights the ``stream_bits`` and the ``index_bits``.
    """
    machine = Skipping(X, W, problem, array, value_bits)
    values, activity = run(machine)
    return values, activity, machine
