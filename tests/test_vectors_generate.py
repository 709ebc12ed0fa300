"""The generator: committed files are what it gives; every clause and operator has vectors."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from refnet.program import OPERATORS
from refnet.vectors import generate
from refnet.vectors.cases import SUBJECTS
from refnet.vectors.cases.build import function_case
from refnet.vectors.clauses import read_clauses
from refnet.vectors.cli import vectors_in
from refnet.vectors.flags import ERRORS, FLAGS
from refnet.vectors.lookalikes import LOOKALIKES
from refnet.vectors.record import Vector, VectorError
from refnet.vectors.reference import OPS
from refnet.vectors.stream import Stream, words

ROOT = Path(__file__).parents[1]
VECTORS = ROOT / "specs" / "vectors"

# Clauses of chapters 01 to 05 without a vector, and why. A line here is a debt or a definition.
NO_VECTOR: dict[str, str] = {}


@cache
def vectors() -> tuple[Vector, ...]:
    return tuple(vectors_in([VECTORS]))


def clauses() -> dict[str, str]:
    held = read_clauses(ROOT / "specs")
    return {n: c.text for n, c in held.items() if int(n.split(".")[0]) <= 5}


def committed() -> dict[str, str]:
    return {p.name: p.read_text() for p in sorted(VECTORS.iterdir())}


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


@pytest.fixture
def as_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator that gives what is committed, without working it out again."""
    monkeypatch.setattr(generate, "files", lambda *args: iter(committed().items()))


def test_the_script_finds_the_committed_files_as_generated() -> None:
    script = [sys.executable, str(ROOT / "specs" / "generate.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True, cwd="/")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("as generated\n")


def test_the_right_files_pass(as_committed: None) -> None:
    assert generate.first_difference(VECTORS) is None


def test_a_modified_vector_is_found_with_file_and_line(as_committed: None, tmp_path: Path) -> None:
    folder = tmp_path / "vectors"
    shutil.copytree(VECTORS, folder)
    path = folder / "conv.json"
    lines = path.read_text().split("\n")
    lines[3] = lines[3].replace('"data":[', '"data":[1', 1)
    path.write_text("\n".join(lines))
    assert generate.first_difference(folder) == f"{path}:4: differs from what the generator gives"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: (f / "add.json").unlink(), "add.json: missing"),
        (lambda f: (f / "mine.json").write_text("{}"), "mine.json: not made by the generator"),
        (lambda f: append(f / "add.json", "\n"), "lines, rule"),
        (lambda f: (f / "add.json").write_bytes((f / "add.json").read_bytes()[:-1]), "add.json:"),
        (lambda f: shutil.rmtree(f), "no such folder"),
    ],
)
def test_other_differences_are_found(as_committed: None, tmp_path: Path, spoil, says) -> None:
    folder = tmp_path / "vectors"
    shutil.copytree(VECTORS, folder)
    spoil(folder)
    assert says in (generate.first_difference(folder) or "")


def test_writing_gives_the_same_bytes_and_leaves_nothing_else(as_committed, tmp_path) -> None:
    names = generate.write(tmp_path / "a" / "b")
    assert set(names) == set(committed()) == {p.name for p in (tmp_path / "a" / "b").iterdir()}
    assert generate.first_difference(tmp_path / "a" / "b") is None


def test_every_clause_has_a_vector_and_every_vector_clauses_that_exist() -> None:
    asked = {number for v in vectors() for number in v.clauses}
    assert asked <= set(clauses())
    assert set(clauses()) - asked == set(NO_VECTOR)


def test_the_clauses_of_the_text_are_all_found() -> None:
    """Against another reading: every bold number at the beginning of a line."""
    seen = []
    for path in sorted((ROOT / "specs").glob("0[1-5]-*.md")):
        seen += re.findall(r"^\*\*\[([0-9.]+)\]\*\*", path.read_text(), flags=re.MULTILINE)
    assert seen == list(clauses())
    assert len(seen) > 40
    assert clauses()["4.5.2"].startswith("The largest element of the window")


