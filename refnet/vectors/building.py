"""Operators and programs from the attributes and arrays of a vector, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refnet.program import (
    OPERATORS,
    Constant,
    IntType,
    Node,
    Op,
    Operand,
    Program,
    ProgramError,
    TensorType,
)
from refnet.program.operators import attributes as fields_of
from refnet.vectors.record import Vector

KINDS: dict[str, type[Op]] = {kind.__name__: kind for kind in OPERATORS}


def exact_fields(given: Any, names: tuple[str, ...], what: str) -> Mapping[str, Any]:
    """``given`` as a record with exactly these names; attributes are never skipped or supplied."""
    if not isinstance(given, Mapping) or set(given) != set(names):
        seen = sorted(given) if isinstance(given, Mapping) else type(given).__name__
        raise ProgramError(f"{what}: attributes {seen}, rule {sorted(names)}")
    return given


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, (list, tuple)) else value


def plain_attributes(op: Op) -> dict[str, Any]:
    """The attributes of an operator as JSON: types by name, pairs as lists [5.3.2]."""

    def plain(value: Any) -> Any:
        if isinstance(value, IntType):
            return value.name
        return [plain(v) for v in value] if isinstance(value, tuple) else value

    return {k: plain(v) for k, v in fields_of(op).items()}


def operator_of(name: str, attributes: Any) -> Op:
    """The operator with these JSON attributes; all are required, no others are known."""
    if name not in KINDS:
        raise ProgramError(f"operator {name!r} does not exist")
    kind = KINDS[name]
    names = tuple(kind.__dataclass_fields__)  # type: ignore[attr-defined]
    given = exact_fields(attributes, names, name)
    return kind(**{k: IntType.parse(v) if k == "type" else _tuples(v) for k, v in given.items()})


def operands_of(vector: Vector) -> tuple[Operand, ...]:
    """Inputs as activation types (without the batch axis), constants as constants."""
    activations: list[Operand] = [
        TensorType(type=IntType.parse(a.type), shape=a.shape[1:]) for a in vector.inputs
    ]
    constants = [Constant(type=IntType.parse(a.type), array=a.array()) for a in vector.constants]
    return (*activations, *constants)


def program_of(vector: Vector) -> Program:
    """The program in the attributes and constants of a vector."""
    given = exact_fields(vector.attributes, ("name", "input", "nodes", "output"), vector.op)
    source = exact_fields(given["input"], ("name", "type", "shape"), "input")
    nodes = []
    for value in given["nodes"]:
        node = exact_fields(value, ("name", "op", "attributes", "inputs"), "node")
        op = operator_of(node["op"], node["attributes"])
        nodes.append(Node(name=node["name"], op=op, inputs=tuple(node["inputs"])))
    return Program(
        name=given["name"],
        input=source["name"],
        input_type=TensorType(type=IntType.parse(source["type"]), shape=tuple(source["shape"])),
        nodes=tuple(nodes),
        constants={
            a.name: Constant(type=IntType.parse(a.type), array=a.array()) for a in vector.constants
        },
        output=given["output"],
    )


def program_attributes(program: Program) -> dict[str, Any]:
    """The program as the attributes of a vector; its constants are arrays beside them."""
    return {
        "name": program.name,
        "input": {
            "name": program.input,
            "type": program.input_type.type.name,
            "shape": list(program.input_type.shape),
        },
        "nodes": [
            {
                "name": n.name,
                "op": type(n.op).__name__,
                "attributes": plain_attributes(n.op),
                "inputs": list(n.inputs),
            }
            for n in program.nodes
        ],
        "output": program.output,
    }
