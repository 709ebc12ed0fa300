"""Every export format decodes to the same integers; C headers compile and say what differs."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from refnet.cli import main
from refnet.program import IntType, packing, save
from refnet.vectors.cases import nets
from refnet.vectors.cli import vectors_in
from refnet.vectors.export import arrays_of, exported, read_header, read_mem, read_npy
from refnet.vectors.golden import write_golden
from refnet.vectors.record import REAL, Array, Vector, VectorError
from refnet.vectors.tensors import read_safetensors, safetensors_bytes, tensors_of

VECTORS = Path(__file__).parents[1] / "specs" / "vectors"
ONNX = importlib.util.find_spec("onnx") is not None
needs_onnx = pytest.mark.skipif(not ONNX, reason="onnx is not installed")
needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


@cache
def vectors() -> tuple[Vector, ...]:
    return tuple(vectors_in([VECTORS]))


def one(id: str) -> Vector:
    return next(v for v in vectors() if v.id == id)


def test_all_formats_decode_to_the_same_integers() -> None:
    for vector in vectors():
        held = arrays_of(vector)
        made = {f: exported(vector.id, held, f) for f in ("npy", "mem", "header", "safetensors")}
        (header,), (tensors,) = made["header"].values(), made["safetensors"].values()
        assert read_header(header.decode()) == held
        assert read_safetensors(tensors) == held
        assert [read_mem(text.decode()) for text in made["mem"].values()] == [a for _, a in held]
        for data, (_, array) in zip(made["npy"].values(), held, strict=True):
            assert read_npy(data).tobytes() == array.array().tobytes()


def test_safetensors_hold_packed_twins() -> None:
    held = arrays_of(one("conv.bias.0001"))
    data = safetensors_bytes("conv.bias.0001", held)
    tensors, metadata = tensors_of(data)
    w = next(a for _, a in held if a.name == "w")
    assert metadata["constant.w.type"] == w.type == "ternary"
    assert tensors["constant.w"].dtype == np.int8
    for twin, unpack in (
        ("packed", lambda b: packing.unpack_bits(b, w.shape[-1], IntType.parse("ternary"))),
        ("trits", lambda b: packing.unpack_trits(b, w.shape[-1])),
    ):
        assert (unpack(tensors[f"constant.w.{twin}"]) == w.array()).all()
    assert int.from_bytes(data[:8], "little") % 8 == 0
    assert data == safetensors_bytes("conv.bias.0001", held)


def test_spoiled_safetensors_are_refused() -> None:
    data = safetensors_bytes("x", arrays_of(one("conv.bias.0001")))
    for place in (*range(0, 8), len(data) - 1, len(data) - 40):
        spoiled = bytearray(data)
        spoiled[place] ^= 0x55
        with pytest.raises(VectorError):
            read_safetensors(bytes(spoiled))
    for cut in (0, 7, 8, 100, len(data) - 1):
        with pytest.raises(VectorError):
            read_safetensors(data[:cut])


FLAGS = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-variable",
         "-Wno-unused-const-variable")  # fmt: skip


def ran(folder: Path, id: str, body: str) -> tuple[int, str]:
    """Exit code and output of the header's main with a device of that body."""
    header = (folder / f"{id}.h").read_text()
    declared = re.search(r"^int refnet_device\((.*)\);$", header, flags=re.MULTILINE)
    assert declared is not None
    arguments = declared[1]
    unused = " ".join(f"(void){p.split()[-1].lstrip('*')};" for p in arguments.split(", ")
                      if p != "void")  # fmt: skip
    source = f'#define REFNET_MAIN\n#include "{id}.h"\n'
    source += f"int refnet_device({arguments}) {{ {unused} {body} }}\n"
    (folder / "device.c").write_text(source)
    subprocess.run(["cc", *FLAGS, "-o", "device", "device.c"], cwd=folder, check=True)
    done = subprocess.run([folder / "device"], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@needs_cc
def test_the_main_of_a_header_says_the_first_mismatch(tmp_path: Path) -> None:
    id = "add.pairs.0001"
    vector = one(id)
    arguments = ("export", str(VECTORS / "add.json"), "--format", "header", "--out", str(tmp_path))
    assert main(["vectors", *arguments, "--id", id, "--id", "add.refused.0001"]) == 0
    y = vector.outputs[0]
    right = f"for (int i = 0; i < {len(y.data)}; i++) a2_y[i] = (int8_t)(a0_x[i] + a1_y[i]);"
    assert y.array().dtype == np.int8
    assert ran(tmp_path, id, right + " return 0;") == (0, f"{id}: pass\n")
    last = len(y.data) - 1
    wrong = right + f" a2_y[{last}] = -7; return 0;"
    place = list(map(int, np.unravel_index(last, y.shape)))
    said = f"{id} y{place}: expected {y.data[-1]}, got -7\n"
    assert ran(tmp_path, id, wrong) == (1, said)
    assert ran(tmp_path, id, "return 1;") == (1, f"{id}: refused\n")
    assert ran(tmp_path, "add.refused.0001", "return 1;") == (0, "add.refused.0001: pass\n")
    accepted = "add.refused.0001: accepted, and must be refused\n"
    assert ran(tmp_path, "add.refused.0001", "return 0;") == (1, accepted)


@needs_cc
def test_a_header_of_reals_and_wide_integers_compares_bits(tmp_path: Path) -> None:
    held = [("x input", Array.of("v", REAL, [-0.0])), ("x output", Array.of("w", REAL, [0.0])),
            ("x output", Array.of("n", "int64", [2**40]))]
    (tmp_path / "x.h").write_bytes(exported("x", held, "header")["x.h"])
    assert ran(tmp_path, "x", "a1_w[0] = 0; a2_n[0] = 1LL << 40; return 0;") == (0, "x: pass\n")
    code, said = ran(tmp_path, "x", "a1_w[0] = a0_v[0]; return 0;")
    assert (code, said) == (1, "x w[0]: expected 0x0, got 0x8000000000000000\n")


def test_programs_are_exported_from_their_files_and_golden_folders(tmp_path: Path, capsys) -> None:
    program = nets.residual()
    codes = np.full((2, *program.input_type.shape), 3)
    write_golden(program, codes, tmp_path / "golden")
    save(program, tmp_path / "p.refnet")
    np.save(tmp_path / "codes.npy", codes)
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    tail = ("--format", "safetensors", "--json")
    assert main(["vectors", "export", str(tmp_path / "golden"), "--out", one, *tail]) == 0
    given = ("--input", str(tmp_path / "codes.npy"))
    assert main(["vectors", "export", str(tmp_path / "p.refnet"), *given, "--out", two, *tail]) == 0
    paths = [Path(json.loads(line)[0]) for line in capsys.readouterr().out.splitlines()]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    roles = [label.split()[-1] for label, _ in read_safetensors(paths[0].read_bytes())]
    assert roles.count("constant") == len(program.constants)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(("p.refnet",), "--input"), (("vectors", "--input", "codes.npy"), "--input"),
     (("p.refnet", "--input", "vectors/x"), "vectors/x")],
)  # fmt: skip
def test_programs_and_codes_need_each_other(arguments, says, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    save(nets.step(), tmp_path / "p.refnet")
    (tmp_path / "vectors").mkdir()
    np.save(tmp_path / "codes.npy", np.zeros((1, 2), int))
    out = ("--format", "npy", "--out", "out")
    assert main(["vectors", "export", *arguments, *out]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(ONNX, reason="onnx is installed")
def test_onnx_that_is_not_installed_is_named(tmp_path: Path, capsys) -> None:
    out = ("--format", "onnx", "--out", str(tmp_path / "out"), "--id", "add.pairs.0001")
    assert main(["vectors", "export", str(VECTORS / "add.json"), *out]) == 2
    assert "needs the package onnx: pip install onnx" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@needs_onnx
def test_onnx_models_give_the_outputs_and_hold_the_constants() -> None:
    import onnx
    from onnx.reference import ReferenceEvaluator

    from refnet.vectors.onnxfile import NotInOnnx, onnx_of_vector

    said = 0
    for vector in (v for v in vectors() if v.tier == "smoke" and v.op != "MaxPool"):
        if vector.op[0].islower() or vector.result == "must_fail":
            with pytest.raises(NotInOnnx):
                onnx_of_vector(vector)
            continue
        files = onnx_of_vector(vector)
        tensors = {
            path: onnx.numpy_helper.to_array(onnx.load_tensor_from_string(data))
            for path, data in files.items() if path.endswith(".pb")
        }
        model = onnx.load_model_from_string(files[f"{vector.id}/model.onnx"])
        folder = f"{vector.id}/test_data_set_0"
        given = [tensors[f"{folder}/input_{i}.pb"] for i in range(len(vector.inputs))]
        names = [i.name for i in model.graph.input]
        y = ReferenceEvaluator(model).run(None, dict(zip(names, given, strict=True)))[0]
        want = tensors[f"{folder}/output_0.pb"]
        assert (y.dtype, y.tolist()) == (want.dtype, want.tolist())
        assert want.tobytes() == vector.outputs[0].array().tobytes()
        for array, a in zip(vector.inputs, given, strict=True):
            assert a.tobytes() == array.array().tobytes()
        said += 1
    assert said > 10


@needs_onnx
def test_what_onnx_cannot_say_is_refused_by_name(tmp_path: Path, capsys) -> None:
    refused = next(v for v in vectors() if v.op == "Conv" and v.result == "must"
                   and v.constants[0].array().dtype.itemsize > 1)  # fmt: skip
    out = ("--format", "onnx", "--out", str(tmp_path / "out"))
    assert main(["vectors", "export", str(VECTORS), "--id", refused.id, *out]) == 2
    assert "Conv of int" in capsys.readouterr().err
    assert main(["vectors", "export", str(VECTORS / "reshape.json"), *out]) == 0
    said = capsys.readouterr()
    assert "left out: onnx: 'reshape.refused.0001' must be refused" in said.err
