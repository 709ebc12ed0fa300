"""Compile ahead: run what plans are made of once, so that the cache on disk holds it."""

from __future__ import annotations

import numpy as np

from refnet.kernels.plan import compile
from refnet.kernels.tiers import runnable
from refnet.program import Program
from refnet.program.networks import resnet18


def program() -> Program:
    """A network with 8-bit and few-bit layers, a residual stream, pools and every fused step."""
    return resnet18(size=32, filters=4, classes=2, rng=np.random.default_rng(0))


def warm() -> int:
    """Compile what a network of 8-bit and ternary layers needs; the number of stages that ran.

    Kernels of every tier this process may run. What is there already is only loaded.
    """
    net, stages = program(), 0
    x = np.zeros((1, *net.input_type.shape), dtype=net.input_type.type.dtype)
    for tier in runnable():
        plan = compile(net, tier=tier)
        plan(x)
        stages += len(plan.stages)
    return stages
