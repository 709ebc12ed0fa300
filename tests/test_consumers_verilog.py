"""The Verilog consumer: vectors in by the ``$readmemh`` export, answers out by ``$writememh``."""

from __future__ import annotations

import math
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from refnet.program import IntType
from refnet.vectors.check import check
from refnet.vectors.cli import vectors_in
from refnet.vectors.export import mem_text
from refnet.vectors.outputs import FolderImplementation
from refnet.vectors.record import Array, Vector
from refnet.vectors.words import width_of

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "specs" / "consumers" / "verilog").glob("*.v"))
pytestmark = pytest.mark.skipif(shutil.which("iverilog") is None, reason="no Icarus Verilog")


@cache
def vectors() -> tuple[Vector, ...]:
    return tuple(vectors_in([ROOT / "specs" / "vectors"]))


def applicable(op: str) -> list[Vector]:
    """Vectors of an operator that a circuit of this kind is built for, batches not empty."""
    found = [v for v in vectors() if v.op == op and v.result == "must" and v.outputs[0].data]
    if op == "Conv":
        return [v for v in found if width_of(v.constants[0].type) <= 2
                and IntType.parse(v.constants[0].type).lo >= -1
                and IntType.parse(v.constants[0].type).hi <= 1]  # fmt: skip
    return found


def conv_macros(vector: Vector) -> dict[str, object]:
    n, c, h, w = vector.inputs[0].shape
    filters, k, r, s = vector.constants[0].shape
    given = vector.attributes
    names = {
        "N": n, "C": c, "H": h, "W": w, "F": filters, "K": k, "R": r, "S": s,
        "STRIDE_H": given["stride"][0], "STRIDE_W": given["stride"][1],
        "DILATION_H": given["dilation"][0], "DILATION_W": given["dilation"][1],
        "TOP": given["padding"][0][0], "LEFT": given["padding"][1][0],
        "OUT_H": vector.outputs[0].shape[2], "OUT_W": vector.outputs[0].shape[3],
        "GROUP_FILTERS": filters // given["groups"],
    }
    parameters = ",".join(f".{name}({value})" for name, value in names.items())
    return {"UNIT_CONV": 1, "CONV_PARAMETERS": parameters}


def macros(vector: Vector) -> dict[str, object]:
    if vector.op == "Conv":
        return conv_macros(vector)
    shape = vector.inputs[0].shape
    held: dict[str, object] = {"C": shape[1], "INNER": math.prod(shape[2:])}
    if vector.op == "Threshold":
        return held | {"UNIT_THRESHOLD": 1, "L": vector.constants[0].shape[1]}
    type = IntType.parse(vector.attributes["type"])
    rule = ("half_even", "half_up", "half_away").index(vector.attributes["rounding"])
    return held | {"UNIT_REQUANTIZE": 1, "RULE": rule, "LO": type.lo, "HI": type.hi}


def widths(letter: str, array: Array) -> dict[str, object]:
    signed = int(IntType.parse(array.type).lo < 0)
    return {f"{letter}N": len(array.data), f"{letter}B": width_of(array.type),
            f"{letter}S": signed}  # fmt: skip


def simulate(vector: Vector, folder: Path, out: Path) -> None:
    """Run the circuit on the export of a vector; its answer is ``ID.y.mem`` in ``out``."""
    held: dict[str, object] = {"BN": 1, "BB": 1, "BS": 0, **macros(vector)}
    operands = vector.operands
    # A ternary field is two bits wide also where all weights are 0 or 1.
    for letter, array in zip("XAB", operands, strict=False):
        if vector.op == "Conv" and letter == "A":
            array = Array.of(array.name, "ternary", array.array())
        path = folder / f"{letter}.mem"
        path.write_text(mem_text(f"{vector.id} {array.name}", array))
        held |= {letter: f'"{path}"', **widths(letter, array)}
    held |= {"Y": f'"{out / vector.id}.y.mem"', **widths("Y", vector.outputs[0])}
    defines = [f"-D{name}={value}" for name, value in held.items()]
    sources = [str(path) for path in SOURCES]
    compiled = ["iverilog", "-g2005", "-Wall", "-s", "bench", "-o", "bench.vvp", *defines, *sources]
    done = subprocess.run(compiled, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    subprocess.run(["vvp", "-n", "bench.vvp"], cwd=folder, capture_output=True, check=True)


@pytest.mark.parametrize(("op", "least"), [("Conv", 18), ("Threshold", 15), ("Requantize", 9)])
def test_circuits_give_the_vectors(op: str, least: int, tmp_path: Path) -> None:
    chosen = applicable(op)
    assert len(chosen) >= least
    for vector in chosen:
        simulate(vector, tmp_path, tmp_path)
    report = check(chosen, FolderImplementation(tmp_path))
    assert report.ok, "\n".join(report.lines())
    assert len(report.passed) == len(chosen)


def test_a_wrong_circuit_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """> for >= in the comparator: the checker says which look-alike that is."""
    changed = tmp_path / "changed"
    changed.mkdir()
    for path in SOURCES:
        (changed / path.name).write_text(path.read_text().replace("signed_x >= ", "signed_x > "))
    monkeypatch.setitem(globals(), "SOURCES", sorted(changed.glob("*.v")))
    chosen = applicable("Threshold")[:4]
    for vector in chosen:
        simulate(vector, tmp_path, tmp_path)
    report = check(chosen, FolderImplementation(tmp_path))
    assert report.diagnosis()[0] == ("greater_for_greater_equal", len(report.failures))
