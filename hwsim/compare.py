"""Workloads against machines: latency, energy with its range, energy-delay product, area, traffic.

The machines are presets, files, or kinds of PE brought to the area or the bandwidth of a base
(:mod:`hwsim.fairness`). Chapter [7d.3].
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hwsim import presets
from hwsim.area import areas
from hwsim.fairness import Machine, machine
from hwsim.layers import Gemm, Workload
from hwsim.pe import KINDS
from hwsim.ranges import energy_range
from hwsim.simulator import simulate

BASE = "edge-16x16-os"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One workload on one machine.

    ``spare_macs`` are products on the spare array; ``energy_low_pj`` and ``energy_high_pj`` bound
    the energy [7d.2].
    """

    workload: str
    machine: str
    cycles: int
    seconds: float
    energy_pj: float
    energy_low_pj: float
    energy_high_pj: float
    pe_mm2: float
    area_mm2: float
    dram_bits: int
    macs: int
    spare_macs: int

    @property
    def energy_delay_js(self) -> float:
        """Energy times latency, in joule seconds."""
        return self.energy_pj * 1e-12 * self.seconds

    def as_dict(self) -> dict[str, Any]:
        """Plain data, units in the names."""
        return {
            "workload": self.workload, "machine": self.machine, "cycles": self.cycles,
            "seconds": self.seconds, "energy_pj": self.energy_pj,
            "energy_low_pj": self.energy_low_pj, "energy_high_pj": self.energy_high_pj,
            "energy_delay_js": self.energy_delay_js, "pe_mm2": self.pe_mm2,
            "area_mm2": self.area_mm2, "dram_bits": self.dram_bits, "macs": self.macs,
            "spare_macs": self.spare_macs,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Every workload on every machine that takes some of its products."""

    costs: tuple[Cost, ...]
    notes: tuple[str, ...]

    def to_json(self) -> str:
        """The same bytes every time."""
        found = {"costs": [cost.as_dict() for cost in self.costs], "notes": list(self.notes)}
        return json.dumps(found, indent=2, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """A line a pair, units in the column names."""
        text = io.StringIO()
        rows = [cost.as_dict() for cost in self.costs]
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def to_table(self) -> str:
        """Aligned text; ``x`` columns are relative to the first line."""
        first = self.costs[0]
        head: tuple[str, ...] = (
            "workload", "machine", "PE mm2", "mm2", "ms", "x", "mJ", "low", "high", "x",
            "EDP uJ s", "x", "DRAM MB", "x",
        )
        rows = [head, *(_cells(cost, first) for cost in self.costs)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = ["  ".join(cell.ljust(w) if i < 2 else cell.rjust(w)
                           for i, (cell, w) in enumerate(zip(row, widths, strict=True))).rstrip()
                 for row in rows]
        lines.insert(1, "-" * len(lines[0]))
        return "\n".join([*lines, "", *self.notes]) + "\n"


def _cells(c: Cost, first: Cost) -> tuple[str, ...]:
    return (
        c.workload, c.machine, f"{c.pe_mm2:.3f}", f"{c.area_mm2:.2f}",
        f"{c.seconds * 1e3:.2f}", _times(first.seconds, c.seconds),
        *(f"{pj / 1e9:.2f}" for pj in (c.energy_pj, c.energy_low_pj, c.energy_high_pj)),
        _times(first.energy_pj, c.energy_pj), f"{c.energy_delay_js * 1e6:.2f}",
        _times(first.energy_delay_js, c.energy_delay_js), f"{c.dram_bits / 8e6:.1f}",
        _times(first.dram_bits, c.dram_bits),
    )


def _times(first: float, value: float) -> str:
    return f"{first / value:.2f}"


def machines(names: Sequence[str], equal: str) -> tuple[Machine, ...]:
    """Presets and files as they are; kinds of PE at the area or bandwidth of the first of these.

    Without one the base is :data:`BASE`. Raises ``ValueError`` naming what does not exist.
    """
    kinds = {pe.name for pe in KINDS}
    known = {name: presets.resolve(name) for name in names if name not in kinds}
    base = next(iter(known.values()), presets.find(BASE))
    return tuple(
        Machine(name=known[name].name, main=known[name]) if name in known
        else machine(base, name, equal)
        for name in dict.fromkeys(names)
    )


def compare(workloads: Sequence[Workload], others: Sequence[Machine]) -> Comparison:
    """Cost of every pair; pairs without a product on the main array are left out and noted."""
    costs, notes = [], []
    for workload in workloads:
        for one in others:
            found = _cost(workload, one)
            if isinstance(found, Cost):
                costs.append(found)
            else:
                notes.append(found)
    if not costs:
        raise ValueError("compare: no machine takes any workload; " + "; ".join(notes))
    return Comparison(costs=tuple(costs), notes=(*notes, *_notes(others)))


def _cost(workload: Workload, one: Machine) -> Cost | str:
    products = [layer for layer in workload.layers if isinstance(layer, Gemm)]
    refused = {layer.name for layer in products if not one.runs(layer)}
    if refused and (one.spare is None or len(refused) == len(products)):
        return f"{workload.name} on {one.name}: its PEs refuse {len(refused)} of " \
               f"{len(products)} products"
    parts = [(one.main, [x for x in workload.layers if x.name not in refused])]
    if refused and one.spare is not None:
        parts.append((one.spare, [x for x in workload.layers if x.name in refused]))
    reports = [simulate(replace(workload, layers=tuple(layers)), a) for a, layers in parts]
    ends = [energy_range(report) for report in reports]
    area = reports[0].area_by_component_mm2
    pe_mm2 = area["pe"]
    if one.spare is not None:
        pe_mm2 += next(part.mm2 for part in areas(one.spare) if part.component == "pe")
    return Cost(
        workload=workload.name, machine=one.name,
        cycles=sum(report.total_cycles for report in reports),
        seconds=math.fsum(report.seconds for report in reports),
        energy_pj=math.fsum(report.energy_pj for report in reports),
        energy_low_pj=math.fsum(low for low, _ in ends),
        energy_high_pj=math.fsum(high for _, high in ends),
        pe_mm2=pe_mm2, area_mm2=reports[0].area_mm2 - area["pe"] + pe_mm2,
        dram_bits=sum(report.counts.dram_bits for report in reports), macs=workload.macs,
        spare_macs=sum(layer.macs for layer in products if layer.name in refused),
    )


def _notes(others: Sequence[Machine]) -> list[str]:
    lines = []
    for one in others:
        parts = [f"{a.size} {a.pe}" for a in (one.main, one.spare) if a is not None]
        lines.append(f"{one.name}: {' and '.join(parts)}, {one.main.clock_hz / 1e6:g} MHz, "
                     f"{one.main.technology}")
    return lines

