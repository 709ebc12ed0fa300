"""Headers of program files: every field, every value that a reader refuses ([5.3.2] [5.3.4])."""

import hashlib
import json
import tracemalloc

import numpy as np
import oracle_codes
import pytest
from programs import refused, small

from refnet.program import (
    UINT2,
    Add,
    Conv,
    MaxPool,
    Node,
    Program,
    TensorType,
    constant,
)
from refnet.program.files import from_bytes, to_bytes

DATA = to_bytes(small())
HEADER, ARRAYS = oracle_codes.header_and_arrays(small())


def with_header(header) -> bytes:
    return oracle_codes.framed(oracle_codes.header_bytes(header), ARRAYS)


def changed(path: tuple, value) -> dict:
    """The header with the field at ``path`` set to ``value``."""
    header = json.loads(json.dumps(HEADER))
    place = header
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return header


def test_every_missing_extra_or_repeated_field_is_refused():
    records = [(), ("input",), ("nodes", 0), ("nodes", 0, "attributes"), ("nodes", 1, "attributes"),
               ("nodes", 2, "attributes"), ("constants", 0)]
    for path in records:
        record = HEADER
        for step in path:
            record = record[step]
        for name in record:
            less = {k: v for k, v in record.items() if k != name}
            refused(with_header(changed(path, less) if path else less), "fields .*, rule")
            text = oracle_codes.header_bytes(HEADER).decode()
            inner = oracle_codes.header_bytes(record).decode()
            twice = "{" + f'"{name}":' + json.dumps(record[name]) + "," + inner[1:]
            assert text.count(inner) == 1
            again = text.replace(inner, twice).encode()
            refused(oracle_codes.framed(again, ARRAYS), "header: ValueError in JSON")
        more = record | {"extra": 1}
        refused(with_header(changed(path, more) if path else more), "fields .*'extra'.*, rule")


STRANGE = [None, True, 0, -1, 1.5, 2**40, 10**4000, "", "zz", [], [[]], [0], ["zz"], {}, {"a": 1},
           [2**40, 2**40, 2**40], [[0, 0], [0]], "9" * 200, "\ud800", float("inf")]


