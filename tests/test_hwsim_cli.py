"""The command line, in one process and from the shell."""

import json
import os
import subprocess
import sys

import pytest
from hwsim_cases import ALEXNET, TOML, small_program

from hwsim import presets
from hwsim.cli import main
from refnet.program import save

EDGE = ["--arch", "edge-16x16-os"]


@pytest.fixture
def program(tmp_path):
    save(small_program(), tmp_path / "small.prog")
    return str(tmp_path / "small.prog")


def test_table_of_a_topology(capsys):
    assert main(["simulate", str(ALEXNET), *EDGE]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("alexnet on edge-16x16-os: 16 x 16 int8 PEs")
    assert "Conv4_tower2" in out
    assert "45nm-0.9V" in out


def test_program_as_json_with_csv_and_plot(program, tmp_path, capsys):
    figure, table, roof = (tmp_path / name for name in ("f.png", "t.csv", "r.svg"))
    arguments = ["simulate", program, *EDGE, "--json", "--csv", str(table), "--plot", str(figure),
                 "--roofline", str(roof)]
    assert main(arguments) == 0
    data = json.loads(capsys.readouterr().out)
    assert [layer["name"] for layer in data["layers"]][:2] == ["c1", "a1"]
    assert table.read_text().startswith("name,kind,groups")
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f.png", "r.svg", "small.prog", "t.csv"]
    assert "<svg" in roof.read_text()
    assert figure.stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_architecture_from_toml(program, tmp_path, capsys):
    path = tmp_path / "mine.toml"
    path.write_text(TOML)
    assert main(["simulate", program, "--arch", str(path)]) == 0
    assert "on mine: 4 x 6 int8 PEs" in capsys.readouterr().out


def test_gemm_topology(tmp_path, capsys):
    path = tmp_path / "g.csv"
    path.write_text("Layer,M,N,K,\nqk,100,20,64,\n")
    assert main(["simulate", str(path), *EDGE, "--topology", "gemm"]) == 0
    assert "qk" in capsys.readouterr().out


def test_archs(capsys):
    assert main(["archs"]) == 0
    out = capsys.readouterr().out
    assert all(preset.name in out and preset.source in out for preset in presets.EVERY)
    assert main(["archs", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [a["name"] for a in listed] == [preset.name for preset in presets.EVERY]


def bad(tmp_path) -> list[tuple[list[str], str]]:
    corrupt = tmp_path / "corrupt.prog"
    save(small_program(), corrupt)
    corrupt.write_bytes(corrupt.read_bytes()[:-1])
    csv = tmp_path / "bad.csv"
    csv.write_text("header,\na,1,2,\n")
    toml = tmp_path / "bad.toml"
    toml.write_text("rows = 0\n")
    net = str(ALEXNET)
    return [
        (["simulate", str(tmp_path / "none.csv"), *EDGE], "none.csv: No such file"),
        (["simulate", str(tmp_path), *EDGE], "Is a directory"),
        (["simulate", str(corrupt), *EDGE], "corrupt.prog: "),
        (["simulate", str(csv), *EDGE], "bad.csv:2: 3 fields, rule"),
        (["simulate", net, "--arch", "nonesuch"], "architecture 'nonesuch': exist tpu-v1-like"),
        (["simulate", net, "--arch", str(toml)], "bad.toml: "),
        (["simulate", net, "--arch", str(tmp_path / "no.toml")], "no.toml: No such file"),
        (["simulate", net, *EDGE, "--topology", "gemm"], "alexnet.csv:2: "),
        (["simulate", net, *EDGE, "--csv", str(tmp_path / "no" / "x.csv")], "x.csv: No such file"),
        (["simulate", net, *EDGE, "--plot", str(tmp_path / "x.gif"), "--csv",
          str(tmp_path / "x.csv")], "x.gif: rule a name that ends in .png, .svg, .pdf"),
        (["simulate", net, *EDGE, "--roofline", "x"], "--roofline x: rule a name that ends in"),
        (["simulate", net, *EDGE, "--topology", "lstm"], "invalid choice: 'lstm'"),
        (["simulate", net], "--arch"),
        (["sweep"], "invalid choice: 'sweep'"),
        ([], "COMMAND"),
    ]


@pytest.mark.parametrize("case", range(15))
def test_bad_input_gets_one_line_and_leaves_nothing(tmp_path, capsys, case):
    arguments, seen = bad(tmp_path)[case]
    before = sorted(tmp_path.iterdir())
    try:
        code = main(arguments)
    except SystemExit as error:
        code = error.code
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert seen in err
    assert sorted(tmp_path.iterdir()) == before


def test_a_failing_plot_leaves_the_old_file(tmp_path, capsys, monkeypatch):
    from hwsim import plot

    def half(report, path, *, format):
        with open(path, "w") as file:
            file.write("half")
        raise OSError(28, "No space left on device", path)

    monkeypatch.setattr(plot, "plot", half)
    target = tmp_path / "x.png"
    target.write_text("old")
    assert main(["simulate", str(ALEXNET), *EDGE, "--plot", str(target)]) == 2
    assert capsys.readouterr().err == f"hwsim: {target}: No space left on device\n"
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_from_the_shell(tmp_path):
    command = [sys.executable, "-m", "hwsim.cli"]
    done = subprocess.run([*command, "simulate", "x.csv", *EDGE], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "hwsim: x.csv: No such file or directory\n"
    helped = subprocess.run([*command, "simulate", "--help"], capture_output=True, text=True)
    assert helped.returncode == 0
    assert "--topology" in helped.stdout
    # A reader that goes away early is no error.
    piped = subprocess.run(
        f"{sys.executable} -m hwsim.cli archs --json | head -1", shell=True,
        capture_output=True, text=True,
    )
    assert (piped.stdout, piped.stderr) == ("[\n", "")
