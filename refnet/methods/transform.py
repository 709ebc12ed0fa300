"""Stage 2 of two-step quantization: the transformation of one layer, on plain arrays.

Source: Wang et al., CVPR 2018, transformation learning. For each filter, with inputs X (n, N), the
targets y = Q(response of stage 1) and the quantizer Q behind the layer,

    min over alpha, b, w of ||y - Q(alpha X^T w + b)||^2

by way of  min over alpha, b, w, z of ||y - Q(z)||^2 + lambda ||z - (alpha X^T w + b)||^2  with a
rising lambda, each of z, w and (alpha, b) in turn. The true objective may rise on the way, so the
best iterate is kept. X is centred once: then b is the mean of z, and alpha and w do not see it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from refnet.autograd.chunks import run_chunks, slices
from refnet.methods.bitsplit import Codes, Grid, Reals
from refnet.methods.descent import Descent, State, descend, start_at
from refnet.methods.ternary_ls import gram
from refnet.methods.zstep import Z_STEPS, Steps

#: Filters that a thread solves at a time; the result does not depend on how many threads there are.
FILTERS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How stage 2 runs: lambda rises over ``penalties``, with ``iterations`` steps each.

    ``grid`` are the codes of the weights, ``form`` the coordinate rule (profile or fixed),
    ``sweeps`` bounds the descent on the linear response, ``z_step`` is relaxed or exact.
    """

    grid: Grid = field(default_factory=Grid)
    form: str = "profile"
    z_step: str = "relaxed"
    penalties: tuple[float, ...] = (0.1, 0.3, 1.0)
    iterations: int = 5
    sweeps: int = 20

    def descend(self, G: Reals, S: Reals, state: State, sweeps: int) -> Descent:
        """The coordinate descent of these settings."""
        return descend(G, S, state, grid=self.grid, form=self.form, sweeps=sweeps)


# Sweeps over the weights between two z steps.
_INNER = 2


def transform(
    X: Reals, Z: Reals, W: Reals, steps: Steps | None, schedule: Schedule, *,
    offset: Reals | None = None,
) -> tuple[Codes, Reals, Reals]:
    """Stage 2 for the filters of one group: X (n, N), responses Z (m, N), real weights W (m, n).

    Returns codes (m, n), scale (m,) and bias (m,). Without ``steps``, the linear problem alone.
    ``offset`` (m,) fixes the bias. Where no response helps, a filter is dead [6.5.4]: its scale is
    0 and its bias the mean of its responses.
    """
    for what, array in (("inputs", X), ("responses", Z), ("weights", W)):
        if not np.isfinite(array).all():
            raise ValueError(f"transform: {what} {array.shape} hold NaN or infinity, rule finite")
    centre = np.zeros(len(X)) if offset is not None else X.mean(axis=1)
    Xc = X - centre[:, None]
    # The mean of equal numbers may be rounded; an input that never varies must be exactly silent.
    if offset is None:
        Xc[X.min(axis=1) == X.max(axis=1)] = 0
    with np.errstate(over="ignore", invalid="ignore"):
        G = gram(Xc)
    if not np.isfinite(G).all():
        raise ValueError(f"transform: inputs {X.shape} are so large that their squares overflow")
    codes = np.empty(W.shape, dtype=np.int8)
    scale, bias = np.empty(len(W)), np.empty(len(W))

    def solve(rows: slice) -> None:
        fixed = None if offset is None else offset[rows]
        codes[rows], scale[rows], b = filters(Xc, G, Z[rows], W[rows], steps, schedule, fixed)
        bias[rows] = b - scale[rows] * (codes[rows] @ centre)

    run_chunks(solve, slices(len(W), FILTERS))
    return codes, scale, bias


def filters(
    X: Reals, G: Reals, Z: Reals, W: Reals, steps: Steps | None, schedule: Schedule,
    offset: Reals | None,
) -> tuple[Codes, Reals, Reals]:
    """Some filters, with X centred (or the bias fixed at ``offset``) and G = X X^T."""
    Y = Z if steps is None else steps(Z)
    best = Best(X=X, Y=Y, steps=steps)
    state = start_at(G, schedule.grid.start(W))
    # The linear response: first the codes of the weights themselves, then those of the data.
    b, S = linear(X, Z, offset)
    V = best.offer(schedule.descend(G, S, state, 0), G, b)
    found = schedule.descend(G, S, state, schedule.sweeps)
    V = best.offer(found, G, b)
    if steps is None:
        return best.codes, best.scale, best.bias
    for penalty in schedule.penalties:
        for _ in range(schedule.iterations):
            z = Z_STEPS[schedule.z_step](Y, V, penalty, steps)
            b, S = linear(X, z, offset)
            found = schedule.descend(G, S, found.state, _INNER)
            V = best.offer(found, G, b)
    return best.codes, best.scale, best.bias


def linear(X: Reals, Z: Reals, offset: Reals | None) -> tuple[Reals, Reals]:
    """b (m,) and the rows s = X (z - b) (m, n) of the linear problem z ~ alpha X^T w + b."""
    b = Z.mean(axis=1) if offset is None else offset
    return b, (Z - b[:, None]) @ X.T


@dataclass(slots=True, kw_only=True)
class Best:
    """The best iterate of each filter by its true objective ||y - Q(alpha X^T w + b)||^2."""

    X: Reals
    Y: Reals
    steps: Steps | None
    cost: Reals = field(init=False)
    codes: Codes = field(init=False)
    scale: Reals = field(init=False)
    bias: Reals = field(init=False)

    def __post_init__(self) -> None:
        filters = len(self.Y)
        self.cost = np.full(filters, np.inf)
        self.codes = np.zeros((filters, len(self.X)), dtype=np.int8)
        self.scale, self.bias = np.zeros(filters), np.zeros(filters)

    def offer(self, found: Descent, G: Reals, bias: Reals) -> Reals:
        """Take what lowers a filter's objective, the earlier on ties; returns the responses V."""
        codes, scale = found.state.codes, found.scales(G)
        V = scale[:, None] * (codes.astype(np.float64) @ self.X) + bias[:, None]
        Q = V if self.steps is None else self.steps(V)
        cost = np.sum((self.Y - Q) ** 2, axis=1)
        better: NDArray[np.bool_] = cost < self.cost
        self.cost[better], self.codes[better] = cost[better], codes[better]
        self.scale[better], self.bias[better] = scale[better], bias[better]
        return V
