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
from refnet.vectors.lookalikes import LOOKALIKES, Lookalike
from refnet.vectors.record import Vector
from refnet.vectors.reference import OPS, reference

VECTORS = Path(__file__).parents[1] / "specs" / "vectors"
NAMES = [lookalike.name for lookalike in LOOKALIKES]


@cache
def vectors() -> tuple[Vector, ...]:
    return tuple(vectors_in([VECTORS]))


def test_names_are_given_once_and_ops_exist() -> None:
    assert len(set(NAMES)) == len(NAMES) >= 60
    for lookalike in LOOKALIKES:
        assert set(lookalike.ops) <= set(OPS)
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
    concerned = [v for v in vectors() if lookalike.name in v.kills]
    for other in same:
        assert any(not _equal(v, lookalike, other) for v in concerned), other.name


def _equal(vector: Vector, a: Lookalike, b: Lookalike) -> bool:
    if b.name not in vector.kills:
        return False
    state, _, mine = answer(a.function, vector)
    others_state, _, other = answer(b.function, vector)
    return state == others_state and all(
        np.array_equal(mine[o.name], other[o.name]) for o in vector.outputs if o.name in mine
    )


def test_kill_lists_are_what_happens() -> None:
    """On a sample: the generator's own comparison covers the rest byte for byte."""
    for vector in vectors()[::40]:
        found = [k.name for k in LOOKALIKES if vector.op in k.ops and killed(vector, k.function)]
        assert list(vector.kills) == found, vector.id


# Vectors with an answer that no look-alike gets wrong, and why they are there all the same.
CONTROLS = {
    "no image: nothing to compute, the shape is what is asked": (
        "add.pairs.0005", "conv.degenerate.0001", "maxpool.window.0014", "sumpool.window.0014",
        "threshold.empty.0001", "requantize.empty.0001", "reshape.order.0007",
        "programs.double.0002", "programs.identity.0002", "programs.step.0002",
        "programs.twostep.0002", "programs.residual.0002",
    ),
    "one element, one class, a window of one, one integer, zero: one answer is possible": (
        "codes.trits_back.0007", "codes.masks.0007", "codes.masks_back.0007",
        "maxpool.window.0011", "sumpool.window.0011", "numbers.saturate.0006",
        "programs.classes.0004", "reshape.order.0006", "rounding.ratio.0002",
        "semidiscrete.greedy.0017", "semidiscrete.greedy.0018", "semidiscrete.refined.0006",
        "semidiscrete.binary.0004",
        "rounding.requantize_half_even.0013", "rounding.requantize_half_up.0013",
        "rounding.requantize_half_away.0013", "thresholds.levels.0006",
        "solvers.ternary.0005", "solvers.ternary.0006", "solvers.start.0006",
    ),
    "no shift: the rules agree, which rules the tie rule out": (
        "rounding.half_even.0004", "rounding.half_up.0004", "rounding.half_away.0004",
    ),
    "the plain case: who fails here has not the operator": (
        "add.pairs.0001", "add.pairs.0006", "conv.channels.0001", "conv.groups.0005",
        "maxpool.window.0015", "maxpool.window.0016", "maxpool.window.0017",
        "programs.classes.0001", "programs.double.0001", "programs.identity.0001",
        "solvers.ternary.0007", "solvers.descent.0014", "solvers.descent.0016",
    ),
    "no code -1 in it, no second plane: the orders of the look-alikes agree": (
        "codes.masks.0003", "codes.masks_back.0003", "codes.masks.0004",
        "codes.masks_back.0004", "codes.planes_back.0005",
    ),
    "no constant, no weight, no operation: the count is 0, the file has no arrays": (
        "files.load.0001", "files.load.0002", "programs.weight_bits.0001",
        "programs.weight_bits.0002", "work.count.0011", "work.count.0012",
    ),
}  # fmt: skip


def test_every_vector_with_an_answer_kills_a_lookalike_or_is_a_known_control() -> None:
    alive = {v.id for v in vectors() if v.result == "must" and not v.kills}
    listed = [id for ids in CONTROLS.values() for id in ids]
    assert len(set(listed)) == len(listed)
    assert alive == set(listed)


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
