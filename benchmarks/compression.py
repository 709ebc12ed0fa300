"""Accuracy of compressed networks over several seeds, by the integer program on all test images.

    python benchmarks/compression.py --data cifar10 --root FOLDER --seeds 3 --out RUNS
    python benchmarks/compression.py --data fashion-mnist --net lenet --suite ablation --out RUNS

One float network a seed, and every method from it with the same budget of epochs. The row "float
longer" is a float network that had the epochs of all stages from the start, by the float network's
own recipe: what the epochs alone buy. Everything is kept under --out (networks after every epoch,
a result a method), so the same command goes on after an interruption; --methods and --seeds may
grow from call to call. Prints a table with mean and spread (sample standard deviation) and writes
it with the machine to --json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from measuring import machine

from refnet.compiler import Job, Recipe, float_network, recipe_for, run_job
from refnet.methods import METHODS, PEERS, Method, TwoStep
from refnet.nn import Dataset, Module, evaluate, load

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One row of a table: a method under a name of its own, perhaps with another's stage 1.

    Without a method it is the float network, trained for as long as a compressed one in all.
    """

    name: str
    method: Method | None
    codes_of: str | None = None


def _named(*methods: Method) -> tuple[Variant, ...]:
    return tuple(Variant(name=m.name, method=m) for m in methods)


SUITES: dict[str, Callable[[], tuple[Variant, ...]]] = {
    "methods": lambda: (
        *_named(*(m() for m in METHODS), *PEERS), Variant(name="float longer", method=None),
    ),
    "ablation": lambda: (
        *(
            Variant(name=f"theta {theta}", method=TwoStep(theta=theta))
            for theta in (0.5, 0.55, 0.6, 0.7, 0.75, 0.8)
        ),
        Variant(name="twostep", method=TwoStep()),
        Variant(name="symmetric", method=TwoStep(asymmetric=False), codes_of="twostep"),
        Variant(name="exact z", method=TwoStep(z_step="exact"), codes_of="twostep"),
        Variant(name="linear only", method=TwoStep(penalties=()), codes_of="twostep"),
    ),
}


def result_of(
    variant: Variant, data: Dataset, net: Module, recipe: Recipe, seed: int, folder: Path
) -> dict[str, Any]:
    """The accuracies of one variant and seed, from disk if it was done before."""
    out = folder / variant.name.replace(" ", "-")
    done = out / "result.json"
    if done.exists():
        return json.loads(done.read_text())
    row = (
        _float_longer(data, recipe, seed, out) if variant.method is None
        else _compressed(variant, variant.method, data, net, recipe, seed, folder, out)
    )
    temporary = done.with_suffix(".tmp")
    temporary.write_text(json.dumps(row, indent=1))
    temporary.rename(done)
    return row


def _float_longer(data: Dataset, recipe: Recipe, seed: int, out: Path) -> dict[str, Any]:
    """The float network with the epochs of all stages, under the same schedule, stretched."""
    epochs = recipe.real.epochs + recipe.codes.epochs + recipe.tune.epochs
    longer = replace(recipe, real=replace(recipe.real, epochs=epochs))
    job = Job(data=data, methods=(), architectures=(), recipe=longer, seed=seed, out=out)
    start = time.perf_counter()
    net, _ = float_network(job, print)
    accuracy = evaluate(net, data.test_images, data.test_labels, scale=data.scale)
    return {
        "stages": {"float": accuracy}, "differing_codes": 0,
        "seconds": round(time.perf_counter() - start, 1),
    }


def _compressed(
    variant: Variant, method: Method, data: Dataset, net: Module, recipe: Recipe, seed: int,
    folder: Path, out: Path,
) -> dict[str, Any]:
    """What one compilation from the float network gives; stage 1 may be another variant's."""
    if variant.codes_of:
        codes = Path("checkpoints") / f"{method.name}-codes.npz"
        (out / "checkpoints").mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / variant.codes_of / codes, out / codes)
    job = Job(
        data=data, methods=(method,), architectures=(), recipe=recipe, seed=seed, out=out,
        net=net,
    )
    result = run_job(job, lambda line: print(f"seed {seed}, {variant.name}: {line}", flush=True))
    found = result.as_dict()["methods"][method.name]
    return {
        "stages": found["stages"], "weight_bits": found["weight_bits"], "macs": found["macs"],
        "differing_codes": found["network_vs_program_differing_codes"]
        + found["program_vs_kernels_differing_codes"],
        "dead_filters": sum(len(filters) for filters in found["dead_filters"].values()),
        "response_error": [layer["response_error"] for layer in found["layers"]],
        "seconds": round(result.seconds, 1),
    }


def spread(values: list[float]) -> str:
    """Mean and sample standard deviation in percent."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{100 * statistics.mean(values):6.2f} ± {100 * deviation:4.2f}"


def table(rows: dict[str, list[dict[str, Any]]]) -> str:
    """One line a variant: stages with mean and spread, points lost against float."""
    head = f"{'method':14} {'seeds':5} {'float':14} {'activations':14} {'compressed':14} "
    lines = [head + f"{'fine-tuned':14} {'lost':13} differing codes"]
    for name, found in rows.items():
        stages = [list(row["stages"].items()) for row in found]
        by = {stage: [dict(s)[stage] for s in stages] for stage, _ in stages[0]}
        cells = [
            spread(by[key]) if key in by else " " * 13
            for key in (
                "float", "quantized activations", "compressed, integer program",
                "fine-tuned, integer program",
            )
        ]
        lost = [s[0][1] - s[-1][1] for s in stages]
        lines.append(
            f"{name:14} {len(found):5} {'  '.join(cells)}  {spread(lost)}  "
            f"{sum(row['differing_codes'] for row in found)}"
        )
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--root", help="where the files of the data set are")
    parser.add_argument("--net", help="convnet, lenet, vgg or resnet (default: the data set's)")
    parser.add_argument("--suite", choices=sorted(SUITES), default="methods")
    parser.add_argument("--methods", help="names of rows, separated by commas (default: all)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0, help="to share seeds among processes")
    parser.add_argument("--out", type=Path, default=Path("compression-out"))
    parser.add_argument("--json", type=Path, help="file for the table (default: results/NAME.json)")
    return parser.parse_args()


def _chosen(options: argparse.Namespace) -> list[Variant]:
    variants = SUITES[options.suite]()
    names = [v.name for v in variants] if options.methods is None else options.methods.split(",")
    unknown = set(names) - {v.name for v in variants}
    if unknown:
        sys.exit(f"--methods: {sorted(unknown)[0]!r} is none of {[v.name for v in variants]}")
    return [v for v in variants if v.name in names]


def run() -> None:
    """Do what is missing, then print and write the table."""
    options = _options()
    data, variants = load(options.data, root=options.root), _chosen(options)
    recipe = recipe_for(data.name, options.net)
    rows: dict[str, list[dict[str, Any]]] = {v.name: [] for v in variants}
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        folder = options.out / f"{data.name}-{recipe.network}-{seed}"
        job = Job(
            data=data, methods=(), architectures=(), recipe=recipe, seed=seed, out=folder
        )
        net, _ = float_network(job, print)
        for variant in variants:
            rows[variant.name].append(result_of(variant, data, net, recipe, seed, folder))
    title = f"compression-{options.suite}-{data.name}-{recipe.network}"
    print(f"\n{title}, {recipe.network} {recipe.filters}\n{table(rows)}\n{machine()}")
    target = options.json or RESULTS / f"{title}.json"
    target.parent.mkdir(exist_ok=True)
    record = {"machine": machine(), "recipe": repr(recipe), "rows": rows}
    target.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    run()
