"""Many layers on many architectures at once: the same formulas, on arrays with a lane a pair.

For design-space exploration. Every pair is what :func:`hwsim.simulate` gives for a workload of that
layer alone, or for the layer in its workload where one is given; the integers are equal, energies
but for the order of their sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwsim import loops
from hwsim.architecture import Architecture
from hwsim.banks import bank_cycles
from hwsim.checks import ceil_div
from hwsim.counts import OPTIONS, Counts
from hwsim.energy import Tariff
from hwsim.lanes import pick
from hwsim.layers import Gemm, Layer, Vector, Workload
from hwsim.mapping import machine, problem
from hwsim.simulator import chains, edges, map_bits, tariffs
from hwsim.traffic import stall_cycles

Integers = NDArray[np.int64]
#: The tariffs of every architecture.
Bills: TypeAlias = Sequence[tuple[Tariff, ...]]
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


def evaluate(layers: Workload | Sequence[Layer], architectures: Sequence[Architecture]) -> Batch:
    """Every layer on every architecture; results (architectures, layers).

    ``layers`` are convolutions (dense, grouped, depthwise, dilated), products and element-wise
    work. In a sequence each stands by itself; of a :class:`Workload`, maps may wait on the chip for
    the next layer [7.4.6]. Raises ``ValueError`` as :func:`hwsim.simulate` does, for an empty list,
    and where a count could leave 64 bits.

    >>> from hwsim import presets, read_topology
    >>> byte = {"lo": -128, "hi": 127}
    >>> from hwsim.layers import Operand
    >>> layer = Gemm(name="g", m=4, k=4, n=4, input=Operand(**byte, elements=16),
    ...              weights=Operand(**byte, elements=16), output=Operand(**byte, elements=16))
    >>> evaluate([layer], [presets.EDGE_16X16_OS]).fill_drain_cycles.tolist()
    [[46]]
    """
    held = layers.layers if isinstance(layers, Workload) else layers
    if not held or not architectures:
        raise ValueError("evaluate: nothing to do, rule one layer and one architecture or more")
    for a in architectures:
        if a.skip != "none":
            raise ValueError(f"evaluate: {a.name!r} has skip={a.skip!r}, rule 'none'")
        if a.sums != "array":
            raise ValueError(f"evaluate: {a.name!r} has sums={a.sums!r}, rule 'array'")
    shape = len(architectures), len(held)
    real = {"energy_pj", "utilisation"}
    result: dict[str, Any] = {
        field.name: np.zeros(shape, dtype=np.float64 if field.name in real else np.int64)
        for field in fields(Batch)
    }
    products = [j for j, layer in enumerate(held) if isinstance(layer, Gemm)]
    others = [j for j, layer in enumerate(held) if not isinstance(layer, Gemm)]
    for members in _alike(architectures):
        some = [architectures[i] for i in members]
        stays, bills = _stays(layers, some), [tariffs(each) for each in some]
        for columns, form in ((products, _products), (others, _vectors)):
            if columns:
                found = form([held[j] for j in columns], some, stays.of(columns), bills)
                for name, values in result.items():
                    values[np.ix_(members, columns)] = found[name]
    return Batch(**result)


def _alike(architectures: Sequence[Architecture]) -> Iterable[list[int]]:
    """Numbers of the architectures that differ in sizes alone, together."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for i, a in enumerate(architectures):
        options = tuple(getattr(a, name) for name in OPTIONS)
        groups.setdefault((a.dataflow, a.pe, a.maps is None, *options), []).append(i)
    return groups.values()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stays:
    """Which maps wait on the chip, (architectures, layers): those read, and those written."""

    input: Any = False
    output: Any = False

    def of(self, columns: list[int]) -> _Stays:
        """The same for some of the layers."""
        if self.input is False:
            return self
        return _Stays(input=self.input[:, columns], output=self.output[:, columns])


