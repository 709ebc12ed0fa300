"""Golden folders of a program: written whole, the same bytes again, every damage found."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from refnet.program import Conv, Program, evaluate, load
from refnet.vectors import golden
from refnet.vectors.cases import nets
from refnet.vectors.golden import MANIFEST, PROGRAM_FILE, check_golden, golden_files, write_golden
from refnet.vectors.record import VectorError

IMAGES = 2


def codes(program: Program) -> np.ndarray:
    held = program.input_type
    count = IMAGES * int(np.prod(held.shape))
    span = held.type.hi - held.type.lo + 1
    return (np.arange(count) * 7 % span + held.type.lo).reshape(IMAGES, *held.shape)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    program = nets.residual()
    return write_golden(program, codes(program), tmp_path / "golden").parent


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@pytest.mark.parametrize(
    "make", [nets.double, nets.identity, nets.step, nets.residual, nets.factorized]
)
def test_a_program_passes_its_own_folder(make, tmp_path: Path) -> None:
    program = make()
    manifest = write_golden(program, codes(program), tmp_path / "deep" / "golden")
    report = check_golden(manifest.parent, program, evaluate)
    assert (report.ok, report.images, report.values) == (True, IMAGES, len(program.types))
    assert check_golden(manifest.parent, load(manifest.parent / PROGRAM_FILE)).ok


def test_the_same_program_and_codes_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    program = nets.residual()
    again = write_golden(program, codes(program).astype(np.int64), tmp_path / "again").parent
    assert contents(again) == contents(folder) == golden_files(program, codes(program))


def test_the_manifest_names_every_value_and_file(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    program = nets.residual()
    assert [v["name"] for v in manifest["values"]] == list(program.types)
    assert {v["file"] for v in manifest["values"]} | {MANIFEST, PROGRAM_FILE} == set(
        contents(folder))
    assert [v["op"] for v in manifest["values"]] == [
        "input", *(type(n.op).__name__ for n in program.nodes)]
    for value in manifest["values"]:
        array = np.load(folder / value["file"], allow_pickle=False)
        assert (list(array.shape), len(array)) == (value["shape"], manifest["images"])


@pytest.mark.parametrize(("make", "places"), [(nets.double, 300), (nets.residual, 12)])
def test_a_flipped_byte_in_any_file_is_found(make, places: int, tmp_path: Path) -> None:
    """At places spread over every file, most of them in the manifest of the small program."""
    program = make()
    folder = write_golden(program, codes(program), tmp_path / "golden").parent
    for name, data in contents(folder).items():
        for place in {*range(0, len(data), max(1, len(data) // places)), len(data) - 1}:
            (folder / name).write_bytes(
                data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            with pytest.raises(VectorError) as caught:
                check_golden(folder, program)
            assert "\n" not in str(caught.value)
            assert str(folder) in str(caught.value)
        (folder / name).write_bytes(data)
    assert check_golden(folder, program).ok


def test_a_missing_or_cut_off_file_is_found(folder: Path) -> None:
    program = nets.residual()
    for name, data in contents(folder).items():
        (folder / name).write_bytes(data[:-1])
        with pytest.raises(VectorError, match=name if name != MANIFEST else "manifest"):
            check_golden(folder, program)
        (folder / name).unlink()
        with pytest.raises(VectorError, match=f"{name}: No such file"):
            check_golden(folder, program)
        (folder / name).write_bytes(data)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: [], "fields must be"),
        (lambda m: {**m, "more": 1}, "fields must be"),
        (lambda m: {**m, "format": 2}, "format 2"),
        (lambda m: {**m, "generator": "other"}, "of 'other'"),
        (lambda m: {**m, "values": {}}, "values are records"),
        (lambda m: {**m, "values": [7]}, "values are records"),
        (lambda m: {**m, "values": m["values"][:-1]}, "values, rule"),
        (lambda m: {**m, "program": "residual"}, "another program"),
        (lambda m: {**m, "images": 3}, "not the manifest of the files"),
        (lambda m: {**m, "values": m["values"][::-1]}, "checksum"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(folder: Path, change, says: str) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps(change(json.loads(path.read_text())), indent=1) + "\n")
    with pytest.raises(VectorError, match=says):
        check_golden(folder, nets.residual())


def test_a_manifest_that_is_no_json_is_refused(folder: Path) -> None:
    for data in (b"{", b"\xff", b"[" * 100_000):
        (folder / MANIFEST).write_bytes(data)
        with pytest.raises(VectorError, match="no JSON"):
            check_golden(folder, nets.residual())


def test_another_program_is_refused(folder: Path) -> None:
    with pytest.raises(VectorError, match="another program than 'step'"):
        check_golden(folder, nets.step())


def test_a_wrong_implementation_is_shown_at_its_first_step(folder: Path) -> None:
    program = nets.residual()

    def wrong(op, arrays, result):
        y = op.evaluate(*arrays)
        return (np.minimum(y + isinstance(op, Conv), result.type.hi)).astype(result.type.dtype)

    report = check_golden(folder, program, wrong)
    first = next(n.name for n in program.nodes if isinstance(n.op, Conv))
    assert not report.ok
    assert (report.differing[0].value, report.differing[0].op) == (first, "Conv")
    want = np.load(folder / f"{list(program.types).index(first):03d}_{first}.npy")
    seen = report.differing[0].differences[0]
    assert seen.expected == want[seen.coordinates]
    assert seen.actual == seen.expected + 1


def test_an_implementation_of_another_shape_is_one_error(folder: Path) -> None:
    with pytest.raises(VectorError, match="golden: "):
        check_golden(folder, nets.residual(), lambda op, arrays, result: np.zeros(3, np.int8))


def test_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = nets.step()

    def no(*given: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(golden.os, "replace", no)
    with pytest.raises(OSError, match="disk full"):
        write_golden(program, codes(program), tmp_path / "golden")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_the_older_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, real, calls = contents(folder), os.replace, []

    def second_fails(source: object, target: object) -> None:
        calls.append(target)
        if Path(str(target)) == folder and len(calls) == 2:
            raise OSError("disk full")
        real(source, target)

    monkeypatch.setattr(golden.os, "replace", second_fails)
    with pytest.raises(OSError, match="disk full"):
        write_golden(nets.step(), codes(nets.step()), folder)
    assert contents(folder) == before
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def test_an_older_golden_folder_is_replaced_and_others_are_not(
    folder: Path, tmp_path: Path
) -> None:
    program = nets.step()
    write_golden(program, codes(program), folder)
    assert contents(folder) == golden_files(program, codes(program))
    assert [p.name for p in tmp_path.iterdir()] == ["golden"]
    other = tmp_path / "other"
    other.mkdir()
    write_golden(program, codes(program), other)
    shutil.rmtree(other)
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    for target in (other, other / "thesis.txt"):
        with pytest.raises(VectorError, match="not a golden folder"):
            write_golden(program, codes(program), target)
    assert (other / "thesis.txt").read_text() == "years of work"


def test_bad_codes_leave_nothing(tmp_path: Path) -> None:
    program = nets.step()
    for bad in (codes(program)[:0], codes(program) + 90, codes(program)[0]):
        with pytest.raises(ValueError, match=r"image|leaves|shape"):
            write_golden(program, bad, tmp_path / "golden")
    assert list(tmp_path.iterdir()) == []
