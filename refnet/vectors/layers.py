"""Rules of training and layers of methods where they reach integers: [6.5], [6.7], [6.8].

Vectors give them numbers on a lattice, where every decision is exact. The float side is imported
when a vector asks for it: the other vectors need none of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.vectors.blockterms import factors
from refnet.vectors.building import exact_fields
from refnet.vectors.record import Array, Vector

Outputs = Mapping[str, NDArray[Any]]


def _rule(vector: Vector, *of_bits: str) -> tuple[str, Any]:
    """The rule and its bits; every rule has exactly the fields that it needs."""
    rule = vector.attributes.get("rule")
    fields = ("rule", "bits") if rule in of_bits else ("rule",)
    return str(rule), exact_fields(vector.attributes, fields, vector.op).get("bits")


def weight_rule(vector: Vector) -> Outputs:
    """[6.8.1] to [6.8.5]: codes of one filter w (n,) with parameters p."""
    from refnet.quant import BWN, TTQ, TWN, DoReFaWeights, LQWeights

    rule, bits = _rule(vector, "dorefa")
    w, p = vector.arrays["w"][None], vector.arrays["p"]
    match rule, len(p):
        case "twn", 1:
            codes = TWN(factor=float(p[0])).rows(w)[0]
        case "bwn", 0:
            codes = BWN().rows(w)[0]
        case "ttq", 3:
            codes = TTQ(t=float(p[0])).rows(w, p[None, 1:])[0]
        case "dorefa", 0:
            codes = DoReFaWeights(bits=bits).rows(w, np.ones((1, 1)))[0]
        case "lq", _:
            codes = LQWeights(basis=tuple(p.tolist())).rows(w, p[None])[0]
        case _:
            raise ValueError(f"{vector.op}: no rule {rule!r} with {len(p)} parameters")
    return {"codes": codes[0]}


def activation_rule(vector: Vector) -> Outputs:
    """[6.8.6] and [6.8.7]: codes of x (n,)."""
    from refnet.quant import DoReFaActivations, HalfWave

    rule, bits = _rule(vector, "hwgq", "dorefa")
    x, p = vector.arrays["x"], vector.arrays["p"]
    match rule, len(p):
        case "hwgq", 0 | 1:
            return {"codes": HalfWave(bits, float(p[0]) if len(p) else None).codes(x)}
        case "dorefa", 0:
            return {"codes": DoReFaActivations(bits=bits).codes(x)}
    raise ValueError(f"{vector.op}: no rule {rule!r} with {len(p)} parameters")


def linear_layer(vector: Vector) -> Outputs:
    """[6.5.1]: codes, scale and bias of one filter for inputs X (n, N) and responses z (N,)."""
    from refnet.methods.bitsplit import Grid
    from refnet.methods.transform import Schedule, transform

    given = exact_fields(vector.attributes, ("bits", "form", "sweeps"), vector.op)
    held = {name: array.astype(np.float64) for name, array in vector.arrays.items()}
    X, z, w = held["X"], held["z"], held["w"]
    if X.ndim != 2 or z.shape != X.shape[1:] or w.shape != X.shape[:1] or len(held["bias"]) > 1:
        raise ValueError(f"{vector.op}: X {X.shape}, z {z.shape}, w {w.shape} do not fit")
    schedule = Schedule(grid=Grid.of(given["bits"]), form=given["form"], sweeps=given["sweeps"])
    offset = held["bias"] if len(held["bias"]) else None
    codes, alpha, bias = transform(X, z[None], w[None], None, schedule, offset=offset)
    return {"codes": codes[0], "alpha": alpha, "bias": bias}


def kept_iterate(vector: Vector) -> Outputs:
    """[6.5.2]: the number of the iterate (codes, alpha, bias) that is kept."""
    from refnet.methods.descent import Descent, State
    from refnet.methods.transform import Best
    from refnet.methods.zstep import Steps

    exact_fields(vector.attributes, (), vector.op)
    held = vector.arrays
    X, codes = held["X"].astype(np.float64), held["codes"].astype(np.int8)
    if not len(codes) == len(held["alpha"]) == len(held["bias"]) > 0:
        raise ValueError(f"{vector.op}: {len(codes)} codes, rule one of each an iterate")
    best = Best(X=X, Y=held["y"][None], steps=Steps(held["thresholds"], held["levels"]))
    kept, silent = 0, np.zeros((len(X), len(X)))
    for i, row in enumerate(codes):
        before = best.cost.copy()
        state = State(row[None], np.zeros((1, len(X))))
        best.offer(
            Descent(state, held["alpha"][i : i + 1], np.ones(1)), silent, held["bias"][i : i + 1]
        )
        kept = i if best.cost[0] < before[0] else kept
    return {"kept": np.array([kept])}


def dead_filters(vector: Vector) -> Outputs:
    """[6.5.3]: codes (F, n) and scales (F,) with those of dead filters in their place."""
    from refnet.methods.bitsplit import Grid
    from refnet.methods.twostep import buried

    bits = exact_fields(vector.attributes, ("bits",), vector.op)["bits"]
    held = vector.arrays
    codes, scale = buried(held["codes"].astype(np.int8), held["alpha"], Grid.of(bits))
    return {"codes": codes, "scale": scale}


def latents(vector: Vector) -> Outputs:
    """[6.5.4]: latents (F, n) of weights w, codes and scales."""
    from refnet.methods.bitsplit import Grid
    from refnet.methods.twostep import latents as found

    bits = exact_fields(vector.attributes, ("bits",), vector.op)["bits"]
    held = vector.arrays
    codes = held["codes"].astype(np.int8)
    return {"latent": found(held["w"], codes, held["alpha"], Grid.of(bits))}


def _other(vector: Vector) -> Vector:
    """The vector with the factors A2, G2, B2 in the place of A, G, B."""
    given = tuple(
        Array(**{**{f: getattr(a, f) for f in Array.__dataclass_fields__}, "name": a.name[0]})
        for a in vector.inputs
        if a.name.endswith("2")
    )
    held = {name: getattr(vector, name) for name in Vector.__dataclass_fields__}
    return Vector(**{**held, "inputs": given})


def canonical_terms(vector: Vector) -> Outputs:
    """[6.7.2] of integer factors whose canonical form is of integers too."""
    from refnet.methods.terms import canonical

    exact_fields(vector.attributes, (), vector.op)
    found = canonical(*(F.astype(np.float64) for F in factors(vector)))
    if any(np.abs(F - np.rint(F)).max() > 1e-9 for F in found):
        raise ValueError(f"{vector.op}: the canonical form is not of integers")
    return {n: np.rint(F).astype(np.int64) for n, F in zip("AGB", found, strict=True)}


def term_distance(vector: Vector) -> Outputs:
    """[6.7.6]: squared distance of two tensors of factors, and the squared norm of the first."""
    from refnet.methods.als import reconstruct

    exact_fields(vector.attributes, (), vector.op)
    K, L = (reconstruct(*factors(v)).astype(np.int64) for v in (vector, _other(vector)))
    if K.shape != L.shape or not K.any():
        raise ValueError(f"{vector.op}: tensors {K.shape} and {L.shape}, rule equal, first not 0")
    return {"distance": np.array([np.sum((K - L) ** 2)]), "norm": np.array([np.sum(K**2)])}


LAYER_FUNCTIONS = {
    "weight_rule": weight_rule,
    "activation_rule": activation_rule,
    "linear_layer": linear_layer,
    "kept_iterate": kept_iterate,
    "dead_filters": dead_filters,
    "latents": latents,
    "canonical_terms": canonical_terms,
    "term_distance": term_distance,
}
