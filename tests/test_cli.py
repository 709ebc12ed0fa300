"""The command line: exit codes, one line for bad input, nothing left behind."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import NO_JIT

from refnet.cli import main
from refnet.nn.files import save as save_network
from refnet.nn.models import small_convnet
from refnet.program import TERNARY, Add, Node, Program, TensorType, save

FAST = [
    "--epochs", "1", "--code-epochs", "1", "--tune-epochs", "1", "--tune-lr", "1e-3",
    "--filters", "4,4,4", "--quiet", "--arch", "edge-16x16-os",
]


@pytest.fixture
def small_data(tmp_path) -> Path:
    """A data set of 60 training and 30 test images of 8 x 8 in three classes."""
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    images = rng.integers(0, 60, (90, 1, 8, 8)).astype(np.uint8)
    images[np.arange(90), 0, 2 * labels] += 180
    path = tmp_path / "bars.npz"
    np.savez(
        path, train_images=images[:60], train_labels=labels[:60], test_images=images[60:],
        test_labels=labels[60:],
    )
    return path


def refused(capsys, *arguments: str) -> str:
    """The one line on standard error of a command that ends with exit code 2."""
    try:
        code = main(arguments)
    except SystemExit as error:
        code = error.code
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    return err


def test_compile_then_run(small_data, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["compile", "--data", str(small_data), "--out", str(out), *FAST, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "report.json").read_text())
    program = str(out / "twostep" / "program.refnet")
    for kernels in ([], ["--kernels"], ["--kernels", "--threads", "2"]):
        assert main(["run", program, "--data", str(small_data), "--json", *kernels]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["accuracy"] == printed["methods"]["twostep"]["program_accuracy"]
        assert found["images"] == 30
    assert main(["run", program, "--data", str(small_data)]) == 0
    assert "on 30 images" in capsys.readouterr().out


def test_train_goes_on_and_its_network_compiles(small_data, tmp_path, capsys):
    net = str(tmp_path / "net.npz")
    train = ["train", "--data", str(small_data), "--out", net, "--filters", "4,4,4", "--quiet"]
    assert main([*train, "--epochs", "2", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert main([*train, "--epochs", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == first
    out = tmp_path / "out"
    assert main(["compile", net, "--data", str(small_data), "--out", str(out), *FAST]) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["float_accuracy"] == first["test_accuracy"][-1]


def test_bad_input_of_compile_is_one_line_and_leaves_nothing(small_data, tmp_path, capsys):
    net = tmp_path / "net.npz"
    rng = np.random.default_rng(0)
    save_network(small_convnet(image_size=28, classes=10, filters=(2, 2, 2), rng=rng), net)
    broken = tmp_path / "broken.npz"
    broken.write_bytes(net.read_bytes()[:100])
    a_file = tmp_path / "file"
    a_file.write_text("")
    out = tmp_path / "out"
    data = ["--data", str(small_data)]
    cases = {
        "nowhere": ["--data", str(tmp_path / "nowhere")],
        "exist": [*data, "--method", "magic"],
        "architecture 'warp'": [*data, "--arch", "warp"],
        "net.npz": [str(net), *data],
        "broken.npz": [str(broken), *data],
        "missing.npz": [str(tmp_path / "missing.npz"), *data],
        "--seed": [*data, "--seed", "-1"],
        "filters": [*data, "--filters", "3"],
        "--epochs": [*data, "--epochs", "many"],
        "at least 0": [*data, "--epochs", "-1"],
        "lr=0.0 must be positive": [*data, "--tune-lr", "0"],
        "lr=nan must be positive": [*data, "--tune-lr", "nan"],
    }
    before = sorted(tmp_path.iterdir())
    for named, arguments in cases.items():
        assert named in refused(capsys, "compile", *arguments, "--out", str(out), "--quiet")
        assert sorted(tmp_path.iterdir()) == before, named
    assert "not a folder" in refused(capsys, "compile", *data, "--out", str(a_file))


def test_bad_input_of_run_is_one_line(small_data, tmp_path, capsys):
    program = tmp_path / "p.refnet"
    x = TensorType(type=TERNARY, shape=(1, 4, 4))
    double = Node(name="y", op=Add(), inputs=("x", "x"))
    save(
        Program(name="p", input="x", input_type=x, nodes=(double,), constants={}, output="y"),
        program,
    )
    data = ["--data", str(small_data)]
    assert "takes (1, 4, 4)" in refused(capsys, "run", str(program), *data)
    corrupt = tmp_path / "corrupt.refnet"
    corrupt.write_bytes(program.read_bytes()[:-1])
    assert "corrupt.refnet" in refused(capsys, "run", str(corrupt), *data)
    assert "missing.refnet" in refused(capsys, "run", str(tmp_path / "missing.refnet"), *data)
    assert "magic" in refused(capsys, "run", str(small_data), *data)
    assert "--threads" in refused(capsys, "run", str(program), *data, "--threads", "0")
    assert "required" in refused(capsys, "run", str(program))
    assert "invalid choice" in refused(capsys, "fly")


@pytest.mark.skipif(NO_JIT, reason="there is nothing to compile")
def test_warm_says_where_the_code_is(capsys):
    assert main(["warm", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(found) == ["folder", "seconds", "stages", "tier"]
    assert found["stages"] > 20
    assert main(["warm"]) == 0
    assert found["folder"] in capsys.readouterr().out


def test_help_of_every_command(capsys):
    for command in ([], ["compile"], ["train"], ["run"], ["vectors"], ["vectors", "check"]):
        with pytest.raises(SystemExit) as stop:
            main([*command, "--help"])
        assert stop.value.code == 0
        assert "usage: refnet" in capsys.readouterr().out


def test_a_signal_from_the_keyboard_ends_with_one_line(monkeypatch, capsys, small_data):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("refnet.compiler.run_job", interrupted)
    assert main(["compile", "--data", str(small_data), *FAST]) == 130
    assert "goes on" in capsys.readouterr().err


def test_a_process_of_its_own_ends_with_the_code():
    code = "import sys; from refnet.cli import main; sys.exit(main(['run', 'x', '--data', 'y']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("refnet: error: x")
