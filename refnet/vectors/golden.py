"""Golden vectors of a compiled program: its file, every value on a few images, and a manifest."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.program import Program, ProgramError, run
from refnet.program.files import to_bytes
from refnet.vectors.check import Difference, compare
from refnet.vectors.export import npy_bytes, read_npy
from refnet.vectors.record import GENERATOR, Array, VectorError, digest
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


def _values(program: Program, x: NDArray[Any], execute: Execute | None) -> dict[str, Array]:
    _, values = run(program, x, execute=execute, trace=True)
    return {n: Array.of(n, t.type.name, values[n]) for n, t in program.types.items()}


def golden_files(program: Program, codes: NDArray[np.integer[Any]]) -> dict[str, bytes]:
    """The files of a golden folder by name: program, ``.npy`` of every value, manifest.

    ``codes`` is (N, *input shape) with N >= 1. The same program and codes give the same bytes.
    """
    if len(codes) < 1:
        raise VectorError(f"golden vectors of {program.name!r}: no image, rule at least one")
    held = to_bytes(program)
    made: dict[str, bytes] = {PROGRAM_FILE: held}
    ops = {n.name: type(n.op).__name__ for n in program.nodes}
    records = []
    for number, array in enumerate(_values(program, codes, None).values()):
        file = f"{number:03d}_{array.name}.npy"
        made[file] = npy_bytes(array)
        records.append(
            {
                "name": array.name,
                "op": ops.get(array.name, "input"),
                "type": array.type,
                "shape": list(array.shape),
                "file": file,
                "sha256": array.sha256,
                "file_sha256": hashlib.sha256(made[file]).hexdigest(),
            }
        )
    manifest = {
        "format": FORMAT_VERSION,
        "generator": GENERATOR,
        "program": {"name": program.name, "sha256": hashlib.sha256(held).hexdigest()},
        "images": len(codes),
        "input": program.input,
        "output": program.output,
        "values": records,
    }
    made[MANIFEST] = (json.dumps(manifest, indent=1, ensure_ascii=True) + "\n").encode()
    return made


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
        if target.exists():
            shutil.rmtree(target)
        os.replace(part, target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return target / MANIFEST


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise VectorError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise VectorError(f"{path}: no JSON") from None
    if not isinstance(held, dict) or set(held) != _MANIFEST_FIELDS:
        raise VectorError(f"{path}: fields must be {sorted(_MANIFEST_FIELDS)}")
    if held["format"] != FORMAT_VERSION:
        raise VectorError(f"{path}: format {held['format']!r}, rule {FORMAT_VERSION}")
    values = held["values"]
    if not isinstance(values, list) or not values:
        raise VectorError(f"{path}: values must be a list of at least one")
    if not all(isinstance(v, dict) and set(v) == _VALUE_FIELDS for v in values):
        raise VectorError(f"{path}: fields of a value must be {sorted(_VALUE_FIELDS)}")
    return held


def _array(folder: Path, record: dict[str, Any]) -> Array:
    """The array of a manifest entry, with both checksums verified."""
    path = folder / Path(str(record["file"])).name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise VectorError(f"{path}: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != record["file_sha256"]:
        raise VectorError(f"{path}: checksum does not match the manifest")
    held = read_npy(data)
    if list(held.shape) != record["shape"] or digest(held) != record["sha256"]:
        raise VectorError(f"{path}: array {held.dtype} {held.shape} is not that of the manifest")
    return Array.of(record["name"], record["type"], held)


def check_golden(
    directory: str | os.PathLike[str], program: Program, execute: Execute | None = None
) -> GoldenReport:
    """Run ``program`` (with ``execute`` in place of the reference) and compare every value.

    Raises :class:`VectorError` where the folder is damaged or belongs to another program.
    """
    folder = Path(directory)
    manifest = _manifest(folder)
    found = hashlib.sha256(to_bytes(program)).hexdigest()
    if not isinstance(manifest["program"], dict) or manifest["program"].get("sha256") != found:
        raise VectorError(f"{folder}: golden vectors of another program than {program.name!r}")
    want = {r["name"]: _array(folder, r) for r in manifest["values"]}
    if set(want) != set(program.types):
        raise VectorError(f"{folder}: values {sorted(want)}, rule {sorted(program.types)}")
    try:
        values = _values(program, want[program.input].array(), execute)
    except ProgramError as error:
        raise VectorError(f"{folder}: {error}") from None
    ops = {n.name: type(n.op).__name__ for n in program.nodes}
    differing = []
    for name in program.types:
        detail, differences, _ = compare(want[name], values[name].array())
        if detail:
            op = ops.get(name, "input")
            differing.append(
                GoldenDifference(value=name, op=op, detail=detail, differences=differences)
            )
    images = len(want[program.input].array())
    return GoldenReport(images=images, values=len(want), differing=tuple(differing))
