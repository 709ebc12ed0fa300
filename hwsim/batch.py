"""Many layers on many architectures at once: the same formulas, on arrays with a lane a pair.

For design-space exploration. Every pair is what :func:`hwsim.simulate` gives for a workload of that
layer alone; the integers are equal, energies but for the order of their sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim import loops
from hwsim.architecture import Architecture
from hwsim.checks import ceil_div
from hwsim.counts import OPTIONS, Counts
from hwsim.layers import Gemm
from hwsim.mapping import machine, problem
from hwsim.simulator import edges, tariffs
from hwsim.traffic import stall_cycles

Integers = NDArray[np.int64]
_SIZES = ("m", "k", "n", "groups", "input_bits", "weight_bits", "output_bits", "accumulator_bits")
_COUNTS = tuple(Counts().as_dict())
#: No product of sizes may come near the end of 64-bit integers.
_LARGEST = 2.0**61


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Arrays (architectures, layers) of clocks, DRAM bits, pJ and utilisation."""

    compute_cycles: Integers
    fill_drain_cycles: Integers
    stall_cycles: Integers
    dram_bits: Integers
    energy_pj: NDArray[np.float64]
    utilisation: NDArray[np.float64]

    @property
    def total_cycles(self) -> Integers:
        """All clocks of every pair."""
        return self.compute_cycles + self.fill_drain_cycles + self.stall_cycles


def evaluate(layers: Sequence[Gemm], architectures: Sequence[Architecture]) -> Batch:
    """Every layer on every architecture, each pair by itself; results (architectures, layers).

    Raises ``ValueError`` as :func:`hwsim.simulate` does, for an empty list, for layers that are not
    products, and where a count could leave 64 bits.

    >>> from hwsim import presets, read_topology
    >>> byte = {"lo": -128, "hi": 127}
    >>> from hwsim.layers import Operand
    >>> layer = Gemm(name="g", m=4, k=4, n=4, input=Operand(**byte, elements=16),
    ...              weights=Operand(**byte, elements=16), output=Operand(**byte, elements=16))
    >>> evaluate([layer], [presets.EDGE_16X16_OS]).fill_drain_cycles.tolist()
    [[46]]
    """
    if not layers or not architectures:
        raise ValueError("evaluate: nothing to do, rule one layer and one architecture or more")
    for layer in layers:
        if not isinstance(layer, Gemm):
            raise ValueError(f"evaluate: layer {layer.name!r}, rule matrix products only")
    for a in architectures:
        if a.skip != "none":
            raise ValueError(f"evaluate: {a.name!r} has skip={a.skip!r}, rule 'none'")
    shape = len(architectures), len(layers)
    real = {"energy_pj", "utilisation"}
    result: dict[str, Any] = {
        field.name: np.zeros(shape, dtype=np.float64 if field.name in real else np.int64)
        for field in fields(Batch)
    }
    for members in _alike(architectures):
        found = _evaluate(layers, [architectures[i] for i in members])
        for name, values in result.items():
            values[members] = found[name]
    return Batch(**result)


