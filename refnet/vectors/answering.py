"""From one wrong formula to an implementation that answers every vector the formula concerns.

Look-alikes refuse what the reference refuses, unless accepting is their mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.program import IntType, Op, Requantize, TensorType, run, saturate
from refnet.program.files import from_bytes
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


class _Same:
    """A vector as a key: the same object, not an equal one."""

    __slots__ = ("vector",)

    def __init__(self, vector: Vector) -> None:
        self.vector = vector

    def __hash__(self) -> int:
        return id(self.vector)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.vector is other.vector


@lru_cache(maxsize=4)
def _reference(same: _Same) -> Outputs | ValueError:
    try:
        return reference(same.vector)
    except ValueError as error:
        return error


def right(vector: Vector) -> Outputs:
    """The answer of the reference, or its refusal; worked out once while a vector is at hand."""
    found = _reference(_Same(vector))
    if isinstance(found, ValueError):
        raise found
    return found


def function(wrong: Implementation) -> Implementation:
    """``wrong`` after the refusals of the reference."""

    def answered(vector: Vector) -> Outputs:
        right(vector)
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
        if vector.op == "load":
            program = from_bytes(vector.arrays["file"].astype(np.uint8).tobytes())
            return {"y": run(program, vector.arrays["x"], execute=hook)}
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
        right(vector)
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
        right(vector)
        held = {k: a.astype(np.int64) for k, a in vector.arrays.items()}
        return {"y": wrong(held["x"], held["shift"], vector.attributes["rounding"])}

    return answered
