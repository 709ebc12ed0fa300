"""On-chip SRAM: CACTI points, and how everything between and beyond them is found [7.5.3].

All points are of CACTI 7, ram, one read-write port, 300 K, run for this project.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

CACTI = "CACTI 7, {} ram, one read-write port, 300 K, run for this project"

#: 45 nm itrs-hp, 64-bit word: kB -> pJ read, pJ written, mW of leakage, mm2.
HP_64: tuple[tuple[int, float, float, float, float], ...] = (
    (1, 1.61, 3.27, 0.58, 0.0040), (4, 3.32, 6.04, 2.58, 0.0150), (8, 6.05, 7.41, 4.79, 0.0294),
    (16, 8.91, 11.77, 9.50, 0.0549), (32, 17.00, 14.48, 17.85, 0.1062),
    (64, 21.20, 18.69, 35.70, 0.2340), (128, 37.49, 24.23, 65.31, 0.4355),
    (256, 45.96, 32.69, 130.6, 0.8948), (1024, 77.19, 63.92, 522.5, 3.5654),
)
#: 45 nm itrs-hp, other words: kB -> pJ of an 8-bit and of a 128-bit read.
HP_8_128: tuple[tuple[int, float, float], ...] = (
    (1, 1.07, 3.18), (8, 4.69, 7.60), (64, 11.2, 38.4), (256, 16.4, 62.3), (1024, 27.1, 120.7),
)
_FIVE_KB = (1, 8, 64, 256, 1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process with its own CACTI points of a 64-bit read; the rest relative to 45 nm itrs-hp.

    Leakage is ``leakage_factor`` times that of 45 nm itrs-hp before areas are scaled.
    """

    name: str
    node_nm: float
    voltage_v: float
    read_64_pj: tuple[tuple[int, float], ...]
    leakage_factor: float = 1.0


def _five(*pj: float) -> tuple[tuple[int, float], ...]:
    return tuple(zip(_FIVE_KB, pj, strict=True))


#: Processes with CACTI points; supplies are those of CACTI's own technology files.
PROCESSES: tuple[Process, ...] = (
    Process(name="45 nm itrs-hp", node_nm=45, voltage_v=1.0,
            read_64_pj=tuple((kb, pj) for kb, pj, *_ in HP_64)),
    Process(name="45 nm itrs-lstp", node_nm=45, voltage_v=1.1,
            read_64_pj=_five(1.89, 7.07, 29.9, 50.9, 106.0), leakage_factor=0.0013 / 35.70),
    Process(name="65 nm itrs-hp", node_nm=65, voltage_v=1.1,
            read_64_pj=_five(2.69, 10.1, 55.4, 80.1, 142.0)),
    Process(name="32 nm itrs-hp", node_nm=32, voltage_v=0.9,
            read_64_pj=_five(0.84, 3.33, 12.0, 21.6, 43.7)),
)
_LARGEST_BYTES, _WIDEST_BITS, _NARROWEST_BITS = 1024 * 1024, 128, 8


def process(name: str) -> Process:
    """The process of this name; raises ``ValueError`` listing those that exist."""
    for known in PROCESSES:
        if known.name == name:
            return known
    raise ValueError(f"SRAM process {name!r}: exist {', '.join(p.name for p in PROCESSES)}")


def _between(points: list[tuple[float, float]], x: float) -> float:
    """Straight lines between points on logarithmic axes; the end values outside."""
    x = min(max(x, points[0][0]), points[-1][0])
    for (x0, y0), (x1, y1) in pairwise(points):
        if x <= x1:
            share = math.log(x / x0) / math.log(x1 / x0)
            return y0 * math.pow(y1 / y0, share)
    return points[-1][1]


def access_pj(
    bytes: int, word_bits: int, *, write: bool = False, of: Process = PROCESSES[0]
) -> float:
    """pJ of one access to an array of ``bytes`` with words of ``word_bits``, at its own supply.

    Interpolated in size and word width between CACTI points. Outside of them: under 1 kB costs as
    1 kB; over 1 MB is arrays of 1 MB; words over 128 bits are several words of 128 side by side in
    arrays of their share of the size. Writes scale as the 64-bit write to the 64-bit read, and
    other words as at 45 nm.

    >>> access_pj(64 * 1024, 64), access_pj(64 * 1024, 64, write=True)
    (21.2, 18.69)
    """
    beside = -(-word_bits // _WIDEST_BITS)
    kb = min(bytes / beside, _LARGEST_BYTES) / 1024
    width = max(word_bits / beside, _NARROWEST_BITS)
    narrow = _between([(size, pj) for size, pj, _ in HP_8_128], kb)
    middle = _between([(size, pj) for size, pj, *_ in HP_64], kb)
    wide = _between([(size, pj) for size, _, pj in HP_8_128], kb)
    pj = _between([(8, narrow), (64, middle), (128, wide)], width)
    if write:
        pj *= _between([(size, pj) for size, _, pj, *_ in HP_64], kb) / middle
    if of is not PROCESSES[0]:
        pj *= _between([(size, pj) for size, pj in of.read_64_pj], kb) / middle
    return beside * pj


def leakage_mw(bytes: int) -> float:
    """mW that an array of ``bytes`` leaks, 45 nm itrs-hp, 1.0 V; straight below 1 kB, above 1 MB.

    >>> leakage_mw(64 * 1024), leakage_mw(2 * 1024 * 1024)
    (35.7, 1045.0)
    """
    return _straight(bytes, 3)


def area_mm2(bytes: int) -> float:
    """mm2 of an array of ``bytes``, 45 nm itrs-hp; straight below 1 kB and above 1 MB."""
    return _straight(bytes, 4)


def _straight(bytes: int, column: int) -> float:
    points = [(float(row[0]), float(row[column])) for row in HP_64]
    kb, (least, small), (most, large) = bytes / 1024, points[0], points[-1]
    if kb < least:
        return small * kb / least
    if kb > most:
        return large * kb / most
    return _between(points, kb)
