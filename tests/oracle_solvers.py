"""The oracle of chapter 06: optimal ternary codes, least squares in codes, z steps.

Written from the text alone, in integers and fractions; no decision is ever rounded.
"""

from __future__ import annotations

import math
import struct
from fractions import Fraction

from oracle import require, round_fraction

TINY = Fraction(1, 2**40)


def sign(x) -> int:
    return (x > 0) - (x < 0)


def optimal_ternary(w: list[int]) -> tuple[list[int], int, int]:
    """[6.1.1]: codes, their number, and the sum of the magnitudes that are kept."""
    sizes = sorted(map(abs, w), reverse=True)
    best, kept = Fraction(0), 0
    for J in range(1, len(w) + 1):
        f = Fraction(sum(sizes[:J]) ** 2, J)
        if f > best:
            best, kept = f, J
    if not kept:
        return [0] * len(w), 0, 0
    least = sizes[kept - 1]
    codes = [sign(v) if abs(v) >= least else 0 for v in w]
    assert sum(map(abs, codes)) == kept, "[6.1.2]"
    return codes, kept, sum(sizes[:kept])


def places_of(bits) -> list[int]:
    require(isinstance(bits, int) and not isinstance(bits, bool) and 1 <= bits <= 8, "[6.3.1]")
    return [2**m for m in reversed(range(max(bits - 1, 1)))]


