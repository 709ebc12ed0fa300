"""Which law notices which mutant: ``python -m refnet.laws.matrix`` writes matrix.md beside it.

With ``--check`` it writes nothing and ends with 1 where the file differs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from refnet.laws.mutants import MUTANTS, RIGHT, Mutant
from refnet.laws.suite import run_laws
from refnet.laws.table import LAWS, NAMES

FILE = Path(__file__).with_name("matrix.md")
_HEAD = """# Which law notices which mutant

Written by `python -m refnet.laws.matrix` (seed 0, 200 examples a law). A mutant is a wrong
quantizer of `refnet.laws.mutants`; an x is a law that it breaks. A law that notices what no other
does cannot be left out. Only laws that some mutant of the subject breaks have a column.
"""


def broken(mutants: Sequence[Mutant] = MUTANTS) -> dict[str, tuple[str, ...]]:
    """The laws that each mutant breaks, by name."""
    return {m.name: run_laws(m.under_test, seed=0, max_examples=200).failed for m in mutants}


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *rest = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|" + " --- |" * len(rows[0]), *rest])


def _by_law(found: dict[str, tuple[str, ...]]) -> str:
    rows = [("law", "clause", "notices", "alone")]
    for law in LAWS:
        notices = [names for names in found.values() if law.name in names]
        if notices:
            alone = sum(len(names) == 1 for names in notices)
            rows.append((law.name, law.clause, str(len(notices)), str(alone or "")))
    return _table(rows)


def _by_subject(found: dict[str, tuple[str, ...]], subject: str) -> str:
    mutants = [m for m in MUTANTS if m.subject == subject]
    columns = [n for n in NAMES if any(n in found[m.name] for m in mutants)]
    rows = [("mutant", "wrong in that", *columns)]
    rows += [
        (m.name, m.meaning.rstrip("."), *("x" if n in found[m.name] else "" for n in columns))
        for m in mutants
    ]
    return _table(rows)


def text(found: dict[str, tuple[str, ...]]) -> str:
    """The whole file."""
    parts = [_HEAD, "## By law\n", _by_law(found), ""]
    for subject in RIGHT:
        parts += [f"## {subject}\n", _by_subject(found, subject), ""]
    return "\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file, or compare it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    made = text(broken())
    if not options.check:
        FILE.write_text(made, encoding="utf-8")
        return 0
    same = FILE.is_file() and FILE.read_text(encoding="utf-8") == made
    print(f"{FILE}: {'as generated' if same else 'differs'}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
