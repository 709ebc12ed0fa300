"""From one wrong formula to an implementation that answers every vector the formula concerns.

Look-alikes refuse what the reference refuses, unless accepting is their mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.program import IntType, Op, Requantize, TensorType, run, saturate
from refnet.vectors.building import operator_of, program_of
from refnet.vectors.functions import Implementation, Outputs
from refnet.vectors.record import Vector
from refnet.vectors.reference import reference

Ints = NDArray[Any]
#: A wrong operator: (operator, operand arrays) -> result.
WrongOperator = Callable[[Any, tuple[Ints, ...]], Ints]
#: A wrong requantization: (acc, mult, shift, type, rounding) -> codes; the arrays broadcast.
WrongRequantize = Callable[[Ints, Ints, Ints, IntType, str], Ints]
#: A wrong rounding shift: (x, shift, rounding) -> integers.
WrongShift = Callable[[Ints, Ints, str], Ints]


def function(wrong: Implementation) -> Implementation:
    """``wrong`` after the refusals of the reference."""

    def answered(vector: Vector) -> Outputs:
        reference(vector)
        return wrong(vector)

    return answered


def operator(kind: type[Op], wrong: WrongOperator) -> Implementation:
    """Vectors of the operator, and of programs that use it; stored results wrap."""

    def hook(op: Op, arrays: tuple[Ints, ...], result: TensorType) -> Ints:
        y = wrong(op, arrays) if isinstance(op, kind) else op.evaluate(*arrays)
        return y.astype(result.type.dtype)

    def answered(vector: Vector) -> Outputs:
        if vector.op == kind.__name__:
            op = operator_of(vector.op, vector.attributes)
            return {"y": wrong(op, tuple(a.array() for a in vector.operands))}
        program = program_of(vector)
        return {program.output: run(program, vector.arrays[program.input], execute=hook)}

    return function(answered)


def requantization(wrong: WrongRequantize) -> Implementation:
    """Vectors of the function, of the operator, and of programs that use it."""

    def channels(op: Requantize, arrays: tuple[Ints, ...]) -> Ints:
        x = arrays[0].astype(np.int64)
        mult, shift = (c.astype(np.int64).reshape(1, -1, *(1,) * (x.ndim - 2)) for c in arrays[1:])
        return wrong(x, mult, shift, op.type, op.rounding)

    of_operator = operator(Requantize, channels)

    def answered(vector: Vector) -> Outputs:
        if vector.op != "requantize":
            return of_operator(vector)
        reference(vector)
        held = {k: a.astype(np.int64) for k, a in vector.arrays.items()}
        type = IntType.parse(vector.attributes["type"])
        rule = vector.attributes["rounding"]
        return {"y": wrong(held["acc"], held["mult"], held["shift"], type, rule)}

    return answered


def rounding(wrong: WrongShift) -> Implementation:
    """As :func:`requantization`, and vectors of the bare rounding shift."""
    scaled = requantization(
        lambda acc, mult, shift, type, rule: saturate(
            wrong(acc * mult, shift, rule), type.lo, type.hi
        )
    )

    def answered(vector: Vector) -> Outputs:
        if vector.op != "rounding_shift":
            return scaled(vector)
        reference(vector)
        held = {k: a.astype(np.int64) for k, a in vector.arrays.items()}
        return {"y": wrong(held["x"], held["shift"], vector.attributes["rounding"])}

    return answered
