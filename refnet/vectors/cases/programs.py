"""Cases of chapter 05: whole programs with every value, refused programs, weight bits, classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from refnet.program import Program
from refnet.vectors.building import program_attributes
from refnet.vectors.cases import nets
from refnet.vectors.cases.build import Case, function_case, program_case
from refnet.vectors.stream import Stream

_RUN: tuple[tuple[Callable[[], Program], int, str, str], ...] = (
    (nets.double, 2, "smoke", "one step that uses the input twice"),
    (nets.identity, 2, "core", "no step at all: the input is the output"),
    (nets.step, 4, "smoke", "thresholds with both signs"),
    (nets.twostep, 2, "smoke", "8-bit ends, ternary middle, 2-bit codes, pools, mean, classes"),
    (nets.residual, 2, "core", "two paths brought to one scale and added, then coded"),
    (nets.factorized, 2, "core", "ternary kernel, scale a channel, ternary 1x1"),
    (nets.blockterm, 2, "core", "1x1, grouped 3x3 with stride, 1x1"),
    (nets.shared, 2, "core", "two convolutions of one kernel, and one beside them"),
)


def _programs() -> list[Case]:
    cases: list[Case] = []
    for make, images, tier, why in _RUN:
        program = make()
        held = program.input_type
        draw = Stream(f"images of {program.name}")
        x = draw.integers(held.type.lo, held.type.hi, (images, *held.shape))
        cases += [
            program_case(f"programs.{program.name}.0001", "5.1.1 5.1.2 5.2.1", program, x, "CHAIN",
                         f"Program {program.name}: {why}.", tier=tier),
            program_case(f"programs.{program.name}.0002", "5.2.1 1.2.1", program, x[:0],
                         "CHAIN DEGENERATE", f"Program {program.name} on no image at all."),
            program_case(f"programs.weight_bits.{len(cases) // 3 + 1:04d}", "5.4.1", program, None,
                         "TYPE", f"Weight bits of {program.name}: convolution weights only, at "
                         "the width of their types.", op="weight_bits"),
        ]  # fmt: skip
    return cases


def _node(**change: Any) -> dict[str, Any]:
    return {"name": "y", "op": "Add", "attributes": {}, "inputs": ["x", "x"], **change}


_AGAIN = _node(name="z", inputs=["y", "y"])
_NAMED = {"name": "y", "type": "ternary", "shape": [2]}
# clauses, changes of the program ``double``, constants, why
_NO_PROGRAMS: tuple[tuple[str, Mapping[str, Any], dict[str, Any], str], ...] = (
    ("5.1.4", {"output": "x"}, {}, "the value y is never used"),
    ("5.1.4", {}, {"c": ("int8", [1])}, "the constant c is never used"),
    ("5.1.1", {"output": "z"}, {}, "the output is no value"),
    ("5.1.2", {"nodes": [_node(inputs=["x", "z"])]}, {}, "an operand that does not exist"),
    ("5.1.2", {"nodes": [_AGAIN, _node()], "output": "z"}, {},
     "an operand that is the result of a later step"),
    ("5.1.2", {"nodes": [_node(inputs=["y", "x"])]}, {}, "a step that uses its own result"),
    ("5.1.2", {"nodes": [_node(), _node()]}, {}, "the name y is given twice"),
    ("5.1.2", {"input": _NAMED}, {}, "the input and a step have one name"),
    ("5.1.2", {}, {"y": ("int8", [1])}, "a constant and a step have one name"),
    ("5.1.2", {}, {"x": ("int8", [1])}, "a constant and the input have one name"),
    ("5.1.2", {"nodes": [_node(name=".y")], "output": ".y"}, {}, "a name begins with a dot"),
    ("5.1.2", {"nodes": [_node(name="a b")], "output": "a b"}, {}, "a name holds a space"),
    ("5.1.2", {"nodes": [_node(name="y" * 101)], "output": "y" * 101}, {},
     "a name of 101 letters"),
    ("5.1.2", {"nodes": [_node(name="")], "output": ""}, {}, "an empty name"),
    ("5.1.2", {"name": "a/b"}, {}, "the program's name holds a slash"),
    ("5.1.2", {"nodes": [_node(op="Mul")]}, {}, "an operator that does not exist"),
    ("5.1.4 4.4.1", {"nodes": [_node(inputs=["x", "c"])]}, {"c": ("int8", [1, 1])},
     "a constant where an activation must be"),
    ("5.1.1", {"input": {"name": "x", "type": "ternary", "shape": [1, 1, 1, 2]}}, {},
     "an input of four axes"),
    ("5.1.1", {"input": {"name": "x", "type": "ternary", "shape": [0]}}, {},
     "an input axis of size 0"),
    ("5.1.3", {}, {"c": ("int8", np.zeros((0,), int))}, "a constant without elements"),
    ("5.1.3", {}, {"c": ("int8", np.zeros((1, 1, 1, 1, 1), int))}, "a constant of five axes"),
    ("5.1.4 1.3.1", {"input": {"name": "x", "type": "int32", "shape": [2]}}, {},
     "a sum that could leave the accumulator"),
    ("5.1.1", {"output": "c"}, {"c": ("int8", [1])}, "the output is a constant"),
    ("5.1.2", {"input": _NAMED, "nodes": [_node(inputs=["y", "y"])]}, {},
     "the step has the name of the input it uses"),
    ("5.1.2", {"nodes": [_node(op="Threshold", inputs=["x", "y", "s"])]},
     {"y": ("int8", [[0], [0]]), "s": ("ternary", [1, 1])},
     "the step has the name of a constant it uses"),
    ("5.1.3", {"nodes": [_node(op="Threshold", inputs=["x", "t", "s"])]},
     {"t": ("int8", np.zeros((2, 0), int)), "s": ("ternary", [1, 1])},
     "a constant that is used, without elements"),
    ("5.1.2", {"nodes": [_node(name="y\n")], "output": "y\n"}, {}, "a name ends in a line feed"),
    ("5.1.2", {"nodes": [_node(name="\u00e9")], "output": "\u00e9"}, {},
     "a name holds a letter beyond A to Z"),
    ("5.1.2", {"nodes": [_node(name="-y")], "output": "-y"}, {}, "a name begins with a hyphen"),
)


def _refused() -> list[Case]:
    base = program_attributes(nets.double())
    cases = []
    for i, (clauses, change, constants, why) in enumerate(_NO_PROGRAMS, start=1):
        x: Any = () if "x" in constants else {"x": ("ternary", [[1, -1]])}
        held = change.get("input", {})
        if isinstance(held, dict) and held.get("name") == "y":
            x = {"y": ("ternary", [[1, -1]])} if i > 23 else {}
        cases.append(function_case(
            f"programs.refused.{i:04d}", clauses, "Program", {**base, **change}, dict(x),
            "BOUNDARY", f"No program: {why}.", constants=constants, error="program"))
    return [*cases, *_input_refused()]


def _input_refused() -> list[Case]:
    base = program_attributes(nets.double())
    rows: tuple[tuple[tuple[str, Any], str, str], ...] = (
        (("int8", [[1, 2]]), "range", "2 is no trit, and the input is not clamped"),
        (("ternary", [[1, 1, 1]]), "shape", "three elements for two"),
        (("ternary", [1, 1]), "shape", "the batch axis is missing"),
        (("ternary", [[[1], [1]]]), "shape", "an axis too many"),
        (("binary64", [[1.0, -1.0]]), "operand", "real numbers, although they are whole"),
    )
    return [
        function_case(f"programs.input_refused.{i:04d}", "5.2.1", "Program", base, {"x": x},
                      "BOUNDARY", f"An input that must be refused: {why}.", error=error)
        for i, (x, error, why) in enumerate(rows, start=1)
    ]


def _classes() -> list[Case]:
    rows: tuple[tuple[list[list[int]], str, str], ...] = (
        ([[1, 5, 3]], "BASIC", "the largest score"),
        ([[7, 7, 3], [3, 7, 7], [-1, -1, -1]], "TIE", "the lowest index on a tie"),
        ([[-5, -2, -9]], "SIGN", "all scores negative"),
        ([[4]], "DEGENERATE", "one class"),
        ([[-9, 1, 2, 0], [0, -128, -1, 127]], "SIGN", "large negative scores do not win"),
        ([[1, 2, 3, 4, 4, 4, 0, 4]], "TIE BOUNDARY", "the first of four that tie, not at an end"),
    )
    return [
        function_case(f"programs.classes.{i:04d}", "5.2.2", "classify", {},
                      {"scores": ("int8", scores)}, flags, f"Scores to classes: {why}.")
        for i, (scores, flags, why) in enumerate(rows, start=1)
    ]


CASES: tuple[Case, ...] = (*_programs(), *_refused(), *_classes())
