"""Cases of Add [4.4]."""

from __future__ import annotations

from typing import Any

import numpy as np

from refnet.program import Add
from refnet.vectors.cases.build import Case, about, operator_case
from refnet.vectors.stream import Stream

_HALF = 2**30 - 1
_PLUS = f"int[-{_HALF},{_HALF}]"


def _cases() -> list[Case]:
    ends = [-128, 127, -1, 0]
    grid = np.array([[a, b] for a in ends for b in ends]).T
    rows: tuple[tuple[dict[str, Any], str, str, str], ...] = (
        ({"x": ("uint2", [[0, 1, 2, 3]]), "y": ("ternary", [[-1, 1, 0, 1]])}, "BASIC",
         "codes of two types", "smoke"),
        ({"x": ("int8", grid[0][None]), "y": ("int8", grid[1][None])}, "BOUNDARY SATURATE SIGN",
         "all pairs of the ends of int8: the sum leaves int8, is not clamped and does not wrap",
         "smoke"),
        ({"x": (_PLUS, [[_HALF, -_HALF]]), "y": (_PLUS, [[_HALF, -_HALF]])},
         "ACCUMULATOR BOUNDARY", "the largest sums that two equal types may give", "core"),
        ({"x": ("uint8", [[[[1, 2], [3, 4]]], [[[250, 251], [252, 255]]]]),
          "y": ("sint8", [[[[-1, -2], [-3, -4]]], [[[127, 127], [-127, 0]]]])}, "LAYOUT",
         "two images of a map", "core"),
        ({"x": ("int8", np.zeros((0, 2), int)), "y": ("int8", np.zeros((0, 2), int))},
         "DEGENERATE", "no image at all", "core"),
        ({"x": ("int[3,5]", [[3, 5]]), "y": ("int[-9,-8]", [[-9, -8]])}, "TYPE",
         "ranges without zero", "core"),
        ({"x": ("int16", [[-32768, 32767]]), "y": ("uint16", [[65535, 65535]])}, "BOUNDARY",
         "16-bit storage on both sides, 17 bits and a sign in the sum", "core"),
    )  # fmt: skip
    cases = [
        operator_case(f"add.pairs.{i:04d}", "4.4.1", Add(), operands, flags, f"Add: {why}.",
                      tier=tier)
        for i, (operands, flags, why, tier) in enumerate(rows, start=1)
    ]
    types = [
        about(c, f"add.type.{i:04d}", "4.4.1", "result_type", "TYPE",
              f"Range and shape of the result of {c.id}: the sums of the ends.")
        for i, c in enumerate(cases, start=1)
    ]
    return [*cases, *types, *_refused(), *_random()]


def _refused() -> list[Case]:
    rows: tuple[tuple[str, dict[str, Any], str, str], ...] = (
        ("4.4.1", {"x": ("int8", [[1, 2]]), "y": ("int8", [[1]])}, "shape",
         "a vector of one does not spread over two"),
        ("4.4.1", {"x": ("int8", [[[1, 2]]]), "y": ("int8", [[[1], [2]]])}, "shape",
         "as many elements in another shape"),
        ("4.4.1 1.3.1", {"x": (_PLUS, [[0]]), "y": (f"int[0,{_HALF + 1}]", [[0]])}, "accumulator",
         "the sum could be 2**31 - 1"),
        ("4.4.1", {"x": ("int8", [[1]])}, "operand", "only one operand"),
        ("4.4.1", {"x": ("int8", [[1]]), "c": ("int8", [1])}, "operand",
         "the second operand is a constant"),
    )
    return [
        operator_case(f"add.refused.{i:04d}", clauses, Add(), operands, "BOUNDARY",
                      f"Add must be refused: {why}.", error=error)
        for i, (clauses, operands, error, why) in enumerate(rows, start=1)
    ]


def _random() -> list[Case]:
    cases = []
    for i in range(1, 4):
        id = f"add.random.{i:04d}"
        draw = Stream(id)
        operands = {k: ("int8", draw.integers(-128, 127, (2, 3, 2, 2))) for k in ("x", "y")}
        cases.append(operator_case(id, "4.4.1", Add(), operands, "PSEUDO_RANDOM SIGN",
                                   "Pseudo-random maps of int8, added."))
    return cases


CASES: tuple[Case, ...] = tuple(_cases())
