"""Look-alikes of thresholds, pools, sums, reshapes, and of what belongs to a channel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from refnet.program import (
    Add,
    MaxPool,
    Op,
    Requantize,
    Reshape,
    SumPool,
    Threshold,
    saturate,
)
from refnet.vectors.answering import Ints
from refnet.vectors.naming import Lookalike, op
from refnet.vectors.rounding_mistakes import ROUNDING

_NONE = ((0, 0), (0, 0))
_Wrong = Callable[..., Ints]


def _named(name: str, kind: type[Op], wrong: _Wrong, meaning: str) -> Lookalike:
    def of_arrays(given: Any, arrays: tuple[Ints, ...]) -> Ints:
        return wrong(given, *(a.astype(np.int64) for a in arrays))

    return op(name, kind, of_arrays, meaning)


def _shape(values: Ints, x: Ints) -> Ints:
    return values.reshape(1, -1, *(1,) * (x.ndim - 2))


def _along_the_last(given: Any, x: Ints, *constants: Ints) -> Ints:
    """Constants of the channels along the last axis, where there are as many places."""
    if x.ndim < 3 or x.shape[-1] != len(constants[0]):
        y: Ints = given.evaluate(x, *constants)
        return y
    return np.moveaxis(given.evaluate(np.moveaxis(x, -1, 1), *constants), 1, -1)


# Thresholds.
def _turned(given: Threshold, x: Ints, t: Ints, sign: Ints) -> Ints:
    ones = np.ones_like(sign)
    below = t.shape[1] - given.evaluate(x, t + 1, ones)
    return np.where(_shape(sign, x) < 0, below, given.evaluate(x, t, ones))


def _counted(x: Ints, t: Ints, sign: Ints) -> Ints:
    """[4.2.2] for thresholds in any order."""
    signed = _shape(sign, x) * x
    found: Ints = sum(
        (signed >= _shape(t[:, k], x) for k in range(t.shape[1])), np.zeros_like(x))
    return found


def _narrow(count: int) -> Callable[[Ints], Ints]:
    return lambda values: (values + 2 ** (count - 1)) % 2**count - 2 ** (count - 1)


_THRESHOLD: tuple[tuple[str, _Wrong, str], ...] = (
    ("sign_turns_comparison", _turned, "Sign -1 turns >= into <=, thresholds as they are."),
    ("sign_on_the_code", lambda c, x, t, s: _shape(s, x) * c.evaluate(x, t, np.ones_like(s)),
     "The sign multiplies the code."),
    ("signs_of_channel_0", lambda c, x, t, s: c.evaluate(x, t, np.repeat(s[:1], len(s))),
     "The sign of the first channel for all."),
    ("codes_from_one", lambda c, x, t, s: c.evaluate(x, t, s) + 1, "The lowest code is 1."),
    ("codes_complemented", lambda c, x, t, s: t.shape[1] - c.evaluate(x, t, s),
     "Counts the thresholds that are not passed."),
    ("last_threshold_left_out", lambda c, x, t, s: c.evaluate(x, t[:, :-1], s)
     if t.shape[1] > 1 else np.zeros_like(x), "The loop over thresholds ends one early."),
    ("thresholds_level_major", lambda c, x, t, s: _counted(x, t.reshape(t.shape[::-1]).T, s),
     "Thresholds lie in memory as (L, C)."),
    ("thresholds_of_8_bits", lambda c, x, t, s: _counted(x, _narrow(8)(t), s),
     "Thresholds keep 8 bits."),
    ("thresholds_of_16_bits", lambda c, x, t, s: _counted(x, _narrow(16)(t), s),
     "Thresholds keep 16 bits."),
    ("thresholds_saturate_at_8_bits", lambda c, x, t, s: c.evaluate(x, saturate(t, -128, 127), s),
     "Thresholds saturate at 8 bits."),
    ("thresholds_without_sign", lambda c, x, t, s: _counted(x, np.abs(t), s),
     "Thresholds lose their sign."),
    ("threshold_of_16_bit_sums", lambda c, x, t, s: c.evaluate(
        saturate(x, -(2**15), 2**15 - 1), t, s), "Compares sums that saturate at 16 bits."),
    ("threshold_of_8_bit_sums", lambda c, x, t, s: c.evaluate(saturate(x, -128, 127), t, s),
     "Compares sums that saturate at 8 bits."),
    ("nothing_below_zero", lambda c, x, t, s: c.evaluate(x, t, s) * (_shape(s, x) * x > 0),
     "What is not above zero has the code 0, whatever the thresholds."),
    ("thresholds_along_last_axis", _along_the_last, "Thresholds go along the last axis."),
)  # fmt: skip


# Pools.
def _average(rounded: Callable[[Ints, Ints], Ints], *, inside: bool) -> _Wrong:
    def wrong(given: SumPool, x: Ints) -> Ints:
        places = given.evaluate(np.ones_like(x))
        if not inside:
            places = np.full_like(places, given.places)
        return rounded(given.evaluate(x), places)

    return wrong


def _nearest_even(total: Ints, n: Ints) -> Ints:
    low, twice = total // n, 2 * (total % n)
    return np.asarray(low + ((twice > n) | ((twice == n) & (low % 2 == 1))))


_DIVISIONS: dict[str, tuple[Callable[[Ints, Ints], Ints], str]] = {
    "truncated": (lambda s, n: np.sign(s) * (np.abs(s) // n), "towards zero"),
    "away": (lambda s, n: np.sign(s) * ((2 * np.abs(s) + n) // (2 * n)), "ties away from zero"),
    "up": (lambda s, n: (2 * s + n) // (2 * n), "ties up"),
    "even": (_nearest_even, "ties to even"),
    "floor": (lambda s, n: s // n, "rounded down"),
}


def _unpadded(given: Any, x: Ints) -> Ints:
    """Without its pads; where no window is left, the right result."""
    if any(n < k for n, k in zip(x.shape[2:], given.kernel, strict=True)):
        y: Ints = given.evaluate(x)
        return y
    return np.asarray(replace(given, padding=_NONE).evaluate(x))


def _first_place(given: Any, x: Ints) -> Ints:
    y = given.evaluate(x)
    wide = np.pad(x, ((0, 0), (0, 0), *given.padding), constant_values=-(2**31))
    return np.asarray(
        wide[:, :, :: given.stride[0], :: given.stride[1]][:, :, : y.shape[2], : y.shape[3]])


def _strides_exchanged(given: Any, x: Ints) -> Ints:
    return np.asarray(replace(given, stride=given.stride[::-1]).evaluate(x))


def _every_place(given: Any, x: Ints) -> Ints:
    return np.asarray(replace(given, stride=(1, 1)).evaluate(x))


def _kernel_exchanged(given: Any, x: Ints) -> Ints:
    turned = replace(given, kernel=given.kernel[::-1], padding=given.padding[::-1])
    fits = all(
        n + sum(p) >= k
        for n, k, p in zip(x.shape[2:], turned.kernel, turned.padding, strict=True)
    )
    return np.asarray((turned if fits else given).evaluate(x))


_MAXPOOL: tuple[tuple[str, _Wrong, str], ...] = (
    ("maxpool_takes_minimum", lambda c, x: -c.evaluate(-x), "The smallest element wins."),
    ("maxpool_of_unsigned_bytes", lambda c, x: _narrow(8)(c.evaluate(x % 256)),
     "Bytes are compared without their sign."),
    ("maxpool_first_place", _first_place, "The first place of the window is the result."),
    ("maxpool_stride_axes_exchanged", _strides_exchanged, "Strides of the axes are exchanged."),
    ("maxpool_stride_ignored", _every_place, "The stride is 1."),
    ("maxpool_padding_ignored", _unpadded, "There are no pads."),
)  # fmt: skip
_SUMPOOL: tuple[tuple[str, _Wrong, str], ...] = (
    *((f"sumpool_averages_{name}", _average(rule, inside=False),
       f"The sum is divided by the number of places, {how}.")
      for name, (rule, how) in _DIVISIONS.items() if name != "floor"),
    *((f"sumpool_averages_inside_{name}", _average(rule, inside=True),
       f"The sum is divided by the places inside the map, {how}.")
      for name, (rule, how) in _DIVISIONS.items()),
    ("sumpool_saturates_at_8_bits", lambda c, x: saturate(c.evaluate(x), -128, 127),
     "The sum saturates at 8 bits."),
    ("sumpool_of_unsigned_bytes", lambda c, x: c.evaluate(x) % 256,
     "The sum keeps 8 bits without a sign."),
    ("sumpool_saturates_at_16_bits", lambda c, x: saturate(c.evaluate(x), -(2**15), 2**15 - 1),
     "The sum saturates at 16 bits."),
    ("sumpool_of_magnitudes", lambda c, x: c.evaluate(np.abs(x)), "Magnitudes are added."),
    ("sumpool_adds_channels", lambda c, x: np.repeat(
        c.evaluate(x).sum(axis=1, keepdims=True), x.shape[1], axis=1),
     "Channels are added as well."),
    ("sumpool_stride_axes_exchanged", _strides_exchanged, "Strides of the axes are exchanged."),
    ("sumpool_kernel_axes_exchanged", _kernel_exchanged, "Sizes of the kernel are exchanged."),
    ("sumpool_padding_one", lambda c, x: replace(c, padding=_NONE).evaluate(
        np.pad(x, ((0, 0), (0, 0), *c.padding), constant_values=1)), "Pads with the code 1."),
    ("sumpool_padding_ignored", _unpadded, "There are no pads."),
)  # fmt: skip
_ADD: tuple[tuple[str, _Wrong, str], ...] = (
    ("add_not_negative", lambda c, x, y: np.maximum(x + y, 0), "A sum below 0 becomes 0."),
    ("add_halves", lambda c, x, y: (x + y) >> 1, "The sum is halved."),
    ("add_first_twice", lambda c, x, y: x + x, "The first operand is added to itself."),
    ("add_second_twice", lambda c, x, y: y + y, "The second operand is added to itself."),
    ("add_second_left_out", lambda c, x, y: x, "The second operand is left out."),
    ("add_takes_larger", lambda c, x, y: np.maximum(x, y), "The larger of both is the result."),
    ("add_first_image", lambda c, x, y: x + y[:1] if len(y) else x + y,
     "The second operand is that of the first image."),
    ("add_wraps_at_16_bits", lambda c, x, y: _narrow(16)(x + y), "The sum keeps 16 bits."),
    ("add_saturates_at_16_bits", lambda c, x, y: saturate(x + y, -(2**15), 2**15 - 1),
     "The sum saturates at 16 bits."),
    ("add_saturates_at_unsigned_8_bits", lambda c, x, y: saturate(x + y, 0, 255),
     "The sum is clamped to [0, 255]."),
    ("add_saturates_at_127", lambda c, x, y: saturate(x + y, -127, 127),
     "The sum is clamped to [-127, 127]."),
    ("add_wraps_at_unsigned_8_bits", lambda c, x, y: (x + y) % 256,
     "The sum keeps 8 bits without a sign."),
    ("add_single_precision", lambda c, x, y: (
        x.astype(np.float32) + y.astype(np.float32)).astype(np.int64),
     "The sum is kept in single precision."),
)  # fmt: skip
_RESHAPE: tuple[tuple[str, _Wrong, str], ...] = (
    ("reshape_rows_and_columns_exchanged", lambda c, x: (
        x.swapaxes(-1, -2) if x.ndim > 2 else x).reshape(len(x), *c.shape),
     "The last axis but one runs fastest."),
    ("reshape_images_mixed", lambda c, x: x.reshape(-1, order="F").reshape(len(x), *c.shape),
     "The batch axis runs fastest."),
    ("reshape_reversed", lambda c, x: x.reshape(len(x), x[:1].size)[:, ::-1].reshape(
        len(x), *c.shape), "The last element comes first."),
)  # fmt: skip

OPERATORS: tuple[Lookalike, ...] = (
    *ROUNDING,
    _named("pairs_along_last_axis", Requantize, _along_the_last,
           "Multipliers and shifts go along the last axis."),
    _named("pairs_reversed", Requantize, lambda c, x, m, s: c.evaluate(x, m[::-1], s[::-1]),
           "The last multiplier and shift come first."),
    *(_named(name, Threshold, wrong, meaning) for name, wrong, meaning in _THRESHOLD),
    *(_named(name, MaxPool, wrong, meaning) for name, wrong, meaning in _MAXPOOL),
    *(_named(name, SumPool, wrong, meaning) for name, wrong, meaning in _SUMPOOL),
    *(_named(name, Add, wrong, meaning) for name, wrong, meaning in _ADD),
    *(_named(name, Reshape, wrong, meaning) for name, wrong, meaning in _RESHAPE),
)  # fmt: skip
