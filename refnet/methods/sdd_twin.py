"""The semidiscrete decomposition in plain NumPy, to the bit what sdd_loops.py compiles.

Slow and meant to be read. Sums run over rows in order, one after the other, because that is the
order of the compiled loops; on matrices whose sums are exact the order does not matter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refnet.methods.sdd_loops import CYCLING, EVERY_100, ONES, THRESHOLD, Codes, Reals

_CLOSE = 1e-12


def plus_changes(total: Reals, rows: Reals, before: Codes, after: Codes) -> Reals:
    """total and the sum over i of (after[i] - before[i]) * rows[i]."""
    for change, row in zip(after - before, rows, strict=True):
        total = total + change * row
    return total


def best_codes(s: Reals, binary: bool) -> tuple[Codes, float]:
    """The codes c that maximise (s^T c)^2 / c^T c, and s^T c."""
    size = np.sort(np.abs(s))[::-1]
    if binary:
        codes = np.where(s >= -_CLOSE * size[0], 1, -1).astype(np.int8)
        return codes, float(np.cumsum(s * codes)[-1])
    sums = np.cumsum(size)
    # Only where a group of equal magnitudes ends may the support end.
    ends = np.append(size[1:] < size[:-1] * (1 - _CLOSE), True) & (size > 0)
    best = 0
    for J in np.flatnonzero(ends) + 1:
        if not best or sums[J - 1] ** 2 * best > sums[best - 1] ** 2 * J * (1 + _CLOSE):
            best = int(J)
    if not best:
        return np.zeros(len(s), np.int8), 0.0
    keep = np.abs(s) >= size[best - 1]
    return np.where(keep, np.sign(s), 0).astype(np.int8), float(sums[best - 1])


def alternate(
    R: Reals, y: Codes, limit: int, binary: bool
) -> tuple[Codes, Codes, float, int]:
    """From y to a fixed point: x, y, x^T R y, |x| |y|."""
    x, along = np.zeros(len(R), np.int8), 0.0
    s, t = np.zeros(R.shape[0]), np.zeros(R.shape[1])
    y_held = np.zeros_like(y)
    for _ in range(limit):
        s, y_held = plus_changes(s, R.T, y_held, y), y
        x_held = x
        x, _ = best_codes(s, binary)
        t = plus_changes(t, R, x_held, x)
        y, along = best_codes(t, binary)
        if np.array_equal(y, y_held):
            break
    return x, y, along, int(np.count_nonzero(x)) * int(np.count_nonzero(y))


def begin(R: Reals, start: int, i: int) -> Codes:
    """The start of component i."""
    n = R.shape[1]
    y = np.zeros(n, np.int8)
    if start == ONES:
        y[:] = 1
    elif start == EVERY_100:
        y[::100] = 1
    elif start == CYCLING:
        y[i % n] = 1
    elif start == THRESHOLD:
        norms = np.cumsum(R * R, axis=0)[-1]
        mean = np.cumsum(norms)[-1] / n * (1 - _CLOSE)
        walk = (i + np.arange(n)) % n
        y[walk[np.argmax(norms[walk] >= mean)]] = 1
    return y


def settle(
    along: float, places: int, least: float, x: Codes, y: Codes, binary: bool
) -> tuple[Codes, float, Codes]:
    """x, d, y of a component, dead if it gains no more than ``least``."""
    if places and along * along > least * places:
        return x, along / places, y
    return np.full_like(x, binary), 0.0, np.full_like(y, binary)


def greedy(
    R: Reals, X: Codes, d: Reals, Y: Codes, first: int, starts: NDArray[np.int64], limit: int,
    binary: bool, least: float,
) -> None:
    """Fill components ``first``, ``first`` + 1, ... and take them off R, in place."""
    for i in range(first, len(d)):
        best = alternate(R, begin(R, starts[0], i), limit, binary)
        for start in starts[1:]:
            found = alternate(R, begin(R, start, i), limit, binary)
            if found[2] ** 2 * best[3] > best[2] ** 2 * found[3] * (1 + _CLOSE) or not best[3]:
                best = found
        x, y, along, places = best
        X[i], d[i], Y[i] = settle(along, places, least, x, y, binary)
        R -= np.outer(d[i] * X[i], Y[i])


def sweep(
    R: Reals, X: Codes, d: Reals, Y: Codes, limit: int, binary: bool, least: float
) -> bool:
    """One refinement sweep in place; whether a component changed."""
    before = X.copy(), d.copy(), Y.copy()
    for i in np.flatnonzero(d):
        R += np.outer(d[i] * X[i], Y[i])
        x, y, along, places = alternate(R, Y[i].copy(), limit, binary)
        X[i], d[i], Y[i] = settle(along, places, least, x, y, binary)
        R -= np.outer(d[i] * X[i], Y[i])
    return any(np.any(old != new) for old, new in zip(before, (X, d, Y), strict=True))