def _alike(architectures: Sequence[Architecture]) -> Iterable[list[int]]:
    """Numbers of the architectures that differ in sizes alone, together."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for i, a in enumerate(architectures):
        options = tuple(getattr(a, name) for name in OPTIONS)
        groups.setdefault((a.dataflow, a.pe, a.maps is None, *options), []).append(i)
    return groups.values()


def _lanes(records: Sequence[Any], names: Iterable[str], *, down: bool) -> SimpleNamespace:
    """The named integers of all records as arrays, along the rows or the columns of the result."""
    held = {name: np.array([getattr(r, name) for r in records], dtype=np.int64) for name in names}
    return SimpleNamespace(**{name: v[:, None] if down else v[None, :] for name, v in held.items()})


def _problems(layers: Sequence[Gemm], a: Architecture) -> SimpleNamespace:
    p = _lanes([problem(layer, a) for layer in layers], _SIZES, down=False)
    p.macs = p.groups * p.m * p.k * p.n
    return p


def _windows(layers: Sequence[Gemm]) -> SimpleNamespace:
    held = [layer.geometry for layer in layers]
    w = _lanes(held, ("batch", "channels", "height", "width"), down=False)
    for name in ("kernel", "stride", "dilation", "output"):
        pairs = np.array([getattr(window, name) for window in held], dtype=np.int64)
        setattr(w, name, (pairs[None, :, 0], pairs[None, :, 1]))
    return w


def _machines(architectures: Sequence[Architecture]) -> SimpleNamespace:
    first = architectures[0]
    a = _lanes(architectures, ("rows", "columns", "depth"), down=True)
    for name in ("dataflow", "element", *OPTIONS):
        setattr(a, name, getattr(first, name))
    for name in ("input", "weights", "output", *(["maps"] if first.maps is not None else [])):
        memories = [getattr(each, name) for each in architectures]
        lanes = _lanes(memories, ("half_bits", "bandwidth_bits_per_cycle"), down=True)
        setattr(a, name, lanes)
    a.maps = getattr(a, "maps", None)
    drams = [each.dram for each in architectures]
    a.dram = _lanes(drams, ("bandwidth_bits_per_cycle",), down=True)
    limits = [each.array.pass_rows for each in architectures]
    a.pass_rows = None if limits[0] is None else np.array(limits, dtype=np.int64)[:, None]
    a.array = a
    return a


def _check_range(p: SimpleNamespace, a: SimpleNamespace) -> None:
    """Refuse sizes whose largest count could leave the integers."""
    spread = (p.m + a.rows + 0.0) * (p.k + a.rows) * (p.n + a.columns) * p.groups
    bits = np.maximum(np.maximum(p.input_bits, p.weight_bits), p.accumulator_bits)
    largest = spread * bits * (a.rows + a.columns) * p.input_bits * p.weight_bits
    if np.max(largest) >= _LARGEST:
        raise ValueError(f"evaluate: counts up to {np.max(largest):.1e}, rule below 2**61")


def _evaluate(layers: Sequence[Gemm], architectures: Sequence[Architecture]) -> dict[str, Any]:
    """All layers on architectures that differ in sizes alone."""
    first = architectures[0]
    p, w, a = _problems(layers, first), _windows(layers), _machines(architectures)
    _check_range(p, a)
    work = first.flow.work(p, a)
    x_bits, w_bits = _best(p, w, a)
    c = SimpleNamespace(**dict.fromkeys(_COUNTS, 0) | work.counts)
    results = p.groups * p.m * p.n * p.output_bits
    c.input_dram_read_bits = c.input_sram_write_bits = x_bits * p.groups
    c.weight_dram_read_bits = c.weight_sram_write_bits = w_bits * p.groups
    c.output_dram_write_bits = results
    c.output_sram_read_bits = c.output_sram_read_bits + results
    c.pe_idle_cycles = work.cycles * a.rows * a.columns - c.pe_operations
    extra = _lanes(layers, ("parameter_bits", "additions"), down=False)
    c.parameter_dram_read_bits, c.additions = extra.parameter_bits, extra.additions
    c.dram_bits = x_bits * p.groups + w_bits * p.groups + results + extra.parameter_bits
    stall = stall_cycles(work.cycles, c, *edges(p, a), a)
    cycles = work.cycles + stall
    pe, widths = first.element, (p.input_bits, p.weight_bits)
    products = p.macs * 1.0 * pe.step_clocks(*widths)
    could = cycles * a.rows * a.columns * pe.step_products(a.depth, *widths)
    return {
        "compute_cycles": work.compute_cycles,
        "fill_drain_cycles": work.cycles - work.compute_cycles,
        "stall_cycles": stall,
        "dram_bits": c.dram_bits,
        "energy_pj": _energy(architectures, c, cycles),
        "utilisation": products / could,
    }


def _best(p: Any, w: Any, a: Any) -> tuple[Any, Any]:
    """Bits of X and W that one group reads under the best order, the first of equals."""
    site = machine(p, a)
    best_x = best_w = None
    for order in loops.orders(p, w, site):
        x, weights = loops.fetched(p, w, site, order)
        x, weights = x * p.input_bits, weights * p.weight_bits
        if best_x is None:
            best_x, best_w, usable = x, weights, order.usable
            continue
        better = order.usable & (~np.asarray(usable) | (x + weights < best_x + best_w))
        best_x, best_w = np.where(better, x, best_x), np.where(better, weights, best_w)
    return best_x, best_w


def _energy(architectures: Sequence[Architecture], c: Any, cycles: Any) -> Any:
    """The dot product of counts and prices, a price a row."""
    total: Any = 0.0
    for lines in zip(*(tariffs(each) for each in architectures), strict=True):
        per: Any = np.array([line.per for line in lines])[:, None]
        price: Any = np.array([line.times * line.price.pj for line in lines])[:, None]
        number = cycles if lines[0].count == "cycles" else getattr(c, lines[0].count)
        total = total + ceil_div(number, per) * price
    return total
