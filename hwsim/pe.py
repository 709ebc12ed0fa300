"""Kinds of processing element: what they multiply, in how many clocks, how wide they add up.

A unit is what stands at one place of the array: one MAC, or ``depth`` lanes that share an
accumulator. Chapter [7c.1] of the specification states the rules; :mod:`hwsim.stepped_lanes`
computes with the bits and digits that each kind really sees.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.checks import ceil_div, normalise
from hwsim.lanes import Whole, larger, pick

_BYTE_MULTIPLES = (8, 16, 32, 64)
# Of the width of a brick, up to widths beyond every operand.
_DOUBLINGS = 6
STYLES = ("mac", "popcount", "lanes")
#: How a unit takes its operands apart; the style ``mac`` is always parallel.
RULES = ("parallel", "input-serial", "both-serial", "fused", "table")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingElement:
    """A kind of PE.

    ``style`` is ``mac`` (one product a clock, in a systolic array), ``popcount`` (AND of bit slices
    and a count) or ``lanes`` (products of several lanes are added, then accumulated). Operands of
    up to ``input_max_bits`` and ``weight_max_bits``, signed or not, are accepted;
    ``ternary_weights`` restricts weights to -1, 0, 1. Operands are stored in bytes on a MAC array
    with ``whole_bytes``, else at their own width (``fused``: at that of their digits).

    ``rule`` is one of :data:`RULES`; :meth:`step_clocks` and :meth:`step_products` say what it
    costs. ``serial_bits`` of an input go into a ``both-serial`` unit in a clock; ``fused_bits`` is
    the width of both operands that a ``fused`` unit multiplies at once, by ``brick_bits`` x
    ``brick_bits`` multipliers; ``table_inputs`` are the inputs whose sums one ``table`` holds.
    ``stages`` are those of the pipeline: stages - 1 clocks are added to a product.
    """

    name: str
    style: str
    input_max_bits: int
    weight_max_bits: int
    accumulator_bits: int
    ternary_weights: bool = False
    whole_bytes: bool = False
    rule: str = "parallel"
    serial_bits: int = 1
    brick_bits: int = 2
    fused_bits: int = 8
    table_inputs: int = 3
    stages: int = 1
    source: str

    def __post_init__(self) -> None:
        what = f"PE {self.name!r}"
        normalise(self, what, "input_max_bits weight_max_bits accumulator_bits")
        normalise(self, what, "serial_bits brick_bits fused_bits table_inputs stages")
        for name, choices in (("style", STYLES), ("rule", RULES)):
            value = getattr(self, name)
            if value not in choices:
                listed = " or ".join(map(repr, choices))
                raise ValueError(f"{what}: {name}={value!r}, rule {listed}")
        if self.style == "mac" and self.rule != "parallel":
            raise ValueError(f"{what}: rule={self.rule!r}, rule 'parallel' of style 'mac'")

    def storage_bits(self, bits: int) -> int:
        """Bits that one operand of ``bits`` takes in the memories of this machine.

        >>> kind("int8").storage_bits(2), kind("popcount").storage_bits(2)
        (8, 2)
        """
        if self.rule == "fused":
            return int(self.digits_bits(bits))
        if not self.whole_bytes:
            return bits
        return next((size for size in _BYTE_MULTIPLES if bits <= size), bits)

    def digits_bits(self, bits: Whole) -> Whole:
        """The width a ``fused`` unit works at: the least doubling of a brick that holds ``bits``.

        >>> [kind("bitfusion").digits_bits(bits) for bits in (1, 2, 3, 8, 9)]
        [2, 2, 4, 8, 16]
        """
        width: Whole = self.brick_bits
        for _ in range(_DOUBLINGS):
            width = pick(width < bits, 2 * width, width)
        return width

    def step_clocks(self, input_bits: Whole, weight_bits: Whole) -> Whole:
        """Clocks that a unit takes for one step: one product in each of its lanes [7c.1].

        >>> [kind(name).step_clocks(4, 3) for name in ("ternary2-dot", "stripes", "loom2", "unpu")]
        [1, 4, 6, 3]
        """
        if self.rule == "input-serial":
            return input_bits
        if self.rule == "both-serial":
            return ceil_div(input_bits, self.serial_bits) * weight_bits
        if self.rule == "table":
            return weight_bits
        if self.rule == "fused":
            parts = (self.digits_bits(bits) for bits in (input_bits, weight_bits))
            left, right = (larger(1, width // self.fused_bits) for width in parts)
            return left * right
        return 1

    def step_products(self, depth: Whole, input_bits: Whole, weight_bits: Whole) -> Whole:
        """Products of one step: its lanes; of ``depth`` fused units or tables, what they hold.

        >>> kind("bitfusion").step_products(1, 8, 8), kind("bitfusion").step_products(1, 4, 2)
        (1, 8)
        """
        if self.rule == "table":
            return depth * self.table_inputs
        if self.rule == "fused":
            parts = (self.digits_bits(bits) for bits in (input_bits, weight_bits))
            left, right = (larger(1, self.fused_bits // width) for width in parts)
            return depth * left * right
        return depth

    def refusal(self, input_bits: int, weight_bits: int, ternary: bool, needed: int | None) -> str:
        """Why this PE cannot multiply such operands; empty if it can.

        ``needed`` is the width of the proved accumulator range, or None where nothing is known.
        """
        if input_bits > self.input_max_bits:
            return f"{input_bits}-bit inputs, rule at most {self.input_max_bits} on PE {self.name}"
        if weight_bits > self.weight_max_bits:
            limit = f"rule at most {self.weight_max_bits} on PE {self.name}"
            return f"{weight_bits}-bit weights, {limit}"
        if self.ternary_weights and not ternary:
            return f"weights beyond -1..1, rule ternary on PE {self.name}"
        if needed is not None and needed > self.accumulator_bits:
            limit = f"rule at most {self.accumulator_bits} on PE {self.name}"
            return f"{needed}-bit accumulators, {limit}"
        return ""


def _lanes(
    name: str, rule: str, input_bits: int, weight_bits: int, accumulator_bits: int, stages: int,
    source: str, *, ternary: bool = False, serial_bits: int = 1,
) -> ProcessingElement:
    return ProcessingElement(
        name=name, style="lanes", rule=rule, input_max_bits=input_bits,
        weight_max_bits=weight_bits, accumulator_bits=accumulator_bits, stages=stages,
        ternary_weights=ternary, serial_bits=serial_bits, source=source,
    )


#: Every kind of PE.
KINDS: tuple[ProcessingElement, ...] = (
    ProcessingElement(
        name="int8", style="mac", input_max_bits=8, weight_max_bits=8, accumulator_bits=32,
        whole_bytes=True, source="8 x 8 bit multiplier, 32-bit adder and accumulator register",
    ),
    ProcessingElement(
        name="int4", style="mac", input_max_bits=4, weight_max_bits=4, accumulator_bits=16,
        source="4 x 4 bit multiplier, 16-bit adder and accumulator register",
    ),
    ProcessingElement(
        name="ternary8", style="mac", input_max_bits=8, weight_max_bits=2, accumulator_bits=24,
        ternary_weights=True, source="adds, subtracts or skips an 8-bit operand; 24-bit sum",
    ),
    ProcessingElement(
        name="ternary2", style="mac", input_max_bits=2, weight_max_bits=2, accumulator_bits=16,
        ternary_weights=True, source="adds, subtracts or skips a 2-bit operand; 16-bit sum",
    ),
    ProcessingElement(
        name="popcount", style="popcount", rule="both-serial", input_max_bits=16,
        weight_max_bits=16, accumulator_bits=32, stages=4,
        source="AND-popcount of bit slices with shift and negate: Umuroglu et al., BISMO, FPL 2018",
    ),
    _lanes("int8-dot", "parallel", 8, 8, 32, 3,
           "lanes of 8 x 8 bit multipliers, adder tree, one 32-bit accumulator"),
    _lanes("int16-dot", "parallel", 16, 16, 48, 3,
           "lanes of 16 x 16 bit multipliers, adder tree, one 48-bit accumulator"),
    _lanes("int4-dot", "parallel", 4, 4, 16, 3,
           "lanes of 4 x 4 bit multipliers, adder tree, one 16-bit accumulator"),
    _lanes("ternary8-dot", "parallel", 8, 2, 24, 3,
           "lanes that add, subtract or skip 8-bit operands, one 24-bit accumulator", ternary=True),
    _lanes("ternary2-dot", "parallel", 2, 2, 16, 3,
           "lanes that add, subtract or skip 2-bit operands, one 16-bit accumulator", ternary=True),
    _lanes("ternary-serial", "input-serial", 16, 2, 32, 4,
           "lanes of a ternary weight and one bit of an input a clock, shift-accumulate",
           ternary=True),
    _lanes("stripes", "input-serial", 16, 16, 48, 4,
           "one bit of every input a clock, weights in parallel: Judd et al., Stripes, MICRO 2016"),
    _lanes("loom1", "both-serial", 16, 16, 48, 4,
           "one bit of both operands a clock: Sharify et al., Loom, DAC 2018"),
    _lanes("loom2", "both-serial", 16, 16, 48, 4,
           "two bits of an input and one of a weight a clock: Sharify et al., Loom, DAC 2018",
           serial_bits=2),
    _lanes("loom4", "both-serial", 16, 16, 48, 4,
           "four bits of an input and one of a weight a clock: Sharify et al., Loom, DAC 2018",
           serial_bits=4),
    _lanes("bitfusion", "fused", 16, 16, 48, 4,
           "16 multipliers of 2 x 2 bits that fuse up to 8 x 8: Sharma et al., Bit Fusion, ISCA "
           "2018"),
    _lanes("unpu", "table", 16, 16, 48, 5,
           "sums of three inputs in a table, looked up by one bit of three weights a clock: "
           "Lee et al., UNPU, JSSC 2019"),
)


def kind(name: str) -> ProcessingElement:
    """The PE kind of this name; raises ``ValueError`` listing those that exist."""
    for pe in KINDS:
        if pe.name == name:
            return pe
    raise ValueError(f"PE kind {name!r}: exist {', '.join(pe.name for pe in KINDS)}")
