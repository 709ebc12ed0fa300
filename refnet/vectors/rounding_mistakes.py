"""Look-alikes of rounding and requantization: other rules, other widths, other orders."""

from __future__ import annotations

import numpy as np

from refnet.program import IntType, rounding_shift, saturate
from refnet.vectors.answering import Ints
from refnet.vectors.naming import Lookalike, scale, shift


def half_to_zero(x: Ints, places: Ints, rule: str) -> Ints:
    """Ties go towards zero."""
    return -np.sign(x) * rounding_shift(-np.abs(x), places, "half_up")


def away(x: Ints, places: Ints, rule: str) -> Ints:
    """Every remainder goes away from zero."""
    return -np.sign(x) * (-np.abs(x) >> places)


def upwards(x: Ints, places: Ints, rule: str) -> Ints:
    """Every remainder goes up."""
    return -(-x >> places)


def half_to_odd(x: Ints, places: Ints, rule: str) -> Ints:
    """Ties go to the odd integer."""
    up, down = rounding_shift(x, places, "half_up"), half_to_zero(x, places, rule)
    low = np.minimum(-rounding_shift(-x, places, "half_up"), down)
    return np.where(up == low, up, np.where(low % 2 == 1, low, up))


def shift_at_least_one(x: Ints, places: Ints, rule: str) -> Ints:
    """A shift of 0 is taken for 1."""
    y: Ints = rounding_shift(x, np.maximum(places, 1), rule)
    return y


def shift_at_most_31(x: Ints, places: Ints, rule: str) -> Ints:
    """A shift beyond 31 is taken for 31."""
    y: Ints = rounding_shift(x, np.minimum(places, 31), rule)
    return y


def shift_beyond_31_is_zero(x: Ints, places: Ints, rule: str) -> Ints:
    """A shift beyond 31 gives 0."""
    return np.where(places > 31, 0, rounding_shift(x, places, rule))


def shifted_first(acc: Ints, mult: Ints, places: Ints, type: IntType, rule: str) -> Ints:
    """The accumulator is shifted and then multiplied."""
    return saturate(rounding_shift(acc, places, rule) * mult, type.lo, type.hi)


def rectified(acc: Ints, mult: Ints, places: Ints, type: IntType, rule: str) -> Ints:
    """A result below 0 becomes 0."""
    return saturate(rounding_shift(acc * mult, places, rule), max(type.lo, 0), type.hi)


def storage_clamped(acc: Ints, mult: Ints, places: Ints, type: IntType, rule: str) -> Ints:
    """Saturates at the storage of the type."""
    ends = np.iinfo(type.dtype)
    return saturate(rounding_shift(acc * mult, places, rule), int(ends.min), int(ends.max))


def top_left_out(acc: Ints, mult: Ints, places: Ints, type: IntType, rule: str) -> Ints:
    """Saturates at the largest code but one."""
    return saturate(rounding_shift(acc * mult, places, rule), type.lo, max(type.hi - 1, type.lo))


def product_clamped(acc: Ints, mult: Ints, places: Ints, type: IntType, rule: str) -> Ints:
    """The product saturates at 32 bits."""
    product = saturate(acc * mult, -(2**31), 2**31 - 1)
    return saturate(rounding_shift(product, places, rule), type.lo, type.hi)


def high_half_cut(acc: Ints, mult: Ints, places: Ints, type: IntType, rule: str) -> Ints:
    """A high multiplication cuts 15 bits off before the rest is rounded."""
    first = np.minimum(places, 15)
    return saturate(rounding_shift(acc * mult >> first, places - first, rule), type.lo, type.hi)


def accumulator_clamped_16(acc: Ints, mult: Ints, places: Ints, type: IntType, rule: str) -> Ints:
    """The accumulator saturates at 16 bits."""
    narrow = saturate(acc, -(2**15), 2**15 - 1)
    return saturate(rounding_shift(narrow * mult, places, rule), type.lo, type.hi)


def first_shift(acc: Ints, mult: Ints, places: Ints, type: IntType, rule: str) -> Ints:
    """The first shift for every channel."""
    return saturate(rounding_shift(acc * mult, places.ravel()[0], rule), type.lo, type.hi)


def first_multiplier(acc: Ints, mult: Ints, places: Ints, type: IntType, rule: str) -> Ints:
    """The first multiplier for every channel."""
    return saturate(rounding_shift(acc * mult.ravel()[0], places, rule), type.lo, type.hi)


ROUNDING: tuple[Lookalike, ...] = (
    shift("half_to_zero", half_to_zero),
    shift("half_to_odd", half_to_odd),
    shift("rounded_away", away),
    shift("rounded_up", upwards),
    shift("shift_at_least_one", shift_at_least_one),
    shift("shift_at_most_31", shift_at_most_31),
    shift("shift_beyond_31_is_zero", shift_beyond_31_is_zero),
    scale("shifted_before_multiplied", shifted_first),
    scale("negative_becomes_zero", rectified),
    scale("saturates_at_the_storage", storage_clamped),
    scale("upper_end_left_out", top_left_out),
    scale("product_saturates_at_32_bits", product_clamped),
    scale("high_multiplication_cuts", high_half_cut),
    scale("accumulator_clamped_to_16_bits", accumulator_clamped_16),
    scale("one_shift_for_all_channels", first_shift),
    scale("one_multiplier_and_own_shifts", first_multiplier),
)
