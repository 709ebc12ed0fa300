"""What rounding modes are called elsewhere, each as a function of an exact rational number.

Names mislead: HALF_UP is away from zero in decimal arithmetic and in QONNX, and towards plus
infinity in the name of a rule of this specification [3.1.1].
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor

Round = Callable[[Fraction], int]
_HALF = Fraction(1, 2)


def _away(x: Fraction, of_magnitude: Round) -> int:
    return of_magnitude(x) if x >= 0 else -of_magnitude(-x)


#: Modes by what they do. The first three are the rules of [3.1.1]; ``half_*`` concern ties only.
MODES: dict[str, Round] = {
    "half_even": round,
    "half_up": lambda x: floor(x + _HALF),
    "half_away": lambda x: _away(x, lambda m: floor(m + _HALF)),
    "half_down": lambda x: ceil(x - _HALF),
    "half_zero": lambda x: _away(x, lambda m: ceil(m - _HALF)),
    "floor": floor,
    "ceil": ceil,
    "towards_zero": int,
    "away": lambda x: _away(x, ceil),
}

#: (system, its name, the mode that it is).
NAMES: tuple[tuple[str, str, str], ...] = (
    ("IEEE 754", "roundTiesToEven", "half_even"),
    ("IEEE 754", "roundTiesToAway", "half_away"),
    ("IEEE 754", "roundTowardNegative", "floor"),
    ("IEEE 754", "roundTowardPositive", "ceil"),
    ("IEEE 754", "roundTowardZero", "towards_zero"),
    ("NumPy", "rint, round", "half_even"),
    ("NumPy", "trunc, fix, astype", "towards_zero"),
    ("Python", "round", "half_even"),
    ("C", "rint, lrint (default environment)", "half_even"),
    ("C", "round, lround", "half_away"),
    ("C", "cast of a real; / of integers", "towards_zero"),
    ("C", ">> of a negative integer (where arithmetic)", "floor"),
    ("Rust", "f32::round", "half_away"),
    ("decimal, Java", "HALF_EVEN", "half_even"),
    ("decimal, Java", "HALF_UP", "half_away"),
    ("decimal, Java", "HALF_DOWN", "half_zero"),
    ("decimal, Java", "UP", "away"),
    ("decimal, Java", "DOWN", "towards_zero"),
    ("decimal, Java", "CEILING", "ceil"),
    ("decimal, Java", "FLOOR", "floor"),
    ("ONNX", "Round, QuantizeLinear", "half_even"),
    ("QONNX", "ROUND, HALF_EVEN", "half_even"),
    ("QONNX", "HALF_UP", "half_away"),
    ("QONNX", "HALF_DOWN", "half_zero"),
    ("QONNX", "UP", "away"),
    ("QONNX", "DOWN", "towards_zero"),
    ("QONNX", "CEIL", "ceil"),
    ("QONNX", "FLOOR", "floor"),
    ("ap_fixed", "AP_RND", "half_up"),
    ("ap_fixed", "AP_RND_ZERO", "half_zero"),
    ("ap_fixed", "AP_RND_MIN_INF", "half_down"),
    ("ap_fixed", "AP_RND_INF", "half_away"),
    ("ap_fixed", "AP_RND_CONV", "half_even"),
    ("ap_fixed", "AP_TRN", "floor"),
    ("ap_fixed", "AP_TRN_ZERO", "towards_zero"),
    ("TFLite", "TfLiteRound (quantize)", "half_away"),
    ("TFLite", "RoundingDivideByPOT", "half_away"),
    ("TFLite", "single rounding (compile flag)", "half_up"),
    ("ruy", "requantization", "half_up"),
    ("TOSA", "RESCALE, SINGLE_ROUND", "half_up"),
    ("XNNPACK", "fp32 (lrintf)", "half_even"),
    ("XNNPACK", "rndnu", "half_up"),
    ("OpenVINO", "FakeQuantize", "half_away"),
)

#: What no single mode describes: two roundings in one operation.
TWICE: tuple[tuple[str, str, str], ...] = (
    ("TFLite, gemmlowp", "SaturatingRoundingDoublingHighMul, then RoundingDivideByPOT",
     "31 bits off with ties up, then the rest with ties away"),
    ("TFLite on NEON", "vqrdmulh, then vrshl", "31 bits off with ties up, then the rest, ties up"),
    ("TOSA", "RESCALE, DOUBLE_ROUND",
     "half of 2**31 is added with the sign of the value where the shift exceeds 31"),
)  # fmt: skip


def table() -> str:
    """A line a name: the system, its name, the mode, and what it makes of -2.5, -1.5, ... 2.5."""
    ties = [Fraction(n, 2) for n in (-5, -3, -1, 1, 3, 5)]
    return "\n".join(
        f"{system:14} {name:44} {mode:13}" + "".join(f"{MODES[mode](x):3}" for x in ties)
        for system, name, mode in NAMES
    )
