"""Design spaces: a TOML file that names workloads, architectures, and what is varied [7e.1].

    workloads = ["resnet50.csv", {file = "resnet50.csv", as = "twostep"}]
    architectures = ["edge-16x16-os"]
    minimise = ["seconds", "energy_pj", "area_mm2"]

    [axes]
    rows = [8, 16, 32]
    input.bytes = [32768, 65536]
    bus = [{dram.bandwidth_bits_per_cycle = 64}, {dram.bandwidth_bits_per_cycle = 128}]

An axis is a field of an architecture with its values, or any name with tables that set several
fields at once. Every architecture is tried with every combination of the axes.
"""

from __future__ import annotations

import itertools
import math
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from hwsim import presets
from hwsim.architecture import Architecture, Dram, Memory, from_dict
from hwsim.layers import Gemm, Layer, Operand, Workload
from hwsim.shapes import Shape, as_method
from hwsim.workload import load

#: What a sweep can minimise, all of a whole workload; the first three unless a file says otherwise.
OBJECTIVES = ("seconds", "energy_pj", "area_mm2", "total_cycles", "stall_cycles", "dram_bits")
#: Most points of a space.
MOST_POINTS = 10**6
_PARTS = {"input": Memory, "weights": Memory, "output": Memory, "maps": Memory, "dram": Dram}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One combination: the architecture it starts from, the fields it sets, and the machine.

    ``machine`` is None, and ``refused`` says why, where the fields do not fit each other.
    """

    base: str
    settings: dict[str, Any]
    machine: Architecture | None
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Workloads, and the points on which each is tried; ``minimise`` are the objectives."""

    name: str
    workloads: tuple[Workload, ...]
    points: tuple[Point, ...]
    minimise: tuple[str, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields that the axes set, in the order of the file."""
        return tuple(dict.fromkeys(name for point in self.points for name in point.settings))


def read_space(path: str | os.PathLike[str]) -> Space:
    """The design space in a TOML file; files that it names lie beside it.

    Raises ``ValueError`` with the file, what was seen and the rule; ``OSError`` where a file cannot
    be read.
    """
    where = os.fspath(path)
    try:
        return _space(tomllib.loads(Path(path).read_text(encoding="utf-8-sig")), Path(path))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: {error}") from None


def _space(data: Mapping[str, Any], path: Path) -> Space:
    known = ("workloads", "architectures", "minimise", "axes")
    for key in data:
        if key not in known:
            raise ValueError(f"{key!r}, rule {', '.join(known)}")
    workloads = tuple(_workload(entry, path.parent) for entry in _list(data, "workloads"))
    names = [workload.name for workload in workloads]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"workload {twice!r} appears twice")
    bases = [_architecture(entry, path.parent) for entry in _list(data, "architectures")]
    minimise = tuple(_list(data, "minimise")) if "minimise" in data else OBJECTIVES[:3]
    for goal in minimise:
        if goal not in OBJECTIVES or minimise.count(goal) > 1:
            raise ValueError(f"minimise {goal!r}, rule each once of {', '.join(OBJECTIVES)}")
    axes = _axes(data.get("axes", {}))
    count = len(bases) * math.prod(len(values) for values in axes)
    if count > MOST_POINTS:
        raise ValueError(f"{count} points, rule at most {MOST_POINTS}")
    points = tuple(_points(bases, axes))
    if not any(point.machine for point in points):
        raise ValueError(f"none of {count} architectures is possible; {points[0].refused}")
    return Space(name=path.stem, workloads=workloads, points=points, minimise=minimise)


def _list(data: Mapping[str, Any], key: str) -> list[Any]:
    found = data.get(key)
    if not isinstance(found, list) or not found:
        raise ValueError(f"{key} = {found!r}, rule a list of one or more")
    return found


def _workload(entry: Any, folder: Path) -> Workload:
    """A file, or a table of file, topology (conv, gemm) and method."""
    table = {"file": entry} if isinstance(entry, str) else entry
    if not isinstance(table, dict) or not isinstance(table.get("file"), str):
        raise ValueError(f"workload {entry!r}, rule a file, or a table with one")
    for key, value in table.items():
        if key not in ("file", "topology", "as") or not isinstance(value, str):
            raise ValueError(f"workload {table['file']!r}: {key} = {value!r}, rule file, topology "
                             "and as, each a text")
    found = load(folder / table["file"], kind=table.get("topology"))
    if "as" in table:
        found = as_method(found, Shape.parse(table["as"]))
    return replace(found, layers=tuple(_bare(layer) for layer in found.layers))


def _bare(layer: Layer) -> Layer:
    """The layer without its codes, on which nothing here depends."""
    def bare(operand: Operand) -> Operand:
        return operand if operand.codes is None else replace(operand, codes=None)

    if isinstance(layer, Gemm):
        return replace(layer, input=bare(layer.input), weights=bare(layer.weights),
                       output=bare(layer.output))
    return replace(layer, inputs=tuple(map(bare, layer.inputs)), output=bare(layer.output))


def _architecture(entry: Any, folder: Path) -> Architecture:
    """A preset by name, or the architecture in a file beside the space."""
    if not isinstance(entry, str):
        raise ValueError(f"architecture {entry!r}, rule a name or a TOML file")
    if entry.endswith(".toml"):
        return Architecture.from_toml(folder / entry)
    return presets.find(entry)


def _axes(data: Any) -> list[list[dict[str, Any]]]:
    """The axes; each a list of what its values set."""
    if not isinstance(data, dict):
        raise ValueError(f"axes = {data!r}, rule a table")
    axes, seen = [], set[str]()
    for name, values in _flat(data):
        if not isinstance(values, list) or not values:
            raise ValueError(f"axis {name!r} = {values!r}, rule a list of values")
        tables = [isinstance(value, dict) for value in values]
        if any(tables) != all(tables):
            raise ValueError(f"axis {name!r}: tables beside values, rule one of them")
        axis = [dict(_flat(value)) if isinstance(value, dict) else {name: value}
                for value in values]
        for field in dict.fromkeys(field for step in axis for field in step):
            _check_field(field)
            if field in seen:
                raise ValueError(f"field {field!r} on two axes, rule one")
            seen.add(field)
        if len(set(map(repr, axis))) < len(axis):
            raise ValueError(f"axis {name!r}: a value twice, rule each once")
        axes.append(axis)
    return axes


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of nested tables."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def _check_field(name: str) -> None:
    part, _, inner = name.partition(".")
    if inner and part in _PARTS:
        known = [field.name for field in fields(_PARTS[part])]
        if inner in known:
            return
        raise ValueError(f"field {name!r}: {part} has {', '.join(known)}")
    known = [field.name for field in fields(Architecture) if field.name not in _PARTS]
    if name not in known or name in ("name", "source"):
        names = ", ".join(n for n in known if n not in ("name", "source"))
        raise ValueError(f"field {name!r}: exist {names}, and {', '.join(_PARTS)} with a dot")


def _points(bases: list[Architecture], axes: list[list[dict[str, Any]]]) -> Iterator[Point]:
    """Every architecture with every combination, the last axis fastest."""
    for base in bases:
        plain = base.as_dict()
        for steps in itertools.product(*axes):
            settings = {name: value for step in steps for name, value in step.items()}
            machine, refused = None, ""
            try:
                machine = from_dict(_set(plain, settings))
            except ValueError as error:
                refused = str(error)
            yield Point(base=base.name, settings=settings, machine=machine, refused=refused)


def _set(plain: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    changed = {k: dict(v) if isinstance(v, dict) else v for k, v in plain.items()}
    for name, value in settings.items():
        part, _, inner = name.partition(".")
        if inner:
            changed.setdefault(part, {})[inner] = value
        else:
            changed[part] = value
    return changed
