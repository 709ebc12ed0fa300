"""The consumers in C and Python: their core vectors, no compiler warning, no crash on bad lines."""

from __future__ import annotations

import ast
import json
import os
import random
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from refnet.vectors.check import check, select
from refnet.vectors.cli import vectors_in
from refnet.vectors.process import ProcessImplementation, parse_answer, request
from refnet.vectors.record import Vector
from refnet.vectors.reference import Unsupported, Unusable

CONSUMERS = Path(__file__).parents[1] / "specs" / "consumers"
needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
FLAGS = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1")
#: More flags for the compiler, such as -fsanitize=address,undefined.
MORE = os.environ.get("REFNET_CFLAGS", "").split()


@cache
def vectors() -> tuple[Vector, ...]:
    return tuple(vectors_in([CONSUMERS.parent / "vectors"]))


#: What a program is made with; specs/consumers/c runs programs, and leaves these to c-all.
MAKERS = {
    *("integer_type", "ratio_to_mult_shift", "integer_thresholds", "save", "load", "z_step"),
    *("optimal_ternary", "weight_codes", "code_least_squares", "semidiscrete", "block_term"),
}


def runs(op: str) -> bool:
    return op not in MAKERS and not op.startswith(("pack_", "unpack_"))


@pytest.fixture(scope="module", params=["c", "c-all"])
def consumer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    program = tmp_path_factory.mktemp(request.param) / request.param
    sources = sorted(CONSUMERS.glob(f"{request.param}/*.c"))
    command = ["cc", *FLAGS, *MORE, "-o", program, *sources, "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return str(program)


@needs_cc
def test_the_c_consumers_pass_every_vector_of_theirs(consumer: str) -> None:
    theirs = [v for v in vectors() if consumer.endswith("c-all") or runs(v.op)]
    with ProcessImplementation(consumer, timeout_seconds=60) as process:
        report = check(vectors(), process)
    assert report.ok, "\n".join(report.lines())
    assert len(report.passed) == len(theirs)


def test_the_c_consumer_is_short_and_readable() -> None:
    files = [*CONSUMERS.glob("c/*.[ch]")]
    lines = [line for file in files for line in file.read_text().splitlines()]
    assert len(files) >= 2
    assert len(lines) < 600
    assert max(map(len, lines)) <= 100


def spoiled(line: str, rng: random.Random) -> str:
    """The line with a few characters exchanged, cut, or another number in it."""
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(line))
        what = rng.choice(["", "0", "9", "-", "[", "]", "{", '"', ",", "4294967296", "x", "null"])
        line = line[:place] + what + line[place + rng.randint(0, 3) :] or "{"
    return line.replace("\n", " ")


@needs_cc
def test_the_c_consumers_survive_bad_lines(consumer: str) -> None:
    rng = random.Random(9)
    theirs = [v for v in vectors() if consumer.endswith("c-all") or runs(v.op)]
    lines = [spoiled(request(rng.choice(theirs)).decode(), rng) for _ in range(1500)]
    lines += ["", "{}", "[" * 100_000, '{"id":"a","op":"Add"}', "\x00", '"', "1e5"]
    given = "\n".join(lines) + "\n"
    done = subprocess.run([consumer], input=given.encode(), capture_output=True, check=False,
                          timeout=300)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    answers = done.stdout.splitlines()
    assert len(answers) == len(lines)
    assert sum(b'"error"' in answer for answer in answers) > 500


def test_the_python_consumer_is_short_and_passes_what_it_supports() -> None:
    path = CONSUMERS / "consumer.py"
    assert len(path.read_text().splitlines()) < 50
    imported = {a.name for n in ast.walk(ast.parse(path.read_text()))
                if isinstance(n, ast.Import) for a in n.names}  # fmt: skip
    assert imported == {"json", "sys"}
    chosen = select(vectors(), ops=["rounding_shift", "classify", "Conv"])
    with ProcessImplementation(f"{sys.executable} -S {path}", timeout_seconds=60) as process:
        report = check(chosen, process)
    assert report.ok, report.lines()
    assert len(report.passed) == len(select(vectors(), ops=["rounding_shift", "classify"]))


def examples() -> list[tuple[dict, dict]]:
    """Requests and answers in the page for implementers."""
    page = (CONSUMERS / "README.md").read_text()
    lines = [json.loads(line) for block in page.split("```json\n")[1:]
             for line in block.split("```")[0].splitlines()]  # fmt: skip
    return list(zip(lines[::2], lines[1::2], strict=True))


def test_the_page_shows_the_protocol_as_it_is() -> None:
    held = {v.id: v for v in vectors()}
    assert len(examples()) >= 3
    kinds = set()
    for asked, answered in examples():
        vector = held[asked["id"]]
        assert json.loads(request(vector)) == asked
        try:
            outputs = parse_answer(json.dumps(answered).encode(), vector)
            kinds.add("outputs")
            assert outputs["y"].tolist() == vector.outputs[0].array().tolist()
        except Unsupported:
            kinds.add("unsupported")
        except Unusable:
            raise
        except ValueError:
            assert vector.result == "must_fail"
            kinds.add("error")
    assert kinds == {"outputs", "unsupported", "error"}
