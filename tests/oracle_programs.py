"""The oracle's records: types, operators, programs and files from JSON, and what is refused.

Written from specs/01, 04 and 05 alone. A record has the fields that the text names; the class of an
operator has its name, so that the other parts of the oracle take these records and the project's.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import oracle_codes
import oracle_types
from oracle import RULES, Value, require, type_range, type_storage

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}")
HEADER = {"format", "name", "input", "nodes", "output", "constants"}
KINDS = {name: type(name, (SimpleNamespace,), {}) for name in oracle_codes.ATTRIBUTES}


def type_of(name: Any) -> SimpleNamespace:
    lo, hi = type_range(name)
    return SimpleNamespace(lo=lo, hi=hi)


@dataclass(frozen=True)
class Nested:
    """Nested lists with a shape, read like an array."""

    values: list
    shape: tuple[int, ...]

    def tolist(self) -> list:
        return self.values


def shaped(flat: list, shape: tuple[int, ...]) -> Any:
    """Nested lists of ``shape`` from numbers in C order [1.2.2]."""
    if not shape:
        return flat[0]
    step = len(flat) // max(shape[0], 1)
    return [shaped(flat[i * step:(i + 1) * step], shape[1:]) for i in range(shape[0])]


def fields(given: Any, names: set[str]) -> Any:
    require(isinstance(given, dict) and set(given) == names, "[5.3.2] fields")
    return given


def integers(given: Any, least: int, count: int | None = None) -> tuple[int, ...]:
    require(isinstance(given, (list, tuple)), "[5.3.2] a list")
    require(all(type(v) is int and least <= v < 2**31 for v in given), f"integers from {least}")
    require(count in (None, len(given)), "as many as there are axes")
    return tuple(given)


def operator_of(kind: Any, given: Any) -> Any:
    """The operator with these attributes, all of them and no others [4] [5.3.2]."""
    require(kind in KINDS, "[5.1.2] an operator")
    held = dict(fields(given, set(oracle_codes.ATTRIBUTES[kind])))
    for name in held.keys() & {"kernel", "stride", "dilation"}:
        held[name] = integers(held[name], 1, 2)
    if "padding" in held:
        require(isinstance(held["padding"], list) and len(held["padding"]) == 2, "[4.1.1] padding")
        held["padding"] = tuple(integers(pads, 0, 2) for pads in held["padding"])
    if "groups" in held:
        (held["groups"],) = integers([held["groups"]], 1)
    if "shape" in held:
        held["shape"] = integers(held["shape"], 1)
        require(1 <= len(held["shape"]) <= 3, "[4.7.1] axes")
    if "rounding" in held:
        require(held["rounding"] in RULES, "[3.1.2] a rule is named")
        held["type"] = type_of(held["type"])
    return KINDS[kind](**held)


def constant_of(name: str, type: str, shape: tuple[int, ...], flat: list) -> SimpleNamespace:
    """[5.1.3]"""
    held = type_of(type)
    require(1 <= len(integers(shape, 1)) <= 4, f"[5.1.3] axes of {name}")
    require(all(held.lo <= q <= held.hi for q in flat), f"[5.1.3] {name} leaves its type")
    return SimpleNamespace(type=held, array=Nested(shaped(flat, shape), shape))


def program_of(given: Any, constants: dict[str, SimpleNamespace]) -> SimpleNamespace:
    """The program of a header, or Refused [5.1]; ``types`` are the Values of everything in it."""
    source = fields(given["input"], {"name", "type", "shape"})
    shape = integers(source["shape"], 1)
    require(1 <= len(shape) <= 3, "[5.1.1] axes of the input")
    kind = type_of(source["type"])
    values = {source["name"]: Value(kind.lo, kind.hi, shape)}
    steps, used = [], {given["output"]}
    names = [given["name"], source["name"], *constants]
    for name, held in constants.items():
        require(name not in values, "[5.1.2] single assignment")
        values[name] = Value(held.type.lo, held.type.hi, held.array.shape, held.array.values)
    for step in given["nodes"]:
        fields(step, {"name", "op", "attributes", "inputs"})
        require(all(name in values for name in step["inputs"]), "[5.1.2] operands exist")
        require(step["name"] not in values, "[5.1.2] single assignment")
        op = operator_of(step["op"], step["attributes"])
        values[step["name"]] = oracle_types.infer(op, *(values[n] for n in step["inputs"]))
        steps.append(SimpleNamespace(name=step["name"], op=op, inputs=tuple(step["inputs"])))
        used |= set(step["inputs"])
        names.append(step["name"])
    require(all(isinstance(n, str) and NAME.fullmatch(n) for n in names), "[5.1.2] names")
    require(given["output"] in values and given["output"] not in constants, "[5.1.1] output")
    require(set(values) <= used, "[5.1.4] a value that nothing uses")
    return SimpleNamespace(
        name=given["name"], input=source["name"], nodes=tuple(steps), output=given["output"],
        input_type=SimpleNamespace(type=kind, shape=shape), constants=constants, types=values)


def program_in(data: bytes) -> SimpleNamespace:
    """The program of a file, or Refused: the file must be the one that the program has [5.3]."""
    require(data[:8] == oracle_codes.MAGIC, "[5.3.1] magic")
    size = int.from_bytes(data[8:16], "little")
    require(len(data) >= 48 + size, "[5.3.1] length")
    text = data[48:48 + size]
    require(hashlib.sha256(text).digest() == data[16:48], "[5.3.1] checksum")
    try:
        header = json.loads(text)
    except ValueError:
        header = None
    fields(header, HEADER)
    arrays = data[-(-(48 + size) // 64) * 64:]
    constants = {}
    for entry in header["constants"]:
        fields(entry, {"name", "type", "shape", "offset", "bytes", "sha256"})
        raw = arrays[entry["offset"]:entry["offset"] + entry["bytes"]]
        storage = type_storage(*type_range(entry["type"]))
        width, signed = int(storage.strip("uint")) // 8, not storage.startswith("u")
        elements = 1
        for length in integers(entry["shape"], 1):
            elements *= length
        require(len(raw) == elements * width, "[5.3.3] bytes of the shape")
        flat = [int.from_bytes(raw[i:i + width], "little", signed=signed)
                for i in range(0, len(raw), width)]
        constants[entry["name"]] = constant_of(
            entry["name"], entry["type"], tuple(entry["shape"]), flat)
    program = program_of(header, constants)
    require(oracle_codes.file_bytes(program) == data, "[5.3.2] a program has one file")
    return program
