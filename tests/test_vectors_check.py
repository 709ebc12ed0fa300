"""The conformance checker: callables, execute hooks, and processes that misbehave."""

from __future__ import annotations

import json
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from refnet.program import Conv, evaluate
from refnet.vectors.check import CheckReport, check, select
from refnet.vectors.cli import vectors_in
from refnet.vectors.process import BrokenProcess, ProcessImplementation, parse_answer, request
from refnet.vectors.record import Vector, VectorError
from refnet.vectors.reference import Unsupported, executed_by, reference

VECTORS = Path(__file__).parents[1] / "specs" / "vectors"

# A consumer in plain Python that knows Add, Reshape and saturate and nothing of this project.
CONSUMER = '''
import json, sys
def numbers(a):
    return a["shape"], a["data"]
for line in sys.stdin:
    q = json.loads(line)
    operands, given = q["operands"], q["attributes"]
    answer = {"id": q["id"]}
    if q["op"] == "Add":
        if len(operands) != 2 or operands[0]["shape"] != operands[1]["shape"]:
            answer["error"] = "two operands of one shape"
        elif operands[0]["type"].startswith("int[") and "1073741824" in operands[1]["type"]:
            answer["error"] = "accumulator"
        elif operands[1]["name"] != "y":
            answer["error"] = "a constant"
        else:
            x, y = operands
            data = [a + b for a, b in zip(x["data"], y["data"])]
            answer["outputs"] = {"y": {"shape": x["shape"], "data": data}}
    elif q["op"] == "saturate":
        lo, hi = given["lo"], given["hi"]
        if lo > hi:
            answer["error"] = "empty"
        else:
            shape, data = numbers(operands[0])
            data = [max(lo, min(hi, v)) for v in data]
            answer["outputs"] = {"y": {"shape": shape, "data": data}}
    else:
        answer["unsupported"] = q["op"]
    print(json.dumps(answer), flush=True)
'''


@cache
def vectors() -> tuple[Vector, ...]:
    return tuple(vectors_in([VECTORS]))


def one(id: str) -> Vector:
    return next(v for v in vectors() if v.id == id)


def ops(*names: str) -> list[Vector]:
    return select(vectors(), ops=names)


def test_the_reference_passes_every_vector() -> None:
    report = check(vectors(), reference)
    assert report.ok, report.lines()
    assert len(report.passed) == len(vectors()) > 500
    assert report.lines() == [f"{len(vectors())} passed, 0 failed, 0 not supported"]


def test_an_execute_hook_is_checked_on_operators_and_programs() -> None:
    report = check(vectors(), executed_by(evaluate))
    assert report.ok
    assert len(report.passed) == len(ops("Conv", "Threshold", "Requantize", "Add", "MaxPool",
                                         "SumPool", "Reshape", "Program"))  # fmt: skip
    assert {message.split()[0] for _, message in report.unsupported} >= {"work", "pack_bits"}


def test_a_hook_with_another_dtype_fails() -> None:
    report = check(ops("Add"), executed_by(lambda op, arrays, result: op.evaluate(*arrays)))
    assert {f.kind for f in report.failures} == {"broken"}
    assert "dtype int64" in report.failures[0].detail


def test_a_failure_says_where_what_and_which_lookalike() -> None:
    def wrong(op, arrays, result):
        if isinstance(op, Conv):
            arrays = (arrays[0], arrays[1][:, :, ::-1, ::-1], *arrays[2:])
        return op.evaluate(*arrays).astype(result.type.dtype)

    report = check([one("conv.correlation.0001")], executed_by(wrong))
    failure = report.failures[0]
    # rows 1 2 3, 4 5 6, 7 8 9 under 1 2 3, 4 5 6: first element 1+4+9+16+25+36 = 91, flipped 56.
    assert (failure.array, failure.kind, failure.differing) == ("y", "differs", 2)
    assert failure.clauses == ("4.1.1", "4.1.3")
    first = failure.differences[0]
    assert (first.coordinates, first.expected, first.actual) == ((0, 0, 0, 0), 91, 56)
    assert failure.lookalikes == ("kernel_flipped",)
    text = "\n".join(report.lines())
    place = "y[0, 0, 0, 0]: expected 91, got 56"
    for part in ("[4.1.1, 4.1.3]", place, "kernel_flipped on 1 of 1"):
        assert part in text
    assert json.loads(json.dumps(report.plain()))["failures"][0]["id"] == failure.id


