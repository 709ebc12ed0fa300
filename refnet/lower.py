"""A frozen network as an integer program: each layer becomes one operator.

This is the one bridge from the float side to the waist. It knows layers, never methods.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from refnet.nn import Module, Sequential
from refnet.program import (
    Add,
    Constant,
    Conv,
    MaxPool,
    Node,
    Op,
    Operand,
    Program,
    Requantize,
    Reshape,
    SumPool,
    TensorType,
    Threshold,
    constant,
)
from refnet.quant.frozen import (
    FrozenAdd,
    FrozenConv,
    FrozenFlatten,
    FrozenInput,
    FrozenMaxPool,
    FrozenRequantize,
    FrozenSumPool,
    FrozenThreshold,
)


@dataclass(slots=True)
class _Lowering:
    """The program so far. Values are named by the operator and their number: ``conv3``."""

    types: dict[str, TensorType]
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Constant] = field(default_factory=dict)

    def emit(self, op: Op, x: str, *others: str, **constants: Constant) -> str:
        """Append ``op`` on value ``x``, further values and constants; returns the result's name."""
        name = f"{type(op).__name__.lower()}{len(self.nodes) + 1}"
        named = {f"{name}.{letter}": held for letter, held in constants.items()}
        operands: list[Operand] = [self.types[n] for n in (x, *others)]
        self.types[name] = op.infer(*operands, *named.values())
        self.nodes.append(Node(name=name, op=op, inputs=(x, *others, *named)))
        self.constants.update(named)
        return name


def lower(net: Module, *, name: str = "network") -> Program:
    """The integer program of a frozen network (``freeze(net)``).

    Raises ``ValueError`` for a network that is not frozen, and ``ProgramError`` where it breaks a
    rule of the specification, such as an accumulator that could overflow.
    """
    layers = list(net) if isinstance(net, Sequential) else []
    if not layers or not isinstance(layers[0], FrozenInput):
        raise ValueError("lower: the network must be a Sequential that begins with FrozenInput")
    head = layers[0]
    source = TensorType(type=head.type, shape=head.shape)
    state = _Lowering(types={"input": source})
    value = _lower_all(state, layers[1:], "input")
    return Program(
        name=name, input="input", input_type=source, nodes=tuple(state.nodes),
        constants=state.constants, output=value,
    )


def _lower_all(state: _Lowering, layers: list[Module], x: str) -> str:
    for layer in layers:
        x = _lower(state, layer, x)
    return x


def _lower(state: _Lowering, layer: Module, x: str) -> str:
    match layer:
        case Sequential():
            return _lower_all(state, list(layer), x)
        case FrozenConv():
            return _lower_conv(state, layer, x)
        case FrozenThreshold():
            return state.emit(Threshold(), x, t=constant(layer.t), sign=constant(layer.sign))
        case FrozenRequantize():
            requantize = Requantize(type=layer.type, rounding="half_even")
            return state.emit(
                requantize, x, mult=constant(layer.mult), shift=constant(layer.shift)
            )
        case FrozenMaxPool(kernel=kernel, stride=stride, padding=padding):
            return state.emit(MaxPool(kernel=kernel, stride=stride, padding=padding), x)
        case FrozenSumPool(kernel=kernel, stride=stride, padding=padding):
            return state.emit(SumPool(kernel=kernel, stride=stride, padding=padding), x)
        case FrozenFlatten(as_map=as_map):
            size = math.prod(state.types[x].shape)
            return state.emit(Reshape(shape=(size, 1, 1) if as_map else (size,)), x)
        case FrozenAdd(main=main, shortcut=shortcut):
            return state.emit(Add(), _lower(state, main, x), _lower(state, shortcut, x))
        case _:
            raise ValueError(f"lower: {type(layer).__name__} has no operator")


def _lower_conv(state: _Lowering, layer: FrozenConv, x: str) -> str:
    op = Conv(
        stride=layer.stride, padding=layer.padding, dilation=layer.dilation, groups=layer.groups
    )
    held = {"weight": constant(layer.codes, layer.type)}
    if layer.bias is not None:
        held["bias"] = constant(layer.bias)
    return state.emit(op, x, **held)
