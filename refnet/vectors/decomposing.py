"""The semidiscrete decomposition that vectors ask [6.6], in rational numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from refnet.vectors.building import exact_fields
from refnet.vectors.record import Vector

if TYPE_CHECKING:
    from refnet.methods.sdd_exact import Component, HalfStep

Outputs = Mapping[str, NDArray[Any]]


def semidiscrete(vector: Vector) -> Outputs:
    """Codes X (m, k), Y (n, k) and scales as fractions in lowest terms (k,)."""
    return answer(components(vector))


def components(vector: Vector, **change: Any) -> list[Component]:
    """The components of a vector's matrix; ``change`` replaces arguments of the decomposition."""
    from refnet.methods import sdd_exact

    given = exact_fields(vector.attributes, ("k", "sweeps", "starts", "binary"), vector.op)
    W = vector.arrays["W"]
    counts = (given["k"], given["sweeps"])
    if W.ndim != 2 or any(isinstance(c, bool) or not isinstance(c, int) for c in counts):
        raise ValueError(f"{vector.op}: W {W.shape}, k and sweeps {counts}, rule (m, n), integers")
    half_step: HalfStep = sdd_exact.binary if given["binary"] else sdd_exact.ternary
    arguments = {
        "k": given["k"], "sweeps": given["sweeps"], "starts": given["starts"],
        "half_step": half_step, "W": W.tolist(),
    }
    return sdd_exact.semidiscrete(**{**arguments, **change})


def answer(found: list[Component]) -> Outputs:
    """Components as arrays."""
    return {
        "X": np.array([x for x, _, _ in found]).T,
        "Y": np.array([y for _, _, y in found]).T,
        "numerator": np.array([d.numerator for _, d, _ in found]),
        "denominator": np.array([d.denominator for _, d, _ in found]),
    }
