"""A program made ready: nodes fused, constants packed, buffers made once, images over threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from refnet.kernels.assembly import Assembly, Stage
from refnet.kernels.forms import Arrays, Workspaces, buffer
from refnet.kernels.team import Meeting, Team
from refnet.kernels.tiers import Tier, checked, current
from refnet.program import IntArray, Program, run

#: Images that go through the whole program at a time at most, for any number of threads.
CHUNK_IMAGES = 32
#: Elements of a value, of all images of a chunk, where there is more than one.
_CHUNK_ELEMENTS = 1 << 20
_ALONE = Team(threads=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``plan(x)``: the integers of ``run(program, x)``, by compiled kernels.

    Threads may call one plan at the same time: each call takes buffers of its own. Threads share
    out the chunks of a batch, or the outputs of each step where chunks are too few. Integers are
    summed in registers of one thread, so the result does not depend on ``threads``.
    """

    program: Program
    threads: int
    tier: Tier
    stages: tuple[Stage, ...]
    #: Images of a chunk.
    images: int
    #: The program without its steps: running it checks and converts the input, nothing else.
    entrance: Program
    workspaces: Workspaces
    team: Team

    def __call__(self, x: IntArray) -> IntArray:
        """x (N, *input shape) -> the output (N, ...); raises as ``run`` where x does not fit."""
        x = run(self.entrance, x)
        kind = self.program.types[self.program.output]
        out = np.empty((len(x), *kind.shape), dtype=kind.type.dtype)
        starts = range(0, len(x), self.images)

        def chunk(start: int, team: Team = _ALONE) -> None:
            images = slice(start, start + self.images)
            self._through(np.ascontiguousarray(x[images]), out[images], team)

        if self.threads == 1 or len(starts) < self.threads:
            for start in starts:
                chunk(start, self.team)
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                for done in [pool.submit(chunk, start) for start in starts]:
                    done.result()
        return out

    def _through(self, x: IntArray, out: IntArray, team: Team) -> None:
        arrays, images = self.workspaces.take(), len(x)
        arrays[self.program.input, "plain"] = x
        held = [
            (tuple(arrays[p] for p in stage.reads), tuple(arrays[p] for p in stage.writes))
            for stage in self.stages
        ]

        def walk(part: int, meeting: Meeting) -> None:
            for number, (stage, (reads, writes)) in enumerate(zip(self.stages, held, strict=True)):
                if number and meeting.parts > 1:
                    meeting.reach(part, number)
                action: Any = stage.action
                if stage.in_parts:
                    action(reads, writes, images, part, meeting.parts)
                elif part == 0:
                    action(reads, writes, images)

        team.walk(walk)
        out[:] = arrays[self.program.output, "plain"][:images]
        self.workspaces.give(arrays)


def compile(program: Program, *, threads: int = 1, tier: Tier | str | None = None) -> Plan:
    """Choose kernels for ``program``, fuse its nodes and pack its constants.

    ``threads`` threads share a batch at every call; ``tier`` takes kernels of a lower tier than
    ``tiers.current()``. Nothing is compiled to machine code for the sake of images before the first
    call. Raises ``ValueError`` where ``threads`` is below 1, or this process cannot run ``tier``.
    """
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise ValueError(f"compile: threads={threads!r} must be an integer >= 1")
    level = current() if tier is None else checked(tier)
    entrance = Program(
        name=program.name, input=program.input, input_type=program.input_type,
        nodes=(), constants={}, output=program.input,
    )  # fmt: skip
    widest = max(kind.elements for kind in program.types.values())
    images = max(1, min(CHUNK_IMAGES, _CHUNK_ELEMENTS // widest))
    assembly = Assembly(program=program, tier=level, images=images)
    assembly.assemble()
    return Plan(
        program=program, threads=threads, tier=level, stages=tuple(assembly.stages), images=images,
        entrance=entrance, workspaces=Workspaces(make=_maker(assembly)),
        team=Team(threads=threads),
    )


def _maker(assembly: Assembly) -> Callable[[], Arrays]:
    places = {place for stage in assembly.stages for place in stage.writes}
    types, layouts = assembly.program.types, assembly.layouts

    def make() -> Arrays:
        arrays: Arrays = {
            (name, form): buffer(types[name], form, layouts.get(name), assembly.images)
            for name, form in sorted(places - set(assembly.shared))
        }
        # In the order of the stages: what is shared may be shared again.
        for place, earlier in assembly.shared.items():
            arrays[place] = arrays[earlier]
        return arrays

    return make
