"""What a factorized layer costs, by shapes: additions, multiplications, bits.

    dense       m n weights; m n multiply-accumulates an output position
    factorized  k (n + m) trits and k scales; k (n + m) additions and k multiplications a position

A trit takes 2 bits, or 8/5 packed five to a byte, or its entropy where the codes are known. A zero
trit saves its addition only where hardware skips it. Source: the counts of Wang and Cheng, CVPR
2017.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.methods.base import FloatArray, apply
from refnet.nn import Module, Residual, Sequential
from refnet.program.types import TERNARY
from refnet.quant import QuantConv2d, Quantize
from refnet.quant.layers import QuantWeights

#: Bits of a scale, and of a weight before compression.
FLOAT_BITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """A layer W (m, n) in ``groups`` of them, at ``positions`` outputs; k None: left as it is.

    m filters and n inputs are those of one group. ``nonzero`` is the share of trits that are not
    zero, ``entropy_bits`` the bits of a trit by its entropy; without codes, 1 and log2(3).
    ``kept_bits`` are those of a weight of a layer that is left as it is.
    """

    name: str
    m: int
    n: int
    k: int | None
    positions: int = 1
    groups: int = 1
    nonzero: float = 1.0
    entropy_bits: float = math.log2(3)
    kept_bits: int = FLOAT_BITS

    def __post_init__(self) -> None:
        sizes = (self.m, self.n, self.positions, self.groups, 1 if self.k is None else self.k)
        if min(sizes) < 1 or not 0 <= self.nonzero <= 1 or self.entropy_bits < 0:
            raise ValueError(f"LayerCost: {self}, rule sizes >= 1, nonzero in [0, 1], bits >= 0")

    @property
    def dense_macs(self) -> int:
        """Multiply-accumulates before compression."""
        return self.groups * self.m * self.n * self.positions

    @property
    def trits(self) -> int:
        """Entries of X and Y."""
        return 0 if self.k is None else self.groups * self.k * (self.m + self.n)

    @property
    def scales(self) -> int:
        """Entries of D."""
        return 0 if self.k is None else self.groups * self.k

    @property
    def multiplications(self) -> int:
        """Multiplications of one image: those by D."""
        return self.dense_macs if self.k is None else self.scales * self.positions

    @property
    def additions(self) -> int:
        """Additions and subtractions of one image, zeros counted."""
        return self.dense_macs if self.k is None else self.trits * self.positions

    @property
    def additions_without_zeros(self) -> float:
        """Additions where hardware skips zero trits."""
        return self.additions * (1.0 if self.k is None else self.nonzero)

    @property
    def dense_bits(self) -> int:
        """Bits of the weights before compression."""
        return self.groups * self.m * self.n * FLOAT_BITS

    def bits(self, per_trit: float = 2.0) -> float:
        """Bits of trits and scales after compression, or of the weights that are kept."""
        if self.k is None:
            return float(self.groups * self.m * self.n * self.kept_bits)
        return self.trits * per_trit + self.scales * FLOAT_BITS


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCost:
    """Layers and their totals. Multiplications are compared over the factored layers only."""

    layers: tuple[LayerCost, ...]

    @property
    def factored(self) -> NetworkCost:
        """The layers that are factored."""
        return NetworkCost(layers=tuple(row for row in self.layers if row.k is not None))

    @property
    def fewer_multiplications(self) -> float:
        """Multiplications before over after."""
        after = sum(row.multiplications for row in self.layers)
        return sum(row.dense_macs for row in self.layers) / after

    def compression(self, per_trit: float = 2.0) -> float:
        """Bits of weights before over after."""
        before = sum(row.dense_bits for row in self.layers)
        return before / sum(row.bits(per_trit) for row in self.layers)

    def as_dict(self) -> dict[str, Any]:
        """The layers, and totals: what the factored layers and the whole network save."""
        factored = self.factored
        return {
            "layers": self.as_rows(),
            "additions": sum(row.additions for row in self.layers),
            "multiplications": sum(row.multiplications for row in self.layers),
            "fewer_multiplications_where_factored": factored.fewer_multiplications,
            "compression": self.compression(),
            "compression_packed": self.compression(8 / 5),
        }

    def as_rows(self) -> list[dict[str, Any]]:
        """Plain values of every layer, for tables and JSON."""
        return [
            {
                "name": row.name, "m": row.m, "n": row.n, "k": row.k, "groups": row.groups,
                "additions": row.additions, "additions_without_zeros": row.additions_without_zeros,
                "multiplications": row.multiplications, "dense_macs": row.dense_macs,
                "dense_bits": row.dense_bits, "bits": row.bits(), "bits_packed": row.bits(8 / 5),
                "bits_entropy": row.bits(row.entropy_bits),
            }
            for row in self.layers
        ]


def measured(
    name: str, factors: Sequence[tuple[NDArray[Any], NDArray[Any]]], *, positions: int = 1
) -> LayerCost:
    """The cost of a layer from the codes (X, Y) of its groups."""
    X, Y = factors[0]
    codes = np.concatenate([part.ravel() for pair in factors for part in pair])
    shares = np.array([np.mean(codes == c) for c in (-1, 0, 1)])
    shares = shares[shares > 0]
    return LayerCost(
        name=name, m=len(X), n=len(Y), k=X.shape[1], positions=positions, groups=len(factors),
        nonzero=float(np.mean(codes != 0)), entropy_bits=float(-shares @ np.log2(shares)) + 0.0,
    )


def network_cost(net: Module, x: FloatArray) -> NetworkCost:
    """The costs of a compressed network on images like ``x`` (1, C, H, W), from its codes.

    Two ternary layers with signed codes between them count as factorized, other quantized layers
    as left at their bits.
    """
    rows: list[LayerCost] = []
    _visit("", net, x, rows)
    return NetworkCost(layers=tuple(rows))


def _visit(name: str, module: Module, x: FloatArray, rows: list[LayerCost]) -> FloatArray:
    """Append the costs of all layers below ``module``; its output."""
    if isinstance(module, Sequential):
        return _visit_all(name, list(module), x, rows)
    y = apply(module, x)
    match module:
        case Residual(main=main, shortcut=shortcut):
            _visit(f"{name}.main", main, x, rows)
            if shortcut is not None:
                _visit(f"{name}.shortcut", shortcut, x, rows)
        case QuantWeights() as layer:
            groups = _groups(layer)
            filters, inputs = _matrix(layer).shape
            rows.append(LayerCost(
                name=name, m=filters // groups, n=inputs, k=None, groups=groups,
                positions=math.prod(y.shape[2:]), kept_bits=layer.type.bits,
            ))
    return y


def _visit_all(
    name: str, layers: list[Module], x: FloatArray, rows: list[LayerCost]
) -> FloatArray:
    """The same for layers one after the other: nested as compressed, or flat as fine-tuned."""
    i = 0
    while i < len(layers):
        inside = f"{name}.{i}" if name else str(i)
        match layers[i : i + 3]:
            case [QuantWeights() as first, Quantize() as codes, QuantWeights() as last] if (
                first.type == last.type == TERNARY and codes.quantizer.type.lo < 0
            ):
                x = apply(last, apply(codes, apply(first, x)))
                positions = math.prod(x.shape[2:])
                rows.append(measured(inside, _codes_of(first, last), positions=positions))
                i += 3
            case [layer, *_]:
                x = _visit(inside, layer, x, rows)
                i += 1
    return x


def _groups(layer: QuantWeights) -> int:
    return layer.groups if isinstance(layer, QuantConv2d) else 1


def _matrix(layer: QuantWeights) -> NDArray[Any]:
    codes = layer.codes()
    return codes.reshape(len(codes), -1)


def _codes_of(first: QuantWeights, last: QuantWeights) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """X and Y of every group."""
    groups = _groups(first)
    inner, outer = np.split(_matrix(first), groups), np.split(_matrix(last), groups)
    return [(X, Y.T) for X, Y in zip(outer, inner, strict=True)]
