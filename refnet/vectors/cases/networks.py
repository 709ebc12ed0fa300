"""Compiled networks of the three methods, on two images of digits, every value given.

The files in ``networks`` are written by ``benchmarks/golden_networks.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from refnet.program.files import from_bytes
from refnet.vectors.cases.build import Case, program_case

FOLDER = Path(__file__).parent / "networks"
_WHY = {
    "twostep": "ternary weights and 2-bit codes",
    "factorized": "ternary factors with scales between them",
    "blockterm": "1x1, grouped and 1x1 convolutions of 8 bits",
}


def _compiled() -> list[Case]:
    images = np.load(FOLDER / "images.npy", allow_pickle=False)
    programs = {name: from_bytes((FOLDER / f"{name}.refnet").read_bytes()) for name in _WHY}
    return [
        program_case(
            f"networks.{name}.0001", "5.2.1 5.1.2", programs[name], images, "CHAIN",
            f"A network compiled by {name} ({why}), on two images of digits.", tier="programs")
        for name, why in _WHY.items()
    ]


CASES: tuple[Case, ...] = tuple(_compiled())
