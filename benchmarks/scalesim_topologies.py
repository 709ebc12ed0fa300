"""Write the networks of ``topologies/`` in the layout of SCALE-Sim: ``topologies/scalesim/``."""

from __future__ import annotations

from pathlib import Path

from hwsim import read_topology
from hwsim.network import has_columns
from hwsim.scalesim.convert import to_topology

FOLDER = Path(__file__).parent / "topologies"


def main() -> None:
    (FOLDER / "scalesim").mkdir(exist_ok=True)
    for path in sorted(FOLDER.glob("*.csv")):
        if has_columns(path.read_text(encoding="utf-8")):
            text = to_topology(read_topology(path))
            (FOLDER / "scalesim" / path.name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
