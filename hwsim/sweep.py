"""Design-space exploration: every workload on every point of a space, in parts that are kept.

A part is a workload on :data:`PART_POINTS` points, costed by the batch form. Finished parts are
files, so that a sweep that was stopped goes on where it was; a part belongs to the space, the
workload and the program that made it, by a digest. Results do not depend on how many processes
worked, or in which order. Chapter [7e].
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwsim.architecture import Architecture
from hwsim.area import areas
from hwsim.batch import evaluate
from hwsim.files import write_text
from hwsim.layers import Workload
from hwsim.simulator import simulate
from hwsim.space import Point, Space

#: Points of a part.
PART_POINTS = 256
#: What is known of a workload on a point, units in the names.
RESULTS = ("seconds", "total_cycles", "compute_cycles", "fill_drain_cycles", "stall_cycles",
           "utilisation", "dram_bits", "energy_pj", "area_mm2")
#: Results of a point, or why there are none.
Outcome: TypeAlias = dict[str, Any] | str
Task: TypeAlias = tuple[Workload, tuple[Point, ...]]
#: Runs tasks, and gives the number and the outcomes of each as it is done.
Runner: TypeAlias = Callable[[dict[int, Task]], Iterable[tuple[int, list[Outcome]]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A workload on a point; ``best`` if no other point of the workload is better [7e.2]."""

    workload: str
    point: Point
    outcome: Outcome
    best: bool


def explore(
    space: Space, *, folder: str | os.PathLike[str] | None = None, run: Runner | None = None,
    done: Callable[[int, int], None] | None = None,
) -> tuple[Row, ...]:
    """Every workload of ``space`` on every point, workload by workload.

    ``folder`` keeps the parts; ``run`` is how they are worked on (:func:`alone`,
    :func:`processes`, :func:`scheduler`); ``done`` hears of finished parts and of all. Raises
    ``ValueError`` with the reason if no machine runs a workload.
    """
    tasks, found = tuple(_tasks(space)), dict[int, list[Outcome]]()
    kept = None if folder is None else _Parts(Path(folder), tasks)
    for number in range(len(tasks)):
        outcomes = kept.load(number) if kept else None
        if outcomes is not None:
            found[number] = outcomes
    if done is not None:
        done(len(found), len(tasks))
    waiting = {i: task for i, task in enumerate(tasks) if i not in found}
    for number, outcomes in (run or alone)(waiting) if waiting else ():
        found[number] = outcomes
        if kept is not None:
            kept.save(number, outcomes)
        if done is not None:
            done(len(found), len(tasks))
    if kept is not None:
        kept.drop_others()
    return tuple(_rows(space, [outcome for i in range(len(tasks)) for outcome in found[i]]))


def _tasks(space: Space) -> Iterator[Task]:
    for workload in space.workloads:
        for first in range(0, len(space.points), PART_POINTS):
            yield workload, space.points[first : first + PART_POINTS]


def _rows(space: Space, outcomes: list[Outcome]) -> Iterator[Row]:
    for i, workload in enumerate(space.workloads):
        mine = outcomes[i * len(space.points) : (i + 1) * len(space.points)]
        known = [j for j, outcome in enumerate(mine) if not isinstance(outcome, str)]
        goals: list[Any] = [mine[j] for j in known]
        if not known:
            raise ValueError(f"workload {workload.name!r}: no architecture runs it; {mine[0]}")
        table = np.array([[goal[name] for name in space.minimise] for goal in goals], dtype=float)
        best = {known[j] for j in np.flatnonzero(front(table))}
        for j, (point, outcome) in enumerate(zip(space.points, mine, strict=True)):
            yield Row(workload=workload.name, point=point, outcome=outcome, best=j in best)


