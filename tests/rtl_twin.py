"""Runs the SystemVerilog twins: vector files, Icarus and Verilator, and what the bench prints."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

RTL = Path(__file__).parent / "rtl"
SOURCES = [
    str(RTL / f"{name}.sv") for name in (
        "bench", "ws_array", "os_array", "lanes_array", "mac_pe", "ternary_pe", "sum_pe",
        "dot_unit", "serial_unit", "popcount_unit", "parts_array", "loom_unit", "fused_unit",
        "table_unit", "skip_array",
    )
]
HEADER = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """One product for the bench, with the values it must give."""

    X: list[list[int]]
    W: list[list[int]]
    Y: list[list[int]]
    bits: tuple[int, int] = (8, 8)
    signed: tuple[bool, bool] = (True, True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A compiled simulation: its command, and the words and results its memories hold."""

    command: tuple[str, ...]
    words: int
    results: int


def simulator(name: str) -> str:
    """The path of a simulator; skips the test where it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed: the twins in tests/rtl are not run")
    return path


def icarus(folder: Path, module: str, parameters: dict[str, int], words: int = 1 << 16) -> Built:
    """Compile ``bench.sv`` around ``module`` with Icarus."""
    settings = {"WORDS": words, "RESULTS": 4096, **parameters}
    output = folder / ("-".join([module, *(f"{k}{v}" for k, v in settings.items())]) + ".vvp")
    overrides = [f"-Pbench.{name}={value}" for name, value in settings.items()]
    _run([simulator("iverilog"), "-g2012", "-Wall", "-Wno-timescale", f"-D{module.upper()}",
          "-s", "bench", *overrides, "-o", str(output), *SOURCES])
    return Built(command=(simulator("vvp"), str(output)), words=words, results=4096)


def verilator(
    folder: Path, module: str, parameters: dict[str, int], words: int, results: int
) -> Built:
    """Compile the same with Verilator."""
    settings = {"WORDS": words, "RESULTS": results, **parameters}
    _run([simulator("verilator"), "--binary", "-Wno-fatal", "-Wno-lint", "-O3",
          "--top-module", "bench", f"-D{module.upper()}", "--Mdir", str(folder),
          *(f"-G{name}={value}" for name, value in settings.items()), *SOURCES])
    return Built(command=(str(folder / "Vbench"),), words=words, results=results)


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def write(path: Path, problems: Sequence[Golden]) -> int:
    """A vector file as README.md of tests/rtl describes it; returns its number of words."""
    heads: list[int] = []
    body: list[int] = []
    begin = 1 + HEADER * len(problems)
    for problem in problems:
        places = []
        for matrix in (problem.X, problem.W, problem.Y):
            places.append(begin + len(body))
            body += [value for line in matrix for value in line]
        sizes = len(problem.X), len(problem.W), len(problem.W[0])
        heads += [*sizes, *places, *problem.bits, *map(int, problem.signed)]
    words = [len(problems), *heads, *body]
    path.write_text("\n".join(f"{word & 0xFFFFFFFF:08x}" for word in words) + "\n")
    return len(words)


def run(built: Built, path: Path, problems: Sequence[Golden]) -> list[int]:
    """Clocks of every problem; every value must be right."""
    words = write(path, problems)
    assert words <= built.words, "the bench holds the vectors"
    assert all(len(p.Y) * len(p.Y[0]) <= built.results for p in problems), "and the results"
    # The memory is larger than the file, which Icarus remarks on.
    lines = [line.split() for line in _run([*built.command, f"+vectors={path}"]).splitlines()]
    seen = [line for line in lines if line[:1] == ["problem"]]
    assert [int(line[1]) for line in seen] == list(range(len(problems)))
    assert [int(line[5]) for line in seen] == [0] * len(problems), "values of the product"
    return [int(line[3]) for line in seen]
