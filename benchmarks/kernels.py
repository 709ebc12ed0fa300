"""Speed of the compiled kernels, beside ONNX Runtime and NumPy.

    pip install -e '.[bench]'
    OPENBLAS_NUM_THREADS=1 python benchmarks/kernels.py --suite gemm [--shape 1024,1024,1024]

Contenders of a shape take turns in one process; on one thread the clock is the processor's, on
several it is the wall's. Everything is compared with the reference before it is timed: integers
must be equal. Weights are constants and packed before; whether activations are packed inside the
time stands in the last column. Everyone runs twice in a row, and the second time counts: weights
are in the cache from the call before as far as they fit, and those of the matrix products say how
large they are. The first time, when the other contenders have emptied the caches, is
after_others_ms. Times are of one layer, in milliseconds; the columns beginning with x are ratios of
medians. Rows of this project begin with a star.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from kernel_suites import blockterms, convolutions, matrices, networks, timing
from solvers import table

#: Every suite: its shapes, and the function that measures one.
SUITES: dict[str, tuple[tuple[str, ...], Any]] = {
    "gemm": (matrices.GEMM, matrices.run),
    "gemv": (matrices.GEMV, matrices.run),
    "conv": (convolutions.SHAPES, convolutions.run),
    "resnet18": (networks.SHAPES, networks.measure),
    "blockterm": (blockterms.SHAPES, blockterms.run),
}


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--suite", choices=[*SUITES, "all"], default="all")
    parser.add_argument("--shape", action="append", help="repeatable; default: all of the suite")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2.0, help="processor time for each shape")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON too")
    options = parser.parse_args(argv)
    if options.shape and options.suite == "all":
        parser.error("--shape needs a --suite")
    if options.threads < 1 or options.seconds < 0:
        parser.error("--threads must be >= 1 and --seconds >= 0")
    return options


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    found: dict[str, Any] = {"machine": timing.machine(options.threads)}
    print(json.dumps(found["machine"]))
    for name in SUITES if options.suite == "all" else [options.suite]:
        shapes, measure = SUITES[name]
        found[name] = []
        for shape in options.shape or shapes:
            try:
                rows = measure(shape, threads=options.threads, seconds=options.seconds)
            except ValueError as error:
                sys.exit(f"--shape {shape}: {error}")
            found[name] += rows
            print(f"\n{name} {shape}\n{table(rows)}", flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
