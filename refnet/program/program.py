"""Programs: straight-line, single assignment, free of overflow ([5] of the specification)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, overload

import numpy as np

from refnet.program.op import Op, Operand, Work
from refnet.program.operators import OPERATORS
from refnet.program.types import Constant, IntArray, ProgramError, TensorType

#: How one operator is carried out: (operator, operand arrays, result type) -> result array.
Execute = Callable[[Op, tuple[IntArray, ...], TensorType], IntArray]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}")


def _check_name(name: object, what: str) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ProgramError(f"{what} {name!r}: letters, digits, '_', '.', '-'; 1 to 100 of them")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One step: ``name`` of the result, the operator, and the names of its operands [5.1.2]."""

    name: str
    op: Op
    inputs: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_name(self.name, "node")
        if type(self.op) not in OPERATORS:
            raise ProgramError(f"node {self.name!r}: {self.op!r} is none of the operators")
        object.__setattr__(self, "inputs", tuple(self.inputs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A network on integers: one input, steps in order, one output [5.1].

    Construction is the gate: every name, shape and type is checked, every accumulator is proved to
    stay in 32 bits from the weights as they are, and whatever is never used is refused. Past it,
    code may assume. ``types`` holds the type of the input and of every result.

    >>> from refnet.program import IntType, Threshold, constant
    >>> program = Program(
    ...     name="step", input="x", input_type=TensorType(type=IntType(lo=-5, hi=5), shape=(1,)),
    ...     constants={"t": constant(np.array([[0, 3]])), "sign": constant(np.array([1]))},
    ...     nodes=(Node(name="y", op=Threshold(), inputs=("x", "t", "sign")),), output="y")
    >>> run(program, np.array([[-1], [0], [4]])).ravel().tolist()
    [0, 1, 2]
    """

    name: str
    input: str
    input_type: TensorType
    nodes: tuple[Node, ...]
    constants: Mapping[str, Constant]
    output: str
    types: Mapping[str, TensorType] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", tuple(self.nodes))
        object.__setattr__(self, "constants", MappingProxyType(dict(self.constants)))
        _check_name(self.name, "program")
        _check_name(self.input, "input")
        _check_name(self.output, "output")
        for name in self.constants:
            _check_name(name, "constant")
        if self.input in self.constants:
            raise ProgramError(f"input {self.input!r}: a constant has that name")
        if len(self.input_type.shape) > 3:
            raise ProgramError(f"input {self.input!r}: shape {self.input_type.shape} over 3 axes")
        types = {self.input: self.input_type}
        used: set[str] = set()
        for node in self.nodes:
            types[node.name] = self._infer(node, types)
            used.update(node.inputs)
        if self.output not in types:
            raise ProgramError(f"output {self.output!r}: no such value")
        for name in [*types, *self.constants]:
            if name not in used and name != self.output:
                raise ProgramError(f"value {name!r} is never used")
        object.__setattr__(self, "types", MappingProxyType(types))

    def _infer(self, node: Node, types: dict[str, TensorType]) -> TensorType:
        what = f"{type(node.op).__name__} {node.name!r}"
        if node.name in types or node.name in self.constants:
            raise ProgramError(f"{what}: the name is taken")
        for name in node.inputs:
            if name not in types and name not in self.constants:
                raise ProgramError(f"{what}: operand {name!r} is not defined before it")
        operands: list[Operand] = [types.get(n) or self.constants[n] for n in node.inputs]
        try:
            return node.op.infer(*operands)
        except ProgramError as error:
            raise ProgramError(f"{what}: {error}") from None

    def operands(self, node: Node) -> tuple[Operand, ...]:
        """The types of a node's activations and its constants, in order."""
        return tuple(self.types.get(n) or self.constants[n] for n in node.inputs)

    def work(self) -> Work:
        """Operations of the whole program for one image."""
        return sum((node.op.work(*self.operands(node)) for node in self.nodes), start=Work())

    def weight_bits(self) -> int:
        """Bits of all convolution weights at the width of their types [5.4]."""
        weights = {n.inputs[1] for n in self.nodes if type(n.op).__name__ == "Conv"}
        return sum(c.array.size * c.type.bits for k, c in self.constants.items() if k in weights)


def evaluate(op: Op, operands: tuple[IntArray, ...], result: TensorType) -> IntArray:
    """The reference way to carry out an operator: its meaning, stored as the result type says."""
    y = op.evaluate(*operands)
    if not result.type.contains(y):
        raise ProgramError(f"{op}: result [{y.min()}, {y.max()}] leaves its proved {result.type}")
    return y.astype(result.type.dtype)


def _input(program: Program, x: IntArray) -> IntArray:
    x = np.asarray(x)
    want = program.input_type
    if x.dtype.kind not in "iu":
        raise ProgramError(f"input {program.input!r}: dtype {x.dtype}, rule integers")
    if x.shape[1:] != want.shape:
        raise ProgramError(f"input {program.input!r}: shape {x.shape}, rule (N, *{want.shape})")
    if not want.type.contains(x):
        raise ProgramError(f"input {program.input!r}: [{x.min()}, {x.max()}] leaves {want.type}")
    return x.astype(want.type.dtype)


@overload
def run(
    program: Program, x: IntArray, *, execute: Execute | None = None, trace: Literal[False] = False
) -> IntArray: ...


@overload
def run(
    program: Program, x: IntArray, *, execute: Execute | None = None, trace: Literal[True]
) -> tuple[IntArray, dict[str, IntArray]]: ...


def run(
    program: Program, x: IntArray, *, execute: Execute | None = None, trace: bool = False
) -> IntArray | tuple[IntArray, dict[str, IntArray]]:
    """Run ``program`` on x (N, *input shape) [5.2]; ``execute`` may replace the reference meaning.

    Returns the output (N, ...), and with ``trace`` also every value by name, the input included.
    Raises :class:`ProgramError` where x does not fit the input type, or where a result of
    ``execute`` has another shape or dtype than the program proves.
    """
    execute = evaluate if execute is None else execute
    values = {program.input: _input(program, x)}
    last_use = {name: i for i, node in enumerate(program.nodes) for name in node.inputs}
    for i, node in enumerate(program.nodes):
        result = program.types[node.name]
        arrays = tuple(
            values[n] if n in values else program.constants[n].array for n in node.inputs
        )
        y = np.asarray(execute(node.op, arrays, result))
        shape = (len(values[node.inputs[0]]), *result.shape)
        if y.shape != shape or y.dtype != result.type.dtype:
            raise ProgramError(
                f"{type(node.op).__name__} {node.name!r}: executed as {y.dtype} {y.shape}, "
                f"rule {result.type.dtype} {shape}"
            )
        values[node.name] = y
        if not trace:
            for name in node.inputs:
                if last_use[name] == i:
                    values.pop(name, None)
    return (values[program.output], values) if trace else values[program.output]