def front(table: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which rows no other row is better than: nowhere larger, and smaller somewhere.

    Rows that are equal stay together.

    >>> front(np.array([[1., 5.], [2., 2.], [3., 2.], [1., 5.]])).tolist()
    [True, True, False, True]
    """
    if not len(table):
        return np.zeros(0, dtype=bool)
    # In lexical order whatever is better than a row comes before it.
    rows, place = np.unique(table, axis=0, return_inverse=True)
    kept: list[int] = []
    for i, row in enumerate(rows):
        if not kept or not (rows[kept] <= row).all(axis=1).any():
            kept.append(i)
    return np.isin(place.reshape(-1), kept)


def cost(task: Task) -> list[Outcome]:
    """The outcomes of one part, in the order of its points."""
    workload, points = task
    outcomes: list[Outcome] = [point.refused for point in points]
    possible = [i for i, point in enumerate(points) if point.machine is not None]
    machines = [machine for p in points if (machine := p.machine) is not None]
    for i, outcome in zip(possible, _costs(workload, machines), strict=True):
        outcomes[i] = outcome
    return outcomes


def _costs(workload: Workload, machines: Sequence[Architecture]) -> list[Outcome]:
    """The same for machines; where one of them is refused, halves are tried."""
    if not machines:
        return []
    if len(machines) == 1 and machines[0].sums != "array":
        return [_alone(workload, machines[0])]
    try:
        batch = evaluate(workload, machines)
    except ValueError as error:
        if len(machines) == 1:
            return [str(error)]
        half = len(machines) // 2
        return [*_costs(workload, machines[:half]), *_costs(workload, machines[half:])]
    return [_outcome(batch, i, machine) for i, machine in enumerate(machines)]


def _outcome(batch: Any, i: int, a: Architecture) -> Outcome:
    whole = {name: sum(getattr(batch, name)[i].tolist()) for name in (*_CLOCKS, "dram_bits")}
    busy = math.fsum((batch.utilisation[i] * batch.total_cycles[i]).tolist())
    return _results(whole, busy, math.fsum(batch.energy_pj[i].tolist()), a)


def _alone(workload: Workload, a: Architecture) -> Outcome:
    """The outcome of a machine that the batch form has not."""
    try:
        report = simulate(workload, a)
    except ValueError as error:
        return str(error)
    whole = {name: sum(getattr(layer, name) for layer in report.layers) for name in _CLOCKS}
    whole["dram_bits"] = report.counts.dram_bits
    busy = math.fsum(layer.utilisation * layer.total_cycles for layer in report.layers)
    return _results(whole, busy, report.energy_pj, a)


_CLOCKS = ("total_cycles", "compute_cycles", "fill_drain_cycles", "stall_cycles")


def _results(whole: dict[str, int], busy: float, energy_pj: float, a: Architecture) -> Outcome:
    """Sums over all layers; ``busy`` is that of clocks times utilisation."""
    known = {
        **whole, "seconds": whole["total_cycles"] / a.clock_hz,
        "utilisation": busy / whole["total_cycles"] if whole["total_cycles"] else 0.0,
        "energy_pj": energy_pj,
        "area_mm2": math.fsum(area.mm2 for area in areas(a)),
    }
    return {name: known[name] for name in RESULTS}


def alone(tasks: dict[int, Task]) -> Iterator[tuple[int, list[Outcome]]]:
    """One task after the other, in this process."""
    for number, task in tasks.items():
        yield number, cost(task)


def processes(count: int) -> Runner:
    """In ``count`` processes."""
    def run(tasks: dict[int, Task]) -> Iterator[tuple[int, list[Outcome]]]:
        workers = min(count, len(tasks))
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            numbers = {pool.submit(cost, task): number for number, task in tasks.items()}
            try:
                for future in as_completed(numbers):
                    yield numbers[future], future.result()
            finally:
                pool.shutdown(cancel_futures=True)

    return run if count > 1 else alone


def scheduler(address: str) -> Runner:
    """On the workers of a Dask scheduler; needs the package ``distributed`` (extra ``cluster``).

    Raises ``ValueError`` where it is not installed or nothing answers at ``address``.
    """
    try:
        import distributed
    except ImportError:
        raise ValueError(
            "--scheduler: the package distributed is not there, rule pip install 'refnet[cluster]'"
        ) from None

    def run(tasks: dict[int, Task]) -> Iterator[tuple[int, list[Outcome]]]:
        try:
            client = distributed.Client(address, set_as_default=False)
        except (OSError, ValueError) as error:
            why = " ".join(str(error).split())
            raise ValueError(f"--scheduler {address}: {why}, rule a Dask scheduler") from None
        with client:
            futures = [client.submit(cost, task, pure=False) for task in tasks.values()]
            numbers = {f.key: number for f, number in zip(futures, tasks, strict=True)}
            for future in distributed.as_completed(futures):
                yield numbers[future.key], future.result()

    return run


class _Parts:
    """The files of finished parts; what cannot be read is made again."""

    def __init__(self, folder: Path, tasks: Sequence[Task]) -> None:
        self.folder, self.counts = folder / "parts", [len(points) for _, points in tasks]
        program = hashlib.sha256()
        for source in sorted(Path(__file__).parent.glob("*.py")):
            program.update(source.read_bytes())
        base = program.digest()
        self.names = [
            f"{hashlib.sha256(base + repr(task).encode()).hexdigest()[:32]}.json" for task in tasks
        ]

    def load(self, number: int) -> list[Outcome] | None:
        """The outcomes of a part, if it is there and whole."""
        try:
            held = json.loads((self.folder / self.names[number]).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        whole = isinstance(held, list) and len(held) == self.counts[number] and all(
            isinstance(one, str) or (isinstance(one, dict) and tuple(one) == RESULTS)
            for one in held
        )
        return held if whole else None

    def save(self, number: int, outcomes: list[Outcome]) -> None:
        """Keep a part."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / self.names[number], json.dumps(outcomes, allow_nan=False))

    def drop_others(self) -> None:
        """Remove parts of older spaces and programs."""
        for path in self.folder.glob("*.json"):
            if re.fullmatch(r"[0-9a-f]{32}\.json", path.name) and path.name not in self.names:
                path.unlink(missing_ok=True)
