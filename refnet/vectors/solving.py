"""The solvers of chapter 06 that vectors ask, from refnet.quant and refnet.methods.

Vectors give them integers (or reals on a lattice), where every decision is exact. The float side is
imported when a vector asks for it: the other vectors need none of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.vectors.building import exact_fields
from refnet.vectors.record import Vector

Outputs = Mapping[str, NDArray[Any]]


def optimal_ternary(vector: Vector) -> Outputs:
    """[6.1] of integers w (n,): the codes, how many are not zero, and the sum of those |w|."""
    from refnet.quant.ternary import optimal_ternary as solve

    exact_fields(vector.attributes, (), vector.op)
    w = vector.arrays["w"].astype(np.float64)
    codes, _ = solve(w)
    kept = codes != 0
    return {
        "codes": codes, "support": np.array([kept.sum()]),
        "sum": np.array([np.abs(w[kept]).sum()]).astype(np.int64),
    }


def weight_codes(vector: Vector) -> Outputs:
    """[6.3.3] of integers w (n,)."""
    from refnet.methods.bitsplit import Grid

    bits = exact_fields(vector.attributes, ("bits",), vector.op)["bits"]
    return {"codes": Grid.of(bits).start(vector.arrays["w"][None].astype(np.float64))[0]}


def code_least_squares(vector: Vector) -> Outputs:
    """[6.2] [6.3] of integers X (n, N), z (N,) from codes start (n,): codes, N and D."""
    from refnet.methods.bitsplit import Grid
    from refnet.methods.ternary_ls import least_squares

    given = exact_fields(vector.attributes, ("bits", "form", "sweeps"), vector.op)
    grid, held = Grid.of(given["bits"]), vector.arrays
    X, z, start = held["X"].astype(np.float64), held["z"].astype(np.float64), held["start"]
    if X.ndim != 2 or z.shape != X.shape[1:] or start.shape != X.shape[:1]:
        raise ValueError(f"{vector.op}: X {X.shape}, z {z.shape}, start {start.shape} do not fit")
    if not grid.type.contains(start) or (grid.binary and not start.all()):
        raise ValueError(f"{vector.op}: start {start.tolist()} are no codes of {grid}")
    codes, N, D = least_squares(
        X, z, start.astype(np.int8), grid=grid, form=given["form"], sweeps=given["sweeps"]
    )
    return {"codes": codes, "N": np.array([int(N)]), "D": np.array([int(D)])}


def z_step(vector: Vector) -> Outputs:
    """[6.4] of levels y and responses v (m,)."""
    from refnet.methods.zstep import Z_STEPS, Steps

    form = exact_fields(vector.attributes, ("form",), vector.op)["form"]
    if form not in Z_STEPS:
        raise ValueError(f"{vector.op}: form {form!r}, rule one of {', '.join(Z_STEPS)}")
    held = vector.arrays
    steps = Steps(held["thresholds"], held["levels"])
    (penalty,) = held["penalty"].tolist()
    return {"z": Z_STEPS[form](held["y"], held["v"], penalty, steps)}
