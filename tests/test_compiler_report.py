"""The report of a compilation, from a result made by hand: nothing is trained here."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from compilations import LONG, log, row, tiny_method, tiny_program, tiny_result, view

from refnet.compiler import figures, hardware, tables
from refnet.compiler.markup import table
from refnet.compiler.report import render, write_report
from refnet.compiler.result import Agreement
from refnet.methods import CompressionReport
from refnet.quant import HalfWave

HOSTILE = "<script>alert('x')</script>&\"$\\frac{a}$\x00\ud800"
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


def test_a_table_refuses_a_row_of_another_length() -> None:
    with pytest.raises(ValueError, match="zip"):
        table(("a", "b#"), [["1"]])