def _stays(layers: Workload | Sequence[Layer], architectures: Sequence[Architecture]) -> _Stays:
    """As :func:`hwsim.simulate` decides it, map by map."""
    if not isinstance(layers, Workload) or architectures[0].maps is None:
        return _Stays()
    place = {layer.name: j for j, layer in enumerate(layers.layers)}
    held = np.array([a.maps.half_bits for a in architectures if a.maps is not None])
    kept = np.zeros((2, len(architectures), len(place)), dtype=bool)
    for writer, reader in chains(layers):
        fits = map_bits(writer, architectures[0]) <= held
        kept[0, :, place[reader.name]] = kept[1, :, place[writer.name]] = fits
    return _Stays(input=kept[0], output=kept[1])


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
    a = _lanes(architectures, ("rows", "columns", "depth", "vector_lanes"), down=True)
    for name in ("dataflow", "element", "sums", *OPTIONS):
        setattr(a, name, getattr(first, name))
    for name in ("input", "weights", "output", *(["maps"] if first.maps is not None else [])):
        memories = [getattr(each, name) for each in architectures]
        sizes = ("half_bits", "bandwidth_bits_per_cycle", "word_bits")
        lanes = _lanes(memories, sizes, down=True)
        stated = any(memory.banks for memory in memories)
        lanes.banks = np.array([[m.banks or 0] for m in memories]) if stated else None
        setattr(a, name, lanes)
    a.maps = getattr(a, "maps", None)
    drams = [each.dram for each in architectures]
    a.dram = _lanes(drams, ("bandwidth_bits_per_cycle",), down=True)
    limits = [each.array.pass_rows for each in architectures]
    a.pass_rows = None if limits[0] is None else np.array(limits, dtype=np.int64)[:, None]
    a.array = a
    return a


def _check_range(largest: Any) -> None:
    """Refuse sizes whose largest count could leave the integers."""
    if np.max(largest) >= _LARGEST:
        raise ValueError(f"evaluate: counts up to {np.max(largest):.1e}, rule below 2**61")


def _largest(p: SimpleNamespace, a: SimpleNamespace) -> Any:
    """A bound of every count of the products."""
    spread = (p.m + a.rows + 0.0) * (p.k + a.rows) * (p.n + a.columns) * p.groups
    bits = np.maximum(np.maximum(p.input_bits, p.weight_bits), p.accumulator_bits)
    return spread * bits * (a.rows + a.columns) * p.input_bits * p.weight_bits


def _products(
    layers: Sequence[Any], architectures: Sequence[Architecture], stays: _Stays, bills: Bills
) -> dict[str, Any]:
    """Layers on the array, for architectures that differ in sizes alone."""
    first = architectures[0]
    p, w, a = _problems(layers, first), _windows(layers), _machines(architectures)
    _check_range(_largest(p, a))
    work = first.flow.work(p, a)
    x_bits, w_bits = _best(p, w, a, stays.input)
    c = SimpleNamespace(**dict.fromkeys(_COUNTS, 0) | work.counts)
    results = p.groups * p.m * p.n * p.output_bits
    c.input_sram_write_bits = x_bits * p.groups
    c.weight_dram_read_bits = c.weight_sram_write_bits = w_bits * p.groups
    c.output_sram_read_bits = c.output_sram_read_bits + results
    _split(c, stays, c.input_sram_write_bits, results)
    c.pe_idle_cycles = work.cycles * a.rows * a.columns - c.pe_operations
    extra = _lanes(layers, ("parameter_bits", "additions"), down=False)
    c.parameter_dram_read_bits, c.additions = extra.parameter_bits, extra.additions
    stall = _stall(work.cycles, c, edges(p, a), a, bank_cycles(p, a, c))
    cycles = work.cycles + stall
    pe, widths = first.element, (p.input_bits, p.weight_bits)
    products = p.macs * 1.0 * pe.step_clocks(*widths)
    could = cycles * a.rows * a.columns * pe.step_products(a.depth, *widths)
    return {
        "compute_cycles": work.compute_cycles,
        "fill_drain_cycles": work.cycles - work.compute_cycles,
        "stall_cycles": stall,
        "dram_bits": c.dram_bits,
        "energy_pj": _energy(bills, c, cycles),
        "utilisation": products / could,
    }


