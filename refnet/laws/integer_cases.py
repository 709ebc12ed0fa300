"""Cases of integers and of weights: what laws of packings, sums and fits are tried on."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from refnet.laws.bench import SEEDS, Bench
from refnet.laws.case import Case
from refnet.laws.strategies import near_tie, ternary_matrices
from refnet.program.types import ACCUMULATOR_BOUND


def code_rows(bench: Bench) -> tuple[list[Case], st.SearchStrategy[Case]]:
    """Rows of codes: lengths up to 17 and around bytes and words, each code at each place."""
    levels = np.array(bench.q.levels)

    def case(count: int, seed: int) -> Case:
        rng = np.random.default_rng(seed)
        return Case(arrays={"codes": rng.choice(levels, size=count)}, seed=seed)

    first = [case(count, count) for count in (*range(18), 31, 32, 33, 40, 64, 65, 250)]
    # Every code at every place of the first bytes, among zeros or lowest codes.
    for place in range(8):
        for code in levels[:: max(1, len(levels) // 16)]:
            row = np.full(9, 0 if 0 in levels else levels[0])
            row[place] = code
            first.append(Case(arrays={"codes": row}))
    return first, st.builds(case, st.integers(0, 40), SEEDS)


def accumulators(bench: Bench) -> tuple[list[Case], st.SearchStrategy[Case]]:
    """All accumulators of 12 bits for some ratios; near ties and at the bounds for all ratios."""

    def case(mult: int, shift: int, acc: Any, seed: int = 0) -> Case:
        return Case(arrays={
            "acc": np.asarray(acc, dtype=np.int32), "mult": np.array([mult]),
            "shift": np.array([shift]),
        }, seed=seed)

    def near(mult: int, shift: int, seed: int) -> Case:
        rng = np.random.default_rng(seed)
        ks = np.concatenate([rng.integers(-40, 40, 60), rng.integers(-(2**31), 2**31, 20)]).tolist()
        acc = [near_tie(mult, shift, k, beside) for k in ks for beside in (-1, 0, 1)]
        bounds = [0, 1, -1, 2**31 - 2, 2 - 2**31, 2**24 + 1, -(2**24) - 1, 2**16, 2**15]
        return case(mult, shift, acc + bounds, seed)

    ratios = [(1, 1), (1, 2), (3, 2), (-1, 1), (3, 3), (5, 0)]
    ratios += [(16384, 15), (21845, 16), (32767, 20), (32767, 15), (-32767, 14)]
    first = [case(m, s, np.arange(-(2**11), 2**11)) for m, s in ratios]
    first += [near(m, s, 1) for m, s in [*ratios, (16385, 31), (-32767, 46), (0, 3), (20000, 40)]]
    first += [near(mult, shift, 1) for mult in (2**15 - 1, 1 - 2**15) for shift in (35, 38)]
    mults = st.integers(-(2**15) + 1, 2**15 - 1) | st.sampled_from([1, -1, 3, 2**14, 2**15 - 1])
    return first, st.builds(near, mults, st.integers(0, 46), SEEDS)


def code_matrices(bench: Bench) -> tuple[list[Case], st.SearchStrategy[Case]]:
    """Codes (M, K) and (F, K): sums as large as the types allow, and random ones."""
    assert bench.q.dot_types is not None
    x_type, w_type = bench.q.dot_types

    def of(x: Any, w: Any) -> Case:
        return Case(arrays={"x_codes": x.astype(x_type.dtype), "w_codes": w.astype(w_type.dtype)})

    def case(count: int, w: Any, seed: int) -> Case:
        rng = np.random.default_rng(seed)
        x = rng.integers(x_type.lo, x_type.hi + 1, size=(2, count))
        if (w_type.lo, w_type.hi) != (-1, 1):
            w = rng.integers(w_type.lo, w_type.hi + 1, size=w.shape)
        return of(x, w)

    def extreme(count: int, x: int, w: int) -> Case:
        """All codes at their ends; in the second rows the last one is not: no round sums."""
        xs, ws = np.full((2, count), x), np.full((2, count), w)
        xs[1, -1] += 1 if x == x_type.lo else -1
        ws[1, -1] += 1 if w == w_type.lo else -1
        return of(xs, ws)

    # Sums within the bound of accumulators [1.3.1]: what more of them give is not specified.
    most = ACCUMULATOR_BOUND // max(
        abs(x * w) for x in (x_type.lo, x_type.hi) for w in (w_type.lo, w_type.hi)
    )
    counts = {min(count, most) for count in (1, 2, 9, 65, 4608, 40000)}
    first = [
        extreme(count, x, w)
        for count in sorted(counts)
        for x in (x_type.lo, x_type.hi)
        for w in (w_type.lo, w_type.hi)
    ]
    drawn = st.integers(1, min(most, 40)).flatmap(
        lambda count: st.builds(case, st.just(count), ternary_matrices(3, count), SEEDS)
    )
    return first, drawn


def weight_vectors(bench: Bench) -> tuple[list[Case], st.SearchStrategy[Case]]:
    """Vectors with equal magnitudes, zeros, one element, and normal ones."""

    def case(count: int, seed: int, lattice: bool) -> Case:
        rng = np.random.default_rng(seed)
        w = rng.integers(-3, 4, size=count) / 2 if lattice else rng.normal(size=count)
        return Case(arrays={"w": w.astype(np.float64)}, seed=seed)

    fixed = ([1.0], [-2.0], [0.0], [0.0, 0.0], [1.0, 1.0], [1.0, -1.0, 0.0], [6.0, 2.0, 2.0, 2.0])
    first = [Case(arrays={"w": np.array(w)}, seed=3) for w in fixed]
    # Long enough for sums to lose bits, with few magnitudes and with many.
    first += [case(1500, 1, True), case(700, 2, False)]
    return first, st.builds(case, st.integers(1, 24), SEEDS, st.booleans())


def weight_matrices(bench: Bench) -> tuple[list[Case], st.SearchStrategy[Case]]:
    """Small matrices: lattice ones with ties, normal ones, of rank one, of zeros."""

    def case(rows: int, columns: int, seed: int, lattice: bool) -> Case:
        rng = np.random.default_rng(seed)
        size = rows, columns
        W = rng.integers(-2, 3, size=size) if lattice else rng.normal(size=size)
        return Case(arrays={"W": W.astype(np.float64)}, seed=seed)

    first = [Case(arrays={"W": W}) for W in (np.zeros((3, 2)), np.ones((4, 4)), np.eye(4))]
    sizes = st.integers(1, 7)
    return first, st.builds(case, sizes, sizes, SEEDS, st.booleans())


def integer_factors(bench: Bench) -> tuple[list[Case], st.SearchStrategy[Case]]:
    """X and Y ternary, d integers of up to 16 bits."""

    def case(X: Any, seed: int) -> Case:
        rng = np.random.default_rng(seed)
        Y = rng.integers(-1, 2, size=(5, X.shape[1])).astype(np.int8)
        d = rng.integers(0, 2**15, size=X.shape[1])
        return Case(arrays={"X": X, "d": d, "Y": Y}, seed=seed)

    # An odd sum beyond 2**24, which binary32 cannot hold.
    full = np.full((2, 1001), 1, dtype=np.int8)
    ones = Case(arrays={"X": full, "d": np.full(1001, 2**15 - 1), "Y": full})
    return [ones], st.builds(case, ternary_matrices(), SEEDS)
