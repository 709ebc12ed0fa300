"""When folds start and end: spans of folds that are put together without walking over them.

A product needs many folds, of at most a few sizes, in a regular order. A :class:`Span` knows of a
sequence of folds only the first, the last and two distances; joining two of them, or repeating one,
is a handful of operations. Clause [7.3.5] of the specification derives the rules of
:class:`Timing`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hwsim.lanes import Whole, larger, pick


class Fold(NamedTuple):
    """A load of the array: ``rows`` x ``columns`` of PEs take part, ``steps`` are streamed."""

    rows: Whole
    columns: Whole
    steps: Whole


class Timing(NamedTuple):
    """The rules of a machine: clocks between starts of two folds, and from a start to the end.

    A fold starts when its first operands enter row 0 and column 0; it ends when its last result has
    left the array.
    """

    interval: Callable[[Fold, Fold], Whole]
    length: Callable[[Fold], Whole]


class Span(NamedTuple):
    """A sequence of folds.

    ``lead`` clocks lie between the starts of its first and its last fold; after ``end`` clocks from
    the first start every result has left.
    """

    first: Fold
    last: Fold
    lead: Whole
    end: Whole


def single(fold: Fold, timing: Timing) -> Span:
    """One fold."""
    return Span(fold, fold, 0, timing.length(fold))


def joined(a: Span, b: Span, timing: Timing) -> Span:
    """``b`` after ``a``."""
    start = a.lead + timing.interval(a.last, b.first)
    return Span(a.first, b.last, start + b.lead, larger(a.end, start + b.end))


def repeated(a: Span, times: Whole, timing: Timing) -> Span:
    """``a`` the given number of times (at least once)."""
    start = (times - 1) * (a.lead + timing.interval(a.last, a.first))
    return Span(a.first, a.last, start + a.lead, start + a.end)


def run(count: Whole, body: Span, last: Span, timing: Timing) -> Span:
    """``count`` spans, all but the last like ``body``."""
    several = joined(repeated(body, larger(count - 1, 1), timing), last, timing)
    return _pick(count > 1, several, last)


def _pick(condition: Whole, a: Span, b: Span) -> Span:
    return Span(
        Fold(*(pick(condition, x, y) for x, y in zip(a.first, b.first, strict=True))),
        Fold(*(pick(condition, x, y) for x, y in zip(a.last, b.last, strict=True))),
        pick(condition, a.lead, b.lead),
        pick(condition, a.end, b.end),
    )


def output_timing(drain: str, folds: str) -> Timing:
    """Results stay and are drained [7.3.5].

    The last PE is done K + r + c - 2 clocks after the start. On a bus its result leaves in that
    clock; down the columns r more are needed, and a column carries one result a clock.
    """
    def length(f: Fold) -> Whole:
        return f.steps + f.rows + f.columns - 2 + (f.rows if drain == "columns" else 0)

    def overlapped(a: Fold, b: Fold) -> Whole:
        if drain == "bus":
            return a.steps
        return larger(a.steps, larger(a.rows, 2 * a.rows - b.rows))

    return Timing(overlapped if folds == "overlapped" else lambda a, b: length(a), length)


def stationary_timing(load: str, folds: str) -> Timing:
    """An operand stays, the other streams past it [7.3.5].

    The last sum leaves T + r + c - 2 clocks after the start. Loading a fold takes a clock for each
    of its rows; a hidden load starts with the stream of the fold before.
    """
    def length(f: Fold) -> Whole:
        return f.steps + f.rows + f.columns - 2

    def drained(a: Fold, b: Fold) -> Whole:
        return larger(length(a), b.rows) if load == "hidden" else length(a) + b.rows

    def overlapped(a: Fold, b: Fold) -> Whole:
        if load == "hidden":
            return larger(a.steps + larger(0, a.rows - b.rows), b.rows)
        return a.steps + larger(b.rows, a.rows - b.rows)

    return Timing(overlapped if folds == "overlapped" else drained, length)
