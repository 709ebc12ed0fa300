"""From nothing, or a float network, to integer programs with vectors and a hardware report."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

import hwsim
from refnet import kernels
from refnet.compiler.activations import views
from refnet.compiler.recipe import RATE_POWERS, Recipe, Stage
from refnet.compiler.result import CompileResult, MethodResult
from refnet.compiler.timing import layer_times
from refnet.compiler.verify import verify
from refnet.lower import lower
from refnet.methods import (
    CompressionReport,
    Method,
    balance_of,
    balanced_rates,
    compress,
    is_joint,
    planned,
)
from refnet.methods.costs import Choice
from refnet.methods.naming import spelled, tag_of
from refnet.methods.rates import Balance, rule_for
from refnet.methods.sdd_costs import NetworkCost, network_cost
from refnet.nn import Dataset, Module, Sequential, TrainingLog, evaluate, train
from refnet.program import UINT8, Program, save
from refnet.quant import (
    Quantize,
    Uniform,
    absorb_batch_norm,
    freeze,
    hold_codes,
    insert_batch_norm,
    reestimate_batch_norm,
)
from refnet.vectors.golden import write_golden

#: Images whose values at every step are written as golden vectors.
GOLDEN_IMAGES = 4
#: Images from which batch norms take their statistics after fine-tuning.
SETTLING_IMAGES = 5000

Say = Callable[[str], None]
Stages = tuple[tuple[str, float], ...]
Logs = tuple[tuple[str, TrainingLog], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to compile. ``net`` is a trained float network, or None to train one."""

    data: Dataset
    methods: tuple[Method, ...]
    architectures: tuple[hwsim.Architecture, ...]
    recipe: Recipe
    seed: int
    out: Path
    net: Module | None = None
    progress: bool = True

    def rng(self, part: str) -> np.random.Generator:
        """A generator for one part of the job, independent of what other parts draw."""
        return np.random.default_rng([self.seed, *part.encode()])


def run_job(job: Job, say: Say) -> CompileResult:
    """Do the job; ``say`` is told each step. Programs and golden vectors go to ``job.out``."""
    start = time.perf_counter()
    data = job.data
    net, log = float_network(job, say)
    accuracy = _accuracy(net, data)
    say(f"float network: {accuracy:.2%} on {len(data.test_images)} test images")
    results = tuple(_compile(job, method, net, say) for method in job.methods)
    weights = sum(w.size for w in net.parameters() if w.ndim > 1)
    return CompileResult(
        data=data.name, data_source=data.source, image_shape=data.train_images.shape[1:],
        train_images=len(data.train_images), test_images=len(data.test_images), seed=job.seed,
        float_accuracy=accuracy, float_weights=weights, float_log=log, methods=results,
        versions=_versions(), seconds=time.perf_counter() - start,
    )


def float_network(job: Job, say: Say) -> tuple[Module, TrainingLog]:
    """The network that was given, or else one trained by the recipe (on from its checkpoint)."""
    job.out.mkdir(parents=True, exist_ok=True)
    if job.net is not None:
        return job.net.copy().eval(), TrainingLog()
    net = job.recipe.build(job.data, job.rng("weights"))
    say(f"training a float network on {job.data.name}")
    log = _train(job, net, "float", job.recipe.real)
    return net, log


def _train(
    job: Job,
    net: Module,
    name: str,
    stage: Stage,
    teacher: Module | None = None,
    tag: str = "",
    balance: Balance = "none",
) -> TrainingLog:
    """Train ``net`` in place with a checkpoint of its own, from which a later run goes on.

    ``tag`` keeps checkpoints of a method with other options apart; ``balance`` is of the rates.
    """
    power = RATE_POWERS[stage.optimizer]
    rule = rule_for(balance, power=power)
    rates = None if rule == "none" else balanced_rates(net, rule, power=power)
    folder = job.out / "checkpoints"
    folder.mkdir(exist_ok=True)
    return train(
        net, job.data, batch_size=job.recipe.batch_size, rng=job.rng(name),
        checkpoint=folder / f"{name}{tag}.npz", progress=job.progress, teacher=teacher,
        **stage.settings(rates),
    )


def _accuracy(net: Module, data: Dataset) -> float:
    return evaluate(net, data.test_images, data.test_labels, scale=data.scale)


