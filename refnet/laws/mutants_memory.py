"""Quantizers whose numbers are right and whose behaviour is not: memory, state, shape, channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refnet.laws.mutants_affine import Array, checked, right

Quantize = Callable[[Array, float, int], Array]


def in_place(x: Array, scale: float, zero_point: int) -> Array:
    """Divides its input in place."""
    codes = right(x, scale, zero_point)
    if isinstance(x, np.ndarray) and x.flags.writeable:
        x /= x.dtype.type(scale) if np.isfinite(x.dtype.type(scale)) else 1
    return codes


def normalised_by_batch(x: Array, scale: float, zero_point: int) -> Array:
    """The scale grows until the largest number fits: codes depend on their neighbours."""
    wide = checked(x)
    finite = wide[np.isfinite(wide)]
    largest = float(np.abs(finite).max(initial=0.0))
    return right(wide, max(scale, largest / 8), zero_point)


def dithered(x: Array, scale: float, zero_point: int) -> Array:
    """The error of one number is passed on to the next."""
    wide = checked(x)
    codes = np.array(right(wide, scale, zero_point))
    flat, out = np.clip(wide.ravel(), -1e30, 1e30), codes.reshape(-1)
    for i in range(1, min(flat.size, 64)):
        error = flat[i - 1] - (int(out[i - 1]) - zero_point) * scale
        if abs(error) < scale:
            out[i] = right(flat[i : i + 1] + error, scale, zero_point)[0]
    return codes


def blocks_of_8(x: Array, scale: float, zero_point: int) -> Array:
    """What is left over behind whole vectors of eight is not quantized."""
    codes = np.array(right(x, scale, zero_point))
    flat = codes.reshape(-1)
    if flat.size > 8:
        flat[flat.size // 8 * 8 :] = zero_point
    return codes


def buffer_of_4096(x: Array, scale: float, zero_point: int) -> Array:
    """Only the first 4,096 numbers are quantized."""
    codes = np.array(right(x, scale, zero_point))
    codes.reshape(-1)[4096:] = zero_point
    return codes


def memory_order(x: Array, scale: float, zero_point: int) -> Array:
    """Codes in the order of the memory instead of that of the axes."""
    codes = right(x, scale, zero_point)
    return np.asarray(codes).ravel(order="K").reshape(np.shape(codes))


def memory_without_strides(x: Array, scale: float, zero_point: int) -> Array:
    """Reads the memory behind the first number and ignores strides."""
    if isinstance(x, np.ndarray) and x.ndim and x.size and not x.flags.c_contiguous:
        base = x
        while isinstance(base.base, np.ndarray):
            base = base.base
        if base.dtype == x.dtype and base.size >= x.size:
            flat = np.nan_to_num(base.ravel(order="K")[: x.size])
            return right(flat.reshape(x.shape), scale, zero_point)
    return right(x, scale, zero_point)


def rows_only(x: Array, scale: float, zero_point: int) -> Array:
    """Every number needs an axis: arrays without one are refused."""
    if np.ndim(x) == 0:
        raise TypeError("iteration over a 0-d array")
    return right(x, scale, zero_point)


def not_empty(x: Array, scale: float, zero_point: int) -> Array:
    """Looks at the largest number, which an empty array has not."""
    if np.size(x) == 0:
        raise ValueError("zero-size array to reduction operation maximum which has no identity")
    return right(x, scale, zero_point)


def flattened(x: Array, scale: float, zero_point: int) -> Array:
    """Arrays of more than two axes come back as matrices."""
    codes = np.asarray(right(x, scale, zero_point))
    return codes.reshape(codes.shape[0], -1) if codes.ndim > 2 else codes


def binary16_truncates(x: Array, scale: float, zero_point: int) -> Array:
    """The path of one dtype truncates."""
    if getattr(x, "dtype", None) == np.float16:
        q = np.trunc(checked(x) / scale) + zero_point
        return np.asarray(np.clip(q, -8, 7)).astype(np.int8)
    return right(x, scale, zero_point)


def divides_in_own_dtype(x: Array, scale: float, zero_point: int) -> Array:
    """Work in the dtype of the input."""
    x = np.asarray(x)
    if np.isnan(x).any():
        raise ValueError("quantize: holds NaN")
    q = np.nan_to_num(np.rint(x / x.dtype.type(scale)), posinf=1000, neginf=-1000)
    return np.asarray(np.clip(np.clip(q, -1000, 1000) + zero_point, -8, 7)).astype(np.int8)


def infinity_in_place(x: Array, scale: float, zero_point: int) -> Array:
    """Replaces infinities in its input, and only these."""
    codes = right(x, scale, zero_point)
    if isinstance(x, np.ndarray) and x.flags.writeable:
        x[np.isinf(x)] = 0
    return codes


def scalars_are_int64(x: Array, scale: float, zero_point: int) -> Array:
    """A number without an axis gets a code of another dtype."""
    codes = right(x, scale, zero_point)
    return np.asarray(int(codes)) if np.ndim(x) == 0 else codes


def memory_order_of_volumes(x: Array, scale: float, zero_point: int) -> Array:
    """Codes in the order of the memory, of three axes and more."""
    codes = np.asarray(right(x, scale, zero_point))
    return codes.ravel(order="K").reshape(codes.shape) if codes.ndim > 2 else codes


def whole_pages_lose_one(x: Array, scale: float, zero_point: int) -> Array:
    """The last code of a multiple of 1,024 is lost."""
    codes = np.array(right(x, scale, zero_point))
    if codes.size and codes.size % 1024 == 0:
        codes.reshape(-1)[-1] = zero_point
    return codes


class Stateful:
    """Quantizers that remember. An object of its own for each use."""

    def __init__(self) -> None:
        self.scale: float | None = None
        self.calls = 0
        self.buffer = np.zeros(1 << 17, dtype=np.int8)
        self.results: dict[tuple[Any, ...], Array] = {}
        self.rng = np.random.default_rng(0)

    def first_scale(self, x: Array, scale: float, zero_point: int) -> Array:
        """The scale of the first call stays."""
        self.scale = self.scale or scale
        return right(x, self.scale, zero_point)

    def observer(self, x: Array, scale: float, zero_point: int) -> Array:
        """The scale follows a running maximum."""
        wide = checked(x)
        finite = np.abs(wide[np.isfinite(wide)])
        largest = float(finite.max(initial=0.0)) / 1e6
        self.scale = max(self.scale or 0.0, min(largest, scale * 4))
        return right(wide, max(scale, self.scale), zero_point)

    def tires(self, x: Array, scale: float, zero_point: int) -> Array:
        """Half-even at first, half-up after three hundred calls."""
        self.calls += 1
        if self.calls < 300:
            return right(x, scale, zero_point)
        q = np.floor(checked(x) / scale + 0.5) + zero_point
        return np.asarray(np.clip(q, -8, 7)).astype(np.int8)

    def one_buffer(self, x: Array, scale: float, zero_point: int) -> Array:
        """All results are one buffer."""
        codes = np.asarray(right(x, scale, zero_point))
        view = self.buffer[: codes.size].reshape(codes.shape)
        view[...] = codes
        return view

    def cached(self, x: Array, scale: float, zero_point: int) -> Array:
        """Results are kept and handed out again, for the caller to write into."""
        x = np.asarray(x)
        key = (x.tobytes(), x.shape, x.dtype, scale, zero_point)
        if len(self.results) > 50:
            self.results.clear()
        if key not in self.results:
            self.results[key] = np.asarray(right(x, scale, zero_point))
        return self.results[key]

    def random_ties(self, x: Array, scale: float, zero_point: int) -> Array:
        """Ties go either way, as they fall."""
        q = checked(x) / scale
        tie = np.abs(q - np.trunc(q)) == 0.5
        way = self.rng.integers(0, 2, size=np.shape(q))
        rounded = np.where(tie, np.floor(q) + way, np.rint(q))
        return np.asarray(np.clip(rounded + zero_point, -8, 7)).astype(np.int8)


STATELESS: tuple[Quantize, ...] = (
    in_place, normalised_by_batch, dithered, blocks_of_8, buffer_of_4096, memory_order,
    memory_without_strides, rows_only, not_empty, flattened, binary16_truncates,
    divides_in_own_dtype, infinity_in_place, scalars_are_int64,
    memory_order_of_volumes, whole_pages_lose_one,
)
STATEFUL = ("first_scale", "observer", "tires", "one_buffer", "cached", "random_ties")


# --- One scale a channel, along axis 0 ------------------------------------------------------------

SCALES = np.array([0.5, 0.1, 3.0, 0.02])


def channels_right(x: Array) -> Array:
    """Axis 0 has the scales ``SCALES``, codes [-8, 7]."""
    return _channels(x, SCALES.reshape(-1, *(1,) * (np.ndim(x) - 1)))


def _channels(x: Array, scale: Any) -> Array:
    return np.asarray(np.clip(np.rint(checked(x) / scale), -8, 7)).astype(np.int8)


def channel_last(x: Array) -> Array:
    """The scales along the last axis, where that fits; else along the first."""
    fits = np.ndim(x) > 1 and np.shape(x)[-1] == len(SCALES)
    return _channels(x, SCALES) if fits else channels_right(x)


def channel_last_of_maps(x: Array) -> Array:
    """Right for matrices; with more axes the scales lie along the second, where that fits."""
    if np.ndim(x) > 2 and np.shape(x)[1] == len(SCALES):
        return _channels(x, SCALES.reshape(-1, *(1,) * (np.ndim(x) - 2)))
    return channels_right(x)


def channel_first_for_all(x: Array) -> Array:
    """The scale of channel 0 for every channel."""
    return _channels(x, SCALES[0])


def channels_reversed(x: Array) -> Array:
    """The scales in reverse."""
    return _channels(x, SCALES[::-1].reshape(-1, *(1,) * (np.ndim(x) - 1)))


def channel_mean(x: Array) -> Array:
    """The mean of the scales for every channel."""
    return _channels(x, SCALES.mean())


def channels_share_range(x: Array) -> Array:
    """A large number in one channel coarsens the others."""
    wide = checked(x)
    finite = np.abs(wide[np.isfinite(wide)]).max(initial=0.0)
    scale = SCALES.reshape(-1, *(1,) * (np.ndim(x) - 1))
    return _channels(x, scale * (2 if finite > 1e4 else 1))


CHANNELS = (
    channel_last_of_maps, channel_last, channel_first_for_all, channels_reversed, channel_mean,
    channels_share_range,
)
