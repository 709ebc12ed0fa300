"""LQ-Nets: levels that are sums of a learned basis.

Source: Zhang, Yang, Ye and Hua 2018. With a basis v of k numbers, the levels are all sums
sum_i b_i v_i, b_i in {-1, +1} for weights and in {0, 1} for activations. A step of quantization
error minimisation encodes each x by its nearest level and then solves for the basis:

    v <- (B B^T)^-1 B x        B (k, n) the codes b of all x

In training the basis is a running average of such steps, each from the basis before it. What is
quantized are the levels on a grid of integers, as integer layers need one step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Self

import numpy as np
from numpy.typing import NDArray

from refnet.program.types import SINT8, IntArray, IntType
from refnet.quant.base import FloatArray, finite
from refnet.quant.halfwave import HalfWave
from refnet.quant.staircase import Staircase, integer_table
from refnet.quant.weights import Reals, Rows, alive, everywhere, refuse_nan

_SWEEPS = 20
#: Eigenvalues of B B^T below this share of the largest are taken as zero: with integer entries
#: they are zero, or at least some 1 / n.
_SINGULAR = 1e-9


def encode(x: Reals, basis: Reals, bits: Reals) -> NDArray[np.intp]:
    """For each x (F, n) the row of ``bits`` (L, k) whose level is nearest, a tie to the lower one.

    ``basis`` (F, k). Among equal levels the first row is taken.
    """
    levels = np.sum(basis[:, None] * bits, axis=2)
    order = np.argsort(levels, axis=1, kind="stable")
    ascending = np.take_along_axis(levels, order, axis=1)
    middles = (ascending[:, 1:] + ascending[:, :-1]) / 2
    place = np.zeros(x.shape, dtype=np.intp)
    for j in range(middles.shape[1]):
        place += x > middles[:, j : j + 1]
    found: NDArray[np.intp] = np.take_along_axis(order, place, axis=1)
    return found


def solve_basis(x: Reals, basis: Reals, bits: Reals) -> Reals:
    """One step: encode x (F, n) by the basis (F, k), then the basis of least squares.

    Where codes leave it open the shortest one is taken; a bit that no x uses keeps its number.
    """
    B = bits[encode(x, basis, bits)]
    A = np.einsum("fnb,fnc->fbc", B, B)
    v = np.einsum("fbc,fc->fb", np.linalg.pinv(A, _SINGULAR, True), np.einsum("fnb,fn->fb", B, x))
    return np.where(np.einsum("fbb->fb", A) > 0, v, basis)


def _bits(k: int, digits: tuple[int, int]) -> Reals:
    return np.array(list(product(digits, repeat=k)), dtype=np.float64)


def _check(name: str, basis: tuple[float, ...], momentum: float, least: float) -> None:
    if not 1 <= len(basis) <= 3 or not all(np.isfinite(v) and v >= least for v in basis):
        raise ValueError(f"{name}: basis {basis} must be 1 to 3 finite numbers of at least {least}")
    if not 0 <= momentum < 1:
        raise ValueError(f"{name}: momentum {momentum} must lie in [0, 1)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LQWeights:
    """The 2**k levels +-v_1 +- ... +-v_k of a ``basis`` of 1 to 3 numbers, k-bit weights.

    The largest level is code 127 and the others are rounded to that grid, off by at most 1/254 of
    the largest; the weights take 8 bits each. One number is BWN. ``momentum`` is the weight of the
    old basis in the running average.

    >>> q = LQWeights().fit(np.array([-4.0, -2.0, 1.0, 5.0]))
    >>> q.basis, q.codes(np.array([-4.0, 0.0, 2.0, 9.0])).tolist()
    ((1.5, 3.0), [-127, -42, 42, 127])
    """

    basis: tuple[float, ...] = (1.0, 2.0)
    momentum: float = 0.9

    def __post_init__(self) -> None:
        _check("LQWeights", self.basis, self.momentum, -np.inf)

    @property
    def type(self) -> IntType:
        """Symmetric 8-bit codes."""
        return SINT8

    @property
    def trained(self) -> bool:
        """The basis follows a running average, not a gradient."""
        return False

    def fit(self, x: FloatArray) -> Self:
        """The basis of the filter ``x``, from equally spaced levels in a few steps."""
        wide = finite(x, "LQWeights.fit").reshape(1, -1)
        return replace(self, basis=tuple(self.start(wide)[0].tolist())) if wide.any() else self

    def codes(self, x: FloatArray) -> IntArray:
        """Codes of the nearest levels; infinities saturate, NaN is refused."""
        wide = refuse_nan(x, "LQWeights.codes")
        flat = self._integers(wide.reshape(1, -1), np.array([self.basis]))
        return flat.reshape(wide.shape)

    def values(self, codes: IntArray) -> Reals:
        """The largest level over 127, times ``codes``."""
        step = float(np.abs(self.basis).sum()) / SINT8.hi
        return np.asarray(codes, dtype=np.float64) * step

    def mask(self, x: FloatArray) -> NDArray[np.bool_]:
        """Everywhere."""
        return everywhere(x)

    def start(self, w: Reals) -> Reals:
        """Bases (F, k): equal steps whose mean magnitude is that of the filter, then some steps."""
        k = len(self.basis)
        mean = np.sum(np.abs(w) / w.shape[1], axis=1)
        basis: Reals = mean[:, None] * 2.0 ** (np.arange(k) + 1 - k)
        for _ in range(_SWEEPS):
            basis = solve_basis(w, basis, _bits(k, (-1, 1)))
        return basis

    def rows(self, w: Reals, state: Reals) -> Rows:
        """Codes (F, K) of the nearest levels and their steps (F,)."""
        return alive(self._integers(w, state), np.abs(state).sum(axis=1) / SINT8.hi)

    def gradient(self, g: Reals, w: Reals, state: Reals) -> tuple[Reals, Reals]:
        """Straight through to every latent."""
        return g, np.zeros_like(state)

    def refresh(self, w: Reals, state: Reals) -> Reals:
        """The running average of the basis with one step from it."""
        step = solve_basis(w, state, _bits(len(self.basis), (-1, 1)))
        return self.momentum * state + (1 - self.momentum) * step

    def _integers(self, x: Reals, basis: Reals) -> IntArray:
        bits = _bits(basis.shape[1], (-1, 1))
        reach = np.abs(basis).sum(axis=1, keepdims=True)
        levels = np.sum(basis[:, None] * bits, axis=2) / np.where(reach > 0, reach, 1.0)
        table = np.rint(SINT8.hi * levels)
        return np.take_along_axis(table, encode(x, basis, bits), axis=1).astype(np.int8)


@lru_cache
def _table(basis: tuple[float, ...], table_bits: int) -> tuple[tuple[int, ...], float]:
    levels = np.sort(_bits(len(basis), (0, 1)) @ np.array(basis))[1:]
    if not levels[-1] > 0:
        return (0,) * (len(levels) - 1) + (1,), 1.0
    return integer_table(levels, 2**table_bits - 1, apart=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LQActivations(Staircase):
    """The sums of parts of a ``basis`` of 1 to 3 numbers >= 0, k-bit activations.

    Their levels are rounded to a table of integers of at most ``table_bits`` bits, and the nearest
    level of the table is taken; levels that meet on the grid are one.

    >>> q = LQActivations(basis=(1.0, 2.5))
    >>> q.table, q.codes(np.array([-1.0, 0.6, 2.4, 9.0])).tolist(), q.delta
    ((2, 5, 7), [0, 2, 5, 7], 0.5)
    """

    basis: tuple[float, ...] = (1.0, 2.0)
    momentum: float = 0.9
    table_bits: int = 4

    def __post_init__(self) -> None:
        _check("LQActivations", self.basis, self.momentum, 0.0)
        least = len(self.basis)
        if isinstance(self.table_bits, bool) or self.table_bits not in range(least, 9):
            raise ValueError(
                f"LQActivations: table_bits={self.table_bits!r} must be an integer from {least} "
                "to 8"
            )

    @property
    def table(self) -> tuple[int, ...]:
        """The integer levels, not falling."""
        return _table(self.basis, self.table_bits)[0]

    @property
    def type(self) -> IntType:
        """The range [0, largest integer level]."""
        return IntType(lo=0, hi=self.table[-1])

    @property
    def delta(self) -> float:
        """The real value of code 1, which need not be a level."""
        return _table(self.basis, self.table_bits)[1]

    @property
    def thresholds(self) -> Reals:
        """Midpoints of neighbouring levels, each as often as the level rises there."""
        levels = np.array([0, *self.table])
        middles = (levels[1:] + levels[:-1]) * (self.delta / 2)
        return np.repeat(middles, np.diff(levels))

    def fit(self, x: FloatArray) -> Self:
        """The basis of the positive part of ``x``, from the equal steps that suit it best.

        A sample without positive values keeps the basis.
        """
        positive = np.maximum(finite(x, "LQActivations.fit"), 0).reshape(1, -1)
        if not positive.any():
            return self
        k = len(self.basis)
        steps = HalfWave(k).fit(positive).delta * 2.0 ** np.arange(k)
        basis = np.array([steps])
        for _ in range(_SWEEPS):
            basis = self._step(positive, basis)
        return replace(self, basis=tuple(basis[0].tolist()))

    def refresh(self, x: FloatArray) -> Self:
        """The running average of the basis with one step from it on the batch ``x``."""
        positive = np.maximum(finite(x, "LQActivations.refresh"), 0).reshape(1, -1)
        basis = np.array([self.basis])
        mixed = self.momentum * basis + (1 - self.momentum) * self._step(positive, basis)
        return replace(self, basis=tuple(mixed[0].tolist()))

    @staticmethod
    def _step(positive: Reals, basis: Reals) -> Reals:
        return np.maximum(solve_basis(positive, basis, _bits(basis.shape[1], (0, 1))), 0)
