"""Vector files as text: JSON with one vector a line, and a strict reader.

The reader refuses whatever it does not know: a field that a reader skips is a rule that it does
not check.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refnet.vectors.record import (
    ARRAY_FIELDS,
    FILE_FIELDS,
    VECTOR_FIELDS,
    Array,
    Vector,
    VectorError,
    VectorFile,
)


def plain_array(array: Array) -> dict[str, Any]:
    """The array as JSON."""
    return {f: getattr(array, f) for f in ARRAY_FIELDS}


def _plain(value: Any) -> Any:
    if isinstance(value, Array):
        return plain_array(value)
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return dict(value) if isinstance(value, Mapping) else value


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True)


def to_text(file: VectorFile) -> str:
    """The file as JSON: the header, then one vector a line, so that a difference has a line."""
    head = {f: _plain(getattr(file, f)) for f in FILE_FIELDS if f != "vectors"}
    lines = [_compact({f: _plain(getattr(v, f)) for f in VECTOR_FIELDS}) for v in file.vectors]
    return _compact(head)[:-1] + ',"vectors":[\n' + ",\n".join(lines) + "\n]}\n"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise VectorError(f"a field appears twice among {[k for k, _ in pairs]}")
    return found


def _no_real(text: str) -> Any:
    raise VectorError(f"number {text}: integers only")


def _record(value: Any, names: tuple[str, ...], what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != set(names):
        seen = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise VectorError(f"{what}: fields {seen}, rule {sorted(names)}")
    return value


def _typed(record: dict[str, Any], what: str, **types: Any) -> None:
    for name, type_ in types.items():
        if not isinstance(record[name], type_) or isinstance(record[name], bool):
            raise VectorError(f"{what}: {name} is {record[name]!r:.60}, rule {type_}")


def _texts(record: dict[str, Any], what: str, *names: str) -> None:
    for name in names:
        _typed(record, what, **{name: list})
        if not all(isinstance(v, str) for v in record[name]):
            raise VectorError(f"{what}: {name} must hold strings")
        record[name] = tuple(record[name])


def _array(value: Any, what: str) -> Array:
    record = _record(value, ARRAY_FIELDS, f"{what}: array")
    _typed(record, what, name=str, type=str, shape=list, data=list, sha256=str)
    return Array(**record)


def _vector(value: Any) -> Vector:
    what = f"vector {value.get('id')!r}" if isinstance(value, dict) else "vector"
    record = dict(_record(value, VECTOR_FIELDS, what))
    _typed(record, what, id=str, tier=str, op=str, attributes=dict, result=str, comment=str)
    _typed(record, what, error=(str, type(None)))
    _texts(record, what, "clauses", "capabilities", "flags", "kills")
    for name in ("inputs", "constants", "outputs", "intermediates"):
        _typed(record, what, **{name: list})
        record[name] = tuple(_array(a, what) for a in record[name])
    return Vector(**record)


def from_text(text: str) -> VectorFile:
    """Read a vector file; raises :class:`VectorError` on anything that is not exactly one."""
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_float=_no_real, parse_constant=_no_real
        )
    except VectorError:
        raise
    except (ValueError, RecursionError) as error:
        raise VectorError(f"no JSON: {error}") from None
    record = dict(_record(value, FILE_FIELDS, "vector file"))
    _typed(record, "vector file", format=int, generator=str, subject=str, vectors=list)
    _typed(record, "vector file", flags=dict, errors=dict)
    for name, flag in record["flags"].items():
        _record(flag, ("meaning", "suggests"), f"flag {name!r}")
    record["vectors"] = tuple(_vector(v) for v in record["vectors"])
    return VectorFile(**record)


def read(path: str | os.PathLike[str]) -> VectorFile:
    """The vector file at ``path``; errors name the file."""
    try:
        return from_text(Path(path).read_text(encoding="utf-8"))
    except (VectorError, UnicodeDecodeError) as error:
        raise VectorError(f"{os.fspath(path)}: {error}") from None
