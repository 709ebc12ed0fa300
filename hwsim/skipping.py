"""Products that are not made since an operand is zero: clocks, lost balance, cost of the indices.

A unit holds a window of ``reach`` slices of k. Each of its lanes makes one wanted product of its
own share a clock, and all units go on when the slowest lane is done, after at least one clock.
Exact from the codes of both operands, expected from their numbers of zeros. Chapter [7c.4];
:mod:`hwsim.stepped_skipping` moves every code and must give the integers of :func:`exact`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, erfc, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.checks import ceil_div, normalise
from hwsim.counts import Activity, Array, Counts, Problem
from hwsim.layers import Gemm, Operand
from hwsim.unfold import input_mask, weight_mask

Mask = NDArray[np.bool_]
#: A list of wanted weights is followed one clock before its operands are multiplied.
GATHER_STAGES = 1
# Numbers that are held at a time when pairs of operands are looked at.
_CHUNK = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """What skipping does to a layer, all groups together.

    ``basis`` is ``codes`` (exact), ``counts`` (expected from the zeros) or ``nothing`` (no zero
    known, none skipped). ``products`` are made, in ``compute_cycles``; the array without skipping
    takes ``dense_cycles``; were the products of a window spread evenly over all its lanes, it would
    take ``balanced_cycles``. ``busy`` are steps of units with work. One pass of the weights is
    ``weight_bits``, ``index_bits`` of which say where they belong.
    """

    basis: str
    products: int
    compute_cycles: int
    dense_cycles: int
    balanced_cycles: int
    busy: int
    weight_bits: int
    index_bits: int

    def __post_init__(self) -> None:
        names = "products compute_cycles dense_cycles balanced_cycles busy weight_bits index_bits"
        normalise(self, "Skipped", names, least=0)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, units in the names."""
        return {name: getattr(self, name) for name in self.__slots__}


def skipped(layer: Gemm, p: Problem, array: Array) -> Skipped:
    """The best that the layer's operands allow: exact where all codes that matter are known."""
    needed = _needed(layer, array)
    if all(operand.codes is not None for operand in needed):
        X = input_mask(layer) if array.skip != "weights" else None
        W = weight_mask(layer) if array.skip != "inputs" else None
        return exact(X, W, p, array, _value_bits(layer, p))
    return expected(layer, p, array)


def _needed(layer: Gemm, array: Array) -> tuple[Operand, ...]:
    operands = {"weights": (layer.weights,), "inputs": (layer.input,)}
    return operands.get(array.skip, (layer.input, layer.weights))


def _value_bits(layer: Gemm, p: Problem) -> int:
    """Bits of a weight that is known not to be zero: the sign of a ternary one."""
    ternary = layer.weights.lo >= -1 and layer.weights.hi <= 1
    return 1 if ternary else p.weight_bits


def exact(
    X: Mask | None, W: Mask | None, p: Problem, array: Array, value_bits: int
) -> Skipped:
    """From masks of what is not zero: X (groups, m, k), W (groups, k, n), None if not looked at."""
    total = np.zeros(4, dtype=object)
    for g in range(p.groups):
        total += _group(
            np.ones((1, p.k), dtype=bool) if X is None else X[g],
            np.ones((p.k, 1), dtype=bool) if W is None else W[g], p, array,
        )
    products, compute, balanced, busy = (int(value) for value in total)
    wanted = None if W is None else int(np.count_nonzero(W))
    return Skipped(
        basis="codes", products=products, compute_cycles=compute, balanced_cycles=balanced,
        busy=busy, dense_cycles=_dense(p, array), **_stream(wanted, p, array, value_bits),
    )


