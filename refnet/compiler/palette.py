"""Colours of the report and its figures, one for each meaning.

The hues are those of Okabe and Ito (2008), told apart with every common colour blindness; all of
them stand out on white and on near-black paper.
"""

from __future__ import annotations

BLUE, SKY, GREEN, ORANGE = "#0072b2", "#56b4e9", "#009e73", "#e69f00"
VERMILLION, PURPLE, GREY = "#d55e00", "#cc79a7", "#8d949e"
LIGHT_GREEN, PALE_GREEN = "#66c2a5", "#b2dfd0"

#: Stands for the colour of the text around a figure: see :func:`refnet.compiler.svg.inline`.
INK = "#010203"

#: Parts of the clocks of a layer: field of hwsim's report, label, colour.
CYCLE_PARTS = (
    ("compute_cycles", "compute", BLUE),
    ("fill_drain_cycles", "fill and drain", SKY),
    ("stall_cycles", "waiting for memory", VERMILLION),
)

#: Components of the energy: name in hwsim's report, label, colour.
ENERGY_PARTS = (
    ("pe", "PEs", BLUE),
    ("registers", "registers", SKY),
    ("input_sram", "input SRAM", GREEN),
    ("weight_sram", "weight SRAM", LIGHT_GREEN),
    ("output_sram", "output SRAM", PALE_GREEN),
    ("map_sram", "map SRAM", "#d9efe7"),
    ("dram", "DRAM", VERMILLION),
    ("vector", "element-wise", ORANGE),
    ("idle", "idle clocks", GREY),
    ("leakage", "leakage", "#c9ced6"),
)

#: Stages of training, by name of the log.
STAGES = {"float": ORANGE, "codes": GREEN, "tune": BLUE}

#: Ternary codes.
TERNARY_PARTS = ((-1, "−1", VERMILLION), (0, "0", "#b9bec6"), (1, "+1", BLUE))
