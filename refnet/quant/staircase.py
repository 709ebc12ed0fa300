"""Activation quantizers that count thresholds: what [3.4] and the Threshold operator compute.

Levels need not be equally far apart. Where the levels are delta * (0 = L_0 < L_1 < ... < L_M) with
integers L_k, the code *is* the integer L_k: its threshold t_k stands L_k - L_(k-1) times in the
list, so counting thresholds gives the level at once and a table of levels costs no operator.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.program.types import IntArray, IntType
from refnet.quant.base import FloatArray, finite

Reals = NDArray[np.float64]


class Staircase(ABC):
    """Codes in [0, L] by counting L thresholds, each code worth ``delta`` more than the one below.

    The upper end of each interval is closed: x equal to a threshold has the lower code. The
    gradient passes where 0 < x < L * delta. Abstract; a subclass says type, delta and thresholds.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def type(self) -> IntType:
        """The codes [0, L]."""

    @property
    @abstractmethod
    def delta(self) -> float:
        """The real value of one code, positive."""

    @property
    @abstractmethod
    def thresholds(self) -> Reals:
        """The thresholds (L,), not falling."""

    def codes(self, x: FloatArray) -> IntArray:
        """The number of thresholds below x; infinities saturate, NaN is refused."""
        wide = np.asarray(x, dtype=np.float64)
        if np.isnan(wide).any():
            raise ValueError(f"{type(self).__name__}.codes: holds NaN, rule none")
        dtype = self.type.dtype
        codes = np.zeros(wide.shape, dtype=dtype)
        for threshold, times in zip(*np.unique(self.thresholds, return_counts=True), strict=True):
            codes += (wide > threshold) * dtype.type(times)
        return codes

    def values(self, codes: IntArray) -> Reals:
        """``delta * codes``."""
        return np.asarray(codes, dtype=np.float64) * self.delta

    def mask(self, x: FloatArray) -> NDArray[np.bool_]:
        """Where 0 < x < L * delta."""
        wide = np.asarray(x, dtype=np.float64)
        inside: NDArray[np.bool_] = (wide > 0) & (wide < self.type.hi * self.delta)
        return inside


def integer_table(
    levels: Reals, top: int, *, apart: bool = True
) -> tuple[tuple[int, ...], float]:
    """Integers 0 < L_1 < ... < L_M <= ``top`` and delta with delta * L_k near ``levels`` (M,).

    Of each candidate L_M the integers nearest to L_M * levels / levels[-1] are taken with their
    least-squares delta, and the candidate of least squared error wins, the smallest on a tie.
    ``levels`` are positive and ascend. Raises ``ValueError`` where no candidate keeps them apart;
    without ``apart``, levels may meet and the first of them be 0.

    >>> table, delta = integer_table(np.array([0.4528, 1.5104]), 15)
    >>> table, round(delta, 4)
    ((3, 10), 0.151)
    """
    best: tuple[float, tuple[int, ...], float] | None = None
    for last in range(len(levels) if apart else 1, top + 1):
        table = np.rint(levels * (last / levels[-1]))
        if apart and np.any(np.diff(table, prepend=0) < 1):
            continue
        delta = float(table @ levels / (table @ table))
        error = float(np.sum((levels - delta * table) ** 2))
        if best is None or error < best[0]:
            best = error, tuple(table.astype(int).tolist()), delta
    if best is None:
        raise ValueError(
            f"levels {np.round(levels, 4).tolist()} collide on the integers up to {top}, "
            "rule more table_bits"
        )
    return best[1:]


def table_thresholds(table: tuple[int, ...], first: float, delta: float) -> Reals:
    """The thresholds (L_M,) of a table: ``first`` L_1 times, then midpoints between levels."""
    steps = np.diff(table, prepend=0)
    levels = np.asarray(table, dtype=np.float64) * delta
    edges = np.concatenate([[first], (levels[1:] + levels[:-1]) / 2])
    return np.repeat(edges, steps)


def fitted_scale(x: FloatArray, what: str, codes_at: Callable[[float, Reals], Any]) -> float:
    """The scale s that minimises the squared error of the positive part of ``x``.

    ``codes_at(s, x)`` gives the levels of a quantizer of scale s in units of s. Alternates levels
    and the best scale for them, from the root mean square; 1 where no x is positive.
    """
    positive = np.maximum(finite(x, what).ravel(), 0)
    if not positive.any():
        return 1.0
    # A power of two brings the largest value to [0.5, 1): exact, and squares stay in range.
    exponent = int(np.frexp(positive.max())[1])
    positive = np.ldexp(positive, -exponent)
    scale = float(np.sqrt(np.mean(positive**2) * 2))
    for _ in range(100):
        levels = codes_at(scale, positive)
        if not levels.any():
            scale /= 2
            continue
        better = float(levels @ positive / (levels @ levels))
        if better == scale:
            break
        scale = better
    return float(np.ldexp(scale, exponent)) or 1.0
