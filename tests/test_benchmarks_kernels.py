"""The frame of benchmarks/kernels.py: turns, ratios, command line."""

from __future__ import annotations

import json

import pytest
from kernel_suites import timing
from kernel_suites.timing import Contender


def test_contenders_take_turns():
    turns = []
    contenders = [
        Contender(name=name, run=lambda name=name: turns.append(name), layers=layers)
        for name, layers in (("a", 1), ("b", 4))
    ]
    times = timing.measured(contenders, threads=1, seconds=0)
    assert turns == ["a", "a", "b", "b"] * 7
    assert all(0 <= t["least_ms"] <= t["median_ms"] for t in times.values())


def test_the_second_time_counts(monkeypatch):
    now = [0.0]
    costs = iter([9.0, 1.0] * 7)

    def run():
        now[0] += next(costs)

    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    contender = Contender(name="a", run=run, layers=2)
    times = timing.measured([contender], threads=2, seconds=0)["a"]
    assert times == {"median_ms": 500.0, "least_ms": 500.0, "after_others_ms": 4500.0}


def test_ratios_are_of_the_fastest_named(monkeypatch):
    medians = {"slow": 8.0, "fast": 2.0, "ours": 1.0}
    found = {
        n: {"median_ms": m, "least_ms": m / 2, "after_others_ms": 2 * m} for n, m in medians.items()
    }
    monkeypatch.setattr(timing, "measured", lambda *_, **__: found)
    contenders = [Contender(name=n, run=int, ours=n == "ours") for n in medians]
    rows = timing.rows(
        "p", 10**9, contenders, threads=1, seconds=0,
        against={"x best": ("slow", "fast"), "x none": ("absent",)},
    )
    assert [row["x best"] for row in rows] == [0.25, 1.0, 2.0]
    assert [row["contender"] for row in rows] == ["slow", "fast", "* ours"]
    assert (rows[2]["GMAC/s"], rows[2]["after_others_ms"]) == (1000.0, 2.0)
    assert "x none" not in rows[0]


def test_the_machine_says_what_it_can():
    found = timing.machine(2)
    assert found["clock"] == "wall time"
    assert json.loads(json.dumps(found)) == found


def test_the_command_line(monkeypatch, capsys, tmp_path):
    pytest.importorskip("onnxruntime")
    import kernels

    rows = [{"problem": "one", "median_ms": 1.5}]
    monkeypatch.setitem(kernels.SUITES, "gemm", (("1,2,3",), lambda shape, **_: rows))
    kernels.main(["--suite", "gemm", "--json", str(tmp_path / "out.json")])
    assert json.loads((tmp_path / "out.json").read_text())["gemm"] == rows
    assert "one" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        kernels.main(["--shape", "1,2,3"])
