"""Cases of the semidiscrete decomposition [6.6]: integer matrices, exact decisions."""

from __future__ import annotations

from typing import Any

from refnet.vectors.cases.build import Case, function_case
from refnet.vectors.stream import Stream

_ALL = ["threshold", "cycling", "ones", "every-100th"]
_GREEDY = "6.6.1 6.6.2 6.6.3 6.6.4 6.6.5 6.6.7"


def _attributes(k: int, sweeps: int, starts: list[str], binary: bool = False) -> dict[str, Any]:
    return {"k": k, "sweeps": sweeps, "starts": starts, "binary": binary}


def _case(
    id: str, W: Any, attributes: dict[str, Any], flags: str, why: str, *, tier: str = "core",
) -> Case:
    clauses = _GREEDY + " 6.6.6" * (attributes["sweeps"] > 0) + " 6.6.8" * attributes["binary"]
    clauses += " 6.6.9" * ("TIE" in flags)
    return function_case(
        f"semidiscrete.{id}", clauses, "semidiscrete", attributes, {"W": ("int16", W)}, flags,
        f"Semidiscrete decomposition: {why}.", tier=tier)


# Matrix, components, starts, flags, and what the case is there for.
_ROWS: tuple[tuple[Any, int, list[str], str, str], ...] = (
    ([[2, -2], [2, -2]], 1, ["ones"], "BASIC DEGENERATE",
     "R times ones is zero, a dead start: d is 0 and the codes are 0"),
    ([[3, -3, 0], [-3, 3, 0]], 2, ["cycling"], "BASIC SIGN",
     "one component is the whole matrix, the second is dead"),
    ([[5, 1, 0], [1, 4, 0], [0, 0, -3]], 3, ["cycling"], "BASIC SIGN",
     "three components from unit vectors, each greedy on what is left"),
    ([[4, -4, 2], [4, -4, 2]], 2, ["ones"], "BASIC",
     "rows alike: every x holds both of them"),
    ([[6, 2, 2, 2]], 1, ["ones"], "TIE",
     "6, 2, 2, 2: one place gains 36 and so do four; the smaller support is taken"),
    ([[2], [6], [2], [2]], 1, ["cycling"], "TIE",
     "a single column: the tie of supports is in the first half step"),
    ([[1, 1], [1, -1]], 2, ["ones"], "TIE SIGN",
     "two by two of equal power, from all ones"),
    ([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], 4, _ALL, "TIE",
     "a Hadamard matrix: all columns pass the threshold and all starts gain alike"),
    ([[-7, -7], [-7, -7]], 1, ["ones"], "SIGN",
     "a negative matrix: the first code of x is +1, so y takes the sign"),
    ([[0, 0, 9], [0, 0, -9]], 1, ["threshold"], "BOUNDARY",
     "the walk from column 0 goes on to the only column of enough power"),
    ([[3, 3, 3], [3, 3, -3]], 2, ["threshold"], "BOUNDARY TIE",
     "every column has exactly the mean power: it passes, so the walk does not move"),
    ([[1, 9, 1], [1, 9, 2]], 3, ["threshold"], "BOUNDARY",
     "the walk begins at column i for component i, and goes round"),
    ([[0, 4], [0, 4]], 2, ["cycling"], "DEGENERATE",
     "component 0 starts in a zero column and is dead; component 1 takes all"),
    ([[10, -1], [-1, 6], [0, 3]], 3, ["ones", "cycling"], "BASIC",
     "the start of the largest gain is chosen for each component"),
    ([[1, 2, 4], [2, 4, 8]], 3, ["every-100th"], "BASIC",
     "fewer than a hundred columns: the start is the first unit vector, each time"),
    ([[1000, -300, 20, 1]], 3, ["ones"], "SIGN",
     "one row: components take the row apart, largest entries first"),
    ([[7]], 2, _ALL, "DEGENERATE", "one entry: one component, then a dead one"),
    ([[0, 0], [0, 0]], 2, _ALL, "DEGENERATE", "a zero matrix: dead components only"),
    ([[32767, -32768], [16384, 1]], 2, ["ones"], "BOUNDARY SIGN",
     "16-bit entries: sums and their squares are wide"),
)


