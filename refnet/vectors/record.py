"""The vector record: what one golden vector says.

A vector is one question to an implementation and its one right answer. It holds integers; real
numbers are the hexadecimal bit patterns of binary64. Every array carries its SHA-256
(:func:`digest`), and every record has the same fields.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.program import IntType, ProgramError
from refnet.vectors.flags import ERRORS, FLAGS, OPTIONAL

FORMAT_VERSION = 1
#: Changes whenever the generator gives other vectors; written into every file.
GENERATOR = "refnet-vectors 1"
#: Tiers; ``smoke`` is part of ``core``, the others lie beyond it [9].
TIERS = ("smoke", "core", "exhaustive", "chain", "stress", "programs", "machine", "methods")
RESULTS = ("must", "may", "must_fail")
#: Integers that need more than 32 bits (products); JSON readers hold up to 2**53 exactly.
WIDE = "int64"
#: Real numbers, each as 16 hexadecimal digits, the sign bit first.
REAL = "binary64"

_ID = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*\.\d{4}")
_CLAUSE = re.compile(r"\d+\.\d+\.\d+")
_ARRAY_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}")


class VectorError(ValueError):
    """A vector or a vector file breaks a rule of the record."""


@cache
def dtype_of(type: str) -> np.dtype[Any]:
    """Storage of a type name: [1.1.3], int64 for the wide type, float64 for reals."""
    if type in (WIDE, REAL):
        return np.dtype(np.int64 if type == WIDE else np.float64)
    try:
        return IntType.parse(type).dtype
    except ProgramError as error:
        raise VectorError(str(error)) from None


@cache
def limits_of(type: str) -> tuple[int, int]:
    """Least and greatest integer of a type name; the wide type stops where JSON readers do."""
    if type == WIDE:
        return -(2**53), 2**53
    dtype_of(type)
    known = IntType.parse(type)
    return known.lo, known.hi


def digest(array: NDArray[Any]) -> str:
    """SHA-256 of ``"int8 2,3\\n"`` (dtype name, shape) and the little-endian bytes in C order."""
    head = f"{array.dtype.name} {','.join(map(str, array.shape))}\n"
    little = array.astype(array.dtype.newbyteorder("<"))
    return hashlib.sha256(head.encode() + little.tobytes()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """A named array: ``data`` flat in C order, as integers or (``binary64``) bit patterns.

    ``type`` is a name of [1.1.2], ``int64`` or ``binary64``. Activations have the batch axis first.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    data: tuple[int | str, ...]
    sha256: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _ARRAY_NAME.fullmatch(self.name):
            raise VectorError(f"array {self.name!r}: not a name")
        object.__setattr__(self, "shape", tuple(self.shape))
        object.__setattr__(self, "data", tuple(self.data))
        if not all(type(n) is int and n >= 0 for n in self.shape):
            raise VectorError(f"array {self.name!r}: shape {self.shape} must hold sizes >= 0")
        if math.prod(self.shape) != len(self.data):
            raise VectorError(f"array {self.name!r}: {len(self.data)} elements, shape {self.shape}")
        self._check_data()
        found = digest(self.array())
        if found != self.sha256:
            raise VectorError(f"array {self.name!r}: sha256 {self.sha256}, its data give {found}")

    @classmethod
    def of(cls, name: str, type: str, array: Any) -> Array:
        """The record of an array-like (integers, or reals for ``binary64``)."""
        given = np.asarray(array)
        if type != REAL and given.size and given.dtype.kind not in "iu":
            raise VectorError(f"array {name!r}: dtype {given.dtype}, rule integers")
        held = given.astype(dtype_of(type))
        if type != REAL and not np.array_equal(held, given):
            raise VectorError(f"array {name!r}: [{given.min()}, {given.max()}] leaves {type}")
        flat = held.ravel().tolist()
        data = tuple(v.hex() for v in held.ravel().astype(">f8").view("V8").tolist())
        data = data if type == REAL else tuple(flat)
        return cls(name=name, type=type, shape=held.shape, data=data, sha256=digest(held))

    def _check_data(self) -> None:
        kind = str if self.type == REAL else int
        if any(type(v) is not kind for v in self.data):
            raise VectorError(f"array {self.name!r}: data must be {kind.__name__} only")
        if self.type == REAL:
            if not all(re.fullmatch("[0-9a-f]{16}", str(v)) for v in self.data):
                raise VectorError(f"array {self.name!r}: reals are 16 hexadecimal digits")
            return
        lo, hi = limits_of(self.type)
        if not all(lo <= int(v) <= hi for v in self.data):
            raise VectorError(f"array {self.name!r}: data leave {self.type}")

    def array(self) -> NDArray[Any]:
        """The array in the storage of its type."""
        if self.type == REAL:
            raw = bytes.fromhex("".join(map(str, self.data)))
            return np.frombuffer(raw, dtype=">f8").astype(np.float64).reshape(self.shape)
        return np.array(self.data, dtype=dtype_of(self.type)).reshape(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One golden vector.

    ``id``, such as ``conv.padding.0001``, is never given to another question. ``result`` is
    ``must`` (give ``outputs``), ``may`` (give them or refuse; a flag of OPTIONAL says why) or
    ``must_fail`` (refuse, for the reason ``error``).
    ``intermediates`` are what a step by step implementation sees on the way; they are compared
    where it gives them.
    ``kills`` names the look-alikes that do not pass; ``capabilities`` what must be implemented.
    """

    id: str
    tier: str
    clauses: tuple[str, ...]
    op: str
    attributes: Mapping[str, Any]
    capabilities: tuple[str, ...]
    inputs: tuple[Array, ...]
    constants: tuple[Array, ...]
    outputs: tuple[Array, ...]
    intermediates: tuple[Array, ...]
    result: str
    error: str | None
    flags: tuple[str, ...]
    kills: tuple[str, ...]
    comment: str

    def __post_init__(self) -> None:
        rules = (
            (bool(_ID.fullmatch(self.id)), "id must read like conv.padding.0001"),
            (self.tier in TIERS, f"tier must be one of {TIERS}"),
            (all(map(_CLAUSE.fullmatch, self.clauses or ("",))), "clauses read 4.1.3"),
            (self.result in RESULTS, f"result must be one of {RESULTS}"),
            (bool(self.flags) and set(self.flags) <= set(FLAGS), f"flags are among {[*FLAGS]}"),
            (len(self.comment) >= 20, "comment must say what the vector is for"),
        )
        for holds, rule in rules:
            if not holds:
                raise VectorError(f"vector {self.id!r}: {rule}")
        if (self.result == "may") != (self.error is None and bool({*self.flags} & {*OPTIONAL})):
            raise VectorError(f"vector {self.id!r}: may has a flag of {OPTIONAL}, and no other has")
        if self.result == "must_fail":
            if self.error not in ERRORS or self.outputs or self.intermediates:
                raise VectorError(f"vector {self.id!r}: must_fail has an error of {[*ERRORS]} only")
        elif self.error is not None or not self.outputs:
            raise VectorError(f"vector {self.id!r}: {self.result} has outputs and no error")
        for group in (self.inputs + self.constants, self.outputs + self.intermediates):
            names = [a.name for a in group]
            if len(set(names)) != len(names):
                raise VectorError(f"vector {self.id!r}: an array name twice in {names}")

    @property
    def operands(self) -> tuple[Array, ...]:
        """Inputs and then constants: the operands in the order of chapter 04."""
        return self.inputs + self.constants

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The operands by name."""
        return {a.name: a.array() for a in self.operands}


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorFile:
    """A file of vectors on one ``subject``, with the meaning of every flag and error it uses."""

    format: int
    generator: str
    subject: str
    flags: Mapping[str, Mapping[str, str]]
    errors: Mapping[str, str]
    vectors: tuple[Vector, ...]

    def __post_init__(self) -> None:
        if self.format != FORMAT_VERSION:
            raise VectorError(f"format {self.format!r}, rule {FORMAT_VERSION}")
        ids = [v.id for v in self.vectors]
        if not ids or len(set(ids)) != len(ids):
            raise VectorError(f"{self.subject!r}: {len(ids)} vectors, each id once, at least one")
        for vector in self.vectors:
            undefined = set(vector.flags) - set(self.flags)
            if undefined or (vector.error and vector.error not in self.errors):
                raise VectorError(f"vector {vector.id!r}: the header defines not all its flags")


ARRAY_FIELDS = tuple(f.name for f in fields(Array))
VECTOR_FIELDS = tuple(f.name for f in fields(Vector))
FILE_FIELDS = tuple(f.name for f in fields(VectorFile))
