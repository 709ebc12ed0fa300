"""Adapters to quantizers of other projects, where these are installed; their committed table."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from refnet.laws.table import NAMES

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location(
    "foreign_quantizers", ROOT / "benchmarks" / "foreign_quantizers.py"
)
foreign_quantizers = importlib.util.module_from_spec(spec)
sys.modules["foreign_quantizers"] = foreign_quantizers
spec.loader.exec_module(foreign_quantizers)
FOREIGN = foreign_quantizers.FOREIGN


@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda f: f.name)
def test_adapters_ask_what_they_say(foreign):
    if absent := foreign_quantizers.missing(foreign):
        pytest.skip(f"{', '.join(absent)} not installed")
    report = foreign_quantizers.tried(foreign, 2)
    assert {"codes", "elementwise"} <= set(report.passed)
    for name, found in report.counterexamples.items():
        assert foreign_quantizers.reproduced(foreign, name, found), name


def test_the_committed_table_names_every_quantizer_and_only_laws():
    text = (ROOT / "benchmarks" / "results" / "foreign_quantizers.md").read_text()
    assert all(f"## {foreign.name}" in text for foreign in FOREIGN)
    head = next(line for line in text.splitlines() if line.startswith("|"))
    assert set(head.strip("| ").split(" | ")) <= set(NAMES)
    for name in ("onnxruntime", "torch", "torchao", "brevitas"):
        assert f"{name} " in text


def test_one_that_is_not_installed_is_named():
    absent = replace(FOREIGN[0], packages=("no-such-package", "numpy"))
    assert foreign_quantizers.missing(absent) == ["no-such-package"]
