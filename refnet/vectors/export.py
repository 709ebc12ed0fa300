"""Vectors and traces as files of other formats, and back to the same integers.

Everything is derived from the one record. Real numbers become their 64-bit patterns where a format
has no real type of its own.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.program import Program, run
from refnet.vectors.cheader import header_text
from refnet.vectors.cheader import read_header as read_header
from refnet.vectors.onnxfile import onnx_of_program, onnx_of_vector
from refnet.vectors.record import Array, Vector, VectorError
from refnet.vectors.tensors import read_safetensors as read_safetensors
from refnet.vectors.tensors import safetensors_bytes
from refnet.vectors.words import Labelled, array_of_words, width_of, words_of


def npy_bytes(array: Array) -> bytes:
    """The array as a ``.npy`` file: version 1.0, little-endian, C order, storage of its type."""
    held = array.array()
    buffer = io.BytesIO()
    little = held.astype(held.dtype.newbyteorder("<"), order="C")
    np.lib.format.write_array(buffer, little, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def read_npy(data: bytes) -> NDArray[Any]:
    """The array of a ``.npy`` file; nothing is unpickled."""
    try:
        return np.load(io.BytesIO(data), allow_pickle=False)  # type: ignore[no-any-return]
    except (ValueError, EOFError, OSError) as error:
        raise VectorError(f"no .npy array: {error}") from None


def mem_text(label: str, array: Array) -> str:
    """The array for Verilog's ``$readmemh``: one word a line, all words of one width.

    Neither width, sign nor end is part of that format, so the comments at the top say them, and
    the last line marks the end.
    """
    width = width_of(array.type)
    digits = -(-width // 4)
    head = {
        "id": label,
        "name": array.name,
        "type": array.type,
        "width": f"{width} bits, two's complement where the type has a sign",
        "depth": f"{len(array.data)} words",
        "shape": " ".join(map(str, array.shape)),
        "order": "C, the last axis runs fastest, one element a word, word 0 first",
        "sha256": array.sha256,
    }
    lines = [f"// {key}: {value}" for key, value in head.items()]
    lines += [f"{word:0{digits}x}" for word in words_of(array)]
    return "\n".join([*lines, "// end"]) + "\n"


def read_mem(text: str) -> Array:
    """The array in :func:`mem_text`; depth, end and checksum are verified."""
    lines = text.splitlines()
    head = dict(re.findall(r"^// (\w+): ?(.*)$", text, flags=re.MULTILINE))
    words = [line for line in lines if line and not line.startswith("//")]
    if not lines or lines[-1] != "// end" or head.get("depth") != f"{len(words)} words":
        raise VectorError(f"mem: {len(words)} words, header says {head.get('depth')!r}, and an end")
    shape = tuple(int(n) for n in head["shape"].split())
    array = array_of_words(head["name"], head["type"], shape, [int(w, 16) for w in words])
    if array.sha256 != head["sha256"]:
        raise VectorError(f"mem: sha256 {head['sha256']}, its words give {array.sha256}")
    return array


def arrays_of(vector: Vector) -> list[Labelled]:
    """Every array of a vector with a label: inputs, constants, intermediates, outputs."""
    roles = (
        ("input", vector.inputs),
        ("constant", vector.constants),
        ("intermediate", vector.intermediates),
        ("output", vector.outputs),
    )
    return [(f"{vector.id} {role}", a) for role, arrays in roles for a in arrays]


def trace_of(program: Program, codes: NDArray[np.integer[Any]]) -> list[Labelled]:
    """Every array of a program run on ``codes`` (N, *input shape): constants and all values."""
    _, values = run(program, codes, trace=True)
    held = [
        (f"{program.name} constant", Array.of(name, c.type.name, c.array))
        for name, c in sorted(program.constants.items())
    ]
    roles = {program.input: "input", program.output: "output"}
    for name, type in program.types.items():
        role = roles.get(name, "intermediate")
        held.append((f"{program.name} {role}", Array.of(name, type.type.name, values[name])))
    return held


def _npy(name: str, arrays: list[Labelled]) -> dict[str, bytes]:
    return {_file(name, i, *held, "npy"): npy_bytes(held[1]) for i, held in enumerate(arrays)}


def _mem(name: str, arrays: list[Labelled]) -> dict[str, bytes]:
    return {_file(name, i, *held, "mem"): mem_text(*held).encode() for i, held in enumerate(arrays)}


def _header(name: str, arrays: list[Labelled]) -> dict[str, bytes]:
    return {f"{name}.h": header_text(name, arrays).encode()}


def _safetensors(name: str, arrays: list[Labelled]) -> dict[str, bytes]:
    return {f"{name}.safetensors": safetensors_bytes(name, arrays)}


def _file(name: str, number: int, label: str, array: Array, suffix: str) -> str:
    """A file name that sorts in the order of the arrays; numbers keep names of one letter apart."""
    return f"{name}.{number:03d}_{label.rsplit(' ', 1)[-1]}_{array.name}.{suffix}"


ARRAY_FORMATS: dict[str, Callable[[str, list[Labelled]], dict[str, bytes]]] = {
    "npy": _npy,
    "mem": _mem,
    "header": _header,
    "safetensors": _safetensors,
}
#: Every format of ``refnet vectors export``.
FORMATS = (*ARRAY_FORMATS, "onnx")


def exported(name: str, arrays: list[Labelled], format: str) -> dict[str, bytes]:
    """File names and contents of ``arrays`` in one of the formats that hold arrays."""
    if format not in ARRAY_FORMATS:
        raise VectorError(f"format {format!r} is none of {', '.join(ARRAY_FORMATS)}")
    return ARRAY_FORMATS[format](name, arrays)


def write_whole(path: Path, data: bytes) -> None:
    """Write ``data`` under a temporary name and rename it: ``path`` is never half written."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _written(files: dict[str, bytes], directory: str | os.PathLike[str]) -> tuple[Path, ...]:
    folder = Path(directory)
    paths = []
    for file, data in files.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
        paths.append(path)
    return tuple(paths)


def export(
    name: str, arrays: list[Labelled], format: str, directory: str | os.PathLike[str]
) -> tuple[Path, ...]:
    """Write ``arrays`` into ``directory`` (made where missing); returns the paths."""
    return _written(exported(name, arrays, format), directory)


def export_vector(
    vector: Vector, format: str, directory: str | os.PathLike[str]
) -> tuple[Path, ...]:
    """Write a vector in one of :data:`FORMATS`; :class:`NotInOnnx` where ONNX cannot say it."""
    if format == "onnx":
        return _written(onnx_of_vector(vector), directory)
    return export(vector.id, arrays_of(vector), format, directory)


def export_program(
    program: Program, codes: NDArray[Any], format: str, directory: str | os.PathLike[str]
) -> tuple[Path, ...]:
    """Write a program with its constants and every value on ``codes`` (N, *input shape)."""
    if format == "onnx":
        return _written(onnx_of_program(program, codes), directory)
    return export(program.name, trace_of(program, codes), format, directory)
