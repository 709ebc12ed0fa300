"""From a program to the stages of its plan: groups, forms of values, and turns between forms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from refnet.kernels import bytepairs, int8
from refnet.kernels.actions import Action, PartAction, carried_out, turn
from refnet.kernels.bytewise import eight_bit, pool
from refnet.kernels.dispatch import choose
from refnet.kernels.families import Family, family_of
from refnet.kernels.forms import Form, Place, positions
from refnet.kernels.fused import Group, match, readers_of, staircase
from refnet.kernels.layouts import Layout, reach, widest
from refnet.kernels.tiers import Tier
from refnet.program import Constant, Conv, MaxPool, Node, Program, Requantize, Threshold
from refnet.program.window import Pads

#: Kernels that leave bytes place after place, and how those that read bytes are made ready.
_BYTEWISE: dict[str, Any] = {"int8": int8.direct, "bytepairs": bytepairs.direct, "int16": None}
_NO_PADS: Pads = ((0, 0), (0, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of a plan: the nodes it carries out, by which kernel, from where to where."""

    nodes: tuple[str, ...]
    kernel: str
    reads: tuple[Place, ...]
    writes: tuple[Place, ...]
    action: Action | PartAction
    #: Whether threads may do it in parts.
    in_parts: bool = False


@dataclass(slots=True)
class Assembly:
    """Stages in order, and the layouts of values that lie packed."""

    program: Program
    tier: Tier
    images: int
    stages: list[Stage] = field(default_factory=list)
    layouts: dict[str, Layout] = field(default_factory=dict)
    #: Places that take the memory of an earlier one.
    shared: dict[Place, Place] = field(default_factory=dict)
    _made: set[Place] = field(default_factory=set)

    def assemble(self) -> None:
        """Fill ``stages``; the output ends in plain form."""
        program, family = self.program, family_of(self.tier)
        groups = match(program, family)
        if family is not None:
            self._lay_out(groups, family)
        self._made.add((program.input, "plain"))
        for node in program.nodes:
            group = groups.get(node.name)
            if group is not None:
                if node.name == group.sums:    # whoever reads the sums comes after this node
                    assert family is not None
                    self._add_group(group, family)
            elif not (
                self._add_eight_bit(node) or self._add_pool(node) or self._add_codes(node, family)
            ):
                self._add_plain(node)
        self._need(program.output, "plain")

    def _lay_out(self, groups: dict[str, Group], family: Family) -> None:
        """The border of each packed value: the widest that a reader wants."""
        types = self.program.types
        for group in groups.values():
            x, w = group.conv.inputs[:2]
            op, kernel = group.conv.op, self.program.constants[w].shape[2:]
            assert isinstance(op, Conv)
            pads = reach(op, types[x], (kernel[0], kernel[1]))
            held = self.layouts.get(x)
            pads = pads if held is None else widest(held.pads, pads)
            self.layouts[x] = family.layout(types[x], pads)
        for group in groups.values():
            if group.threshold is not None:
                name = group.threshold.name
                self.layouts.setdefault(name, family.layout(types[name], _NO_PADS))

    # --- turns between forms ---------------------------------------------------------------------

    def _need(self, name: str, form: Form) -> Place:
        """The place, after the stages that fill it."""
        place: Place = (name, form)
        if place in self._made:
            return place
        forms: tuple[Form, ...] = ("plain", "bytes", "rows", "planes")
        source = next(f for f in forms if (name, f) in self._made)
        if "plain" not in (source, form) and (source, form) != ("bytes", "rows"):
            source = self._need(name, "plain")[1]
        action = turn(self.program.types[name], source, form, self.layouts.get(name))
        self._append((), f"{source} to {form}", ((name, source),), (place,), action)
        return place

    def _append(
        self, nodes: tuple[str, ...], kernel: str, reads: tuple[Place, ...],
        writes: tuple[Place, ...], action: Action | PartAction, *, in_parts: bool = False,
    ) -> None:
        self.stages.append(
            Stage(
                nodes=nodes, kernel=kernel, reads=reads, writes=writes, action=action,
                in_parts=in_parts,
            )
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

    def _reader(self, name: str) -> Node | None:
        """The only reader of a value."""
        readers = readers_of(self.program)[name]
        return readers[0] if len(readers) == 1 else None

    def _add_eight_bit(self, node: Node) -> bool:
        """A Requantize to unsigned bytes takes the 8-bit convolution before it along."""
        program, op = self.program, node.op
        if isinstance(op, Conv):
            then = self._reader(node.name)
            return then is not None and self._is_eight_bit(node, then)
        conv = next((n for n in program.nodes if n.name == node.inputs[0]), None)
        if conv is None or self._reader(conv.name) is not node:
            return False
        if not self._is_eight_bit(conv, node):
            return False
        assert isinstance(op, Requantize)
        assert isinstance(conv.op, Conv)
        x, *held = conv.inputs
        kernel = choose(conv.op, program.operands(conv), self.tier).name
        action = eight_bit(
            _BYTEWISE[kernel], conv.op, op, program.types[x], tuple(map(self.constant, held)),
            *map(self.constant, node.inputs[1:]),
        )
        self._append(
            (conv.name, node.name), kernel, (self._need(x, "plain"),), ((node.name, "bytes"),),
            action, in_parts=True,
        )
        return True

    def _is_eight_bit(self, conv: Node, then: Node) -> bool:
        op, operands = then.op, self.program.operands(conv)
        if not (isinstance(conv.op, Conv) and isinstance(op, Requantize)):
            return False
        unsigned = op.type.lo >= 0 and op.type.hi <= 255
        kernel = choose(conv.op, operands, self.tier).name
        # Wider codes and weights stay by themselves where bytes have a kernel for any weights.
        suits = kernel != "int16" or self.tier == Tier.AVX2
        return unsigned and suits and kernel in _BYTEWISE

    def _add_pool(self, node: Node) -> bool:
        """A MaxPool of what lies in bytes."""
        x = node.inputs[0]
        if not (isinstance(node.op, MaxPool) and (x, "bytes") in self._made):
            return False
        types = self.program.types
        action = pool(node.op, types[x], types[node.name])
        self._append(
            (node.name,), "max_pool", ((x, "bytes"),), ((node.name, "bytes"),), action,
            in_parts=True,
        )
        return True

    def _add_codes(self, node: Node, family: Family | None) -> bool:
        """A Threshold whose codes a convolution reads packed, of what lies in bytes or rows."""
        x, layout = node.inputs[0], self.layouts.get(node.name)
        here = {(x, "bytes"), (x, "rows")} & self._made
        if not (isinstance(node.op, Threshold) and layout is not None and here):
            return False
        assert family is not None
        pack_rows, kernel = family.pack_rows, family.kernel.name
        t, sign = (self.constant(name) for name in node.inputs[1:])
        steps, flips = staircase(t, sign, self.program.types[x].type)
        places, count = layout.insides(self.images), positions(self.program.types[x])

        def action(reads: Any, writes: Any, images: int) -> None:
            rows = reads[0].reshape(-1, reads[0].shape[-1])[: images * count]
            pack_rows(rows, steps, flips, layout.bits, writes[0], places)

        read = self._need(x, "rows")
        self._append((node.name,), kernel, (read,), ((node.name, "planes"),), action)
        return True

    def _add_group(self, group: Group, family: Family) -> None:
        reads = [self._need(group.conv.inputs[0], "planes")]
        writes: list[Place] = []
        if group.addend is not None:
            reads.append(self._need(group.addend, "rows"))
        if group.threshold is None or self._is_kept(group):
            writes.append((group.sums, "rows"))
        if group.threshold is not None:
            writes.append((group.threshold.name, "planes"))
        action = carried_out(self.program, group, self.layouts, self.images, family)
        names = tuple(node.name for node in group.nodes)
        self._share_rows(group, writes)
        self._append(
            names, family.kernel.name, tuple(reads), tuple(writes), action, in_parts=True
        )

    def _share_rows(self, group: Group, writes: list[Place]) -> None:
        """Let the sums take the memory of the addend, where nobody reads that any more."""
        addend, names = group.addend, {node.name for node in group.nodes}
        if addend is None or (group.sums, "rows") not in writes:
            return
        done = names | {name for stage in self.stages for name in stage.nodes}
        readers = readers_of(self.program)[addend]
        if all(reader is not None and reader.name in done for reader in readers):
            self.shared[group.sums, "rows"] = (addend, "rows")

    def _is_kept(self, group: Group) -> bool:
        """Whether anything but the group's own Threshold reads its sums."""
        return len(readers_of(self.program)[group.sums]) > 1

    def constant(self, name: str) -> Constant:
        """A constant of the program."""
        return self.program.constants[name]
