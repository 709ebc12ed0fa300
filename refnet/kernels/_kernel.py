"""What a kernel is: the record that offers one way to carry out an operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from refnet.kernels.tiers import Tier
from refnet.program import IntArray, Op, Operand

#: A prepared operator: step(activations, out) fills ``out``, whose dtype the result type fixes.
#: Activations are C-contiguous, aligned, in native byte order and of a storage dtype [1.1.3]; the
#: batch holds at least one image. A step keeps no state between calls, so threads may share it.
Step = Callable[[tuple[IntArray, ...], IntArray], None]

def _always(op: Op, *operands: Operand) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """One way to carry out one operator, equal to ``op.evaluate`` bit for bit.

    Of operands (types of activations, constants as they are) ``applies(op, *operands)`` says that
    the kernel is right, and ``pays(op, *operands)`` that it is worth choosing where it is right.
    ``prepare(op, *operands)`` packs the constants once and returns the step; ``tier`` is what its
    machine code needs. ``activations`` counts the leading operands that are activations.
    """

    name: str
    op: type[Op]
    prepare: Callable[..., Step]
    applies: Callable[..., bool] = _always
    pays: Callable[..., bool] = _always
    activations: int = 1
    tier: Tier = Tier.PORTABLE
