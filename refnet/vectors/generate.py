"""From cases to vectors: answers of the reference, kill lists, files and their check."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from refnet.vectors.building import KINDS, operands_of, operator_of, program_of
from refnet.vectors.capabilities import capabilities
from refnet.vectors.cases import SUBJECTS, TIER_SUBJECTS
from refnet.vectors.cases.build import Case
from refnet.vectors.check import killed
from refnet.vectors.export import write_whole
from refnet.vectors.flags import ERRORS, FLAGS, OPTIONAL
from refnet.vectors.functions import Outputs
from refnet.vectors.lookalikes import LOOKALIKES
from refnet.vectors.reading import to_text
from refnet.vectors.record import (
    FORMAT_VERSION,
    GENERATOR,
    REAL,
    WIDE,
    Array,
    Vector,
    VectorError,
    VectorFile,
)
from refnet.vectors.reference import TIER_OPS, reference
from refnet.vectors.schema import SCHEMA

SCHEMA_NAME = "schema.json"
#: The folder, within that of the core tier, of the files of the other tiers.
TIER_FOLDER = "tiers"

#: The types of results that are not those of a program.
_RESULT_TYPES: dict[str, str] = {
    "range": "int32",
    "bits": "uint31",
    "storage": "uint8",
    "canonical": "uint8",
    "shape": "uint31",
    "class": "uint31",
    "mult": "sint16",
    "shift": "uint8",
    "bytes": "uint8",
    "nonzero": "uint8",
    "negative": "uint8",
    "file": "uint8",
    "t": "int32",
    "sign": "ternary",
    "support": "int32",
    "z": REAL,
    "X": "ternary",
    "Y": "ternary",
    "alpha": REAL,
    "bias": REAL,
    "scale": REAL,
    "latent": REAL,
    "sha256": "uint8",
    "blocks": "uint8",
    "hundreds": "uint8",
}


def _types(case: Vector) -> dict[str, str]:
    """Type names of the values that a program or operator proves."""
    if case.op in KINDS:
        op = operator_of(case.op, case.attributes)
        return {"y": op.infer(*operands_of(case)).type.name}
    if case.op == "Program":
        return {k: t.type.name for k, t in program_of(case).types.items()}
    if case.op == "requantize":
        return {"y": str(case.attributes["type"])}
    return dict(_RESULT_TYPES)


def _output_type(case: Vector, name: str, dtype: np.dtype[Any]) -> str:
    if case.op in ("optimal_ternary", "weight_codes", "code_least_squares") and name == "codes":
        bits = case.attributes.get("bits", 2)
        return f"sint{bits}" if bits > 2 else "ternary"
    if case.op.startswith("unpack"):
        return str(case.attributes.get("type", "ternary"))
    if case.op == "load":
        return "int32"
    return _types(case).get(name, WIDE)


def _question(case: Case) -> Vector:
    """The vector of a case before its answer is known; stands as one that must be refused."""
    return Vector(
        id=case.id,
        tier=case.tier,
        clauses=case.clauses,
        op=case.op,
        attributes=case.attributes,
        capabilities=capabilities(case.op, case.attributes, case.error),
        inputs=case.inputs,
        constants=case.constants,
        outputs=(),
        intermediates=(),
        result="must_fail",
        error=case.error or "operand",
        flags=case.flags,
        kills=(),
        comment=case.comment,
    )


def _remade(vector: Vector, **change: Any) -> Vector:
    held = {name: getattr(vector, name) for name in Vector.__dataclass_fields__}
    return Vector(**{**held, **change})


def complete(case: Case) -> Vector:
    """The vector of a case: the reference answers it, and every look-alike is tried on it.

    Raises :class:`VectorError` where the reference answers a case that must be refused, or the
    other way round.
    """
    question = _question(case)
    try:
        answered: Outputs | None = reference(question)
        refusal = ""
    except VectorError:
        raise
    except ValueError as error:
        answered, refusal = None, str(error)
    if (answered is None) != (case.error is not None):
        raise VectorError(f"case {case.id!r}: the reference says {refusal or answered!r}")
    vector = question if answered is None else _answered(question, answered)
    kills = tuple(k.name for k in LOOKALIKES if vector.op in k.ops and killed(vector, k.function))
    return _remade(vector, kills=kills)


def _answered(question: Vector, answered: Outputs) -> Vector:
    arrays = {
        name: Array.of(name, _output_type(question, name, np.asarray(y).dtype), y)
        for name, y in answered.items()
    }
    main = _main_outputs(question, tuple(arrays))
    return _remade(
        question,
        result="may" if {*question.flags} & {*OPTIONAL} else "must",
        error=None,
        outputs=tuple(arrays[n] for n in main),
        intermediates=tuple(a for n, a in arrays.items() if n not in main),
    )


def _main_outputs(vector: Vector, names: tuple[str, ...]) -> tuple[str, ...]:
    """Which arrays of an answer are its outputs; the others are intermediates."""
    if vector.op == "Program":
        return (str(vector.attributes["output"]),)
    if vector.op in TIER_OPS:
        return tuple(n for n in names if n not in ("blocks", "hundreds"))
    if vector.op in KINDS or vector.op == "requantize":
        return ("y",)
    return names


def vector_file(subject: str, cases: tuple[Case, ...]) -> VectorFile:
    """The file of a subject; its header defines what its vectors use."""
    vectors = tuple(complete(case) for case in cases)
    flags = {f for v in vectors for f in v.flags}
    errors = {v.error for v in vectors}
    return VectorFile(
        format=FORMAT_VERSION,
        generator=GENERATOR,
        subject=subject,
        flags={k: FLAGS[k] for k in FLAGS if k in flags},
        errors={k: ERRORS[k] for k in ERRORS if k in errors},
        vectors=vectors,
    )


def files(progress: Callable[[str], None] = lambda subject: None) -> Iterator[tuple[str, str]]:
    """(file name, text) of everything that is generated: the schema and a file a subject."""
    yield SCHEMA_NAME, json.dumps(SCHEMA, indent=1, ensure_ascii=True) + "\n"
    for subject, cases in SUBJECTS:
        progress(subject)
        yield f"{subject}.json", to_text(vector_file(subject, cases))
    for subject, cases in TIER_SUBJECTS:
        progress(subject)
        yield f"{TIER_FOLDER}/{subject}.json", to_text(vector_file(subject, cases))


def write(
    directory: str | os.PathLike[str], progress: Callable[[str], None] = lambda subject: None
) -> tuple[str, ...]:
    """Write all files into ``directory`` (made where missing); each appears whole or not at all."""
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    made: Mapping[str, str] = dict(files(progress))
    (folder / TIER_FOLDER).mkdir(exist_ok=True)
    for name, text in made.items():
        write_whole(folder / name, text.encode())
    return tuple(made)


def first_difference(directory: str | os.PathLike[str]) -> str | None:
    """Where the files of ``directory`` are not what the generator gives, in a line; or None.

    Compares byte for byte; a missing file and one that the generator does not know count.
    """
    folder, made = Path(directory), dict(files())
    if not folder.is_dir():
        return f"{folder}: no such folder"
    for name, text in made.items():
        path = folder / name
        if not path.is_file():
            return f"{path}: missing"
        want, seen = text.encode().split(b"\n"), path.read_bytes().split(b"\n")
        for number, (a, b) in enumerate(zip(want, seen, strict=False), start=1):
            if a != b:
                return f"{path}:{number}: differs from what the generator gives"
        if len(want) != len(seen):
            return f"{path}:{min(len(want), len(seen))}: {len(seen)} lines, rule {len(want)}"
    found = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())
    extra = sorted(name for name in found if name not in made)
    return f"{folder / extra[0]}: not made by the generator" if extra else None
