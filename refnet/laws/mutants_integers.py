"""Wrong packings, sums of products, requantizations, and fits of ternary codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.program import TERNARY, IntType, rounding_shift
from refnet.program.packing import pack_bits, unpack_bits

Array = NDArray[Any]

# --- Packing of ternary codes, two bits each, the first in the lowest bits ------------------------


def pack_right(codes: Array) -> Array:
    """[2.1.1]."""
    return pack_bits(codes, TERNARY)


def unpack_right(data: Array, count: int) -> Array:
    """[2.1.3]."""
    return unpack_bits(data, count, TERNARY)


def _fields(codes: Array) -> Array:
    fields = np.asarray(codes).astype(np.int64) & 3
    return np.concatenate([fields, np.zeros(-len(fields) % 4, dtype=np.int64)]).reshape(-1, 4)


def pack_msb_first(codes: Array) -> Array:
    """The first code in the highest bits."""
    return np.asarray(_fields(codes) @ np.array([64, 16, 4, 1])).astype(np.uint8)


def pack_nibbles_swapped(codes: Array) -> Array:
    """The two halves of a byte the other way round."""
    packed = pack_right(codes)
    return np.asarray(packed >> 4 | packed << 4).astype(np.uint8)


def pack_minus_one_as_10(codes: Array) -> Array:
    """-1 as 10."""
    fields = _fields(codes)
    return np.asarray(np.where(fields == 3, 2, fields) @ np.array([1, 4, 16, 64])).astype(np.uint8)


def pack_offset(codes: Array) -> Array:
    """The code plus one."""
    return np.asarray(_fields(np.asarray(codes) + 1) @ np.array([1, 4, 16, 64])).astype(np.uint8)


def pack_remainder_dropped(codes: Array) -> Array:
    """What fills no byte is lost."""
    return pack_right(codes)[: len(codes) // 4]


def pack_padding_ones(codes: Array) -> Array:
    """The bits that are left over are ones."""
    packed = pack_right(codes).copy()
    if len(codes) % 4:
        packed[-1] |= 0xFF & (0xFF << 2 * (len(codes) % 4))
    return packed


def pack_bytes_reversed(codes: Array) -> Array:
    """The last byte first."""
    return pack_right(codes)[::-1]


def pack_in_place(codes: Array) -> Array:
    """Makes the codes of its caller non-negative."""
    packed = pack_right(codes)
    np.asarray(codes)[...] &= 3
    return packed


PACKS = (
    pack_msb_first, pack_nibbles_swapped, pack_minus_one_as_10, pack_offset,
    pack_remainder_dropped, pack_padding_ones, pack_bytes_reversed, pack_in_place,
)


def unpack_unsigned(data: Array, count: int) -> Array:
    """-1 comes back as 3."""
    return unpack_right(data, count) & 3


# --- Sums and requantization ----------------------------------------------------------------------


def dot_right(x: Array, w: Array) -> Array:
    """(M, K) and (F, K) to (M, F)."""
    return x.astype(np.int64) @ w.astype(np.int64).T


def dot_of_8_bits(x: Array, w: Array) -> Array:
    """The accumulator has 8 bits and wraps."""
    return dot_right(x, w).astype(np.int8)


def dot_of_16_bits(x: Array, w: Array) -> Array:
    """The accumulator has 16 bits and wraps."""
    return dot_right(x, w).astype(np.int16)


def dot_saturates(x: Array, w: Array) -> Array:
    """The accumulator saturates at 14 bits."""
    return np.clip(dot_right(x, w), -(2**13), 2**13 - 1)


def dot_minus_one_as_three(x: Array, w: Array) -> Array:
    """Fields of two bits read without a sign."""
    return dot_right(x, w & 3)


DOTS = (dot_of_8_bits, dot_of_16_bits, dot_saturates, dot_minus_one_as_three)
INT8 = IntType.twos_complement(8)


def _int8(y: Array) -> Array:
    return np.clip(y, -128, 127)


def requantize_right(acc: Array, mult: int, shift: int) -> Array:
    """[3.2.2] into int8, ties to even."""
    return _int8(rounding_shift(acc.astype(np.int64) * mult, shift, "half_even"))


def requantize_twice(acc: Array, mult: int, shift: int) -> Array:
    """Two rounding shifts, one behind the other."""
    product, first = acc.astype(np.int64) * mult, shift // 2
    half = rounding_shift(product, first, "half_even")
    return _int8(rounding_shift(half, shift - first, "half_even"))


def requantize_half_up(acc: Array, mult: int, shift: int) -> Array:
    """Adds half and shifts."""
    return _int8(rounding_shift(acc.astype(np.int64) * mult, shift, "half_up"))


def requantize_shifts(acc: Array, mult: int, shift: int) -> Array:
    """Shifts without rounding."""
    return _int8(acc.astype(np.int64) * mult >> shift)


def requantize_product_of_32_bits(acc: Array, mult: int, shift: int) -> Array:
    """The product wraps at 32 bits."""
    product = (acc.astype(np.int64) * mult).astype(np.int32)
    return _int8(rounding_shift(product, shift, "half_even"))


def requantize_in_binary32(acc: Array, mult: int, shift: int) -> Array:
    """A binary32 multiplication."""
    return _int8(np.rint(acc.astype(np.float32) * np.float32(mult / 2**shift)).astype(np.int64))


def requantize_clips_first(acc: Array, mult: int, shift: int) -> Array:
    """The accumulator is clipped to 16 bits."""
    return requantize_right(np.clip(acc, -(2**15), 2**15 - 1), mult, shift)


REQUANTIZES = (
    requantize_twice, requantize_half_up, requantize_shifts, requantize_product_of_32_bits,
    requantize_in_binary32, requantize_clips_first,
)


# --- One scale and ternary codes for a vector, least squares --------------------------------------


def fit_right(w: Array) -> tuple[Array, float]:
    """The support that maximises (sum of the kept)^2 / count, groups of equals together."""
    size = np.abs(w)
    best, threshold = -1.0, np.inf
    for value in np.unique(size[size > 0])[::-1]:
        kept = size[size >= value]
        gain = kept.sum() ** 2 / len(kept)
        # Equal up to rounding: the smaller support stays.
        if gain > best * (1 + 1e-12):
            best, threshold = gain, value
    kept = size >= threshold
    alpha = float(np.sort(size[kept]).mean()) if kept.any() else 0.0
    return (np.sign(w) * kept).astype(np.int8), alpha


def fit_mean_of_all(w: Array) -> tuple[Array, float]:
    """alpha is the mean over all weights."""
    return fit_right(w)[0], float(np.abs(w).mean())


def fit_rule_of_thumb(w: Array) -> tuple[Array, float]:
    """Keeps |w| > 0.7 mean |w|."""
    kept = np.abs(w) > 0.7 * np.abs(w).mean()
    alpha = float(np.abs(w[kept]).mean()) if kept.any() else 0.0
    return (np.sign(w) * kept).astype(np.int8), alpha


def fit_signed_threshold(w: Array) -> tuple[Array, float]:
    """The threshold is applied to w instead of |w|."""
    codes, alpha = fit_right(w)
    return np.where((codes < 0) & (w > -2 * alpha), 0, codes), alpha


def fit_cuts_groups(w: Array) -> tuple[Array, float]:
    """The last of the kept is dropped where others are as large."""
    codes, alpha = fit_right(w)
    codes = codes.copy()
    kept = np.flatnonzero(codes)
    if len(kept) > 1:
        codes[kept[-1]] = 0
    return codes, alpha


def fit_eps(w: Array) -> tuple[Array, float]:
    """alpha has an eps."""
    codes, alpha = fit_right(w)
    return codes, alpha + 1e-8


def fit_largest_support(w: Array) -> tuple[Array, float]:
    """Of supports with one error the largest."""
    size = np.sort(np.abs(w))[::-1]
    if not size.any():
        return np.zeros(len(w), dtype=np.int8), 0.0
    gains = np.cumsum(size) ** 2 / np.arange(1, len(w) + 1)
    count = len(w) - int(gains[::-1].argmax())
    kept = np.abs(w) >= size[count - 1]
    return (np.sign(w) * kept).astype(np.int8), float(np.abs(w[kept]).mean())


FITS = (
    fit_mean_of_all, fit_rule_of_thumb, fit_signed_threshold, fit_cuts_groups, fit_eps,
    fit_largest_support,
)
