"""The table of kernels, the rule that picks one, and the hook for ``refnet.program.run``."""

from __future__ import annotations

import numpy as np

from refnet.kernels import (
    bitserial,
    bytepairs,
    bytetable,
    conv,
    depthwise,
    elementwise,
    int8,
    int16,
    pooling,
    popcount,
    requantize,
    ternary,
    threshold,
    trits,
)
from refnet.kernels._kernel import Kernel
from refnet.kernels.tiers import Tier, current
from refnet.program import (
    Constant,
    IntArray,
    IntType,
    Op,
    Operand,
    ProgramError,
    TensorType,
    constant,
)

#: Every kernel. Of those that apply and pay the first is taken, so the special ones come first.
KERNELS: tuple[Kernel, ...] = (
    popcount.KERNEL,
    bytetable.KERNEL,
    bitserial.KERNEL,
    trits.KERNEL,
    depthwise.KERNEL,
    int8.KERNEL,
    bytepairs.KERNEL,
    int16.KERNEL,
    ternary.KERNEL,
    conv.KERNEL,
    threshold.KERNEL,
    requantize.KERNEL,
    elementwise.ADD_KERNEL,
    pooling.MAX_KERNEL,
    pooling.SUM_KERNEL,
    elementwise.RESHAPE_KERNEL,
)

_STORAGE = frozenset(np.dtype(t) for t in (np.int8, np.uint8, np.int16, np.uint16, np.int32))


def choose(op: Op, operands: tuple[Operand, ...], tier: Tier | None = None) -> Kernel:
    """The first kernel of ``KERNELS`` for this operator that applies to these operands and pays.

    Only kernels whose code ``tier`` may run are looked at (default: ``tiers.current()``).

    A convolution with ternary weights goes to ``popcount``, ``bytetable`` (1 or 2 bits) or
    ``bitserial``, as the tier allows, where activations are unsigned with 1 to 4 bits and a group
    has enough channels, and to ``trits`` where it is a large matrix of wider codes. Any other goes
    to ``depthwise``, ``int8``, ``bytepairs`` (weights whose neighbours seldom pass 16 bits) or
    ``int16``; ``ternary`` and ``conv`` take what is left. Weights are
    judged by their values, not by their declared type.
    """
    tier = current() if tier is None else tier
    for kernel in KERNELS:
        fits = kernel.op is type(op) and kernel.tier <= tier and kernel.applies(op, *operands)
        if fits and kernel.pays(op, *operands):
            return kernel
    raise ProgramError(f"{op!r}: no kernel carries it out")


def plain(x: IntArray) -> IntArray:
    """x as kernels take it: C-contiguous, aligned, writeable, of a storage dtype in native order.

    A copy is made only where x is not so already, so that each kernel is compiled for few kinds of
    arrays. The values of an array of another dtype must fit 32 bits.
    """
    dtype = x.dtype if x.dtype in _STORAGE else np.dtype(np.int32)
    return np.require(x, dtype=dtype, requirements=("C", "A", "W"))


def execute(op: Op, operands: tuple[IntArray, ...], result: TensorType) -> IntArray:
    """The hook of ``run``: carry out ``op`` with the first kernel that applies.

    ``operands`` are positional, activations (N, ...) first; any integer dtype, byte order and
    strides will do. Returns (N, *result.shape) of ``result.type.dtype``. Raises
    :class:`ProgramError` where the operands do not fit the operator, or their values do not
    guarantee the ``result`` type. Constants are packed at every call; ``compile`` packs once.
    """
    activations = next(kernel.activations for kernel in KERNELS if kernel.op is type(op))
    arrays = tuple(np.asarray(a) for a in operands)
    kinds = _operands(arrays, activations)
    found = op.infer(*kinds)
    images = len(arrays[0])
    within = result.type.lo <= found.type.lo and found.type.hi <= result.type.hi
    if found.shape != result.shape or not (within or images == 0):
        raise ProgramError(f"{op!r}: executed as {found}, asked for {result}")
    if any(len(a) != images for a in arrays[:activations]):
        raise ProgramError(f"{op!r}: {[len(a) for a in arrays[:activations]]} images, rule equal")
    out = np.empty((images, *result.shape), dtype=result.type.dtype)
    if images:
        step = choose(op, kinds).prepare(op, *kinds)
        step(tuple(plain(a) for a in arrays[:activations]), out)
    return out


def _operands(arrays: tuple[IntArray, ...], activations: int) -> tuple[TensorType | Constant, ...]:
    """The operands as types and constants, of the tightest ranges that hold their values."""
    kinds: list[TensorType | Constant] = []
    for index, array in enumerate(arrays):
        if array.dtype.kind not in "iu" or array.ndim < 1:
            raise ProgramError(f"operand {index}: {array.dtype} {array.shape}, rule integer arrays")
        if index >= activations:
            kinds.append(constant(array))
            continue
        lo, hi = (int(array.min()), int(array.max())) if array.size else (0, 0)
        kinds.append(TensorType(type=IntType(lo=lo, hi=hi), shape=array.shape[1:]))
    return tuple(kinds)
