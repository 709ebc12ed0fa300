"""Fixed-point factorized networks: every layer two ternary layers with a diagonal between them.

Sources: Wang and Cheng, CVPR 2017; Wang et al., TNNLS 2021 (response reconstruction, no labels).
W (m, n) ~ X D Y^T becomes k ternary kxk filters Y^T, whose responses D brings to integer codes of
one step, and ternary 1x1 filters X: additions only, but for the k multiplications by D.

    factorize     semidiscrete(W, k)                         sdd.py
    reconstruct   the same factors, for the outputs          sdd_response.py
    recover       latents that remember W                    sdd_recovery.py
    balance       learning rates of the factors              balancing.py, rates.py: in fine-tuning
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.methods.activations import eight_bit_activations
from refnet.methods.base import FloatArray, LayerData, apply
from refnet.methods.rates import Balance, check_balance
from refnet.methods.sampling import draw
from refnet.methods.sdd import STARTS as STARTS
from refnet.methods.sdd import Factors, semidiscrete
from refnet.methods.sdd import joint_scales as joint_scales
from refnet.methods.sdd import relative_error as relative_error
from refnet.methods.sdd_loops import Reals
from refnet.methods.sdd_recovery import recover
from refnet.methods.sdd_response import reconstruct
from refnet.nn import Conv2d, Linear, Module, Sequential
from refnet.program.types import TERNARY, IntType
from refnet.quant import QuantConv2d, Quantize, QuantLinear, Uniform

# Weight of the kernel's own error beside that of the responses: what the calibration data never
# show keeps the decomposition of the kernel.
_RIDGE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Factorized:
    """Two ternary layers for every layer, 8-bit activations.

    Components of a group of a layer W (m, n): ``k``; or the fewest whose greedy decomposition has
    a relative error of at most ``error``, up to 4 min(m, n); or as many as need at most ``cost``
    times the additions of W; at most one of the three is given, by default k = min(m, n). ``bits``
    (8 to 16) is the width of the codes between X and Y. ``sweeps`` refine, ``responses`` sweeps
    reconstruct the outputs at ``samples`` positions (0: none), ``recovery`` sweeps recover the
    latents. ``balance`` (auto, none, layer, component, xavier) gives the factors their learning
    rates in fine-tuning.
    """

    k: int | None = None
    error: float | None = None
    cost: float | None = None
    bits: int = 8
    sweeps: int = 10
    responses: int = 20
    samples: int = 6000
    recovery: int = 30
    balance: Balance = "auto"

    def __post_init__(self) -> None:
        given = [v for v in (self.k, self.error, self.cost) if v is not None]
        if len(given) > 1 or not all(_positive(v) for v in given):
            raise ValueError(
                f"Factorized: k={self.k!r}, error={self.error!r}, cost={self.cost!r}, "
                "rule at most one, and a positive number"
            )
        if not (self.k is None or _whole(self.k)) or not _whole(self.bits, 8, 16):
            raise ValueError(
                f"Factorized: k={self.k!r}, bits={self.bits!r}, rule an integer, 8 to 16"
            )
        counts = (self.sweeps, self.responses, self.recovery)
        if not all(_whole(count) for count in counts) or not _whole(self.samples, 1):
            raise ValueError(
                f"Factorized: sweeps={self.sweeps!r}, responses={self.responses!r}, "
                f"recovery={self.recovery!r}, samples={self.samples!r}, rule integers >= 0 and "
                "samples >= 1"
            )
        check_balance("Factorized", self.balance)

    @property
    def name(self) -> str:
        """As on the command line."""
        return "factorized"

    def prepare(self, net: Module, data: FloatArray) -> Module:
        """8-bit codes in the place of every ReLU and wherever a layer needs codes."""
        return eight_bit_activations(net, data)

    def compress_layer(
        self, layer: Conv2d | Linear, data: LayerData, rng: np.random.Generator
    ) -> Module:
        """Y^T with scales d, codes of ``bits`` bits, and X with a scale and bias a filter."""
        groups = layer.groups if isinstance(layer, Conv2d) else 1
        weight = layer.weight.numpy().astype(np.float64)
        kernels = weight.reshape(groups, len(weight) // groups, -1)
        factors = self._factors(layer, kernels, data, rng)
        first = _inner(layer, [Y for _, _, Y in factors], [d for _, d, _ in factors])
        middle = apply(first, data.inputs)
        codes = Quantize(Uniform(type=IntType.symmetric(self.bits)).fit(middle))
        last = _outer(layer, [X for X, _, _ in factors], np.ones(len(weight)), None)
        scale, bias = _affine(apply(last, apply(codes, middle)), data.targets)
        # The rounded latents are the factors, so that nothing fitted so far changes.
        latents = [
            recover(W / a[:, None], *f, sweeps=self.recovery)
            for W, a, f in zip(kernels, scale.reshape(groups, -1), factors, strict=True)
        ]
        first = _inner(layer, [Y for _, Y in latents], [d for _, d, _ in factors])
        last = _outer(layer, [X for X, _ in latents], scale, bias)
        return Sequential(first, codes, last)

    def _factors(
        self, layer: Conv2d | Linear, kernels: Reals, data: LayerData, rng: np.random.Generator
    ) -> list[Factors]:
        """Factors of every group, all with as many components as the largest group needs."""
        k = max(self.components(W) for W in kernels)
        found = [semidiscrete(W, k, sweeps=self.sweeps) for W in kernels]
        if self.responses:
            samples = draw(layer, data, self.samples, rng)
            found = [
                _reconstructed(W, A, Z, f, self.responses)
                for W, (A, Z), f in zip(kernels, samples, found, strict=True)
            ]
        alive = max(1, *(int(np.count_nonzero(d)) for _, d, _ in found))
        return [_largest(f, alive) for f in found]

    def components(self, W: Reals) -> int:
        """The number of components for a matrix, by the rule of this record."""
        m, n = int(W.shape[0]), int(W.shape[1])
        if self.k is not None:
            return self.k
        if self.cost is not None:
            return max(1, int(self.cost * m * n / (m + n)))
        if self.error is not None:
            return _fewest(W, self.error)
        return min(m, n)


def _whole(value: Any, low: int = 0, high: float = math.inf) -> bool:
    """Whether a setting is an integer within bounds; True and False are none."""
    integral = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return integral and low <= value <= high


def _positive(value: Any) -> bool:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return number and 0 < value < math.inf


def _fewest(W: Reals, error: float) -> int:
    """The fewest components whose greedy decomposition has a relative error of at most ``error``.

    At most four times the smaller side of W.
    """
    most = 4 * min(W.shape)
    X, d, Y = semidiscrete(W, most, sweeps=0, identity=False, joint=False)
    beta = d**2 * np.count_nonzero(X, axis=0) * np.count_nonzero(Y, axis=0)
    left = np.sum(W**2) - np.cumsum(beta)
    enough = np.flatnonzero(left <= error**2 * np.sum(W**2))
    return int(enough[0]) + 1 if len(enough) else most


def _reconstructed(W: Reals, A: Reals, Z: Reals, factors: Factors, sweeps: int) -> Factors:
    """Response reconstruction from inputs A (n, N) and responses Z (m, N) of the original.

    Inputs that never vary say nothing: the factors stay.
    """
    A, Z = A - A.mean(axis=1, keepdims=True), Z - Z.mean(axis=1, keepdims=True)
    G, S = A @ A.T, Z @ A.T
    ridge = _RIDGE * float(np.trace(G)) / len(G)
    if ridge == 0:
        return factors
    return reconstruct(S + ridge * W, G + ridge * np.eye(len(G)), *factors, sweeps=sweeps)


def _largest(factors: Factors, k: int) -> Factors:
    """The k components of the largest scales, in their order."""
    X, d, Y = factors
    kept = np.sort(np.argsort(-d, kind="stable")[:k])
    return X[:, kept], d[kept], Y[:, kept]


def _inner(
    layer: Conv2d | Linear, Y: list[NDArray[Any]], d: list[Reals]
) -> QuantConv2d | QuantLinear:
    """The layer of latents Y^T with the geometry of ``layer`` and scales d; dead ones have 1."""
    latent = np.concatenate([part.T for part in Y]).astype(np.float32)
    scale = np.concatenate(d)
    scale = np.where(scale > 0, scale, 1.0).astype(np.float32)
    if isinstance(layer, Linear):
        return QuantLinear(latent, scale, type=TERNARY)
    return QuantConv2d(
        latent.reshape(-1, *layer.weight.shape[1:]), scale, type=TERNARY, stride=layer.stride,
        padding=layer.padding, dilation=layer.dilation, groups=layer.groups,
    )


def _outer(
    layer: Conv2d | Linear, X: list[NDArray[Any]], scale: Reals, bias: Reals | None
) -> QuantConv2d | QuantLinear:
    """The layer of latents X, 1x1, with a scale and a bias for each filter."""
    latent, scale = np.concatenate(X).astype(np.float32), scale.astype(np.float32)
    bias = None if bias is None else bias.astype(np.float32)
    if isinstance(layer, Linear):
        return QuantLinear(latent, scale, bias, type=TERNARY)
    return QuantConv2d(
        latent[:, :, None, None], scale, bias, type=TERNARY, groups=layer.groups
    )


def _affine(response: FloatArray, target: FloatArray) -> tuple[Reals, Reals]:
    """Scale and bias of each filter that bring the responses closest to the targets.

    This is what estimating batch norm again would do: scale = cov / var. A filter that does not
    respond, or to the wrong side, keeps scale 1.
    """
    u = np.moveaxis(response, 1, 0).reshape(response.shape[1], -1).astype(np.float64)
    z = np.moveaxis(target, 1, 0).reshape(target.shape[1], -1).astype(np.float64)
    u_mean, z_mean = u.mean(axis=1), z.mean(axis=1)
    u = u - u_mean[:, None]
    along, power = np.sum(u * z, axis=1), np.sum(u * u, axis=1)
    good = along > 0
    scale = np.where(good, along / np.where(good, power, 1.0), 1.0)
    return scale, z_mean - scale * u_mean
