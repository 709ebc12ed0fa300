"""The loops of the semidiscrete decomposition, compiled; sdd_twin.py says the same in NumPy.

    for i:                                  components
        for each start:
            alternate:                      to a fixed point
                s = R y                     rows of R^T where y changed: the vector loop
                x = best codes for s        sort, then one pass
                t = R^T x                   rows of R where x changed
                y = best codes for t
        keep (x, y) of the largest gain (x^T R y)^2 / (|x| |y|)
        R -= d x y^T,   d = x^T R y / (|x| |y|)

Response reconstruction is a sweep in another metric, ``response_sweep``.

The residual is held twice, as R and as its transpose, so that every inner loop runs over adjacent
numbers. Codes of a component are a row: X (k, m), Y (k, n). Sums have one stated order and no
products but with -1, 0, +1, so the result does not depend on the machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refnet.compiled import compiled

Reals = NDArray[np.float64]
Codes = NDArray[np.int8]

#: Ways to begin the alternation of a component, as the loops number them.
THRESHOLD, CYCLING, ONES, EVERY_100 = 0, 1, 2, 3

# Numbers closer than this share are equal in the exact problem (where they tie) or as good.
_CLOSE = 1e-12


@compiled
def signed_sum(rows: Reals, signs: Codes, total: Reals) -> None:
    """``total = sum over i of signs[i] * rows[i]``, in the order of i."""
    total[:] = 0.0
    for i in range(len(rows)):
        row = rows[i]
        if signs[i] > 0:
            for j in range(len(total)):
                total[j] += row[j]
        elif signs[i] < 0:
            for j in range(len(total)):
                total[j] -= row[j]


@compiled
def add_changes(rows: Reals, before: Codes, after: Codes, total: Reals) -> None:
    """``total += sum over i of (after[i] - before[i]) * rows[i]``; ``before`` becomes ``after``."""
    for i in range(len(rows)):
        if after[i] != before[i]:
            change, row = float(after[i] - before[i]), rows[i]
            before[i] = after[i]
            for j in range(len(total)):
                total[j] += change * row[j]


@compiled
def best_codes(s: Reals, binary: bool, codes: Codes) -> tuple[float, int]:
    """Write the codes c that maximise (s^T c)^2 / c^T c; return s^T c and the support.

    Ternary: the J largest magnitudes, J the smallest maximiser, equal magnitudes together.
    Binary: the signs, that of 0 being +1.
    """
    size = np.sort(np.abs(s))[::-1]
    total, best, support = 0.0, 0.0, 0
    if binary:
        for i in range(len(s)):
            codes[i] = 1 if s[i] >= -_CLOSE * size[0] else -1
            total += s[i] * codes[i]
        return total, len(s)
    for J in range(1, len(s) + 1):
        total += size[J - 1]
        if size[J - 1] == 0.0:
            break
        after = size[J] if len(s) > J else 0.0
        if after >= size[J - 1] * (1 - _CLOSE):
            continue
        if support == 0 or total * total * support > best * best * J * (1 + _CLOSE):
            best, support = total, J
    least = size[support - 1] if support else np.inf
    for i in range(len(s)):
        codes[i] = 0 if abs(s[i]) < least else (1 if s[i] > 0 else -1)
    return best, support


@compiled
def alternate(
    R: Reals, Rt: Reals, x: Codes, y: Codes, limit: int, binary: bool
) -> tuple[float, int]:
    """From y, half steps until y repeats, at most ``limit`` pairs; x and y in place.

    Returns x^T R y and |x| |y|. The gain never falls from one pair to the next.
    """
    s, t = np.zeros(len(x)), np.zeros(len(y))
    # s and t are R y and R^T x of these codes.
    x_held, y_held = np.zeros(len(x), np.int8), np.zeros(len(y), np.int8)
    along, places = 0.0, 0
    for _ in range(limit):
        add_changes(Rt, y_held, y, s)
        _, rows = best_codes(s, binary, x)
        add_changes(R, x_held, x, t)
        along, columns = best_codes(t, binary, y)
        places = rows * columns
        if np.array_equal(y, y_held):
            break
    return along, places


@compiled
def begin(R: Reals, start: int, i: int, y: Codes) -> None:
    """The start of component i: y, as one of the four ways has it."""
    n = len(y)
    y[:] = 0
    if start == ONES:
        y[:] = 1
    elif start == EVERY_100:
        y[::100] = 1
    else:
        y[i % n] = 1
    if start == THRESHOLD:
        norms = np.zeros(n)
        for row in R:
            for j in range(n):
                norms[j] += row[j] * row[j]
        mean = 0.0
        for j in range(n):
            mean += norms[j]
        mean = mean / n * (1 - _CLOSE)
        for step in range(n):
            if norms[(i + step) % n] >= mean:
                y[i % n] = 0
                y[(i + step) % n] = 1
                break


@compiled
def add(R: Reals, Rt: Reals, d: float, x: Codes, y: Codes) -> None:
    """``R += d x y^T``, and its transpose alike."""
    wide_x, wide_y = x.astype(np.float64), y.astype(np.float64)
    for i in range(len(x)):
        if x[i] != 0:
            term, row = d * wide_x[i], R[i]
            for j in range(len(y)):
                row[j] += term * wide_y[j]
    for j in range(len(y)):
        if y[j] != 0:
            term, row = d * wide_y[j], Rt[j]
            for i in range(len(x)):
                row[i] += term * wide_x[i]


@compiled
def settle(along: float, places: int, least: float, x: Codes, y: Codes, binary: bool) -> float:
    """The scale d of a component; one that gains no more than ``least`` is dead: d = 0."""
    if places > 0 and along * along > least * places:
        return along / places
    x[:] = 1 if binary else 0
    y[:] = 1 if binary else 0
    return 0.0


@compiled
def greedy(
    R: Reals, Rt: Reals, X: Codes, d: Reals, Y: Codes, first: int, starts: NDArray[np.int64],
    limit: int, binary: bool, least: float,
) -> None:
    """Components ``first``, ``first`` + 1, ... one after the other, each from its best start."""
    x, y = np.empty(R.shape[0], np.int8), np.empty(R.shape[1], np.int8)
    for i in range(first, len(d)):
        best, best_places = 0.0, 0
        for start in starts:
            begin(R, start, i, y)
            along, places = alternate(R, Rt, x, y, limit, binary)
            gains = along * along * best_places > best * best * places * (1 + _CLOSE)
            if best_places == 0 or gains:
                best, best_places = along, places
                X[i], Y[i] = x, y
        d[i] = settle(best, best_places, least, X[i], Y[i], binary)
        if d[i] != 0.0:
            add(R, Rt, -d[i], X[i], Y[i])


@compiled
def sweep(
    R: Reals, Rt: Reals, X: Codes, d: Reals, Y: Codes, limit: int, binary: bool, least: float
) -> bool:
    """Take every component out, alternate from its present y, put it back; whether any changed."""
    changed = False
    x, y = np.empty(R.shape[0], np.int8), np.empty(R.shape[1], np.int8)
    for i in range(len(d)):
        if d[i] == 0.0:
            continue
        add(R, Rt, d[i], X[i], Y[i])
        y[:] = Y[i]
        along, places = alternate(R, Rt, x, y, limit, binary)
        scale = settle(along, places, least, x, y, binary)
        changed |= scale != d[i] or not np.array_equal(x, X[i]) or not np.array_equal(y, Y[i])
        X[i], d[i], Y[i] = x, scale, y
        add(R, Rt, -scale, x, y)
    return changed


@compiled
def along_all(W: Reals, X: Codes, Y: Codes) -> Reals:
    """x_i^T W y_i of every component (k,)."""
    found, t = np.empty(len(X)), np.empty(W.shape[1])
    for i in range(len(X)):
        signed_sum(W, X[i], t)
        total = 0.0
        for j in range(len(t)):
            total += t[j] * Y[i, j]
        found[i] = total
    return found


@compiled
def descend_scales(gram: Reals, b: Reals, d: Reals, sweeps: int) -> None:
    """Coordinate descent on 1/2 d^T gram d - b^T d over d >= 0, in place; cyclic order."""
    slope = -b.copy()
    for i in range(len(d)):
        for j in range(len(d)):
            slope[j] += gram[i, j] * d[i]
    for _ in range(sweeps):
        largest = 0.0
        for i in range(len(d)):
            if gram[i, i] > 0.0:
                new = max(0.0, d[i] - slope[i] / gram[i, i])
                delta = new - d[i]
                if delta != 0.0:
                    d[i] = new
                    largest = max(largest, abs(delta))
                    for j in range(len(d)):
                        slope[j] += delta * gram[i, j]
        if largest <= _CLOSE * np.max(d):
            break


@compiled
def response_sweep(M: Reals, G: Reals, X: Codes, d: Reals, Y: Codes) -> bool:
    """A sweep that lowers tr(W G W^T) - 2 tr(W S^T), W = X D Y^T; M = S - W G is kept.

    For each component, taken out: x exactly, y one code after the other, d in closed form.
    Returns whether a code changed.
    """
    changed = False
    s, pull, g = np.empty(M.shape[0]), np.empty(M.shape[1]), np.empty(M.shape[1])
    for i in range(len(d)):
        if d[i] == 0.0:
            continue
        x, y = X[i].copy(), Y[i].copy()
        signed_sum(G, y, g)
        _add_row_times(M, d[i], x, g)
        for r in range(len(s)):
            s[r] = 0.0
            for c in range(len(g)):
                s[r] += M[r, c] * y[c]
        _, support = best_codes(s, False, x)
        signed_sum(M, x, pull)
        scale = _response_scale(pull, y, g, support)
        if scale > 0.0:
            _descend_codes(g, G, pull, scale * support, y)
            scale = _response_scale(pull, y, g, support)
        if scale == 0.0:
            x[:], y[:] = 0, 0
        changed |= not np.array_equal(x, X[i]) or not np.array_equal(y, Y[i])
        X[i], d[i], Y[i] = x, scale, y
        _add_row_times(M, -scale, x, g)
    return changed


@compiled
def _add_row_times(M: Reals, d: float, x: Codes, g: Reals) -> None:
    """``M += d x g^T``."""
    for r in range(len(x)):
        if x[r] != 0:
            term = d * x[r]
            for c in range(len(g)):
                M[r, c] += term * g[c]


@compiled
def _descend_codes(g: Reals, G: Reals, pull: Reals, scale: float, y: Codes) -> None:
    """One pass over y of scale y^T G y - 2 pull^T y; g = G y is kept.

    A code is changed for one that costs clearly less, so that rounding cannot make codes alternate.
    """
    for j in range(len(y)):
        old = int(y[j])
        slope = 2.0 * (scale * (g[j] - G[j, j] * old) - pull[j])
        curve = scale * G[j, j]
        cost = (curve * old + slope) * old
        new, least = old, cost - _CLOSE * abs(cost)
        for code in range(-1, 2):
            cost = (curve * code + slope) * code
            if cost < least:
                new, least = code, cost
        if new != old:
            delta = float(new - old)
            y[j] = new
            for c in range(len(y)):
                g[c] += delta * G[j, c]


@compiled
def _response_scale(pull: Reals, y: Codes, g: Reals, support: int) -> float:
    """d = x^T M y / (|x| y^T G y); 0 where the component gives no response."""
    top, bottom = 0.0, 0.0
    for j in range(len(y)):
        top += pull[j] * y[j]
        bottom += g[j] * y[j]
    return max(top, 0.0) / (bottom * support) if bottom > 0.0 and support > 0 else 0.0
