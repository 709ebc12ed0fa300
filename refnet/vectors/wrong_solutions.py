"""Wrong packings, classes and solutions that show on ordinary data."""

from __future__ import annotations

import numpy as np

from refnet.vectors.answering import right
from refnet.vectors.building import program_of
from refnet.vectors.decomposing import answer, components
from refnet.vectors.functions import Outputs
from refnet.vectors.record import Vector
from refnet.vectors.wrong_codes import type_of


def byte_pairs_exchanged(vector: Vector) -> Outputs:
    """Bytes are written as 16-bit words, the higher byte first."""
    held = right(vector)["bytes"].copy()
    even = held.shape[-1] // 2 * 2
    first, second = held[..., 0:even:2].copy(), held[..., 1:even:2].copy()
    held[..., 0:even:2], held[..., 1:even:2] = second, first
    return {"bytes": held}


def masks_msb_first(vector: Vector) -> Outputs:
    """The first trit takes the highest bit of a mask."""
    codes = vector.arrays["codes"]
    masks = (np.packbits(m, axis=-1, bitorder="big") for m in (codes != 0, codes < 0))
    return dict(zip(("nonzero", "negative"), masks, strict=True))


def mask_of_zeros(vector: Vector) -> Outputs:
    """The first mask marks the zeros."""
    mask = np.packbits(vector.arrays["codes"] == 0, axis=-1, bitorder="little")
    return {**right(vector), "nonzero": mask}


def unpacked_masks_msb_first(vector: Vector) -> Outputs:
    """Reads the first trit of a mask from the highest bit."""
    held, size = vector.arrays, vector.attributes["size"]
    nonzero, negative = (
        np.unpackbits(held[k].astype(np.uint8), axis=-1, bitorder="big")[..., :size].astype(int)
        for k in ("nonzero", "negative")
    )
    return {"codes": nonzero * (1 - 2 * negative)}


def unpacked_mask_of_zeros(vector: Vector) -> Outputs:
    """Reads the first mask as that of the zeros."""
    codes = right(vector)["codes"].astype(np.int64)
    return {"codes": np.where(codes == 0, 1, 0)}


def unpacked_offset(vector: Vector) -> Outputs:
    """Reads a digit as the trit plus one."""
    codes = right(vector)["codes"].astype(np.int64)
    return {"codes": codes % 3 - 1}


def unpacked_planes_msb_first(vector: Vector) -> Outputs:
    """Reads the first code of a plane from its highest bit."""
    size, type = vector.attributes["size"], type_of(vector)
    planes = vector.arrays["bytes"].astype(np.uint8)
    bits = np.unpackbits(planes, axis=-1, bitorder="big").astype(np.int64)
    fields = (np.moveaxis(bits, 0, -1)[..., :size, :] << np.arange(type.bits)).sum(axis=-1)
    return {"codes": np.where(fields > type.hi, fields - 2**type.bits, fields)}


def unpacked_bytes_reversed(vector: Vector) -> Outputs:
    """Reads the last byte of a row first."""
    size, type = vector.attributes["size"], type_of(vector)
    rows = vector.arrays["bytes"].astype(np.uint8)[..., ::-1]
    bits = np.unpackbits(rows, axis=-1, bitorder="little")[..., : size * type.bits]
    fields = bits.reshape(*rows.shape[:-1], size, type.bits).astype(np.int64)
    codes = (fields << np.arange(type.bits)).sum(axis=-1)
    return {"codes": np.where(codes > type.hi, codes - 2**type.bits, codes)}


def classes_from_one(vector: Vector) -> Outputs:
    """The first class is 1."""
    return {"class": right(vector)["class"] + 1}


def input_weighs(vector: Vector) -> Outputs:
    """The input is counted among the weights."""
    held = program_of(vector).input_type
    return {"bits": right(vector)["bits"] + held.elements * held.type.bits}


def zero_keeps_one(vector: Vector) -> Outputs:
    """Zero weights keep one code: a support has at least one place."""
    held = right(vector)
    if vector.arrays["w"].any():
        return held
    first = np.zeros(len(vector.arrays["w"]), np.int64)
    first[0] = 1
    return {"codes": first, "support": np.array([1]), "sum": np.array([0])}


def sign_lost(vector: Vector) -> Outputs:
    """Codes are 1 where a weight is kept, whatever its sign."""
    return {**right(vector), "codes": np.abs(right(vector)["codes"].astype(np.int64))}


def zero_is_positive(vector: Vector) -> Outputs:
    """A weight of zero has the code 1."""
    codes = right(vector)["codes"].astype(np.int64)
    return {"codes": np.where(vector.arrays["w"] == 0, 1, codes)}


def start_given_back(vector: Vector) -> Outputs:
    """The codes of the start are the result."""
    held = vector.arrays
    X, z, w = (held[name].astype(np.int64) for name in ("X", "z", "start"))
    return {"codes": w, "N": np.array([X @ z @ w]), "D": np.array([w @ (X @ X.T) @ w])}


def dead_component_ends(vector: Vector) -> Outputs:
    """A dead component ends the decomposition."""
    found = components(vector)
    alive = next((i for i, (_, d, _) in enumerate(found) if not d), len(found))
    return answer(found[:alive])
