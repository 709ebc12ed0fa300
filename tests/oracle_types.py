"""The oracle's second half of chapter 04: what is refused, the type of each result, the work."""

from __future__ import annotations

from itertools import pairwise
from math import prod

from oracle import BOUND, Refused, Value, numbers_in, require, window_count


def accumulator(lo: int, hi: int, shape: tuple[int, ...]) -> Value:
    """[1.3.1]"""
    require(lo >= -BOUND and hi <= BOUND, "[1.3.1]")
    return Value(lo, hi, shape)


def is_constant(operand: Value, shape: tuple[int, ...]) -> None:
    """The operand is a constant of ``shape``; -1 in ``shape`` is any size."""
    require(operand.values is not None, "a constant")
    require(len(operand.shape) == len(shape), "number of axes")
    require(all(b in (-1, a) for a, b in zip(operand.shape, shape, strict=True)), "sizes")


def is_activation(operand: Value, axes: tuple[int, ...]) -> None:
    require(operand.values is None, "an activation")
    require(len(operand.shape) in axes, "number of axes")


def conv(op, x: Value, w: Value, b: Value | None = None) -> Value:
    """[4.1.1] [4.1.2] [4.1.4]"""
    is_activation(x, (3,))
    is_constant(w, (-1, -1, -1, -1))
    F, per_group, R, S = w.shape
    if b is not None:
        is_constant(b, (F,))
    require(F % op.groups == 0, "[4.1.1] G divides F")
    require(x.shape[0] == per_group * op.groups, "[4.1.1] C")
    height = window_count(x.shape[1], op.padding[0], R, op.stride[0], op.dilation[0])
    width = window_count(x.shape[2], op.padding[1], S, op.stride[1], op.dilation[1])
    los, his = [], []
    for f in range(F):
        bias = 0 if b is None else b.values[f]
        weights = list(numbers_in(w.values[f]))
        los.append(min(bias, 0) + sum(min(q * x.lo, q * x.hi, 0) for q in weights))
        his.append(max(bias, 0) + sum(max(q * x.lo, q * x.hi, 0) for q in weights))
    return accumulator(min(los), max(his), (F, height, width))


def threshold(op, x: Value, t: Value, sign: Value) -> Value:
    """[4.2.1] [4.2.2]"""
    is_activation(x, (1, 2, 3))
    is_constant(t, (x.shape[0], -1))
    is_constant(sign, (x.shape[0],))
    require(all(a <= b for row in t.values for a, b in pairwise(row)), "rows of t do not fall")
    require(set(sign.values) <= {-1, 1}, "sign")
    accumulator(x.lo, x.hi, x.shape)
    return Value(0, t.shape[1], x.shape)


def requantize(op, x: Value, mult: Value, shift: Value) -> Value:
    """[4.3.1] [3.2.1]"""
    is_activation(x, (1, 2, 3))
    is_constant(mult, (x.shape[0],))
    is_constant(shift, (x.shape[0],))
    require(all(-(2**15 - 1) <= m <= 2**15 - 1 for m in mult.values), "[3.2.1] mult")
    require(all(0 <= s <= 46 for s in shift.values), "[3.2.1] shift")
    accumulator(x.lo, x.hi, x.shape)
    return accumulator(op.type.lo, op.type.hi, x.shape)


def add(op, x: Value, y: Value) -> Value:
    """[4.4.1]"""
    is_activation(x, (1, 2, 3))
    is_activation(y, (1, 2, 3))
    require(x.shape == y.shape, "[4.4.1] one shape")
    return accumulator(x.lo + y.lo, x.hi + y.hi, x.shape)


def pool_shape(op, x: Value) -> tuple[int, ...]:
    """[4.5.1]"""
    is_activation(x, (3,))
    for axis in (0, 1):
        require(max(op.padding[axis]) < op.kernel[axis], "[4.5.1] pad less than the kernel")
    return (
        x.shape[0],
        window_count(x.shape[1], op.padding[0], op.kernel[0], op.stride[0]),
        window_count(x.shape[2], op.padding[1], op.kernel[1], op.stride[1]),
    )


def max_pool(op, x: Value) -> Value:
    """[4.5.2]"""
    return Value(x.lo, x.hi, pool_shape(op, x))


def sum_pool(op, x: Value) -> Value:
    """[4.6.1]"""
    n = op.kernel[0] * op.kernel[1]
    return accumulator(min(x.lo, 0) * n, max(x.hi, 0) * n, pool_shape(op, x))


def reshape(op, x: Value) -> Value:
    """[4.7.1]"""
    is_activation(x, (1, 2, 3))
    require(prod(op.shape) == prod(x.shape), "[4.7.1] as many elements")
    return Value(x.lo, x.hi, tuple(op.shape))


#: The type of the result of every operator, or Refused: function(op, Values).
INFER = {
    "Conv": conv, "Threshold": threshold, "Requantize": requantize, "Add": add,
    "MaxPool": max_pool, "SumPool": sum_pool, "Reshape": reshape,
}


def infer(op, *operands: Value) -> Value:
    """The type of the result; a wrong number of operands is refused."""
    kind = type(op).__name__
    least, most = {"Conv": (2, 3), "Threshold": (3, 3), "Requantize": (3, 3), "Add": (2, 2)}.get(
        kind, (1, 1))
    if not least <= len(operands) <= most:
        raise Refused("number of operands")
    return INFER[kind](op, *operands)


def work(op, *operands: Value) -> dict[str, int]:
    """[4.9.1]; what is not named is 0."""
    result = infer(op, *operands)
    elements = prod(result.shape)
    counts = dict.fromkeys(("macs", "additions", "multiplications", "comparisons"), 0)
    match type(op).__name__:
        case "Conv":
            counts["macs"] = elements * prod(operands[1].shape[1:])
            counts["additions"] = elements if len(operands) == 3 else 0
        case "Threshold":
            counts["comparisons"] = elements * operands[1].shape[1]
        case "Requantize":
            counts["multiplications"] = elements
        case "Add":
            counts["additions"] = elements
        case "MaxPool":
            counts["comparisons"] = elements * (op.kernel[0] * op.kernel[1] - 1)
        case "SumPool":
            counts["additions"] = elements * (op.kernel[0] * op.kernel[1] - 1)
    return counts
