"""Decomposed layers measured beside the dense layers that they stand for.

Fewer multiply-accumulates are not less time by themselves, so a report never shows the one without
the other. Each decomposed layer is cut out of the program and runs by the compiled kernels, turn by
turn with a dense layer in 8 bits, of the same geometry and with the same ending.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from refnet import kernels
from refnet.compiler.result import LayerTime
from refnet.methods import CompressionReport
from refnet.program import (
    SINT8,
    UINT8,
    Constant,
    Conv,
    Node,
    Program,
    Requantize,
    TensorType,
    Threshold,
)

#: Multiply-accumulates of one measured call, so that calling costs little beside computing.
_WORK = 20_000_000
_MOST_IMAGES = 64
_SECONDS = 0.1
_ROUNDS, _LEFT_OUT = 7, 2


def layer_times(program: Program, report: CompressionReport) -> tuple[LayerTime, ...]:
    """A time for each layer of ``report.choices`` that was decomposed.

    Empty where the program has other convolutions than the choices say: then a method has made
    more than one of a factor.
    """
    convolutions = [node for node in program.nodes if isinstance(node.op, Conv)]
    if sum(choice.factors for choice in report.choices) != len(convolutions):
        return ()
    found, left, rows = [], iter(convolutions), iter(report.layers)
    for choice in report.choices:
        factors = list(islice(left, choice.factors))
        *_, row = islice(rows, choice.factors)
        if choice.ranks is not None:
            images = int(np.clip(_WORK // choice.shape.macs, 1, _MOST_IMAGES))
            pair = (dense_layer(program, factors), cut_out(program, factors))
            dense_ms, ms = (1e3 * t / images for t in _turn_by_turn(pair, images))
            found.append(LayerTime(
                choice=choice, response_error=row.response_error, images=images,
                dense_ms=dense_ms, ms=ms,
            ))
    return tuple(found)


def cut_out(program: Program, factors: Sequence[Node]) -> Program:
    """The nodes from the first to the last of ``factors``, with the ending of the last one."""
    names = [node.name for node in program.nodes]
    start, stop = names.index(factors[0].name), names.index(factors[-1].name) + 1
    nodes = [*program.nodes[start:stop], *_ending(program, factors[-1])]
    return _program(program, nodes, factors[0].inputs[0], {})


def dense_layer(program: Program, factors: Sequence[Node]) -> Program:
    """A dense layer with random 8-bit weights in the place of ``factors``, on 8-bit codes."""
    first, last = factors[0], factors[-1]
    middle = factors[1] if len(factors) == 3 else first
    held = [program.constants[node.inputs[1]].array.shape for node in (first, middle, last)]
    shape = (held[2][0], held[0][1], *held[1][2:])
    weights = np.random.default_rng(0).integers(-127, 128, shape).astype(np.int8)
    assert isinstance(first.op, Conv)
    assert isinstance(middle.op, Conv)
    op = Conv(
        stride=middle.op.stride, padding=middle.op.padding, dilation=middle.op.dilation,
        groups=first.op.groups,
    )
    dense = Node(name=last.name, op=op, inputs=(first.inputs[0], _WEIGHT, *last.inputs[2:]))
    constants = {_WEIGHT: Constant(type=SINT8, array=weights)}
    return _program(program, [dense, *_ending(program, last)], first.inputs[0], constants)


_WEIGHT = "dense.weight"


def _ending(program: Program, last: Node) -> list[Node]:
    """What makes codes of the sums of ``last``, if it stands right behind it."""
    after = program.nodes[program.nodes.index(last) + 1 :][:1]
    return [
        node for node in after
        if isinstance(node.op, Requantize | Threshold) and node.inputs[0] == last.name
    ]


def _program(
    program: Program, nodes: list[Node], source: str, constants: dict[str, Constant]
) -> Program:
    """A program of ``nodes`` on 8-bit codes of the shape of the value ``source``."""
    used = {name for node in nodes for name in node.inputs}
    kept = {name: held for name, held in program.constants.items() if name in used}
    of = program.types[source]
    wide = of.type if not constants else SINT8 if of.type.lo < 0 else UINT8
    return Program(
        name=program.name, input=source, input_type=TensorType(type=wide, shape=of.shape),
        nodes=tuple(nodes), constants=kept | constants, output=nodes[-1].name,
    )


def _turn_by_turn(programs: Iterable[Program], images: int) -> list[float]:
    """Median seconds of each program on a batch of ``images``.

    In each round every program runs once, so that a change of clock or load meets all alike.
    """
    rng, ready = np.random.default_rng(0), []
    for program in programs:
        of = program.input_type
        codes = rng.integers(of.type.lo, of.type.hi + 1, (images, *of.shape))
        ready.append((kernels.compile(program, threads=1), codes.astype(of.type.dtype)))
    times: list[list[float]] = [[] for _ in ready]
    begun, rounds = time.process_time(), 0
    while rounds < _ROUNDS or time.process_time() - begun < _SECONDS:
        for (plan, codes), found in zip(ready, times, strict=True):
            before = time.thread_time()
            plan(codes)
            found.append(time.thread_time() - before)
        rounds += 1
    return [statistics.median(found[_LEFT_OUT:]) for found in times]
