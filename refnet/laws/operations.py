"""Hypothesis strategies: random legal operations of every operator, aimed at the hard places.

Arrays come from a drawn seed and a drawn way to fill, so that examples stay small for Hypothesis
and large for the operator: ties, thresholds met exactly, saturation, accumulators at the proved
bound and at the bound of the format, empty batches, one channel, groups = channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from refnet.laws.arrays import arrays_of, batches, int_types, rngs, shapes
from refnet.program import (
    OPERATORS,
    Add,
    Constant,
    Conv,
    IntType,
    MaxPool,
    Op,
    Requantize,
    Reshape,
    SumPool,
    TensorType,
    Threshold,
    constant,
)
from refnet.program.arith import MULT_BOUND, ROUNDINGS, SHIFT_BOUND
from refnet.program.types import ACCUMULATOR_BOUND


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operator with operands it accepts and an array for each activation among them."""

    op: Op
    operands: tuple[TensorType | Constant, ...]
    activations: tuple[NDArray[Any], ...]

    @property
    def result(self) -> TensorType:
        """The inferred type of the result."""
        return self.op.infer(*self.operands)

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """Positional arguments of ``op.evaluate``: activations and constants in order."""
        given = iter(self.activations)
        return tuple(
            o.array if isinstance(o, Constant) else next(given) for o in self.operands
        )


# --- Conv ---------------------------------------------------------------------------------------


@st.composite
def _conv_axis(draw: st.DrawFn) -> tuple[int, int, int, tuple[int, int], int]:
    """Map size, kernel, stride, padding and dilation of one axis; the kernel always fits."""
    kernel = draw(st.integers(1, 4))
    dilation = draw(st.integers(1, 3 if kernel < 4 else 2))
    stride = draw(st.integers(1, 3))
    padding = draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    least = dilation * (kernel - 1) + 1 - sum(padding)
    return draw(st.integers(max(1, least), 9)), kernel, stride, padding, dilation


