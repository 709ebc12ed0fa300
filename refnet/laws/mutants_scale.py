"""Wrong affine quantizers: zero point, scale, special numbers, and the way back to reals."""

from __future__ import annotations

import numpy as np

from refnet.laws.mutants_affine import Array, checked, clipped, ratio, right, right_values

# --- Zero point -----------------------------------------------------------------------------------


def zero_point_subtracted(x: Array, scale: float, zero_point: int) -> Array:
    """The zero point has the wrong sign."""
    return clipped(np.rint(ratio(x, scale)) - zero_point)


def zero_point_ignored(x: Array, scale: float, zero_point: int) -> Array:
    """There is no zero point."""
    return clipped(np.rint(ratio(x, scale)))


def zero_point_in_reals(x: Array, scale: float, zero_point: int) -> Array:
    """x + zero_point is divided by the scale."""
    return clipped(np.rint((checked(x) + zero_point) / scale))


def negative_zero_is_negative(x: Array, scale: float, zero_point: int) -> Array:
    """-0.0 is treated as below zero."""
    negative = np.signbit(checked(x)) & (checked(x) == 0)
    return clipped(np.rint(ratio(x, scale)) + zero_point - negative)


# --- Scale ----------------------------------------------------------------------------------------


def eps_in_scale(x: Array, scale: float, zero_point: int) -> Array:
    """scale + 1e-8."""
    return right(x, scale + 1e-8, zero_point)


def scale_has_a_floor(x: Array, scale: float, zero_point: int) -> Array:
    """max(scale, 1e-7)."""
    return right(x, max(scale, 1e-7), zero_point)


def scale_has_a_ceiling(x: Array, scale: float, zero_point: int) -> Array:
    """min(scale, 1e12)."""
    return right(x, min(scale, 1e12), zero_point)


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


def nan_of_the_ends(x: Array, scale: float, zero_point: int) -> Array:
    """Looks for NaN in the first and the last number only."""
    wide = np.asarray(x, dtype=np.float64)
    if wide.size and (np.isnan(wide.flat[0]) or np.isnan(wide.flat[-1])):
        raise ValueError("quantize: holds NaN")
    return right(np.nan_to_num(wide, posinf=1e308, neginf=-1e308), scale, zero_point)


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
    zero_point_subtracted, zero_point_ignored, zero_point_in_reals, negative_zero_is_negative,
    eps_in_scale, scale_has_a_floor, scale_has_a_ceiling, scale_inverted, scale_in_binary16,
    scale_of_16_levels, scale_to_power_of_two, infinity_is_zero, nan_is_zero, nan_of_the_ends,
)
DEQUANTIZE = (
    values_without_zero_point, values_in_the_middle, values_of_16_levels, values_in_binary16,
)
