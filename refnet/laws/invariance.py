"""Laws of what must not matter: neighbours, writing, dtype, history, scale and zero point.

They need no oracle, and hold for any quantizer whose parameters do not depend on the data.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.laws.arrangement import differs
from refnet.laws.bound import Bound, Floats, Ints, Params
from refnet.laws.case import Case, Counterexample, parameters_text, real
from refnet.laws.elementary import Verdict, first_bad


def elementwise(bound: Bound, case: Case) -> Verdict:
    """The code of a real does not depend on what stands beside it: number, order, magnitudes."""
    x = case.x
    right = bound.ask(x)
    rng = np.random.default_rng(case.seed)
    order = rng.permutation(x.shape[1])
    large = np.finfo(x.dtype).max
    with_extremes = np.concatenate([x, np.full_like(x[:, :1], large)], axis=1)
    ways: list[tuple[str, Ints, Ints, Floats]] = [
        ("in another order", bound.ask(x[:, order]), right[:, order], x[:, order]),
        ("beside the largest float", bound.ask(with_extremes)[:, :-1], right, x),
        ("beside zeros", bound.ask(np.concatenate([x * 0, x], axis=1))[:, x.shape[1]:], right, x),
        ("beside its negatives", bound.ask(np.concatenate([x, -x], axis=1))[:, : x.shape[1]],
         right, x),
    ]
    for index in rng.permutation(x.shape[1])[:6]:
        one = slice(index, index + 1)
        ways.append(("alone", bound.ask(x[:, one]), right[:, one], x[:, one]))
    for how, got, wanted, reals in ways:
        if (found := differs(bound, case, how, got, wanted, reals)) is not None:
            return found
    return len(ways)


def pure(bound: Bound, case: Case) -> Verdict:
    """The input is left as it was; no result shares memory with it or with another result."""
    x = bound.embed(case.x)
    given = np.array(x)
    first = np.asarray(bound.raw(given))
    if given.tobytes() != x.tobytes():
        return Counterexample(detail="quantize changes its input", case=case)
    if np.may_share_memory(first, given) and np.shares_memory(first, given):
        return Counterexample(detail="the codes share memory with the input", case=case)
    kept = first.copy()
    other = np.asarray(bound.raw(np.array(-x)))
    if not np.array_equal(first, kept):
        return Counterexample(detail="the next call changes the codes of this one", case=case)
    if first.size and np.shares_memory(first, other):
        return Counterexample(detail="two results share memory", case=case)
    if first.ndim and first.flags.writeable:
        first[...] = 1
        again = np.asarray(bound.raw(np.array(x)))
        if not np.array_equal(again, kept):
            return Counterexample(detail="writing to the codes changes the next ones", case=case)
    return _pure_values(bound, case, kept)


def _pure_values(bound: Bound, case: Case, codes: NDArray[Any]) -> Verdict:
    if bound.q.dequantize is None:
        return 1
    given = codes.copy()
    found = np.asarray(bound.raw_values(given))
    if not np.array_equal(given, codes):
        return Counterexample(detail="dequantize changes its input", case=case)
    if found.size and np.shares_memory(found, given):
        return Counterexample(detail="the reals share memory with the codes", case=case)
    return 2


def repeatable(bound: Bound, case: Case) -> Verdict:
    """The same reals get the same codes again, after other reals and at the end of all laws."""
    right = bound.ask(case.x)
    others = [case.x, case.x * 0, -case.x, case.x[:, :1], np.full_like(case.x, 1000)]
    for other in others:
        bound.ask(other)
        got = bound.ask(case.x)
        if (found := differs(bound, case, "again", got, right, case.x)) is not None:
            return found
    return len(others)


def float_dtype(bound: Bound, case: Case) -> Verdict:
    """A real gets one code, in whatever float dtype it is given."""
    kinds = bound.q.float_types
    x = case.x.astype(kinds[0])
    x = np.where(np.isfinite(x), x, x.dtype.type(0))
    right = bound.ask(x)
    for kind in kinds[1:]:
        how = f"as {kind} instead of {kinds[0]}"
        found = differs(bound, case, how, bound.ask(x.astype(kind)), right, x)
        if found is not None:
            return found
    return x.size if len(kinds) > 1 else 0


def channels(bound: Bound, case: Case) -> Verdict:
    """Changing one channel leaves the codes of the others."""
    right = bound.ask(case.x)
    for channel in range(len(case.x)):
        x = case.x.copy()
        x[channel] = np.finfo(x.dtype).max
        got = bound.ask(x)
        got[channel] = right[channel]
        found = differs(bound, case, f"channel {channel} changed", got, right, case.x)
        if found is not None:
            return found
    return len(case.x) if len(case.x) > 1 else 0


def scale_equivariant(bound: Bound, case: Case) -> Verdict:
    """Q(2^k x; 2^k scale) = Q(x; scale), as long as nothing overflows or underflows."""
    assert bound.scale is not None
    factor = 2.0 ** (1 + case.seed % 9) * (1 if case.seed % 2 else 2.0**-11)
    scale = bound.scale * factor
    with np.errstate(all="ignore"):
        x = case.x * case.x.dtype.type(factor)
        exact = np.isfinite(x) & (x / case.x.dtype.type(factor) == case.x)
    low, high = bound.q.scale_range or (2.0**-120, 2.0**100)
    if not low <= scale <= high or scale != float(np.dtype(bound.q.scale_dtype).type(scale)):
        return 0
    moved = Bound(
        bound.q, Params(scale=scale, zero_point=bound.params.zero_point), bound.watch
    )
    right, got = bound.ask(case.x), moved.ask(np.where(exact, x, x.dtype.type(0)))
    place = first_bad(case, exact & (got != right))
    if place is None:
        return int(exact.sum())
    detail = (
        f"x = {real(case.x[place])}; {parameters_text(bound)}; code {right[place]}, but "
        f"{got[place]} where both are multiplied by {factor!r}"
    )
    return Counterexample(
        detail=detail, case=case.only(*place), value=float(case.x[place]), got=int(got[place]),
        right=(int(right[place]),),
    )


def zero_point_shift(bound: Bound, case: Case) -> Verdict:
    """Q(x; z + 1) = Q(x; z) + 1 inside the range: rounding comes before adding z."""
    levels, zero = bound.levels, bound.params.zero_point
    assert zero is not None
    # A zero point beyond the codes is none that every quantizer takes.
    zero = min(zero, levels[-1] - 1)
    bound, moved = (
        Bound(bound.q, Params(scale=bound.params.scale, zero_point=z), bound.watch)
        for z in (zero, zero + 1)
    )
    case = Case(params=bound.params, arrays=case.arrays, seed=case.seed)
    before, after = bound.ask(case.x), moved.ask(case.x)
    inside = (before < levels[-1]) & (after > levels[0])
    place = first_bad(case, inside & (after != before + 1))
    if place is None:
        return int(inside.sum())
    detail = (
        f"x = {real(case.x[place])}; {parameters_text(bound)}; code {before[place]}, and "
        f"{after[place]} with the next zero point, right is {before[place] + 1}"
    )
    return Counterexample(
        detail=detail, case=case.only(*place), value=float(case.x[place]), got=int(after[place]),
        right=(int(before[place]) + 1,),
    )
