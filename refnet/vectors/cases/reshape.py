"""Cases of Reshape [4.7] and of the order of elements [1.2.2]."""

from __future__ import annotations

from typing import Any

import numpy as np

from refnet.program import Reshape
from refnet.vectors.cases.build import Case, about, function_case, operator_case
from refnet.vectors.cases.conv import counted


def _cases() -> list[Case]:
    rows: tuple[tuple[tuple[int, ...], Any, str, str, str], ...] = (
        ((12,), counted(1, 3, 2, 2), "LAYOUT BASIC", "a map to a vector: the width runs fastest",
         "smoke"),
        ((3, 2, 2), counted(1, 12), "LAYOUT", "a vector to a map", "smoke"),
        ((2, 3, 2), counted(1, 3, 2, 2), "LAYOUT", "a map to a map of other channels", "core"),
        ((4,), counted(3, 2, 1, 2), "LAYOUT", "three images: each by itself", "core"),
        ((2, 6), counted(2, 12), "LAYOUT", "two axes, two images", "core"),
        ((1, 1, 1), counted(1, 1), "DEGENERATE", "one element", "core"),
        ((4,), np.zeros((0, 2, 2), int), "DEGENERATE", "no image at all", "core"),
        ((6,), -counted(1, 2, 3), "LAYOUT SIGN", "negative numbers keep their type", "core"),
    )
    cases = [
        operator_case(f"reshape.order.{i:04d}", "4.7.1 1.2.2", Reshape(shape=shape),
                      {"x": ("int8", x)}, flags, f"Reshape to {shape}: {why}.", tier=tier)
        for i, (shape, x, flags, why, tier) in enumerate(rows, start=1)
    ]
    refused: tuple[tuple[list[int], Any, str, str], ...] = (
        ([5], [[1, 2, 3, 4]], "shape", "five elements out of four"),
        ([2, 2, 1, 1], [[1, 2, 3, 4]], "attribute", "four axes: an activation has three at most"),
        ([-1], [[1, 2, 3, 4]], "attribute", "-1 is not worked out"),
        ([], [[1]], "attribute", "no axis at all"),
    )
    return [
        *cases,
        about(cases[0], "reshape.type.0001", "4.7.1", "result_type", "TYPE",
              "Range and shape of a reshaped map: the type stays."),
        *(function_case(f"reshape.refused.{i:04d}", "4.7.1", "Reshape", {"shape": shape},
                        {"x": ("int8", x)}, "BOUNDARY", f"Reshape must be refused: {why}.",
                        error=error)
          for i, (shape, x, error, why) in enumerate(refused, start=1)),
    ]


CASES: tuple[Case, ...] = tuple(_cases())
