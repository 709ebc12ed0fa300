"""The semidiscrete decomposition [6.6] in rational numbers: slow, and without any rounding.

What golden vectors are made from. On matrices of integers sdd.py must find the same codes, because
no two quantities that differ in exact arithmetic lie as close as its rounding there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TypeAlias

from refnet.methods.sdd import ALTERNATIONS

Matrix: TypeAlias = list[list[Fraction]]
Codes: TypeAlias = list[int]
#: Codes x, scale d, codes y.
Component: TypeAlias = tuple[Codes, Fraction, Codes]
#: From s to codes c of the largest (s^T c)^2 / c^T c.
HalfStep: TypeAlias = Callable[[list[Fraction]], Codes]

_DEAD = Fraction(1, 2**80)


def ternary(s: list[Fraction]) -> Codes:
    """Signs of the J largest magnitudes, J the smallest maximiser of (their sum)^2 / J [6.6.2]."""
    size = sorted((abs(v) for v in s), reverse=True)
    sums = [sum(size[:J], Fraction(0)) for J in range(1, len(size) + 1)]
    # max keeps the first of equals.
    best = max(range(len(size)), key=lambda J: sums[J] ** 2 / (J + 1))
    return [0 if abs(v) < size[best] else (v > 0) - (v < 0) for v in s]


def binary(s: list[Fraction]) -> Codes:
    """The signs; that of 0 is +1 [6.6.8]."""
    return [1 if v >= 0 else -1 for v in s]


def semidiscrete(
    W: Sequence[Sequence[int]], k: int, *, sweeps: int, starts: Sequence[str],
    half_step: HalfStep = ternary,
) -> list[Component]:
    """The k components (x, d, y) of the integer matrix W (m, n): greedy, then refined."""
    if k < 1 or sweeps < 0 or not starts or not W or not W[0]:
        raise ValueError(
            f"semidiscrete: k={k}, sweeps={sweeps}, starts={list(starts)}, W of {len(W)} rows, "
            "rule k >= 1, sweeps >= 0, at least one start and entry"
        )
    R = [[Fraction(w) for w in row] for row in W]
    least = _DEAD * sum(r * r for row in R for r in row)
    found: list[Component] = []
    for i in range(k):
        runs = [_alternated(R, _start(R, name, i), half_step) for name in starts]
        best = max(runs, key=lambda run: _gain(R, run[0], run[2]))
        found.append(_settled(R, best, least, half_step))
        _add(R, found[-1], -1)
    for _ in range(sweeps):
        before = list(found)
        for i, (x, d, y) in enumerate(before):
            if d > 0:
                _add(R, (x, d, y), 1)
                found[i] = _settled(R, _alternated(R, y, half_step), least, half_step)
                _add(R, found[i], -1)
        if found == before:
            break
    return [canonical(component) for component in found]


def _start(R: Matrix, name: str, i: int) -> Codes:
    n = len(R[0])
    if name == "ones":
        return [1] * n
    if name == "every-100th":
        return [int(j % 100 == 0) for j in range(n)]
    if name == "cycling":
        return [int(j == i % n) for j in range(n)]
    if name != "threshold":
        raise ValueError(f"semidiscrete: start {name!r} is unknown")
    power = [sum(row[j] ** 2 for row in R) for j in range(n)]
    walk = [(i + step) % n for step in range(n)]
    chosen = next(j for j in walk if power[j] * n >= sum(power))
    return [int(j == chosen) for j in range(n)]


def _times(R: Matrix, y: Codes) -> list[Fraction]:
    return [sum((r * c for r, c in zip(row, y, strict=True)), Fraction(0)) for row in R]


def _alternated(R: Matrix, y: Codes, half_step: HalfStep) -> Component:
    columns = [list(column) for column in zip(*R, strict=True)]
    x: Codes = []
    for _ in range(ALTERNATIONS):
        before = y
        x = half_step(_times(R, y))
        y = half_step(_times(columns, x))
        if y == before:
            break
    return x, Fraction(0), y


def _along(R: Matrix, x: Codes, y: Codes) -> Fraction:
    return sum((c * v for c, v in zip(x, _times(R, y), strict=True)), Fraction(0))


def _places(x: Codes, y: Codes) -> int:
    return sum(map(abs, x)) * sum(map(abs, y))


def _gain(R: Matrix, x: Codes, y: Codes) -> Fraction:
    places = _places(x, y)
    return _along(R, x, y) ** 2 / places if places else Fraction(0)


def _settled(
    R: Matrix, run: Component, least: Fraction, half_step: HalfStep
) -> Component:
    x, _, y = run
    if _gain(R, x, y) > least:
        return x, _along(R, x, y) / _places(x, y), y
    zero = Fraction(0)
    return half_step([zero] * len(x)), zero, half_step([zero] * len(y))


def _add(R: Matrix, component: Component, sign: int) -> None:
    x, d, y = component
    for row, c in zip(R, x, strict=True):
        for j, v in enumerate(y):
            row[j] += sign * c * v * d


def canonical(component: Component) -> Component:
    """The first non-zero code of x is +1 [6.6.7]."""
    x, d, y = component
    sign = next((c for c in x if c), 1)
    return [sign * c for c in x], d, [sign * c for c in y]
