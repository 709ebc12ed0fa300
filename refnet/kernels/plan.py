"""A program made ready: kernels chosen and constants packed once, images split over threads."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from refnet.kernels._kernel import Step
from refnet.kernels.dispatch import choose
from refnet.program import IntArray, Program, TensorType, run

#: Images that go through the whole program at a time, for any number of threads.
CHUNK_IMAGES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One node of a plan: the step, the names of the activations it reads, and the kernel's."""

    name: str
    kernel: str
    inputs: tuple[str, ...]
    result: TensorType
    step: Step
    #: Values that nothing after this stage reads.
    dead: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``plan(x)``: the integers of ``run(program, x)``, by compiled kernels.

    Holds nothing that a call changes: threads may call one plan at the same time. Chunks of images
    have a fixed size and write places of their own, so the result does not depend on ``threads``.
    """

    program: Program
    threads: int
    stages: tuple[Stage, ...]
    #: The program without its steps: running it checks and converts the input, nothing else.
    entrance: Program

    def __call__(self, x: IntArray) -> IntArray:
        """x (N, *input shape) -> the output (N, ...); raises as ``run`` where x does not fit."""
        x = run(self.entrance, x)
        kind = self.program.types[self.program.output]
        out = np.empty((len(x), *kind.shape), dtype=kind.type.dtype)
        starts = range(0, len(x), CHUNK_IMAGES)

        def chunk(start: int) -> None:
            images = slice(start, start + CHUNK_IMAGES)
            out[images] = self._through(np.ascontiguousarray(x[images]))

        if self.threads == 1 or len(starts) < 2:
            for start in starts:
                chunk(start)
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                for done in [pool.submit(chunk, start) for start in starts]:
                    done.result()
        return out

    def _through(self, x: IntArray) -> IntArray:
        values = {self.program.input: x}
        for stage in self.stages:
            shape = (len(x), *stage.result.shape)
            values[stage.name] = np.empty(shape, dtype=stage.result.type.dtype)
            stage.step(tuple(values[n] for n in stage.inputs), values[stage.name])
            for name in stage.dead:
                del values[name]
        return values[self.program.output]


def compile(program: Program, *, threads: int = 1) -> Plan:
    """Choose a kernel for every node of ``program`` and pack its constants.

    ``threads`` threads share a batch at every call. Nothing is compiled to machine code before the
    first call. Raises ``ValueError`` where ``threads`` is below 1.
    """
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise ValueError(f"compile: threads={threads!r} must be an integer >= 1")
    entrance = Program(
        name=program.name, input=program.input, input_type=program.input_type,
        nodes=(), constants={}, output=program.input,
    )  # fmt: skip
    return Plan(program=program, threads=threads, stages=_stages(program), entrance=entrance)


def _stages(program: Program) -> tuple[Stage, ...]:
    last_use: Mapping[str, int] = {
        name: i for i, node in enumerate(program.nodes) for name in node.inputs
    }
    stages = []
    for i, node in enumerate(program.nodes):
        operands = program.operands(node)
        kernel = choose(node.op, operands)
        inputs = tuple(n for n in node.inputs if n in program.types)
        # The output is never among them: what came after it would be used by nothing.
        dead = tuple(n for n in dict.fromkeys(inputs) if last_use[n] == i)
        stages.append(
            Stage(
                name=node.name, kernel=kernel.name, inputs=inputs, dead=dead,
                result=program.types[node.name], step=kernel.prepare(node.op, *operands),
            )
        )  # fmt: skip
    return tuple(stages)