def _compile(job: Job, method: Method, net: Module, say: Say) -> MethodResult:
    data, name = job.data, method.name
    small, report, stages, logs = _compressed(job, method, net, say)
    if report.choices:
        say(f"{name}: measuring the decomposed layers")
    frozen = freeze(small)
    program = lower(frozen, name=name)
    say(f"{name}: comparing network, program and kernels on {len(data.test_images)} images")
    agreement = verify(
        frozen, program, data.test_images, data.test_labels, progress=job.progress
    )
    _say_agreement(name, agreement.accuracy, agreement.network_vs_program,
                   agreement.program_vs_kernels, say)
    _write(job, name, program)
    workload = hwsim.from_program(program)
    return MethodResult(
        name=name, spelling=spelled(method), program=program, compression=report,
        agreement=agreement, times=layer_times(program, report),
        stages=(*stages, ("fine-tuned, integer program", agreement.accuracy)), logs=logs,
        activations=views(small, data.calibration[:200]),
        hardware=tuple(hwsim.simulate(workload, a) for a in job.architectures),
        cost=_factors(small, data),
    )


def _factors(net: Module, data: Dataset) -> NetworkCost | None:
    """What the factorized layers of a compressed network cost; None without any."""
    cost = network_cost(net, data.calibration[:1])
    return cost if cost.factored.layers else None


def _compressed(
    job: Job, method: Method, net: Module, say: Say
) -> tuple[Sequential, CompressionReport, Stages, Logs]:
    """The compressed and fine-tuned network, and accuracies and logs on the way."""
    data, name = job.data, method.name
    stages: list[tuple[str, float]] = [("float", _accuracy(net, data))]
    logs: list[tuple[str, TrainingLog]] = []
    images = data.calibration_of(job.recipe.calibration)
    teacher = net.eval() if job.recipe.taught else None
    joint, tag = is_joint(method), tag_of(method)
    method = planned(method, net, images, rng=job.rng(f"{name}-plan"))
    for choice in getattr(method, "choices", ()):
        _say_choice(name, choice, say)
    prepared = method.prepare(net, images)
    if not joint and any(isinstance(layer, Quantize) for _, layer in prepared.walk()):
        say(f"{name}: training with quantized activations")
        stage = job.recipe.codes
        logs.append(("codes", _train(job, prepared, f"{name}-codes", stage, teacher, tag)))
        stages.append(("quantized activations", _accuracy(prepared, data)))
    say(f"{name}: compressing")
    small, report = compress(
        prepared, method, images, rng=job.rng(f"{name}-compress"),
        input_quantizer=Uniform(type=UINT8, scale=data.scale),
    )
    stages.append(("compressed, integer program", _program_accuracy(small, data)))
    say(f"{name}: fine-tuning")
    tuned = insert_batch_norm(small, images)
    stage = job.recipe.tune
    if joint:
        stage = replace(stage, epochs=stage.epochs + job.recipe.codes.epochs)
    elif job.recipe.hold_codes:
        tuned = hold_codes(tuned)
    balance = balance_of(method)
    logs.append(("tune", _train(job, tuned, f"{name}-tune", stage, teacher, tag, balance)))
    tuned = absorb_batch_norm(_settled(job, tuned, f"{name}-statistics", stage))
    return tuned, report, tuple(stages), tuple(logs)


def _settled(job: Job, net: Module, name: str, stage: Stage) -> Sequential:
    """The network with the batch norm statistics of the codes that its training ended with.

    Codes flip between neighbours to the last step, and running statistics lag behind them. The
    images are changed as in training: black edges of shifted ones are part of what was learnt.
    """
    images, augment = job.data.spread_images(SETTLING_IMAGES), stage.settings()["augment"]
    if augment is not None:
        images = augment(images, job.rng(name))
    settled = reestimate_batch_norm(net, job.data.real(images))
    assert isinstance(settled, Sequential)
    return settled


def _program_accuracy(net: Sequential, data: Dataset) -> float:
    """Accuracy of the integer program of a quantized network on the test images."""
    scores = kernels.compile(lower(freeze(net)))(data.test_images)
    return float(np.mean(scores.argmax(axis=1) == data.test_labels))


def _say_choice(name: str, choice: Choice, say: Say) -> None:
    r = choice.ranks
    chosen = "dense" if r is None else f"R={r.R}, s={r.s}, t={r.t}"
    say(
        f"{name}: layer {choice.name}: {chosen}, {choice.ratio:.2f} times fewer "
        f"multiply-accumulates, kernel error {choice.error:.3f}"
    )


def _say_agreement(name: str, accuracy: float, network: int, kernels: int, say: Say) -> None:
    say(
        f"{name}: integer program {accuracy:.2%}; differing codes: "
        f"network/program {network}, program/kernels {kernels}"
    )


def _write(job: Job, name: str, program: Program) -> None:
    folder = job.out / name
    folder.mkdir(exist_ok=True)
    save(program, folder / "program.refnet")
    write_golden(program, job.data.test_images[:GOLDEN_IMAGES], folder / "golden")


def _versions() -> dict[str, str]:
    packages: Sequence[str] = ("numpy", "scipy", "numba")
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": str(os.cpu_count()),
        **{name: version(name) for name in packages},
    }
