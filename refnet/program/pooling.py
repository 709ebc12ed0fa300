"""Operators that reduce windows, and Reshape ([4.5] to [4.7] of the specification)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from refnet.program.arith import Int64Array
from refnet.program.op import Op, Operand, Work, activation, bounded, count
from refnet.program.types import ACCUMULATOR, IntArray, ProgramError, TensorType
from refnet.program.window import Pads, Pair, normal_pads, normal_pair, output_size, padded, taps


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool(Op):
    """What both pools share: the window. Abstract."""

    kernel: Pair
    stride: Pair
    padding: Pads = ((0, 0), (0, 0))

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", normal_pair(self.kernel, "kernel", 1))
        object.__setattr__(self, "stride", normal_pair(self.stride, "stride", 1))
        object.__setattr__(self, "padding", normal_pads(self.padding))
        for size, pads in zip(self.kernel, self.padding, strict=True):
            if max(pads) >= size:
                raise ProgramError(
                    f"padding {self.padding} must stay below the kernel {self.kernel}"
                )

    @property
    def places(self) -> int:
        """Number of places in the window."""
        return self.kernel[0] * self.kernel[1]

    def pooled(self, operands: tuple[Operand, ...]) -> tuple[TensorType, tuple[int, int, int]]:
        """The one operand and the shape of the result."""
        count(operands, 1, 1)
        x = activation(operands[0], "x", 3)
        size = output_size(x.shape[1:], self.kernel, self.stride, self.padding, (1, 1))
        return x, (x.shape[0], *size)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPool(Pool):
    """Largest element of each window: x (C, H, W) -> (C, H', W'); padding never wins [4.5]."""

    def infer(self, *operands: Operand) -> TensorType:
        """The pooled shape with the type of x."""
        x, shape = self.pooled(operands)
        return TensorType(type=x.type, shape=shape)

    def evaluate(self, *arrays: IntArray) -> Int64Array:
        """x (N, C, H, W) -> (N, C, H', W')."""
        x = arrays[0].astype(np.int64)
        size = output_size(x.shape[2:], self.kernel, self.stride, self.padding, (1, 1))
        lowest = np.iinfo(np.int64).min
        best = np.full((*x.shape[:2], *size), lowest, dtype=np.int64)
        xp = padded(x, self.padding, lowest)
        for _, window in taps(xp, self.kernel, self.stride, (1, 1), size):
            np.maximum(best, window, out=best)
        return best

    def work(self, *operands: Operand) -> Work:
        """One comparison less than the window has places, an output."""
        return Work(comparisons=self.infer(*operands).elements * (self.places - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class SumPool(Pool):
    """Sum of each window: x (C, H, W) -> (C, H', W'); padding adds 0 [4.6]."""

    def infer(self, *operands: Operand) -> TensorType:
        """The pooled shape with the range of a partial sum: places times [min(lo,0), max(hi,0)]."""
        x, shape = self.pooled(operands)
        lo, hi = min(x.type.lo, 0) * self.places, max(x.type.hi, 0) * self.places
        return TensorType(type=bounded(lo, hi, "the sum"), shape=shape)

    def evaluate(self, *arrays: IntArray) -> Int64Array:
        """x (N, C, H, W) -> (N, C, H', W')."""
        x = arrays[0].astype(np.int64)
        size = output_size(x.shape[2:], self.kernel, self.stride, self.padding, (1, 1))
        total = np.zeros((*x.shape[:2], *size), dtype=np.int64)
        xp = padded(x, self.padding, 0)
        for _, window in taps(xp, self.kernel, self.stride, (1, 1), size):
            total += window
        return total

    def work(self, *operands: Operand) -> Work:
        """One addition less than the window has places, an output."""
        return Work(additions=self.infer(*operands).elements * (self.places - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reshape(Op):
    """The same integers in C order under another ``shape`` (without N) [4.7]."""

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        shape = TensorType(type=ACCUMULATOR, shape=tuple(self.shape)).shape
        if len(shape) > 3:
            raise ProgramError(f"shape {shape} must have 1 to 3 axes")
        object.__setattr__(self, "shape", shape)

    def infer(self, *operands: Operand) -> TensorType:
        """``shape`` with the type of x."""
        count(operands, 1, 1)
        x = activation(operands[0], "x")
        out = TensorType(type=x.type, shape=self.shape)
        if out.elements != x.elements:
            raise ProgramError(f"x {x.shape} has {x.elements} elements, shape {self.shape} not")
        return out

    def evaluate(self, *arrays: IntArray) -> Int64Array:
        """x (N, ...) -> (N, *shape)."""
        return arrays[0].reshape(len(arrays[0]), *self.shape).astype(np.int64)

    def work(self, *operands: Operand) -> Work:
        """Nothing."""
        self.infer(*operands)
        return Work()
