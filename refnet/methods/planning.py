"""Ranks for every layer of a network from one target for the whole of it.

The target is a total: of multiply-accumulates, of weights, or of any cost that a caller knows how
to tell, such as the cycles or the energy of a machine. The first and the last layer stay as they
are and are paid for. Of the rules, ``error`` is the one that looks at all layers at once; the
others are what it is compared with.

    error     of each layer's candidates (R, s, t), those of least loss in sum (methods/ranks.py)
    uniform   every layer by the same factor, its best R
    energy    Tucker-2 that keeps the same share of energy in every unfolding, the largest that fits
    vbmf      Tucker-2 with the ranks of variational Bayes; takes no target (Kim et al., ICLR 2016)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from refnet.methods.base import FloatArray
from refnet.methods.chains import kernels_of
from refnet.methods.costs import Choice, LayerShape, Ranks, macs
from refnet.methods.ranks import (
    DENSE,
    Candidate,
    Cost,
    best_within,
    candidates,
    checked_cost,
    choose,
    count_macs,
    count_weights,
    energy_ranks,
    kernel_error,
)
from refnet.methods.tucker import Reals
from refnet.methods.vbmf import vbmf_ranks
from refnet.methods.walking import layer_shapes
from refnet.nn import Conv2d, Linear, Module

RULES = ("error", "uniform", "energy", "vbmf")
COSTS: Mapping[str, Cost] = {"macs": count_macs, "weights": count_weights}
#: What a network is made cheaper by where nobody says.
SPEEDUP = 2.0
# How many times fewer multiply-accumulates a layer's candidates have.
_SPEEDUPS = (1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32)
# Sweeps that rate a candidate: errors of the first few tell which is better.
_SWEEPS = 10
# Halvings of the interval of energies.
_HALVINGS = 40
# Of sums of costs, in another order.
_ROUNDING = 1e-12

_Error = Callable[[list[Reals], Ranks], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A total cost: ``budget`` itself, or that of the network as it is over ``speedup``.

    With neither, half of it, or as near to that as the layers allow. ``cost`` is "macs", "weights"
    or a callable of a layer's name, shape and ranks (None: dense), summed over the layers.
    """

    speedup: float | None = None
    budget: float | None = None
    cost: str | Cost = "macs"
    rule: str = "error"
    blocks: tuple[int, ...] = (1, 2, 4, 8)

    def __post_init__(self) -> None:
        given = [v for v in (self.speedup, self.budget) if v is not None]
        if any(isinstance(v, bool) or not isinstance(v, int | float) for v in given):
            raise ValueError(f"speedup={self.speedup}, budget={self.budget}, rule numbers")
        if self.speedup is not None and not 1 <= self.speedup < np.inf:
            raise ValueError(f"speedup={self.speedup}, rule at least 1")
        if self.budget is not None and not 0 < self.budget < np.inf:
            raise ValueError(f"budget={self.budget}, rule > 0")
        if len(given) > 1:
            raise ValueError(f"speedup={self.speedup}, budget={self.budget}, rule at most one")
        if not callable(self.cost) and self.cost not in COSTS:
            raise ValueError(f"cost={self.cost!r}, rule one of {', '.join(COSTS)}, or a callable")
        if self.rule not in RULES:
            raise ValueError(f"rule={self.rule!r}, rule one of {', '.join(RULES)}")
        if self.rule == "vbmf" and given:
            raise ValueError("rule='vbmf' takes no target, rule neither speedup nor budget")
        if self.rule == "uniform" and self.budget is not None:
            raise ValueError(f"rule='uniform', budget={self.budget}, rule speedup instead")
        if not isinstance(self.blocks, tuple) or any(
            not isinstance(R, int) or R < 1 for R in self.blocks
        ):
            raise ValueError(f"blocks={self.blocks}, rule integers >= 1, as in (1, 2, 4)")

    @property
    def counted(self) -> Cost:
        """The cost as a function."""
        return COSTS[self.cost] if isinstance(self.cost, str) else self.cost

    @property
    def factor(self) -> float:
        """The speed-up, by default one for all."""
        return SPEEDUP if self.speedup is None else self.speedup


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """A layer to choose ranks for: its shape, and the kernel K (S, T, P) of each group."""

    shape: LayerShape
    kernels: list[Reals]

    @classmethod
    def of(cls, layer: Conv2d | Linear, shape: LayerShape) -> Layer:
        """The layer with what its inputs make of it."""
        return cls(shape=shape, kernels=kernels_of(layer))


def plan(
    net: Module, data: FloatArray, target: Target, *, rng: np.random.Generator
) -> tuple[Choice, ...]:
    """A choice for every layer with weights of ``net``, batch norm folded, in order of execution.

    ``data`` (N, C, H, W) is any batch and says how large the maps are. Raises ``ValueError``
    where the target cannot be met, with what can.
    """
    shapes, layers = layer_shapes(net, data), dict(net.walk())
    inner = {}
    for name in list(shapes)[1:-1]:
        layer = layers[name]
        assert isinstance(layer, Conv2d | Linear)
        inner[name] = Layer.of(layer, shapes[name])
    edges = {name: shape for name, shape in shapes.items() if name not in inner}
    found = dict.fromkeys(edges, DENSE) | rank_choice(inner, edges, target, rng=rng)
    return tuple(
        Choice(name=name, shape=shape, ranks=found[name].ranks, error=found[name].error)
        for name, shape in shapes.items()
    )


