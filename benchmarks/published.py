"""What the committed tables of low-bit machines hold, printed and written anew.

    python benchmarks/published.py            prints published machines and the VGG-16 tables
    python benchmarks/published.py --write    also writes benchmarks/results/published.md,
                                              lowbit-vgg16.md, .csv and .png

The same as `hwsim published`, `hwsim compare benchmarks/topologies/vgg16.csv --arch ...` and
`hwsim simulate ... --fuse`; nothing is random, so the files never change but with the model.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from hwsim import plot, presets, read_topology, simulate
from hwsim.compare import compare, machines
from hwsim.fusion import simulate_fused
from hwsim.published import rows
from hwsim.shapes import Shape, as_method

HERE = Path(__file__).parent
RESULTS = HERE / "results"
METHODS = ("none", "blockterm", "factorized", "twostep")
MACHINES = ("gemmini-16x16-ws", "ternary8", "ternary2-dot", "stripes", "loom2", "bitfusion",
            "unpu", "popcount")
FUSED_ON = "edge-16x16-os-maps"


def table(head: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    """Markdown, numbers to the right."""
    marks = ["---" if i < 2 else "---:" for i in range(len(head))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, tuple(marks), *lines)) + "\n"


def published() -> str:
    """Every published figure beside the model's."""
    lines = [(r.machine, r.what, f"{r.model:.4g}", f"{r.published:.4g}", f"{r.ratio:.2f}", r.unit,
              r.source, r.why) for r in rows()]
    return table(
        ("machine", "what", "model", "published", "ratio", "unit", "source", "the difference"),
        lines,
    )


def vgg16(equal: str) -> tuple[str, object]:
    """VGG-16 as it is and under each method, on machines equal to the int8 array."""
    net = read_topology(HERE / "topologies" / "vgg16.csv")
    workloads = [net if name == "none" else as_method(net, Shape.parse(name)) for name in METHODS]
    found = compare(workloads, machines(MACHINES, equal))
    first = found.costs[0]
    lines = [(
        c.workload, c.machine, f"{c.seconds * 1e3:.1f}", f"{first.seconds / c.seconds:.2f}",
        f"{c.energy_pj / 1e9:.1f}", f"{c.energy_low_pj / 1e9:.1f} to {c.energy_high_pj / 1e9:.1f}",
        f"{first.energy_pj / c.energy_pj:.2f}", f"{c.energy_delay_js * 1e6:.1f}",
        f"{first.energy_delay_js / c.energy_delay_js:.2f}", f"{c.dram_bits / 8e6:.1f}",
        f"{first.dram_bits / c.dram_bits:.2f}", f"{c.pe_mm2:.3f}", f"{c.area_mm2:.2f}",
    ) for c in found.costs]
    text = table(
        ("network", "machine", "ms", "x", "mJ", "range", "x", "EDP, uJ s", "x", "DRAM, MB", "x",
         "PEs, mm2", "all, mm2"), lines)
    return text + "\n" + "\n".join(f"* {note}" for note in found.notes) + "\n", found


def fused() -> str:
    """What keeping the maps inside a factorized or low-rank layer on the chip saves."""
    net, a = read_topology(HERE / "topologies" / "vgg16.csv"), presets.find(FUSED_ON)
    lines = []
    for name in ("factorized", "blockterm"):
        workload = as_method(net, Shape.parse(name))
        for how, report in (("spilled", simulate(workload, a)),
                            ("fused", simulate_fused(workload, a))):
            lines.append((
                workload.name, how, str(len(report.chains)), f"{report.total_cycles:,}",
                f"{report.counts.dram_bits / 8e6:.1f}", f"{report.energy_pj / 1e9:.2f}",
            ))
    return table(("network", "maps inside layers", "chains", "cycles", "DRAM, MB", "mJ"), lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the files in results, too")
    options = parser.parse_args()
    area, found = vgg16("area")
    text = (
        f"VGG-16 on machines with the PE area, memories, DRAM and clock of {MACHINES[0]}; x is "
        f"relative to the first line.\n\n{area}\nThe same at the bits of operands a clock of "
        f"{MACHINES[0]}.\n\n{vgg16('bandwidth')[0]}\nOn {FUSED_ON}:\n\n{fused()}"
    )
    machine_rows = published()
    print(machine_rows, text, sep="\n")
    if options.write:
        (RESULTS / "published.md").write_text(machine_rows)
        (RESULTS / "lowbit-vgg16.md").write_text(text)
        (RESULTS / "lowbit-vgg16.csv").write_text(found.to_csv())  # type: ignore[attr-defined]
        plot.compared(found, RESULTS / "lowbit-vgg16.png")  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
