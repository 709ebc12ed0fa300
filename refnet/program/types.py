"""Integer ranges, tensor types and the error of the integer core ([1] of the specification).

An integer type is an inclusive range of integers. Its storage, its name and the number of bits that
hold it all follow from the range, so that nothing can disagree with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.integer[Any]]

#: Largest magnitude of an accumulator [1.3.1]: one below 2**31 - 1, so that the negated value and
#: the integer just above the largest one are 32-bit numbers too.
ACCUMULATOR_BOUND = 2**31 - 2

#: Largest size of an axis and largest attribute of an operator: 32-bit numbers [1.2.1].
SIZE_BOUND = 2**31 - 1

_STORAGE = (np.int8, np.uint8, np.int16, np.uint16, np.int32)


class ProgramError(ValueError):
    """A program, or an array given to one, breaks a rule of the specification."""


def _check_bits(bits: int, least: int) -> None:
    if not least <= bits <= 32:
        raise ProgramError(f"IntType: {bits} bits, rule {least} to 32")


@dataclass(frozen=True, slots=True, kw_only=True)
class IntType:
    """The integers ``lo <= q <= hi`` [1.1.1].

    >>> IntType(lo=0, hi=3).name, IntType(lo=-1, hi=1).name, IntType(lo=-3, hi=5).name
    ('uint2', 'ternary', 'int[-3,5]')
    """

    lo: int
    hi: int

    def __post_init__(self) -> None:
        for value in (self.lo, self.hi):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                raise ProgramError(f"IntType: bounds must be integers, got {value!r}")
        object.__setattr__(self, "lo", int(self.lo))
        object.__setattr__(self, "hi", int(self.hi))
        if not -(2**31) <= self.lo <= self.hi <= 2**31 - 1:
            raise ProgramError(
                f"IntType [{self.lo}, {self.hi}]: needs -2**31 <= lo <= hi <= 2**31 - 1"
            )

    @classmethod
    def unsigned(cls, bits: int) -> IntType:
        """The range ``[0, 2**bits - 1]``, bits >= 1."""
        _check_bits(bits, 1)
        return cls(lo=0, hi=2**bits - 1)

    @classmethod
    def twos_complement(cls, bits: int) -> IntType:
        """The range ``[-2**(bits-1), 2**(bits-1) - 1]``, bits >= 1."""
        _check_bits(bits, 1)
        return cls(lo=-(2 ** (bits - 1)), hi=2 ** (bits - 1) - 1)

    @classmethod
    def symmetric(cls, bits: int) -> IntType:
        """The range ``[-(2**(bits-1) - 1), 2**(bits-1) - 1]``; 2 bits give the ternary type."""
        _check_bits(bits, 2)
        return cls(lo=-(2 ** (bits - 1) - 1), hi=2 ** (bits - 1) - 1)

    @classmethod
    def parse(cls, name: str) -> IntType:
        """The type with this ``name``: ``ternary``, ``uint3``, ``int8``, ``sint8``, ``int[-3,5]``.

        >>> IntType.parse("int[-3,5]") == IntType(lo=-3, hi=5)
        True
        """
        if name == "ternary":
            return TERNARY
        if match := re.fullmatch(r"int\[(-?[0-9]{1,10}),(-?[0-9]{1,10})\]", name):
            return cls(lo=int(match[1]), hi=int(match[2]))
        if match := re.fullmatch(r"(uint|int|sint)([0-9]{1,2})", name):
            make = {"uint": cls.unsigned, "int": cls.twos_complement, "sint": cls.symmetric}
            if 1 <= int(match[2]) <= 32 and (match[1], match[2]) != ("sint", "1"):
                return make[match[1]](int(match[2]))
        raise ProgramError(
            f"integer type {name!r}: expected 'ternary', 'uint2', 'int8', 'sint8' or 'int[-3,5]'"
        )

    @property
    def signed(self) -> bool:
        """Whether the range has negative integers."""
        return self.lo < 0

    @property
    def bits(self) -> int:
        """Bits of the narrowest unsigned (``lo >= 0``) or two's complement field of the range."""
        if self.lo >= 0:
            return max(1, self.hi.bit_length())
        return max((-self.lo - 1).bit_length(), self.hi.bit_length() if self.hi > 0 else 0) + 1

    @property
    def dtype(self) -> np.dtype[Any]:
        """The first of int8, uint8, int16, uint16, int32 that holds the range [1.1.3]."""
        return next(
            np.dtype(storage)
            for storage in _STORAGE
            if np.iinfo(storage).min <= self.lo and self.hi <= np.iinfo(storage).max
        )

    @property
    def name(self) -> str:
        """Short name of the range [1.1.2], read back by :meth:`parse`."""
        if (self.lo, self.hi) == (-1, 1):
            return "ternary"
        for bits in range(1, 33):
            if (self.lo, self.hi) == (0, 2**bits - 1):
                return f"uint{bits}"
            if (self.lo, self.hi) == (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1):
                return f"int{bits}"
            if (self.lo, self.hi) == (-(2 ** (bits - 1) - 1), 2 ** (bits - 1) - 1) and bits > 1:
                return f"sint{bits}"
        return f"int[{self.lo},{self.hi}]"

    def contains(self, array: IntArray) -> bool:
        """Whether every element of the integer ``array`` lies in the range; true if empty."""
        return array.size == 0 or (int(array.min()) >= self.lo and int(array.max()) <= self.hi)

    def __str__(self) -> str:
        return self.name


