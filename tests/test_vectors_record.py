"""The vector record and its strict reader."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.vectors.flags import ERRORS, FLAGS
from refnet.vectors.reading import from_text, read, to_text
from refnet.vectors.record import (
    ARRAY_FIELDS,
    FILE_FIELDS,
    REAL,
    VECTOR_FIELDS,
    WIDE,
    Array,
    Vector,
    VectorError,
    VectorFile,
    digest,
)
from refnet.vectors.schema import SCHEMA


def vector(**change) -> Vector:
    held = {
        "id": "add.pairs.0001", "tier": "core", "clauses": ("4.4.1",), "op": "Add",
        "attributes": {}, "capabilities": ("Add",), "constants": (), "intermediates": (),
        "inputs": (Array.of("x", "int8", [[1, -2]]), Array.of("y", "int8", [[3, 4]])),
        "outputs": (Array.of("y", "int[-256,254]", [[4, 2]]),), "result": "must", "error": None,
        "flags": ("BASIC",), "kills": (), "comment": "A sum of two small vectors.",
    }  # fmt: skip
    return Vector(**{**held, **change})


def file_of(*vectors: Vector) -> VectorFile:
    return VectorFile(format=1, generator="test", subject="add", flags={"BASIC": FLAGS["BASIC"]},
                      errors={"shape": ERRORS["shape"]}, vectors=vectors)


def plain() -> dict:
    return json.loads(to_text(file_of(vector())))


def test_a_file_is_read_back_and_has_one_vector_a_line() -> None:
    held = file_of(vector(), vector(id="add.pairs.0002"))
    text = to_text(held)
    assert from_text(text) == held
    assert [json.loads(line.rstrip(","))["id"] for line in text.split("\n")[1:-2]] == [
        "add.pairs.0001", "add.pairs.0002"]
    assert text == to_text(from_text(text))


def test_digest_covers_dtype_shape_and_bytes() -> None:
    x = np.array([[1, 2]], dtype=np.int16)
    seen = {digest(x), digest(x.astype(np.int32)), digest(x.T), digest(x + 1), digest(x.ravel())}
    assert len(seen) == 5
    assert digest(x) == digest(x.astype(">i2"))
    # sha256 of the 10 bytes "int16 1,2\n" and 01 00 02 00
    assert digest(x) == "6f6326b3d48318a6131467f500bb6a930abf6ca9bf305c165f5da9ceb5e2e27b"


@given(st.lists(st.integers(-(2**53), 2**53), max_size=20))
def test_wide_integers_survive(values: list[int]) -> None:
    array = Array.of("x", WIDE, np.array(values, dtype=np.int64))
    assert array.array().tolist() == values
    assert Array(**{f: getattr(array, f) for f in ARRAY_FIELDS}) == array


@given(st.lists(st.floats(allow_nan=False), max_size=20))
def test_reals_survive_to_the_bit(values: list[float]) -> None:
    array = Array.of("x", REAL, np.array(values, dtype=np.float64))
    got, want = array.array(), np.array(values, dtype=np.float64)
    assert np.array_equal(got.view(np.uint64), want.view(np.uint64))


def test_reals_are_bit_patterns_with_the_sign_first() -> None:
    assert Array.of("x", REAL, [1.0, -0.0, 0.1]).data == (
        "3ff0000000000000", "8000000000000000", "3fb999999999999a")


@pytest.mark.parametrize(
    ("type", "values"), [("uint2", [4]), ("ternary", [-2]), ("int8", [128]), ("uint8", [0.5])]
)
def test_an_array_holds_its_type(type: str, values: list) -> None:
    with pytest.raises(VectorError):
        Array.of("x", type, values)


def test_an_array_refuses_another_checksum() -> None:
    good = Array.of("x", "int8", [1])
    with pytest.raises(VectorError, match="its data give"):
        Array(name="x", type="int8", shape=(1,), data=(2,), sha256=good.sha256)


def test_the_schema_says_what_the_record_says() -> None:
    held = {"array": ARRAY_FIELDS, "vector": VECTOR_FIELDS}
    for name, names in held.items():
        assert tuple(SCHEMA["$defs"][name]["properties"]) == names
        assert tuple(SCHEMA["$defs"][name]["required"]) == names
        assert SCHEMA["$defs"][name]["additionalProperties"] is False
    assert tuple(SCHEMA["properties"]) == tuple(SCHEMA["required"]) == FILE_FIELDS
    assert SCHEMA["additionalProperties"] is False
    assert SCHEMA["$schema"].endswith("2020-12/schema")


def changed(path: tuple, value: object) -> dict:
    held = copy.deepcopy(plain())
    place = held
    for step in path[:-1]:
        place = place[step]
    if value is None and path[-1] in place:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return held


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("comment",), "x", "fields"),
        (("vectors", 0, "note"), "x", "fields"),
        (("vectors", 0, "inputs", 0, "note"), "x", "fields"),
        (("vectors", 0, "kills"), None, "fields"),
        (("flags", "BASIC", "links"), [], "fields"),
        (("format",), 2, "format 2"),
        (("format",), True, "format"),
        (("vectors",), [], "at least one"),
        (("vectors", 0, "id"), "Add 1", "id must"),
        (("vectors", 0, "clauses"), [], "clauses"),
        (("vectors", 0, "clauses"), ["4.4"], "clauses"),
        (("vectors", 0, "clauses"), [4], "strings"),
        (("vectors", 0, "tier"), "slow", "tier"),
        (("vectors", 0, "result"), "nice", "result"),
        (("vectors", 0, "result"), "may", "may has a flag"),
        (("vectors", 0, "error"), "shape", "no error"),
        (("vectors", 0, "outputs"), [], "has outputs"),
        (("vectors", 0, "flags"), ["TIE"], "defines not all"),
        (("vectors", 0, "flags"), ["NICE"], "flags"),
        (("vectors", 0, "comment"), "short", "comment"),
        (("vectors", 0, "attributes"), [], "attributes"),
        (("vectors", 0, "inputs", 0, "data"), [1, 2.0], "integers only"),
        (("vectors", 0, "inputs", 0, "data"), [1, True], "int only"),
        (("vectors", 0, "inputs", 0, "data"), [1, "2"], "int only"),
        (("vectors", 0, "inputs", 0, "data"), [1], "elements"),
        (("vectors", 0, "inputs", 0, "data"), [1, 300], "leave int8"),
        (("vectors", 0, "inputs", 0, "shape"), [2, -1], "sizes"),
        (("vectors", 0, "inputs", 0, "type"), "int7x", "integer type"),
        (("vectors", 0, "inputs", 0, "type"), "binary64", "str only"),
        (("vectors", 0, "inputs", 0, "name"), "a b", "not a name"),
        (("vectors", 0, "inputs", 1, "name"), "x", "twice"),
        (("vectors", 0, "inputs", 0, "sha256"), "0" * 64, "its data give"),
        (("vectors", 0, "inputs", 0), [], "fields list"),
    ],
)
def test_the_reader_refuses(path: tuple, value: object, says: str) -> None:
    with pytest.raises(VectorError, match=says):
        from_text(json.dumps(changed(path, value)))


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "no JSON"), ("[" * 10**5, "no JSON"), ("[]", "fields list"), ('{"a":NaN}', "integers"),
     ('{"a":1,"a":1}', "twice"), ('{"a":1e3}', "integers only")],
)  # fmt: skip
def test_the_reader_refuses_what_is_no_vector_file(text: str, says: str) -> None:
    with pytest.raises(VectorError, match=says):
        from_text(text)


def test_ids_are_given_once() -> None:
    with pytest.raises(VectorError, match="each id once"):
        file_of(vector(), vector())


def test_must_fail_has_an_error_and_no_answer() -> None:
    refused = vector(result="must_fail", error="shape", outputs=())
    assert from_text(to_text(file_of(refused))).vectors == (refused,)
    for change in ({"error": None}, {"error": "nice"}, {"outputs": vector().outputs}):
        with pytest.raises(VectorError, match="must_fail"):
            vector(**{"result": "must_fail", "error": "shape", "outputs": (), **change})


def test_errors_of_a_file_name_it(tmp_path) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(b"\xff")
    with pytest.raises(VectorError, match=r"bad\.json"):
        read(path)
