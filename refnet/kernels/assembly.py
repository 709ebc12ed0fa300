"""From a program to the stages of its plan: groups, forms of values, and turns between forms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.kernels.dispatch import choose
from refnet.kernels.fused import Group, match, readers_of, scaling, staircase
from refnet.kernels.layouts import (
    Planes,
    maps_to_rows,
    planes_for,
    reach,
    rows_to_maps,
    widest,
)
from refnet.kernels.forms import Form, Place
from refnet.kernels.popcount import convolve_codes, convolve_rows, convolve_sums, counter
from refnet.kernels.tiers import Tier
from refnet.program import Constant, Conv, Node, Program, TensorType
from refnet.program.window import Pads

#: What a stage does: (arrays read, arrays written, images).
Action = Callable[[tuple[NDArray[Any], ...], tuple[NDArray[Any], ...], int], None]

_NO_PADS: Pads = ((0, 0), (0, 0))
_NO_ROWS = np.zeros((0, 0), dtype=np.int32)
_NO_WORDS = np.zeros((0, 0, 0, 0, 0), dtype=np.uint32)
_NOWHERE = np.zeros(0, dtype=np.int64)
_NO_STEPS = np.zeros((1, 0, 0), dtype=np.int32)
_FULL = (-(2**31), 2**31 - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of a plan: the nodes it carries out, by which kernel, from where to where."""

    nodes: tuple[str, ...]
    kernel: str
    reads: tuple[Place, ...]
    writes: tuple[Place, ...]
    action: Action


@dataclass(slots=True)
class Assembly:
    """Stages in order, and the layouts of values that lie in bit planes."""

    program: Program
    tier: Tier
    images: int
    stages: list[Stage] = field(default_factory=list)
    layouts: dict[str, Planes] = field(default_factory=dict)
    _made: set[Place] = field(default_factory=set)

    def assemble(self) -> None:
        """Fill ``stages``; the output ends in plain form."""
        program, groups = self.program, match(self.program, self.tier)
        self._lay_out(groups)
        self._made.add((program.input, "plain"))
        for node in program.nodes:
            group = groups.get(node.name)
            if group is None:
                self._add_plain(node)
            elif node.name == group.sums:    # whoever reads the sums comes after this node
                self._add_group(group)
        self._need(program.output, "plain")

    def _lay_out(self, groups: dict[str, Group]) -> None:
        """The border of each value in planes: the widest that a reader wants."""
        types = self.program.types
        for group in groups.values():
            x, w = group.conv.inputs[:2]
            op, kernel = group.conv.op, self.program.constants[w].shape[2:]
            assert isinstance(op, Conv)
            pads = reach(op, types[x], (kernel[0], kernel[1]))
            held = self.layouts.get(x)
            pads = pads if held is None else widest(held.pads, pads)
            self.layouts[x] = planes_for(types[x], pads)
        for group in groups.values():
            if group.threshold is not None:
                name = group.threshold.name
                self.layouts.setdefault(name, planes_for(types[name], _NO_PADS))

    # --- turns between forms ---------------------------------------------------------------------

    def _need(self, name: str, form: Form) -> Place:
        """The place, after the stages that fill it."""
        place: Place = (name, form)
        if place in self._made:
            return place
        source: Form = next(f for f in ("plain", "rows", "planes") if (name, f) in self._made)
        if "plain" not in (source, form):
            source = self._need(name, "plain")[1]
        self._append((), f"{source} to {form}", ((name, source),), (place,), self._turn(name, form))
        return place

    def _turn(self, name: str, form: Form) -> Action:
        kind, layout = self.program.types[name], self.layouts.get(name)
        C = kind.shape[0]

        def pack(reads: Any, writes: Any, images: int) -> None:
            assert layout is not None
            layout.pack(reads[0][:images], writes[0])

        def to_rows(reads: Any, writes: Any, images: int) -> None:
            maps_to_rows(reads[0][:images].reshape(images, C, -1), writes[0])

        def to_plain(reads: Any, writes: Any, images: int) -> None:
            if reads[0].ndim == 5:
                assert layout is not None
                layout.unpack(reads[0], writes[0][:images])
            else:
                rows_to_maps(reads[0], writes[0][:images].reshape(images, C, -1))

        return {"planes": pack, "rows": to_rows, "plain": to_plain}[form]

    def _append(
        self, nodes: tuple[str, ...], kernel: str, reads: tuple[Place, ...],
        writes: tuple[Place, ...], action: Action,
    ) -> None:
        self.stages.append(
            Stage(nodes=nodes, kernel=kernel, reads=reads, writes=writes, action=action)
        )
        self._made.update(writes)

    # --- nodes -----------------------------------------------------------------------------------

    def _add_plain(self, node: Node) -> None:
        operands = self.program.operands(node)
        kernel = choose(node.op, operands, self.tier)
        step = kernel.prepare(node.op, *operands)
        reads = tuple(self._need(n, "plain") for n in node.inputs if n in self.program.types)

        def action(reads: Any, writes: Any, images: int) -> None:
            step(tuple(x[:images] for x in reads), writes[0][:images])

        self._append((node.name,), kernel.name, reads, ((node.name, "plain"),), action)

    def _add_group(self, group: Group) -> None:
        types = self.program.types
        reads = [self._need(group.conv.inputs[0], "planes")]
        writes: list[Place] = []
        if group.addend is not None:
            reads.append(self._need(group.addend, "rows"))
        if group.threshold is None or self._is_kept(group):
            writes.append((group.sums, "rows"))
        if group.threshold is not None:
            writes.append((group.threshold.name, "planes"))
        make = _codes if group.requantize is None and group.threshold else _sums
        if group.requantize is not None:
            make = _rows
        action = make(self, group, types[group.conv.name])
        names = tuple(node.name for node in group.nodes)
        self._append(names, "popcount", tuple(reads), tuple(writes), action)

    def _is_kept(self, group: Group) -> bool:
        """Whether anything but the group's own Threshold reads its sums."""
        return len(readers_of(self.program)[group.sums]) > 1

    def constant(self, name: str) -> Constant:
        """A constant of the program."""
        return self.program.constants[name]

    def stairs(self, group: Group, shift: Any = 0) -> tuple[Any, Any, int]:
        """Thresholds, flips and bits of the group's codes; none where it makes none."""
        if group.threshold is None:
            return _NO_STEPS, _NOWHERE, 0
        _, t, sign = group.threshold.inputs
        x = self.program.types[group.sums].type
        steps, flips = staircase(self.constant(t), self.constant(sign), x, shift)
        return steps, flips, self.layouts[group.threshold.name].bits

    def outlets(self, group: Group) -> NDArray[np.int64]:
        """The words of the pixels that the group's codes go to."""
        if group.threshold is None:
            return _NOWHERE
        return self.layouts[group.threshold.name].insides(self.images)


