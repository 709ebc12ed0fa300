"""Block-term decomposition: a kernel as a sum of low-rank terms, that is 1x1, grouped kxk, 1x1.

Source: Wang et al., "Accelerating Convolutional Neural Networks for Mobile Applications", ACM MM
2016. A kernel K (S, T, P) becomes sum_r G_r x_1 A_r x_2 B_r: low rank by A_r and B_r, group
sparsity because the core of the stacked factors is block-diagonal. At the same total ranks the
core of Tucker-2 (R = 1) costs R times as much.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.methods.activations import with_activations, with_codes_between
from refnet.methods.als import Factors
from refnet.methods.base import LayerData, eight_bit
from refnet.methods.chains import chain, eight_bit_chain, kernels_of
from refnet.methods.costs import Choice, LayerShape
from refnet.methods.planning import Layer, Target, plan, rank_choice
from refnet.methods.ranks import Cost
from refnet.methods.rates import Balance, check_balance
from refnet.methods.response import Response, reconstructed
from refnet.methods.terms import block_term as block_term
from refnet.nn import Conv2d, Linear, Module, Sequential
from refnet.program.types import UINT8
from refnet.quant import Uniform


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockTerm:
    """Each layer as block terms in 8 bits, at a target for the whole network.

    ``speedup``, ``budget``, ``cost``, ``rule`` and ``blocks`` (the numbers of terms R to choose
    from) are the target of :class:`refnet.methods.planning.Target`: by default half of the
    multiply-accumulates, or as near to that as the layers allow. ``choices`` are the ranks of every
    layer; None leaves them to the target. ``sweeps``, ``tol`` and ``restarts`` are those of the
    solver; ``response`` (None: not) then fits the factors to what the layer answered on ``samples``
    positions. A layer without ranks stays dense, with 8-bit weights; ``blocks=()`` leaves all
    dense. ``balance`` (auto, none, layer, component, xavier) gives the factors their learning rates
    in fine-tuning.
    """

    speedup: float | None = None
    budget: float | None = None
    cost: str | Cost = "macs"
    rule: str = "error"
    blocks: tuple[int, ...] = (1, 2, 4, 8)
    sweeps: int = 200
    tol: float = 1e-5
    restarts: int = 0
    response: Response | None = field(default_factory=Response)
    samples: int = 3000
    balance: Balance = "auto"
    choices: tuple[Choice, ...] | None = None

    def __post_init__(self) -> None:
        try:
            _ = self.target
        except ValueError as error:
            raise ValueError(f"BlockTerm: {error}") from None
        if min(self.sweeps, self.restarts) < 0 or self.samples < 1:
            raise ValueError(
                f"BlockTerm: sweeps={self.sweeps}, restarts={self.restarts}, "
                f"samples={self.samples}, rule >= 0, >= 0, >= 1"
            )
        check_balance("BlockTerm", self.balance)

    @property
    def target(self) -> Target:
        """What the ranks are chosen for."""
        return Target(
            speedup=self.speedup, budget=self.budget, cost=self.cost, rule=self.rule,
            blocks=self.blocks,
        )

    @property
    def name(self) -> str:
        """As on the command line."""
        return "blockterm"

    def planned(self, net: Module, data: NDArray[Any], rng: np.random.Generator) -> BlockTerm:
        """With ranks for every layer of ``net``, unless it has them."""
        if self.choices is not None:
            return self
        return replace(self, choices=plan(net, data, self.target, rng=rng))

    def prepare(self, net: Module, data: NDArray[Any]) -> Module:
        """8-bit codes for every ReLU, behind averages, and between layers that follow each other.

        An average in integers is a sum of more bits; the codes bring it back to 8.
        """
        return with_codes_between(with_activations(net, data, Uniform(type=UINT8)), data)

    def compress_layer(
        self, layer: Conv2d | Linear, data: LayerData, rng: np.random.Generator
    ) -> Module:
        """Three 8-bit layers (two where the kernel is 1x1) with signed codes between, or one."""
        factors = self.factors(layer, data, rng)
        if factors is None:
            return eight_bit(layer)
        rectified = data.quantizer is not None and data.quantizer.type.lo == 0
        return eight_bit_chain(
            self.chained(layer, factors, data, rectified=rectified, rng=rng), data.inputs
        )

    def factors(
        self, layer: Conv2d | Linear, data: LayerData, rng: np.random.Generator
    ) -> list[Factors] | None:
        """Factors of each group with the ranks of the layer's place; None where it stays dense.

        Without ``choices`` the layer counts as a network of its own.
        """
        if self.choices is None:
            alone = Layer.of(layer, LayerShape.of(layer, data.inputs.shape, data.targets.shape))
            ranks = rank_choice({"it": alone}, {}, self.target, rng=rng)["it"].ranks
        else:
            ranks = self._choice(data.place).ranks
        if ranks is None:
            return None
        return [
            block_term(
                K, ranks.R, ranks.s, ranks.t, rng=rng, sweeps=self.sweeps, tol=self.tol,
                restarts=self.restarts,
            )
            for K in kernels_of(layer)
        ]

    def _choice(self, place: int | None) -> Choice:
        assert self.choices is not None
        if place is None or place >= len(self.choices):
            raise ValueError(
                f"BlockTerm: choices of {len(self.choices)} layers, layer number {place}, "
                "rule one for each"
            )
        return self.choices[place]

    def chained(
        self, layer: Conv2d | Linear, factors: list[Factors], data: LayerData, *,
        rectified: bool, rng: np.random.Generator,
    ) -> Sequential:
        """The float layers for ``factors``, which are fitted to the responses first."""
        if self.response is None:
            return chain(layer, factors)
        fitted, bias = reconstructed(
            layer, factors, data, rectified=rectified, settings=self.response,
            samples=self.samples, rng=rng,
        )
        return chain(layer, fitted, bias)
