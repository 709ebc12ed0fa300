"""Row-stationary: the words that move at each level of Eyeriss, and their energy [7.3.8].

Four levels, each with a price: scratchpads of the PEs, the array (words delivered to PEs, and sums
handed from PE to PE), the global buffer, DRAM. Chen et al., ISCA 2016 (levels and relative costs)
and JSSC 52(1), 2017 (mappings and measurements).
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.checks import ceil_div
from hwsim.rowstationary import RowMapping, RowShape, check_fit

#: Words of 16 bits in the part of the global buffer that holds inputs and sums: 100 kB.
BUFFER_WORDS = 100 * 1024 // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelCosts:
    """Energy of a multiply-accumulate and of a word at each level, in any one unit."""

    mac: float
    spad: float
    array: float
    buffer: float
    dram: float


#: Chen et al., ISCA 2016, table IV: relative to one 16-bit multiply-accumulate, 65 nm.
ISCA_2016 = LevelCosts(mac=1, spad=1, array=2, buffer=6, dram=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTraffic:
    """Words that move in a layer; sums and results are of 16 bits like the operands."""

    macs: int
    input_deliveries: int
    weight_deliveries: int
    sum_moves: int
    input_buffer_reads: int
    weight_buffer_reads: int
    sum_buffer_reads: int
    sum_buffer_writes: int
    input_dram_reads: int
    weight_dram_reads: int
    output_dram_writes: int

    @property
    def spad_words(self) -> int:
        """A multiply-accumulate reads an input, a weight and a sum, and writes the sum."""
        return 4 * self.macs

    @property
    def array_words(self) -> int:
        """Words that PEs take from the network or from the PE below."""
        return self.input_deliveries + self.weight_deliveries + self.sum_moves

    @property
    def buffer_words(self) -> int:
        """Accesses of the array to the global buffer."""
        reads = self.input_buffer_reads + self.weight_buffer_reads + self.sum_buffer_reads
        return reads + self.sum_buffer_writes

    @property
    def dram_words(self) -> int:
        """All words of DRAM, none of them compressed."""
        return self.input_dram_reads + self.weight_dram_reads + self.output_dram_writes

    def energy(self, costs: LevelCosts) -> dict[str, float]:
        """Energy of each level in the unit of ``costs``."""
        return {
            "mac": self.macs * costs.mac, "spad": self.spad_words * costs.spad,
            "array": self.array_words * costs.array, "buffer": self.buffer_words * costs.buffer,
            "dram": self.dram_words * costs.dram,
        }


def row_traffic(
    shape: RowShape, mapping: RowMapping, *, rows: int = 12, columns: int = 14,
    buffer_words: int = BUFFER_WORDS,
) -> RowTraffic:
    """The words of a layer under a mapping: what its passes move, without walking them.

    Blocks of ``m`` filters, ``n`` images and ``e`` output rows wait in the buffer as sums while all
    channels pass by. Raises ``ValueError`` where the mapping does not fit.

    >>> conv5 = RowShape(batch=4, groups=2, channels=192, filters=128, kernel_rows=3,
    ...                  kernel_columns=3, output_rows=13, output_columns=13, padding=1)
    >>> moved = row_traffic(conv5, RowMapping(e=13, p=16, q=3, r=2, t=2, m=64, n=4))
    >>> moved.buffer_words * 2 / 1e6                              # MB; the chip: 24.9
    24.766464
    """
    s, at = shape, mapping
    check_fit(s, at, rows, columns)
    strips = [range(y, min(y + at.e, s.output_rows)) for y in range(0, s.output_rows, at.e)]
    touched = sum(len(set(_input_rows(s, strip))) for strip in strips)
    _check_buffer(s, at, max(len(set(_input_rows(s, strip))) for strip in strips), buffer_words)
    images = s.batch * s.groups
    maps = images * s.channels * s.input_columns
    weights = s.groups * s.filters * s.channels * s.kernel_rows * s.kernel_columns
    loads = ceil_div(s.batch, at.n)
    results = images * s.filters * s.output_rows * s.output_columns
    blocks, rest = divmod(s.filters, at.p * at.t)
    sets = blocks * at.t + ceil_div(rest, at.p)
    depths = [min(at.q * at.r, s.channels - c) for c in range(0, s.channels, at.q * at.r)]
    return RowTraffic(
        macs=s.macs,
        input_deliveries=maps * sets * len(_input_rows(s, range(s.output_rows))),
        weight_deliveries=weights * loads * s.output_rows,
        sum_moves=results * sum(s.kernel_rows * ceil_div(d, at.q) - 1 for d in depths),
        input_buffer_reads=maps * touched * ceil_div(s.filters, at.p * at.t),
        weight_buffer_reads=weights * loads * len(strips),
        sum_buffer_reads=results * (len(depths) - 1),
        sum_buffer_writes=results * len(depths),
        input_dram_reads=maps * touched * ceil_div(s.filters, at.filters),
        weight_dram_reads=weights * loads * len(strips),
        output_dram_writes=results,
    )


def _input_rows(s: RowShape, strip: range) -> list[int]:
    """The input row under every kernel row of every output row of ``strip``, but for padding."""
    under = (y * s.stride + i - s.padding for y in strip for i in range(s.kernel_rows))
    return [row for row in under if 0 <= row < s.input_rows]


def _check_buffer(s: RowShape, at: RowMapping, touched: int, room: int) -> None:
    """Sums of a block and the input rows of a pass are in the buffer at once."""
    images = min(at.n, s.batch)
    sums = min(at.filters, s.filters) * images * min(at.e, s.output_rows) * s.output_columns
    inputs = min(at.q * at.r, s.channels) * images * touched * s.input_columns
    if sums + inputs > room:
        raise ValueError(
            f"RowMapping: {sums} sums and {inputs} inputs in the buffer, rule at most {room} words"
        )
