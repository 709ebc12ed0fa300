"""Lanes that skip zeros: formula == stepped machine == SystemVerilog, values and clocks."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from rtl_twin import Golden, icarus, run

from hwsim import stepped_skipping
from hwsim.counts import Array, Problem
from hwsim.pe import kind
from hwsim.skipping import activity, exact

#: What is skipped, rows, columns, lanes, reach.
MACHINES = [("weights", 1, 1, 4, 4), ("weights", 2, 3, 2, 3), ("inputs", 2, 2, 3, 2),
            ("inputs", 1, 3, 2, 5), ("both", 2, 2, 4, 4), ("both", 3, 1, 3, 8)]
CODES = {"weights": 1, "inputs": 2, "both": 3}
BATCH = 10


def sparse(rng: random.Random, rows: int, columns: int, low: int, high: int) -> list[list[int]]:
    """Codes, from none to all of them zero."""
    density = rng.choice((0.0, 0.2, 0.5, 0.9, 1.0))
    return [[rng.randint(low, high) if rng.random() < density else 0 for _ in range(columns)]
            for _ in range(rows)]


@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: f"{m[0]}-{m[1]}x{m[2]}x{m[3]}-{m[4]}")
def test_values_and_clocks_in_icarus(machine, tmp_path: Path):
    """60 random problems on six machines, operands from empty to full."""
    skip, rows, columns, lanes, reach = machine
    built = icarus(tmp_path, "skip_array", {
        "ROWS": rows, "COLS": columns, "LANES": lanes, "REACH": reach, "SKIP": CODES[skip]})
    array = Array(rows=rows, columns=columns, depth=lanes, reach=reach, skip=skip,
                  element=kind("ternary2-dot"))
    rng = random.Random(str(machine))
    problems = []
    for _ in range(BATCH):
        m, k, n = rng.randint(1, 7), rng.randint(1, 40), rng.randint(1, 7)
        X, W = sparse(rng, m, k, 0, 3), sparse(rng, k, n, -1, 1)
        product = (np.array(X) @ np.array(W)).tolist()
        problems.append(Golden(X=X, W=W, Y=product, bits=(2, 2), signed=(False, True)))
    clocks = run(built, tmp_path / "golden.mem", problems)
    for seen, golden in zip(clocks, problems, strict=True):
        X, W = np.array(golden.X)[None], np.array(golden.W)[None]
        p = Problem(m=X.shape[1], k=X.shape[2], n=W.shape[2], input_bits=2, weight_bits=2)
        values, stepped, _ = stepped_skipping.skipping(golden.X, golden.W, p, array, value_bits=1)
        found = exact(X != 0 if skip != "weights" else None, W != 0 if skip != "inputs" else None,
                      p, array, 1)
        assert values == golden.Y
        assert seen == stepped.cycles == activity(p, array, found).cycles
