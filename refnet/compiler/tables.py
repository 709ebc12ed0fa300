"""Tables of the report, as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from hwsim.energy import Price
from hwsim.report import Report
from refnet.compiler.figures import convolutions
from refnet.compiler.markup import code, definitions, note, table, text
from refnet.compiler.palette import CYCLE_PARTS, ENERGY_PARTS
from refnet.compiler.result import CompileResult, MethodResult
from refnet.methods.base import LayerReport
from refnet.program import Add, Constant, Conv, Node, Program, SumPool

_NONE = "–"
_FLOAT_BITS = 32


def points(result: CompileResult, method: MethodResult) -> float:
    """Program accuracy minus float accuracy, in points."""
    return 100 * (method.agreement.accuracy - result.float_accuracy)


def ratio(result: CompileResult, method: MethodResult) -> float:
    """How many times fewer bits the weights take than in 32-bit floats."""
    return _FLOAT_BITS * result.float_weights / max(method.program.weight_bits(), 1)


def signed(value: float) -> str:
    """A difference with two digits and its sign: +0.10, −0.20."""
    return f"{value:+.2f}".replace("-", "−")


def methods(result: CompileResult) -> str:
    """One line for the float network and one for each integer program."""
    float_bits = _FLOAT_BITS * result.float_weights
    rows = [
        ["float network", f"{result.float_accuracy:.2%}", _NONE, f"{float_bits:,}", "1.0",
         *[_NONE] * 3],
        *([
            text(m.name), f"{m.agreement.accuracy:.2%}", signed(points(result, m)),
            f"{m.program.weight_bits():,}", f"{ratio(result, m):.1f}",
            f"{m.program.work().macs:,}", f"{_zeros(convolutions(m.program).values()):.1%}",
            str(len(m.program.nodes)),
        ] for m in result.methods),
    ]
    columns = ("network", "test accuracy#", "points against float#", "weight bits#",
               "times smaller#", "MACs an image#", "zero weights#", "steps#")
    return table(columns, rows)


def _zeros(weights: Iterable[Constant]) -> float:
    held = list(weights)
    size = sum(w.array.size for w in held)
    return sum(int(np.sum(w.array == 0)) for w in held) / max(size, 1)


def stages(method: MethodResult) -> str:
    """Accuracy at each stage of the work; of the integer program once weights are compressed."""
    rows = [[text(stage), f"{accuracy:.2%}"] for stage, accuracy in method.stages]
    return table(("stage", "test accuracy#"), rows)


def agreement(result: CompileResult) -> str:
    """Differing codes of network, program and kernels."""
    rows = []
    for m in result.methods:
        found = m.agreement
        counts = (found.network_vs_program, found.program_vs_kernels)
        if any(counts):
            verdict = '<span class="bad">they differ</span>'
        else:
            verdict = (
                '<span class="good">network = program = kernels on all '
                f"{found.images:,} images</span>"
            )
        rows.append([
            text(m.name), verdict, f"{found.images:,}", *(f"{n:,}" for n in counts),
            f"{found.correct:,}",
        ])
    columns = ("method", "verdict~", "images#", "network ≠ program, codes#",
               "program ≠ kernels, codes#", "classified right#")
    return table(columns, rows)


def layers(method: MethodResult) -> str:
    """Every compressed layer: how, how large, how well; then what the program holds of it."""
    rows = []
    for layer, found in _with_program(method):
        name, weights = found or (_NONE, None)
        rows.append([
            text(layer.name), text(layer.kind), text(layer.method), f"{layer.weights:,}",
            f"{layer.weight_bits:,}", f"{layer.macs:,}", f"{layer.response_error:.4f}",
            str(len(layer.dead_filters)), code(name) if found else _NONE,
            text(weights.type.name) if weights else _NONE,
            f"{_zeros([weights]):.1%}" if weights else _NONE,
            str(len(_dead(weights))) if weights else _NONE,
        ])
    columns = ("layer", "kind", "method", "weights before#", "weight bits#", "MACs#",
               "response error#", "dead filters#", "in the program", "weight type",
               "zero weights#", "dead filters, program#")
    return table(columns, rows) + note(
        "Response error is ‖y − y′‖² / ‖y‖² on calibration images, after compression and before "
        "fine-tuning, and so is the first count of dead filters (all weights zero); the last four "
        "columns are of the finished program."
    )


def factors(method: MethodResult) -> str:
    """Additions, multiplications and bits of factorized layers; empty without any."""
    if method.cost is None:
        return ""
    rows = [
        [
            code(row.name), f"{row.m} × {row.n}" + (f" × {row.groups} groups" * (row.groups > 1)),
            _NONE if row.k is None else str(row.k), f"{row.dense_macs:,}", f"{row.additions:,}",
            f"{row.additions_without_zeros:,.0f}", f"{row.multiplications:,}", f"{row.bits():,.0f}",
            f"{row.bits(8 / 5):,.0f}", f"{row.bits(row.entropy_bits):,.0f}",
        ]
        for row in method.cost.layers
    ]
    columns = ("layer", "W", "components#", "MACs of W#", "additions#", "without zeros#",
               "multiplications#", "bits#", "5 trits a byte#", "entropy#")
    fewer = method.cost.factored.fewer_multiplications
    return "<h3>Factors</h3>" + table(columns, rows) + note(
        f"The factorized layers need {fewer:,.0f} times fewer multiplications, those by the "
        "diagonal D; bits count a scale as 32. A layer without components is left as it is."
    )


def decomposed(method: MethodResult) -> str:
    """Ranks of every layer, with measured time beside multiply-accumulates; empty without any."""
    choices = method.compression.choices
    if not choices:
        return ""
    times = {time.choice.name: time for time in method.times}
    rows = []
    for choice in choices:
        r, time = choice.ranks, times.get(choice.name)
        rows.append([
            text(choice.name), "dense" if r is None else f"{r.R}, {r.s}, {r.t}",
            f"{choice.shape.macs:,}", f"{choice.macs:,}", f"{choice.ratio:.2f}",
            f"{choice.error:.4f}", *(
                (f"{time.response_error:.4f}", f"{1e3 * time.dense_ms:,.1f}",
                 f"{1e3 * time.ms:,.1f}", f"{time.ratio:.2f}") if time else [_NONE] * 4
            ),
        ])
    before, after = sum(c.shape.macs for c in choices), sum(c.macs for c in choices)
    ms = [sum(t.dense_ms for t in method.times), sum(t.ms for t in method.times)]
    measured = [f"{1e3 * m:,.1f}" for m in ms] + [f"{ms[0] / ms[1]:.2f}"] if ms[1] else [_NONE] * 3
    rows.append(
        ["all", "", f"{before:,}", f"{after:,}", f"{before / after:.2f}", "", "", *measured]
    )
    columns = ("layer", "R, s, t", "MACs, dense#", "MACs#", "times fewer MACs#", "kernel error#",
               "response error#", "dense, µs#", "decomposed, µs#", "times faster, measured#")
    return "<h3>Block terms</h3>" + table(columns, rows) + note(
        "MACs and times are of one image. Times are medians of the integer kernels on one thread "
        "of this machine, of a decomposed layer as it is in the program against a dense layer of 8 "
        "bits. Kernel error is ‖K − K′‖ / ‖K‖ when ranks were chosen; response error is that of "
        "the layer's last factor, before fine-tuning."
    )


def _with_program(
    method: MethodResult,
) -> Iterator[tuple[LayerReport, tuple[str, Constant] | None]]:
    """Layers with the convolutions that stand for them; both are in order of execution."""
    held = list(convolutions(method.program).items())
    known = len(held) == len(method.compression.layers)
    for i, layer in enumerate(method.compression.layers):
        yield layer, held[i] if known else None


def _dead(weights: Constant) -> list[int]:
    flat = weights.array.reshape(len(weights.array), -1)
    return [int(f) for f in np.flatnonzero(~flat.any(axis=1))]


def dead_filters(method: MethodResult) -> str:
    """A warning that names every filter whose weights are all zero; empty without one."""
    after = [
        f"layer {code(name)}: {_listed(filters)}"
        for name, filters in method.compression.dead_filters.items()
    ]
    held = convolutions(method.program)
    left = [f"{code(name)}: {_listed(_dead(w))}" for name, w in held.items() if _dead(w)]
    if not after and not left:
        return ""
    return (
        f'<p class="bad">Warning, {text(method.name)}: filters whose weights are all zero. '
        f"After compression: {'; '.join(after) or 'none'}. "
        f"In the program: {'; '.join(left) or 'none'}.</p>"
    )


def _listed(filters: Iterable[int]) -> str:
    held = list(filters)
    return f"filter{'s' if len(held) > 1 else ''} {', '.join(map(str, held))}"


def accumulators(program: Program) -> str:
    """The range that is proved for every sum, from the weights as they are."""
    rows = []
    for node in program.nodes:
        if isinstance(node.op, Conv | Add | SumPool):
            proved = program.types[node.name].type
            rows.append([
                code(node.name), type(node.op).__name__, _operand_types(program, node),
                f"{proved.lo:,}".replace("-", "−"), f"{proved.hi:,}".replace("-", "−"),
                str(proved.bits), text(proved.dtype.name),
            ])
    columns = ("result", "operator", "operand types", "least#", "largest#", "bits#", "stored as")
    return table(columns, rows)


def _operand_types(program: Program, node: Node) -> str:
    held = [program.types.get(n) or program.constants[n] for n in node.inputs[:2]]
    return text(" × ".join(h.type.name for h in held))


def _reports(result: CompileResult) -> list[tuple[MethodResult, Report]]:
    """All simulations, those of one architecture together."""
    held = [(m, r) for m in result.methods for r in m.hardware]
    names = list(dict.fromkeys(r.architecture.name for _, r in held))
    return sorted(held, key=lambda pair: names.index(pair[1].architecture.name))


def hardware(result: CompileResult) -> str:
    """Cycles, time and energy of one image, for every architecture and method."""
    rows = [
        [
            text(r.architecture.name), text(m.name), f"{r.total_cycles:,}",
            *(f"{sum(getattr(x, part) for x in r.layers):,}" for part, _, _ in CYCLE_PARTS),
            f"{r.architecture.clock_hz / 1e6:g}", f"{r.seconds * 1e3:.4g}",
            f"{r.energy_pj / 1e6:.4g}", text(r.architecture.technology),
            text(r.architecture.dram.kind),
        ]
        for m, r in _reports(result)
    ]
    columns = ("architecture", "method", "cycles#", *(f"{n}#" for _, n, _ in CYCLE_PARTS),
               "clock, MHz#", "time, ms#", "energy, µJ#", "prices", "DRAM")
    return table(columns, rows) + note(
        "One image. Energy is switching energy only: no leakage, no clock of idle PEs, no wires "
        "between memories."
    )


def energy(result: CompileResult) -> str:
    """Energy of one image by component, with the technology of its prices."""
    reports = _reports(result)
    parts = list(dict.fromkeys(part for _, r in reports for part in r.energy_by_component_pj))
    labels = {part: label for part, label, _ in ENERGY_PARTS}
    rows = [
        [
            text(r.architecture.name), text(m.name),
            *(f"{r.energy_by_component_pj.get(part, 0.0) / 1e3:,.1f}" for part in parts),
            f"{r.energy_pj / 1e3:,.1f}",
            text(f"{r.architecture.technology}, {r.architecture.dram.kind}"),
        ]
        for m, r in reports
    ]
    columns = ("architecture", "method", *(f"{labels.get(part, part)}#" for part in parts),
               "all#", "prices")
    return "<h3>Energy by component, nJ an image</h3>" + table(columns, rows)


def sources(result: CompileResult) -> str:
    """What each architecture is, and where every price comes from."""
    reports = {r.architecture.name: r for _, r in _reports(result)}
    machines = [
        (a.name, f"{a.rows} × {a.columns}{f' × {a.depth} bits' if a.depth > 1 else ''} "
         f"{text(a.pe)} PEs, {text(a.flow.meaning)}. Source: {text(a.source)}")
        for a in (r.architecture for r in reports.values())
    ]
    used: dict[Price, list[str]] = {}
    for name, report in reports.items():
        for price in report.prices:
            used.setdefault(price, []).append(name)
    groups: dict[tuple[str, str], list[str]] = {}
    for price, names in used.items():
        said = groups.setdefault((_technology(price), price.source), [])
        said.append(_price(price, [] if len(names) == len(reports) else names))
    rows = [
        [text(technology), text(source), "<br>".join(lines)]
        for (technology, source), lines in groups.items()
    ]
    return "\n".join([
        "<h3>Architectures</h3>", definitions(machines), "<h3>Prices and their sources</h3>",
        table(("technology~", "source~", "prices~"), rows),
    ])


def _technology(price: Price) -> str:
    """Node and supply of a price, and how it got there."""
    if price.off_chip:
        return f"off the chip, {price.scaling}"
    supply = "supply not stated" if price.voltage_v is None else f"{price.voltage_v:g} V"
    return f"{price.node_nm:g} nm, {supply}: {price.scaling}"


def _price(price: Price, names: list[str]) -> str:
    """What one event costs; ``names`` are the architectures that pay it, empty for all."""
    payers = f" ({', '.join(names)})" if names else ""
    return text(f"{price.name}: {price.pj:.4g} pJ, {price.unit}{payers}")
