"""A layer on an array as SCALE-Sim 3.0.0 reports it [7b.2].

Everything before the ratios is an exact integer. The ratios are made of them with the same
operations in the same order as the tool's, so that the printed digits agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.checks import ceil_div
from hwsim.scalesim.config import Config
from hwsim.scalesim.layer import Folding, Layer
from hwsim.scalesim.stalls import timing
from hwsim.scalesim.streams import Reads, filters, inputs
from hwsim.scalesim.writes import Results, WriteBuffer

#: Words a clock of the first prefetch.
FIRST_BANDWIDTH = 10
_LARGEST_SUM = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One of the six streams: first and last clock, and words."""

    start: int
    stop: int
    words: int | float


#: IFMAP, filter and OFMAP.
Streams = tuple[Access, Access, Access]


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Words of the filters: dense, sparse with metadata, and the metadata alone."""

    dense: int
    sparse: int | float
    metadata: int | float

    @classmethod
    def of(cls, layer: Layer, representation: str) -> Storage:
        """In ``csr``, ``csc`` or ``ellpack_block``; metadata of the last in bits, 32 a word."""
        dense, held = layer.window * layer.n, layer.k * layer.n
        if representation == "ellpack_block":
            bits = (layer.block - 1).bit_length()
            return cls(dense=dense, sparse=held + held * bits / 32, metadata=held * bits / 32)
        ends = (layer.window if representation == "csr" else layer.n) + 1
        return cls(dense=dense, sparse=2 * held + ends, metadata=held + ends)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerResult:
    """The rows of a layer in the three reports; ratios in percent, bandwidths in words a clock."""

    overall_cycles: int
    total_cycles: int
    stall_cycles: int
    overall_util: float
    mapping_efficiency: float
    compute_util: float
    sram: Streams
    dram: Streams
    storage: Storage

    @property
    def bandwidths(self) -> tuple[float, ...]:
        """Averages of IFMAP, filter and OFMAP: of the SRAMs, then of DRAM."""
        on_chip = [access.words / self.total_cycles for access in self.sram]
        return (*on_chip, *(a.words / (a.stop - a.start + 1) for a in self.dram))

    @property
    def metadata_bandwidth(self) -> float:
        """Average of the metadata of sparse filters."""
        return self.storage.metadata / self.total_cycles


def run(layer: Layer, config: Config) -> LayerResult:
    """What the tool reports of one layer; raises ``ValueError`` where it would give nothing."""
    folding = Folding.of(layer, config.dataflow, config.R, config.C)
    if folding.cycles < 2:
        raise ValueError("one clock in all: rule two or more, the tool divides by the last index")
    x = inputs(layer, folding, config.input_kb)
    w = filters(layer, folding, config.filter_kb)
    results = Results(folding=folding)
    sram = (
        _served(x, _input_words(x, layer, folding, config)), _served(w, w.requests),
        _given(results),
    )
    if config.bandwidths is None:
        buffer = WriteBuffer(results=results, words=1024 * config.output_kb, width=config.C)
        buffer.run()
        dram: Streams = (_fetched(x), _fetched(w), _drained(buffer))
        return _result(layer, folding, config, (folding.cycles - 1, 0), sram, dram)
    at = timing(layer, folding, config, config.bandwidths)
    if at.total < 1:
        raise ValueError(f"ends at clock {at.total}: rule 1 or later, the tool divides by it")
    sram_x, sram_w, sram_y = (
        Access(start=start, stop=stop, words=access.words)
        for (start, stop), access in zip(at.sram, sram, strict=True)
    )
    dram_x, dram_w, dram_y = (
        Access(start=start, stop=stop, words=words) for start, stop, words in at.dram
    )
    return _result(layer, folding, config, (at.total, at.stalls), (sram_x, sram_w, sram_y),
                   (dram_x, dram_w, dram_y))


def _result(
    layer: Layer, folding: Folding, config: Config, cycles: tuple[int, int], sram: Streams,
    dram: Streams,
) -> LayerResult:
    """The rows of a layer from its total and stalled clocks and its six streams."""
    total, stalls = cycles
    return LayerResult(
        overall_cycles=dram[2].stop - min(dram[0].start, dram[1].start),
        total_cycles=total, stall_cycles=stalls,
        overall_util=layer.macs * 100 / (total * config.R * config.C),
        mapping_efficiency=_mean(folding, _mapped) * 100,
        compute_util=_mean(folding, _computing) * 100,
        sram=sram, dram=dram, storage=Storage.of(layer, config.sparse),
    )


def _input_words(x: Reads, layer: Layer, f: Folding, config: Config) -> int | float:
    """Requests for X; weight-stationary, the tool counts M/N of them where N:M sparsity is on."""
    if not config.sparse or f.dataflow != "ws":
        return x.requests
    ratio = layer.block / layer.kept

    def words(f: Folding, rows: int, columns: int) -> float:
        return f.time * rows * ratio

    return _sum(f, words) if f.folds <= _LARGEST_SUM else x.requests * ratio


def _served(reads: Reads, words: int | float) -> Access:
    """Requests of the array: the word comes one clock after it is asked for."""
    return Access(start=reads.first + 1, stop=reads.final + 1, words=words)


def _given(results: Results) -> Access:
    """Results of the array; output-stationary, the tool adds height and width of every fold."""
    f = results.folding
    extra = f.folds * (f.R + f.C) if f.dataflow == "os" else 0
    return Access(
        start=results.clock(0), stop=results.clock(results.words - 1), words=results.words + extra
    )


def _fetched(reads: Reads) -> Access:
    """DRAM reads: the first prefetch ends before the first request, the others at the refills.

    A half that never fills is fetched as if the first request came at clock 0, in whole sets.
    """
    if reads.refilled is None:
        sets = ceil_div(reads.misses.reads, reads.capacity // 50)
        words = sets * (reads.capacity // 50)
        return Access(start=-ceil_div(words, FIRST_BANDWIDTH), stop=-1, words=reads.misses.reads)
    return Access(
        start=reads.first - ceil_div(reads.capacity, FIRST_BANDWIDTH), stop=reads.refilled + 1,
        words=reads.misses.reads,
    )


def _drained(buffer: WriteBuffer) -> Access:
    return Access(start=buffer.first, stop=buffer.final, words=buffer.writes)


def _mapped(f: Folding, rows: int, columns: int) -> float:
    return rows * columns / (f.R * f.C)


def _computing(f: Folding, rows: int, columns: int) -> float:
    """Products over PEs times clocks; of the operand that stays, the tool skews the load too."""
    clocks = f.fold_cycles if f.dataflow == "os" else f.fold_cycles + f.C - 1
    return rows * columns * f.time / (f.R * f.C * clocks)


def _mean(f: Folding, value: Callable[[Folding, int, int], float]) -> float:
    """Mean of ``value`` over the folds; of more than 2**24 folds the sum is rounded once."""
    if f.folds > _LARGEST_SUM:
        return value(f, f.rows, f.columns) / f.folds
    return _sum(f, value) / f.folds


def _sum(f: Folding, value: Callable[[Folding, int, int], float]) -> float:
    """``value`` of all folds, added one after the other as the tool does."""
    total = 0.0
    last = f.columns - (f.column_folds - 1) * f.C
    for columns, count in ((f.C, f.column_folds - 1), (last, 1)):
        stripe = np.full(f.row_folds, value(f, f.R, columns))
        stripe[-1] = value(f, f.rows - (f.row_folds - 1) * f.R, columns)
        total = _added(total, stripe, count)
    return total


def _added(total: float, stripe: NDArray[np.float64], count: int) -> float:
    """``total`` plus ``count`` times the numbers of ``stripe``, from left to right."""
    together = max(1, (1 << 16) // len(stripe))
    while count > 0:
        times = min(together, count)
        total = float(np.add.accumulate(np.r_[total, np.tile(stripe, times)])[-1])
        count -= times
    return total
