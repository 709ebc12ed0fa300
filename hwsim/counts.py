"""What a machine does, in exact integers: the problem, the array, and the events counted.

Everything is a Python int, so nothing wraps and nothing is rounded. Memory and register traffic is
counted in bits, since the widths of the operands are part of the question. Prices come later
(:mod:`hwsim.energy`). Chapter [7.2] of the specification defines each count.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from hwsim.checks import normalise
from hwsim.pe import ProcessingElement


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """``groups`` products X (m, k) x W (k, n), with the widths the operands have in the machine.

    ``input_bits`` and ``weight_bits`` are the stored widths of X and W, ``output_bits`` that of a
    finished result, ``accumulator_bits`` that of a partial sum.
    """

    m: int
    k: int
    n: int
    input_bits: int = 8
    weight_bits: int = 8
    output_bits: int = 8
    accumulator_bits: int = 32
    groups: int = 1

    def __post_init__(self) -> None:
        names = "m k n input_bits weight_bits output_bits accumulator_bits groups"
        normalise(self, "Problem", names)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all groups: groups * m * k * n."""
        return self.groups * self.m * self.k * self.n


#: What real arrays do differently, [7.3.6]: names of the choices, the plain machine first.
OPTIONS: dict[str, tuple[str, ...]] = {
    "drain": ("columns", "bus"),
    "load": ("exposed", "hidden"),
    "folds": ("drained", "overlapped"),
    "edges": ("full", "cut"),
    "grouping": ("serial", "packed"),
    "skip": ("none", "weights", "inputs", "both"),
}


def check_options(record: object, what: str) -> None:
    """Raise ``ValueError`` unless every option of ``record`` is a choice of :data:`OPTIONS`."""
    for name, choices in OPTIONS.items():
        value = getattr(record, name)
        if value not in choices:
            raise ValueError(f"{what}: {name}={value!r}, rule {' or '.join(map(repr, choices))}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """The processing elements: ``rows`` x ``columns``, each ``depth`` bits or lanes deep.

    ``depth`` is 1 on systolic arrays. ``element`` is the kind of PE, needed where its rule decides
    about clocks (dataflow ``lanes``).
    ``pass_rows`` is how many rows of the streamed operand pass one load of the stationary one: as
    many as the accumulator memory under a column holds; ``None`` for no limit. The options [7.3.6]:

    * ``drain`` of results that stay: down the ``columns``, or at once on a ``bus``;
    * ``load`` of the stationary operand: ``exposed``, or ``hidden`` behind the fold before;
    * ``folds``: one is ``drained`` before the next starts, or they are ``overlapped``;
    * ``edges``: a fold at the edge lasts as long as a ``full`` one, or is ``cut`` to what it uses;
    * ``grouping``: groups one after the other (``serial``), or ``packed`` along the diagonal;
    * ``skip`` of products whose weight, input, or either (``both``) is zero, among the ``reach``
      slices of k that a unit holds at a time [7c.4].
    """

    rows: int
    columns: int
    depth: int = 1
    pass_rows: int | None = None
    drain: str = "columns"
    load: str = "exposed"
    folds: str = "drained"
    edges: str = "full"
    grouping: str = "serial"
    skip: str = "none"
    reach: int = 1
    element: ProcessingElement | None = None

    def __post_init__(self) -> None:
        normalise(self, "Array", "rows columns depth reach")
        check_options(self, "Array")
        if self.pass_rows is not None:
            normalise(self, "Array", "pass_rows")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Events of a layer, all exact and none negative; ``+`` and ``*`` (by an int) combine them."""

    macs: int = 0
    pe_operations: int = 0
    pe_idle_cycles: int = 0
    skipped_macs: int = 0
    input_register_write_bits: int = 0
    weight_register_write_bits: int = 0
    accumulator_move_bits: int = 0
    input_sram_read_bits: int = 0
    input_sram_write_bits: int = 0
    weight_sram_read_bits: int = 0
    weight_sram_write_bits: int = 0
    output_sram_read_bits: int = 0
    output_sram_write_bits: int = 0
    map_sram_read_bits: int = 0
    map_sram_write_bits: int = 0
    input_dram_read_bits: int = 0
    weight_dram_read_bits: int = 0
    parameter_dram_read_bits: int = 0
    output_dram_write_bits: int = 0
    additions: int = 0
    multiplications: int = 0
    comparisons: int = 0

    def __post_init__(self) -> None:
        normalise(self, "Counts", _EVENTS, least=0)

    def __add__(self, other: Counts) -> Counts:
        mine, its = self.as_dict(), other.as_dict()
        return Counts(**{name: mine[name] + its[name] for name in mine})

    def __mul__(self, times: int) -> Counts:
        return Counts(**{name: value * times for name, value in self.as_dict().items()})

    def as_dict(self) -> dict[str, int]:
        """The counts by name, in the order of the fields."""
        return {name: getattr(self, name) for name in _EVENTS.split()}

    @property
    def dram_bits(self) -> int:
        """All bits that cross the pins of the chip."""
        reads = self.input_dram_read_bits + self.weight_dram_read_bits
        return reads + self.parameter_dram_read_bits + self.output_dram_write_bits


_EVENTS = " ".join(field.name for field in fields(Counts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What the array does for one problem: clocks, split in two, and what it counts.

    ``compute_cycles`` are the clocks in which new work enters the array (a reduction step, a row of
    X, a pair of bit planes), ``fill_drain_cycles`` all others. Memory beyond the on-chip SRAMs is
    no part of it.
    """

    compute_cycles: int
    fill_drain_cycles: int
    counts: Counts

    def __post_init__(self) -> None:
        normalise(self, "Activity", "compute_cycles fill_drain_cycles", least=0)

    @property
    def cycles(self) -> int:
        """All clocks of the array."""
        return self.compute_cycles + self.fill_drain_cycles

    def __mul__(self, times: int) -> Activity:
        return Activity(
            compute_cycles=self.compute_cycles * times,
            fill_drain_cycles=self.fill_drain_cycles * times,
            counts=self.counts * times,
        )
