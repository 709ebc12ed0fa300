"""Mappings: in which order a layer's folds run, and how much of each operand stays on the chip.

Candidates never change what the array does, only what is fetched again: the clocks of the array are
the same for all of them. Chapter [7.4] of the specification states and derives the rules;
:mod:`hwsim.loops` has their arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hwsim import loops, sums
from hwsim.architecture import Architecture
from hwsim.checks import normalise
from hwsim.closed_forms import packs
from hwsim.counts import Problem
from hwsim.layers import Gemm


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """One way to run a group of a layer: dataflow, order of the folds, and tiles.

    ``order`` says what moves least: ``inputs-stay``, ``weights-stay``, or ``sums-stay`` where sums
    wait in the output memory between slices of ``tile_k``. A tile of
    ``tile_m`` rows of X, ``tile_k`` steps and ``tile_n`` columns of W is finished before the next.
    ``input_sweeps`` and ``weight_sweeps`` say how often the whole operand passes by.
    """

    dataflow: str
    order: str
    tile_m: int
    tile_k: int
    tile_n: int
    input_sweeps: int
    weight_sweeps: int

    def __post_init__(self) -> None:
        normalise(self, "Mapping", "tile_m tile_k tile_n input_sweeps weight_sweeps")

    @property
    def loops(self) -> loops.Loops:
        """The order and its tiles, as the formulas take them."""
        return loops.Loops(self.order, True, self.tile_m, self.tile_k, self.tile_n,
                           self.input_sweeps, self.weight_sweeps)


def problem(layer: Gemm, architecture: Architecture) -> Problem:
    """``layer`` with the widths its operands have in this machine.

    Raises ``ValueError`` where the PE cannot multiply such operands.
    """
    pe = architecture.element
    ternary = layer.weights.lo >= -1 and layer.weights.hi <= 1
    refused = pe.refusal(layer.input.bits, layer.weights.bits, ternary, layer.accumulator_bits)
    if refused:
        raise ValueError(f"layer {layer.name!r} on {architecture.name!r}: {refused}")
    return Problem(
        m=layer.m,
        k=layer.k,
        n=layer.n,
        input_bits=pe.storage_bits(layer.input.bits),
        weight_bits=pe.storage_bits(layer.weights.bits),
        output_bits=pe.storage_bits(layer.output.bits),
        accumulator_bits=pe.accumulator_bits,
        groups=layer.groups,
    )


def machine(p: Any, a: Any) -> loops.Machine:
    """What the orders of the loops depend on; groups on one diagonal share the memories."""
    high, wide = {
        "ws": (p.k, p.n), "is": (p.k, p.m), "os": (p.m, p.n), "bitserial": (p.m, p.n),
        "lanes": (p.m, p.n),
    }[a.dataflow]
    together = packs(p.groups, high, wide, a)
    limit = a.array.pass_rows
    return loops.Machine(
        dataflow=a.dataflow,
        rows=a.rows,
        columns=a.columns,
        input_room=a.input.half_bits // (p.input_bits * together),
        weight_room=a.weights.half_bits // (p.weight_bits * together),
        pass_rows=(p.n if a.dataflow == "is" else p.m) if limit is None else limit,
        **_sum_room(p, a),
    )


def _sum_room(p: Any, a: Any) -> dict[str, int]:
    """The rest of the machine where sums may wait in the output memory [7.4.8]."""
    if a.sums != "memory":
        return {}
    return {"sum_room": a.output.half_bits // p.accumulator_bits, "step": sums.step(p, a),
            "most_slices": sums.most_slices(p, a)}


def orders(p: Any, w: Any, site: loops.Machine) -> tuple[loops.Loops, ...]:
    """The orders of the loops that this machine has, best-liked first."""
    found = tuple(each for each in loops.orders(p, w, site) if each.usable)
    return (*found, *sums.orders(p, w, site)) if site.sum_room else found


def candidates(layer: Gemm, architecture: Architecture) -> tuple[Mapping, ...]:
    """The mappings to choose from, best-liked first; there is always one."""
    p = problem(layer, architecture)
    found = orders(p, layer.geometry, machine(p, architecture))
    return tuple(mapping_of(architecture, each) for each in found)


def mapping_of(a: Architecture, found: loops.Loops) -> Mapping:
    """The record of an order of the loops."""
    return Mapping(
        dataflow=a.dataflow, order=found.order,
        tile_m=found.tile_m, tile_k=found.tile_k, tile_n=found.tile_n,
        input_sweeps=found.input_sweeps, weight_sweeps=found.weight_sweeps,
    )
