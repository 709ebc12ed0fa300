"""The machines where an operand stays and the other streams past, one clock at a time.

Part of :mod:`hwsim.stepped`, and like it independent of the closed forms. The weight-stationary
machine and the input-stationary one are the same array with the operands exchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwsim.counts import Activity, Array, Problem
from hwsim.stepped_parts import (
    Claims,
    Machine,
    Matrix,
    Placed,
    Product,
    Token,
    count_values,
    placed_folds,
)


def weight_stationary(
    X: Matrix, W: Matrix, problem: Problem, array: Array
) -> tuple[Product, Activity]:
    """Run X W on a weight-stationary array; returns (product, activity)."""
    (values,), activity = grouped_weight_stationary([X], [W], problem, array)
    return values, activity


def input_stationary(
    X: Matrix, W: Matrix, problem: Problem, array: Array
) -> tuple[Product, Activity]:
    """Run X W on an input-stationary array; returns (product, activity)."""
    (values,), activity = grouped_input_stationary([X], [W], problem, array)
    return values, activity


def grouped_weight_stationary(
    X: Sequence[Matrix], W: Sequence[Matrix], problem: Problem, array: Array
) -> tuple[list[Product], Activity]:
    """Run all groups of a problem with the weights in place; returns (products, activity)."""
    return _Streams(X, W, problem, array, moving="input", still="weight").run()


def grouped_input_stationary(
    X: Sequence[Matrix], W: Sequence[Matrix], problem: Problem, array: Array
) -> tuple[list[Product], Activity]:
    """Run all groups with the inputs in place: (X W)^T = W^T X^T; returns (products, activity)."""
    turned_w, turned_x = [_transposed(w) for w in W], [_transposed(x) for x in X]
    return _Streams(turned_w, turned_x, problem, array, moving="weight", still="input").run()


def _transposed(matrix: Matrix) -> Matrix:
    return [list(column) for column in zip(*matrix, strict=True)]


@dataclass(slots=True)
class _Fold:
    """A load of the array with the piece of the stream that passes it, and when both begin."""

    placed: Placed
    first: int
    steps: int
    load: int = -1
    start: int = -1


class _Streams:
    """Registers of a stationary array, and the accumulators under its columns.

    A (streamed, k) passes a B (k, columns) that stays. ``moving`` and ``still`` are the names of A
    and B in the counts.
    """

    def __init__(
        self, A: Sequence[Matrix], B: Sequence[Matrix], p: Problem, array: Array,
        *, moving: str, still: str,
    ) -> None:
        self.A, self.B, self.p, self.array = A, B, p, array
        self.moving, self.still = moving, still
        width = {"input": p.input_bits, "weight": p.weight_bits}
        self.moving_bits, self.still_bits = width[moving], width[still]
        self.machine = Machine(p)
        self.events = self.machine.events
        self.folds = self._all_folds()
        self.done, self.current = 0, list[tuple[int, _Fold]]()
        R, C = array.rows, array.columns
        self.streams: list[list[Token | None]] = [[None] * C for _ in range(R)]
        self.sums: list[list[Token | None]] = [[None] * C for _ in range(R)]
        banks = 2 if array.load == "hidden" else 1
        self.held: list[list[list[Token | None]]] = [
            [[None] * C for _ in range(R)] for _ in range(banks)
        ]
        if array.folds == "overlapped":
            self._overlapped()
        else:
            self.folds[0].load, self.folds[0].start = 0, len(self.folds[0].placed.rows)
            if banks == 2 and len(self.folds) > 1:
                self.folds[1].load = self.folds[0].start

    def _all_folds(self) -> list[_Fold]:
        """Columns outermost, pieces of the stream within, rows innermost."""
        streamed = len(self.A[0])
        room = self.array.pass_rows or streamed
        high, wide = len(self.B[0]), len(self.B[0][0])
        folds = []
        for stripes in placed_folds(self.p.groups, high, wide, self.array):
            for column in zip(*stripes, strict=True):
                for first in range(0, streamed, room):
                    steps = min(room, streamed - first)
                    folds += [_Fold(placed, first, steps) for placed in column]
        return folds

    def _overlapped(self) -> None:
        """Each load and each stream as early as registers, PEs and the ends of columns are free.

        Sums leave in the order of their folds, though a shallow fold could overtake a deep one.
        """
        claims, hidden, before = Claims(), self.array.load == "hidden", self.folds[0]
        for f, fold in enumerate(self.folds):
            rows = len(fold.placed.rows)
            # A hidden load starts with the stream of the fold before.
            fold.load = max(0, before.start)
            fold.start = fold.load + rows
            left = before.start + len(before.placed.rows) + before.steps - 1 if f else 0
            while fold.start + rows - 1 < left or not claims.free(self._claim(f, fold)):
                fold.start += 1
                fold.load += not hidden
            before = fold

    def _claim(self, f: int, fold: _Fold) -> set[tuple[str, int, int]]:
        rows, start, steps = len(fold.placed.rows), fold.start, fold.steps
        bank = f"register {f % len(self.held)}"
        wanted = {(bank, r, t) for r in range(rows)
                  for t in range(fold.load + r, start + r + steps)}
        wanted |= {("pe", r, start + r + t) for r in range(rows) for t in range(steps)}
        wanted |= {("top", 0, fold.load + t) for t in range(rows)}
        return wanted | {("end", 0, start + rows - 1 + t) for t in range(steps)}

    def run(self) -> tuple[list[Product], Activity]:
        """Clock after clock until every sum has left; returns (products, activity)."""
        while self.folds[-1].start < 0 or not self._empty(self.folds[-1]):
            self._clock()
        return self.machine.finish()

    def _empty(self, last: _Fold) -> bool:
        """Whether all of a fold's stream has entered and nothing is under way any more."""
        if last.start + last.steps > self.machine.clocks:
            return False
        moving = (self._onward(row[:-1]) for row in self.streams)
        return all(token is None for row in (*moving, *self.sums) for token in row)

    def _onward(self, row: Sequence[Token | None]) -> list[Token | None]:
        """Tokens that go one column further: none beyond the columns of their fold."""
        return [
            token if token is not None and c + 1 < len(self.folds[token.fold].placed.columns)
            else None
            for c, token in enumerate(row)
        ]

    def _clock(self) -> None:
        t = self.machine.clocks
        self._choose_current(t)
        self._feed(t)
        self._multiply(t)
        self._load(t)
        self.machine.clocks += 1
        entering = any(0 <= t - fold.start < fold.steps for fold in self.folds if fold.start >= 0)
        self.machine.compute += entering
        if self.array.folds == "drained":
            self._next()

    def _next(self) -> None:
        """Decide on the next load and stream: a stream needs an empty array and a full load."""
        t, hidden = self.machine.clocks, self.array.load == "hidden"
        f = next((f for f, fold in enumerate(self.folds) if fold.start < 0), 0)
        if f == 0:
            return
        fold, before = self.folds[f], self.folds[f - 1]
        rows, empty = len(fold.placed.rows), self._empty(before)
        if hidden and empty and t >= fold.load + rows:
            fold.start = t
            if f + 1 < len(self.folds):
                self.folds[f + 1].load = t
        if not hidden and empty:
            fold.load, fold.start = t, t + rows

    def _choose_current(self, t: int) -> None:
        """Folds that may be loading or entering; all others are done, or have yet to begin."""
        for f in range(self.done, len(self.folds)):
            fold = self.folds[f]
            last = fold.start + fold.steps + self.array.rows + self.array.columns
            if fold.start < 0 or last > t:
                break
            self.done = f + 1
        self.current = []
        for f in range(self.done, len(self.folds)):
            if not 0 <= self.folds[f].load <= t:
                break
            self.current.append((f, self.folds[f]))

    def _feed(self, t: int) -> None:
        """A enters from the left, skewed; what is in the array goes one column further."""
        left: list[Token | None] = [None] * self.array.rows
        for f, fold in self.current:
            if fold.start < 0:
                continue
            for r, row in enumerate(fold.placed.rows):
                step = t - fold.start - r
                if 0 <= step < fold.steps:
                    value = None if row is None else self.A[row[0]][fold.first + step][row[1]]
                    left[r] = Token(value, f, step, -1 if row is None else row[0])
        self.events[f"{self.moving}_sram_read_bits"] += self.moving_bits * count_values([left])
        for r, row_of in enumerate(self.streams):
            self.streams[r] = [left[r], *self._onward(row_of[:-1])]
        written = self.moving_bits * count_values(self.streams)
        self.events[f"{self.moving}_register_write_bits"] += written

    def _multiply(self, t: int) -> None:
        """Sums go down a row, take up a product where there is one, and leave at the end."""
        R, C = self.array.rows, self.array.columns
        above: list[list[Token | None]] = [[None] * C, *self.sums[:-1]]
        left_over, self.sums = self.sums[-1], [[None] * C for _ in range(R)]
        assert all(token is None for token in left_over), "sums leave at the end of their fold"
        for r in range(R):
            for c in range(C):
                token = self._one(r, c, above[r][c])
                if token is not None and r == len(self.folds[token.fold].placed.rows) - 1:
                    self._accumulate(token, c)
                else:
                    self.sums[r][c] = token

    def _one(self, r: int, c: int, carried: Token | None) -> Token | None:
        """The sum that one PE makes in this clock."""
        a = self.streams[r][c]
        if a is None:
            assert carried is None, "a sum meets its row of the stream"
            return None
        assert (carried is None) == (r == 0), "a sum starts in row 0"
        assert carried is None or (carried.fold, carried.step) == (a.fold, a.step), "in step"
        value = None if carried is None else carried.value
        if self._multiplies(a, r, c):
            b = self.held[a.fold % len(self.held)][r][c]
            assert b is not None, "the load is there"
            assert (b.fold, b.step, b.group) == (a.fold, r, a.group), "it is the right one"
            assert a.value is not None, "both have values"
            assert b.value is not None, "both have values"
            value = (value or 0) + a.value * b.value
            self.events["macs"] += 1
            self.events["pe_operations"] += 1
        elif value is not None:
            self.events["accumulator_move_bits"] += self.p.accumulator_bits
        return Token(value, a.fold, a.step)

    def _multiplies(self, a: Token, r: int, c: int) -> bool:
        """Whether this PE has work: both lines are of one group."""
        row, column = self.folds[a.fold].placed.rows[r], self.folds[a.fold].placed.columns[c]
        return row is not None and column is not None and row[0] == column[0]

    def _accumulate(self, token: Token, c: int) -> None:
        """Add what leaves a column to the accumulator memory; the first fold only writes."""
        column = self.folds[token.fold].placed.columns[c]
        if token.value is None or column is None:
            return
        line = self.folds[token.fold].first + token.step
        m, n = (line, column[1]) if self.moving == "input" else (column[1], line)
        place, bits = (column[0], m, n), self.p.accumulator_bits
        before = self.machine.results.get(place)
        if before is not None:
            self.events["output_sram_read_bits"] += bits
        self.machine.results[place] = token.value + (before or 0)
        self.events["output_sram_write_bits"] += bits

    def _load(self, t: int) -> None:
        """B is shifted in from the top, the deepest row first, and stops in its row."""
        for bank, held in enumerate(self.held):
            for c in range(self.array.columns):
                for r in reversed(range(1, self.array.rows)):
                    token = held[r - 1][c]
                    if token is not None and token.step > r - 1:
                        held[r][c], held[r - 1][c] = token, None
                        self._written()
                entering = self._entering(t - c, c, bank)
                if entering is not None:
                    held[0][c] = entering
                    self.events[f"{self.still}_sram_read_bits"] += self.still_bits
                    self._written()

    def _written(self) -> None:
        self.events[f"{self.still}_register_write_bits"] += self.still_bits

    def _entering(self, t: int, c: int, bank: int) -> Token | None:
        """What the top of column ``c`` takes in; ``t`` is the clock of column 0."""
        for f, fold in self.current:
            rows, columns = fold.placed.rows, fold.placed.columns
            if f % len(self.held) != bank or c >= len(columns):
                continue
            r = len(rows) - 1 - (t - fold.load)
            if not 0 <= r < len(rows):
                continue
            row, column = rows[r], columns[c]
            if row is not None and column is not None and row[0] == column[0]:
                value = self.B[row[0]][row[1]][column[1]]
                return Token(value, f, r, row[0])
        return None
