"""Cases of block terms [6.7]: planted integer factors, and the tensor and layers they give."""

from __future__ import annotations

from typing import Any

import numpy as np

from refnet.vectors.cases.build import Case, function_case
from refnet.vectors.cases.conv import counted


def _factors(R: int, S: int, T: int, s: int, t: int, P: int) -> dict[str, Any]:
    """Small integers of both signs, in patterns that no exchange of axes leaves as they are."""
    return {
        "A": counted(R, S, s) % 7 - 3, "G": counted(R, s, t, P) % 11 - 5,
        "B": counted(R, T, t) % 5 - 2,
    }


def _case(i: int, clauses: str, given: dict[str, Any], flags: str, why: str, tier: str) -> Case:
    typed = {name: ("int32", value) for name, value in given.items()}
    return function_case(
        f"blockterms.terms.{i:04d}", clauses, "block_term", {}, typed, flags, f"{why}.", tier=tier
    )


def _refused(i: int, given: dict[str, Any], error: str, why: str) -> Case:
    typed = {name: ("int32", value) for name, value in given.items()}
    return function_case(
        f"blockterms.refused.{i:04d}", "6.7.1", "block_term", {}, typed, "BOUNDARY",
        f"Block terms must be refused: {why}.", error=error,
    )


def _cases() -> list[Case]:
    three, two = "6.7.1 6.7.3 6.7.5", "6.7.1 6.7.4 6.7.5"
    largest = {"A": [[[46340]]], "G": [[[[1, 1]]]], "B": [[[46340], [-46340]]]}
    rows: tuple[tuple[str, dict[str, Any], str, str, str], ...] = (
        (three, _factors(2, 3, 4, 2, 3, 2), "BASIC", "Two terms of rank (2, 3)", "smoke"),
        (three, _factors(1, 4, 3, 2, 2, 9), "BASIC", "One term is a Tucker-2 decomposition",
         "smoke"),
        (three, _factors(4, 3, 5, 1, 1, 4), "GROUPS", "Rank-one terms: one channel a group",
         "core"),
        (three, _factors(3, 2, 2, 2, 2, 3), "GROUPS", "More ranks in all than there are channels",
         "core"),
        (three, _factors(2, 1, 1, 1, 1, 9), "DEGENERATE", "One channel and one filter", "core"),
        (two, _factors(1, 5, 4, 3, 3, 1), "BASIC", "A 1x1 kernel: the core goes into the first "
         "layer", "smoke"),
        (two, _factors(2, 3, 3, 2, 1, 1), "GROUPS", "Two terms of a 1x1 kernel, s > t", "core"),
        (three, {**_factors(2, 3, 4, 2, 2, 2), "G": np.zeros((2, 2, 2, 2), int)}, "DEGENERATE",
         "A core of zeros gives the zero tensor", "core"),
        (three, largest, "BOUNDARY SIGN", "Sums of 46340**2, close to the bound", "core"),
    )
    small = _factors(2, 3, 4, 2, 3, 2)
    refused: tuple[tuple[dict[str, Any], str, str], ...] = (
        ({**small, "B": counted(3, 4, 3)}, "shape", "two terms in A and G, three in B"),
        ({**small, "A": counted(2, 3, 3)}, "shape", "A has rank 3, the core 2"),
        ({**small, "B": counted(2, 4, 2)}, "shape", "B has rank 2, the core 3"),
        ({**small, "G": counted(2, 2, 3)}, "shape", "a core without the axis of positions"),
        ({**largest, "G": [[[[2, 1]]]]}, "accumulator", "2 * 46340**2 exceeds 2**31 - 2"),
        ({"A": [[[2**30]], [[2**30]]], "G": [[[[1]]], [[[1]]]], "B": [[[1]], [[-1]]]},
         "accumulator", "magnitudes add up to 2**31 though the sum is 0"),
    )
    return [
        *(_case(i, *row) for i, row in enumerate(rows, start=1)),
        *(_refused(i, *row) for i, row in enumerate(refused, start=1)),
    ]


CASES: tuple[Case, ...] = tuple(_cases())
