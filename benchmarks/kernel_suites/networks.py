"""ResNet-18 at batch 1: the integer program against the same layers in ONNX Runtime.

The runtime's networks are made of the program's own convolutions: in floats with rectifiers where
the program takes thresholds, and in 8 bits by the QLinear operators that its optimiser makes of
a QDQ model. Their numbers mean nothing, as do the program's; ours are compared with the reference
on the whole output.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import helper

from kernel_suites import problems, runtime
from kernel_suites.timing import Contender, rows
from refnet import kernels
from refnet.program import Add, Conv, MaxPool, Program, Requantize, SumPool, Threshold, run
from refnet.program.networks import resnet18

#: Rows and columns of the image.
SHAPES = ("224",)
AGAINST = {"x int8": ("ORT int8",), "x fp32": ("ORT fp32",)}


def measure(shape: str, *, threads: int, seconds: float) -> list[dict[str, Any]]:
    """A row for each contender on images of "size" rows and columns."""
    program = resnet18(size=int(shape), rng=np.random.default_rng(0))
    x = np.random.default_rng(1).integers(0, 256, (1, *program.input_type.shape)).astype(np.uint8)
    macs = sum(node.op.work(*program.operands(node)).macs for node in program.nodes)
    plan = kernels.compile(program, threads=threads)
    problems.same(plan(x), run(program, x), "plan")
    contenders = [
        Contender(name="ORT fp32", run=_floats(program, x, threads)),
        Contender(name="ORT int8", run=_bytes(program, x, threads)),
        Contender(name="plan", run=lambda: plan(x), packing=True, ours=True),
    ]
    return rows(
        f"ResNet-18, {shape}x{shape}", macs, contenders, threads=threads, seconds=seconds,
        against=AGAINST,
    )


def _rectified(program: Program, node: Any) -> bool:
    """Whether a network of reals has a rectifier where the program has this node."""
    if isinstance(node.op, Threshold):
        makers = {n.name: n.op for n in program.nodes}
        return isinstance(makers[node.inputs[0]], Conv)
    return isinstance(node.op, Requantize) and node.op.type.lo >= 0


def _floats(program: Program, x: Any, threads: int) -> runtime.Session:
    nodes, held, names = [], {}, {program.input: "x"}
    for node in program.nodes:
        sources, name = [names[i] for i in node.inputs if i in names], node.name
        names[name] = "y" if name == program.output else name
        if isinstance(node.op, Conv):
            w = program.constants[node.inputs[1]].array
            held[f"{name}.w"] = w / np.float32(np.prod(w.shape[1:]) ** 0.5)
            extra = {"inputs": [*sources, f"{name}.w"], **runtime.attributes(node.op)}
            nodes.append(("Conv", names[name], extra))
        elif isinstance(node.op, Add | MaxPool | SumPool) or _rectified(program, node):
            kind = _KINDS.get(type(node.op), "Relu")
            nodes.append((kind, names[name], _pooled(node.op, sources)))
        else:
            names[name] = sources[0]
    made = [helper.make_node(kind, extra.pop("inputs"), [y], **extra) for kind, y, extra in nodes]
    shape = 1, *program.types[program.output].shape
    return runtime.Session(made, held, x.astype(np.float32), shape, np.float32, threads=threads)


_KINDS = {Add: "Add", MaxPool: "MaxPool", SumPool: "GlobalAveragePool"}


def _pooled(op: Any, sources: list[str]) -> dict[str, Any]:
    if not isinstance(op, MaxPool):
        return {"inputs": sources}
    (top, bottom), (left, right) = op.padding
    return {"inputs": sources, "kernel_shape": list(op.kernel), "strides": list(op.stride),
            "pads": [top, left, bottom, right]}  # fmt: skip


def _bytes(program: Program, x: Any, threads: int) -> runtime.Session:
    """Codes are unsigned bytes with zero at 0 behind a rectifier, else at 128."""
    held: dict[str, Any] = {
        "one": np.array(np.float32(1)), "at0": np.array(np.uint8(0)),
        "at128": np.array(np.uint8(128)),
    }
    readers = {i: n for n in program.nodes for i in n.inputs}
    nodes, names, zeros = [], {program.input: "x"}, {"x": "at0"}
    for node in program.nodes:
        sources, name = [names[i] for i in node.inputs if i in names], node.name
        y = names[name] = "y" if name == program.output else name
        zeros[y] = "at0"
        if isinstance(node.op, Conv):
            w = program.constants[node.inputs[1]].array
            zeros[y] = "at0" if name in readers and _rectified(program, readers[name]) else "at128"
            held |= {
                f"{y}.w": w.astype(np.int8), f"{y}.s": np.ones(len(w), np.float32),
                f"{y}.z": np.zeros(len(w), np.int8),
                f"{y}.y": np.array(np.float32(np.prod(w.shape[1:]) ** 0.5)),
            }
            inputs = [sources[0], "one", zeros[sources[0]], f"{y}.w", f"{y}.s", f"{y}.z", f"{y}.y",
                      zeros[y]]  # fmt: skip
            extra = runtime.attributes(node.op)
            nodes.append(helper.make_node("QLinearConv", inputs, [y], **extra))
        elif isinstance(node.op, Add):
            both = [part for s in sources for part in (s, "one", zeros[s])]
            nodes.append(_microsoft("QLinearAdd", [*both, "one", "at0"], y))
        elif isinstance(node.op, SumPool):
            inputs = [sources[0], "one", "at0", "one", "at0"]
            nodes.append(_microsoft("QLinearGlobalAveragePool", inputs, y, channels_last=0))
        elif isinstance(node.op, MaxPool):
            extra = _pooled(node.op, sources)
            nodes.append(helper.make_node("MaxPool", extra.pop("inputs"), [y], **extra))
        else:
            names[name] = sources[0]
    shape = 1, *program.types[program.output].shape
    return runtime.Session(nodes, held, x, shape, np.uint8, threads=threads)


def _microsoft(kind: str, inputs: list[str], y: str, **attributes: Any) -> Any:
    return helper.make_node(kind, inputs, [y], domain="com.microsoft", **attributes)
