"""Cases of real levels to integer thresholds [3.4] and of the operator Threshold [4.2]."""

from __future__ import annotations

from typing import Any

import numpy as np

from refnet.program import Threshold
from refnet.vectors.cases.build import Case, function_case, operator_case
from refnet.vectors.stream import Stream

# levels, scale, offset, accumulator type, flags, why
_REALS: tuple[tuple[list[float], list[float], list[float], str, str, str], ...] = (
    ([0.5, 1.0], [0.25, -0.25, 0.0], [0.0, 0.0, 0.75], "int[-9,9]", "TIE SIGN BASIC",
     "0.25 * 2 is a level exactly and keeps the lower code, so the threshold is 3, not 2"),
    ([0.5, 1.5, 2.5], [0.5, 0.5, -0.5], [0.0, 0.25, 0.5], "int[-40,40]", "TIE SIGN",
     "levels that integers hit, with an offset, and with a negative scale"),
    ([0.5, 0.9, 1.0], [0.1, -0.1, 0.2], [0.0, 0.0, 0.0], "int[-20,20]", "TIE BOUNDARY",
     "0.5 / 0.1 is below 5 in exact rationals of the binary64 numbers, 5 in floating point"),
    ([-1.0, 0.0, 1.0], [2.0, -2.0], [0.0, 0.0], "int[-3,3]", "BOUNDARY SIGN",
     "a scale above one: neighbouring levels share a threshold"),
    ([-100.0, 0.5, 100.0], [1.0, -1.0], [0.0, 0.0], "int[-9,5]", "BOUNDARY SATURATE",
     "levels that nothing passes or everything passes: thresholds hi + 1 and lo of sign*acc"),
    ([0.0, 0.5, 0.75, 1.0], [0.0, 0.0, 0.0], [0.75, -1.0, 2.0], "int[-9,9]", "DEGENERATE BOUNDARY",
     "scale 0: the code is that of the offset; at offset = level the lower code"),
    ([0.5], [2.0**-31], [0.0], "int[-2147483646,2147483646]", "BOUNDARY ACCUMULATOR",
     "a tiny scale: the threshold lies at 2**30 + 1"),
    ([1.0], [2.0**-40, -(2.0**-40)], [0.0, 0.0], "int[-2147483646,2147483646]",
     "BOUNDARY ACCUMULATOR", "never reached: the threshold is the 32-bit number 2**31 - 1"),
    ([0.5, 0.5, 0.5], [1.0], [0.0], "int8", "DEGENERATE", "equal levels give equal thresholds"),
    ([1e300, 2e300], [1e-300, 1e300], [0.0, 0.0], "int8", "BOUNDARY",
     "quotients that overflow binary64 are ordinary rationals"),
    ([0.5, 1.0], [0.5, 0.5], [1e-17, -1e-17], "int8", "TIE BOUNDARY",
     "an offset below the last bit of the level still counts"),
    ([0.5, 1.0, 1.5], [0.25], [0.0], "uint8", "TIE", "an unsigned accumulator: lo is 0"),
    ([0.0, 0.5], [-0.0, 0.0], [0.25, -0.25], "int[-9,5]", "SIGN DEGENERATE",
     "minus zero is zero: its sign is +1"),
    ([-0.0, 0.0], [1.0, -1.0], [0.0, -0.0], "int8", "SIGN TIE",
     "zero and minus zero are one level: p = 0 passes neither"),
    ([0.5, 1.5], [0.5, -0.5], [0.75, 0.75], "int[-3,1]", "SIGN BOUNDARY",
     "an offset, and a range that is not symmetric: it turns over with the sign"),
    ([0.5, 1.5], [-1.0, -3.0], [0.0, 0.25], "uint4", "SIGN BOUNDARY",
     "an unsigned accumulator under a negative scale: sign*acc has the range [-15, 0]"),
)


