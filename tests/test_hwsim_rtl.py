"""Closed form == stepped machine == SystemVerilog: the same values in the same clocks."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest
from rtl_twin import Golden, icarus, run, verilator

from hwsim import dataflow, stepped, stepped_lanes, stepped_serial
from hwsim.counts import Activity, Array, Problem
from hwsim.pe import kind

#: Arrays whose units have lanes; one unit where nothing is said.
LANED = ("lanes_array", "parts_array")
EXHAUSTIVE = os.environ.get("HWSIM_EXHAUSTIVE") == "1"
#: Random problems of a machine in every run; a kind has as many or more on all of its machines
#: together where everything is run.
PROBLEMS, PROBLEMS_OF_A_KIND = 13, 200
#: Problems in one start of a simulator: the memory of the bench holds their vectors.
BATCH = 50
#: A name, the module, its parameters, bits of X and W (from, to), their signs (None: either).
MACHINES = [
    ("ws", "ws_array", {"ROWS": 4, "COLS": 4}, (1, 8), (1, 8), None),
    ("ws", "ws_array", {"ROWS": 2, "COLS": 3}, (1, 8), (1, 8), None),
    ("ws", "ws_array", {"ROWS": 1, "COLS": 1, "X_BITS": 17, "W_BITS": 17}, (9, 16), (1, 14), None),
    ("os", "os_array", {"ROWS": 4, "COLS": 4}, (1, 8), (1, 8), None),
    ("os", "os_array", {"ROWS": 3, "COLS": 2}, (1, 8), (1, 8), None),
    ("os", "os_array", {"ROWS": 1, "COLS": 5, "X_BITS": 17, "W_BITS": 17}, (9, 16), (1, 14), None),
    ("ternary", "ws_array", {"ROWS": 4, "COLS": 4, "TERNARY": 1, "W_BITS": 2}, (1, 8), (2, 2),
     (None, True)),
    ("ternary", "ws_array", {"ROWS": 3, "COLS": 5, "TERNARY": 1, "W_BITS": 2}, (1, 8), (2, 2),
     (None, True)),
    ("dot", "lanes_array", {"KIND": 0, "LANES": 16}, (1, 2), (2, 2), (False, True)),
    ("dot", "lanes_array", {"KIND": 0, "LANES": 16, "ROWS": 2, "COLS": 3, "X_SIGNED": 1}, (2, 2),
     (2, 2), (True, True)),
    ("dot", "lanes_array", {"KIND": 0, "LANES": 3, "ROWS": 3, "COLS": 2}, (1, 2), (2, 2),
     (False, True)),
    ("serial", "lanes_array", {"KIND": 1, "LANES": 16}, (1, 16), (2, 2), (None, True)),
    ("serial", "lanes_array", {"KIND": 1, "LANES": 5, "ROWS": 2, "COLS": 2}, (1, 16), (2, 2),
     (None, True)),
    ("popcount", "lanes_array", {"KIND": 2, "LANES": 8}, (1, 8), (1, 8), None),
    ("popcount", "lanes_array", {"KIND": 2, "LANES": 64, "ROWS": 2, "COLS": 2}, (1, 4), (1, 4),
     None),
    ("popcount", "lanes_array", {"KIND": 2, "LANES": 4, "ROWS": 3, "COLS": 1}, (9, 16), (1, 2),
     None),
    ("loom1", "parts_array", {"KIND": 0, "LANES": 8, "SERIAL": 1, "ROWS": 2, "COLS": 3}, (1, 12),
     (1, 8), None),
    ("loom2", "parts_array", {"KIND": 0, "LANES": 16, "SERIAL": 2, "ROWS": 2, "COLS": 2}, (1, 12),
     (1, 8), None),
    ("loom4", "parts_array", {"KIND": 0, "LANES": 5, "SERIAL": 4}, (1, 16), (1, 8), None),
    ("bitfusion", "parts_array", {"KIND": 1, "LANES": 1, "ROWS": 2, "COLS": 2}, (1, 8), (1, 8),
     None),
    ("bitfusion", "parts_array", {"KIND": 1, "LANES": 3, "ROWS": 1, "COLS": 2}, (1, 16), (1, 8),
     None),
    ("bitfusion", "parts_array", {"KIND": 1, "LANES": 2}, (1, 8), (9, 16), None),
    ("unpu", "parts_array", {"KIND": 2, "LANES": 2, "ROWS": 2, "COLS": 3}, (1, 8), (1, 8), None),
    ("unpu", "parts_array", {"KIND": 2, "LANES": 5}, (9, 16), (1, 8), None),
]
NAMES = [f"{m[0]}-" + "x".join(str(m[2].get(x, 1)) for x in ("ROWS", "COLS", "LANES"))
         for m in MACHINES]
ELEMENTS = {"dot": kind("ternary2-dot"), "serial": kind("ternary-serial"),
            **{name: kind(name) for name in ("loom1", "loom2", "loom4", "bitfusion", "unpu")}}


def limits(bits: int, signed: bool) -> tuple[int, int]:
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def product(X: list[list[int]], W: list[list[int]]) -> list[list[int]]:
    return (np.array(X, dtype=np.int64) @ np.array(W, dtype=np.int64)).tolist()


def random_problem(rng: random.Random, machine) -> Golden:
    name, _, _, x_bits, w_bits, signs = machine
    bits = rng.randint(*x_bits), rng.randint(*w_bits)
    asked = signs or (None, None)
    signed = tuple(rng.random() < 0.5 if sign is None else sign for sign in asked)
    ternary = name in ("ternary", "dot", "serial")
    ranges = limits(bits[0], signed[0]), (-1, 1) if ternary else limits(bits[1], signed[1])
    m, n = rng.randint(1, 9), rng.randint(1, 9)
    k = rng.randint(1, 9 if name in ("ws", "os", "ternary") else 40)

    def draw(rows: int, columns: int, low: int, high: int) -> list[list[int]]:
        return [[rng.choice((low, high, rng.randint(low, high))) for _ in range(columns)]
                for _ in range(rows)]

    X, W = draw(m, k, *ranges[0]), draw(k, n, *ranges[1])
    if name in ELEMENTS:
        bits = tuple(map(ELEMENTS[name].storage_bits, bits))
    return Golden(X=X, W=W, Y=product(X, W), bits=bits, signed=signed)


def array_of(name: str, parameters: dict[str, int]) -> Array:
    return Array(rows=parameters.get("ROWS", 1), columns=parameters.get("COLS", 1),
                 depth=parameters.get("LANES", 1), element=ELEMENTS.get(name))


def closed_form(name: str, p: Problem, array: Array) -> Activity:
    forms = {"ws": dataflow.weight_stationary, "ternary": dataflow.weight_stationary,
             "os": dataflow.output_stationary, "popcount": dataflow.bit_serial}
    return forms.get(name, dataflow.lanes)(p, array)


def stepped_machine(name: str, golden: Golden, p: Problem, array: Array):
    if name in ("ws", "ternary"):
        return stepped.weight_stationary(golden.X, golden.W, p, array)
    if name == "os":
        return stepped.output_stationary(golden.X, golden.W, p, array)
    machine = stepped_serial.bit_serial if name == "popcount" else stepped_lanes.lanes
    return machine(golden.X, golden.W, p, array, signed=golden.signed)


def problem_of(golden: Golden) -> Problem:
    return Problem(m=len(golden.X), k=len(golden.W), n=len(golden.W[0]),
                   input_bits=golden.bits[0], weight_bits=golden.bits[1])


def parameters_of(machine) -> dict[str, int]:
    defaults = {"ROWS": 1, "COLS": 1} if machine[1] in LANED else {}
    return {**defaults, **machine[2]}


def problems_of(name: str) -> int:
    """How many random problems each machine of a kind runs."""
    machines = sum(machine[0] == name for machine in MACHINES)
    return -(-PROBLEMS_OF_A_KIND // machines) if EXHAUSTIVE else PROBLEMS


def run_all(built, path: Path, problems: list[Golden]) -> list[int]:
    """Clocks of every problem, in as many starts as the memory of the bench asks for."""
    starts = (problems[i : i + BATCH] for i in range(0, len(problems), BATCH))
    return [clocks for some in starts for clocks in run(built, path, some)]


@pytest.mark.parametrize("machine", MACHINES, ids=NAMES)
def test_values_and_clocks_in_icarus(machine, tmp_path: Path):
    """312 random problems on 24 machines (200 a kind exhaustively), and the smallest on each."""
    built = icarus(tmp_path, machine[1], parameters_of(machine))
    rng = random.Random(NAMES[MACHINES.index(machine)])
    smallest = Golden(X=[[1]], W=[[1]], Y=[[1]], bits=(machine[3][1], machine[4][1]),
                      signed=(False, False) if machine[5] is None else (False, True))
    problems = [smallest, *(random_problem(rng, machine) for _ in range(problems_of(machine[0])))]
    clocks = run_all(built, tmp_path / "golden.mem", problems)
    array = array_of(machine[0], parameters_of(machine))
    for seen, golden in zip(clocks, problems, strict=True):
        p = problem_of(golden)
        values, activity = stepped_machine(machine[0], golden, p, array)
        assert values == golden.Y
        assert seen == activity.cycles == closed_form(machine[0], p, array).cycles


#: Whole layers: one image of a tower of AlexNet's Conv4, and LeNet's second convolution.
CONV4, LENET = (13 * 13, 192 * 9, 192), (14 * 14, 32 * 9, 64)
TERNARY_WEIGHTS = (-1, 1)
#: A machine, its module and parameters, the layer, ranges of X and W, their bits and signs.
WHOLE = [
    ("ws", "ws_array", {"ROWS": 16, "COLS": 16}, CONV4, (0, 255), (-128, 127), (8, 8)),
    ("os", "os_array", {"ROWS": 16, "COLS": 16}, LENET, (0, 255), (-128, 127), (8, 8)),
    ("ternary", "ws_array", {"ROWS": 16, "COLS": 16, "TERNARY": 1, "X_BITS": 3, "W_BITS": 2},
     LENET, (0, 3), TERNARY_WEIGHTS, (2, 2)),
    ("dot", "lanes_array", {"KIND": 0, "ROWS": 4, "COLS": 4, "LANES": 16}, LENET, (0, 3),
     TERNARY_WEIGHTS, (2, 2)),
    ("serial", "lanes_array", {"KIND": 1, "ROWS": 4, "COLS": 4, "LANES": 16}, LENET, (0, 15),
     TERNARY_WEIGHTS, (4, 2)),
    ("popcount", "lanes_array", {"KIND": 2, "ROWS": 4, "COLS": 4, "LANES": 64}, LENET, (0, 3),
     TERNARY_WEIGHTS, (2, 2)),
    *((f"loom{bits}", "parts_array",
       {"KIND": 0, "ROWS": 4, "COLS": 4, "LANES": 16, "SERIAL": bits}, LENET, (0, 15), (-8, 7),
       (4, 4)) for bits in (1, 2, 4)),
    ("bitfusion", "parts_array", {"KIND": 1, "ROWS": 2, "COLS": 4, "LANES": 4}, LENET, (0, 15),
     (-8, 7), (4, 4)),
    ("unpu", "parts_array", {"KIND": 2, "ROWS": 4, "COLS": 4, "LANES": 4}, LENET, (0, 15), (-8, 7),
     (4, 4)),
]


def test_every_kind_runs_a_whole_layer():
    assert {case[0] for case in WHOLE} == {machine[0] for machine in MACHINES}


@pytest.mark.skipif(not EXHAUSTIVE, reason="a build takes 10 s: HWSIM_EXHAUSTIVE=1")
@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case[0])
def test_a_whole_layer_in_verilator(case, tmp_path: Path):
    """Values and clocks of the RTL; the units with lanes are also stepped through all of it."""
    name, module, parameters, (m, k, n), x_range, w_range, bits = case
    rng = np.random.default_rng(1)
    X = rng.integers(x_range[0], x_range[1] + 1, size=(m, k))
    W = rng.integers(w_range[0], w_range[1] + 1, size=(k, n))
    golden = Golden(X=X.tolist(), W=W.tolist(), Y=(X @ W).tolist(), bits=bits,
                    signed=(False, True))
    built = verilator(tmp_path, module, parameters, 1 << 20, m * n)
    (clocks,) = run(built, tmp_path / "layer.mem", [golden])
    p, array = problem_of(golden), array_of(name, parameters)
    assert clocks == closed_form(name, p, array).cycles
    if module in LANED:
        values, activity = stepped_machine(name, golden, p, array)
        assert values == golden.Y
        assert clocks == activity.cycles
