"""Two methods in a row: layers become block terms, and what quantizes them is another method.

``blockterm(speedup=2)+twostep`` on the command line. The float network is decomposed first, with
responses reconstructed but nothing quantized; batch norms come back behind its layers, so that it
trains as it did. From there the second method does with it what it does with any network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from refnet.methods.activations import with_codes_between
from refnet.methods.base import FloatArray, LayerData, Method, is_joint
from refnet.methods.blockterm import BlockTerm
from refnet.methods.costs import Choice
from refnet.methods.decompose import decompose
from refnet.nn import Conv2d, Linear, Module
from refnet.quant import Quantize, insert_batch_norm


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """``first`` decomposes, ``then`` quantizes. ``seed`` is that of starts and of samples."""

    first: BlockTerm
    then: Method
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.then, BlockTerm | Composed):
            raise ValueError(f"{self.name}: rule blockterm+METHOD, of which the second quantizes")

    @property
    def name(self) -> str:
        """Of files and reports."""
        return f"{self.first.name}-{self.then.name}"

    @property
    def joint(self) -> bool:
        """As the method that quantizes."""
        return is_joint(self.then)

    @property
    def choices(self) -> tuple[Choice, ...] | None:
        """The ranks of the float network's layers, once they are chosen."""
        return self.first.choices

    def planned(self, net: Module, data: FloatArray, rng: np.random.Generator) -> Composed:
        """With ranks; a network that is prepared is decomposed already."""
        return self if _prepared(net) else replace(self, first=self.first.planned(net, data, rng))

    def prepare(self, net: Module, data: FloatArray) -> Module:
        """The network of block terms, with codes between factors and what ``then`` puts in."""
        if _prepared(net):
            return self.then.prepare(net, data)
        rng = np.random.default_rng(self.seed)
        small = with_codes_between(decompose(net, self.first, data, rng=rng), data)
        return self.then.prepare(insert_batch_norm(small, data, kinds=(Conv2d, Linear)), data)

    def compress_layer(
        self, layer: Conv2d | Linear, data: LayerData, rng: np.random.Generator
    ) -> Module:
        """What the second method makes of a factor."""
        return self.then.compress_layer(layer, data, rng)


def _prepared(net: Module) -> bool:
    """Whether codes are there: a float network has none."""
    return any(isinstance(layer, Quantize) for _, layer in net.walk())