@st.composite
def conv_operations(draw: st.DrawFn) -> Operation:
    """Every stride, padding, dilation and grouping; weights from ternary to 16 bits and more."""
    H, R, stride_h, pad_h, dilation_h = draw(_conv_axis())
    W, S, stride_w, pad_w, dilation_w = draw(_conv_axis())
    groups, per_group, filters = draw(st.sampled_from(
        [(g, c, f) for g in range(1, 10) for c in range(1, 9 // g + 1) for f in (1, 2, 5, 9)]
    ))
    filters = groups * max(1, filters // groups)
    op = Conv(
        stride=(stride_h, stride_w), padding=(pad_h, pad_w),
        dilation=(dilation_h, dilation_w), groups=groups,
    )
    # Few-bit activations are drawn often: they have kernels of their own.
    x_type = draw(st.one_of(st.integers(1, 4).map(IntType.unsigned), int_types()))
    # The whole kernel at full size must stay inside the accumulator.
    K = per_group * R * S
    limit = ACCUMULATOR_BOUND // (K * max(abs(x_type.lo), abs(x_type.hi), 1))
    w_type = draw(st.one_of(
        st.just(IntType(lo=-min(limit, 1), hi=min(limit, 1))), int_types(limit=limit)
    ))
    w = draw(arrays_of(w_type, (filters, per_group, R, S)))
    x_map = TensorType(type=x_type, shape=(groups * per_group, H, W))
    weights = constant(w, draw(st.sampled_from([w_type, None])))
    operands: tuple[TensorType | Constant, ...] = (
        x_map, weights, *draw(_biases(op, x_map, weights))
    )
    x = draw(arrays_of(x_type, (draw(batches), *x_map.shape)))
    if len(x) and draw(st.booleans()):
        x = _at_the_bound(op, x, x_type, operands, draw(st.booleans()), draw(rngs))
    return Operation(op=op, operands=operands, activations=(x,))


@st.composite
def _biases(draw: st.DrawFn, op: Conv, x: TensorType, w: Constant) -> list[Constant]:
    """No bias, or small ones, or one that takes the accumulator to the bound of the format."""
    proved = op.infer(x, w).type
    room_up, room_down = ACCUMULATOR_BOUND - proved.hi, ACCUMULATOR_BOUND + proved.lo
    kind = draw(st.sampled_from(["none", "small", "top", "bottom"]))
    if kind == "none":
        return []
    if kind == "small":
        b_type = IntType(lo=-min(room_down, 100), hi=min(room_up, 100))
        return [constant(draw(arrays_of(b_type, w.shape[:1])))]
    return [constant(np.full(w.shape[:1], room_up if kind == "top" else -room_down))]


def _at_the_bound(
    op: Conv, x: NDArray[Any], x_type: IntType, operands: Sequence[TensorType | Constant],
    upper: bool, rng: np.random.Generator,
) -> NDArray[Any]:
    """x with one window of image 0 set so that a widest filter attains the proved bound."""
    weights = operands[1]
    assert isinstance(weights, Constant)
    w = weights.array.astype(np.int64)
    _, height, width = op.infer(*operands).shape
    products = np.stack([w * x_type.lo, w * x_type.hi])
    reach = np.maximum(products.max(axis=0), 0) if upper else np.minimum(products.min(axis=0), 0)
    totals = reach.sum(axis=(1, 2, 3))
    f = int(np.argmax(totals) if upper else np.argmin(totals))
    i, j = int(rng.integers(height)), int(rng.integers(width))
    first = f // (len(w) // op.groups) * w.shape[1]
    x = x.copy()
    for c, r, s in np.ndindex(w.shape[1:]):
        row = i * op.stride[0] + r * op.dilation[0] - op.padding[0][0]
        column = j * op.stride[1] + s * op.dilation[1] - op.padding[1][0]
        if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
            high = (w[f, c, r, s] > 0) == upper
            x[0, first + c, row, column] = x_type.hi if high else x_type.lo
    return x


# --- Threshold and Requantize -------------------------------------------------------------------


@st.composite
def threshold_operations(draw: st.DrawFn) -> Operation:
    """Thresholds at and next to values that occur; both signs; codes that need 8 bits and more."""
    x_type, shape = draw(int_types()), draw(shapes())
    levels = draw(st.one_of(st.integers(1, 17), st.sampled_from([127, 128, 255, 256])))
    rng = draw(rngs)
    x = draw(arrays_of(x_type, (draw(batches), *shape)))
    sign = rng.choice(np.array([-1, 1]), size=shape[0])
    met = np.append(x.astype(np.int64).ravel(), [x_type.lo, x_type.hi])
    t = rng.choice(met, size=(shape[0], levels)) * sign[:, None]
    t = np.sort(t + rng.integers(-1, 2, size=t.shape), axis=1)
    operands = (TensorType(type=x_type, shape=shape), constant(t), constant(sign))
    return Operation(op=Threshold(), operands=operands, activations=(x,))


@st.composite
def requantize_operations(draw: st.DrawFn) -> Operation:
    """All roundings; exact ties on both signs and their neighbours; shifts 0 to 46; saturation."""
    op = Requantize(type=draw(int_types()), rounding=draw(st.sampled_from(ROUNDINGS)))
    x_type, shape = draw(int_types()), draw(shapes())
    rng = draw(rngs)
    mult = rng.integers(-MULT_BOUND, MULT_BOUND + 1, size=shape[0])
    if draw(st.booleans()):
        mult = (rng.integers(-3, 4, size=shape[0])) << rng.integers(0, 14, size=shape[0])
    shift = rng.integers(0, draw(st.sampled_from([4, 15, 31, SHIFT_BOUND])) + 1, size=shape[0])
    x = draw(arrays_of(x_type, (draw(batches), *shape)))
    if draw(st.booleans()):
        x = _with_ties(x, x_type, mult, shift, rng)
    operands = (TensorType(type=x_type, shape=shape), constant(mult), constant(shift))
    return Operation(op=op, operands=operands, activations=(x,))


def _with_ties(
    x: NDArray[Any], x_type: IntType, mult: NDArray[Any], shift: NDArray[Any],
    rng: np.random.Generator,
) -> NDArray[Any]:
    """x where x * mult is an odd number of halves of 2**shift, or one beside it."""
    # mult = odd * 2**twos, so x = odd * 2**(shift - 1 - twos) makes an exact tie.
    twos = np.array([(int(m) & -int(m)).bit_length() - 1 if m else 0 for m in mult])
    power = np.clip(shift - 1 - twos, 0, 30)
    half = (np.int64(1) << power).reshape(-1, *(1,) * (x.ndim - 2))
    odd = 2 * rng.integers(-4, 4, size=x.shape) + 1
    beside = rng.choice(np.array([-1, 0, 0, 0, 1]), size=x.shape)
    return np.asarray(np.clip(odd * half + beside, x_type.lo, x_type.hi)).astype(x_type.dtype)


# --- Add, pools, Reshape ------------------------------------------------------------------------


@st.composite
def add_operations(draw: st.DrawFn) -> Operation:
    """Two types that differ, up to sums at the accumulator bound."""
    shape, images = draw(shapes()), draw(batches)
    first = draw(int_types())
    room = ACCUMULATOR_BOUND - max(abs(first.lo), abs(first.hi))
    types = [first, draw(int_types(limit=room))]
    if draw(st.booleans()):
        types.reverse()
    return Operation(
        op=Add(),
        operands=tuple(TensorType(type=kind, shape=shape) for kind in types),
        activations=tuple(draw(arrays_of(kind, (images, *shape))) for kind in types),
    )


@st.composite
def _pool_axis(draw: st.DrawFn) -> tuple[int, int, int, tuple[int, int]]:
    """Map size, kernel, stride and padding of one axis; padding stays below the kernel."""
    kernel = draw(st.integers(1, 4))
    padding = draw(st.tuples(st.integers(0, kernel - 1), st.integers(0, kernel - 1)))
    size = draw(st.integers(max(1, kernel - sum(padding)), 9))
    return size, kernel, draw(st.integers(1, 4)), padding


@st.composite
def pool_operations(draw: st.DrawFn, kind: type[MaxPool] | type[SumPool]) -> Operation:
    """Windows with asymmetric padding; for sums, types up to the accumulator bound."""
    H, R, stride_h, pad_h = draw(_pool_axis())
    W, S, stride_w, pad_w = draw(_pool_axis())
    op = kind(kernel=(R, S), stride=(stride_h, stride_w), padding=(pad_h, pad_w))
    if kind is SumPool:
        x_type = draw(int_types(limit=ACCUMULATOR_BOUND // (R * S)))
    else:
        x_type = draw(st.one_of(int_types(), st.just(IntType.twos_complement(32))))
    x_map = TensorType(type=x_type, shape=(draw(st.integers(1, 9)), H, W))
    x = draw(arrays_of(x_type, (draw(batches), *x_map.shape)))
    return Operation(op=op, operands=(x_map,), activations=(x,))


@st.composite
def reshape_operations(draw: st.DrawFn) -> Operation:
    """From and to one, two or three axes."""
    x_type, shape = draw(int_types()), draw(shapes())
    rest, sizes = math.prod(shape), []
    for _ in range(draw(st.integers(0, 2))):
        sizes.append(draw(st.sampled_from([n for n in range(1, rest + 1) if rest % n == 0])))
        rest //= sizes[-1]
    x = draw(arrays_of(x_type, (draw(batches), *shape)))
    operands = (TensorType(type=x_type, shape=shape),)
    return Operation(op=Reshape(shape=(*sizes, rest)), operands=operands, activations=(x,))


#: One strategy an operator.
STRATEGIES: dict[type[Op], st.SearchStrategy[Operation]] = {
    Conv: conv_operations(),
    Threshold: threshold_operations(),
    Requantize: requantize_operations(),
    Add: add_operations(),
    MaxPool: pool_operations(MaxPool),
    SumPool: pool_operations(SumPool),
    Reshape: reshape_operations(),
}


def operations(kind: type[Op] | None = None) -> st.SearchStrategy[Operation]:
    """Legal operations of one operator, or of all; an operator without a strategy is an error."""
    if kind is not None:
        return STRATEGIES[kind]
    return st.one_of([STRATEGIES[op] for op in OPERATORS])
