"""Cases of the tier ``methods``: rules of training, layers of methods, canonical block terms.

All numbers lie on a lattice on which every decision is exact in binary64.
"""

from __future__ import annotations

from typing import Any

from refnet.vectors.cases.build import Case, function_case

_Rows = tuple[tuple[Any, ...], ...]


def _case(
    id: str,
    clauses: str,
    op: str,
    attributes: dict[str, Any],
    inputs: dict[str, Any],
    flags: str,
    why: str,
    *,
    error: str | None = None,
) -> Case:
    comment = f"Must be refused: {why}." if error else f"{why}."
    return function_case(
        id, clauses, op, attributes, inputs, flags, comment, error=error, tier="methods"
    )


def _real(values: Any) -> tuple[str, Any]:
    return "binary64", values


# clause, rule, bits, parameters, w, flags, why
_WEIGHTS: _Rows = (
    ("6.8.1", "twn", None, [0.75], [4.0, -3.0, 3.5, -1.5], "TIE SIGN",
     "The threshold is 0.75 * 3 = 2.25, and the mean is over all weights"),
    ("6.8.1", "twn", None, [0.5], [4.0, -2.0, 2.0, 8.0], "TIE",
     "A weight that is equal to the threshold 0.5 * 4 has the code 0"),
    ("6.8.1", "twn", None, [1.0], [2.0, -2.0], "DEGENERATE",
     "With a factor of 1 equal magnitudes leave no weight"),
    ("6.8.2", "bwn", None, [], [0.5, 0.0, -0.25, -3.0], "BASIC SIGN TIE", "Zero has the code 1"),
    ("6.8.2", "bwn", None, [], [0.0, 0.0], "DEGENERATE", "A filter of zeros has the codes 0"),
    ("6.8.3", "ttq", None, [0.25, 1.0, 0.5], [4.0, 1.0, -1.0, -2.0, 0.5], "TIE BOUNDARY",
     "The threshold itself has the code 0; 63.5 goes to the even 64"),
    ("6.8.3", "ttq", None, [0.0, 0.25, 1.0], [4.0, 0.0, -1.0], "BOUNDARY",
     "Without a threshold zero alone has the code 0; the larger scale is of the other sign"),
    ("6.8.4", "dorefa", 2, [], [-1.0, 0.0, 1.0, 0.125], "TIE BOUNDARY",
     "Zero lies between two levels and goes up; the ends are the ends"),
    ("6.8.4", "dorefa", 1, [], [0.0, -0.5, 2.0], "TIE", "One bit is the sign, zero with +1"),
    ("6.8.4", "dorefa", 3, [], [-2.0, 0.75, 0.25, -0.5, 2.0], "BASIC",
     "Three bits: tanh moves small weights outwards"),
    ("6.8.4", "dorefa", 2, [], [0.0, 0.0], "DEGENERATE TIE",
     "Zeros have the code 1, as every zero"),
    ("6.8.5", "lq", None, [1.0, 3.0], [-4.0, -3.0, 0.0, 3.0, 9.0], "TIE BOUNDARY",
     "Levels -4, -2, 2, 4: ties go down, 63.5 to the even 64"),
    ("6.8.5", "lq", None, [0.5, 1.0, 4.0], [0.0, 3.0, -3.5, 5.25, 1.0], "TIE",
     "Eight uneven levels"),
)  # fmt: skip
# clause, rule, bits, parameters, x, flags, why
_ACTIVATIONS: _Rows = (
    ("6.8.6", "hwgq", 2, [0.5], [-1.0, 0.0, 0.25, 0.5, 1.0, 9.0], "BOUNDARY",
     "Half of normal numbers are zero: whatever is positive is not"),
    ("6.8.6", "hwgq", 2, [0.75], [0.5, 0.625, 0.75, 1.0, 2.0], "BOUNDARY",
     "Three quarters are zero: the first threshold 0.6745 is not half a step"),
    ("6.8.6", "hwgq", 1, [], [0.25, 0.5, 1.0, 8.0], "BASIC SATURATE",
     "One bit of least error: the threshold is half a step"),
    ("6.8.7", "dorefa", 1, [], [0.5, 0.5625, -1.0, 3.0], "TIE SATURATE",
     "One bit: the half is a tie and goes down"),
    ("6.8.7", "dorefa", 2, [], [0.125, 0.25, 0.5, 0.75, 1.0, 2.0], "TIE SATURATE",
     "0.5 * 3 lies between 1 and 2 and goes down"),
)  # fmt: skip