def test_the_diagnosis_counts_failing_vectors() -> None:
    def wrong(op, arrays, result):
        if type(op).__name__ == "Threshold":
            arrays = (arrays[0], arrays[1].astype(np.int64) + 1, arrays[2])
        return op.evaluate(*arrays).astype(result.type.dtype)

    report = check(ops("Threshold"), executed_by(wrong))
    assert report.diagnosis()[0] == ("greater_for_greater_equal", len(report.failures))
    assert len(report.failures) > 10


def test_intermediates_name_the_step_that_differs() -> None:
    def wrong(vector):
        held = {k: np.array(a) for k, a in reference(vector).items()}
        held["mean"] = held["mean"] + 1
        held["logits"] = held["logits"] + 1
        return held

    failure = check([one("programs.twostep.0001")], wrong).failures[0]
    assert failure.array == "mean"


def test_a_refusal_where_an_answer_must_come_and_the_other_way_round() -> None:
    def refuse(vector):
        raise ValueError("no")

    must, must_fail = one("add.pairs.0001"), one("add.refused.0003")
    assert check([must], refuse).failures[0].kind == "refused"
    assert check([must_fail], refuse).ok
    accepted = check([must_fail], lambda vector: {"y": np.array([[0]])}).failures[0]
    assert (accepted.kind, accepted.detail) == ("accepted", "must be refused for its accumulator")


@pytest.mark.parametrize(
    ("outputs", "says"),
    [({}, "no output y"), ({"y": np.zeros((1, 4, 1), int)}, "shape"), ({"y": 7}, "shape"),
     ({"y": np.zeros((1, 4))}, "float64"), ({"y": [["a"] * 4]}, "holds")],
)  # fmt: skip
def test_answers_of_another_kind_fail(outputs: dict, says: str) -> None:
    failure = check([one("add.pairs.0001")], lambda vector: outputs).failures[0]
    assert (failure.kind, says in failure.detail) == ("differs", True)


def test_an_exception_fails_the_vector_and_the_run_goes_on() -> None:
    def crash(vector):
        raise ZeroDivisionError("boom")

    report = check(ops("Add"), crash)
    assert len(report.failures) == len(ops("Add"))
    assert report.failures[0].detail == "ZeroDivisionError: boom"


def test_no_vector_is_no_success() -> None:
    def none(vector):
        raise Unsupported("nothing")

    for chosen, implementation in (([], reference), (ops("Add"), none)):
        with pytest.raises(VectorError, match="no vector was run"):
            check(chosen, implementation)


def test_selection() -> None:
    smoke = select(vectors(), tier="smoke")
    assert 0 < len(smoke) < len(select(vectors(), tier="core")) == len(vectors())
    assert len({v.op for v in smoke}) > 10
    plain = select(vectors(), ops=["Conv"], without=["Conv.dilation", "Conv.groups", "refuse"])
    assert plain
    assert all(v.attributes["groups"] == 1 and v.attributes["dilation"] == [1, 1] for v in plain)
    assert all(v.result != "must_fail" for v in plain)


def asked(source: str, tmp_path: Path, chosen, *, timeout: float = 5.0) -> CheckReport:
    path = tmp_path / "sut.py"
    path.write_text(source)
    with ProcessImplementation(f"{sys.executable} -S {path}", timeout_seconds=timeout) as process:
        return check(chosen, process)


def test_a_process_passes_what_it_supports(tmp_path: Path) -> None:
    report = asked(CONSUMER, tmp_path, ops("Add", "saturate", "Reshape"))
    assert report.ok, report.lines()
    assert len(report.passed) == len(ops("Add", "saturate"))
    assert len(report.unsupported) == len(ops("Reshape"))


