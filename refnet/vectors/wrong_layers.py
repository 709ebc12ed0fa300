"""Wrong rules of training and wrong layers: other ties, other means, steps left out."""

from __future__ import annotations

import numpy as np

from refnet.vectors.answering import Ints, right
from refnet.vectors.functions import Outputs
from refnet.vectors.record import Vector


def _weights(vector: Vector) -> tuple[str, Ints, Ints]:
    held = vector.arrays
    return str(vector.attributes["rule"]), held["w"], held["p"]


def weight_at_threshold(vector: Vector) -> Outputs:
    """Keeps a weight that is equal to the threshold."""
    rule, w, p = _weights(vector)
    found = right(vector)["codes"].astype(np.int64)
    if rule not in ("twn", "ttq") or not w.any():
        return {"codes": found}
    size = np.abs(w)
    threshold = p[0] * (size.mean() if rule == "twn" else size.max())
    scales = np.rint(127 * p[1:] / p[1:].max()) if rule == "ttq" else np.ones(2)
    codes = np.where(w > 0, scales[0], -scales[1])
    return {"codes": np.where(size >= threshold, codes, 0).astype(np.int64)}


def threshold_of_maximum(vector: Vector) -> Outputs:
    """Takes the threshold from the largest magnitude, and not from the mean."""
    rule, w, p = _weights(vector)
    if rule != "twn":
        return right(vector)
    return {"codes": np.where(np.abs(w) > p[0] * np.abs(w).max(), np.sign(w), 0).astype(int)}


def zero_has_no_sign(vector: Vector) -> Outputs:
    """Gives a binary weight of zero the code 0."""
    rule, w, _ = _weights(vector)
    return {"codes": np.sign(w).astype(int)} if rule == "bwn" else right(vector)


def zero_filter_kept(vector: Vector) -> Outputs:
    """Gives a filter of zeros codes that are not zero."""
    _, w, _ = _weights(vector)
    return right(vector) if w.any() else {"codes": np.ones(len(w), np.int64)}


def one_scale(vector: Vector) -> Outputs:
    """Gives both signs of a filter the same scale."""
    codes = right(vector)["codes"].astype(np.int64)
    return {"codes": 127 * np.sign(codes) if vector.attributes["rule"] == "ttq" else codes}


def scale_truncated(vector: Vector) -> Outputs:
    """Truncates the smaller scale, or a level, to the grid of 127 steps."""
    rule, w, p = _weights(vector)
    codes = right(vector)["codes"].astype(np.int64)
    if rule == "ttq":
        above, below = np.trunc(127 * p[1:] / p[1:].max()).astype(int)
        return {"codes": np.where(codes > 0, above, np.where(codes < 0, -below, 0))}
    return _levels(w, p, np.trunc, up=False) if rule == "lq" else {"codes": codes}


def level_tie_up(vector: Vector) -> Outputs:
    """Between two levels takes the higher one."""
    rule, w, p = _weights(vector)
    return _levels(w, p, np.rint, up=True) if rule == "lq" else right(vector)


def _levels(w: Ints, p: Ints, rounded: np.ufunc, *, up: bool) -> Outputs:
    signs = np.array(np.meshgrid(*[(-1, 1)] * len(p))).reshape(len(p), -1)
    levels = np.sort(p @ signs)
    middles = (levels[1:] + levels[:-1]) / 2
    place = np.searchsorted(middles, w, side="right" if up else "left")
    return {"codes": rounded(127 * levels[place] / np.abs(p).sum()).astype(np.int64)}


def even_grid_tie_down(vector: Vector) -> Outputs:
    """Rounds a weight of zero down, to the largest negative level."""
    rule, w, _ = _weights(vector)
    codes = right(vector)["codes"].astype(np.int64)
    return {"codes": np.where(w == 0, -1, codes) if rule == "dorefa" else codes}


def tanh_forgotten(vector: Vector) -> Outputs:
    """Leaves out tanh: the levels are even in the weights themselves."""
    rule, w, _ = _weights(vector)
    if rule != "dorefa" or not w.any():
        return right(vector)
    n = 2 ** vector.attributes["bits"] - 1
    place = n * (w / (2 * np.abs(w).max()) + 0.5)
    return {"codes": (2 * np.floor(place + 0.5) - n).astype(np.int64)}


