"""Stage 2 of two-step quantization on a toy layer: what each part of it brings.

The layer has correlated 2-bit inputs and random weights; its responses are normalised as batch
norm would. Errors are those of the codes, ||y - Q||^2 / ||y||^2. *direct* takes the optimal ternary
codes of the weights (with re-estimated scale and bias), *linear* the ternary least squares on the
responses, the others go on with the quantizer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.methods.transform import Schedule, transform
from refnet.methods.zstep import Steps
from refnet.quant import HalfWave

Reals = NDArray[np.float64]

VARIANTS = {
    "direct": Schedule(sweeps=0, iterations=0),
    "linear": Schedule(iterations=0),
    "exact": Schedule(z_step="exact"),
    "relaxed": Schedule(),
}


def toy_layer(
    *, noise: float, inputs: int, samples: int, filters: int, rng: np.random.Generator
) -> tuple[Reals, Reals, Reals, Steps]:
    """Inputs X (n, N), disturbed by ``noise``; responses Z (m, N) of undisturbed ones; W (m, n)."""
    q = HalfWave(2)
    factors = inputs // 4
    hidden = rng.normal(size=(inputs, factors)) @ rng.normal(size=(factors, samples))
    hidden = hidden / np.sqrt(factors) + 0.5 * rng.normal(size=(inputs, samples))
    W = rng.normal(size=(filters, inputs)) / np.sqrt(inputs)
    Z = W @ q.values(q.codes(hidden))
    Z = (Z - Z.mean(axis=1, keepdims=True)) / Z.std(axis=1, keepdims=True)
    X = q.values(q.codes(hidden + noise * rng.normal(size=hidden.shape)))
    return X, Z, W, Steps.of(q)


def code_errors(
    *, noise: float = 0.0, inputs: int = 128, samples: int = 4096, filters: int = 32, seed: int = 0
) -> dict[str, float]:
    """The relative error of the codes for each of VARIANTS; symmetric without ``noise``."""
    X, Z, W, steps = toy_layer(
        noise=noise, inputs=inputs, samples=samples, filters=filters,
        rng=np.random.default_rng(seed),
    )
    y = steps(Z)
    errors = {}
    for name, schedule in VARIANTS.items():
        codes, scale, bias = transform(X, Z, W, steps, schedule)
        got = steps(scale[:, None] * (codes @ X) + bias[:, None])
        errors[name] = float(np.sum((y - got) ** 2) / np.sum(y**2))
    return errors


def run() -> list[dict[str, Any]]:
    """A row for the symmetric problem and one for the asymmetric, whose inputs are disturbed."""
    return [
        {"problem": problem, **{k: round(v, 4) for k, v in code_errors(noise=noise).items()}}
        for problem, noise in (("symmetric", 0.0), ("asymmetric", 0.3))
    ]
