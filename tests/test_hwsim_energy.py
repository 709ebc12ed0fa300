"""Prices: sources, technologies, interpolation, and the one dot product."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim import energy, presets, sram, technology
from hwsim.area import areas
from hwsim.counts import Counts
from hwsim.energy import Price, Tariff
from hwsim.simulator import tariffs

TABLE = energy.table("45nm-0.9V")


def test_a_price_on_chip_without_a_node_is_refused():
    with pytest.raises(ValueError, match="Price 'p': no node"):
        Price(name="p", unit="op", pj=1.0, node_nm=None, voltage_v=1.0, source="s")


@pytest.mark.parametrize("pj", [0.0, -1.0, math.nan, math.inf])
def test_a_price_is_a_positive_number(pj):
    with pytest.raises(ValueError, match="Price 'p': pj="):
        Price(name="p", unit="op", pj=pj, node_nm=45, voltage_v=1.0, source="s")


def test_every_price_names_source_unit_and_technology():
    for price in (*energy.LOGIC, *energy.DRAM):
        assert price.source
        assert price.unit
        assert price.off_chip == (price.node_nm is None)
    names = [price.name for price in (*energy.LOGIC, *energy.DRAM)]
    assert len(set(names)) == len(names)


def test_moving_a_price_says_how():
    ternary = TABLE.pe("ternary2")
    assert ternary.pj == pytest.approx(0.458 * (0.9 / 1.1) ** 2)
    assert ternary.scaling == "x (0.9/1.1)^2 for the supply"
    assert (ternary.node_nm, ternary.voltage_v) == (45, 0.9)
    register = TABLE.logic("register")
    assert register.pj == pytest.approx(0.009 * 45 / 40)
    assert register.scaling.startswith("x 45/40 for the node, supply not stated")
    adder = TABLE.logic("addition")
    assert (adder.pj, adder.scaling) == (0.1, "as published")
    dram = energy.dram_price("LPDDR4")
    assert dram.moved(7, 0.5) is dram


def test_relations_of_the_synthesised_units():
    """Research table: int8 with a 32-bit sum 1.20 of one with 24; ternary x 2 bit 0.29 of that."""
    int8_24 = TABLE.pe("int8").pj / (1862 / 1557)
    assert TABLE.pe("ternary2").pj / int8_24 == pytest.approx(0.29, abs=0.01)
    assert TABLE.pe("ternary8").pj / int8_24 == pytest.approx(0.51, abs=0.01)
    assert TABLE.pe("popcount", 64).pj / int8_24 == pytest.approx(0.74, abs=0.01)


@pytest.mark.parametrize("technology", [table.name for table in energy.TABLES])
def test_all_prices_of_a_machine_have_one_technology(technology):
    table = energy.table(technology)
    for preset in presets.PRESETS:
        for tariff in tariffs(replace(preset, technology=technology)):
            own = (tariff.price.node_nm, tariff.price.voltage_v)
            assert (own == (table.node_nm, table.voltage_v)) != tariff.price.off_chip
            assert math.isfinite(tariff.price.pj)
        for part in areas(replace(preset, technology=technology)):
            assert part.node_nm == table.node_nm
            assert part.source
            assert part.mm2 > 0


def test_stillmaker_and_baas():
    """Hand-made: 45 nm at 1.1 V is 1.21308 by the polynomial, 65 nm at 1.0 V is 1.332."""
    factor, rule = technology.energy_factor(45, 1.1, 65, 1.0)
    at_45 = 1.103 * 1.21 - 0.362 * 1.1 + 0.2767
    assert factor == pytest.approx((3.755 - 4.398 + 1.975) / at_45)
    assert "from 45 nm at 1.1 V to 65 nm at 1 V" in rule
    assert "Stillmaker" in rule
    assert technology.energy_factor(45, 1.0, 45, 1.0) == (1.0, "")
    assert technology.area_factor(45, 65)[0] == 1.5
    assert technology.area_factor(65, 32)[0] == pytest.approx(0.46 / 1.5)  # printed as 0.31
    assert technology.area_factor(16, 7)[0] == pytest.approx(0.31, abs=0.005)
    near, rule = technology.energy_factor(40, None, 65, 1.0)
    assert near == pytest.approx(45 / 40 * 1.332 / (1.103 - 0.362 + 0.2767))
    assert rule.startswith("x 45/40 for the node, supply not stated")
    for ask in (lambda: technology.energy_factor(45, 1.0, 28, 0.9),
                lambda: technology.area_factor(28, 45)):
        with pytest.raises(ValueError, match=r"28 nm.*rule .*of 130, 90, 65, 45"):
            ask()


@pytest.mark.parametrize(("kb", "mw", "mm2"), [(row[0], *row[3:]) for row in sram.HP_64])
def test_leakage_and_area_give_the_points_back(kb, mw, mm2):
    assert sram.leakage_mw(kb * 1024) == pytest.approx(mw)
    assert sram.area_mm2(kb * 1024) == pytest.approx(mm2)


@given(size=st.integers(1, 64 * 2**20))
def test_leakage_and_area_grow_with_size(size):
    for value in (sram.leakage_mw, sram.area_mm2):
        assert 0 < value(size) < value(size + 1) * (1 + 1e-12)
        assert value(2 * 1024 * 1024) == pytest.approx(2 * value(1024 * 1024))


@pytest.mark.parametrize("process", sram.PROCESSES, ids=lambda p: p.name)
def test_every_process_gives_its_points_back(process):
    for kb, pj in process.read_64_pj:
        assert sram.access_pj(kb * 1024, 64, of=process) == pytest.approx(pj)
    assert sram.process(process.name) is process


def test_leakage_and_idle_clocks_by_hand():
    """64 KiB at 45 nm leak 35.7 mW at 1.0 V: 32.13 pJ in a ns at 0.9 V. Low-power: 1.17 fJ."""
    price = TABLE.sram_leakage("s", 64 * 1024, 10**9)
    assert (price.pj, price.scaling) == (pytest.approx(35.7 * 0.9), "x 0.9/1 for the supply")
    low = energy.table("45nm-lstp-0.9V").sram_leakage("s", 64 * 1024, 10**9)
    assert low.pj == pytest.approx(0.0013 * 0.9)
    assert energy.table("65nm-1.0V").sram_leakage("s", 1024, 10**9).pj == pytest.approx(0.58 * 1.5)
    assert TABLE.logic_leakage("pe", 688.0, 10**8).pj == pytest.approx(0.23)
    assert TABLE.idle("ternary2").pj == pytest.approx(0.137 * (0.9 / 1.1) ** 2)
    assert "assumed" in TABLE.idle("int8").source
    assert "assumed" not in TABLE.idle("ternary2").source


def test_banks_are_priced_each_by_their_share():
    one = presets.EDGE_16X16_OS
    four = replace(one, input=replace(one.input, banks=4))
    by_name = [{t.price.name: t for t in tariffs(a)} for a in (one, four)]
    cheap = by_name[1]["input_sram read"]
    assert cheap.price.pj < by_name[0]["input_sram read"].price.pj
    assert cheap.price.pj == TABLE.sram("input_sram", 16 * 1024, 128, write=False).pj
    leak = by_name[1]["input_sram leakage"]
    assert leak.times == 4
    parts = {part.component: part.mm2 for part in areas(four)}
    assert parts["input_sram"] == pytest.approx(4 * sram.area_mm2(16 * 1024))
    assert parts["pe"] == pytest.approx(256 * 1271.5e-6)


@pytest.mark.parametrize(("kb", "read", "write"), [row[:3] for row in sram.HP_64])
def test_sram_gives_the_cacti_points_back(kb, read, write):
    assert sram.access_pj(kb * 1024, 64) == pytest.approx(read)
    assert sram.access_pj(kb * 1024, 64, write=True) == pytest.approx(write)


@pytest.mark.parametrize(("kb", "narrow", "wide"), sram.HP_8_128)
def test_sram_gives_the_points_of_other_words_back(kb, narrow, wide):
    assert sram.access_pj(kb * 1024, 8) == pytest.approx(narrow)
    assert sram.access_pj(kb * 1024, 128) == pytest.approx(wide)


@given(size=st.integers(1, 64 * 2**20), word=st.integers(1, 4096))
def test_sram_prices_grow_with_size_and_word(size, word):
    pj = sram.access_pj(size, word)
    assert 0 < pj < math.inf
    assert sram.access_pj(size * 2, word) >= pj * (1 - 1e-12)
    if word <= 127:
        assert sram.access_pj(size, word + 1) >= pj * (1 - 1e-12)


def test_sram_outside_the_points():
    assert sram.access_pj(100, 64) == sram.access_pj(1024, 64)
    assert sram.access_pj(24 * 2**20, 64) == sram.access_pj(2**20, 64)
    assert sram.access_pj(64 * 1024, 4) == sram.access_pj(64 * 1024, 8)
    assert sram.access_pj(64 * 1024, 256) == pytest.approx(2 * sram.access_pj(32 * 1024, 128))


def test_narrow_words_cost_more_a_bit():
    for kb in (8, 64, 256):
        ratio = sram.access_pj(kb * 1024, 8) / 8 / (sram.access_pj(kb * 1024, 64) / 64)
        assert 2.5 < ratio < 7


def test_sram_against_horowitz():
    """10, 20, 100 pJ for 64 bits in 8 kB, 32 kB, 1 MB: CACTI gives 6.0, 17.0, 77.2."""
    for kb, published in ((8, 10), (32, 20), (1024, 100)):
        assert 0.6 <= sram.access_pj(kb * 1024, 64) / published <= 1.0


def test_the_bill_is_a_dot_product():
    unit = Price(name="u", unit="op", pj=0.5, node_nm=45, voltage_v=0.9, source="s")
    lines = (
        Tariff(component="pe", count="macs", price=unit),
        Tariff(component="sram", count="input_sram_read_bits", per=8, price=unit),
        Tariff(component="sram", count="additions", times=3, price=replace(unit, pj=2.0)),
    )
    counts = Counts(macs=10, input_sram_read_bits=17, additions=1)
    assert energy.bill(lines, counts, 7) == {"pe": 5.0, "sram": 1.5 + 6.0}


def test_every_count_but_macs_is_priced():
    """``macs`` are priced as operations of the PE; nothing that is counted goes unpaid."""
    for preset in presets.PRESETS:
        priced = {tariff.count for tariff in tariffs(preset)} - {"cycles"}
        maps = {"map_sram_read_bits", "map_sram_write_bits"}
        held = Counts().as_dict().keys() - {"macs", "skipped_macs"}
        assert priced == (held if preset.maps is not None else held - maps)


@pytest.mark.parametrize(
    ("ask", "seen"),
    [
        (lambda: energy.table("3nm"), "technology '3nm': exist 45nm-0.9V"),
        (lambda: energy.dram_price("DDR9"), "DRAM kind 'DDR9': exist LPDDR4"),
        (lambda: TABLE.pe("fp32"), "PE kind 'fp32': area and energy exist of int8"),
        (lambda: sram.process("7 nm"), "SRAM process '7 nm': exist 45 nm itrs-hp"),
    ],
)
def test_unknown_names_list_what_exists(ask, seen):
    with pytest.raises(ValueError, match="exist") as caught:
        ask()
    assert seen in str(caught.value)
