"""The decorator, the pytest plugin and files of expected failures, in test runs of their own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from errors import one_line

from refnet.laws import QuantizerUnderTest, parametrize_with_laws
from refnet.laws.checks import LawBroken, LawCheck, claimed
from refnet.laws.loading import load, read_expected, unexpected

ROOT = Path(__file__).parents[1]
MODULE = '''
import numpy as np
from refnet.laws import QuantizerUnderTest, parametrize_with_laws

def quantize(x):
    return np.clip(np.floor(np.float64(x) / 0.25 + 0.5), -8, 7).astype(np.int8)

FACTS = dict(dequantize=lambda c: c * 0.25, levels=(-8, 7), tie="even", dtypes=("float32",))
q = QuantizerUnderTest(quantize, claims=["codes", "tie", "nearest"], **FACTS)

def make():
    return [q]

class Box:
    inner = q

four = 4

@parametrize_with_laws([q], expected_failed=EXPECTED, max_examples=2)
def test_laws(quantizer, law):
    law(quantizer)
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pytest_run(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments], cwd=folder,
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("expected", "code", "words"),
    [
        ('{"tie": "half up by design"}', 0, "2 passed, 1 xfailed"),
        ("lambda q: {'tie': 'by design'}", 0, "2 passed, 1 xfailed"),
        ("None", 1, "code 1, right is 0"),
        ('{"tie": "by design", "codes": "no reason"}', 1, "[XPASS(strict)] no reason"),
        ('{"ties": "no law"}', 2, "ties: no such law"),
    ],
)
def test_the_decorator_makes_a_test_a_law(folder, expected, code, words):
    (folder / "test_mine.py").write_text(MODULE.replace("EXPECTED", expected))
    ended, said = pytest_run(folder, "test_mine.py")
    assert ended == code, said
    assert words in said


def test_the_plugin_needs_no_test_file(folder):
    (folder / "mine.py").write_text(MODULE.replace("EXPECTED", "None").replace("test_", "try_"))
    plugin = ("-p", "refnet.laws.pytest_plugin", "--sut", "mine:q", "--laws-examples", "2")
    code, said = pytest_run(folder, *plugin)
    assert code == 1
    assert "1 failed, 2 passed" in said
    assert "x = 0.125" in said
    assert "runtest" not in said
    (folder / "xfails").write_text("# known\ntie half up by design\n")
    code, said = pytest_run(folder, *plugin, "--laws-xfails", "xfails")
    assert code == 0, said
    assert "2 passed, 1 xfailed" in said
    (folder / "xfails").write_text("tie by design\ncodes by mistake\n")
    code, said = pytest_run(folder, *plugin, "--laws-xfails", "xfails")
    assert code == 1
    assert "XPASS" in said


def test_the_plugin_refuses_bad_input_in_one_line(folder):
    code, said = pytest_run(folder, "-p", "refnet.laws.pytest_plugin", "--sut", "nothing:q")
    assert code == 4
    assert "nothing: No module named 'nothing'" in said
    assert "Traceback" not in said


def test_a_check_raises_its_counterexample():
    q = QuantizerUnderTest(lambda x: np.clip(np.rint(x), 0, 3), levels=(0, 4))
    with pytest.raises(LawBroken, match="code 4 is never given"):
        LawCheck(law="reached", max_examples=2)(q)
    LawCheck(law="codes", max_examples=2)(q)
    names, reasons = claimed(q)
    assert "reached" in names
    assert reasons["tie"].startswith("needs")
    mark = parametrize_with_laws([q]).mark
    assert len(mark.args[1]) == len(names)


def test_quantizers_are_loaded_by_name(folder):
    (folder / "held.py").write_text(MODULE.replace("EXPECTED", "None"))
    for name in ("held:q", "held:make", "held:Box.inner", "held.py:q"):
        assert [q.name for q in load(name)] == ["quantize"]
    assert load("held:quantize", levels=(-8, 7))[0].levels == range(-8, 8)
    assert load("refnet.quant:Uniform")[0].name == "Uniform"
    assert len(load("refnet.quant:QUANTIZERS")) >= 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("held", "rule MODULE:OBJECT"), ("held:", "rule MODULE:OBJECT"), ("held:none", "no 'none'"),
        ("nowhere:q", "nowhere"), ("none.py:q", "no such file"), ("held:four", "int, rule a Quant"),
        ("broken:q", "cannot be imported: ZeroDivisionError"), ("held:Box", "Box"),
    ],
)
def test_names_that_name_none_are_refused(folder, name, message):
    (folder / "held.py").write_text(MODULE.replace("EXPECTED", "None"))
    (folder / "broken.py").write_text("1 / 0\n")
    with pytest.raises(ValueError, match=message) as error:
        load(name)
    one_line(error)
    with pytest.raises(ValueError, match="its own facts"):
        load("held:q", tie="up")


@pytest.mark.parametrize("text", ["tie\n", "ties why\n", "tie a\ntie b\n"])
def test_expected_failures_have_a_law_and_a_reason(folder, text):
    (folder / "x").write_text(text)
    with pytest.raises(ValueError, match="x:") as error:
        read_expected("x")
    one_line(error)


def test_what_was_not_expected_is_named():
    assert unexpected(["tie"], ["odd"], {"odd": "known"}) == [
        "tie failed", "odd passed, expected to fail",
    ]
