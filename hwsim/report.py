"""Reports: what a workload costs on an architecture, layer by layer, as records, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass
from typing import Any

from hwsim.architecture import Architecture
from hwsim.area import Area
from hwsim.checks import ceil_div, normalise
from hwsim.counts import Counts
from hwsim.energy import Price
from hwsim.mapping import Mapping
from hwsim.skipping import Skipped

#: Version of the JSON layout; 2: energies include idle clocks and leakage, areas are reported.
FORMAT_VERSION = 2
#: Bits of the words in which DRAM traffic is shown.
DRAM_WORD_BITS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerReport:
    """One layer: its clocks in three parts, its exact counts, its energy by component in pJ.

    ``compute_cycles``: new work enters the array; ``fill_drain_cycles``: it is loaded, filled or
    emptied; ``stall_cycles``: it waits for memory. ``utilisation`` is the share of the array's
    products that were wanted, over all clocks of the layer. ``sram_words`` are accesses to all
    SRAMs, each in words of its own width. ``skipping`` says what zeros saved on an array that
    skips them, None on others.
    """

    name: str
    kind: str
    groups: int
    m: int
    k: int
    n: int
    mapping: Mapping | None
    compute_cycles: int
    fill_drain_cycles: int
    stall_cycles: int
    utilisation: float
    counts: Counts
    sram_words: int
    energy_by_component_pj: dict[str, float]
    skipping: Skipped | None = None

    def __post_init__(self) -> None:
        names = "compute_cycles fill_drain_cycles stall_cycles"
        normalise(self, f"LayerReport {self.name!r}", names, least=0)

    @property
    def total_cycles(self) -> int:
        """All clocks of the layer."""
        return self.compute_cycles + self.fill_drain_cycles + self.stall_cycles

    @property
    def dram_64bit_words(self) -> int:
        """Traffic with DRAM in words of 64 bits."""
        return ceil_div(self.counts.dram_bits, DRAM_WORD_BITS)

    @property
    def energy_pj(self) -> float:
        """Energy of the layer in pJ."""
        return math.fsum(self.energy_by_component_pj.values())

    def as_dict(self) -> dict[str, Any]:
        """Plain data, units in the names."""
        mapping = None
        if self.mapping is not None:
            fields = ("dataflow", "order", "tile_m", "tile_k", "tile_n")
            mapping = {name: getattr(self.mapping, name) for name in fields}
            mapping["input_sweeps"] = self.mapping.input_sweeps
            mapping["weight_sweeps"] = self.mapping.weight_sweeps
        return {
            "name": self.name,
            "kind": self.kind,
            "groups": self.groups,
            "m": self.m,
            "k": self.k,
            "n": self.n,
            "mapping": mapping,
            "total_cycles": self.total_cycles,
            "compute_cycles": self.compute_cycles,
            "fill_drain_cycles": self.fill_drain_cycles,
            "stall_cycles": self.stall_cycles,
            "utilisation": self.utilisation,
            "sram_words": self.sram_words,
            "dram_64bit_words": self.dram_64bit_words,
            "energy_pj": self.energy_pj,
            "energy_by_component_pj": dict(self.energy_by_component_pj),
            "counts": self.counts.as_dict(),
            **({} if self.skipping is None else {"skipping": self.skipping.as_dict()}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A workload on an architecture.

    ``prices`` are those the energies were made with, ``areas`` the parts of the chip, ``chains``
    the layers that were fused (:class:`hwsim.fusion.Chain`).
    """

    workload: str
    architecture: Architecture
    layers: tuple[LayerReport, ...]
    prices: tuple[Price, ...]
    areas: tuple[Area, ...]
    chains: tuple[Any, ...] = ()

    @property
    def total_cycles(self) -> int:
        """Clocks of all layers, one after the other."""
        return sum(layer.total_cycles for layer in self.layers)

    @property
    def energy_pj(self) -> float:
        """Energy of all layers in pJ: switching, idle clocks and leakage."""
        return math.fsum(layer.energy_pj for layer in self.layers)

    @property
    def energy_by_component_pj(self) -> dict[str, float]:
        """pJ of all layers by component, in the order of the layers' own tables."""
        names = dict.fromkeys(name for la in self.layers for name in la.energy_by_component_pj)
        parts = [layer.energy_by_component_pj for layer in self.layers]
        return {name: math.fsum(part.get(name, 0.0) for part in parts) for name in names}

    @property
    def counts(self) -> Counts:
        """Counts of all layers."""
        return sum((layer.counts for layer in self.layers), start=Counts())

    @property
    def area_by_component_mm2(self) -> dict[str, float]:
        """mm2 of the parts of the chip that are modelled."""
        return {area.component: area.mm2 for area in self.areas}

    @property
    def area_mm2(self) -> float:
        """mm2 of all of them."""
        return math.fsum(area.mm2 for area in self.areas)

    @property
    def seconds(self) -> float:
        """Time at the clock of the architecture."""
        return self.total_cycles / self.architecture.clock_hz

    def as_dict(self) -> dict[str, Any]:
        """Plain data; the same report always gives the same text."""
        return {
            "format": FORMAT_VERSION,
            "workload": self.workload,
            "architecture": self.architecture.as_dict(),
            "total_cycles": self.total_cycles,
            "seconds": self.seconds,
            "energy_pj": self.energy_pj,
            "energy_by_component_pj": self.energy_by_component_pj,
            "area_mm2": self.area_mm2,
            "area_by_component_mm2": self.area_by_component_mm2,
            "layers": [layer.as_dict() for layer in self.layers],
            **({"chains": [chain.as_dict() for chain in self.chains]} if self.chains else {}),
            "prices": [
                {
                    "name": p.name, "pj": p.pj, "unit": p.unit, "node_nm": p.node_nm,
                    "voltage_v": p.voltage_v, "scaling": p.scaling, "source": p.source,
                }
                for p in self.prices
            ],
            "areas": [
                {
                    "component": area.component, "mm2": area.mm2, "node_nm": area.node_nm,
                    "scaling": area.scaling, "source": area.source,
                }
                for area in self.areas
            ],
        }

    def to_json(self) -> str:
        """The report as JSON text, the same bytes every time."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """One line a layer, units in the column names."""
        rows = []
        for layer in self.layers:
            row = layer.as_dict()
            counts, parts = row.pop("counts"), row.pop("energy_by_component_pj")
            mapping = row.pop("mapping") or {}
            row.pop("skipping", None)
            row["order"] = mapping.get("order", "")
            row.update({f"{name}_energy_pj": pj for name, pj in parts.items()})
            rows.append({**row, **counts})
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def to_table(self) -> str:
        """Aligned text for people: a line a layer, totals, and the technology of the energies."""
        head = ("layer", "kind", "G", "m", "k", "n", "compute cyc", "fill-drain cyc", "stall cyc",
                "total cyc", "util %", "SRAM kword", "DRAM kword", "energy nJ")
        rows = [head, *(_table_row(layer) for layer in self.layers)]
        parts = (str(sum(getattr(layer, f"{part}_cycles") for layer in self.layers))
                 for part in ("compute", "fill_drain", "stall"))
        words = (f"{sum(getattr(layer, name) for layer in self.layers) / 1e3:.1f}"
                 for name in ("sram_words", "dram_64bit_words"))
        total = ("all", *[""] * 5, *parts, str(self.total_cycles), "", *words,
                 f"{self.energy_pj / 1e3:.1f}")
        rows.append(total)
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = [_aligned(row, widths) for row in rows]
        rule = "-" * len(lines[0])
        lines[1:1] = [rule]
        lines[-1:-1] = [rule]
        return "\n".join([self._title(), "", *lines, "", *self._notes()]) + "\n"

    def _title(self) -> str:
        a = self.architecture
        return (
            f"{self.workload} on {a.name}: {a.size} {a.pe} PEs, {a.described}, "
            f"{a.clock_hz / 1e6:g} MHz"
        )

    def _notes(self) -> list[str]:
        total = self.energy_pj
        shares = ", ".join(
            f"{name} {100 * pj / total:.1f} %" for name, pj in self.energy_by_component_pj.items()
        )
        areas = ", ".join(f"{n} {mm2:.4g}" for n, mm2 in self.area_by_component_mm2.items())
        return [
            *(f"fused {chain}" for chain in self.chains),
            *map(_skipping_note, (layer for layer in self.layers if layer.skipping is not None)),
            f"time {self.seconds * 1e3:.4g} ms, energy {total / 1e6:.4g} uJ: {shares}",
            f"area {self.area_mm2:.4g} mm2: {areas}",
            "SRAM words are accesses, each as wide as its memory; DRAM words have "
            f"{DRAM_WORD_BITS} bits",
            f"prices and areas: {self.architecture.technology}, DRAM "
            f"{self.architecture.dram.kind}; sources of all in the JSON report",
        ]


def _table_row(layer: LayerReport) -> tuple[str, ...]:
    sizes = (layer.groups, layer.m, layer.k, layer.n) if layer.kind == "Gemm" else ("",) * 4
    return (
        layer.name, layer.kind, *(str(size) for size in sizes),
        str(layer.compute_cycles), str(layer.fill_drain_cycles), str(layer.stall_cycles),
        str(layer.total_cycles),
        f"{100 * layer.utilisation:.1f}" if layer.kind == "Gemm" else "",
        f"{layer.sram_words / 1e3:.1f}", f"{layer.dram_64bit_words / 1e3:.1f}",
        f"{layer.energy_pj / 1e3:.1f}",
    )


def _skipping_note(layer: LayerReport) -> str:
    """What zeros saved in one layer, in words."""
    found = layer.skipping
    assert found is not None
    made = 100 * found.products / layer.counts.macs
    places = 100 * found.index_bits / found.weight_bits
    return (
        f"{layer.name}: {made:.1f} % of the products made (from {found.basis}), "
        f"{found.compute_cycles} clocks of {found.dense_cycles} without skipping, "
        f"{found.balanced_cycles} if lanes were balanced; {places:.0f} % of the weights' "
        f"{found.weight_bits} bits are places"
    )


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    """Two columns of names to the left, numbers to the right."""
    cells = [
        cell.ljust(width) if i < 2 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()
