"""Cases of MaxPool [4.5] and SumPool [4.6]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refnet.program import MaxPool, SumPool
from refnet.vectors.cases.build import Case, Typed, about, function_case, operator_case, sum_pool
from refnet.vectors.cases.conv import counted
from refnet.vectors.stream import Stream

_NEGATIVE = ("int8", [[[[-7, -5, -9], [-3, -2, -8], [-4, -6, -1]]]])
_MIXED = ("int8", [[[[-7, -5, 1], [-3, -2, 0], [1, 2, 3]]]])
_LARGE = ("int8", (counted(1, 2, 5, 7) * 37) % 101 - 50)

_Row = tuple[dict[str, Any], Typed, str, str]

# attributes of either pool, x, flags, why
_WINDOWS: tuple[_Row, ...] = (
    ({"kernel": 2, "stride": 2}, _MIXED, "BASIC WINDOW",
     "2x2 on 3x3: a last window that would hang over is left out"),
    ({"kernel": 2, "stride": 1}, _MIXED, "WINDOW", "overlapping windows: stride below the kernel"),
    ({"kernel": (2, 3), "stride": (2, 1)}, _LARGE, "WINDOW", "height and width differ throughout"),
    ({"kernel": (3, 2), "stride": (1, 3)}, _LARGE, "WINDOW", "and the other way round"),
    ({"kernel": 3, "stride": 2}, _LARGE, "WINDOW", "3x3 in steps of 2, no remainder"),
    ({"kernel": 3, "stride": 4}, _LARGE, "WINDOW", "a stride beyond the kernel skips places"),
    ({"kernel": 2, "stride": 2, "padding": ((1, 0), (1, 0))}, _NEGATIVE, "PADDING SIGN",
     "pads on top and left of a map of negative numbers"),
    ({"kernel": 2, "stride": 2, "padding": ((0, 1), (0, 1))}, _NEGATIVE, "PADDING SIGN",
     "pads at the bottom and right of a map of negative numbers"),
    ({"kernel": 3, "stride": 1, "padding": 1}, _NEGATIVE, "PADDING SIGN",
     "3x3 with pads all around: the size stays"),
    ({"kernel": 3, "stride": 1, "padding": 2}, ("int8", [[[[-5]]]]), "PADDING DEGENERATE SIGN",
     "one element under every corner of the window"),
    ({"kernel": 1, "stride": 1}, _MIXED, "DEGENERATE", "a window of one place changes nothing"),
    ({"kernel": 1, "stride": 2}, _LARGE, "DEGENERATE WINDOW", "a window of one place, stride 2"),
    ({"kernel": (5, 7), "stride": 1}, _LARGE, "WINDOW", "one window over the whole map"),
    ({"kernel": 2, "stride": 2}, ("int8", np.zeros((0, 2, 4, 4), int)), "DEGENERATE",
     "no image at all"),
    ({"kernel": 2, "stride": 2}, ("uint2", [[[[3, 0], [1, 2]]], [[[0, 0], [0, 1]]]]), "BASIC",
     "2-bit codes, two images"),
    ({"kernel": 2, "stride": 1}, ("int8", [[[[-128, -128], [-128, -128]]]]), "BOUNDARY SATURATE",
     "the lowest numbers of the type"),
    ({"kernel": 2, "stride": 1}, ("int8", [[[[127, 127], [127, 127]]]]), "BOUNDARY SATURATE",
     "the largest numbers of the type: a sum leaves it and is not clamped"),
    ({"kernel": (1, 2), "stride": 1, "padding": ((0, 0), (1, 1))}, ("int[5,9]", [[[[5, 9]]]]),
     "PADDING", "a type that does not hold 0"),
)
# attributes, x, clause, error, why
_REFUSED: tuple[tuple[dict[str, Any], Typed, str, str], ...] = (
    ({"kernel": [4, 1], "stride": [1, 1], "padding": [[0, 0], [0, 0]]}, _MIXED, "shape",
     "a window higher than the map"),
    ({"kernel": [2, 2], "stride": [1, 1], "padding": [[2, 0], [0, 0]]}, _MIXED, "attribute",
     "a pad as large as the kernel: a window of nothing"),
    ({"kernel": [2, 2], "stride": [0, 1], "padding": [[0, 0], [0, 0]]}, _MIXED, "attribute",
     "a stride of 0"),
    ({"kernel": [2, 2], "stride": [1, 1], "padding": [[0, 0], [0, -1]]}, _MIXED, "attribute",
     "a negative pad"),
    ({"kernel": [2, 2], "stride": [1, 1], "padding": [[0, 0], [0, 0]]}, ("int8", [[1, 2]]),
     "shape", "x is a vector, no map"),
    ({"kernel": [2, 2], "padding": [[0, 0], [0, 0]]}, _MIXED, "attribute",
     "no stride: it does not follow from the kernel"),
    ({"kernel": [2, 2], "stride": [2, 2], "padding": [[0, 0], [0, 0]], "ceil_mode": 1}, _MIXED,
     "attribute", "an attribute that does not exist"),
)  # fmt: skip


def _pool(kind: type[MaxPool] | type[SumPool], clauses: str, says: str) -> list[Case]:
    name = kind.__name__.lower()
    cases = [
        operator_case(f"{name}.window.{i:04d}", clauses, kind(**given), {"x": x}, flags,
                      f"{kind.__name__}: {why}; {says}.", tier="smoke" if i in (1, 7) else "core")
        for i, (given, x, flags, why) in enumerate(_WINDOWS, start=1)
    ]
    types = [
        about(c, f"{name}.type.{i:04d}", clauses, "result_type", "TYPE",
              f"Range and shape of the result of {c.id}: they follow from the type of x.")
        for i, c in enumerate((cases[0], cases[8], cases[14], cases[17]), start=1)
    ]
    refused = [
        function_case(f"{name}.refused.{i:04d}", clauses.split()[0], kind.__name__, given,
                      {"x": x}, "BOUNDARY", f"{kind.__name__} must be refused: {why}.", error=error)
        for i, (given, x, error, why) in enumerate(_REFUSED, start=1)
    ]
    return [*cases, *types, *refused, *_random(kind, clauses)]


def _random(kind: type[MaxPool] | type[SumPool], clauses: str) -> Sequence[Case]:
    cases = []
    for i in range(1, 7):
        id = f"{kind.__name__.lower()}.random.{i:04d}"
        draw = Stream(id)
        kernel = (draw.integer(1, 3), draw.integer(1, 3))
        pads: Any = tuple((draw.integer(0, k - 1), draw.integer(0, k - 1)) for k in kernel)
        op = kind(kernel=kernel, stride=(draw.integer(1, 3), draw.integer(1, 3)), padding=pads)
        x = draw.integers(-128, 127, (2, 2, 5, 6))
        cases.append(operator_case(id, clauses, op, {"x": ("int8", x)},
                                   "PADDING WINDOW PSEUDO_RANDOM",
                                   f"{kind.__name__} with pseudo-random windows and numbers."))
    return cases


def _bound() -> list[Case]:
    op, edge = sum_pool(kernel=2, stride=2), 2**29 - 1
    fits = f"int[-{edge},{edge}]"
    return [
        operator_case("sumpool.bound.0001", "4.6.1 1.3.1", op,
                      {"x": (fits, np.full((1, 1, 2, 2), edge))}, "ACCUMULATOR BOUNDARY",
                      "SumPool: four of the largest numbers that a window of four may add."),
        operator_case("sumpool.bound.0002", "4.6.1 1.3.1", op,
                      {"x": (fits, np.full((1, 1, 2, 2), -edge))}, "ACCUMULATOR BOUNDARY",
                      "SumPool: four of the lowest numbers that a window of four may add."),
        operator_case("sumpool.bound_refused.0001", "4.6.1 1.3.1", op,
                      {"x": (f"int[0,{edge + 1}]", np.zeros((1, 1, 2, 2), int))}, "ACCUMULATOR",
                      "SumPool: one more and four of them could leave the accumulator: refused.",
                      error="accumulator"),
    ]


MAXPOOL: tuple[Case, ...] = tuple(_pool(MaxPool, "4.5.1 4.5.2", "padding never wins"))
SUMPOOL: tuple[Case, ...] = (*_pool(SumPool, "4.6.1", "padding adds 0, nothing is divided"),
                             *_bound())