def _greedy() -> list[Case]:
    return [
        _case(f"greedy.{i:04d}", W, _attributes(k, 0, starts), flags, why,
              tier="smoke" if i in (2, 3, 5) else "core")
        for i, (W, k, starts, flags, why) in enumerate(_ROWS, start=1)
    ]


def _wide_start() -> Case:
    """101 columns: every hundredth is column 0 and column 100."""
    row = [5, *[0] * 99, 5]
    return _case("greedy.0020", [row, [1] + [0] * 99 + [-1]], _attributes(2, 0, ["every-100th"]),
                 "BASIC", "101 columns: the start holds the first and the last of them")


def _refined() -> list[Case]:
    rows: tuple[tuple[Any, int, int, str], ...] = (
        ([[5, 3, 1], [3, 4, 2], [1, 2, 6]], 2, 1, "one sweep over two components"),
        ([[5, 3, 1], [3, 4, 2], [1, 2, 6]], 2, 2, "a second sweep goes on from the first"),
        ([[8, -4], [-4, 2]], 2, 5, "the sweeps end when nothing changes"),
        ([[4, 4, -1], [4, 4, -1]], 3, 1, "an almost exhausted matrix is refined"),
        ([[2, 1, 0], [0, 1, 2]], 2, 2, "two rows that share a column"),
        ([[0, 4], [0, 4]], 2, 2, "a dead component stays dead"),
    )
    return [
        _case(f"refined.{i:04d}", W, _attributes(k, sweeps, ["ones", "cycling"]), "CHAIN", why,
              tier="smoke" if i == 1 else "core")
        for i, (W, k, sweeps, why) in enumerate(rows, start=1)
    ]


def _binary() -> list[Case]:
    rows: tuple[tuple[Any, int, int, str, str], ...] = (
        ([[3, -3], [1, -1]], 1, 0, "BASIC SIGN", "signs only: d is the mean magnitude"),
        ([[0, 2], [0, -2]], 2, 0, "TIE", "a zero column: the code of 0 is +1"),
        ([[1, -1], [1, 1]], 2, 1, "SIGN CHAIN", "two components of signs, refined"),
        ([[0, 0]], 1, 0, "DEGENERATE", "a zero matrix: d is 0 and the codes are +1"),
    )
    return [
        _case(f"binary.{i:04d}", W, _attributes(k, sweeps, ["ones", "cycling"], binary=True),
              flags, why)
        for i, (W, k, sweeps, flags, why) in enumerate(rows, start=1)
    ]


def _random() -> list[Case]:
    cases = []
    for i in range(1, 9):
        id = f"random.{i:04d}"
        draw = Stream(f"semidiscrete.{id}")
        W = draw.integers(-4, 4, (draw.integer(2, 4), draw.integer(2, 5)))
        attributes = _attributes(2, i % 3, _ALL, binary=i > 6)
        cases.append(_case(id, W, attributes, "PSEUDO_RANDOM TIE",
                           "pseudo-random small integers, all starts"))
    return cases


def _refused() -> list[Case]:
    one = ("int16", [[1, 2]])
    rows: tuple[tuple[dict[str, Any], Any, str, str, str], ...] = (
        (_attributes(0, 0, _ALL), one, "6.6.5", "attribute", "no component is asked for"),
        (_attributes(-1, 0, _ALL), one, "6.6.5", "attribute", "a negative number of components"),
        (_attributes(1, -1, _ALL), one, "6.6.6", "attribute", "a negative number of sweeps"),
        (_attributes(1, 0, []), one, "6.6.3", "attribute", "no start"),
        (_attributes(1, 0, ["largest"]), one, "6.6.3", "attribute", "a start of an unknown name"),
        (_attributes(1, 0, _ALL), ("int16", [[], []]), "6.6.1", "shape", "rows of no entry"),
    )
    return [
        function_case(f"semidiscrete.refused.{i:04d}", clauses, "semidiscrete", attributes,
                      {"W": W}, "BOUNDARY", f"Must be refused: {why}.", error=error)
        for i, (attributes, W, clauses, error, why) in enumerate(rows, start=1)
    ]


CASES: tuple[Case, ...] = (
    *_greedy(), _wide_start(), *_refined(), *_binary(), *_random(), *_refused())
