"""The reads of a layer written out: every request of the array, and the order of prefetches [7b.9].

Where bandwidth is given, clocks depend on which prefetch an address is in, so nothing is left to a
closed form. An operand is a block of ``steps`` x ``ports`` addresses that meets the array fold by
fold, ``width`` ports at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from hwsim.checks import ceil_div
from hwsim.scalesim.layer import Folding, Layer
from hwsim.scalesim.skew import IntArray, order
from hwsim.scalesim.windows import LARGEST_PASS, Windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """An operand on its way: ``address(step, port)`` is below ``size``, -1 beside the map.

    One that ``stays`` is loaded a step a clock, last step of the fold first; else it enters skewed.
    ``across`` says that its ports are the columns of the array.
    """

    address: Callable[[IntArray, IntArray], IntArray]
    size: int
    steps: int
    ports: int
    width: int
    stays: bool
    across: bool

    @property
    def places(self) -> int:
        """Places of the prefetch matrix: a fold at the edge has all its ports."""
        return ceil_div(self.ports, self.width) * self.width * self.steps


def operands(layer: Layer, f: Folding) -> tuple[Operand, Operand]:
    """X and W; raises ``ValueError`` if either, or the clocks, are too many to write out."""
    most = max(layer.m * layer.k, layer.k * layer.n, f.cycles)
    if most > LARGEST_PASS:
        raise ValueError(
            f"{most} window elements, weights or clocks: rule at most {LARGEST_PASS} with "
            "InterfaceBandwidth = USER"
        )
    m, k, n = layer.m, layer.k, layer.n
    windows = Windows(layer)
    x_size, w_size = layer.height * layer.width * layer.channels, k * n

    def x(step: IntArray, port: IntArray) -> IntArray:
        position, tap = (step, port) if f.dataflow == "ws" else (port, step)
        return windows.addresses(position, tap)

    def w(step: IntArray, port: IntArray) -> IntArray:
        tap, filter_ = (port, step) if f.dataflow == "is" else (step, port)
        return np.asarray(filter_ * k + tap)

    shapes = {"os": (k, m, k, n), "ws": (m, k, k, n), "is": (k, m, n, k)}
    x_steps, x_ports, w_steps, w_ports = shapes[f.dataflow]
    return (
        Operand(address=x, size=x_size, steps=x_steps, ports=x_ports, stays=f.dataflow == "is",
                across=f.dataflow == "is", width=f.C if f.dataflow == "is" else f.R),
        Operand(address=w, size=w_size, steps=w_steps, ports=w_ports, stays=f.dataflow == "ws",
                across=f.dataflow != "is", width=f.R if f.dataflow == "is" else f.C),
    )


def prefetch_order(o: Operand) -> IntArray:
    """The addresses in the order in which they are prefetched, over and over [7b.9.2].

    Folds lie on top of each other; an operand that streams is skewed as one block of all of them.
    """
    if o.stays:
        steps = np.arange(o.steps)[:, None]
        found = np.concatenate([
            o.address(steps, np.arange(low, min(low + o.width, o.ports))[None, :]).ravel()
            for low in range(0, o.ports, o.width)
        ])
    else:
        row, port = order(ceil_div(o.ports, o.width) * o.steps, o.width)
        fold, step = np.divmod(row, o.steps)
        port += fold * o.width
        there = port < o.ports
        found = o.address(step[there], port[there])
    return found[found >= 0]


def demand(o: Operand, f: Folding) -> Iterator[tuple[IntArray, IntArray]]:
    """(clocks, addresses) of every fold, in the order in which the array asks."""
    lead = 0 if f.dataflow == "os" else f.R
    for fold in range(f.folds):
        column, row = divmod(fold, f.row_folds)
        low = (column if o.across else row) * o.width
        ports = np.arange(low, min(low + o.width, o.ports))
        if o.stays:
            first = row * f.R
            steps = np.arange(min(first + f.R, o.steps) - 1, first - 1, -1)
            clocks = np.repeat(np.arange(f.R - len(steps), f.R), len(ports))
            found = o.address(steps[:, None], ports[None, :]).ravel()
        else:
            step, port = order(o.steps, len(ports))
            clocks, found = lead + step + port, o.address(step, ports[port])
        there = found >= 0
        yield fold * f.fold_cycles + clocks[there], found[there]
