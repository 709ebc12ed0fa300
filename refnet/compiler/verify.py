"""The frozen network, the program and the kernels against each other, integer by integer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from refnet import kernels
from refnet.compiler.result import Agreement
from refnet.nn import Sequential
from refnet.program import IntArray, Program, run
from refnet.quant import trace_frozen

_BATCH = 250


def verify(
    frozen: Sequential, program: Program, images: IntArray, labels: NDArray[np.int64], *,
    progress: bool = True,
) -> Agreement:
    """Compare every value of every step on all ``images`` (N, C, H, W), given as input codes.

    Kernels are held against the program twice: one by one, and as the plan that fuses them.
    """
    plan = kernels.compile(program)
    total = Agreement(images=0, correct=0, network_vs_program=0, program_vs_kernels=0)
    starts = range(0, len(images), _BATCH)
    for start in tqdm(starts, disable=not progress, desc="verify", unit="batch"):
        batch = slice(start, start + _BATCH)
        total += _verify_batch(frozen, program, plan, images[batch], labels[batch])
    return total


def _verify_batch(
    frozen: Sequential, program: Program, plan: kernels.Plan, codes: IntArray,
    labels: NDArray[np.int64],
) -> Agreement:
    scores, values = run(program, codes, trace=True)
    _, compiled = run(program, codes, execute=kernels.execute, trace=True)
    network = trace_frozen(frozen, codes)
    names = [node.name for node in program.nodes]
    return Agreement(
        images=len(codes),
        correct=int(np.sum(scores.argmax(axis=1) == labels)),
        network_vs_program=sum(
            _differing(values[name], y) for name, y in zip(names, network, strict=True)
        ),
        program_vs_kernels=sum(_differing(values[name], compiled[name]) for name in names)
        + _differing(scores, plan(codes)),
    )


def _differing(a: NDArray[np.generic], b: NDArray[np.generic]) -> int:
    """How many elements differ; all of them where the shapes do."""
    return int(np.sum(a != b)) if a.shape == b.shape else max(a.size, b.size, 1)