TERNARY = IntType(lo=-1, hi=1)
UINT2 = IntType.unsigned(2)
UINT8 = IntType.unsigned(8)
INT8 = IntType.twos_complement(8)
SINT8 = IntType.symmetric(8)
INT16 = IntType.twos_complement(16)
ACCUMULATOR = IntType(lo=-ACCUMULATOR_BOUND, hi=ACCUMULATOR_BOUND)


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorType:
    """An integer type and a shape without the batch axis N [1.2.1].

    ``shape`` is (C, H, W) for a map, (K,) for a vector, or the whole shape of a constant.
    """

    type: IntType
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        shape = tuple(self.shape)
        if any(isinstance(n, bool) or not isinstance(n, (int, np.integer)) for n in shape):
            raise ProgramError(f"TensorType: shape {self.shape!r} must hold integers")
        object.__setattr__(self, "shape", tuple(int(n) for n in shape))
        if not 1 <= len(self.shape) <= 4 or not all(1 <= n <= SIZE_BOUND for n in self.shape):
            raise ProgramError(
                f"TensorType: shape {self.shape} must have 1 to 4 axes of size 1 to 2**31 - 1"
            )

    @property
    def elements(self) -> int:
        """Number of integers in one such tensor."""
        count = 1
        for n in self.shape:
            count *= n
        return count

    def __str__(self) -> str:
        return f"{self.type.name} {self.shape}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Constant:
    """An array that belongs to a program, with its integer type [5.1.3]; held read-only."""

    type: IntType
    array: IntArray

    def __post_init__(self) -> None:
        array = np.asarray(self.array)
        if array.dtype.kind not in "iu":
            raise ProgramError(f"Constant: dtype {array.dtype} must be an integer dtype")
        if not 1 <= array.ndim <= 4 or array.size == 0:
            raise ProgramError(f"Constant: shape {array.shape} must have 1 to 4 axes of size >= 1")
        if not self.type.contains(array):
            raise ProgramError(
                f"Constant: values in [{array.min()}, {array.max()}] leave its type {self.type}"
            )
        held = np.array(array, dtype=self.type.dtype, order="C")
        held.flags.writeable = False
        object.__setattr__(self, "array", held)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.array.shape

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Constant)
            and self.type == other.type
            and np.array_equal(self.array, other.array)
        )

    def __hash__(self) -> int:
        return hash((self.type, self.array.shape, self.array.tobytes()))


def constant(array: IntArray, type: IntType | None = None) -> Constant:
    """A :class:`Constant` of ``array``; without ``type``, of the tightest range that holds it."""
    values = np.asarray(array)
    if type is None:
        if values.dtype.kind not in "iu" or values.size == 0:
            raise ProgramError(f"constant: {values.dtype} {values.shape} needs integers, size >= 1")
        type = IntType(lo=int(values.min()), hi=int(values.max()))
    return Constant(type=type, array=values)
