"""The oracle's half for bytes: the packings of specs/02 and the files of specs/05, plain Python."""

from __future__ import annotations

import hashlib
import json

from oracle import numbers_in, require, type_bits, type_name, type_storage

# --- [2.1] fields of k bits ---------------------------------------------------------------------


def field_of(q: int, k: int) -> list[int]:
    """Bits 0 to k - 1 of q mod 2**k [2.1.1]."""
    number = q % 2**k
    return [(number // 2**j) % 2 for j in range(k)]


def code_of(bits: list[int], lo: int, hi: int) -> int:
    """The code of [lo, hi] with this field; a field that is no code is refused [2.1.3]."""
    k = len(bits)
    number = sum(bit * 2**j for j, bit in enumerate(bits))
    codes = [q for q in (number, number - 2**k) if lo <= q <= hi and q % 2**k == number]
    require(len(codes) == 1, f"field {number} is no code")
    return codes[0]


def bytes_of(bits: list[int]) -> list[int]:
    """The first bit is bit 0 of byte 0; the rest of the last byte is zero."""
    row = [0] * -(-len(bits) // 8)
    for place, bit in enumerate(bits):
        row[place // 8] += bit * 2 ** (place % 8)
    return row


def bits_of(row: list[int], count: int) -> list[int]:
    """The first ``count`` bits; a wrong number of bytes or padding that is not zero is refused."""
    require(len(row) == -(-count // 8), "[2.1.3] number of bytes")
    bits = [(byte // 2**j) % 2 for byte in row for j in range(8)]
    require(not any(bits[count:]), "[2.1.3] padding")
    return bits[:count]


def pack_bits(row: list[int], lo: int, hi: int) -> list[int]:
    """[2.1.1]"""
    k = type_bits(lo, hi)
    return bytes_of([bit for q in row for bit in field_of(q, k)])


def unpack_bits(row: list[int], n: int, lo: int, hi: int) -> list[int]:
    """[2.1.3]"""
    k = type_bits(lo, hi)
    bits = bits_of(row, n * k)
    return [code_of(bits[i * k:(i + 1) * k], lo, hi) for i in range(n)]


# --- [2.2] trits --------------------------------------------------------------------------------


def pack_trits(row: list[int]) -> list[int]:
    """[2.2.1]"""
    padded = row + [0] * (-len(row) % 5)
    return [
        sum((padded[first + i] % 3) * 3**i for i in range(5)) for first in range(0, len(padded), 5)
    ]


def unpack_trits(row: list[int], n: int) -> list[int]:
    """[2.2.1]"""
    require(len(row) == -(-n // 5), "number of bytes")
    require(all(byte < 243 for byte in row), "[2.2.1] byte")
    trits = [(0, 1, -1)[(byte // 3**i) % 3] for byte in row for i in range(5)]
    require(not any(trits[n:]), "[2.2.1] missing trits")
    return trits[:n]


# --- [2.3] bit planes, [2.4] masks --------------------------------------------------------------


def pack_planes(row: list[int], lo: int, hi: int) -> list[list[int]]:
    """[2.3.1]: the planes of one row."""
    k = type_bits(lo, hi)
    return [bytes_of([field_of(q, k)[b] for q in row]) for b in range(k)]


def unpack_planes(planes: list[list[int]], n: int, lo: int, hi: int) -> list[int]:
    """Inverse of [2.3.1]."""
    require(len(planes) == type_bits(lo, hi), "number of planes")
    bits = [bits_of(plane, n) for plane in planes]
    return [code_of([plane[i] for plane in bits], lo, hi) for i in range(n)]


def pack_masks(row: list[int]) -> list[list[int]]:
    """[2.4.1]: non-zero, negative."""
    return [bytes_of([int(q != 0) for q in row]), bytes_of([int(q < 0) for q in row])]


def unpack_masks(nonzero: list[int], negative: list[int], n: int) -> list[int]:
    """[2.4.1]"""
    pairs = list(zip(bits_of(nonzero, n), bits_of(negative, n), strict=True))
    require((0, 1) not in pairs, "[2.4.1] negative zero")
    return [{(0, 0): 0, (1, 0): 1, (1, 1): -1}[pair] for pair in pairs]


# --- [5.3] files --------------------------------------------------------------------------------

ATTRIBUTES = {
    "Conv": ("stride", "padding", "dilation", "groups"), "Threshold": (),
    "Requantize": ("type", "rounding"), "Add": (), "MaxPool": ("kernel", "stride", "padding"),
    "SumPool": ("kernel", "stride", "padding"), "Reshape": ("shape",),
}
MAGIC = bytes([0x52, 0x4E, 0x50, 0x52, 0x4F, 0x47, 0x0D, 0x0A])


def name_of(kind) -> str:
    return type_name(kind.lo, kind.hi)


def array_bytes(nested, lo: int, hi: int) -> bytes:
    """[5.3.3]: little-endian, C order, storage of [1.1.3]."""
    storage = type_storage(lo, hi)
    size = int(storage.strip("uint")) // 8
    signed = not storage.startswith("u")
    return b"".join(q.to_bytes(size, "little", signed=signed) for q in numbers_in(nested))


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 64)


def header_and_arrays(program) -> tuple[dict, bytes]:
    """[5.3.2] [5.3.3]"""
    arrays, constants = b"", []
    for name, constant in sorted(program.constants.items()):
        data = array_bytes(constant.array.tolist(), constant.type.lo, constant.type.hi)
        constants.append({
            "name": name, "type": name_of(constant.type), "shape": list(constant.array.shape),
            "offset": len(arrays), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(),
        })
        arrays += padded(data)
    nodes = []
    for node in program.nodes:
        attributes = {}
        for field in ATTRIBUTES[type(node.op).__name__]:
            attribute = getattr(node.op, field)
            attributes[field] = name_of(attribute) if field == "type" else attribute
        nodes.append({"name": node.name, "op": type(node.op).__name__, "attributes": attributes,
                      "inputs": list(node.inputs)})
    given = {"name": program.input, "type": name_of(program.input_type.type),
             "shape": list(program.input_type.shape)}
    return {"format": 1, "name": program.name, "input": given, "nodes": nodes,
            "output": program.output, "constants": constants}, arrays


def framed(header: bytes, arrays: bytes) -> bytes:
    """[5.3.1]"""
    front = MAGIC + len(header).to_bytes(8, "little") + hashlib.sha256(header).digest() + header
    return padded(front) + arrays


def header_bytes(header: dict) -> bytes:
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode()


def file_bytes(program) -> bytes:
    """The one file of a program [5.3.1] [5.3.2] [5.3.3]."""
    header, arrays = header_and_arrays(program)
    return framed(header_bytes(header), arrays)


def weight_bits(program) -> int:
    """[5.4.1]"""
    names = {node.inputs[1] for node in program.nodes if type(node.op).__name__ == "Conv"}
    weights = [program.constants[name] for name in names]
    return sum(
        len(list(numbers_in(w.array.tolist()))) * type_bits(w.type.lo, w.type.hi) for w in weights
    )


