"""Area and energy of processing elements from synthesis, and their ratios against the table in use.

    python benchmarks/synthesis.py                    measures, prints
    python benchmarks/synthesis.py --json FILE        writes it, too
    python benchmarks/synthesis.py --liberty FILE     another library

Needs Yosys and a Liberty file; by default Debian's `yosys` and `qflow-tech-osu018` (180 nm, 1.8 V).
The units are those of `tests/rtl/pe_*.sv`. Every unit is synthesised flat for its totals, and once
more with its accumulator kept apart for the shares. Weights are ternary with half of them zero, or
uniform; inputs are uniform; no wires and no glitches. Ratios to the int8 MAC with a 24-bit sum do
not depend much on the library, and are what the prices of `hwsim` rest on [7d.1].
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import liberty

RTL = Path(__file__).parent.parent / "tests" / "rtl"
LIBRARY = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
BASE = "int8 MAC, 24-bit sum"
TOLERANCE = 0.25
#: Terms of a sum; it starts at zero, so that its sign changes as that of a real sum does.
SUM_CLOCKS = 64
#: The default script of Yosys without its SAT sweeping, which multipliers keep busy for hours.
SCRIPT = "+strash;dc2;strash;dc2;map,-B,0.9;topo"


@dataclass(frozen=True)
class Unit:
    """A unit: module and parameters, lanes that share its accumulator, and how it is driven.

    ``x_clocks`` and ``w_clocks`` are the clocks for which an operand stays on its port: the plane
    of the other operand changes meanwhile. ``table`` is (area, energy) a lane relative to
    :data:`BASE` in the table in use, None where it says nothing.
    """

    name: str
    module: str
    parameters: dict[str, int]
    lanes: int = 1
    ternary: bool = False
    x_clocks: int = 1
    w_clocks: int = 1
    shift_every: int = 0
    table: tuple[float, float] | None = None


def _dot(name: str, x: int, w: int, total: int, *, ternary: bool, lanes: int = 16,
         table: tuple[float, float] | None = None) -> Unit:
    return Unit(name, "pe_dot", {
        "LANES": lanes, "X_BITS": x, "X_SIGNED": int(x > 2), "W_BITS": w, "TERNARY": int(ternary),
        "SUM_BITS": total}, lanes, ternary, table=table)


def _serial(name: str, x: int, w: int, *, ternary: bool = False, lanes: int = 16, clocks: int = 8,
            table: tuple[float, float] | None = None) -> Unit:
    return Unit(name, "pe_serial", {
        "LANES": lanes, "X_BITS": x, "W_BITS": w, "W_SIGNED": int(w > 1), "SUM_BITS": 32},
        lanes, ternary, w_clocks=clocks, shift_every=8, table=table)


UNITS = (
    Unit(BASE, "pe_mac", {"X_BITS": 8, "W_BITS": 8, "SUM_BITS": 24}, table=(1.0, 1.0)),
    Unit("int8 MAC, 32-bit sum", "pe_mac", {"X_BITS": 8, "W_BITS": 8, "SUM_BITS": 32},
         table=(1.39, 1.20)),
    Unit("int4 MAC, 16-bit sum", "pe_mac", {"X_BITS": 4, "W_BITS": 4, "SUM_BITS": 16},
         table=(0.41, 0.38)),
    Unit("ternary x 8 bit, 24-bit sum", "pe_ternary",
         {"X_BITS": 8, "X_SIGNED": 1, "SUM_BITS": 24}, ternary=True, table=(0.32, 0.51)),
    Unit("ternary x 2 bit, 16-bit sum", "pe_ternary",
         {"X_BITS": 2, "X_SIGNED": 0, "SUM_BITS": 16}, ternary=True, table=(0.20, 0.29)),
    _dot("16 lanes ternary x 2 bit, one 16-bit sum", 2, 2, 16, ternary=True, table=(0.063, 0.053)),
    _dot("4 lanes ternary x 2 bit, one 16-bit sum", 2, 2, 16, ternary=True, lanes=4),
    _dot("16 lanes ternary x 8 bit, one 24-bit sum", 8, 2, 24, ternary=True),
    _dot("4 lanes int8, one 32-bit sum", 8, 8, 32, ternary=False, lanes=4),
    _dot("4 lanes int4, one 16-bit sum", 4, 4, 16, ternary=False, lanes=4),
    _serial("16 lanes ternary x 1 bit, shifted sum", 1, 2, ternary=True, clocks=2,
            table=(0.042, 0.637 / 16)),
    _serial("16 lanes 16 bit x 1 bit, shifted sum (Stripes)", 1, 16),
    _serial("16 lanes 1 x 1 bit, shifted sum (Loom)", 1, 1, clocks=8),
    _serial("16 lanes 2 x 1 bit, shifted sum (Loom)", 2, 1, clocks=4),
    _serial("16 lanes 4 x 1 bit, shifted sum (Loom)", 4, 1, clocks=2),
    Unit("4 tables of 3 inputs of 16 bit, shifted sum (UNPU)", "pe_lookup",
         {"TABLES": 4, "ENTRY_BITS": 18, "SUM_BITS": 48}, 12, x_clocks=8, shift_every=8),
    _serial("64 lanes AND-popcount, shifted sum (BISMO)", 1, 1, lanes=64, clocks=1,
            table=(0.9324 / 64, 0.7412 / 64)),
)


def stimulus(unit: Unit) -> liberty.Stimulus:
    """Operands of a unit: ternary weights half zero, all else uniform, `shift` now and then."""
    held: dict[str, list[int]] = {}

    def draw(port: str, width: int, clock: int, rng: random.Random) -> list[int]:
        if port in ("first", "shift", "negative"):
            every = {"first": SUM_CLOCKS, "shift": unit.shift_every}.get(port, 0)
            return [(1 << liberty.STREAMS) - 1 if every and clock % every == 0 else 0]
        every = unit.x_clocks if port == "x" else unit.w_clocks
        if port not in held or clock % every == 0:
            bits = [rng.getrandbits(liberty.STREAMS) for _ in range(width)]
            if port == "w" and unit.ternary:
                bits = [b if i % 2 == 0 else b & bits[i - 1] for i, b in enumerate(bits)]
            held[port] = bits
        return held[port]

    return draw


def synthesise(unit: Unit, library: Path, folder: Path, *, apart: bool) -> liberty.Netlist:
    """The unit as library cells; with ``apart`` the accumulator is mapped by itself."""
    settings = " ".join(f"-set {name} {value}" for name, value in unit.parameters.items())
    sources = " ".join(str(RTL / f"{name}.sv") for name in (unit.module, "pe_accumulator"))
    script = [
        f"read_verilog -sv {sources}", f"chparam {settings} {unit.module}",
        f"synth {'' if apart else '-flatten '}-top {unit.module}",
        f"dfflibmap -liberty {library}",
        f"abc -liberty {library} -script {SCRIPT}",
        *(["flatten"] if apart else []), "opt_clean -purge", f"write_json {folder / 'net.json'}",
    ]
    (folder / "run.ys").write_text("\n".join(script) + "\n")
    subprocess.run(["yosys", "-q", str(folder / "run.ys")], check=True, stdout=subprocess.DEVNULL)
    return liberty.read_netlist(folder / "net.json", unit.module)


def measured(unit: Unit, path: Path, library: liberty.Group, folder: Path) -> dict[str, Any]:
    """Totals of the flat unit, and shares of the one in parts."""
    known, volts = liberty.cells(library), float(library.attributes["nom_voltage"])
    print(unit.name, file=sys.stderr, flush=True)
    netlists = (synthesise(unit, path, folder, apart=apart) for apart in (False, True))
    flat, parts = (liberty.measure(net, known, volts, stimulus(unit), 1) for net in netlists)
    return {
        "lanes": unit.lanes, "cells": flat.instances,
        "um2": sum(flat.um2.values()), "pj": sum(flat.pj.values()),
        "area_shares": _shares(parts.um2), "energy_shares": _shares(parts.pj),
    }


def _shares(parts: dict[str, float]) -> dict[str, float]:
    return {name: round(value / sum(parts.values()), 3) for name, value in sorted(parts.items())}


def ratios(units: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Area and energy a lane relative to the base, beside the table in use."""
    base, rows = units[BASE], []
    for unit in UNITS:
        found = units[unit.name]
        row: dict[str, Any] = {"unit": unit.name}
        for i, (name, field) in enumerate((("area", "um2"), ("energy", "pj"))):
            row[name] = found[field] / unit.lanes / base[field]
            row[f"{name}_in_use"] = None if unit.table is None else unit.table[i]
            miss = None if unit.table is None else row[name] / unit.table[i] - 1
            row[f"{name}_off"] = miss
            row[f"{name}_within"] = None if miss is None else abs(miss) <= TOLERANCE
        rows.append(row)
    return rows


