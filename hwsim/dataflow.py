"""Dataflows: the named ways to run a matrix product on an array, each with its closed form.

Chapter [7.3] of the specification derives each by hand. :mod:`hwsim.stepped` moves the values one
clock at a time and must give the same integers for every problem, array and option.

Letters: X (m, k) inputs, W (k, n) weights; the array has R rows and C columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hwsim.closed_forms import Work, bit_serial_work, input_work, output_work, weight_work
from hwsim.counts import Activity, Array, Problem
from hwsim.lane_work import lanes_work


def output_stationary(problem: Problem, array: Array) -> Activity:
    """Results stay in the PEs, K steps a fold, then R clocks of drain down the columns [7.3.1].

    A fold computes R rows of X against C columns of W in K + (R-1) + (C-1) clocks up to the last
    MAC; its results leave through the column links in R more: 2R + C + K - 2, as RTL confirms.
    The options of the array change this, [7.3.5] and [7.3.6].

    >>> output_stationary(Problem(m=10, n=6, k=7), Array(rows=4, columns=4)).cycles
    102
    """
    return output_work(problem, array).activity()


def weight_stationary(problem: Problem, array: Array) -> Activity:
    """Weights stay in the PEs while rows of X stream past and sums run down the columns [7.3.2].

    A fold loads R x C weights in R clocks, then streams T rows in T + (R-1) + (C-1) clocks, in all
    2R + C + T - 2. T is m, or at most ``array.pass_rows`` where the accumulators under a column
    hold no more; the weights are then loaded again for every pass. From the second row fold on,
    sums are read and written back.

    >>> weight_stationary(Problem(m=7, n=6, k=10), Array(rows=4, columns=4)).cycles
    102
    """
    return weight_work(problem, array).activity()


def input_stationary(problem: Problem, array: Array) -> Activity:
    """The weight-stationary array with the operands exchanged: X^T stays, rows of W^T pass [7.3.4].

    >>> input_stationary(Problem(m=6, n=7, k=10), Array(rows=4, columns=4)).cycles
    102
    """
    return input_work(problem, array).activity()


def bit_serial(problem: Problem, array: Array) -> Activity:
    """Bit planes of X against bit planes of W, ``depth`` products a unit and clock [7.3.3].

    BISMO's law: ceil(m/R) ceil(n/C) ceil(k/depth) input_bits weight_bits clocks; the four-stage
    pipeline adds 3, once a group, since tiles follow each other without a gap.

    >>> bit_serial(Problem(m=8, n=8, k=300, input_bits=2, weight_bits=2),
    ...            Array(rows=8, columns=8, depth=256)).cycles
    11
    """
    return bit_serial_work(problem, array).activity()


def lanes(problem: Problem, array: Array) -> Activity:
    """Dot products in units of ``depth`` lanes, by the rule of ``array.element`` [7c.2].

    ceil(m/R) ceil(n/C) slices clocks-a-step clocks; the pipeline adds its stages less one, once a
    group.

    >>> from hwsim.pe import kind
    >>> p = Problem(m=8, n=8, k=100, input_bits=2, weight_bits=2)
    >>> [lanes(p, Array(rows=4, columns=4, depth=16, element=kind(name))).cycles
    ...  for name in ("ternary2-dot", "stripes", "loom1")]
    [30, 59, 115]
    """
    return lanes_work(problem, array).activity()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataflow:
    """A named way to run a matrix product on an array, with its closed form.

    ``style`` is the PE style it needs (:mod:`hwsim.pe`); ``options`` are those of the array that it
    knows, all others must have their first value.
    """

    name: str
    style: str
    work: Callable[[Any, Any], Work]
    options: tuple[str, ...]
    meaning: str

    def activity(self, problem: Problem, array: Array) -> Activity:
        """Clocks and counts of one problem."""
        return self.work(problem, array).activity()


#: Every dataflow.
DATAFLOWS: tuple[Dataflow, ...] = (
    Dataflow(
        name="os", style="mac", work=output_work, options=("drain", "folds", "edges", "grouping"),
        meaning="output-stationary",
    ),
    Dataflow(
        name="ws", style="mac", work=weight_work, options=("load", "folds", "edges", "grouping"),
        meaning="weight-stationary",
    ),
    Dataflow(
        name="is", style="mac", work=input_work, options=("load", "folds", "edges", "grouping"),
        meaning="input-stationary",
    ),
    Dataflow(
        name="bitserial", style="popcount", work=bit_serial_work, options=(),
        meaning="bit planes on AND-popcount units, results stay until finished",
    ),
    Dataflow(
        name="lanes", style="lanes", work=lanes_work, options=("skip",),
        meaning="dot products of many lanes, results stay until finished",
    ),
)
