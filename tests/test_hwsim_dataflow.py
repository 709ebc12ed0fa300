"""Closed forms against the machines that move every value, and against RTL."""

import ast
import itertools
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import dataflow, stepped, stepped_parts, stepped_serial, stepped_streams
from hwsim.counts import OPTIONS, Activity, Array, Counts, Problem

SIZES = range(1, 7)
ARRAYS = [(rows, columns) for rows in (1, 2, 3, 4) for columns in (1, 2, 3, 4)]
MACHINES = {
    "os": stepped.grouped_output_stationary,
    "ws": stepped.grouped_weight_stationary,
    "is": stepped.grouped_input_stationary,
}
FLOWS = {flow.name: flow for flow in dataflow.DATAFLOWS}
#: Every choice of every option of each MAC dataflow.
CHOICES = [
    (name, dict(zip(FLOWS[name].options, values, strict=True)))
    for name in MACHINES
    for values in itertools.product(*(OPTIONS[option] for option in FLOWS[name].options))
]
SERIAL = [(name, options) for name, options in CHOICES if options["grouping"] == "serial"]
#: All 82,944 cases of m, k, n up to 6, R, C up to 4, every dataflow and option take a minute or two
#: and are run with HWSIM_EXHAUSTIVE=1; else every 17th, which shares no factor with any size.
STRIDE = 1 if os.environ.get("HWSIM_EXHAUSTIVE") == "1" else 17
# Odd widths, so that a count that takes the width of another operand is seen.
WIDTHS = {"input_bits": 3, "weight_bits": 5, "output_bits": 7, "accumulator_bits": 11}

# Parametric arrays in Verilog, values checked: (dataflow, R, C, M, N, K, clocks, SCALE-Sim 3.0.0).
RTL = [
    ("os", 4, 4, 10, 6, 7, 102, 77),
    ("os", 4, 4, 4, 4, 1, 11, 6),
    ("os", 8, 64, 20, 70, 33, 666, 617),
    ("os", 16, 16, 40, 33, 100, 1314, 1169),
    ("ws", 4, 4, 7, 6, 10, 102, 101),
    ("ws", 8, 64, 33, 70, 20, 666, 665),
    ("ws", 16, 16, 100, 33, 40, 1314, 1313),
]


def matrix(rows: int, columns: int, lo: int, hi: int, seed: int) -> list[list[int]]:
    rng = random.Random(f"{rows} {columns} {seed}")
    return [[rng.randint(lo, hi) for _ in range(columns)] for _ in range(rows)]


def bounds(bits: int, signed: bool) -> tuple[int, int]:
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def check_mac(name: str, problem: Problem, array: Array) -> None:
    """Values, clocks and counts of the machine against the plain product and the closed form."""
    X = [matrix(problem.m, problem.k, -128, 127, 2 * g) for g in range(problem.groups)]
    W = [matrix(problem.k, problem.n, -128, 127, 2 * g + 1) for g in range(problem.groups)]
    values, activity = MACHINES[name](X, W, problem, array)
    assert values == [stepped.plain_product(x, w) for x, w in zip(X, W, strict=True)]
    assert activity == FLOWS[name].activity(problem, array), (name, problem, array)


@pytest.mark.parametrize("choice", range(len(SERIAL)))
def test_closed_form_is_the_machine_over_every_small_size(choice):
    name, options = SERIAL[choice]
    cases = itertools.product(ARRAYS, SIZES, SIZES, SIZES)
    for (rows, columns), m, k, n in itertools.islice(cases, choice % STRIDE, None, STRIDE):
        array = Array(rows=rows, columns=columns, **options)
        check_mac(name, Problem(m=m, k=k, n=n, **WIDTHS), array)


