"""Counterexamples saved as vectors and tried again."""

from dataclasses import replace

import numpy as np
import pytest
from errors import one_line

from refnet.laws import run_laws
from refnet.laws.mutants import MUTANTS, RIGHT
from refnet.laws.table import LAWS
from refnet.laws.vectors import replay, save
from refnet.vectors import read
from refnet.vectors.clauses import read_clauses, specification
from refnet.vectors.record import VectorError

WANTED = (
    "adds_then_rounds", "one_buffer", "ternary_closed", "mask_open", "channel_mean", "pack_offset",
    "dot_of_8_bits", "requantize_shifts", "fit_eps",
)
SOME = [m for m in MUTANTS if m.name in WANTED]


@pytest.mark.parametrize("mutant", SOME, ids=lambda m: m.name)
def test_what_fails_is_saved_and_fails_again_and_the_right_twin_passes(mutant, tmp_path):
    report = run_laws(mutant.under_test, max_examples=5)
    path = tmp_path / "found.json"
    assert save(report, path) == len(report.failed) > 0
    held = read(path)
    assert [v.op for v in held.vectors] == [f"law.{name}" for name in report.failed]
    again = replay(path, mutant.under_test)
    # A state does not come back with a case.
    assert set(again.failed) == set(report.failed)
    right = replay(path, RIGHT[mutant.subject])
    assert right.failed == ()
    assert set(right.passed) == set(report.failed)


def test_a_vector_says_what_is_right_and_cites_its_clause(tmp_path):
    q = replace(RIGHT["affine"], tie="up")
    save(run_laws(q, max_examples=3), tmp_path / "v.json")
    vector = next(v for v in read(tmp_path / "v.json").vectors if v.op == "law.tie")
    clauses = read_clauses(specification())
    assert clauses[vector.clauses[0]].text.startswith("`tie`:")
    right = next(a for a in vector.outputs if a.name == "right").array()
    x = next(a for a in vector.inputs if a.name == "x").array()
    assert x.shape == (1, 1)
    assert right.tolist() == [int(np.floor(x[0, 0] / vector.arrays["scale"][0] + 0.5))
                              + vector.attributes["zero_point"]]


def test_nothing_is_written_where_nothing_fails(tmp_path):
    report = run_laws(RIGHT["pack"], max_examples=3)
    assert save(report, tmp_path / "v.json") == 0
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_asked_is_unknown(tmp_path):
    save(run_laws(replace(RIGHT["affine"], tie="up"), max_examples=3), tmp_path / "v.json")
    report = replay(tmp_path / "v.json", RIGHT["ternary"])
    assert report.failed == report.passed == ()
    assert "parameters" in report.reasons["tie"]


def test_files_of_other_vectors_are_refused(tmp_path):
    for path in (specification() / "vectors" / "add.json", tmp_path / "none"):
        with pytest.raises((VectorError, OSError)):
            replay(path, RIGHT["affine"])
    report = run_laws(replace(RIGHT["affine"], tie="up"), max_examples=3)
    save(report, tmp_path / "v.json")
    text = (tmp_path / "v.json").read_text().replace('"dtypes":', '"dtype":')
    (tmp_path / "w.json").write_text(text)
    with pytest.raises(VectorError, match="attributes") as error:
        replay(tmp_path / "w.json", RIGHT["affine"])
    one_line(error)


def test_chapter_08_states_every_law_in_its_words():
    clauses = read_clauses(specification())
    stated = {n: " ".join(c.text.split()) for n, c in clauses.items() if c.chapter[:2] == "08"}
    assert {law.clause for law in LAWS} == set(stated)
    for law in LAWS:
        assert stated[law.clause].startswith(f"`{law.name}`: {law.statement}"), law.name
        assert stated[law.clause].endswith(f"Broken by {law.reaches}."), law.name
