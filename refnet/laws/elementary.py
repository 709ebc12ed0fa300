"""Laws of any quantizer: which codes occur, that levels are fixed points, order, all are reached.

A law returns how many places it looked at, or the first counterexample. The first paragraph of its
docstring is its statement; ``refnet.laws.suite`` says when it is claimed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.laws.bound import Bound, Floats, Ints
from refnet.laws.case import Case, Counterexample, parameters_text, real, simplest, wrong_code

Verdict = int | Counterexample

#: Of wider types 256 codes are tried, the ends among them; and where many cases are.
MOST_CODES, FEW_CODES = 2**16, 2**12


def first_bad(case: Case, bad: NDArray[np.bool_]) -> tuple[int, int] | None:
    """(channel, place) of the simplest real marked in ``bad`` (C, n)."""
    for channel in range(len(bad)):
        places = np.flatnonzero(bad[channel])
        if len(places):
            return channel, simplest(places, case.x[channel])
    return None


def belongs(codes: Ints, levels: Sequence[int]) -> NDArray[np.bool_]:
    """Where ``codes`` are among ``levels``."""
    if isinstance(levels, range):
        return (codes >= levels[0]) & (codes <= levels[-1])
    return np.isin(codes, np.asarray(levels))


def some_codes(bound: Bound, case: Case, most: int = MOST_CODES) -> Ints:
    """All codes as columns (C, n), or the ends and some between them."""
    levels = bound.levels
    most = min(most, FEW_CODES) if bound.q.parameters else most // bound.q.channels
    if len(levels) <= most:
        found = np.asarray(levels, dtype=np.int64)
    else:
        rng = np.random.default_rng(case.seed)
        inner = rng.integers(0, len(levels), size=256)
        ends = [0, 1, len(levels) // 2, len(levels) - 2, len(levels) - 1]
        places = np.unique(np.concatenate([inner, ends]))
        found = np.array([levels[int(i)] for i in places], dtype=np.int64)
    return np.broadcast_to(found, (bound.q.channels, len(found))).copy()


def reals_of(bound: Bound, codes: Ints) -> Floats:
    """Columns D(codes) in a dtype that the quantizer takes; what it cannot hold is infinite."""
    values = bound.values(bound.embed(codes))
    kinds = bound.q.float_types
    if values.dtype not in kinds:
        with np.errstate(all="ignore"):
            narrow = values.astype(kinds[-1])
            lost = (values != 0) & (np.abs(narrow) < np.finfo(kinds[-1]).tiny)
        values = np.where(lost, narrow.dtype.type(np.inf), narrow)
    return bound.columns(values, codes.shape)


def told_apart(bound: Bound, codes: Ints, x: Floats) -> NDArray[np.bool_]:
    """Where the dtype of ``x`` still tells a level from the middle between two levels."""
    most = 2 ** (np.finfo(x.dtype).nmant - 1)
    zero = bound.zero_point or 0
    normal = np.isfinite(x) & ((np.abs(x) >= np.finfo(x.dtype).tiny) | (x == 0))
    found: NDArray[np.bool_] = (np.abs(codes - zero) < most) & normal
    return found


def codes(bound: Bound, case: Case) -> Verdict:
    """Every code is an integer among the levels, whatever finite real is given."""
    got = bound.ask(case.x)
    place = first_bad(case, ~belongs(got, bound.levels))
    if place is None:
        return got.size
    channel, index = place
    code = int(got[place])
    levels = bound.levels
    end = levels[0] if code < levels[0] else levels[-1]
    return wrong_code(bound, case, channel, index, code, _right(bound, case, place) or (end,))


def _right(bound: Bound, case: Case, place: tuple[int, int]) -> tuple[int, ...] | None:
    if bound.grids is None:
        return None
    return bound.grids[place[0]].right(case.x[place])


def code_dtype(bound: Bound, case: Case) -> Verdict:
    """Codes have the declared dtype, for every input dtype and for empty input."""
    x = case.x
    ends = np.full_like(x[:, :3], np.finfo(x.dtype).max)
    given = [bound.embed(part) for part in (x, x[:, :0], x[:, :1], ends, -ends)]
    if bound.q.axis is None and bound.q.ndim is None:
        given += [x[0, 0], x[:, :6].reshape(2, 3), x[:, :4].reshape(2, 1, 2)]
    for array in given:
        found = np.asarray(bound.raw(np.array(array))).dtype
        if found != np.dtype(bound.q.code_dtype):
            kind = f"{array.dtype} {array.shape}"
            detail = f"dtype {found} of codes of {kind}, declared {bound.q.code_dtype}"
            return Counterexample(detail=detail, case=case)
    return len(given)


def onto(bound: Bound, case: Case) -> Verdict:
    """Q(D(k)) = k for every code k that the dtype of D(k) still tells from its neighbours."""
    wanted = some_codes(bound, case)
    x = reals_of(bound, wanted)
    apart = told_apart(bound, wanted, x)
    got = bound.ask(np.where(apart, x, x.dtype.type(0)))
    at = Case(params=case.params, arrays={"x": x}, seed=case.seed)
    place = first_bad(at, apart & (got != wanted))
    if place is None:
        return int(apart.sum())
    return wrong_code(bound, at, *place, int(got[place]), (int(wanted[place]),))


def idempotent(bound: Bound, case: Case) -> Verdict:
    """Q(D(Q(x))) = Q(x): quantizing what was quantized changes nothing."""
    once = bound.ask(case.x)
    x = reals_of(bound, once)
    apart = told_apart(bound, once, x)
    twice = bound.ask(np.where(apart, x, x.dtype.type(0)))
    place = first_bad(case, apart & (once != twice))
    if place is None:
        return int(apart.sum())
    detail = (
        f"x = {real(case.x[place])}; {parameters_text(bound, place[0])}; code {once[place]} is "
        f"{x[place]!s}, whose code is {twice[place]}"
    )
    return Counterexample(
        detail=detail, case=case.only(*place), value=float(case.x[place]), got=int(twice[place]),
        right=(int(once[place]),),
    )


def monotone(bound: Bound, case: Case) -> Verdict:
    """x <= y gives Q(x) <= Q(y)."""
    got = bound.ask(case.x)
    for channel, (x, row) in enumerate(zip(case.x, got, strict=True)):
        order = np.argsort(x, kind="stable")
        falls = np.flatnonzero(np.diff(row[order]) < 0)
        if len(falls):
            pair = order[[falls[0], falls[0] + 1]]
            low, high = x[pair]
            detail = (
                f"{real(low)} has code {row[pair[0]]}, the larger {real(high)} has code "
                f"{row[pair[1]]}; {parameters_text(bound, channel)}"
            )
            return Counterexample(
                detail=detail, case=case.only(channel, pair), value=float(high),
                got=int(row[pair[1]]),
            )
    return got.size


def saturates(bound: Bound, case: Case) -> Verdict:
    """The largest finite floats get the end codes."""
    levels, checked = bound.levels, 0
    for kind in bound.q.float_types:
        most = np.finfo(kind).max
        x = np.tile(np.array([-most, most], dtype=kind), (bound.q.channels, 1))
        at = Case(params=case.params, arrays={"x": x})
        got = bound.ask(x)
        for channel, row in enumerate(got):
            for index, end in enumerate((levels[0], levels[-1])):
                if bound.grids and bound.grids[channel].nearest(x[channel, index]) != (end,):
                    continue
                if bound.grids is None and kind != bound.q.float_types[-1]:
                    continue
                checked += 1
                if row[index] != end:
                    return wrong_code(bound, at, channel, index, int(row[index]), (end,))
    return checked


def representable(bound: Bound, codes: Ints, kind: np.dtype[Any]) -> NDArray[np.bool_]:
    """Where some float of ``kind`` lies in the cell of a code: of fine grids, not everywhere."""
    if bound.grids is None:
        return np.full(codes.shape, len(bound.levels) < 2 ** (np.finfo(kind).nmant - 1))
    found = np.ones(codes.shape, dtype=bool)
    for channel, grid in enumerate(bound.grids):
        # A level that is its own code in this dtype is such a float; without levels all count.
        places = np.searchsorted(np.asarray(grid.codes), codes[channel]) if isinstance(
            grid.codes, tuple
        ) else codes[channel] - grid.codes[0]
        with np.errstate(all="ignore"):
            x = grid.levels_as_floats(places).astype(kind)
        if len(x):
            held, sure = grid.sure(x)
            found[channel] = sure & (held == codes[channel]) & np.isfinite(x)
    return found


def reached(bound: Bound, case: Case) -> Verdict:
    """Every code is reached: for each k, the smallest real whose code is at least k has code k.

    Found by bisection over the floats, which needs a monotone quantizer and no scale.
    """
    kind = bound.q.float_types[-1]
    wanted = some_codes(bound, case, FEW_CODES)
    exist = representable(bound, wanted, kind)
    unsigned = np.dtype(f"u{kind.itemsize}")
    ends = _ordered(np.array([-np.finfo(kind).max, np.finfo(kind).max], dtype=kind), unsigned)
    low = np.full(wanted.shape, ends[0], dtype=unsigned)
    high = np.full(wanted.shape, ends[1], dtype=unsigned)
    for _ in range(8 * kind.itemsize):
        middle = low + (high - low) // 2
        enough = bound.ask(_floats(middle, kind)) >= wanted
        high, low = np.where(enough, middle, high), np.where(enough, low, middle + (low < high))
    x = _floats(high, kind)
    got = bound.ask(x)
    at = Case(params=case.params, arrays={"x": x}, seed=case.seed)
    place = first_bad(at, exist & (got != wanted))
    if place is None:
        return int(exist.sum())
    detail = (
        f"code {wanted[place]} is never given: around x = {real(x[place])} the codes go to "
        f"{got[place]} at once"
    )
    return Counterexample(
        detail=detail, case=at.only(*place), value=float(x[place]), got=int(got[place]),
        right=(int(wanted[place]),),
    )


def _ordered(x: Floats, unsigned: np.dtype[Any]) -> NDArray[Any]:
    """Unsigned integers in the order of the floats."""
    bits = x.view(unsigned)
    top = unsigned.type(1) << unsigned.type(8 * unsigned.itemsize - 1)
    found: NDArray[Any] = np.where(bits & top, ~bits, bits | top)
    return found


def _floats(ordered: NDArray[Any], kind: np.dtype[Any]) -> Floats:
    """Back from :func:`_ordered`."""
    unsigned = ordered.dtype
    top = unsigned.type(1) << unsigned.type(8 * unsigned.itemsize - 1)
    bits = np.where(ordered & top, ordered ^ top, ~ordered)
    found: Floats = bits.astype(unsigned).view(kind)
    return found
