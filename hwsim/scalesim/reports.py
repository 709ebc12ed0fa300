"""The three reports of SCALE-Sim 3.0.0 as text, byte for byte in its layout [7b.1].

Every line ends in a comma, the clocks of streams are printed as real numbers, and a layer is its
number in the topology.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hwsim.scalesim.config import Config
from hwsim.scalesim.results import LayerResult

_COMPUTE = (
    "Total Cycles (incl. prefetch)", "Total Cycles", "Stall Cycles", "Overall Util %",
    "Mapping Efficiency %", "Compute Util %",
)
_BANDWIDTH = tuple(
    f"Avg {name} {memory} BW" for memory in ("SRAM", "DRAM") for name in
    ("IFMAP", "FILTER", "OFMAP")
)
_METADATA = "Avg FILTER Metadata SRAM BW"
_SPARSE = (
    "Sparsity Representation", "Original Filter Storage", "New Storage (Filter+Metadata)",
    "Filter Metadata Storage", _METADATA,
)
_DETAILED = tuple(
    f"{memory} {name} {column}"
    for memory in ("SRAM", "DRAM")
    for name, access in (("IFMAP", "Reads"), ("Filter", "Reads"), ("OFMAP", "Writes"))
    for column in ("Start Cycle", "Stop Cycle", access)
)


#: Columns of all reports, in order; :func:`row` gives the cells.
COLUMNS = (*_COMPUTE, *_BANDWIDTH, *_DETAILED)


def row(layer: LayerResult) -> tuple[int | float, ...]:
    """The cells of a layer in the three reports, one after the other."""
    return (*compute_row(layer), *bandwidth_row(layer), *detailed_row(layer))


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


def texts(layers: Sequence[LayerResult], config: Config) -> dict[str, str]:
    """The text of every report by file name."""
    bandwidth, columns = bandwidth_row, _BANDWIDTH
    if config.sparse:
        bandwidth, columns = _with_metadata, (*_BANDWIDTH[:2], _METADATA, *_BANDWIDTH[2:])
    reports = {
        "COMPUTE_REPORT.csv": _text(_COMPUTE, map(compute_row, layers)),
        "BANDWIDTH_REPORT.csv": _text(columns, map(bandwidth, layers)),
        "DETAILED_ACCESS_REPORT.csv": _text(_DETAILED, map(detailed_row, layers)),
    }
    if config.sparse:
        rows = ((config.sparse, *sparse_row(layer)) for layer in layers)
        text = _text(_SPARSE, rows)
        reports["SPARSE_REPORT.csv"] = text.replace(",\n", ", \n", 1)  # so does the tool
    return reports


def _with_metadata(layer: LayerResult) -> tuple[int | float, ...]:
    cells = bandwidth_row(layer)
    return (*cells[:2], layer.metadata_bandwidth, *cells[2:])


def sparse_row(layer: LayerResult) -> tuple[int | float, ...]:
    """Words of the filters, and the bandwidth of their metadata."""
    held = layer.storage
    return held.dense, held.sparse, held.metadata, layer.metadata_bandwidth


def _text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [("LayerID", *columns), *((i, *row) for i, row in enumerate(rows))]
    return "".join(f"{', '.join(str(cell) for cell in line)},\n" for line in lines)
