"""Saturation, rounding shifts, fixed-point ratios, integer thresholds ([3] of the specification).

All arrays are integers; 64-bit intermediates never overflow, because an accumulator has 32 bits
and a multiplier 16 ([1.3.1], [3.2.1]).
"""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.program.types import ACCUMULATOR_BOUND, IntArray, IntType

Int64Array = NDArray[np.int64]

#: Largest magnitude of a requantization multiplier [3.2.1].
MULT_BOUND = 2**15 - 1
#: Largest shift [3.2.1]: any longer one would turn every 46-bit product into 0 or a tie.
SHIFT_BOUND = 46
#: The rounding rules of [3.1]; they differ only on exact ties.
ROUNDINGS = ("half_even", "half_up", "half_away")


def _int64(value: IntArray | int, what: str, lo: int = -(2**63), hi: int = 2**63 - 1) -> Int64Array:
    """Integers of ``[lo, hi]`` as int64; anything that a cast would change is refused."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise ValueError(f"{what} of dtype {array.dtype}, rule integers")
    if array.size and not (lo <= int(array.min()) and int(array.max()) <= hi):
        raise ValueError(f"{what} in [{array.min()}, {array.max()}], rule [{lo}, {hi}]")
    return array.astype(np.int64)


def saturate(x: IntArray, lo: int, hi: int) -> Int64Array:
    """Clamp ``x`` into ``[lo, hi]`` [1.4.1]; same shape."""
    if lo > hi:
        raise ValueError(f"saturate: lo {lo} exceeds hi {hi}")
    return np.minimum(np.maximum(_int64(x, "saturate: x"), lo), hi)


def rounding_shift(x: IntArray, shift: IntArray | int, rounding: str) -> Int64Array:
    """The integer nearest to ``x / 2**shift``, ties by ``rounding`` [3.1].

    ``x`` and ``shift`` broadcast; 0 <= shift <= 62.

    >>> [int(rounding_shift(np.int64(-5), 1, r)) for r in ROUNDINGS]
    [-2, -2, -3]
    """
    if rounding not in ROUNDINGS:
        raise ValueError(f"rounding {rounding!r} is none of {', '.join(ROUNDINGS)}")
    x = _int64(x, "rounding_shift: x")
    shift = _int64(shift, "rounding_shift: shift", 0, 62)
    whole = x >> shift
    remainder = x - (whole << shift)
    # Doubling the remainder compares it with one half without leaving the integers.
    twice, one = remainder << 1, np.int64(1) << shift
    above, tie = twice > one, twice == one
    if rounding == "half_even":
        tie_up = (whole & 1) == 1
    elif rounding == "half_up":
        tie_up = np.ones_like(tie)
    else:
        tie_up = x >= 0
    result: Int64Array = whole + (above | (tie & tie_up))
    return result


def requantize(
    acc: IntArray, mult: IntArray | int, shift: IntArray | int, type: IntType, rounding: str
) -> Int64Array:
    """``saturate(round(acc * mult / 2**shift))`` into ``type`` [3.2]: one rounding, then clamp.

    ``acc``, ``mult`` and ``shift`` broadcast; each must lie in its range [1.3.1] [3.2.1].
    """
    shift = _int64(shift, "requantize: shift", 0, SHIFT_BOUND)
    product = _int64(acc, "requantize: acc", -ACCUMULATOR_BOUND, ACCUMULATOR_BOUND) * _int64(
        mult, "requantize: mult", -MULT_BOUND, MULT_BOUND
    )
    return saturate(rounding_shift(product, shift, rounding), type.lo, type.hi)


def ratio_to_mult_shift(ratio: float | Fraction) -> tuple[int, int]:
    """The pair with ``mult / 2**shift`` nearest to ``ratio`` [3.3], ties to even ``mult``.

    ``2**14 <= |mult| < 2**15`` unless the shift bound forces fewer bits; a ratio below
    ``2**-47`` gives ``(0, 46)``. Computed in rationals: no logarithm, no rounding but one.

    >>> ratio_to_mult_shift(0.75), ratio_to_mult_shift(-3.0), ratio_to_mult_shift(0.0)
    ((24576, 15), (-24576, 13), (0, 0))
    """
    if isinstance(ratio, float) and not np.isfinite(ratio):
        raise ValueError(f"ratio_to_mult_shift: ratio {ratio} must be finite")
    exact = Fraction(ratio)
    if exact == 0:
        return 0, 0
    size, sign = abs(exact), 1 if exact > 0 else -1
    # size lies in [2**(e-1), 2**(e+1)), so 15 - e or 14 - e puts it in [2**14, 2**15); where the
    # rounding then reaches 2**15, one shift less does.
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    for normal in (15 - exponent, 14 - exponent, 13 - exponent):
        shift = min(normal, SHIFT_BOUND)
        mult = round(size * Fraction(2) ** shift)
        if mult <= MULT_BOUND:
            break
    if shift < 0:
        raise ValueError("ratio_to_mult_shift: |ratio| must be below 2**15 - 1/2")
    return sign * mult, shift


def integer_thresholds(
    levels: NDArray[np.float64],
    scale: NDArray[np.float64],
    offset: NDArray[np.float64],
    acc: IntType,
) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """Integer thresholds of the quantizer "code >= k iff scale*acc + offset > levels[k]" [3.4].

    ``levels`` (L,) ascending, ``scale`` and ``offset`` (C,); all are taken as exact rationals.
    Returns ``t`` (C, L) and ``sign`` (C,) with code = sum_k [sign*acc >= t[c, k]]. A threshold no
    accumulator of type ``acc`` reaches is one above the largest value of ``sign*acc``; one that
    every accumulator passes is the smallest value.

    >>> t, sign = integer_thresholds(np.array([0.5]), np.array([0.25, -0.25]), np.zeros(2),
    ...                              IntType(lo=-9, hi=9))
    >>> t.tolist(), sign.tolist()
    ([[3], [3]], [1, -1])
    """
    parameters: tuple[NDArray[Any], ...] = (levels, scale, offset)
    if levels.ndim != 1 or scale.ndim != 1 or scale.shape != offset.shape:
        raise ValueError(
            f"integer_thresholds: levels {levels.shape}, scale {scale.shape}, offset "
            f"{offset.shape} do not fit, rule (L,), (C,), (C,)"
        )
    if acc.lo < -ACCUMULATOR_BOUND or acc.hi > ACCUMULATOR_BOUND:
        raise ValueError(f"integer_thresholds: acc {acc}, rule within +-{ACCUMULATOR_BOUND}")
    if not all(np.isfinite(p).all() for p in parameters):
        raise ValueError("integer_thresholds: levels, scale and offset must be finite")
    if np.any(np.diff(levels) < 0):
        raise ValueError(f"integer_thresholds: levels {levels.tolist()} must be ascending")
    sign = np.where(scale < 0, -1, 1).astype(np.int8)
    t = np.empty((len(scale), len(levels)), dtype=np.int32)
    for c in range(len(scale)):
        lo, hi = (acc.lo, acc.hi) if sign[c] > 0 else (-acc.hi, -acc.lo)
        step, start = abs(Fraction(float(scale[c]))), Fraction(float(offset[c]))
        for k, level in enumerate(levels):
            room = Fraction(float(level)) - start
            if step == 0:
                t[c, k] = lo if room < 0 else hi + 1
            else:
                t[c, k] = min(max(floor(room / step) + 1, lo), hi + 1)
    return t, sign
