"""Semidiscrete decomposition: a matrix as a sum of scaled products of ternary vectors.

Sources: Kolda and O'Leary 1998 (the greedy algorithm and its starts); Wang and Cheng, Fixed-point
Factorized Networks, CVPR 2017 (refinement). For W (m, n):

    min ||W - X D Y^T||_F^2,   X in {-1, 0, 1}^(m x k),  Y in {-1, 0, 1}^(n x k),  D = diag(d) >= 0

Component i takes beta_i = d_i^2 |x_i| |y_i| = (x_i^T R y_i)^2 / (|x_i| |y_i|) off the squared
residual. A half step, x for given y, is the optimal ternary approximation of R y. [6.4]
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from refnet.methods import sdd_loops as loops
from refnet.methods.sdd_loops import Codes, Reals
from refnet.quant.ternary import ternary_rows

Factors = tuple[Codes, Reals, Codes]
Start = Literal["threshold", "cycling", "ones", "every-100th"]

#: Names of the starts [6.4.3].
STARTS: dict[Start, int] = {
    "threshold": loops.THRESHOLD, "cycling": loops.CYCLING, "ones": loops.ONES,
    "every-100th": loops.EVERY_100,
}
#: Pairs of half steps of one alternation, at most; a fixed point is reached long before [6.4.4].
ALTERNATIONS = 100
# A component that takes less than this share off ||W||^2 is what rounding left over [6.4.5].
_DEAD = 2.0**-80
_JOINT_SWEEPS = 200


def semidiscrete(
    W: NDArray[Any], k: int, *, sweeps: int = 10, starts: tuple[Start, ...] = tuple(STARTS),
    identity: bool = True, joint: bool = True, binary: bool = False,
) -> Factors:
    """X int8 (m, k), d (k,) >= 0, Y int8 (n, k) with W (m, n) ~ X diag(d) Y^T.

    Greedily one component after the other, each from the best of ``starts``; then ``sweeps``
    refinement sweeps, which stop when nothing changes. With ``identity`` and k >= min(m, n), a
    second decomposition begins with X = I (or Y = I) and the better one is kept, so that the
    error is at most that of the optimal ternary rows (or columns). ``joint`` ends with the best d
    for all components together. ``binary`` takes codes -1, +1. The first non-zero code of every x
    is +1; a component that is not needed has d = 0 and zero codes (binary: ones). Raises
    ``ValueError`` for k < 1, an empty W, NaN or infinity.

    >>> X, d, Y = semidiscrete(np.array([[2.0, -2.0], [2.0, -2.0]]), 1)
    >>> X.tolist(), d.tolist(), Y.tolist()
    ([[1], [1]], [2.0], [[1], [-1]])
    """
    W = _checked(W, k, sweeps, starts)
    # A power of two brings the largest magnitude to [0.5, 1): exact, and squares stay in range.
    exponent = int(np.frexp(np.abs(W).max())[1])
    np.ldexp(W, -exponent, out=W)
    begun: list[Factors | None] = [None]
    if identity and not binary:
        begun += [rows for rows in (_rows(W), _rows(W.T)[::-1]) if k >= len(rows[1])]
    found = [_decompose(W, start, k, sweeps, starts, binary) for start in begun]
    X, d, Y = min(found, key=lambda f: squared_error(W, *f)) if len(found) > 1 else found[0]
    if joint:
        d = joint_scales(W, X, d, Y)
    return canonical(X, np.ldexp(d, exponent), Y)


def _checked(W: NDArray[Any], k: int, sweeps: int, starts: tuple[Start, ...]) -> Reals:
    given = np.asarray(W)
    if given.dtype.kind not in "fiub":
        raise ValueError(f"semidiscrete: W of dtype {given.dtype}, rule real numbers")
    W = np.array(given, dtype=np.float64, order="C")
    if W.ndim != 2 or not W.size:
        raise ValueError(f"semidiscrete: W {W.shape}, rule (m, n), m >= 1, n >= 1")
    if not np.isfinite(W).all():
        raise ValueError("semidiscrete: W holds NaN or infinity, rule finite")
    whole = all(isinstance(v, int | np.integer) for v in (k, sweeps))
    if not whole or k < 1 or sweeps < 0:
        raise ValueError(
            f"semidiscrete: k={k!r}, sweeps={sweeps!r}, rule integers >= 1, >= 0"
        )
    if not starts or not set(starts) <= set(STARTS):
        raise ValueError(f"semidiscrete: starts {starts}, rule one or more of {tuple(STARTS)}")
    return W


def _rows(W: Reals) -> Factors:
    """The decomposition with X = I: the optimal ternary approximation of every row."""
    codes, alpha = ternary_rows(W)
    return np.eye(len(W), dtype=np.int8), alpha, np.ascontiguousarray(codes.T)


def _decompose(
    W: Reals, begun: Factors | None, k: int, sweeps: int, starts: tuple[Start, ...], binary: bool
) -> Factors:
    """Greedy from the components ``begun`` on, then the sweeps."""
    X, d, Y = np.zeros((k, len(W)), np.int8), np.zeros(k), np.zeros((k, W.shape[1]), np.int8)
    R, first = W.copy(), 0
    if begun is not None:
        first = len(begun[1])
        X[:first], d[:first], Y[:first] = begun[0].T, begun[1], begun[2].T
        R -= (begun[0] * begun[1]) @ begun[2].T
    # A copy in any case: a matrix of one row is in memory its own transpose.
    Rt = R.T.copy()
    least = _DEAD * float(np.vdot(W, W))
    which = np.array([STARTS[name] for name in starts])
    loops.greedy(R, Rt, X, d, Y, first, which, ALTERNATIONS, binary, least)
    for _ in range(sweeps):
        if not loops.sweep(R, Rt, X, d, Y, ALTERNATIONS, binary, least):
            break
    return np.ascontiguousarray(X.T), d, np.ascontiguousarray(Y.T)


def squared_error(W: Reals, X: Codes, d: Reals, Y: Codes) -> float:
    """||W - X D Y^T||_F^2."""
    return float(np.sum((W - product(X, d, Y)) ** 2))


def relative_error(W: Reals, X: Codes, d: Reals, Y: Codes) -> float:
    """||W - X D Y^T||_F / ||W||_F, 0 for W = 0."""
    size = float(np.sum(np.square(W)))
    return float(np.sqrt(squared_error(W, X, d, Y) / size)) if size else 0.0


def product(X: NDArray[Any], d: NDArray[Any], Y: NDArray[Any]) -> Reals:
    """X diag(d) Y^T."""
    found: Reals = (X * d) @ Y.astype(np.float64).T
    return found


def joint_scales(W: Reals, X: Codes, d: Reals, Y: Codes) -> Reals:
    """The d >= 0 that is best for all components together, from ``d`` on; no error is raised by it.

    Solves the normal equations (X^T X o Y^T Y) d = diag(X^T W Y), o element by element, under
    d >= 0, by coordinate descent. Dead components stay dead.
    """
    wide_X, wide_Y = X.astype(np.float64), Y.astype(np.float64)
    # Sums of products of codes are integers: exact in any order.
    gram = (wide_X.T @ wide_X) * (wide_Y.T @ wide_Y)
    alive = d > 0
    b = loops.along_all(W, np.ascontiguousarray(X.T), np.ascontiguousarray(Y.T))
    gram[~alive], gram[:, ~alive], b[~alive] = 0.0, 0.0, 0.0
    best = d.copy()
    loops.descend_scales(gram, b, best, _JOINT_SWEEPS)
    return best


def canonical(X: Codes, d: Reals, Y: Codes) -> Factors:
    """The same product with the first non-zero code of every x positive [6.4.6]."""
    first = np.argmax(X != 0, axis=0)
    sign = np.where(X[first, np.arange(X.shape[1])] < 0, -1, 1).astype(np.int8)
    return X * sign, d, Y * sign
