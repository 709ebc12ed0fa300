"""Program files: magic bytes, a JSON header, raw arrays; no pickle ([5.3] of the specification).

Layout: 8 magic bytes, the header's length (8 bytes, little-endian), its SHA-256 (32 bytes), the
header (canonical JSON), zeros up to a multiple of 64, then the arrays, each little-endian in C
order and padded with zeros to a multiple of 64. The same program gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np

from refnet.program.op import Op
from refnet.program.operators import OPERATORS, attributes
from refnet.program.program import Node, Program
from refnet.program.types import Constant, IntType, ProgramError, TensorType

MAGIC = b"RNPROG\r\n"
FORMAT_VERSION = 1
_PREFIX = len(MAGIC) + 8 + 32
_ALIGN = 64


def _aligned(size: int) -> int:
    return -(-size // _ALIGN) * _ALIGN


def _plain(value: Any) -> Any:
    """An attribute as JSON: types by name, tuples as lists."""
    if isinstance(value, IntType):
        return value.name
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def to_bytes(program: Program) -> bytes:
    """The file of ``program`` as bytes."""
    arrays, blobs, offset = [], [], 0
    for name in sorted(program.constants):
        held = program.constants[name]
        blob = held.array.astype(held.array.dtype.newbyteorder("<")).tobytes()
        arrays.append(
            {
                "name": name,
                "type": held.type.name,
                "shape": list(held.shape),
                "offset": offset,
                "bytes": len(blob),
                "sha256": hashlib.sha256(blob).hexdigest(),
            }
        )
        blobs.append(blob.ljust(_aligned(len(blob)), b"\0"))
        offset += len(blobs[-1])
    nodes = [
        {
            "name": node.name,
            "op": type(node.op).__name__,
            "attributes": {k: _plain(v) for k, v in attributes(node.op).items()},
            "inputs": list(node.inputs),
        }
        for node in program.nodes
    ]
    source = program.input_type
    header = {
        "format": FORMAT_VERSION,
        "name": program.name,
        "input": {"name": program.input, "type": source.type.name, "shape": list(source.shape)},
        "nodes": nodes,
        "output": program.output,
        "constants": arrays,
    }
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    prefix = MAGIC + len(text).to_bytes(8, "little") + hashlib.sha256(text).digest() + text
    return prefix.ljust(_aligned(len(prefix)), b"\0") + b"".join(blobs)


def save(program: Program, path: str | os.PathLike[str]) -> None:
    """Write ``program`` to ``path``: under a temporary name first, then renamed."""
    target, data = Path(path), to_bytes(program)
    # A plain open, so that the file gets the permissions of any new file.
    temporary = target.with_name(f"{target.name}.{secrets.token_hex(8)}.part")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load(path: str | os.PathLike[str]) -> Program:
    """Read a program; raises :class:`ProgramError` naming the file and what is wrong with it."""
    try:
        return from_bytes(Path(path).read_bytes())
    except ProgramError as error:
        raise ProgramError(f"{os.fspath(path)}: {error}") from None


def is_program(path: str | os.PathLike[str]) -> bool:
    """Whether the file begins with the magic bytes."""
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def from_bytes(data: bytes) -> Program:
    """The program in the bytes of a file; every length, checksum and field is checked.

    A program has one file: a header that says the same in other words is refused.
    """
    try:
        program = _program(data)
    except RecursionError:
        raise ProgramError("header: nested too deeply") from None
    if to_bytes(program) != data:
        raise ProgramError("header: not canonical, rule the bytes that save writes")
    return program


def _program(data: bytes) -> Program:
    header, start = _header(data)
    _fields(header, "header", "format name input nodes output constants")
    if header["format"] != FORMAT_VERSION:
        raise ProgramError(f"format {header['format']!r}, rule {FORMAT_VERSION}")
    source = _fields(header["input"], "input", "name type shape")
    return Program(
        name=header["name"],
        input=source["name"],
        input_type=TensorType(type=_type(source["type"]), shape=_shape(source["shape"])),
        nodes=tuple(_node(n) for n in _listed(header["nodes"], "nodes")),
        constants=_constants(_listed(header["constants"], "constants"), data, start),
        output=header["output"],
    )


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    if data[: len(MAGIC)] != MAGIC:
        raise ProgramError("not a program file: magic bytes missing")
    size = int.from_bytes(data[len(MAGIC) : len(MAGIC) + 8], "little")
    if len(data) < _PREFIX or size > len(data) - _PREFIX:
        raise ProgramError(f"truncated: {len(data)} bytes, header of {size} announced")
    text = data[_PREFIX : _PREFIX + size]
    if hashlib.sha256(text).digest() != data[len(MAGIC) + 8 : _PREFIX]:
        raise ProgramError("header: checksum does not match")
    start = _aligned(_PREFIX + size)
    if data[_PREFIX + size : start].strip(b"\0"):
        raise ProgramError("header: padding must be zero")
    try:
        header = json.loads(text, object_pairs_hook=_unique)
    except ValueError as error:
        raise ProgramError(f"header: {type(error).__name__} in JSON") from None
    return header, start


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field appears twice")
    return fields


def _fields(value: Any, what: str, names: str) -> dict[str, Any]:
    """``value`` as a record with exactly these fields."""
    want = set(names.split())
    if not isinstance(value, dict) or set(value) != want:
        seen = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise ProgramError(f"{what}: fields {seen}, rule {sorted(want)}")
    return value


def _listed(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise ProgramError(f"{what}: {type(value).__name__}, rule a list")
    return value


def _type(value: Any) -> IntType:
    if not isinstance(value, str):
        raise ProgramError(f"integer type {value!r} must be a string")
    return IntType.parse(value)


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(_listed(value, "shape"))


def _node(value: Any) -> Node:
    record = _fields(value, "node", "name op attributes inputs")
    kinds: dict[Any, type[Op]] = {kind.__name__: kind for kind in OPERATORS}
    kind = kinds.get(record["op"]) if isinstance(record["op"], str) else None
    if kind is None:
        raise ProgramError(f"node {record['name']!r}: operator {record['op']!r} does not exist")
    names = " ".join(kind.__dataclass_fields__)  # type: ignore[attr-defined]
    given = _fields(record["attributes"], f"node {record['name']!r}", names)
    values = {k: _type(v) if k == "type" else _tuples(v) for k, v in given.items()}
    try:
        op = kind(**values)
    except (ProgramError, TypeError) as error:
        raise ProgramError(f"{kind.__name__} {record['name']!r}: {error}") from None
    inputs = _listed(record["inputs"], "inputs")
    if not all(isinstance(name, str) for name in inputs):
        raise ProgramError(f"node {record['name']!r}: inputs {inputs!r} must be names")
    return Node(name=record["name"], op=op, inputs=tuple(inputs))


def _constants(records: list[Any], data: bytes, start: int) -> dict[str, Constant]:
    constants: dict[str, Constant] = {}
    end = start
    for record in records:
        _fields(record, "constant", "name type shape offset bytes sha256")
        name = record["name"]
        if not isinstance(name, str) or name in constants:
            raise ProgramError(f"constant {name!r}: a name, once")
        type, shape = _type(record["type"]), _shape(record["shape"])
        size = TensorType(type=type, shape=shape).elements * type.dtype.itemsize
        if record["offset"] != end - start or record["bytes"] != size or end + size > len(data):
            raise ProgramError(
                f"constant {name!r}: {record['bytes']!r} bytes at {record['offset']!r}, "
                f"rule {size} at {end - start} inside the file of {len(data)}"
            )
        blob = data[end : end + size]
        if hashlib.sha256(blob).hexdigest() != record["sha256"]:
            raise ProgramError(f"constant {name!r}: checksum does not match")
        array = np.frombuffer(blob, dtype=type.dtype.newbyteorder("<")).reshape(shape)
        constants[name] = Constant(type=type, array=array.astype(type.dtype))
        end = start + _aligned(end - start + size)
        if data[start + record["offset"] + size : end].strip(b"\0"):
            raise ProgramError(f"constant {name!r}: padding must be zero")
    if end != len(data):
        raise ProgramError(f"{len(data)} bytes, rule {end}")
    return constants
