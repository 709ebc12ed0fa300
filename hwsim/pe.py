"""Kinds of processing element: what they multiply, and how wide their accumulator is."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.checks import normalise

_BYTE_MULTIPLES = (8, 16, 32, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingElement:
    """A kind of PE.

    ``style`` is ``mac`` (one product a clock) or ``popcount`` (AND of bit slices and a count).
    Operands of up to ``input_max_bits`` and ``weight_max_bits``, signed or not, are accepted;
    ``ternary_weights`` restricts weights to -1, 0, 1. Operands are stored in bytes on a MAC array
    with ``whole_bytes``, else at their own width.
    """

    name: str
    style: str
    input_max_bits: int
    weight_max_bits: int
    accumulator_bits: int
    ternary_weights: bool = False
    whole_bytes: bool = False
    source: str

    def __post_init__(self) -> None:
        normalise(self, f"PE {self.name!r}", "input_max_bits weight_max_bits accumulator_bits")
        if self.style not in {"mac", "popcount"}:
            raise ValueError(f"PE {self.name!r}: style={self.style!r}, rule 'mac' or 'popcount'")

    def storage_bits(self, bits: int) -> int:
        """Bits that one operand of ``bits`` takes in the memories of this machine.

        >>> kind("int8").storage_bits(2), kind("popcount").storage_bits(2)
        (8, 2)
        """
        if not self.whole_bytes:
            return bits
        return next((size for size in _BYTE_MULTIPLES if bits <= size), bits)

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


#: Every kind of PE of the first form.
KINDS: tuple[ProcessingElement, ...] = (
    ProcessingElement(
        name="int8", style="mac", input_max_bits=8, weight_max_bits=8, accumulator_bits=32,
        whole_bytes=True, source="8 x 8 bit multiplier, 32-bit adder and accumulator register",
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
        name="popcount", style="popcount", input_max_bits=16, weight_max_bits=16,
        accumulator_bits=32,
        source="AND-popcount of bit slices with shift and negate: Umuroglu et al., BISMO, FPL 2018",
    ),
)


def kind(name: str) -> ProcessingElement:
    """The PE kind of this name; raises ``ValueError`` listing those that exist."""
    for pe in KINDS:
        if pe.name == name:
            return pe
    raise ValueError(f"PE kind {name!r}: exist {', '.join(pe.name for pe in KINDS)}")