def split(q: int, place: int) -> int:
    """[6.3.1]"""
    return sign(q) * (abs(q) // place % 2)


def best_scale(w: list[int], q: list[int]) -> Fraction:
    size = sum(c * c for c in q)
    return Fraction(sum(a * c for a, c in zip(w, q, strict=True)), size) if size else Fraction(0)


def weight_codes(w: list[int], bits: int) -> list[int]:
    """[6.3.3]"""
    places = places_of(bits)
    if bits == 1:
        return [-1 if v < 0 else 1 for v in w]
    if bits == 2:
        return optimal_ternary(w)[0]
    top = sum(places)
    q, before = [0] * len(w), None
    alpha = Fraction(max(map(abs, w)), top)
    while alpha and q != before:
        before = q
        q = [min(max(round_fraction(v / alpha, "half_even"), -top), top) for v in w]
        alpha = best_scale(w, q)
    return q


def stitched(digits: list[list[int]], places: list[int]) -> list[int]:
    return [sum(p * d for p, d in zip(places, column, strict=True))
            for column in zip(*digits, strict=True)]


def code_least_squares(X, z, start, bits: int, form: str, sweeps: int):
    """[6.2] [6.3]: codes, N and D."""
    places = places_of(bits)
    require(form in ("profile", "fixed"), "[6.2]")
    require(len(X) == len(start) and all(len(row) == len(z) for row in X), "[6.2] shapes")
    top = sum(places)
    require(all(abs(c) <= top and (bits > 1 or c) for c in start), "[6.3.1] codes of the type")
    problem = Problem(X, z)
    if bits <= 2:
        codes = [-1, 1] if bits == 1 else [-1, 0, 1]
        digits = problem.descend([list(start)], [1], lambda q: codes, form, sweeps)
        w = digits[0]
    else:
        digits = [[split(c, p) for c in start] for p in places]
        digits = problem.descend(digits, places, lambda q: [-1, 0, 1], form, sweeps)
        whole = stitched(digits, places)

        def near(q):
            return [c for c in (q - 1, q, q + 1) if abs(c) <= top]

        w = problem.descend([whole], [1], near, form, sweeps)[0]
    N, D = problem.sums(w)
    if problem.vanished(D) or N <= 0:
        return [0] * len(w), 0, 0
    return w, N, D


class Problem:
    """[6.2.1] of one filter."""

    def __init__(self, X, z) -> None:
        self.s = [sum(a * b for a, b in zip(row, z, strict=True)) for row in X]
        self.G = [[sum(a * b for a, b in zip(x, y, strict=True)) for y in X] for x in X]

    def product(self, w, j) -> int:
        return sum(a * b for a, b in zip(self.G[j], w, strict=True))

    def sums(self, w) -> tuple[int, int]:
        N = sum(a * b for a, b in zip(self.s, w, strict=True))
        return N, sum(c * self.product(w, j) for j, c in enumerate(w))

    def vanished(self, D) -> bool:
        """[6.2.2]"""
        return TINY * sum(self.G[j][j] for j in range(len(self.G))) >= D

    def explained(self, w) -> Fraction:
        N, D = self.sums(w)
        return Fraction(0) if self.vanished(D) else Fraction(N * abs(N), D)

    def descend(self, digits, places, candidates, form, sweeps):
        """[6.2.3] to [6.2.7], for digits of any place."""
        if self.sums(stitched(digits, places))[0] < 0:
            digits = [[-d for d in row] for row in digits]
        for _ in range(sweeps):
            before = [row[:] for row in digits]
            N, D = self.sums(stitched(digits, places))
            if form == "fixed" and (N <= 0 or self.vanished(D)):
                break
            for row, place in zip(digits, places, strict=True):
                for j in range(len(row)):
                    if not self.G[j][j]:
                        continue
                    if form == "profile":
                        row[j] = self.profile(digits, places, row, j, candidates(row[j]))
                    else:
                        w = stitched(digits, places)
                        own = place * row[j] * self.G[j][j]
                        r = self.s[j] - Fraction(N, D) * (self.product(w, j) - own)
                        x = r / (Fraction(N, D) * place * self.G[j][j])
                        row[j] = self.fixed(x, row[j], candidates(row[j]))
            if digits == before:
                break
        return digits

    def profile(self, digits, places, row, j, codes) -> int:
        """[6.2.5]"""
        old = row[j]
        now = self.explained(stitched(digits, places))
        best, chosen = now + TINY * abs(now), old
        for c in codes:
            row[j] = c
            value = self.explained(stitched(digits, places))
            if value > best:
                best, chosen = value, c
        row[j] = old
        return chosen

    @staticmethod
    def fixed(x: Fraction, old: int, codes) -> int:
        """[6.2.6] [6.2.7] [6.3.2]"""
        if codes == [-1, 1]:
            return sign(x) or old
        nearest = sign(x) * math.ceil(abs(x) - Fraction(1, 2))
        return min(max(nearest, codes[0]), codes[-1])


def next_up(x: float) -> float:
    """The binary64 number after x."""
    if x == 0:
        return struct.unpack(">d", bytes(7) + b"\x01")[0]
    (bits,) = struct.unpack(">q", struct.pack(">d", x))
    return struct.unpack(">d", struct.pack(">q", bits + (1 if x > 0 else -1)))[0]


def z_step(y, v, penalty, t, q, form) -> float:
    """[6.4] of one element; the numbers are binary64, taken as rationals."""
    require(form in ("relaxed", "exact"), "[6.4]")
    require(len(q) == len(t) + 1 and t == sorted(t) and q == sorted(q), "[6.4.1]")
    y, v, p = Fraction(y), Fraction(v), Fraction(penalty)
    if form == "relaxed":
        low, top = Fraction(q[0]), Fraction(q[-1])
        middle = min(max((p * v + y) / (1 + p), low), top)
        points = [min(v, low), middle, max(v, top)]
        pairs = [(z, min(max(z, low), top)) for z in points]
    else:
        pairs = []
        for k, level in enumerate(q):
            z = v
            if k < len(t):
                z = min(z, Fraction(t[k]))
            if k > 0:
                z = max(z, Fraction(next_up(t[k - 1])))
                if k < len(t) and z > Fraction(t[k]):
                    continue
            pairs.append((z, Fraction(level)))
    costs = [(y - value) ** 2 + p * (z - v) ** 2 for z, value in pairs]
    return float(pairs[costs.index(min(costs))][0])
