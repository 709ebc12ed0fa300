"""Write specs/vectors/*.json, or compare them byte for byte with what would be written.

    python specs/generate.py [--check]

Ids of new vectors are added to specs/ids.txt; an id that was given to another question is refused.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    # The checkout need not be installed.
    sys.path.insert(0, str(HERE.parent))
    from refnet.vectors.cli import main as refnet
    from refnet.vectors.cli import vectors_in
    from refnet.vectors.ledger import extend, missing, read_ledger

    folder, ledger = HERE / "vectors", HERE / "ids.txt"
    code = refnet(["vectors", "generate", str(folder), *sys.argv[1:]])
    if code or set(sys.argv[1:]) - {"--check"}:
        return code
    vectors = vectors_in([folder, folder / "tiers"])
    try:
        if "--check" not in sys.argv:
            extend(vectors, ledger)
        elif new := missing(vectors, read_ledger(ledger), str(ledger)):
            print(f"{ledger}: {next(iter(new))} is not in it", file=sys.stderr)
            return 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
