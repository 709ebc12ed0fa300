"""The closed set of program operators ([4] of the specification).

An operator is a frozen record of attributes. Its operands are positional: activations
(:class:`TensorType`) and constants (:class:`Constant`). Each operator has a type rule (``infer``),
a meaning (``evaluate``, on arrays with the batch axis N first) and a price (``work``, an image).

Letters: N batch, C input channels, F filters, R S kernel height and width, H W map, G groups,
K reduction C/G*R*S, L levels above zero.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from refnet.program.arith import MULT_BOUND, ROUNDINGS, SHIFT_BOUND, Int64Array, requantize
from refnet.program.op import Op, Operand, Work, activation, bounded, by_channel, constant_of, count
from refnet.program.pooling import MaxPool, Reshape, SumPool
from refnet.program.types import SIZE_BOUND, IntArray, IntType, ProgramError, TensorType
from refnet.program.window import Pads, Pair, normal_pads, normal_pair, output_size, padded, taps


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv(Op):
    """Convolution: x (C, H, W), w (F, C/G, R, S) [, b (F,)] -> (F, H', W') [4.1].

    ``acc[f, i, j] = b[f] + sum w[f, c, r, s] * x[c + first, i*stride + r*dilation - top, ...]``,
    zeros outside the map. A linear layer is the 1x1 case. The type of the result is the range
    that contains every partial sum in every order, from the weights as they are [4.1.4].
    """

    stride: Pair = (1, 1)
    padding: Pads = ((0, 0), (0, 0))
    dilation: Pair = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "stride", normal_pair(self.stride, "stride", 1))
        object.__setattr__(self, "padding", normal_pads(self.padding))
        object.__setattr__(self, "dilation", normal_pair(self.dilation, "dilation", 1))
        if type(self.groups) is not int or not 1 <= self.groups <= SIZE_BOUND:
            raise ProgramError(f"groups={self.groups!r} must be an integer from 1 to 2**31 - 1")

    def infer(self, *operands: Operand) -> TensorType:
        """The result type (F, H', W') with the proved accumulator range."""
        count(operands, 2, 3)
        x = activation(operands[0], "x", 3)
        w = constant_of(operands[1], "w", (0, 0, 0, 0))
        filters, per_group, *kernel = w.shape
        if x.shape[0] != per_group * self.groups or filters % self.groups:
            broken = f"{x.shape[0]} != {per_group} * {self.groups}"
            if filters % self.groups:
                broken = f"{filters} filters in {self.groups} groups"
            raise ProgramError(
                f"x {x.shape}, w {w.shape}, groups={self.groups} do not fit: {broken}"
            )
        size = output_size(x.shape[1:], kernel, self.stride, self.padding, self.dilation)
        bias = np.zeros(filters, dtype=np.int64)
        if len(operands) == 3:
            bias = constant_of(operands[2], "b", (filters,)).array.astype(np.int64)
        return TensorType(type=_accumulator_range(x.type, w.array, bias), shape=(filters, *size))

    def evaluate(self, *arrays: IntArray) -> Int64Array:
        """x (N, C, H, W), w, [b] -> (N, F, H', W')."""
        x, w = arrays[:2]
        images, groups, kernel = len(x), self.groups, w.shape[2:]
        size = output_size(x.shape[2:], kernel, self.stride, self.padding, self.dilation)
        # Every partial sum is an integer below 2**31 [1.3.1], so float64 is exact in any order;
        # NumPy multiplies integer matrices some hundred times slower.
        weights = w.reshape(groups, -1, *w.shape[1:]).astype(np.float64)
        acc = np.zeros((images, groups, weights.shape[1], size[0] * size[1]))
        xp = padded(x, self.padding, 0).astype(np.float64)
        for (r, s), window in taps(xp, kernel, self.stride, self.dilation, size):
            columns = window.reshape(images, groups, w.shape[1], size[0] * size[1])
            acc += weights[..., r, s] @ columns
        total = acc.reshape(images, len(w), *size).astype(np.int64)
        if len(arrays) == 3:
            total += by_channel(arrays[2], 4)
        return total

    def work(self, *operands: Operand) -> Work:
        """One MAC a weight and output position; one addition for the bias."""
        out = self.infer(*operands)
        w = constant_of(operands[1], "w", (0, 0, 0, 0))
        positions = out.shape[1] * out.shape[2]
        additions = out.elements if len(operands) == 3 else 0
        return Work(macs=positions * w.array.size, additions=additions)


def _accumulator_range(x: IntType, w: IntArray, bias: Int64Array) -> IntType:
    """The range of every partial sum, in any order, of every filter [4.1.4].

    An operand outside the map is 0, so 0 belongs to what each product can be. The sums of the
    weights fit 64 bits; their products with x need Python integers, which do not wrap.
    """
    flat = w.reshape(len(w), -1).astype(np.int64)
    positive = np.maximum(flat, 0).sum(axis=1).tolist()
    negative = np.minimum(flat, 0).sum(axis=1).tolist()
    x_lo, x_hi = min(x.lo, 0), max(x.hi, 0)
    sums = list(zip(positive, negative, bias.tolist(), strict=True))
    lo = min(p * x_lo + n * x_hi + min(b, 0) for p, n, b in sums)
    hi = max(p * x_hi + n * x_lo + max(b, 0) for p, n, b in sums)
    return bounded(lo, hi, "the accumulator")


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold(Op):
    """Codes by counting thresholds: x (C, ...), t (C, L), sign (C,) -> codes in [0, L] [4.2].

    ``code = sum_k [sign[c] * x >= t[c, k]]``; rows of ``t`` ascend, ``sign`` is -1 or +1.
    """

    def infer(self, *operands: Operand) -> TensorType:
        """The shape of x with type [0, L]."""
        count(operands, 3, 3)
        x = activation(operands[0], "x")
        t = constant_of(operands[1], "t", (x.shape[0], 0))
        sign = constant_of(operands[2], "sign", (x.shape[0],))
        if np.any(np.diff(t.array.astype(np.int64), axis=1) < 0):
            raise ProgramError(f"t {t.shape} must not fall along a row")
        if np.any(np.abs(sign.array.astype(np.int64)) != 1):
            raise ProgramError("sign must hold -1 and +1 only")
        bounded(x.type.lo, x.type.hi, "x")
        return TensorType(type=IntType(lo=0, hi=t.shape[1]), shape=x.shape)

    def evaluate(self, *arrays: IntArray) -> Int64Array:
        """x (N, C, ...), t, sign -> codes (N, C, ...)."""
        x, t, sign = arrays
        signed = x.astype(np.int64) * by_channel(sign, x.ndim)
        codes = np.zeros(x.shape, dtype=np.int64)
        for k in range(t.shape[1]):
            codes += signed >= by_channel(t[:, k], x.ndim)
        return codes

    def work(self, *operands: Operand) -> Work:
        """L comparisons an element."""
        out = self.infer(*operands)
        return Work(comparisons=out.elements * out.type.hi)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requantize(Op):
    """``saturate(round(x * mult[c] / 2**shift[c]))``: x (C, ...), mult (C,), shift (C,) [4.3].

    The rounding rule is named, never a default: ``half_even``, ``half_up`` or ``half_away``.
    """

    type: IntType
    rounding: str

    def __post_init__(self) -> None:
        if not isinstance(self.type, IntType):
            raise ProgramError(f"type {self.type!r} must be an IntType")
        if self.rounding not in ROUNDINGS:
            raise ProgramError(f"rounding {self.rounding!r} is none of {', '.join(ROUNDINGS)}")

    def infer(self, *operands: Operand) -> TensorType:
        """The shape of x with the attribute ``type``."""
        count(operands, 3, 3)
        x = activation(operands[0], "x")
        rules = (("mult", -MULT_BOUND, MULT_BOUND), ("shift", 0, SHIFT_BOUND))
        for operand, (letter, lo, hi) in zip(operands[1:], rules, strict=True):
            held = constant_of(operand, letter, (x.shape[0],)).array
            if held.min() < lo or held.max() > hi:
                raise ProgramError(f"{letter} in [{held.min()}, {held.max()}], rule [{lo}, {hi}]")
        bounded(x.type.lo, x.type.hi, "x")
        bounded(self.type.lo, self.type.hi, "type")
        return TensorType(type=self.type, shape=x.shape)

    def evaluate(self, *arrays: IntArray) -> Int64Array:
        """x (N, C, ...), mult, shift -> (N, C, ...)."""
        x, mult, shift = arrays
        return requantize(
            x, by_channel(mult, x.ndim), by_channel(shift, x.ndim), self.type, self.rounding
        )

    def work(self, *operands: Operand) -> Work:
        """One multiplication an element."""
        return Work(multiplications=self.infer(*operands).elements)


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Op):
    """Sum of two activations of one shape; its range is the sum of the ranges [4.4]."""

    def infer(self, *operands: Operand) -> TensorType:
        """The common shape with the range [lo + lo, hi + hi]."""
        count(operands, 2, 2)
        x, y = activation(operands[0], "x"), activation(operands[1], "y")
        if x.shape != y.shape:
            raise ProgramError(f"x {x.shape} and y {y.shape} must have one shape")
        total = bounded(x.type.lo + y.type.lo, x.type.hi + y.type.hi, "the sum")
        return TensorType(type=total, shape=x.shape)

    def evaluate(self, *arrays: IntArray) -> Int64Array:
        """x, y (N, ...) -> (N, ...)."""
        x, y = arrays
        return x.astype(np.int64) + y.astype(np.int64)

    def work(self, *operands: Operand) -> Work:
        """One addition an element."""
        return Work(additions=self.infer(*operands).elements)


#: The closed set, in the order of the specification.
OPERATORS: tuple[type[Op], ...] = (Conv, Threshold, Requantize, Add, MaxPool, SumPool, Reshape)


def attributes(op: Op) -> dict[str, Any]:
    """The fields of an operator by name."""
    return {field.name: getattr(op, field.name) for field in fields(op)}  # type: ignore[arg-type]
