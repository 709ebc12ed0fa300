"""Lanes that skip zeros: formula == stepped machine == SystemVerilog, values and clocks."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest
from rtl_twin import Golden, icarus, run, verilator

from hwsim import stepped_skipping
from hwsim.counts import Array, Problem
from hwsim.pe import kind
from hwsim.skipping import activity, exact

#: What is skipped, rows, columns, lanes, reach.
MACHINES = [("weights", 1, 1, 4, 4), ("weights", 2, 3, 2, 3), ("inputs", 2, 2, 3, 2),
            ("inputs", 1, 3, 2, 5), ("both", 2, 2, 4, 4), ("both", 3, 1, 3, 8)]
CODES = {"weights": 1, "inputs": 2, "both": 3}
EXHAUSTIVE = os.environ.get("HWSIM_EXHAUSTIVE") == "1"
#: Random problems on each of two machines; 200 for each way of skipping where everything is run.
BATCH, BATCHES = 10, 10 if EXHAUSTIVE else 1


def sparse(rng: random.Random, rows: int, columns: int, low: int, high: int) -> list[list[int]]:
    """Codes, from none to all of them zero."""
    density = rng.choice((0.0, 0.2, 0.5, 0.9, 1.0))
    return [[rng.randint(low, high) if rng.random() < density else 0 for _ in range(columns)]
            for _ in range(rows)]


def checked(golden: Golden, array: Array) -> int:
    """Clocks of the formula and of the stepped machine, which gives the values of the product."""
    X, W = np.array(golden.X)[None], np.array(golden.W)[None]
    p = Problem(m=X.shape[1], k=X.shape[2], n=W.shape[2], input_bits=2, weight_bits=2)
    values, stepped, _ = stepped_skipping.skipping(golden.X, golden.W, p, array, value_bits=1)
    found = exact(X != 0 if array.skip != "weights" else None,
                  W != 0 if array.skip != "inputs" else None, p, array, 1)
    assert values == golden.Y
    assert stepped.cycles == activity(p, array, found).cycles
    return stepped.cycles


def golden_of(X: list[list[int]], W: list[list[int]]) -> Golden:
    product = (np.array(X) @ np.array(W)).tolist()
    return Golden(X=X, W=W, Y=product, bits=(2, 2), signed=(False, True))


def machine_of(skip: str, rows: int, columns: int, lanes: int, reach: int):
    """Parameters of the RTL, and the array of the model."""
    parameters = {"ROWS": rows, "COLS": columns, "LANES": lanes, "REACH": reach,
                  "SKIP": CODES[skip]}
    return parameters, Array(rows=rows, columns=columns, depth=lanes, reach=reach, skip=skip,
                             element=kind("ternary2-dot"))


@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: f"{m[0]}-{m[1]}x{m[2]}x{m[3]}-{m[4]}")
def test_values_and_clocks_in_icarus(machine, tmp_path: Path):
    """60 random problems on six machines (600 exhaustively), operands from empty to full."""
    parameters, array = machine_of(*machine)
    built = icarus(tmp_path, "skip_array", parameters)
    rng = random.Random(str(machine))
    for _ in range(BATCHES):
        problems = []
        for _ in range(BATCH):
            m, k, n = rng.randint(1, 7), rng.randint(1, 40), rng.randint(1, 7)
            problems.append(golden_of(sparse(rng, m, k, 0, 3), sparse(rng, k, n, -1, 1)))
        clocks = run(built, tmp_path / "golden.mem", problems)
        assert clocks == [checked(golden, array) for golden in problems]


@pytest.mark.skipif(not EXHAUSTIVE, reason="a build takes 10 s: HWSIM_EXHAUSTIVE=1")
@pytest.mark.parametrize("skip", CODES)
def test_a_whole_layer_in_verilator(skip, tmp_path: Path):
    """LeNet's second convolution, 44 % of weights and half of the inputs zero."""
    parameters, array = machine_of(skip, 2, 2, 4, 4)
    rng = np.random.default_rng(1)
    m, k, n = 14 * 14, 32 * 9, 64
    X = rng.integers(0, 4, size=(m, k)) * (rng.random((m, k)) < 2 / 3)
    W = rng.choice((-1, 0, 1), size=(k, n), p=(0.28, 0.44, 0.28))
    golden = golden_of(X.tolist(), W.tolist())
    built = verilator(tmp_path, "skip_array", parameters, 1 << 18, m * n)
    (clocks,) = run(built, tmp_path / "layer.mem", [golden])
    assert clocks == checked(golden, array)
