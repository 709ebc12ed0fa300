"""Named wrong behaviours: each is dead, each is recognised."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from refnet.program import rounding_shift
from refnet.vectors import wrong_numbers
from refnet.vectors.check import answer, check, killed
from refnet.vectors.cli import vectors_in
from refnet.vectors.layers import LAYER_FUNCTIONS
from refnet.vectors.lookalikes import LOOKALIKES, Lookalike
from refnet.vectors.record import Vector
from refnet.vectors.reference import OPS, reference

VECTORS = Path(__file__).parents[1] / "specs" / "vectors"
NAMES = [lookalike.name for lookalike in LOOKALIKES]


@cache
def vectors() -> tuple[Vector, ...]:
    return tuple(vectors_in([VECTORS, VECTORS / "tiers" / "methods.json"]))


def test_names_are_given_once_and_ops_exist() -> None:
    assert len(set(NAMES)) == len(NAMES) >= 60
    for lookalike in LOOKALIKES:
        assert set(lookalike.ops) <= {*OPS, *LAYER_FUNCTIONS}
        assert lookalike.meaning.endswith(".")


def test_kill_lists_name_lookalikes_of_the_op() -> None:
    ops = {lookalike.name: lookalike.ops for lookalike in LOOKALIKES}
    for vector in vectors():
        assert all(vector.op in ops[name] for name in vector.kills), vector.id


@pytest.mark.parametrize("lookalike", LOOKALIKES, ids=NAMES)
def test_some_vector_kills_it_and_the_diagnosis_finds_it(lookalike: Lookalike) -> None:
    killers = [v for v in vectors() if lookalike.name in v.kills]
    assert killers
    chosen = killers[:3]
    report = check(chosen, lookalike.function)
    assert len(report.failures) == len(chosen)
    answered = [f for f in report.failures if f.kind in ("differs", "accepted")]
    if answered:
        assert dict(report.diagnosis())[lookalike.name] == len(answered)


@pytest.mark.parametrize("lookalike", LOOKALIKES, ids=NAMES)
def test_it_is_told_from_every_other_lookalike(lookalike: Lookalike) -> None:
    """No two names for one behaviour: some vector answers differently, or is not concerned."""
    same = [k for k in LOOKALIKES if k.ops == lookalike.ops and k.name != lookalike.name]
    for other in same:
        either = [v for v in vectors() if {lookalike.name, other.name} & {*v.kills}]
        assert any(not _equal(v, lookalike, other) for v in either), other.name


def _equal(vector: Vector, a: Lookalike, b: Lookalike) -> bool:
    if not {a.name, b.name} <= {*vector.kills}:
        return False
    state, _, mine = answer(a.function, vector)
    others_state, _, other = answer(b.function, vector)
    names = [o.name for o in vector.outputs] or [*mine]
    return state == others_state and all(
        np.array_equal(mine[name], other.get(name)) for name in names if name in mine
    )


def test_what_core_asks_kills_every_lookalike_of_it() -> None:
    """Those of the tier ``methods`` concern operations that core does not ask, and no others."""
    core = tuple(vectors_in([VECTORS]))
    asked, dead = {v.op for v in core}, {name for v in core for name in v.kills}
    assert {k.name for k in LOOKALIKES if asked & {*k.ops}} == dead
    assert {op for k in LOOKALIKES if k.name not in dead for op in k.ops} <= {*LAYER_FUNCTIONS}


def test_kill_lists_are_what_happens() -> None:
    """On a sample: the generator's own comparison covers the rest byte for byte."""
    for vector in vectors()[::40]:
        found = [k.name for k in LOOKALIKES if vector.op in k.ops and killed(vector, k.function)]
        assert list(vector.kills) == found, vector.id


def test_every_vector_kills_a_lookalike() -> None:
    """No vector is there that nothing can fail, those that must be refused included."""
    assert [v.id for v in vectors() if not v.kills] == []


@pytest.mark.parametrize("lookalike", LOOKALIKES, ids=NAMES)
def test_it_answers_and_does_not_crash(lookalike: Lookalike) -> None:
    """A crash would kill any vector; a mistake has an answer, or refuses what has one."""
    for vector in [v for v in vectors() if lookalike.name in v.kills]:
        assert answer(lookalike.function, vector)[0] in ("answered", "refused"), vector.id


def test_the_right_implementation_is_no_lookalike() -> None:
    assert not any(killed(v, reference) for v in vectors())


def test_wrong_roundings_by_hand() -> None:
    x, shift = np.array([-5, -3, -1, 1, 3, 5]), np.int64(1)
    rows = {
        "half_down": (wrong_numbers.half_down, [-3, -2, -1, 0, 1, 2]),
        "floored": (wrong_numbers.floored, [-3, -2, -1, 0, 1, 2]),
        "truncated": (wrong_numbers.truncated, [-2, -1, 0, 0, 1, 2]),
    }
    for wrong, want in rows.values():
        assert wrong(x, shift, "half_even").tolist() == want
    twice = wrong_numbers.twice_half(np.array([5, 11]), np.int64(3), "half_up")
    # 5/8 and 11/8: rounded to quarters-of-eight first, 1.25 -> 1 and 2.75 -> 3, then 0.5 and 1.5.
    assert twice.tolist() == [1, 2]
    assert rounding_shift(np.array([5, 11]), 3, "half_up").tolist() == [1, 1]
