"""Speed and quality of the solvers behind the methods.

    OPENBLAS_NUM_THREADS=1 python benchmarks/solvers.py --suite ternary-ls [--json FILE]

Prints the machine and a table for each suite. Threads are those of REFNET_THREADS (default: all
processors); BLAS should have one, since the solvers spread blocks over threads themselves.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from measuring import machine
from solver_suites import ternary_ls, tsq_toy

#: Every suite: a function without arguments that returns rows of figures.
SUITES = {
    "tsq-toy": tsq_toy.run,
    "ternary-ls": ternary_ls.run,
}


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as aligned text, under the names of the columns."""
    lines = [list(rows[0]), *([str(v) for v in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--suite", action="append", choices=SUITES, help="repeatable; default: all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON too")
    options = parser.parse_args()
    found: dict[str, Any] = {"machine": machine()}
    print(json.dumps(found["machine"]))
    for name in options.suite or SUITES:
        found[name] = SUITES[name]()
        print(f"\n{name}\n{table(found[name])}")
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
