"""The write buffer: when results of the array reach DRAM, and how many words that takes [7b.5].

Results enter the buffer in lines of C words. Once less than half of the buffer is free and the last
drain is over, the line that is being filled is closed, and half a buffer of lines goes to DRAM, one
line a clock; the words are counted as leaving at once. Words that fill up closed lines are counted
as data, but for those of the last line of a drain.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hwsim.checks import ceil_div
from hwsim.scalesim.layer import Folding
from hwsim.scalesim.skew import asked_before, clock_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The stream of results: in every fold a lead, then a skewed block of rows of its columns."""

    folding: Folding

    @property
    def words(self) -> int:
        """All results, those of every row fold."""
        f = self.folding
        return f.rows * f.columns if f.dataflow == "os" else f.row_folds * f.columns * f.time

    def clock(self, word: int) -> int:
        """The clock at which the array gives result number ``word``, from 0."""
        f = self.folding
        per_column = self.words // f.columns
        column, word = divmod(word, per_column * f.C)
        ports = min(f.C, f.columns - column * f.C)
        full = f.R if f.dataflow == "os" else f.time
        row, element = divmod(word, full * ports)
        time = self._time(row)
        return (column * f.row_folds + row) * f.fold_cycles + self._lead(row) + clock_of(
            element, time, ports
        )

    def before(self, clock: int) -> int:
        """Results that the array gives before ``clock``."""
        f = self.folding
        if clock >= f.cycles:
            return self.words
        fold, clock = divmod(max(clock, 0), f.fold_cycles)
        column, row = divmod(fold, f.row_folds)
        ports = min(f.C, f.columns - column * f.C)
        time = self._time(row)
        full = f.R if f.dataflow == "os" else f.time
        done = column * f.C * (self.words // f.columns) + row * full * ports
        return done + asked_before(max(0, clock - self._lead(row)), time, ports)

    def _time(self, row: int) -> int:
        """Rows of results of a fold."""
        f = self.folding
        return min(f.R, f.rows - row * f.R) if f.dataflow == "os" else f.time

    def _lead(self, row: int) -> int:
        """Clocks of a fold before its first result; output-stationary, rows leave bottom up."""
        f = self.folding
        return f.time - 1 + f.R - self._time(row) if f.dataflow == "os" else 2 * f.R - 1


@dataclass(slots=True)
class WriteBuffer:
    """The buffer while a layer runs; all sizes in words, all clocks with stalls."""

    results: Results
    words: int
    width: int
    free: int = 0
    stored: int = 0
    closed: int = 0
    lines: int = 0
    drained: int = 0
    short: dict[int, int] = field(default_factory=dict)
    writes: int = 0
    first: int | None = None
    final: int = 0
    idle: int = 0
    stalls: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.free = self.words

    @property
    def active(self) -> int:
        """Half of the buffer, the part that fills."""
        return ceil_div(self.words, 2)

    @property
    def stall(self) -> int:
        """Stall clocks so far."""
        return self.stalls[-1][1] if self.stalls else 0

    def run(self) -> None:
        """From the first result to the last word in DRAM."""
        while self._step():
            pass
        self._close(self.results.words)
        start = self.results.folding.cycles - 1 + self.stall
        while self.drained < self.lines:
            self._drain(start)
            start = self.idle + 1

    def _step(self) -> bool:
        """Go on to the next drain, or to the next stall before it; False if there is neither."""
        idle = self.results.before(self.idle - self.stall)
        full = self.stored + max(self.free, 1)
        if full <= idle:
            self._wait(full)
            return True
        word = max(self.stored + max(self.free - self.active, 0), idle, self.stored) + 1
        if word > self.results.words:
            return False
        self._take(word)
        self._close(word)
        self._drain(self.results.clock(word - 1) + self.stall)
        return True

    def _take(self, word: int) -> None:
        self.free -= word - self.stored
        self.stored = word

    def _wait(self, word: int) -> None:
        """No room after result ``word`` while a drain runs: the array waits for its end."""
        self._take(word)
        clock = self.results.clock(word - 1)
        self.stalls.append((clock, self.idle - clock))

    def _close(self, word: int) -> None:
        """Close the line that is being filled."""
        count = word - self.closed
        self.lines += ceil_div(count, self.width)
        if count % self.width:
            self.short[self.lines - 1] = self.width - count % self.width
        self.closed = word

    def _drain(self, clock: int) -> None:
        """Half a buffer of lines to DRAM, from ``clock`` on."""
        half = self.words - self.active
        end = min(self.drained + ceil_div(half, self.width), self.lines)
        words = (end - self.drained) * self.width - self.short.get(end - 1, 0)
        self.writes += words
        self.free += words
        self.idle = clock + end - self.drained - 1
        self.drained = end
        self.first = clock if self.first is None else self.first
        self.final = max(self.final, self.idle)
