"""The small programs that the vectors run, save and load."""

from __future__ import annotations

import numpy as np

from refnet.program import (
    INT8,
    TERNARY,
    UINT2,
    UINT8,
    Add,
    Constant,
    IntType,
    Node,
    Program,
    Requantize,
    Reshape,
    TensorType,
    Threshold,
    constant,
)
from refnet.vectors.cases.build import conv, max_pool, sum_pool
from refnet.vectors.stream import Stream


def double() -> Program:
    """One addition of the input to itself."""
    return Program(
        name="double",
        input="x",
        input_type=TensorType(type=TERNARY, shape=(2,)),
        constants={},
        output="y",
        nodes=(Node(name="y", op=Add(), inputs=("x", "x")),),
    )


def identity() -> Program:
    """The output is the input: no step at all."""
    return Program(
        name="identity",
        input="x",
        input_type=TensorType(type=UINT2, shape=(3,)),
        constants={},
        output="x",
        nodes=(),
    )


def step() -> Program:
    """One threshold with both signs: the smallest program with constants."""
    return Program(
        name="step",
        input="x",
        input_type=TensorType(type=IntType(lo=-5, hi=5), shape=(2,)),
        constants={"t": constant(np.array([[0, 3], [0, 3]])), "sign": constant(np.array([1, -1]))},
        output="y",
        nodes=(Node(name="y", op=Threshold(), inputs=("x", "t", "sign")),),
    )


def _trits(draw: Stream, *shape: int) -> Constant:
    return constant(draw.integers(-1, 1, shape), TERNARY)


def _thresholds(draw: Stream, channels: int, lo: int, hi: int) -> dict[str, Constant]:
    t = np.sort(draw.integers(lo, hi, (channels, 3)), axis=1)
    sign = 2 * draw.integers(0, 1, (channels,)) - 1
    return {"t": constant(t), "sign": constant(sign, TERNARY)}


def twostep() -> Program:
    """8-bit ends, a ternary middle on 2-bit codes, an average pool: every operator but Add."""
    draw = Stream("program twostep")
    first, second = _thresholds(draw, 4, -2000, 2000), _thresholds(draw, 4, -3, 4)
    constants = {
        "c1.w": constant(draw.integers(-127, 127, (4, 1, 3, 3)), IntType.symmetric(8)),
        "c1.b": constant(draw.integers(-500, 500, (4,))),
        "c2.w": _trits(draw, 4, 4, 3, 3),
        "mult": constant(np.array([21845, 21845, 21845, 16384])),
        "shift": constant(np.array([16, 16, 16, 15])),
        "fc.w": constant(draw.integers(-127, 127, (3, 4, 1, 1)), IntType.symmetric(8)),
        "fc.b": constant(np.array([5, -5, 0])),
        **{f"q1.{k}": c for k, c in first.items()},
        **{f"q2.{k}": c for k, c in second.items()},
    }
    mean = Requantize(type=INT8, rounding="half_even")
    nodes = (
        Node(name="c1", op=conv(padding=1), inputs=("x", "c1.w", "c1.b")),
        Node(name="q1", op=Threshold(), inputs=("c1", "q1.t", "q1.sign")),
        Node(name="p1", op=max_pool(kernel=2, stride=2), inputs=("q1",)),
        Node(name="c2", op=conv(padding=1), inputs=("p1", "c2.w")),
        Node(name="q2", op=Threshold(), inputs=("c2", "q2.t", "q2.sign")),
        Node(name="sum", op=sum_pool(kernel=3, stride=3), inputs=("q2",)),
        Node(name="mean", op=mean, inputs=("sum", "mult", "shift")),
        Node(name="fc", op=conv(), inputs=("mean", "fc.w", "fc.b")),
        Node(name="logits", op=Reshape(shape=(3,)), inputs=("fc",)),
    )
    return Program(
        name="twostep",
        input="x",
        input_type=TensorType(type=UINT8, shape=(1, 6, 6)),
        constants=constants,
        nodes=nodes,
        output="logits",
    )


