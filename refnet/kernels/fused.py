"""What follows a ternary convolution, carried out on its tile: groups of nodes that are one step.

    Conv [Requantize [Add [Requantize that only clamps]]] [Threshold]

Each value on the way must be read by the next node alone, except that the last sum, the residual
stream, may have other readers: it is then kept. ``match`` finds the groups of a program.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from refnet.kernels.families import Family
from refnet.kernels.layouts import Int32Array, Int64Array, aligned, blocks_of
from refnet.kernels.microkernels import LANES
from refnet.program import (
    Add,
    Constant,
    Conv,
    IntType,
    Node,
    Program,
    Requantize,
    Threshold,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Nodes that are carried out together, in the order of the file header."""

    conv: Node
    requantize: Node | None = None
    add: Node | None = None
    clamp: Node | None = None
    threshold: Node | None = None

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Those there are, in order."""
        steps = (self.conv, self.requantize, self.add, self.clamp, self.threshold)
        return tuple(node for node in steps if node is not None)

    @property
    def sums(self) -> str:
        """The value before the codes."""
        return [node for node in self.nodes if node is not self.threshold][-1].name

    @property
    def addend(self) -> str | None:
        """The other operand of Add."""
        if self.add is None or self.requantize is None:
            return None
        first, second = self.add.inputs
        return second if first == self.requantize.name else first


#: Who reads each value; None is whoever asked for the output.
Readers = dict[str, list[Node | None]]


def readers_of(program: Program) -> Readers:
    """The readers of every value, as often as they read it."""
    readers: Readers = {}
    for node in program.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    readers.setdefault(program.output, []).append(None)
    return readers


def match(program: Program, family: Family | None) -> dict[str, Group]:
    """The groups of ``program`` that ``family`` carries out, by each of their nodes."""
    readers = readers_of(program)
    found: dict[str, Group] = {}
    if family is None:
        return found
    for node in program.nodes:
        if isinstance(node.op, Conv) and family.kernel.applies(node.op, *program.operands(node)):
            group = _grown(program, node, readers, found, family.most_bits)
            found.update((member.name, group) for member in group.nodes)
    return found


def _grown(
    program: Program, conv: Node, readers: Readers, taken: dict[str, Group], most_bits: int
) -> Group:
    """The longest group that starts with ``conv``."""

    def only(name: str, kind: type) -> Node | None:
        """The one reader of a value, where it is of this kind and still free."""
        node = readers[name][0]
        if len(readers[name]) > 1 or node is None or node.name in taken:
            return None
        return node if type(node.op) is kind else None

    group = Group(conv=conv)
    if (node := only(conv.name, Requantize)) and _rescales_in_32_bits(program, node):
        group = replace(group, requantize=node)
        if add := only(node.name, Add):
            group = replace(group, add=add)
            if (clamp := only(add.name, Requantize)) and _only_clamps(program, clamp):
                group = replace(group, clamp=clamp)
    coded = [n for n in readers[group.sums] if n is not None and type(n.op) is Threshold]
    steps = [n for n in coded if program.types[n.name].type.bits <= most_bits]
    kept = len(readers[group.sums]) > 1
    # The sums of a bare convolution are not kept beside its codes: they are other numbers inside.
    if len(steps) == 1 and not (kept and group.requantize is None):
        group = replace(group, threshold=steps[0])
    return group


def _only_clamps(program: Program, node: Node) -> bool:
    _, mult, shift = program.operands(node)
    assert isinstance(mult, Constant)
    assert isinstance(shift, Constant)
    return bool((mult.array == 1).all() and (shift.array == 0).all())


def _rescales_in_32_bits(program: Program, node: Node) -> bool:
    """Whether every product and its half stay below 2**31."""
    kind = program.types[node.inputs[0]].type
    _, mult, shift = program.operands(node)
    assert isinstance(mult, Constant)
    assert isinstance(shift, Constant)
    product = max(abs(kind.lo), abs(kind.hi)) * np.abs(mult.array.astype(np.int64))
    half = (np.int64(1) << shift.array.astype(np.int64)) >> 1
    return bool((product + half < 2**31).all() and shift.array.max() < 32)


def scaling(op: Requantize, mult: Constant, shift: Constant, constant: Int64Array) -> Int32Array:
    """The constants (blocks, 6, LANES) of ``microkernels.rescale``."""
    shifts = shift.array.astype(np.int64)
    half = (np.int64(1) << shifts) >> 1
    # Without a shift there is no tie: no step down either.
    even = (half > 0) & (op.rounding == "half_even")
    below = (half > 0) & (op.rounding == "half_away")
    rows = np.stack([constant[: len(shifts)], mult.array, half, shifts, even, below], axis=1)
    packed = aligned((blocks_of(len(rows)), rows.shape[1], LANES), np.int32)
    packed[:] = lanes(rows.astype(np.int64))
    return packed


def lanes(values: NDArray[np.int64], fill: int = 0) -> NDArray[np.int64]:
    """values (F, ...) -> (blocks, ..., LANES); lanes past F hold ``fill``."""
    blocks = blocks_of(len(values))
    padded = np.full((blocks * LANES, *values.shape[1:]), fill, dtype=np.int64)
    padded[: len(values)] = values
    return np.moveaxis(padded.reshape(blocks, LANES, *values.shape[1:]), 1, -1)


def staircase(
    t: Constant, sign: Constant, x: IntType, shift: Int64Array | int = 0
) -> tuple[Int32Array, Int64Array]:
    """Thresholds (blocks, 2**bits - 1, LANES) and flips (blocks,) of a Threshold on type ``x``.

    Where the sign is -1, sign*x >= t is x < 1 - t: thresholds of x in the other order, and the code
    turned over. Levels that the codes' bits have and ``t`` has not are passed by no value, or, if
    turned over, by all. ``shift`` (F,) is what is still to be added to the values.
    """
    count = t.shape[1]
    most, negative = 2 ** count.bit_length() - 1, sign.array.reshape(-1, 1) < 0
    signed = t.array.astype(np.int64)
    up = np.clip(signed, x.lo, x.hi + 1)
    down = np.clip(1 - signed, x.lo, x.hi + 1)[:, ::-1]
    bounds = np.iinfo(np.int32)
    levels = np.full((len(signed), most), bounds.max, dtype=np.int64)
    levels[:, :count] = up
    turned = np.full_like(levels, bounds.min)
    turned[:, most - count :] = down
    levels = np.where(negative, turned, levels)
    moved = np.clip(levels - np.reshape(shift, (-1, 1)), bounds.min, bounds.max)
    rows = np.where((levels == bounds.min) | (levels == bounds.max), levels, moved)
    packed = aligned((blocks_of(len(rows)), most, LANES), np.int32)
    packed[:] = lanes(rows)
    bits = lanes(negative[:, 0].astype(np.int64)) << np.arange(LANES)
    return packed, bits.sum(axis=-1)
