"""The slow, obvious machines: values move through registers, one clock at a time.

Each function takes X (m, k) and W (k, n) as rows of Python ints and returns the product it really
computed, with the clocks and events it saw. Nothing here is derived: a clock is a loop step, a
count is an increment where the event happens. :mod:`hwsim.dataflow` must agree, and this file does
not know it.

``None`` in a register means that nothing valid is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from hwsim.counts import Activity, Array, Counts, Problem

Matrix: TypeAlias = Sequence[Sequence[int]]
Registers: TypeAlias = list[list[int | None]]


def plain_product(X: Matrix, W: Matrix) -> list[list[int]]:
    """X (m, k) times W (k, n), three loops.

    >>> plain_product([[1, 2]], [[3], [-4]])
    [[-5]]
    """
    columns = list(zip(*W, strict=True))
    return [[sum(x * w for x, w in zip(row, col, strict=True)) for col in columns] for row in X]


def _empty(rows: int, columns: int) -> Registers:
    return [[None] * columns for _ in range(rows)]


class _Machine:
    """Clocks and events of a run, and the results that have left the array."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.clocks = 0
        self.compute = 0
        self.events: Counter[str] = Counter()
        self.results: list[list[int | None]] = _empty(problem.m, problem.n)

    def tick(self, computing: bool = False) -> None:
        self.clocks += 1
        self.compute += computing

    def finish(self) -> tuple[list[list[int]], Activity]:
        values = [[v for v in row if v is not None] for row in self.results]
        return values, Activity(
            compute_cycles=self.compute,
            fill_drain_cycles=self.clocks - self.compute,
            counts=Counts(**self.events),
        )


def output_stationary(
    X: Matrix, W: Matrix, problem: Problem, array: Array
) -> tuple[list[list[int]], Activity]:
    """Run X W on an output-stationary array; returns (product, activity)."""
    machine = _Machine(problem)
    for m0 in range(0, problem.m, array.rows):
        for n0 in range(0, problem.n, array.columns):
            sums = _os_multiply(X, W, m0, n0, machine, array)
            _os_drain(sums, m0, n0, machine, array)
    return machine.finish()


def _os_multiply(
    X: Matrix, W: Matrix, m0: int, n0: int, machine: _Machine, array: Array
) -> Registers:
    """Stream K steps with one clock of skew a row and column, until the last PE is done."""
    p, R, C, events = machine.problem, array.rows, array.columns, machine.events
    inputs, weights, sums = _empty(R, C), _empty(R, C), _empty(R, C)
    for t in range(p.k + R + C - 2):
        for r in range(R):
            step = t - r
            enters = 0 <= step < p.k and m0 + r < p.m
            events["input_sram_read_bits"] += p.input_bits * enters
            inputs[r] = [X[m0 + r][step] if enters else None, *inputs[r][:-1]]
        top: list[int | None] = []
        for c in range(C):
            enters = 0 <= t - c < p.k and n0 + c < p.n
            events["weight_sram_read_bits"] += p.weight_bits * enters
            top.append(W[t - c][n0 + c] if enters else None)
        weights = [top, *weights[:-1]]
        for r in range(R):
            for c in range(C):
                x, w = inputs[r][c], weights[r][c]
                events["input_register_write_bits"] += p.input_bits * (x is not None)
                events["weight_register_write_bits"] += p.weight_bits * (w is not None)
                if x is not None and w is not None:
                    sums[r][c] = (sums[r][c] or 0) + x * w
                    events["macs"] += 1
                    events["pe_operations"] += 1
        machine.tick(computing=t < p.k)
    return sums


def _os_drain(sums: Registers, m0: int, n0: int, machine: _Machine, array: Array) -> None:
    """Shift the sums down; the bottom row leaves at every clock."""
    p, R, events = machine.problem, array.rows, machine.events
    for t in range(R):
        for c, value in enumerate(sums[-1]):
            if value is not None:
                machine.results[m0 + R - 1 - t][n0 + c] = value
                events["output_sram_write_bits"] += p.output_bits
        moved = sum(v is not None for row in sums[:-1] for v in row)
        events["accumulator_move_bits"] += p.accumulator_bits * moved
        sums = [[None] * array.columns, *sums[:-1]]
        machine.tick()


def weight_stationary(
    X: Matrix, W: Matrix, problem: Problem, array: Array
) -> tuple[list[list[int]], Activity]:
    """Run X W on a weight-stationary array; returns (product, activity)."""
    machine = _Machine(problem)
    rows = array.pass_rows or problem.m
    for n0 in range(0, problem.n, array.columns):
        for first in range(0, problem.m, rows):
            last = min(first + rows, problem.m)
            for k0 in range(0, problem.k, array.rows):
                held = _ws_load(W, k0, n0, machine, array)
                _ws_stream(X, held, (first, last, k0, n0), machine, array)
    return machine.finish()


def _ws_load(W: Matrix, k0: int, n0: int, machine: _Machine, array: Array) -> Registers:
    """Shift R rows of weights in from the top, the deepest first."""
    p, R, events = machine.problem, array.rows, machine.events
    held = _empty(R, array.columns)
    for t in range(R):
        k = k0 + R - 1 - t
        row: list[int | None] = []
        for c in range(array.columns):
            valid = k < p.k and n0 + c < p.n
            events["weight_sram_read_bits"] += p.weight_bits * valid
            row.append(W[k][n0 + c] if valid else None)
        held = [row, *held[:-1]]
        latched = sum(w is not None for line in held for w in line)
        events["weight_register_write_bits"] += p.weight_bits * latched
        machine.tick()
    return held


def _ws_stream(
    X: Matrix, held: Registers, span: tuple[int, int, int, int], machine: _Machine, array: Array
) -> None:
    """Rows of X enter from the left, skewed; sums run down and are added up under the columns."""
    p, R, C, events = machine.problem, array.rows, array.columns, machine.events
    first, last, k0, n0 = span
    inputs, sums = _empty(R, C), _empty(R, C)
    for t in range(last - first + R + C - 2):
        for r in range(R):
            m = first + t - r
            enters = first <= m < last and k0 + r < p.k
            events["input_sram_read_bits"] += p.input_bits * enters
            inputs[r] = [X[m][k0 + r] if enters else None, *inputs[r][:-1]]
        above: list[list[int | None]] = [[None] * C, *sums[:-1]]
        sums = _empty(R, C)
        for r in range(R):
            for c in range(C):
                x, w, carried = inputs[r][c], held[r][c], above[r][c]
                events["input_register_write_bits"] += p.input_bits * (x is not None)
                if x is not None and w is not None:
                    sums[r][c] = (carried or 0) + x * w
                    events["macs"] += 1
                    events["pe_operations"] += 1
                elif carried is not None:
                    sums[r][c] = carried
                    events["accumulator_move_bits"] += p.accumulator_bits
        for c in range(C):
            _ws_accumulate(sums[-1][c], first + t - (R - 1) - c, n0 + c, machine)
        machine.tick(computing=t < last - first)


def _ws_accumulate(value: int | None, m: int, n: int, machine: _Machine) -> None:
    """Add what leaves a column to the accumulator memory; the first fold only writes."""
    if value is None:
        return
    bits = machine.problem.accumulator_bits
    before = machine.results[m][n]
    if before is not None:
        machine.events["output_sram_read_bits"] += bits
    machine.results[m][n] = value + (before or 0)
    machine.events["output_sram_write_bits"] += bits
