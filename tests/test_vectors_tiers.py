"""Tiers beyond core against plain integers: small spaces whole, samples of large ones."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import oracle
import oracle_solvers
import pytest

from hwsim.counts import Array as PeArray
from hwsim.counts import Problem
from hwsim.dataflow import bit_serial, input_stationary, output_stationary, weight_stationary
from refnet.program import evaluate, load
from refnet.quant import optimal_ternary
from refnet.vectors.check import check, select
from refnet.vectors.cli import vectors_in
from refnet.vectors.ledger import extend, missing, question, read_ledger
from refnet.vectors.record import Vector, VectorError
from refnet.vectors.reference import reference
from refnet.vectors.tiers import SPACES, chained, digest_of, ternary_codes

SPECS = Path(__file__).parents[1] / "specs"


@cache
def vectors() -> dict[str, Vector]:
    return {v.id: v for v in vectors_in([SPECS / "vectors" / "tiers"])}


def of(prefix: str) -> list[Vector]:
    return [v for id, v in vectors().items() if id.startswith(prefix)]


def outputs(vector: Vector) -> dict[str, list]:
    return {a.name: a.array().tolist() for a in vector.outputs + vector.intermediates}


def test_a_digest_is_that_of_32_bit_numbers() -> None:
    values = [0, -1, 2**31 - 1, -(2**31)]
    want = hashlib.sha256(struct.pack("<4i", *values)).digest()
    assert digest_of(np.array(values)).tobytes() == want
    assert digest_of(np.array(values).reshape(2, 2)).tobytes() == want


def test_every_dot_product_of_length_five() -> None:
    """All 248,832 once more, by plain integers."""
    codes = list(product(range(4), repeat=5))
    dots = [
        sum(a * b for a, b in zip(w, x, strict=True) if a)
        for w in product((-1, 0, 1), repeat=5) for x in codes
    ]
    (vector,) = of("exhaustive.dot")
    want = hashlib.sha256(struct.pack(f"<{len(dots)}i", *dots)).digest()
    assert bytes(outputs(vector)["sha256"]) == want
    assert outputs(vector)["count"] == [len(dots)] == [3**5 * 4**5]


def test_requantizers_agree_with_the_oracle_on_a_stride() -> None:
    for vector in of("exhaustive.requantize"):
        given = vector.attributes
        (found,) = SPACES["requantize"](given)
        assert len(found) == 2 * given["bound"] + 1
        lo, hi = oracle.type_range(given["type"])
        for acc in [*range(-given["bound"], given["bound"], 9973), *range(-50, 50)]:
            want = oracle.requantize(
                acc, given["mult"], given["shift"], lo, hi, given["rounding"])
            assert found[acc + given["bound"]] == want


def test_ternary_codes_are_those_of_the_solver_and_of_the_oracle() -> None:
    for n in range(1, 5):
        w = np.array(list(product(range(-3, 4), repeat=n)))
        found = ternary_codes(w)
        for row, codes in zip(w[::5], found[::5], strict=True):
            assert codes.tolist() == optimal_ternary(row.astype(float))[0].tolist()
            assert codes.tolist() == oracle_solvers.optimal_ternary(row.tolist())[0]


def test_the_order_of_spaces_is_the_stated_one() -> None:
    (codes,) = SPACES["optimal_ternary"]({"n": 1, "top": 2})
    assert codes.tolist() == [0, 1, 1]
    first, second = SPACES["optimal_ternary"]({"n": 2, "top": 1})
    assert (first.tolist(), second.tolist()) == ([0, 1], [0, 0, 0, -1, 1, 0, 1, -1])


def test_a_chain_is_its_program_again_and_again() -> None:
    for vector in of("chain"):
        short = replace(vector, attributes={**vector.attributes, "times": 3})
        found = chained(short)
        once = replace(vector, attributes={**vector.attributes, "times": 1})
        x = vector.inputs[0]
        for _ in range(3):
            y = chained(replace(once, inputs=(x,)))["y"]
            x = type(x).of(x.name, x.type, y)
        assert found["y"].tolist() == x.array().tolist()


def test_chains_do_not_settle() -> None:
    """A chain that stands still would ask nothing after its first runs."""
    for vector in of("chain"):
        hundreds = outputs(vector)["hundreds"]
        assert len({tuple(h) for h in hundreds}) == len(hundreds) == 10


def test_a_wrong_rule_ends_in_another_digest() -> None:
    from refnet.vectors.wrong_plain import half_without_shift  # any wrong rounding

    vector = of("chain")[0]

    def hook(op, arrays, result):
        y = evaluate(op, arrays, result)
        if type(op).__name__ != "Requantize":
            return y
        low = half_without_shift(arrays[0].astype(np.int64), np.array(3), "half_up")
        return np.clip(low, -128, 127).astype(y.dtype)

    assert chained(vector, hook)["sha256"].tolist() != outputs(vector)["sha256"]


def test_accumulators_reach_both_ends_and_need_every_bit() -> None:
    for vector in of("stress.conv"):
        (width,) = [v for v in of("stress.width") if v.id[-4:] == vector.id[-4:]]
        lo, hi = outputs(width)["range"]
        (bits,) = outputs(width)["bits"]
        y = np.array(outputs(vector)["y"])
        reached = {int(y.min()), int(y.max())}
        assert reached & {lo, hi}
        if lo < 0:
            assert not (-(2 ** (bits - 2)) <= y.min() and y.max() <= 2 ** (bits - 2) - 1)
        else:
            assert y.max() > 2 ** (bits - 1) - 1


def test_clocks_are_those_of_the_simulator() -> None:
    by_name = {"os": output_stationary, "ws": weight_stationary, "is": input_stationary,
               "bitserial": bit_serial}
    for vector in of("machine"):
        given = vector.attributes
        found = by_name[given["dataflow"]](Problem(**given["problem"]), PeArray(**given["array"]))
        want = {k: v[0] for k, v in outputs(vector).items()}
        assert found.compute_cycles == want["compute_cycles"]
        assert found.cycles == want["compute_cycles"] + want["fill_drain_cycles"]
        assert Problem(**given["problem"]).macs == want["macs"]


def test_compiled_networks_are_the_committed_programs() -> None:
    folder = Path(__file__).parents[1] / "refnet" / "vectors" / "cases" / "networks"
    held = of("networks")
    assert [v.attributes["name"] for v in held] == ["twostep", "factorized", "blockterm"]
    for vector in held:
        program = load(folder / f"{vector.attributes['name']}.refnet")
        assert len(vector.intermediates) == len(program.nodes) - 1
        assert vector.kills


def test_tiers_are_selected() -> None:
    everything = [*vectors_in([SPECS / "vectors"]), *vectors().values()]
    core = {v.tier for v in select(everything, tier="core")}
    assert core == {"smoke", "core"}
    assert {v.tier for v in select(everything, tier="chain")} == {"chain"}
    assert check(of("machine"), reference).ok


def test_an_unknown_space_is_refused() -> None:
    vector = of("exhaustive.dot")[0]
    with pytest.raises(VectorError, match="space 'all'"):
        reference(replace(vector, attributes={"space": "all"}))
    with pytest.raises(ValueError, match="attributes"):
        reference(replace(vector, attributes={"space": "ternary_dot"}))


def test_the_ledger_holds_every_id_and_its_question() -> None:
    everything = [*vectors_in([SPECS / "vectors"]), *vectors().values()]
    ledger = read_ledger(SPECS / "ids.txt")
    assert missing(everything, ledger, "ids.txt") == {}


def test_the_ledger_refuses_an_id_for_another_question(tmp_path: Path) -> None:
    path, vector = tmp_path / "ids.txt", of("machine")[0]
    assert extend([vector], path) == 1
    assert read_ledger(path) == {vector.id: question(vector)}
    assert extend([vector, of("machine")[1]], path) == 1
    other = replace(vector, attributes={})
    with pytest.raises(VectorError, match="another question"):
        extend([other], path)
    assert len(read_ledger(path)) == 2
    path.write_text("a b\n")
    with pytest.raises(VectorError, match="64 digits"):
        read_ledger(path)
