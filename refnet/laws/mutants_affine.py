"""Wrong affine quantizers: rounding, clipping, zero point, scale. Each is wrong in one line.

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


def _ratio(x: Array, scale: float) -> NDArray[np.float64]:
    found: NDArray[np.float64] = checked(x) / scale
    return found


def _clip(q: Array, low: int = LOW, high: int = HIGH) -> Array:
    return np.asarray(np.clip(q, low, high)).astype(np.int8)


def right(x: Array, scale: float, zero_point: int) -> Array:
    """``clip(round(x / scale) + zero_point)``, ties to even, division in binary64."""
    return _clip(np.rint(_ratio(x, scale)) + zero_point)


def right_values(codes: Array, scale: float, zero_point: int) -> Array:
    """``(codes - zero_point) * scale``."""
    return (np.asarray(codes, dtype=np.float64) - zero_point) * scale


# --- Rounding -------------------------------------------------------------------------------------


def half_away(x: Array, scale: float, zero_point: int) -> Array:
    """Ties away from zero."""
    q = _ratio(x, scale)
    return _clip(np.copysign(np.floor(np.abs(q) + 0.5), q) + zero_point)


def half_up(x: Array, scale: float, zero_point: int) -> Array:
    """Ties up."""
    return _clip(np.floor(_ratio(x, scale) + 0.5) + zero_point)


def half_down(x: Array, scale: float, zero_point: int) -> Array:
    """Ties down."""
    return _clip(np.ceil(_ratio(x, scale) - 0.5) + zero_point)


def half_to_zero(x: Array, scale: float, zero_point: int) -> Array:
    """Ties towards zero."""
    q = _ratio(x, scale)
    return _clip(np.copysign(np.ceil(np.abs(q) - 0.5), q) + zero_point)


def half_odd(x: Array, scale: float, zero_point: int) -> Array:
    """Ties to odd."""
    return _clip(np.rint(_ratio(x, scale) - 1) + 1 + zero_point)


def truncates(x: Array, scale: float, zero_point: int) -> Array:
    """Towards zero, as a cast to an integer does."""
    return _clip(np.trunc(_ratio(x, scale)) + zero_point)


def floors(x: Array, scale: float, zero_point: int) -> Array:
    """Down, as an arithmetic shift does."""
    return _clip(np.floor(_ratio(x, scale)) + zero_point)


def adds_then_rounds(x: Array, scale: float, zero_point: int) -> Array:
    """The zero point is added before rounding: odd zero points turn ties."""
    return _clip(np.rint(_ratio(x, scale) + zero_point))


def rounds_twice(x: Array, scale: float, zero_point: int) -> Array:
    """Rounded to sixteenths of a step first."""
    return _clip(np.rint(np.rint(_ratio(x, scale) * 16) / 16) + zero_point)


def wrong_at_half(x: Array, scale: float, zero_point: int) -> Array:
    """Right but for the ties at half a step: these go away from zero."""
    q = _ratio(x, scale)
    return _clip(np.where(np.abs(q) == 0.5, np.sign(q), np.rint(q)) + zero_point)


def dead_zone(x: Array, scale: float, zero_point: int) -> Array:
    """Up to three quarters of a step become zero."""
    q = _ratio(x, scale)
    return _clip(np.where(np.abs(q) < 0.75, 0, np.rint(q)) + zero_point)


def not_rounded(x: Array, scale: float, zero_point: int) -> Array:
    """Clipped, but never rounded."""
    return np.asarray(np.clip(_ratio(x, scale) + zero_point, LOW, HIGH))


# --- Precision ------------------------------------------------------------------------------------


def divides_in_binary32(x: Array, scale: float, zero_point: int) -> Array:
    """The quotient is a binary32 number."""
    q = np.asarray(checked(x), dtype=np.float32) / np.float32(scale)
    return _clip(np.rint(q) + zero_point)


def reciprocal_in_binary32(x: Array, scale: float, zero_point: int) -> Array:
    """x * (1 / scale) in binary32."""
    q = np.asarray(checked(x), dtype=np.float32) * (np.float32(1) / np.float32(scale))
    return _clip(np.rint(np.nan_to_num(q)) + zero_point)


def reciprocal_in_binary64(x: Array, scale: float, zero_point: int) -> Array:
    """x * (1 / scale) in binary64."""
    return _clip(np.rint(checked(x) * (1 / scale)) + zero_point)


def input_through_binary32(x: Array, scale: float, zero_point: int) -> Array:
    """x is made binary32 first: double rounding of binary64 input."""
    return right(np.asarray(x, dtype=np.float32), scale, zero_point)


def input_through_binary16(x: Array, scale: float, zero_point: int) -> Array:
    """x is made binary16 first."""
    return right(np.asarray(x, dtype=np.float16), scale, zero_point)


def quotient_through_binary32(x: Array, scale: float, zero_point: int) -> Array:
    """The binary64 quotient is stored in binary32 before it is rounded."""
    return _clip(np.rint(_ratio(x, scale).astype(np.float32)) + zero_point)


def subnormals_are_zero(x: Array, scale: float, zero_point: int) -> Array:
    """Numbers below the smallest normal binary32 number are flushed to zero."""
    wide = checked(x)
    return right(np.where(np.abs(wide) < 2.0**-126, 0, wide), scale, zero_point)


# --- Range ----------------------------------------------------------------------------------------


def high_end_missing(x: Array, scale: float, zero_point: int) -> Array:
    """The highest code is never given: levels counted as 2**b - 1."""
    return _clip(np.rint(_ratio(x, scale)) + zero_point, LOW, HIGH - 1)


def narrow_range(x: Array, scale: float, zero_point: int) -> Array:
    """The range [-7, 7] for [-8, 7]."""
    return _clip(np.rint(_ratio(x, scale)) + zero_point, -HIGH, HIGH)


def high_end_beyond(x: Array, scale: float, zero_point: int) -> Array:
    """One code more than there is: levels counted as 2**b + 1."""
    return _clip(np.rint(_ratio(x, scale)) + zero_point, LOW, HIGH + 1)


def negatives_lost(x: Array, scale: float, zero_point: int) -> Array:
    """Clipped to zero from below, as behind a rectifier."""
    return _clip(np.maximum(np.rint(_ratio(x, scale)), 0) + zero_point)


def clips_at_8_bits(x: Array, scale: float, zero_point: int) -> Array:
    """The range of the storage for that of the codes."""
    return _clip(np.rint(_ratio(x, scale)) + zero_point, -128, 127)


def wraps(x: Array, scale: float, zero_point: int) -> Array:
    """Keeps the low four bits: no saturation."""
    whole = np.clip(np.rint(_ratio(x, scale)) + zero_point, -1e6, 1e6).astype(np.int64)
    return ((whole - LOW) % 16 + LOW).astype(np.int8)


def converts_before_clip(x: Array, scale: float, zero_point: int) -> Array:
    """To a 16-bit integer first: large numbers wrap, and are clipped then."""
    wide = np.clip(np.rint(_ratio(x, scale)) + zero_point, -1e15, 1e15)
    return _clip(wide.astype(np.int64).astype(np.int16))


def clips_before_zero_point(x: Array, scale: float, zero_point: int) -> Array:
    """The quotient is clipped, and then the zero point added."""
    q = np.clip(np.rint(_ratio(x, scale)), LOW, HIGH)
    return np.asarray(q + zero_point).astype(np.int8)


def clips_then_rounds_up(x: Array, scale: float, zero_point: int) -> Array:
    """Clipped at half a step inside the upper end before rounding."""
    q = np.minimum(_ratio(x, scale) + zero_point, HIGH - 0.5)
    return _clip(np.rint(q))


# --- Zero point -----------------------------------------------------------------------------------


def zero_point_subtracted(x: Array, scale: float, zero_point: int) -> Array:
    """The zero point has the wrong sign."""
    return _clip(np.rint(_ratio(x, scale)) - zero_point)


def zero_point_ignored(x: Array, scale: float, zero_point: int) -> Array:
    """There is no zero point."""
    return _clip(np.rint(_ratio(x, scale)))


def zero_point_in_reals(x: Array, scale: float, zero_point: int) -> Array:
    """x + zero_point is divided by the scale."""
    return _clip(np.rint((checked(x) + zero_point) / scale))


def negative_zero_is_negative(x: Array, scale: float, zero_point: int) -> Array:
    """-0.0 is treated as below zero."""
    negative = np.signbit(checked(x)) & (checked(x) == 0)
    return _clip(np.rint(_ratio(x, scale)) + zero_point - negative)


# --- Scale ----------------------------------------------------------------------------------------


def eps_in_scale(x: Array, scale: float, zero_point: int) -> Array:
    """scale + 1e-8."""
    return right(x, scale + 1e-8, zero_point)


def scale_has_a_floor(x: Array, scale: float, zero_point: int) -> Array:
    """max(scale, 1e-7)."""
    return right(x, max(scale, 1e-7), zero_point)


def scale_inverted(x: Array, scale: float, zero_point: int) -> Array:
    """x * scale for x / scale."""
    return right(x, 1 / scale if np.isfinite(1 / scale) else 1e300, zero_point)


def scale_in_binary16(x: Array, scale: float, zero_point: int) -> Array:
    """The scale is stored in binary16."""
    short = float(np.float16(min(scale, 60000.0)))
    return right(x, short or 2.0**-24, zero_point)


def scale_of_16_levels(x: Array, scale: float, zero_point: int) -> Array:
    """A range divided by 2**b where 2**b - 1 is meant."""
    return right(x, scale * 15 / 16, zero_point)


def scale_to_power_of_two(x: Array, scale: float, zero_point: int) -> Array:
    """The scale is rounded to a power of two."""
    return right(x, float(2.0 ** np.rint(np.log2(scale))), zero_point)


# --- Special numbers ------------------------------------------------------------------------------


def infinity_is_zero(x: Array, scale: float, zero_point: int) -> Array:
    """Infinity is replaced by zero."""
    wide = checked(x)
    return right(np.where(np.isinf(wide), 0, wide), scale, zero_point)


def nan_is_zero(x: Array, scale: float, zero_point: int) -> Array:
    """NaN becomes the code of zero where it must be refused."""
    return right(np.nan_to_num(np.asarray(x, dtype=np.float64), posinf=1e308, neginf=-1e308),
                 scale, zero_point)


# --- The way back ---------------------------------------------------------------------------------


def values_without_zero_point(codes: Array, scale: float, zero_point: int) -> Array:
    """codes * scale."""
    return np.asarray(codes, dtype=np.float64) * scale


def values_in_the_middle(codes: Array, scale: float, zero_point: int) -> Array:
    """Half a step above the level, as behind a quantizer that floors."""
    return right_values(codes, scale, zero_point) + scale / 2


def values_of_16_levels(codes: Array, scale: float, zero_point: int) -> Array:
    """A scale that is 16/15 of the right one."""
    return right_values(codes, scale, zero_point) * 16 / 15


def values_in_binary16(codes: Array, scale: float, zero_point: int) -> Array:
    """Reals computed in binary16, shown as binary32."""
    short = np.float16(min(max(scale, 2.0**-24), 60000.0))
    whole = (np.asarray(codes, dtype=np.int16) - zero_point).astype(np.float16)
    return (whole * short).astype(np.float32)


QUANTIZE = (
    half_away, half_up, half_down, half_to_zero, half_odd, truncates, floors, adds_then_rounds,
    rounds_twice, wrong_at_half, dead_zone, not_rounded, divides_in_binary32,
    reciprocal_in_binary32, reciprocal_in_binary64, input_through_binary32,
    input_through_binary16, quotient_through_binary32, subnormals_are_zero, high_end_missing,
    narrow_range, high_end_beyond, negatives_lost, clips_at_8_bits, wraps, converts_before_clip,
    clips_before_zero_point, clips_then_rounds_up, zero_point_subtracted, zero_point_ignored,
    zero_point_in_reals, negative_zero_is_negative, eps_in_scale, scale_has_a_floor,
    scale_inverted, scale_in_binary16, scale_of_16_levels, scale_to_power_of_two,
    infinity_is_zero, nan_is_zero,
)
DEQUANTIZE = (
    values_without_zero_point, values_in_the_middle, values_of_16_levels, values_in_binary16,
)
