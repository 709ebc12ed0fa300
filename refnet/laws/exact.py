"""Laws against the oracle in exact rationals: nearest level, tie rule, errors, zero, infinity, NaN.

These are the strong ones: every seeded bug in rounding, clipping and scales breaks one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.laws.bound import Bound, Broken, Floats
from refnet.laws.case import Case, Counterexample, parameters_text, real, simplest, wrong_code
from refnet.laws.elementary import Verdict, first_bad, some_codes
from refnet.laws.grid import Grid, UniformGrid
from refnet.laws.tabulated import spacing

#: Errors are measured in exact arithmetic, at about so many reals of a case.
MOST_ERRORS = 2000
#: Exceptions that refuse a value.
REFUSALS = (ValueError, ArithmeticError)


def _grids(bound: Bound) -> tuple[Grid, ...]:
    grids = bound.grids
    assert grids is not None
    return grids


def _unsure(sure: NDArray[np.bool_]) -> list[int]:
    """Places that exact arithmetic has to look at."""
    found: list[int] = np.flatnonzero(~sure).tolist()
    return found


def nearest(bound: Bound, case: Case) -> Verdict:
    """Every real gets the code of its cell; a real on a boundary may get either neighbour.

    For a uniform quantizer that is the level nearest to x. The quotient x / scale is taken exactly;
    with ``division="binary64"`` its correctly rounded binary64 value is as good.
    """
    got = bound.ask(case.x)
    for channel, grid in enumerate(_grids(bound)):
        x, row = case.x[channel], got[channel]
        right, sure = grid.sure(x)
        bad = [i for i in _unsure(sure) if int(row[i]) not in grid.nearest(x[i])]
        bad += np.flatnonzero(sure & (row != right)).tolist()
        if bad:
            place = simplest(np.array(bad), x)
            return wrong_code(bound, case, channel, place, int(row[place]), grid.right(x[place]))
    return got.size


def tie(bound: Bound, case: Case) -> Verdict:
    """A real exactly on a boundary gets the code that the declared tie rule says.

    With ``division="binary64"`` also a real whose binary64 quotient lies on it: it gets that code
    or the one of its side.
    """
    got = bound.ask(case.x)
    checked = 0
    for channel, grid in enumerate(_grids(bound)):
        x, row = case.x[channel], got[channel].tolist()
        bad = []
        for i in _unsure(grid.sure(x)[1]):
            code, right = row[i], grid.right(x[i])
            # Of those that are right it is enough to know that one was a tie.
            if len(right) != 1 or (checked and code == right[0]):
                continue
            either = grid.nearest(x[i])
            if len(either) < 2 or code not in either:
                continue
            checked += 1
            if code != right[0]:
                bad.append(i)
        if bad:
            place = simplest(np.array(bad), x)
            found = wrong_code(bound, case, channel, place, row[place], grid.right(x[place]))
            if grid.is_tie(x[place]):
                return found
            return replace(found, detail=found.detail + "; x / scale is a tie in binary64")
    return checked


def values(bound: Bound, case: Case) -> Verdict:
    """D(k) = scale * (k - zero point), to within one unit in the last place of its dtype."""
    codes = some_codes(bound, case)
    given = bound.columns(bound.values(bound.embed(codes)), codes.shape)
    for channel, grid in enumerate(_grids(bound)):
        if not isinstance(grid, UniformGrid):
            continue
        row = given[channel]
        about = grid.levels_as_floats(codes[channel] - grid.codes[0])
        with np.errstate(all="ignore"):
            # The rounded product is half a unit of binary64 from the exact one at most.
            close = np.abs(row - about) <= np.spacing(np.abs(about).astype(row.dtype)) / 2
        for index in _unsure(close):
            code, value = int(codes[channel, index]), row[index]
            right = Fraction(grid.scale) * (code - grid.zero)
            if abs(right) > Fraction(float(np.finfo(value.dtype).max)):
                continue
            room = spacing(float(right), value.dtype)
            if not np.isfinite(value) or abs(Fraction(float(value)) - right) > room:
                detail = (
                    f"D({code}) = {real(value)}, right is {float(right)!r}; "
                    f"{parameters_text(bound, channel)}"
                )
                return Counterexample(detail=detail, case=case, value=float(value), got=code)
    return codes.size


def error_bound(bound: Bound, case: Case) -> Verdict:
    """|x - D(Q(x))| is at most half a step within the range, and beyond it the distance to the end.

    With room for one unit in the last place of D and the rounding of a binary64 quotient.
    """
    stride = max(7, case.x.size // MOST_ERRORS) | 1
    case = Case(params=case.params, arrays={"x": case.x[:, ::stride]}, seed=case.seed)
    codes = bound.ask(case.x)
    back = bound.columns(bound.values(bound.embed(codes)), codes.shape)
    checked = 0
    for channel, grid in enumerate(_grids(bound)):
        if not isinstance(grid, UniformGrid):
            continue
        step, first, last = Fraction(grid.scale), grid.level(0), grid.level(len(grid.codes) - 1)
        known = np.isfinite(back[channel])
        checked += int(known.sum())
        with np.errstate(all="ignore"):
            # Three roundings of 2**-53 at most: these errors are below half a step for sure.
            about = np.abs(case.x[channel].astype(np.float64) - back[channel])
            small = about < grid.scale / 2 * (1 - 2.0**-50)
        for index in np.flatnonzero(known & ~small).tolist():
            x, value = Fraction(float(case.x[channel, index])), back[channel, index]
            error = abs(x - Fraction(float(value)))
            room = max(first - x, x - last, step / 2) + spacing(float(value), value.dtype)
            rounded = abs(x) + (step * abs(grid.zero) if grid.tie == "even_code" else 0)
            room += rounded / 2**52 if grid.division != "input" else rounded / 2**9
            if error > room:
                detail = (
                    f"x = {real(case.x[channel, index])}; {parameters_text(bound, channel)}; "
                    f"D(Q(x)) = {value!s} is {float(error / step):.6g} steps away"
                )
                return Counterexample(detail=detail, case=case.only(channel, index), value=float(x))
    return checked


def odd(bound: Bound, case: Case) -> Verdict:
    """Q(-x) = -Q(x), measured from the zero point: symmetric range and an odd tie rule."""
    got, mirrored = bound.ask(case.x), bound.ask(-case.x)
    zeros = np.array([[grid.zero or 0] for grid in _grids(bound)])
    place = first_bad(case, (mirrored - zeros) != -(got - zeros))
    if place is None:
        return got.size
    right = 2 * int(zeros[place[0], 0]) - int(got[place])
    detail = (
        f"x = {real(case.x[place])} has code {got[place]}, -x has {mirrored[place]}, right is "
        f"{right}; {parameters_text(bound, place[0])}"
    )
    return Counterexample(
        detail=detail, case=case.only(*place), value=float(case.x[place]),
        got=int(mirrored[place]), right=(right,),
    )


def zero(bound: Bound, case: Case) -> Verdict:
    """Q(0) = Q(-0.0) = z and D(z) = 0, where 0 is a level."""
    checked = 0
    grids = bound.grids
    for kind in bound.q.float_types:
        x = np.tile(np.array([0.0, -0.0], dtype=kind), (bound.q.channels, 1))
        got = bound.ask(x)
        at = Case(params=case.params, arrays={"x": x})
        for channel in range(len(got)):
            z = grids[channel].zero if grids else bound.zero_point
            if z is None or z not in bound.levels:
                continue
            checked += 2
            for index in (0, 1):
                if got[channel, index] != z:
                    return wrong_code(bound, at, channel, index, int(got[channel, index]), (z,))
            if bound.q.dequantize is not None:
                codes = np.full((len(got), 1), z, dtype=np.int64)
                back = bound.columns(bound.values(bound.embed(codes)), codes.shape)[channel, 0]
                if back != 0:
                    return Counterexample(detail=f"D({z}) = {real(back)}, right is 0", case=at)
    return checked


def _refused(bound: Bound, x: Floats) -> bool:
    try:
        bound.raw(x)
    except Broken as broken:
        return isinstance(broken.__cause__, REFUSALS)
    return False


def _rows(value: float, kind: np.dtype[Any]) -> Iterator[Floats]:
    """Rows with ``value`` alone, first, last, between others; NaN with both signs."""
    for v in (value, -value) if np.isnan(value) else (value,):
        beside = [0.0] * 9 + [1.0]
        rows = [[v], [v, 0.0, v], [0.0, v, 0.0], [*beside, v, *beside]]
        for row in rows if np.isnan(v) else [*rows, [v, -v, 1.0]]:
            yield np.array(row, dtype=kind)


def _special(bound: Bound, case: Case, value: float, rule: str | int | None) -> Verdict:
    """``value`` alone, among others and in every dtype, against ``rule``."""
    scalars = bound.q.axis is None and bound.q.ndim is None
    for kind in bound.q.float_types:
        for row in _rows(value, kind):
            x = np.tile(row, (bound.q.channels, 1))
            at = Case(params=case.params, arrays={"x": x})
            if rule == "refuse":
                given = [bound.embed(x)] + [row[0]] * (scalars and row.size == 1)
                if not all(_refused(bound, np.array(array)) for array in given):
                    detail = f"{value} of {kind} is not refused with ValueError: {row.tolist()}"
                    return Counterexample(detail=detail, case=at, value=value)
            elif (found := _coded(bound, at, value, rule)) is not None:
                return found
    return 1


def _coded(bound: Bound, at: Case, value: float, rule: str | int | None) -> Counterexample | None:
    """Where ``value`` has another code than ``rule`` says, or touches the others."""
    x, (lowest, highest) = at.x, bound.ends
    got = bound.ask(x)
    plain = bound.ask(np.where(np.isfinite(x), x, x.dtype.type(0)))
    special = np.isnan(x) if np.isnan(value) else x == value
    for channel in range(len(got)):
        zero = bound.grids[channel].zero if bound.grids else bound.zero_point
        named = {"lowest": lowest, "highest": highest, "zero": zero or 0}
        right = int(named.get(str(rule), rule) or 0)
        bad = np.flatnonzero(special[channel] & (got[channel] != right))
        if len(bad):
            place = int(bad[0])
            return wrong_code(bound, at, channel, place, int(got[channel, place]), (right,))
        touched = np.flatnonzero(np.isfinite(x[channel]) & (got[channel] != plain[channel]))
        if len(touched):
            place = int(touched[0])
            code = got[channel, place]
            detail = f"{value} changes the code of {x[channel, place]!s} beside it to {code}"
            return Counterexample(detail=detail, case=at, value=value)
    if x.size == 1 and bound.q.axis is None and bound.q.ndim is None:
        alone = int(bound.codes(x[0, 0].reshape(())))
        if alone != got[0, 0]:
            return wrong_code(bound, at, 0, 0, alone, (int(got[0, 0]),))
    return None


def infinity(bound: Bound, case: Case) -> Verdict:
    """Infinities get the end codes, or are refused, as declared."""
    refuse = bound.q.infinity == "refuse"
    for value, rule in ((-np.inf, "lowest"), (np.inf, "highest")):
        found = _special(bound, case, value, "refuse" if refuse else rule)
        if isinstance(found, Counterexample):
            return found
    return 1


def nan(bound: Bound, case: Case) -> Verdict:
    """NaN is refused or gets the declared code, and touches nothing beside it."""
    return _special(bound, case, float("nan"), bound.q.nan)
