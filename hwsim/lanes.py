"""Arithmetic that holds for an integer and for a NumPy array of integers, one lane a case.

The closed forms are written once with these: on Python integers they are exact at any size, on
``int64`` arrays they cost many cases at a time (:mod:`hwsim.batch`).
"""

from __future__ import annotations

from math import gcd
from typing import Any, TypeAlias

import numpy as np

#: An ``int``, or an ``int64`` array of them.
Whole: TypeAlias = Any


def larger(a: Whole, b: Whole) -> Whole:
    """The larger of two.

    >>> larger(2, 3), larger(np.array([1, 5]), 3).tolist()
    (3, [3, 5])
    """
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.maximum(a, b)
    return a if a >= b else b


def smaller(a: Whole, b: Whole) -> Whole:
    """The smaller of two."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.minimum(a, b)
    return a if a <= b else b


def common_divisor(a: Whole, b: Whole) -> Whole:
    """The greatest common divisor of two."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.gcd(a, b)
    return gcd(a, b)


def pick(condition: Any, a: Whole, b: Whole) -> Whole:
    """``a`` where the condition holds, else ``b``; lane by lane if any of them is an array."""
    if isinstance(condition, np.ndarray):
        return np.where(condition, a, b)
    return a if condition else b
