"""Wrong arithmetic: rounding, requantization, ratios, thresholds."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np

from refnet.program import IntType, rounding_shift, saturate
from refnet.program.arith import MULT_BOUND, SHIFT_BOUND, ratio_to_mult_shift
from refnet.vectors.answering import Ints, WrongShift
from refnet.vectors.functions import Implementation, Outputs
from refnet.vectors.record import Vector


def instead(rule: str, other: str) -> WrongShift:
    """``other`` wherever ``rule`` is asked for."""
    return lambda x, shift, asked: rounding_shift(x, shift, other if asked == rule else asked)


def floored(x: Ints, shift: Ints, rule: str) -> Ints:
    """An arithmetic shift right."""
    return x >> shift


def truncated(x: Ints, shift: Ints, rule: str) -> Ints:
    """A division of integers as C does it: towards zero."""
    return np.sign(x) * (np.abs(x) >> shift)


def half_down(x: Ints, shift: Ints, rule: str) -> Ints:
    """Ties to the smaller integer."""
    return -rounding_shift(-x, shift, "half_up")


def double_rounding(x: Ints, shift: Ints, rule: str) -> Ints:
    """A high multiplication that rounds off 15 bits, ties up, and then the rest of the shift."""
    first = np.minimum(shift, 15)
    return rounding_shift(rounding_shift(x, first, "half_up"), shift - first, rule)


def twice_half(x: Ints, shift: Ints, rule: str) -> Ints:
    """Rounds to one bit too many, then once more."""
    first = np.maximum(shift - 1, 0)
    return rounding_shift(rounding_shift(x, first, rule), shift - first, rule)


def _scaled(acc: Ints, mult: Ints, shift: Ints, rule: str) -> Ints:
    return rounding_shift(acc * mult, shift, rule)


def accumulator_clamped(acc: Ints, mult: Ints, shift: Ints, type: IntType, rule: str) -> Ints:
    """Saturates the accumulator to the type before it is scaled."""
    clamped = saturate(acc, type.lo, type.hi).astype(np.int64)
    return saturate(_scaled(clamped, mult, shift, rule), type.lo, type.hi)


def wrapped(acc: Ints, mult: Ints, shift: Ints, type: IntType, rule: str) -> Ints:
    """Keeps the low bits of a result that does not fit."""
    y = _scaled(acc, mult, shift, rule)
    span = 2**type.bits
    field = y % span
    negative: Ints = type.signed & (2 * field >= span)
    return np.asarray(field - span * negative)


def symmetric(acc: Ints, mult: Ints, shift: Ints, type: IntType, rule: str) -> Ints:
    """Clamps to the symmetric range: -127 for -128."""
    lo = -type.hi if type.signed else type.lo
    return saturate(_scaled(acc, mult, shift, rule), lo, type.hi)


def unclamped_below(acc: Ints, mult: Ints, shift: Ints, type: IntType, rule: str) -> Ints:
    """Clamps at the upper end only."""
    return np.minimum(_scaled(acc, mult, shift, rule), type.hi)


def mult_unsigned(acc: Ints, mult: Ints, shift: Ints, type: IntType, rule: str) -> Ints:
    """Forgets the sign of the multiplier."""
    return saturate(_scaled(acc, np.abs(mult), shift, rule), type.lo, type.hi)


def sign_before_rounding(acc: Ints, mult: Ints, shift: Ints, type: IntType, rule: str) -> Ints:
    """Rounds with the magnitude of the multiplier and negates afterwards."""
    y = np.sign(mult) * _scaled(acc, np.abs(mult), shift, rule)
    return saturate(y, type.lo, type.hi)


def one_pair(acc: Ints, mult: Ints, shift: Ints, type: IntType, rule: str) -> Ints:
    """The first multiplier and shift for every channel."""
    y = _scaled(acc, mult.ravel()[0], shift.ravel()[0], rule)
    return saturate(y, type.lo, type.hi)


def float32_scaled(acc: Ints, mult: Ints, shift: Ints, type: IntType, rule: str) -> Ints:
    """Scales in single precision and rounds to even."""
    ratio = mult.astype(np.float32) / np.exp2(shift).astype(np.float32)
    y = np.rint(acc.astype(np.float32) * ratio).astype(np.int64)
    return saturate(y, type.lo, type.hi)


def product_32(acc: Ints, mult: Ints, shift: Ints, type: IntType, rule: str) -> Ints:
    """Keeps 32 bits of the product."""
    product = (acc * mult).astype(np.int32).astype(np.int64)
    return saturate(rounding_shift(product, shift, rule), type.lo, type.hi)


def saturated_wrapped(vector: Vector) -> Outputs:
    """``saturate`` that keeps low bits."""
    lo, hi = vector.attributes["lo"], vector.attributes["hi"]
    return {"y": (vector.arrays["x"] - lo) % (hi - lo + 1) + lo}


def _ratios(vector: Vector) -> list[Fraction]:
    held = vector.arrays
    if "ratio" in held:
        return [Fraction(float(r)) for r in held["ratio"]]
    pairs = zip(held["numerator"].tolist(), held["denominator"].tolist(), strict=True)
    return [Fraction(n, d) for n, d in pairs]


def ratios(wrong: Callable[[Fraction], tuple[int, int]]) -> Implementation:
    """A wrong pair for every ratio but zero."""

    def answered(vector: Vector) -> Outputs:
        found = np.array([wrong(r) if r else (0, 0) for r in _ratios(vector)]).reshape(-1, 2)
        return {"mult": found[:, 0], "shift": found[:, 1]}

    return answered


def _with_shift(r: Fraction, round_: Callable[[Fraction], int], top: int = MULT_BOUND) -> Any:
    sign = 1 if r > 0 else -1
    for shift in range(SHIFT_BOUND, -1, -1):
        mult = round_(abs(r) * 2**shift)
        if mult <= top:
            return sign * mult, shift
    return sign * MULT_BOUND, 0


def ratio_half_up(r: Fraction) -> tuple[int, int]:
    """Ties of the multiplier go up."""
    found: tuple[int, int] = _with_shift(r, lambda m: floor(m + Fraction(1, 2)))
    return found


def ratio_truncated(r: Fraction) -> tuple[int, int]:
    """The multiplier is cut off."""
    found: tuple[int, int] = _with_shift(r, floor)
    return found


def ratio_capped(r: Fraction) -> tuple[int, int]:
    """A multiplier that rounds to 2**15 is capped at 2**15 - 1 and keeps its shift."""
    for shift in range(SHIFT_BOUND, -1, -1):
        if floor(abs(r) * 2**shift) <= MULT_BOUND:
            mult = min(round(abs(r) * 2**shift), MULT_BOUND)
            return (mult if r > 0 else -mult), shift
    return MULT_BOUND, 0


def ratio_float32(r: Fraction) -> tuple[int, int]:
    """The ratio goes through single precision first."""
    return ratio_to_mult_shift(Fraction(float(np.float32(float(r)))))


def ratio_unbounded(r: Fraction) -> tuple[int, int]:
    """The shift is not bounded by 46, but by 62."""
    for shift in range(62, -1, -1):
        mult = round(abs(r) * 2**shift)
        if mult <= MULT_BOUND:
            return (mult if r > 0 else -mult), shift
    return MULT_BOUND, 0


def ratio_fewer_bits(r: Fraction) -> tuple[int, int]:
    """The multiplier has 14 bits: one shift less than there is room for."""
    found: tuple[int, int] = _with_shift(r, round, 2**14 - 1)
    return found


def thresholds(
    wrong: Callable[[float, float, float], int], *, clamp: bool = True
) -> Implementation:
    """Thresholds from a wrong formula (level, magnitude of the scale, offset) -> integer."""

    def answered(vector: Vector) -> Outputs:
        held, acc = vector.arrays, IntType.parse(vector.attributes["acc"])
        rows = []
        for scale, offset in zip(held["scale"].tolist(), held["offset"].tolist(), strict=True):
            lo, hi = (acc.lo, acc.hi) if scale >= 0 else (-acc.hi, -acc.lo)
            row = []
            for level in held["levels"].tolist():
                if scale == 0:
                    row.append(lo if offset > level else hi + 1)
                    continue
                t = wrong(level, abs(scale), offset)
                t = min(max(t, lo), hi + 1) if clamp else min(max(t, -(2**31)), 2**31 - 1)
                row.append(t)
            rows.append(row)
        return {"t": np.array(rows), "sign": np.where(held["scale"] < 0, -1, 1)}

    return answered


def _tau(level: float, scale: float, offset: float) -> Fraction:
    return (Fraction(level) - Fraction(offset)) / Fraction(scale)


def threshold_ceil(level: float, scale: float, offset: float) -> int:
    """Equality passes: ``p >= v``."""
    return ceil(_tau(level, scale, offset))


def threshold_floor(level: float, scale: float, offset: float) -> int:
    """The floor without the one on top."""
    return floor(_tau(level, scale, offset))


def threshold_exact(level: float, scale: float, offset: float) -> int:
    """The right formula, for mistakes that lie elsewhere."""
    return floor(_tau(level, scale, offset)) + 1


def threshold_float(level: float, scale: float, offset: float) -> int:
    """The quotient in double precision instead of in rationals."""
    with np.errstate(over="ignore"):
        tau = (np.float64(level) - np.float64(offset)) / np.float64(scale)
    return floor(min(max(float(tau), -(2.0**40)), 2.0**40)) + 1


def threshold_offset_added(level: float, scale: float, offset: float) -> int:
    """The offset is added to the level instead of taken off it."""
    return floor((Fraction(level) + Fraction(offset)) / Fraction(scale)) + 1


def threshold_rounded(level: float, scale: float, offset: float) -> int:
    """The nearest integer to the boundary."""
    return round(_tau(level, scale, offset))


def threshold_unclamped(vector: Vector) -> Outputs:
    """Thresholds outside the range of the accumulator stay as they are."""
    return thresholds(threshold_exact, clamp=False)(vector)


def scale_sign_ignored(vector: Vector) -> Outputs:
    """Sign +1 for a negative scale."""
    found = thresholds(threshold_exact)(vector)
    return {"t": found["t"], "sign": np.ones_like(found["sign"])}
