"""Two-step quantization: sparse low-bit activations first, then ternary weights.

Source: Wang et al., Two-Step Quantization for Low-bit Neural Networks, CVPR 2018. Stage 1 (code
learning) quantizes activations only: ``prepare`` puts the sparse half-wave quantizer in the place
of every ReLU, and the network is trained on. Stage 2 (transformation learning,
:mod:`refnet.methods.transform`) takes the codes as targets and solves layer by layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from refnet.methods.activations import with_activations
from refnet.methods.base import FloatArray, LayerData, quantized_like
from refnet.methods.bitsplit import Codes, Grid, Reals
from refnet.methods.descent import FORMS
from refnet.methods.sampling import draw
from refnet.methods.ternary_ls import bit_split_least_squares as bit_split_least_squares
from refnet.methods.ternary_ls import ternary_least_squares as ternary_least_squares
from refnet.methods.transform import Schedule, transform
from refnet.methods.zstep import Z_STEPS, Steps
from refnet.nn import Conv2d, Linear, Module
from refnet.quant import HalfWave

# Latents keep this distance from the rounding boundary, so that their codes are those found.
_MARGIN = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoStep:
    """Weights of few bits, ternary by default, and ``bits``-bit activations.

    ``theta`` is the share of zeros the activation quantizer aims at (None: least error).
    ``weight_bits`` is None or "ternary", 1 (codes -1 and +1), 2 (ternary again: +-(2**(b-1) - 1)),
    or up to 8 by bit-split. ``asymmetric`` solves for the inputs that the compressed prefix gives,
    which stops errors from adding up; else for those of the original network. ``bias`` solves a
    bias for each filter; else the layer keeps its own.

    ``samples`` output positions are drawn for each layer; ``penalties`` is the rising schedule of
    lambda with ``iterations`` steps each; ``sweeps`` bounds a coordinate descent, ``form`` is its
    rule (profile or fixed) and ``z_step`` the quantizer of the z step (relaxed or exact).
    """

    bits: int = 2
    theta: float | None = None
    weight_bits: int | str | None = None
    asymmetric: bool = True
    bias: bool = True
    samples: int = 6000
    penalties: tuple[float, ...] = (0.1, 0.3, 1.0)
    iterations: int = 5
    sweeps: int = 20
    form: str = "profile"
    z_step: str = "relaxed"

    def __post_init__(self) -> None:
        HalfWave(self.bits, self.theta)
        Grid.of(self.weight_bits)
        if min(self.samples, self.sweeps) < 1 or self.iterations < 0:
            raise ValueError(
                f"TwoStep: samples={self.samples}, sweeps={self.sweeps}, "
                f"iterations={self.iterations}, rule >= 1, >= 1, >= 0"
            )
        if any(not (p > 0 and np.isfinite(p)) for p in self.penalties):
            raise ValueError(f"TwoStep: penalties {self.penalties} must be positive and finite")
        for what, value, known in (("form", self.form, FORMS), ("z_step", self.z_step, Z_STEPS)):
            if value not in known:
                raise ValueError(f"TwoStep: {what}={value!r}, rule one of {', '.join(known)}")

    @property
    def name(self) -> str:
        """As on the command line."""
        return "twostep"

    @property
    def schedule(self) -> Schedule:
        """The settings of stage 2."""
        return Schedule(
            grid=Grid.of(self.weight_bits), form=self.form, z_step=self.z_step,
            penalties=self.penalties, iterations=self.iterations, sweeps=self.sweeps,
        )

    def prepare(self, net: Module, data: FloatArray) -> Module:
        """Every ReLU replaced by a half-wave quantizer fitted to what it sees of ``data``."""
        return with_activations(net, data, HalfWave(self.bits, self.theta))

    def compress_layer(
        self, layer: Conv2d | Linear, data: LayerData, rng: np.random.Generator
    ) -> Module:
        """One layer of integer codes with a scale and a bias for each filter."""
        sample = draw(layer, data, self.samples, rng, original=not self.asymmetric)
        weight = layer.weight.numpy().astype(np.float64)
        flat = weight.reshape(len(weight), -1)
        own = np.zeros(len(flat)) if layer.bias is None else layer.bias.numpy().astype(np.float64)
        codes = np.empty(flat.shape, dtype=np.int8)
        scale, bias = np.empty(len(flat)), np.empty(len(flat))
        steps, per_group = Steps.of(data.quantizer), len(flat) // len(sample)
        for g, (X, Z) in enumerate(sample):
            rows = slice(g * per_group, (g + 1) * per_group)
            codes[rows], scale[rows], bias[rows] = transform(
                X, Z, flat[rows], steps, self.schedule, offset=None if self.bias else own[rows]
            )
        grid = Grid.of(self.weight_bits)
        codes, scale = buried(codes, scale, grid)
        latent = latents(flat, codes, scale, grid).reshape(weight.shape)
        kept = bias if self.bias or layer.bias is not None else None
        return quantized_like(layer, latent, scale, grid.type, kept, binary=grid.binary)


def buried(codes: Codes, scale: Reals, grid: Grid) -> tuple[Codes, Reals]:
    """Dead filters in the form that layers have: codes 0 and scale 1; binary ones keep scale 0."""
    if grid.binary:
        return np.where(codes < 0, -1, 1).astype(np.int8), scale
    # The scale of a layer is binary32: what vanishes there is dead too.
    dead = (scale.astype(np.float32) == 0) | ~codes.any(axis=1)
    return np.where(dead[:, None], 0, codes).astype(np.int8), np.where(dead, 1.0, scale)


def latents(W: Reals, codes: Codes, scale: Reals, grid: Grid) -> Reals:
    """Reals (m, n) in units of one code that round to ``codes``, as near to W as can be.

    They are where fine-tuning begins. Binary codes are signs, so only the sign is bound.
    """
    reach = 1.0 if grid.binary else 0.5
    low = codes - np.where(codes > 0, reach, 0.5) + _MARGIN
    high = codes + np.where(codes < 0, reach, 0.5) - _MARGIN
    alive = scale > 0
    exact = np.where(alive[:, None], W / np.where(alive, scale, 1.0)[:, None], codes)
    return np.clip(exact, low, high)

