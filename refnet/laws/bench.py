"""What laws are tried on: enumerated cases first, then drawn ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from hypothesis import strategies as st

from refnet.laws.bound import Bound, Broken, Params
from refnet.laws.case import Case
from refnet.laws.gradient import bound_points
from refnet.laws.grid import Grid
from refnet.laws.points import MOST_ENUMERATED, as_columns, critical_points, random_points
from refnet.laws.strategies import SCALE_KINDS, scales
from refnet.laws.sut import QuantizerUnderTest
from refnet.laws.watch import Watch

#: Points of a case: of a quantizer with fixed parameters all that there are, up to this number ...
ALL_POINTS = 2**15
#: ... and of one whose parameters are drawn, of each draw.
FEW_POINTS = 160
#: With more channels than these, drawn cases aim at as many of them.
MANY_CHANNELS = 8
#: Scales that are tried before any is drawn: from easy to read to hard.
FIRST_SCALES = (
    1.0, 0.5, float(np.float32(0.1)), 3.0, float(np.float32(1 / 255)), 2.0**-20, 0.75,
    float(np.float32(0.3)), 2.0**-140, 2.0**20 * 5, float(np.float32(1e-7)), 2.0**-126, 2.0**90 * 3,
    1 + 2.0**-23,
)
#: More of them, of quantizers whose scale is a binary64 number.
FIRST_LONG_SCALES = (0.1, 1 / 3, 1 / 255, 1e-7)
#: Seeds of NumPy's generators, drawn by Hypothesis.
SEEDS = st.integers(0, 2**32 - 1)

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
    watch: Watch = field(default_factory=Watch)
    _bounds: dict[Params, Bound] = field(default_factory=dict)
    _families: dict[Any, Any] = field(default_factory=dict)

    def bound(self, params: Params) -> Bound:
        """The quantizer with ``params``; the latest are kept."""
        if params not in self._bounds:
            if len(self._bounds) > 64:
                self._bounds.clear()
            self._bounds[params] = Bound(self.q, params, self.watch)
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
        more = FIRST_LONG_SCALES if self.long_scales else ()
        some = list(dict.fromkeys(self.allowed(scale) for scale in (*FIRST_SCALES, *more)))
        pairs = [(scale, zeros[i % len(zeros)]) for i, scale in enumerate(some)]
        pairs += [(scale, zero) for scale in some[:2] for zero in zeros]
        return list(dict.fromkeys(
            Params(
                scale=scale if "scale" in wanted else None,
                zero_point=zero if "zero_point" in wanted else None,
            )
            for scale, zero in pairs
        ))

    @property
    def long_scales(self) -> bool:
        """Whether scales with more bits than binary32 has are tried."""
        return self.q.scale_dtype == "float64"

    def allowed(self, scale: float) -> float:
        """``scale`` if the quantizer takes it, or another one that it takes instead."""
        low, high = self.q.scale_range or (0.0, float("inf"))
        kind = np.dtype(self.q.scale_dtype).type
        with np.errstate(all="ignore"):
            near = float(kind(scale))
        if low <= near <= high and 0 < near < float("inf"):
            return near
        # Spread over the range by the fraction of the logarithm.
        low, high = max(low, float(np.finfo(kind).tiny)), min(high, float(np.finfo(kind).max) / 4)
        other = float(kind(low * (high / low) ** (np.log2(scale) % 1.0)))
        return min(max(other, low), high)

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
            self._scales().map(self.allowed) if "scale" in wanted else st.none(),
            zeros if "zero_point" in wanted else st.none(),
        )

    def _scales(self) -> st.SearchStrategy[float]:
        kinds = (*SCALE_KINDS, "long") if self.long_scales else SCALE_KINDS
        return scales(kinds)

    def columns(self, params: Params, dtype: np.dtype[Any], seed: int, most: int) -> Any:
        """Critical points of every channel as columns (C, n)."""
        rng = np.random.default_rng(seed)
        grids = self.grids(params)
        most = max(most // len(grids), FEW_POINTS // 4)
        if most > FEW_POINTS or len(grids) <= MANY_CHANNELS:
            return as_columns([critical_points(grid, dtype, rng, most) for grid in grids])
        # Of many channels a few get points of their own, the others the points of these.
        own = rng.permutation(len(grids))[:MANY_CHANNELS]
        few = [critical_points(grids[int(c)], dtype, rng, most) for c in own]
        parts = [few[c % len(few)] for c in range(len(grids))]
        for channel, part in zip(own.tolist(), few, strict=True):
            parts[channel] = part
        x = as_columns(parts)
        return x[:, rng.permutation(x.shape[1])[: max(8, 8 * FEW_POINTS // len(grids))]]

    def grids(self, params: Params) -> tuple[Grid | None, ...]:
        """Grids to aim at, as far as there are any; a broken ``dequantize`` is for laws to find."""
        with contextlib.suppress(Broken):
            return self.bound(params).grids or (None,) * self.q.channels
        return (None,) * self.q.channels


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
        bench.params(), st.sampled_from(kinds[::-1]), SEEDS,
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
        if count > 3:
            inner = [random_points(grid, dtype, rng, 12) for grid in bench.grids(params)]
            x = np.concatenate([x[:, : count // 2], as_columns(inner)], axis=1)[:, :count]
        return Case(params=params, arrays={"x": np.ascontiguousarray(x)}, seed=seed)

    first = (
        case(params, dtype, seed, count)
        for seed, params in enumerate(bench.first_params()[:6])
        for dtype in kinds
        for count in (4, 24, FEW_POINTS)
    )
    dtypes = st.sampled_from(kinds[::-1])
    drawn = st.builds(case, bench.params(), dtypes, SEEDS, st.integers(1, 36))
    return first, drawn


def parameters_only(bench: Bench) -> tuple[list[Case], st.SearchStrategy[Case] | None]:
    """Nothing but parameters: for laws that walk all codes."""
    first = [Case(params=params, seed=seed) for seed, params in enumerate(bench.first_params())]
    fixed = not bench.q.parameters
    drawn = st.builds(lambda params, seed: Case(params=params, seed=seed), bench.params(), SEEDS)
    return first, None if fixed and len(bench.q.levels or ()) <= MOST_ENUMERATED else drawn


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
        x = case.x
        with contextlib.suppress(Broken):
            extra = bound_points(bench.bound(case.params), case.x.dtype)
            x = np.concatenate([extra, x], axis=1)
        return Case(params=case.params, arrays={"x": x}, seed=case.seed)

    return map(with_bounds, first), drawn.map(with_bounds)
