"""Vectors and traces as safetensors: each array in its storage, low-bit codes also packed.

Tensor names are ``role.name``, such as ``input.x``. Codes of at most four bits have a twin
``role.name.packed`` of bytes (the k-bit fields of [2.1], the last axis packed), ternary codes also
``.trits`` [2.2]. The metadata hold the type and the SHA-256 of every array, so that the file says
what its integers are.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.program import TERNARY, IntType, packing
from refnet.vectors.record import REAL, WIDE, Array, VectorError
from refnet.vectors.words import Labelled

_NAMES = {
    "int8": "I8", "uint8": "U8", "int16": "I16", "uint16": "U16", "int32": "I32", "int64": "I64",
    "float64": "F64",
}
_DTYPES = {short: name for name, short in _NAMES.items()}
#: Codes of at most so many bits have a packed twin.
_PACKED_BITS = 4
#: More than any header of these files has.
_HEADER_LIMIT = 2**26


def _twins(array: Array) -> dict[str, NDArray[Any]]:
    """Packed bytes of low-bit codes, by the ending of their name."""
    if array.type in (WIDE, REAL) or not array.shape or not array.data:
        return {}
    type = IntType.parse(array.type)
    if type.bits > _PACKED_BITS:
        return {}
    twins = {"packed": packing.pack_bits(array.array(), type)}
    return twins | ({"trits": packing.pack_trits(array.array())} if type == TERNARY else {})


def safetensors_bytes(name: str, arrays: list[Labelled]) -> bytes:
    """The file of ``arrays``; the same arrays give the same bytes."""
    metadata = {"format": "refnet", "id": name, "order": "C"}
    tensors: dict[str, NDArray[Any]] = {}
    for label, array in arrays:
        key = f"{label.rsplit(' ', 1)[-1]}.{array.name}"
        if key in tensors:
            raise VectorError(f"safetensors: {key!r} stands there already")
        tensors[key] = array.array()
        said = {"label": label, "type": array.type, "sha256": array.sha256}
        metadata |= {f"{key}.{what}": text for what, text in said.items()}
        for ending, packed in _twins(array).items():
            tensors[f"{key}.{ending}"] = packed
    header: dict[str, Any] = {"__metadata__": metadata}
    blobs, offset = [], 0
    for key, held in tensors.items():
        blobs.append(held.astype(held.dtype.newbyteorder("<")).tobytes())
        end = offset + len(blobs[-1])
        header[key] = {
            "dtype": _NAMES[held.dtype.name],
            "shape": list(held.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // 8) * 8)
    return len(text).to_bytes(8, "little") + text + b"".join(blobs)


def tensors_of(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Tensors by name, and the metadata, of any safetensors file of these element types."""
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > min(len(data) - 8, _HEADER_LIMIT):
        raise VectorError(f"safetensors: {len(data)} bytes, header of {size} announced")
    try:
        header = json.loads(data[8 : 8 + size])
        metadata = header.pop("__metadata__", {})
        found = {}
        for name, record in header.items():
            dtype = np.dtype(_DTYPES[record["dtype"]])
            start, end = record["data_offsets"]
            raw = np.frombuffer(data[8 + size :][start:end], dtype.newbyteorder("<"))
            found[name] = raw.astype(dtype).reshape(record["shape"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise VectorError(f"safetensors: {type(error).__name__}: {error}") from None
    return found, metadata


def read_safetensors(data: bytes) -> list[Labelled]:
    """The arrays in :func:`safetensors_bytes`, in order; checksums and twins are verified."""
    tensors, metadata = tensors_of(data)
    found = []
    for key in [name for name in tensors if f"{name}.type" in metadata]:
        name, type = key.partition(".")[2], metadata[f"{key}.type"]
        array = Array.of(name, type, tensors[key])
        if array.sha256 != metadata[f"{key}.sha256"]:
            raise VectorError(f"safetensors: {key!r} has sha256 {array.sha256}")
        for ending, packed in _twins(array).items():
            if not np.array_equal(packed, tensors.get(f"{key}.{ending}", np.zeros(0))):
                raise VectorError(f"safetensors: {key}.{ending} is not {key!r} packed")
        found.append((metadata[f"{key}.label"], array))
    return found
