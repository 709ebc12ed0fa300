"""Banks of the memories beside the array: how long the busiest one needs [7.4.7].

Port i of an edge of the array has its stream in bank i modulo the number of banks, packed into
words; a bank gives a word a clock. Folds at an edge of the problem use the first ports only, so the
first bank is the busiest. One case, or a lane a case, as :mod:`hwsim.closed_forms`.
"""

from __future__ import annotations

from typing import Any

from hwsim.checks import ceil_div
from hwsim.closed_forms import blocks, packs
from hwsim.lanes import Whole, larger, pick


def bank_cycles(p: Any, a: Any, counts: Any) -> Whole:
    """Clocks in which the busiest bank of all gives or takes what the array reads and writes.

    0 where no memory states its banks.
    """
    sides = _sides(p, a)
    high, wide = (next(extent for edge, extent in sides.values() if edge == side)
                  for side in ("rows", "columns"))
    q = packs(p.groups, high, wide, a)
    cycles: Whole = 0
    for name, bits in (
        ("input", counts.input_sram_read_bits), ("weights", counts.weight_sram_read_bits),
        ("output", larger(counts.output_sram_read_bits, counts.output_sram_write_bits)),
    ):
        memory, (side, extent) = getattr(a, name), sides[name]
        if memory.banks is not None:
            busy = _busiest(p.groups, extent, getattr(a, side), q, memory.banks)
            needed = ceil_div(ceil_div(bits, p.groups * extent) * busy, memory.word_bits)
            cycles = larger(cycles, pick(memory.banks > 0, needed, 0))
    return cycles


def _sides(p: Any, a: Any) -> dict[str, tuple[str, Whole]]:
    """The edge of the array that each memory feeds, and the problem's extent along it."""
    if a.dataflow == "ws":
        return {"input": ("rows", p.k), "weights": ("columns", p.n), "output": ("columns", p.n)}
    if a.dataflow == "is":
        return {"weights": ("rows", p.k), "input": ("columns", p.m), "output": ("columns", p.m)}
    return {"input": ("rows", p.m), "weights": ("columns", p.n), "output": ("columns", p.n)}


def _busiest(groups: Whole, extent: Whole, edge: Whole, q: Whole, banks: Whole) -> Whole:
    """Streams in the first bank: of every fold, every ``banks``-th port that is used."""
    banks = larger(banks, 1)
    serial = groups * blocks(extent, edge, lambda used: ceil_div(used, banks))
    packed = blocks(groups, q, lambda held: ceil_div(held * extent, banks))
    return pick(q > 1, packed, serial)
