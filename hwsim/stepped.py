"""The slow, obvious machines: values move through registers, one clock at a time.

Each function takes X (m, k) and W (k, n) as rows of Python ints, or one of each for every group,
and returns the product it really computed, with the clocks and events it saw. Nothing here is
derived: a clock is a loop step, a count is an increment where the event happens.
:mod:`hwsim.dataflow` must agree, and this file does not know it.

This file has the output-stationary machine; :mod:`hwsim.stepped_streams` has those where an operand
stays, :mod:`hwsim.stepped_serial` the bit-serial one.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.counts import Activity, Array, Problem
from hwsim.stepped_parts import Claims, Machine, Matrix, Placed, Product, Token
from hwsim.stepped_parts import count_values as count_values
from hwsim.stepped_parts import placed_folds as placed_folds
from hwsim.stepped_parts import plain_product as plain_product
from hwsim.stepped_streams import (
    grouped_input_stationary as grouped_input_stationary,
)
from hwsim.stepped_streams import (
    grouped_weight_stationary as grouped_weight_stationary,
)
from hwsim.stepped_streams import input_stationary as input_stationary
from hwsim.stepped_streams import weight_stationary as weight_stationary


def output_stationary(
    X: Matrix, W: Matrix, problem: Problem, array: Array
) -> tuple[Product, Activity]:
    """Run X W on an output-stationary array; returns (product, activity)."""
    (values,), activity = grouped_output_stationary([X], [W], problem, array)
    return values, activity


def grouped_output_stationary(
    X: Sequence[Matrix], W: Sequence[Matrix], problem: Problem, array: Array
) -> tuple[list[Product], Activity]:
    """Run all groups of a problem on an output-stationary array; returns (products, activity)."""
    stripes = placed_folds(problem.groups, problem.m, problem.n, array)
    folds = [fold for group in stripes for stripe in group for fold in stripe]
    array_of_pes = _Outputs(X, W, problem, array, folds)
    while array_of_pes.busy():
        array_of_pes.clock()
    return array_of_pes.machine.finish()


class _Outputs:
    """Registers of the output-stationary array: operands, sums, and what is being drained."""

    def __init__(
        self, X: Sequence[Matrix], W: Sequence[Matrix], p: Problem, array: Array,
        folds: list[Placed],
    ) -> None:
        self.X, self.W, self.p, self.array, self.folds = X, W, p, array, folds
        self.machine = Machine(p)
        self.events = self.machine.events
        R, C = array.rows, array.columns
        self.inputs: list[list[Token | None]] = [[None] * C for _ in range(R)]
        self.weights: list[list[Token | None]] = [[None] * C for _ in range(R)]
        self.sums: list[list[Token | None]] = [[None] * C for _ in range(R)]
        self.chain: list[list[Token | None]] = [[None] * C for _ in range(R)]
        self.released: dict[tuple[int, int], int] = {}  # (fold, column): clock
        self.done = 0  # folds that have entered
        self.starts = self._overlapped() if array.folds == "overlapped" else [0]

    def _overlapped(self) -> list[int]:
        """Each fold as early as PEs, chains and the ends of columns are free for it."""
        claims, starts, clock = Claims(), [], 0
        for fold in self.folds:
            while not claims.free(self._claim(clock, len(fold.rows), self.p.k)):
                clock += 1
            starts.append(clock)
        return starts

    def _claim(self, start: int, rows: int, k: int) -> set[tuple[str, int, int]]:
        wanted = {("pe", r, start + r + t) for r in range(rows) for t in range(k)}
        if self.array.drain == "columns":
            done = start + k + rows - 1
            wanted |= {("end", 0, done + t) for t in range(rows)}
            wanted |= {("chain", r, start + k + r + t) for r in range(rows) for t in range(rows)}
        return wanted

    def busy(self) -> bool:
        """Whether a fold has yet to enter, or a token is in the array."""
        waiting = len(self.starts) < len(self.folds)
        return waiting or self.starts[-1] + self.p.k > self.machine.clocks or self._full()

    def _full(self) -> bool:
        """Whether an operand still has a PE to go to, or a sum is in the array."""
        moving = (*map(self._right, (row[:-1] for row in self.inputs)),
                  *self._down(self.weights[:-1]))
        return any(t is not None for row in (*moving, *self.sums, *self.chain) for t in row)

    def clock(self) -> None:
        """One clock: sums that are done go down, operands move and meet."""
        t = self.machine.clocks
        self._drain(t)
        self._feed(t)
        for r in range(self.array.rows):
            for c in range(self.array.columns):
                self._multiply(r, c, t)
        entering = (0 <= t - start < self.p.k for start in self.starts[self.done :])
        self.machine.compute += any(entering)
        self.machine.clocks += 1
        entered = self.starts[-1] + self.p.k <= self.machine.clocks
        if len(self.starts) < len(self.folds) and entered and not self._full():
            self.starts.append(self.machine.clocks)

    def _feed(self, t: int) -> None:
        """X enters from the left and W from the top, a clock of skew for each row and column."""
        p, events = self.p, self.events
        left: list[Token | None] = [None] * self.array.rows
        top: list[Token | None] = [None] * self.array.columns
        entered = t - p.k - self.array.rows - self.array.columns
        while self.done < len(self.starts) and self.starts[self.done] <= entered:
            self.done += 1
        for f, start in enumerate(self.starts[self.done :], start=self.done):
            if start > t:
                break
            for r, row in enumerate(self.folds[f].rows):
                step = t - start - r
                if 0 <= step < p.k:
                    x = None if row is None else self.X[row[0]][row[1]][step]
                    left[r] = Token(x, f, step, -1 if row is None else row[0])
            for c, column in enumerate(self.folds[f].columns):
                step = t - start - c
                if 0 <= step < p.k:
                    w = None if column is None else self.W[column[0]][step][column[1]]
                    top[c] = Token(w, f, step, -1 if column is None else column[0])
        events["input_sram_read_bits"] += p.input_bits * count_values([left])
        events["weight_sram_read_bits"] += p.weight_bits * count_values([top])
        for r, row_of in enumerate(self.inputs):
            self.inputs[r] = [left[r], *self._right(row_of[:-1])]
        self.weights = [top, *self._down(self.weights[:-1])]
        events["input_register_write_bits"] += p.input_bits * count_values(self.inputs)
        events["weight_register_write_bits"] += p.weight_bits * count_values(self.weights)

    def _right(self, row: list[Token | None]) -> list[Token | None]:
        """Tokens that go one column further: none beyond the columns of their fold."""
        return [
            token if token is not None and c + 1 < len(self.folds[token.fold].columns) else None
            for c, token in enumerate(row)
        ]

    def _down(self, rows: list[list[Token | None]]) -> list[list[Token | None]]:
        """Tokens that go one row further: none beyond the rows of their fold."""
        return [
            [
                token if token is not None and r + 1 < len(self.folds[token.fold].rows) else None
                for token in row
            ]
            for r, row in enumerate(rows)
        ]

    def _multiply(self, r: int, c: int, t: int) -> None:
        x, w = self.inputs[r][c], self.weights[r][c]
        if x is None or w is None:
            assert x is w, "operands meet"
            return
        assert (x.fold, x.step) == (w.fold, w.step), "operands belong together"
        before, value = self.sums[r][c], None
        assert (before is None) == (x.step == 0), "one sum a PE"
        if x.value is not None and w.value is not None and x.group == w.group:
            already = 0 if before is None or before.value is None else before.value
            value = already + x.value * w.value
            self.events["macs"] += 1
            self.events["pe_operations"] += 1
        self.sums[r][c] = Token(value, x.fold, x.step)
        if x.step == self.p.k - 1:
            self.sums[r][c] = None
            self._finished(Token(value, x.fold, r), c, t)

    def _finished(self, token: Token, c: int, t: int) -> None:
        """A sum goes out on the bus, or into the chain of its column; ``step`` is now its row."""
        r = token.step
        if self.array.drain == "bus":
            self._out(token, c)
            return
        assert self.chain[r][c] is None, "the chain is free"
        self.chain[r][c] = token
        if self.array.folds == "overlapped" and token.value is not None:
            self.events["accumulator_move_bits"] += self.p.accumulator_bits
        if r == len(self.folds[token.fold].rows) - 1:
            self.released[token.fold, c] = t + 1

    def _drain(self, t: int) -> None:
        """Sums of a column go down together, once the last PE of the fold's column is done."""
        for r in reversed(range(self.array.rows)):
            for c, token in enumerate(self.chain[r]):
                if token is None or t < self.released.get((token.fold, c), t + 1):
                    continue
                self.chain[r][c] = None
                if r == len(self.folds[token.fold].rows) - 1:
                    self._out(token, c)
                    continue
                assert self.chain[r + 1][c] is None, "one sum a link"
                self.chain[r + 1][c] = token
                if token.value is not None:
                    self.events["accumulator_move_bits"] += self.p.accumulator_bits

    def _out(self, token: Token, c: int) -> None:
        """A result leaves the array."""
        fold = self.folds[token.fold]
        row, column = fold.rows[token.step], fold.columns[c]
        if token.value is None or row is None or column is None:
            return
        self.machine.results[row[0], row[1], column[1]] = token.value
        self.events["output_sram_write_bits"] += self.p.output_bits
