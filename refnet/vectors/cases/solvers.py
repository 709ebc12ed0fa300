"""Cases of chapter 06: optimal ternary codes, least squares in codes, z steps.

All numbers are small integers or lie on a lattice, so that every decision is exact in binary64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refnet.vectors.cases.build import Case, function_case
from refnet.vectors.stream import Stream

_TERNARY = "6.1.1 6.1.2"
# w, flags, why
_OPTIMAL: tuple[tuple[list[int], str, str], ...] = (
    ([10, -9, 2, 0], "BASIC SIGN", "f is 100, 180.5, 147, 110.25: two codes are kept"),
    ([2, 6, 2, -2], "TIE SIGN", "f(1) = f(4) = 36: the smaller support, and no other code"),
    ([3, 3, -3, 1], "TIE", "three equal magnitudes, all kept: none of them comes first"),
    ([-1, 3, 1, 1], "TIE", "f(1) = 9 = f(4): one code, wherever it stands"),
    ([0, 0, 0], "DEGENERATE", "zero weights: codes and scale are 0"),
    ([-7], "DEGENERATE SIGN", "one weight: its sign, and its magnitude as scale"),
    ([5, -5, 5, -5, 5], "TIE SIGN", "equal magnitudes only: all are kept"),
    ([32767, -32768, 16000, 9000, -1], "BOUNDARY SIGN", "16-bit numbers, their squares are wide"),
    ([1, 10, -3, 1, -1], "SIGN", "one code: f(1) = 100 and f(2) = 84.5, though 3 is near the mean"),
    ([12, -4, 4, 4, 1], "TIE SIGN", "f(1) = f(4) = 144 and f(5) = 125: neither four codes nor all"),
    ([4, 4, 2, 2, 1, 1, 0, 0], "TIE", "pairs of equals: f is 16, 32, 33.3, 36, 33.8, 32.7: four"),
    ([10, 4, -4, 4, 4, -4, 4], "SIGN", "f falls from 100 to 98 and then rises to 165: all seven"),
    ([-20, 9, 1, 9, 9, -1, 9, 9], "SIGN", "f is 400, 420.5, ..., 704, 622.3: the six largest"),
    ([31722, -26197, 13017], "BOUNDARY SIGN", "f(2) and f(3) are 85 apart of 1677305365, which 24 "
     "bits do not tell: all three"),
    ([8, 4, -4, 4, 1, -1], "TIE", "f is 64, 72, 85.3, 100, 88.2: those of exactly half the largest "
     "are kept"),
    ([0, 9, 8, 0, -7, 1, 0, 0, 0, 0], "SIGN", "three of ten: a fixed share of the weights is no "
     "rule"),
)


def _optimal_ternary() -> list[Case]:
    cases = [
        function_case(
            f"solvers.ternary.{i:04d}", _TERNARY, "optimal_ternary", {}, {"w": ("int16", w)},
            flags, f"Optimal ternary codes: {why}.", tier="smoke" if i < 3 else "core")
        for i, (w, flags, why) in enumerate(_OPTIMAL, start=1)
    ]
    for i in range(1, 5):
        id = f"solvers.ternary_random.{i:04d}"
        w = Stream(id).integers(-6, 6, (12,))
        cases.append(function_case(
            id, _TERNARY, "optimal_ternary", {}, {"w": ("int16", w)}, "TIE PSEUDO_RANDOM",
            "Pseudo-random small integers, among which many magnitudes are equal."))
    return cases


def _weight_codes() -> list[Case]:
    rows: tuple[tuple[int, list[int], str, str], ...] = (
        (3, [3, -24, -7, 4], "BASIC SIGN", "3 bits: the second scale, smaller, gives 4 a code"),
        (4, [-12, 23, 6, 20, 84], "SIGN", "4 bits: the second scale gives 6 the code 1"),
        (4, [14, 3, 13], "BOUNDARY", "4 bits: the second scale is larger, and 3 goes from 2 to 1"),
        (2, [10, -9, 2, 0], "DEGENERATE", "2 bits are the ternary codes"),
        (1, [3, -2, 0, -7], "SIGN BOUNDARY", "1 bit: the sign, and +1 for zero"),
        (4, [0, 0], "DEGENERATE", "zero weights have zero codes"),
        (3, [-3, -10, -18, 0, -5], "SIGN", "3 bits: alternating scales give -3 the code -1"),
        (3, [6, 3, -1], "TIE", "w / alpha of 3 is 1.5 at first: a tie, to the even code 2"),
    )
    cases = [
        function_case(
            f"solvers.start.{i:04d}", "6.3.3", "weight_codes", {"bits": bits},
            {"w": ("int16", w)}, flags, f"Codes for weights without data: {why}.")
        for i, (bits, w, flags, why) in enumerate(rows, start=1)
    ]
    for i, bits in enumerate((3, 3, 4), start=1):
        id = f"solvers.start_random.{i:04d}"
        cases.append(function_case(
            id, "6.3.3", "weight_codes", {"bits": bits},
            {"w": ("int16", Stream(id).integers(-9, 9, (9,)) ** 3)}, "PSEUDO_RANDOM",
            "Pseudo-random cubes, few of them large: codes from alternating scales."))
    return cases


_DIAGONAL = [[2, 0, 0], [0, 2, 0], [0, 0, 0]]
# clauses, bits, form, sweeps, X, z, start, flags, why
_DESCENTS: tuple[tuple[str, int, str, int, Any, list[int], list[int], str, str], ...] = (
    ("6.2.1 6.2.5", 2, "profile", 50, _DIAGONAL, [4, 2, 9], [1, 0, -1], "BASIC",
     "the second code turns 64/4 into 144/8; the third weight meets no input and stays"),
    ("6.2.6", 2, "fixed", 50, _DIAGONAL, [4, 2, 9], [1, 0, -1], "BASIC TIE",
     "alpha is 2 and 2|r| = alpha G: the tie goes to 0"),
    ("6.2.6", 2, "fixed", 1, [[2, 0], [0, 2]], [4, 2], [1, 1], "TIE",
     "the same weights from code 1: alpha is 1.5 and 2 * 4 > 1.5 * 4, the code stays"),
    ("6.2.3", 2, "profile", 0, [[1, 2], [0, 1]], [-3, -1], [1, 1], "SIGN",
     "no sweep: N < 0 turns the codes over, nothing else happens"),
    ("6.2.3", 2, "fixed", 9, [[1, 2, 0], [0, 1, 3]], [-3, -1, -2], [1, 1], "SIGN",
     "turned over first, or the fixed form would not begin"),
    ("6.2.5", 2, "profile", 50, [[1, 1], [1, 1], [0, 1]], [3, 3], [1, 0, 0], "TIE",
     "two equal inputs: a code on the second explains the same, and is not taken"),
    ("6.2.5", 2, "profile", 50, [[1, 0], [0, 1]], [0, 5], [0, 0], "TIE SIGN",
     "from zero codes: -1 and +1 of the first weight explain nothing, +1 of the second does"),
    ("6.2.5", 2, "profile", 50, [[1, 0, 0], [0, 2, 0]], [3, 1, 0], [-1, 1], "SIGN",
     "the second weight alone is behind the sign of N at the start"),
    ("6.2.2", 2, "profile", 50, [[1, 2], [2, 1]], [0, 0], [1, -1], "DEGENERATE",
     "no wanted response: dead, codes N and D are 0"),
    ("6.2.2", 2, "fixed", 50, [[1, 2], [1, 2]], [5, 1], [1, -1], "DEGENERATE BOUNDARY",
     "opposite codes on equal inputs: the response has vanished and the fixed form cannot begin"),
    ("6.2.2", 2, "profile", 50, [[1, 2], [1, 2]], [5, 1], [1, -1], "BOUNDARY",
     "the same start, but the profile form leaves it"),
    ("6.2.2 6.2.4", 2, "profile", 50, [[0, 0], [0, 0]], [1, 2], [1, -1], "DEGENERATE",
     "no input at all: nothing moves, and the filter is dead"),
    ("6.2.7", 1, "profile", 50, [[1, 2, 0], [1, 0, 1], [0, 1, 1]], [2, 3, -4], [1, 1, 1], "BASIC",
     "binary codes: two candidates"),
    ("6.2.7", 1, "fixed", 50, [[2, 0], [0, 2]], [4, 0], [1, -1], "TIE SIGN",
     "binary codes, r = 0: the code stays"),
    ("6.2.7", 1, "fixed", 50, [[1, 2, 0], [1, 0, 1], [0, 1, 1]], [2, 3, -4], [1, 1, 1], "BASIC",
     "binary codes in the fixed form: the sign of r"),
    ("6.3.1 6.3.2", 3, "profile", 50, [[1, 0, 0], [0, 3, 0], [0, 0, 3]], [2, 9, 9], [1, 3, 3],
     "BASIC", "from 1 to 2: two digits change, or one whole code by one"),
    ("6.3.1 6.3.2", 4, "profile", 50, [[1, 0, 0, 0], [0, 7, 0, 0], [0, 0, 7, 0], [0, 0, 0, 7]],
     [4, 49, 49, 49], [3, 7, 7, 7], "BOUNDARY",
     "from 3 = 2 + 1 to 4 no single digit leads: the stitched descent does"),
    ("6.3.2 6.2.6", 4, "fixed", 50, [[1, 0, 0, 0], [0, 7, 0, 0], [0, 0, 7, 0], [0, 0, 0, 7]],
     [4, 49, 49, 49], [3, 7, 7, 7], "BOUNDARY", "the same in the fixed form"),
    ("6.3.2", 3, "fixed", 50, [[2, 0, 0], [0, 2, 0], [0, 0, 2]], [2, 12, 12], [3, 3, 3],
     "TIE SATURATE", "nearest codes, saturated to the type, ties towards 0"),
)


def _code_least_squares() -> list[Case]:
    cases = [
        _descent(f"solvers.descent.{i:04d}", clauses, bits, form, sweeps, X, z, start, flags,
                 f"Least squares in codes: {why}.", tier="smoke" if i < 3 else "core")
        for i, (clauses, bits, form, sweeps, X, z, start, flags, why) in enumerate(
            _DESCENTS, start=1)
    ]
    drawn = [(bits, form) for bits in (2, 1, 3, 4) for form in ("profile", "fixed")]
    for i, (bits, form) in enumerate(drawn * 2, start=1):
        id = f"solvers.descent_random.{i:04d}"
        draw, top = Stream(id), max(2 ** (bits - 1) - 1, 1)
        X, z = draw.integers(-2, 3, (7, 10)), draw.integers(-9, 9, (10,))
        start = 2 * draw.integers(0, 1, (7,)) - 1 if bits == 1 else draw.integers(-top, top, (7,))
        clauses = "6.2.4 6.2.5" if form == "profile" else "6.2.4 6.2.6"
        cases.append(_descent(
            id, clauses + (" 6.3.2" if bits > 2 else ""), bits, form, 50, X, z, start,
            "PSEUDO_RANDOM SIGN", "Least squares in codes: pseudo-random inputs, several sweeps."))
    return cases + _refused()


def _descent(
    id: str, clauses: str, bits: Any, form: str, sweeps: int, X: Any, z: Any, start: Any,
    flags: str, comment: str, *, tier: str = "core", error: str | None = None,
) -> Case:
    return function_case(
        id, clauses, "code_least_squares", {"bits": bits, "form": form, "sweeps": sweeps},
        {"X": ("int8", X), "z": ("int16", z), "start": ("int8", start)}, flags, comment,
        tier=tier, error=error)


def _refused() -> list[Case]:
    X: Any = [[1, 2], [0, 1]]
    rows: tuple[tuple[str, Any, str, Any, Any, str, str], ...] = (
        ("6.2.5", 2, "newton", [1, 2], [1, 0], "attribute", "a form that there is not"),
        ("6.3.1", 9, "profile", [1, 2], [1, 0], "attribute", "nine bits"),
        ("6.3.1", 2, "profile", [1, 2], [2, 0], "operand", "a start that is no ternary code"),
        ("6.2.7", 1, "profile", [1, 2], [1, 0], "operand", "a code 0 among binary codes"),
        ("6.2.1", 2, "profile", [1, 2, 3], [1, 0], "shape", "more responses than samples"),
    )
    return [
        _descent(f"solvers.refused.{i:04d}", clauses, bits, form, 9, X, z, start, "BOUNDARY",
                 f"Must be refused: {why}.", error=error)
        for i, (clauses, bits, form, z, start, error, why) in enumerate(rows, start=1)
    ]


_T, _Q = [0.5, 1.5], [0.0, 1.0, 2.0]
_UNEVEN = ([0.25, 0.5, 2.0], [0.0, 0.375, 1.5, 2.25])
_AROUND = [-1.0, 0.0, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0]
_Reals = list[float]
# form, thresholds, levels, penalty, y, v, flags, why
_Z_STEPS: tuple[tuple[str, _Reals, _Reals, float, _Reals, _Reals, str, str], ...] = (
    ("exact", _T, _Q, 1.0, [1.0], [0.5], "TIE BASIC",
     "v is a threshold and has the lower level: the number after it has the wanted one"),
    ("exact", _T, _Q, 3.0, [1.0] * 8, _AROUND, "TIE BOUNDARY",
     "the level 1 from responses all _AROUND, thresholds and ends included"),
    ("exact", _T, _Q, 1.0, [2.0] * 8, _AROUND, "BOUNDARY",
     "the level 2: from far below, a level between or none at all is cheaper"),
    ("exact", *_UNEVEN, 1.0, [2.25, 0.375, 0.0], [0.0, 2.0, 2.25], "BOUNDARY",
     "uneven levels and thresholds: the way to a middle level is the cheapest"),
    ("exact", [0.5, 0.5], _Q, 1.0, [1.0, 2.0], [0.0, 1.0], "DEGENERATE",
     "equal thresholds: the level between them has no place"),
    ("relaxed", _T, _Q, 3.0, [2.0], [-1.0], "BASIC",
     "costs 4, 7 and 27: staying below is the cheapest"),
    ("relaxed", _T, _Q, 1.0, [0.0, 1.0, 2.0, 0.0, 2.0], [1.0, 2.0, -2.0, 3.0, 5.0], "BOUNDARY",
     "one piece after the other, with the end of a piece where the best lies outside"),
    ("relaxed", *_UNEVEN, 7.0, [2.25, 0.375, 1.5], [0.25, -3.0, 6.0], "BOUNDARY",
     "uneven levels: only the lowest and the highest count"),
)


def _z_steps() -> list[Case]:
    clauses = {"exact": "6.4.1 6.4.3", "relaxed": "6.4.1 6.4.2"}
    cases = [
        _z_case(f"solvers.z_step.{i:04d}", clauses[form], form, t, q, p, y, v, flags,
                f"The z step, {form}: {why}.")
        for i, (form, t, q, p, y, v, flags, why) in enumerate(_Z_STEPS, start=1)
    ]
    cases.append(_z_case(
        "solvers.z_refused.0001", "6.4.1", "exact", [1.5, 0.5], _Q, 1.0, [1.0], [0.0], "BOUNDARY",
        "Must be refused: thresholds that fall.", error="operand"))
    for i, form in enumerate(("exact", "relaxed") * 2, start=1):
        id = f"solvers.z_random.{i:04d}"
        draw = Stream(id)
        levels = np.sort(draw.integers(0, 24, (4,))) / 8
        thresholds = np.sort(draw.integers(1, 24, (3,))) / 8
        y, v = levels[draw.integers(0, 3, (8,))], draw.integers(-16, 40, (8,)) / 8
        cases.append(_z_case(
            id, clauses[form], form, thresholds, levels, (1.0, 3.0)[i % 2], y, v,
            "TIE PSEUDO_RANDOM", "Pseudo-random eighths: the z step where many costs are equal."))
    return cases


def _z_case(
    id: str, clauses: str, form: str, t: Any, q: Any, penalty: float, y: Any, v: Any, flags: str,
    comment: str, *, error: str | None = None,
) -> Case:
    numbers = {"thresholds": t, "levels": q, "penalty": [penalty], "y": y, "v": v}
    return function_case(
        id, clauses, "z_step", {"form": form},
        {name: ("binary64", held) for name, held in numbers.items()}, flags, comment, error=error)


CASES: tuple[Case, ...] = (
    *_optimal_ternary(), *_weight_codes(), *_code_least_squares(), *_z_steps(),
)
