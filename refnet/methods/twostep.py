"""Two-step quantization: sparse low-bit activations first, then ternary weights.

Source: Wang et al., Two-Step Quantization for Low-bit Neural Networks, CVPR 2018.
Stage 1 (code learning) quantizes activations only: ``prepare`` puts the sparse half-wave quantizer
in the place of every ReLU, and the network is trained on. Stage 2 (transformation learning) takes
the codes as targets and solves, layer by layer, with inputs X~ from the quantized prefix,

    min over alpha, b, w ternary of ||y - Q(alpha X~^T w + b)||^2,   y = Q(response of stage 1)

through the relaxed problem  ||y - Q~(z)||^2 + lambda ||z - (alpha X~^T w + b)||^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.methods.base import FloatArray, LayerData, apply, quantized_like
from refnet.methods.ternary_ls import Codes, Reals, descend, scale_of
from refnet.nn import Conv2d, Linear, Module, ReLU, Residual, Sequential
from refnet.program.types import TERNARY
from refnet.quant import HalfWave, Quantize
from refnet.quant.ternary import ternary_rows

# Latents keep this distance from the rounding boundary, so that their codes are those found.
_MARGIN = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoStep:
    """Ternary weights and ``bits``-bit activations.

    ``theta`` is the share of zeros the activation quantizer aims at (None: least error).
    ``samples`` output positions are drawn for each layer; ``penalties`` is the rising schedule of
    lambda with ``iterations`` steps each; ``sweeps`` bounds a coordinate descent.
    """

    bits: int = 2
    theta: float | None = None
    samples: int = 6000
    penalties: tuple[float, ...] = (0.1, 0.3, 1.0)
    iterations: int = 5
    sweeps: int = 20

    def __post_init__(self) -> None:
        HalfWave(self.bits, self.theta)
        if min(self.samples, self.sweeps) < 1 or self.iterations < 0:
            raise ValueError(
                f"TwoStep: samples={self.samples}, sweeps={self.sweeps}, "
                f"iterations={self.iterations}, rule >= 1, >= 1, >= 0"
            )
        if any(not p > 0 for p in self.penalties):
            raise ValueError(f"TwoStep: penalties {self.penalties} must be positive")

    @property
    def name(self) -> str:
        """As on the command line."""
        return "twostep"

    def prepare(self, net: Module, data: FloatArray) -> Module:
        """Every ReLU replaced by a half-wave quantizer fitted to what it sees of ``data``."""
        return _prepare(net, data, HalfWave(self.bits, self.theta))[0]

    def compress_layer(
        self, layer: Conv2d | Linear, data: LayerData, rng: np.random.Generator
    ) -> Module:
        """One layer of ternary codes with a scale and a bias for each filter."""
        sample = draw(layer, data, self.samples, rng)
        weight = layer.weight.numpy().astype(np.float64)
        flat = weight.reshape(len(weight), -1)
        per_group = len(weight) // len(sample)
        codes = np.empty(flat.shape, dtype=np.int8)
        scale, bias = np.empty(len(weight)), np.empty(len(weight))
        quantizer = data.quantizer if isinstance(data.quantizer, HalfWave) else None
        for g, (X, Z) in enumerate(sample):
            rows = slice(g * per_group, (g + 1) * per_group)
            codes[rows], scale[rows], bias[rows] = transform(X, Z, flat[rows], quantizer, self)
        latent = np.clip(flat / scale[:, None], codes - 0.5 + _MARGIN, codes + 0.5 - _MARGIN)
        return quantized_like(layer, latent.reshape(weight.shape), scale, TERNARY, bias)


def _prepare(net: Module, x: FloatArray, kind: HalfWave) -> tuple[Module, FloatArray]:
    """The prepared module and its output on ``x``."""
    if isinstance(net, Sequential):
        layers = []
        for layer in net:
            new, x = _prepare(layer, x, kind)
            layers.append(new)
        return Sequential(*layers), x
    if isinstance(net, Residual):
        main, y = _prepare(net.main, x, kind)
        if net.shortcut is None:
            return Residual(main), y + x
        shortcut, short = _prepare(net.shortcut, x, kind)
        return Residual(main, shortcut), y + short
    new = Quantize(kind.fit(x)) if isinstance(net, ReLU) else net.copy()
    return new, apply(new.eval(), x)


def draw(
    layer: Conv2d | Linear, data: LayerData, samples: int, rng: np.random.Generator
) -> list[tuple[Reals, Reals]]:
    """For each group: inputs X (n, N) and responses Z (F/G, N) at randomly drawn positions."""
    if isinstance(layer, Linear):
        picked = _choose(len(data.inputs), samples, rng)
        X, Z = data.inputs[picked].T, data.targets[picked].T
        return [(X.astype(np.float64), Z.astype(np.float64))]
    count, _, height, width = data.targets.shape
    flat = _choose(count * height * width, samples, rng)
    image, i, j = np.unravel_index(flat, (count, height, width))
    padded = np.pad(data.inputs, ((0, 0), (0, 0), *layer.padding))
    per_group, *kernel = layer.weight.shape[1:]
    spans = [np.arange(size) * step for size, step in zip(kernel, layer.dilation, strict=True)]
    rows = (i * layer.stride[0])[:, None, None, None] + spans[0][:, None]
    columns = (j * layer.stride[1])[:, None, None, None] + spans[1]
    found = []
    targets = data.targets[image, :, i, j].astype(np.float64)
    for g in range(layer.groups):
        channels = np.arange(g * per_group, (g + 1) * per_group)[:, None, None]
        patches = padded[image[:, None, None, None], channels, rows, columns]
        filters = np.array_split(np.arange(len(layer.weight.numpy())), layer.groups)[g]
        X = patches.reshape(len(flat), -1).T.astype(np.float64)
        found.append((X, targets[:, filters].T))
    return found


def _choose(total: int, samples: int, rng: np.random.Generator) -> NDArray[np.intp]:
    return np.sort(rng.choice(total, size=min(total, samples), replace=False))


def transform(
    X: Reals, Z: Reals, W: Reals, quantizer: HalfWave | None, settings: TwoStep
) -> tuple[Codes, Reals, Reals]:
    """Stage 2 for the filters of one group: X (n, N), Z (m, N), real weights W (m, n).

    Returns codes (m, n), scale (m,) > 0 and bias (m,). Without a quantizer, the linear problem.
    The best iterate by the true objective is kept for each filter; a filter whose responses do
    not depend on the input gets zero codes, scale 1 and its mean as bias.
    """
    centre = X.mean(axis=1, keepdims=True)
    Xc = X - centre
    G = Xc @ Xc.T
    codes = ternary_rows(W)[0]
    best = _Best(X=X, Y=_levels(Z, quantizer), quantizer=quantizer)
    S = (Z - Z.mean(axis=1, keepdims=True)) @ Xc.T
    for start in (codes, descend(G, S, codes, sweeps=settings.sweeps)):
        codes = start
        best.offer(codes, *_affine(G, S, codes, Z, centre))
    if quantizer is not None:
        top = quantizer.type.hi * quantizer.delta
        for penalty in settings.penalties:
            for _ in range(settings.iterations):
                V = best.scale_now[:, None] * (codes @ X) + best.bias_now[:, None]
                z = relaxed(best.Y, V, penalty, top)
                S = (z - z.mean(axis=1, keepdims=True)) @ Xc.T
                codes = descend(G, S, codes, sweeps=2)
                best.offer(codes, *_affine(G, S, codes, z, centre))
    return best.result()


def _affine(G: Reals, S: Reals, W: Codes, Z: Reals, centre: Reals) -> tuple[Reals, Reals]:
    """Closed form of scale and bias: alpha = cov(z, u) / var(u), b = mean z - alpha mean u."""
    scale = scale_of(G, S, W)
    return scale, Z.mean(axis=1) - scale * (W @ centre)[:, 0]


def _levels(Z: Reals, quantizer: HalfWave | None) -> Reals:
    return Z if quantizer is None else quantizer.values(quantizer.codes(Z))


def relaxed(y: Reals, v: Reals, penalty: float, top: float) -> Reals:
    """Element by element the z that minimises (y - clip(z, 0, top))^2 + penalty (z - v)^2.

    One candidate in each piece of the relaxed quantizer; the cheapest is the minimum.
    """
    pieces = (
        np.minimum(v, 0),
        np.clip((penalty * v + y) / (1 + penalty), 0, top),
        np.maximum(v, top),
    )
    costs = [(y - np.clip(z, 0, top)) ** 2 + penalty * (z - v) ** 2 for z in pieces]
    cheapest: Reals = np.choose(np.argmin(costs, axis=0), pieces)
    return cheapest


@dataclass(slots=True)
class _Best:
    """The best iterate of each filter by the true objective, and the present scale and bias."""

    X: Reals
    Y: Reals
    quantizer: HalfWave | None
    cost: Any = None
    codes: Any = None
    scale: Any = None
    bias: Any = None
    scale_now: Any = None
    bias_now: Any = None

    def offer(self, codes: Codes, scale: Reals, bias: Reals) -> None:
        """Take what lowers a filter's true objective ||y - Q(alpha X^T w + b)||^2."""
        self.scale_now, self.bias_now = scale, bias
        response = scale[:, None] * (codes @ self.X) + bias[:, None]
        cost = np.sum((self.Y - _levels(response, self.quantizer)) ** 2, axis=1)
        if self.cost is None:
            self.cost, self.codes = cost, codes.copy()
            self.scale, self.bias = scale.copy(), bias.copy()
            return
        better = cost < self.cost
        self.cost[better], self.codes[better] = cost[better], codes[better]
        self.scale[better], self.bias[better] = scale[better], bias[better]

    def result(self) -> tuple[Codes, Reals, Reals]:
        """Codes, positive scale and bias; a negative scale turns its filter over."""
        dead = (self.scale == 0) | ~self.codes.any(axis=1)
        codes = np.where(self.scale[:, None] < 0, -self.codes, self.codes).astype(np.int8)
        codes[dead] = 0
        return codes, np.where(dead, 1.0, np.abs(self.scale)), self.bias
