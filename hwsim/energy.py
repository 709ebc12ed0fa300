"""Prices: what one event costs, in which technology, and who says so.

Counts are exact integers; here they meet their prices in one dot product (:func:`charges`). Every
price on the chip has a node and a supply; a table brings all of its prices to one node and one
supply by a stated rule and keeps the rule with the price. Chapter [7.5] of the specification.

Only switching energy is priced: no leakage, no clock of idle PEs, no wires between memories.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

from hwsim.checks import ceil_div
from hwsim.counts import Counts

CACTI = "CACTI 7, 45 nm itrs-hp ram, one read-write port, 300 K, run for this project"
HOROWITZ = "Horowitz, ISSCC 2014, table of 45 nm operations"
SYNTHESIS = "Yosys 0.23 on a Nangate 45 nm library, random operands, no wires, run for this project"
ALADDIN = "Aladdin 40 nm library at 1 ns: register, 0.009 pJ a bit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Energy of one event: ``pj`` per ``unit``.

    A price on the chip must name its node (``node_nm``); ``voltage_v`` is None where the source
    does not state the supply. ``scaling`` says how the figure was moved from the source's.
    """

    name: str
    unit: str
    pj: float
    node_nm: float | None
    voltage_v: float | None
    source: str
    scaling: str = "as published"
    off_chip: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.pj) and self.pj > 0):
            raise ValueError(f"Price {self.name!r}: pj={self.pj!r}, rule a finite number > 0")
        if self.node_nm is None and not self.off_chip:
            raise ValueError(f"Price {self.name!r}: no node; rule every price on chip has one")

    def moved(self, node_nm: float, voltage_v: float) -> Price:
        """The price at another node and supply: energy ~ C V^2, C ~ the node's length.

        >>> p = Price(name="a", unit="op", pj=1.21, node_nm=45, voltage_v=1.1, source="s")
        >>> q = p.moved(45, 1.0); round(q.pj, 6), q.scaling
        (1.0, 'x (1/1.1)^2 for the supply')
        """
        if self.off_chip:
            return self
        pj, steps = self.pj, []
        assert self.node_nm is not None
        if self.node_nm != node_nm:
            pj *= node_nm / self.node_nm
            steps.append(f"x {node_nm:g}/{self.node_nm:g} for the node")
        if self.voltage_v is None:
            steps.append("supply not stated by the source, taken as the table's")
        elif self.voltage_v != voltage_v:
            pj *= (voltage_v / self.voltage_v) ** 2
            steps.append(f"x ({voltage_v:g}/{self.voltage_v:g})^2 for the supply")
        scaling = ", ".join(steps) or self.scaling
        return replace(self, pj=pj, node_nm=node_nm, voltage_v=voltage_v, scaling=scaling)


def _logic(name: str, unit: str, pj: float, volts: float, source: str) -> Price:
    return Price(name=name, unit=unit, pj=pj, node_nm=45, voltage_v=volts, source=source)


#: Published prices of logic, each at its own node and supply.
LOGIC: tuple[Price, ...] = (
    _logic("pe int8", "MAC, 32-bit sum, registers included", 1.862, 1.1, SYNTHESIS),
    _logic("pe ternary8", "ternary x 8 bit MAC, 24-bit sum, registers included", 0.801, 1.1,
           SYNTHESIS),
    _logic("pe ternary2", "ternary x 2 bit MAC, 16-bit sum, registers included", 0.458, 1.1,
           SYNTHESIS),
    _logic("pe popcount", "bit product, a 64th of a 64-bit AND-popcount with shift-accumulate",
           1.154 / 64, 1.1, SYNTHESIS),
    Price(name="register", unit="bit written", pj=0.009, node_nm=40, voltage_v=None,
          source=ALADDIN),
    _logic("addition", "32-bit addition", 0.1, 0.9, HOROWITZ),
    _logic("comparison", "32-bit comparison, priced as a subtraction", 0.1, 0.9, HOROWITZ),
    _logic("multiplication", "32-bit multiplication, above a 32 x 16 bit one", 3.1, 0.9, HOROWITZ),
)


def _dram(kind: str, pj_per_bit: float, source: str) -> Price:
    return Price(name=f"dram {kind}", unit="bit", pj=pj_per_bit, node_nm=None, voltage_v=None,
                 source=source, off_chip=True)


#: DRAM by kind, a bit read or written, interface included; its technology is its own.
DRAM: tuple[Price, ...] = (
    _dram("LPDDR4", 8.0, "Accelergy CACTI plug-in, public data"),
    _dram("LPDDR2", 40.0, "Malladi et al., ISCA 2012"),
    _dram("DDR3", 70.0, "Chatterjee et al., MICRO 2017"),
    _dram("GDDR5", 14.0, "Accelergy CACTI plug-in"),
    _dram("HBM2", 3.9, "O'Connor et al., MICRO 2017"),
)

