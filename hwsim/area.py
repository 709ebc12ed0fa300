"""Areas: what each part of a machine takes on the chip, with node and source, in mm2 [7.5.5]."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwsim import energy, sram
from hwsim.architecture import Architecture, Memory
from hwsim.technology import area_factor
from hwsim.units import unit

_HOROWITZ = "Horowitz, ISSCC 2014: 32-bit adder 137 um2, 32-bit multiplier 3495 um2, 45 nm"
#: um2 of a vector lane: an adder, a comparator of the same size, and a multiplier.
LANE_UM2 = 137 + 137 + 3495.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """What ``component`` takes: ``mm2`` at ``node_nm``."""

    component: str
    mm2: float
    node_nm: float
    source: str
    scaling: str = "as published"

    def moved(self, node_nm: float) -> Area:
        """The area at another node of the table of Stillmaker and Baas."""
        factor, rule = area_factor(self.node_nm, node_nm)
        return replace(self, mm2=self.mm2 * factor, node_nm=node_nm, scaling=rule or self.scaling)


def memories(a: Architecture) -> tuple[tuple[str, Memory], ...]:
    """The SRAMs of a machine by component."""
    held = (("input_sram", a.input), ("weight_sram", a.weights), ("output_sram", a.output))
    return held if a.maps is None else (*held, ("map_sram", a.maps))


def pe_um2(a: Architecture) -> float:
    """um2 of all PEs at 45 nm."""
    return unit(a.pe).area_um2(a.depth) * a.rows * a.columns


def areas(a: Architecture) -> tuple[Area, ...]:
    """Every part that is modelled, at the node of the machine's price table.

    Wires, pads, control and the DRAM interface are not.
    """
    node = energy.table(a.technology).node_nm
    parts = [
        Area(component="pe", mm2=pe_um2(a) * 1e-6, node_nm=45, source=unit(a.pe).source),
        *(
            Area(component=name, mm2=memory.arrays * sram.area_mm2(memory.array_bytes),
                 node_nm=45, source=sram.CACTI.format("45 nm itrs-hp"))
            for name, memory in memories(a)
        ),
        Area(component="vector", mm2=a.vector_lanes * LANE_UM2 * 1e-6, node_nm=45,
             source=_HOROWITZ),
    ]
    return tuple(part.moved(node) for part in parts)
