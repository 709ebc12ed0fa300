"""The machines whose units have lanes, one clock at a time: a pipeline that never waits.

Beside :mod:`hwsim.stepped`, and like it independent of the closed forms; what a unit does with the
bits of its operands is in :mod:`hwsim.stepped_units`.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.counts import Activity, Array, Counts, Problem
from hwsim.stepped_parts import Matrix, Product
from hwsim.stepped_units import (
    BothSerial,
    FilledUnit,
    Fused,
    InputSerial,
    Parallel,
    Step,
    Sums,
    Table,
    Unit,
)


@dataclass(slots=True)
class _InFlight:
    """A step in a pipeline register with what each unit (row, column) holds."""

    step: Step
    values: Sums


_UNITS: dict[str, type[Unit]] = {
    "parallel": Parallel, "input-serial": InputSerial, "both-serial": BothSerial, "fused": Fused,
    "table": Table,
}


def lanes(
    X: Matrix, W: Matrix, problem: Problem, array: Array, *, signed: tuple[bool, bool]
) -> tuple[Product, Activity]:
    """Run X W on units with lanes; ``signed`` says whether X and W are two's complement.

    Values must fit ``problem.input_bits`` and ``problem.weight_bits``. Returns (product, activity)
    of one group.
    """
    assert array.element is not None
    return run(_UNITS[array.element.rule](X, W, problem, array, signed))


def run(unit: Unit) -> tuple[Product, Activity]:
    """Clock the pipeline around ``unit`` until it is empty."""
    machine = _Pipeline(unit)
    while machine.clock():
        pass
    counts = Counts(**machine.unit.events)
    idle = machine.clocks - machine.compute
    return machine.results, Activity(
        compute_cycles=machine.compute, fill_drain_cycles=idle, counts=counts
    )


class _Pipeline:
    """A register behind each stage but the last, which writes results."""

    def __init__(self, unit: Unit) -> None:
        self.unit, self.source = unit, unit.steps()
        self.registers: list[_InFlight | None] = [None] * (len(unit.stages) - 1)
        self.sums: Sums = {}
        self.results = [[0] * unit.p.n for _ in range(unit.p.m)]
        self.clocks = self.compute = 0

    def clock(self) -> bool:
        """One clock, the last stage first; whether there was anything to do."""
        entering = next(self.source, None)
        if entering is None and not any(self.registers):
            return False
        arriving = [None if entering is None else _InFlight(entering, {}), *self.registers]
        for place in reversed(range(len(arriving))):
            at = arriving[place]
            done = None if at is None else self._stage(self.unit.stages[place], at)
            if place < len(self.registers):
                self.registers[place] = done
        self.clocks += 1
        self.compute += entering is not None
        return True

    def _stage(self, name: str, at: _InFlight) -> _InFlight | None:
        unit, step, events = self.unit, at.step, self.unit.events
        if name == "fill":
            assert isinstance(unit, FilledUnit), "units with this stage have a method for it"
            unit.fill(step)
        elif name == "combine":
            unit.tally(step)
            return _InFlight(step, unit.combine(step))
        elif name == "weigh":
            sign = -1 if step.negative else 1
            return _InFlight(step, {u: sign * v << step.shift for u, v in at.values.items()})
        elif name == "accumulate":
            for where, value in at.values.items():
                self.sums[where] = self.sums.get(where, 0) + value
            finished, self.sums = (self.sums, {}) if step.last else ({}, self.sums)
            return _InFlight(step, finished)
        elif name == "write":
            for (m, n), value in at.values.items():
                self.results[m][n] = value
                events["output_sram_write_bits"] += unit.p.output_bits
        return at
