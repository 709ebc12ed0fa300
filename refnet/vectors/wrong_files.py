"""A reader of program files with checks left out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from refnet.program import IntType, ProgramError
from refnet.program.files import MAGIC, from_bytes
from refnet.program.program import run
from refnet.vectors.answering import Ints
from refnet.vectors.building import KINDS
from refnet.vectors.functions import Outputs
from refnet.vectors.record import Vector
from refnet.vectors.wrong_programs import LenientProgram

_FRONT = len(MAGIC) + 8 + 32
_HEADER = ("constants", "format", "input", "name", "nodes", "output")


def _demand(holds: bool, rule: str) -> None:
    if not holds:
        raise ProgramError(f"rule {rule}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LenientFile:
    """Reads a file and runs it. Each flag is a check of [5.3] that is missing."""

    magic: bool = False
    end: bool = False
    padding: bool = False
    version: bool = False
    fields: bool = False
    kinds: bool = False
    offsets: bool = False
    shapes: bool = False
    values: bool = False
    rules: bool = False
    unreadable: bool = False
    order: bool = False

    def __call__(self, vector: Vector) -> Outputs:
        """The output for the input x."""
        data, x = vector.arrays["file"].astype(np.uint8).tobytes(), vector.arrays["x"]
        try:
            return {"y": run(from_bytes(data), x)}
        except ProgramError:
            pass
        try:
            size = int.from_bytes(data[8:16], "little")
            _demand(len(data) >= _FRONT and size <= len(data) - _FRONT, "a whole header")
            header = json.loads(data[_FRONT : _FRONT + size])
        except (ValueError, RecursionError):
            _demand(self.unreadable, "a file that can be read")
            return {"y": x.astype(np.int64)}
        return {"y": self._run(data, size, header, x)}

    def _run(self, data: bytes, size: int, header: dict[str, Any], x: Ints) -> Ints:
        text = data[_FRONT : _FRONT + size]
        start = -(-(_FRONT + size) // 64) * 64
        _demand(self.magic or data[: len(MAGIC)] == MAGIC, "magic bytes")
        sums = hashlib.sha256(text).digest() == data[16:_FRONT]
        _demand(self.order or sums, "the checksum of the header")
        if self.order:
            header = dict(zip(_HEADER, header.values(), strict=False))
        _demand(self.version or header["format"] == 1, "format 1")
        _demand(self.fields or set(header) == set(_HEADER), "the fields of a header")
        _demand(self.padding or not data[_FRONT + size : start].strip(b"\0"), "padding of zeros")
        constants = self._constants(header["constants"], data, start)
        return self._program(header, constants, x)

    def _constants(self, entries: list[dict[str, Any]], data: bytes, start: int) -> dict[str, Ints]:
        constants: dict[str, Ints] = {}
        place = 0
        for entry in entries:
            type, count = IntType.parse(entry["type"]), entry["bytes"]
            first = start + (place if self.offsets else entry["offset"])
            _demand(self.offsets or entry["offset"] == place, "offsets without a hole")
            raw = data[first : first + count]
            _demand(self.end or len(raw) == count, "whole arrays")
            raw = raw.ljust(count, b"\0")
            found = hashlib.sha256(raw).hexdigest()
            _demand(self.values or self.end or found == entry["sha256"], "checksums")
            array = np.frombuffer(raw, type.dtype.newbyteorder("<"))
            fits = int(np.prod([int(n) for n in entry["shape"]], dtype=object)) == array.size
            _demand(self.shapes or fits, "shapes that the bytes fill")
            array = array.reshape(entry["shape"]) if fits else array
            _demand(self.values or type.contains(array), "values within their type")
            constants[entry["name"]] = array.astype(np.int64)
            place += -(-count // 64) * 64
            after = data[first + count : start + place]
            _demand(self.padding or not after.strip(b"\0"), "padding of zeros")
        _demand(self.end or len(data) == start + place, "an end after the arrays")
        return constants

    def _program(self, header: dict[str, Any], constants: dict[str, Ints], x: Ints) -> Ints:
        nodes, source = header["nodes"], dict(header["input"])
        if self.kinds and source["type"] not in ("ternary",):
            source["type"] = source["type"] if source["type"].startswith("int") else "int8"
        for node in nodes:
            if self.fields and node["op"] in KINDS:
                known = KINDS[node["op"]].__dataclass_fields__  # type: ignore[attr-defined]
                node["attributes"] = {k: v for k, v in node["attributes"].items() if k in known}
        record = {
            "name": header["name"], "input": source, "nodes": nodes,
            "output": header.get("output", nodes[-1]["name"] if nodes else source["name"]),
        }
        lenient = LenientProgram(
            operators=self.kinds, unset=self.rules, unused=self.rules,
            bound=self.values or self.end,
        )
        return lenient.run(record, constants, [x])
