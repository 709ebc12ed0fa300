"""``refnet laws`` from the command line: exit codes, one line for bad input, JSON, vectors."""

import json
import sys

import pytest

from refnet.cli import main

MODULE = '''
import numpy as np
from refnet.laws import QuantizerUnderTest

def half_up(x):
    return np.clip(np.floor(np.float64(x) / 0.25 + 0.5), -8, 7).astype(np.int8)

FACTS = dict(dequantize=lambda c: c * 0.25, levels=(-8, 7), dtypes=("float32", "float64"))
wrong = QuantizerUnderTest(half_up, tie="even", **FACTS)
right = QuantizerUnderTest(half_up, tie="up", **FACTS)
both = [wrong, right]
nothing = QuantizerUnderTest(half_up, claims=[])
'''
SUT = '''
import json, struct, sys
for line in sys.stdin:
    q = json.loads(line)
    if q["op"] != "quantize":
        print(json.dumps({"id": q["id"], "unsupported": ""}), flush=True)
        continue
    x = q["operands"][0]
    codes = [int(struct.unpack(">d", bytes.fromhex(v))[0] >= 0) for v in x["data"]]
    out = {"codes": {"shape": x["shape"], "data": codes}}
    print(json.dumps({"id": q["id"], "outputs": out}), flush=True)
'''
FEW = ("--examples", "2", "--law", "tie", "--law", "nearest", "--law", "codes")


@pytest.fixture(autouse=True)
def _in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "sut.py").write_text(SUT)


def laws(capsys, *arguments):
    try:
        code = main(["laws", *arguments])
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_broken_law_ends_with_1_and_its_counterexample(capsys):
    code, out, _ = laws(capsys, "mine.py:wrong", *FEW)
    assert code == 1
    assert "FAILED  tie: x = 0.125" in out
    assert laws(capsys, "mine.py:right", *FEW)[0] == 0


def test_json_has_every_law(capsys):
    code, out, _ = laws(capsys, "mine.py:both", *FEW, "--json")
    assert code == 1
    first, second = json.loads(out)
    assert list(first["failed"]) == ["tie"]
    assert first["failed"]["tie"]["right"] == [0]
    assert second["failed"] == {}
    assert second["passed"] == ["codes", "nearest", "tie"]


def test_functions_are_tried_with_the_facts_given(capsys):
    facts = ("--levels=-8:7", "--scale", "0.25", "--dtypes", "float64")
    assert laws(capsys, "mine.py:half_up", *facts, "--tie", "up", *FEW)[0] == 0
    assert laws(capsys, "mine.py:half_up", *facts, "--tie", "even", *FEW)[0] == 1


def test_processes_are_tried(capsys):
    command = f"{sys.executable} -S sut.py"
    code, out, _ = laws(
        capsys, "--sut", command, "--levels", "0:1", "--law", "reached", "--law", "monotone",
        "--examples", "2",
    )
    assert code == 0, out


def test_expected_failures_are_strict(capsys, tmp_path):
    (tmp_path / "x").write_text("tie half up by design\n")
    assert laws(capsys, "mine.py:wrong", *FEW, "--xfails", "x")[0] == 0
    code, out, _ = laws(capsys, "mine.py:right", *FEW, "--xfails", "x")
    assert code == 1
    assert "tie passed, expected to fail" in out


def test_counterexamples_are_saved_and_replayed(capsys, tmp_path):
    assert laws(capsys, "mine.py:wrong", *FEW, "--save", "found.json")[0] == 1
    assert laws(capsys, "mine.py:wrong", "--replay", "found.json")[0] == 1
    assert laws(capsys, "mine.py:right", "--replay", "found.json")[0] == 0
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix == ".json") == ["found.json"]


def test_no_law_tried_is_no_success(capsys):
    assert laws(capsys, "mine.py:nothing", "--examples", "2")[0] == 1


def test_the_list_names_every_clause(capsys):
    code, out, _ = laws(capsys, "--list")
    assert code == 0
    assert out.startswith("[8.1.1] codes: Every code is an integer")
    assert len(out.splitlines()) == 44


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "either MODULE:OBJECT or --sut"), (("mine.py:wrong", "--sut", "x"), "either"),
        (("mine.py:none",), "no 'none'"), (("nothing",), "rule MODULE:OBJECT"),
        (("mine.py:wrong", "--law", "ties"), "no such law"),
        (("mine.py:wrong", "--examples", "0"), "max_examples 0"),
        (("mine.py:half_up", "--levels", "8"), "--levels 8"),
        (("mine.py:half_up", "--tie", "odd"), "tie 'odd'"),
        (("--sut", "/no/such/program"), "cannot run"), (("mine.py:wrong", "--replay", "no"), "no"),
        (("mine.py:wrong", "--xfails", "no"), "no"), (("mine.py:wrong", "--bogus"), "bogus"),
    ],
)
def test_bad_input_is_one_line_and_2(capsys, arguments, words):
    code, out, err = laws(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert words in err
    assert "Traceback" not in err


def test_without_hypothesis_the_line_says_what_to_install(capsys, monkeypatch):
    for name in [m for m in sys.modules if m == "refnet.laws.command"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    for name in [m for m in sys.modules if m.startswith("refnet.laws.") and m != "refnet.laws.cli"]:
        monkeypatch.delitem(sys.modules, name)
    code, _, err = laws(capsys, "mine.py:wrong")
    assert code == 2
    assert "refnet[laws]" in err
