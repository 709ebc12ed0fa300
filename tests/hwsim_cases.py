"""Networks and machines that several tests of the simulator use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from hwsim.architecture import Architecture, Memory
from hwsim.layers import Gemm, Operand, Window
from refnet.program import (
    INT8,
    SINT8,
    TERNARY,
    UINT8,
    Add,
    Conv,
    MaxPool,
    Node,
    Program,
    Requantize,
    Reshape,
    SumPool,
    TensorType,
    Threshold,
    constant,
)

ALEXNET = Path(__file__).parents[1] / "benchmarks" / "topologies" / "alexnet.csv"

#: An architecture file.
TOML = """
name = "mine"
pe = "int8"
rows = 4
columns = 6
dataflow = "ws"
vector_lanes = 6
clock_hz = 100_000_000
technology = "45nm-0.9V"
source = "a test"
[input]
bytes = 1024
word_bits = 32
bandwidth_bits_per_cycle = 32
[weights]
bytes = 2048
word_bits = 48
bandwidth_bits_per_cycle = 48
[output]
bytes = 4096
word_bits = 192
bandwidth_bits_per_cycle = 192
[dram]
kind = "LPDDR4"
bandwidth_bits_per_cycle = 64
"""


def small_program() -> Program:
    """Every operator; a fused and an unfused threshold; groups, stride, padding, bias."""
    rng = np.random.default_rng(7)

    def integers(lo, hi, *shape):
        return rng.integers(lo, hi + 1, size=shape)

    ladder = np.sort(integers(-300, 300, 8, 3), axis=1)
    ones = constant(np.ones(8, dtype=np.int64))
    return Program(
        name="small", input="x", input_type=TensorType(type=UINT8, shape=(2, 9, 7)),
        constants={
            "c1.w": constant(integers(-127, 127, 8, 2, 3, 3), SINT8),
            "c1.b": constant(integers(-99, 99, 8), INT8),
            "t": constant(ladder), "s": ones,
            "c2.w": constant(integers(-1, 1, 8, 4, 3, 3), TERNARY),
            "fc.w": constant(integers(-1, 1, 5, 8, 1, 1), TERNARY),
            "mult": constant(integers(1, 9, 5)), "shift": constant(integers(1, 3, 5)),
        },
        nodes=(
            Node(name="c1", op=Conv(padding=1, stride=(2, 1)), inputs=("x", "c1.w", "c1.b")),
            Node(name="a1", op=Threshold(), inputs=("c1", "t", "s")),
            Node(name="c2", op=Conv(padding=1, groups=2), inputs=("a1", "c2.w")),
            Node(name="a2", op=Threshold(), inputs=("c2", "t", "s")),
            Node(name="sum", op=Add(), inputs=("a2", "c2")),
            Node(name="a3", op=Threshold(), inputs=("sum", "t", "s")),
            Node(name="max", op=MaxPool(kernel=2, stride=2), inputs=("a3",)),
            Node(name="mean", op=SumPool(kernel=(2, 3), stride=1), inputs=("max",)),
            Node(name="flat", op=Reshape(shape=(8, 1, 1)), inputs=("mean",)),
            Node(name="fc", op=Conv(), inputs=("flat", "fc.w")),
            Node(name="y", op=Requantize(type=INT8, rounding="half_even"),
                 inputs=("fc", "mult", "shift")),
        ),
        output="y",
    )


def gemm(m: int, k: int, n: int) -> Gemm:
    def byte(elements: int) -> Operand:
        return Operand(lo=-128, hi=127, elements=elements)

    return Gemm(name="g", m=m, k=k, n=n, input=byte(m * k), weights=byte(k * n), output=byte(m * n))


def conv(H: int, R: int, C: int, F: int, *, stride=1, pad=0, batch=1, groups=1) -> Gemm:
    return convolution(
        (H, H), (R, R), C, F, stride=(stride, stride), padding=((pad, pad), (pad, pad)),
        batch=batch, groups=groups,
    )


def convolution(
    size, kernel, C: int, F: int, *, stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1),
    batch=1, groups=1,
) -> Gemm:
    out = tuple(
        (n + sum(pads) - d * (r - 1) - 1) // s + 1
        for n, pads, d, r, s in zip(size, padding, dilation, kernel, stride, strict=True)
    )
    m, k = batch * out[0] * out[1], C // groups * kernel[0] * kernel[1]
    return Gemm(
        name="c", groups=groups, m=m, k=k, n=F // groups,
        input=Operand(lo=0, hi=255, elements=batch * C * size[0] * size[1]),
        weights=Operand(lo=-128, hi=127, elements=k * F),
        output=Operand(lo=0, hi=255, elements=m * F),
        window=Window(
            batch=batch, channels=C // groups, height=size[0], width=size[1], kernel=kernel,
            stride=stride, padding=padding, dilation=dilation, output=out,
        ),
    )


@st.composite
def convolutions(draw, *, largest=6, channels=3, batches=3):
    """Any convolution: halos, strides, padding unlike at the two ends, dilation, groups."""
    kernel, dilation = (draw(st.tuples(*[st.integers(1, n)] * 2)) for n in (3, 2))
    padding = draw(st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2))
    size = tuple(
        draw(st.integers(max(1, d * (r - 1) + 1 - sum(pads)), largest + 1))
        for r, d, pads in zip(kernel, dilation, padding, strict=True)
    )
    groups = draw(st.integers(1, 3))
    # Depthwise where a group has one channel and one filter.
    C, F = (groups * draw(st.integers(1, channels)) for _ in range(2))
    return convolution(
        size, kernel, C, F, stride=draw(st.tuples(st.integers(1, 4), st.integers(1, 4))),
        padding=padding, dilation=dilation, batch=draw(st.integers(1, batches)), groups=groups,
    )


def machine(
    base: Architecture, *, rows=2, columns=2, sizes=(64, 64, 64), bandwidth=16, sram=64
) -> Architecture:
    memories = [Memory(bytes=n, word_bits=8, bandwidth_bits_per_cycle=sram) for n in sizes]
    return replace(
        base, rows=rows, columns=columns, input=memories[0], weights=memories[1],
        output=memories[2], dram=replace(base.dram, bandwidth_bits_per_cycle=bandwidth),
    )