def every_place(value, path=()):
    """The path of everything inside the header."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from every_place(value[key], (*path, key))


def test_every_field_with_a_strange_value_is_refused():
    for path in every_place(HEADER):
        place = HEADER
        for step in path:
            place = place[step]
        for value in STRANGE:
            if (path == ("name",) and value == "zz") or (value == place and value is not True):
                continue
            refused(with_header(changed(path, value) if path else value))


def test_the_name_may_be_any_name():
    assert from_bytes(with_header(changed(("name",), "other"))).name == "other"


@pytest.mark.parametrize(("path", "value", "message"), [
    (("format",), 2, "format 2, rule 1"), (("format",), True, "canonical"),
    (("format",), 1.0, "canonical"),
    (("input", "type"), "int[0,3]", "canonical"), (("input", "type"), "uint02", "canonical"),
    (("input", "type"), 3, "integer type 3 must be a string"),
    (("input", "type"), "uint\u0662", "integer type"),
    (("input", "shape"), 4, "shape: int, rule a list"),
    (("nodes",), {}, "nodes: dict, rule a list"),
    (("constants",), None, "constants: NoneType, rule a list"),
    (("nodes", 0), [], "node: fields list"), (("nodes", 0, "op"), "Pow", "'c': operator 'Pow'"),
    (("nodes", 0, "op"), ["Conv"], "operator .* does not exist"),
    (("nodes", 0, "op"), "Add", "node 'c': fields"),
    (("nodes", 0, "inputs"), "x", "inputs: str, rule a list"),
    (("nodes", 0, "inputs"), ["x", 1], "must be names"),
    (("nodes", 0, "inputs"), ["x", "w", "zz"], "operand 'zz' is not defined"),
    (("nodes", 0, "attributes", "stride"), 1, "canonical"),
    (("nodes", 0, "attributes", "stride"), [0, 1], r"Conv 'c': stride=\(0, 1\) must be"),
    (("nodes", 0, "attributes", "dilation"), 1, "canonical"),
    (("nodes", 1, "attributes", "rounding"), "nearest", "Requantize 'r': rounding 'nearest'"),
    (("nodes", 2, "attributes", "shape"), 8, "Reshape 'y': "),
    (("nodes", 2, "attributes", "shape"), [8.0], "Reshape 'y': "),
    (("constants", 0, "name"), "m", "constant 'm': a name, once"),
    (("constants", 0, "name"), 1, "constant 1: a name"),
    (("constants", 0, "offset"), 64, "at 64, rule 8 at 0"),
    (("constants", 0, "offset"), -64, "rule"),
    (("constants", 0, "offset"), False, "canonical"), (("constants", 1, "bytes"), 4.0, "canonical"),
    (("constants", 0, "bytes"), 4, "4 bytes at 0, rule 8"),
    (("constants", 0, "shape"), [1], "rule 4"),
    (("constants", 0, "shape"), [2, 1, 1, 1, 1], "TensorType: shape"),
    (("constants", 0, "type"), "int8", "8 bytes at 0, rule 2"),
    (("constants", 3, "type"), "uint1", "leave its type uint1"),
    (("constants", 0, "sha256"), "0" * 64, "constant 'b': checksum does not match"),
    (("constants", 0, "sha256"), hashlib.sha256(ARRAYS[:8]).hexdigest().upper(), "checksum"),
    (("output",), "zz", "output 'zz': no such value"), (("output",), [], "output"),
])
def test_a_changed_field_is_refused_with_these_words(path, value, message):
    refused(with_header(changed(path, value)), message)


def test_constants_in_another_order_are_refused():
    """Two constants of one size, so that offsets and checksums are right in both orders."""
    x = TensorType(type=UINT2, shape=(1, 1, 1))
    nodes = (Node(name="c", op=Conv(), inputs=("x", "a")),
             Node(name="d", op=Conv(), inputs=("c", "b")))
    one = constant(np.ones((1, 1, 1, 1), np.int8))
    p = Program(name="p", input="x", input_type=x, nodes=nodes, constants={"a": one, "b": one},
                output="d")
    header, arrays = oracle_codes.header_and_arrays(p)
    first, second = header["constants"]
    header["constants"] = [second | {"offset": 0}, first | {"offset": 64}]
    refused(oracle_codes.framed(oracle_codes.header_bytes(header), arrays), "canonical")


@pytest.mark.parametrize("text", [
    json.dumps(HEADER, sort_keys=True).encode(),
    json.dumps(HEADER, separators=(",", ":")).encode(),
    oracle_codes.header_bytes(HEADER) + b"\n",
    oracle_codes.header_bytes(HEADER).replace(b'"small"', b'"sm\\u0061ll"'),
    oracle_codes.header_bytes(HEADER).decode().encode("utf-16"),
    b"\xef\xbb\xbf" + oracle_codes.header_bytes(HEADER),
], ids=["spaces", "order", "newline", "escape", "utf-16", "bom"])
def test_the_same_header_in_other_words_is_refused(text):
    refused(oracle_codes.framed(text, ARRAYS), "canonical|JSON")


@pytest.mark.parametrize("text", [b"", b"{", b"nul", b"\xff\xfe{", b"[" * 10**5, b"9" * 5000,
                                  b'{"a":NaN}', b"[]", b"1", b'"x"', b"null", b"{}"])
def test_a_header_that_is_none_is_refused(text):
    refused(oracle_codes.framed(text, b""), "header: ")


@pytest.mark.parametrize("depth", [100, 400, 900, 3000])
def test_a_deep_header_is_refused(depth):
    text = oracle_codes.header_bytes(changed(("nodes", 0, "attributes", "stride"), "DEEP"))
    for place in (b'"DEEP"', b'"half_up"', b'"small"', b'"int8"', b'"ternary"'):
        deep = text.replace(place, b"[" * depth + b"]" * depth)
        refused(oracle_codes.framed(deep, ARRAYS))


@pytest.mark.parametrize("shape", [[2**40], [2**31 - 1], [2**16, 2**16, 2**16, 2**16]])
def test_what_a_file_announces_is_not_taken_as_memory(shape):
    header = changed(("constants", 0, "shape"), shape)
    elements = int(np.prod([float(n) for n in shape]))
    tracemalloc.start()
    for size in (8, 4 * elements):
        header["constants"][0]["bytes"] = size
        refused(with_header(header))
    refused(DATA[:8] + (2**62).to_bytes(8, "little") + DATA[16:], "truncated")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**6


def test_an_invalid_program_in_a_sound_file_is_refused():
    x = TensorType(type=UINT2, shape=(1,))
    p = Program(name="p", input="x", input_type=x, constants={}, output="y",
                nodes=(Node(name="y", op=Add(), inputs=("x", "x")),))
    header, arrays = oracle_codes.header_and_arrays(p)
    header["input"]["type"] = "int32"
    refused(oracle_codes.framed(oracle_codes.header_bytes(header), arrays), "Add 'y': the sum can")
    header["input"]["type"], header["output"] = "uint2", "x"
    refused(oracle_codes.framed(oracle_codes.header_bytes(header), arrays), "'y' is never used")


def test_attributes_at_their_largest_come_back():
    most = 2**31 - 1
    pool = MaxPool(kernel=(1, 1), stride=(most, most))
    p = Program(name="p", input="x", input_type=TensorType(type=UINT2, shape=(most, most, most)),
                constants={}, output="y", nodes=(Node(name="y", op=pool, inputs=("x",)),))
    assert from_bytes(to_bytes(p)) == p
