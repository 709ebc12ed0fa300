"""Results of compilations made by hand, for tests of what is written from them."""

from __future__ import annotations

import numpy as np

import hwsim
from hwsim import presets
from refnet.compiler.result import ActivationView, Agreement, CompileResult, MethodResult
from refnet.methods import CompressionReport
from refnet.methods.base import LayerReport
from refnet.nn import TrainingLog
from refnet.program import (
    SINT8,
    TERNARY,
    UINT8,
    Constant,
    Conv,
    Node,
    Program,
    Reshape,
    TensorType,
    Threshold,
    constant,
)
from refnet.quant import HalfWave, Quantizer

LONG = "a" * 60 + "_the_end_of_a_long_name"


def tiny_program(first: str = "c1", dead: bool = False) -> Program:
    w1 = np.arange(-9, 9).reshape(2, 1, 3, 3)
    w2 = np.array([[1, -1], [0, 1], [-1, 0]]).reshape(3, 2, 1, 1)
    if dead:
        w2[1] = 0
    return Program(
        name="tiny", input="x", input_type=TensorType(type=UINT8, shape=(1, 4, 4)),
        nodes=(
            Node(name=first, op=Conv(padding=1), inputs=("x", "w1")),
            Node(name="q1", op=Threshold(), inputs=(first, "t", "sign")),
            Node(name="c2", op=Conv(stride=4), inputs=("q1", "w2")),
            Node(name="y", op=Reshape(shape=(3,)), inputs=("c2",)),
        ),
        constants={
            "w1": Constant(type=SINT8, array=w1), "w2": Constant(type=TERNARY, array=w2),
            "t": constant(np.array([[1, 50, 900], [0, 10, 20]])),
            "sign": constant(np.array([1, -1])),
        },
        output="y",
    )


def row(name: str, dead: tuple[int, ...] = ()) -> LayerReport:
    return LayerReport(
        name=name, kind="Conv2d", method="twostep", weights=18, weight_bits=36, macs=288,
        zeros=0.25, response_error=0.0123, dead_filters=dead,
    )


def log(*accuracy: float) -> TrainingLog:
    losses = tuple(1.0 / (i + 1) for i in range(len(accuracy)))
    return TrainingLog(
        losses=losses, train_accuracy=accuracy, test_accuracy=accuracy, seconds=losses
    )


def view(quantizer: Quantizer, layer: str = "2") -> ActivationView:
    x = np.random.default_rng(1).normal(size=400)
    counts, edges = np.histogram(x, bins=20)
    codes = np.bincount(quantizer.codes(x), minlength=quantizer.type.hi + 1)
    return ActivationView(
        layer=layer, quantizer=quantizer, edges=edges, counts=counts, code_counts=codes
    )


def tiny_method(name: str = "twostep", *, program: Program | None = None) -> MethodResult:
    program = program or tiny_program()
    workload = hwsim.from_program(program)
    return MethodResult(
        name=name, program=program,
        compression=CompressionReport(method=name, layers=(row("0"), row("3"))),
        agreement=Agreement(images=200, correct=178, network_vs_program=0, program_vs_kernels=0),
        stages=(("float", 0.91), ("compressed, integer program", 0.885)),
        logs=(("codes", log(0.88, 0.89)), ("tune", log(0.89))),
        activations=(view(HalfWave(bits=2)),),
        hardware=tuple(
            hwsim.simulate(workload, a) for a in (presets.EDGE_16X16_OS, presets.BISMO_8X256X8)
        ),
    )


def tiny_result(*methods: MethodResult) -> CompileResult:
    return CompileResult(
        data="digits", data_source="made by hand", image_shape=(1, 4, 4), train_images=1000,
        test_images=200, seed=7, float_accuracy=0.91, float_weights=24,
        float_log=log(0.2, 0.9, 0.91), methods=methods or (tiny_method(),),
        versions={"python": "3.11", "numpy": "2.0"}, seconds=12.34,
    )
