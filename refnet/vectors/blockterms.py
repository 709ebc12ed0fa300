"""Block terms of integers [6.7], from refnet.methods.

The float side is imported when a vector asks for it: the other vectors need none of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.program import ProgramError
from refnet.vectors.building import exact_fields
from refnet.vectors.record import Vector

_BOUND = 2**31 - 2


def block_term(vector: Vector) -> Mapping[str, NDArray[Any]]:
    """The tensor K of factors A, G, B, the weights of the layers, and their number."""
    from refnet.methods.als import reconstruct
    from refnet.methods.chains import layer_weights

    exact_fields(vector.attributes, (), vector.op)
    A, G, B = factors(vector)
    weights = layer_weights(A, G, B)
    names = ("first", "last") if len(weights) == 2 else ("first", "middle", "last")
    return {
        "K": reconstruct(A, G, B), **dict(zip(names, weights, strict=True)),
        "weights": np.array([sum(w.size for w in weights)]),
    }


def factors(vector: Vector) -> tuple[NDArray[Any], ...]:
    """A (R, S, s), G (R, s, t, P), B (R, T, t) as 64-bit integers; refused where they do not fit.

    Sums of magnitudes are taken in binary64: they are exact as long as they are within the bound,
    and never come back below it.
    """
    found = tuple(vector.arrays[name].astype(np.int64) for name in ("A", "G", "B"))
    A, G, B = found
    shapes = tuple(F.shape for F in found)
    if (A.ndim, G.ndim, B.ndim) != (3, 4, 3) or not min(A.size, G.size, B.size):
        raise ProgramError(f"block_term: {shapes}, rule (R, S, s), (R, s, t, P), (R, T, t)")
    if not (len(A) == len(G) == len(B) and A.shape[2] == G.shape[1] and B.shape[2] == G.shape[2]):
        raise ProgramError(f"block_term: {shapes} do not fit in R, s or t")
    sizes = np.einsum("rai,rijp,rbj->abp", *(np.abs(F).astype(np.float64) for F in found))
    if sizes.max() > _BOUND:
        raise ProgramError(f"block_term: a sum of magnitudes exceeds {_BOUND}")
    return found
