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
from refnet.methods.knapsack import cheapest_loss
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

    ``kernels`` are the K (S, T, P) of the layer's groups. With R = 1 among the ``blocks``, the
    least that there is, one term of rank (1, 1), is a candidate too.
    """
    found = [DENSE]
    for limit in (*(shape.macs / speedup for speedup in speedups), float(macs(shape, 1, 1, 1))):
        best = best_within(kernels, shape, limit, blocks=blocks, sweeps=sweeps, rng=rng)
        if best is not None and best.ranks not in [c.ranks for c in found]:
            found.append(best)
    return tuple(found)


def best_within(
    kernels: Sequence[NDArray[Any]], shape: LayerShape, limit: float, *, blocks: Sequence[int],
    sweeps: int, rng: np.random.Generator,
) -> Candidate | None:
    """The best of the ``blocks`` at most ``limit`` multiply-accumulates, fewer than dense."""
    options = [ranks_within(shape, R, limit) for R in blocks]
    rated = [
        Candidate(ranks=r, error=kernel_error(kernels, r, sweeps, rng))
        for r in options if r and macs(shape, r.R, r.s, r.t) < shape.macs
    ]
    return min(rated, key=lambda c: c.error, default=None)


def kernel_error(
    kernels: Sequence[NDArray[Any]], ranks: Ranks, sweeps: int, rng: np.random.Generator
) -> float:
    """The relative error over all groups of a layer, after some sweeps from the strided start."""
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
    """A candidate for each layer: the least total loss at a total cost of at most ``budget``.

    The optimum over all combinations (:mod:`refnet.methods.knapsack`), so that a larger budget
    never has a larger loss. ``ValueError`` where even the cheapest candidates cost more, or a cost
    is negative or no number.
    """
    options = {}
    for name, (shape, found) in layers.items():
        if not found:
            raise ValueError("choose: a layer has no candidates, rule at least one")
        options[name] = [(checked_cost(cost, name, shape, c.ranks), c.loss) for c in found]
    least = sum(min(price for price, _ in found) for found in options.values())
    if least > budget:
        raise ValueError(f"choose: budget {budget:g}, the cheapest candidates cost {least:g}")
    picked = cheapest_loss(list(options.values()), budget)
    return {
        name: found[i] for (name, (_, found)), i in zip(layers.items(), picked, strict=True)
    }


def checked_cost(cost: Cost, name: str, shape: LayerShape, ranks: Ranks | None) -> float:
    """What the caller's cost says, refused where it is negative or no finite number."""
    value = float(cost(name, shape, ranks))
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"cost of layer {name!r} with {ranks}: {value}, rule finite and >= 0")
    return value


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
