"""Random valid programs, and inputs for them.

Reaches steps that are right alone and wrong together: types that do not follow, sums that grow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from refnet.laws.arrays import rngs
from refnet.program import (
    Add,
    Constant,
    Conv,
    IntType,
    MaxPool,
    Node,
    Op,
    Program,
    ProgramError,
    Requantize,
    Reshape,
    SumPool,
    TensorType,
    Threshold,
    constant,
)

TYPES = ("uint1", "uint2", "uint8", "ternary", "int8", "sint4", "int[-3,5]", "int[2,9]", "uint16")


def _window(rng: np.random.Generator, size: tuple[int, ...]) -> dict[str, Any]:
    kernel = tuple(int(rng.integers(1, n + 1)) for n in size)
    padding = tuple((int(rng.integers(k)), int(rng.integers(k))) for k in kernel)
    return {"kernel": kernel, "stride": int(rng.integers(1, 3)), "padding": padding}


def _conv(rng: np.random.Generator, x: TensorType) -> tuple[Conv, list[Constant]]:
    groups = int(rng.choice([g for g in range(1, x.shape[0] + 1) if x.shape[0] % g == 0]))
    filters = groups * int(rng.integers(1, 3))
    window = _window(rng, x.shape[1:])
    kernel = window.pop("kernel")
    w = rng.integers(-1, 2, size=(filters, x.shape[0] // groups, *kernel))
    bias = [constant(rng.integers(-9, 10, size=filters))] if rng.random() < 0.5 else []
    kinds = [IntType.parse(name) for name in ("ternary", "int8", "int[-1,2]")]
    return Conv(groups=groups, **window), [constant(w, kinds[rng.integers(3)]), *bias]


def _step(rng: np.random.Generator, x: TensorType) -> tuple[Op, list[Constant]]:
    """A random operator that fits x, with its constants."""
    C = x.shape[0]
    kind = rng.choice(["conv", "threshold", "requantize", "max", "sum", "reshape"])
    if kind in ("conv", "max", "sum") and len(x.shape) != 3:
        kind = "reshape"
    match kind:
        case "conv":
            return _conv(rng, x)
        case "threshold":
            t = np.sort(rng.integers(-6, 7, size=(C, int(rng.integers(1, 5)))), axis=1)
            return Threshold(), [constant(t), constant(rng.choice([-1, 1], size=C))]
        case "requantize":
            rule = str(rng.choice(["half_even", "half_up", "half_away"]))
            to = IntType.parse(str(rng.choice(TYPES)))
            mult, shift = rng.integers(-9, 10, size=C), rng.integers(0, 5, size=C)
            return Requantize(type=to, rounding=rule), [constant(mult), constant(shift)]
        case "max" | "sum":
            return (MaxPool if kind == "max" else SumPool)(**_window(rng, x.shape[1:])), []
    shapes = [(x.elements,), (x.elements, 1, 1), (C, x.elements // C)]
    return Reshape(shape=shapes[rng.integers(3)]), []


def random_program(rng: np.random.Generator, steps: int) -> Program:
    """A chain that reaches the output; Add joins its last value with itself or an earlier one."""
    shape = tuple(int(n) for n in rng.integers(1, 5, size=rng.choice([1, 3, 3])))
    x = TensorType(type=IntType.parse(str(rng.choice(TYPES))), shape=shape)
    types, last = {"x": x}, "x"
    nodes: list[Node] = []
    constants: dict[str, Constant] = {}
    while len(nodes) < steps:
        name = f"v{len(nodes)}"
        if rng.random() < 0.25:
            same = [n for n, t in types.items() if t.shape == types[last].shape]
            op: Op = Add()
            held: list[Constant] = []
            names = [last, str(rng.choice(same))]
        else:
            op, held = _step(rng, types[last])
            names = [last, *(f"{name}.{k}" for k in range(len(held)))]
        try:
            types[name] = op.infer(*(types[n] for n in names if n in types), *held)
        except ProgramError:                       # an accumulator grew too large: take another
            continue
        constants.update(zip(names[1:], held, strict=False) if held else ())
        nodes.append(Node(name=name, op=op, inputs=tuple(names)))
        last = name
    return Program(name="random", input="x", input_type=x, nodes=tuple(nodes),
                   constants=constants, output=last)


def inputs_of(rng: np.random.Generator, program: Program, images: int) -> NDArray[Any]:
    """An input of a program, random in its type."""
    kind = program.input_type.type
    return rng.integers(kind.lo, kind.hi + 1, size=(images, *program.input_type.shape))


#: Valid programs of up to seven steps.
programs = st.builds(random_program, rngs, st.integers(0, 7))

