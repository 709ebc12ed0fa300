"""The record of a law, the facts that laws need, and when a law is implied by what is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from refnet.laws.bench import Bench, Family
from refnet.laws.bound import Bound, Broken
from refnet.laws.case import Case
from refnet.laws.elementary import Verdict
from refnet.laws.gradient import intervals
from refnet.laws.grid import UniformGrid
from refnet.laws.integers import ROUNDINGS
from refnet.laws.sut import QuantizerUnderTest
from refnet.laws.tabulated import TableGrid

#: Why a law does not follow from what is known; empty where it does.
Implied = Callable[[Bench], str]


def _grids(bench: Bench) -> tuple[object, ...] | None:
    return bench.bound(bench.first_params()[0]).grids


def _scale(bench: Bench) -> bool:
    return bench.q.scale is not None or "scale" in bench.q.parameters


#: Facts by the words in which a report asks for them.
FACTS: dict[str, Callable[[Bench], bool]] = {
    "quantize": lambda b: b.q.quantize is not None,
    "dequantize": lambda b: b.q.dequantize is not None,
    "levels": lambda b: b.q.levels is not None,
    "scale, thresholds or dequantize": lambda b: _grids(b) is not None,
    "scale": _scale,
    "scale as a parameter": lambda b: "scale" in b.q.parameters,
    "zero_point as a parameter": lambda b: "zero_point" in b.q.parameters,
    "tie": lambda b: b.q.tie is not None,
    "nan": lambda b: b.q.nan is not None,
    "infinity": lambda b: b.q.infinity is not None,
    "code_dtype": lambda b: b.q.code_dtype is not None,
    "axis": lambda b: b.q.axis is not None,
    "grad": lambda b: b.q.grad is not None,
    "passes": lambda b: callable(b.q.passes) or (
        b.q.passes is not None and intervals(b.bound(b.first_params()[0])) is not None
    ),
    "pack": lambda b: b.q.pack is not None,
    "unpack": lambda b: b.q.unpack is not None,
    "packing": lambda b: b.q.packing is not None,
    "dot": lambda b: b.q.dot is not None,
    "dot_types": lambda b: b.q.dot_types is not None,
    "requantize": lambda b: b.q.requantize is not None,
    "fit": lambda b: b.q.fit is not None,
    "factorize": lambda b: b.q.factorize is not None,
    "reconstruct": lambda b: b.q.reconstruct is not None,
}


def _always(bench: Bench) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """A law: its clause in chapter 08, its check, the facts it needs, the bugs that it reaches.

    The name is that of ``check``, the statement the first paragraph of its docstring. ``implied``
    says whether it follows from the facts alone or must be claimed by name.
    """

    clause: str
    check: Callable[[Bound, Case], Verdict]
    needs: tuple[str, ...]
    cases: Family
    reaches: str
    implied: Implied = _always

    @property
    def name(self) -> str:
        """As in claims and reports."""
        return self.check.__name__

    @property
    def statement(self) -> str:
        """What holds."""
        return " ".join((self.check.__doc__ or "").split("\n\n")[0].split())

    def missing(self, bench: Bench) -> tuple[str, ...]:
        """Facts that are not given. One that cannot be asked for counts as given: its law fails."""
        found = []
        for name in self.needs:
            try:
                known = FACTS[name](bench)
            except Broken:
                known = True
            if not known:
                found.append(name)
        return tuple(found)

    def unknown(self, bench: Bench) -> str:
        """Why the law is not checked; empty where it is. A claim without its facts is refused."""
        q: QuantizerUnderTest = bench.q
        if self.name in q.disclaims:
            return "disclaimed"
        missing = self.missing(bench)
        if q.claims is not None:
            if self.name not in q.claims:
                return "not claimed"
            if missing:
                raise ValueError(f"law {self.name!r} is claimed without {', '.join(missing)}")
            return ""
        if missing:
            return f"needs {', '.join(missing)}"
        try:
            return self.implied(bench)
        except Broken:
            return ""


def symmetric(bench: Bench) -> str:
    """Odd symmetry needs a range that is symmetric around the zero point, and an odd tie rule."""
    for params in bench.first_params()[:1]:
        bound = bench.bound(params)
        for grid in bound.grids or ():
            if not isinstance(grid, UniformGrid):
                return "holds for uniform quantizers"
            if grid.codes[0] + grid.codes[-1] != 2 * grid.zero:
                return "holds where the range is symmetric around the zero point"
            if grid.tie not in ("even", "away", "zero"):
                return "holds where ties go to even, away or to zero"
            if "zero_point" in bench.q.parameters:
                return "holds without a zero point as parameter"
    return ""


def ascending(bench: Bench) -> str:
    """Order, ends and bisection need codes that ascend with their reals."""
    bound = bench.bound(bench.first_params()[0])
    if bound.grids is not None:
        falls = any(np.any(np.diff(g.codes) < 0) for g in bound.grids if isinstance(g, TableGrid))
    else:
        table = bound.table()
        falls = table is not None and bool(np.any(np.diff(table) < 0))
    return "holds where codes ascend with their reals" if falls else ""


def known_ends(bench: Bench) -> str:
    """Infinity needs to know which codes are those of the ends."""
    known = bench.bound(bench.first_params()[0]).grids is not None
    return "" if known else ascending(bench)


def own_cells(bench: Bench) -> str:
    """Levels are fixed points where each lies in its own cell."""
    bound = bench.bound(bench.first_params()[0])
    for grid in bound.grids or ():
        if isinstance(grid, UniformGrid):
            continue
        for index in range(len(grid.codes)):
            level = grid.level(index)
            if level is None:
                continue
            low = grid.boundary(index - 1) if index else None
            high = grid.boundary(index) if index < len(grid.codes) - 1 else None
            if (low is not None and level <= low) or (high is not None and level >= high):
                return "holds where every level lies between its thresholds"
    return ""


def has_zero(bench: Bench) -> str:
    """Zero must be a level."""
    bound = bench.bound(bench.first_params()[0])
    if bench.q.parameters:
        return "" if bound.grids else "holds where 0 is a level"
    zeros = [g.zero for g in bound.grids] if bound.grids else [bound.zero_point]
    known = all(z is not None and z in bound.levels for z in zeros)
    return "" if known else "holds where 0 is a level"


def exact_ties(bench: Bench) -> str:
    """Ties can be tried where boundaries are known exactly."""
    grids = bench.bound(bench.first_params()[0]).grids or ()
    if all(grid.exact_ties for grid in grids):
        return ""
    return "needs scale or thresholds: dequantize tells the boundaries only roughly"


def clean_ties(bench: Bench) -> str:
    """Adding the zero point before rounding is declared by the tie rule."""
    return "" if bench.q.tie != "even_code" else "does not hold where ties go to even codes"


def one_division(bench: Bench) -> str:
    """A quotient in the dtype of the input depends on that dtype."""
    if len(bench.q.dtypes) < 2:
        return "needs two dtypes"
    return "" if bench.q.division != "input" else "does not hold for division in the input's dtype"


def rounding_rule(bench: Bench) -> str:
    """Requantization knows three tie rules."""
    return "" if bench.q.tie in ROUNDINGS else f"needs a tie rule of {', '.join(ROUNDINGS)}"


def by_name(bench: Bench) -> str:
    """Only where it is claimed by name."""
    return "must be claimed by name"
