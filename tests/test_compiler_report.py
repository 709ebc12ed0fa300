"""The report of a compilation, from a result made by hand: nothing is trained here."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
from hwsim import presets
from refnet.compiler import figures, hardware, plot, tables
from refnet.compiler.markup import table
from refnet.compiler.report import render, write_report
from refnet.compiler.result import ActivationView, Agreement, CompileResult, MethodResult
from refnet.compiler.svg import inline
from refnet.methods import CompressionReport
from refnet.methods.base import LayerReport
from refnet.nn import TrainingLog
from refnet.program import (
    SINT8,
    TERNARY,
    UINT8,
    Constant,
    Conv,
    IntType,
    Node,
    Program,
    Reshape,
    TensorType,
    Threshold,
    constant,
)
from refnet.quant import HalfWave, Quantizer, Uniform

HOSTILE = "<script>alert('x')</script>&\"$\\frac{a}$\x00\ud800"
LONG = "a" * 60 + "_the_end_of_a_long_name"
VOID = {"meta", "br"}


class Reader(HTMLParser):
    """Checks that tags nest, and gathers attributes, text and tables."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words = ""
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in {"td", "th", "dt", "dd", "p"}:
            self.words += " "

    def handle_data(self, data: str) -> None:
        self.words += data


def tiny_program(first: str = "c1", dead: bool = False) -> Program:
    w1 = np.arange(-9, 9).reshape(2, 1, 3, 3)
    w2 = np.array([[1, -1], [0, 1], [-1, 0]]).reshape(3, 2, 1, 1)
    if dead:
        w2[1] = 0
    return Program(
        name="tiny", input="x", input_type=TensorType(type=UINT8, shape=(1, 4, 4)),
        nodes=(
            Node(name=first, op=Conv(padding=1), inputs=("x", "w1")),
            Node(name="q1", op=Threshold(), inputs=(first, "t", "sign")),
            Node(name="c2", op=Conv(stride=4), inputs=("q1", "w2")),
            Node(name="y", op=Reshape(shape=(3,)), inputs=("c2",)),
        ),
        constants={
            "w1": Constant(type=SINT8, array=w1), "w2": Constant(type=TERNARY, array=w2),
            "t": constant(np.array([[1, 50, 900], [0, 10, 20]])),
            "sign": constant(np.array([1, -1])),
        },
        output="y",
    )


def row(name: str, dead: tuple[int, ...] = ()) -> LayerReport:
    return LayerReport(
        name=name, kind="Conv2d", method="twostep", weights=18, weight_bits=36, macs=288,
        zeros=0.25, response_error=0.0123, dead_filters=dead,
    )


def log(*accuracy: float) -> TrainingLog:
    losses = tuple(1.0 / (i + 1) for i in range(len(accuracy)))
    return TrainingLog(
        losses=losses, train_accuracy=accuracy, test_accuracy=accuracy, seconds=losses
    )


def view(quantizer: Quantizer, layer: str = "2") -> ActivationView:
    x = np.random.default_rng(1).normal(size=400)
    counts, edges = np.histogram(x, bins=20)
    codes = np.bincount(quantizer.codes(x), minlength=quantizer.type.hi + 1)
    return ActivationView(
        layer=layer, quantizer=quantizer, edges=edges, counts=counts, code_counts=codes
    )


def tiny_method(name: str = "twostep", *, program: Program | None = None) -> MethodResult:
    program = program or tiny_program()
    workload = hwsim.from_program(program)
    return MethodResult(
        name=name, program=program,
        compression=CompressionReport(method=name, layers=(row("0"), row("3"))),
        agreement=Agreement(images=200, correct=178, network_vs_program=0, program_vs_kernels=0),
        stages=(("float", 0.91), ("compressed", 0.885)),
        logs=(("codes", log(0.88, 0.89)), ("tune", log(0.89))),
        activations=(view(HalfWave(bits=2)),),
        hardware=tuple(
            hwsim.simulate(workload, a) for a in (presets.EDGE_16X16_OS, presets.BISMO_8X256X8)
        ),
    )


def tiny_result(*methods: MethodResult) -> CompileResult:
    return CompileResult(
        data="digits", data_source="made by hand", image_shape=(1, 4, 4), train_images=1000,
        test_images=200, seed=7, float_accuracy=0.91, float_weights=24,
        float_log=log(0.2, 0.9, 0.91), methods=methods or (tiny_method(),),
        versions={"python": "3.11", "numpy": "2.0"}, seconds=12.34,
    )


@pytest.fixture(scope="module")
def page() -> str:
    return render(tiny_result())


def words(page: str) -> str:
    return " ".join(Reader(page).words.split())


def test_the_files_are_written_whole_and_the_numbers_have_their_names(tmp_path: Path) -> None:
    result = tiny_result()
    write_report(result, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "report.json"]
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render(result)
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    held = json.loads(text)
    assert text == json.dumps(held, indent=2, sort_keys=True) + "\n"
    assert {"data", "test_images", "float_accuracy", "methods"} <= held.keys()
    method = held["methods"]["twostep"]
    assert method["program_accuracy"] == 0.89
    assert method["network_vs_program_differing_codes"] == 0
    assert method["program_vs_kernels_differing_codes"] == 0
    assert method["weight_bits"] == 18 * 8 + 6 * 2
    assert method["macs"] == 16 * 18 + 6
    assert set(method["hardware"]) == {"edge-16x16-os", "bismo-8x256x8"}
    for report in result.methods[0].hardware:
        found = method["hardware"][report.architecture.name]
        assert (found["cycles"], found["energy_pj"]) == (report.total_cycles, report.energy_pj)


