"""Regenerate the vectors with every optional CPU feature off, and compare byte for byte.

NumPy and OpenBLAS choose code by what the processor can do; a vector that depended on the choice
would be another one elsewhere. Needs an x86-64 processor for the OpenBLAS half; says what was off.

    python specs/regenerate.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

GENERATE = Path(__file__).resolve().parent / "generate.py"
#: The oldest x86-64 core that OpenBLAS has kernels for.
OLDEST_CORE = "Prescott"
_SHOW = (
    "from numpy._core._multiarray_umath import __cpu_features__ as have, __cpu_dispatch__ as used\n"
    "print(*[f for f in used if have.get(f)])"
)


def optional_features(environment: dict[str, str]) -> list[str]:
    """CPU features that NumPy would use and can do without, in a process of that environment."""
    shown = subprocess.run(
        [sys.executable, "-c", _SHOW], env=environment, capture_output=True, text=True, check=True
    )
    return shown.stdout.split()


def main() -> int:
    environment = dict(os.environ, OPENBLAS_CORETYPE=OLDEST_CORE)
    environment.pop("NPY_DISABLE_CPU_FEATURES", None)
    features = optional_features(environment)
    if features:
        environment["NPY_DISABLE_CPU_FEATURES"] = " ".join(features)
        left = optional_features(environment)
        if left:
            print(f"regenerate: NumPy still uses {' '.join(left)}", file=sys.stderr)
            return 2
    print(f"NumPy {np.__version__} without {' '.join(features) or 'nothing: it uses none'}, "
          f"OpenBLAS as on {OLDEST_CORE}")  # fmt: skip
    sys.stdout.flush()
    return subprocess.run([sys.executable, GENERATE, "--check"], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
