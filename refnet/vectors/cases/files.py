"""Cases of program files [5.3]: the bytes of small programs, and files that must be refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from refnet.program import Program
from refnet.program.files import MAGIC, to_bytes
from refnet.vectors.cases import nets
from refnet.vectors.cases.build import Case, function_case, program_case
from refnet.vectors.stream import Stream

_FRONT = len(MAGIC) + 8 + 32


def _split(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a file as JSON, and its arrays."""
    size = int.from_bytes(data[8:16], "little")
    start = -(-(_FRONT + size) // 64) * 64
    return json.loads(data[_FRONT : _FRONT + size]), data[start:]


def _join(header: bytes, arrays: bytes) -> bytes:
    """A file around any header, with a checksum that matches."""
    front = MAGIC + len(header).to_bytes(8, "little") + hashlib.sha256(header).digest() + header
    return front + bytes(-len(front) % 64) + arrays


def _edited(data: bytes, edit: Callable[[dict[str, Any]], None]) -> bytes:
    header, arrays = _split(data)
    edit(header)
    return _join(json.dumps(header, sort_keys=True, separators=(",", ":")).encode(), arrays)


def _at(data: bytes, place: int, value: int) -> bytes:
    return data[:place] + bytes([value]) + data[place + 1 :]


def _with_constant(data: bytes, raw: bytes) -> bytes:
    """The file of ``step`` with other bytes of its first constant, and their checksum."""
    header, arrays = _split(data)
    entry = header["constants"][0]
    entry["sha256"] = hashlib.sha256(raw).hexdigest()
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    return _join(text, raw + arrays[len(raw) :])


def _header_edits() -> list[tuple[str, Callable[[dict[str, Any]], None], str]]:
    def change(path: tuple[Any, ...], value: Any) -> Callable[[dict[str, Any]], None]:
        def edit(header: dict[str, Any]) -> None:
            place: Any = header
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = value

        return edit

    return [
        ("5.3.2", change(("format",), 2), "another format"),
        ("5.3.2", change(("comment",), "x"), "a header field that does not exist"),
        ("5.3.2", lambda header: header.pop("output"), "a header field is missing"),
        ("5.3.2", change(("nodes", 0, "attributes", "axis"), 1), "an attribute does not exist"),
        ("5.3.2", change(("nodes", 0, "op"), "Sub"), "an operator does not exist"),
        ("5.3.2", change(("input", "type"), "float32"), "a type does not exist"),
        ("5.3.3", change(("constants", 0, "offset"), 64), "an offset that leaves a hole"),
        ("5.3.3", change(("constants", 0, "shape"), [3]), "a shape that its bytes do not fill"),
        ("5.3.4", change(("constants", 0, "shape"), [2**40]), "a shape far beyond the file"),
        ("5.3.4", change(("constants", 0, "sha256"), "0" * 64), "another checksum of a constant"),
        ("5.3.4", change(("output",), "z"), "the output does not exist: an invalid program"),
    ]


def _other_texts(text: bytes, arrays: bytes) -> list[tuple[str, bytes, str]]:
    """Headers that a reader of JSON takes for the same, and that another writer may give."""
    header = json.loads(text)
    compact = partial(json.dumps, separators=(",", ":"))
    turned = {**header, "constants": header["constants"][::-1]}
    first, second = (dict(c) for c in turned["constants"])
    turned["constants"] = [{**first, "offset": 0}, {**second, "offset": 64}]
    signed = text.replace(b'"type":"ternary"', b'"type":"int[-1,1]"')
    digits = header["constants"][0]["sha256"]
    rows = (
        (json.dumps(header, sort_keys=True).encode(), arrays, "white space in the header"),
        (text + b"\n", arrays, "a line feed behind the header"),
        (compact(dict(reversed(header.items()))).encode(), arrays, "keys are not sorted"),
        (text.replace(b'"output":"y"', b'"output":"\\u0079"'), arrays, "an escaped letter"),
        (text.replace(b'"format":1', b'"format":1.0'), arrays, "the format is the real number 1"),
        (text.replace(b'"format":1', b'"format":true'), arrays, "the format is a truth value"),
        (signed, arrays, "a type has another name than [1.1.2] gives its range"),
        (text.replace(digits.encode(), digits.upper().encode()), arrays, "digits of upper case"),
        (compact(turned, sort_keys=True).encode(), arrays[64:] + arrays[:64],
         "constants are not sorted by name"),
    )  # fmt: skip
    return [("5.3.2", _join(other, held), why) for other, held, why in rows]


def _refused() -> list[Case]:
    data = to_bytes(nets.step())
    header, arrays = _split(data)
    size = int.from_bytes(data[8:16], "little")
    text = data[_FRONT : _FRONT + size]
    rows = [
        ("5.3.1", _at(data, 0, 0x53), "the first magic byte is another"),
        ("5.3.1", _at(data, 6, 0x0A), "a carriage return was turned into a line feed"),
        ("5.3.1", _at(data, 16, data[16] ^ 1), "a bit of the header's checksum is another"),
        ("5.3.1", _at(data, _FRONT + 5, data[_FRONT + 5] ^ 1), "a bit of the header is another"),
        ("5.3.1", _at(data, _FRONT + size, 1), "padding after the header is not zero"),
        ("5.3.3", data[:-64], "the arrays are cut off"),
        ("5.3.3", data + bytes(64), "there is something behind the arrays"),
        ("5.3.3", _at(data, len(data) - 1, 1), "padding after an array is not zero"),
        ("5.3.4", _at(data, len(data) - 128, 7), "a byte of a constant is another"),
        ("5.3.4", _at(data, 15, 0x7F), "a header length of more than the file"),
        ("5.3.4", data[:40], "the file ends in the checksum"),
        ("5.3.4", b"", "an empty file"),
        ("5.3.4", _join(text.replace(b'"format":1', b'"format":1,"format":1'), arrays),
         "a header field appears twice"),
        ("5.3.4", _join(b"[" * 400, arrays), "a header that is no JSON"),
        ("5.1.3", _with_constant(data, bytes([1, 2])), "a constant holds 2, its type is ternary"),
        ("5.1.3", _with_constant(data, bytes([1, 0])), "a sign of 0 in a file is no program"),
    ]  # fmt: skip
    assert header["constants"][0]["name"] == "sign"
    rows += [(clauses, _edited(data, edit), why) for clauses, edit, why in _header_edits()]
    rows += _other_texts(text, arrays)
    return [
        function_case(f"files.refused.{i:04d}", " ".join({clauses: 0, "5.3.4": 0}), "load", {},
                      {"file": ("uint8", np.frombuffer(raw, np.uint8)),
                                   "x": ("int[-5,5]", [[0, 0]])},
                      "FILE", f"A program file that must be refused: {why}.", error="file")
        for i, (clauses, raw, why) in enumerate(rows, start=1)
    ]  # fmt: skip


def _whole() -> list[Case]:
    programs: tuple[Program, ...] = (
        nets.double(), nets.identity(), nets.step(), nets.residual(), nets.factorized())
    cases = []
    for i, program in enumerate(programs, start=1):
        held = program.input_type
        draw = Stream(f"file images of {program.name}")
        x = draw.integers(held.type.lo, held.type.hi, (2, *held.shape))
        raw = np.frombuffer(to_bytes(program), np.uint8)
        cases += [
            program_case(f"files.save.{i:04d}", "5.3.1 5.3.2 5.3.3", program, None, "FILE",
                         f"The file of {program.name}, to the byte.", op="save"),
            function_case(f"files.load.{i:04d}", "5.3.1 5.3.2 5.3.3 5.2.1", "load", {},
                          {"file": ("uint8", raw), "x": (held.type.name, x)}, "FILE",
                          f"Read {program.name} from its file and run it on two inputs."),
        ]
    return cases


CASES: tuple[Case, ...] = (*_whole(), *_refused())
