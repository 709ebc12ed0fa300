"""What laws are tried on: enumerated cases first, then drawn ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from hypothesis import strategies as st

from refnet.laws.bound import Bound, Params
from refnet.laws.case import Case
from refnet.laws.gradient import bound_points
from refnet.laws.points import as_columns, critical_points, random_points
from refnet.laws.strategies import near_tie, scales, ternary_matrices
from refnet.laws.sut import QuantizerUnderTest
from refnet.program import IntType

#: Points of a case: of a quantizer with fixed parameters all that there are, up to this number ...
ALL_POINTS = 2**15
#: ... and of one whose parameters are drawn, of each draw.
FEW_POINTS = 160
#: Scales that are tried before any is drawn: from easy to read to hard.
FIRST_SCALES = (
    1.0, 0.5, float(np.float32(0.1)), 3.0, float(np.float32(1 / 255)), 2.0**-20, 0.75,
    float(np.float32(0.3)), 2.0**-140, 2.0**20 * 5, float(np.float32(1e-7)), 2.0**-126,
)
_SEEDS = st.integers(0, 2**32 - 1)

Family = Callable[["Bench"], tuple[Iterable[Case], "st.SearchStrategy[Case] | None"]]


class Enumerated:
    """Cases that are made when somebody comes to them, and kept for the next who does."""

    def __init__(self, cases: Iterable[Case]) -> None:
        self._rest = iter(cases)
        self._made: list[Case] = []

    def __iter__(self) -> Iterator[Case]:
        yield from self._made
        for case in self._rest:
            self._made.append(case)
            yield case


@dataclass(slots=True)
class Bench:
    """A quantizer under test with its bound forms and cases, each made once."""

    q: QuantizerUnderTest
    _bounds: dict[Params, Bound] = field(default_factory=dict)
    _families: dict[Any, Any] = field(default_factory=dict)

    def bound(self, params: Params) -> Bound:
        """The quantizer with ``params``; the latest are kept."""
        if params not in self._bounds:
            if len(self._bounds) > 64:
                self._bounds.clear()
            self._bounds[params] = Bound(self.q, params)
        return self._bounds[params]

    def cases(self, family: Family) -> tuple[Enumerated, st.SearchStrategy[Case] | None]:
        """The enumerated cases of a family, and the strategy that draws others."""
        if family not in self._families:
            first, strategy = family(self)
            self._families[family] = Enumerated(first), strategy
        found: tuple[Enumerated, st.SearchStrategy[Case] | None] = self._families[family]
        return found

    def drawn(self, family: Family, draw: Callable[[Any], list[Case]]) -> list[Case]:
        """Drawn cases of a family, drawn by the first law that asks."""
        strategy = self.cases(family)[1]
        if (family, "drawn") not in self._families:
            self._families[family, "drawn"] = [] if strategy is None else draw(strategy)
        found: list[Case] = self._families[family, "drawn"]
        return found

    def first_params(self) -> list[Params]:
        """The parameters that are enumerated."""
        wanted = self.q.parameters
        if not wanted:
            return [Params()]
        zeros = self._zero_points()
        # Every scale once with some zero point, then two scales with every zero point.
        pairs = [(s, zeros[i % len(zeros)]) for i, s in enumerate(FIRST_SCALES)]
        pairs += [(scale, zero) for scale in FIRST_SCALES[:2] for zero in zeros]
        return list(dict.fromkeys(
            Params(
                scale=scale if "scale" in wanted else None,
                zero_point=zero if "zero_point" in wanted else None,
            )
            for scale, zero in pairs
        ))

    def _zero_points(self) -> list[int]:
        levels = self.q.levels
        low, high = levels[0], levels[-1]
        few = [0, 1, -1, low, high, low + 1, high - 1, (low + high) // 2]
        return list(dict.fromkeys(z for z in few if low <= z <= high)) or [low]

    def params(self) -> st.SearchStrategy[Params]:
        """Parameters drawn."""
        wanted = self.q.parameters
        if not wanted:
            return st.just(Params())
        low, high = self.q.levels[0], self.q.levels[-1]
        zeros = st.integers(low, high) | st.sampled_from(self._zero_points())
        return st.builds(
            lambda scale, zero: Params(scale=scale, zero_point=zero),
            scales() if "scale" in wanted else st.none(),
            zeros if "zero_point" in wanted else st.none(),
        )

    def columns(self, params: Params, dtype: np.dtype[Any], seed: int, most: int) -> Any:
        """Critical points of every channel as columns (C, n)."""
        bound, rng = self.bound(params), np.random.default_rng(seed)
        grids = bound.grids or (None,) * self.q.channels
        return as_columns([critical_points(grid, dtype, rng, most) for grid in grids])


def _point_case(bench: Bench, params: Params, dtype: Any, seed: int, most: int) -> Case:
    x = bench.columns(params, dtype, seed, most)
    return Case(params=params, arrays={"x": x}, seed=seed)


def points(bench: Bench) -> tuple[Iterator[Case], st.SearchStrategy[Case]]:
    """Ties, levels and bounds of all channels, in every dtype."""
    kinds = bench.q.float_types
    most = FEW_POINTS if bench.q.parameters else ALL_POINTS
    first = (
        _point_case(bench, params, dtype, seed, most)
        for seed, params in enumerate(bench.first_params())
        for dtype in kinds
    )
    drawn = st.builds(
        lambda params, dtype, seed: _point_case(bench, params, dtype, seed, FEW_POINTS // 2),
        bench.params(), st.sampled_from(kinds[::-1]), _SEEDS,
    )
    return first, drawn


def few_points(bench: Bench) -> tuple[Iterator[Case], st.SearchStrategy[Case]]:
    """Some of the points, in random order: for laws that call the quantizer many times."""
    kinds = bench.q.float_types

    def case(params: Params, dtype: Any, seed: int, count: int) -> Case:
        x = bench.columns(params, dtype, seed, max(FEW_POINTS // 4, count))
        rng = np.random.default_rng(seed)
        # Special points come first in a column; a few of each kind make arrays that mix magnitudes.
        x = x[:, rng.permutation(x.shape[1])[:count]]
        bound = bench.bound(params)
        if bound.grids is not None and count > 3:
            inner = [random_points(grid, dtype, rng, 12) for grid in bound.grids]
            x = np.concatenate([x[:, : count // 2], as_columns(inner)], axis=1)[:, :count]
        return Case(params=params, arrays={"x": np.ascontiguousarray(x)}, seed=seed)

    first = (
        case(params, dtype, seed, count)
        for seed, params in enumerate(bench.first_params()[:6])
        for dtype in kinds
        for count in (4, 24, FEW_POINTS)
    )
    dtypes = st.sampled_from(kinds[::-1])
    drawn = st.builds(case, bench.params(), dtypes, _SEEDS, st.integers(1, 36))
    return first, drawn


def parameters_only(bench: Bench) -> tuple[list[Case], st.SearchStrategy[Case] | None]:
    """Nothing but parameters: for laws that walk all codes."""
    first = [Case(params=params, seed=seed) for seed, params in enumerate(bench.first_params())]
    fixed = not bench.q.parameters
    drawn = st.builds(lambda params, seed: Case(params=params, seed=seed), bench.params(), _SEEDS)
    return first, None if fixed and len(bench.q.levels or ()) <= 2**12 else drawn


def first_parameters_only(bench: Bench) -> tuple[list[Case], None]:
    """The enumerated parameters: for laws whose cases cost many calls."""
    return parameters_only(bench)[0][:12], None


def one_large(bench: Bench) -> tuple[Iterator[Case], None]:
    """One case a dtype, of all ties: for laws that make large arrays of it."""
    return islice(points(bench)[0], len(bench.q.float_types)), None


def bound_cases(bench: Bench) -> tuple[Iterator[Case], st.SearchStrategy[Case]]:
    """Points of all kinds, and those at the bounds of the gradient."""
    first, drawn = points(bench)

    def with_bounds(case: Case) -> Case:
        extra = bound_points(bench.bound(case.params), case.x.dtype)
        x = np.concatenate([extra, case.x[:, :400]], axis=1)
        return Case(params=case.params, arrays={"x": x}, seed=case.seed)

    return map(with_bounds, first), drawn.map(with_bounds)


# --- Integers -------------------------------------------------------------------------------------


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
    return first, st.builds(case, st.integers(0, 40), _SEEDS)


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
    ratios += [(16384, 15), (21845, 16), (32767, 20)]
    first = [case(m, s, np.arange(-(2**11), 2**11)) for m, s in ratios]
    first += [near(m, s, 1) for m, s in [*ratios, (16385, 31), (-32767, 46), (0, 3), (20000, 40)]]
    mults = st.integers(-(2**15) + 1, 2**15 - 1) | st.sampled_from([1, -1, 3, 2**14, 2**15 - 1])
    return first, st.builds(near, mults, st.integers(0, 46), _SEEDS)


def code_matrices(bench: Bench) -> tuple[list[Case], st.SearchStrategy[Case]]:
    """Codes (M, K) and (F, K): sums as large as the types allow, and random ones."""
    assert bench.q.dot_types is not None
    x_type, w_type = (IntType(lo=k.lo, hi=k.hi) for k in bench.q.dot_types)

    def of(x: Any, w: Any) -> Case:
        return Case(arrays={"x_codes": x.astype(x_type.dtype), "w_codes": w.astype(w_type.dtype)})

    def case(count: int, w: Any, seed: int) -> Case:
        rng = np.random.default_rng(seed)
        x = rng.integers(x_type.lo, x_type.hi + 1, size=(2, count))
        if (w_type.lo, w_type.hi) != (-1, 1):
            w = rng.integers(w_type.lo, w_type.hi + 1, size=w.shape)
        return of(x, w)

    first = [
        of(np.full((1, count), x), np.full((1, count), w))
        for count in (1, 2, 9, 65, 4608, 40000)
        for x in (x_type.lo, x_type.hi)
        for w in (w_type.lo, w_type.hi)
    ]
    drawn = st.integers(1, 40).flatmap(
        lambda count: st.builds(case, st.just(count), ternary_matrices(3, count), _SEEDS)
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
    return first, st.builds(case, st.integers(1, 24), _SEEDS, st.booleans())


def weight_matrices(bench: Bench) -> tuple[list[Case], st.SearchStrategy[Case]]:
    """Small matrices: lattice ones with ties, normal ones, of rank one, of zeros."""

    def case(rows: int, columns: int, seed: int, lattice: bool) -> Case:
        rng = np.random.default_rng(seed)
        size = rows, columns
        W = rng.integers(-2, 3, size=size) if lattice else rng.normal(size=size)
        return Case(arrays={"W": W.astype(np.float64)}, seed=seed)

    first = [Case(arrays={"W": W}) for W in (np.zeros((3, 2)), np.ones((4, 4)), np.eye(4))]
    sizes = st.integers(1, 7)
    return first, st.builds(case, sizes, sizes, _SEEDS, st.booleans())


def integer_factors(bench: Bench) -> tuple[list[Case], st.SearchStrategy[Case]]:
    """X and Y ternary, d integers of up to 16 bits."""

    def case(X: Any, seed: int) -> Case:
        rng = np.random.default_rng(seed)
        Y = rng.integers(-1, 2, size=(5, X.shape[1])).astype(np.int8)
        d = rng.integers(0, 2**15, size=X.shape[1])
        return Case(arrays={"X": X, "d": d, "Y": Y}, seed=seed)

    full = np.full((2, 300), 1, dtype=np.int8)
    ones = Case(arrays={"X": full, "d": np.full(300, 2**15 - 1), "Y": full})
    return [ones], st.builds(case, ternary_matrices(), _SEEDS)
