"""The coordinate rules once more, one filter at a time, for comparison with the compiled ones.

Sums are taken in the order that the compiled rules state (N and D over j, g elementwise), so that
the two agree to the bit on any input, and not on integers alone.
"""

from __future__ import annotations

from math import ceil

import numpy as np

GAIN = LEAST = 2.0**-40


def twin(G, s, w, g, *, bits, form, sweeps):
    """One filter: ``(w, g, N, D)`` after coordinate descent from codes w (n,) and g = G w."""
    if bits in (1, 2):
        codes = (-1, 1) if bits == 1 else (-1, 0, 1)
        q, g, N, D = walk(G, s, [list(w)], g, (1,), lambda _: codes, form, sweeps)
        return q[0], g, N, D
    places = [2**m for m in reversed(range(bits - 1))]
    digits = [[np.sign(c) * (abs(c) // p % 2) for c in w] for p in places]
    q, g, N, D = walk(G, s, digits, g, places, lambda _: (-1, 0, 1), form, sweeps)
    whole = [sum(p * d for p, d in zip(places, column, strict=True))
             for column in zip(*q, strict=True)]
    top = sum(places)
    near = lambda c: [k for k in (c - 1, c, c + 1) if abs(k) <= top]  # noqa: E731
    q, g, N, D = walk(G, s, [whole], g, (1,), near, form, sweeps)
    return q[0], g, N, D


def explained(N, D, least):
    return N * abs(N) / D if least < D else 0.0


def walk(G, s, q, g, places, codes_near, form, sweeps):
    """Digits q[b][j] one after the other; ``codes_near`` are the candidates beside a digit."""
    q, least = [[int(c) for c in row] for row in q], LEAST * np.trace(G)
    N = D = 0.0
    for j in range(len(s)):
        w = float(sum(p * row[j] for p, row in zip(places, q, strict=True)))
        N, D = N + s[j] * w, D + w * g[j]
    if N < 0:
        q, g, N = [[-c for c in row] for row in q], -g, -N
    for _ in range(sweeps):
        before, held = [row.copy() for row in q], (N, D)
        if form == "fixed" and (N <= 0 or least >= D):
            break
        for b, place in enumerate(places):
            for j in np.flatnonzero(np.diag(G) > 0):
                codes, old = codes_near(q[b][j]), q[b][j]
                if form == "profile":
                    values = [
                        explained(N + s[j] * d, D + 2 * d * g[j] + d * d * G[j, j], least)
                        for d in (float(place * (c - old)) for c in codes)
                    ]
                    now = explained(N, D, least)
                    better = max(values) > now + GAIN * abs(now)
                    code = codes[values.index(max(values))] if better else old
                else:
                    r = s[j] * held[1] - held[0] * (g[j] - float(place) * old * G[j, j])
                    code = nearest(r / (held[0] * float(place) * G[j, j]), codes, old)
                d = float(place * (code - old))
                if d:
                    N, D = N + s[j] * d, D + (2 * d * g[j] + d * d * G[j, j])
                    g = g + d * G[j]
                    q[b][j] = code
        if q == before:
            break
    return q, g, N, D


def nearest(x, codes, old):
    if 0 not in codes and set(codes) == {-1, 1}:
        return old if x == 0 else int(np.sign(x))
    size = ceil(min(abs(x), 1000.0) - 0.5)
    return int(min(max(np.sign(x) * size, min(codes)), max(codes)))
