"""Checks that are missing: implementations that answer what they must refuse."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from refnet.program import run, saturate
from refnet.program.files import from_bytes
from refnet.vectors.building import KINDS, operator_of, program_of
from refnet.vectors.functions import Outputs
from refnet.vectors.record import Vector
from refnet.vectors.wrong_codes import type_of


def fields_unchecked(vector: Vector) -> Outputs:
    """Any field is a code: 10 becomes -2."""
    size, type = vector.attributes["size"], type_of(vector)
    bits = np.unpackbits(vector.arrays["bytes"].astype(np.uint8), axis=-1, bitorder="little")
    if vector.op == "unpack_planes":
        fields = np.moveaxis(bits, 0, -1)[..., :size, :].astype(np.int64)
    else:
        held = bits[..., : size * type.bits].astype(np.int64)
        fields = held.reshape(*held.shape[:-1], size, type.bits)
    codes = (fields << np.arange(fields.shape[-1])).sum(axis=-1)
    negative = type.signed & (codes > type.hi)
    return {"codes": np.where(negative, codes - 2**type.bits, codes)}


def trit_bytes_unchecked(vector: Vector) -> Outputs:
    """Every byte holds five trits, and missing trits may be anything."""
    held = vector.arrays["bytes"].astype(np.int64)
    digits = (held[..., None] // 3 ** np.arange(5) % 3).reshape(*held.shape[:-1], -1)
    trits = np.where(digits == 2, -1, digits)
    return {"codes": trits[..., : vector.attributes["size"]]}


def negative_zero(vector: Vector) -> Outputs:
    """A negative zero is a zero, and padding may be anything."""
    held, size = vector.arrays, vector.attributes["size"]
    nonzero, negative = (
        np.unpackbits(held[k].astype(np.uint8), axis=-1, bitorder="little")[..., :size].astype(int)
        for k in ("nonzero", "negative")
    )
    return {"codes": nonzero * (1 - 2 * negative)}


def types_unchecked(vector: Vector) -> Outputs:
    """An operator carried out without its type rule: no accumulator bound, no order, no limits."""
    op = operator_of(vector.op, vector.attributes)
    arrays = tuple(a.array() for a in vector.operands)
    if vector.op == "Threshold" and len(arrays) == 3 and arrays[1].ndim != 2:
        raise ValueError("thresholds are read by rows")
    return {"y": op.evaluate(*arrays)}


def attributes_unchecked(vector: Vector) -> Outputs:
    """Unknown attributes are skipped, a missing rounding rule is half_even."""
    given = dict(vector.attributes)
    names = tuple(KINDS[vector.op].__dataclass_fields__)  # type: ignore[attr-defined]
    if vector.op == "Requantize":
        given.setdefault("rounding", "half_even")
    if "stride" in names:
        given.setdefault("stride", given.get("kernel", [1, 1]))
    op = operator_of(vector.op, {k: v for k, v in given.items() if k in names})
    return {"y": op.evaluate(*(a.array() for a in vector.operands))}


def input_clamped(vector: Vector) -> Outputs:
    """An input that leaves its type is clamped into it."""
    program = program_of(vector)
    x, held = vector.arrays[program.input], program.input_type.type
    return {program.output: run(program, saturate(x, held.lo, held.hi))}


_FRONT = 48


def _opened(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a program file and its arrays, no checksum looked at."""
    size = int.from_bytes(data[8:16], "little")
    if len(data) < _FRONT or size > len(data) - _FRONT:
        raise ValueError("truncated")
    return json.loads(data[_FRONT : _FRONT + size]), data[-(-(_FRONT + size) // 64) * 64 :]


def _closed(data: bytes, header: dict[str, Any], arrays: bytes) -> bytes:
    """A file with the magic bytes of ``data`` and the right checksum of ``header``."""
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    front = data[:8] + len(text).to_bytes(8, "little") + hashlib.sha256(text).digest() + text
    return front + bytes(-len(front) % 64) + arrays


def checksums_ignored(vector: Vector) -> Outputs:
    """A file is read as if every checksum matched."""
    data = vector.arrays["file"].astype(np.uint8).tobytes()
    header, arrays = _opened(data)
    for entry in header.get("constants", ()):
        raw = arrays[entry["offset"] : entry["offset"] + entry["bytes"]]
        entry["sha256"] = hashlib.sha256(raw).hexdigest()
    return {"y": run(from_bytes(_closed(data, header, arrays)), vector.arrays["x"])}


def alignment_ignored(vector: Vector) -> Outputs:
    """Reads the arrays of a file as if they followed each other without a gap."""
    data = vector.arrays["file"].astype(np.uint8).tobytes()
    header, arrays = _opened(data)
    read, place = b"", 0
    for entry in header["constants"]:
        raw = arrays[place : place + entry["bytes"]]
        place += entry["bytes"]
        entry["sha256"] = hashlib.sha256(raw).hexdigest()
        read += raw + bytes(-len(raw) % 64)
    return {"y": run(from_bytes(_closed(data, header, read)), vector.arrays["x"])}
