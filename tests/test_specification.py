"""The table of pitfalls, the names of rounding modes, and two examples for each section."""

from __future__ import annotations

import decimal
import doctest
import re
from fractions import Fraction
from functools import cache
from math import ceil, floor, trunc
from pathlib import Path

import numpy as np
import pytest

from refnet.program import rounding_shift
from refnet.vectors.clauses import read_clauses
from refnet.vectors.cli import vectors_in
from refnet.vectors.lookalikes import LOOKALIKES
from refnet.vectors.record import Vector
from refnet.vectors.roundings import MODES, NAMES

SPECS = Path(__file__).parents[1] / "specs"
HALVES = [Fraction(n, 4) for n in range(-14, 15)]


@cache
def vectors() -> tuple[Vector, ...]:
    return tuple(vectors_in([SPECS / "vectors"]))


def pitfalls() -> list[list[str]]:
    lines = (SPECS / "pitfalls.md").read_text().split("\n")
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines if re.match(r"\| \d+ \|", line)
    ]


def test_all_sixty_pitfalls_are_decided() -> None:
    assert [int(row[0]) for row in pitfalls()] == list(range(1, 61))
    assert [int(r[0]) for r in pitfalls() if r[3] == "none"] == [58, 59]


@pytest.mark.parametrize("row", [r for r in pitfalls() if r[3] != "none"], ids=lambda r: r[0])
def test_a_pitfall_has_clauses_vectors_and_lookalikes(row: list[str]) -> None:
    """Every clause is asked, every group of vectors exists, every look-alike dies in one of them
    or, where the wrong answer is to accept, anywhere."""
    clauses = re.findall(r"\[([\d.]+)\]", row[3])
    groups, lookalikes = row[4].split(), row[5].split()
    assert clauses
    assert groups
    assert lookalikes
    assert set(clauses) <= set(read_clauses(SPECS))
    assert set(lookalikes) <= {k.name for k in LOOKALIKES}
    there = [v for v in vectors() if v.id.rpartition(".")[0] in groups]
    assert {v.id.rpartition(".")[0] for v in there} == set(groups)
    asked = {n for v in there for n in v.clauses}
    assert asked & set(clauses), (clauses, asked)
    killed = {name for v in there for name in v.kills}
    assert killed & set(lookalikes), lookalikes


def test_rounding_rules_are_modes_of_that_name() -> None:
    x = np.array([int(h * 4) for h in HALVES])
    for rule in ("half_even", "half_up", "half_away"):
        want = [MODES[rule](h) for h in HALVES]
        assert rounding_shift(x, 2, rule).tolist() == want


def test_modes_are_those_of_decimal() -> None:
    rows = [(name, mode) for system, name, mode in NAMES if system == "decimal, Java"]
    assert len(rows) == 7
    for name, mode in rows:
        for h in HALVES:
            exact = decimal.Decimal(h.numerator) / decimal.Decimal(h.denominator)
            found = exact.quantize(decimal.Decimal(1), rounding=f"ROUND_{name}")
            assert int(found) == MODES[mode](h), (name, h)


def test_modes_are_those_of_numpy_and_python() -> None:
    real = np.array([float(h) for h in HALVES])
    originals = {"half_even": np.rint, "towards_zero": np.trunc, "floor": np.floor, "ceil": np.ceil}
    for mode, original in originals.items():
        assert original(real).tolist() == [MODES[mode](h) for h in HALVES]
    for h in HALVES:
        assert (round(h), floor(h), ceil(h), trunc(h)) == tuple(
            MODES[m](h) for m in ("half_even", "floor", "ceil", "towards_zero"))


def test_every_mode_rounds_to_a_neighbour_and_keeps_integers() -> None:
    for mode, of in MODES.items():
        for h in HALVES:
            assert of(h) in (floor(h), ceil(h)), mode
    assert {mode for _, _, mode in NAMES} == set(MODES)


@pytest.mark.parametrize("path", sorted(SPECS.glob("0[1-6]*-*.md")), ids=lambda p: p.name)
def test_every_section_has_two_examples(path: Path) -> None:
    """Prose alone invites two readings."""
    parts = re.split(r"^### \[", path.read_text(), flags=re.MULTILINE)[1:]
    for part in parts:
        if "]** " in part and "1.2]" not in part[:6]:
            assert len(re.findall(r"^>>> ", part, flags=re.MULTILINE)) >= 2, part[:40]


#: Chapters whose examples name their clauses; in the others two stand in every section.
NAMED = ("01-numbers.md", "02-codes.md", "03-requantize-and-thresholds.md", "04-operators.md")


def examples_of(path: Path) -> dict[str, list[str]]:
    """Clause -> what is said of its worked examples, those that show a result or a refusal."""
    found: dict[str, list[str]] = {}
    for example in doctest.DocTestParser().get_examples(path.read_text()):
        said = " ".join(re.findall(r"# (\[.*)", example.source))
        for number in re.match(r"((?:\[[\d.]+\] ?)*)", said)[1].split():
            if example.want or example.exc_msg:
                found.setdefault(number.strip("[]"), []).append(said)
    return found


@pytest.mark.parametrize("name", NAMED)
def test_every_clause_has_two_examples_and_one_is_at_an_edge(name: str) -> None:
    """Two worked examples, one of them at a tie or at a bound of what the clause allows."""
    clauses = {n for n, c in read_clauses(SPECS).items() if c.chapter == name}
    found = examples_of(SPECS / name)
    assert set(found) == clauses
    for number, said in found.items():
        assert len(said) >= 2, number
        assert any(re.search(r"\b(ties?|bounds?)\b", text) for text in said), number
