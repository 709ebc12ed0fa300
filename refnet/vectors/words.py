"""The elements of an array as words: fields of the width of its type, or bit patterns of reals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.program import IntType
from refnet.vectors.record import REAL, WIDE, Array, dtype_of

#: A label that says what an array is ("conv.padding.0001 input x"), and the array.
Labelled = tuple[str, Array]


def width_of(type: str) -> int:
    """Bits of a word: the width of the type [1.1.3], 64 for wide integers and reals."""
    return 64 if type in (WIDE, REAL) else IntType.parse(type).bits


def words_of(array: Array) -> list[int]:
    """The elements as fields of :func:`width_of` bits: two's complement, or bit patterns."""
    if array.type == REAL:
        return [int(str(v), 16) for v in array.data]
    return [int(v) % 2 ** width_of(array.type) for v in array.data]


def numbers_of_words(type: str, words: list[int]) -> NDArray[Any]:
    """The elements that words of :func:`width_of` bits stand for, flat, in 64 bits."""
    if type == REAL:
        raw = b"".join(w.to_bytes(8, "big") for w in words)
        return np.frombuffer(raw, ">f8").astype(np.float64)
    width = width_of(type)
    signed = dtype_of(type).kind == "i" and (type == WIDE or IntType.parse(type).lo < 0)
    numbers = [w - 2**width if signed and w >= 2 ** (width - 1) else w for w in words]
    return np.array(numbers, dtype=np.int64)


def array_of_words(name: str, type: str, shape: tuple[int, ...], words: list[int]) -> Array:
    """The array of which :func:`words_of` gives ``words``."""
    return Array.of(name, type, numbers_of_words(type, words).reshape(shape))
