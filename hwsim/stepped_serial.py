"""The bit-serial machine, one clock at a time: AND, popcount, shift, accumulate.

Beside :mod:`hwsim.stepped`, and like it independent of the closed forms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from hwsim.counts import Activity, Array, Counts, Problem
from hwsim.stepped_parts import Matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What enters the pipeline in one clock: a tile, a slice of k, and a pair of bit planes."""

    m0: int
    n0: int
    k0: int
    input_plane: int
    weight_plane: int
    last: bool


@dataclass(slots=True)
class _InFlight:
    """A step in a pipeline register with the number each unit (row, column) holds."""

    step: _Step
    values: dict[tuple[int, int], int]


def _steps(p: Problem, array: Array) -> Iterator[_Step]:
    planes = [(i, j) for i in range(p.input_bits) for j in range(p.weight_bits)]
    for m0 in range(0, p.m, array.rows):
        for n0 in range(0, p.n, array.columns):
            for k0 in range(0, p.k, array.depth):
                for i, j in planes:
                    last = k0 + array.depth >= p.k and (i, j) == planes[-1]
                    yield _Step(m0=m0, n0=n0, k0=k0, input_plane=i, weight_plane=j, last=last)


class _Units:
    """The array of AND-popcount units with its operands and its event counters."""

    def __init__(self, X: Matrix, W: Matrix, p: Problem, array: Array, signed: tuple[bool, bool]):
        self.X, self.W, self.p, self.array, self.signed = X, W, p, array, signed
        self.events: Counter[str] = Counter()

    def popcount(self, step: _Step) -> _InFlight:
        """Read the planes once a row and column, AND them in every unit, count the ones."""
        p, events = self.p, self.events
        ks = range(step.k0, min(step.k0 + self.array.depth, p.k))
        rows = range(step.m0, min(step.m0 + self.array.rows, p.m))
        columns = range(step.n0, min(step.n0 + self.array.columns, p.n))
        left = {m: [self.X[m][k] >> step.input_plane & 1 for k in ks] for m in rows}
        right = {n: [self.W[k][n] >> step.weight_plane & 1 for k in ks] for n in columns}
        events["input_sram_read_bits"] += sum(map(len, left.values()))
        events["weight_sram_read_bits"] += sum(map(len, right.values()))
        values = {}
        for m in rows:
            for n in columns:
                values[m, n] = sum(a & b for a, b in zip(left[m], right[n], strict=True))
                events["pe_operations"] += 1
                if step.input_plane == step.weight_plane == 0:
                    events["macs"] += len(ks)
        return _InFlight(step, values)

    def shift(self, at: _InFlight) -> _InFlight:
        """Weigh the counts by 2**(planes); the top plane of a signed operand counts negative."""
        step, p = at.step, self.p
        negative = (self.signed[0] and step.input_plane == p.input_bits - 1) != (
            self.signed[1] and step.weight_plane == p.weight_bits - 1
        )
        weight = (-1 if negative else 1) << (step.input_plane + step.weight_plane)
        return _InFlight(step, {unit: count * weight for unit, count in at.values.items()})


def bit_serial(
    X: Matrix, W: Matrix, problem: Problem, array: Array, *, signed: tuple[bool, bool]
) -> tuple[list[list[int]], Activity]:
    """Run X W on a bit-serial array; ``signed`` says whether X and W are two's complement.

    Values must fit ``problem.input_bits`` and ``problem.weight_bits``. Returns (product, activity).
    """
    units = _Units(X, W, problem, array, signed)
    steps = _steps(problem, array)
    results = [[0] * problem.n for _ in range(problem.m)]
    counted: _InFlight | None = None
    shifted: _InFlight | None = None
    finished: dict[tuple[int, int], int] | None = None
    sums: dict[tuple[int, int], int] = {}
    clocks = compute = 0
    while True:
        entering = next(steps, None)
        if entering is None and counted is None and shifted is None and finished is None:
            break
        if finished is not None:
            for (m, n), value in finished.items():
                results[m][n] = value
                units.events["output_sram_write_bits"] += problem.output_bits
            finished = None
        if shifted is not None:
            for unit, value in shifted.values.items():
                sums[unit] = sums.get(unit, 0) + value
            if shifted.step.last:
                finished, sums = sums, {}
        shifted = units.shift(counted) if counted is not None else None
        counted = units.popcount(entering) if entering is not None else None
        clocks += 1
        compute += entering is not None
    activity = Activity(
        compute_cycles=compute, fill_drain_cycles=clocks - compute, counts=Counts(**units.events)
    )
    return results, activity
