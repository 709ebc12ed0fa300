"""What the stages of a plan do: groups by popcounts, and turns between forms of a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.kernels.bytewise import widen
from refnet.kernels.forms import Form, bytes_of, positions
from refnet.kernels.fused import Group, scaling, staircase
from refnet.kernels.layouts import Int64Array, Planes, maps_to_rows, rows_to_maps
from refnet.kernels.microkernels import TILE
from refnet.kernels.pack import from_places
from refnet.kernels.popcount import Counter, convolve_codes, convolve_rows, convolve_sums, counter
from refnet.kernels.team import share
from refnet.program import Conv, Node, Program, Requantize, TensorType

#: What a stage does: (arrays read, arrays written, images).
Action = Callable[[tuple[NDArray[Any], ...], tuple[NDArray[Any], ...], int], None]
#: A stage that can be cut: also the part to do, and the number of parts.
PartAction = Callable[[tuple[NDArray[Any], ...], tuple[NDArray[Any], ...], int, int, int], None]

_NO_ROWS = np.zeros((0, 0), dtype=np.int32)
_NO_WORDS = np.zeros((0, 0, 0, 0, 0), dtype=np.uint32)
_NOWHERE = np.zeros(0, dtype=np.int64)
_NO_STEPS = np.zeros((1, 0, 0), dtype=np.int32)
_FULL = (-(2**31), 2**31 - 1)


def turn(kind: TensorType, source: Form, form: Form, layout: Planes | None) -> Action:
    """Copy a value from one form to another; one of them is plain, or it is bytes to rows."""
    C, count = kind.shape[0], positions(kind)

    def pack(reads: Any, writes: Any, images: int) -> None:
        assert layout is not None
        layout.pack(reads[0][:images], writes[0])

    def unpack(reads: Any, writes: Any, images: int) -> None:
        assert layout is not None
        layout.unpack(reads[0], writes[0][:images])

    def to_rows(reads: Any, writes: Any, images: int) -> None:
        maps_to_rows(reads[0][:images].reshape(images, C, -1), writes[0])

    def from_rows(reads: Any, writes: Any, images: int) -> None:
        rows_to_maps(reads[0], writes[0][:images].reshape(images, C, -1))

    def from_bytes(reads: Any, writes: Any, images: int) -> None:
        from_places(bytes_of(kind).view(reads[0], images, np.uint8), writes[0][:images])

    def bytes_to_rows(reads: Any, writes: Any, images: int) -> None:
        size = images * count
        widen(reads[0][: size * C].reshape(size, C), writes[0].reshape(-1, writes[0].shape[2]))

    turns: dict[tuple[Form, Form], Action] = {
        ("plain", "planes"): pack, ("planes", "plain"): unpack, ("plain", "rows"): to_rows,
        ("rows", "plain"): from_rows, ("bytes", "plain"): from_bytes,
        ("bytes", "rows"): bytes_to_rows,
    }  # fmt: skip
    return turns[source, form]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """A group made ready for up to ``images`` images: the convolution, and where codes go."""

    made: Counter
    windows: Int64Array
    #: Outputs of an image.
    count: int
    steps: NDArray[np.int32]
    flips: Int64Array
    bits: int
    places: Int64Array


def carried_out(
    program: Program, group: Group, layouts: Mapping[str, Planes], images: int
) -> PartAction:
    """The action of a group: from planes, and rows of the other addend, to rows and planes."""
    x, *held = group.conv.inputs
    op, result = group.conv.op, program.types[group.conv.name]
    assert isinstance(op, Conv)
    made = counter(op, layouts[x], *(program.constants[name] for name in held))
    steps, flips, bits, places = _NO_STEPS, _NOWHERE, 0, _NOWHERE
    if group.threshold is not None:
        _, t, sign = group.threshold.inputs
        bare = group.requantize is None
        steps, flips = staircase(
            program.constants[t], program.constants[sign], program.types[group.sums].type,
            made.constant[: result.shape[0]] if bare else 0,
        )
        layout = layouts[group.threshold.name]
        bits, places = layout.bits, layout.insides(images)
    ready = _Ready(
        made=made, windows=made.planes.windows(images, op, (result.shape[1], result.shape[2])),
        count=positions(result), steps=steps, flips=flips, bits=bits, places=places,
    )
    if group.requantize is not None:
        return _rows(program, group, ready)
    return _codes(ready) if bits else _sums(ready)


def _codes(ready: _Ready) -> PartAction:
    """Conv and Threshold."""
    made = ready.made

    def action(reads: Any, writes: Any, images: int, part: int, parts: int) -> None:
        start, stop = share(images * ready.count, TILE, part, parts)
        convolve_codes(
            reads[0], ready.windows, start, stop, made.offsets, made.first,
            made.weights, ready.steps, ready.flips, ready.bits, writes[0], ready.places,
        )

    return action


def _sums(ready: _Ready) -> PartAction:
    """Conv alone."""
    made, constant = ready.made, ready.made.constant.astype(np.int32)

    def action(reads: Any, writes: Any, images: int, part: int, parts: int) -> None:
        rows = writes[0].reshape(-1, len(constant))
        start, stop = share(images * ready.count, TILE, part, parts)
        convolve_sums(
            reads[0], ready.windows, start, stop, made.offsets, made.first,
            made.weights, constant, rows,
        )

    return action


def _rows(program: Program, group: Group, ready: _Ready) -> PartAction:
    """Conv and Requantize, and all that may follow."""
    assert group.requantize is not None
    op, (_, mult, shift) = group.requantize.op, group.requantize.inputs
    assert isinstance(op, Requantize)
    made, constants = ready.made, program.constants
    scale = scaling(op, constants[mult], constants[shift], made.constant)
    clamp = _FULL if group.clamp is None else _bounds(group.clamp)
    ranges = np.array([*_bounds(group.requantize), *clamp], dtype=np.int64)
    lanes = made.constant.size

    def action(reads: Any, writes: Any, images: int, part: int, parts: int) -> None:
        addend = reads[1].reshape(-1, lanes) if len(reads) > 1 else _NO_ROWS
        rows = writes[0].reshape(-1, lanes) if writes[0].ndim == 3 else _NO_ROWS
        words = writes[-1] if ready.bits else _NO_WORDS
        start, stop = share(images * ready.count, TILE, part, parts)
        convolve_rows(
            reads[0], ready.windows, start, stop, made.offsets, made.first,
            made.weights, scale, ranges, addend, rows, ready.steps, ready.flips, ready.bits,
            words, ready.places,
        )

    return action


def _bounds(node: Node) -> tuple[int, int]:
    assert isinstance(node.op, Requantize)
    return node.op.type.lo, node.op.type.hi
