"""Prices: sources, technologies, interpolation, and the one dot product."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim import energy, presets
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
    ternary = TABLE.logic("pe ternary2")
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
    int8_24 = TABLE.logic("pe int8").pj / (1862 / 1557)
    assert TABLE.logic("pe ternary2").pj / int8_24 == pytest.approx(0.29, abs=0.01)
    assert TABLE.logic("pe ternary8").pj / int8_24 == pytest.approx(0.51, abs=0.01)
    assert TABLE.logic("pe popcount").pj * 64 / int8_24 == pytest.approx(0.74, abs=0.01)


def test_all_prices_of_a_machine_have_one_technology():
    for preset in presets.PRESETS:
        for tariff in tariffs(preset):
            on_chip = (tariff.price.node_nm, tariff.price.voltage_v) == (45, 0.9)
            assert on_chip != tariff.price.off_chip


@pytest.mark.parametrize(("kb", "read", "write"), energy.SRAM_64_PJ)
def test_sram_gives_the_cacti_points_back(kb, read, write):
    assert energy.sram_pj(kb * 1024, 64) == pytest.approx(read)
    assert energy.sram_pj(kb * 1024, 64, write=True) == pytest.approx(write)


@pytest.mark.parametrize(("kb", "narrow", "wide"), energy.SRAM_8_128_PJ)
def test_sram_gives_the_points_of_other_words_back(kb, narrow, wide):
    assert energy.sram_pj(kb * 1024, 8) == pytest.approx(narrow)
    assert energy.sram_pj(kb * 1024, 128) == pytest.approx(wide)


@given(size=st.integers(1, 64 * 2**20), word=st.integers(1, 4096))
def test_sram_prices_grow_with_size_and_word(size, word):
    pj = energy.sram_pj(size, word)
    assert 0 < pj < math.inf
    assert energy.sram_pj(size * 2, word) >= pj * (1 - 1e-12)
    if word <= 127:
        assert energy.sram_pj(size, word + 1) >= pj * (1 - 1e-12)


def test_sram_outside_the_points():
    assert energy.sram_pj(100, 64) == energy.sram_pj(1024, 64)
    assert energy.sram_pj(24 * 2**20, 64) == energy.sram_pj(2**20, 64)
    assert energy.sram_pj(64 * 1024, 4) == energy.sram_pj(64 * 1024, 8)
    assert energy.sram_pj(64 * 1024, 256) == pytest.approx(2 * energy.sram_pj(32 * 1024, 128))


def test_narrow_words_cost_more_a_bit():
    for kb in (8, 64, 256):
        ratio = energy.sram_pj(kb * 1024, 8) / 8 / (energy.sram_pj(kb * 1024, 64) / 64)
        assert 2.5 < ratio < 7


def test_sram_against_horowitz():
    """10, 20, 100 pJ for 64 bits in 8 kB, 32 kB, 1 MB: CACTI gives 6.0, 17.0, 77.2."""
    for kb, published in ((8, 10), (32, 20), (1024, 100)):
        assert 0.6 <= energy.sram_pj(kb * 1024, 64) / published <= 1.0


def test_the_bill_is_a_dot_product():
    unit = Price(name="u", unit="op", pj=0.5, node_nm=45, voltage_v=0.9, source="s")
    lines = (
        Tariff(component="pe", count="macs", price=unit),
        Tariff(component="sram", count="input_sram_read_bits", per=8, price=unit),
        Tariff(component="sram", count="additions", times=3, price=replace(unit, pj=2.0)),
    )
    counts = Counts(macs=10, input_sram_read_bits=17, additions=1)
    assert energy.bill(lines, counts) == {"pe": 5.0, "sram": 1.5 + 6.0}


def test_every_count_but_macs_is_priced():
    """``macs`` are priced as operations of the PE; nothing that is counted goes unpaid."""
    for preset in presets.PRESETS:
        priced = {tariff.count for tariff in tariffs(preset)}
        assert priced == set(Counts().as_dict()) - {"macs"}


@pytest.mark.parametrize(
    ("ask", "seen"),
    [
        (lambda: energy.table("3nm"), "technology '3nm': exist 45nm-0.9V"),
        (lambda: energy.dram_price("DDR9"), "DRAM kind 'DDR9': exist LPDDR4"),
        (lambda: TABLE.logic("pe fp32"), "price 'pe fp32': exist pe int8"),
    ],
)
def test_unknown_names_list_what_exists(ask, seen):
    with pytest.raises(ValueError, match="exist") as caught:
        ask()
    assert seen in str(caught.value)
