"""A layer under a given bandwidth, clock by clock: stalls as SCALE-Sim 3.0.0 counts them [7b.9]."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hwsim.checks import ceil_div
from hwsim.scalesim.config import Config
from hwsim.scalesim.demand import Operand, demand, operands, prefetch_order
from hwsim.scalesim.layer import Folding, Layer
from hwsim.scalesim.prefetch import Prefetches, prefetches
from hwsim.scalesim.skew import IntArray
from hwsim.scalesim.writes import Results


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Total and stalled clocks; first and last clock of the six streams, and words of DRAM's."""

    total: int
    stalls: int
    sram: tuple[tuple[int, int], ...]
    dram: tuple[tuple[int, int, int], ...]


@dataclass(slots=True, kw_only=True)
class Drains:
    """The write buffer: ``words`` of room in lines of ``width``, half of it drained at a time."""

    words: int
    width: int
    free: int = 0
    filled: int = 0
    lines: int = 0
    drained: int = 0
    end: int = 0
    writes: int = 0
    first: int = -1
    last: int = -1
    short: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.free = self.words

    def take(self, count: int, clock: int) -> int:
        """``count`` results come at ``clock``; the clock at which all are in.

        While a drain goes on, a buffer that is full waits for its end. Otherwise less than half a
        buffer of room starts the next one.
        """
        while count:
            busy = clock < self.end
            due = max(1, self.free if busy else self.free - self.words // 2 + 1)
            taken = min(due, count)
            self.free, count = self.free - taken, count - taken
            lines, self.filled = divmod(self.filled + taken, self.width)
            self.lines += lines
            if taken < due:
                break
            if busy:
                clock = self.end
            else:
                self.drain(clock)
        return clock

    def close(self) -> None:
        """The line that is being filled ends here."""
        if self.filled:
            self.short[self.lines] = self.width - self.filled
            self.lines, self.filled = self.lines + 1, 0

    def drain(self, clock: int) -> None:
        """Half a buffer of lines goes out, a line a clock from ``clock`` on."""
        self.close()
        lines = min(ceil_div(self.words // 2, self.width), self.lines - self.drained)
        self.drained += lines
        words = lines * self.width - self.short.pop(self.drained - 1, 0)
        self.writes, self.free, self.end = self.writes + words, self.free + words, clock + lines - 1
        self.first = min(self.first, clock) if self.drained > lines else clock
        self.last = max(self.last, self.end)

    def empty(self, clock: int) -> None:
        """All that is left goes out from ``clock`` on, one drain after the other."""
        self.close()
        while self.drained < self.lines:
            self.drain(clock)
            clock = self.end + 1


def timing(layer: Layer, f: Folding, config: Config, bandwidths: tuple[int, int, int]) -> Timing:
    """Every clock of ``layer`` under ``bandwidths``, words a clock of X, W and results.

    Raises ``ValueError`` if the layer is too large to write out.
    """
    sizes = 1024 * config.input_kb, 1024 * config.filter_kb
    x, w = (
        _buffer(o, f, words, bandwidth)
        for o, words, bandwidth in zip(operands(layer, f), sizes, bandwidths[:2], strict=True)
    )
    y = Drains(words=1024 * config.output_kb, width=bandwidths[2])
    results, counts, last = Results(folding=f), _results_by_clock(f), f.cycles - 1
    ends = ((x.start, x.stop), (w.start, w.stop),
            (results.clock(0), results.clock(results.words - 1)))
    watched = {row for span in ends for row in span} | {last}
    served: dict[int, tuple[int, int, int]] = {}
    stalls, total, before = 0, 0, -1
    for row in sorted(watched.union(x.waits, w.waits, np.flatnonzero(counts).tolist())):
        clock = row + stalls
        if row - 1 > before:
            total = max(total, clock - 1)  # a clock without results between two rows
        more = x.serve(row, clock), w.serve(row, clock)
        out = y.take(int(counts[row]), clock)
        if row in watched:
            served[row] = clock + 1 + more[0], clock + 1 + more[1], out
        stalls += max(*more, out - clock)
        total, before = max(total, out), row
    y.empty(served[last][2])
    return Timing(
        total=total, stalls=stalls,
        sram=tuple((served[a][i], served[b][i]) for i, (a, b) in enumerate(ends)),
        dram=(*((-r.first, r.ready, r.words) for r in (x, w)), (y.first, y.last, y.writes)),
    )


def _buffer(o: Operand, f: Folding, words: int, bandwidth: int) -> Prefetches:
    return prefetches(prefetch_order(o), o.places, o.size, demand(o, f), words, bandwidth)


def _results_by_clock(f: Folding) -> IntArray:
    """How many results leave the array in each clock [7b.3.2]."""
    counts = np.zeros(f.cycles, dtype=np.int64)
    for fold in range(f.folds):
        column, row = divmod(fold, f.row_folds)
        ports = min(f.C, f.columns - column * f.C)
        used = min(f.R, f.rows - row * f.R)
        time, lead = f.time, 2 * f.R - 1
        if f.dataflow == "os":
            time, lead = used, f.time - 1 + f.R - used
        clocks = np.arange(time + ports - 1)
        width = np.minimum(np.minimum(clocks + 1, clocks[::-1] + 1), min(time, ports))
        counts[fold * f.fold_cycles + lead + clocks] = width
    return counts
