"""Wrong operators and numbers that show on ordinary data: starts, ends, signs, widths, layouts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from refnet.program import Add, Conv, IntType, MaxPool, Reshape, SumPool, Threshold, rounding_shift
from refnet.program import saturate as clamp
from refnet.program.files import from_bytes
from refnet.program.window import padded, taps
from refnet.vectors.answering import Ints, right
from refnet.vectors.building import KINDS, operator_of, program_of
from refnet.vectors.functions import Outputs
from refnet.vectors.record import Vector

_Arrays = tuple[Ints, ...]
_NONE = ((0, 0), (0, 0))


def half_without_shift(x: Ints, shift: Ints, rule: str) -> Ints:
    """Adds its half before every shift: one too many where nothing is shifted."""
    y: Ints = rounding_shift(x, shift, rule) + (shift == 0)
    return y


def shift_mod_32(acc: Ints, mult: Ints, shift: Ints, type: IntType, rule: str) -> Ints:
    """Takes the shift modulo 32, as 32-bit machines do."""
    return clamp(rounding_shift(acc * mult, shift % 32, rule), type.lo, type.hi)


def result_32(acc: Ints, mult: Ints, shift: Ints, type: IntType, rule: str) -> Ints:
    """Keeps 32 bits of the rounded product before it is clamped."""
    rounded = rounding_shift(acc * mult, shift, rule).astype(np.int32)
    return clamp(rounded.astype(np.int64), type.lo, type.hi)


def upper_exclusive(vector: Vector) -> Outputs:
    """Clamps to the largest number but one."""
    lo, hi = vector.attributes["lo"], vector.attributes["hi"]
    return {"y": np.minimum(np.maximum(vector.arrays["x"], lo), hi - 1)}


def zero_keeps_shift(vector: Vector) -> Outputs:
    """The ratio zero has the largest shift."""
    found = right(vector)
    return {"mult": found["mult"], "shift": np.where(found["mult"] == 0, 46, found["shift"])}


def ratio_unsigned(vector: Vector) -> Outputs:
    """The multiplier is that of the magnitude."""
    return {**right(vector), "mult": np.abs(right(vector)["mult"])}


def _at_zero(vector: Vector, passes: Any) -> Outputs:
    held, acc = vector.arrays, IntType.parse(vector.attributes["acc"])
    t = right(vector)["t"].astype(np.int64)
    for c in np.flatnonzero(held["scale"] == 0):
        t[c] = np.where(passes(held["offset"][c], held["levels"]), acc.lo, acc.hi + 1)
    return {"t": t, "sign": right(vector)["sign"]}


def zero_scale_never(vector: Vector) -> Outputs:
    """A scale of zero passes no threshold."""
    return _at_zero(vector, lambda offset, levels: np.zeros(len(levels), bool))


def zero_scale_equal(vector: Vector) -> Outputs:
    """At scale zero an offset that equals the level passes."""
    return _at_zero(vector, lambda offset, levels: offset >= levels)


def sign_bit(vector: Vector) -> Outputs:
    """The sign is the sign bit of the scale: -1 for minus zero."""
    held = right(vector)
    return {**held, "sign": np.where(np.signbit(vector.arrays["scale"]), -1, 1)}


def never_is_hi(vector: Vector) -> Outputs:
    """Thresholds are clamped to the largest number, which then passes."""
    acc, held = IntType.parse(vector.attributes["acc"]), right(vector)
    hi = np.where(held["sign"] < 0, -acc.lo, acc.hi)
    return {**held, "t": np.minimum(held["t"], hi[:, None])}


def channel_major(op: Any, x: Ints, w: Ints) -> Any:
    """Weights lie in memory as (C/G, F, R, S)."""
    return op, x, w.reshape(w.shape[1], w.shape[0], *w.shape[2:]).swapaxes(0, 1)


def kernel_first(op: Any, x: Ints, w: Ints) -> Any:
    """Weights lie in memory as (F, R, S, C/G)."""
    filters, channels, rows, columns = w.shape
    return op, x, w.reshape(filters, rows, columns, channels).transpose(0, 3, 1, 2)


def map_channels_last(op: Any, x: Ints, w: Ints) -> Any:
    """The map lies in memory as (H, W, C)."""
    images, channels, rows, columns = x.shape
    return op, x.reshape(images, rows, columns, channels).transpose(0, 3, 1, 2), w


def padded_minus_one(op: Any, x: Ints, w: Ints) -> Any:
    """Pads with the code -1."""
    wide = np.pad(x.astype(np.int64), ((0, 0), (0, 0), *op.padding), constant_values=-1)
    return replace(op, padding=_NONE), wide, w


def dilation_exchanged(op: Any, x: Ints, w: Ints) -> Any:
    """Height and width exchanged in the dilation."""
    return replace(op, dilation=op.dilation[::-1]), x, w


def from_far_edge(op: Any, x: Ints, w: Ints) -> Any:
    """Windows are laid from the far edge: what a stride leaves over lies before the first."""
    wide = padded(x, op.padding, 0)
    sizes = zip(wide.shape[2:], w.shape[2:], op.dilation, op.stride, strict=True)
    over = [(n - d * (k - 1) - 1) % s for n, k, d, s in sizes]
    return replace(op, padding=_NONE), wide[:, :, over[0] :, over[1] :], w


def bias_of_first(op: Conv, arrays: _Arrays) -> Ints:
    """The bias of the first filter for all."""
    return op.evaluate(*arrays[:2], *(np.repeat(b[:1], len(b)) for b in arrays[2:]))


def accumulator_8(op: Any, arrays: _Arrays) -> Ints:
    """The sum keeps 8 bits."""
    y: Ints = op.evaluate(*arrays).astype(np.int8)
    return y


def pairs_saturate(op: Conv, arrays: _Arrays) -> Ints:
    """Products are added in pairs that saturate at 16 bits, as some vector units do."""
    w = arrays[1].astype(np.int64)
    flat = w.reshape(len(w), -1)
    total = op.evaluate(arrays[0], np.zeros_like(w), *arrays[2:])
    for first in range(0, flat.shape[1], 2):
        kept = np.zeros_like(flat)
        kept[:, first : first + 2] = flat[:, first : first + 2]
        pair = op.evaluate(arrays[0], kept.reshape(w.shape))
        total = total + clamp(pair, -(2**15), 2**15 - 1)
    return total


def negation_8(op: Threshold, arrays: _Arrays) -> Ints:
    """x is negated in the width that holds it: -128 stays -128."""
    x, t, sign = arrays
    signs = sign.reshape(1, -1, *(1,) * (x.ndim - 2)).astype(np.int64)
    signed = (x.astype(np.int64) * signs).astype(x.dtype).astype(np.int64)
    return op.evaluate(signed, t, np.ones_like(sign))


def codes_of_2_bits(op: Threshold, arrays: _Arrays) -> Ints:
    """Codes stop at 3."""
    return np.minimum(op.evaluate(*arrays), 3)


def starts_at_zero(op: MaxPool, arrays: _Arrays) -> Ints:
    """The search for the largest element begins with 0."""
    return np.maximum(op.evaluate(*arrays), 0)


def summed(op: MaxPool, arrays: _Arrays) -> Ints:
    """The window is added up."""
    return SumPool(kernel=op.kernel, stride=op.stride, padding=op.padding).evaluate(*arrays)


def last_place_left_out(op: Any, arrays: _Arrays) -> Ints:
    """The loop over the window ends one place early."""
    y = op.evaluate(*arrays)
    none = np.iinfo(np.int64).min if isinstance(op, MaxPool) else 0
    wide = padded(arrays[0].astype(np.int64), op.padding, none)
    windows = [window for _, window in taps(wide, op.kernel, op.stride, (1, 1), y.shape[2:])]
    rest = windows[:-1] or [np.full_like(y, none)]
    found: Ints = np.maximum.reduce(rest) if isinstance(op, MaxPool) else np.add.reduce(rest)
    return found


def pool_pads_exchanged(op: Any, arrays: _Arrays) -> Ints:
    """Before and after exchanged in the pads."""
    y: Ints = replace(op, padding=tuple(p[::-1] for p in op.padding)).evaluate(*arrays)
    return y


def pool_first_image(op: Any, arrays: _Arrays) -> Ints:
    """Every image gives the result of the first."""
    y = op.evaluate(*arrays)
    return np.repeat(y[:1], len(y), axis=0)


def subtracted(op: Add, arrays: _Arrays) -> Ints:
    """The second operand is subtracted."""
    return arrays[0].astype(np.int64) - arrays[1]


def axes_dropped(op: Reshape, arrays: _Arrays) -> Ints:
    """Axes of size one are dropped."""
    return arrays[0].reshape(len(arrays[0]), *(n for n in op.shape if n > 1))


def one_image_of_zeros(vector: Vector) -> Outputs:
    """No image gives one image of zeros."""
    found = right(vector)
    return {
        name: y if len(y) else np.zeros((1, *y.shape[1:]), np.int64) for name, y in found.items()
    }


def nothing_written(vector: Vector) -> Outputs:
    """Where there is no step, nothing is written to the result."""
    file = vector.op == "load"
    raw = vector.arrays["file"].astype(np.uint8).tobytes() if file else b""
    program = from_bytes(raw) if file else program_of(vector)
    name = "y" if file else program.output
    y = right(vector)[name]
    return {name: y if program.nodes else np.zeros_like(y)}


def operands_from_pads(vector: Vector) -> Outputs:
    """MACs on padding are left out."""
    found = dict(right(vector))
    if vector.attributes["op"] == "Conv":
        op = operator_of("Conv", vector.attributes["attributes"])
        x, w = vector.arrays["x"], vector.arrays["w"]
        met = op.evaluate(np.ones((1, *x.shape[1:]), np.int64), np.ones_like(w, np.int64))
        found["macs"] = np.array([met.sum()])
    return found


def place_for_place(vector: Vector) -> Outputs:
    """A window of n places takes n operations."""
    found = dict(right(vector))
    if vector.attributes["op"] in ("MaxPool", "SumPool"):
        op: Any = operator_of(vector.attributes["op"], vector.attributes["attributes"])
        name = "comparisons" if isinstance(op, MaxPool) else "additions"
        x = vector.arrays["x"]
        y = op.evaluate(np.zeros((1, *x.shape[1:]), np.int64))
        found[name] = np.array([y.size * op.places])
    return found


def moves_counted(vector: Vector) -> Outputs:
    """A reshape is counted as an addition an element."""
    found = dict(right(vector))
    if vector.attributes["op"] == "Reshape":
        found["additions"] = np.array([int(np.prod(vector.arrays["x"].shape[1:]))])
    return found


def range_of_weight_type(vector: Vector) -> Outputs:
    """The range is that of any weights of the type, not of the weights at hand."""
    found = dict(right(vector))
    if vector.attributes["op"] == "Conv":
        w, x = (IntType.parse(a.type) for a in (vector.constants[0], vector.inputs[0]))
        reduction = int(np.prod(vector.constants[0].shape[1:]))
        ends = [a * b for a in (w.lo, w.hi) for b in (x.lo, x.hi)] + [0]
        bias = [*vector.arrays.get("b", np.zeros(1, np.int64)).tolist(), 0]
        found["range"] = np.array(
            [reduction * min(ends) + min(bias), reduction * max(ends) + max(bias)]
        )
    return found


#: Ops whose first axis counts images.
BATCHED = (*KINDS, "Program")
