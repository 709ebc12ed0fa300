"""Response reconstruction: block-term factors that give the layer's outputs, not its kernel.

With patches X (S*P, N) from the network that is already compressed, and responses Z (T, N) of the
original layer (Zhang et al., CVPR 2015, sections 2.2 to 2.4, asymmetric):

    linear      min ||Z - (K'_(2) X + b)||^2
    nonlinear   min ||r(Z) - r(K'_(2) X + b)||^2,   r(z) = max(z, 0)

over the factors of K' = sum_r G_r x_1 A_r x_2 B_r and the bias b. The linear problem is the
decomposition of the kernel in the norm of the patch covariance C = X X^T (centred, which
eliminates b): alternating least squares again, each factor by conjugate gradients. The nonlinear
one is relaxed with responses z of its own, ||r(Z) - r(z)||^2 + penalty ||z - (K'_(2) X + b)||^2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from refnet.methods.als import Factors, orthonormal, reconstruct
from refnet.methods.base import LayerData
from refnet.methods.sampling import draw
from refnet.methods.tucker import Reals, swapped, unfold
from refnet.nn import Conv2d, Linear

# A little of the patches' mean power on the diagonal of C: patches that were not seen keep the
# response of the original kernel.
_RIDGE = 1e-3
_CG_STEPS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """How to reconstruct: sweeps of the linear problem, then ``iterations`` for each penalty."""

    sweeps: int = 5
    penalties: tuple[float, ...] = (0.01, 1.0)
    iterations: int = 8

    def __post_init__(self) -> None:
        if self.sweeps < 0 or self.iterations < 0 or any(not p > 0 for p in self.penalties):
            raise ValueError(
                f"Response: sweeps={self.sweeps}, iterations={self.iterations}, "
                f"penalties={self.penalties}, rule >= 0, >= 0, positive"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Problem:
    """The quadratic tr(W C W^T) - 2 tr(W D^T) in the unfolded kernel W (T, S*P)."""

    C: Reals
    D: Reals
    P: int

    def tensor(self, W: Reals) -> Reals:
        """W (T, S*P) as K (S, T, P)."""
        return swapped(W.reshape(len(W), -1, self.P))

    def value(self, factors: Factors) -> float:
        W = matrix(factors)
        return float(np.sum((W @ self.C - 2 * self.D) * W))


def matrix(factors: Factors) -> Reals:
    """The kernel of the factors as (T, S*P), columns in the order of patches (S, P)."""
    K: Reals = reconstruct(*factors)
    return unfold(swapped(K))


def respond(
    factors: Factors, X: Reals, Z: Reals, *, rectified: bool, settings: Response
) -> tuple[Factors, Reals]:
    """Better factors and a bias (T,) for patches X (S*P, N) and responses Z (T, N).

    ``rectified`` says that a ReLU follows. The error of the objective named above, on these
    patches, never exceeds that of the factors that came in with their best bias.
    """
    P = factors[1].shape[3]
    W = matrix(factors)
    centre = X.mean(axis=1, keepdims=True)
    Xc = X - centre
    C = Xc @ Xc.T
    ridge = _RIDGE * np.trace(C) / len(C)
    C[np.diag_indices_from(C)] += ridge
    best = _Best(X=X, Z=Z, centre=centre, rectified=rectified)
    best.offer(factors, Z)
    problem = _Problem(C=C, D=(Z - Z.mean(axis=1, keepdims=True)) @ Xc.T + ridge * W, P=P)
    for _ in range(settings.sweeps):
        factors = weighted_sweep(factors, problem)
        best.offer(factors, Z)
    if rectified:
        y = np.maximum(Z, 0)
        for penalty in settings.penalties:
            for _ in range(settings.iterations):
                z = rectified_step(y, best.response, penalty)
                D = (z - z.mean(axis=1, keepdims=True)) @ Xc.T + ridge * W
                factors = weighted_sweep(factors, _Problem(C=C, D=D, P=P))
                best.offer(factors, z)
    return best.factors, best.bias


def reconstructed(
    layer: Conv2d | Linear, factors: list[Factors], data: LayerData, *, rectified: bool,
    settings: Response, samples: int, rng: np.random.Generator,
) -> tuple[list[Factors], Reals]:
    """Factors of each group, and the bias (F,), for what the layer answered in the original.

    ``data.inputs`` come from the network that is already compressed (the asymmetric problem);
    there are no labels. ``samples`` output positions are drawn.
    """
    found = [
        respond(f, X, Z, rectified=rectified, settings=settings)
        for f, (X, Z) in zip(factors, draw(layer, data, samples, rng), strict=True)
    ]
    return [f for f, _ in found], np.concatenate([bias for _, bias in found])


def rectified_step(y: Reals, v: Reals, penalty: float) -> Reals:
    """Element by element the z of least (y - max(z, 0))^2 + penalty (z - v)^2, for y >= 0.

    One candidate on each side of zero, z0 = min(0, v) and z1 = max(0, (penalty v + y) /
    (penalty + 1)); the cheaper one is the minimum (Zhang et al., eq. 10 to 12).
    """
    z0 = np.minimum(v, 0)
    z1 = np.maximum((penalty * v + y) / (penalty + 1), 0)
    cost0 = y**2 + penalty * (z0 - v) ** 2
    cost1 = (y - z1) ** 2 + penalty * (z1 - v) ** 2
    return np.where(cost0 <= cost1, z0, z1)


@dataclass(slots=True)
class _Best:
    """The factors of least true error so far, and the present response."""

    X: Reals
    Z: Reals
    centre: Reals
    rectified: bool
    factors: Factors = ()  # type: ignore[assignment]
    bias: Reals = None  # type: ignore[assignment]
    response: Reals = None  # type: ignore[assignment]
    error: float = np.inf

    def offer(self, factors: Factors, z: Reals) -> None:
        """Take the factors, with the best bias for ``z``, if they lower the true error."""
        W = matrix(factors)
        bias = z.mean(axis=1) - (W @ self.centre)[:, 0]
        self.response = W @ self.X + bias[:, None]
        miss = (
            np.maximum(self.Z, 0) - np.maximum(self.response, 0)
            if self.rectified
            else self.Z - self.response
        )
        error = float(np.sum(miss**2))
        if error < self.error:
            self.factors, self.bias, self.error = factors, bias, error


def weighted_sweep(factors: Factors, problem: _Problem) -> Factors:
    """A, then B, then G, each by conjugate gradients: the quadratic never rises."""
    A, G, B = factors
    A = _descend(
        A, problem, lambda a: matrix((a, G, B)),
        lambda E: np.einsum("atp,ritp->rai", E, np.matmul(B[:, None], G), optimize=True),
    )
    A, G = orthonormal(A, G)
    B = _descend(
        B, problem, lambda b: matrix((A, G, b)),
        lambda E: np.einsum("atp,rai,rijp->rtj", E, A, G, optimize=True),
    )
    B, turned = orthonormal(B, G.transpose(0, 2, 1, 3))
    G = turned.transpose(0, 2, 1, 3)
    G = _descend(
        G, problem, lambda g: matrix((A, g, B)),
        lambda E: np.einsum("rai,atp,rtj->rijp", A, E, B, optimize=True),
    )
    return A, G, B


def _descend(
    factor: Reals, problem: _Problem, kernel: Callable[[Reals], Reals],
    adjoint: Callable[[Reals], Reals],
) -> Reals:
    """Conjugate gradients on one factor. ``kernel`` is linear in it; ``adjoint`` its transpose."""
    def gradient(W: Reals) -> Reals:
        return adjoint(problem.tensor(W))

    residual = gradient(problem.D - kernel(factor) @ problem.C)
    direction, power = residual, float(np.sum(residual**2))
    for _ in range(_CG_STEPS):
        W = kernel(direction)
        curvature = float(np.sum((W @ problem.C) * W))
        # Where the curvature is lost in rounding there is nothing left to gain.
        if not curvature > np.finfo(float).tiny or not power > 0:
            break
        step = power / curvature
        factor = factor + step * direction
        residual = residual - step * gradient(W @ problem.C)
        before, power = power, float(np.sum(residual**2))
        direction = residual + (power / before) * direction
    return factor
