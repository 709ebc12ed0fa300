"""The report of a compilation: one HTML file that needs nothing beside it, and its numbers."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from refnet.compiler import figures, hardware, tables
from refnet.compiler.markup import CSS, code, definitions, note, section, table, text
from refnet.compiler.result import CompileResult, MethodResult
from refnet.compiler.svg import inline


def write_report(result: CompileResult, directory: str | os.PathLike[str]) -> None:
    """Write ``report.html`` and ``report.json`` into ``directory``, each whole or not at all."""
    folder = Path(directory)
    numbers = json.dumps(result.as_dict(), indent=2, sort_keys=True) + "\n"
    page = render(result)
    for name, content in (("report.json", numbers), ("report.html", page)):
        unfinished = folder / f".{name}.part"
        try:
            unfinished.write_text(content, encoding="utf-8")
            unfinished.replace(folder / name)
        finally:
            unfinished.unlink(missing_ok=True)


def render(result: CompileResult) -> str:
    """The report as one HTML page; the same result gives the same text, seconds apart."""
    title = f"{result.data}: {', '.join(m.name for m in result.methods) or 'float network'}"
    pictures = _Pictures()
    parts = [
        _head(result),
        section("Networks", tables.methods(result), pictures.of(figures.trade(result))),
        section("Do the integers agree?", _agreement(result)),
        section("Training", pictures.of(figures.training(result)), _untrained(result)),
        *(_method(m, pictures) for m in result.methods),
        _hardware(result, pictures),
        _folder(result),
        _origin(result),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)} – refnet compile</title>\n<style>{CSS}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


class _Pictures:
    """Turns figures into HTML and numbers their panels, so that their ids are distinct."""

    def __init__(self) -> None:
        self.panels = 0

    def of(self, picture: figures.Picture | None) -> str:
        """The figure with its caption; empty where there is none."""
        if picture is None:
            return ""
        rows = [[self._panel(picture, panel) for panel in row] for row in picture.rows if row]
        held = "\n".join(f'<div class="panels">\n{chr(10).join(row)}\n</div>' for row in rows)
        return (
            f"<h3>{text(picture.title)}</h3>\n<figure>\n"
            f"<figcaption>{text(picture.caption)}</figcaption>\n"
            f"{held}\n</figure>"
        )

    def _panel(self, picture: figures.Picture, panel: figures.Panel) -> str:
        self.panels += 1
        label = f"{picture.title}: {panel.title}"
        svg = inline(panel.svg, key=f"p{self.panels}", label=label)
        return f'<div class="panel">\n<h4>{text(panel.title)}</h4>\n{svg}\n</div>'


def _head(result: CompileResult) -> str:
    shape = " × ".join(str(n) for n in result.image_shape)
    lines = [f'<p class="lead">{_sentence(result, m)}</p>' for m in result.methods]
    return "\n".join([
        "<header>", f"<h1>refnet compile: {text(result.data)}</h1>",
        f"<p>Float network: <strong>{result.float_accuracy:.2%}</strong> of "
        f"{result.test_images:,} test images classified right.</p>", *lines,
        *(tables.dead_filters(m) for m in result.methods),
        note(
            f"{result.train_images:,} training and {result.test_images:,} test images of "
            f"{text(shape)} (channels × height × width): {text(result.data_source)}"
        ),
        "</header>",
    ])


def _sentence(result: CompileResult, m: MethodResult) -> str:
    found = m.agreement
    differing = found.network_vs_program + found.program_vs_kernels
    kind = "bad" if differing else "good"
    return (
        f"<strong>{text(m.name)}</strong>: the integer program reaches "
        f"<strong>{found.accuracy:.2%}</strong> ({tables.signed(tables.points(result, m))} points "
        f"against float), its weights take <strong>{tables.ratio(result, m):.1f} times</strong> "
        f"fewer bits than 32-bit floats, and "
        f'<span class="{kind}">{differing:,} codes differ</span> between network, program and '
        "kernels."
    )


def _agreement(result: CompileResult) -> str:
    return tables.agreement(result) + note(
        "Every value of every step is compared, not only the classes. The accuracies of this "
        "report are those of the integer program."
    )


def _untrained(result: CompileResult) -> str:
    logs = [result.float_log, *(log for m in result.methods for _, log in m.logs)]
    return "" if any(log.epochs for log in logs) else note("Nothing was trained in this job.")


def _method(method: MethodResult, pictures: _Pictures) -> str:
    return section(
        f"Method {method.name}", tables.stages(method), "<h3>Layers</h3>", tables.layers(method),
        tables.factors(method), tables.decomposed(method),
        pictures.of(figures.weights(method)), pictures.of(figures.quantizers(method)),
        "<h3>Accumulators</h3>", tables.accumulators(method.program),
        note(
            "Proved when the program was built, for every input of the input type and every order "
            "of summation, from the weights as they are: nothing can overflow."
        ),
    )


def _hardware(result: CompileResult, pictures: _Pictures) -> str:
    if not any(m.hardware for m in result.methods):
        return ""
    drawn = [pictures.of(picture) for picture in hardware.pictures(result)]
    return section("Hardware", tables.hardware(result), tables.energy(result), *drawn,
                   tables.sources(result))


def _folder(result: CompileResult) -> str:
    rows: list[tuple[str, str]] = [
        ("report.html", "this page"),
        ("report.json", "its numbers, by name"),
        ("checkpoints/*.npz", "state of each training, from which the same command goes on"),
    ]
    for m in result.methods:
        rows += [
            (f"{m.name}/program.refnet", "the integer program: operators and constants"),
            (f"{m.name}/golden/", "golden vectors: inputs, every intermediate value, outputs"),
        ]
    return section("In this folder", table(
        ("file", "what it is~"), ([code(name), text(what)] for name, what in rows)
    ))


def _origin(result: CompileResult) -> str:
    given = ["NET.npz"] if not result.float_log.epochs else []
    words = ["refnet", "compile", *given, "--data", result.data, *_methods(result.methods),
             "--seed", str(result.seed), "--out", "DIR"]
    remark = note("NET.npz stands for the float network, which was not trained in this job.")
    versions = definitions((name, text(held)) for name, held in result.versions.items())
    return section(
        "How to do it again", f"<pre>{text(shlex.join(words))}</pre>", remark if given else "",
        note(f"This job took {result.seconds:.1f} s on:"), versions,
    )


def _methods(methods: Iterable[MethodResult]) -> list[str]:
    names = ",".join(m.spelling or m.name for m in methods)
    return ["--method", names] if names else []
