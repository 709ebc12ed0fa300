"""What a sweep found, as CSV, JSON and text: all points, and those that no other point beats."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hwsim.space import Space
from hwsim.sweep import RESULTS, Row

#: Version of the JSON layout.
FORMAT_VERSION = 1
#: Most lines of a workload in the printed table.
_MOST_LINES = 30
# Results as people read them: by how much they are divided, and the digits that are shown.
_SHOWN = {
    "seconds": ("time ms", 1e-3), "energy_pj": ("energy uJ", 1e6), "area_mm2": ("area mm2", 1.0),
    "total_cycles": ("total kcyc", 1e3), "stall_cycles": ("stall kcyc", 1e3),
    "dram_bits": ("DRAM kword", 64e3), "utilisation": ("util %", 1e-2),
}


def texts(space: Space, rows: Sequence[Row]) -> dict[str, str]:
    """The text of every file but the figure, by name; the same bytes every time."""
    best = [row for row in rows if row.best]
    return {
        "points.csv": _csv(space, rows, refused=True),
        "pareto.csv": _csv(space, best, refused=False),
        "sweep.json": json.dumps(_as_dict(space, rows), indent=2, allow_nan=False) + "\n",
    }


def _csv(space: Space, rows: Sequence[Row], *, refused: bool) -> str:
    """A line a workload and point; a point that is refused has a reason and no results."""
    last = ["on_pareto_front", "refused"] if refused else []
    head = ["workload", "architecture", *space.fields, *RESULTS, *last]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=head, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        line: dict[str, Any] = {
            "workload": row.workload, "architecture": row.point.base, **row.point.settings,
        }
        if isinstance(row.outcome, str):
            line["refused"] = row.outcome
        else:
            line.update(row.outcome)
        if refused:
            line["on_pareto_front"] = int(row.best)
        writer.writerow(line)
    return text.getvalue()


def _as_dict(space: Space, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "format": FORMAT_VERSION,
        "space": space.name,
        "minimise": list(space.minimise),
        "workloads": [
            {
                "name": workload.name,
                "points": len(space.points),
                "refused": sum(isinstance(row.outcome, str) for row in mine),
                "pareto": [
                    {"architecture": row.point.base, "settings": row.point.settings,
                     "results": row.outcome}
                    for row in mine if row.best
                ],
            }
            for workload in space.workloads
            for mine in [[row for row in rows if row.workload == workload.name]]
        ],
    }


def to_table(space: Space, rows: Sequence[Row], folder: str) -> str:
    """Aligned text for people: a table a workload, the first objective rising."""
    lines = []
    for workload in space.workloads:
        mine = [row for row in rows if row.workload == workload.name]
        best = sorted((row for row in mine if row.best), key=lambda row: [
            row.outcome[goal] for goal in space.minimise if not isinstance(row.outcome, str)
        ])
        bad = sum(isinstance(row.outcome, str) for row in mine)
        lines.append(f"{workload.name}: {len(best)} of {len(mine)} points on the Pareto front of "
                     f"{', '.join(space.minimise)}" + (f"; {bad} refused" if bad else ""))
        lines += ["", *_aligned(space, best[:_MOST_LINES])]
        if len(best) > _MOST_LINES:
            lines.append(f"and {len(best) - _MOST_LINES} more")
        lines.append("")
    lines.append(f"all points in {folder}/points.csv, fronts in pareto.csv, sweep.json and "
                 "pareto.png; kcyc are 1000 clocks, DRAM words have 64 bits")
    return "\n".join(lines) + "\n"


def _aligned(space: Space, rows: Sequence[Row]) -> list[str]:
    goals = list(dict.fromkeys((*space.minimise, "total_cycles", "utilisation", "dram_bits")))
    table = [["architecture", *space.fields, *(_SHOWN[goal][0] for goal in goals)]]
    for row in rows:
        assert not isinstance(row.outcome, str)
        settings = (str(row.point.settings.get(name, "")) for name in space.fields)
        results = (f"{row.outcome[goal] / _SHOWN[goal][1]:.5g}" for goal in goals)
        table.append([row.point.base, *settings, *results])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) if i else cell.ljust(width)
                  for i, (cell, width) in enumerate(zip(cells, widths, strict=True))).rstrip()
        for cells in table
    ]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


@contextmanager
def progress() -> Iterator[Callable[[int, int], None]]:
    """Gives what hears of finished parts; shows a bar where standard error is a terminal."""
    from tqdm import tqdm

    with tqdm(unit=" parts", disable=None) as bar:
        def done(count: int, total: int) -> None:
            bar.total = total
            bar.update(count - bar.n)

        yield done
