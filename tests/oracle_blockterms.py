"""The oracle's part for block terms: [6.7] of the specification once more, slow and obvious."""

from __future__ import annotations

from itertools import product

from oracle import BOUND, numbers_in, require


def shape_of(nested: list) -> list[int]:
    shape: list[int] = []
    while isinstance(nested, list):
        shape.append(len(nested))
        nested = nested[0] if nested else None
    return shape


def block_term(A: list, G: list, B: list) -> dict[str, list]:
    """[6.7.1] [6.7.3] [6.7.4] [6.7.5]"""
    shapes = shape_of(A), shape_of(G), shape_of(B)
    require([len(n) for n in shapes] == [3, 4, 3], "[6.7.1] axes")
    (R, S, s), (R2, s2, t, P), (R3, T, t2) = shapes
    require(R == R2 == R3 and s == s2 and t == t2, "[6.7.1] shapes")
    require(min(R, S, s, t, P, T) >= 1, "[6.7.1] sizes")
    K = [[[0] * P for _ in range(T)] for _ in range(S)]
    for a, b, p in product(range(S), range(T), range(P)):
        terms = [A[r][a][i] * G[r][i][j][p] * B[r][b][j]
                 for r in range(R) for i in range(s) for j in range(t)]
        require(sum(abs(term) for term in terms) <= BOUND, "[6.7.1] bound")
        K[a][b][p] = sum(terms)
    last = [[B[r][b][j] for r in range(R) for j in range(t)] for b in range(T)]
    if P == 1:
        first = [[sum(A[r][a][i] * G[r][i][j][0] for i in range(s)) for a in range(S)]
                 for r in range(R) for j in range(t)]
        layers = {"first": first, "last": last}
    else:
        layers = {
            "first": [[A[r][a][i] for a in range(S)] for r in range(R) for i in range(s)],
            "middle": [[[G[r][i][j][p] for p in range(P)] for i in range(s)]
                       for r in range(R) for j in range(t)],
            "last": last,
        }
    count = sum(1 for layer in layers.values() for _ in numbers_in(layer))
    return {"K": K, **layers, "weights": [count]}
