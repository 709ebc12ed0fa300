"""Skewed blocks: the order in which an array asks for the elements of a fold.

A block has ``time`` rows and ``ports`` columns. Port p starts p clocks late, so clock d asks for
the elements (t, p) with t + p = d, lowest port first.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def asked_before(clock: int, time: int, ports: int) -> int:
    """Elements of a skewed block that are asked for before ``clock``.

    >>> [asked_before(clock, 3, 2) for clock in range(6)]
    [0, 1, 3, 5, 6, 6]
    """
    return (
        _triangle(clock) - _triangle(clock - time) - _triangle(clock - ports)
        + _triangle(clock - time - ports)
    )


def _triangle(side: int) -> int:
    return side * (side + 1) // 2 if side > 0 else 0


def clock_of(element: int, time: int, ports: int) -> int:
    """The clock at which a skewed block asks for its element number ``element``, from 0.

    >>> [clock_of(element, 3, 2) for element in range(6)]
    [0, 1, 1, 2, 2, 3]
    """
    clocks = range(1, time + ports)
    return bisect_left(clocks, element + 1, key=lambda clock: asked_before(clock, time, ports))


def order(time: int, ports: int) -> tuple[IntArray, IntArray]:
    """(t, p) of every element of a skewed block, in the order in which they are asked for."""
    t = np.repeat(np.arange(time), ports)
    p = np.tile(np.arange(ports), time)
    ranks = np.argsort((t + p) * ports + p, kind="stable")
    return t[ranks], p[ranks]
