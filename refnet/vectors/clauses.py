"""The numbered clauses of the specification, read from its chapters."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from refnet.vectors.record import VectorError

_HEADING = re.compile(r"^### \[(\d+\.\d+)\] (.+)$", re.MULTILINE)
_CLAUSE = re.compile(
    r"^\*\*\[(\d+\.\d+\.\d+)\]\*\* (.*?)(?=^\*\*\[|^### |^```|\Z)", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """A clause: its number, the title of its section, its text (Markdown), its chapter's file."""

    number: str
    title: str
    text: str
    chapter: str


def specification() -> Path:
    """The folder of the specification: of the checkout, or of the installation.

    Raises :class:`VectorError` that names the places where it was looked for.
    """
    places = (
        Path(__file__).resolve().parents[2] / "specs",
        Path(sys.prefix) / "share" / "refnet" / "specs",
    )
    for place in places:
        if any(place.glob("01-*.md")):
            return place
    raise VectorError(f"the specification is in none of {', '.join(map(str, places))}")


def read_clauses(folder: Path) -> dict[str, Clause]:
    """Every clause of the chapters (``01-*.md`` ...) in ``folder``, by number, in order."""
    found: dict[str, Clause] = {}
    for path in sorted(folder.glob("[0-9][0-9]-*.md")):
        text = path.read_text(encoding="utf-8")
        titles = dict(_HEADING.findall(text))
        for number, body in _CLAUSE.findall(text):
            if number in found:
                raise VectorError(f"clause [{number}] stands in {found[number].chapter} and {path}")
            title = titles.get(number.rpartition(".")[0], "")
            found[number] = Clause(
                number=number, title=title, text=body.strip(), chapter=path.name
            )
    return found
