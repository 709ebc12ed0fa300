"""An interpreter of program records with checks left out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from refnet.program import Constant, IntType, Op, Operand, ProgramError, TensorType, run
from refnet.vectors.answering import Ints
from refnet.vectors.building import KINDS, operator_of, program_of
from refnet.vectors.functions import Outputs
from refnet.vectors.record import Vector
from refnet.vectors.reference import reference
from refnet.vectors.wrong_lenient import changed, fitted

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}")
Record = Mapping[str, Any]


def _demand(holds: bool, rule: str) -> None:
    if not holds:
        raise ProgramError(f"rule {rule}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LenientProgram:
    """Carries out the record of a program. Each flag is a check of [5.1] that is missing."""

    unused: bool = False
    unset: bool = False
    twice: bool = False
    names: bool = False
    operators: bool = False
    constants: bool = False
    shapes: bool = False
    bound: bool = False

    def __call__(self, vector: Vector) -> Outputs:
        """The output of the program."""
        held = {a.name: a.array() for a in vector.constants}
        inputs = [a.array() for a in vector.inputs]
        return {vector.attributes["output"]: self.run(vector.attributes, held, inputs)}

    def run(self, record: Record, constants: Mapping[str, Ints], inputs: list[Ints]) -> Ints:
        """The output of ``record`` for the only input."""
        self._check(record, constants)
        source, shape = record["input"], tuple(record["input"]["shape"])
        x = inputs[0] if inputs else np.zeros((1, *shape), np.int64)
        x = fitted(x, (len(x), *shape)) if self.shapes else x
        _demand(x.dtype.kind in "iu" and x.shape[1:] == shape, "the input has its type")
        _demand(IntType.parse(source["type"]).contains(x), "the input has its type")
        zero = np.zeros_like(x, np.int64)
        values: dict[str, Ints] = {source["name"]: x}
        for node in record["nodes"]:
            found = [values.get(n, constants.get(n, zero)) for n in node["inputs"]]
            values[node["name"]] = self._step(node, found)
        output = record["output"]
        y = values.get(output, constants.get(output, zero))
        return y.astype(np.int64)

    def _step(self, node: Record, arrays: list[Ints]) -> Ints:
        if node["op"] not in KINDS:
            return arrays[0]
        return operator_of(node["op"], node["attributes"]).evaluate(*arrays)

    def _check(self, record: Record, constants: Mapping[str, Ints]) -> None:
        nodes, source = record["nodes"], record["input"]
        given = [source["name"], *constants, *(n["name"] for n in nodes)]
        good = all(_NAME.fullmatch(n) for n in [record["name"], *given])
        _demand(self.names or good, "[5.1.2] names")
        _demand(self.twice or len(set(given)) == len(given), "[5.1.2] every name once")
        axes = 1 <= len(source["shape"]) <= 3 and all(n >= 1 for n in source["shape"])
        axes &= all(1 <= c.ndim <= 4 and c.size > 0 for c in constants.values())
        _demand(self.shapes or axes, "[5.1.1] [5.1.3] shapes")
        _demand(self.operators or all(n["op"] in KINDS for n in nodes), "[5.1.2] operators")
        known, used = {source["name"], *constants}, {record["output"]}
        for node in nodes:
            _demand(self.unset or known >= set(node["inputs"]), "[5.1.2] earlier results")
            known.add(node["name"])
            used |= set(node["inputs"])
        there = record["output"] in known
        _demand(self.unset or there, "[5.1.1] the output is a value")
        values = {source["name"], *(n["name"] for n in nodes)}
        lone = record["output"] in constants and record["output"] not in values
        _demand(self.constants or not lone, "[5.1.1] no constant")
        _demand(self.unused or set(given) <= used, "[5.1.4] everything is used")
        self._check_types(record, constants)

    def _check_types(self, record: Record, constants: Mapping[str, Ints]) -> None:
        """The type rules, unless a flag lets in what has no type."""
        if self.unset or self.twice or self.operators or self.shapes or self.bound:
            return
        source = record["input"]
        types: dict[str, Operand] = {
            source["name"]: TensorType(
                type=IntType.parse(source["type"]), shape=tuple(source["shape"])
            )
        }
        for node in record["nodes"]:
            op: Op = operator_of(node["op"], node["attributes"])
            operands = [types.get(n) or _constant(constants[n]) for n in node["inputs"]]
            if self.constants and node["op"] == "Add":
                operands = [_activation(o) for o in operands]
            types[node["name"]] = op.infer(*operands)


def _constant(array: Ints) -> Constant:
    return Constant(type=IntType(lo=int(array.min()), hi=int(array.max())), array=array)


def _activation(operand: Operand) -> TensorType:
    return TensorType(type=operand.type, shape=operand.shape)


def input_cut(vector: Vector) -> Outputs:
    """An input of another shape is cut off, or filled up with zeros, to one that fits."""
    program = program_of(vector)
    x, shape = vector.arrays[program.input], program.input_type.shape
    images = len(x) if x.ndim == 1 + len(shape) else 1
    return {program.output: run(program, fitted(x, (images, *shape)))}


def input_of_reals(vector: Vector) -> Outputs:
    """An input of real numbers is taken for integers."""
    program = program_of(vector)
    x = vector.arrays[program.input]
    if x.dtype.kind != "f":
        return reference(changed(vector))
    return {program.output: run(program, x.astype(np.int64))}
