"""Laws of what follows a quantizer: packed codes, dot products of codes, requantization.

The cases are integers; what is right comes from exact 64-bit arithmetic and from [2] and [3].
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.laws.bound import Bound, Broken, integral, untouched
from refnet.laws.case import Case, Counterexample
from refnet.laws.elementary import Verdict
from refnet.program import IntType, requantize
from refnet.program.arith import rounding_shift
from refnet.program.packing import pack_bits, pack_trits

#: Tie rules of quantizers as rounding rules of [3.1].
ROUNDINGS = {"even": "half_even", "up": "half_up", "away": "half_away"}


def _range(bound: Bound) -> IntType:
    return IntType(lo=bound.levels[0], hi=bound.levels[-1])


def _packed(bound: Bound, codes: NDArray[Any]) -> NDArray[np.uint8]:
    assert bound.q.pack is not None
    found = np.asarray(untouched(bound.q.pack, "pack", codes))
    if found.dtype != np.uint8:
        raise Broken(f"pack: dtype {found.dtype}, rule uint8")
    return found


def pack_roundtrip(bound: Bound, case: Case) -> Verdict:
    """unpack(pack(codes), n) = codes, for every number n of codes; pack changes nothing."""
    codes = case.arrays["codes"]
    packed = _packed(bound, codes)
    unpack = bound.q.unpack
    assert unpack is not None
    unpacked = untouched(lambda given: unpack(given, codes.shape[-1]), "unpack", packed)
    back = integral(unpacked, codes.shape, "unpack")
    if np.array_equal(back, codes):
        return codes.size
    place = tuple(np.argwhere(back != codes)[0])
    detail = f"codes {_short(codes)}: place {place[-1]} is {back[place]} after unpacking"
    return Counterexample(
        detail=detail, case=case, got=int(back[place]), right=(int(codes[place]),)
    )


def pack_injective(bound: Bound, case: Case) -> Verdict:
    """Codes that differ in one place have different bytes."""
    codes = case.arrays["codes"]
    packed = _packed(bound, codes)
    rng = np.random.default_rng(case.seed)
    for place in range(codes.shape[-1]):
        other = codes.copy()
        drawn = bound.levels[int(rng.integers(len(bound.levels) - 1))]
        other.flat[place] = drawn if drawn != codes.flat[place] else bound.levels[-1]
        if np.array_equal(_packed(bound, other), packed):
            detail = f"codes {_short(codes)} and {_short(other)} have the same bytes"
            return Counterexample(detail=detail, case=case)
    return codes.size


def pack_order(bound: Bound, case: Case) -> Verdict:
    """The bytes are those of the declared packing, the bits that are left over are zero."""
    codes = case.arrays["codes"]
    kind = _range(bound)
    if bound.q.packing == "trits":
        right = pack_trits(codes)
    elif bound.q.packing == "bits":
        right = pack_bits(codes, kind)
    else:
        fields = (codes[..., None].astype(np.int64) >> np.arange(kind.bits - 1, -1, -1)) & 1
        flat = fields.reshape(*codes.shape[:-1], codes.shape[-1] * kind.bits)
        right = np.packbits(flat.astype(np.uint8), axis=-1, bitorder="big")
    got = _packed(bound, codes)
    if np.array_equal(got, right):
        return codes.size
    detail = f"codes {_short(codes)} are {got.tobytes().hex()}, right is {right.tobytes().hex()}"
    return Counterexample(detail=detail, case=case)


def dot_exact(bound: Bound, case: Case) -> Verdict:
    """A dot product of codes is the exact integer, for sums as large as they can be."""
    x, w = case.arrays["x_codes"], case.arrays["w_codes"]
    assert bound.q.dot is not None
    right = x.astype(np.int64) @ w.astype(np.int64).T
    got = integral(untouched(bound.q.dot, "dot", x, w), right.shape, "dot")
    if np.array_equal(got, right):
        return right.size
    place = tuple(np.argwhere(got != right)[0])
    detail = (
        f"sum of {x.shape[1]} products at {tuple(map(int, place))} is {got[place]}, right is "
        f"{right[place]}"
    )
    return Counterexample(
        detail=detail, case=case, got=int(got[place]), right=(int(right[place]),)
    )


def requantize_exact(bound: Bound, case: Case) -> Verdict:
    """requantize(acc, mult, shift) is saturate(round(acc * mult / 2**shift)), rounded once."""
    acc = case.arrays["acc"]
    mult, shift = int(case.arrays["mult"][0]), int(case.arrays["shift"][0])
    ask = bound.q.requantize
    assert ask is not None
    assert bound.q.tie is not None
    right = requantize(acc, mult, shift, _range(bound), ROUNDINGS[bound.q.tie])
    result = untouched(lambda given: ask(given, mult, shift), "requantize", acc)
    got = integral(result, acc.shape, "requantize")
    places = np.flatnonzero(got != right)
    if not len(places):
        return acc.size
    place = int(places[np.argmin(np.abs(acc[places].astype(np.int64)))])
    product, half = int(acc[place]) * mult, 2**shift
    away = (2 * product - half) % (2 * half)
    tie = "exactly on a tie" if shift and away == 0 else "no tie"
    whole = int(rounding_shift(np.array(product), shift, ROUNDINGS[bound.q.tie]))
    detail = (
        f"acc {acc[place]}, mult {mult}, shift {shift}: {product} / 2**{shift}, {tie}, rounds to "
        f"{whole}; code {got[place]}, right is {right[place]}"
    )
    return Counterexample(
        detail=detail, case=case, value=float(acc[place]), got=int(got[place]),
        right=(int(right[place]),),
    )


def _short(codes: NDArray[Any]) -> str:
    flat = codes.ravel().tolist()
    return str(flat) if len(flat) <= 12 else f"{str(flat[:12])[:-1]}, ... ({len(flat)})"
