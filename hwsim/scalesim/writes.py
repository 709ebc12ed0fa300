"""The write buffer: when results of the array reach DRAM, and how many words that takes [7b.5].

Results enter the buffer in lines of C words. Once less than half of the buffer is free, the line
that is being filled is closed, and half a buffer of lines goes to DRAM, one line a clock; the words
are counted as leaving at once. Words that fill up closed lines are counted as data, but for those
of the last line of a drain. Drains soon repeat, so their number costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hwsim.checks import ceil_div
from hwsim.scalesim.layer import Folding
from hwsim.scalesim.skew import clock_of


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
    """The buffer while a layer runs: ``words`` of room, an even number, lines of ``width`` words.

    The array never waits for it, and a drain is over before the next is due: a drain of L lines
    makes room for (L - 1) * width + 1 words or more, and in its L - 1 further clocks no more than
    (L - 1) * width - 1 results arrive [7b.5.2].
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
    first: int = 0
    final: int = 0

    def __post_init__(self) -> None:
        self.free = self.words

    def run(self) -> None:
        """From the first result to the last word in DRAM."""
        due, total = self.words // 2 + 1, self.results.words
        end = self.results.folding.cycles - 1
        self.first = self.results.clock(due - 1) if due <= total else end
        lines, before = 0, (-1, -1)
        while due <= total:
            taken, written = due - self.stored, self.writes
            self._take(due)
            lines = self._drain()
            now = self.free, self.lines - self.drained
            if now == before and not self.short:
                self._repeat((total - due) // taken, taken, self.writes - written)
            before = now
            due = self.stored + self.free - self.words // 2 + 1
        if lines:
            self.final = self.results.clock(self.stored - 1) + lines - 1
        self._take(total)
        while self.drained < self.lines:
            self.final = max(self.final, end + self._drain() - 1)
            end = self.final + 1

    def _take(self, word: int) -> None:
        """Results up to number ``word`` enter, and the line that is being filled is closed."""
        count = word - self.stored
        self.free -= count
        self.lines += ceil_div(count, self.width)
        if count % self.width:
            self.short[self.lines - 1] = self.width - count % self.width
        self.stored = word

    def _drain(self) -> int:
        """Half a buffer of lines to DRAM; how many there were."""
        lines = min(ceil_div(self.words // 2, self.width), self.lines - self.drained)
        self.drained += lines
        words = lines * self.width - self.short.get(self.drained - 1, 0)
        self.short = {line: lack for line, lack in self.short.items() if line >= self.drained}
        self.writes += words
        self.free += words
        return lines

    def _repeat(self, times: int, taken: int, written: int) -> None:
        """``times`` more drains like the last, which left the buffer as the one before it did."""
        lines = times * ceil_div(taken, self.width)
        self.stored += times * taken
        self.writes += times * written
        self.lines += lines
        self.drained += lines