def _integer_thresholds() -> list[Case]:
    cases = [
        function_case(
            f"thresholds.levels.{i:04d}", "3.4.1 3.4.2 3.4.3", "integer_thresholds", {"acc": acc},
            {"levels": ("binary64", levels), "scale": ("binary64", scale),
             "offset": ("binary64", offset)},
            flags, f"Integer thresholds: {why}.", tier="smoke" if i == 1 else "core")
        for i, (levels, scale, offset, acc, flags, why) in enumerate(_REALS, start=1)
    ]
    refused: tuple[tuple[list[float], float, str, str, str], ...] = (
        ([1.0, 0.5], 1.0, "int8", "operand", "levels that fall"),
        ([0.5, float("inf")], 1.0, "int8", "operand", "an infinite level"),
        ([0.5], float("nan"), "int8", "operand", "a scale that is no number"),
    )
    cases += [
        function_case(
            f"thresholds.refused.{i:04d}", "3.4.1 3.4.2", "integer_thresholds", {"acc": acc},
            {"levels": ("binary64", levels), "scale": ("binary64", [scale]),
             "offset": ("binary64", [0.0])}, "BOUNDARY", f"Must be refused: {why}.", error=error)
        for i, (levels, scale, acc, error, why) in enumerate(refused, start=1)
    ]
    for i in range(1, 5):
        id = f"thresholds.random.{i:04d}"
        draw = Stream(id)
        levels = np.sort(draw.integers(-40, 40, (3,))) / 8
        scale, offset = draw.integers(-8, 8, (6,)) / 16, draw.integers(-16, 16, (6,)) / 8
        cases.append(function_case(
            id, "3.4.1 3.4.2 3.4.3", "integer_thresholds", {"acc": "int[-100,60]"},
            {"levels": ("binary64", levels), "scale": ("binary64", scale),
             "offset": ("binary64", offset)}, "TIE PSEUDO_RANDOM",
            "Pseudo-random eighths and sixteenths, where integers often hit a level."))
    return cases


_AROUND = [[-4, -3, -2, -1, 0, 1, 2, 3, 4]]
_LINE = np.array(_AROUND).reshape(1, 1, 1, 9)
_BOTH = np.repeat(_LINE, 2, axis=1)
_ENDS = [[[2147483646, -2147483646], [2147483645, -2147483645]]]
_ACCUMULATOR = "int[-2147483646,2147483646]"
# kind, operands, flags, why, tier
_COUNTED: tuple[tuple[str, dict[str, Any], str, str, str], ...] = (
    ("basic", {"x": ("int8", _LINE), "t": [[-2, 0, 3]], "sign": [1]}, "BASIC BOUNDARY",
     "every accumulator around three thresholds: equal counts as passed", "smoke"),
    ("sign", {"x": ("int8", _BOTH), "t": [[-2, 0, 3], [-2, 0, 3]], "sign": [1, -1]},
     "SIGN BOUNDARY", "the same thresholds with sign -1: -x is compared, with >= again",
     "smoke"),
    ("equal", {"x": ("int8", _LINE), "t": [[1, 1, 1]], "sign": [1]}, "BOUNDARY DEGENERATE",
     "three equal thresholds: the code jumps from 0 to 3", "core"),
    ("single", {"x": ("int8", _BOTH), "t": [[0], [0]], "sign": [1, -1]}, "BOUNDARY SIGN",
     "one threshold at 0: zero passes under either sign", "smoke"),
    ("never", {"x": ("int8", _BOTH), "t": [[-128, 0, 128], [-127, 0, 129]], "sign": [1, -1]},
     "BOUNDARY", "always passed, ordinary, never passed: beyond the bits of x", "core"),
    ("channels", {"x": ("int8", np.arange(-6, 6).reshape(1, 3, 2, 2)),
                  "t": [[-5, -4, -3], [-1, 0, 1], [-5, -4, -3]], "sign": [1, 1, -1]},
     "BOUNDARY SIGN LAYOUT", "three channels with thresholds of their own", "smoke"),
    ("vector", {"x": ("int8", [[3, -1], [-2, 5]]), "t": [[0, 3], [-1, 5]], "sign": [1, 1]},
     "BOUNDARY LAYOUT", "two images of a vector (K,): the channel axis is axis 1", "core"),
    ("bound", {"x": (_ACCUMULATOR, _ENDS), "t": [[-2147483646, 0, 2147483646],
                                               [-2147483645, 2147483645, 2147483647]],
               "sign": [1, -1]},
     "ACCUMULATOR BOUNDARY", "thresholds at and beyond the largest accumulators", "core"),
    ("many", {"x": ("int8", _LINE), "t": [list(range(-7, 8))], "sign": [-1]}, "SIGN BOUNDARY",
     "fifteen thresholds, a 4-bit code, counted down by the sign", "core"),
    ("empty", {"x": ("int8", np.zeros((0, 1, 2, 2), int)), "t": [[0]], "sign": [1]},
     "DEGENERATE", "no image at all", "core"),
    ("rank", {"x": ("int8", np.arange(-6, 6).reshape(2, 2, 3)), "t": [[-3, 0], [0, 4]],
              "sign": [-1, 1]}, "LAYOUT", "a map of two axes (C, K)", "core"),
    ("lowest", {"x": ("int8", np.repeat([[[[-128, -127, 127]]]], 2, axis=1)),
                "t": [[-127, 127, 128], [-128, 127, 128]], "sign": [-1, 1]},
     "SIGN BOUNDARY SATURATE", "-(-128) is 128, which 8 bits do not hold", "core"),
    ("lowest16", {"x": ("int16", [[-32768, 32767], [32767, -32768]]),
                  "t": [[-32767, 32768], [-32768, 32767]], "sign": [-1, -1]},
     "SIGN BOUNDARY SATURATE", "-(-32768) is 32768, which 16 bits do not hold", "core"),
    ("above", {"x": ("uint8", [[0, 255]]), "t": [[-1, 0, 1, 256], [-255, -254, 0, 1]],
               "sign": [1, -1]}, "SIGN BOUNDARY", "unsigned sums: 0 and 255 under either sign",
     "core"),
    ("axis", {"x": ("int8", (np.arange(27) * 5 % 14 - 6).reshape(1, 3, 3, 3)),
              "t": [[-5, 0], [-1, 1], [2, 4]], "sign": [1, -1, 1]}, "LAYOUT SIGN",
     "as many channels as rows and columns: thresholds belong to a channel", "core"),
    ("middle16", {"x": ("int[-70000,70000]", [[69999, -69999, 40000, -40000]]),
                  "t": [[50000, 69999], [-69999, -40000], [32768, 40000], [40000, 65537]],
                  "sign": [1, 1, 1, -1]}, "BOUNDARY ACCUMULATOR",
     "sums and thresholds beyond 16 bits", "core"),
)


