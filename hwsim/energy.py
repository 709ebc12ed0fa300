"""Prices: what one event costs, in which technology, and who says so.

Counts are exact integers; here they meet their prices in one dot product (:func:`bill`). Every
price on the chip has a node and a supply; a table brings all of its prices to one node and one
supply by a stated rule (:mod:`hwsim.technology`) and keeps the rule with the price. Chapter [7.5]
of the specification.

Priced are switching, the clock of PEs that have nothing to do, and leakage. Not priced are wires
between memories, the clock tree outside of the PEs, and control.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from hwsim import sram
from hwsim.checks import ceil_div
from hwsim.counts import Counts
from hwsim.sram import CACTI
from hwsim.technology import area_factor, energy_factor
from hwsim.units import unit

HOROWITZ = "Horowitz, ISSCC 2014, table of 45 nm operations"
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
        """The price at another node and supply, by :func:`hwsim.technology.energy_factor`.

        >>> p = Price(name="a", unit="op", pj=1.21, node_nm=45, voltage_v=1.1, source="s")
        >>> q = p.moved(45, 1.0); round(q.pj, 6), q.scaling
        (1.0, 'x (1/1.1)^2 for the supply')
        """
        if self.off_chip:
            return self
        assert self.node_nm is not None
        factor, rule = energy_factor(self.node_nm, self.voltage_v, node_nm, voltage_v)
        return replace(self, pj=self.pj * factor, node_nm=node_nm, voltage_v=voltage_v,
                       scaling=rule or self.scaling)

    def leaking(self, node_nm: float, voltage_v: float) -> Price:
        """A leakage at another node and supply: ~ V at a fixed current, ~ area between nodes."""
        assert self.node_nm is not None
        factor, rule = area_factor(self.node_nm, node_nm)
        steps = [rule] if rule else []
        if self.voltage_v is None:
            steps.append("supply not stated by the source, taken as the table's")
        elif self.voltage_v != voltage_v:
            factor *= voltage_v / self.voltage_v
            steps.append(f"x {voltage_v:g}/{self.voltage_v:g} for the supply")
        return replace(self, pj=self.pj * factor, node_nm=node_nm, voltage_v=voltage_v,
                       scaling=", ".join(steps) or self.scaling)


def _logic(name: str, unit: str, pj: float, volts: float, source: str) -> Price:
    return Price(name=name, unit=unit, pj=pj, node_nm=45, voltage_v=volts, source=source)


#: Published prices of logic, each at its own node and supply.
LOGIC: tuple[Price, ...] = (
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
    _dram("DDR4", 20.0, "data sheets, 15 to 25 with interface and activation; the middle"),
    _dram("HBM3", 4.05, "hwcomponents DRAM table, web sources"),
    _dram("HBM4", 3.2, "hwcomponents DRAM table, web sources"),
    _dram("HMC", 4.2, "Accelergy CACTI plug-in"),
)

def dram_price(kind: str) -> Price:
    """The price of a bit of this kind of DRAM; raises ``ValueError`` listing the kinds."""
    for price in DRAM:
        if price.name == f"dram {kind}":
            return price
    names = ", ".join(price.name.removeprefix("dram ") for price in DRAM)
    raise ValueError(f"DRAM kind {kind!r}: exist {names}")


#: Share of a PE's energy that its clock takes, busy or not: 137 of 458 fJ of PE ternary2.
IDLE_SHARE = 137 / 458
#: Leakage of a placed 8 x 8 bit unit: mW and the um2 that they belong to, 45 nm.
LOGIC_LEAKAGE = (0.023, 688.0)
BIT_FUSION = "Bit Fusion (Sharma et al., ISCA 2018), 45 nm synthesis: 8 x 8 bit unit"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyTable:
    """All prices at one node and supply; whatever is asked of it comes out there."""

    name: str
    node_nm: float
    voltage_v: float
    sram_process: str = "45 nm itrs-hp"

    def logic(self, name: str) -> Price:
        """The price of an operation in :data:`LOGIC`, moved to this table's technology."""
        for price in LOGIC:
            if price.name == name:
                return price.moved(self.node_nm, self.voltage_v)
        raise ValueError(f"price {name!r}: exist {', '.join(p.name for p in LOGIC)}")

    def pe(self, kind: str, lanes: int = 1) -> Price:
        """The price of a busy clock of a PE with so many lanes [7d.1]."""
        known = unit(kind)
        each = "busy clock of a PE" if lanes == 1 else f"busy clock of a PE of {lanes} lanes"
        price = Price(
            name=f"pe {kind}", unit=f"{each}, registers included", pj=known.energy_fj(lanes) / 1e3,
            node_nm=45, voltage_v=known.voltage_v, source=known.source,
        )
        return price.moved(self.node_nm, self.voltage_v)

    def idle(self, pe: str, lanes: int = 1) -> Price:
        """The price of a clock in which a PE has nothing to do: that of its registers' clock."""
        busy = self.pe(pe, lanes)
        known = "measured" if pe == "ternary2" else "share as in PE ternary2: assumed"
        return replace(busy, name=f"idle {pe}", unit="idle PE and clock", pj=busy.pj * IDLE_SHARE,
                       source=f"{busy.source}; clock 137 of 458 fJ, {known}")

    def sram(self, name: str, bytes: int, word_bits: int, *, write: bool) -> Price:
        """The price of an SRAM word, read or written, moved to this table's supply."""
        of = sram.process(self.sram_process)
        return Price(
            name=f"{name} {'write' if write else 'read'}",
            unit=f"{word_bits}-bit word {'written' if write else 'read'}, {bytes} bytes",
            pj=sram.access_pj(bytes, word_bits, write=write, of=of),
            node_nm=of.node_nm, voltage_v=of.voltage_v, source=CACTI.format(of.name),
        ).moved(self.node_nm, self.voltage_v)

    def sram_leakage(self, name: str, bytes: int, clock_hz: int) -> Price:
        """What an SRAM leaks in a clock."""
        of, base = sram.process(self.sram_process), sram.PROCESSES[0]
        mw = sram.leakage_mw(bytes) * of.leakage_factor
        return Price(
            name=f"{name} leakage", unit="clock", pj=mw * 1e9 / clock_hz,
            node_nm=base.node_nm, voltage_v=base.voltage_v, source=CACTI.format(of.name),
        ).leaking(self.node_nm, self.voltage_v)

    def logic_leakage(self, name: str, um2: float, clock_hz: int) -> Price:
        """What logic of ``um2`` at 45 nm leaks in a clock."""
        milliwatt, of_um2 = LOGIC_LEAKAGE
        return Price(
            name=f"{name} leakage", unit="clock", pj=milliwatt * um2 / of_um2 * 1e9 / clock_hz,
            node_nm=45, voltage_v=None, source=f"{BIT_FUSION}, {milliwatt} mW on {of_um2:g} um2",
        ).leaking(self.node_nm, self.voltage_v)