def residual() -> Program:
    """A block with a shortcut: two paths are brought to one scale and added."""
    draw = Stream("program residual")
    to_int8 = Requantize(type=INT8, rounding="half_up")
    constants = {
        "c.w": _trits(draw, 2, 2, 3, 3),
        "m1": constant(np.array([3, -3])),
        "s1": constant(np.array([1, 1])),
        "m2": constant(np.array([5, 5])),
        "s2": constant(np.array([1, 2])),
        **_thresholds(draw, 2, -10, 10),
    }
    return Program(
        name="residual",
        input="x",
        input_type=TensorType(type=UINT2, shape=(2, 4, 4)),
        constants=constants,
        nodes=(
            Node(name="c", op=conv(padding=1), inputs=("x", "c.w")),
            Node(name="main", op=to_int8, inputs=("c", "m1", "s1")),
            Node(name="short", op=to_int8, inputs=("x", "m2", "s2")),
            Node(name="sum", op=Add(), inputs=("main", "short")),
            Node(name="y", op=Threshold(), inputs=("sum", "t", "sign")),
        ),
        output="y",
    )


def factorized() -> Program:
    """A ternary kernel, a scale a channel, a ternary 1x1: the form X D Y of a layer."""
    draw = Stream("program factorized")
    return Program(
        name="factorized",
        input="x",
        input_type=TensorType(type=UINT2, shape=(2, 5, 5)),
        constants={
            "y.w": _trits(draw, 3, 2, 3, 3),
            "d.mult": constant(np.array([19661, 26214, -16384])),
            "d.shift": constant(np.array([14, 15, 15])),
            "x.w": _trits(draw, 4, 3, 1, 1),
        },
        nodes=(
            Node(name="yx", op=conv(stride=2, padding=((1, 0), (1, 0))), inputs=("x", "y.w")),
            Node(
                name="d",
                op=Requantize(type=INT8, rounding="half_away"),
                inputs=("yx", "d.mult", "d.shift"),
            ),
            Node(name="out", op=conv(), inputs=("d", "x.w")),
        ),
        output="out",
    )


def blockterm() -> Program:
    """1x1, grouped 3x3, 1x1: the three convolutions of a block-term layer."""
    draw = Stream("program blockterm")
    return Program(
        name="blockterm",
        input="x",
        input_type=TensorType(type=INT8, shape=(3, 5, 4)),
        constants={
            "a": constant(draw.integers(-7, 7, (4, 3, 1, 1))),
            "g": constant(draw.integers(-7, 7, (4, 2, 3, 3))),
            "b": constant(draw.integers(-7, 7, (2, 4, 1, 1))),
        },
        nodes=(
            Node(name="xa", op=conv(), inputs=("x", "a")),
            Node(name="xg", op=conv(groups=2, padding=1, stride=2), inputs=("xa", "g")),
            Node(name="xb", op=conv(), inputs=("xg", "b")),
        ),
        output="xb",
    )


def shared() -> Program:
    """One ternary kernel used twice, and a wide type that its weights do not fill."""
    draw = Stream("program shared")
    return Program(
        name="shared",
        input="x",
        input_type=TensorType(type=UINT2, shape=(2, 4, 4)),
        constants={
            "w": Constant(type=TERNARY, array=abs(draw.integers(-1, 1, (2, 2, 3, 3)))),
            "v": Constant(type=INT8, array=draw.integers(-3, 3, (2, 2, 1, 1))),
            "d.mult": constant(np.array([3, -5])),
            "d.shift": constant(np.array([4, 4])),
        },
        nodes=(
            Node(name="a", op=conv(padding=1), inputs=("x", "w")),
            Node(
                name="b",
                op=Requantize(type=UINT2, rounding="half_even"),
                inputs=("a", "d.mult", "d.shift"),
            ),
            Node(name="c", op=conv(padding=1), inputs=("b", "w")),
            Node(name="d", op=conv(), inputs=("x", "v")),
            Node(name="y", op=Add(), inputs=("d", "c")),
        ),
        output="y",
    )
