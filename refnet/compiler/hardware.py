"""Pictures of time and energy: what every method costs on every architecture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from hwsim.report import LayerReport, Report
from refnet.compiler import plot
from refnet.compiler.figures import Panel, Picture, unit_of
from refnet.compiler.palette import CYCLE_PARTS, ENERGY_PARTS
from refnet.compiler.result import CompileResult, MethodResult

_CYCLES = ((1.0, "cycles"), (1e3, "thousand cycles"), (1e6, "million cycles"))
_PJ = ((1.0, "pJ"), (1e3, "nJ"), (1e6, "µJ"), (1e9, "mJ"))
_SECONDS = ((1e-9, "ns"), (1e-6, "µs"), (1e-3, "ms"), (1.0, "s"))


def pictures(result: CompileResult) -> list[Picture]:
    """Time and energy of every method in all, then layer by layer on each architecture."""
    pairs = [(method, report) for method in result.methods for report in method.hardware]
    if not pairs:
        return []
    names = list(dict.fromkeys(report.architecture.name for _, report in pairs))
    by_name = {
        name: [(m, r) for m, r in pairs if r.architecture.name == name] for name in names
    }
    totals = [pair for name in names for pair in by_name[name]]
    return [_totals(totals), *(_by_layer(name, held) for name, held in by_name.items())]


def _totals(pairs: Sequence[tuple[MethodResult, Report]]) -> Picture:
    named = [(f"{r.architecture.name}, {m.name}", r) for m, r in pairs]
    clocked = [
        (name, [sum(getattr(x, part) for x in r.layers) / r.architecture.clock_hz
                for part, _, _ in CYCLE_PARTS])
        for name, r in named
    ]
    energy = [
        (name, [r.energy_by_component_pj.get(part, 0.0) for part, _, _ in ENERGY_PARTS])
        for name, r in named
    ]
    return Picture(
        title="Time and energy of one image",
        caption=f"Each architecture at its own clock. {_prices(r for _, r in pairs)}",
        rows=((
            Panel(title="time of one image", svg=_bars(clocked, CYCLE_PARTS, _SECONDS, "{:,.4g}")),
            Panel(title="energy of one image", svg=_bars(energy, ENERGY_PARTS, _PJ, "{:,.4g}")),
        ),),
    )


def _prices(reports: Iterable[Report]) -> str:
    names = dict.fromkeys(
        f"{r.architecture.technology} with {r.architecture.dram.kind}" for r in reports
    )
    return f"Energy with idle clocks and leakage, at the prices of {', '.join(names)} DRAM."


def _by_layer(name: str, pairs: Sequence[tuple[MethodResult, Report]]) -> Picture:
    """Panels of cycles of every method on one scale, then panels of energy on one scale."""
    cycles = [
        (f"{m.name}: cycles", _layer_rows(r.layers, lambda x: [
            float(getattr(x, part)) for part, _, _ in CYCLE_PARTS]))
        for m, r in pairs
    ]
    energy = [
        (f"{m.name}: energy", _layer_rows(r.layers, lambda x: [
            x.energy_by_component_pj.get(part, 0.0) for part, _, _ in ENERGY_PARTS]))
        for m, r in pairs
    ]
    above = tuple(_shared(cycles, CYCLE_PARTS, _CYCLES, "{:,.0f}"))
    below = tuple(_shared(energy, ENERGY_PARTS, _PJ, "{:,.4g}"))
    return Picture(
        title=f"Layers on {name}", rows=((*above, *below),) if len(pairs) == 1 else (above, below),
        caption="Steps that take no clock of their own, because they are done as results leave "
        f"the array, and steps of less than a thousandth are not drawn. "
        f"{_prices(r for _, r in pairs)}",
    )


def _layer_rows(
    layers: Sequence[LayerReport], parts: Callable[[LayerReport], list[float]]
) -> list[tuple[str, list[float]]]:
    rows = [(layer.name, parts(layer)) for layer in layers]
    least = sum(sum(held) for _, held in rows) / 1000
    return [(name, held) for name, held in rows if sum(held) > least]


def _shared(
    panels: Sequence[tuple[str, list[tuple[str, list[float]]]]],
    parts: Sequence[tuple[str, str, str]], units: Sequence[tuple[float, str]], form: str,
) -> Iterator[Panel]:
    """Panels on one scale; those without a bar are left out."""
    limit = max((sum(held) for _, rows in panels for _, held in rows), default=0.0)
    for title, rows in panels:
        if rows:
            yield Panel(title=title, svg=_bars(rows, parts, units, form, limit))


def _bars(
    rows: Sequence[tuple[str, list[float]]], parts: Sequence[tuple[str, str, str]],
    units: Sequence[tuple[float, str]], form: str, limit: float | None = None,
) -> str:
    longest = limit or max((sum(held) for _, held in rows), default=0.0)
    scale, unit = unit_of(longest, units)
    if units is _CYCLES:
        texts = [form.format(sum(held)) for _, held in rows]
    else:
        texts = [f"{form.format(sum(held) / scale)} {unit}" for _, held in rows]
    bars = [
        plot.Bar(name=name, parts=[x / scale for x in held], text=text)
        for (name, held), text in zip(rows, texts, strict=True)
    ]
    named = [(part, colour) for _, part, colour in parts]
    quantity = "energy, " if units is _PJ else "time, " if units is _SECONDS else ""
    return plot.bars(bars, parts=named, label=quantity + unit, limit=longest / scale or None)
