"""Machines made comparable: as many units as an area holds, or as a bandwidth of operands feeds.

A kind of PE is put on the memories, DRAM and clock of a base machine, so that only the units
differ. A kind that does not take every layer shares its area with an int8 array that runs the rest.
Chapter [7d.3].
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from hwsim.architecture import Architecture, Memory
from hwsim.area import pe_um2
from hwsim.counts import OPTIONS
from hwsim.layers import Gemm
from hwsim.mapping import problem
from hwsim.pe import KINDS, kind
from hwsim.units import unit

EQUALS = ("area", "bandwidth")
#: Share of the PE area that an int8 array takes beside units that cannot run every layer.
SPARE = 0.25
#: PE kind -> lanes, fused units or tables of a unit here.
DEPTH: dict[str, int] = {
    **{pe.name: 16 if pe.style == "lanes" else 1 for pe in KINDS},
    "popcount": 64, "bitfusion": 1, "unpu": 4,
}
#: PE kind -> bits of X and of W that a lane takes a clock at its widest.
EDGE_BITS: dict[str, tuple[float, float]] = {
    "int8": (8, 8), "int4": (4, 4), "ternary8": (8, 2), "ternary2": (2, 2), "popcount": (1, 1),
    "int8-dot": (8, 8), "int16-dot": (16, 16), "int4-dot": (4, 4), "ternary8-dot": (8, 2),
    "ternary2-dot": (2, 2), "ternary-serial": (1, 2), "stripes": (1, 16), "loom1": (1, 1),
    "loom2": (2, 1), "loom4": (4, 1), "bitfusion": (32, 32), "unpu": (24, 3),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine to compare: ``main``, and a ``spare`` array for layers that its PEs refuse."""

    name: str
    main: Architecture
    spare: Architecture | None = None

    def runs(self, layer: Gemm) -> bool:
        """Whether the main array can multiply the operands of this layer."""
        try:
            problem(layer, self.main)
        except ValueError:
            return False
        return True


def machine(base: Architecture, name: str, equal: str) -> Machine:
    """A machine of PE kind ``name`` that equals ``base`` in area, or in bits of operands a clock.

    Raises ``ValueError`` for an unknown kind or measure, and if not one unit fits.
    """
    if equal not in EQUALS:
        raise ValueError(f"equal {equal!r}, rule {' or '.join(EQUALS)}")
    pe = kind(name)
    if pe.name == base.pe:
        return Machine(name=pe.name, main=replace(base, name=pe.name))
    if min(pe.input_max_bits, pe.weight_max_bits) >= 8:
        return Machine(name=pe.name, main=_units(base, pe.name, equal, 1.0))
    spare = _units(base, "int8", equal, SPARE)
    main = _units(base, pe.name, equal, 1 - SPARE)
    return Machine(name=pe.name, main=main, spare=replace(spare, name=f"{pe.name}: int8 part"))


def _units(base: Architecture, name: str, equal: str, share: float) -> Architecture:
    """``share`` of the base in units of one kind."""
    style, depth = kind(name).style, DEPTH[name]
    flow = {"mac": base.dataflow if base.flow.style == "mac" else "os", "popcount": "bitserial",
            "lanes": "lanes"}[style]
    options = {} if flow == base.dataflow else {n: c[0] for n, c in OPTIONS.items()} | {"reach": 1}
    feeds = share * (base.input.bandwidth_bits_per_cycle
                     + base.weights.bandwidth_bits_per_cycle) / 2
    while equal == "bandwidth" and depth > 1 and max(EDGE_BITS[name]) * depth > feeds:
        depth //= 2
    left, top = (bits * depth for bits in EDGE_BITS[name])
    if equal == "area":
        count = int(share * pe_um2(base) // unit(name).area_um2(depth))
        rows = math.isqrt(count)
        columns = count // max(rows, 1)
    else:
        # As many bits on the left as on top.
        rows, columns = int(feeds // left), int(feeds // top)
    if rows < 1 or columns < 1:
        raise ValueError(f"PE {name}: not one unit at the {equal} of {base.name!r}")
    return replace(
        base, name=name, pe=name, dataflow=flow, depth=depth, rows=rows, columns=columns,
        input=_ports(base.input, int(rows * left)),
        weights=_ports(base.weights, int(columns * top)),
        sums="array" if style == "mac" else base.sums,
        source=f"PE kind {name} at {share:.0%} of the {equal} of {base.name}, on its memories",
        **options,  # type: ignore[arg-type]
    )


def _ports(memory: Memory, bits: int) -> Memory:
    """The memory with a port that feeds the array: never narrower than it was."""
    wide = max(memory.bandwidth_bits_per_cycle, 8 * -(-bits // 8))
    return replace(memory, banks=None, word_bits=max(memory.word_bits, min(wide, 4096)),
                   bandwidth_bits_per_cycle=wide)
