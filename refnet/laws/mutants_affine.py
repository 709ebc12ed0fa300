"""Wrong affine quantizers: rounding, precision, range. Each is wrong in one line.

All have the signature of :func:`right`, codes [-8, 7], and refuse NaN unless that is their mistake.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
LOW, HIGH = -8, 7


def checked(x: Array) -> NDArray[np.float64]:
    """x as binary64; NaN is refused."""
    wide = np.asarray(x, dtype=np.float64)
    if np.isnan(wide).any():
        raise ValueError("quantize: holds NaN")
    return wide


def ratio(x: Array, scale: float) -> NDArray[np.float64]:
    """x / scale in binary64."""
    found: NDArray[np.float64] = checked(x) / scale
    return found


def clipped(q: Array, low: int = LOW, high: int = HIGH) -> Array:
    """Codes of rounded numbers."""
    return np.asarray(np.clip(q, low, high)).astype(np.int8)


def right(x: Array, scale: float, zero_point: int) -> Array:
    """``clip(round(x / scale) + zero_point)``, ties to even, division in binary64."""
    return clipped(np.rint(ratio(x, scale)) + zero_point)


def right_values(codes: Array, scale: float, zero_point: int) -> Array:
    """``(codes - zero_point) * scale``."""
    return (np.asarray(codes, dtype=np.float64) - zero_point) * scale


# --- Rounding -------------------------------------------------------------------------------------


def half_away(x: Array, scale: float, zero_point: int) -> Array:
    """Ties away from zero."""
    q = ratio(x, scale)
    return clipped(np.copysign(np.floor(np.abs(q) + 0.5), q) + zero_point)


def half_up(x: Array, scale: float, zero_point: int) -> Array:
    """Ties up."""
    return clipped(np.floor(ratio(x, scale) + 0.5) + zero_point)


def half_down(x: Array, scale: float, zero_point: int) -> Array:
    """Ties down."""
    return clipped(np.ceil(ratio(x, scale) - 0.5) + zero_point)


def half_to_zero(x: Array, scale: float, zero_point: int) -> Array:
    """Ties towards zero."""
    q = ratio(x, scale)
    return clipped(np.copysign(np.ceil(np.abs(q) - 0.5), q) + zero_point)


def half_odd(x: Array, scale: float, zero_point: int) -> Array:
    """Ties to odd."""
    return clipped(np.rint(ratio(x, scale) - 1) + 1 + zero_point)


def truncates(x: Array, scale: float, zero_point: int) -> Array:
    """Towards zero, as a cast to an integer does."""
    return clipped(np.trunc(ratio(x, scale)) + zero_point)


def floors(x: Array, scale: float, zero_point: int) -> Array:
    """Down, as an arithmetic shift does."""
    return clipped(np.floor(ratio(x, scale)) + zero_point)


def adds_then_rounds(x: Array, scale: float, zero_point: int) -> Array:
    """The zero point is added before rounding: odd zero points turn ties."""
    return clipped(np.rint(ratio(x, scale) + zero_point))


def rounds_twice(x: Array, scale: float, zero_point: int) -> Array:
    """Rounded to sixteenths of a step first."""
    return clipped(np.rint(np.rint(ratio(x, scale) * 16) / 16) + zero_point)


def wrong_at_half(x: Array, scale: float, zero_point: int) -> Array:
    """Right but for the ties at half a step: these go away from zero."""
    q = ratio(x, scale)
    return clipped(np.where(np.abs(q) == 0.5, np.sign(q), np.rint(q)) + zero_point)


def dead_zone(x: Array, scale: float, zero_point: int) -> Array:
    """Up to three quarters of a step become zero."""
    q = ratio(x, scale)
    return clipped(np.where(np.abs(q) < 0.75, 0, np.rint(q)) + zero_point)


def not_rounded(x: Array, scale: float, zero_point: int) -> Array:
    """Clipped, but never rounded."""
    return np.asarray(np.clip(ratio(x, scale) + zero_point, LOW, HIGH))


# --- Precision ------------------------------------------------------------------------------------


def divides_in_binary32(x: Array, scale: float, zero_point: int) -> Array:
    """The quotient is a binary32 number."""
    q = np.asarray(checked(x), dtype=np.float32) / np.float32(scale)
    return clipped(np.rint(q) + zero_point)


def reciprocal_in_binary32(x: Array, scale: float, zero_point: int) -> Array:
    """x * (1 / scale) in binary32."""
    q = np.asarray(checked(x), dtype=np.float32) * (np.float32(1) / np.float32(scale))
    return clipped(np.rint(np.nan_to_num(q)) + zero_point)


def reciprocal_in_binary64(x: Array, scale: float, zero_point: int) -> Array:
    """x * (1 / scale) in binary64."""
    return clipped(np.rint(checked(x) * (1 / scale)) + zero_point)


def input_through_binary32(x: Array, scale: float, zero_point: int) -> Array:
    """x is made binary32 first: double rounding of binary64 input."""
    return right(np.asarray(x, dtype=np.float32), scale, zero_point)


def input_through_binary16(x: Array, scale: float, zero_point: int) -> Array:
    """x is made binary16 first."""
    return right(np.asarray(x, dtype=np.float16), scale, zero_point)


def quotient_through_binary32(x: Array, scale: float, zero_point: int) -> Array:
    """The binary64 quotient is stored in binary32 before it is rounded."""
    return clipped(np.rint(ratio(x, scale).astype(np.float32)) + zero_point)


def subnormals_are_zero(x: Array, scale: float, zero_point: int) -> Array:
    """Numbers below the smallest normal binary32 number are flushed to zero."""
    wide = checked(x)
    return right(np.where(np.abs(wide) < 2.0**-126, 0, wide), scale, zero_point)


# --- Range ----------------------------------------------------------------------------------------


def high_end_missing(x: Array, scale: float, zero_point: int) -> Array:
    """The highest code is never given: levels counted as 2**b - 1."""
    return clipped(np.rint(ratio(x, scale)) + zero_point, LOW, HIGH - 1)


def narrow_range(x: Array, scale: float, zero_point: int) -> Array:
    """The range [-7, 7] for [-8, 7]."""
    return clipped(np.rint(ratio(x, scale)) + zero_point, -HIGH, HIGH)


def high_end_beyond(x: Array, scale: float, zero_point: int) -> Array:
    """One code more than there is: levels counted as 2**b + 1."""
    return clipped(np.rint(ratio(x, scale)) + zero_point, LOW, HIGH + 1)


def negatives_lost(x: Array, scale: float, zero_point: int) -> Array:
    """Clipped to zero from below, as behind a rectifier."""
    return clipped(np.maximum(np.rint(ratio(x, scale)), 0) + zero_point)


def clips_at_8_bits(x: Array, scale: float, zero_point: int) -> Array:
    """The range of the storage for that of the codes."""
    return clipped(np.rint(ratio(x, scale)) + zero_point, -128, 127)


def wraps(x: Array, scale: float, zero_point: int) -> Array:
    """Keeps the low four bits: no saturation."""
    whole = np.clip(np.rint(ratio(x, scale)) + zero_point, -1e6, 1e6).astype(np.int64)
    return np.asarray((whole - LOW) % 16 + LOW).astype(np.int8)


def converts_before_clip(x: Array, scale: float, zero_point: int) -> Array:
    """To a 16-bit integer first: large numbers wrap, and are clipped then."""
    wide = np.clip(np.rint(ratio(x, scale)) + zero_point, -1e15, 1e15)
    return clipped(wide.astype(np.int64).astype(np.int16))


def clips_before_zero_point(x: Array, scale: float, zero_point: int) -> Array:
    """The quotient is clipped, and then the zero point added."""
    q = np.clip(np.rint(ratio(x, scale)), LOW, HIGH)
    return np.asarray(q + zero_point).astype(np.int8)


def clips_then_rounds_up(x: Array, scale: float, zero_point: int) -> Array:
    """Clipped at half a step inside the upper end before rounding."""
    q = np.minimum(ratio(x, scale) + zero_point, HIGH - 0.5)
    return clipped(np.rint(q))


QUANTIZE = (
    half_away, half_up, half_down, half_to_zero, half_odd, truncates, floors, adds_then_rounds,
    rounds_twice, wrong_at_half, dead_zone, not_rounded, divides_in_binary32,
    reciprocal_in_binary32, reciprocal_in_binary64, input_through_binary32,
    input_through_binary16, quotient_through_binary32, subnormals_are_zero, high_end_missing,
    narrow_range, high_end_beyond, negatives_lost, clips_at_8_bits, wraps, converts_before_clip,
    clips_before_zero_point, clips_then_rounds_up,
)
