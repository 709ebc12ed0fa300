"""Programs of well-known networks with random codes: for benchmarks and tests, not for answers.

Shapes, types and the share of zeros are those of the trained network; the numbers mean nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from refnet.program.arith import ratio_to_mult_shift
from refnet.program.op import Op
from refnet.program.operators import Add, Conv, Requantize, Threshold
from refnet.program.pooling import MaxPool, SumPool
from refnet.program.program import Node, Program
from refnet.program.types import (
    SINT8,
    TERNARY,
    UINT2,
    UINT8,
    Constant,
    IntType,
    TensorType,
    constant,
)

#: The residual stream, rectified.
STREAM = IntType(lo=0, hi=2**15 - 1)
_BRANCH = IntType.twos_complement(15)
_ROUNDING = "half_even"
#: Where thresholds lie, in standard deviations of a sum: about six codes of ten are not zero.
_LEVELS = np.array([-0.25, 0.5, 1.25])
#: Standard deviation of a rescaled sum.
_SPREAD = 64.0


def resnet18(
    *, size: int = 224, filters: int = 64, classes: int = 1000, rng: np.random.Generator
) -> Program:
    """ResNet-18 (He, Zhang, Ren, Sun 2016) of ternary weights and 2-bit activations.

    Input uint8 (3, size, size), output (classes, 1, 1). First and last layer have 8-bit weights.
    Blocks read 2-bit codes of an integer residual stream, to which they add their rescaled sums;
    the stream is rectified after each block. ``filters`` of the first stage double in the other
    three. Raises ``ProgramError`` where ``size`` is too small.
    """
    net = _Chain(rng=rng, types={"image": TensorType(type=UINT8, shape=(3, size, size))})
    x = net.conv("stem", "image", filters, 7, stride=2, weights=SINT8)
    x = net.rescale("stem.scaled", x, UINT8)
    x = net.add("stem.pooled", MaxPool(kernel=(3, 3), stride=(2, 2), padding=((1, 1), (1, 1))), x)
    codes = net.threshold("stem.codes", x, _SPREAD)
    for stage in range(4):
        for unit in range(2):
            name, stride = f"stage{stage + 1}.{unit + 1}", 2 if stage and not unit else 1
            last = (stage, unit) == (3, 1)
            x, codes = net.unit(name, x, codes, filters << stage, stride, last)
    x = net.rescale("head.codes", x, UINT8, spread=_SPREAD, over=4 * _SPREAD)
    rows, columns = net.types[x].shape[1:]
    x = net.add("head.sum", SumPool(kernel=(rows, columns), stride=(1, 1)), x)
    x = net.rescale("head.mean", x, UINT8, spread=1.0, over=float(rows * columns))
    net.conv("scores", x, classes, 1, weights=SINT8, bias=True)
    return Program(
        name="resnet18", input="image", input_type=net.types["image"], nodes=tuple(net.nodes),
        constants=net.constants, output="scores",
    )


def _conv(stride: int, pad: int) -> Conv:
    return Conv(stride=(stride, stride), padding=((pad, pad), (pad, pad)))


@dataclass(slots=True)
class _Chain:
    """The program so far."""

    rng: np.random.Generator
    types: dict[str, TensorType]
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Constant] = field(default_factory=dict)

    def add(self, name: str, op: Op, *values: str, **held: Constant) -> str:
        """One node; returns its name."""
        named = {f"{name}.{key}": item for key, item in held.items()}
        self.types[name] = op.infer(*(self.types[v] for v in values), *named.values())
        self.nodes.append(Node(name=name, op=op, inputs=(*values, *named)))
        self.constants.update(named)
        return name

    def conv(
        self, name: str, x: str, filters: int, kernel: int, *, stride: int = 1,
        weights: IntType = TERNARY, bias: bool = False,
    ) -> str:
        """A convolution that keeps the map, or divides it by ``stride``."""
        shape = (filters, self.types[x].shape[0], kernel, kernel)
        w = self.rng.integers(weights.lo, weights.hi + 1, size=shape)
        held = {"w": Constant(type=weights, array=w)}
        if bias:
            held["b"] = constant(self.rng.integers(-1000, 1001, size=filters))
        return self.add(name, _conv(stride, kernel // 2), x, **held)

    def deviation(self, name: str) -> float:
        """About the standard deviation of a convolution's sums, for inputs spread evenly."""
        node = next(node for node in self.nodes if node.name == name)
        x, w = self.types[node.inputs[0]].type, self.constants[node.inputs[1]].array
        squares = (w.astype(np.float64) ** 2).sum(axis=(1, 2, 3)).mean()
        return float(np.sqrt(squares * (x.hi**2 + x.lo**2) / 3))

    def rescale(
        self, name: str, x: str, kind: IntType, *, spread: float = _SPREAD, over: float = 0.0
    ) -> str:
        """Requantize from a deviation of ``over``, or that of a convolution, to ``spread``."""
        C = self.types[x].shape[0]
        ratios = spread / (over or self.deviation(x)) * self.rng.uniform(0.8, 1.2, size=C)
        pairs = np.array([ratio_to_mult_shift(float(r)) for r in ratios])
        op = Requantize(type=kind, rounding=_ROUNDING)
        return self.add(name, op, x, mult=constant(pairs[:, 0]), shift=constant(pairs[:, 1]))

    def threshold(self, name: str, x: str, spread: float) -> str:
        """2-bit codes of a value with that deviation; some channels have a negative scale."""
        C = self.types[x].shape[0]
        t = np.rint((_LEVELS + self.rng.uniform(-0.1, 0.1, size=(C, 3))) * spread)
        sign = self.rng.choice(np.array([-1, 1]), size=C, p=[0.1, 0.9])
        held = {"t": constant(np.sort(t.astype(np.int64), axis=1)), "sign": constant(sign)}
        assert len(_LEVELS) == UINT2.hi
        return self.add(name, Threshold(), x, **held)

    def unit(
        self, name: str, x: str, codes: str, filters: int, stride: int, last: bool
    ) -> tuple[str, str]:
        """A basic block: the stream and its codes after it; the last one has no codes."""
        y = self.conv(f"{name}.first", codes, filters, 3, stride=stride)
        y = self.threshold(f"{name}.inner", y, self.deviation(y))
        y = self.rescale(f"{name}.branch", self.conv(f"{name}.second", y, filters, 3), _BRANCH)
        if stride > 1:
            x = self.rescale(f"{name}.shortcut", self.conv(f"{name}.down", codes, filters, 1,
                             stride=stride), _BRANCH)  # fmt: skip
        total = self.add(f"{name}.sum", Add(), y, x)
        ones, zeros = np.ones(filters, dtype=np.int64), np.zeros(filters, dtype=np.int64)
        relu = Requantize(type=STREAM, rounding=_ROUNDING)
        x = self.add(f"{name}.stream", relu, total, mult=constant(ones), shift=constant(zeros))
        return x, x if last else self.threshold(f"{name}.codes", x, 2 * _SPREAD)
