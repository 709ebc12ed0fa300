"""How far energies and areas may be off: a factor down and one up for every component.

A range is not a standard deviation: it is what the sources that we have disagree by, or the step
that a method leaves out. Chapter [7d.2] lists the reasons. Ends of a total are the sums of the ends
of its parts, all at the low end or all at the high one.
"""

from __future__ import annotations

import math

from hwsim.report import Report
from hwsim.units import Range, unit

#: CACTI against Horowitz: 6.05, 17.0, 77.2 pJ where he has 10, 20, 100.
SRAM = Range(low=0.8, high=1.65)
#: A 45 nm low-power process leaks 10**-4 of the high-performance one that is priced.
LEAKAGE = Range(low=0.0001, high=2.0)
#: Aladdin's register against 6.9 fJ of clock alone in our flow, at 1.1 V.
REGISTERS = Range(low=0.5, high=1.4)
#: Horowitz' 32-bit adder against ours at the same supply: 100 and 174 fJ.
VECTOR = Range(low=0.8, high=1.74)
#: DRAM by kind: what sources of one kind disagree by; where there is one source, as DDR4.
DRAM: dict[str, Range] = {"HBM2": Range(low=1.0, high=1.6), "DDR4": Range(low=0.75, high=1.25)}
_DRAM_OTHERS = Range(low=0.75, high=1.25)


def of_component(report: Report, component: str) -> Range:
    """The range of one component of the energy of a report."""
    if component in ("pe", "idle"):
        return unit(report.architecture.pe).energy_range
    if component.endswith("_sram"):
        return SRAM
    if component == "dram":
        return DRAM.get(report.architecture.dram.kind, _DRAM_OTHERS)
    return {"leakage": LEAKAGE, "registers": REGISTERS, "vector": VECTOR}[component]


def energy_range(report: Report) -> tuple[float, float]:
    """pJ of a report at the low and at the high end of all of its components."""
    ends = [of_component(report, name).of(pj)
            for name, pj in report.energy_by_component_pj.items()]
    return math.fsum(low for low, _ in ends), math.fsum(high for _, high in ends)


def area_range(report: Report) -> tuple[float, float]:
    """mm2 of a report: PEs by their own range, memories and vector lanes with what fills a chip."""
    areas = report.area_by_component_mm2
    rest = report.area_mm2 - areas["pe"]
    low, high = unit(report.architecture.pe).area_range.of(areas["pe"])
    return low + 0.85 * rest, high + 1.45 * rest
