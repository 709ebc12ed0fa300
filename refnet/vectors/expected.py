"""Files of expected failures: vectors that an implementation is known to fail, each with a reason.

One a line: the id, then why. ``#`` begins a comment. An expected failure that passes is an error,
so the file can only shrink with the defects it lists.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from refnet.vectors.record import VectorError


def parse_expected(text: str, known: Iterable[str]) -> dict[str, str]:
    """Reasons by id; :class:`VectorError` where a line has no reason, or an id is unknown or twice.

    >>> parse_expected("conv.bias.0001 the bias is added twice  # until 2.1\\n", ["conv.bias.0001"])
    {'conv.bias.0001': 'the bias is added twice'}
    """
    found: dict[str, str] = {}
    ids = set(known)
    for number, line in enumerate(text.splitlines(), start=1):
        given, _, reason = line.partition("#")[0].strip().partition(" ")
        if not given:
            continue
        if given not in ids:
            raise VectorError(f"line {number}: no vector {given!r:.60}")
        if given in found:
            raise VectorError(f"line {number}: {given!r} stands there already")
        if not reason.strip():
            raise VectorError(f"line {number}: {given!r} needs a reason after the id")
        found[given] = reason.strip()
    return found


def read_expected(path: str | os.PathLike[str], known: Iterable[str]) -> dict[str, str]:
    """:func:`parse_expected` of a file; errors name it."""
    try:
        return parse_expected(Path(path).read_text(encoding="utf-8"), known)
    except (VectorError, UnicodeDecodeError) as error:
        raise VectorError(f"{os.fspath(path)}: {error}") from None
