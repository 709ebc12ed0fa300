"""Accuracy of the compressed networks over several seeds, by the integer program.

    python benchmarks/compression.py --data fashion-mnist --seeds 3 --out FOLDER

Runs the main job once a seed (each goes on from where it was interrupted), prints a table with
mean and spread, and writes benchmarks/results/compression-NAME.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from pathlib import Path

from refnet.cli import main

RESULTS = Path(__file__).parent / "results"


def report_of(data: str, seed: int, folder: Path, rest: list[str]) -> dict:
    out = folder / f"{Path(data).stem}-{seed}"
    code = main(["compile", "--data", data, "--seed", str(seed), "--out", str(out), *rest])
    if code:
        sys.exit(code)
    return json.loads((out / "report.json").read_text())


def spread(values: list[float]) -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{100 * statistics.mean(values):.2f} ± {100 * deviation:.2f}"


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("compression-out"))
    options, rest = parser.parse_known_args()
    options.out.mkdir(parents=True, exist_ok=True)
    reports = [report_of(options.data, s, options.out, rest) for s in range(options.seeds)]
    rows = []
    for name in reports[0]["methods"]:
        found = [report["methods"][name] for report in reports]
        exact = [report["float_accuracy"] for report in reports]
        program = [method["program_accuracy"] for method in found]
        rows.append(
            {
                "method": name, "float_accuracy": exact, "program_accuracy": program,
                "differing_codes": sum(
                    m["network_vs_program_differing_codes"]
                    + m["program_vs_kernels_differing_codes"]
                    for m in found
                ),
                "weight_bits": found[0]["weight_bits"], "macs": found[0]["macs"],
            }
        )
        lost = [a - b for a, b in zip(exact, program, strict=True)]
        print(
            f"{options.data} {name}: float {spread(exact)} %, program {spread(program)} %, "
            f"lost {spread(lost)} points, {rows[-1]['differing_codes']} differing codes"
        )
    machine = {
        "processor": platform.processor() or platform.machine(), "cores": os.cpu_count(),
        "blas_threads": os.environ.get("OPENBLAS_NUM_THREADS"), **reports[0]["versions"],
    }
    print(machine)
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / f"compression-{Path(options.data).stem}.json"
    target.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    run()
