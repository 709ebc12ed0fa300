"""Units with lanes, kind by kind: planes, digits and tables of sums, each on its own bits.

Operands are taken apart as the kind of PE takes them apart, and put together by shifts and
additions: a product of two whole numbers is formed by parallel lanes only. The pipeline around them
is :mod:`hwsim.stepped_lanes`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from hwsim.counts import Array, Problem
from hwsim.pe import ProcessingElement
from hwsim.stepped_parts import Matrix

Sums = dict[tuple[int, int], int]


class Step(NamedTuple):
    """What enters in one clock: a block of results, the ks, and the parts of the two operands.

    ``shift`` is the weight of the parts, as a power of two.
    """

    rows: range
    columns: range
    ks: range
    left: int
    right: int
    shift: int
    negative: bool
    first: bool
    last: bool


def field(value: int, low: int, bits: int, signed: bool) -> int:
    """``bits`` bits of a two's complement word from bit ``low`` on, the top one negative if signed.

    >>> field(-3, 0, 2, False), field(-3, 2, 2, True)        # -3 = ...1101
    (1, -1)
    """
    part = value >> low & (1 << bits) - 1
    return part - (1 << bits) if signed and part >> bits - 1 else part


class Unit(ABC):
    """An array of units of one kind: the parts it walks over, and what it makes of them.

    ``signed`` says of X and W whether they are two's complement. Subclasses say how many ``lanes``
    a step has, in which ``parts`` an operand passes, and what ``combine`` gives for a step.
    """

    #: Names of the pipeline stages; a step is in each of them for one clock.
    stages: tuple[str, ...] = ("combine", "weigh", "accumulate", "write")

    def __init__(
        self, X: Matrix, W: Matrix, p: Problem, array: Array, signed: tuple[bool, bool]
    ) -> None:
        assert array.element is not None
        self.X, self.W, self.p, self.array, self.signed = X, W, p, array, signed
        self.pe: ProcessingElement = array.element
        self.events: Counter[str] = Counter()

    def lanes(self) -> int:
        """Products of a step."""
        return self.array.depth

    def parts(self) -> Iterator[tuple[int, int, int, bool]]:
        """(part of X, part of W, shift, negative) in the order in which they pass."""
        yield 0, 0, 0, False

    @abstractmethod
    def combine(self, step: Step) -> Sums:
        """What the units make of a step, without the weight of its parts."""

    def tally(self, step: Step) -> None:
        """Count the work of a step: every unit of the block has some."""
        units = len(step.rows) * len(step.columns)
        self.events["pe_operations"] += units
        if step.first:
            self.events["macs"] += units * len(step.ks)

    def read(self, step: Step, input_bits: int, weight_bits: int, held: bool = False) -> None:
        """Count bits read at the edges; a weight that is ``held`` goes through a register."""
        self.events["input_sram_read_bits"] += len(step.rows) * len(step.ks) * input_bits
        bits = len(step.columns) * len(step.ks) * weight_bits
        self.events["weight_sram_read_bits"] += bits
        if held:
            self.events["weight_register_write_bits"] += bits

    def steps(self) -> Iterator[Step]:
        """All that enters, in order."""
        parts = list(self.parts())
        for m0 in range(0, self.p.m, self.array.rows):
            rows = range(m0, min(m0 + self.array.rows, self.p.m))
            for n0 in range(0, self.p.n, self.array.columns):
                columns = range(n0, min(n0 + self.array.columns, self.p.n))
                for k0 in range(0, self.p.k, self.lanes()):
                    ks = range(k0, min(k0 + self.lanes(), self.p.k))
                    end = ks.stop == self.p.k
                    for i, (left, right, shift, negative) in enumerate(parts):
                        yield Step(rows, columns, ks, left, right, shift, negative,
                                   i == 0, end and i == len(parts) - 1)


class FilledUnit(Unit):
    """A unit with a stage ``fill`` before ``combine``."""

    @abstractmethod
    def fill(self, step: Step) -> None:
        """What the stage does with a step."""


class Parallel(Unit):
    """Whole operands: multipliers, or add, subtract and skip where weights are ternary."""

    stages = ("combine", "accumulate", "write")

    def combine(self, step: Step) -> Sums:
        """Products of all lanes, added."""
        self.read(step, self.p.input_bits, self.p.weight_bits)
        return {(m, n): sum(self._product(self.X[m][k], self.W[k][n]) for k in step.ks)
                for m in step.rows for n in step.columns}

    def _product(self, x: int, w: int) -> int:
        if not self.pe.ternary_weights:
            return x * w
        assert w in (-1, 0, 1), "ternary weights"
        return x if w == 1 else -x if w == -1 else 0


class InputSerial(Unit):
    """A bit of every input a clock gates a whole weight: Stripes, and the ternary form of it."""

    def parts(self) -> Iterator[tuple[int, int, int, bool]]:
        """Planes of X, the lowest first."""
        for plane in range(self.p.input_bits):
            top = plane == self.p.input_bits - 1
            yield plane, 0, plane, self.signed[0] and top

    def combine(self, step: Step) -> Sums:
        """Weights whose input has the bit, added; weights are latched with the first plane."""
        self.read(step, 1, self.p.weight_bits if step.first else 0, held=True)
        return {(m, n): sum(self.W[k][n] for k in step.ks if self.X[m][k] >> step.left & 1)
                for m in step.rows for n in step.columns}


class BothSerial(Unit):
    """Loom: some bits of an input and one of a weight a clock; a weight bit stays for all of X."""

    def parts(self) -> Iterator[tuple[int, int, int, bool]]:
        """Planes of W, and in each of them all groups of bits of X."""
        for plane in range(self.p.weight_bits):
            for low in range(0, self.p.input_bits, self.pe.serial_bits):
                top = plane == self.p.weight_bits - 1
                yield low, plane, low + plane, self.signed[1] and top

    def combine(self, step: Step) -> Sums:
        """Groups of input bits whose weight has the bit, added."""
        width = min(self.pe.serial_bits, self.p.input_bits - step.left)
        signed = self.signed[0] and step.left + width == self.p.input_bits
        self.read(step, width, 1 if step.left == 0 else 0, held=True)
        return {(m, n): sum(field(self.X[m][k], step.left, width, signed)
                            for k in step.ks if self.W[k][n] >> step.right & 1)
                for m in step.rows for n in step.columns}


class Fused(Unit):
    """Bit Fusion: bricks multiply digits of two bits, their products are shifted and added."""

    def _split(self, bits: int) -> tuple[int, int]:
        """Width of one part, and how many parts pass one after the other."""
        width = min(bits, self.pe.fused_bits)
        return width, bits // width

    def lanes(self) -> int:
        """A unit has (fused / brick)^2 bricks; a product takes those of its digits."""
        brick = self.pe.brick_bits
        left, right = self._split(self.p.input_bits)[0], self._split(self.p.weight_bits)[0]
        bricks = (self.pe.fused_bits // brick) ** 2
        return self.array.depth * bricks // ((left // brick) * (right // brick))

    def parts(self) -> Iterator[tuple[int, int, int, bool]]:
        """Every part of X against every part of W."""
        left, right = self._split(self.p.input_bits), self._split(self.p.weight_bits)
        for i in range(left[1]):
            for j in range(right[1]):
                yield i, j, i * left[0] + j * right[0], False

    def combine(self, step: Step) -> Sums:
        """Digits of this part of X times digits of this part of W, each in its place."""
        p = self.p
        left, right = self._split(p.input_bits)[0], self._split(p.weight_bits)[0]
        self.read(step, left, right)
        sums: Sums = {}
        for m in step.rows:
            for n in step.columns:
                sums[m, n] = sum(
                    x * w << i + j
                    for k in step.ks
                    for i, x in self._digits(self.X[m][k], step.left * left, left, p.input_bits, 0)
                    for j, w in self._digits(self.W[k][n], step.right * right, right,
                                             p.weight_bits, 1)
                )
        return sums

    def _digits(
        self, value: int, low: int, width: int, bits: int, side: int
    ) -> list[tuple[int, int]]:
        """(place, digit) of ``width`` bits from ``low`` on; the top digit of the word is signed."""
        brick = self.pe.brick_bits
        return [
            (at - low, field(value, at, brick, self.signed[side] and at + brick == bits))
            for at in range(low, low + width, brick)
        ]


class Table(FilledUnit):
    """UNPU: sums of every choice of three inputs are kept, and a bit of three weights picks one."""

    stages = ("fill", "combine", "weigh", "accumulate", "write")

    def lanes(self) -> int:
        """Inputs of all tables of a row."""
        return self.array.depth * self.pe.table_inputs

    def parts(self) -> Iterator[tuple[int, int, int, bool]]:
        """Planes of W."""
        for plane in range(self.p.weight_bits):
            top = plane == self.p.weight_bits - 1
            yield 0, plane, plane, self.signed[1] and top

    def _groups(self, ks: range) -> Iterator[range]:
        for k in range(ks.start, ks.stop, self.pe.table_inputs):
            yield range(k, min(k + self.pe.table_inputs, ks.stop))

    def fill(self, step: Step) -> None:
        """With the first plane the tables of the rows are written, each sum from a smaller one."""
        if not step.first:
            return
        events, size = self.events, self.pe.table_inputs
        events["input_sram_read_bits"] += len(step.rows) * len(step.ks) * self.p.input_bits
        widest = self.p.input_bits
        while (1 << widest) < size * (1 << self.p.input_bits):
            widest += 1
        self.tables: dict[int, list[list[int]]] = {}
        for m in step.rows:
            self.tables[m] = []
            for ks in self._groups(step.ks):
                inputs = [self.X[m][k] for k in ks] + [0] * (size - len(ks))
                table = [0]
                for entry in range(1, 2**size):
                    top = entry.bit_length() - 1
                    table.append(table[entry ^ 1 << top] + inputs[top])
                    events["input_register_write_bits"] += widest
                self.tables[m].append(table)

    def combine(self, step: Step) -> Sums:
        """One bit of each weight of a group is an address; what lies there is added."""
        self.events["weight_sram_read_bits"] += len(step.columns) * len(step.ks)
        sums: Sums = {}
        for m in step.rows:
            for n in step.columns:
                sums[m, n] = 0
                for table, ks in zip(self.tables[m], self._groups(step.ks), strict=True):
                    address = 0
                    for place, k in enumerate(ks):
                        address |= (self.W[k][n] >> step.right & 1) << place
                    sums[m, n] += table[address]
        return sums