def code_at_threshold(vector: Vector) -> Outputs:
    """Gives an activation that is equal to a threshold the higher code."""
    found, x = right(vector)["codes"].astype(np.int64), vector.arrays["x"]
    if vector.attributes["rule"] != "dorefa":
        return {"codes": found}
    n = 2 ** vector.attributes["bits"] - 1
    return {"codes": np.floor(n * np.clip(x, 0, 1) + 0.5).astype(np.int64)}


def levels_rounded(vector: Vector) -> Outputs:
    """Rounds to the nearest level, and knows no first threshold of its own."""
    if vector.attributes["rule"] != "hwgq":
        return right(vector)
    from refnet.quant import HalfWave

    p, bits = vector.arrays["p"], vector.attributes["bits"]
    delta = HalfWave(bits, float(p[0]) if len(p) else None).delta
    place = np.ceil(np.maximum(vector.arrays["x"], 0) / delta - 0.5)
    return {"codes": np.clip(place, 0, 2**bits - 1).astype(np.int64)}


def activation_wraps(vector: Vector) -> Outputs:
    """Takes the low bits of what is above the highest code."""
    codes = right(vector)["codes"].astype(np.int64)
    x, top = vector.arrays["x"], 2 ** vector.attributes["bits"] - 1
    return {"codes": np.where((codes == top) & (x > x[codes == top].min(initial=9)), 0, codes)}


def inputs_not_centred(vector: Vector) -> Outputs:
    """Takes the mean off the responses only."""
    held, found = vector.arrays, right(vector)
    if len(held["bias"]):
        return found
    X, z = (held[n].astype(np.float64) for n in ("X", "z"))
    s, codes = X @ (z - z.mean()), found["codes"].astype(np.float64)
    N, D = float(s @ codes), float(codes @ X @ X.T @ codes)
    alpha = N / D if D and N > 0 else 0.0
    return {
        **found,
        "alpha": np.array([alpha]),
        "bias": np.array([z.mean() - alpha * (codes @ X.mean(axis=1))]),
    }


def bias_of_responses(vector: Vector) -> Outputs:
    """Takes the mean of the responses for the bias, without what the inputs give."""
    held, found = vector.arrays, right(vector)
    return found if len(held["bias"]) else {**found, "bias": np.array([held["z"].mean()])}


def bias_solved(vector: Vector) -> Outputs:
    """Solves for a bias that is given."""
    held, found = vector.arrays, right(vector)
    if not len(held["bias"]):
        return found
    X, z = held["X"].astype(np.float64), held["z"].astype(np.float64)
    response = found["alpha"][0] * (found["codes"].astype(np.float64) @ X)
    return {**found, "bias": np.array([(z - response).mean()])}


def dead_without_bias(vector: Vector) -> Outputs:
    """Gives a dead filter the bias 0."""
    found = right(vector)
    return {**found, "bias": found["bias"] * (found["alpha"] > 0)}


def _costs(vector: Vector, *, linear: bool) -> Ints:
    held = vector.arrays
    v = held["alpha"][:, None] * (held["codes"].astype(float) @ held["X"].astype(float))
    v = v + held["bias"][:, None]
    if not linear:
        v = held["levels"][np.sum(v[..., None] > held["thresholds"], axis=-1)]
    costs: Ints = np.sum((held["y"] - v) ** 2, axis=1)
    return costs


def last_iterate(vector: Vector) -> Outputs:
    """Keeps the last iterate, whatever it costs."""
    return {"kept": np.array([len(vector.arrays["codes"]) - 1])}


def latest_of_equals(vector: Vector) -> Outputs:
    """Of iterates that cost the same keeps the last."""
    costs = _costs(vector, linear=False)
    return {"kept": np.flatnonzero(costs == costs.min())[-1:]}


def linear_cost(vector: Vector) -> Outputs:
    """Compares responses before the quantizer."""
    return {"kept": np.array([np.argmin(_costs(vector, linear=True))])}


def wide_scale(vector: Vector) -> Outputs:
    """Calls a filter dead where its scale is zero in binary64 only."""
    held, found = vector.arrays, right(vector)
    codes = held["codes"].astype(np.int64)
    dead = (held["alpha"] == 0) | ~codes.any(axis=1)
    if vector.attributes["bits"] == 1:
        return found
    return {"codes": np.where(dead[:, None], 0, codes), "scale": np.where(dead, 1.0, held["alpha"])}