def _threshold() -> list[Case]:
    name, op = "threshold", Threshold()
    cases = [
        operator_case(f"{name}.{kind}.0001", "4.2.1 4.2.2", op, operands, flags,
                      f"Threshold: {why}.", tier=tier)
        for kind, operands, flags, why, tier in _COUNTED
    ]
    return cases + _refused(op) + _random(op)


def _refused(op: Threshold) -> list[Case]:
    x = ("int8", [[1, 2]])
    rows: tuple[tuple[dict[str, Any], str, str], ...] = (
        ({"x": x, "t": [[3, 2], [0, 1]], "sign": [1, 1]}, "operand", "thresholds that fall"),
        ({"x": x, "t": [[0, 1], [0, 1]], "sign": [1, 0]}, "operand", "a sign of 0"),
        ({"x": x, "t": [[0, 1], [0, 1]], "sign": [1, 2]}, "operand", "a sign of 2"),
        ({"x": x, "t": [[0, 1]], "sign": [1, 1]}, "shape", "thresholds of one channel for two"),
        ({"x": x, "t": [[0, 1], [0, 1]], "sign": [1]}, "shape", "one sign for two channels"),
        ({"x": x, "t": [0, 1], "sign": [1, 1]}, "shape", "thresholds without the axis of levels"),
        ({"x": ("int32", [[1, 2]]), "t": [[0], [0]], "sign": [1, 1]}, "accumulator",
         "int32 goes beyond the accumulator bound: -x need not have 32 bits"),
        ({"x": x, "t": [[0], [0]]}, "operand", "no sign operand: there is no default"),
    )
    return [
        operator_case(f"threshold.refused.{i:04d}", "4.2.1", op, operands, "BOUNDARY",
                      f"Must be refused: {why}.", error=error)
        for i, (operands, error, why) in enumerate(rows, start=1)
    ]


def _random(op: Threshold) -> list[Case]:
    cases = []
    for i in range(1, 7):
        id = f"threshold.random.{i:04d}"
        draw = Stream(id)
        t = np.sort(draw.integers(-12, 12, (4, 3)), axis=1)
        sign = 2 * draw.integers(0, 1, (4,)) - 1
        x = draw.integers(-16, 15, (2, 4, 3, 3))
        cases.append(operator_case(
            id, "4.2.2", op, {"x": ("int5", x), "t": t, "sign": ("ternary", sign)},
            "BOUNDARY PSEUDO_RANDOM", "Pseudo-random accumulators of a range in which many "
            "equal a threshold."))
    return cases


INTEGER_THRESHOLDS: tuple[Case, ...] = tuple(_integer_thresholds())
THRESHOLD: tuple[Case, ...] = tuple(_threshold())
