"""Architectures: an array, its memories, its clock, and where its figures come from."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from hwsim import energy
from hwsim.checks import normalise
from hwsim.counts import OPTIONS, Array, check_options
from hwsim.dataflow import DATAFLOWS, Dataflow
from hwsim.pe import ProcessingElement, kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """An on-chip SRAM with one read and one write port.

    ``bytes`` in all (half of it holds what is in use, half what is on its way), ``word_bits`` moved
    by one access, ``bandwidth_bits_per_cycle`` of each port. ``banks`` give a word a clock each,
    which may hold the array up (:mod:`hwsim.banks`), and are priced each with its share of the
    bytes; None where they are not stated: one array of the whole size is priced, at the bandwidth
    given.
    """

    bytes: int
    word_bits: int
    bandwidth_bits_per_cycle: int
    banks: int | None = None

    def __post_init__(self) -> None:
        normalise(self, "Memory", "bytes word_bits bandwidth_bits_per_cycle")
        if self.banks is None:
            return
        normalise(self, "Memory", "banks")
        if self.bandwidth_bits_per_cycle > self.banks * self.word_bits:
            words = f"{self.banks} banks of {self.word_bits}-bit words"
            seen = f"bandwidth_bits_per_cycle={self.bandwidth_bits_per_cycle}"
            raise ValueError(f"Memory: {seen}, rule at most a word a bank: {words}")
        if self.bytes % self.banks:
            raise ValueError(f"Memory: bytes={self.bytes}, rule a multiple of banks={self.banks}")

    @property
    def arrays(self) -> int:
        """SRAM arrays that are priced: the banks, or one."""
        return self.banks or 1

    @property
    def array_bytes(self) -> int:
        """Bytes of each of them."""
        return self.bytes // self.arrays

    @property
    def half_bits(self) -> int:
        """Bits that may stay while the other half is filled or emptied."""
        return self.bytes * 8 // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Dram:
    """Memory off the chip: its ``kind`` (a row of the DRAM prices) and its bandwidth."""

    kind: str
    bandwidth_bits_per_cycle: int

    def __post_init__(self) -> None:
        energy.dram_price(self.kind)
        normalise(self, "Dram", "bandwidth_bits_per_cycle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A machine: ``rows`` x ``columns`` PEs of kind ``pe`` under a ``dataflow``, and memories.

    ``depth`` is the width in bits of one popcount unit, the lanes of one unit with lanes (fused
    units or tables, where it has these), 1 on MAC arrays. ``vector_lanes`` do one
    element-wise operation a clock each. ``technology`` names the price table
    (:data:`hwsim.energy.TABLES`). The options ``drain``, ``load``, ``folds``, ``edges`` and
    ``grouping``, ``skip`` and its ``reach`` are those of :class:`hwsim.counts.Array`. ``maps`` is a
    fourth SRAM in which a feature map waits for the next layer if it fits half of it; None if all
    maps go to DRAM. ``sums`` stay in the ``array`` until they are done, or may also wait in the
    output ``memory`` between slices of k [7.4.8].
    Raises ``ValueError`` naming the field, the value and the rule.
    """

    name: str
    pe: str
    rows: int
    columns: int
    depth: int = 1
    dataflow: str
    input: Memory
    weights: Memory
    output: Memory
    dram: Dram
    vector_lanes: int
    clock_hz: int
    technology: str
    source: str
    drain: str = "columns"
    load: str = "exposed"
    folds: str = "drained"
    edges: str = "full"
    grouping: str = "serial"
    skip: str = "none"
    reach: int = 1
    maps: Memory | None = None
    sums: str = "array"

    def __post_init__(self) -> None:
        for name in ("name", "pe", "dataflow", "technology", "source"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value or "\n" in value:
                raise ValueError(f"Architecture: {name}={value!r}, rule one line of text")
        what = f"Architecture {self.name!r}"
        for name in ("input", "weights", "output", "dram"):
            wanted = Dram if name == "dram" else Memory
            if not isinstance(getattr(self, name), wanted):
                raise ValueError(f"{what}: {name}={getattr(self, name)!r}, rule {wanted.__name__}")
        if self.maps is not None and not isinstance(self.maps, Memory):
            raise ValueError(f"{what}: maps={self.maps!r}, rule Memory or nothing")
        check_options(self, what)
        normalise(self, what, "rows columns depth reach vector_lanes clock_hz")
        energy.table(self.technology)
        self._check_flow(what)
        self._check_fit(what)

    def _check_flow(self, what: str) -> None:
        if self.flow.style != self.element.style:
            raise ValueError(
                f"{what}: dataflow {self.dataflow!r} needs {self.flow.style} PEs, "
                f"{self.pe!r} is {self.element.style}"
            )
        if self.flow.style == "mac" and self.depth != 1:
            raise ValueError(f"{what}: depth={self.depth}, rule 1 on {self.dataflow!r}")
        if self.skip != "none" and self.element.rule != "parallel":
            raise ValueError(f"{what}: skip={self.skip!r}, rule 'none' on PE {self.pe}")
        self._check_sums(what)
        if self.skip == "none" and self.reach != 1:
            raise ValueError(f"{what}: reach={self.reach}, rule 1 without skip")
        for option, choices in OPTIONS.items():
            if option not in self.flow.options and getattr(self, option) != choices[0]:
                seen = f"{option}={getattr(self, option)!r}"
                raise ValueError(f"{what}: {seen}, rule {choices[0]!r} on {self.dataflow!r}")

    def _check_sums(self, what: str) -> None:
        if self.sums not in ("array", "memory"):
            raise ValueError(f"{what}: sums={self.sums!r}, rule 'array' or 'memory'")
        if self.sums == "array":
            return
        seen = f"{what}: sums='memory', rule 'array'"
        if self.flow.style == "mac":
            raise ValueError(f"{seen} on {self.dataflow!r}")
        if self.skip != "none":
            raise ValueError(f"{seen} with skip={self.skip!r}")
        if self.output.banks is not None:
            raise ValueError(f"{seen} with banks={self.output.banks} of output")

    def _check_fit(self, what: str) -> None:
        slowest = max(self.input.bandwidth_bits_per_cycle, self.dram.bandwidth_bits_per_cycle)
        if self.maps is not None and self.maps.bandwidth_bits_per_cycle < slowest:
            seen = f"maps bandwidth_bits_per_cycle={self.maps.bandwidth_bits_per_cycle}"
            raise ValueError(f"{what}: {seen}, rule at least that of input and DRAM: {slowest}")
        pe, lanes = self.element, 8 if self.flow.style == "mac" else self.depth
        left, top = (self.columns, self.rows) if self.dataflow == "is" else (
            self.rows, self.columns)
        edge = (
            ("input", left * lanes, "one clock of inputs"),
            ("weights", top * lanes, "one clock of weights"),
            ("output", self.columns * pe.accumulator_bits, "one row of sums"),
        )
        for name, bits, meaning in edge:
            held = getattr(self, name).half_bits
            if held < bits:
                seen = f"half of {name} holds {held} bits"
                raise ValueError(f"{what}: {seen}, rule at least {bits}: {meaning}")

    @property
    def element(self) -> ProcessingElement:
        """The PE kind."""
        return kind(self.pe)

    @property
    def flow(self) -> Dataflow:
        """The dataflow, a row of :data:`hwsim.dataflow.DATAFLOWS`."""
        for flow in DATAFLOWS:
            if flow.name == self.dataflow:
                return flow
        names = ", ".join(flow.name for flow in DATAFLOWS)
        if self.dataflow == "rs":
            names += "; row-stationary is modelled under given mappings, hwsim.rowstationary"
        raise ValueError(f"Architecture {self.name!r}: dataflow {self.dataflow!r}, exist {names}")

    @property
    def array(self) -> Array:
        """The PEs, with the accumulator rows that half of the output memory gives a column."""
        rows = None
        if self.dataflow in ("ws", "is"):
            rows = self.output.half_bits // (self.columns * self.element.accumulator_bits)
        options = {name: getattr(self, name) for name in OPTIONS}
        return Array(
            rows=self.rows, columns=self.columns, depth=self.depth, pass_rows=rows,
            reach=self.reach, element=self.element, **options,
        )

    @property
    def size(self) -> str:
        """Rows, columns and what one unit holds, in words."""
        each = "bits" if self.flow.style == "popcount" else "lanes"
        if self.element.rule in ("fused", "table"):
            each = {"fused": "fused units", "table": "tables"}[self.element.rule]
        deep = f" x {self.depth} {each}" if self.depth > 1 else ""
        return f"{self.rows} x {self.columns}{deep}"

    @property
    def described(self) -> str:
        """Dataflow and options in words: what differs from the plain machine."""
        chosen = tuple(f"{name} {getattr(self, name)}" for name, choices in OPTIONS.items()
                       if getattr(self, name) != choices[0])
        if self.skip != "none":
            chosen = (*chosen, f"reach {self.reach}")
        if self.sums == "memory":
            chosen = (*chosen, "sums wait in memory")
        return ", ".join((self.flow.meaning, *chosen))

    def as_dict(self) -> dict[str, Any]:
        """The record as nested plain data, in field order; :func:`from_dict` reads it back."""
        return _plain(self)

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Architecture:
        """Read a TOML file: the fields by name, memories as tables ``[input]``, ``[dram]``, ...

        Raises ``ValueError`` naming the file where TOML is broken, a field is unknown or missing,
        or a value breaks a rule.
        """
        try:
            return from_dict(tomllib.loads(Path(path).read_text(encoding="utf-8")))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from None


def _plain(record: Any) -> dict[str, Any]:
    pairs = ((field.name, getattr(record, field.name)) for field in fields(record))
    return {
        n: _plain(v) if isinstance(v, (Memory, Dram)) else v
        for n, v in pairs
        if v is not None
    }


def _record(kind: Any, what: str, values: Any) -> Any:
    """Build a record from a mapping that has its fields, all without a default and no others."""
    if not isinstance(values, Mapping):
        raise ValueError(f"{what}: {values!r}, rule a table")
    known = {field.name: field for field in fields(kind)}
    unknown = [name for name in values if name not in known]
    if unknown:
        raise ValueError(f"{what}: unknown field {unknown[0]!r}, rule {', '.join(known)}")
    missing = [n for n, f in known.items() if f.default is MISSING and n not in values]
    if missing:
        raise ValueError(f"{what}: field {missing[0]!r} is missing")
    return kind(**values)


def from_dict(values: Mapping[str, Any]) -> Architecture:
    """An architecture from nested plain data; raises ``ValueError`` as the record does."""
    values = dict(values)
    for name in ("input", "weights", "output", "maps", "dram"):
        if values.get(name) is not None:
            try:
                values[name] = _record(Dram if name == "dram" else Memory, name, values[name])
            except ValueError as error:
                raise ValueError(f"[{name}] {error}") from None
    architecture = _record(Architecture, "architecture", values)
    assert isinstance(architecture, Architecture)
    return architecture
