"""The three reports of SCALE-Sim 3.0.0 as text, byte for byte in its layout [7b.1].

Every line ends in a comma, the clocks of streams are printed as real numbers, and a layer is its
number in the topology.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hwsim.scalesim.results import LayerResult

_COMPUTE = (
    "Total Cycles (incl. prefetch)", "Total Cycles", "Stall Cycles", "Overall Util %",
    "Mapping Efficiency %", "Compute Util %",
)
_BANDWIDTH = tuple(
    f"Avg {name} {memory} BW" for memory in ("SRAM", "DRAM") for name in
    ("IFMAP", "FILTER", "OFMAP")
)
_DETAILED = tuple(
    f"{memory} {name} {column}"
    for memory in ("SRAM", "DRAM")
    for name, access in (("IFMAP", "Reads"), ("Filter", "Reads"), ("OFMAP", "Writes"))
    for column in ("Start Cycle", "Stop Cycle", access)
)


def compute_row(layer: LayerResult) -> tuple[int | float, ...]:
    """Cycles and utilisations."""
    return (
        layer.overall_cycles, layer.total_cycles, layer.stall_cycles, layer.overall_util,
        layer.mapping_efficiency, layer.compute_util,
    )


def bandwidth_row(layer: LayerResult) -> tuple[int | float, ...]:
    """Average words a clock."""
    return layer.bandwidths


def detailed_row(layer: LayerResult) -> tuple[int | float, ...]:
    """First clock, last clock and words of every stream."""
    accesses = (*layer.sram, *layer.dram)
    return tuple(
        value for a in accesses for value in (float(a.start), float(a.stop), a.words)
    )


#: File names, columns and rows of the reports.
REPORTS: tuple[
    tuple[str, tuple[str, ...], Callable[[LayerResult], tuple[int | float, ...]]], ...
] = (
    ("COMPUTE_REPORT.csv", _COMPUTE, compute_row),
    ("BANDWIDTH_REPORT.csv", _BANDWIDTH, bandwidth_row),
    ("DETAILED_ACCESS_REPORT.csv", _DETAILED, detailed_row),
)


def texts(layers: Sequence[LayerResult]) -> dict[str, str]:
    """The text of every report by file name."""
    return {
        name: "".join(
            f"{', '.join(str(cell) for cell in (first, *cells))},\n"
            for first, cells in (
                ("LayerID", columns), *((i, row(layer)) for i, layer in enumerate(layers))
            )
        )
        for name, columns, row in REPORTS
    }
