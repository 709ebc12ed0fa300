"""The ledger of ids: which question each id was given to, so that none is given to another.

A line is an id and the SHA-256 of its question (op, attributes, operands); lines are only ever
added. A vector that is withdrawn keeps its line.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from refnet.vectors.export import write_whole
from refnet.vectors.record import Vector, VectorError


def question(vector: Vector) -> str:
    """SHA-256 of what the vector asks, 64 hexadecimal digits; answers are no part of it."""
    asked = [
        vector.op, vector.attributes,
        *([a.name, a.type, a.shape, a.sha256] for a in (*vector.inputs, *vector.constants)),
    ]
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read_ledger(path: str | os.PathLike[str]) -> dict[str, str]:
    """Ids and questions of a ledger; a missing file is an empty one."""
    if not Path(path).is_file():
        return {}
    found: dict[str, str] = {}
    for number, line in enumerate(Path(path).read_text().splitlines(), start=1):
        id, _, asked = line.partition(" ")
        if id in found or len(asked) != 64:
            raise VectorError(f"{path}:{number}: rule an id, given once, and 64 digits")
        found[id] = asked
    return found


def missing(vectors: Iterable[Vector], ledger: dict[str, str], path: str) -> dict[str, str]:
    """Entries that ``ledger`` lacks; refuses an id that was given to another question."""
    found = {}
    for vector in vectors:
        asked = question(vector)
        if ledger.get(vector.id, asked) != asked:
            raise VectorError(f"{path}: id {vector.id!r} was given to another question: take a new")
        if vector.id not in ledger:
            found[vector.id] = asked
    return found


def extend(vectors: Iterable[Vector], path: str | os.PathLike[str]) -> int:
    """Add the ids of new vectors to the ledger; returns how many there were."""
    held = read_ledger(path)
    new = missing(vectors, held, os.fspath(path))
    text = "".join(f"{id} {asked}\n" for id, asked in {**held, **new}.items())
    write_whole(Path(path), text.encode())
    return len(new)
