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
    """The buffer while a layer runs: ``words`` of room, lines of ``width`` words.

    The array never waits for it. A drain of L lines makes room for (L - 1) * width + 1 words or
    more, and in the L - 1 clocks until the next may begin no more than (L - 1) * width - 1 results
    arrive; so no drain finds less room than the first, which finds half a buffer less one word.
    """

    results: Results
    words: int
    width: int
    free: int = 0
    stored: int = 0
    lines: int = 0
    drained: int = 0
    short: dict[int, int] = field(default_factory=dict)
    writes: int = 0
    first: int | None = None
    final: int = 0
    idle: int = 0

    def __post_init__(self) -> None:
        self.free = self.words

    def run(self) -> None:
        """From the first result to the last word in DRAM."""
        half = ceil_div(self.words, 2)
        while True:
            early = self.results.before(self.idle)
            word = max(self.stored + max(self.free - half, 0), early) + 1
            if word > self.results.words:
                break
            self._take(word)
            self._drain(self.results.clock(word - 1))
        self._take(self.results.words)
        clock = self.results.folding.cycles - 1
        while self.drained < self.lines:
            self._drain(clock)
            clock = self.idle + 1

    def _take(self, word: int) -> None:
        """Results up to number ``word`` enter, and the line that is being filled is closed."""
        count = word - self.stored
        self.free -= count
        self.lines += ceil_div(count, self.width)
        if count % self.width:
            self.short[self.lines - 1] = self.width - count % self.width
        self.stored = word

    def _drain(self, clock: int) -> None:
        """Half a buffer of lines to DRAM, from ``clock`` on."""
        lines = ceil_div(self.words // 2, self.width)
        end = min(self.drained + lines, self.lines)
        words = (end - self.drained) * self.width - self.short.get(end - 1, 0)
        self.writes += words
        self.free += words
        self.idle = clock + end - self.drained - 1
        self.drained = end
        self.first = clock if self.first is None else self.first
        self.final = max(self.final, self.idle)
