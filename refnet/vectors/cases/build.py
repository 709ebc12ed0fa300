"""How a case is written down: an id, its clauses, operands by letter, and why it is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from refnet.program import Conv, MaxPool, Op, Program, SumPool, constant
from refnet.vectors.building import plain_attributes, program_attributes
from refnet.vectors.record import Array

#: Ops whose inputs have the batch axis, which may be empty.
BATCHED = ("Conv", "Threshold", "Requantize", "Add", "MaxPool", "SumPool", "Reshape", "Program")
#: A typed operand of a case: type name and an array-like.
Typed = tuple[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A vector without its answer. ``error`` is the error class of one that must be refused."""

    id: str
    clauses: tuple[str, ...]
    op: str
    attributes: Mapping[str, Any]
    inputs: tuple[Array, ...]
    constants: tuple[Array, ...]
    flags: tuple[str, ...]
    comment: str
    error: str | None
    tier: str


def _arrays(operands: Mapping[str, Typed]) -> tuple[Array, ...]:
    return tuple(Array.of(name, type, values) for name, (type, values) in operands.items())


def conv(**attributes: Any) -> Conv:
    """Conv of attributes in any form that it takes: an integer stands for a pair."""
    return Conv(**attributes)


def max_pool(**attributes: Any) -> MaxPool:
    """MaxPool of attributes in any form that it takes."""
    return MaxPool(**attributes)


def sum_pool(**attributes: Any) -> SumPool:
    """SumPool of attributes in any form that it takes."""
    return SumPool(**attributes)


def function_case(
    id: str,
    clauses: str,
    op: str,
    attributes: Mapping[str, Any],
    inputs: Mapping[str, Typed],
    flags: str,
    comment: str,
    *,
    constants: Mapping[str, Typed] | None = None,
    error: str | None = None,
    tier: str = "core",
) -> Case:
    """A case of any ``op`` with JSON attributes; clauses and flags are separated by spaces."""
    held = _arrays(inputs)
    empty = op in BATCHED and error is None and any(a.shape[:1] == (0,) for a in held)
    return Case(
        id=id,
        clauses=(*clauses.split(), *(("1.2.3",) if empty else ())),
        op=op,
        attributes=attributes,
        inputs=held,
        constants=_arrays(constants or {}),
        flags=(
            *flags.split(), *(("NO_IMAGE",) if empty else ()), *(("NEGATIVE",) if error else ())
        ),
        comment=comment,
        error=error,
        tier=tier,
    )


def operator_case(
    id: str,
    clauses: str,
    op: Op,
    operands: Mapping[str, Typed | Any],
    flags: str,
    comment: str,
    *,
    error: str | None = None,
    tier: str = "core",
) -> Case:
    """A case of an operator. Operands with a type come first and are activations, with the batch
    axis; an operand without is a constant of the tightest type.
    """
    inputs = {k: v for k, v in operands.items() if isinstance(v, tuple) and k in ("x", "y")}
    constants = {
        k: v if isinstance(v, tuple) else (constant(np.asarray(v)).type.name, v)
        for k, v in operands.items()
        if k not in inputs
    }
    return function_case(
        id,
        clauses,
        type(op).__name__,
        plain_attributes(op),
        inputs,
        flags,
        comment,
        constants=constants,
        error=error,
        tier=tier,
    )


def about(case: Case, id: str, clauses: str, op: str, flags: str, comment: str) -> Case:
    """Another question (``result_type``, ``work``) on the operator and operands of a case."""
    return Case(
        id=id,
        clauses=tuple(clauses.split()),
        op=op,
        attributes={"op": case.op, "attributes": case.attributes},
        inputs=case.inputs,
        constants=case.constants,
        flags=tuple(flags.split()),
        comment=comment,
        error=None,
        tier=case.tier,
    )


def program_case(
    id: str,
    clauses: str,
    program: Program,
    x: Any,
    flags: str,
    comment: str,
    *,
    op: str = "Program",
    error: str | None = None,
    tier: str = "core",
) -> Case:
    """A case on a program: run it (``Program``), or ask its file or weight bits (no input)."""
    inputs = {} if x is None else {program.input: (program.input_type.type.name, x)}
    held = {k: (c.type.name, c.array) for k, c in sorted(program.constants.items())}
    return function_case(
        id,
        clauses,
        op,
        program_attributes(program),
        inputs,
        flags,
        comment,
        constants=held,
        error=error,
        tier=tier,
    )
