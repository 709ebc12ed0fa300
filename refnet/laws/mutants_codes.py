"""Wrong ternary and binary codes, and wrong straight-through gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.laws.mutants_affine import checked

Array = NDArray[Any]
#: Threshold of the ternary codes; not half of anything, so that midpoints are wrong too.
DELTA = 0.35
#: Scale and range of the quantizer whose gradient is tested: levels -4 .. 3 halves.
STEP, LOW, HIGH = 0.5, -8, 7


# --- Ternary: +1 above DELTA, -1 below -DELTA, 0 between, bounds included -------------------------


def ternary_right(x: Array) -> Array:
    """|x| > DELTA keeps the sign."""
    wide = checked(x)
    return np.asarray((wide > DELTA) * 1 - (wide < -DELTA) * 1).astype(np.int8)


def ternary_closed(x: Array) -> Array:
    """|x| >= DELTA keeps the sign."""
    wide = checked(x)
    return np.asarray((wide >= DELTA) * 1 - (wide <= -DELTA) * 1).astype(np.int8)


def ternary_one_side_closed(x: Array) -> Array:
    """x >= DELTA on the positive side only."""
    wide = checked(x)
    return np.asarray((wide >= DELTA) * 1 - (wide < -DELTA) * 1).astype(np.int8)


def ternary_midpoint(x: Array) -> Array:
    """The threshold is half a level."""
    return np.asarray(np.clip(np.rint(checked(x)), -1, 1)).astype(np.int8)


def ternary_threshold_binary32(x: Array) -> Array:
    """The threshold is stored in binary32."""
    wide, delta = checked(x), float(np.float32(DELTA))
    return np.asarray((wide > delta) * 1 - (wide < -delta) * 1).astype(np.int8)


def ternary_without_zero(x: Array) -> Array:
    """Signs only."""
    return np.asarray(np.where(checked(x) < 0, -1, 1)).astype(np.int8)


def ternary_minus_one_is_two(x: Array) -> Array:
    """-1 is stored as 2."""
    return ternary_right(x) % 3


def ternary_of_magnitudes(x: Array) -> Array:
    """The sign is lost."""
    return np.abs(ternary_right(x))


TERNARY_CODES = (
    ternary_closed, ternary_one_side_closed, ternary_midpoint, ternary_threshold_binary32,
    ternary_without_zero, ternary_minus_one_is_two, ternary_of_magnitudes,
)


def binary_right(x: Array) -> Array:
    """+1 from zero on, -0.0 included."""
    return np.asarray(np.where(checked(x) >= 0, 1, -1)).astype(np.int8)


def sign_of_zero_is_zero(x: Array) -> Array:
    """A third value at zero."""
    return np.asarray(np.sign(checked(x))).astype(np.int8)


def zero_is_minus_one(x: Array) -> Array:
    """-1 at zero."""
    return np.asarray(np.where(checked(x) > 0, 1, -1)).astype(np.int8)


def sign_bit(x: Array) -> Array:
    """The sign bit decides: -0.0 is -1."""
    return np.asarray(np.where(np.signbit(checked(x)), -1, 1)).astype(np.int8)


BINARY_CODES = (sign_of_zero_is_zero, zero_is_minus_one, sign_bit)


# --- Gradients: pass from level to level, both ends included --------------------------------------


def gradient_codes(x: Array) -> Array:
    """The quantizer of the gradients below."""
    return np.asarray(np.clip(np.rint(checked(x) / STEP), LOW, HIGH)).astype(np.int8)


def gradient_right(x: Array, g: Array) -> Array:
    """g where LOW * STEP <= x <= HIGH * STEP."""
    return np.where((x >= LOW * STEP) & (x <= HIGH * STEP), g, 0)


def mask_open(x: Array, g: Array) -> Array:
    """Closed at both ends, taken as open."""
    return np.where((x > LOW * STEP) & (x < HIGH * STEP), g, 0)


def mask_open_above(x: Array, g: Array) -> Array:
    """Open at the upper end."""
    return np.where((x >= LOW * STEP) & (x < HIGH * STEP), g, 0)


def mask_of_codes(x: Array, g: Array) -> Array:
    """From rounded numbers: half a step wider."""
    q = np.rint(np.asarray(x, dtype=np.float64) / STEP)
    return np.where((q >= LOW) & (q <= HIGH), g, 0)


def mask_inside_codes(x: Array, g: Array) -> Array:
    """Where the code is not an end code."""
    codes = gradient_codes(x)
    return np.where((codes > LOW) & (codes < HIGH), g, 0)


def mask_none(x: Array, g: Array) -> Array:
    """Passes everywhere."""
    return g + 0


def mask_one_side(x: Array, g: Array) -> Array:
    """Blocks above only."""
    return np.where(x <= HIGH * STEP, g, 0)


def mask_unless_saturated(x: Array, g: Array) -> Array:
    """Right, but where nothing is inside everything passes."""
    inside = (x >= LOW * STEP) & (x <= HIGH * STEP)
    return np.where(inside if inside.any() else True, g, 0)


def gradient_of_clip_half(x: Array, g: Array) -> Array:
    """Half of it passes exactly at the bounds, as a mean of both subgradients."""
    edge = (x == LOW * STEP) | (x == HIGH * STEP)
    return np.where(edge, g / 2, gradient_right(x, g))


def gradient_is_mask(x: Array, g: Array) -> Array:
    """The mask without the gradient of the output."""
    return gradient_right(x, np.ones_like(g))


def gradient_scaled(x: Array, g: Array) -> Array:
    """Multiplied by the scale."""
    return np.asarray(gradient_right(x, g) * g.dtype.type(STEP))


def gradient_mean(x: Array, g: Array) -> Array:
    """Divided by the number of elements."""
    return np.asarray(gradient_right(x, g) / g.dtype.type(max(g.size, 1)))


def gradient_needs_axes(x: Array, g: Array) -> Array:
    """A number without an axis is refused."""
    if np.ndim(x) == 0:
        raise TypeError("iteration over a 0-d array")
    return gradient_right(x, g)


def gradient_of_memory(x: Array, g: Array) -> Array:
    """The mask in the order of the memory."""
    mask = gradient_right(x, np.ones_like(x))
    gradient: Array = g * np.asarray(mask).ravel(order="K").reshape(np.shape(x))
    return gradient


def gradient_in_place(x: Array, g: Array) -> Array:
    """Writes zeros into the gradient that it was given."""
    g[(x < LOW * STEP) | (x > HIGH * STEP)] = 0
    return g


GRADIENTS = (
    mask_open, mask_open_above, mask_of_codes, mask_inside_codes, mask_none, mask_one_side,
    mask_unless_saturated, gradient_of_clip_half, gradient_is_mask, gradient_scaled,
    gradient_mean, gradient_in_place, gradient_needs_axes, gradient_of_memory,
)
