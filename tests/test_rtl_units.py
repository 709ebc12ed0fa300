"""The units that `benchmarks/synthesis.py` measures compute the sums of integers, in Icarus."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

RTL = Path(__file__).parent / "rtl"
WORDS = 120

# Unit, its parameters; lanes, bits of x and of w a clock, signs, ternary weights.
UNITS = [
    ("pe_mac", "#(8, 8, 24)", 1, (8, True), (8, True), 24),
    ("pe_mac", "#(4, 4, 16)", 1, (4, True), (4, True), 16),
    ("pe_ternary", "#(8, 1, 24)", 1, (8, True), (2, "ternary"), 24),
    ("pe_ternary", "#(2, 0, 16)", 1, (2, False), (2, "ternary"), 16),
    ("pe_dot", "#(16, 2, 0, 2, 1, 16)", 16, (2, False), (2, "ternary"), 16),
    ("pe_dot", "#(5, 8, 1, 2, 1, 24)", 5, (8, True), (2, "ternary"), 24),
    ("pe_dot", "#(3, 8, 1, 8, 0, 32)", 3, (8, True), (8, True), 32),
    ("pe_serial", "#(16, 1, 2, 1, 32)", 16, (1, False), (2, "ternary"), 32),
    ("pe_serial", "#(4, 1, 16, 1, 48)", 4, (1, False), (16, True), 48),
    ("pe_serial", "#(16, 1, 1, 0, 48)", 16, (1, False), (1, False), 48),
    ("pe_serial", "#(7, 2, 1, 0, 48)", 7, (2, False), (1, False), 48),
    ("pe_lookup", "#(4, 18, 48)", 4, (18, True), (3, False), 48),
]
#: Sums of a table that stand on x: every choice of three inputs but the empty one.
ENTRIES = 7


def draw(rng: np.random.Generator, bits: int, kind: object, size: int) -> list[int]:
    if kind == "ternary":
        return [int(v) for v in rng.integers(-1, 2, size)]
    low = -(1 << bits - 1) if kind else 0
    values = rng.integers(low, low + (1 << bits), size)
    values[rng.random(size) < 0.2] = low  # the most negative, and zero, more often than by chance
    return [int(v) for v in values]


def packed(values: list[int], bits: int) -> int:
    return sum((v & (1 << bits) - 1) << i * bits for i, v in enumerate(values))


def signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="no iverilog: apt install iverilog")
@pytest.mark.parametrize("case", range(len(UNITS)))
def test_units_compute_the_sums_of_integers(case: int, tmp_path: Path) -> None:
    unit, parameters, lanes, (x_bits, x_kind), (w_bits, w_kind), sum_bits = UNITS[case]
    rng, serial = np.random.default_rng(case), unit in ("pe_serial", "pe_lookup")
    entries = ENTRIES if unit == "pe_lookup" else 1
    x_width, w_width = lanes * entries * x_bits, lanes * w_bits
    lines, total, width = [], 0, 3 + x_width + w_width + sum_bits
    for word in range(WORDS):
        x, w = draw(rng, x_bits, x_kind, lanes * entries), draw(rng, w_bits, w_kind, lanes)
        first = int(word == 0 or rng.random() < 0.1)
        shift, negative = (int(bit) for bit in rng.integers(0, 2, 2)) if serial else (0, 0)
        if unit == "pe_lookup":
            term = sum(x[ENTRIES * t + address - 1] for t, address in enumerate(w) if address)
        else:
            term = sum(a * b for a, b in zip(x, w, strict=True))
        held = 0 if first else total << 1 if shift else total
        total = signed(held - term if negative else held + term, sum_bits)
        value = first << 2 | shift << 1 | negative
        for part, bits in ((packed(x, x_bits), x_width), (packed(w, w_bits), w_width),
                           (total & (1 << sum_bits) - 1, sum_bits)):
            value = value << bits | part
        lines.append(f"{value:0{-(-width // 4)}x}")
    (tmp_path / "words.hex").write_text("\n".join(lines) + "\n")
    macros = {"UNIT": f"{unit} {parameters}", "X_WIDTH": x_width, "W_WIDTH": w_width,
              "SUM_BITS": sum_bits, "FILE": '"words.hex"'}
    subprocess.run(
        ["iverilog", "-g2012", "-o", "unit", "-s", "bench", f"-Pbench.COUNT={WORDS}",
         *(f"-D{name}={value}" for name, value in macros.items()),
         *(str(RTL / f"{name}.sv") for name in ("pe_bench", "pe_accumulator", "pe_product", unit))],
        check=True, cwd=tmp_path,
    )
    done = subprocess.run(["vvp", "unit"], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.strip().splitlines()[-1] == f"words {WORDS} wrong 0"
