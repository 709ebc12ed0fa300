"""Sweeps: every point is what the simulator says, fronts are fronts, and nothing depends on how."""

import csv
import json
import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
from hwsim_cases import TOML, small_program
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hwsim import presets, sweep
from hwsim.architecture import from_dict
from hwsim.cli import main
from hwsim.shapes import Shape, as_method
from hwsim.simulator import simulate
from hwsim.space import read_space
from hwsim.sweep import explore, front, processes, scheduler
from hwsim.topology import read_topology
from refnet.program import save

NET = "Layer,H,W,R,S,C,F,st,\na,9,9,3,3,2,8,1,\nb,7,7,1,1,8,5,2,\nc,4,4,4,4,5,6,1,\n"
SPEC = """
workloads = ["net.csv", {file = "net.csv", as = "twostep", topology = "conv"}]
architectures = ["edge-16x16-os", "mine.toml"]
[axes]
dataflow = ["os", "ws", "rs"]
rows = [2, 4, 100_000]
input.bytes = [1024, 2048]
bus = [{dram.bandwidth_bits_per_cycle = 8, clock_hz = 1000}, {columns = 3}]
"""


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "net.csv").write_text(NET)
    (tmp_path / "mine.toml").write_text(TOML)
    (tmp_path / "s.toml").write_text(SPEC)
    return tmp_path / "s.toml"


def test_every_point_is_what_the_simulator_says(spec):
    space = read_space(spec)
    rows = explore(space)
    net = read_topology(spec.parent / "net.csv")
    nets = {"net": net, "net as twostep": as_method(net, Shape(method="twostep"))}
    assert len(rows) == 2 * len(space.points) == 2 * 2 * 3 * 3 * 2 * 2
    assert space.fields == ("dataflow", "rows", "input.bytes", "dram.bandwidth_bits_per_cycle",
                            "clock_hz", "columns")
    refused = 0
    for row in rows:
        set_ = row.point.settings
        base = presets.EDGE_16X16_OS if row.point.base != "mine" else None
        if set_["dataflow"] == "rs" or set_["rows"] > 99:
            assert row.outcome.startswith("Architecture ")
            assert "rule" in row.outcome or "row-stationary" in row.outcome
            refused += 1
        elif base is not None:
            a = replace(
                base, dataflow=set_["dataflow"], rows=set_["rows"],
                input=replace(base.input, bytes=set_["input.bytes"]),
                columns=set_.get("columns", 16), clock_hz=set_.get("clock_hz", base.clock_hz),
                dram=replace(base.dram, bandwidth_bits_per_cycle=set_.get(
                    "dram.bandwidth_bits_per_cycle", 64)),
            )
            whole = simulate(nets[row.workload], a)
            assert row.outcome["total_cycles"] == whole.total_cycles
            assert row.outcome["seconds"] == whole.seconds
            assert row.outcome["dram_bits"] == whole.counts.dram_bits
            assert row.outcome["area_mm2"] == whole.area_mm2
            assert row.outcome["energy_pj"] == pytest.approx(whole.energy_pj, rel=1e-12)
    assert refused == 2 * 2 * (4 * 3 + 2 * 4)


def better(a, b):
    return all(a <= b) and any(a < b)


@given(arrays(np.int64, st.tuples(st.integers(0, 25), st.integers(1, 4)),
              elements=st.integers(0, 4)))
def test_the_front_is_what_nothing_is_better_than(table):
    expected = [not any(better(other, row) for other in table) for row in table]
    assert front(table.astype(float)).tolist() == expected


