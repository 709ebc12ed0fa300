"""Exports decode back to the same integers, by the project's readers and by others."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from refnet.program import IntType
from refnet.vectors.cases import nets
from refnet.vectors.cli import vectors_in
from refnet.vectors.export import (
    ARRAY_FORMATS,
    arrays_of,
    export,
    exported,
    header_text,
    mem_text,
    npy_bytes,
    read_header,
    read_mem,
    read_npy,
    trace_of,
)
from refnet.vectors.record import REAL, WIDE, Array, Vector, VectorError
from refnet.vectors.words import width_of

VECTORS = Path(__file__).parents[1] / "specs" / "vectors"
EDGES = (
    Array.of("t", "ternary", [[-1, 0, 1]]),
    Array.of("a", "int8", [-128, 127, -1]),
    Array.of("b", "int[-5,3]", [-5, 3]),
    Array.of("c", "uint16", [65535, 0]),
    Array.of("d", "int32", [-(2**31), 2**31 - 1]),
    Array.of("e", WIDE, [-(2**53), 2**53, -1]),
    Array.of("f", REAL, [-0.0, 0.1, 2.0**-1074]),
    Array.of("g", "uint2", np.zeros((0, 2, 3), int)),
    Array.of("h", "uint1", 1),
)


@cache
def vectors() -> tuple[Vector, ...]:
    return tuple(vectors_in([VECTORS]))


def arrays() -> list[Array]:
    return [*EDGES, *(a for v in vectors() for _, a in arrays_of(v))]


def test_npy_decodes_to_the_same_integers() -> None:
    for array in arrays():
        got = read_npy(npy_bytes(array))
        assert (got.dtype, got.shape) == (array.array().dtype, array.shape)
        assert got.tobytes() == array.array().tobytes()


def test_npy_is_version_1_little_endian_c_order() -> None:
    data = npy_bytes(EDGES[1])
    assert data[:8] == b"\x93NUMPY\x01\x00"
    assert len(data) == 128 + 3
    assert b"'fortran_order': False" in data


def test_mem_decodes_to_the_same_integers() -> None:
    for array in arrays():
        assert read_mem(mem_text("some.id.0001 input", array)) == array


def test_mem_by_hand() -> None:
    lines = mem_text("x.y.0001 input", EDGES[0]).splitlines()
    assert lines[-4:] == ["3", "0", "1", "// end"]
    assert "// width: 2 bits, two's complement where the type has a sign" in lines
    assert f"// sha256: {EDGES[0].sha256}" in lines
    assert "// depth: 3 words" in lines
    assert mem_text("x", EDGES[1]).splitlines()[-4:] == ["80", "7f", "ff", "// end"]
    assert mem_text("x", EDGES[2]).splitlines()[-3:] == ["b", "3", "// end"]
    assert mem_text("x", EDGES[4]).splitlines()[-3:-1] == ["80000000", "7fffffff"]


def test_mem_words_read_without_the_comments() -> None:
    """As a Verilog simulator does: words of the stated width, sign by hand."""
    for array in (a for a in arrays() if a.type not in (WIDE, REAL)):
        words = [int(w, 16) for w in re.sub(r"//.*", "", mem_text("x", array)).split()]
        type = IntType.parse(array.type)
        numbers = [w - 2**type.bits if type.signed and w >> (type.bits - 1) else w for w in words]
        assert tuple(numbers) == array.data


@pytest.mark.parametrize(
    "spoil",
    [lambda s: s.replace("// end\n", ""), lambda s: s.replace("7f\n", ""),
     lambda s: s.replace("7f\n", "7e\n"), lambda s: ""],
)  # fmt: skip
def test_mem_that_was_spoiled_is_refused(spoil) -> None:
    with pytest.raises(VectorError):
        read_mem(spoil(mem_text("x", EDGES[1])))


def test_headers_decode_to_the_same_integers() -> None:
    for vector in vectors():
        held = arrays_of(vector)
        assert read_header(header_text(vector.id, held)) == held
    labelled = [("edge", a) for a in EDGES]
    assert read_header(header_text("edges", labelled)) == labelled
    with pytest.raises(VectorError):
        read_header(header_text("edges", labelled).replace("127", "126"))


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_a_c_compiler_reads_the_same_integers(tmp_path: Path) -> None:
    labelled = [("edge", a) for a in EDGES]
    (tmp_path / "edges.h").write_text(header_text("edges", labelled))
    prints = []
    for i, array in enumerate(EDGES):
        symbol, kind = f"a{i}_{array.name}", "PRIx64" if array.type == REAL else "PRId64"
        cast = "uint64_t" if array.type == REAL else "int64_t"
        prints += [
            f"size = {symbol.upper()}_SIZE;",
            "for (uint32_t i = 0; i < size; i++) {",
            f'printf("%" {kind} " ", ({cast}){symbol}[i]);',
            "}",
            f'printf("| %u\\n", (unsigned){symbol.upper()}_RANK);',
        ]
    source = '#include "edges.h"\n#include <stdio.h>\n#include <inttypes.h>\n'
    source += "int main(void) {\nuint32_t size;\n" + "\n".join(prints) + "\nreturn 0; }\n"
    (tmp_path / "main.c").write_text(source)
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-variable"]
    subprocess.run(["cc", *flags, "-o", "main", "main.c"], cwd=tmp_path, check=True)
    out = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout
    for line, array in zip(out.splitlines(), EDGES, strict=True):
        data, rank = line.split("|")
        base = 16 if array.type == REAL else 10
        want = [int(str(v), base) for v in array.data]
        assert [int(w, base) for w in data.split()] == want
        assert int(rank) == len(array.shape)


def test_a_traced_program_is_exported_whole(tmp_path: Path) -> None:
    program = nets.residual()
    held = trace_of(program, np.full((2, 2, 4, 4), 3))
    labels = [label.split()[-1] for label, _ in held]
    assert labels.count("constant") == len(program.constants)
    assert labels.count("output") == labels.count("input") == 1
    assert len(held) == len(program.constants) + len(program.types)
    for format in ARRAY_FORMATS:
        paths = export(program.name, held, format, tmp_path / format)
        assert len(paths) == (1 if format in ("header", "safetensors") else len(held))
        assert sorted(p.name for p in (tmp_path / format).iterdir()) == sorted(
            p.name for p in paths)
        assert exported(program.name, held, format) == exported(program.name, held, format)
    assert read_header((tmp_path / "header" / "residual.h").read_text()) == held


def test_names_that_differ_in_a_sign_only_stay_apart() -> None:
    held = [("p constant", Array.of(n, "int8", [i])) for i, n in enumerate(("a.b", "a-b", "a_b"))]
    assert read_header(header_text("p", held)) == held


def test_widths_and_unknown_formats() -> None:
    assert [width_of(t) for t in ("ternary", "uint1", "int12", WIDE, REAL)] == [2, 1, 12, 64, 64]
    with pytest.raises(VectorError, match="csv"):
        exported("x", [], "csv")
    with pytest.raises(VectorError, match="npy"):
        read_npy(b"\x93NUMPY")
