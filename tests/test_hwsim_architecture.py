"""Architectures: presets, TOML, and what is refused."""

from dataclasses import replace

import pytest
from hwsim_cases import TOML

import hwsim
from hwsim import pe, presets
from hwsim.architecture import Architecture, Dram, Memory, from_dict


def read(tmp_path, text: str) -> Architecture:
    path = tmp_path / "a.toml"
    path.write_text(text, encoding="utf-8")
    return Architecture.from_toml(path)


def test_toml_is_read(tmp_path):
    a = read(tmp_path, TOML)
    assert (a.rows, a.columns, a.depth, a.flow.name) == (4, 6, 1, "ws")
    assert a.weights == Memory(bytes=2048, word_bits=48, bandwidth_bits_per_cycle=48)
    # Half of 4096 bytes over six columns of 32-bit sums.
    assert a.described == "weight-stationary"
    assert a.array.pass_rows == 4096 * 8 // 2 // (6 * 32)


def test_toml_with_every_option(tmp_path):
    text = TOML.replace("rows = 4", 'rows = 4\nload = "hidden"\nfolds = "overlapped"\n'
                        'edges = "cut"\ngrouping = "packed"')
    maps = "[maps]\nbytes = 640\nword_bits = 64\nbandwidth_bits_per_cycle = 64\nbanks = 5\n"
    a = read(tmp_path, text.replace("[dram]", maps + "[dram]"))
    assert a.described == (
        "weight-stationary, load hidden, folds overlapped, edges cut, grouping packed")
    assert a.array.folds == "overlapped"
    assert (a.maps.arrays, a.maps.array_bytes, a.maps.half_bits) == (5, 128, 2560)
    assert from_dict(a.as_dict()) == a


@pytest.mark.parametrize("preset", presets.PRESETS, ids=lambda p: p.name)
def test_presets_round_trip_and_have_sources(preset):
    assert from_dict(preset.as_dict()) == preset
    assert presets.find(preset.name) is preset
    assert "assumed" in preset.source or "defined by this project" in preset.source


def test_presets_as_attributes():
    assert hwsim.presets.TPU_V1.rows == 256
    named = [value for value in vars(presets).values() if isinstance(value, Architecture)]
    assert tuple(named) == presets.PRESETS
    assert len({preset.name for preset in presets.PRESETS}) == len(presets.PRESETS)


def test_bandwidths_of_presets_feed_their_arrays():
    """No preset waits for its own SRAMs: a port carries at least what the array takes a clock."""
    for a in presets.PRESETS:
        lanes = a.depth if a.flow.style == "popcount" else 8
        left, top = (a.columns, a.rows) if a.dataflow == "is" else (a.rows, a.columns)
        assert a.input.bandwidth_bits_per_cycle >= left * lanes
        assert a.weights.bandwidth_bits_per_cycle >= top * lanes
        assert a.output.bandwidth_bits_per_cycle >= a.columns * 32


