"""``refnet vectors`` from the command line: exit codes, one line for bad input, JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from refnet.cli import main
from refnet.vectors import clauses, cli, generate
from refnet.vectors.cli import explained, vectors_in
from refnet.vectors.export import arrays_of, read_header, read_mem, read_npy
from refnet.vectors.flags import ERRORS, FLAGS
from refnet.vectors.lookalikes import LOOKALIKES
from refnet.vectors.record import TIERS

VECTORS = Path(__file__).parents[1] / "specs" / "vectors"
ADD = str(VECTORS / "add.json")
SUT = f"{sys.executable} -S "

# Answers whatever it is asked with one number.
ONE = """
import json, sys
for line in sys.stdin:
    q = json.loads(line)
    print(json.dumps({"id": q["id"], "outputs": {"y": {"shape": [1], "data": [1]}}}), flush=True)
"""


def run(*arguments: str) -> int:
    try:
        return main(["vectors", *arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on standard error of a command that must end with 2 and print nothing."""
    assert run(*arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err
    return said.err


def test_generate_writes_what_check_accepts(tmp_path: Path, capsys, monkeypatch) -> None:
    few = tuple(s for s in generate.SUBJECTS if s[0] in ("numbers", "add"))
    monkeypatch.setattr(generate, "SUBJECTS", few)
    monkeypatch.setattr(generate, "TIER_SUBJECTS", ())
    folder = tmp_path / "made"
    assert run("generate", str(folder)) == 0
    names = ["schema.json", "numbers.json", "add.json"]
    assert capsys.readouterr().out.splitlines() == [str(folder / name) for name in names]
    assert all((folder / name).read_bytes() == (VECTORS / name).read_bytes() for name in names)
    assert run("generate", "--check", str(folder)) == 0
    assert capsys.readouterr().out == f"{folder}: as generated\n"
    (folder / "add.json").unlink()
    assert run("generate", "--check", str(folder)) == 1
    assert capsys.readouterr().out == f"{folder / 'add.json'}: missing\n"


def test_check_without_paths_takes_the_specification(capsys) -> None:
    assert run("check") == 0
    assert f"{len(vectors_in([VECTORS]))} passed, 0 failed" in capsys.readouterr().out


def test_the_kernels_pass_every_vector(capsys) -> None:
    assert run("check", "--implementation", "kernels", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    passed, held = set(report["passed"]), vectors_in([VECTORS])
    operators = {"Conv", "Threshold", "Requantize", "Add", "MaxPool", "SumPool", "Reshape"}
    assert passed == {v.id for v in held if v.op in {*operators, "Program"}}
    assert (report["ok"], report["failures"]) == (True, [])
    assert {id for id, _ in report["unsupported"]} == {v.id for v in held} - passed


def test_a_process_that_is_wrong_ends_with_1(tmp_path: Path, capsys) -> None:
    sut = tmp_path / "sut.py"
    sut.write_text(ONE)
    assert run("check", ADD, "--sut", SUT + str(sut), "--op", "Add") == 1
    out = capsys.readouterr().out
    assert "add.pairs.0001 [4.4.1] differs: y has shape (1,)" in out
    assert "add.refused.0001 [4.4.1] accepted: must be refused for its shape" in out
    assert "0 passed" in out.splitlines()[-1]
    assert run("check", ADD, "--sut", SUT + str(sut), "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert not report["ok"]
    assert len(report["failures"]) == len(vectors_in([VECTORS / "add.json"]))


@pytest.mark.parametrize(
    ("tier", "held"),
    [
        ("machine", {"machine"}),
        ("smoke", {"smoke"}),
        ("chain", {"chain"}),
        (None, {"smoke", "core"}),
        ("core", {"smoke", "core"}),
        ("all", set(TIERS)),
    ],
)
def test_a_tier_is_found_without_naming_its_folder(
    tier: str | None, held: set[str], monkeypatch
) -> None:
    """What is asked of the reference; it is not asked here, or the digests would be worked out."""
    asked: list = []
    monkeypatch.setattr(cli, "_report", lambda vectors, *_: asked.extend(vectors) or 0)
    assert run("check", *(("--tier", tier) if tier else ())) == 0
    assert {v.tier for v in asked} == held
    everything = vectors_in([VECTORS, VECTORS / "tiers"])
    assert [v.id for v in asked] == [v.id for v in everything if v.tier in held]


def test_a_tier_beyond_core_is_checked_and_all_of_a_file_by_default(capsys, tmp_path: Path) -> None:
    assert run("check", "--tier", "machine", "--op", "machine", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["passed"]) == 7
    file = str(VECTORS / "tiers" / "machine.json")
    assert run("check", file) == 0
    assert capsys.readouterr().out == "7 passed, 0 failed, 0 not supported\n"
    assert run("check", file, "--tier", "all") == 0
    assert capsys.readouterr().out == "7 passed, 0 failed, 0 not supported\n"
    assert "no vector" in refused(capsys, "check", file, "--tier", "smoke")
    known = tmp_path / "known.txt"
    known.write_text("add.pairs.0001 of another tier\n")
    assert run("check", "--tier", "machine", "--expected-failures", str(known)) == 0


def test_tier_op_and_without_choose(capsys) -> None:
    chosen = ("--tier", "smoke", "--op", "Conv", "--op", "Add", "--without", "Conv.groups")
    assert run("check", *chosen, "--json") == 0
    passed = json.loads(capsys.readouterr().out)["passed"]
    held = {v.id: v for v in vectors_in([VECTORS])}
    assert passed
    assert all(held[id].op in ("Conv", "Add") and held[id].tier == "smoke" for id in passed)
    assert not any("Conv.groups" in held[id].capabilities for id in passed)


@pytest.mark.parametrize("format", ["npy", "mem", "header"])
def test_export_writes_arrays_that_read_back(format: str, tmp_path: Path, capsys) -> None:
    id, out = "add.pairs.0002", tmp_path / "out"
    assert run("export", ADD, "--format", format, "--out", str(out), "--id", id, "--json") == 0
    paths = [Path(p) for p in json.loads(capsys.readouterr().out)]
    assert sorted(paths) == sorted(out.iterdir())
    held = arrays_of(next(v for v in vectors_in([VECTORS / "add.json"]) if v.id == id))
    if format == "header":
        assert read_header(paths[0].read_text()) == held
    for path, (_, array) in zip(paths, held, strict=False):
        if format == "npy":
            assert (read_npy(path.read_bytes()) == array.array()).all()
        elif format == "mem":
            assert read_mem(path.read_text()) == array
    assert run("export", ADD, "--format", format, "--out", str(out), "--id", id) == 0
    assert capsys.readouterr().out == f"{len(paths)} files in {out}\n"


def test_explain_knows_clauses_flags_errors_and_lookalikes(capsys) -> None:
    for name in ("4.1.3", "[4.1.3]"):
        assert run("explain", name) == 0
        said = capsys.readouterr().out
        assert said.startswith("[4.1.3] Conv (04-operators.md)\n")
        assert "the kernel is not\nflipped" in said
    assert run("explain", "TIE") == 0
    assert "failing suggests: another tie rule" in capsys.readouterr().out
    for name in [*FLAGS, *ERRORS, *(k.name for k in LOOKALIKES)]:
        assert name in explained(name).splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("explain", "4.1.99"), "'4.1.99' is no clause, flag, error class or look-alike"),
        (("check", "/no/such.json"), "/no/such.json"),
        (("check", "pyproject.toml"), "pyproject.toml: no JSON"),
        (("check", "specs"), "no vectors in specs"),
        (("check", ADD, ADD), "was read already"),
        (("check", ADD, "--sut", "/no/such/program"), "cannot run '/no/such/program'"),
        (("check", ADD, "--sut", ""), "command of the implementation is empty"),
        (("check", ADD, "--op", "Conv"), "no vector was run"),
        (("check", "--op", "Mul"), "invalid choice: 'Mul'"),
        (("check", "--implementation", "magic"), "invalid choice: 'magic'"),
        (("check", "--sut", "x", "--implementation", "kernels"), "not allowed with"),
        *((("check", "--timeout", t), "rule (0, 86400]") for t in ("-1", "0", "nan", "inf")),
        (("check", "--timeout", "soon"), "timeout"),
        (("export", ADD, "--format", "npy"), "--out"),
        (("export", ADD, "--format", "csv", "--out", "x"), "invalid choice: 'csv'"),
        (("export", ADD, "--format", "npy", "--out", "never", "--id", "add.no.0001"), "no vector"),
        (("export", "/no/such", "--format", "npy", "--out", "never"), "/no/such"),
        (("generate", "/dev/null/x"), "Not a directory"),
        ((), "COMMAND"),
        (("forget",), "invalid choice: 'forget'"),
    ],
)
def test_bad_input_is_one_line_and_2(
    arguments: tuple[str, ...], says: str, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(VECTORS.parents[1])
    assert says in refused(capsys, *arguments)
    assert not Path("never").exists()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace('"data":[1', '"data":[2', 1),
        lambda text: text.replace('"format":1', '"format":2', 1),
        lambda text: text.replace('"comment":', '"remark":', 1),
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
    ],
)
def test_a_spoiled_file_is_one_line_and_2(spoil, tmp_path: Path, capsys) -> None:
    path, text = tmp_path / "add.json", Path(ADD).read_text()
    assert spoil(text) != text
    path.write_text(spoil(text))
    assert str(path) in refused(capsys, "check", str(path))


def test_without_a_specification_the_line_says_what_to_pass(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr(clauses, "__file__", str(tmp_path / "refnet" / "vectors" / "clauses.py"))
    monkeypatch.setattr(clauses, "_installed", list)
    for arguments in (("check",), ("explain", "4.1.3"), ("generate", "--check")):
        assert "name the vector files or their folder" in refused(capsys, *arguments)
    # What comes with an installation into a folder lies beside the package.
    place = tmp_path / "share" / "refnet" / "specs"
    place.mkdir(parents=True)
    (place / "01-numbers.md").write_text("### [9.1] Title\n\n**[9.1.1]** A rule.\n")
    assert clauses.specification() == place
    assert run("explain", "9.1.1") == 0


def test_an_installed_specification_is_found_by_the_list_of_files(monkeypatch, tmp_path) -> None:
    class Held:
        name = "01-numbers.md"

        def locate(self) -> Path:
            return tmp_path / "specs" / "01-numbers.md"

    monkeypatch.setattr(clauses.metadata, "files", lambda name: [Held()])
    assert clauses._installed() == [tmp_path / "specs"]

    def missing(name: str) -> None:
        raise clauses.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(clauses.metadata, "files", missing)
    assert clauses._installed() == []
