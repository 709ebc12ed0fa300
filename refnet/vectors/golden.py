"""Golden vectors of a compiled program: its file, every value on a few images, and a manifest."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.program import Program, ProgramError, run
from refnet.program.files import from_bytes, to_bytes
from refnet.vectors.check import Difference, compare
from refnet.vectors.export import npy_bytes, read_npy
from refnet.vectors.record import GENERATOR, Array, VectorError
from refnet.vectors.reference import Execute

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
PROGRAM_FILE = "program.bin"
_MANIFEST_FIELDS = {"format", "generator", "program", "images", "input", "output", "values"}
_VALUE_FIELDS = {"name", "op", "type", "shape", "file", "sha256", "file_sha256"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenDifference:
    """A value that is not what the folder says: its name and step, and where it first differs."""

    value: str
    op: str
    detail: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenReport:
    """How many values were compared, and those that differ, in the order of the program."""

    images: int
    values: int
    differing: tuple[GoldenDifference, ...]

    @property
    def ok(self) -> bool:
        """Whether every value is as the folder says."""
        return not self.differing


def _file_name(number: int, name: str) -> str:
    return f"{number:03d}_{name}.npy"


def _manifest_bytes(program: Program, arrays: Sequence[tuple[Array, bytes]]) -> bytes:
    """The manifest of ``arrays``, each with its ``.npy`` file, in the order of the program."""
    ops = {n.name: type(n.op).__name__ for n in program.nodes}
    records = [
        {
            "name": array.name,
            "op": ops.get(array.name, "input"),
            "type": array.type,
            "shape": list(array.shape),
            "file": _file_name(number, array.name),
            "sha256": array.sha256,
            "file_sha256": hashlib.sha256(data).hexdigest(),
        }
        for number, (array, data) in enumerate(arrays)
    ]
    manifest = {
        "format": FORMAT_VERSION,
        "generator": GENERATOR,
        "program": {"name": program.name, "sha256": hashlib.sha256(to_bytes(program)).hexdigest()},
        "images": arrays[0][0].shape[0],
        "input": program.input,
        "output": program.output,
        "values": records,
    }
    return (json.dumps(manifest, indent=1, ensure_ascii=True) + "\n").encode()


def golden_files(program: Program, codes: NDArray[np.integer[Any]]) -> dict[str, bytes]:
    """The files of a golden folder by name: program, ``.npy`` of every value, manifest.

    ``codes`` is (N, *input shape) with N >= 1. The same program and codes give the same bytes.
    """
    if len(codes) < 1:
        raise VectorError(f"golden vectors of {program.name!r}: no image, rule at least one")
    _, values = run(program, codes, trace=True)
    held = [Array.of(name, t.type.name, values[name]) for name, t in program.types.items()]
    arrays = [(array, npy_bytes(array)) for array in held]
    made = {PROGRAM_FILE: to_bytes(program)}
    made |= {_file_name(i, array.name): data for i, (array, data) in enumerate(arrays)}
    return made | {MANIFEST: _manifest_bytes(program, arrays)}


def write_golden(
    program: Program, codes: NDArray[np.integer[Any]], directory: str | os.PathLike[str]
) -> Path:
    """Write the golden folder of ``program`` on ``codes``; returns the path of its manifest.

    The folder appears whole: it is written beside and renamed. An older golden folder of that name
    is replaced; any other folder that is not empty is refused.
    """
    target = Path(directory)
    golden = (target / MANIFEST).is_file()
    if target.exists() and not golden and not (target.is_dir() and not any(target.iterdir())):
        raise VectorError(f"{target}: not a golden folder, and it is not empty")
    files = golden_files(program, codes)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=target.parent, prefix=f"{target.name}.", suffix=".part"))
    try:
        for name, data in files.items():
            (part / name).write_bytes(data)
        part.chmod(0o755)
        _exchange(part, target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return target / MANIFEST


def _exchange(part: Path, target: Path) -> None:
    """Put ``part`` in the place of ``target``; an older folder comes back where that fails."""
    if not target.exists():
        os.replace(part, target)
        return
    old = part.with_suffix(".old")
    os.replace(target, old)
    try:
        os.replace(part, target)
    except BaseException:
        os.replace(old, target)
        raise
    shutil.rmtree(old)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise VectorError(f"{path}: {error.strerror}") from None


def _manifest(path: Path) -> dict[str, Any]:
    """The manifest, with the fields that its reader looks at."""
    try:
        held = json.loads(_read(path))
    except VectorError:
        raise
    except (ValueError, RecursionError):
        raise VectorError(f"{path}: no JSON") from None
    if not isinstance(held, dict) or set(held) != _MANIFEST_FIELDS:
        raise VectorError(f"{path}: fields must be {sorted(_MANIFEST_FIELDS)}")
    if held["format"] != FORMAT_VERSION or held["generator"] != GENERATOR:
        seen = f"format {held['format']!r:.60} of {held['generator']!r:.60}"
        raise VectorError(f"{path}: {seen}, rule {FORMAT_VERSION} of {GENERATOR!r}")
    values = held["values"]
    if not isinstance(values, list) or not all(
        isinstance(v, dict) and set(v) == _VALUE_FIELDS for v in values
    ):
        raise VectorError(f"{path}: values are records of {sorted(_VALUE_FIELDS)}")
    return held


def _expected(folder: Path, program: Program) -> dict[str, Array]:
    """Every value that the folder holds of ``program``, after all its files were verified."""
    manifest = _manifest(folder / MANIFEST)
    held = to_bytes(program)
    source = manifest["program"]
    if not isinstance(source, dict) or source.get("sha256") != hashlib.sha256(held).hexdigest():
        raise VectorError(f"{folder}: golden vectors of another program than {program.name!r}")
    if _read(folder / PROGRAM_FILE) != held:
        raise VectorError(f"{folder / PROGRAM_FILE}: is not the program of the manifest")
    if len(manifest["values"]) != len(program.types):
        number = len(manifest["values"])
        raise VectorError(f"{folder / MANIFEST}: {number} values, rule {len(program.types)}")
    arrays = []
    for number, (name, type) in enumerate(program.types.items()):
        path = folder / _file_name(number, name)
        data = _read(path)
        if hashlib.sha256(data).hexdigest() != manifest["values"][number]["file_sha256"]:
            raise VectorError(f"{path}: checksum does not match the manifest")
        arrays.append((Array.of(name, type.type.name, read_npy(data)), data))
    # Nothing in the manifest is left that these files and the program do not decide.
    if _read(folder / MANIFEST) != _manifest_bytes(program, arrays):
        raise VectorError(f"{folder / MANIFEST}: is not the manifest of the files beside it")
    return {array.name: array for array, _ in arrays}


def golden_input(directory: str | os.PathLike[str]) -> tuple[Program, NDArray[Any]]:
    """The program of a golden folder and the codes that it ran on, after all was verified."""
    folder = Path(directory)
    try:
        program = from_bytes(_read(folder / PROGRAM_FILE))
    except ProgramError as error:
        raise VectorError(f"{folder / PROGRAM_FILE}: {error}") from None
    return program, _expected(folder, program)[program.input].array()


def check_golden(
    directory: str | os.PathLike[str], program: Program, execute: Execute | None = None
) -> GoldenReport:
    """Run ``program`` (with ``execute`` in place of the reference) and compare every value.

    Raises :class:`VectorError` where the folder is damaged or belongs to another program.
    """
    folder = Path(directory)
    want = _expected(folder, program)
    codes = want[program.input].array()
    try:
        _, values = run(program, codes, execute=execute, trace=True)
    except ProgramError as error:
        raise VectorError(f"{folder}: {error}") from None
    ops = {n.name: type(n.op).__name__ for n in program.nodes}
    differing = []
    for name in program.types:
        detail, differences, _ = compare(want[name], values[name])
        if detail:
            op = ops.get(name, "input")
            differing.append(
                GoldenDifference(value=name, op=op, detail=detail, differences=differences)
            )
    return GoldenReport(images=len(codes), values=len(want), differing=tuple(differing))
