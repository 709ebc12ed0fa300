"""Counterexamples as vectors: saved, exchanged, and tried again.

A vector of a law has the op ``law.NAME``. Its attributes hold the seed, the zero point and the
dtype of each array; its inputs are the scale and the arrays of the case. What is expected is that
the law holds; ``right`` are the codes that are right where one real is concerned.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.laws.bench import Bench
from refnet.laws.bound import Params
from refnet.laws.case import Case, Counterexample
from refnet.laws.suite import LawReport, judge
from refnet.laws.sut import QuantizerUnderTest
from refnet.laws.table import LAWS
from refnet.vectors.export import write_whole
from refnet.vectors.flags import FLAGS
from refnet.vectors.reading import read, to_text
from refnet.vectors.record import (
    FORMAT_VERSION,
    REAL,
    WIDE,
    Array,
    Vector,
    VectorError,
    VectorFile,
)

GENERATOR = "refnet-laws 1"
_OP = "law."
_FLAGS = {
    "tie": "TIE", "nearest": "BOUNDARY", "gradient": "BOUNDARY", "gradient_saturated": "SATURATE",
    "saturates": "SATURATE", "codes": "SATURATE", "infinity": "SATURATE", "zero": "SIGN",
    "odd": "SIGN", "layout": "LAYOUT", "shape": "DEGENERATE", "size": "DEGENERATE",
    "pack_roundtrip": "PACKING", "pack_injective": "PACKING", "pack_order": "PACKING",
    "dot_exact": "ACCUMULATOR", "requantize_exact": "TIE", "code_dtype": "TYPE",
}


def _array(name: str, array: NDArray[Any]) -> Array:
    return Array.of(name, REAL if array.dtype.kind == "f" else WIDE, array)


def vector_of(law: str, found: Counterexample, number: int = 1) -> Vector:
    """The vector of a counterexample; ``number`` makes its id one of its own."""
    case = found.case
    inputs = [_array(name, array) for name, array in case.arrays.items()]
    if case.params.scale is not None:
        inputs.append(_array("scale", np.array([case.params.scale])))
    dtypes = {name: a.dtype.name for name, a in case.arrays.items()}
    outputs = [Array.of("holds", "uint1", np.array([1]))]
    if found.right is not None:
        outputs.append(Array.of("right", WIDE, np.array(found.right)))
    clause = next(known.clause for known in LAWS if known.name == law)
    return Vector(
        id=f"law.{law}.{number:04}", tier="core", clauses=(clause,), op=_OP + law,
        attributes={"seed": case.seed, "zero_point": case.params.zero_point, "dtypes": dtypes},
        capabilities=(_OP + law,), inputs=tuple(inputs), constants=(), outputs=tuple(outputs),
        intermediates=(), result="must", error=None, flags=(_FLAGS.get(law, "BASIC"),), kills=(),
        comment=f"law {law}: {found.detail}"[:400],
    )


def save(report: LawReport, path: str | os.PathLike[str]) -> int:
    """Write every counterexample of a report into one vector file; returns how many there are.

    Nothing is written where there is none.
    """
    vectors = tuple(vector_of(name, c) for name, c in report.counterexamples.items())
    if not vectors:
        return 0
    flags = {name: FLAGS[name] for name in sorted({f for v in vectors for f in v.flags})}
    file = VectorFile(
        format=FORMAT_VERSION, generator=GENERATOR, subject=report.name or "quantizer",
        flags=flags, errors={}, vectors=vectors,
    )
    write_whole(Path(path), to_text(file).encode())
    return len(vectors)


def _case_of(vector: Vector) -> Case:
    given: Mapping[str, Any] = vector.attributes
    if set(given) != {"seed", "zero_point", "dtypes"} or not isinstance(given["dtypes"], dict):
        raise VectorError(f"vector {vector.id!r}: attributes {sorted(given)} are of no law")
    arrays = dict(vector.arrays)
    scale = arrays.pop("scale", None)
    if set(given["dtypes"]) != set(arrays):
        raise VectorError(f"vector {vector.id!r}: dtypes of {sorted(given['dtypes'])}")
    try:
        held = {name: a.astype(np.dtype(given["dtypes"][name])) for name, a in arrays.items()}
    except TypeError as error:
        raise VectorError(f"vector {vector.id!r}: {error}") from None
    params = Params(
        scale=None if scale is None else float(scale[0]), zero_point=given["zero_point"]
    )
    return Case(params=params, arrays=held, seed=int(given["seed"]))


def replay(path: str | os.PathLike[str], q: QuantizerUnderTest) -> LawReport:
    """Try ``q`` on the cases of a file that :func:`save` wrote.

    A law whose facts are not given is unknown. Raises :class:`~refnet.vectors.VectorError` for a
    file of anything else.
    """
    known = {law.name: law for law in LAWS}
    bench = Bench(q)
    passed: list[str] = []
    failed: dict[str, Counterexample] = {}
    reasons: dict[str, str] = {}
    for vector in read(path).vectors:
        name = vector.op.removeprefix(_OP)
        if not vector.op.startswith(_OP) or name not in known:
            raise VectorError(f"{os.fspath(path)}: vector {vector.id!r} is of no law")
        case = _case_of(vector)
        drawn = {n for n in ("scale", "zero_point") if getattr(case.params, n) is not None}
        missing = known[name].missing(bench)
        if missing or drawn != set(q.parameters):
            reasons[name] = f"needs {', '.join(missing) or 'the parameters of the vector'}"
            continue
        found = judge(known[name], bench, case)
        if isinstance(found, Counterexample):
            failed[name] = found
        else:
            passed.append(name)
    return LawReport(name=q.name, passed=tuple(passed), counterexamples=failed, reasons=reasons)