def _rules() -> list[Case]:
    cases = []
    for name, letter, rows in (("weight", "w", _WEIGHTS), ("activation", "x", _ACTIVATIONS)):
        for i, (clause, rule, bits, p, x, flags, why) in enumerate(rows, start=1):
            given = {"rule": rule} if bits is None else {"rule": rule, "bits": bits}
            cases.append(
                _case(
                    f"layers.{name}_rule.{i:04d}",
                    clause,
                    f"{name}_rule",
                    given,
                    {letter: _real(x), "p": _real(p)},
                    flags,
                    why,
                )
            )
    return cases


_X = [[1, 3, 1, 3], [0, 0, 4, 4], [2, 2, 2, 2]]
# bits, form, X, z, w, bias, flags, why
_LINEAR: _Rows = (
    (2, "profile", _X, [4, 8, 12, 16], [1, 1, 1], [], "BASIC",
     "Alpha is 2, and the third input never varies: it is silent and keeps its code"),
    (2, "profile", [[0, 4, 0, 4], [1, 1, 5, 5]], [1, 5, 5, 9], [2, 1], [], "BASIC",
     "Both inputs have the code 1 and alpha 1: the bias is 5 less 1 * (2 + 3)"),
    (2, "fixed", [[0, 4, 0, 4], [1, 1, 5, 5]], [9, 5, 5, 1], [2, 1], [], "SIGN",
     "The same turned over: the bias is 5 + 5"),
    (2, "profile", [[0, 4, 0, 4], [1, 1, 5, 5]], [3, 7, 7, 11], [2, 1], [3.0], "BOUNDARY",
     "A bias of 3 that is given: nothing is centred"),
    (2, "profile", [[2, 2], [3, 3]], [1, 5], [1, -1], [], "DEGENERATE",
     "No input varies: a dead filter, and the bias is the mean"),
    (1, "profile", [[0, 4, 0, 4], [0, 0, 2, 2]], [2, 6, 0, 4], [1, 1], [], "SIGN",
     "Binary codes: the response falls with the second input"),
)  # fmt: skip


def _linear() -> list[Case]:
    return [
        _case(f"layers.linear.{i:04d}", "6.5.1", "linear_layer",
              {"bits": bits, "form": form, "sweeps": 20},
              {"X": ("int8", X), "z": ("int16", z), "w": ("int16", w), "bias": _real(bias)},
              flags, why)
        for i, (bits, form, X, z, w, bias, flags, why) in enumerate(_LINEAR, start=1)
    ]  # fmt: skip


# codes, alpha, bias, y, flags, why
_ITERATES: _Rows = (
    ([[1, 0], [1, 1], [0, 1]], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 2.0], "BASIC",
     "The second iterate gives y, the later one does not"),
    ([[1, 1], [1, 1], [0, 0]], [0.625, 0.75, 1.0], [-0.0625, 0.0625, 1.0], [0.0, 1.0, 1.0, 1.0],
     "BOUNDARY", "The first gives y behind the quantizer, the second is nearer before it"),
    ([[0, 0], [1, 1], [1, 1]], [1.0, 1.0, 0.75], [0.0, 0.0, 0.25], [0.0, 1.0, 1.0, 2.0], "TIE",
     "The last two are free of cost: the earlier one is kept"),
)  # fmt: skip


def _iterates() -> list[Case]:
    return [
        _case(f"layers.iterates.{i:04d}", "6.5.2", "kept_iterate", {},
              {"X": ("int8", [[0, 1, 0, 1], [0, 0, 1, 1]]), "y": _real(y),
               "thresholds": _real([0.5, 1.5]), "levels": _real([0.0, 1.0, 2.0]),
               "codes": ("int8", codes), "alpha": _real(alpha), "bias": _real(bias)}, flags, why)
        for i, (codes, alpha, bias, y, flags, why) in enumerate(_ITERATES, start=1)
    ]  # fmt: skip


_LEAST = 2.0**-150
_FILTERS = [[1, -1], [1, 0], [0, 0], [1, 1]]


