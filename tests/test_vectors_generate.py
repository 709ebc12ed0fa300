"""The generator: committed files are its own, byte for byte; the vectors cover the clauses."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from refnet.vectors import generate
from refnet.vectors.cases import SUBJECTS, TIER_SUBJECTS
from refnet.vectors.clauses import read_clauses
from refnet.vectors.cli import vectors_in
from refnet.vectors.generate import complete, files, first_difference, write
from refnet.vectors.record import TIERS as RECORD_TIERS
from refnet.vectors.record import Vector, VectorError
from refnet.vectors.reference import OPS, TIER_OPS

ROOT = Path(__file__).parents[1]
VECTORS = ROOT / "specs" / "vectors"
#: Chapters whose clauses vectors ask; 07 counts clocks and joules, which its own tests check.
CHAPTERS = ("01", "02", "03", "04", "05", "06", "09")
TIERS = VECTORS / "tiers"
#: Clauses that say only what is refused: no vector of theirs has an answer.
REFUSALS = {
    "3.1.2": "there is no default rounding rule",
    "5.1.3": "what a constant must be",
    "5.1.4": "values that nothing uses",
    "5.3.4": "what a reader of files refuses",
}


@cache
def made() -> dict[str, str]:
    return dict(files())


@cache
def vectors() -> tuple[Vector, ...]:
    return tuple(vectors_in([VECTORS, TIERS]))


def contents(folder: Path) -> dict[str, bytes]:
    found = [p for p in folder.rglob("*") if p.is_file()]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found}


def script(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "specs/generate.py", *arguments], cwd=ROOT, capture_output=True,
        text=True, check=False, env={**os.environ, **environment})


def test_the_committed_files_are_what_the_generator_gives() -> None:
    assert contents(VECTORS) == {
        name: text.encode() for name, text in made().items()}


def test_another_process_gives_the_same_bytes() -> None:
    """Hash order, locale and time zone have no part in it."""
    found = script("--check", PYTHONHASHSEED="77", LC_ALL="C", TZ="Asia/Tokyo")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == f"{VECTORS}: as generated\n"


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the committed files, compared with what the generator gave once."""
    monkeypatch.setattr(generate, "files", lambda *progress: iter(made().items()))
    return Path(shutil.copytree(VECTORS, tmp_path / "vectors"))


def test_a_modified_byte_is_found_with_file_and_line(copy: Path) -> None:
    assert first_difference(copy) is None
    for name in made():
        data = (copy / name).read_bytes()
        for place in (0, len(data) // 3, len(data) - 2, len(data) - 1):
            (copy / name).write_bytes(
                data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            line = data[:place].count(b"\n") + 1
            assert first_difference(copy) == (
                f"{copy / name}:{line}: differs from what the generator gives")
        (copy / name).write_bytes(data)


def test_missing_extra_longer_and_shorter_files_are_found(copy: Path) -> None:
    path = copy / "add.json"
    data = path.read_bytes()
    lines = data.count(b"\n") + 1
    path.write_bytes(data + b"\n")
    assert first_difference(copy) == f"{path}:{lines}: {lines + 1} lines, rule {lines}"
    path.write_bytes(data[: data.rindex(b"]}")])
    assert str(first_difference(copy)).startswith(f"{path}:{lines - 1}: differs")
    path.unlink()
    assert first_difference(copy) == f"{path}: missing"
    path.write_bytes(data)
    (copy / "more.json").write_text("{}")
    assert first_difference(copy) == f"{copy / 'more.json'}: not made by the generator"
    (copy / "more.json").unlink()
    assert first_difference(copy) is None
    assert first_difference(copy / "none") == f"{copy / 'none'}: no such folder"


def test_a_difference_ends_the_script_with_1(copy: Path) -> None:
    """Through the command that the script calls, with exit code and line."""
    from refnet.vectors.cli import main

    assert main(["vectors", "generate", str(copy), "--check"]) == 0
    (copy / "add.json").write_bytes(b"x")
    assert main(["vectors", "generate", str(copy), "--check"]) == 1


def test_write_leaves_whole_files_only(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert write(copy.parent / "again") == tuple(made())
    assert first_difference(copy.parent / "again") is None

    def no(*given: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", no)
    before = contents(copy)
    with pytest.raises(OSError, match="disk full"):
        write(copy)
    assert contents(copy) == before


def test_every_clause_has_a_vector_and_every_vector_a_clause() -> None:
    clauses = read_clauses(ROOT / "specs")
    normative = {n for n, c in clauses.items() if c.chapter[:2] in CHAPTERS}
    asked = {n for v in vectors() for n in v.clauses}
    assert len(normative) > 30
    assert asked <= set(clauses)
    assert normative <= asked


def test_every_clause_that_gives_an_answer_has_a_vector_with_one() -> None:
    clauses = read_clauses(ROOT / "specs")
    normative = {n for n, c in clauses.items() if c.chapter[:2] in CHAPTERS}
    answered = {n for v in vectors() if v.result != "must_fail" for n in v.clauses}
    assert normative - answered == set(REFUSALS)


def test_numbers_in_brackets_are_clauses_or_sections() -> None:
    """What the chapters refer to exists."""
    clauses = read_clauses(ROOT / "specs")
    sections = {n.rpartition(".")[0] for n in clauses}
    for path in sorted((ROOT / "specs").glob("0[1-69]*-*.md")):
        for number in re.findall(r"\[(\d+\.\d+(?:\.\d+)?)\]", path.read_text()):
            assert number in sections | set(clauses), (path.name, number)


def test_every_op_is_asked_and_every_subject_has_a_file() -> None:
    assert {v.op for v in vectors()} == {*OPS, *TIER_OPS}
    assert {v.op for v in vectors_in([VECTORS])} == set(OPS)
    core = {f"{subject}.json" for subject, _ in SUBJECTS} | {"schema.json"}
    assert core | {f"tiers/{subject}.json" for subject, _ in TIER_SUBJECTS} == set(made())
    assert {v.tier for v in vectors()} == set(RECORD_TIERS)
    assert {v.tier for v in vectors_in([VECTORS])} == {"smoke", "core"}


def test_the_files_stay_small() -> None:
    sizes = {name: len(text.encode()) for name, text in made().items()}
    assert sum(n for name, n in sizes.items() if "/" not in name) < 2_000_000
    assert sum(sizes.values()) < 3_000_000


def test_a_case_that_the_reference_answers_otherwise_is_no_vector() -> None:
    from dataclasses import replace

    held = {case.id: case for _, cases in SUBJECTS for case in cases}
    with pytest.raises(VectorError, match=r"add\.pairs\.0001"):
        complete(replace(held["add.pairs.0001"], error="shape"))
    with pytest.raises(VectorError, match=r"add\.refused\.0001"):
        complete(replace(held["add.refused.0001"], error=None))