#: CACTI points at 45 nm and 1.0 V: kB -> pJ of a 64-bit read and write.
SRAM_64_PJ: tuple[tuple[int, float, float], ...] = (
    (1, 1.61, 3.27), (4, 3.32, 6.04), (8, 6.05, 7.41), (16, 8.91, 11.77), (32, 17.00, 14.48),
    (64, 21.20, 18.69), (128, 37.49, 24.23), (256, 45.96, 32.69), (1024, 77.19, 63.92),
)
#: The same for other words: kB -> pJ of an 8-bit and of a 128-bit read.
SRAM_8_128_PJ: tuple[tuple[int, float, float], ...] = (
    (1, 1.07, 3.18), (8, 4.69, 7.60), (64, 11.2, 38.4), (256, 16.4, 62.3), (1024, 27.1, 120.7),
)
_SRAM_NODE_NM, _SRAM_VOLTAGE_V = 45, 1.0
_BANK_BYTES, _WIDEST_BITS, _NARROWEST_BITS = 1024 * 1024, 128, 8


def _interpolated(points: list[tuple[float, float]], x: float) -> float:
    """Straight lines between points on logarithmic axes; the end values outside."""
    x = min(max(x, points[0][0]), points[-1][0])
    for (x0, y0), (x1, y1) in pairwise(points):
        if x <= x1:
            share = math.log(x / x0) / math.log(x1 / x0)
            return y0 * math.pow(y1 / y0, share)
    return points[-1][1]


def sram_pj(bytes: int, word_bits: int, *, write: bool = False) -> float:
    """pJ of one access to an SRAM of ``bytes`` with words of ``word_bits``, 45 nm, 1.0 V [7.5.3].

    Interpolated in size and word width between CACTI points. Outside of them: under 1 kB costs as
    1 kB; over 1 MB is banks of 1 MB; words over 128 bits are several words of 128 side by side in
    banks of their share of the size. Writes scale as the 64-bit write to the 64-bit read.

    >>> sram_pj(64 * 1024, 64), sram_pj(64 * 1024, 64, write=True)
    (21.2, 18.69)
    """
    banks = -(-word_bits // _WIDEST_BITS)
    kilobytes = min(bytes / banks, _BANK_BYTES) / 1024
    width = max(word_bits / banks, _NARROWEST_BITS)
    narrow = _interpolated([(kb, pj) for kb, pj, _ in SRAM_8_128_PJ], kilobytes)
    middle = _interpolated([(kb, pj) for kb, pj, _ in SRAM_64_PJ], kilobytes)
    wide = _interpolated([(kb, pj) for kb, _, pj in SRAM_8_128_PJ], kilobytes)
    pj = _interpolated([(8, narrow), (64, middle), (128, wide)], width)
    if write:
        pj *= _interpolated([(kb, pj) for kb, _, pj in SRAM_64_PJ], kilobytes) / middle
    return banks * pj


def sram_price(name: str, bytes: int, word_bits: int, *, write: bool) -> Price:
    """The price of one word of an SRAM, read or written, where CACTI gives it."""
    access = "written" if write else "read"
    return Price(
        name=f"{name} {'write' if write else 'read'}",
        unit=f"{word_bits}-bit word {access}, {bytes} bytes",
        pj=sram_pj(bytes, word_bits, write=write),
        node_nm=_SRAM_NODE_NM, voltage_v=_SRAM_VOLTAGE_V, source=CACTI,
    )


def dram_price(kind: str) -> Price:
    """The price of a bit of this kind of DRAM; raises ``ValueError`` listing the kinds."""
    for price in DRAM:
        if price.name == f"dram {kind}":
            return price
    names = ", ".join(price.name.removeprefix("dram ") for price in DRAM)
    raise ValueError(f"DRAM kind {kind!r}: exist {names}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyTable:
    """All prices at one node and supply; whatever is asked of it comes out there."""

    name: str
    node_nm: float
    voltage_v: float

    def logic(self, name: str) -> Price:
        """The price of an operation in :data:`LOGIC`, moved to this table's technology."""
        for price in LOGIC:
            if price.name == name:
                return price.moved(self.node_nm, self.voltage_v)
        raise ValueError(f"price {name!r}: exist {', '.join(p.name for p in LOGIC)}")

    def sram(self, name: str, bytes: int, word_bits: int, *, write: bool) -> Price:
        """The price of an SRAM word, moved to this table's technology."""
        price = sram_price(name, bytes, word_bits, write=write)
        return price.moved(self.node_nm, self.voltage_v)


#: Named technologies.
TABLES: tuple[EnergyTable, ...] = (EnergyTable(name="45nm-0.9V", node_nm=45, voltage_v=0.9),)


def table(name: str) -> EnergyTable:
    """The table of this name; raises ``ValueError`` listing those that exist."""
    for known in TABLES:
        if known.name == name:
            return known
    raise ValueError(f"technology {name!r}: exist {', '.join(t.name for t in TABLES)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """One line of the bill: what ``component`` pays for one of the counts.

    ``count`` names a field of :class:`hwsim.counts.Counts`; ``per`` units of it make one event
    (the bits of a memory word), begun ones counting whole; ``times`` events are paid for each.
    """

    component: str
    count: str
    price: Price
    per: int = 1
    times: int = 1

    def pj(self, counts: Counts) -> float:
        """Energy of this line for ``counts``."""
        number: int = getattr(counts, self.count)
        return ceil_div(number, self.per) * self.times * self.price.pj


def bill(tariffs: tuple[Tariff, ...], counts: Counts) -> dict[str, float]:
    """pJ by component: the dot product of counts and prices, summed without rounding drift."""
    lines: dict[str, list[float]] = {tariff.component: [] for tariff in tariffs}
    for tariff in tariffs:
        lines[tariff.component].append(tariff.pj(counts))
    return {component: math.fsum(values) for component, values in lines.items()}