def _dead() -> list[Case]:
    rows: _Rows = (
        (2, _FILTERS, [0.5, _LEAST, 2.0, 0.0], "DEGENERATE BOUNDARY TIE",
         "2**-150 is a tie in binary32 and goes to zero; no code at all is dead too"),
        (2, [[1], [-1]], [_LEAST * (1 + 2.0**-52), 2 * _LEAST], "BOUNDARY",
         "The number after it is alive, as the least number of binary32 is"),
        (1, [[1, -1], [-1, -1]], [0.0, 0.5], "DEGENERATE",
         "A dead binary filter keeps its codes and the scale 0"),
    )  # fmt: skip
    return [
        _case(f"layers.dead.{i:04d}", "6.5.3", "dead_filters", {"bits": bits},
              {"codes": ("int8", codes), "alpha": _real(alpha)}, flags, why)
        for i, (bits, codes, alpha, flags, why) in enumerate(rows, start=1)
    ]  # fmt: skip


def _latents() -> list[Case]:
    rows: _Rows = (
        (2, [[1.0, 0.25, -8.0, 1.0]], [[1, 1, 0, -1]], [0.5], "BOUNDARY SIGN",
         "Two are too large, one too small, one of the wrong sign"),
        (4, [[3.0, 6.5, -1.0], [5.0, 5.0, 5.0]], [[3, 7, -2], [1, 0, -1]], [1.0, 0.0], "BOUNDARY",
         "More codes; a dead filter begins at its codes"),
        (1, [[2.0, -0.5, 0.25, -3.0]], [[1, 1, -1, -1]], [1.0], "SIGN BOUNDARY",
         "Binary codes bind the sign only, and the latent to within 1.45 of the code outwards"),
    )  # fmt: skip
    return [
        _case(f"layers.latents.{i:04d}", "6.5.4", "latents", {"bits": bits},
              {"w": _real(w), "codes": ("int8", codes), "alpha": _real(alpha)}, flags, why)
        for i, (bits, w, codes, alpha, flags, why) in enumerate(rows, start=1)
    ]  # fmt: skip


def _factors(A: Any, G: Any, B: Any, suffix: str = "") -> dict[str, Any]:
    return {f"{n}{suffix}": ("int32", v) for n, v in zip("AGB", (A, G, B), strict=True)}


_SMALL = ([[[0], [1]], [[-1], [0]]], [[[[1, 1]]], [[[2, -3]]]], [[[1], [0]], [[0], [-1]]])
_TURNED = ([[[0, -1], [1, 0]]], [[[[1, 0], [0, 0]], [[0, 0], [0, 4]]]], [[[1, 0], [0, -1]]])


def _terms() -> list[Case]:
    A, G, B = _SMALL
    other = ([[[0], [2]], [[1], [0]]], [[[[1, 1]]], [[[2, -3]]]], [[[1], [0]], [[0], [1]]])
    return [
        _case("layers.canonical.0001", "6.7.2", "canonical_terms", {}, _factors(*_SMALL),
              "SIGN BASIC", "The larger core first, columns positive, the core takes the signs"),
        _case("layers.canonical.0002", "6.7.2", "canonical_terms", {}, _factors(*_TURNED),
              "SIGN", "One term: its ranks exchange places, the larger slice first"),
        _case("layers.canonical.0003", "6.7.2", "canonical_terms", {},
              _factors([[[3]]], [[[[-1, 2]]]], [[[-2]]]), "BOUNDARY",
              "One number a column: its size goes into the core"),
        _case("layers.canonical.0004", "6.7.2", "canonical_terms", {},
              _factors([[[1], [0]], [[0], [1]], [[0], [-1]]], [[[[2]]], [[[5]]], [[[1]]]],
                       [[[1]], [[1]], [[1]]]), "SIGN",
              "Three terms, the largest in the middle"),
        _case("layers.distance.0001", "6.7.6", "term_distance", {},
              {**_factors(*_SMALL), **_factors(*other, "2")}, "BASIC",
              "The first term is doubled, the second is the same with other signs"),
        _case("layers.distance.0002", "6.7.6", "term_distance", {},
              {**_factors(*_SMALL), **_factors(A[::-1], G[::-1], B[::-1], "2")}, "BOUNDARY",
              "The same terms in another order: no distance"),
        _case("layers.distance.0003", "6.7.6", "term_distance", {},
              {**_factors(*_SMALL), **_factors([[[0], [0]]], [[[[0, 0]]]], [[[0], [0]]], "2")},
              "DEGENERATE", "From the tensor of zeros the distance is the norm"),
    ]  # fmt: skip


CASES: tuple[Case, ...] = (
    *_rules(), *_linear(), *_iterates(), *_dead(), *_latents(), *_terms(),
)  # fmt: skip
