"""What zeros save on lanes: a compiled program, exact from its codes, beside what is expected.

    python benchmarks/zero_skipping.py PROGRAM CODES.npy               prints the table
    python benchmarks/zero_skipping.py PROGRAM CODES.npy --json FILE   writes it, too

CODES.npy has input codes (N, *input shape), for example the golden ones that ``refnet compile``
writes beside the program. Every product of the program with ternary weights is run on ``--array``
rows x columns of units with so many lanes each, 8 x 8 x 16 by default. A slice of each (some output
positions, all of k, some filters) also passes the stepped machine, code by code: values, clocks and
counts must be those of the formula.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hwsim import stepped_skipping
from hwsim.counts import Array, Problem
from hwsim.layers import Gemm, Workload
from hwsim.pe import kind
from hwsim.skipping import activity, exact, expected, skipped
from hwsim.stepped_parts import plain_product
from hwsim.unfold import unfolded_inputs, unfolded_weights
from hwsim.workload import load

SKIPS = ("weights", "inputs", "both")


def ternary_products(workload: Workload) -> list[Gemm]:
    """Layers whose weights are -1, 0, 1."""
    return [
        layer for layer in workload.layers
        if isinstance(layer, Gemm) and layer.weights.lo >= -1 and layer.weights.hi <= 1
    ]


def problem(layer: Gemm) -> Problem:
    return Problem(
        m=layer.m, k=layer.k, n=layer.n, input_bits=layer.input.bits, groups=layer.groups,
        weight_bits=layer.weights.bits, output_bits=layer.output.bits,
    )


def machine(size: tuple[int, int, int], skip: str, reach: int) -> Array:
    return Array(rows=size[0], columns=size[1], depth=size[2], reach=reach, skip=skip,
                 element=kind("ternary2-dot"))


def check_slice(layer: Gemm, array: Array, positions: int, filters: int) -> int:
    """The stepped machine on a corner of a layer; returns its clocks, which are the formula's."""
    X = unfolded_inputs(layer)[0, :positions].astype(np.int64)
    W = unfolded_weights(layer)[0, :, :filters].astype(np.int64)
    p = replace(problem(layer), m=len(X), n=W.shape[1], groups=1)
    values, seen, unit = stepped_skipping.skipping(
        X.tolist(), W.tolist(), p, array, value_bits=1
    )
    if values != plain_product(X.tolist(), W.tolist()):
        raise AssertionError(f"{layer.name}: values of the stepped machine")
    found = exact(
        X[None] != 0 if array.skip != "weights" else None,
        W[None] != 0 if array.skip != "inputs" else None, p, array, 1,
    )
    got = activity(p, array, found)
    same = replace(got, counts=replace(got.counts, skipped_macs=0)) == seen
    if not same or found.products != unit.products:
        raise AssertionError(f"{layer.name}: {seen} stepped, {got} by the formula")
    return seen.cycles


def measure(layer: Gemm, array: Array, positions: int, filters: int) -> dict[str, Any]:
    p = problem(layer)
    found, mean = skipped(layer, p, array), expected(layer, p, array)
    return {
        "layer": layer.name, "m": layer.m, "k": layer.k, "n": layer.n, "skip": array.skip,
        "reach": array.reach, **found.as_dict(), "expected_cycles": mean.compute_cycles,
        "weight_zeros": layer.weights.zeros, "input_zeros": layer.input.zeros,
        "slice": [min(positions, layer.m), min(filters, layer.n)],
        "slice_cycles_stepped": check_slice(layer, array, positions, filters),
    }


def row(found: dict[str, Any]) -> str:
    macs = found["m"] * found["k"] * found["n"]
    dense = found["dense_cycles"]
    return (
        f"{found['layer']:<10}{found['skip']:<9}{found['reach']:>5}"
        f"{100 * found['products'] / macs:>8.1f} %{dense:>10,}{found['compute_cycles']:>10,}"
        f"{dense / found['compute_cycles']:>7.2f}{found['balanced_cycles']:>10,}"
        f"{found['expected_cycles']:>10,}"
        f"{found['weight_bits'] / (2 * found['k'] * found['n']):>8.2f}"
        f"{found['slice_cycles_stepped']:>9,}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("codes", type=Path)
    parser.add_argument("--reach", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument("--array", type=int, nargs=3, default=[8, 8, 16],
                        metavar=("ROWS", "COLUMNS", "LANES"))
    parser.add_argument("--slice", type=int, nargs=2, default=[12, 12], metavar=("M", "N"),
                        help="output positions and filters of the slice that is stepped")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    workload = load(options.program, codes=options.codes)
    print(f"{'layer':<10}{'skip':<9}{'reach':>5}{'products':>10}{'dense':>10}{'exact':>10}"
          f"{'gain':>7}{'balanced':>10}{'expected':>10}{'W bits':>8}{'slice':>9}")
    results = []
    for layer in ternary_products(workload):
        for skip in SKIPS:
            for reach in options.reach:
                array = machine(options.array, skip, reach)
                results.append(measure(layer, array, *options.slice))
                print(row(results[-1]))
                sys.stdout.flush()
    if options.json is not None:
        data = {"program": workload.name, "array": options.array,
                "images": len(np.load(options.codes, mmap_mode="r")), "layers": results}
        options.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
