"""Write specs/vectors/*.json, or compare them byte for byte with what would be written.

    python specs/generate.py [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    # The checkout need not be installed.
    sys.path.insert(0, str(HERE.parent))
    from refnet.vectors.cli import main as refnet

    return refnet(["vectors", "generate", str(HERE / "vectors"), *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
