"""Learning rate schedules: functions from the number of steps already taken to a factor in [0, 1].

A schedule knows nothing but the step, so a resumed run needs no state for it. With `warmup` > 0
the factor first rises linearly, reaching the schedule proper after that many steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

Schedule: TypeAlias = Callable[[int], float]


def constant(steps: int, *, warmup: int = 0) -> Schedule:
    """Always 1."""
    return _warmed(lambda progress: 1.0, steps, warmup)


def linear(steps: int, *, warmup: int = 0) -> Schedule:
    """From 1 down to 0 at `steps` in a straight line.

    >>> factor = linear(8, warmup=4)
    >>> [factor(step) for step in range(9)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    return _warmed(lambda progress: 1 - progress, steps, warmup)


def cosine(steps: int, *, warmup: int = 0) -> Schedule:
    """From 1 down to 0 at `steps` along half a cosine (Loshchilov and Hutter 2017, eq. 5)."""
    return _warmed(lambda progress: 0.5 * (1 + math.cos(math.pi * progress)), steps, warmup)


def staircase(
    steps: int, *, at: tuple[float, ...] = (0.5, 0.75), drop: float = 0.1, warmup: int = 0
) -> Schedule:
    """Multiplied by `drop` at each of the fractions `at` of the way."""
    return _warmed(lambda progress: drop ** sum(progress >= a for a in at), steps, warmup)


def _warmed(factor: Callable[[float], float], steps: int, warmup: int) -> Schedule:
    if steps < 1 or not 0 <= warmup < steps:
        raise ValueError(f"schedule: steps={steps}, warmup={warmup}, must be 0 <= warmup < steps")

    def schedule(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return factor(min(1.0, (step - warmup) / (steps - warmup)))

    return schedule