def test_nothing_is_left_behind_where_writing_fails(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()
    with pytest.raises(OSError, match=r"report\.json"):
        write_report(tiny_result(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_the_page_is_whole_and_fetches_nothing(page: str) -> None:
    assert page.startswith("<!DOCTYPE html>")
    read = Reader(page)
    assert "script" not in read.seen
    assert "link" not in read.seen
    for name, value in read.attributes:
        if name in {"src", "href", "xlink:href"}:
            assert value.startswith("#")
    assert not re.search(r"url\((?!#)|@import", page)
    links = re.findall(r'(?:url\(#|href="#)([^")]+)', page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert links
    assert len(set(ids)) == len(ids)
    assert set(links) <= set(ids)


def test_the_head_has_the_numbers(page: str) -> None:
    found = words(page)
    assert "91.00% of 200 test images" in found
    assert "reaches 89.00% (−2.00 points against float)" in found
    assert f"{24 * 32 / 156:.1f} times fewer bits" in found
    assert "0 codes differ" in found
    assert "network = program = kernels on all 200 images" in found


def test_every_layer_architecture_and_technology_is_named(page: str) -> None:
    result = tiny_result()
    found = words(page)
    for name in ("c1", "q1", "c2", "0", "3", "report.json", "golden", "program.refnet"):
        assert name in found
    for report in result.methods[0].hardware:
        a = report.architecture
        for held in (a.name, a.technology, a.dram.kind, f"{report.total_cycles:,}", a.source):
            assert held in found
        for price in report.prices:
            assert price.source in found
            assert f"{price.name}: {price.pj:.4g} pJ" in found
    assert "refnet compile --data digits --method twostep --seed 7 --out DIR" in found


def test_accumulators_are_those_the_program_proves() -> None:
    program = tiny_program()
    found = words(tables.accumulators(program))
    for name in ("c1", "c2"):
        proved = program.types[name].type
        assert f"{proved.lo:,}".replace("-", "−") in found
        assert f"{proved.hi:,} {proved.bits} {proved.dtype.name}" in found
    assert "q1" not in found


def test_differing_codes_are_shouted() -> None:
    wrong = replace(tiny_method(), agreement=Agreement(
        images=200, correct=178, network_vs_program=0, program_vs_kernels=3))
    page = render(tiny_result(wrong))
    assert '<span class="bad">3 codes differ</span>' in page
    assert "they differ" in page
    assert "network = program = kernels" not in page


def test_the_same_result_gives_the_same_page(page: str) -> None:
    later = replace(tiny_result(), seconds=99.0)
    assert render(later).replace("99.0 s", "12.3 s") == page


def test_hostile_names_are_only_text() -> None:
    method = replace(
        tiny_method(HOSTILE, program=tiny_program(LONG)),
        compression=CompressionReport(method=HOSTILE, layers=(row(HOSTILE, (0,)), row("3"))),
        stages=((HOSTILE, 0.5),), logs=((HOSTILE, log(0.5)),),
        activations=(view(HalfWave(bits=2), HOSTILE),),
    )
    result = replace(
        tiny_result(method, tiny_method()), data=HOSTILE, data_source=HOSTILE,
        versions={HOSTILE: HOSTILE},
    )
    page = render(result)
    read = Reader(page)
    assert "script" not in read.seen
    assert "alert('x')" in read.words
    assert LONG in read.words
    assert "\x00" not in page
    page.encode("utf-8")
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ET.fromstring(svg)


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


def test_two_methods_are_compared() -> None:
    result = tiny_result(tiny_method(), tiny_method("factorized"))
    found = words(render(result))
    assert "Accuracy against weight bits" in found
    assert "Method factorized" in found
    assert "--method twostep,factorized" in found
    assert figures.trade(tiny_result()) is None
    pictures = hardware.pictures(result)
    assert [p.title for p in pictures] == [
        "Time and energy of one image", "Layers on edge-16x16-os", "Layers on bismo-8x256x8"
    ]
    titles = [[panel.title for panel in line] for line in pictures[1].rows]
    assert titles == [
        ["twostep: cycles", "factorized: cycles"], ["twostep: energy", "factorized: energy"]
    ]


def test_a_job_without_training_or_methods() -> None:
    still = replace(tiny_method(), logs=(("tune", log()),), activations=(), hardware=())
    page = words(render(replace(tiny_result(still), float_log=log())))
    assert "Nothing was trained" in page
    assert "refnet compile NET.npz" in page
    assert "activation quantizers" not in page
    assert "Hardware" not in page
    bare = words(render(replace(tiny_result(), methods=())))
    assert "91.00% of 200 test images" in bare
    assert figures.quantizers(still) is None


def test_dead_filters_are_named_before_and_after_tuning(page: str) -> None:
    assert "Warning" not in words(page)
    method = replace(
        tiny_method(program=tiny_program(dead=True)),
        compression=CompressionReport(method="m", layers=(row("0"), row("3", (0, 1)))),
    )
    found = words(render(tiny_result(method)))
    assert "After compression: layer 3: filters 0, 1. In the program: c2: filter 1." in found


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


def test_a_table_refuses_a_row_of_another_length() -> None:
    with pytest.raises(ValueError, match="zip"):
        table(("a", "b#"), [["1"]])
