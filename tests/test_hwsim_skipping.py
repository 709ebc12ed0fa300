"""Zero skipping: exact == the machine with queues; what is expected is what comes on average."""

import ast
import itertools
import os
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import skipping, stepped_skipping
from hwsim.counts import Array, Problem
from hwsim.layers import Gemm, Operand
from hwsim.pe import kind
from hwsim.skipping import activity, exact, expected, skipped
from hwsim.stepped_parts import plain_product

STRIDE = 1 if os.environ.get("HWSIM_EXHAUSTIVE") == "1" else 23
TERNARY = kind("ternary2-dot")


def matrix(rng: random.Random, rows: int, columns: int, values: list[int]) -> list[list[int]]:
    return [[rng.choice(values) for _ in range(columns)] for _ in range(rows)]


def check(X, W, array: Array, value_bits: int = 1) -> None:
    p = Problem(m=len(X), k=len(W), n=len(W[0]), input_bits=2, weight_bits=2, output_bits=9)
    values, seen, machine = stepped_skipping.skipping(X, W, p, array, value_bits=value_bits)
    assert values == plain_product(X, W)
    masks = (np.array([M]) != 0 for M in (X, W))
    left, right = masks
    found = exact(left if array.skip != "weights" else None,
                  right if array.skip != "inputs" else None, p, array, value_bits)
    assert found.products == machine.products
    assert (found.weight_bits, found.index_bits) == (machine.stream_bits, machine.index_bits)
    got = activity(p, array, found)
    # The machine cannot see what it never does.
    assert replace(got, counts=replace(got.counts, skipped_macs=0)) == seen
    assert got.counts.skipped_macs == p.macs - machine.products
    assert found.balanced_cycles <= found.compute_cycles <= found.dense_cycles


def small_cases():
    arrays = (1, 2), (1, 2, 3), (1, 2, 3), (1, 2, 4), ("weights", "inputs", "both")
    sizes = itertools.product(*arrays, (1, 3), (1, 2, 5, 7, 13), (1, 3, 4))
    values = itertools.cycle([[0], [1], [0, 1], [0, 0, 0, 1], [0, 1, 2, 3]])
    return zip(sizes, values, strict=False)


def test_exact_is_the_machine_over_small_sizes():
    rng = random.Random(5)
    for (rows, columns, depth, reach, skip, m, k, n), values in itertools.islice(
        small_cases(), 3, None, STRIDE
    ):
        array = Array(rows=rows, columns=columns, depth=depth, reach=reach, skip=skip,
                      element=TERNARY)
        X = matrix(rng, m, k, values)
        W = matrix(rng, k, n, [min(1, v) * rng.choice((-1, 1)) for v in values])
        check(X, W, array)


@settings(max_examples=40)
@given(
    m=st.integers(1, 6), k=st.integers(1, 40), n=st.integers(1, 6), rows=st.integers(1, 4),
    columns=st.integers(1, 4), depth=st.integers(1, 5), reach=st.integers(1, 9),
    skip=st.sampled_from(["weights", "inputs", "both"]), seed=st.integers(0, 9),
    empty=st.integers(0, 6),
)
def test_exact_is_the_machine(m, k, n, rows, columns, depth, reach, skip, seed, empty):
    rng = random.Random(seed)
    array = Array(rows=rows, columns=columns, depth=depth, reach=reach, skip=skip, element=TERNARY)
    X = matrix(rng, m, k, [*([0] * empty), 1, 2, 3])
    W = matrix(rng, k, n, [*([0] * empty), 1, -1])
    check(X, W, array, value_bits=1 + seed % 3)


def test_by_hand():
    """Two columns, two lanes, windows of two slices: 3 clocks where the dense array takes 4."""
    # k:             0  1  2  3 | 4  5  6  7      lane 0 has k = 0, 2 and 4, 6; lane 1 the others
    columns = [[1, 0, -1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 1, 0, 0]]
    W = [list(line) for line in zip(*columns, strict=True)]
    p = Problem(m=1, k=8, n=2, input_bits=2, weight_bits=2)
    array = Array(rows=1, columns=2, depth=2, reach=2, skip="weights", element=TERNARY)
    found = exact(None, np.array([W]) != 0, p, array, 1)
    assert (found.products, found.compute_cycles, found.dense_cycles) == (4, 3, 4)
    assert found.balanced_cycles == 2  # 3 products on four lanes, then 1 on four
    # Lane 0 of column 0 is busy for two clocks; column 1 once in each window.
    assert found.busy == 2 + 1 + 1
    # Four signs and places of a bit; lists of 2 columns, 2 windows, 2 lanes: lengths of 2 bits.
    assert found.index_bits == 4 * 1 + 8 * 2
    assert found.weight_bits == 4 + found.index_bits


