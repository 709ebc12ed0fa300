"""Vectors and traces as ``.npy``, ``$readmemh`` hex and C headers, and back to the same integers.

Everything is derived from the one record. Real numbers become their 64-bit patterns where a format
has no real type of its own.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.program import IntType, Program, run
from refnet.vectors.record import REAL, WIDE, Array, Vector, VectorError, dtype_of

#: A label that says what an array is ("conv.padding.0001 input x"), and the array.
Labelled = tuple[str, Array]


def width_of(type: str) -> int:
    """Bits of a word: the width of the type [1.1.3], 64 for wide integers and reals."""
    return 64 if type in (WIDE, REAL) else IntType.parse(type).bits


def _words(array: Array) -> list[int]:
    """The elements as fields of :func:`width_of` bits: two's complement, or bit patterns."""
    if array.type == REAL:
        return [int(str(v), 16) for v in array.data]
    return [int(v) % 2 ** width_of(array.type) for v in array.data]


def _from_words(name: str, type: str, shape: tuple[int, ...], words: list[int]) -> Array:
    width = width_of(type)
    if type == REAL:
        raw = b"".join(w.to_bytes(8, "big") for w in words)
        return Array.of(name, type, np.frombuffer(raw, ">f8").reshape(shape))
    lo = -(2**63) if type == WIDE else IntType.parse(type).lo
    numbers = [w - 2**width if lo < 0 and w >= 2 ** (width - 1) else w for w in words]
    return Array.of(name, type, np.array(numbers, dtype=np.int64).reshape(shape))


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
    lines += [f"{word:0{digits}x}" for word in _words(array)]
    return "\n".join([*lines, "// end"]) + "\n"


def read_mem(text: str) -> Array:
    """The array in :func:`mem_text`; depth, end and checksum are verified."""
    lines = text.splitlines()
    head = dict(re.findall(r"^// (\w+): ?(.*)$", text, flags=re.MULTILINE))
    words = [line for line in lines if line and not line.startswith("//")]
    if not lines or lines[-1] != "// end" or head.get("depth") != f"{len(words)} words":
        raise VectorError(f"mem: {len(words)} words, header says {head.get('depth')!r}, and an end")
    shape = tuple(int(n) for n in head["shape"].split())
    array = _from_words(head["name"], head["type"], shape, [int(w, 16) for w in words])
    if array.sha256 != head["sha256"]:
        raise VectorError(f"mem: sha256 {head['sha256']}, its words give {array.sha256}")
    return array


def _identifier(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", text)


def header_text(name: str, arrays: Iterable[Labelled]) -> str:
    """A C header (C99): every array ``static const`` with its shape and a comment on it.

    An empty array holds one 0, because C has no arrays of no elements; its size says 0.
    """
    guard = f"REFNET_{_identifier(name).upper()}_H"
    lines = [f"#ifndef {guard}", f"#define {guard}", "#include <stdint.h>", ""]
    for number, (label, array) in enumerate(arrays):
        symbol = f"a{number}_{_identifier(array.name)}"
        kind = "uint64_t" if array.type == REAL else f"{dtype_of(array.type).name}_t"
        if array.type == REAL:
            numbers = [f"0x{v}ULL" for v in array.data]
        else:
            suffix = "LL" if array.type == WIDE else ""
            numbers = [f"{v}{suffix}" for v in array.data]
        rows = [", ".join(numbers[i : i + 16]) for i in range(0, len(numbers), 16)] or ["0"]
        shape = ", ".join(map(str, array.shape)) or "0"
        lines += [
            f"/* {label}: {array.name} {array.type} sha256 {array.sha256} */",
            f"#define {symbol.upper()}_SIZE {len(array.data)}",
            f"#define {symbol.upper()}_RANK {len(array.shape)}",
            f"static const uint32_t {symbol}_shape[] = {{{shape}}};",
            f"static const {kind} {symbol}[] = {{",
            *(f"    {row}," for row in rows),
            "};",
            "",
        ]
    return "\n".join([*lines, f"#endif /* {guard} */"]) + "\n"


_C_ARRAY = re.compile(
    r"/\* (?P<label>.*): (?P<name>\S+) (?P<type>\S+) sha256 (?P<sha>[0-9a-f]{64}) \*/\n"
    r"#define \w+_SIZE (?P<size>\d+)\n#define \w+_RANK (?P<rank>\d+)\n"
    r"static const uint32_t \w+_shape\[\] = \{(?P<shape>[^}]*)\};\n"
    r"static const \w+ \w+\[\] = \{(?P<data>[^}]*)\};"
)


def read_header(text: str) -> list[Labelled]:
    """The arrays in :func:`header_text`, in order; checksums are verified."""
    found = []
    for match in _C_ARRAY.finditer(text):
        numbers = [int(n.strip(" \nUL"), 0) for n in match["data"].split(",") if n.strip()]
        size, rank = int(match["size"]), int(match["rank"])
        shape = tuple(int(n) for n in match["shape"].split(","))[:rank]
        words = [n % 2 ** width_of(match["type"]) for n in numbers[:size]]
        array = _from_words(match["name"], match["type"], shape, words)
        if array.sha256 != match["sha"]:
            raise VectorError(f"header: {array.name!r} has sha256 {array.sha256}")
        found.append((match["label"], array))
    return found


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


def _file(name: str, number: int, label: str, array: Array, suffix: str) -> str:
    """A file name that sorts in the order of the arrays; numbers keep names of one letter apart."""
    return f"{name}.{number:03d}_{label.rsplit(' ', 1)[-1]}_{array.name}.{suffix}"


FORMATS: dict[str, Callable[[str, list[Labelled]], dict[str, bytes]]] = {
    "npy": _npy,
    "mem": _mem,
    "header": _header,
}


def exported(name: str, arrays: list[Labelled], format: str) -> dict[str, bytes]:
    """File names and contents of ``arrays`` in one of :data:`FORMATS`."""
    if format not in FORMATS:
        raise VectorError(f"format {format!r} is none of {', '.join(FORMATS)}")
    return FORMATS[format](name, arrays)


def export(
    name: str, arrays: list[Labelled], format: str, directory: str | os.PathLike[str]
) -> tuple[Path, ...]:
    """Write ``arrays`` into ``directory`` (made where missing); returns the paths.

    Every file appears under a temporary name first, so none is ever half written.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for file, data in exported(name, arrays, format).items():
        part = folder / f"{file}.part"
        part.write_bytes(data)
        os.replace(part, folder / file)
        paths.append(folder / file)
    return tuple(paths)
