"""The command line of benchmarks/solvers.py."""

import json
import sys

import pytest
import solvers


def test_a_suite_is_printed_and_written(monkeypatch, capsys, tmp_path):
    rows = [{"what": "one", "wall_seconds": 1.5}, {"what": "another", "wall_seconds": 10.25}]
    monkeypatch.setitem(solvers.SUITES, "tsq-toy", lambda: rows)
    file = tmp_path / "figures.json"
    monkeypatch.setattr(sys, "argv", ["solvers.py", "--suite", "tsq-toy", "--json", str(file)])
    solvers.main()
    printed = capsys.readouterr().out.splitlines()
    assert json.loads(printed[0])["numba"]
    assert printed[2:] == ["tsq-toy", "what     wall_seconds", "one      1.5", "another  10.25"]
    assert json.loads(file.read_text())["tsq-toy"] == rows


def test_an_unknown_suite_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["solvers.py", "--suite", "none"])
    with pytest.raises(SystemExit) as ended:
        solvers.main()
    assert ended.value.code == 2
    assert "none" in capsys.readouterr().err
