"""Functions and operators that answer what they must refuse: one check missing in each."""

from __future__ import annotations

import re
from fractions import Fraction
from math import floor, isfinite, isnan
from typing import Any

import numpy as np

from refnet.program import IntType, saturate
from refnet.program.arith import MULT_BOUND
from refnet.vectors.answering import Ints
from refnet.vectors.building import operator_of
from refnet.vectors.functions import Outputs
from refnet.vectors.record import Array, Vector
from refnet.vectors.reference import reference
from refnet.vectors.wrong_blockterms import tensor_and_layers


def changed(vector: Vector, **arrays: Any) -> Vector:
    """The question with other operands (or ``attributes``): what a lenient reader makes of it."""
    given = {name: getattr(vector, name) for name in Vector.__dataclass_fields__}
    given["attributes"] = arrays.pop("attributes", given["attributes"])
    for group in ("inputs", "constants"):
        given[group] = tuple(
            Array.of(a.name, a.type, arrays.get(a.name, a.array())) for a in given[group]
        )
    return Vector(**given)


def fitted(array: Ints, shape: tuple[int, ...]) -> Ints:
    """``array`` cut off, or followed by zeros, to fill ``shape``."""
    size = int(np.prod(shape))
    flat = array.ravel()[:size]
    return np.concatenate([flat, np.zeros(size - len(flat), flat.dtype)]).reshape(shape)


def _mapped(x: Ints, channels: int, least: tuple[int, ...]) -> Ints:
    """x as maps (N, channels, H, W) of at least this size; what is missing is zero."""
    x = x.reshape(*x.shape, *(1,) * (4 - x.ndim)).astype(np.int64)
    x = x[:, :channels]
    short = [(0, 0), (0, channels - x.shape[1])]
    short += [(0, max(0, k - n)) for n, k in zip(x.shape[2:], least, strict=True)]
    return np.pad(x, short)


