"""Topology files: what is read, and what is refused."""

from pathlib import Path

import pytest
from hwsim_cases import ALEXNET
from hypothesis import given
from hypothesis import strategies as st

import hwsim
from hwsim.topology import read_topology


def test_alexnet_has_the_published_size():
    workload = hwsim.read_topology(ALEXNET)
    macs = {layer.name: layer.macs for layer in workload.layers}
    assert macs["Conv1"] == 55 * 55 * 96 * 363
    convolutions = sum(n for name, n in macs.items() if name.startswith("Conv"))
    assert convolutions == 665_784_864
    assert workload.macs - convolutions == 58_621_952
    weights = sum(layer.weights.elements for layer in workload.layers)
    assert weights == 60_954_656  # 60.97 million parameters less the biases


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


CONV_HEADER = "Layer, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, F, Stride,"


def test_output_size_is_the_ceiling(tmp_path):
    path = write(
        tmp_path / "net.csv", CONV_HEADER, "a,224,224,11,11,3,96,4,", "", "b,224,224,7,7,3,64,2,"
    )
    a, b = read_topology(path).layers
    assert a.window.output == (55, 55)  # the floor gives 54
    assert b.window.output == (110, 110)  # the floor gives 109


def test_dp_in_the_name_is_depthwise(tmp_path):
    path = write(tmp_path / "net.csv", CONV_HEADER, "Conv2_DP , 10,10,3,3, 32,2,1,")
    (layer,) = read_topology(path).layers
    assert (layer.name, layer.groups, layer.m, layer.k, layer.n) == ("Conv2_DP", 32, 64, 9, 2)
    assert layer.weights.elements == 32 * 9 * 2


def test_gemm_topology(tmp_path):
    path = write(tmp_path / "net.csv", "Layer, M, N, K,", "qk, 100, 20, 64,")
    (layer,) = read_topology(path, kind="gemm").layers
    assert (layer.m, layer.n, layer.k, layer.groups) == (100, 20, 64, 1)
    assert (layer.input.elements, layer.weights.elements, layer.output.elements) == (
        6400, 1280, 2000,
    )


MALFORMED = [
    ("conv", "a,1,1,1,1,1,1,1", "line ends in '1'"),
    ("conv", "a,1,1,1,1,1,1,", "7 fields"),
    ("conv", "a,1,1,1,1,1,1,1,1,", "9 fields"),
    ("conv", "a,8,8,1,1,1,1,1,2:4,", "sparsity '2:4'"),
    ("conv", "a,8,8,1,1,one,1,1,", "channels 'one'"),
    ("conv", "a,8,8,1,1,0,1,1,", "channels '0'"),
    ("conv", "a,8,8,1,1,-3,1,1,", "channels '-3'"),
    ("conv", "a,8,8,1,1,1.5,1,1,", "channels '1.5'"),
    ("conv", "a,8,8,1,1,1,1,\u0662,", "stride '\u0662'"),
    ("conv", "a,8,8,1,1,1,1," + "9" * 5000 + ",", "stride '999"),
    ("conv", "a,8,8,1,1,1,1,000000000001,", "stride '000000000001'"),
    ("conv", "a,8,8,1,1,1,1,1000000001,", "stride '1000000001'"),
    ("conv", "a,2,8,3,3,1,1,1,", "kernel 3x3 on a map of 2x8"),
    ("conv", ",8,8,1,1,1,1,1,", "empty layer name"),
    ("conv", ",,,,,,,,", "empty layer name"),
    ("gemm", "a,1,1,", "3 fields"),
    ("gemm", "a,1,1,1,2:4,", "sparsity '2:4'"),
    ("gemm", "a,1,1,1,7,", "5 fields"),
]


@pytest.mark.parametrize(("kind", "line", "seen"), MALFORMED)
def test_malformed_lines_are_named(tmp_path, kind, line, seen):
    path = write(tmp_path / "net.csv", "header,", "", line)
    with pytest.raises(ValueError, match="rule") as caught:
        read_topology(path, kind=kind)
    message = str(caught.value)
    assert message.startswith(f"{path}:3: ")
    assert seen in message
    assert "\n" not in message


def test_malformed_files(tmp_path):
    with pytest.raises(ValueError, match="no layers"):
        read_topology(write(tmp_path / "a.csv", CONV_HEADER))
    with pytest.raises(ValueError, match="no layers"):
        read_topology(write(tmp_path / "b.csv"))
    with pytest.raises(ValueError, match="'x' appears twice"):
        read_topology(write(tmp_path / "c.csv", "M,", "x,1,1,1,", "x,1,1,1,"), kind="gemm")
    (tmp_path / "d.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not a text file"):
        read_topology(tmp_path / "d.csv")
    with pytest.raises(ValueError, match="topology kind 'lstm'"):
        read_topology(tmp_path / "a.csv", kind="lstm")
    with pytest.raises(FileNotFoundError):
        read_topology(tmp_path / "missing.csv")


@given(st.text(max_size=60), st.sampled_from(["conv", "gemm"]))
def test_any_text_gives_layers_or_a_value_error(tmp_path_factory, text, kind):
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    path.write_text("header\n" + text, encoding="utf-8", errors="replace")
    message = ""
    try:
        read_topology(path, kind=kind)
    except ValueError as error:
        message = str(error)
    assert not message or message.startswith(f"{path}:")