def test_every_operator_has_a_file_of_its_own() -> None:
    subjects = {subject: {c.op for c in cases} for subject, cases in SUBJECTS}
    for kind in OPERATORS:
        assert kind.__name__ in subjects[kind.__name__.lower()]
    assert set(committed()) == {f"{s}.json" for s in subjects} | {generate.SCHEMA_NAME}


def test_every_op_answers_and_refuses_somewhere() -> None:
    never_refused = {
        "result_type", "work",  # what they refuse, the operators refuse
        "pack_trits", "pack_planes", "pack_ternary_planes",  # codes out of range: see pack_bits
        "save", "weight_bits", "classify",  # they ask a program, or scores, that exist
    }  # fmt: skip
    answered = {v.op for v in vectors() if v.result == "must"}
    refused = {v.op for v in vectors() if v.result == "must_fail"}
    assert answered == set(OPS)
    assert refused == set(OPS) - never_refused


def test_every_flag_and_error_class_is_used() -> None:
    assert {f for v in vectors() for f in v.flags} == set(FLAGS)
    assert {v.error for v in vectors()} - {None} == set(ERRORS)
    for vector in vectors():
        assert ("NEGATIVE" in vector.flags) == (vector.result == "must_fail")
        assert ("PSEUDO_RANDOM" in vector.flags) == (".random." in vector.id)


def test_files_are_small_and_ids_belong_to_them() -> None:
    for path in VECTORS.iterdir():
        assert path.stat().st_size < 2**20
    for subject, cases in SUBJECTS:
        assert all(c.id.split(".")[0] == subject for c in cases), subject


def test_most_vectors_are_designed() -> None:
    random = [v for v in vectors() if "PSEUDO_RANDOM" in v.flags]
    assert len(random) == 52
    assert len(vectors()) > 10 * len(random)


def test_smoke_covers_every_operator() -> None:
    smoke = {v.op for v in vectors() if v.tier == "smoke"}
    assert {kind.__name__ for kind in OPERATORS} | {"Program"} <= smoke


def test_a_case_the_reference_does_not_answer_as_it_says_is_refused() -> None:
    def case(x: list[int], error: str | None):
        return function_case("x.y.0001", "1.4.1", "saturate", {"lo": 0, "hi": 3},
                             {"x": ("int8", x)}, "BASIC", "A case of this test alone.", error=error)

    assert generate.complete(case([5], None)).outputs[0].data == (3,)
    with pytest.raises(VectorError, match="the reference says"):
        generate.complete(case([5], "range"))
    wrong = function_case("x.y.0001", "1.4.1", "saturate", {"lo": 4, "hi": 3},
                          {"x": ("int8", [1])}, "BASIC", "A case of this test alone.")
    with pytest.raises(VectorError, match="exceeds"):
        generate.complete(wrong)


def test_kill_lists_are_in_the_order_of_the_table() -> None:
    order = {k.name: i for i, k in enumerate(LOOKALIKES)}
    for vector in vectors():
        assert list(vector.kills) == sorted(vector.kills, key=order.__getitem__)


def test_the_stream_is_fixed() -> None:
    # The first eight bytes of SHA-256("a/0"), little-endian.
    assert next(words("a")) == int.from_bytes(
        bytes.fromhex(SHA_A0), "little")
    draw = Stream("a")
    first = draw.integers(-3, 3, (2, 50))
    assert first.tolist() == Stream("a").integers(-3, 3, (2, 50)).tolist()
    assert set(np.unique(first)) == set(range(-3, 4))
    assert draw.integers(-3, 3, (2, 50)).tolist() != first.tolist()
    with pytest.raises(ValueError, match="must hold"):
        draw.integer(1, 0)


SHA_A0 = "d7e98967056f4828"


def test_headers_define_what_their_vectors_use_and_no_more() -> None:
    for path in VECTORS.glob("*.json"):
        if path.name != generate.SCHEMA_NAME:
            held = json.loads(path.read_text())
            assert set(held["flags"]) == {f for v in held["vectors"] for f in v["flags"]}
            assert set(held["errors"]) == {v["error"] for v in held["vectors"]} - {None}
