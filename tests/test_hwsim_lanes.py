"""Units with lanes: closed form == the machine that computes with planes, digits and tables."""

import ast
import itertools
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import dataflow, presets, simulate, stepped_lanes, stepped_serial, stepped_units
from hwsim.batch import evaluate
from hwsim.counts import Array, Problem
from hwsim.layers import Gemm, Operand, Workload
from hwsim.pe import KINDS, ProcessingElement, kind
from hwsim.stepped_parts import plain_product

LANES = [pe for pe in KINDS if pe.style == "lanes"]
BY_KIND = pytest.mark.parametrize("pe", LANES, ids=lambda pe: pe.name)
#: Every small size of every kind takes minutes and is run with HWSIM_EXHAUSTIVE=1; else every 41st.
STRIDE = 1 if os.environ.get("HWSIM_EXHAUSTIVE") == "1" else 41
SIGNS = list(itertools.product((False, True), repeat=2))


def bounds(bits: int, signed: bool) -> tuple[int, int]:
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def ranges(pe: ProcessingElement, bits: tuple[int, int], signed: tuple[bool, bool]):
    """Of X and of W; ternary weights are -1..1 and signed."""
    weights = (-1, 1) if pe.ternary_weights else bounds(bits[1], signed[1])
    return bounds(bits[0], signed[0]), weights


def matrix(rows, columns, limits, rng):
    """Random integers, bounds as often as anything else."""
    return [[rng.choice([*limits, rng.randint(*limits)]) for _ in range(columns)]
            for _ in range(rows)]


def check(pe, m, k, n, rows, columns, depth, bits, signed, rng) -> None:
    if pe.ternary_weights:
        bits, signed = (bits[0], 2), (signed[0], True)
    stored = tuple(pe.storage_bits(width) for width in bits)
    p = Problem(m=m, k=k, n=n, input_bits=stored[0], weight_bits=stored[1], output_bits=7)
    array = Array(rows=rows, columns=columns, depth=depth, element=pe)
    x_range, w_range = ranges(pe, bits, signed)
    X, W = matrix(m, k, x_range, rng), matrix(k, n, w_range, rng)
    values, activity = stepped_lanes.lanes(X, W, p, array, signed=signed)
    assert values == plain_product(X, W), (pe.name, p, array, signed)
    assert activity == dataflow.lanes(p, array), (pe.name, p, array)


@BY_KIND
def test_closed_form_is_the_machine_over_every_small_size(pe):
    sizes = itertools.product((1, 2, 3), (1, 2, 3), (1, 2, 4), (1, 2, 3), range(1, 8), (1, 2, 3))
    widths = itertools.cycle([(1, 1), (2, 1), (1, 2), (2, 2), (3, 2), (2, 5), (4, 4), (5, 3)])
    rng = random.Random(pe.name)
    first = LANES.index(pe)
    cases = zip(sizes, widths, itertools.cycle(SIGNS * 2 + SIGNS[1:]), strict=False)
    for (rows, columns, depth, m, k, n), bits, signed in itertools.islice(
        cases, first, None, STRIDE
    ):
        bits = tuple(map(min, bits, (pe.input_max_bits, pe.weight_max_bits)))
        check(pe, m, k, n, rows, columns, depth, bits, signed, rng)


