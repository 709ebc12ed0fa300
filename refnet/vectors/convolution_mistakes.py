"""Look-alikes of convolution: pads, windows, orders, operands and sums that others have.

Each is a function (operator, x, w, biases) of 64-bit integers, and the sentence that names it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from refnet.program import Conv, saturate
from refnet.vectors.answering import Ints
from refnet.vectors.naming import Lookalike, op

_NONE = ((0, 0), (0, 0))
_Wrong = Callable[..., Ints]


def _named(name: str, wrong: _Wrong, meaning: str) -> Lookalike:
    def of_arrays(given: Conv, arrays: tuple[Ints, ...]) -> Ints:
        return wrong(given, *(a.astype(np.int64) for a in arrays))

    return op(name, Conv, of_arrays, meaning)


def _padded_by(**how: Any) -> _Wrong:
    def wrong(given: Conv, x: Ints, w: Ints, *b: Ints) -> Ints:
        kind = how if x.size else {"mode": "constant"}
        wide = np.pad(x, ((0, 0), (0, 0), *given.padding), **kind)
        return replace(given, padding=_NONE).evaluate(wide, w, *b)

    return wrong


def _with(change: Callable[[Conv], dict[str, Any]]) -> _Wrong:
    """Other attributes; where they leave no window, the right ones."""

    def wrong(given: Conv, x: Ints, w: Ints, *b: Ints) -> Ints:
        other = replace(given, **change(given))
        for n, k, d, p in zip(x.shape[2:], w.shape[2:], other.dilation, other.padding, strict=True):
            if n + sum(p) < d * (k - 1) + 1:
                return given.evaluate(x, w, *b)
        return other.evaluate(x, w, *b)

    return wrong


def _on(
    *, x: Callable[[Ints], Ints] | None = None, w: Callable[[Ints], Ints] | None = None,
    b: Callable[[Ints], Ints] | None = None, y: Callable[[Ints], Ints] | None = None,
) -> _Wrong:  # fmt: skip
    """One operand, or the result, by a function."""

    def wrong(given: Conv, x_: Ints, w_: Ints, *b_: Ints) -> Ints:
        found: Ints = given.evaluate(
            x(x_) if x else x_, w(w_) if w else w_, *(b(k) if b else k for k in b_))
        return y(found) if y else found

    return wrong


def _tap_by_tap(product: Callable[[Ints], Ints], total: Callable[[Ints], Ints]) -> _Wrong:
    """Products and running sums each by a function; the bias comes last."""

    def wrong(given: Conv, x: Ints, w: Ints, *b: Ints) -> Ints:
        found: Ints = given.evaluate(x, np.zeros_like(w))
        for place in np.ndindex(w.shape[1:]):
            kept = np.zeros_like(w)
            kept[(slice(None), *place)] = w[(slice(None), *place)]
            found = total(found + product(given.evaluate(x, kept)))
        return np.asarray(found + (b[0].reshape(1, -1, 1, 1) if b else 0))

    return wrong


def _same(values: Ints) -> Ints:
    return values


def _bits(count: int, *, signed: bool = True) -> Callable[[Ints], Ints]:
    """The low bits of a number."""
    half = 2 ** (count - 1) if signed else 0
    return lambda values: (values + half) % 2**count - half


def _between(lo: int, hi: int) -> Callable[[Ints], Ints]:
    return lambda values: saturate(values, lo, hi)


def _bias_off_pads(given: Conv, x: Ints, w: Ints, *b: Ints) -> Ints:
    whole = given.evaluate(np.ones_like(x), np.ones_like(w)) == w[0].size
    bias = b[0].reshape(1, -1, 1, 1) if b else np.zeros((1, 1, 1, 1), np.int64)
    return np.asarray(given.evaluate(x, w) + bias * whole)


def _depthwise_major(given: Conv, x: Ints, w: Ints, *b: Ints) -> Ints:
    order = np.arange(len(w)).reshape(-1, given.groups).T.ravel()
    return given.evaluate(x, w[order], *b)


def _groups_backwards(given: Conv, x: Ints, w: Ints, *b: Ints) -> Ints:
    order = np.arange(x.shape[1]).reshape(given.groups, -1)[::-1].ravel()
    return given.evaluate(x[:, order], w, *b)


def _without_last(w: Ints) -> Ints:
    kept = w.copy()
    kept[:, -1, -1, -1] = 0
    return kept


def _two_bits(x: Ints) -> Ints:
    return np.asarray(x - 4 * ((x == 2) | (x == 3)))


_WRONG: tuple[tuple[str, _Wrong, str], ...] = (
    ("padding_two", _padded_by(constant_values=2), "Pads with the code 2."),
    ("padding_three", _padded_by(constant_values=3), "Pads with the code 3."),
    ("padding_128", _padded_by(constant_values=128), "Pads with 128, the middle of uint8."),
    ("padding_minus_128", _padded_by(constant_values=-128), "Pads with -128, the least int8."),
    ("padding_wraps", _padded_by(mode="wrap"), "Pads with the other end of the map."),
    ("padding_mirrors", _padded_by(mode="symmetric"), "Pads with the map in a mirror."),
    ("padding_first_for_all", _with(lambda c: {"padding": (c.padding[0][:1] * 2,) * 2}),
     "The top pad is used on all four sides."),
    ("padding_evened_out", _with(lambda c: {"padding": tuple(
        (sum(p) // 2, sum(p) - sum(p) // 2) for p in c.padding)}),
     "Pads of an axis are shared evenly, the odd one last."),
    ("padding_evened_out_first", _with(lambda c: {"padding": tuple(
        (sum(p) - sum(p) // 2, sum(p) // 2) for p in c.padding)}),
     "Pads of an axis are shared evenly, the odd one first."),
    ("stride_of_height", _with(lambda c: {"stride": c.stride[:1] * 2}),
     "The stride down is used across as well."),
    ("stride_of_width", _with(lambda c: {"stride": c.stride[1:] * 2}),
     "The stride across is used down as well."),
    ("stride_ignored", _with(lambda c: {"stride": (1, 1)}), "The stride is 1."),
    ("dilation_of_height", _with(lambda c: {"dilation": c.dilation[:1] * 2}),
     "The dilation down is used across as well."),
    ("kernel_rows_flipped", _on(w=lambda w: w[:, :, ::-1]), "Rows of the kernel are flipped."),
    ("kernel_columns_flipped", _on(w=lambda w: w[..., ::-1]), "Columns of the kernel are flipped."),
    ("channels_reversed", _on(x=lambda x: x[:, ::-1]), "The last channel comes first."),
    ("filters_reversed", _on(w=lambda w: w[::-1]), "The last filter comes first."),
    ("groups_reversed", _groups_backwards, "The first group reads the last channels."),
    ("depthwise_filters_by_multiple", _depthwise_major,
     "Filters lie in memory by their place in the group, and then by group."),
    ("map_transposed", _on(x=lambda x: x.reshape(*x.shape[:2], x.shape[3], x.shape[2])
                           .swapaxes(2, 3)), "Rows and columns of the map lie exchanged."),
    ("last_tap_left_out", _on(w=_without_last), "The loop over the window ends one place early."),
    ("weights_read_unsigned", _on(w=lambda w: w + 4 * (w == -1)),
     "The trit -1 is read as the field 11, which is 3."),
    ("weights_minus_one_is_two", _on(w=lambda w: w + 3 * (w == -1)), "The trit -1 is read as 2."),
    ("weights_negated", _on(w=lambda w: -w), "Weights have the other sign."),
    ("weights_offset", _on(w=lambda w: w + 1), "Weights are read one too large, offset codes."),
    ("weights_cut_to_trits", _on(w=_between(-1, 1)), "Weights are cut to -1, 0 and 1."),
    ("weights_not_negative", _on(w=_between(0, 2**31)), "Negative weights count nothing."),
    ("map_bytes_signed", _on(x=_bits(8)), "Bytes of the map are read with a sign."),
    ("map_bytes_unsigned", _on(x=_bits(8, signed=False)), "Bytes are read without a sign."),
    ("map_two_bits_signed", _on(x=_two_bits), "The codes 2 and 3 are read as -2 and -1."),
    ("map_two_bits", _on(x=_between(0, 3)), "The map is cut to codes of 2 bits."),
    ("bias_twice", _on(b=lambda b: 2 * b), "The bias is added twice."),
    ("bias_left_out_at_pads", _bias_off_pads, "Windows with padding have no bias."),
    ("accumulator_of_24_bits", _on(y=_bits(24)), "The sum keeps 24 bits."),
    ("accumulator_saturates_at_24_bits", _on(y=_between(-(2**23), 2**23 - 1)),
     "The sum saturates at 24 bits."),
    ("accumulator_saturates_at_8_bits", _on(y=_between(-128, 127)),
     "The sum saturates at 8 bits."),
    ("accumulator_not_negative", _on(y=_between(0, 2**31)), "A sum below 0 becomes 0."),
    ("accumulator_unsigned", _on(y=_bits(32, signed=False)), "The sum is read without a sign."),
    ("products_saturate_at_8_bits", _tap_by_tap(_between(-128, 127), _same),
     "Each product saturates at 8 bits."),
    ("products_of_8_bits", _tap_by_tap(_bits(8), _same), "Each product keeps 8 bits."),
    ("running_sum_saturates_at_16_bits", _tap_by_tap(_same, _between(-(2**15), 2**15 - 1)),
     "Each addition saturates at 16 bits."),
    ("running_sum_saturates_at_8_bits", _tap_by_tap(_same, _between(-128, 127)),
     "Each addition saturates at 8 bits."),
    ("last_image_for_all", _on(y=lambda y: np.repeat(y[-1:], len(y), axis=0)),
     "Every image gives the result of the last."),
    ("images_add_up", _on(y=lambda y: np.cumsum(y, axis=0)),
     "The accumulator is not cleared between images."),
)  # fmt: skip

CONVOLUTION: tuple[Lookalike, ...] = tuple(_named(*row) for row in _WRONG)
