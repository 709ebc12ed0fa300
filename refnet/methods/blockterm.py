"""Block-term decomposition: a kernel as a sum of low-rank terms, that is 1x1, grouped kxk, 1x1.

Source: Wang et al., "Accelerating Convolutional Neural Networks for Mobile Applications", ACM MM
2016. A kernel K (S, T, P) becomes sum_r G_r x_1 A_r x_2 B_r: low rank by A_r and B_r, group
sparsity because the core of the stacked factors is block-diagonal. At the same total ranks the
core of Tucker-2 (R = 1) costs R times as much.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.methods.activations import with_activations
from refnet.methods.als import Factors, Fit
from refnet.methods.base import LayerData, eight_bit
from refnet.methods.chains import chain, eight_bit_chain, kernels_of
from refnet.methods.costs import LayerShape, Ranks, ranks_within
from refnet.methods.decompose import with_codes_between
from refnet.methods.rates import Balance, check_balance
from refnet.methods.response import Response, respond
from refnet.methods.sampling import draw
from refnet.methods.terms import block_term as block_term
from refnet.methods.terms import fit_block_term
from refnet.methods.tucker import Reals
from refnet.nn import Conv2d, Linear, Module
from refnet.program.types import UINT8
from refnet.quant import Uniform


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockTerm:
    """Each layer as block terms at 1 / ``speedup`` of its multiply-accumulates, in 8 bits.

    Of the ``blocks`` the number R with the least error of the kernel is taken, with ranks in the
    proportion of the channels; ``response`` (None: not) then fits the factors to what the layer
    answered on ``samples`` positions. A layer that no decomposition makes ``speedup`` times
    cheaper stays dense, with 8-bit weights; ``blocks=()`` leaves all layers dense, as for a
    network that is decomposed already. ``balance`` (auto, none, layer, component, xavier) gives
    the factors their learning rates in fine-tuning.
    """

    speedup: float = 2.0
    blocks: tuple[int, ...] = (1, 2, 4, 8)
    sweeps: int = 200
    tol: float = 1e-5
    restarts: int = 0
    response: Response | None = field(default_factory=Response)
    samples: int = 3000
    balance: Balance = "auto"

    def __post_init__(self) -> None:
        if not self.speedup > 0 or any(R < 1 for R in self.blocks):
            raise ValueError(
                f"BlockTerm: speedup={self.speedup}, blocks={self.blocks}, rule > 0, each >= 1"
            )
        if min(self.sweeps, self.restarts) < 0 or self.samples < 1:
            raise ValueError(
                f"BlockTerm: sweeps={self.sweeps}, restarts={self.restarts}, "
                f"samples={self.samples}, rule >= 0, >= 0, >= 1"
            )
        check_balance("BlockTerm", self.balance)

    @property
    def name(self) -> str:
        """As on the command line."""
        return "blockterm"

    def prepare(self, net: Module, data: NDArray[Any]) -> Module:
        """8-bit codes for every ReLU, behind averages, and between layers that follow each other.

        An average in integers is a sum of more bits; the codes bring it back to 8.
        """
        return with_codes_between(with_activations(net, data, Uniform(type=UINT8)), data)

    def compress_layer(
        self, layer: Conv2d | Linear, data: LayerData, rng: np.random.Generator
    ) -> Module:
        """Three 8-bit layers (two where the kernel is 1x1) with signed codes between, or one."""
        shape = LayerShape.of(layer, data.inputs.shape, data.targets.shape)
        factors = self.decomposed(kernels_of(layer), shape, rng)
        if factors is None:
            return eight_bit(layer)
        bias = None
        if self.response is not None:
            factors, bias = self._reconstructed(layer, factors, data, rng)
        return eight_bit_chain(chain(layer, factors, bias), data.inputs)

    def decomposed(
        self, kernels: list[Reals], shape: LayerShape, rng: np.random.Generator
    ) -> list[Factors] | None:
        """Factors of each group within the cost, by the best R; None where none is cheap enough."""
        limit = shape.macs / self.speedup
        best, least = None, np.inf
        for R in self.blocks:
            ranks = ranks_within(shape, R, limit)
            if ranks is None:
                continue
            fits = [self._fit(K, ranks, rng) for K in kernels]
            missed = sum(
                (f.error * float(np.linalg.norm(K))) ** 2
                for f, K in zip(fits, kernels, strict=True)
            )
            if missed < least:
                best, least = fits, missed
        return None if best is None else [(f.A, f.G, f.B) for f in best]

    def _fit(self, K: Reals, ranks: Ranks, rng: np.random.Generator) -> Fit:
        return fit_block_term(
            K, ranks.R, ranks.s, ranks.t, rng=rng, sweeps=self.sweeps, tol=self.tol,
            restarts=self.restarts,
        )

    def _reconstructed(
        self, layer: Conv2d | Linear, factors: list[Factors], data: LayerData,
        rng: np.random.Generator,
    ) -> tuple[list[Factors], Reals]:
        assert self.response is not None
        rectified = data.quantizer is not None and data.quantizer.type.lo == 0
        found = [
            respond(f, X, Z, rectified=rectified, settings=self.response)
            for f, (X, Z) in zip(factors, draw(layer, data, self.samples, rng), strict=True)
        ]
        return [f for f, _ in found], np.concatenate([bias for _, bias in found])
