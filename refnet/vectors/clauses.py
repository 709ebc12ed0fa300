"""The numbered clauses of the specification, read from its chapters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from refnet.vectors.record import VectorError

#: The chapter by which the folder is known.
_FIRST = "01-numbers.md"
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
    """The folder of the specification: of the checkout, or of the installed distribution.

    Raises :class:`VectorError` that says where it was looked for and what to pass instead.
    """
    root = Path(__file__).resolve().parents[2]
    checkout = root / "specs"
    # Beside the package lie the files of an installation into a folder of its own (--target).
    for place in (checkout, *_installed(), root / "share" / "refnet" / "specs"):
        if (place / _FIRST).is_file():
            return place
    raise VectorError(
        f"the specification is neither in {checkout} nor among the files of an installed refnet; "
        "name the vector files or their folder"
    )


def _installed() -> list[Path]:
    """Where the installer put the specification, wherever that is: it keeps a list of its files."""
    try:
        files = metadata.files("refnet") or []
    except metadata.PackageNotFoundError:
        return []
    return [Path(str(f.locate())).resolve().parent for f in files if f.name == _FIRST]


def read_clauses(folder: Path) -> dict[str, Clause]:
    """Every clause of the chapters (``01-*.md``, ``06c-*.md``) in ``folder``, in order."""
    found: dict[str, Clause] = {}
    for path in sorted(folder.glob("[0-9][0-9]*-*.md")):
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