def layer_of(X: np.ndarray, W: np.ndarray, known: str) -> Gemm:
    """A plain product with its codes, or with nothing but the zeros, or with nothing."""
    def operand(codes: np.ndarray, lo: int, hi: int) -> Operand:
        held = codes if known == "codes" else None
        zeros = int(np.sum(codes == 0)) if known != "nothing" else None
        return Operand(lo=lo, hi=hi, elements=codes.size, codes=held, zeros=zeros)

    (m, k), n = X.shape, W.shape[1]
    return Gemm(name="g", m=m, k=k, n=n, input=operand(X.reshape(m, k), 0, 3),
                weights=operand(np.ascontiguousarray(W.T), -1, 1),
                output=Operand(lo=-k, hi=3 * k, elements=m * n))


@pytest.mark.parametrize("skip", ["weights", "inputs", "both"])
def test_expected_is_the_mean_of_exact(skip):
    """Codes that really are independent: 64 blocks, so the mean is off by a few per cent."""
    rng = np.random.default_rng(3)
    X = rng.choice([0, 1, 2, 3], size=(32, 120), p=[0.6, 0.2, 0.1, 0.1])
    W = rng.choice([0, 1, -1], size=(120, 32), p=[0.5, 0.25, 0.25])
    p = Problem(m=32, k=120, n=32, input_bits=2, weight_bits=2)
    array = Array(rows=4, columns=4, depth=4, reach=4, skip=skip, element=TERNARY)
    by_codes = skipped(layer_of(X, W, "codes"), p, array)
    by_counts = skipped(layer_of(X, W, "counts"), p, array)
    assert (by_codes.basis, by_counts.basis) == ("codes", "counts")
    assert by_counts.weight_bits == by_codes.weight_bits
    # 240 windows or more, each of 1 to 4 clocks and a standard deviation below 1: 1 / sqrt(240) of
    # the mean is 3 % of it; both operands share rows and columns between blocks.
    for name in ("compute_cycles", "busy", "products"):
        assert getattr(by_counts, name) == pytest.approx(getattr(by_codes, name), rel=0.06), name


@pytest.mark.parametrize("skip", ["weights", "inputs", "both"])
def test_nothing_known_is_dense(skip):
    X, W = np.ones((5, 23), dtype=int), np.ones((23, 7), dtype=int)
    p = Problem(m=5, k=23, n=7)
    array = Array(rows=2, columns=3, depth=4, reach=3, skip=skip, element=TERNARY)
    found = skipped(layer_of(X, W, "nothing"), p, array)
    assert found.basis == "nothing"
    assert found.compute_cycles == found.dense_cycles == found.balanced_cycles
    assert found.products == p.macs
    everything = skipped(layer_of(X, W, "codes"), p, array)
    assert replace(everything, basis="nothing") == found
    none = skipped(layer_of(0 * X, 0 * W, "codes"), p, array)
    assert (none.products, none.busy) == (0, 0)
    assert none.compute_cycles == 3 * 3 * 2  # a clock a window
    assert expected(layer_of(0 * X, 0 * W, "counts"), p, array).compute_cycles == 3 * 3 * 2


def test_the_machine_does_not_know_the_formulas():
    text = Path(stepped_skipping.__file__).read_text(encoding="utf-8")
    imported = {n.module for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ImportFrom)}
    assert imported <= {"__future__", "collections", "collections.abc", "hwsim.counts",
                        "hwsim.stepped_lanes", "hwsim.stepped_parts", "hwsim.stepped_units"}


def test_rows_in_pieces(monkeypatch):
    """A layer that is looked at a few rows at a time costs the same."""
    rng = np.random.default_rng(7)
    X, W = rng.integers(0, 2, size=(1, 23, 50)) != 0, rng.integers(0, 2, size=(1, 50, 9)) != 0
    p = Problem(m=23, k=50, n=9, input_bits=2, weight_bits=2)
    array = Array(rows=3, columns=4, depth=4, reach=4, skip="both", element=TERNARY)
    whole = exact(X, W, p, array, 1)
    monkeypatch.setattr(skipping, "_CHUNK", 400)
    assert exact(X, W, p, array, 1) == whole
