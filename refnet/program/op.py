"""What an operator is: type rule, meaning and price, with the checks that all of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from refnet.program.arith import Int64Array
from refnet.program.types import (
    ACCUMULATOR_BOUND,
    Constant,
    IntArray,
    IntType,
    ProgramError,
    TensorType,
)

Operand = TensorType | Constant


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Integer operations of one operator for one image [4.9]."""

    macs: int = 0
    additions: int = 0
    multiplications: int = 0
    comparisons: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(
            macs=self.macs + other.macs,
            additions=self.additions + other.additions,
            multiplications=self.multiplications + other.multiplications,
            comparisons=self.comparisons + other.comparisons,
        )


class Op(ABC):
    """An operator: a frozen record of attributes with a type rule, a meaning and a price."""

    __slots__ = ()

    @abstractmethod
    def infer(self, *operands: Operand) -> TensorType:
        """Type of the result; raises :class:`ProgramError` where the operands do not fit."""

    @abstractmethod
    def evaluate(self, *arrays: IntArray) -> Int64Array:
        """The meaning on arrays (activations with the batch axis); exact integers."""

    @abstractmethod
    def work(self, *operands: Operand) -> Work:
        """Operations for one image."""


def activation(operand: Operand, letter: str, rank: int | None = None) -> TensorType:
    """The operand as an activation, of ``rank`` axes (C, H, W) where that is given."""
    if not isinstance(operand, TensorType):
        raise ProgramError(f"{letter} must be an activation, not a constant")
    if rank is not None and len(operand.shape) != rank:
        raise ProgramError(f"{letter} {operand.shape} must have {rank} axes (C, H, W)")
    return operand


def constant_of(operand: Operand, letter: str, shape: tuple[int, ...]) -> Constant:
    """The constant operand; a size of 0 in ``shape`` stands for any."""
    if not isinstance(operand, Constant):
        raise ProgramError(f"{letter} must be a constant")
    fits = len(operand.shape) == len(shape) and all(
        want in (0, got) for want, got in zip(shape, operand.shape, strict=True)
    )
    if not fits:
        rule = tuple("any" if n == 0 else n for n in shape)
        raise ProgramError(f"{letter} {operand.shape} does not fit, rule {rule}")
    return operand


def count(operands: tuple[Operand, ...], least: int, most: int) -> None:
    """Refuse another number of operands."""
    if not least <= len(operands) <= most:
        rule = f"{least}" if least == most else f"{least} to {most}"
        raise ProgramError(f"{len(operands)} operands, rule {rule}")


def bounded(lo: int, hi: int, what: str) -> IntType:
    """The range as a type, if it stays inside the accumulator bound [1.3.1]."""
    if lo < -ACCUMULATOR_BOUND or hi > ACCUMULATOR_BOUND:
        raise ProgramError(f"{what} can reach [{lo}, {hi}], rule within +-{ACCUMULATOR_BOUND}")
    return IntType(lo=lo, hi=hi)


def by_channel(values: IntArray, rank: int) -> Int64Array:
    """Per-channel constants (C,) shaped to broadcast over (N, C, ...) arrays of ``rank`` axes."""
    return values.astype(np.int64).reshape(1, -1, *(1,) * (rank - 2))