@BY_KIND
def test_every_pair_of_widths_at_the_bounds(pe):
    """1 to 16 bits on each side, signed and not, as far as the kind goes."""
    rng = random.Random(1)
    pairs = itertools.product(range(1, pe.input_max_bits + 1), range(1, pe.weight_max_bits + 1))
    for i, bits in enumerate(pairs):
        if i % (1 if STRIDE == 1 else 5) == 0:
            check(pe, 1, 4, 1, 1, 1, 2, bits, SIGNS[i // 5 % 4], rng)


def test_popcount_units_at_every_pair_of_widths():
    """The machine of 7.3.3, whose own tests stop at three bits."""
    rng, array = random.Random(2), Array(rows=1, columns=1, depth=2, element=kind("popcount"))
    for i, bits in enumerate(itertools.product(range(1, 17), repeat=2)):
        if i % (1 if STRIDE == 1 else 5):
            continue
        signed = SIGNS[i // 5 % 4]
        X, W = (matrix(*size, bounds(b, s), rng)
                for size, b, s in zip(((1, 4), (4, 1)), bits, signed, strict=True))
        p = Problem(m=1, k=4, n=1, input_bits=bits[0], weight_bits=bits[1])
        values, activity = stepped_serial.bit_serial(X, W, p, array, signed=signed)
        assert values == plain_product(X, W)
        assert activity == dataflow.bit_serial(p, array)


@BY_KIND
@settings(max_examples=12)
@given(data=st.data())
def test_odd_shapes_and_widths(pe, data):
    def draw(low, high):
        return data.draw(st.integers(low, high))

    bits = draw(1, pe.input_max_bits), draw(1, pe.weight_max_bits)
    sizes = draw(1, 5), draw(1, 20), draw(1, 5), draw(1, 4), draw(1, 4), draw(1, 7)
    check(pe, *sizes, bits, data.draw(st.sampled_from(SIGNS)), random.Random(draw(0, 99)))


def test_the_step_rule_by_hand():
    """Clocks and products of a step of 16 lanes (fused units, tables), worked out on paper."""
    cases = {
        ("int8-dot", 8, 8): (1, 16), ("ternary2-dot", 2, 2): (1, 16),
        ("ternary-serial", 2, 2): (2, 16), ("stripes", 9, 16): (9, 16),
        ("loom1", 8, 11): (88, 16), ("loom2", 7, 11): (44, 16), ("loom4", 9, 1): (3, 16),
        ("bitfusion", 8, 8): (1, 16), ("bitfusion", 2, 2): (1, 256), ("bitfusion", 4, 1): (1, 128),
        ("bitfusion", 16, 2): (2, 64), ("bitfusion", 16, 16): (4, 16), ("bitfusion", 3, 5): (1, 32),
        ("unpu", 16, 1): (1, 48), ("unpu", 8, 16): (16, 48),
        ("popcount", 2, 3): (6, 16),
    }
    for (name, *widths), (clocks, products) in cases.items():
        pe = kind(name)
        assert (pe.step_clocks(*widths), pe.step_products(16, *widths)) == (clocks, products), name


def test_popcount_units_are_a_loom_of_one_bit():
    """The two machines in series on both sides take the same clocks, and nothing else is alike."""
    for widths in itertools.product(range(1, 17), repeat=2):
        p = Problem(m=5, k=70, n=9, input_bits=widths[0], weight_bits=widths[1])
        array = Array(rows=2, columns=4, depth=32, element=kind("loom1"))
        loom, bismo = dataflow.lanes(p, array), dataflow.bit_serial(p, array)
        assert loom.cycles == bismo.cycles
        assert loom.counts.weight_sram_read_bits * widths[0] == bismo.counts.weight_sram_read_bits


def test_published_laws():
    """Stripes against its bit-parallel base p / 16; Bit Fusion and DNNsim's own formulas."""
    for bits in range(1, 17):
        p = Problem(m=64, k=256, n=32, input_bits=bits, weight_bits=16)
        stripes = dataflow.lanes(p, Array(rows=16, columns=16, depth=16, element=kind("stripes")))
        # DNNsim: windows / columns, filters / rows, K / lanes, and the precision of the inputs.
        assert stripes.compute_cycles == (64 // 16) * (32 // 16) * (256 // 16) * bits
    for ip, wp in itertools.product((2, 4, 8), repeat=2):
        p = Problem(m=64, k=256, n=32, input_bits=ip, weight_bits=wp)
        fusion = dataflow.lanes(p, Array(rows=1, columns=32, depth=16, element=kind("bitfusion")))
        assert fusion.compute_cycles == 64 * -(-256 // (16 * (8 // ip) * (8 // wp)))


def test_an_int4_array_is_systolic():
    p = Problem(m=5, k=6, n=4, input_bits=4, weight_bits=4)
    assert kind("int4").style == "mac"
    with pytest.raises(ValueError, match=r"element=.*rule a PE of style 'lanes'"):
        dataflow.lanes(p, Array(rows=2, columns=2, element=kind("int4")))
    with pytest.raises(ValueError, match="element=None, rule a PE of style 'lanes'"):
        dataflow.lanes(p, Array(rows=2, columns=2))


def test_kinds_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="rule='half', rule 'parallel' or"):
        replace(kind("loom1"), rule="half")
    with pytest.raises(ValueError, match="rule='fused', rule 'parallel' of style 'mac'"):
        replace(kind("int8"), rule="fused")
    for name in ("serial_bits", "brick_bits", "fused_bits", "table_inputs", "stages"):
        with pytest.raises(ValueError, match=f"{name}=0, rule an integer >= 1"):
            replace(kind("loom1"), **{name: 0})


def test_the_machine_does_not_know_the_closed_forms():
    for module in (stepped_lanes, stepped_units):
        text = Path(module.__file__).read_text(encoding="utf-8")
        imported = {node.module for node in ast.walk(ast.parse(text))
                    if isinstance(node, ast.ImportFrom)}
        assert imported <= {"__future__", "abc", "collections", "collections.abc", "dataclasses",
                            "typing", "hwsim.counts", "hwsim.pe", "hwsim.stepped_parts",
                            "hwsim.stepped_units"}
        for rule in ("step_clocks", "step_products", "digits_bits", "table_bits"):
            assert rule not in text


@BY_KIND
def test_whole_layers_alone_and_in_a_batch(pe):
    """Utilisation is 1 at most; the batch form gives the same; the report names the lanes."""
    bits = min(pe.input_max_bits, 3), 2 if pe.ternary_weights else min(pe.weight_max_bits, 5)

    def operand(elements, width, low):
        return Operand(lo=-low, hi=2 ** (width - 1) - 1, elements=elements)

    layers = [
        Gemm(name=f"g{m}", m=m, k=k, n=n, input=operand(m * k, bits[0], 2 ** (bits[0] - 1)),
             weights=operand(k * n, bits[1], 1 if pe.ternary_weights else 2 ** (bits[1] - 1)),
             output=operand(m * n, 9, 0))
        for m, k, n in ((1, 1, 1), (9, 70, 11), (64, 96, 8))
    ]
    base = replace(presets.BISMO_8X256X8, pe=pe.name, dataflow="lanes", depth=16)
    machines = [base, replace(base, rows=4, columns=2, depth=3)]
    batch = evaluate(layers, machines)
    for i, a in enumerate(machines):
        report = simulate(Workload(name="w", layers=tuple(layers)), a)
        for j, layer in enumerate(report.layers):
            assert 0 < layer.utilisation <= 1
            assert batch.total_cycles[i, j] == layer.total_cycles
            assert batch.utilisation[i, j] == pytest.approx(layer.utilisation, rel=1e-15)
        each = {"fused": "fused units", "table": "tables"}.get(pe.rule, "lanes")
        assert f"8 x 8 x 16 {each} {pe.name} PEs" in report.to_table() or i