BROKEN = [
    ("rows = 4", "rows = 0", "rows=0, rule an integer >= 1"),
    ("rows = 4", "rows = 4.0", "rows=4.0, rule an integer >= 1"),
    ("rows = 4", "rows = true", "rows=True, rule an integer >= 1"),
    ("rows = 4", "rows = 4\nbanks = 2", "unknown field 'banks'"),
    ("rows = 4", "rows = " + "[" * 100_000, "recursion"),
    ("rows = 4\n", "", "field 'rows' is missing"),
    ("rows = 4", "rows = ", "Invalid value"),
    ('pe = "int8"', 'pe = "int7"', "PE kind 'int7': exist int8"),
    ('dataflow = "ws"', 'dataflow = "rs"', "'rs', exist os, ws, is, bitserial, lanes; row"),
    ('dataflow = "ws"', 'dataflow = "os"\nload = "hidden"', "load='hidden', rule 'exposed'"),
    ('dataflow = "ws"', 'dataflow = "ws"\ndrain = "bus"', "drain='bus', rule 'columns' on 'ws'"),
    ("rows = 4", 'rows = 4\nfolds = "back"', "folds='back', rule 'drained' or 'overlapped'"),
    ("rows = 4", "rows = 4\nedges = 3", "edges=3, rule 'full' or 'cut'"),
    ("rows = 4", "rows = 4\nmaps = 3", "[maps] maps: 3, rule a table"),
    ("word_bits = 48", "word_bits = 48\nbanks = 0", "[weights] Memory: banks=0, rule an integer"),
    ("word_bits = 48", "word_bits = 24\nbanks = 1", "a word a bank: 1 banks of 24-bit words"),
    ("word_bits = 48", "word_bits = 48\nbanks = 3", "bytes=2048, rule a multiple of banks=3"),
    ("[dram]", "[maps]\nbytes = 64\nword_bits = 8\nbandwidth_bits_per_cycle = 8\n[dram]",
     "maps bandwidth_bits_per_cycle=8, rule at least that of input and DRAM: 64"),
    ('dataflow = "ws"', 'dataflow = "bitserial"', "needs popcount PEs, 'int8' is mac"),
    ('dataflow = "ws"', 'dataflow = "ws"\ndepth = 4', "depth=4, rule 1 on 'ws'"),
    ('technology = "45nm-0.9V"', 'technology = "7nm"', "technology '7nm': exist 45nm-0.9V"),
    ('source = "a test"', 'source = ""', "source='', rule one line of text"),
    ('kind = "LPDDR4"', 'kind = "DDR9"', "[dram] DRAM kind 'DDR9': exist LPDDR4"),
    ("bytes = 1024", "bytes = -1", "[input] Memory: bytes=-1"),
    ("bytes = 1024", "bytes = 7", "half of input holds 28 bits, rule at least 32"),
    ("bytes = 4096", "bytes = 47", "half of output holds 188 bits, rule at least 192"),
    ("word_bits = 48", "", "[weights] weights: field 'word_bits' is missing"),
    ("word_bits = 48", "word_bits = 48\nports = 1", "[weights] weights: unknown field 'ports'"),
    ("[dram]", "[ram]", "unknown field 'ram'"),
]


@pytest.mark.parametrize(("old", "new", "seen"), BROKEN)
def test_broken_toml_is_named(tmp_path, old, new, seen):
    assert old in TOML
    with pytest.raises(ValueError, match=r"a\.toml: ") as caught:
        read(tmp_path, TOML.replace(old, new))
    assert seen in str(caught.value)
    assert "\n" not in str(caught.value)


def test_broken_tables(tmp_path):
    with pytest.raises(ValueError, match=r"\[input\] input: 3, rule a table"):
        from_dict({"input": 3})
    (tmp_path / "a.toml").write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"a\.toml: "):
        Architecture.from_toml(tmp_path / "a.toml")
    with pytest.raises(ValueError, match="input=3, rule Memory"):
        replace(presets.TPU_V1, input=3)
    with pytest.raises(ValueError, match="dram=3, rule Dram"):
        replace(presets.TPU_V1, dram=3)
    with pytest.raises(ValueError, match="architecture 'x': exist tpu-v1-like"):
        presets.find("x")
    with pytest.raises(ValueError, match="Dram: bandwidth_bits_per_cycle=0"):
        Dram(kind="HBM2", bandwidth_bits_per_cycle=0)


def test_pe_kinds():
    assert len({kind.name for kind in pe.KINDS}) == len(pe.KINDS)
    int8, popcount = pe.kind("int8"), pe.kind("popcount")
    assert [int8.storage_bits(n) for n in (1, 8, 9, 17, 33, 65)] == [8, 8, 16, 32, 64, 65]
    assert [popcount.storage_bits(n) for n in (1, 3, 20)] == [1, 3, 20]
    assert int8.refusal(8, 8, False, 32) == ""
    assert "9-bit inputs" in int8.refusal(9, 8, False, None)
    assert "9-bit weights" in int8.refusal(8, 9, False, None)
    assert "33-bit accumulators" in int8.refusal(8, 8, False, 33)
    ternary = pe.kind("ternary2")
    assert "ternary" in ternary.refusal(2, 2, False, None)
    assert ternary.refusal(2, 2, True, 16) == ""
    with pytest.raises(ValueError, match="style='fpu', rule 'mac' or 'popcount'"):
        replace(int8, style="fpu")