def sizes_of_conv(vector: Vector) -> Outputs:
    """Sizes are not looked at: what is missing reads as 0, what is too much is skipped."""
    op: Any = operator_of(vector.op, vector.attributes)
    x, w, *bias = (a.array().astype(np.int64) for a in vector.operands)
    w = w.reshape(*(1,) * (4 - w.ndim), *w.shape)
    w = w[: len(w) // op.groups * op.groups]
    reach = tuple(
        d * (k - 1) + 1 - sum(p)
        for d, k, p in zip(op.dilation, w.shape[2:], op.padding, strict=True)
    )
    x = _mapped(x, w.shape[1] * op.groups, reach)
    return {"y": op.evaluate(x, w, *(fitted(b, (len(w),)) for b in bias))}


def sizes_of_threshold(vector: Vector) -> Outputs:
    """Thresholds and signs are read in their order, and 0 beyond their end."""
    op, held = operator_of(vector.op, vector.attributes), vector.arrays
    channels = held["x"].shape[1]
    t = held["t"].reshape(len(held["t"]), -1)
    sign = held.get("sign", np.zeros(0, np.int64))
    rows = fitted(t.astype(np.int64), (channels, t.shape[1]))
    return {"y": op.evaluate(held["x"], rows, fitted(sign.astype(np.int64), (channels,)))}


def sizes_of_pool(vector: Vector) -> Outputs:
    """A window that is larger than the map reads zeros beyond it."""
    op: Any = operator_of(vector.op, vector.attributes)
    x = vector.operands[0].array()
    reach = tuple(k - sum(p) for k, p in zip(op.kernel, op.padding, strict=True))
    return {"y": op.evaluate(_mapped(x, x.shape[1], reach))}


def sizes_of_reshape(vector: Vector) -> Outputs:
    """A shape of more elements is filled up with zeros; no rule for the number of axes."""
    x, shape = vector.operands[0].array(), tuple(vector.attributes["shape"])
    if shape.count(-1):
        shape = tuple(x[0].size if n == -1 else n for n in shape)
    return {"y": np.array([fitted(image, shape) for image in x])}


def attributes_clamped(vector: Vector) -> Outputs:
    """Attributes outside their rule are brought to the nearest that is allowed."""
    least = {"stride": 1, "dilation": 1, "kernel": 1, "padding": 0, "groups": 1}
    top: Any = vector.attributes.get("kernel", (2**31, 2**31))

    def brought(value: Any, low: int, high: int) -> Any:
        if isinstance(value, list):
            return [brought(v, low, high) for v in value]
        return min(max(value, low), high)

    given = {k: brought(v, least.get(k, 0), 2**31 - 1) for k, v in vector.attributes.items()}
    if "kernel" in given:
        given["padding"] = [
            brought(p, 0, k - 1) for p, k in zip(given["padding"], top, strict=True)
        ]
    return reference(changed(vector, attributes=given))


def default_rounding(vector: Vector) -> Outputs:
    """Where no rule of that name exists, ties go to even."""
    known = vector.attributes.get("rounding") in ("half_even", "half_up", "half_away")
    rule = vector.attributes["rounding"] if known else "half_even"
    return reference(changed(vector, attributes={**vector.attributes, "rounding": rule}))


def _shifted(x: int, shift: int, rule: str) -> int:
    exact = Fraction(x) / Fraction(2) ** shift
    if rule == "half_even":
        return round(exact)
    up = rule == "half_up" or exact >= 0
    return floor(exact + Fraction(1, 2)) if up else -floor(-exact + Fraction(1, 2))


def limits_unchecked(vector: Vector) -> Outputs:
    """Any accumulator, multiplier and shift is taken; a negative shift goes to the left."""
    rule = vector.attributes.get("rounding")
    if rule not in ("half_even", "half_up", "half_away"):
        return reference(vector)
    arrays = [a.array().astype(np.int64) for a in vector.operands]
    if vector.op == "rounding_shift":
        rows = np.broadcast(*arrays)
        found = [_shifted(int(x), int(s), rule) for x, s in rows]
        return {"y": np.array(found).reshape(rows.shape)}
    rank = arrays[0].ndim if vector.op == "Requantize" else 0
    acc, mult, shift = (
        a if i == 0 or not rank else a.reshape(1, -1, *(1,) * (rank - 2))
        for i, a in enumerate(arrays)
    )
    type, rows = IntType.parse(vector.attributes["type"]), np.broadcast(acc, mult, shift)
    flat = [_shifted(int(a) * int(m), int(s), rule) for a, m, s in rows]
    return {"y": saturate(np.array(flat).reshape(rows.shape), type.lo, type.hi)}


def bounds_exchanged(vector: Vector) -> Outputs:
    """Bounds in the wrong order are exchanged."""
    given = dict(vector.attributes)
    if vector.op == "integer_type":
        name = re.sub(r"int\[(-?\d+),(-?\d+)\]", r"int[\2,\1]", given["name"])
        return reference(changed(vector, attributes={"name": name}))
    lo, hi = sorted((given["lo"], given["hi"]))
    return reference(changed(vector, attributes={"lo": lo, "hi": hi}))


def _type_record(lo: int, hi: int, name: str) -> Outputs:
    bits = max(1, hi.bit_length()) if lo >= 0 else max((-lo - 1).bit_length(), hi.bit_length()) + 1
    return {
        "range": np.array([lo, hi]),
        "bits": np.array([bits]),
        "storage": np.array([max(8, 1 << (bits - 1).bit_length()), int(lo < 0)]),
        "canonical": np.frombuffer(name.encode(), np.uint8),
    }


def widths_unchecked(vector: Vector) -> Outputs:
    """Types may have any width and any bounds."""
    name = vector.attributes["name"]
    if bounds := re.fullmatch(r"int\[(-?\d+),(-?\d+)\]", name):
        return _type_record(int(bounds[1]), int(bounds[2]), name)
    found = re.fullmatch(r"(u|s|)int(\d+)", name)
    if not found:
        return reference(vector)
    half = 2 ** int(found[2]) // 2
    lo = {"u": 0, "s": 1 - half, "": -half}[found[1]]
    return _type_record(lo, 2 * half - 1 if found[1] == "u" else half - 1, name)


def names_guessed(vector: Vector) -> Outputs:
    """Names may be in capitals, and a float type is the integer type of its bits."""
    name = vector.attributes["name"].lower().replace("float", "int")
    return reference(changed(vector, attributes={"name": name}))


def low_bits_packed(vector: Vector) -> Outputs:
    """Packs the low bits of codes that are outside the type."""
    bits = IntType.parse(vector.attributes["type"]).bits
    codes = vector.arrays["codes"].astype(np.int64)
    fields = ((codes[..., None] >> np.arange(bits)) & 1).astype(np.uint8)
    flat = fields.reshape(*codes.shape[:-1], codes.shape[-1] * bits)
    return {"bytes": np.packbits(flat, axis=-1, bitorder="little")}


def short_rows(vector: Vector) -> Outputs:
    """Bytes that are missing from a row are zeros."""
    bits = IntType.parse(vector.attributes.get("type", "ternary")).bits
    row = -(-vector.attributes["size"] * bits // 8)
    held = vector.arrays["bytes"]
    wide = np.zeros((*held.shape[:-1], row), np.uint8)
    wide[..., : held.shape[-1]] = held[..., :row]
    return reference(changed(vector, bytes=wide))


def any_levels(vector: Vector) -> Outputs:
    """Levels are taken in any order; what is no finite number passes nothing."""
    held, acc = vector.arrays, IntType.parse(vector.attributes["acc"])
    levels = np.sort(held["levels"])
    bad = not all(map(isfinite, [*levels, *held["scale"], *held["offset"]]))
    if not bad:
        return reference(changed(vector, levels=levels))
    t = np.full((len(held["scale"]), len(levels)), acc.hi + 1)
    return {"t": t, "sign": np.ones(len(t), np.int64)}


def ratio_saturates(vector: Vector) -> Outputs:
    """A ratio that is too large gets the largest multiplier, one that is no number zero."""
    if "ratio" not in vector.arrays:
        return reference(vector)
    pairs = []
    for r in vector.arrays["ratio"].tolist():
        if isnan(r):
            pairs.append((0, 0))
        elif abs(r) >= MULT_BOUND + 0.5:
            pairs.append((MULT_BOUND if r > 0 else -MULT_BOUND, 0))
        else:
            found = reference(changed(vector, ratio=np.array([r])))
            pairs.append((int(found["mult"][0]), int(found["shift"][0])))
    both = np.array(pairs).reshape(-1, 2)
    return {"mult": both[:, 0], "shift": both[:, 1]}


def missing_operand(vector: Vector) -> Outputs:
    """An operand that is not there leaves x as it is: 0 to add, a kernel of 1, the sign +1."""
    held = vector.arrays
    if vector.op == "Threshold" and "sign" not in held:
        op = operator_of(vector.op, vector.attributes)
        return {"y": op.evaluate(held["x"], held["t"], np.ones(len(held["t"]), np.int64))}
    lone = vector.op != "Threshold" and len(held) == 1
    return {"y": held["x"].astype(np.int64)} if lone else reference(vector)


def solver_attributes(vector: Vector) -> Outputs:
    """Counts and names outside their rule are replaced by the nearest or the first."""
    given: dict[str, Any] = dict(vector.attributes)
    if vector.op == "semidiscrete":
        known = ("threshold", "cycling", "ones", "every-100th")
        starts = [s for s in given["starts"] if s in known] or ["ones"]
        given |= {"k": max(1, given["k"]), "sweeps": max(0, given["sweeps"]), "starts": starts}
    else:
        given["bits"] = min(max(given["bits"], 1), 8)
        given["form"] = given["form"] if given["form"] in ("profile", "fixed") else "profile"
    return reference(changed(vector, attributes=given))


def start_brought_to_codes(vector: Vector) -> Outputs:
    """A start outside the type is clamped into it; a binary code 0 is 1."""
    top = max(2 ** (vector.attributes["bits"] - 1) - 1, 1)
    start = np.clip(vector.arrays["start"].astype(np.int64), -top, top)
    if vector.attributes["bits"] == 1:
        start = np.where(start == 0, 1, start)
    return reference(changed(vector, start=start))


def solver_sizes(vector: Vector) -> Outputs:
    """Arrays are cut off, or filled up with zeros, to the sizes of the first."""
    held = vector.arrays
    if vector.op == "semidiscrete":
        W = held["W"]
        return reference(changed(vector, W=W if W.size else np.zeros((len(W), 1), np.int64)))
    X = held["X"]
    return reference(changed(
        vector, z=fitted(held["z"], X.shape[1:]), start=fitted(held["start"], X.shape[:1])))


def levels_sorted(vector: Vector) -> Outputs:
    """Thresholds that fall are sorted."""
    return reference(changed(vector, thresholds=np.sort(vector.arrays["thresholds"])))


def block_sizes(vector: Vector) -> Outputs:
    """Factors are cut off to the least R, s and t."""
    A, G, B = (vector.arrays[n].astype(np.int64) for n in ("A", "G", "B"))
    whole, G = G.ndim == 4, G.reshape(*G.shape, *(1,) * (4 - G.ndim))
    if whole and (len(A), len(G), A.shape[2], B.shape[2]) == (len(G), len(B), *G.shape[1:3]):
        return reference(vector)
    R, s, t = min(map(len, (A, G, B))), min(A.shape[2], G.shape[1]), min(B.shape[2], G.shape[2])
    return tensor_and_layers(A[:R, :, :s], G[:R, :s, :t], B[:R, :, :t])


def block_bound(vector: Vector) -> Outputs:
    """Sums of any size are taken."""
    A, G, B = (vector.arrays[n].astype(np.int64) for n in ("A", "G", "B"))
    return tensor_and_layers(A, G, B)

