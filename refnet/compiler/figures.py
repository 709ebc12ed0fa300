"""Which pictures a report has, and the numbers in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refnet.compiler import plot
from refnet.compiler.palette import (
    BLUE,
    ORANGE,
    PURPLE,
    STAGES,
    TERNARY_PARTS,
)
from refnet.compiler.result import ActivationView, CompileResult, MethodResult
from refnet.nn import TrainingLog
from refnet.program import Constant, Conv, Program
from refnet.quant import Quantizer

# Points of accuracy, in percent, that a training curve shows below its best.
_DEPTH = 12.0
_BITS = ((1.0, "bits"), (1e3, "kbit (1,000 bits)"), (1e6, "Mbit (1,000,000 bits)"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture of a figure: its title and its SVG."""

    title: str
    svg: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure of the report: rows of panels that belong together, and what to see in them."""

    title: str
    caption: str
    rows: tuple[tuple[Panel, ...], ...]


def convolutions(program: Program) -> dict[str, Constant]:
    """The weights of every convolution, by the name of its result, in order."""
    return {
        node.name: program.constants[node.inputs[1]]
        for node in program.nodes if isinstance(node.op, Conv)
    }


def training(result: CompileResult) -> Picture | None:
    """Accuracy and loss by epoch, from the float network to the end; None without epochs."""
    rows: list[tuple[Panel, ...]] = []
    runs = [(m.name, (("float", result.float_log), *m.logs)) for m in result.methods]
    for name, logs in runs or [("float", (("float", result.float_log),))]:
        if any(log.epochs for _, log in logs):
            rows.append(tuple(_training_panels(name, logs, result.float_accuracy)))
    if not rows:
        return None
    return Picture(
        title="Accuracy and loss by epoch", rows=tuple(rows),
        caption="Measured in real arithmetic after each epoch on the test images; the accuracies "
        "of the tables are those of the integer program. “codes” trains with quantized "
        "activations, “tune” the compressed network; dashed: the float network. ▾ marks a value "
        "below the axis.",
    )


def _training_panels(
    name: str, logs: Sequence[tuple[str, TrainingLog]], accuracy: float
) -> Iterator[Panel]:
    percents = [[100 * a for a in log.test_accuracy] for _, log in logs]
    yield Panel(
        title=f"{name}: test accuracy",
        svg=plot.curves(
            _stages(logs, percents), label="test accuracy, %", reference=100 * accuracy,
            reference_name=f"{accuracy:.2%}", depth=_DEPTH,
        ),
    )
    losses = [log.losses for _, log in logs]
    yield Panel(
        title=f"{name}: training loss",
        svg=plot.curves(_stages(logs, losses), label="mean cross-entropy, nats"),
    )


def _stages(
    logs: Sequence[tuple[str, TrainingLog]], series: Sequence[Sequence[float]]
) -> list[plot.Curve]:
    lines: list[plot.Curve] = []
    start = 0
    for (stage, _), y in zip(logs, series, strict=True):
        if len(y):
            colour = STAGES.get(stage, PURPLE)
            lines.append(plot.Curve(name=stage, start=start, y=y, colour=colour))
            start += len(y)
    return lines


def quantizers(method: MethodResult) -> Picture | None:
    """The staircase of every activation quantizer; None where there are none."""
    panels = tuple(
        Panel(title=f"layer {view.layer}: {_kind(view)}", svg=plot.staircase(_stairs(view)))
        for view in method.activations
    )
    if not panels:
        return None
    return Picture(
        title=f"{method.name}: activation quantizers", rows=(panels,),
        caption="The staircase over the histogram of the inputs it meets on calibration images "
        "(its height scaled to the panel, its outermost 0.15% on each side cut off); thresholds "
        "dotted; at the right the share of inputs that each code takes.",
    )


def _kind(view: ActivationView) -> str:
    return f"{type(view.quantizer).__name__}, {view.quantizer.type.name}"


def _stairs(view: ActivationView) -> plot.Stairs:
    codes = np.arange(view.quantizer.type.hi + 1)
    return plot.Stairs(
        values=view.quantizer.values(codes), edges=view.edges, counts=view.counts,
        thresholds=thresholds(view.quantizer),
        shares=view.code_counts / max(int(view.code_counts.sum()), 1),
    )


def thresholds(quantizer: Quantizer) -> NDArray[np.float64]:
    """Where the codes of a quantizer of unsigned codes step up (hi,), found by bisection.

    >>> from refnet.quant import HalfWave
    >>> q = HalfWave(bits=2, theta=0.5)
    >>> bool(np.allclose(thresholds(q), q.thresholds))
    True
    """
    wanted = np.arange(1, quantizer.type.hi + 1)
    top = float(quantizer.values(np.array([quantizer.type.hi]))[0])
    lo, hi = np.full(len(wanted), -2 * top), np.full(len(wanted), 2 * top)
    for _ in range(80):
        x = (lo + hi) / 2
        reached = quantizer.codes(x) >= wanted
        lo, hi = np.where(reached, lo, x), np.where(reached, x, hi)
    middle: NDArray[np.float64] = (lo + hi) / 2
    return middle


def weights(method: MethodResult) -> Picture:
    """Bits of the weights of every convolution, and the shares of the codes of ternary ones."""
    held = convolutions(method.program)
    bits = {name: w.array.size * w.type.bits for name, w in held.items()}
    scale, unit = unit_of(max(bits.values(), default=0), _BITS)
    colours = {name: ORANGE if _ternary(w) else BLUE for name, w in held.items()}
    rows = [
        plot.Bar(
            name=f"{name} ({held[name].type.name})", text=f"{n:,}",
            parts=[n / scale if colours[name] == colour else 0.0 for colour in (ORANGE, BLUE)],
        )
        for name, n in bits.items()
    ]
    parts = (("ternary, 2 bits a weight", ORANGE), ("wider", BLUE))
    panels = [Panel(title="weight bits by layer", svg=plot.bars(rows, parts=parts, label=unit))]
    shares = [_share(name, w) for name, w in held.items() if _ternary(w)]
    if shares:
        codes = [(name, colour) for _, name, colour in TERNARY_PARTS]
        svg = plot.bars(shares, parts=codes, label="share of the weights, %", limit=100.0)
        panels.append(Panel(title="ternary codes by layer", svg=svg))
    return Picture(
        title=f"{method.name}: weights", rows=(tuple(panels),),
        caption=f"{sum(bits.values()):,} bits of weight codes in all, at the width of their types; "
        "over each bar the bits of the layer, and the share of its ternary weights that is zero.",
    )


def _ternary(weights: Constant) -> bool:
    return weights.type.name == "ternary"


def _share(name: str, weights: Constant) -> plot.Bar:
    shares = [100 * float(np.mean(weights.array == code)) for code, _, _ in TERNARY_PARTS]
    return plot.Bar(name=name, parts=shares, text=f"{shares[1]:.1f}% zeros")


def trade(result: CompileResult) -> Picture | None:
    """Accuracy against bits of weights; None with fewer than two methods."""
    if len(result.methods) < 2:
        return None
    points = [("float", 32.0 * result.float_weights, 100 * result.float_accuracy)]
    points += [
        (m.name, float(m.program.weight_bits()), 100 * m.agreement.accuracy)
        for m in result.methods
    ]
    svg = plot.scatter([point for point in points if point[1] > 0])
    return Picture(
        title="Accuracy against weight bits",
        rows=((Panel(title="float network and integer programs", svg=svg),),),
        caption="Towards the upper left is better. Float weights count 32 bits each.",
    )


def unit_of(largest: float, units: Sequence[tuple[float, str]]) -> tuple[float, str]:
    """The largest unit that the largest value reaches."""
    return next((unit for unit in reversed(units) if unit[0] <= largest), units[0])
