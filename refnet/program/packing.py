"""Codes to bytes and back ([2] of the specification).

Every packing works on the last axis: rows are packed one by one, each row starts on a byte, and
what is left of the last byte holds zeros. The first code of a row sits in the lowest bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refnet.program.types import IntArray, IntType

Bytes = NDArray[np.uint8]

#: Trits in a byte of the base-3 packing: 3**5 = 243 <= 256.
TRITS_PER_BYTE = 5


def _checked(codes: IntArray, type: IntType) -> NDArray[np.int64]:
    codes = np.asarray(codes)
    if codes.dtype.kind not in "iu" or codes.ndim < 1:
        raise ValueError(f"pack: codes {codes.dtype} {codes.shape} must be integers with an axis")
    if not type.contains(codes):
        raise ValueError(f"pack: codes in [{codes.min()}, {codes.max()}] leave {type}")
    return codes.astype(np.int64)


def _rows(packed: Bytes, size: int, row_bytes: int) -> Bytes:
    packed = np.asarray(packed)
    fits = packed.ndim >= 1 and packed.shape[-1] == row_bytes
    if packed.dtype != np.uint8 or size < 0 or not fits:
        raise ValueError(
            f"unpack: {packed.dtype} {packed.shape}, rule uint8, {row_bytes} bytes a row of {size}"
        )
    return packed


def _unpacked(fields: NDArray[np.int64], size: int, type: IntType) -> IntArray:
    """Split off the padding, which must be zero, and read fields as codes of ``type``."""
    if np.any(fields[..., size:]):
        raise ValueError("unpack: padding after the last code of a row must be zero")
    fields = fields[..., :size]
    base = 2**type.bits
    codes = np.where(fields > type.hi, fields - base, fields)
    if not type.contains(codes):
        raise ValueError(f"unpack: a field of [{fields.min()}, {fields.max()}] is no {type} code")
    return codes.astype(type.dtype)


def pack_bits(codes: IntArray, type: IntType) -> Bytes:
    """Codes (..., n) as ``type.bits``-bit fields, each ``code mod 2**bits`` [2.1].

    Fields follow each other without gaps, lowest bit first, and may cross bytes.
    Ternary codes are 2-bit fields: 0 -> 00, +1 -> 01, -1 -> 11.

    >>> pack_bits(np.array([1, 0, -1, 1, -1]), IntType(lo=-1, hi=1)).tolist()
    [113, 3]
    """
    codes = _checked(codes, type)
    bits = (codes[..., None] >> np.arange(type.bits)) & 1
    flat = bits.reshape(*codes.shape[:-1], codes.shape[-1] * type.bits)
    return np.packbits(flat.astype(np.uint8), axis=-1, bitorder="little")


def unpack_bits(packed: Bytes, size: int, type: IntType) -> IntArray:
    """The inverse of :func:`pack_bits`: (..., bytes) -> (..., size) codes.

    Raises ``ValueError`` on a wrong row length, on padding that is not zero and on a field that is
    no code, such as 10 for a trit.
    """
    packed = _rows(packed, size, -(-size * type.bits // 8))
    bits = np.unpackbits(packed, axis=-1, bitorder="little").astype(np.int64)
    if np.any(bits[..., size * type.bits :]):
        raise ValueError("unpack: padding after the last code of a row must be zero")
    fields = bits[..., : size * type.bits].reshape(*packed.shape[:-1], size, type.bits)
    return _unpacked((fields << np.arange(type.bits)).sum(axis=-1), size, type)


def pack_trits(codes: IntArray) -> Bytes:
    """Ternary codes (..., n) five to a byte: sum of ``(code mod 3) * 3**i`` [2.2].

    >>> pack_trits(np.array([1, 0, -1, 1, -1, 1])).tolist()
    [208, 1]
    """
    codes = _checked(codes, IntType(lo=-1, hi=1)) % 3
    size = codes.shape[-1]
    pad = -size % TRITS_PER_BYTE
    digits = np.concatenate([codes, np.zeros((*codes.shape[:-1], pad), dtype=np.int64)], axis=-1)
    digits = digits.reshape(*codes.shape[:-1], (size + pad) // TRITS_PER_BYTE, TRITS_PER_BYTE)
    packed: Bytes = (digits * 3 ** np.arange(TRITS_PER_BYTE)).sum(axis=-1).astype(np.uint8)
    return packed


def unpack_trits(packed: Bytes, size: int) -> IntArray:
    """The inverse of :func:`pack_trits`; a byte of 243 or more is refused."""
    packed = _rows(packed, size, -(-size // TRITS_PER_BYTE))
    if packed.size and packed.max() >= 3**TRITS_PER_BYTE:
        raise ValueError(f"unpack: byte {packed.max()} holds no five trits; rule below 243")
    digits = packed[..., None].astype(np.int64) // 3 ** np.arange(TRITS_PER_BYTE) % 3
    digits = digits.reshape(*packed.shape[:-1], packed.shape[-1] * TRITS_PER_BYTE)
    # A trit is read as the 2-bit field of [2.1], whose -1 is 3.
    return _unpacked(np.where(digits == 2, 3, digits), size, IntType(lo=-1, hi=1))


def pack_planes(codes: IntArray, type: IntType) -> Bytes:
    """Bit planes (bits, ..., bytes) of codes (..., n): plane b holds bit b of every code [2.3].

    >>> pack_planes(np.array([3, 0, 2, 1]), IntType(lo=0, hi=3)).tolist()
    [[9], [5]]
    """
    codes = _checked(codes, type)
    planes = np.stack([(codes >> b) & 1 for b in range(type.bits)])
    return np.packbits(planes.astype(np.uint8), axis=-1, bitorder="little")


def unpack_planes(planes: Bytes, size: int, type: IntType) -> IntArray:
    """The inverse of :func:`pack_planes`: (bits, ..., bytes) -> (..., size) codes.

    Refuses with ``ValueError`` what :func:`unpack_bits` refuses.
    """
    planes = _rows(planes, size, -(-size // 8))
    if planes.ndim < 2 or planes.shape[0] != type.bits:
        raise ValueError(f"unpack: planes {planes.shape} need a first axis of {type.bits} bits")
    bits = np.unpackbits(planes, axis=-1, bitorder="little").astype(np.int64)
    return _unpacked(sum(bits[b] << b for b in range(type.bits)), size, type)


def pack_ternary_planes(codes: IntArray) -> tuple[Bytes, Bytes]:
    """Masks (non-zero, negative) of ternary codes (..., n) [2.4], the form of bit-serial kernels.

    >>> [p.tolist() for p in pack_ternary_planes(np.array([1, 0, -1]))]
    [[5], [4]]
    """
    codes = _checked(codes, IntType(lo=-1, hi=1))
    masks = (np.packbits(m, axis=-1, bitorder="little") for m in (codes != 0, codes < 0))
    nonzero, negative = masks
    return nonzero, negative


def unpack_ternary_planes(nonzero: Bytes, negative: Bytes, size: int) -> IntArray:
    """The inverse of :func:`pack_ternary_planes`; a negative zero is refused."""
    bit = IntType(lo=0, hi=1)
    magnitude, minus = (unpack_bits(mask, size, bit) for mask in (nonzero, negative))
    if magnitude.shape != minus.shape:
        raise ValueError(f"unpack: masks {np.shape(nonzero)} and {np.shape(negative)} do not fit")
    if np.any(minus > magnitude):
        raise ValueError("unpack: a position is marked negative but not non-zero")
    return np.asarray(magnitude - 2 * minus, dtype=np.int8)
