"""Closed forms against the machines that move every value, and against RTL."""

import ast
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim import dataflow, stepped, stepped_serial
from hwsim.counts import Activity, Array, Counts, Problem

SIZES = range(1, 6)
ARRAYS = [(rows, columns) for rows in (1, 2, 3) for columns in (1, 2, 3)]
MAC = [
    (dataflow.output_stationary, stepped.output_stationary),
    (dataflow.weight_stationary, stepped.weight_stationary),
]

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


def check_mac(closed, machine, problem: Problem, array: Array) -> None:
    X = matrix(problem.m, problem.k, -128, 127, 1)
    W = matrix(problem.k, problem.n, -128, 127, 2)
    values, activity = machine(X, W, problem, array)
    assert values == stepped.plain_product(X, W)
    assert activity == closed(problem, array)


@pytest.mark.parametrize(("closed", "machine"), MAC)
@pytest.mark.parametrize(("rows", "columns"), ARRAYS)
def test_closed_form_is_the_machine_over_every_small_size(closed, machine, rows, columns):
    # Odd widths, so that a count that takes the width of another operand is seen.
    widths = {"input_bits": 3, "weight_bits": 5, "output_bits": 7, "accumulator_bits": 11}
    for m in SIZES:
        for k in SIZES:
            for n in SIZES:
                problem = Problem(m=m, k=k, n=n, **widths)
                check_mac(closed, machine, problem, Array(rows=rows, columns=columns))


@pytest.mark.parametrize("pass_rows", [1, 2, 3, 4, 5, 9])
def test_weight_stationary_in_passes(pass_rows):
    for m in SIZES:
        for k, n in ((1, 1), (3, 2), (4, 5), (5, 3)):
            problem = Problem(m=m, k=k, n=n, weight_bits=2)
            array = Array(rows=2, columns=3, pass_rows=pass_rows)
            check_mac(dataflow.weight_stationary, stepped.weight_stationary, problem, array)


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


@given(
    which=st.integers(0, 1), m=st.integers(1, 12), k=st.integers(1, 12), n=st.integers(1, 12),
    rows=st.integers(1, 7), columns=st.integers(1, 7),
    pass_rows=st.none() | st.integers(1, 13),
)
def test_closed_form_is_the_machine_on_odd_shapes(which, m, k, n, rows, columns, pass_rows):
    array = Array(rows=rows, columns=columns, pass_rows=pass_rows)
    check_mac(*MAC[which], Problem(m=m, k=k, n=n), array)


@pytest.mark.parametrize(("flow", "rows", "columns", "m", "n", "k", "rtl", "scale_sim"), RTL)
def test_rtl_clocks(flow, rows, columns, m, n, k, rtl, scale_sim):
    problem, array = Problem(m=m, k=k, n=n), Array(rows=rows, columns=columns)
    closed = next(f.activity for f in dataflow.DATAFLOWS if f.name == flow)
    assert closed(problem, array).cycles == rtl
    folds = -(-(m if flow == "os" else k) // rows) * -(-n // columns)
    # SCALE-Sim reports the index of the last cycle, and has no drain in the OS array.
    drain = folds * rows if flow == "os" else 0
    assert rtl == scale_sim + 1 + drain


@pytest.mark.parametrize(("flow", "rows", "columns", "m", "n", "k", "rtl", "scale_sim"), RTL[-1:])
def test_stepped_machine_at_rtl_size(flow, rows, columns, m, n, k, rtl, scale_sim):
    problem, array = Problem(m=m, k=k, n=n), Array(rows=rows, columns=columns)
    check_mac(dataflow.weight_stationary, stepped.weight_stationary, problem, array)
    assert dataflow.weight_stationary(problem, array).cycles == rtl


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
    for module in (stepped, stepped_serial):
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert "hwsim.dataflow" not in imported
        assert imported <= {"__future__", "collections", "collections.abc", "dataclasses",
                            "hwsim.counts", "hwsim.stepped", "typing"}


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
    one = Activity(compute_cycles=2, fill_drain_cycles=3, counts=a)
    assert one.cycles == 5
    assert (one * 2).cycles == 10
