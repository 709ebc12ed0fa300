"""Quantizers in another process: the protocol, refusals, and processes that misbehave."""

import sys

import pytest

from refnet.laws import run_laws
from refnet.laws.process import under_test
from refnet.vectors import ProcessImplementation

RIGHT = '''
import json, math, struct, sys
def number(text):
    return struct.unpack(">d", bytes.fromhex(text))[0]
for line in sys.stdin:
    q = json.loads(line)
    held = {o["name"]: o for o in q["operands"]}
    s = number(held["scale"]["data"][0]) if "scale" in held else 0.25
    z = held["zero_point"]["data"][0] if "zero_point" in held else 0
    answer = {"id": q["id"]}
    if q["op"] == "quantize":
        x = [number(v) for v in held["x"]["data"]]
        if any(math.isnan(v) for v in x):
            answer["error"] = "NaN"
        else:
            r = [v / s if math.isfinite(v / s) else math.copysign(1e9, v) for v in x]
            codes = [min(max(ROUND(v) + z, -8), 7) for v in r]
            answer["outputs"] = {"codes": {"shape": held["x"]["shape"], "data": codes}}
    elif BACK:
        reals = [struct.pack(">d", (c - z) * s).hex() for c in held["codes"]["data"]]
        answer["outputs"] = {"values": {"shape": held["codes"]["shape"], "data": reals}}
    else:
        answer["unsupported"] = "quantize only"
    print(json.dumps(answer), flush=True)
'''
FACTS = {"levels": (-8, 7), "tie": "even", "nan": "refuse"}


@pytest.fixture
def process(tmp_path):
    def start(body, **changes):
        for old, new in changes.items():
            body = body.replace(old, new)
        path = tmp_path / "sut.py"
        path.write_text(body)
        return ProcessImplementation(f"{sys.executable} -S {path}", timeout_seconds=20)

    return start


def tried(process, laws, parameters=False, **facts):
    with process as running:
        q = under_test(running, parameters=parameters, **{**FACTS, **facts})
        return run_laws(q, max_examples=3, laws=laws)


def test_a_right_process_breaks_nothing(process):
    laws = ["codes", "onto", "nearest", "tie", "zero", "nan", "infinity", "shape", "repeatable"]
    report = tried(process(RIGHT, ROUND="round", BACK="True"), laws)
    assert report.failed == (), report.lines()
    assert set(report.passed) == set(laws)


def test_a_wrong_one_is_told_where(process):
    report = tried(
        process(RIGHT, ROUND="(lambda v: math.floor(v + 0.5))", BACK="True"), ["nearest", "tie"]
    )
    assert report.failed == ("tie",)
    assert "code 1, right is 0" in report.counterexamples["tie"].detail


def test_a_process_may_be_given_its_parameters_and_have_no_way_back(process):
    laws = ["onto", "tie", "zero_point_shift"]
    report = tried(process(RIGHT, ROUND="round", BACK="False"), laws, parameters=True)
    assert report.failed == ()
    assert report.reasons == {"onto": "needs dequantize"}
    wrong = process(RIGHT, ROUND="(lambda v: round(v + z) - z)", BACK="False")
    assert tried(wrong, laws, parameters=True).failed == ("tie", "zero_point_shift")


@pytest.mark.parametrize(
    "body", ["", "print('hello')", "import sys\nfor line in sys.stdin: print('{}', flush=True)"]
)
def test_processes_that_answer_nothing_usable_fail(process, body):
    report = tried(process(body), ["codes"])
    assert report.failed == ("codes",)
    assert "BrokenProcess" in report.counterexamples["codes"].detail
