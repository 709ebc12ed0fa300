"""The compatibility mode as a command: a topology and a configuration in, reports out."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from hwsim import network
from hwsim.scalesim.config import Config, read_config
from hwsim.scalesim.layer import Layer
from hwsim.scalesim.reports import COLUMNS, row, texts
from hwsim.scalesim.results import LayerResult, run
from hwsim.topology import Line, parse_lines, read_text

#: What ``--compat`` takes.
COMPATIBLE = ("scalesim-3.0.0",)
_MOST_LAYERS = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A topology on a configuration: names and results of its layers, in order."""

    config: Config
    names: tuple[str, ...]
    layers: tuple[LayerResult, ...]

    def reports(self) -> dict[str, str]:
        """The text of every report by file name."""
        return texts(self.layers, self.config)

    def to_json(self) -> str:
        """All columns of all reports, a record a layer."""
        rows = [
            {"LayerID": i, "name": name, **dict(zip(COLUMNS, row(layer), strict=True))}
            for i, (name, layer) in enumerate(zip(self.names, self.layers, strict=True))
        ]
        return json.dumps({"compat": COMPATIBLE[0], "layers": rows}, indent=2) + "\n"

    def to_table(self) -> str:
        """Aligned text for people."""
        c = self.config
        head = ("", "layer", "total cyc", "incl. prefetch", "stall cyc", "util %", "mapping %",
                "DRAM IFMAP", "DRAM filter", "DRAM OFMAP")
        rows: list[tuple[str, ...]] = [head]
        for i, (name, layer) in enumerate(zip(self.names, self.layers, strict=True)):
            words = (str(access.words) for access in layer.dram)
            rows.append((
                str(i), name, str(layer.total_cycles), str(layer.overall_cycles),
                str(layer.stall_cycles), f"{layer.overall_util:.1f}",
                f"{layer.mapping_efficiency:.1f}", *words,
            ))
        widths = [max(len(cells[i]) for cells in rows) for i in range(len(head))]
        lines = [
            "  ".join(cell.ljust(w) if i == 1 else cell.rjust(w)
                      for i, (cell, w) in enumerate(zip(cells, widths, strict=True)))
            for cells in rows
        ]
        mode = "CALC" if c.bandwidths is None else "USER"
        title = f"as {COMPATIBLE[0]} reports it: {c.R} x {c.C}, {c.dataflow}, {mode}; DRAM in words"
        return "\n".join([title, "", *(line.rstrip() for line in lines)]) + "\n"


def simulate(
    topology: str | os.PathLike[str], config: str | os.PathLike[str], *, kind: str = "conv"
) -> Run:
    """What SCALE-Sim 3.0.0 reports of a topology file under a configuration file.

    Raises ``ValueError`` with the file, the line, what was seen and the rule, for input that is
    malformed or that the tool gives no result for; ``OSError`` where a file cannot be read.
    """
    settings = read_config(config)
    where = os.fspath(topology)
    text = read_text(topology)
    if network.has_columns(text):
        raise ValueError(f"{where}:1: named columns, rule a layout that SCALE-Sim reads")
    names: list[str] = []
    results: list[LayerResult] = []
    known: dict[Layer, LayerResult] = {}
    for line in parse_lines(text, where, kind, loose=True):
        try:
            layer, copies = _layer(line, kind, settings)
            if layer not in known:
                known[layer] = run(layer, settings)
        except ValueError as error:
            raise ValueError(f"{where}:{line.number}: layer {line.name!r}: {error}") from None
        channels = kind == "conv" and "DP" in line.name
        names += [f"{line.name}Channel_{i}" for i in range(copies)] if channels else [line.name]
        results += [known[layer]] * copies
    return Run(config=settings, names=tuple(names), layers=tuple(results))


def _layer(line: Line, kind: str, config: Config) -> tuple[Layer, int]:
    """The layer of a line, and how often it runs: once a channel where the name contains DP."""
    kept, block = line.sparsity if config.sparse else (1, 1)
    if kind == "gemm":
        m, n, k = line.sizes
        layer = Layer(
            height=m, width=k, kernel=(1, k), channels=1, filters=n, stride=1, kept=kept,
            block=block,
        )
        return layer, 1
    height, width, rows, columns, channels, filters, stride = line.sizes
    copies = channels if "DP" in line.name else 1
    if copies > _MOST_LAYERS:
        raise ValueError(f"{copies} channels with DP in the name, rule at most {_MOST_LAYERS}")
    layer = Layer(
        height=height, width=width, kernel=(rows, columns), channels=channels // copies,
        filters=filters, stride=stride, kept=kept, block=block,
    )
    return layer, copies


def write_reports(reports: dict[str, str], folder: str | os.PathLike[str]) -> None:
    """Write the reports into ``folder``, made if missing; each under a temporary name first."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    parts = [(target / f".{name}.part", target / name) for name in reports]
    try:
        for (part, _), text in zip(parts, reports.values(), strict=True):
            part.write_text(text, encoding="utf-8")
        for part, final in parts:
            os.replace(part, final)
    finally:
        for part, _ in parts:
            part.unlink(missing_ok=True)
