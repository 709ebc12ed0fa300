"""The oracle's half for chapter 06, the semidiscrete decomposition: plain Python, from the text."""

from __future__ import annotations

from fractions import Fraction

from oracle import require

STARTS = ("threshold", "cycling", "ones", "every-100th")


def half_step(s: list, binary: bool) -> list[int]:
    """[6.6.2] [6.6.8]"""
    if binary:
        return [-1 if v < 0 else 1 for v in s]
    # Every support is tried; a group of equal magnitudes is in it as a whole or not at all.
    best, codes = Fraction(0), [0] * len(s)
    for least in sorted({abs(v) for v in s if v != 0}, reverse=True):
        candidate = [0 if abs(v) < least else (1 if v > 0 else -1) for v in s]
        J = sum(abs(c) for c in candidate)
        f = Fraction(sum(abs(v) for v in s if abs(v) >= least)) ** 2 / J
        if f > best:
            best, codes = f, candidate
    return codes


def products(R: list, x: list[int]) -> list:
    """R^T x"""
    return [sum(R[i][j] * x[i] for i in range(len(R))) for j in range(len(R[0]))]


def turned(R: list) -> list:
    return [[row[j] for row in R] for j in range(len(R[0]))]


def start(R: list, name: str, i: int) -> list[int]:
    """[6.6.3]"""
    n = len(R[0])
    places = {"ones": range(n), "every-100th": range(0, n, 100), "cycling": [i % n]}
    if name == "threshold":
        total = sum(r * r for row in R for r in row)
        j = i % n
        while sum(row[j] * row[j] for row in R) * n < total:
            j = (j + 1) % n
        places["threshold"] = [j]
    return [1 if j in places[name] else 0 for j in range(n)]


def alternate(R: list, y: list[int], binary: bool) -> tuple[list[int], list[int]]:
    """[6.6.4]"""
    x: list[int] = []
    for _ in range(100):
        x = half_step(products(turned(R), y), binary)
        y, before = half_step(products(R, x), binary), y
        if y == before:
            break
    return x, y


def measured(R: list, x: list[int], y: list[int]) -> tuple[Fraction, Fraction]:
    """Scale and gain of a component [6.6.1]."""
    along = sum(a * b for a, b in zip(products(R, x), y, strict=True))
    size = sum(c * c for c in x) * sum(c * c for c in y)
    return (Fraction(along) / size, Fraction(along) ** 2 / size) if size else (Fraction(0),) * 2


def without(R: list, x: list[int], d: Fraction, y: list[int]) -> list:
    return [[r - d * a * b for r, b in zip(row, y, strict=True)]
            for row, a in zip(R, x, strict=True)]


def decompose(W: list, *, k: int, sweeps: int, starts: list[str], binary: bool) -> dict[str, list]:
    """[6.6.5] to [6.6.7]"""
    require(k >= 1 and sweeps >= 0 and len(starts) > 0, "[6.6.5] counts")
    require(all(name in STARTS for name in starts), "[6.6.3] names")
    require(len(W) > 0 and len(W[0]) > 0, "[6.6.1] a matrix")
    least = Fraction(sum(w * w for row in W for w in row), 2**80)

    def component(R: list, x: list[int], y: list[int]) -> tuple:
        d, gain = measured(R, x, y)
        if gain > least:
            return x, d, y
        empty = 1 if binary else 0
        return [empty] * len(x), Fraction(0), [empty] * len(y)

    R, found = W, []
    for i in range(k):
        best = None
        for name in starts:
            x, y = alternate(R, start(R, name, i), binary)
            if best is None or measured(R, x, y)[1] > measured(R, *best)[1]:
                best = x, y
        found.append(component(R, *best))
        R = without(R, *found[-1])
    for _ in range(sweeps):
        before = list(found)
        for i, (x, d, y) in enumerate(before):
            if d != 0:
                R = without(R, x, -d, y)
                found[i] = component(R, *alternate(R, y, binary))
                R = without(R, *found[i])
        if before == found:
            break
    sign = [next((c for c in x if c != 0), 1) for x, _, _ in found]
    return {
        "X": turned([[s * c for c in x] for s, (x, _, _) in zip(sign, found, strict=True)]),
        "Y": turned([[s * c for c in y] for s, (_, _, y) in zip(sign, found, strict=True)]),
        "numerator": [d.numerator for _, d, _ in found],
        "denominator": [d.denominator for _, d, _ in found],
    }
