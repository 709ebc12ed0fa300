"""A Liberty file and a mapped netlist: area, and the energy of random operands, gate by gate.

Energy is the sum over cells of toggles times (internal energy + half C V^2 of the pins driven), and
of clocks times what clock pins take. No wires and no glitches: every net changes at most once a
clock. Many streams of operands run side by side as the bits of one Python integer.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

STREAMS, CLOCKS, WARM_UP = 256, 200, 8
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}();:,]|[^\s{}();:,"]+')
#: Operands of every clock by port: one bit a net, one stream a bit of the integer.
Stimulus: TypeAlias = Callable[[str, int, int, random.Random], list[int]]


@dataclass
class Group:
    """A group of a Liberty file: its arguments, simple attributes and groups inside."""

    arguments: list[str]
    attributes: dict[str, str] = field(default_factory=dict)
    groups: list[tuple[str, Group]] = field(default_factory=list)

    def all(self, name: str) -> list[Group]:
        """The groups of this name."""
        return [group for kind, group in self.groups if kind == name]


def read_liberty(path: Path) -> Group:
    """The library group of a file."""
    text = re.sub(r"/\*.*?\*/", " ", path.read_text(), flags=re.S).replace("\\\n", " ")
    tokens = iter(_TOKEN.findall(text))
    top = Group([])
    _fill(top, tokens)
    return top.all("library")[0]


def _fill(group: Group, tokens: Iterator[str]) -> None:
    for name in tokens:
        if name == "}":
            return
        if name == ";":
            continue
        mark = next(tokens)
        if mark == ":":
            group.attributes[name] = _until(tokens, ";").strip('" ')
            continue
        arguments = [part.strip('" ') for part in _until(tokens, ")").split(" , ")]
        after = next(tokens, ";")
        if after == "{":
            inside = Group(arguments)
            _fill(inside, tokens)
            group.groups.append((name, inside))
        else:
            group.attributes[name] = ",".join(arguments)


def _until(tokens: Iterator[str], end: str) -> str:
    return " ".join(iter(lambda: next(tokens), end))


@dataclass(frozen=True)
class Cell:
    """A cell: area, capacitance of input pins in pF, functions and internal energies in pJ.

    ``passive`` is what a transition of an input takes, ``internal`` that of an output; both are
    means of rising and falling. ``clock`` and ``data`` name the pins of a flip-flop.
    """

    area: float
    capacitance: dict[str, float]
    functions: dict[str, str]
    internal: dict[str, float]
    passive: dict[str, float]
    clock: str | None
    data: str | None


def cells(library: Group) -> dict[str, Cell]:
    """Every cell by name."""
    return {group.arguments[0]: _cell(group) for group in library.all("cell")}


def _cell(group: Group) -> Cell:
    pins = {pin.arguments[0]: pin for pin in group.all("pin")}
    inputs = {n: p for n, p in pins.items() if p.attributes.get("direction") == "input"}
    outputs = {n: p for n, p in pins.items() if n not in inputs}
    flops = group.all("ff")
    return Cell(
        area=float(group.attributes["area"]),
        capacitance={n: float(p.attributes["capacitance"]) for n, p in inputs.items()},
        functions={n: p.attributes.get("function", "") for n, p in outputs.items()},
        internal={n: _transition(p) for n, p in outputs.items()},
        passive={n: _transition(p) for n, p in inputs.items()},
        clock=flops[0].attributes["clocked_on"] if flops else None,
        data=flops[0].attributes["next_state"] if flops else None,
    )


def _transition(pin: Group) -> float:
    """Mean internal energy of a transition, over related pins, at the least load and second slew.

    Tables run over slews first; on the load they hardly depend.
    """
    found = []
    for power in pin.all("internal_power"):
        for name, table in power.groups:
            if name in ("rise_power", "fall_power"):
                numbers = re.findall(r"[-+.0-9eE]+", table.attributes["values"])
                found.append(float(numbers[min(1, len(numbers) - 1)]))
    return sum(found) / len(found) if found else 0.0


@dataclass(frozen=True)
class Netlist:
    """A flat netlist of library cells: ports as lists of nets, instances with their pins."""

    ports: dict[str, tuple[str, list[Any]]]
    instances: dict[str, tuple[str, dict[str, Any]]]


def read_netlist(path: Path, top: str) -> Netlist:
    """From the JSON that Yosys writes."""
    module = json.loads(path.read_text())["modules"][top]
    return Netlist(
        {n: (p["direction"], p["bits"]) for n, p in module["ports"].items()},
        {n: (c["type"], {pin: bits[0] for pin, bits in c["connections"].items()})
         for n, c in module["cells"].items()},
    )


def _expression(function: str, nets: dict[str, str]) -> str:
    """A Liberty function over integers of streams: juxtaposed means AND."""
    tokens = re.findall(r"[A-Za-z]\w*|[()!+^*&|']", function)
    parts: list[str] = []
    for token in tokens:
        operand = token not in (")", "+", "^", "*", "&", "|", "'")
        if parts and operand and (parts[-1] == ")" or parts[-1] in nets.values()):
            parts.append("&")
        parts.append(nets.get(token, {"!": "~", "+": "|", "*": "&"}.get(token, token)))
    return "".join(parts)


def _ordered(netlist: Netlist, library: dict[str, Cell]) -> list[str]:
    """Statements that give every net in one clock, inputs before outputs."""
    pending, known, lines = [], {"0", "1"}, []
    for _, bits in (port for port in netlist.ports.values() if port[0] == "input"):
        known |= {str(bit) for bit in bits}
    for kind, pins in netlist.instances.values():
        cell = library[kind]
        if cell.clock is not None:
            known |= {str(pins[name]) for name in cell.functions if name in pins}
            continue
        nets = {name: f"v[{_key(pins[name])}]" for name in cell.capacitance}
        needs = {str(pins[name]) for name in cell.capacitance}
        for output, function in cell.functions.items():
            if output in pins:
                text = f"v[{_key(pins[output])}] = ({_expression(function, nets)}) & mask"
                pending.append((needs, str(pins[output]), text))
    while pending:
        ready = [line for line in pending if line[0] <= known]
        assert ready, "a loop of gates"
        lines += [text for _, _, text in ready]
        known |= {output for _, output, _ in ready}
        pending = [line for line in pending if line[1] not in known]
    return lines


def _key(net: Any) -> str:
    return str(net) if isinstance(net, int) else repr(net)


@dataclass(frozen=True)
class Measure:
    """Area in um2 and energy in pJ a clock, by part: clock, registers, accumulator, rest."""

    um2: dict[str, float]
    pj: dict[str, float]
    instances: int


def measure(
    netlist: Netlist, library: dict[str, Cell], volts: float, stimulus: Stimulus, seed: int
) -> Measure:
    """Run random operands through the gates and add up what every change of a net costs."""
    toggles = _toggles(netlist, library, stimulus, seed)
    load: dict[Any, float] = {}
    for kind, pins in netlist.instances.values():
        for name, pf in library[kind].capacitance.items():
            load[pins[name]] = load.get(pins[name], 0.0) + pf
    um2: dict[str, float] = {}
    pj: dict[str, float] = {}
    steps = STREAMS * (CLOCKS - WARM_UP)
    for name, (kind, pins) in netlist.instances.items():
        cell, inside = library[kind], "accumulator" in name
        part = "accumulator" if inside else "registers" if cell.clock else "logic"
        um2[part] = um2.get(part, 0.0) + cell.area
        spent = sum(
            toggles.get(net := pins[pin], 0)
            * (cell.internal[pin] + load.get(net, 0.0) * volts**2 / 2)
            for pin in cell.functions if pin in pins
        )
        spent += sum(toggles.get(pins[pin], 0) * cell.passive[pin]
                     for pin in cell.capacitance if pin != cell.clock)
        pj[part] = pj.get(part, 0.0) + spent / steps
        if cell.clock is not None:
            edges = 2 * cell.passive[cell.clock] + cell.capacitance[cell.clock] * volts**2
            pj["clock"] = pj.get("clock", 0.0) + edges
    return Measure(um2, pj, len(netlist.instances))


def _toggles(
    netlist: Netlist, library: dict[str, Cell], stimulus: Stimulus, seed: int
) -> dict[Any, int]:
    """How often every net changes, over all streams, after a few clocks."""
    rng, mask = random.Random(seed), (1 << STREAMS) - 1
    scope: dict[str, Any] = {}
    body = "\n ".join(_ordered(netlist, library) or ["pass"])
    exec(f"def settle(v, mask):\n {body}\n", scope)
    flops = [(pins[library[kind].data or ""], pins[output])
             for kind, pins in netlist.instances.values() if library[kind].clock
             for output in library[kind].functions if output in pins]
    v: dict[Any, int] = {"0": 0, "1": mask, "x": 0}
    v |= {q: rng.getrandbits(STREAMS) for _, q in flops}
    found: dict[Any, int] = {}
    before: dict[Any, int] = {}
    for clock in range(CLOCKS):
        for port, (direction, bits) in netlist.ports.items():
            if direction == "input" and port != "clk":
                values = stimulus(port, len(bits), clock, rng)
                v |= dict(zip(bits, values, strict=True))
        scope["settle"](v, mask)
        if clock >= WARM_UP:
            for net, value in v.items():
                found[net] = found.get(net, 0) + (value ^ before[net]).bit_count()
        before = dict(v)
        v |= {q: before[d] for d, q in flops}
    return found