READ = "import sys, json\nfor line in sys.stdin:\n    q = json.loads(line)\n    "


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (READ + "sys.stderr.write('oops'); sys.exit(3)", "ended with exit code 3: oops"),
        ("import sys; sys.exit(0)", "ended with exit code 0"),
        (READ + "print('hello', flush=True)", "no JSON"),
        (READ + "print('{}', flush=True)", "no record with id"),
        (READ + "print(json.dumps({'id': q['id']}), flush=True)", "fields"),
        (READ + "print(json.dumps({'id': q['id'], 'outputs': {}, 'x': 1}), flush=True)", "fields"),
        (READ + "print(json.dumps({'id': q['id'], 'outputs': [1]}), flush=True)", "by name"),
        (READ + "print(json.dumps({'id': q['id'], 'outputs': {'y': [1]}}), flush=True)", "shape"),
        (READ + "sys.stdout.write('abc'); sys.exit(0)", "cut off"),
    ],
)
def test_a_process_that_misbehaves_fails_each_vector_in_a_line(tmp_path, source, says) -> None:
    report = asked(source, tmp_path, ops("Add")[:2])
    assert [f.kind for f in report.failures] == ["broken", "broken"]
    for failure in report.failures:
        assert says in failure.detail
        assert "\n" not in failure.line()


@pytest.mark.parametrize("source", ["import time\ntime.sleep(60)", READ + "pass"])
def test_a_process_that_hangs_is_given_up(tmp_path: Path, source: str) -> None:
    start = time.monotonic()
    report = asked(source, tmp_path, ops("Add")[:2], timeout=0.3)
    assert [f.detail for f in report.failures] == ["no answer in 0.3 s"] * 2
    assert time.monotonic() - start < 10


def test_a_process_that_floods_does_not_stop_the_run(tmp_path: Path) -> None:
    flood = "import sys\nfor line in sys.stdin:\n    while True: print('x' * 1000)"
    report = asked(flood, tmp_path, ops("Add")[:2], timeout=2)
    assert {f.kind for f in report.failures} == {"broken"}


def test_a_process_may_crash_once_and_goes_on(tmp_path: Path) -> None:
    mark = tmp_path / "crashed"
    once = f"import os, sys\nif not os.path.exists({str(mark)!r}):\n"
    once += f"    open({str(mark)!r}, 'w'); sys.exit(1)\n"
    report = asked(once + CONSUMER, tmp_path, ops("Add"))
    assert [f.kind for f in report.failures] == ["broken"]
    assert len(report.passed) == len(ops("Add")) - 1


def test_a_command_that_does_not_exist() -> None:
    with pytest.raises(VectorError, match="cannot run"), ProcessImplementation("/no/such/thing"):
        pass
    with pytest.raises(VectorError, match="empty"):
        ProcessImplementation("  ")


def test_a_request_is_one_line_of_json() -> None:
    line = request(one("conv.bias.0001"))
    assert line.count(b"\n") == 1
    record = json.loads(line)
    assert set(record) == {"id", "op", "attributes", "operands"}
    assert [o["name"] for o in record["operands"]] == ["x", "w", "b"]
    assert set(record["operands"][0]) == {"name", "type", "shape", "data"}


@pytest.mark.parametrize(
    "output",
    [{"shape": [2], "data": [1]}, {"shape": [1], "data": [1.5]}, {"shape": [1], "data": [True]},
     {"shape": [-1], "data": [1]}, {"shape": [1], "data": [2**70]}, {"shape": 1, "data": [1]},
     {"shape": [1], "data": "1"}],
)  # fmt: skip
def test_outputs_that_are_no_arrays(output: dict) -> None:
    vector = one("add.pairs.0001")
    line = json.dumps({"id": vector.id, "outputs": {"y": output}}).encode()
    with pytest.raises(BrokenProcess):
        parse_answer(line, vector)
