"""What the stages of a plan do: groups, and turns between forms of a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.kernels.bytewise import widen
from refnet.kernels.families import Family, Ready
from refnet.kernels.forms import Form, bytes_of, positions
from refnet.kernels.fused import Group, scaling, staircase
from refnet.kernels.layouts import Layout, maps_to_rows, rows_to_maps
from refnet.kernels.pack import from_places
from refnet.kernels.team import share
from refnet.program import Conv, Node, Program, Requantize, TensorType

#: What a stage does: (arrays read, arrays written, images).
Action = Callable[[tuple[NDArray[Any], ...], tuple[NDArray[Any], ...], int], None]
#: A stage that can be cut: also the part to do, and the number of parts.
PartAction = Callable[[tuple[NDArray[Any], ...], tuple[NDArray[Any], ...], int, int, int], None]

_FULL = (-(2**31), 2**31 - 1)


def turn(kind: TensorType, source: Form, form: Form, layout: Layout | None) -> Action:
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


def carried_out(
    program: Program, group: Group, layouts: Mapping[str, Layout], images: int, family: Family
) -> PartAction:
    """The action of a group: from packed codes, and rows of the other addend, to rows and codes."""
    x, *held = group.conv.inputs
    op, result = group.conv.op, program.types[group.conv.name]
    assert isinstance(op, Conv)
    made = family.counter(op, layouts[x], *(program.constants[name] for name in held))
    windows = made.planes.windows(images, op, (result.shape[1], result.shape[2]))
    endings: dict[str, Any] = {}
    if group.requantize is not None:
        endings |= _scaled(program, group, made.constant)
    if group.threshold is not None:
        _, t, sign = group.threshold.inputs
        shift = made.constant[: result.shape[0]] if group.requantize is None else 0
        steps, flips = staircase(
            program.constants[t], program.constants[sign], program.types[group.sums].type, shift
        )
        layout = layouts[group.threshold.name]
        endings |= {
            "steps": steps, "flips": flips, "bits": layout.bits, "places": layout.insides(images)
        }
    run = family.ready(Ready(made=made, windows=windows, **endings))
    count, lanes, coded = positions(result), made.constant.size, group.threshold is not None

    def action(reads: Any, writes: Any, images: int, part: int, parts: int) -> None:
        addend = reads[1].reshape(-1, lanes) if len(reads) > 1 else None
        rows = writes[0].reshape(-1, lanes) if len(writes) > coded else None
        start, stop = share(images * count, family.tile, part, parts)
        run(reads[0], start, stop, addend, rows, writes[-1] if coded else None)

    return action


def _scaled(program: Program, group: Group, constant: NDArray[np.int64]) -> dict[str, Any]:
    """What rescales the sums, and the bounds of both clamps."""
    assert group.requantize is not None
    op, (_, mult, shift) = group.requantize.op, group.requantize.inputs
    assert isinstance(op, Requantize)
    scale = scaling(op, program.constants[mult], program.constants[shift], constant)
    clamp = _FULL if group.clamp is None else _bounds(group.clamp)
    ranges = np.array([*_bounds(group.requantize), *clamp], dtype=np.int64)
    return {"scaling": scale, "ranges": ranges}


def _bounds(node: Node) -> tuple[int, int]:
    assert isinstance(node.op, Requantize)
    return node.op.type.lo, node.op.type.hi
