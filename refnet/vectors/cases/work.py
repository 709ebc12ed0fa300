"""Cases of the work of an operator [4.9]."""

from __future__ import annotations

import numpy as np

from refnet.program import INT8, Add, Op, Requantize, Reshape, Threshold
from refnet.vectors.cases.build import Case, about, conv, max_pool, operator_case, sum_pool
from refnet.vectors.cases.conv import counted


def _ask(i: int, op: Op, operands: dict[str, object], why: str) -> Case:
    case = operator_case(f"work.count.{i:04d}", "4.9.1", op, operands, "WORK", "template" * 3)
    return about(case, case.id, "4.9.1", "work", "WORK",
                 f"Operations of {type(op).__name__} for one image: {why}.")


def _cases() -> list[Case]:
    none = np.zeros((0, 8, 5, 5), int)
    x = ("uint2", none)
    w = ("ternary", np.ones((4, 8, 3, 3), int))
    rows: tuple[tuple[Op, dict[str, object], str], ...] = (
        (conv(padding=1), {"x": x, "w": w}, "7200 MACs; padding counts"),
        (conv(padding=1), {"x": x, "w": ("ternary", np.zeros((4, 8, 3, 3), int))},
         "zero weights count like others"),
        (conv(padding=1), {"x": x, "w": w, "b": [1, 2, 3, 4]}, "a bias is one addition an output"),
        (conv(groups=4, stride=2), {"x": x, "w": ("ternary", np.ones((4, 2, 3, 3), int))},
         "in groups K is C/G*R*S"),
        (Threshold(), {"x": ("int8", none), "t": np.tile([1, 2, 3], (8, 1)), "sign": [1] * 8},
         "L comparisons an element"),
        (Requantize(type=INT8, rounding="half_up"),
         {"x": ("int8", none), "mult": [1] * 8, "shift": [0] * 8}, "one multiplication an element"),
        (Add(), {"x": x, "y": x}, "one addition an element"),
        (max_pool(kernel=2, stride=2), {"x": x}, "three comparisons an output of 2x2"),
        (sum_pool(kernel=(5, 5), stride=1), {"x": x}, "24 additions an output of 5x5"),
        (sum_pool(kernel=2, stride=1, padding=1), {"x": x}, "padded windows count all places"),
        (max_pool(kernel=1, stride=1), {"x": x}, "a window of one place compares nothing"),
        (Reshape(shape=(200,)), {"x": x}, "nothing"),
        (conv(), {"x": ("int8", counted(2, 3, 1, 1)), "w": counted(5, 3, 1, 1)},
         "per image: two images do not double it"),
        (conv(padding=1), {"x": x, "w": ("ternary", np.arange(288).reshape(4, 8, 3, 3) % 3 - 1)},
         "a third of the weights are zeros and count like the others"),
    )
    return [_ask(i, *row) for i, row in enumerate(rows, start=1)]


CASES: tuple[Case, ...] = tuple(_cases())
