"""The pictures of the report: well-formed, and of what they say."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from compilations import LONG, tiny_method, tiny_result, view
from hypothesis import given, settings
from hypothesis import strategies as st

from refnet.compiler import figures, plot
from refnet.compiler.svg import inline
from refnet.program import UINT8, IntType
from refnet.quant import HalfWave, Quantizer, Uniform


@settings(max_examples=25)
@given(name=st.text(min_size=1, max_size=60))
def test_any_name_leaves_a_picture_well_formed(name: str) -> None:
    drawn = plot.bars(
        [plot.Bar(name=name, parts=[1.0], text=name)], parts=[("all", "#0072b2")], label="cycles"
    )
    root = ET.fromstring(inline(drawn, key="k", label=name))
    assert root.tag.endswith("svg")


def test_text_of_a_picture_is_text_in_the_colours_of_the_page() -> None:
    name = 'style="font-family: serif" id="x"'
    drawn = plot.bars(
        [plot.Bar(name=name, parts=[1.0], text="7")], parts=[("all", "#0072b2")], label="cycles"
    )
    svg = inline(drawn, key="k", label="bars")
    texts = ["".join(t.itertext()) for t in ET.fromstring(svg).iter() if t.tag.endswith("text")]
    assert {name, "7", "cycles"} <= set(texts)
    assert "currentColor" in svg
    assert "DejaVu" not in svg
    assert "<style" not in svg
    with pytest.raises(ValueError, match="picture 'k'"):
        inline("<p>", key="k", label="bars")


@pytest.mark.parametrize("quantizer", [
    HalfWave(bits=1), HalfWave(bits=2, theta=0.7), HalfWave(bits=3, scale=2.5),
    Uniform(type=UINT8, scale=1 / 255), Uniform(type=IntType(lo=0, hi=9), scale=1e-3),
])
def test_thresholds_are_where_the_codes_step(quantizer: Quantizer) -> None:
    found = figures.thresholds(quantizer)
    steps = np.arange(1, quantizer.type.hi + 1)
    nudge = 1e-9 * found[-1]
    assert np.array_equal(quantizer.codes(found + nudge), steps)
    assert np.array_equal(quantizer.codes(found - nudge), steps - 1)


def test_a_quantizer_of_many_codes_writes_only_some() -> None:
    wide = view(Uniform(type=UINT8, scale=1 / 100))
    picture = figures.quantizers(replace(tiny_method(), activations=(wide, view(HalfWave()))))
    assert picture is not None
    many, few = picture.rows[0]
    assert many.svg.count("<text") < 30
    assert "51" in re.findall(r">(\d+)</text>", many.svg)
    codes = re.findall(r">(\d): ([\d.]+)%</text>", few.svg)
    assert [code for code, _ in codes] == ["0", "1", "2", "3"]
    assert sum(float(share) for _, share in codes) == pytest.approx(100, abs=0.3)


def test_bars_without_a_length_and_curves_of_one_point() -> None:
    empty = plot.bars(
        [plot.Bar(name="a", parts=[0.0], text="0")], parts=[("all", "#0072b2")], label="bits"
    )
    point = plot.curves(
        [plot.Curve(name="float", start=0, y=[0.5], colour="#0072b2")], label="accuracy"
    )
    for svg in (empty, point):
        assert svg.count("<text") > 2


def test_a_poor_first_epoch_is_written_at_the_edge() -> None:
    line = plot.Curve(name="float", start=0, y=[20.0, 90.0, 91.0], colour="#0072b2")
    assert "▾ 20" in plot.curves([line], label="accuracy", depth=12.0)
    assert "▾" not in plot.curves([line], label="accuracy")


@pytest.mark.parametrize(("value", "unit"), [
    (0, "pJ"), (999, "pJ"), (1000, "nJ"), (5e6, "µJ"), (1e30, "µJ")])
def test_units_fit_the_largest_value(value: float, unit: str) -> None:
    assert figures.unit_of(value, ((1.0, "pJ"), (1e3, "nJ"), (1e6, "µJ")))[1] == unit


def test_long_names_keep_both_ends() -> None:
    assert plot.shorten("a" * 34) == "a" * 34
    short = plot.shorten(LONG)
    assert len(short) == 34
    assert short.startswith("aaa")
    assert short.endswith("long_name")


def test_shares_of_ternary_codes_and_bits_are_those_of_the_program() -> None:
    bits, shares = figures.weights(tiny_method()).rows[0]
    assert ">144</text>" in bits.svg
    assert ">12</text>" in bits.svg
    assert ">33.3% zeros</text>" in shares.svg


def test_methods_that_lie_on_each_other_keep_their_names() -> None:
    picture = figures.trade(tiny_result(tiny_method("one"), tiny_method("two")))
    assert picture is not None
    for name in ("float: 0.8 kbit, 91.00%", "one: 0.2 kbit, 89.00%", "two: 0.2 kbit, 89.00%"):
        assert f">{name}</text>" in picture.rows[0][0].svg


def test_drawing_leaves_the_settings_of_matplotlib_alone_and_ignores_them() -> None:
    line = plot.Curve(name="float", start=0, y=[1.0, 2.0], colour="#0072b2")
    plain = plot.curves([line], label="accuracy")
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path"}):
        assert plot.curves([line], label="accuracy") == plain
        assert matplotlib.rcParams["font.size"] == 30
