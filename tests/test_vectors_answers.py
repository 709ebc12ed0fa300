"""Other ways to be checked: files, memory dumps, callables; expected failures; JUnit reports."""

from __future__ import annotations

import json
import sys
import time
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from refnet.cli import main
from refnet.vectors.check import check, select
from refnet.vectors.cli import vectors_in
from refnet.vectors.expected import parse_expected
from refnet.vectors.export import mem_text, npy_bytes
from refnet.vectors.lookalikes import LOOKALIKES
from refnet.vectors.outputs import FolderImplementation, read_dump, read_words
from refnet.vectors.process import MOST_SILENCES, ProcessImplementation
from refnet.vectors.record import REAL, Array, Vector, VectorError
from refnet.vectors.reference import Unusable, reference

VECTORS = Path(__file__).parents[1] / "specs" / "vectors"
ADD = str(VECTORS / "add.json")


@cache
def vectors() -> tuple[Vector, ...]:
    return tuple(vectors_in([VECTORS]))


def ops(*names: str) -> list[Vector]:
    return select(vectors(), ops=names)


def run(*arguments: str) -> int:
    try:
        return main(["vectors", *arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


def raw(array: Array) -> bytes:
    held = array.array()
    return held.astype(held.dtype.newbyteorder("<")).tobytes()


#: Endings of answer files and what writes them.
WRITERS = {
    "npy": npy_bytes,
    "bin": raw,
    "mem": lambda array: mem_text("x", array).encode(),
    "hex": lambda array: b"@0\n" + mem_text("x", array).upper().encode(),
}


@pytest.mark.parametrize("ending", WRITERS)
def test_a_folder_of_right_answers_passes(ending: str, tmp_path: Path) -> None:
    chosen = ops("Add", "Threshold", "z_step", "pack_bits", "saturate")
    for vector in chosen:
        for array in vector.outputs + vector.intermediates:
            (tmp_path / f"{vector.id}.{array.name}.{ending}").write_bytes(WRITERS[ending](array))
        if vector.result == "must_fail":
            (tmp_path / f"{vector.id}.refused").write_text("no\n")
    report = check(chosen, FolderImplementation(tmp_path))
    assert report.ok, report.lines()
    assert len(report.passed) == len(chosen)


def test_a_dump_that_differs_is_named_with_its_place_and_lookalike(tmp_path: Path) -> None:
    vector = next(v for v in vectors() if v.id == "conv.correlation.0001")
    flipped = reference(vector)["y"][..., ::-1, ::-1].astype("<i4")
    want = vector.outputs[0]
    (tmp_path / f"{vector.id}.y.bin").write_bytes(flipped.astype(want.array().dtype).tobytes())
    (failure,) = check([vector], FolderImplementation(tmp_path)).failures
    assert (failure.kind, failure.array) == ("differs", "y")
    assert failure.differences[0].coordinates == (0, 0, 0, 0)


def test_a_vector_without_a_file_fails_and_the_others_run(tmp_path: Path) -> None:
    first, *rest = [v for v in ops("Add") if v.result == "must"]
    (tmp_path / f"{first.id}.y.npy").write_bytes(npy_bytes(first.outputs[0]))
    report = check([first, *rest], FolderImplementation(tmp_path))
    assert report.passed == (first.id,)
    assert {(f.kind, f.detail) for f in report.failures} == {
        ("broken", f"no file {v.id}.*") for v in rest}


def test_outputs_for_what_must_be_refused_are_accepted_wrongly(tmp_path: Path) -> None:
    vector = next(v for v in ops("Add") if v.result == "must_fail")
    (tmp_path / f"{vector.id}.y.npy").write_bytes(npy_bytes(Array.of("y", "int8", [[1]])))
    assert check([vector], FolderImplementation(tmp_path)).failures[0].kind == "accepted"


WANT = Array.of("y", "int4", [[1, -1, 7]])


@pytest.mark.parametrize(
    ("data", "says"),
    [("1 f", "2 elements, rule 3"), ("1 f 7 0", "4 elements"), ("1 xx 7", "word 1 is xx"),
     ("1 1f 7", "over 4 bits"), ("@1 1 f 7", "address @1 after 0 words"), ("", "0 elements")],
)  # fmt: skip
def test_words_that_are_no_answer(data: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=says):
        read_words(data, WANT)


def test_words_and_dumps_by_hand() -> None:
    assert read_words("// a\n1 F /* b */\n@2\n7", WANT).tolist() == [[1, -1, 7]]
    assert read_dump(b"\x01\xff\x07", WANT).tolist() == [[1, -1, 7]]
    wide = Array.of("y", "int32", [-2, 258])
    assert read_dump(b"\xfe\xff\xff\xff\x02\x01\x00\x00", wide).tolist() == [-2, 258]
    assert read_words("3ff0000000000000", Array.of("y", REAL, [1.0])).tolist() == [1.0]
    with pytest.raises(Unusable, match="multiple of 4"):
        read_dump(b"123", wide)


def test_damaged_answer_files_are_broken_answers(tmp_path: Path) -> None:
    vector = next(v for v in ops("Add") if v.result == "must")
    path = tmp_path / f"{vector.id}.y.npy"
    for data in (b"", b"\x93NUMPY\x01\x00", b"garbage"):
        path.write_bytes(data)
        assert check([vector], FolderImplementation(tmp_path)).failures[0].kind == "broken"
    (tmp_path / f"{vector.id}.y.bin").write_bytes(b"")
    assert "one of them" in check([vector], FolderImplementation(tmp_path)).failures[0].detail


def test_two_mistakes_are_told_apart() -> None:
    """Look-alikes that only share vectors with a better one are no cause of their own."""
    kinds = {"Threshold": "greater_for_greater_equal", "Conv": "kernel_flipped"}
    wrong = {k.name: k.function for k in LOOKALIKES}

    def both(vector: Vector):
        return wrong[kinds[vector.op]](vector)

    chosen = [v for v in ops("Conv", "Threshold") if kinds[v.op] in v.kills]
    report = check(chosen, both)
    assert {name for name, _ in report.causes()} == set(kinds.values())
    assert sum(n for _, n in report.causes()) == len(report.failures) == len(chosen)
    assert any(line.startswith("2 look-alikes explain") for line in report.lines())
    assert len(report.diagnosis()) > 2


# --- expected failures ----------------------------------------------------------------------------


def test_expected_failures_are_strict() -> None:
    one, two = (v for v in ops("Add")[:2])

    def wrong_on_one(vector: Vector):
        outputs = dict(reference(vector))
        return {"y": outputs["y"] + 1} if vector.id == one.id else outputs

    report = check([one, two], wrong_on_one, expected={one.id: "known"})
    assert report.ok
    assert [(f.id, why) for f, why in report.expected] == [(one.id, "known")]
    assert report.lines()[-1].startswith("1 passed, 0 failed, 1 failed as expected")
    stale = check([one, two], wrong_on_one, expected={one.id: "known", two.id: "was so"})
    assert not stale.ok
    assert stale.unexpected == (two.id,)
    assert f"{two.id} passes, and was expected to fail" in stale.lines()


@pytest.mark.parametrize(
    ("text", "says"),
    [("add.pairs.0001", "needs a reason"), ("add.no.0001 why", "no vector 'add.no.0001'"),
     ("add.pairs.0001 a\nadd.pairs.0001 b", "line 2: 'add.pairs.0001' stands there")],
)  # fmt: skip
def test_expected_failures_that_say_nothing(text: str, says: str) -> None:
    with pytest.raises(VectorError, match=says):
        parse_expected(text, ["add.pairs.0001"])
    assert parse_expected("# nothing\n\n", []) == {}


SUT = """
from refnet.vectors import reference
def wrong(vector):
    found = dict(reference(vector))
    if vector.id == "add.pairs.0001":
        found["y"] = found["y"] + 1
    return found
def stops(vector):
    raise SystemExit(3)
def nothing(vector):
    return None
def ragged(vector):
    return {"y": [[1], [1, 2]]}
number = 7
"""


def test_a_callable_with_its_reports(tmp_path: Path, capsys) -> None:
    (tmp_path / "sut.py").write_text(SUT)
    what, junit = f"{tmp_path / 'sut.py'}:wrong", tmp_path / "junit.xml"
    assert run("check", ADD, "--callable", what, "--junit", str(junit), "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert [f["id"] for f in report["failures"]] == ["add.pairs.0001"]
    suite = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == (
        str(len(vectors_in([VECTORS / "add.json"]))), "1", "0")
    (failure,) = suite.iter("failure")
    assert "expected" in str(failure.text)
    known = tmp_path / "known.txt"
    known.write_text("add.pairs.0001 one too many\n")
    assert run("check", ADD, "--callable", what, "--expected-failures", str(known)) == 0
    known.write_text("add.pairs.0001 one too many\nadd.pairs.0002 old\n")
    junit.unlink()
    arguments = ("--expected-failures", str(known), "--junit", str(junit))
    assert run("check", ADD, "--callable", what, *arguments) == 1
    assert "add.pairs.0002 passes, and was expected to fail" in capsys.readouterr().out
    suite = ElementTree.parse(junit).getroot()
    assert (suite.get("failures"), suite.get("skipped")) == ("1", "1")


@pytest.mark.parametrize("name", ["stops", "nothing", "ragged"])
def test_a_callable_that_misbehaves_is_reported(name: str, tmp_path: Path, capsys) -> None:
    (tmp_path / "sut.py").write_text(SUT)
    assert run("check", ADD, "--callable", f"{tmp_path / 'sut.py'}:{name}") == 1
    assert "0 passed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--callable", "sut"), "rule MODULE:OBJECT"),
        (("--callable", "sut.py:wrong"), "sut.py: no such file"),
        (("--callable", "no_such_module_x:y"), "cannot be imported"),
        (("--callable", "json:no.thing"), "no 'no' in it"),
        (("--callable", "sys:maxsize"), "int, rule a function"),
        (("--outputs", "nowhere"), "nowhere: no such folder"),
        (("--expected-failures", "nowhere"), "nowhere"),
        (("--without", "Conv.dialtion"), "no vector needs the capability Conv.dialtion"),
        (("--having", "Mul"), "no vector needs the capability Mul"),
        (("--junit", "/no/such/folder/x.xml"), "/no/such/folder"),
    ],
)
def test_bad_arguments_are_one_line_and_2(arguments, says, capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("check", ADD, *arguments) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n"), says in said.err) == ("", 1, True), said.err


def test_having_leaves_out_what_needs_more() -> None:
    chosen = select(vectors(), having=["Conv", "refuse"])
    assert chosen
    assert all(set(v.capabilities) <= {"Conv", "refuse"} for v in chosen)


# --- devices that misbehave -----------------------------------------------------------------------


def asked(source: str, tmp_path: Path, chosen: list[Vector], timeout: float):
    path = tmp_path / "sut.py"
    path.write_text(source)
    with ProcessImplementation(f"{sys.executable} -S {path}", timeout_seconds=timeout) as process:
        return check(chosen, process)


def test_a_dead_device_is_given_up_and_every_vector_fails(tmp_path: Path) -> None:
    chosen = ops("Conv")
    start = time.monotonic()
    report = asked("import time\ntime.sleep(600)", tmp_path, chosen, timeout=0.05)
    assert len(report.failures) == len(chosen) > MOST_SILENCES
    assert [f.detail for f in report.failures[MOST_SILENCES:]] == [
        f"not asked, after {MOST_SILENCES} vectors without an answer"
    ] * (len(chosen) - MOST_SILENCES)
    assert time.monotonic() - start < 60


def test_a_device_that_floods_standard_error_is_still_asked(tmp_path: Path) -> None:
    source = (
        "import sys, json\nfor line in sys.stdin:\n    sys.stderr.write('x' * 100 + '\\n')\n"
        "    for _ in range(3000): sys.stderr.write('noise' * 20 + '\\n')\n"
        "    print(json.dumps({'id': json.loads(line)['id'], 'unsupported': 'a\\x1b[2Jb'}), "
        "flush=True)\n    sys.exit('last words')"
    )
    chosen = ops("Add")[:3]
    with pytest.raises(VectorError, match="no vector was run"):
        asked(source, tmp_path, chosen[:1], timeout=20)
    report = asked(source, tmp_path, chosen, timeout=20)
    (failure,) = report.failures
    assert failure.kind == "broken"
    assert failure.detail.endswith("last words")
    # A terminal is not at the mercy of the device.
    assert [why for _, why in report.unsupported] == ["a?[2Jb"] * 2


def test_a_device_that_says_too_much_answers_the_wrong_question_next(tmp_path: Path) -> None:
    source = (
        "import sys, json\nfor line in sys.stdin:\n    q = json.loads(line)\n"
        "    a = json.dumps({'id': q['id'], 'error': 'no'})\n    print(a); print(a, flush=True)"
    )
    refused = [v for v in ops("Add") if v.result == "must_fail"]
    report = asked(source, tmp_path, refused, timeout=10)
    assert len(report.passed) + len(report.failures) == len(refused)
    assert {f.kind for f in report.failures} == {"broken"}


def test_outputs_of_an_odd_kind_do_not_stop_the_run() -> None:
    chosen = ops("Add")[:2]
    arrays = ([[1], [2, 3]], object(), {"shape": [1]}, None, "1")
    for odd in (*({"y": a} for a in arrays), [1], None):
        report = check(chosen, lambda vector, odd=odd: odd)
        assert len(report.failures) == 2
    assert not check(chosen, lambda vector: {"y": np.zeros((0,))}).ok