@pytest.mark.parametrize("choice", range(len(CHOICES)))
def test_closed_form_is_the_machine_with_groups_and_passes(choice):
    """Every dataflow and option, serial and packed: a fixed walk over groups, sizes and passes."""
    name, options = CHOICES[choice]
    rng = random.Random(choice)
    for _ in range(1000 // STRIDE):
        packed = options["grouping"] == "packed"
        m, k, n = (rng.randint(1, 3 if packed else 6) for _ in range(3))
        groups = rng.choice((2, 3, 5) if packed else (1, 2, 3))
        rows, columns = (rng.randint(1, 8 if packed else 4) for _ in range(2))
        room = None if name == "os" else rng.choice((None, 1, 2, 3, 5))
        array = Array(rows=rows, columns=columns, pass_rows=room, **options)
        check_mac(name, Problem(m=m, k=k, n=n, groups=groups, **WIDTHS), array)


@pytest.mark.parametrize("pass_rows", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("name", ["ws", "is"])
def test_stationary_in_passes(name, pass_rows):
    for m in SIZES:
        for k, n in ((1, 1), (3, 2), (4, 5), (5, 3)):
            problem = Problem(m=m, k=k, n=n, weight_bits=2)
            check_mac(name, problem, Array(rows=2, columns=3, pass_rows=pass_rows))


@pytest.mark.parametrize("signed", [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize(("rows", "columns", "depth"), [(1, 1, 1), (2, 1, 2), (2, 3, 2), (3, 2, 4)])
def test_bit_serial_is_the_machine_over_every_small_size(rows, columns, depth, signed):
    array = Array(rows=rows, columns=columns, depth=depth)
    for a_bits, w_bits in ((1, 1), (2, 3), (3, 2)):
        x_range, w_range = bounds(a_bits, signed[0]), bounds(w_bits, signed[1])
        for m in range(1, 5):
            for k in SIZES:
                for n in range(1, 5):
                    p = Problem(m=m, k=k, n=n, input_bits=a_bits, weight_bits=w_bits)
                    X, W = matrix(m, k, *x_range, 3), matrix(k, n, *w_range, 4)
                    values, activity = stepped_serial.bit_serial(X, W, p, array, signed=signed)
                    assert values == stepped.plain_product(X, W)
                    assert activity == dataflow.bit_serial(p, array)


@settings(max_examples=60)
@given(
    choice=st.sampled_from(CHOICES), m=st.integers(1, 12), k=st.integers(1, 12),
    n=st.integers(1, 12), rows=st.integers(1, 7), columns=st.integers(1, 7),
    pass_rows=st.none() | st.integers(1, 13), groups=st.integers(1, 3),
)
def test_closed_form_is_the_machine_on_odd_shapes(
    choice, m, k, n, rows, columns, pass_rows, groups
):
    name, options = choice
    array = Array(rows=rows, columns=columns, pass_rows=pass_rows, **options)
    check_mac(name, Problem(m=m, k=k, n=n, groups=groups), array)


PLAIN = {
    # Full edges: clocks from the text of the specification, F folds of R x C and T steps.
    ("os", "columns", "drained"): lambda F, R, C, T: F * (2 * R + C + T - 2),
    ("os", "bus", "drained"): lambda F, R, C, T: F * (R + C + T - 2),
    ("os", "columns", "overlapped"): lambda F, R, C, T: (
        (F - 1) * max(T, R) + 2 * R + C + T - 2),
    ("os", "bus", "overlapped"): lambda F, R, C, T: F * T + R + C - 2,
    ("ws", "exposed", "drained"): lambda F, R, C, T: F * (2 * R + C + T - 2),
    ("ws", "hidden", "drained"): lambda F, R, C, T: R + F * (R + C + T - 2),
    ("ws", "exposed", "overlapped"): lambda F, R, C, T: F * (R + T) + R + C - 2,
    ("ws", "hidden", "overlapped"): lambda F, R, C, T: (F - 1) * max(T, R) + 2 * R + C + T - 2,
}


@pytest.mark.parametrize("case", sorted(PLAIN))
@settings(max_examples=30)
@given(
    m=st.integers(1, 500), k=st.integers(1, 500), n=st.integers(1, 500),
    rows=st.integers(1, 40), columns=st.integers(1, 40),
)
def test_full_folds_take_what_the_text_says(case, m, k, n, rows, columns):
    flow, how, folds = case
    options = {"drain": how} if flow == "os" else {"load": how}
    array = Array(rows=rows, columns=columns, folds=folds, **options)
    high, steps = (m, k) if flow == "os" else (k, m)
    count = -(-high // rows) * -(-n // columns)
    expected = PLAIN[case](count, rows, columns, steps)
    assert FLOWS[flow].activity(Problem(m=m, k=k, n=n), array).cycles == expected
    if flow == "ws":  # the same array with the operands exchanged
        assert FLOWS["is"].activity(Problem(m=n, k=k, n=m), array).cycles == expected


@given(
    choice=st.sampled_from(CHOICES), m=st.integers(1, 60), k=st.integers(1, 60),
    n=st.integers(1, 60), rows=st.integers(1, 20), columns=st.integers(1, 20),
    pass_rows=st.none() | st.integers(1, 70), groups=st.integers(1, 9),
)
def test_no_option_costs_clocks(choice, m, k, n, rows, columns, pass_rows, groups):
    """Bus, hidden load, overlap and cut edges never take longer than the plain array."""
    name, options = choice
    p = Problem(m=m, k=k, n=n, groups=groups)
    array = Array(rows=rows, columns=columns, pass_rows=pass_rows, **options)
    activity = FLOWS[name].activity(p, array)
    assert activity.fill_drain_cycles >= 0
    for option in FLOWS[name].options:
        if option != "grouping":
            plain = replace(array, **{option: OPTIONS[option][0]})
            assert activity.cycles <= FLOWS[name].activity(p, plain).cycles, option


def test_packed_depthwise_fills_the_diagonal():
    """64 groups of 9 x 1 on 32 x 32: three groups a fold, a third of the clocks."""
    p = Problem(m=100, k=9, n=1, groups=64)
    array = Array(rows=32, columns=32)
    serial = FLOWS["ws"].activity(p, array)
    packed = FLOWS["ws"].activity(p, replace(array, grouping="packed"))
    assert serial.compute_cycles == 64 * 100
    assert packed.compute_cycles == -(-64 // 3) * 100
    assert packed.counts.macs == serial.counts.macs


@pytest.mark.parametrize(("flow", "rows", "columns", "m", "n", "k", "rtl", "scale_sim"), RTL)
def test_rtl_clocks(flow, rows, columns, m, n, k, rtl, scale_sim):
    problem, array = Problem(m=m, k=k, n=n), Array(rows=rows, columns=columns)
    assert FLOWS[flow].activity(problem, array).cycles == rtl
    folds = -(-(m if flow == "os" else k) // rows) * -(-n // columns)
    # SCALE-Sim reports the index of the last cycle, and has no drain in the OS array.
    drain = folds * rows if flow == "os" else 0
    assert rtl == scale_sim + 1 + drain


@pytest.mark.parametrize(
    ("flow", "rows", "columns", "m", "n", "k", "rtl", "scale_sim"),
    RTL if STRIDE == 1 else [row for row in RTL if row[1] == 4],
)
def test_stepped_machine_at_rtl_size(flow, rows, columns, m, n, k, rtl, scale_sim):
    problem, array = Problem(m=m, k=k, n=n), Array(rows=rows, columns=columns)
    check_mac(flow, problem, array)
    assert FLOWS[flow].activity(problem, array).cycles == rtl


def test_scale_sim_sram_counts():
    """Words that SCALE-Sim 3.0.0 counts: Fc Sr T inputs (OS, WS), weights once in WS."""
    m, n, k, R, C = 20, 70, 33, 8, 64
    p, array = Problem(m=m, k=k, n=n), Array(rows=R, columns=C)
    row_folds, column_folds = -(-m // R), -(-n // C)
    os_counts = dataflow.output_stationary(p, array).counts
    assert os_counts.input_sram_read_bits == 8 * column_folds * m * k
    assert os_counts.weight_sram_read_bits == 8 * row_folds * n * k
    assert os_counts.output_sram_write_bits == 8 * m * n  # theirs adds F * (R + C)
    ws_counts = dataflow.weight_stationary(p, array).counts
    assert ws_counts.input_sram_read_bits == 8 * column_folds * k * m
    assert ws_counts.weight_sram_read_bits == 8 * k * n
    assert ws_counts.output_sram_write_bits == 32 * -(-k // R) * m * n


def test_bismo_peak():
    """8 x 256 x 8 at 200 MHz: 6.5 binary TOPS, two operations a bit product."""
    array = Array(rows=8, columns=8, depth=256)
    p = Problem(m=8000, k=2560, n=800, input_bits=1, weight_bits=1)
    activity = dataflow.bit_serial(p, array)
    tops = 2 * p.macs / (activity.cycles / 200e6) / 1e12
    assert tops == pytest.approx(6.5536, rel=1e-4)


def test_no_overflow_on_huge_layers():
    p = Problem(m=10**9, k=10**9, n=10**9)
    activity = dataflow.weight_stationary(p, Array(rows=256, columns=256))
    assert activity.counts.macs == 10**27
    assert activity.cycles == (10**9 // 256) ** 2 * (10**9 + 3 * 256 - 2)


def test_the_machines_do_not_know_the_closed_forms():
    for module in (stepped, stepped_parts, stepped_streams, stepped_serial):
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert imported <= {"__future__", "collections", "collections.abc", "dataclasses", "typing",
                            "hwsim.counts", "hwsim.stepped_parts", "hwsim.stepped_streams"}


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "3", None])
def test_sizes_are_positive_integers(value):
    with pytest.raises(ValueError, match=r"Problem: k=.*rule an integer >= 1"):
        Problem(m=1, k=value, n=1)
    with pytest.raises(ValueError, match=r"Array: rows=.*rule an integer >= 1"):
        Array(rows=value, columns=1)


def test_counts_add_and_scale():
    a = Counts(macs=2, input_dram_read_bits=3)
    assert a + a == a * 2
    assert (a * 3).dram_bits == 9
    with pytest.raises(ValueError, match="Counts: macs=-1"):
        Counts(macs=-1)
    with pytest.raises(ValueError, match="Array: drain='tap', rule 'columns' or 'bus'"):
        Array(rows=1, columns=1, drain="tap")
    one = Activity(compute_cycles=2, fill_drain_cycles=3, counts=a)
    assert one.cycles == 5
    assert (one * 2).cycles == 10
