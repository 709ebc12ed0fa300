"""Pseudo-random integers from SHA-256 in counter mode: the same on every machine and version.

Generators of libraries may change their streams between releases; golden data may not.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def words(label: str) -> Iterator[int]:
    """64-bit words: SHA-256 of ``label/0``, ``label/1``, ..., each cut into four, little-endian."""
    counter = 0
    while True:
        block = hashlib.sha256(f"{label}/{counter}".encode()).digest()
        yield from (int.from_bytes(block[i : i + 8], "little") for i in range(0, 32, 8))
        counter += 1


class Stream:
    """Integers drawn in order from the words of a label."""

    def __init__(self, label: str) -> None:
        self._words = words(label)

    def integer(self, lo: int, hi: int) -> int:
        """One integer of ``[lo, hi]``, all equally likely: words that favour some are skipped.

        >>> Stream("example").integer(5, 5)
        5
        """
        span = hi - lo + 1
        if not 1 <= span <= 2**64:
            raise ValueError(f"integer: [{lo}, {hi}] must hold 1 to 2**64 integers")
        limit = 2**64 - 2**64 % span
        return lo + next(w for w in self._words if w < limit) % span

    def integers(self, lo: int, hi: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """An array of integers of ``[lo, hi]``, filled in C order."""
        flat = [self.integer(lo, hi) for _ in range(math.prod(shape))]
        return np.array(flat, dtype=np.int64).reshape(shape)
