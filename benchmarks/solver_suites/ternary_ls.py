"""Stage 2 of two-step quantization on one large layer: seconds of its parts.

256 filters of 2304 inputs (256 channels, 3x3) and 9,000 sampled positions, with 2-bit activations.
The rows are cumulative runs from the same start: Gram matrix and direct codes; with the ternary
least squares; with the whole schedule of lambda.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from measuring import timed

from refnet.methods.transform import Schedule, transform
from solver_suites.tsq_toy import toy_layer

FILTERS, INPUTS, SAMPLES = 256, 2304, 9000
PARTS = {
    "gram and direct": Schedule(sweeps=0, iterations=0),
    "and linear": Schedule(iterations=0),
    "and nonlinear": Schedule(),
    "the same, fixed form": Schedule(form="fixed"),
}


def run() -> list[dict[str, Any]]:
    """A row for each of PARTS: wall and CPU seconds, and the relative error of the codes."""
    rng = np.random.default_rng(0)
    small = toy_layer(noise=0.3, inputs=8, samples=20, filters=2, rng=rng)
    X, Z, W, steps = toy_layer(
        noise=0.3, inputs=INPUTS, samples=SAMPLES, filters=FILTERS, rng=rng
    )
    y = steps(Z)
    rows = []
    for name, schedule in PARTS.items():
        transform(*small, schedule)  # compiles
        (codes, scale, bias), seconds = timed(lambda s=schedule: transform(X, Z, W, steps, s))
        got = steps(scale[:, None] * (codes.astype(float) @ X) + bias[:, None])
        error = float(np.sum((y - got) ** 2) / np.sum(y**2))
        rows.append({"parts": name, **seconds, "code_error": round(error, 4)})
    return rows
