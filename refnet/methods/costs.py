"""What a layer and its block-term form cost: multiply-accumulates and weights.

    dense         S*T*P weights, each once an output position
    block-term    R*(S*s + s*t*P + t*T); the first 1x1 layer runs at the input's positions
    low rank      k*(S + T), for 1x1 convolutions and linear layers (P = 1)

All of it once for each group of a grouped convolution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

from refnet.nn import Conv2d, Linear


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """R terms of multilinear rank (s, t). Tucker-2 has R = 1; where P = 1, R = 1 and s = t."""

    R: int
    s: int
    t: int

    def __post_init__(self) -> None:
        if min(self.R, self.s, self.t) < 1:
            raise ValueError(f"Ranks: R={self.R}, s={self.s}, t={self.t}, rule >= 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerShape:
    """A layer to decompose. S and T are the channels and filters of one group.

    ``inputs`` and ``outputs`` are positions of the maps that go in and come out.
    """

    S: int
    T: int
    P: int
    groups: int = 1
    inputs: int = 1
    outputs: int = 1

    def __post_init__(self) -> None:
        if min(self.S, self.T, self.P, self.groups, self.inputs, self.outputs) < 1:
            raise ValueError(f"LayerShape: {self} must have sizes >= 1")

    @classmethod
    def of(cls, layer: Conv2d | Linear, x: tuple[int, ...], y: tuple[int, ...]) -> Self:
        """The shape of ``layer`` between maps of shapes x (N, C, H, W) and y (N, F, H', W')."""
        filters, channels, *kernel = layer.weight.shape
        groups = layer.groups if isinstance(layer, Conv2d) else 1
        return cls(
            S=channels, T=filters // groups, P=math.prod(kernel), groups=groups,
            inputs=math.prod(x[2:]), outputs=math.prod(y[2:]),
        )

    @property
    def weights(self) -> int:
        """Weights of the dense layer."""
        return self.groups * self.S * self.T * self.P

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the dense layer on one image."""
        return self.weights * self.outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen for one layer of a network: ranks, or None where it stays dense.

    ``error`` is ||K - K'|| / ||K|| of the kernel as the candidates were rated, before its final
    fit.
    """

    name: str
    shape: LayerShape
    ranks: Ranks | None
    error: float

    @property
    def factors(self) -> int:
        """How many layers stand for it."""
        return 1 if self.ranks is None else 2 if self.shape.P == 1 else 3

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one image."""
        r = self.ranks
        return self.shape.macs if r is None else round(macs(self.shape, r.R, r.s, r.t))

    @property
    def ratio(self) -> float:
        """How many times fewer multiply-accumulates than the dense layer."""
        return self.shape.macs / self.macs

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        r = self.ranks
        return {
            "layer": self.name, "ranks": None if r is None else [r.R, r.s, r.t],
            "dense_macs": self.shape.macs, "macs": self.macs, "mac_ratio": self.ratio,
            "kernel_error": self.error,
        }


def weights(shape: LayerShape, R: float, s: float, t: float) -> float:
    """Weights of the decomposed layer; ranks may be real, for what-if tables."""
    if shape.P == 1:
        return shape.groups * s * (shape.S + shape.T)
    return shape.groups * R * (shape.S * s + s * t * shape.P + t * shape.T)


def macs(shape: LayerShape, R: float, s: float, t: float) -> float:
    """Multiply-accumulates of the decomposed layer on one image.

    >>> layer = LayerShape(S=64, T=64, P=9, inputs=100, outputs=100)
    >>> layer.macs, macs(layer, 1, 32, 32), macs(layer, 8, 4, 4)
    (3686400, 1331200, 524800)
    """
    if shape.P == 1:
        return weights(shape, R, s, t) * shape.outputs
    inner = s * t * shape.P + t * shape.T
    return shape.groups * R * (shape.S * s * shape.inputs + inner * shape.outputs)


def ranks_within(shape: LayerShape, R: int, limit: float) -> Ranks | None:
    """The largest (s, t) along s : t = S : T whose multiply-accumulates are at most ``limit``.

    What is left of the limit goes into single ranks of either mode. A term has no use for more
    than s = t*P or t = s*P. None where not even s = t = 1 fits, or R > 1 where P = 1.
    """
    if shape.P == 1:
        k = int(limit // ((shape.S + shape.T) * shape.groups * shape.outputs))
        k = min(k, shape.S, shape.T)
        return Ranks(R=1, s=k, t=k) if R == 1 and k >= 1 else None
    found = None
    for step in range(1, max(shape.S, shape.T) + 1):
        pair = _useful(shape, *(max(1, round(step * n / max(shape.S, shape.T)))
                                for n in (shape.S, shape.T)))
        if macs(shape, R, *pair) > limit:
            break
        found = pair
    while found is not None:
        s, t = found
        grown = [_useful(shape, s + 1, t), _useful(shape, s, t + 1)]
        grown = [p for p in grown if p != found and macs(shape, R, *p) <= limit]
        if not grown:
            return Ranks(R=R, s=s, t=t)
        found = min(grown, key=lambda p: macs(shape, R, *p))
    return None


def _useful(shape: LayerShape, s: int, t: int) -> tuple[int, int]:
    s, t = min(s, shape.S), min(t, shape.T)
    return min(s, t * shape.P), min(t, s * shape.P)