def table(result: dict[str, Any]) -> str:
    """The ratios for people."""
    lines = [f"{'unit (a lane of it)':52}{'area':>8}{'in use':>8}{'off':>7}{'energy':>9}"
             f"{'in use':>8}{'off':>7}   shares of energy"]
    for row in result["ratios"]:
        cells = f"{row['unit']:52}"
        for name in ("area", "energy"):
            wide = 8 if name == "area" else 9
            cells += f"{row[name]:{wide}.3f}"
            if row[f"{name}_in_use"] is None:
                cells += f"{'':15}"
            else:
                mark = "" if row[f"{name}_within"] else "!"
                cells += f"{row[f'{name}_in_use']:8.3f}{row[f'{name}_off']:+6.0%}{mark:1}"
        shares = result["units"][row["unit"]]["energy_shares"]
        lines.append(cells + "   " + ", ".join(f"{n} {100 * v:.0f} %" for n, v in shares.items()))
    return "\n".join([*lines, f"! more than {TOLERANCE:.0%} off the table in use"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result")
    parser.add_argument("--liberty", type=Path, default=LIBRARY, metavar="FILE")
    options = parser.parse_args()
    if shutil.which("yosys") is None or not options.liberty.is_file():
        sys.exit(f"yosys or {options.liberty} is missing: apt install yosys qflow-tech-osu018")
    library = liberty.read_liberty(options.liberty)
    with tempfile.TemporaryDirectory() as folder:
        units = {unit.name: measured(unit, options.liberty, library, Path(folder))
                 for unit in UNITS}
    version = subprocess.run(["yosys", "-V"], capture_output=True, text=True, check=True).stdout
    result = {
        "library": options.liberty.name, "volts": float(library.attributes["nom_voltage"]),
        "yosys": " ".join(version.split()[:2]), "base": BASE, "units": units,
        "ratios": ratios(units),
    }
    print(table(result))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
