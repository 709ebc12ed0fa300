"""What a compilation found: records that the report is written from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import hwsim
from refnet.methods import CompressionReport
from refnet.methods.costs import Choice
from refnet.methods.sdd_costs import NetworkCost
from refnet.nn import TrainingLog
from refnet.program import Program
from refnet.quant import Quantizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Frozen network, program and kernels on the same images, every value of every step compared.

    Counts are numbers of integers that differ; ``correct`` are images classified right by the
    program.
    """

    images: int
    correct: int
    network_vs_program: int
    program_vs_kernels: int

    @property
    def accuracy(self) -> float:
        """Accuracy of the integer program."""
        return self.correct / self.images

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(
            images=self.images + other.images,
            correct=self.correct + other.correct,
            network_vs_program=self.network_vs_program + other.network_vs_program,
            program_vs_kernels=self.program_vs_kernels + other.program_vs_kernels,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ActivationView:
    """What an activation quantizer meets: a histogram of its inputs and the share of each code."""

    layer: str
    quantizer: Quantizer
    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    code_counts: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTime:
    """A decomposed layer on this machine, one thread, by the integer kernels, beside its ratio.

    ``dense_ms`` is the time of the dense layer in 8 bits and ``ms`` that of the layers that stand
    for it in the program, both for one image in a batch of ``images``, from the same inputs to the
    same ending. ``response_error`` is that of its last factor.
    """

    choice: Choice
    response_error: float
    images: int
    dense_ms: float
    ms: float

    @property
    def ratio(self) -> float:
        """How many times faster."""
        return self.dense_ms / self.ms

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            **self.choice.as_dict(), "response_error": self.response_error,
            "images": self.images, "dense_ms": self.dense_ms, "ms": self.ms,
            "measured_ratio": self.ratio,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MethodResult:
    """One method on the network: accuracies at each stage, the program, its agreement and cost.

    ``stages`` are pairs (name of the stage, test accuracy): of the network in real numbers before
    its weights are compressed, of the integer program from then on. ``logs`` are pairs (name,
    training log). ``cost`` counts additions and multiplications of the factors, if it has any.
    ``spelling`` is the method as on the command line; ``times`` are those of its decomposed layers.
    """

    name: str
    program: Program
    compression: CompressionReport
    agreement: Agreement
    stages: tuple[tuple[str, float], ...]
    logs: tuple[tuple[str, TrainingLog], ...]
    activations: tuple[ActivationView, ...]
    hardware: tuple[hwsim.Report, ...]
    cost: NetworkCost | None = None
    spelling: str = ""
    times: tuple[LayerTime, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompileResult:
    """A whole compilation. ``versions`` says where it ran: packages, machine, cores."""

    data: str
    data_source: str
    image_shape: tuple[int, ...]
    train_images: int
    test_images: int
    seed: int
    float_accuracy: float
    float_weights: int
    float_log: TrainingLog
    methods: tuple[MethodResult, ...]
    versions: dict[str, str]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values: ``report.json``."""
        return {
            "data": self.data,
            "data_source": self.data_source,
            "train_images": self.train_images,
            "test_images": self.test_images,
            "seed": self.seed,
            "float_accuracy": self.float_accuracy,
            "float_weight_bits": 32 * self.float_weights,
            "methods": {method.name: _method(method) for method in self.methods},
            "versions": self.versions,
            "seconds": round(self.seconds, 3),
        }


def _method(result: MethodResult) -> dict[str, Any]:
    return {
        "program_accuracy": result.agreement.accuracy,
        "network_vs_program_differing_codes": result.agreement.network_vs_program,
        "program_vs_kernels_differing_codes": result.agreement.program_vs_kernels,
        "weight_bits": result.program.weight_bits(),
        "macs": result.program.work().macs,
        "stages": dict(result.stages),
        "layers": result.compression.as_dict()["layers"],
        "factors": None if result.cost is None else result.cost.as_dict(),
        "choices": result.compression.as_dict()["choices"],
        "decomposed_layers": [time.as_dict() for time in result.times],
        "dead_filters": result.compression.dead_filters,
        "hardware": {
            report.architecture.name: {
                "cycles": report.total_cycles,
                "energy_pj": report.energy_pj,
                "layers": {
                    layer.name: {"cycles": layer.total_cycles, "energy_pj": layer.energy_pj}
                    for layer in report.layers
                },
            }
            for report in result.hardware
        },
    }
