"""Laws of straight-through gradients: exact equality with the declared mask, bounds included."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.laws.bound import Bound, Floats, call
from refnet.laws.case import Case, Counterexample, parameters_text, real, simplest
from refnet.laws.elementary import Verdict
from refnet.laws.grid import UniformGrid
from refnet.laws.points import nearest_floats, neighbours

#: (low, high), each an exact number or None where there is no bound.
Interval = tuple[Fraction | None, Fraction | None]


def intervals(bound: Bound) -> tuple[Interval, ...] | None:
    """Where the gradient passes, a channel each; None where ``passes`` is a function or nothing."""
    passes, grids = bound.q.passes, bound.grids
    count = bound.q.channels
    if passes == "everywhere":
        return ((None, None),) * count
    if isinstance(passes, str):
        if grids is None:
            return None
        found = []
        for grid in grids:
            last = len(grid.codes) - 1
            low, high = grid.level(0), grid.level(last)
            if low is None or high is None:
                return None
            if passes == "cells":
                if not isinstance(grid, UniformGrid):
                    return None
                half = Fraction(grid.scale) / 2
                low, high = low - half, high + half
            found.append((low, high))
        return tuple(found)
    if passes is None or callable(passes):
        return None
    low, high = (None if np.isinf(v) else Fraction(float(v)) for v in passes)
    return ((low, high),) * count


def bound_points(bound: Bound, dtype: np.dtype[Any]) -> Floats:
    """The bounds of the intervals and the floats beside them, as columns (C, n)."""
    held = intervals(bound)
    if held is None:
        return np.zeros((bound.q.channels, 0), dtype=dtype)
    rows = []
    for low, high in held:
        ends = [Fraction(0) if end is None else end for end in (low, high)]
        floats = nearest_floats(ends, dtype)
        floats = floats if len(floats) == 2 else np.zeros(2, dtype=dtype)
        rows.append(neighbours(floats, 2)[:10])
    shortest = min(map(len, rows))
    return np.stack([row[:shortest] for row in rows])


def masks(bound: Bound, x: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """(passes, may pass or not) for columns; None where nothing is declared.

    The second marks reals so near to a bound in ``cells`` that a binary64 quotient falls on it.
    """
    if callable(bound.q.passes):
        given = np.asarray(call(bound.q.passes, bound.embed(x)), dtype=bool)
        return bound.columns(given, x.shape), np.zeros(x.shape, dtype=bool)
    held = intervals(bound)
    if held is None:
        return None
    inside = np.ones(x.shape, dtype=bool)
    unsure = np.zeros(x.shape, dtype=bool)
    wide = x.astype(np.float64)
    for channel, (low, high) in enumerate(held):
        row = wide[channel]
        inside[channel] = _beyond(row, low, bound.q.inclusive in ("both", "low"))
        inside[channel] &= _beyond(-row, None if high is None else -high,
                                   bound.q.inclusive in ("both", "high"))
        if bound.q.passes == "cells":
            for index in _near(row, [end for end in (low, high) if end is not None]):
                value = Fraction(float(row[index]))
                near = min(abs(value - end) for end in (low, high) if end is not None)
                unsure[channel, index] = 0 < near <= abs(value) / 2**52
    return inside, unsure


def _beyond(row: Floats, low: Fraction | None, included: bool) -> NDArray[np.bool_]:
    """Where ``row`` lies above ``low``, or on it if that is included: exactly."""
    if low is None:
        return np.ones(row.shape, dtype=bool)
    rounded = float(low)
    if Fraction(rounded) == low:
        found: NDArray[np.bool_] = row >= rounded if included else row > rounded
        return found
    # No float equals the bound: its rounding belongs to the side on which it lies.
    return np.asarray(row >= rounded if Fraction(rounded) > low else row > rounded)


def _near(row: Floats, ends: list[Fraction]) -> list[int]:
    """Places so near to an end that a binary64 quotient may fall on it, and some more."""
    near = np.zeros(row.shape, dtype=bool)
    for end in map(float, ends):
        near |= np.abs(row - end) <= np.abs(row) * 2.0**-50
    found: list[int] = np.flatnonzero(near).tolist()
    return found


def cotangents(x: Floats, seed: int) -> Floats:
    """Non-zero gradients of the output, different beside each other, of several magnitudes.

    In wider dtypes than binary16 some are larger than its largest number. Every other one has all
    bits of its dtype, so that a narrower one on the way does not keep it.
    """
    rng = np.random.default_rng(seed)
    found = rng.integers(1, 100, size=x.shape) * rng.choice([-1.0, 1.0], size=x.shape)
    powers = (-3, 0, 5) if x.dtype.itemsize == 2 else (-3, 0, 5, 17)
    narrow: Floats = (found * 2.0 ** rng.choice(powers, size=x.shape)).astype(x.dtype)
    narrow[..., 1::2] = np.nextafter(narrow[..., 1::2], x.dtype.type(np.inf))
    return narrow


def _ask(bound: Bound, x: Floats, g: Floats) -> Floats:
    return bound.columns(bound.gradient(bound.embed(x), bound.embed(g)), x.shape)


def _against(bound: Bound, case: Case, x: Floats) -> Verdict:
    declared = masks(bound, x)
    assert declared is not None
    inside, unsure = declared
    g = cotangents(x, case.seed)
    got = _ask(bound, x, g)
    right = np.where(inside, g, 0)
    for channel in range(len(x)):
        bad = np.flatnonzero((got[channel] != right[channel]) & ~unsure[channel])
        if len(bad):
            place = simplest(bad, x[channel])
            detail = (
                f"x = {real(x[channel, place])}; {parameters_text(bound, channel)}; gradient "
                f"{got[channel, place]!s} of {g[channel, place]!s}, right is "
                f"{right[channel, place]!s}"
            )
            at = Case(params=case.params, arrays={"x": x}, seed=case.seed)
            return Counterexample(detail=detail, case=at, value=float(x[channel, place]))
    return x.size


def gradient(bound: Bound, case: Case) -> Verdict:
    """The gradient of x is that of the output where it passes and 0 elsewhere, bounds included."""
    at_bounds = bound_points(bound, case.x.dtype)
    return _against(bound, case, np.concatenate([at_bounds, case.x], axis=1))


def gradient_saturated(bound: Bound, case: Case) -> Verdict:
    """On a tensor that lies beyond one end entirely, or on both sides, no gradient passes.

    More exactly: what passes is what the declared interval says, without any real inside it.
    """
    x = case.x[:, :5].copy()
    largest = np.finfo(x.dtype).max
    checked = 0
    for low, high in ((largest, largest), (-largest, -largest), (-largest, largest)):
        x[:, ::2], x[:, 1::2] = low, high
        found = _against(bound, case, x)
        if isinstance(found, Counterexample):
            return found
        checked += found
    return checked


def gradient_linear(bound: Bound, case: Case) -> Verdict:
    """The gradient of x is linear in that of the output: 0 gives 0, -2 g gives -2 times as much."""
    g = cotangents(case.x, case.seed)
    got = _ask(bound, case.x, g)
    for factor in (0, -2):
        again = _ask(bound, case.x, g * g.dtype.type(factor))
        bad = np.argwhere(again != factor * got)
        if len(bad):
            place = tuple(bad[0])
            detail = (
                f"x = {real(case.x[place])}: gradient {got[place]!s} of {g[place]!s}, but "
                f"{again[place]!s} of {factor} times that"
            )
            return Counterexample(detail=detail, case=case, value=float(case.x[place]))
    return g.size


def gradient_elementwise(bound: Bound, case: Case) -> Verdict:
    """The gradient of one real does not depend on the others, and nothing is changed in place."""
    x, g = case.x, cotangents(case.x, case.seed)
    right = _ask(bound, x, g)
    for index in range(min(6, x.shape[1])):
        one = slice(index, index + 1)
        got = _ask(bound, x[:, one], g[:, one])
        if not np.array_equal(got, right[:, one]):
            alone, beside = got[0, 0], right[0, index]
            detail = f"x = {real(x[0, index])}: gradient {alone!s} alone, {beside!s} beside others"
            return Counterexample(detail=detail, case=case, value=float(x[0, index]))
    order = np.random.default_rng(case.seed).permutation(x.shape[1])
    if not np.array_equal(_ask(bound, x[:, order], g[:, order]), right[:, order]):
        return Counterexample(detail="another order gives other gradients", case=case)
    given = np.array(bound.embed(x)), np.array(bound.embed(g))
    bound.raw_gradient(*given)
    if not all(map(np.array_equal, given, (bound.embed(x), bound.embed(g)))):
        return Counterexample(detail="grad changes its arguments", case=case)
    return _in_other_forms(bound, case, g, right)


def _in_other_forms(bound: Bound, case: Case, g: Floats, right: Floats) -> Verdict:
    """No axis, no element, several axes, memory with gaps and read-only: the same gradients."""
    x = case.x
    bound.gradient(bound.embed(x[:, :0]), bound.embed(g[:, :0]))
    gaps = [np.repeat(bound.embed(a), 2, axis=-1)[..., ::2] for a in (x, g)]
    forms: list[tuple[str, Floats, Floats, Floats]] = [
        ("with gaps", gaps[0], gaps[1], bound.embed(right))
    ]
    if bound.q.axis is None and bound.q.ndim is None:
        count = x.shape[1] // 2 * 2
        pair = [np.asfortranarray(a[0, :count].reshape(2, -1)) for a in (x, g, right)]
        alone = [np.array(a[0, 0]) for a in (x, g, right)]
        forms += [("in Fortran order", pair[0], pair[1], pair[2])]
        forms += [("without an axis", alone[0], alone[1], alone[2])]
    for how, reals, cotangent, expected in forms:
        reals.flags.writeable = cotangent.flags.writeable = False
        got = np.asarray(bound.raw_gradient(reals, cotangent))
        if got.shape != expected.shape or not np.array_equal(got, expected):
            detail = f"read-only, {how}, of shape {reals.shape}: other gradients"
            return Counterexample(detail=detail, case=case)
    return x.size
