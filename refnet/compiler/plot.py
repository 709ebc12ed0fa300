"""The pictures of the report, as SVG text: the same data give the same text.

Every function draws one panel of the same width, small enough for a phone. Only this file knows
matplotlib; its global state is left as it was.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context, rcdefaults, rcParams
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from refnet.compiler.palette import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, VERMILLION
from refnet.compiler.svg import printable

_WIDTH = 3.6
_LONGEST_NAME = 34
_ROW = 0.35
_MARKS = "osD^vP"
_HUES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE)
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "refnet", "text.parse_math": False,
    "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none",
    "font.size": 8, "legend.fontsize": 7.5, "xtick.labelsize": 7.5, "ytick.labelsize": 7.5,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK,
    "ytick.color": INK, "grid.color": INK, "grid.alpha": 0.15, "grid.linewidth": 0.6,
    "axes.linewidth": 0.7, "axes.labelsize": 8, "xtick.major.size": 2.5,
    "ytick.major.size": 2.5, "axes.spines.top": False, "axes.spines.right": False,
    "axes.axisbelow": True, "legend.frameon": False, "legend.handlelength": 1.2,
    "legend.columnspacing": 1.1, "legend.borderaxespad": 0.2, "legend.handletextpad": 0.5,
}
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One stage of training: ``y`` at the ends of its epochs, the first of them ``start`` + 1."""

    name: str
    start: int
    y: Sequence[float]
    colour: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A line of a bar chart: its name, its parts in the unit of the axis, its total in words."""

    name: str
    parts: Sequence[float]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stairs:
    """A quantizer and what it met. ``values`` (L,) of its codes, ``thresholds`` (L - 1,).

    ``edges`` (B + 1,) and ``counts`` (B,) are the histogram of inputs, ``shares`` (L,) the shares
    of the codes.
    """

    values: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    shares: NDArray[np.float64]


@contextmanager
def _panel(height: float) -> Iterator[tuple[Figure, Any, io.StringIO]]:
    """A figure of the common look and one axes; on leaving, the text holds its SVG."""
    text = io.StringIO()
    with rc_context(), warnings.catch_warnings():
        # A name in a script that the font lacks is no fault: the page draws it with its own font.
        warnings.filterwarnings("ignore", message="Glyph")
        rcdefaults()
        rcParams.update(_SETTINGS)
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        yield figure, figure.subplots(), text
        figure.savefig(text, format="svg", metadata=_NO_METADATA)


def _thousands(value: float, _: object = None) -> str:
    """A number on an axis: 12,000; 0.5."""
    return f"{value:,.10g}".replace("-", "−")


def shorten(name: str, longest: int = _LONGEST_NAME) -> str:
    """``name`` with its middle left out where it is longer than ``longest``.

    >>> shorten("a_very_long_name", 9)
    'a_ve…name'
    """
    name = printable(name)
    if len(name) <= longest:
        return name
    tail = (longest - 1) // 2
    return f"{name[: longest - 1 - tail]}…{name[-tail:]}"


def _legend(figure: Figure, columns: int, **entries: Any) -> None:
    figure.legend(loc="outside upper left", ncols=columns, **entries)


def curves(
    lines: Sequence[Curve], *, label: str, reference: float | None = None,
    reference_name: str = "", depth: float = math.inf,
) -> str:
    """Training curves, stage after stage, against epochs, with a dashed reference line.

    Values more than ``depth`` under the best are pinned to the lower edge and written there, so
    that a first epoch does not flatten the rest.
    """
    seen = [y for line in lines for y in line.y if math.isfinite(y)]
    seen += [] if reference is None else [reference]
    top = max(seen, default=1.0)
    floor = max(min(seen, default=0.0), top - depth)
    space = 0.08 * (top - floor) or max(0.05 * abs(top), 1e-3)
    with _panel(2.3) as (figure, axes, text):
        for line in lines:
            x = [line.start + i + 1 for i in range(len(line.y))]
            y = [max(value, floor) for value in line.y]
            axes.plot(x, y, "o-", color=line.colour, markersize=3, linewidth=1.5,
                      label=shorten(line.name, 16))
            for place, value in zip(x, line.y, strict=True):
                if value < floor:
                    axes.annotate(
                        f"▾ {value:.3g}", (place, floor), (5, 0), textcoords="offset points",
                        va="center", fontsize=7.5,
                    )
        for line in lines[1:]:
            axes.axvline(line.start + 0.5, color=INK, alpha=0.3, linewidth=0.7)
        if reference is not None:
            axes.axhline(
                reference, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), label=reference_name
            )
        last = max(line.start + len(line.y) for line in lines)
        axes.set(xlim=(0.5, last + 0.5), ylim=(floor - space, top + space), ylabel=label)
        axes.set_xlabel("epoch, all stages")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(_thousands))
        axes.grid(axis="y")
        _legend(figure, 4)
    return text.getvalue()


def bars(
    rows: Sequence[Bar], *, parts: Sequence[tuple[str, str]], label: str,
    limit: float | None = None,
) -> str:
    """Stacked horizontal bars: the name over each bar, its total at the right.

    ``parts`` are (name, colour) of the parts of every bar; ``limit`` is the end of the axis, for
    panels that are to be compared.
    """
    longest = limit or max((math.fsum(row.parts) for row in rows), default=0.0) or 1.0
    used = [i for i in range(len(parts)) if any(row.parts[i] for row in rows)]
    lines = -(-len(used) // 3)
    with _panel(_ROW * len(rows) + 0.5 + 0.16 * lines) as (figure, axes, text):
        base = np.zeros(len(rows))
        for i in used:
            width = np.array([row.parts[i] for row in rows], dtype=np.float64)
            axes.barh(
                range(len(rows)), width, left=base, color=parts[i][1], label=parts[i][0],
                height=0.36,
            )
            base += width
        for place, row in enumerate(rows):
            axes.text(0, place - 0.24, shorten(row.name), va="bottom", fontsize=7.5)
            total = printable(row.text)
            axes.text(longest, place - 0.24, total, va="bottom", ha="right", fontsize=7.5)
        axes.set(xlim=(0, longest), ylim=(len(rows) - 0.65, -0.72), yticks=[], xlabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(_thousands))
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        if len(parts) > 1:
            _legend(figure, 3)
    return text.getvalue()


def staircase(stairs: Stairs) -> str:
    """A quantizer's staircase over the histogram of its inputs, thresholds dotted.

    Left are the real values of the codes, right the codes with their shares; where there are more
    than eight codes, only some are written and no threshold is marked.
    """
    values, thresholds = stairs.values, stairs.thresholds
    lo = min(stairs.edges[0], thresholds[0])
    hi = max(stairs.edges[-1], thresholds[-1] + 0.04 * (thresholds[-1] - lo))
    few = len(values) <= 8
    shown = range(len(values)) if few else np.linspace(0, len(values) - 1, 6).astype(int)
    with _panel(2.2) as (_, axes, text):
        height = stairs.counts / max(stairs.counts.max(), 1) * values[-1] * 0.96
        axes.stairs(height, stairs.edges, fill=True, color=SKY, alpha=0.55, linewidth=0)
        axes.stairs(values, [lo, *thresholds, hi], baseline=None, color=BLUE, linewidth=1.8)
        for threshold in thresholds if few else ():
            axes.axvline(threshold, color=ORANGE, linewidth=1, linestyle=(0, (1, 1.5)))
        axes.set(xlim=(lo, hi), ylim=(0, 1.04 * values[-1]))
        axes.set_yticks([values[i] for i in shown], [f"{values[i]:.3g}" for i in shown])
        axes.set(xlabel="input of the quantizer", ylabel="value of the code")
        right = axes.secondary_yaxis("right")
        names = [f"{i}: {stairs.shares[i]:.1%}" if few else f"{i}" for i in shown]
        right.set_yticks([values[i] for i in shown], names)
        right.set_ylabel("code: share of inputs" if few else "code")
        right.tick_params(length=0)
    return text.getvalue()


def scatter(points: Sequence[tuple[str, float, float]]) -> str:
    """Accuracy in percent against bits of weights: points (name, bits, accuracy), the first grey.

    Names stand in the legend, each with its own mark, because methods may lie close together.
    """
    x, y = [bits / 1e3 for _, bits, _ in points], [accuracy for _, _, accuracy in points]
    space = max(0.15 * (max(y) - min(y)), 0.2)
    with _panel(2.1 + 0.16 * len(points)) as (figure, axes, text):
        axes.set_xscale("log")
        for i, (name, _, accuracy) in enumerate(points):
            axes.plot(
                x[i], accuracy, _MARKS[i % len(_MARKS)], linestyle="", markersize=6.5, alpha=0.9,
                color=_HUES[(i - 1) % len(_HUES)] if i else GREY,
                label=f"{shorten(name, 28)}: {_thousands(round(x[i], 1))} kbit, {accuracy:.2f}%",
            )
        limits = (min(x) / 1.5, max(x) * 1.5)
        axes.set(xlim=limits, ylim=(min(y) - space, max(y) + space))
        axes.set(xlabel="weights, kbit (1,000 bits)", ylabel="test accuracy, %")
        steps = (1, 2, 5) if limits[1] / limits[0] < 300 else (1,)
        ticks = [step * 10.0**power for power in range(-3, 9) for step in steps]
        axes.set_xticks([tick for tick in ticks if limits[0] <= tick <= limits[1]])
        axes.minorticks_off()
        axes.xaxis.set_major_formatter(FuncFormatter(_thousands))
        axes.grid()
        _legend(figure, 1)
    return text.getvalue()
