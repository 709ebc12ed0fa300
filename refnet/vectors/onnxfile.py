"""Vectors and programs as ONNX models of integer operators, in the layout of ONNX backend tests.

``NAME/model.onnx`` with ``test_data_set_0/input_0.pb`` and ``output_0.pb``. Every operator of
chapter 04 is said in integers, so a runtime that differs has a defect and not another rounding:

* Conv: ConvInteger and an Add of the bias; SumPool: ConvInteger with ones, a group a channel;
* Threshold: GreaterOrEqual, Cast and ReduceSum; Requantize: Mul, Mod, Div and comparisons in int64;
* Add, MaxPool and Reshape: the operators of that name.

What ONNX has no integer operator for (convolution and pooling of codes wider than 8 bits) is
refused by name. The package ``onnx`` is needed, which is no requirement of this project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.program import Node, Op, Program, TensorType, run
from refnet.program.operators import Add, Conv, Requantize, Threshold
from refnet.program.pooling import MaxPool, Pool, Reshape, SumPool
from refnet.vectors.building import KINDS, operands_of, operator_of, program_of
from refnet.vectors.record import Vector, VectorError

_OPSET, _IR_VERSION = 18, 8


class NotInOnnx(VectorError):  # noqa: N818 - what it is
    """ONNX has no integer operator that says this."""


def _onnx() -> Any:
    try:
        import onnx
    except ImportError:
        raise VectorError("the format onnx needs the package onnx: pip install onnx") from None
    return onnx


@dataclass(slots=True)
class _Graph:
    """Nodes and initializers while they are gathered; intermediate names are numbered."""

    helper: Any
    nodes: list[Any] = field(default_factory=list)
    held: dict[str, NDArray[Any]] = field(default_factory=dict)

    def constant(self, value: Any, dtype: Any) -> str:
        array = np.asarray(value, dtype=dtype)
        name = f"c{len(self.held)}__{array.dtype.name}"
        self.held[name] = array
        return name

    def add(self, op: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        name = name or f"n{len(self.nodes)}__{op}"
        self.nodes.append(self.helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def cast(self, x: str, dtype: Any, name: str | None = None) -> str:
        to = self.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.add("Cast", x, name=name, to=to)


def _eight_bits(what: str, *dtypes: np.dtype[Any]) -> None:
    for dtype in dtypes:
        if dtype.itemsize != 1:
            raise NotInOnnx(f"onnx: {what} of {dtype} has no integer operator, rule 8 bits")


def _conv(graph: _Graph, op: Conv, names: list[str], types: Mapping[str, Any]) -> str:
    _eight_bits("Conv", types[names[0]].type.dtype, graph.held[names[1]].dtype)
    acc = graph.add(
        "ConvInteger", *names[:2], strides=op.stride, dilations=op.dilation, group=op.groups,
        pads=[op.padding[0][0], op.padding[1][0], op.padding[0][1], op.padding[1][1]],
    )  # fmt: skip
    if len(names) == 3:
        bias = graph.constant(graph.held[names[2]].reshape(1, -1, 1, 1), np.int32)
        acc = graph.add("Add", acc, bias)
    return acc


def _sum_pool(graph: _Graph, op: SumPool, names: list[str], types: Mapping[str, Any]) -> str:
    x = types[names[0]]
    _eight_bits("SumPool", x.type.dtype)
    channels = x.shape[0]
    ones = graph.constant(np.ones((channels, 1, *op.kernel)), np.int8)
    return graph.add(
        "ConvInteger", names[0], ones, strides=op.stride, group=channels, pads=_pads(op)
    )


def _pads(op: Pool) -> list[int]:
    return [op.padding[0][0], op.padding[1][0], op.padding[0][1], op.padding[1][1]]


def _max_pool(graph: _Graph, op: MaxPool, names: list[str], types: Mapping[str, Any]) -> str:
    _eight_bits("MaxPool", types[names[0]].type.dtype)
    return graph.add(
        "MaxPool", names[0], kernel_shape=op.kernel, strides=op.stride, pads=_pads(op)
    )


def _by_channel(array: NDArray[Any], axes: int) -> NDArray[Any]:
    return array.reshape(1, -1, *(1,) * (axes - 1))


def _threshold(graph: _Graph, names: list[str], types: Mapping[str, Any]) -> str:
    axes = len(types[names[0]].shape)
    sign = graph.constant(_by_channel(graph.held[names[2]], axes), np.int32)
    signed = graph.add("Mul", graph.cast(names[0], np.int32), sign)
    last = graph.constant([axes + 1], np.int64)
    t = graph.held[names[1]]
    levels = graph.constant(t.reshape(1, len(t), *(1,) * (axes - 1), t.shape[1]), np.int32)
    passed = graph.add("GreaterOrEqual", graph.add("Unsqueeze", signed, last), levels)
    return graph.add("ReduceSum", graph.cast(passed, np.int32), last, keepdims=0)


def _requantize(
    graph: _Graph, op: Requantize, names: list[str], types: Mapping[str, Any]
) -> str:
    """[3.2.2] in 64 bits: the floor of the quotient, and 1 more where the rest is large enough."""
    axes = len(types[names[0]].shape)
    mult = graph.constant(_by_channel(graph.held[names[1]], axes), np.int64)
    shift = _by_channel(graph.held[names[2]], axes).astype(np.int64)
    divisor = graph.constant(np.int64(1) << shift, np.int64)
    product = graph.add("Mul", graph.cast(names[0], np.int64), mult)
    # Mod of integers has the sign of the divisor, so this division is exact and a floor.
    rest = graph.add("Mod", product, divisor)
    floor = graph.add("Div", graph.add("Sub", product, rest), divisor)
    twice = graph.add("Add", rest, rest)
    more, tie = graph.add("Greater", twice, divisor), graph.add("Equal", twice, divisor)
    if op.rounding == "half_even":
        odd = graph.add("Mod", floor, graph.constant(2, np.int64))
        up = graph.add("Equal", odd, graph.constant(1, np.int64))
        tie = graph.add("And", tie, up)
    elif op.rounding == "half_away":
        up = graph.add("GreaterOrEqual", product, graph.constant(0, np.int64))
        tie = graph.add("And", tie, up)
    rounded = graph.add("Add", floor, graph.cast(graph.add("Or", more, tie), np.int64))
    lo, hi = (graph.constant(v, np.int64) for v in (op.type.lo, op.type.hi))
    return graph.add("Clip", rounded, lo, hi)


def _step(graph: _Graph, node: Node, types: Mapping[str, Any]) -> str:
    names = list(node.inputs)
    match node.op:
        case Conv():
            return _conv(graph, node.op, names, types)
        case SumPool():
            return _sum_pool(graph, node.op, names, types)
        case MaxPool():
            return _max_pool(graph, node.op, names, types)
        case Threshold():
            return _threshold(graph, names, types)
        case Requantize():
            return _requantize(graph, node.op, names, types)
        case Add():
            return graph.add("Add", *(graph.cast(name, np.int32) for name in names))
        case Reshape():
            shape = graph.constant([0, *node.op.shape], np.int64)
            return graph.add("Reshape", names[0], shape)
    raise NotInOnnx(f"onnx: {type(node.op).__name__} has no integer operator")


def _model(
    name: str, nodes: tuple[Node, ...], inputs: list[str], output: str,
    types: Mapping[str, TensorType], constants: Mapping[str, NDArray[Any]],
) -> bytes:  # fmt: skip
    """The model of steps in order; ``types`` are those of the inputs and of every result."""
    helper = _onnx().helper
    graph = _Graph(helper, held=dict(constants))
    for node in nodes:
        graph.cast(_step(graph, node, types), types[node.name].type.dtype, name=node.name)
    if output in inputs:
        output = graph.add("Identity", output, name=f"{output}__output")

    def value(given: str, held: TensorType) -> Any:
        kind = helper.np_dtype_to_tensor_dtype(held.type.dtype)
        return helper.make_tensor_value_info(given, kind, ["N", *held.shape])

    used = {i for n in graph.nodes for i in n.input}
    made = helper.make_graph(
        graph.nodes, name, [value(i, types[i]) for i in inputs],
        [value(output, types[output.removesuffix("__output")])],
        [_onnx().numpy_helper.from_array(a, n) for n, a in graph.held.items() if n in used],
    )  # fmt: skip
    opset = helper.make_opsetid("", _OPSET)
    model = helper.make_model(made, opset_imports=[opset], producer_name="refnet")
    model.ir_version = _IR_VERSION
    _onnx().checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)  # type: ignore[no-any-return]


def _files(
    name: str, model: bytes, inputs: Mapping[str, NDArray[Any]], output: str, y: NDArray[Any]
) -> dict[str, bytes]:
    made = {f"{name}/model.onnx": model}
    for number, (given, array) in enumerate(inputs.items()):
        tensor = _onnx().numpy_helper.from_array(array, given)
        made[f"{name}/test_data_set_0/input_{number}.pb"] = tensor.SerializeToString()
    tensor = _onnx().numpy_helper.from_array(y, output)
    return made | {f"{name}/test_data_set_0/output_0.pb": tensor.SerializeToString()}


def onnx_of_program(program: Program, codes: NDArray[Any]) -> dict[str, bytes]:
    """Model, input and output of a program on ``codes`` (N, *input shape)."""
    constants = {n: c.array for n, c in program.constants.items()}
    model = _model(program.name, program.nodes, [program.input], program.output, program.types,
                   constants)  # fmt: skip
    held = codes.astype(program.input_type.type.dtype)
    y = run(program, held)
    return _files(program.name, model, {program.input: held}, program.output, y)


def onnx_of_vector(vector: Vector) -> dict[str, bytes]:
    """Model, inputs and output of a vector of an operator or a program.

    Raises :class:`NotInOnnx` where ONNX cannot say it, and for what must be refused.
    """
    if vector.result == "must_fail":
        raise NotInOnnx(f"onnx: {vector.id!r} must be refused, which no model says")
    if vector.op == "Program":
        program = program_of(vector)
        made = onnx_of_program(program, vector.arrays[program.input])
        return {f"{vector.id}/{path.partition('/')[2]}": data for path, data in made.items()}
    if vector.op not in KINDS:
        raise NotInOnnx(f"onnx: {vector.id!r} asks {vector.op}, which is no operator of networks")
    op: Op = operator_of(vector.op, vector.attributes)
    operands = operands_of(vector)
    names = [a.name for a in vector.operands]
    inputs = {a.name: a.array() for a in vector.inputs}
    types = {n: t for n, t in zip(names, operands, strict=True) if isinstance(t, TensorType)}
    # An operand and the result may have one name in the record; a graph needs two.
    result = "result" if "y" in names else "y"
    node = Node(name=result, op=op, inputs=tuple(names))
    model = _model(vector.id, (node,), [*inputs], result, {**types, result: op.infer(*operands)},
                   {a.name: a.array() for a in vector.constants})  # fmt: skip
    return _files(vector.id, model, inputs, result, vector.outputs[0].array())
