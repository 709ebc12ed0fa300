"""The oracle of the tier ``methods``: [6.5], [6.7.2], [6.7.6] and [6.8], from the text alone.

Integers, fractions and forty digits where the text has a real function.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import oracle_solvers
from oracle import require, round_fraction

#: [6.8.6]: (bits, theta) to (eps, delta).
HALF_WAVES = {
    (2, 0.5): ("0", "0.538812"), (2, 0.75): ("0.674490", "0.786785"),
    (1, None): ("0.612003", "1.224006"),
}  # fmt: skip


def sign(x) -> int:
    return (x > 0) - (x < 0)


def tanh(x: Fraction) -> Fraction:
    with localcontext() as context:
        context.prec = 50
        e = (2 * Decimal(x.numerator) / Decimal(x.denominator)).exp()
        return Fraction((e - 1) / (e + 1))


def weight_rule(w, p, rule, bits=None) -> list[int]:
    """[6.8.1] to [6.8.5]"""
    w, p = [Fraction(v) for v in w], [Fraction(v) for v in p]
    top = max(abs(v) for v in w)
    if rule == "twn":
        threshold = p[0] * sum(map(abs, w)) / len(w)
        return [sign(v) if abs(v) > threshold else 0 for v in w]
    if rule == "bwn":
        return [(1 if v >= 0 else -1) if top else 0 for v in w]
    if rule == "ttq":
        above, below = (round_fraction(127 * s / max(p[1:]), "half_even") for s in p[1:])
        return [above if v > p[0] * top else -below if v < -p[0] * top else 0 for v in w]
    if rule == "dorefa":
        n = 2**bits - 1
        bent = [tanh(v) for v in w]
        most = max(map(abs, bent)) or 1
        return [2 * round_fraction(n * (t / (2 * most) + Fraction(1, 2)), "half_up") - n
                for t in bent]  # fmt: skip
    require(rule == "lq", "[6.8]")
    levels = [Fraction(0)]
    for v in p:
        levels = [level + s * v for level in levels for s in (-1, 1)]
    nearest = [min(sorted(levels), key=lambda level, v=v: abs(level - v)) for v in w]
    return [round_fraction(127 * level / sum(map(abs, p)), "half_even") for level in nearest]


def activation_rule(x, p, rule, bits) -> list[int]:
    """[6.8.6] [6.8.7]"""
    x, n = [Fraction(v) for v in x], 2**bits - 1
    if rule == "dorefa":
        return [-round_fraction(-n * min(max(v, Fraction(0)), Fraction(1)), "half_up") for v in x]
    eps, delta = map(Fraction, HALF_WAVES[bits, p[0] if p else None])
    thresholds = [eps, *((k - Fraction(1, 2)) * delta for k in range(2, n + 1))]
    assert all(abs(v - t) > Fraction(1, 10**5) or (v == t == 0) for v in x for t in thresholds)
    return [sum(v > t for t in thresholds) for v in x]


def linear_layer(X, z, w, bias, bits, form, sweeps):
    """[6.5.1]: codes, alpha and bias."""
    N = len(z)
    centre = [Fraction(0)] * len(X) if bias else [Fraction(sum(row), N) for row in X]
    offset = Fraction(bias[0]) if bias else Fraction(sum(z), N)
    # Numbers times N are integers: no decision depends on a common factor.
    Xc = [[int(N * (v - c)) for v in row] for row, c in zip(X, centre, strict=True)]
    zc = [int(N * (v - offset)) for v in z]
    start = oracle_solvers.weight_codes(w, bits)
    problem = oracle_solvers.Problem(Xc, zc)
    found = []
    candidates = [-1, 1] if bits == 1 else [-1, 0, 1]
    for count in (0, sweeps):
        codes = problem.descend([start[:]], [1], lambda q: candidates, form, count)[0]
        top, bottom = problem.sums(codes)
        dead = problem.vanished(bottom) or top <= 0
        alpha = Fraction(0) if dead else Fraction(top, bottom)
        v = [alpha * sum(a * b for a, b in zip(codes, column, strict=True))
             for column in zip(*Xc, strict=True)]  # fmt: skip
        found.append((sum((a - b) ** 2 for a, b in zip(zc, v, strict=True)), codes, alpha))
    _, codes, alpha = min(found, key=lambda row: row[0])
    moved = sum(a * b for a, b in zip(codes, centre, strict=True))
    return codes, [float(alpha)], [float(offset - alpha * moved)]


def kept_iterate(X, y, thresholds, levels, codes, alpha, bias) -> list[int]:
    """[6.5.2]"""
    costs = []
    for w, a, b in zip(codes, alpha, bias, strict=True):
        v = [Fraction(a) * sum(c * r for c, r in zip(w, column, strict=True)) + Fraction(b)
             for column in zip(*X, strict=True)]  # fmt: skip
        q = [levels[sum(r > Fraction(t) for t in thresholds)] for r in v]
        costs.append(sum((Fraction(a) - Fraction(b)) ** 2 for a, b in zip(y, q, strict=True)))
    return [costs.index(min(costs))]


def dead_filters(codes, alpha, bits):
    """[6.5.3]"""
    if bits == 1:
        return codes, alpha
    # The least number of binary32 is 2**-149; half of it is a tie, and goes to the even zero.
    dead = [a <= 2.0**-150 or not any(row) for row, a in zip(codes, alpha, strict=True)]
    return ([[0] * len(row) if gone else row for row, gone in zip(codes, dead, strict=True)],
            [1.0 if gone else a for a, gone in zip(alpha, dead, strict=True)])  # fmt: skip


def latents(w, codes, alpha, bits):
    """[6.5.4], in the binary64 operations of the text."""
    found = []
    for row, own, a in zip(w, codes, alpha, strict=True):
        line = []
        for v, c in zip(row, own, strict=True):
            below = 1.0 if bits == 1 and c > 0 else 0.5
            above = 1.0 if bits == 1 and c < 0 else 0.5
            low, high = (c - below) + 0.05, (c + above) - 0.05
            line.append(min(max(v / a if a else float(c), low), high))
        found.append(line)
    return found


def tensor(A, G, B):
    """[6.7.1]"""
    R, S, T, P = len(A), len(A[0]), len(B[0]), len(G[0][0][0])
    return [[[sum(A[r][a][i] * G[r][i][j][p] * B[r][b][j] for r in range(R)
                  for i in range(len(G[r])) for j in range(len(G[r][i])))
              for p in range(P)] for b in range(T)] for a in range(S)]  # fmt: skip


def term_distance(first, second):
    """[6.7.6]: squares of both norms."""
    flat = [[v for a in tensor(*f) for b in a for v in b] for f in (first, second)]
    return ([sum((u - v) ** 2 for u, v in zip(*flat, strict=True))], [sum(v * v for v in flat[0])])


def is_canonical(A, G, B) -> bool:
    """[6.7.2] of integers."""
    norms, good = [], True
    for a, g, b in zip(A, G, B, strict=True):
        norms.append(sum(v * v for x in g for y in x for v in y))
        for side in (a, b):
            columns = list(zip(*side, strict=True))
            good &= all(sum(u * v for u, v in zip(x, y, strict=True)) == (i == j)
                        for i, x in enumerate(columns) for j, y in enumerate(columns))  # fmt: skip
            good &= all(max(column, key=abs) > 0 for column in columns)
        for slices in ([[v for y in x for v in y] for x in g],
                       [[v for x in g for v in x[j]] for j in range(len(g[0]))]):  # fmt: skip
            sizes = [sum(v * v for v in x) for x in slices]
            good &= sizes == sorted(sizes, reverse=True)
            good &= all(sum(map(math.prod, zip(x, y, strict=True))) == 0
                        for i, x in enumerate(slices) for y in slices[:i])  # fmt: skip
    return good and norms == sorted(norms, reverse=True)
