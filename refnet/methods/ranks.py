"""Ranks for a whole network: which terms each layer gets, given a target of cost.

Every layer has candidates, each with a loss and a cost. Losses add up over layers: the loss of a
candidate is -log of the share of the kernel's energy that it keeps, so that the least sum is the
largest product of kept energies (Zhang et al., CVPR 2015, section 2.4 of the extended version).
The cost is the caller's: multiply-accumulates, weights, or any number such as the cycles or the
energy of a machine; of each layer, and summed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.methods.als import als
from refnet.methods.costs import LayerShape, Ranks, macs, ranks_within, weights
from refnet.methods.starts import strided
from refnet.methods.tucker import Reals, checked, left_singular, swapped

#: Cost of a layer with given ranks; None stands for the dense layer.
Cost = Callable[[str, LayerShape, Ranks | None], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One choice for a layer: its ranks (None: dense) and relative error of the kernel."""

    ranks: Ranks | None
    error: float

    @property
    def loss(self) -> float:
        """-log of the kept energy 1 - error^2, finite even where nothing is kept."""
        return -math.log(max(1 - self.error**2, np.finfo(float).tiny))


DENSE = Candidate(ranks=None, error=0.0)


def count_macs(name: str, shape: LayerShape, ranks: Ranks | None) -> float:
    """Cost as multiply-accumulates of one image."""
    return shape.macs if ranks is None else macs(shape, ranks.R, ranks.s, ranks.t)


def count_weights(name: str, shape: LayerShape, ranks: Ranks | None) -> float:
    """Cost as number of weights."""
    return shape.weights if ranks is None else weights(shape, ranks.R, ranks.s, ranks.t)


def candidates(
    kernels: Sequence[NDArray[Any]], shape: LayerShape, *, blocks: Sequence[int],
    speedups: Sequence[float], sweeps: int = 10, rng: np.random.Generator,
) -> tuple[Candidate, ...]:
    """Dense, and for each speed-up the best of the ``blocks`` by the error after some sweeps.

    ``kernels`` are the K (S, T, P) of the layer's groups.
    """
    found = [DENSE]
    for speedup in speedups:
        options = [ranks_within(shape, R, shape.macs / speedup) for R in blocks]
        rated = [
            Candidate(ranks=r, error=_error(kernels, r, sweeps, rng)) for r in options if r
        ]
        if rated:
            found.append(min(rated, key=lambda c: c.error))
    return tuple(found)


def _error(
    kernels: Sequence[NDArray[Any]], ranks: Ranks, sweeps: int, rng: np.random.Generator
) -> float:
    """The relative error over all groups."""
    missed = total = 0.0
    for kernel in kernels:
        K = checked("candidates", kernel)
        start = strided(K, ranks.R, ranks.s, ranks.t, rng)
        energy = float(np.sum(K**2))
        missed += als(K, *start, sweeps=sweeps, tol=1e-4).error ** 2 * energy
        total += energy
    return math.sqrt(missed / total) if total else 0.0


def choose(
    layers: Mapping[str, tuple[LayerShape, Sequence[Candidate]]], budget: float,
    *, cost: Cost = count_macs,
) -> dict[str, Candidate]:
    """A candidate for each layer, of small total loss, with a total cost of at most ``budget``.

    Every layer starts with its candidate of least loss. Then the step with the least loss per cost
    saved is taken, over all layers, until the budget holds. Along the lower convex hull of each
    layer these steps have rising prices, so every stop is the optimum for its own total cost.
    ``ValueError`` where even the cheapest candidates cost more.
    """
    hulls = {
        name: _hull([(cost(name, shape, c.ranks), c) for c in options])
        for name, (shape, options) in layers.items()
    }
    least = sum(hull[-1][0] for hull in hulls.values())
    if least > budget:
        raise ValueError(f"choose: budget {budget:g}, the cheapest candidates cost {least:g}")
    at = dict.fromkeys(hulls, 0)
    while sum(hull[at[name]][0] for name, hull in hulls.items()) > budget:
        prices = {
            name: _price(hull[at[name]], hull[at[name] + 1])
            for name, hull in hulls.items() if at[name] + 1 < len(hull)
        }
        at[min(prices, key=lambda name: prices[name])] += 1
    return {name: hull[at[name]][1] for name, hull in hulls.items()}


_Point = tuple[float, Candidate]


def _price(here: _Point, there: _Point) -> float:
    """Loss for each unit of cost saved."""
    return (there[1].loss - here[1].loss) / (here[0] - there[0])


def _hull(points: list[_Point]) -> list[_Point]:
    """The lower convex hull, from the least loss to the least cost."""
    if not points:
        raise ValueError("choose: a layer has no candidates, rule at least one")
    hull: list[_Point] = []
    for point in sorted(points, key=lambda p: (p[1].loss, p[0])):
        if hull and point[0] >= hull[-1][0]:
            continue
        while len(hull) > 1 and _price(hull[-2], hull[-1]) >= _price(hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def energy_ranks(K: NDArray[Any], energy: float) -> tuple[int, int]:
    """The least ranks (s, t) whose unfoldings keep the share ``energy`` of the squared norm."""
    if not 0 < energy <= 1:
        raise ValueError(f"energy_ranks: energy={energy}, rule in (0, 1]")
    wide = checked("energy_ranks", K)
    return _rank(wide, energy), _rank(swapped(wide), energy)


def _rank(K: Reals, energy: float) -> int:
    kept = np.cumsum(left_singular(K)[1] ** 2)
    # At energy = 1 the sum itself must pass, whatever its rounding.
    return int(np.searchsorted(kept, energy * kept[-1] * (1 - 1e-14))) + 1