def subnormal_is_dead(vector: Vector) -> Outputs:
    """Calls a filter dead whose scale is no normal number of binary32."""
    found = right(vector)
    if vector.attributes["bits"] == 1:
        return found
    dead = found["scale"] < 2.0**-126
    codes = found["codes"].astype(np.int64)
    return {"codes": np.where(dead[:, None], 0, codes), "scale": np.where(dead, 1, found["scale"])}


def dead_scale_kept(vector: Vector) -> Outputs:
    """Leaves a dead filter its scale."""
    return {**right(vector), "scale": vector.arrays["alpha"]}


def dead_codes_kept(vector: Vector) -> Outputs:
    """Leaves a filter whose scale vanishes its codes."""
    return {**right(vector), "codes": vector.arrays["codes"].astype(np.int64)}


def binary_buried(vector: Vector) -> Outputs:
    """Takes the codes of dead binary filters away before they are frozen."""
    held, found = vector.arrays, right(vector)
    if vector.attributes["bits"] != 1:
        return found
    dead = held["alpha"] == 0
    return {
        "codes": np.where(dead[:, None], 0, found["codes"].astype(int)),
        "scale": np.where(dead, 1.0, held["alpha"]),
    }


def latents_free(vector: Vector) -> Outputs:
    """Lets latents begin where their weights are."""
    held = vector.arrays
    alpha = np.where(held["alpha"] > 0, held["alpha"], 1.0)
    return {
        "latent": np.where(
            held["alpha"][:, None] > 0, held["w"] / alpha[:, None], held["codes"].astype(np.float64)
        )
    }


def latents_at_the_edge(vector: Vector) -> Outputs:
    """Clips latents to the half way between codes, where they round to the wrong one."""
    held, codes = vector.arrays, vector.arrays["codes"].astype(np.float64)
    reach = 1.0 if vector.attributes["bits"] == 1 else 0.5
    return {
        "latent": np.clip(
            latents_free(vector)["latent"],
            codes - np.where(held["codes"] > 0, reach, 0.5),
            codes + np.where(held["codes"] < 0, reach, 0.5),
        )
    }


def latents_are_codes(vector: Vector) -> Outputs:
    """Begins at the codes themselves."""
    return {"latent": vector.arrays["codes"].astype(np.float64)}


def terms_in_given_order(vector: Vector) -> Outputs:
    """Leaves the terms in the order in which they are."""
    found, G = right(vector), vector.arrays["G"].astype(np.int64)
    order = np.argsort(np.argsort(-np.sum(G**2, axis=(1, 2, 3)), kind="stable"))
    return {name: F[order] for name, F in found.items()}


def terms_ascending(vector: Vector) -> Outputs:
    """Puts the smallest term first."""
    return {name: F[::-1] for name, F in right(vector).items()}


def signs_left(vector: Vector) -> Outputs:
    """Leaves columns the signs that they have."""
    found = {name: F.copy() for name, F in right(vector).items()}
    held = {name: vector.arrays[name].astype(np.int64) for name in "AB"}
    order = np.argsort(-np.sum(vector.arrays["G"].astype(int) ** 2, axis=(1, 2, 3)), kind="stable")
    for name, axis in (("A", 1), ("B", 2)):
        before = held[name][order]
        # Columns of unit vectors: the sign that a row had is the sum over its columns.
        sign = np.einsum("rai,raj->ri", found[name], before)
        found[name] = found[name] * sign[:, None]
        found["G"] = found["G"] * np.expand_dims(sign, [a for a in (1, 2, 3) if a != axis])
    return found


def distance_of_factors(vector: Vector) -> Outputs:
    """Compares the factors, and not what they stand for."""
    held = {name: array.astype(np.int64) for name, array in vector.arrays.items()}
    if any(held[n].shape != held[f"{n}2"].shape for n in "AGB"):
        return {"distance": np.array([-1]), "norm": right(vector)["norm"]}
    apart = sum(int(np.sum((held[n] - held[f"{n}2"]) ** 2)) for n in "AGB")
    return {**right(vector), "distance": np.array([apart])}


def norm_of_the_second(vector: Vector) -> Outputs:
    """Divides by the norm of the second tensor."""
    from refnet.methods.als import reconstruct

    L = reconstruct(*(vector.arrays[f"{n}2"].astype(np.int64) for n in "AGB"))
    return {**right(vector), "norm": np.array([np.sum(L.astype(np.int64) ** 2)])}