#: Named technologies.
TABLES: tuple[EnergyTable, ...] = (
    EnergyTable(name="45nm-0.9V", node_nm=45, voltage_v=0.9),
    EnergyTable(name="45nm-lstp-0.9V", node_nm=45, voltage_v=0.9, sram_process="45 nm itrs-lstp"),
    EnergyTable(name="65nm-1.0V", node_nm=65, voltage_v=1.0, sram_process="65 nm itrs-hp"),
    EnergyTable(name="32nm-0.9V", node_nm=32, voltage_v=0.9, sram_process="32 nm itrs-hp"),
)


def table(name: str) -> EnergyTable:
    """The table of this name; raises ``ValueError`` listing those that exist."""
    for known in TABLES:
        if known.name == name:
            return known
    raise ValueError(f"technology {name!r}: exist {', '.join(t.name for t in TABLES)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """One line of the bill: what ``component`` pays for one of the counts.

    ``count`` names a field of :class:`hwsim.counts.Counts`, or is ``cycles``, the clocks of the
    layer; ``per`` units of it make one event (the bits of a memory word), begun ones counting
    whole; ``times`` events are paid for each.
    """

    component: str
    count: str
    price: Price
    per: int = 1
    times: int = 1

    def pj(self, counts: Any, cycles: Any) -> Any:
        """Energy of this line, for one case or a lane each."""
        number = cycles if self.count == "cycles" else getattr(counts, self.count)
        return ceil_div(number, self.per) * self.times * self.price.pj


def bill(tariffs: tuple[Tariff, ...], counts: Counts, cycles: int) -> dict[str, float]:
    """pJ by component: the dot product of counts and prices, summed without rounding drift."""
    lines: dict[str, list[float]] = {tariff.component: [] for tariff in tariffs}
    for tariff in tariffs:
        lines[tariff.component].append(tariff.pj(counts, cycles))
    return {component: math.fsum(values) for component, values in lines.items()}