def _vectors(
    layers: Sequence[Any], architectures: Sequence[Architecture], stays: _Stays, bills: Bills
) -> dict[str, Any]:
    """Element-wise layers; fused ones cost operations and constants alone."""
    a = _machines(architectures)
    names = ("additions", "multiplications", "comparisons", "parameter_bits")
    moves = [_moves(x, architectures[0]) for x in layers]
    steps, read, written = zip(*moves, strict=True)
    numbers = [float(getattr(x, name)) for x in layers for name in names]
    _check_range([*numbers, *map(float, (*steps, *read, *written))])
    c = SimpleNamespace(**dict.fromkeys(_COUNTS, 0) | vars(_lanes(layers, names, down=False)))
    c.parameter_dram_read_bits = c.parameter_bits
    c.input_sram_write_bits = c.input_sram_read_bits = np.array(read)[None, :]
    c.output_sram_write_bits = c.output_sram_read_bits = np.array(written)[None, :]
    _split(c, stays, c.input_sram_read_bits, c.output_sram_write_bits)
    work: Any = np.array(steps)[None, :]
    busy: Any = ceil_div(work, a.vector_lanes)
    stall = _stall(busy, c, (0, 0), a)
    return {
        "compute_cycles": busy, "fill_drain_cycles": 0, "stall_cycles": stall,
        "dram_bits": c.dram_bits, "energy_pj": _energy(bills, c, busy + stall),
        "utilisation": 0.0,
    }


def _moves(layer: Vector, a: Architecture) -> tuple[int, int, int]:
    """Steps of a lane, and the bits read and written; none if the layer is fused."""
    if layer.fused:
        return 0, 0, 0
    elements = sum(operand.elements for operand in layer.inputs)
    width = a.element.storage_bits
    read = sum(operand.elements * width(operand.bits) for operand in layer.inputs)
    return max(layer.operations, elements, layer.output.elements), read, map_bits(layer, a)


def _split(c: Any, stays: _Stays, read: Any, written: Any) -> None:
    """Maps come from the memory for them, or from DRAM; and go there."""
    c.input_dram_read_bits = pick(stays.input, 0, read)
    c.map_sram_read_bits = pick(stays.input, read, 0)
    c.output_dram_write_bits = pick(stays.output, 0, written)
    c.map_sram_write_bits = pick(stays.output, written, 0)


def _stall(cycles: Any, c: Any, ends: tuple[Any, Any], a: Any, busiest: Any = 0) -> Any:
    """Clocks of waiting; adds up what crosses the pins."""
    c.dram_bits = (c.input_dram_read_bits + c.weight_dram_read_bits + c.parameter_dram_read_bits
                   + c.output_dram_write_bits)
    return stall_cycles(cycles, c, *ends, a, bank_cycles=busiest)


def _best(p: Any, w: Any, a: Any, on_chip: Any) -> tuple[Any, Any]:
    """Bits of X and W that one group reads under the order that :mod:`hwsim.traffic` chooses."""
    site = machine(p, a)
    best: tuple[Any, ...] = ()
    for order in loops.orders(p, w, site):
        x, weights = loops.fetched(p, w, site, order)
        x, weights = x * p.input_bits, weights * p.weight_bits
        found = order.usable, pick(on_chip, weights, x + weights), x + weights, x, weights
        if not best:
            best = found
            continue
        fewer = (found[1] < best[1]) | ((found[1] == best[1]) & (found[2] < best[2]))
        better = found[0] & (~np.asarray(best[0]) | fewer)
        best = tuple(np.where(better, new, old) for new, old in zip(found, best, strict=True))
    return best[3], best[4]


def _energy(bills: Bills, c: Any, cycles: Any) -> Any:
    """The dot product of counts and prices, a price a row."""
    total: Any = 0.0
    for lines in zip(*bills, strict=True):
        per: Any = np.array([line.per for line in lines])[:, None]
        price: Any = np.array([line.times * line.price.pj for line in lines])[:, None]
        number = cycles if lines[0].count == "cycles" else getattr(c, lines[0].count)
        total = total + ceil_div(number, per) * price
    return total
