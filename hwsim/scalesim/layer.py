"""A layer as SCALE-Sim 3.0.0 sees it, and how an array folds it [7b.2].

Letters: m output positions, n filters, k window size; the array has R rows and C columns. Nothing
is padded, dilated or grouped, there is one stride, and no batch.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.checks import ceil_div, normalise

Pair = tuple[int, int]

#: Dataflows: which of m, n, k lie along the rows, along the columns, and in time.
AXES = {"os": "mnk", "ws": "knm", "is": "kmn"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A convolution: map ``height`` x ``width`` of ``channels``, ``kernel``, ``filters``, stride.

    ``kept`` of every ``block`` window elements are stored (N:M sparsity; 1 of 1 is dense).
    """

    height: int
    width: int
    kernel: Pair
    channels: int
    filters: int
    stride: int
    kept: int = 1
    block: int = 1

    def __post_init__(self) -> None:
        normalise(self, "Layer", "height width channels filters stride kept block")

    @property
    def output(self) -> Pair:
        """Output size, ceil((H - R + stride) / stride): a last window may hang over the edge."""
        sizes = zip((self.height, self.width), self.kernel, strict=True)
        high, wide = (ceil_div(size - reach + self.stride, self.stride) for size, reach in sizes)
        return high, wide

    @property
    def m(self) -> int:
        """Output positions."""
        return self.output[0] * self.output[1]

    @property
    def n(self) -> int:
        """Filters."""
        return self.filters

    @property
    def window(self) -> int:
        """Elements of a window, those that sparsity drops included."""
        return self.kernel[0] * self.kernel[1] * self.channels

    @property
    def k(self) -> int:
        """Elements of a window that are stored."""
        blocks, rest = divmod(self.window, self.block)
        return blocks * self.kept + min(rest, self.kept)

    @property
    def macs(self) -> int:
        """Products, dense ones too."""
        return self.m * self.n * self.window

    @property
    def overhangs(self) -> bool:
        """Whether some window leaves the map."""
        return any(
            (out - 1) * self.stride + reach > size
            for out, reach, size in zip(
                self.output, self.kernel, (self.height, self.width), strict=True
            )
        )

    @property
    def overlaps(self) -> bool:
        """Whether two windows share an element."""
        return any(
            out > 1 and reach > self.stride
            for out, reach in zip(self.output, self.kernel, strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Folding:
    """A layer cut into folds of an array: ``rows`` x ``columns`` of work, ``time`` steps a fold."""

    dataflow: str
    R: int
    C: int
    rows: int
    columns: int
    time: int

    @classmethod
    def of(cls, layer: Layer, dataflow: str, R: int, C: int) -> Folding:
        """The folding of ``layer`` under ``dataflow``."""
        rows, columns, time = (getattr(layer, axis) for axis in AXES[dataflow])
        return cls(dataflow=dataflow, R=R, C=C, rows=rows, columns=columns, time=time)

    @property
    def row_folds(self) -> int:
        """Folds along the rows."""
        return ceil_div(self.rows, self.R)

    @property
    def column_folds(self) -> int:
        """Folds along the columns."""
        return ceil_div(self.columns, self.C)

    @property
    def folds(self) -> int:
        """All folds; columns are the outer loop."""
        return self.row_folds * self.column_folds

    @property
    def fold_cycles(self) -> int:
        """Clocks of a fold, full or not; output-stationary without its drain."""
        load = 0 if self.dataflow == "os" else self.R
        return load + self.R + self.C + self.time - 2

    @property
    def cycles(self) -> int:
        """Clocks of all folds; the reports say one less."""
        return self.folds * self.fold_cycles
