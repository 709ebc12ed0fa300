"""Response reconstruction: ternary factors that give the layer's outputs, not its weights.

Source: Wang et al., Unsupervised Network Quantization via Fixed-point Factorization, TNNLS 2021.
With inputs A (n, N) of the network that is already factored and responses Z (m, N) of the
original layer, both centred (which eliminates a bias):

    min ||Z - X D Y^T A||_F^2,   X, Y ternary, D >= 0

Nothing but S = Z A^T (m, n) and G = A A^T (n, n) enters: this is the semidiscrete decomposition
in the metric G, with M = S - X D Y^T G in the place of the residual. For component i, taken out,

    x   is the optimal ternary approximation of M y             (exact, d free)
    y_j = the code nearest to its minimum, one j after the other (d fixed)
    d   = x^T M y / (|x| y^T G y)                               (closed form)
"""

from __future__ import annotations

import numpy as np

from refnet.methods import sdd_loops as loops
from refnet.methods.sdd import Factors
from refnet.methods.sdd_loops import Codes, Reals


def reconstruct(S: Reals, G: Reals, X: Codes, d: Reals, Y: Codes, *, sweeps: int) -> Factors:
    """X, d, Y after ``sweeps`` sweeps over all components; the squared error never rises.

    S (m, n), G (n, n) symmetric, X (m, k), d (k,), Y (n, k). Stops when no component changes.
    """
    X, d, Y = X.T.copy(), d.astype(np.float64), Y.T.copy()
    M = S - (X.T * d) @ (Y @ G)
    for _ in range(sweeps):
        if not loops.response_sweep(M, G, X, d, Y):
            break
    return np.ascontiguousarray(X.T), d, np.ascontiguousarray(Y.T)


def response_error(S: Reals, G: Reals, power: float, X: Codes, d: Reals, Y: Codes) -> float:
    """||Z - X D Y^T A||^2 / ||Z||^2, where ``power`` is ||Z||^2; 0 for Z = 0."""
    W = (X * d) @ Y.T.astype(np.float64)
    miss = power - 2 * float(np.sum(W * S)) + float(np.sum((W @ G) * W))
    return max(miss, 0.0) / power if power else 0.0