def _group(X: Mask, W: Mask, p: Problem, array: Array) -> NDArray[Any]:
    """Products, clocks, balanced clocks, busy steps of one group.

    An operand that is not looked at has one line that stands for all of them: every fold of its
    lines is alike, and there are ``alike`` of each block and ``same`` of each result.
    """
    rows, columns = array.rows, array.columns
    alike, same = 1, (p.m // len(X)) * (p.n // W.shape[1])
    if len(X) != p.m:
        rows, alike = 1, ceil_div(p.m, array.rows)
    if W.shape[1] != p.n:
        columns, alike = 1, ceil_div(p.n, array.columns)
    right = _lanes_of(W.T, array)
    products = compute = balanced = busy = 0
    block = max(1, _CHUNK // (max(p.k, array.depth * W.shape[1]) * rows)) * rows
    for m0 in range(0, len(X), block):
        left = _lanes_of(X[m0 : m0 + block], array)
        for window in range(len(left)):
            lanes = min(array.depth, p.k - window * array.depth * array.reach)
            pairs = left[window] @ right[window].transpose(0, 2, 1)
            wanted = pairs.sum(axis=0).astype(np.int64)
            longest = pairs.max(axis=0).astype(np.int64)
            products += int(wanted.sum())
            busy += int(longest.sum())
            compute += int(np.maximum(_tiles(longest, rows, columns, np.maximum), 1).sum())
            room = _tiles(np.full_like(wanted, lanes), rows, columns, np.add)
            even = -(-_tiles(wanted, rows, columns, np.add) // room)
            balanced += int(np.maximum(even, 1).sum())
    return np.array([products * same, compute * alike, balanced * alike, busy * same], dtype=object)


def _lanes_of(mask: Mask, array: Array) -> NDArray[np.float32]:
    """(lines, k) as (windows, lanes, lines, places of a lane): k = (window, place, lane)."""
    lines, k = mask.shape
    windows = ceil_div(k, array.depth * array.reach)
    padded = np.zeros((lines, windows * array.reach * array.depth), dtype=np.float32)
    padded[:, :k] = mask
    shape = lines, windows, array.reach, array.depth
    return np.ascontiguousarray(padded.reshape(shape).transpose(1, 3, 0, 2))


def _tiles(
    values: NDArray[np.int64], rows: int, columns: int, what: np.ufunc
) -> NDArray[np.int64]:
    """``what`` over blocks of rows x columns."""
    down: NDArray[np.int64] = what.reduceat(values, range(0, values.shape[0], rows), axis=0)
    across: NDArray[np.int64] = what.reduceat(down, range(0, values.shape[1], columns), axis=1)
    return across


def _dense(p: Problem, array: Array) -> int:
    blocks = ceil_div(p.m, array.rows) * ceil_div(p.n, array.columns)
    return p.groups * blocks * ceil_div(p.k, array.depth)


def _stream(wanted: int | None, p: Problem, array: Array, value_bits: int) -> dict[str, int]:
    """Bits of the weights: dense, or lists of ``wanted`` values with places, and their lengths.

    A lane has a list a column and window, empty ones included.
    """
    if wanted is None:
        return {"weight_bits": p.groups * p.k * p.n * p.weight_bits, "index_bits": 0}
    span = array.depth * array.reach
    lists = p.k // span * array.depth + min(p.k % span, array.depth)
    place_bits, length_bits = (array.reach - 1).bit_length(), array.reach.bit_length()
    index = wanted * place_bits + p.groups * p.n * lists * length_bits
    return {"weight_bits": wanted * value_bits + index, "index_bits": index}


def expected(layer: Gemm, p: Problem, array: Array) -> Skipped:
    """From the zeros alone, as if each code were zero or not by itself.

    What a lane has to do is then binomial, the slowest of independent lanes has the product of
    their distributions, and means add up over windows and blocks; the sum of all lanes of a block
    is taken as normal. Rounded to whole clocks.
    """
    needed = _needed(layer, array)
    known = any(operand.zeros is not None for operand in needed)
    density, by_weights = 1.0, array.skip != "inputs"
    for operand in needed:
        density *= 1 - (operand.zeros or 0) / operand.elements
    wanted = None
    if by_weights:
        wanted = layer.weights.elements - (layer.weights.zeros or 0)
    mean = np.zeros(3)
    for lanes, windows in _windows(p, array):
        mean += windows * _window_means(lanes, density, p, array)
    compute, balanced, busy = (round(p.groups * value) for value in mean)
    return Skipped(
        basis="counts" if known else "nothing", products=round(density * p.macs),
        compute_cycles=compute, balanced_cycles=balanced, busy=busy,
        dense_cycles=_dense(p, array), **_stream(wanted, p, array, _value_bits(layer, p)),
    )


def _windows(p: Problem, array: Array) -> list[tuple[list[int], int]]:
    """Places of every lane of a full window, of the last one, and how many there are."""
    full, rest = divmod(p.k, array.depth * array.reach)
    found = [([array.reach] * array.depth, full)] if full else []
    if rest:
        places = [ceil_div(rest - lane, array.depth) for lane in range(min(rest, array.depth))]
        found.append((places, 1))
    return found


def _window_means(
    lanes: list[int], density: float, p: Problem, array: Array
) -> NDArray[np.float64]:
    """Mean clocks, balanced clocks and busy steps of one window, over all blocks of a group."""
    unit = np.ones(array.reach + 1)  # P(the slowest lane of a unit has at most t)
    for places in set(lanes):
        unit *= _binomial(places, density, array.reach) ** lanes.count(places)
    total = np.zeros(3)
    for rows, row_folds in _pieces(p.m, array.rows):
        for columns, column_folds in _pieces(p.n, array.columns):
            units = (rows if array.skip != "weights" else 1) * (
                columns if array.skip != "inputs" else 1)
            clocks = 1 + np.sum(1 - unit[1:] ** units)
            even = 1 + sum(_more(units * sum(lanes), density, done * units * len(lanes))
                           for done in range(1, array.reach))
            busy = rows * columns * np.sum(1 - unit)
            total += row_folds * column_folds * np.array([clocks, even, busy])
    return total


def _more(trials: int, probability: float, limit: int) -> float:
    """P(more than ``limit`` of ``trials``), by the normal distribution."""
    mean = trials * probability
    spread = sqrt(mean * (1 - probability))
    if spread == 0:
        return float(mean > limit)
    return 0.5 * erfc((limit + 0.5 - mean) / (spread * sqrt(2)))


def _pieces(total: int, size: int) -> list[tuple[int, int]]:
    """(lines, number) of the full folds and of the last."""
    full, rest = divmod(total, size)
    return [(lines, number) for lines, number in ((size, full), (rest, int(rest > 0))) if number]


def _binomial(trials: int, probability: float, last: int) -> NDArray[np.float64]:
    """P(at most t of ``trials``), t = 0..last."""
    chances = [
        comb(trials, t) * probability**t * (1 - probability) ** (trials - t)
        for t in range(trials + 1)
    ]
    sums = np.minimum(np.cumsum(chances), 1.0)
    return np.concatenate([sums, np.ones(max(0, last - trials))])[: last + 1]


def activity(p: Problem, array: Array, found: Skipped) -> Activity:
    """Clocks and counts of the array that skips [7c.4]."""
    pe = array.element
    assert pe is not None
    row_folds, column_folds = ceil_div(p.m, array.rows), ceil_div(p.n, array.columns)
    inputs = p.groups * p.m * p.k * column_folds * p.input_bits
    weights = found.weight_bits * row_folds
    return Activity(
        compute_cycles=found.compute_cycles,
        fill_drain_cycles=p.groups * (pe.stages + GATHER_STAGES - 1),
        counts=Counts(
            macs=p.macs, skipped_macs=p.macs - found.products, pe_operations=found.busy,
            input_sram_read_bits=inputs, input_register_write_bits=inputs,
            weight_sram_read_bits=weights, weight_register_write_bits=weights,
            output_sram_write_bits=p.groups * p.m * p.n * p.output_bits,
        ),
    )