def files(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def test_the_same_bytes_stopped_resumed_and_in_processes(spec, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sweep, "PART_POINTS", 30)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main(["sweep", str(spec), "--out", str(whole)]) == 0
    assert sorted(files(whole)) == ["pareto.csv", "pareto.png", "points.csv", "sweep.json"]
    told = capsys.readouterr()
    assert told.err == ""
    assert "of 72 points on the Pareto front of seconds, energy_pj, area_mm2; 40 refused" in (
        told.out)

    made = []

    def stops(task):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(task)
        return cost(task)

    cost = sweep.cost
    with monkeypatch.context() as patch:
        patch.setattr(sweep, "cost", stops)
        with pytest.raises(KeyboardInterrupt):
            main(["sweep", str(spec), "--out", str(parts)])
        assert files(parts) == {}
        assert len(list((parts / "parts").iterdir())) == 3
        made = made[:0]
        assert main(["sweep", str(spec), "--out", str(parts)]) == 0
    assert len(made) == 3  # six parts, three of them from the first run
    assert files(parts) == files(whole)


def test_processes_change_nothing(spec):
    space = read_space(spec)
    assert explore(space, run=processes(2)) == explore(space)


def test_parts_that_are_broken_or_old_are_made_again(spec, tmp_path, monkeypatch):
    space, folder = read_space(spec), tmp_path / "out"
    first = explore(space, folder=folder)
    kept = sorted((folder / "parts").iterdir())
    for path, text in zip(kept, ("[", '["a"]'), strict=True):
        path.write_text(text)
    (folder / "parts" / f"{'0' * 32}.json").write_text("[]")
    (folder / "parts" / "notes.json").write_text("mine")
    assert explore(space, folder=folder) == first
    assert sorted((folder / "parts").iterdir()) == [*kept, folder / "parts" / "notes.json"]
    monkeypatch.setattr(sweep, "cost", lambda task: pytest.fail("made again"))
    assert explore(space, folder=folder) == first
    smaller = replace(space, points=space.points[:-1])
    with pytest.raises(pytest.fail.Exception):
        explore(smaller, folder=folder)


def test_csv_and_json(spec, tmp_path, capsys):
    assert main(["sweep", str(spec), "--out", str(tmp_path / "o"), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (tmp_path / "o" / "sweep.json").read_text() == json.dumps(data, indent=2) + "\n"
    with open(tmp_path / "o" / "points.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    with open(tmp_path / "o" / "pareto.csv", newline="") as file:
        best = list(csv.DictReader(file))
    assert len(best) == sum(row["on_pareto_front"] == "1" for row in rows)
    assert len(best) == sum(len(w["pareto"]) for w in data["workloads"])
    for row in rows:
        assert (row["refused"] == "") == (row["total_cycles"] != "")
    total = sum(int(r["stall_cycles"]) + int(r["fill_drain_cycles"]) + int(r["compute_cycles"])
                - int(r["total_cycles"]) for r in best)
    assert total == 0


def test_a_program_and_a_pe_that_refuses_it(tmp_path):
    save(small_program(), tmp_path / "p.refnet")
    (tmp_path / "s.toml").write_text(
        'workloads = ["p.refnet"]\narchitectures = ["edge-16x16-os"]\nminimise = ["dram_bits"]\n'
        'axes.pe = ["int8", "ternary2"]\n'
    )
    good, bad = explore(read_space(tmp_path / "s.toml"))
    assert good.best
    assert "8-bit inputs, rule at most 2 on PE ternary2" in bad.outcome
    (tmp_path / "s.toml").write_text(
        'workloads = ["p.refnet"]\narchitectures = ["edge-16x16-os"]\naxes.pe = ["ternary2"]\n')
    with pytest.raises(ValueError, match="workload 'small': no architecture runs it; layer 'c1'"):
        explore(read_space(tmp_path / "s.toml"))


BAD = [
    ("workloads = 3", "workloads = 3, rule a list of one or more"),
    ("workloads = [3]", "workload 3, rule a file, or a table with one"),
    ('workloads = [{file = "net.csv", method = "x"}]', "method = 'x', rule file, topology and as"),
    ('workloads = ["net.csv", "net.csv"]', "workload 'net' appears twice"),
    ('workloads = [{file = "net.csv", as = "pruned"}]', "method 'pruned': exist"),
    ('architectures = ["none"]', "architecture 'none': exist tpu-v1-like"),
    ("architectures = [1]", "architecture 1, rule a name or a TOML file"),
    ('minimise = ["power"]', "minimise 'power', rule each once of seconds, energy_pj"),
    ('minimise = ["seconds", "seconds"]', "minimise 'seconds', rule each once"),
    ("colour = 1", "'colour', rule workloads, architectures, minimise, axes"),
    ("axes = 1", "axes = 1, rule a table"),
    ("axes.rows = 4", "axis 'rows' = 4, rule a list of values"),
    ("axes.rows = []", "axis 'rows' = [], rule a list of values"),
    ("axes.rows = [2, 2]", "axis 'rows': a value twice"),
    ("axes.rows = [2, {rows = 3}]", "axis 'rows': tables beside values"),
    ("axes.rows = [2]\naxes.x = [{rows = 3}]", "field 'rows' on two axes"),
    ("axes.height = [2]", "field 'height': exist pe, rows, columns"),
    ("axes.input.size = [2]", "field 'input.size': input has bytes, word_bits"),
    ("axes.name = ['a']", "field 'name': exist pe, rows"),
    ("axes.rows = [0, -1]", "none of 2 architectures is possible; Architecture"),
    ("axes.rows = ['x']", "none of 1 architectures is possible; Architecture"),
    ("axes = {rows = [1, 2], columns = [1, 2]", "s.toml: "),
]


@pytest.mark.parametrize(("text", "seen"), BAD)
def test_bad_spaces_get_one_line(spec, tmp_path, capsys, text, seen):
    rest = {"workloads": 'workloads = ["net.csv"]\n', "architectures":
            'architectures = ["edge-16x16-os"]\n'}
    rest.pop(text.split(" ")[0], None)
    spec.write_text("".join(rest.values()) + text + "\n")
    before = sorted(tmp_path.iterdir())
    assert main(["sweep", str(spec), "--out", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"hwsim: {spec}: ")
    assert seen in err
    assert sorted(tmp_path.iterdir()) == before


def test_bad_flags_and_files(spec, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    for arguments, seen in (
        ([str(spec), "--workers", "0"], "--workers 0: rule 1 or more"),
        ([str(spec), "--scheduler", "tcp://x:1"], "the package distributed is not there"),
        ([str(tmp_path / "no.toml")], "no.toml: No such file"),
    ):
        assert main(["sweep", *arguments, "--out", str(tmp_path / "out")]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert seen in err
    spec.write_text(SPEC.replace("net.csv", "none.csv"))
    assert main(["sweep", str(spec)]) == 2
    assert "none.csv: No such file" in capsys.readouterr().err


def test_too_many_points(spec):
    values = ", ".join(str(n) for n in range(1, 1002))
    spec.write_text(f'workloads = ["net.csv"]\narchitectures = ["edge-16x16-os"]\n'
                    f"axes = {{rows = [{values}], columns = [{values}]}}\n")
    with pytest.raises(ValueError, match="1002001 points, rule at most 1000000"):
        read_space(spec)


class Future:
    def __init__(self, key, call, task):
        self.key, self.call, self.task = key, call, task

    def result(self):
        return self.call(self.task)


class Client:
    """As much of a Dask client as a sweep needs."""

    def __init__(self, address, *, set_as_default):
        if address != "tcp://here:1":
            raise OSError(f"Timed out trying\nto connect to {address}")
        self.count = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def submit(self, call, task, *, pure):
        self.count += 1
        return Future(f"f{self.count}", call, task)


def test_a_scheduler(spec, monkeypatch):
    fake = ModuleType("distributed")
    fake.Client = Client
    fake.as_completed = lambda futures: futures[::-1]
    monkeypatch.setitem(sys.modules, "distributed", fake)
    monkeypatch.setattr(sweep, "PART_POINTS", 30)
    space = read_space(spec)
    assert explore(space, run=scheduler("tcp://here:1")) == explore(space)
    with pytest.raises(ValueError, match=r"--scheduler tcp://no:1: Timed out trying to connect"):
        explore(space, run=scheduler("tcp://no:1"))


def test_settings_reach_the_machine(spec):
    for point in read_space(spec).points:
        if point.machine is not None:
            assert from_dict(point.machine.as_dict()) == point.machine
            for name, value in point.settings.items():
                part, _, inner = name.partition(".")
                held = getattr(point.machine, part)
                assert value == (getattr(held, inner) if inner else held)


def test_machines_that_the_batch_form_has_not_are_simulated(tmp_path):
    """Sums that wait in memory: an axis of its own, and a point among others."""
    (tmp_path / "net.csv").write_text(NET)
    (tmp_path / "s.toml").write_text(
        'workloads = ["net.csv"]\narchitectures = ["bit-fusion"]\n'
        '[axes]\nsums = ["array", "memory"]\noutput.bytes = [512, 4096]\n')
    net = read_topology(tmp_path / "net.csv")
    for row in explore(read_space(tmp_path / "s.toml")):
        base = presets.find("bit-fusion")
        a = replace(base, sums=row.point.settings["sums"],
                    output=replace(base.output, bytes=row.point.settings["output.bytes"]))
        whole = simulate(net, a)
        assert row.outcome["total_cycles"] == whole.total_cycles
        assert row.outcome["dram_bits"] == whole.counts.dram_bits
        assert row.outcome["energy_pj"] == pytest.approx(whole.energy_pj, rel=1e-12)
        assert row.outcome["area_mm2"] == whole.area_mm2
