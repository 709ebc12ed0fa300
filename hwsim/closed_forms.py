"""The arithmetic of the closed forms: clocks and counts for one case, or for a lane a case.

``p`` is a :class:`hwsim.counts.Problem` and ``a`` a :class:`hwsim.counts.Array`, or anything whose
sizes are arrays of integers of one length (:mod:`hwsim.batch`); the options are the same for all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hwsim.checks import ceil_div
from hwsim.counts import Activity, Counts
from hwsim.folds import (
    Fold,
    Span,
    Timing,
    output_timing,
    repeated,
    run,
    single,
    stationary_timing,
)
from hwsim.lanes import Whole, larger, pick, smaller

#: Stages of a bit-serial unit: AND and popcount, shift and negate, accumulate, write the result.
BITSERIAL_STAGES = 4


class Work(NamedTuple):
    """Clocks in which new work enters, all clocks, and the counts by name."""

    compute_cycles: Whole
    cycles: Whole
    counts: dict[str, Whole]

    def activity(self) -> Activity:
        """The record, for one case."""
        return Activity(
            compute_cycles=self.compute_cycles,
            fill_drain_cycles=self.cycles - self.compute_cycles,
            counts=Counts(**self.counts),
        )


def packs(groups: Whole, rows: Whole, columns: Whole, array: Any) -> Whole:
    """Groups that lie on the diagonal of one fold; a group needs ``rows`` x ``columns`` PEs."""
    if array.grouping == "serial":
        return 1
    fit = smaller(array.rows // rows, array.columns // columns)
    return larger(1, smaller(fit, groups))


def _cuts(total: Whole, size: Whole) -> tuple[Whole, Whole, Whole]:
    """Number of pieces of ``size`` that cover ``total``, the size of all but the last, its size."""
    count = ceil_div(total, size)
    return count, smaller(size, total), total - (count - 1) * size


def blocks(total: Whole, size: Whole, value: Callable[[Whole], Whole]) -> Whole:
    """Sum of ``value(used)`` over the pieces of ``size`` that cover ``total``."""
    count, body, last = _cuts(total, size)
    return (count - 1) * value(body) + value(last)


def _triangle(count: Whole) -> Whole:
    """0 + 1 + ... + (count - 1)."""
    return count * (count - 1) // 2


def output_work(p: Any, a: Any) -> Work:
    """Clocks and counts of the output-stationary array."""
    q = packs(p.groups, p.m, p.n, a)
    row_folds, column_folds = ceil_div(p.m, a.rows), ceil_div(p.n, a.columns)
    inputs = p.groups * p.m * p.k * column_folds
    weights = p.groups * p.k * p.n * row_folds
    full, results = a.edges == "full", p.groups * p.m * p.n
    moves = 0
    if a.drain == "columns":
        def moved(used: Whole) -> Whole:
            return used * (a.rows - 1) - _triangle(used) if full else _triangle(used)

        serial = p.groups * p.n * blocks(p.m, a.rows, moved)
        moves = pick(q > 1, p.n * blocks(p.groups, q, lambda held: moved(held * p.m)), serial)
        moves += results if a.folds == "overlapped" else 0
    # On a cut edge an operand goes no further than the PEs that need it; packed, than the pack.
    across = pick(q > 1, p.m * p.k * blocks(p.groups, q, lambda held: held * held * p.n), p.macs)
    down = pick(q > 1, p.k * p.n * blocks(p.groups, q, lambda held: held * held * p.m), p.macs)
    compute = p.k * pick(q > 1, ceil_div(p.groups, q), p.groups * row_folds * column_folds)
    return Work(compute, _output_span(p, a, q).end, {
        "macs": p.macs,
        "pe_operations": p.macs,
        "input_register_write_bits": (inputs * a.columns if full else across) * p.input_bits,
        "weight_register_write_bits": (weights * a.rows if full else down) * p.weight_bits,
        "accumulator_move_bits": moves * p.accumulator_bits,
        "input_sram_read_bits": inputs * p.input_bits,
        "weight_sram_read_bits": weights * p.weight_bits,
        "output_sram_write_bits": results * p.output_bits,
    })


def _output_span(p: Any, a: Any, q: Whole) -> Span:
    """Row folds outermost, column folds within; groups one after the other, or in packs."""
    timing, full = output_timing(a.drain, a.folds), a.edges == "full"

    def fold(rows: Whole, columns: Whole) -> Span:
        size = (a.rows, a.columns) if full else (rows, columns)
        return single(Fold(*size, p.k), timing)

    row_folds, rows, last_rows = _cuts(p.m, a.rows)
    column_folds, columns, last_columns = _cuts(p.n, a.columns)
    stripe, last_stripe = (
        run(column_folds, fold(r, columns), fold(r, last_columns), timing)
        for r in (rows, last_rows)
    )
    serial = repeated(run(row_folds, stripe, last_stripe, timing), p.groups, timing)
    if a.grouping == "serial":
        return serial
    return _pick_packed(p, q, serial, lambda held: fold(held * p.m, held * p.n), timing)


def _pick_packed(
    p: Any, q: Whole, serial: Span, pack: Callable[[Whole], Span], timing: Timing
) -> Span:
    """Packs of ``q`` groups where more than one fits the diagonal, else the serial span."""
    count, held, last = _cuts(p.groups, q)
    packed = run(count, pack(held), pack(last), timing)
    fields = (pick(q > 1, x, y) for x, y in zip(packed[2:], serial[2:], strict=True))
    first = Fold(*(pick(q > 1, x, y) for x, y in zip(packed.first, serial.first, strict=True)))
    return Span(first, packed.last, *fields)


class _Streams(NamedTuple):
    """A product as the stationary arrays see it: (k, columns) stay, ``streamed`` rows of k pass."""

    k: Whole
    columns: Whole
    streamed: Whole
    groups: Whole
    moving_bits: Whole
    held_bits: Whole


def weight_work(p: Any, a: Any) -> Work:
    """Clocks and counts of the weight-stationary array."""
    held = _Streams(p.k, p.n, p.m, p.groups, p.input_bits, p.weight_bits)
    return _stationary_work(p, a, held, moving="input", still="weight")


def input_work(p: Any, a: Any) -> Work:
    """Clocks and counts of the input-stationary array."""
    held = _Streams(p.k, p.m, p.n, p.groups, p.weight_bits, p.input_bits)
    return _stationary_work(p, a, held, moving="weight", still="input")


def _stationary_work(p: Any, a: Any, s: _Streams, *, moving: str, still: str) -> Work:
    q = packs(s.groups, s.k, s.columns, a)
    room = s.streamed if a.pass_rows is None else a.pass_rows
    passes = ceil_div(s.streamed, room)
    row_folds, column_folds = ceil_div(s.k, a.rows), ceil_div(s.columns, a.columns)
    moved = s.groups * s.streamed * s.k * column_folds
    results, full = p.groups * p.m * p.n, a.edges == "full"
    deep = s.groups * blocks(s.k, a.rows, lambda used: _triangle(used + 1))
    deep = pick(q > 1, blocks(s.groups, q, lambda held: _triangle(held * s.k + 1)), deep)
    across = pick(
        q > 1, s.streamed * s.k * blocks(s.groups, q, lambda held: held * held * s.columns), p.macs
    )
    below = _passed_rows(s, a, q, row_folds)
    count = pick(q > 1, ceil_div(s.groups, q), s.groups * row_folds * column_folds)
    span = _stationary_span(s, a, q, room)
    sums = results * p.accumulator_bits
    return Work(count * s.streamed, span.first.rows + span.end, {
        "macs": p.macs,
        "pe_operations": p.macs,
        f"{moving}_register_write_bits": (moved * a.columns if full else across) * s.moving_bits,
        f"{still}_register_write_bits": s.columns * deep * passes * s.held_bits,
        "accumulator_move_bits": s.streamed * s.columns * below * p.accumulator_bits,
        f"{moving}_sram_read_bits": moved * s.moving_bits,
        f"{still}_sram_read_bits": s.groups * s.k * s.columns * passes * s.held_bits,
        "output_sram_read_bits": sums * (row_folds - 1),
        "output_sram_write_bits": sums * row_folds,
    })


def _passed_rows(s: _Streams, a: Any, q: Whole, row_folds: Whole) -> Whole:
    """Rows that a sum only passes on its way down, added over folds and groups."""
    def packed(held: Whole) -> Whole:
        rows = a.rows if a.edges == "full" else held * s.k
        return held * rows - s.k * _triangle(held + 1)

    serial = s.groups * (row_folds * a.rows - s.k) if a.edges == "full" else 0
    return pick(q > 1, blocks(s.groups, q, packed), serial)


def _stationary_span(s: _Streams, a: Any, q: Whole, room: Whole) -> Span:
    """Column folds outermost, passes within, row folds innermost; groups in turn, or in packs."""
    timing, full = stationary_timing(a.load, a.folds), a.edges == "full"
    passes, steps, last_steps = _cuts(s.streamed, room)

    def fold(rows: Whole, columns: Whole, steps: Whole) -> Span:
        size = (a.rows, a.columns) if full else (rows, columns)
        return single(Fold(*size, steps), timing)

    row_folds, rows, last_rows = _cuts(s.k, a.rows)
    column_folds, columns, last_columns = _cuts(s.columns, a.columns)

    def column(c: Whole) -> Span:
        one, last = (
            run(row_folds, fold(rows, c, t), fold(last_rows, c, t), timing)
            for t in (steps, last_steps)
        )
        return run(passes, one, last, timing)

    across = run(column_folds, column(columns), column(last_columns), timing)
    serial = repeated(across, s.groups, timing)
    if a.grouping == "serial":
        return serial

    def pack(held: Whole) -> Span:
        one, last = (fold(held * s.k, held * s.columns, t) for t in (steps, last_steps))
        return run(passes, one, last, timing)

    return _pick_packed(s, q, serial, pack, timing)


def bit_serial_work(p: Any, a: Any) -> Work:
    """Clocks and counts of the bit-serial array; groups run one after the other."""
    row_folds, column_folds = ceil_div(p.m, a.rows), ceil_div(p.n, a.columns)
    slices = ceil_div(p.k, a.depth)
    planes = p.input_bits * p.weight_bits
    compute = p.groups * row_folds * column_folds * slices * planes
    return Work(compute, compute + p.groups * (BITSERIAL_STAGES - 1), {
        "macs": p.macs,
        "pe_operations": p.groups * p.m * p.n * slices * planes,
        "input_sram_read_bits": p.groups * p.m * p.k * planes * column_folds,
        "weight_sram_read_bits": p.groups * p.k * p.n * planes * row_folds,
        "output_sram_write_bits": p.groups * p.m * p.n * p.output_bits,
    })