def rank_choice(
    layers: Mapping[str, Layer], edges: Mapping[str, LayerShape], target: Target, *,
    rng: np.random.Generator,
) -> dict[str, Candidate]:
    """A candidate for each of ``layers``; ``edges`` stay dense and are paid for."""
    error = partial(kernel_error, sweeps=_SWEEPS, rng=rng)
    if target.rule == "vbmf":
        return {
            name: _rated(layer, _tucker(layer.shape, map(vbmf_ranks, layer.kernels)), error)
            for name, layer in layers.items()
        }
    if target.rule == "energy":
        return _energy(layers, edges, target, error)
    if target.rule == "uniform":
        within = partial(best_within, blocks=target.blocks, sweeps=_SWEEPS, rng=rng)
        return {
            name: within(layer.kernels, layer.shape, layer.shape.macs / target.factor) or DENSE
            for name, layer in layers.items()
        }
    rated = partial(
        candidates, blocks=target.blocks, speedups=_SPEEDUPS, sweeps=_SWEEPS, rng=rng
    )
    options = {
        name: (layer.shape, rated(layer.kernels, layer.shape))
        for name, layer in layers.items()
    }
    cheapest = sum(
        min(checked_cost(target.counted, name, shape, c.ranks) for c in found)
        for name, (shape, found) in options.items()
    )
    budget = _budget(layers, edges, cheapest, target)
    return choose(options, budget, cost=target.counted)


def _budget(
    layers: Mapping[str, Layer], edges: Mapping[str, LayerShape], cheapest: float, target: Target
) -> float:
    """What the target leaves for ``layers``, whose ``cheapest`` candidates must fit it."""
    cost = target.counted
    fixed = sum(checked_cost(cost, name, shape, None) for name, shape in edges.items())
    dense = sum(checked_cost(cost, name, layer.shape, None) for name, layer in layers.items())
    if target.budget is None and target.speedup is None:
        return max((fixed + dense) / SPEEDUP - fixed, cheapest)
    total = (fixed + dense) / target.factor if target.budget is None else target.budget
    if fixed + cheapest > total * (1 + _ROUNDING):
        stays = f", of which {', '.join(edges)} that stay dense cost {fixed:g}" if edges else ""
        least = fixed + cheapest
        raise ValueError(
            f"ranks: target {total:g} ({_asked(target)}), but the cheapest terms of "
            f"{', '.join(layers) or 'no layer'} leave {least:g}{stays}; "
            f"rule speedup at most {(fixed + dense) / least if least else np.inf:.4g}"
        )
    return max(total - fixed, cheapest)


def _asked(target: Target) -> str:
    cost = target.cost if isinstance(target.cost, str) else "cost"
    return f"speedup={target.speedup:g} in {cost}" if target.speedup else f"budget in {cost}"


def _energy(
    layers: Mapping[str, Layer], edges: Mapping[str, LayerShape], target: Target, error: _Error
) -> dict[str, Candidate]:
    """Tucker-2 for all layers by the largest share of energy that fits, found by halving."""
    def ranks(share: float) -> dict[str, Ranks | None]:
        return {
            name: _tucker(layer.shape, (energy_ranks(K, share) for K in layer.kernels))
            for name, layer in layers.items()
        }

    def price(chosen: Mapping[str, Ranks | None]) -> float:
        shapes = {name: layer.shape for name, layer in layers.items()}
        return sum(checked_cost(target.counted, n, shapes[n], r) for n, r in chosen.items())

    low, high = float(np.finfo(float).eps), 1.0
    budget = _budget(layers, edges, price(ranks(low)), target)
    if price(ranks(high)) <= budget:
        low = high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if price(ranks(middle)) <= budget else (low, middle)
    return {name: _rated(layers[name], r, error) for name, r in ranks(low).items()}


def _rated(layer: Layer, ranks: Ranks | None, error: _Error) -> Candidate:
    return DENSE if ranks is None else Candidate(ranks=ranks, error=error(layer.kernels, ranks))


def _tucker(shape: LayerShape, pairs: Iterable[tuple[int, int]]) -> Ranks | None:
    """Tucker-2 with the largest ranks of any group; None where that is no cheaper than dense."""
    found = list(pairs)
    s, t = max(s for s, _ in found), max(t for _, t in found)
    if shape.P == 1:
        s = t = max(s, t)
    # A term has no use for more than s = t*P or t = s*P.
    s, t = min(s, t * shape.P), min(t, s * shape.P)
    return Ranks(R=1, s=s, t=t) if macs(shape, 1, s, t) < shape.macs else None
