"""Wrong records: files, weight bits, operation counts, ranges of types."""

from __future__ import annotations

import json

import numpy as np

from refnet.program import IntType
from refnet.vectors.answering import right
from refnet.vectors.building import operator_of, program_of
from refnet.vectors.functions import Outputs
from refnet.vectors.record import Vector


def file_big_endian(vector: Vector) -> Outputs:
    """Writes arrays with the highest byte first."""
    program = program_of(vector)
    data = bytearray(right(vector)["file"].tobytes())
    size = int.from_bytes(data[8:16], "little")
    start = -(-(48 + size) // 64) * 64
    for entry in json.loads(bytes(data[48 : 48 + size]))["constants"]:
        held = program.constants[entry["name"]].array
        first = start + entry["offset"]
        raw = held.astype(held.dtype.newbyteorder(">")).tobytes()
        data[first : first + len(raw)] = raw
    return {"file": np.frombuffer(bytes(data), dtype=np.uint8)}


def file_unaligned(vector: Vector) -> Outputs:
    """Writes the arrays right after the header."""
    data = right(vector)["file"]
    size = int.from_bytes(data[8:16].tobytes(), "little")
    start = -(-(48 + size) // 64) * 64
    return {"file": np.concatenate([data[: 48 + size], data[start:]])}


def all_constants_weigh(vector: Vector) -> Outputs:
    """Counts the bits of every constant."""
    held = program_of(vector).constants.values()
    return {"bits": np.array([sum(c.array.size * c.type.bits for c in held)])}


def stored_bits(vector: Vector) -> Outputs:
    """Counts the bits of the storage: 8 for a trit."""
    program = program_of(vector)
    names = {n.inputs[1] for n in program.nodes if type(n.op).__name__ == "Conv"}
    return {"bits": np.array([8 * sum(program.constants[n].array.nbytes for n in names)])}


def zero_weights_skipped(vector: Vector) -> Outputs:
    """Zero weights count no MACs."""
    found = dict(right(vector))
    if "w" in vector.arrays:
        w = vector.arrays["w"]
        found["macs"] = found["macs"] * np.count_nonzero(w) // w.size
    return found


def bias_is_a_mac(vector: Vector) -> Outputs:
    """The bias counts as a MAC."""
    found = dict(right(vector))
    found["macs"] = found["macs"] + (found["additions"] if found["macs"].any() else 0)
    return found


def range_without_zero(vector: Vector) -> Outputs:
    """The proved range of the final sum instead of that of every partial sum."""
    found = dict(right(vector))
    if vector.attributes["op"] != "Conv":
        return found
    held, type = vector.arrays, IntType.parse(vector.inputs[0].type)
    w = held["w"].reshape(len(held["w"]), -1).astype(np.int64)
    b = held.get("b", np.zeros(len(w), np.int64)).astype(np.int64)
    ends = np.stack([w * type.lo, w * type.hi])
    found["range"] = np.array(
        [(ends.min(axis=0).sum(axis=1) + b).min(), (ends.max(axis=0).sum(axis=1) + b).max()]
    )
    return found


def range_of_result_storage(vector: Vector) -> Outputs:
    """The proved range is that of the storage of the result."""
    found = dict(right(vector))
    lo, hi = found["range"].tolist()
    info = np.iinfo(IntType(lo=lo, hi=hi).dtype)
    found["range"] = np.array([info.min, info.max])
    return found


def range_of_the_data(vector: Vector) -> Outputs:
    """The proved range is what the data at hand give."""
    found = dict(right(vector))
    op = operator_of(vector.attributes["op"], vector.attributes["attributes"])
    y = op.evaluate(*(a.array() for a in vector.operands))
    seen = y if y.size else np.zeros(1, np.int64)
    found["range"] = np.array([seen.min(), seen.max()])
    return found


def work_of_the_batch(vector: Vector) -> Outputs:
    """Counts the operations of all images."""
    images = vector.inputs[0].shape[0]
    return {name: images * count for name, count in right(vector).items()}


def symmetric_names(vector: Vector) -> Outputs:
    """``intK`` is the symmetric range: int8 is [-127, 127]."""
    found = dict(right(vector))
    lo, hi = found["range"].tolist()
    if lo == -hi - 1:
        found["range"] = np.array([-hi, hi])
    return found


def signed_storage(vector: Vector) -> Outputs:
    """Storage always has a sign: 16 bits for uint8, 32 for uint16."""
    found = dict(right(vector))
    bits, signed = found["storage"].tolist()
    found["storage"] = np.array([bits if signed else 2 * bits, 1])
    return found


def storage_range(vector: Vector) -> Outputs:
    """A range is that of the storage: sint8 and ternary are int8."""
    found = dict(right(vector))
    held = IntType.parse(vector.attributes["name"])
    info = np.iinfo(held.dtype)
    found["range"] = np.array([info.min, info.max])
    return found