def _ready(plan: Assembly, group: Group, result: TensorType) -> tuple[Any, Any]:
    """The packed convolution, and its windows for the most images."""
    x, *held = group.conv.inputs
    op = group.conv.op
    assert isinstance(op, Conv)
    made = counter(op, plan.layouts[x], *(plan.constant(name) for name in held))
    return made, made.planes.windows(plan.images, op, (result.shape[1], result.shape[2]))


def _codes(plan: Assembly, group: Group, result: TensorType) -> Action:
    """Conv and Threshold."""
    made, windows = _ready(plan, group, result)
    steps, flips, bits = plan.stairs(group, made.constant[: result.shape[0]])
    places, count = plan.outlets(group), result.shape[1] * result.shape[2]

    def action(reads: Any, writes: Any, images: int) -> None:
        convolve_codes(
            reads[0], windows, 0, images * count, made.offsets, made.first, made.weights, steps,
            flips, bits, writes[0], places,
        )

    return action


def _sums(plan: Assembly, group: Group, result: TensorType) -> Action:
    """Conv alone."""
    made, windows = _ready(plan, group, result)
    constant, count = made.constant.astype(np.int32), result.shape[1] * result.shape[2]

    def action(reads: Any, writes: Any, images: int) -> None:
        rows = writes[0].reshape(-1, len(constant))
        convolve_sums(
            reads[0], windows, 0, images * count, made.offsets, made.first, made.weights, constant,
            rows,
        )

    return action


def _rows(plan: Assembly, group: Group, result: TensorType) -> Action:
    """Conv and Requantize, and all that may follow."""
    made, windows = _ready(plan, group, result)
    assert group.requantize is not None
    op, (_, mult, shift) = group.requantize.op, group.requantize.inputs
    scale = scaling(op, plan.constant(mult), plan.constant(shift), made.constant)
    clamp = _FULL if group.clamp is None else _bounds(group.clamp)
    ranges = np.array([*_bounds(group.requantize), *clamp], dtype=np.int64)
    steps, flips, bits = plan.stairs(group)
    places, count, lanes = plan.outlets(group), result.shape[1] * result.shape[2], made.constant.size

    def action(reads: Any, writes: Any, images: int) -> None:
        addend = reads[1].reshape(-1, lanes) if len(reads) > 1 else _NO_ROWS
        keeps = writes[0].ndim == 3
        rows = writes[0].reshape(-1, lanes) if keeps else _NO_ROWS
        words = writes[-1] if bits else _NO_WORDS
        convolve_rows(
            reads[0], windows, 0, images * count, made.offsets, made.first, made.weights, scale,
            ranges, addend, rows, steps, flips, bits, words, places,
        )

    return action


def _bounds(node: Node) -> tuple[int, int]:
    kind = node.op.type
    return kind.lo, kind.hi
