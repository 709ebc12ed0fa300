"""What a processing element takes: area and energy from synthesis, in parts, with their ranges.

Every figure is at 45 nm. A unit of L lanes is its registers and accumulator, which the lanes share,
and L times the logic of a lane. Six kinds were synthesised in that node; the others come there by
their ratio to the int8 MAC in another library (``benchmarks/synthesis.py``), or from a publication.
A figure is the middle of a range: chapter [7d.1] says where its ends come from.
"""

from __future__ import annotations

from dataclasses import dataclass

SYNTHESIS = "Yosys 0.23 on a Nangate 45 nm library, random operands, no wires, run for this project"
RATIO = ("ratio to the int8 MAC by Yosys 0.23 on osu018 (180 nm), benchmarks/synthesis.py, times "
         "that MAC on a Nangate 45 nm library")
BIT_FUSION = "Bit Fusion (Sharma et al., ISCA 2018), its own 45 nm synthesis at 500 MHz"
#: The int8 MAC with a 24-bit sum, to which ratios relate: um2 and fJ on the 45 nm library, 1.1 V.
BASE = (917.2, 1557.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Factors of the least and the largest value that is believed."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low <= 1 <= self.high:
            raise ValueError(f"Range: {self.low} to {self.high}, rule low <= 1 <= high")

    def of(self, value: float) -> tuple[float, float]:
        """Both ends."""
        return self.low * value, self.high * value


#: Areas: a good 8 x 8 multiplier is 282 um2 (Horowitz), ours 462; cells fill 70 % of a chip.
_AREA = Range(low=0.85, high=1.45)
# Energies: 20 to 40 % for wires; Horowitz' multiplier takes half of ours, his adder 0.83 of it.
# Relative to the int8 MAC they were within 0.79 to 1.2 of the table at 180 nm.
_MULTIPLIER, _ADDER = Range(low=0.55, high=1.4), Range(low=0.6, high=1.4)
# The 16 x 16 MAC is a sum of parts: multiplier, 32-bit adder, 32 registers; Bit Fusion's is 603 fJ.
_WIDE = Range(low=0.18, high=1.4)
# Moved by ratio: 25 % more on both sides.
_AREA_BY_RATIO = Range(low=0.64, high=1.81)
_MULTIPLIER_BY_RATIO, _ADDER_BY_RATIO = Range(low=0.41, high=1.75), Range(low=0.45, high=1.75)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A kind of PE as it was synthesised: ``lanes``, ``um2``, and ``fj`` of a busy clock.

    ``shared_area`` and ``shared_energy`` are the shares of all that lanes share: registers, their
    clock, the adder of the sum. ``shares`` are those of energy in percent, measured at 180 nm:
    logic, accumulator, other registers, clock; None
    where nothing was measured. ``voltage_v`` is None where the source does not state the supply.
    """

    name: str
    lanes: int
    um2: float
    fj: float
    voltage_v: float | None
    source: str
    area_range: Range
    energy_range: Range
    shared_area: float = 0.0
    shared_energy: float = 0.0
    shares: tuple[int, int, int, int] | None = None

    def area_um2(self, lanes: int) -> float:
        """um2 of a unit of so many lanes.

        >>> unit("ternary2-dot").area_um2(16), round(unit("ternary2-dot").area_um2(1), 1)
        (927.5, 284.0)
        """
        return self.um2 * self._part(self.shared_area, lanes)

    def energy_fj(self, lanes: int) -> float:
        """fJ of a busy clock of a unit of so many lanes, at 45 nm and ``voltage_v``."""
        return self.fj * self._part(self.shared_energy, lanes)

    def _part(self, shared: float, lanes: int) -> float:
        return 1.0 if lanes == self.lanes else shared + (1 - shared) * lanes / self.lanes


def _here(
    name: str, um2: float, fj: float, energy: Range, shares: tuple[int, int, int, int] | None,
    lanes: int = 1, shared: tuple[float, float] = (0.0, 0.0),
) -> Unit:
    return Unit(name=name, lanes=lanes, um2=um2, fj=fj, voltage_v=1.1, source=SYNTHESIS,
                area_range=_AREA, energy_range=energy, shares=shares,
                shared_area=shared[0], shared_energy=shared[1])


def _ratio(
    name: str, lanes: int, area: float, energy: float, range: Range, shared: tuple[float, float],
    shares: tuple[int, int, int, int],
) -> Unit:
    """From area and energy of one lane relative to :data:`BASE`."""
    return Unit(name=name, lanes=lanes, um2=lanes * area * BASE[0], fj=lanes * energy * BASE[1],
                voltage_v=1.1, source=RATIO, area_range=_AREA_BY_RATIO, energy_range=range,
                shared_area=shared[0], shared_energy=shared[1], shares=shares)


def _published(name: str, um2: float, fj: float) -> Unit:
    return Unit(name=name, lanes=1, um2=um2, fj=fj, voltage_v=None, source=BIT_FUSION,
                area_range=_AREA, energy_range=_ADDER)


#: Every kind of :data:`hwsim.pe.KINDS`.
UNITS: tuple[Unit, ...] = (
    _here("int8", 1271.5, 1862.0, _MULTIPLIER, (42, 24, 6, 28)),
    _here("int4", 379.8, 584.0, _MULTIPLIER, (24, 29, 6, 41)),
    _here("ternary8", 297.7, 801.0, _ADDER, (3, 36, 7, 54)),
    _here("ternary2", 183.8, 458.0, _ADDER, (2, 37, 4, 57)),
    _here("popcount", 855.2, 1154.0, _ADDER, (56, 14, 2, 28), lanes=64, shared=(0.48, 0.44)),
    _ratio("int8-dot", 4, 0.702, 0.733, _MULTIPLIER_BY_RATIO,
           (0.16, 0.21), (78, 9, 2, 11)),
    _ratio("int4-dot", 4, 0.215, 0.227, _MULTIPLIER_BY_RATIO,
           (0.27, 0.34), (66, 13, 3, 18)),
    _here("int16-dot", 2055.0 + 185.4 + 32 * 4.5, 2810.0 + 260.0 + 32 * 6.85, _WIDE, None),
    _ratio("ternary8-dot", 16, 0.146, 0.131, _ADDER_BY_RATIO,
           (0.16, 0.23), (77, 9, 2, 12)),
    _here("ternary2-dot", 927.5, 1324.0, _ADDER, (65, 13, 3, 19),
          lanes=16, shared=(0.26, 0.35)),
    _ratio("ternary-serial", 16, 0.0593, 0.0494, _ADDER_BY_RATIO,
           (0.56, 0.64), (36, 28, 2, 33)),
    _ratio("stripes", 16, 0.186, 0.161, _ADDER_BY_RATIO,
           (0.21, 0.30), (70, 14, 2, 14)),
    _ratio("loom1", 16, 0.0407, 0.0284, _ADDER_BY_RATIO,
           (0.81, 0.80), (20, 23, 2, 55)),
    _ratio("loom2", 16, 0.0509, 0.0383, _ADDER_BY_RATIO,
           (0.65, 0.64), (36, 21, 2, 41)),
    _ratio("loom4", 16, 0.0702, 0.0573, _ADDER_BY_RATIO,
           (0.48, 0.49), (51, 17, 2, 29)),
    _published("bitfusion", 1735.0, 459.0),
    _ratio("unpu", 4, 0.702, 0.677, _ADDER_BY_RATIO,
           (0.31, 0.38), (62, 19, 2, 17)),
)


def unit(name: str) -> Unit:
    """The figures of a PE kind; raises ``ValueError`` listing those that have some."""
    for known in UNITS:
        if known.name == name:
            return known
    names = ", ".join(known.name for known in UNITS)
    raise ValueError(f"PE kind {name!r}: area and energy exist of {names}")
