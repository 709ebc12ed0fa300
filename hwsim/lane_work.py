"""Closed forms of the machines whose units have lanes: dot products, bits and digits in series.

An array of R x C units takes ``depth`` lanes of R rows of X and of C columns of W at a time; all
slices of k pass for one block of results before the next, without a gap. What a step costs is the
rule of the PE kind (:mod:`hwsim.pe`). Chapter [7c.2] derives clocks and counts, and
:mod:`hwsim.stepped_lanes` must give the same integers.
"""

from __future__ import annotations

from typing import Any

from hwsim.checks import ceil_div
from hwsim.closed_forms import Work
from hwsim.lanes import Whole
from hwsim.pe import ProcessingElement


def lanes_work(p: Any, a: Any) -> Work:
    """Clocks and counts; groups run one after the other."""
    pe: ProcessingElement | None = a.element
    if pe is None or pe.style != "lanes":
        raise ValueError(f"Array: element={pe!r}, rule a PE of style 'lanes' on these machines")
    row_folds, column_folds = ceil_div(p.m, a.rows), ceil_div(p.n, a.columns)
    slices = ceil_div(p.k, pe.step_products(a.depth, p.input_bits, p.weight_bits))
    clocks = slices * pe.step_clocks(p.input_bits, p.weight_bits)
    compute = p.groups * row_folds * column_folds * clocks
    inputs = p.groups * p.m * p.k * column_folds * p.input_bits
    weights = p.groups * p.k * p.n * row_folds * p.weight_bits
    again_x, again_w = _readings(pe, p)
    counts = {
        "macs": p.macs,
        "pe_operations": p.groups * p.m * p.n * clocks,
        "input_sram_read_bits": inputs * again_x,
        "weight_sram_read_bits": weights * again_w,
        "output_sram_write_bits": p.groups * p.m * p.n * p.output_bits,
    }
    if pe.rule in ("input-serial", "both-serial"):
        counts["weight_register_write_bits"] = weights
    if pe.rule == "table":
        tables = p.groups * p.m * ceil_div(p.k, pe.table_inputs) * column_folds
        counts["input_register_write_bits"] = tables * table_bits(pe, p.input_bits)
    return Work(compute, compute + p.groups * (pe.stages - 1), counts)


def table_bits(pe: ProcessingElement, input_bits: Whole) -> Whole:
    """Bits of one table: the sums of every choice of its inputs but the empty one.

    >>> from hwsim.pe import kind
    >>> table_bits(kind("unpu"), 8)                # seven sums of 10 bits
    70
    """
    largest = pe.table_inputs - 1
    return (2**pe.table_inputs - 1) * (input_bits + largest.bit_length())


def _readings(pe: ProcessingElement, p: Any) -> tuple[Whole, Whole]:
    """How often an operand of a step is read: once, or for each part of the other [7c.2]."""
    if pe.rule == "both-serial":
        return p.weight_bits, 1
    if pe.rule == "fused":
        left = pe.step_clocks(p.input_bits, pe.fused_bits)
        return pe.step_clocks(pe.fused_bits, p.weight_bits), left
    return 1, 1
