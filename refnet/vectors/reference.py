"""The meaning of every kind of vector, from refnet.program: where expected outputs come from.

A vector asks for one of three kinds of things: an operator of chapter 04 (``Conv`` ...), a whole
program (``Program``), or a function of the specification (``rounding_shift``, ``pack_bits`` ...).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.program import Conv, Op, Requantize, TensorType, Threshold, arith, evaluate, run
from refnet.vectors.building import KINDS, operands_of, operator_of, program_of
from refnet.vectors.functions import FUNCTIONS, Implementation, Outputs
from refnet.vectors.record import Vector, VectorError
from refnet.vectors.tiers import TIER_FUNCTIONS

Execute = Callable[[Op, tuple[NDArray[Any], ...], TensorType], NDArray[Any]]


class Unusable(Exception):  # noqa: N818 - what the answer is
    """The implementation gave no usable answer; the message says what came instead."""


class Unsupported(Exception):  # noqa: N818 - it is an answer, not a failure
    """The implementation says that it does not do this kind of vector."""


def _operator(vector: Vector, execute: Execute) -> Outputs:
    op = operator_of(vector.op, vector.attributes)
    arrays = tuple(a.array() for a in vector.operands)
    result = op.infer(*operands_of(vector))
    y = execute(op, arrays, result)
    if y.dtype != result.type.dtype:
        raise TypeError(f"{vector.op}: dtype {y.dtype}, rule {result.type.dtype}")
    return {"y": y, **_steps(op, arrays)} if execute is evaluate else {"y": y}


def _steps(op: Op, arrays: tuple[NDArray[Any], ...]) -> Outputs:
    """What a step by step implementation sees inside one operator."""
    match op:
        case Conv() if len(arrays) == 3:
            return {"acc": op.evaluate(*arrays[:2])}
        case Requantize():
            mult, shift = (c.reshape(1, -1, *(1,) * (arrays[0].ndim - 2)) for c in arrays[1:])
            product = arrays[0].astype(np.int64) * mult
            rounded = arith.rounding_shift(product, shift, op.rounding)
            return {"product": product, "rounded": rounded}
        case Threshold():
            sign = arrays[2].reshape(1, -1, *(1,) * (arrays[0].ndim - 2))
            return {"signed": arrays[0].astype(np.int64) * sign}
    return {}


def _program(vector: Vector, execute: Execute) -> Outputs:
    program = program_of(vector)
    y, values = run(program, vector.arrays[program.input], execute=execute, trace=True)
    return {**{k: v for k, v in values.items() if k != program.input}, program.output: y}


#: Every kind of vector there is.
OPS: tuple[str, ...] = (*KINDS, "Program", *FUNCTIONS)
#: What the tiers beyond core ask besides.
TIER_OPS: tuple[str, ...] = tuple(TIER_FUNCTIONS)


def reference(vector: Vector) -> Outputs:
    """The answer of refnet.program, with intermediates; ``ValueError`` where it refuses."""
    if vector.op in KINDS:
        return _operator(vector, evaluate)
    if vector.op == "Program":
        return _program(vector, evaluate)
    if vector.op in TIER_FUNCTIONS:
        return TIER_FUNCTIONS[vector.op](vector)
    if vector.op not in FUNCTIONS:
        raise VectorError(f"vector {vector.id!r}: op {vector.op!r} is none of {', '.join(OPS)}")
    return FUNCTIONS[vector.op](vector)


def executed_by(execute: Execute) -> Implementation:
    """An implementation of operators and programs from an ``execute`` hook of ``run``.

    Type rules stay those of the program; the hook gives every result. Vectors of functions are
    :class:`Unsupported`.
    """

    def implementation(vector: Vector) -> Outputs:
        if vector.op in KINDS:
            return _operator(vector, execute)
        if vector.op == "Program":
            return _program(vector, execute)
        raise Unsupported(f"{vector.op} is no operator")

    return implementation
