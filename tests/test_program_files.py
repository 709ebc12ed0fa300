"""Program files: one file a program, and nothing else is read ([5.3] of the specification)."""

import hashlib
import io
import os
from pathlib import Path

import oracle_codes
import pytest
from hypothesis import given
from programs import refused, small

from refnet.laws.arrays import rngs
from refnet.laws.programs import inputs_of, programs
from refnet.program import (
    Program,
    ProgramError,
    is_program,
    load,
    run,
    save,
)
from refnet.program.files import from_bytes, to_bytes

DATA = to_bytes(small())


# --- writing and reading ------------------------------------------------------------------------


@given(programs, rngs)
def test_a_program_has_one_file_and_comes_back(p, rng):
    data = to_bytes(p)
    assert data == oracle_codes.file_bytes(p)
    back = from_bytes(data)
    assert back == p
    assert (back.types, to_bytes(back)) == (p.types, data)
    x = inputs_of(rng, p, 2)
    assert run(back, x).tobytes() == run(p, x).tobytes()


def test_the_order_in_which_constants_are_given_does_not_matter():
    p = small()
    turned = Program(name=p.name, input=p.input, input_type=p.input_type, nodes=p.nodes,
                     constants=dict(reversed(p.constants.items())), output=p.output)
    assert to_bytes(turned) == DATA


def test_save_and_load(tmp_path):
    for path in (tmp_path / "a.program", str(tmp_path / "b")):
        save(small(), path)
        assert Path(path).read_bytes() == DATA
        assert load(path) == small()
        assert is_program(path)
    assert sorted(os.listdir(tmp_path)) == ["a.program", "b"]


def test_a_loaded_constant_is_read_only_and_native():
    for held in from_bytes(DATA).constants.values():
        assert not held.array.flags.writeable
        assert held.array.dtype.isnative


def test_is_program_looks_at_the_magic_bytes_only(tmp_path):
    path = tmp_path / "f"
    for data, want in ((DATA[:8], True), (DATA[:7], False), (b"", False), (b"x" + DATA, False)):
        path.write_bytes(data)
        assert is_program(path) is want


def test_load_names_the_file(tmp_path):
    path = tmp_path / "broken.program"
    path.write_bytes(b"PK\3\4")
    with pytest.raises(ProgramError, match=r"broken\.program: not a program file"):
        load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent")


class HalfFull(io.FileIO):
    """A file that takes half of what is written and then fails."""

    def write(self, data):
        super().write(data[: len(data) // 2])
        raise OSError("no space left")


def fail(*_arguments, **_keywords):
    raise OSError("no space left")


@pytest.mark.parametrize(("broken", "how"), [("os.replace", fail), ("builtins.open", HalfFull)])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, broken, how):
    path = tmp_path / "p"
    path.write_bytes(b"old")
    monkeypatch.setattr(broken, how)
    with pytest.raises(OSError, match="no space left"):
        save(small(), path)
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["p"]
    save(small(), path)
    assert path.read_bytes() == DATA


def test_an_interruption_while_writing_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(_old, _new):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(small(), tmp_path / "p")
    assert os.listdir(tmp_path) == []


def test_a_place_where_no_file_can_be_is_refused(tmp_path):
    (tmp_path / "directory").mkdir()
    for path in (tmp_path / "directory", tmp_path / "absent" / "p"):
        with pytest.raises(OSError, match=path.name):
            save(small(), path)
    assert os.listdir(tmp_path) == ["directory"]


def test_a_saved_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    save(small(), tmp_path / "p")
    assert (tmp_path / "p").stat().st_mode == (tmp_path / "plain").stat().st_mode


# --- damage -------------------------------------------------------------------------------------


def test_every_changed_byte_is_refused():
    for place in range(len(DATA)):
        for change in (0x01, 0x80, 0xFF):
            data = bytearray(DATA)
            data[place] ^= change
            refused(bytes(data))


def test_every_truncation_and_every_addition_is_refused():
    for size in range(len(DATA)):
        refused(DATA[:size])
    for more in (b"\0", bytes(64), b"x", DATA):
        refused(DATA + more, rf"^{len(DATA + more)} bytes, rule {len(DATA)}$")


def test_a_damaged_header_is_refused_for_its_checksum():
    for place in (16, 47, 48, DATA.index(b'"small"') + 1):
        data = bytearray(DATA)
        data[place] ^= 1
        refused(bytes(data), "header: checksum does not match")


def test_an_array_that_the_file_cuts_off_is_refused_whatever_its_checksum():
    header, arrays = oracle_codes.header_and_arrays(small())
    start = header["constants"][-1]["offset"]
    header["constants"][-1]["sha256"] = hashlib.sha256(arrays[start:start + 3]).hexdigest()
    text = oracle_codes.header_bytes(header)
    data = oracle_codes.framed(text, arrays[:start + 3])
    refused(data, "constant 'w': 4 bytes .* inside the file")


def test_padding_that_is_not_zero_is_refused():
    header_end = 48 + int.from_bytes(DATA[8:16], "little")
    arrays = len(DATA) - len(oracle_codes.header_and_arrays(small())[1])
    assert header_end < arrays
    for place, message in ((header_end, "header: padding"), (arrays - 1, "header: padding"),
                           (arrays + 8, "constant 'b': padding"), (len(DATA) - 1, "constant 'w'")):
        data = bytearray(DATA)
        data[place] = 1
        refused(bytes(data), message)
