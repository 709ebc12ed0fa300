"""What the stepped machines are made of: folds on the array, tokens in registers, claims, events.

A register holds a token or ``None``. On full edges a fold also has tokens without a value, bubbles
that pass through the PEs it does not need; they take their time and count as nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from hwsim.counts import Activity, Array, Counts, Problem

Matrix: TypeAlias = Sequence[Sequence[int]]
Product: TypeAlias = list[list[int]]


def plain_product(X: Matrix, W: Matrix) -> Product:
    """X (m, k) times W (k, n), three loops.

    >>> plain_product([[1, 2]], [[3], [-4]])
    [[-5]]
    """
    columns = list(zip(*W, strict=True))
    return [[sum(x * w for x, w in zip(row, col, strict=True)) for col in columns] for row in X]


@dataclass(frozen=True, slots=True)
class Placed:
    """A fold on the array: which line of which group each row and each column serves.

    ``rows`` and ``columns`` are as long as the part of the array that takes part; an entry is
    (group, line), or None for a PE row or column that only has bubbles.
    """

    rows: tuple[tuple[int, int] | None, ...]
    columns: tuple[tuple[int, int] | None, ...]


def placed_folds(
    groups: int, high: int, wide: int, array: Array
) -> Iterator[list[tuple[Placed, ...]]]:
    """For each group, or pack of groups, the folds of a product that needs ``high`` x ``wide`` PEs.

    They come as stripes: all pieces of ``wide`` for one piece of ``high``. A pack is one fold with
    as many groups on its diagonal as fit.
    """
    fit = min(array.rows // high, array.columns // wide)
    if array.grouping == "packed" and min(fit, groups) > 1:
        for g in range(0, groups, fit):
            held = range(g, min(g + fit, groups))
            rows = [(group, line) for group in held for line in range(high)]
            columns = [(group, line) for group in held for line in range(wide)]
            yield [(_placed(rows, columns, array),)]
        return
    for g in range(groups):
        stripes = []
        for r in range(0, high, array.rows):
            rows = [(g, line) for line in range(r, min(r + array.rows, high))]
            stripes.append(tuple(
                _placed(rows, [(g, line) for line in range(c, min(c + array.columns, wide))], array)
                for c in range(0, wide, array.columns)
            ))
        yield stripes


def _placed(
    rows: list[tuple[int, int]], columns: list[tuple[int, int]], array: Array
) -> Placed:
    if array.edges == "cut":
        return Placed(tuple(rows), tuple(columns))
    bubbles: list[None] = [None]
    return Placed(
        (*rows, *bubbles * (array.rows - len(rows))),
        (*columns, *bubbles * (array.columns - len(columns))),
    )


@dataclass(slots=True)
class Claims:
    """Which clocks of which resource are taken; a new fold starts where nothing collides.

    All clocks are those of column 0; in column c everything is c clocks later.
    """

    taken: set[tuple[str, int, int]] = field(default_factory=set)

    def free(self, wanted: set[tuple[str, int, int]]) -> bool:
        """Whether none of the wanted clocks is taken; takes them if so."""
        if not self.taken.isdisjoint(wanted):
            return False
        self.taken |= wanted
        return True


class Token(NamedTuple):
    """A value on its way, None for a bubble; ``fold`` and ``step`` say where it belongs."""

    value: int | None
    fold: int
    step: int
    group: int = -1


@dataclass(slots=True)
class Machine:
    """Clocks and events of a run, and the results that have left the array."""

    problem: Problem
    clocks: int = 0
    compute: int = 0
    events: Counter[str] = field(default_factory=Counter)
    results: dict[tuple[int, int, int], int] = field(default_factory=dict)

    def finish(self) -> tuple[list[Product], Activity]:
        """The products, and what was counted."""
        p = self.problem
        values = [
            [[self.results[g, m, n] for n in range(p.n)] for m in range(p.m)]
            for g in range(p.groups)
        ]
        return values, Activity(
            compute_cycles=self.compute,
            fill_drain_cycles=self.clocks - self.compute,
            counts=Counts(**self.events),
        )


def count_values(registers: Sequence[Sequence[Token | None]]) -> int:
    """Registers that hold a value."""
    return sum(t is not None and t.value is not None for row in registers for t in row)
