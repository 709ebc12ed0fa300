"""Closed forms: clocks and counts of each dataflow on an array, in a handful of products.

Chapter [7.3] of the specification derives each by hand. :mod:`hwsim.stepped` moves the values one
clock at a time and must give the same integers for every problem and array.

Letters: X (m, k) inputs, W (k, n) weights; the array has R rows and C columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwsim.checks import ceil_div
from hwsim.counts import Activity, Array, Counts, Problem

#: Stages of a bit-serial unit: AND and popcount, shift and negate, accumulate, write the result.
BITSERIAL_STAGES = 4


def _over_folds(total: int, size: int, value: Callable[[int], int]) -> int:
    """Sum of ``value(used)`` over folds of ``size`` that cover ``total``, the last one cut."""
    full, rest = divmod(total, size)
    return full * value(size) + (value(rest) if rest else 0)


def output_stationary(problem: Problem, array: Array) -> Activity:
    """Results stay in the PEs, K steps a fold, then R clocks of drain down the columns [7.3.1].

    A fold computes R rows of X against C columns of W in K + (R-1) + (C-1) clocks up to the last
    MAC; its results leave through the column links in R more: 2R + C + K - 2, as RTL confirms.
    Every fold lasts as long as a full one.

    >>> output_stationary(Problem(m=10, n=6, k=7), Array(rows=4, columns=4)).cycles
    102
    """
    p, R, C = problem, array.rows, array.columns
    row_folds, column_folds = ceil_div(p.m, R), ceil_div(p.n, C)
    folds = row_folds * column_folds
    drained = p.n * _over_folds(p.m, R, lambda r: r * (R - 1) - r * (r - 1) // 2)
    inputs = p.m * p.k * column_folds * p.input_bits
    weights = p.k * p.n * row_folds * p.weight_bits
    return Activity(
        compute_cycles=folds * p.k,
        fill_drain_cycles=folds * (2 * R + C - 2),
        counts=Counts(
            macs=p.macs,
            pe_operations=p.macs,
            input_register_write_bits=inputs * C,
            weight_register_write_bits=weights * R,
            accumulator_move_bits=drained * p.accumulator_bits,
            input_sram_read_bits=inputs,
            weight_sram_read_bits=weights,
            output_sram_write_bits=p.m * p.n * p.output_bits,
        ),
    )


def weight_stationary(problem: Problem, array: Array) -> Activity:
    """Weights stay in the PEs while rows of X stream past and sums run down the columns [7.3.2].

    A fold loads R x C weights in R clocks, then streams T rows in T + (R-1) + (C-1) clocks, in all
    2R + C + T - 2. T is m, or at most ``array.pass_rows`` where the accumulators under a column
    hold no more; the weights are then loaded again for every pass. From the second row fold on,
    sums are read and written back.

    >>> weight_stationary(Problem(m=7, n=6, k=10), Array(rows=4, columns=4)).cycles
    102
    """
    p, R, C = problem, array.rows, array.columns
    passes = ceil_div(p.m, array.pass_rows or p.m)
    row_folds, column_folds = ceil_div(p.k, R), ceil_div(p.n, C)
    folds = row_folds * column_folds
    loaded = p.n * passes * _over_folds(p.k, R, lambda r: r * (r + 1) // 2)
    inputs = p.m * p.k * column_folds * p.input_bits
    results = p.m * p.n
    return Activity(
        compute_cycles=folds * p.m,
        fill_drain_cycles=folds * passes * (2 * R + C - 2),
        counts=Counts(
            macs=p.macs,
            pe_operations=p.macs,
            input_register_write_bits=inputs * C,
            weight_register_write_bits=loaded * p.weight_bits,
            accumulator_move_bits=results * (row_folds * R - p.k) * p.accumulator_bits,
            input_sram_read_bits=inputs,
            weight_sram_read_bits=p.k * p.n * passes * p.weight_bits,
            output_sram_read_bits=results * (row_folds - 1) * p.accumulator_bits,
            output_sram_write_bits=results * row_folds * p.accumulator_bits,
        ),
    )


def bit_serial(problem: Problem, array: Array) -> Activity:
    """Bit planes of X against bit planes of W, ``depth`` products a unit and clock [7.3.3].

    BISMO's law: ceil(m/R) ceil(n/C) ceil(k/depth) input_bits weight_bits clocks; the four-stage
    pipeline adds 3, once, since tiles follow each other without a gap.

    >>> bit_serial(Problem(m=8, n=8, k=300, input_bits=2, weight_bits=2),
    ...            Array(rows=8, columns=8, depth=256)).cycles
    11
    """
    p = problem
    row_folds, column_folds = ceil_div(p.m, array.rows), ceil_div(p.n, array.columns)
    slices = ceil_div(p.k, array.depth)
    planes = p.input_bits * p.weight_bits
    return Activity(
        compute_cycles=row_folds * column_folds * slices * planes,
        fill_drain_cycles=BITSERIAL_STAGES - 1,
        counts=Counts(
            macs=p.macs,
            pe_operations=p.m * p.n * slices * planes,
            input_sram_read_bits=p.m * p.k * planes * column_folds,
            weight_sram_read_bits=p.k * p.n * planes * row_folds,
            output_sram_write_bits=p.m * p.n * p.output_bits,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataflow:
    """A named way to run a matrix product on an array, with its closed form."""

    name: str
    style: str
    activity: Callable[[Problem, Array], Activity]
    meaning: str


#: Every dataflow; ``style`` is the PE style it needs (:mod:`hwsim.pe`).
DATAFLOWS: tuple[Dataflow, ...] = (
    Dataflow(
        name="os", style="mac", activity=output_stationary,
        meaning="output-stationary, drained through the columns",
    ),
    Dataflow(
        name="ws", style="mac", activity=weight_stationary,
        meaning="weight-stationary, weights shifted in before every fold",
    ),
    Dataflow(
        name="bitserial", style="popcount", activity=bit_serial,
        meaning="bit planes on AND-popcount units, results stay until finished",
    ),
)
