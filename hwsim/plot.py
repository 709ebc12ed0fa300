"""Figures: bars of every layer and the roofline of a report, the Pareto front of a sweep."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from hwsim.compare import Comparison
from hwsim.report import LayerReport, Report
from hwsim.space import OBJECTIVES, Space
from hwsim.sweep import Row

_CYCLE_PARTS = (
    ("compute_cycles", "compute", "#30638e"),
    ("fill_drain_cycles", "fill and drain", "#a9c5df"),
    ("stall_cycles", "waiting for memory", "#d1495b"),
)
_COMPONENTS = (
    ("pe", "PEs", "#30638e"),
    ("registers", "registers", "#a9c5df"),
    ("input_sram", "input SRAM", "#2e7d5b"),
    ("weight_sram", "weight SRAM", "#7fb69a"),
    ("output_sram", "output SRAM", "#c5dfd0"),
    ("map_sram", "map SRAM", "#e3efe7"),
    ("dram", "DRAM", "#d1495b"),
    ("vector", "element-wise", "#edae49"),
    ("idle", "idle clocks", "#6c757d"),
    ("leakage", "leakage", "#ced4da"),
)
_MOST_LABELS, _MOST_POINTS, _MOST_PANELS = 60, 12, 12
#: Points of a roofline within these shares of a decade are named together.
_NEAR = (0.45, 0.12)
_CYCLE_UNITS = ((1.0, "cycles"), (1e3, "thousand cycles"), (1e6, "million cycles"))
_ENERGY_UNITS = ((1.0, "energy, pJ"), (1e3, "energy, nJ"), (1e6, "energy, µJ"), (1e9, "energy, mJ"))
#: No dates and no random names in the files: the same report gives the same bytes.
_METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None},
}


def plot(report: Report, path: str | os.PathLike[str], *, format: str = "png") -> None:
    """Write the figure of ``report`` as ``png``, ``svg`` or ``pdf``, the same bytes every time.

    Layers that take no clock and a thousandth of the energy or less are left out, and counted in
    the title.
    """
    layers = [layer for layer in report.layers if _matters(layer, report)]
    left_out = len(report.layers) - len(layers)
    width = min(24.0, max(7.0, 2.5 + 0.34 * len(layers)))
    figure = Figure(figsize=(width, 7.5), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True)
    cycles = [
        (label, colour, [getattr(layer, name) for layer in layers])
        for name, label, colour in _CYCLE_PARTS
    ]
    energies = [
        (label, colour, [layer.energy_by_component_pj.get(name, 0.0) for layer in layers])
        for name, label, colour in _COMPONENTS
    ]
    _stack(above, cycles, _CYCLE_UNITS)
    _stack(below, energies, _ENERGY_UNITS)
    _name_layers(below, [layer.name for layer in layers])
    figure.suptitle(_title(report, left_out), fontsize=11)
    _save(figure, path, format)


def roofline(report: Report, path: str | os.PathLike[str], *, format: str = "png") -> None:
    """Write the roofline of ``report``: products a clock against products a byte of DRAM traffic.

    A point is a layer on the array, its area is its share of the clocks. Bit-serial units count bit
    products, units with lanes the operations of their lanes.
    """
    a = report.architecture
    peak = a.rows * a.columns * a.depth
    slope = a.dram.bandwidth_bits_per_cycle / 8
    layers = [layer for layer in report.layers if layer.utilisation and layer.counts.dram_bits]
    reached = [layer.utilisation * peak for layer in layers]
    made = [rate * layer.total_cycles for rate, layer in zip(reached, layers, strict=True)]
    reuse = [n * 8 / layer.counts.dram_bits for n, layer in zip(made, layers, strict=True)]
    figure = Figure(figsize=(7.5, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    ridge = peak / slope
    low, high = min([ridge / 16, *reuse]) / 4, max([ridge, *reuse]) * 4
    axes.plot([low, ridge, high], [low * slope, peak, peak], color="#343a40", linewidth=1.4)
    clocks = [layer.total_cycles for layer in layers]
    sizes = [20 + 400 * n / max(sum(clocks), 1) for n in clocks]
    axes.scatter(reuse, reached, s=sizes, color="#30638e", alpha=0.6, linewidths=0)
    axes.set(xscale="log", yscale="log", xlim=(low, high))
    bottom = min([low * slope, *reached]) / 2
    axes.set_ylim(bottom, peak * 2.5)
    what = {"popcount": "bit products", "lanes": "lane operations"}.get(a.flow.style, "products")
    axes.set_xlabel(f"{what} a byte of DRAM traffic")
    axes.set_ylabel(f"{what} a clock")
    middle = math.sqrt(low * ridge)
    flat = axes.annotate(f"{peak:,} {what} a clock", (high, peak), xytext=(-4, 5),
                         textcoords="offset points", ha="right", fontsize=8)
    steep = axes.annotate(f"{slope:g} bytes a clock from {a.dram.kind}", (middle, middle * slope),
                          xytext=(8, -4), textcoords="offset points", va="top", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(linewidth=0.4, alpha=0.5)
    axes.set_axisbelow(True)
    figure.suptitle(f"{report.workload} on {a.name}: a point is a layer, its area the share of "
                    "the clocks", fontsize=10)
    figure.draw_without_rendering()  # places are known once the layout is
    _name_points(axes, layers, reuse, reached, (flat, steep))
    _save(figure, path, format)


_COLOURS = ("#343a40", "#30638e", "#2e7d5b", "#d1495b", "#edae49", "#7b4b94", "#6c757d", "#a9c5df")
_LEADER = {"arrowstyle": "-", "linewidth": 0.4, "color": "#6c757d", "shrinkA": 0, "shrinkB": 2}
_MARKERS = "osD^vP*X<>hp"


def compared(found: Comparison, path: str | os.PathLike[str], *, format: str = "png") -> None:
    """Write energy against latency: a colour a workload, a mark a machine, bars for the range."""
    figure = Figure(figsize=(8.5, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    workloads = list(dict.fromkeys(cost.workload for cost in found.costs))
    machines = list(dict.fromkeys(cost.machine for cost in found.costs))
    for cost in found.costs:
        colour = _COLOURS[workloads.index(cost.workload) % len(_COLOURS)]
        x, y = cost.seconds * 1e3, cost.energy_pj / 1e9
        low, high = (abs(end / 1e9 - y) for end in (cost.energy_low_pj, cost.energy_high_pj))
        axes.errorbar([x], [y], yerr=[[low], [high]], color=colour, linewidth=0.8, alpha=0.5)
        axes.plot([x], [y], _MARKERS[machines.index(cost.machine) % len(_MARKERS)], color=colour,
                  markersize=7, markeredgecolor="white", markeredgewidth=0.5)
    axes.set(xscale="log", yscale="log", xlabel="latency, ms", ylabel="energy, mJ")
    for name, colour in zip(workloads, _COLOURS, strict=False):
        axes.plot([], [], "s", color=colour, label=name)
    for name, mark in zip(machines, _MARKERS, strict=False):
        axes.plot([], [], mark, color="#adb5bd", label=name)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(linewidth=0.4, alpha=0.5, which="both")
    axes.set_axisbelow(True)
    figure.suptitle("below and to the left is better; bars: what energies may be off by",
                    fontsize=10)
    _save(figure, path, format)


def _name_points(
    axes: Any, layers: Sequence[LayerReport], x: Sequence[float], y: Sequence[float],
    texts: Sequence[Any],
) -> None:
    """Name layers, those that take most clocks first; a name stands for all close to its point.

    Names stay in the axes and go down until they cover no point, no text and none of ``texts``.
    """
    dots = [axes.transData.transform(point) for point in zip(x, y, strict=True)]
    taken, frame = [text.get_window_extent() for text in texts], axes.get_window_extent()
    order = sorted(range(len(layers)), key=lambda i: (-layers[i].total_cycles, i))
    near: dict[int, int] = {}
    for i in order:
        close = (j for j in near if abs(math.log10(x[i] / x[j])) < _NEAR[0]
                 and abs(math.log10(y[i] / y[j])) < _NEAR[1])
        one = next(close, i)
        near[one] = near.get(one, -1) + 1
    for i, others in list(near.items())[:_MOST_POINTS]:
        text = layers[i].name + (f" and {others} more" if others else "")
        name = axes.annotate(text, (x[i], y[i]), xytext=(9, -9), textcoords="offset points",
                             fontsize=7, ha="left", va="top", arrowprops=_LEADER)
        name.set_in_layout(False)
        if _box(name).x1 > frame.x1:
            name.set(ha="right", x=-9)
        for down in range(9, 9 + 10 * (len(taken) + 4), 10):
            name.set(y=-down)
            box = _box(name)
            if not any(map(box.overlaps, taken)) and not any(box.contains(*dot) for dot in dots):
                break
        taken.append(_box(name))


def _box(name: Any) -> Any:
    """Where the text of an annotation lies, without its line."""
    name.update_positions(name.figure.canvas.get_renderer())
    return Text.get_window_extent(name)


def _save(figure: Figure, path: str | os.PathLike[str], format: str) -> None:
    with rc_context({"svg.hashsalt": "hwsim"}):
        figure.savefig(os.fspath(path), dpi=130, format=format, metadata=_METADATA[format])


def _matters(layer: LayerReport, report: Report) -> bool:
    return layer.total_cycles > 0 or layer.energy_pj > report.energy_pj / 1000


def _title(report: Report, left_out: int) -> str:
    text = (
        f"{report.workload} on {report.architecture.name}: {report.total_cycles:,} cycles, "
        f"{report.energy_pj / 1e6:,.4g} µJ ({report.architecture.technology})"
    )
    return f"{text}\nnot shown, since they cost next to nothing: {left_out}" if left_out else text


def _stack(
    axes: Any,
    parts: Sequence[tuple[str, str, Sequence[float]]],
    units: Sequence[tuple[float, str]],
) -> None:
    """Bars on top of each other, in the largest unit that the tallest of them reaches."""
    tallest = max(sum(values) for values in zip(*(part[2] for part in parts), strict=True))
    divisor, label = [unit for unit in units if unit[0] <= max(tallest, 1.0)][-1]
    places = range(len(parts[0][2]))
    base = [0.0] * len(places)
    for name, colour, values in parts:
        if any(values):
            heights = [value / divisor for value in values]
            axes.bar(places, heights, bottom=base, color=colour, label=name, width=0.75)
            base = [b + height for b, height in zip(base, heights, strict=True)]
    axes.set_ylabel(label)
    axes.set_ylim(0, 1.05 * max(*base, 1e-9))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", linewidth=0.4, alpha=0.5)
    axes.set_axisbelow(True)
    axes.legend(
        frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), reverse=True
    )


def _name_layers(axes: Any, names: Sequence[str]) -> None:
    step = -(-len(names) // _MOST_LABELS)
    places = range(0, len(names), step)
    slanted = len(names) > 4
    axes.set_xticks(
        list(places), [names[i] for i in places], rotation=45 if slanted else 0,
        ha="right" if slanted else "center", rotation_mode="anchor", fontsize=8,
    )
    axes.set_xlim(-0.6, len(names) - 0.4)


def pareto(space: Space, rows: Sequence[Row], path: str | os.PathLike[str]) -> None:
    """Write the points of a sweep as ``png``: two objectives as axes, the third as colour.

    A panel a workload; points that another one beats are grey, the line joins those that are best
    in the two objectives alone.
    """
    goals = (*space.minimise, *(goal for goal in OBJECTIVES if goal not in space.minimise))
    across, up = goals[:2]
    third = space.minimise[2] if len(space.minimise) > 2 else None
    names = [workload.name for workload in space.workloads][:_MOST_PANELS]
    figure = Figure(figsize=(7.5, 4.6 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, name in zip(figure.subplots(len(names), squeeze=False)[:, 0], names, strict=True):
        mine = [row for row in rows if row.workload == name and not isinstance(row.outcome, str)]
        best = [row for row in mine if row.best]
        worse = [row for row in mine if not row.best]
        axes.scatter(_values(worse, across), _values(worse, up), s=9, color="#ced4da",
                     linewidths=0, label="beaten")
        shades = None if third is None else _values(best, third)
        colour = {"color": "#30638e"} if shades is None else {"c": shades, "cmap": "viridis"}
        dots = axes.scatter(_values(best, across), _values(best, up), s=26, linewidths=0,
                            zorder=3, label="Pareto front", **colour)
        x, y = _values(best, across), _values(best, up)
        axes.plot(*_stairs(x, y), color="#343a40", linewidth=0.8, zorder=2,
                  label="front of the two axes")
        if shades is not None:
            figure.colorbar(dots, ax=axes, label=_goal(str(third)))
        axes.set(xscale="log", yscale="log", xlabel=_goal(across), ylabel=_goal(up))
        axes.set_title(f"{name}: {len(best)} of {len(mine)} points on the front", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(which="both", linewidth=0.3, alpha=0.5)
        axes.set_axisbelow(True)
        axes.legend(frameon=False, fontsize=8)
    _save(figure, path, "png")


def _values(rows: Sequence[Row], goal: str) -> list[float]:
    """An objective of rows; no clocks of waiting are drawn as one, on logarithmic axes."""
    return [max(row.outcome[goal], 1) if goal == "stall_cycles" else row.outcome[goal]
            for row in rows if not isinstance(row.outcome, str)]


def _stairs(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    """The corners of those that are best in x and y alone, from left to right."""
    across: list[float] = []
    up: list[float] = []
    for a, b in sorted(zip(x, y, strict=True)):
        if not up or b < up[-1]:
            across += [a, a] if up else [a]
            up += [up[-1], b] if up else [b]
    return across, up


def _goal(name: str) -> str:
    """``energy_pj`` is energy, pJ."""
    return {"seconds": "time, s", "energy_pj": "energy, pJ", "area_mm2": "area, mm²",
            "total_cycles": "clocks", "stall_cycles": "clocks of waiting",
            "dram_bits": "DRAM traffic, bits"}[name]
