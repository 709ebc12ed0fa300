"""Every mutant breaks a law; the library is usable on other suites; the matrix is complete."""

import numpy as np
import pytest

from refnet.laws import LAWS, matrix
from refnet.laws.mutants import MUTANTS, RIGHT, unnoticed
from refnet.laws.suite import broken_law
from refnet.laws.table import NAMES


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_every_mutant_breaks_a_law(mutant):
    assert broken_law(mutant.under_test, seed=11, max_examples=200) is not None


def test_mutants_have_names_and_meanings():
    assert len({m.name for m in MUTANTS}) == len(MUTANTS) >= 40
    assert all(m.meaning.endswith(".") for m in MUTANTS)
    assert {m.subject for m in MUTANTS} == set(RIGHT)


def test_states_start_anew():
    mutant = next(m for m in MUTANTS if m.name == "first_scale")
    x = np.array([1.0])
    first, second = mutant.function, mutant.function
    assert first(x, 1.0, 0) == first(x, 0.25, 0) == 1
    assert second(x, 0.25, 0) == 4


def test_a_suite_of_ties_notices_rounding_and_a_random_one_does_not():
    def ties(quantize):
        x = np.arange(-16, 16) / 4
        return np.array_equal(quantize(x, 0.5, 1), np.clip(np.rint(x / 0.5) + 1, -8, 7))

    def random(quantize):
        x = np.random.default_rng(0).normal(size=500)
        assert np.array_equal(quantize(x, 0.1, 0), np.clip(np.rint(x / 0.1), -8, 7))

    rounding = {"half_away", "half_up", "half_down", "half_odd", "adds_then_rounds"}
    assert not rounding & set(unnoticed(ties))
    assert rounding <= set(unnoticed(random))
    assert unnoticed(lambda f: f(np.array([0.35]))[0] == 0, subject="ternary")


def test_a_suite_that_refuses_everything_notices_nothing():
    with pytest.raises(ValueError, match="does not accept the right"):
        unnoticed(lambda f: False)
    with pytest.raises(ValueError, match="none"):
        unnoticed(lambda f: True, subject="octal")
    with pytest.raises(ValueError, match="none"):
        unnoticed(lambda f: True, role="name")


def test_the_committed_matrix_names_every_mutant_and_every_law_that_can_break():
    text = matrix.FILE.read_text()
    assert all(f"| {m.name} | {m.meaning.rstrip('.')} |" in text for m in MUTANTS)
    rows = {line.split(" | ")[0].strip("| "): line for line in text.splitlines() if "|" in line}
    noticed = [name for name in NAMES if f"| {name} | 8." in text]
    # No mutant is a factorization: these are tried in their own tests.
    missing = set(NAMES) - set(noticed)
    assert missing <= {"odd", "channels", *(n for n in NAMES if n[:6] in ("factor", "recons"))}
    assert all("x" in rows[m.name] for m in MUTANTS)


def test_the_matrix_of_a_few_mutants_is_as_committed():
    few = [m for m in MUTANTS if m.subject in ("pack", "requantize")]
    found = matrix.broken(few)
    text = matrix.FILE.read_text()
    for mutant in few:
        row = next(line for line in text.splitlines() if line.startswith(f"| {mutant.name} |"))
        assert row.count(" x") == len(found[mutant.name]), mutant.name
    assert len(LAWS) == len(NAMES) == len(set(NAMES))
