"""Laws against the oracle in exact rationals: nearest level, tie rule, errors, zero, infinity, NaN.

These are the strong ones: every seeded bug in rounding, clipping and scales breaks one of them.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from refnet.laws.bound import Bound, Broken, Floats
from refnet.laws.case import Case, Counterexample, parameters_text, real, simplest, wrong_code
from refnet.laws.elementary import Verdict, first_bad, some_codes
from refnet.laws.grid import Grid, UniformGrid, spacing

#: Exceptions that refuse a value.
REFUSALS = (ValueError, ArithmeticError)


def _grids(bound: Bound) -> tuple[Grid, ...]:
    grids = bound.grids
    assert grids is not None
    return grids


def nearest(bound: Bound, case: Case) -> Verdict:
    """Every real gets the code of its cell; a real on a boundary may get either neighbour.

    For a uniform quantizer that is the level nearest to x. The quotient x / scale is taken exactly;
    with ``division="binary64"`` its correctly rounded binary64 value is as good.
    """
    got = bound.ask(case.x)
    for channel, grid in enumerate(_grids(bound)):
        x, row = case.x[channel], got[channel].tolist()
        bad = np.array(
            [i for i, code in enumerate(row) if code not in grid.nearest(x[i])], dtype=np.int64
        )
        if len(bad):
            place = simplest(bad, x)
            return wrong_code(bound, case, channel, place, row[place], grid.right(x[place]))
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
        for i, code in enumerate(row):
            either = grid.nearest(x[i])
            if len(either) < 2 or code not in either or len(right := grid.right(x[i])) != 1:
                continue
            checked += 1
            if code not in right:
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
        for code, value in zip(codes[channel].tolist(), given[channel], strict=True):
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
    case = Case(params=case.params, arrays={"x": case.x[:, ::7]}, seed=case.seed)
    codes = bound.ask(case.x)
    back = bound.columns(bound.values(bound.embed(codes)), codes.shape)
    checked = 0
    for channel, grid in enumerate(_grids(bound)):
        if not isinstance(grid, UniformGrid):
            continue
        step, first, last = Fraction(grid.scale), grid.level(0), grid.level(len(grid.codes) - 1)
        for index, x in enumerate(map(Fraction, case.x[channel].tolist())):
            value = back[channel, index]
            if not np.isfinite(value):
                continue
            checked += 1
            error = abs(x - Fraction(float(value)))
            room = max(first - x, x - last, step / 2) + spacing(float(value), value.dtype)
            room += abs(x) / 2**52 if grid.division != "input" else abs(x) / 2**9
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


def _special(bound: Bound, case: Case, value: float, rule: str | int | None) -> Verdict:
    """``value`` alone, among others and in every dtype, against ``rule``."""
    levels = bound.levels if bound.q.levels is not None else ()
    for kind in bound.q.float_types:
        x = np.tile(np.array([value, 0.0, value], dtype=kind), (bound.q.channels, 1))
        at = Case(params=case.params, arrays={"x": x})
        if rule == "refuse":
            for given in (x, x[:, :1], x[:, 1:]):
                if not _refused(bound, np.array(bound.embed(given))):
                    detail = f"{value} of {kind} is not refused with ValueError"
                    return Counterexample(detail=detail, case=at, value=value)
            continue
        got = bound.ask(x)
        for channel in range(len(got)):
            zero = bound.grids[channel].zero if bound.grids else bound.zero_point
            right = {"lowest": levels[0], "highest": levels[-1], "zero": zero or 0}.get(
                str(rule), rule
            )
            if not (got[channel, 0] == got[channel, 2] == right):
                found = int(got[channel, 0])
                return wrong_code(bound, at, channel, 0, found, (int(right or 0),))
            plain = bound.ask(np.zeros_like(x))[channel, 1]
            if got[channel, 1] != plain:
                detail = f"{value} changes the code of 0.0 beside it to {got[channel, 1]}"
                return Counterexample(detail=detail, case=at, value=value)
    return 1


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
