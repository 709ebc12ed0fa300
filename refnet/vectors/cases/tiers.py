"""Cases beyond the core tier: whole spaces, chains, constructed accumulators, machine clocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from refnet.program import (
    INT8,
    TERNARY,
    UINT2,
    Conv,
    IntType,
    Node,
    Program,
    Requantize,
    TensorType,
    Threshold,
    constant,
)
from refnet.vectors.building import program_attributes
from refnet.vectors.cases.build import Case, about, conv, function_case, operator_case
from refnet.vectors.stream import Stream

RULES = ("half_even", "half_up", "half_away")


def _exhaustive() -> list[Case]:
    cases = [function_case(
        "exhaustive.dot.0001", "9.1.1 9.2.1 4.1.3", "exhaustive", {"space": "ternary_dot", "n": 5},
        {}, "BASIC", "Every dot product of five trits and five 2-bit codes, by its digest.",
        tier="exhaustive")]
    pairs = ((-3, 14, "int8"), (21845, 16, "int32"))
    for rule in RULES:
        for mult, shift, type in pairs:
            cases.append(function_case(
                f"exhaustive.requantize.{len(cases):04d}", "9.1.1 9.2.2 3.2.2", "exhaustive",
                {"space": "requantize", "bound": 2**20, "mult": mult, "shift": shift,
                 "type": type, "rounding": rule}, {}, "TIE SATURATE",
                f"Every accumulator up to 2**20 by {mult} / 2**{shift} into {type}, {rule}.",
                tier="exhaustive"))
    return [*cases, function_case(
        "exhaustive.ternary.0001", "9.1.1 9.2.3 6.1.1 6.1.2", "exhaustive",
        {"space": "optimal_ternary", "n": 8, "top": 3}, {}, "TIE",
        "Optimal ternary codes of every vector of magnitudes 0 to 3, of length 1 to 8.",
        tier="exhaustive")]


def _mixed(rule: str) -> Program:
    """Two channels that turn and slowly grow: eighths tie often, and ends saturate."""
    nodes = (
        Node(name="a", op=conv(), inputs=("x", "w", "b")),
        Node(name="y", op=Requantize(type=INT8, rounding=rule), inputs=("a", "m", "s")),
    )
    constants = {
        "w": constant(np.array([[7, -4], [4, 7]]).reshape(2, 2, 1, 1)),
        "b": constant(np.array([1, -3])),
        "m": constant(np.array([1, 1])),
        "s": constant(np.array([3, 3])),
    }
    return Program(
        name=f"mixed_{rule}", input="x", input_type=TensorType(type=INT8, shape=(2, 2, 4)),
        constants=constants, output="y", nodes=nodes)


def _automaton() -> Program:
    """2-bit codes on a map of 8 x 8: each looks at its neighbours in two channels."""
    draw = Stream("chain automaton")
    w = draw.integers(-1, 1, (2, 2, 3, 3))
    nodes = (
        Node(name="a", op=conv(padding=1), inputs=("x", "w")),
        Node(name="y", op=Threshold(), inputs=("a", "t", "sign")),
    )
    constants = {
        "w": constant(w, TERNARY),
        "t": constant(np.array([[-3, 0, 3], [-2, 1, 3]])),
        "sign": constant(np.array([1, -1])),
    }
    return Program(
        name="automaton", input="x", input_type=TensorType(type=UINT2, shape=(2, 8, 8)),
        constants=constants, output="y", nodes=nodes)


def _chains() -> list[Case]:
    cases = []
    for i, program in enumerate((*map(_mixed, RULES), _automaton()), start=1):
        held = program.input_type
        draw = Stream(f"chain {held.type.name}")
        x = draw.integers(held.type.lo, held.type.hi, (1, *held.shape))
        cases.append(function_case(
            f"chain.program.{i:04d}", "9.1.1 9.3.1 5.2.1", "chain",
            {**program_attributes(program), "times": 1000}, {"x": (held.type.name, x)}, "CHAIN",
            f"Program {program.name}, its output fed back a thousand times.",
            constants={k: (c.type.name, c.array) for k, c in sorted(program.constants.items())},
            tier="chain"))
    return cases


def _attaining(w: Any, lo: int, hi: int, padding: Any = 0) -> Any:
    """Two images that reach the least and the greatest sum of filter 0 of w (F, C, R, S)."""
    least = np.where(w[0] > 0, lo, hi)
    return np.stack([least, np.where(w[0] > 0, hi, lo)])


def _stress() -> list[Case]:
    """Each accumulator takes its least and its greatest value; the width below would not do."""
    draw = Stream("stress")
    trits = np.where(draw.integers(0, 1, (1, 512, 3, 3)) > 0, 1, -1)
    signed = 127 * np.where(draw.integers(0, 1, (1, 16, 3, 3)) > 0, 1, -1)
    rows: tuple[tuple[str, Any, Any, str], ...] = (
        ("uint2", np.ones((1, 5461, 1, 1), int), [0],
         "3 * 5461 = 16383: the last sum of 14 bits without sign"),
        ("uint2", np.ones((1, 5462, 1, 1), int), [0],
         "3 * 5462 = 16386: one product more needs 15 bits"),
        ("uint2", trits, [0], "4608 trits of both signs on 2-bit codes"),
        ("uint8", np.full((1, 257, 1, 1), 1), [0], "255 * 257 = 65535: 16 bits exactly"),
        ("uint8", np.full((1, 257, 1, 1), 1), [1], "255 * 257 + 1: the bias needs the 17th bit"),
        ("int8", signed, [0], "8-bit weights and inputs: 144 products of 127 * 128"),
        ("uint8", np.full((1, 1, 1, 1), 8421504), [126], "2**31 - 2: the bound itself"),
        ("int[0,2147483646]", np.full((1, 1, 1, 1), -1), [0], "-(2**31 - 2): the bound itself"),
        ("ternary", np.full((1, 127, 1, 1), 1), [0], "127 trits on trits: 8 bits with a sign"),
        ("ternary", np.full((1, 128, 1, 1), 1), [0], "128 trits on trits: 9 bits"),
    )
    cases = []
    for i, (type, w, b, why) in enumerate(rows, start=1):
        held = IntType.parse(type)
        x = _attaining(np.asarray(w), held.lo, held.hi)
        case = operator_case(
            f"stress.conv.{i:04d}", "9.4.1 4.1.3 1.3.1", Conv(),
            {"x": (type, x), "w": w, "b": b}, "STRESS ACCUMULATOR",
            f"Both ends of the accumulator are reached: {why}.", tier="stress")
        cases += [case, about(
            case, f"stress.width.{i:04d}", "9.4.1 4.1.4", "accumulator_width",
            "STRESS ACCUMULATOR", f"The fewest bits of the accumulator: {why}.")]
    return cases


def _machine() -> list[Case]:
    small = {"rows": 4, "columns": 4}
    rows: tuple[tuple[str, dict[str, int], dict[str, int], str, str], ...] = (
        ("os", {"m": 4, "k": 4, "n": 4}, small, "7.3.1",
         "one fold: 4 steps + (2*4 + 4 - 2) = 14 clocks"),
        ("os", {"m": 5, "k": 7, "n": 9}, small, "7.3.1",
         "ceil(5/4) * ceil(9/4) = 6 folds of 7 steps + 10"),
        ("ws", {"m": 7, "k": 10, "n": 6}, small, "7.3.2",
         "ceil(10/4) * ceil(6/4) = 6 folds of 7 steps + 10 = 102 clocks"),
        ("is", {"m": 6, "k": 10, "n": 7}, small, "7.3.4",
         "the product above with operands exchanged: 6 folds of 7 steps + 10"),
        ("ws", {"m": 1, "k": 1, "n": 1}, {"rows": 8, "columns": 2}, "7.3.2",
         "one MAC on 8 x 2: 1 step + (16 + 2 - 2) = 17 clocks"),
        ("bitserial", {"m": 8, "k": 300, "n": 8, "input_bits": 2, "weight_bits": 2},
         {"rows": 8, "columns": 8, "depth": 256}, "7.3.3",
         "two slices of 256 bits, four pairs of planes, 3 clocks of latency: 11"),
        ("bitserial", {"m": 9, "k": 256, "n": 8, "input_bits": 8, "weight_bits": 2},
         {"rows": 8, "columns": 8, "depth": 256}, "7.3.3",
         "two blocks, one slice, sixteen pairs of planes: 32 + 3"),
    )
    return [
        function_case(
            f"machine.clocks.{i:04d}", "9.5.1", "machine",
            {"dataflow": dataflow, "problem": problem, "array": array}, {}, "WORK",
            f"Clocks of a product on an array ({dataflow}, {clause}), by hand: {why}.",
            tier="machine")
        for i, (dataflow, problem, array, clause, why) in enumerate(rows, start=1)
    ]


EXHAUSTIVE: tuple[Case, ...] = tuple(_exhaustive())
CHAIN: tuple[Case, ...] = tuple(_chains())
STRESS: tuple[Case, ...] = tuple(_stress())
MACHINE: tuple[Case, ...] = tuple(_machine())
