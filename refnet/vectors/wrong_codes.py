"""Wrong packings: codes to bytes, and bytes to codes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refnet.program import TERNARY, IntType
from refnet.vectors.answering import Ints, right
from refnet.vectors.functions import Outputs
from refnet.vectors.record import Vector

Bits = NDArray[np.uint8]


def type_of(vector: Vector) -> IntType:
    """The type of the codes of a packing vector."""
    return IntType.parse(vector.attributes.get("type", "ternary"))


def _bits(codes: Ints, type: IntType) -> Bits:
    """(..., n, bits), lowest bit first."""
    return ((codes[..., None].astype(np.int64) >> np.arange(type.bits)) & 1).astype(np.uint8)


def _flat(bits: Bits) -> Bits:
    return bits.reshape(*bits.shape[:-2], bits.shape[-2] * bits.shape[-1])


def msb_first(vector: Vector) -> Outputs:
    """The first code takes the highest bits of its byte."""
    bits = _bits(vector.arrays["codes"], type_of(vector))[..., ::-1]
    return {"bytes": np.packbits(_flat(bits), axis=-1, bitorder="big")}


def bits_reversed(vector: Vector) -> Outputs:
    """The bits of each field the other way round."""
    bits = _bits(vector.arrays["codes"], type_of(vector))[..., ::-1]
    return {"bytes": np.packbits(_flat(bits), axis=-1, bitorder="little")}


def minus_one_10(vector: Vector) -> Outputs:
    """The trit -1 as 10."""
    codes, type = vector.arrays["codes"], type_of(vector)
    bits = _bits(np.where(codes == -1, 2, codes) if type == TERNARY else codes, type)
    return {"bytes": np.packbits(_flat(bits), axis=-1, bitorder="little")}


def offset_codes(vector: Vector) -> Outputs:
    """The field is the code minus the least code."""
    codes, type = vector.arrays["codes"].astype(np.int64), type_of(vector)
    return {"bytes": np.packbits(_flat(_bits(codes - type.lo, type)), axis=-1, bitorder="little")}


def whole_fields(vector: Vector) -> Outputs:
    """Fields do not cross a byte: what is left of it stays empty."""
    codes, type = vector.arrays["codes"], type_of(vector)
    bits = _bits(codes, type)
    if type.bits > 8:
        wide = np.packbits(bits, axis=-1, bitorder="little")
        return {"bytes": wide.reshape(*codes.shape[:-1], -1)}
    each = 8 // type.bits
    rows = np.zeros((*codes.shape[:-1], -(-codes.shape[-1] // each) * each, type.bits), np.uint8)
    rows[..., : codes.shape[-1], :] = bits
    rows = rows.reshape(*codes.shape[:-1], -1, each * type.bits)
    return {"bytes": np.packbits(rows, axis=-1, bitorder="little")[..., 0]}


def rows_joined(vector: Vector) -> Outputs:
    """Rows follow each other without starting on a byte."""
    bits = _bits(vector.arrays["codes"], type_of(vector))
    return {"bytes": np.packbits(bits.ravel(), bitorder="little")}


def bytes_reversed(vector: Vector) -> Outputs:
    """The last byte of a row comes first."""
    return {"bytes": right(vector)["bytes"][..., ::-1]}


def _digits(vector: Vector) -> Ints:
    codes = vector.arrays["codes"].astype(np.int64)
    wide = np.zeros((*codes.shape[:-1], -(-codes.shape[-1] // 5) * 5), np.int64)
    wide[..., : codes.shape[-1]] = codes
    return wide.reshape(*codes.shape[:-1], -1, 5)


def trits_reversed(vector: Vector) -> Outputs:
    """The first trit takes the highest digit."""
    return {"bytes": (_digits(vector) % 3 * 3 ** np.arange(5)[::-1]).sum(axis=-1)}


def trits_offset(vector: Vector) -> Outputs:
    """Digits are the trit plus one."""
    return {"bytes": ((_digits(vector) + 1) * 3 ** np.arange(5)).sum(axis=-1)}


def trits_four(vector: Vector) -> Outputs:
    """Four trits a byte, two bits each."""
    bits = _bits(vector.arrays["codes"], TERNARY)
    return {"bytes": np.packbits(_flat(bits), axis=-1, bitorder="little")}


def planes_reversed(vector: Vector) -> Outputs:
    """The highest plane first."""
    return {"bytes": right(vector)["bytes"][::-1]}


def planes_msb(vector: Vector) -> Outputs:
    """The first code of a plane takes the highest bit."""
    planes = np.moveaxis(_bits(vector.arrays["codes"], type_of(vector)), -1, 0)
    return {"bytes": np.packbits(planes, axis=-1, bitorder="big")}


def positive_negative(vector: Vector) -> Outputs:
    """The masks are positive and negative."""
    codes = vector.arrays["codes"]
    masks = (np.packbits(m, axis=-1, bitorder="little") for m in (codes > 0, codes < 0))
    return dict(zip(("nonzero", "negative"), masks, strict=True))


def unpacked_msb_first(vector: Vector) -> Outputs:
    """Reads the first code from the highest bits of its byte."""
    size, type = vector.attributes["size"], type_of(vector)
    bits = np.unpackbits(vector.arrays["bytes"].astype(np.uint8), axis=-1, bitorder="big")
    bits = bits[..., : size * type.bits].astype(np.int64)
    fields = (bits.reshape(*bits.shape[:-1], size, type.bits) << np.arange(type.bits)[::-1]).sum(-1)
    return {"codes": np.where(fields > type.hi, fields - 2**type.bits, fields)}


def unpacked_unsigned(vector: Vector) -> Outputs:
    """Reads fields without their sign: 11 is 3."""
    codes = right(vector)["codes"].astype(np.int64)
    return {"codes": codes % 2 ** type_of(vector).bits}


def unpacked_backwards(vector: Vector) -> Outputs:
    """Reads the five trits of a byte from the highest digit."""
    held = vector.arrays["bytes"].astype(np.int64)
    digits = (held[..., None] // 3 ** np.arange(5)[::-1] % 3).reshape(*held.shape[:-1], -1)
    return {"codes": np.where(digits == 2, -1, digits)[..., : vector.attributes["size"]]}


def unpacked_planes_reversed(vector: Vector) -> Outputs:
    """Reads the highest plane first."""
    planes, size, type = vector.arrays["bytes"][::-1], vector.attributes["size"], type_of(vector)
    bits = np.unpackbits(planes.astype(np.uint8), axis=-1, bitorder="little").astype(np.int64)
    fields = (np.moveaxis(bits, 0, -1)[..., :size, :] << np.arange(type.bits)).sum(axis=-1)
    return {"codes": np.where(fields > type.hi, fields - 2**type.bits, fields)}


def masks_added(vector: Vector) -> Outputs:
    """Reads the masks as positive and negative: their difference."""
    codes = right(vector)["codes"]
    return {"codes": (codes != 0).astype(np.int64) - (codes < 0)}


def class_of_magnitude(vector: Vector) -> Outputs:
    """The score of the largest magnitude wins."""
    return {"class": np.argmax(np.abs(vector.arrays["scores"].astype(np.int64)), axis=1)}


def last_class(vector: Vector) -> Outputs:
    """The highest index on a tie."""
    scores = vector.arrays["scores"]
    return {"class": scores.shape[1] - 1 - np.argmax(scores[:, ::-1], axis=1)}
