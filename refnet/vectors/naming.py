"""The record of a look-alike, and how one is made from a wrong formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from refnet.program import Conv, Op
from refnet.vectors import wrong_numbers as numbers
from refnet.vectors import wrong_operators as operators
from refnet.vectors import wrong_solvers as solvers
from refnet.vectors.answering import (
    WrongOperator,
    WrongRequantize,
    WrongShift,
    function,
    operator,
    requantization,
    rounding,
)
from refnet.vectors.functions import Implementation

WrongRatio = Callable[[Fraction], tuple[int, int]]
WrongLevel = Callable[[float, float, float], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookalike:
    """A wrong behaviour: its name, the ops it concerns, what it does, and an implementation."""

    name: str
    ops: tuple[str, ...]
    meaning: str
    function: Implementation


def said(what: object) -> str:
    """The first line of a docstring, which says what the mistake does."""
    return (what.__doc__ or "").strip().splitlines()[0]


def shift(name: str, wrong: WrongShift, meaning: str = "") -> Lookalike:
    """A mistake in the rounding shift, wherever a number is rounded."""
    ops = ("rounding_shift", "requantize", "Requantize", "Program")
    meaning = meaning or said(wrong)
    return Lookalike(name=name, ops=ops, meaning=meaning, function=rounding(wrong))


def instead(rule: str, other: str, also: str = "") -> Lookalike:
    """Another tie rule than the one that is asked for."""
    meaning = f"Ties by {other} where the rule is {rule}{also}."
    return shift(f"{other}_for_{rule}", numbers.instead(rule, other), meaning)


def scale(name: str, wrong: WrongRequantize) -> Lookalike:
    """A mistake in requantization."""
    ops = ("requantize", "Requantize", "Program")
    return Lookalike(name=name, ops=ops, meaning=said(wrong), function=requantization(wrong))


def op(name: str, kind: type[Op], wrong: WrongOperator, meaning: str = "") -> Lookalike:
    """A mistake in an operator, asked alone or in a program."""
    return Lookalike(
        name=name,
        ops=(kind.__name__, "Program"),
        meaning=meaning or said(wrong),
        function=operator(kind, wrong),
    )


def conv(name: str, change: object) -> Lookalike:
    """A convolution of changed attributes or operands."""
    return op(name, Conv, operators.conv_with(change), said(change))  # type: ignore[arg-type]


def ask(name: str, ops: Sequence[str], wrong: Implementation, meaning: str = "") -> Lookalike:
    """A mistake in a function of the specification; refusals stay right."""
    return Lookalike(
        name=name, ops=tuple(ops), meaning=meaning or said(wrong), function=function(wrong)
    )


def descent(name: str, meaning: str, **mistake: bool) -> Lookalike:
    """A coordinate descent with mistakes, by name."""
    return ask(name, ("code_least_squares",), solvers.WrongDescent(**mistake), meaning)


def accept(name: str, ops: Sequence[str], wrong: Implementation) -> Lookalike:
    """A check that is missing."""
    return Lookalike(name=name, ops=tuple(ops), meaning=said(wrong), function=wrong)


def ratio(name: str, wrong: WrongRatio) -> Lookalike:
    """A wrong pair for a ratio that is not zero."""
    return ask(name, ("ratio_to_mult_shift",), numbers.ratios(wrong), said(wrong))


def level(name: str, wrong: WrongLevel) -> Lookalike:
    """A wrong formula for an integer threshold."""
    return ask(name, ("integer_thresholds",), numbers.thresholds(wrong), said(wrong))
