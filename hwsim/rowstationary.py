"""The row-stationary dataflow of Eyeriss: its processing clocks under a given mapping [7.3.7].

A PE keeps a row of a filter and slides it along a row of the input; the PEs of a column add up the
kernel's rows. A mapping is given, not searched, so this is no dataflow of an
:class:`hwsim.architecture.Architecture`; words and energy are in :mod:`hwsim.rowtraffic`. Chen et
al., "Eyeriss", JSSC 52(1), 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.checks import ceil_div, normalise


@dataclass(frozen=True, slots=True, kw_only=True)
class RowShape:
    """A convolution as Eyeriss sees it: ``batch`` images, and in each of ``groups`` groups
    ``channels``, ``filters``, a kernel of ``kernel_rows`` x ``kernel_columns`` and an output of
    ``output_rows`` x ``output_columns``. ``stride`` and ``padding`` are the same on all sides.
    """

    batch: int = 1
    groups: int = 1
    channels: int
    filters: int
    kernel_rows: int
    kernel_columns: int
    output_rows: int
    output_columns: int
    stride: int = 1
    padding: int = 0

    def __post_init__(self) -> None:
        normalise(self, "RowShape", "batch groups channels filters kernel_rows kernel_columns")
        normalise(self, "RowShape", "output_rows output_columns stride")
        normalise(self, "RowShape", "padding", least=0)
        if min(self.input_rows, self.input_columns) < 1:
            size = f"{self.input_rows} x {self.input_columns}"
            raise ValueError(f"RowShape: padding={self.padding}, a map of {size}, rule 1 x 1")

    @property
    def input_rows(self) -> int:
        """Rows of the map under the windows, without padding."""
        return (self.output_rows - 1) * self.stride + self.kernel_rows - 2 * self.padding

    @property
    def input_columns(self) -> int:
        """Columns of the map under the windows, without padding."""
        return (self.output_columns - 1) * self.stride + self.kernel_columns - 2 * self.padding

    @property
    def macs(self) -> int:
        """All multiply-accumulates."""
        kernel = self.kernel_rows * self.kernel_columns
        output = self.output_rows * self.output_columns
        return self.batch * self.groups * self.channels * self.filters * kernel * output


@dataclass(frozen=True, slots=True, kw_only=True)
class RowMapping:
    """Eyeriss' mapping parameters, with its letters.

    A PE works on ``p`` filters and ``q`` channels; sets of kernel rows x ``e`` output rows lie on
    the array, ``t`` of them with other filters and ``r`` with other channels. The buffer holds the
    sums of ``m`` filters (p t where None) of ``n`` images at a time.
    """

    e: int
    p: int
    q: int
    r: int
    t: int
    m: int | None = None
    n: int = 1

    def __post_init__(self) -> None:
        normalise(self, "RowMapping", "e p q r t n")
        if self.m is not None:
            normalise(self, "RowMapping", "m")
        if self.filters % (self.p * self.t):
            raise ValueError(f"RowMapping: m={self.m}, rule a multiple of p t = {self.p * self.t}")

    @property
    def filters(self) -> int:
        """Filters whose sums are in the buffer at a time."""
        return self.p * self.t if self.m is None else self.m


#: The scratchpads of a PE in words: inputs, weights, sums.
SPADS = (12, 224, 24)


def processing_cycles(
    shape: RowShape, mapping: RowMapping, *, rows: int = 12, columns: int = 14
) -> int:
    """Clocks in which the PEs multiply: passes, times the MACs of one PE in a pass.

    A pass covers p t filters, q r channels and e output rows of one image; in it a PE makes p q
    rows of ``output_columns`` results from ``kernel_columns`` products each. Every pass lasts as
    long as a full one. Raises ``ValueError`` where sets or scratchpads do not fit.

    >>> conv5 = RowShape(batch=4, groups=2, channels=192, filters=128, kernel_rows=3,
    ...                  kernel_columns=3, output_rows=13, output_columns=13)
    >>> processing_cycles(conv5, RowMapping(e=13, p=16, q=3, r=2, t=2)) / 200e6 * 1e3  # ms
    9.58464
    """
    check_fit(shape, mapping, rows, columns)
    passes = (
        shape.batch * shape.groups
        * ceil_div(shape.filters, mapping.p * mapping.t)
        * ceil_div(shape.channels, mapping.q * mapping.r)
        * ceil_div(shape.output_rows, mapping.e)
    )
    return passes * mapping.p * mapping.q * shape.kernel_columns * shape.output_columns


def active_pes(shape: RowShape, mapping: RowMapping) -> int:
    """PEs with work in a full pass."""
    return shape.kernel_rows * mapping.e * mapping.r * mapping.t


def check_fit(shape: RowShape, mapping: RowMapping, rows: int, columns: int) -> None:
    """Refuse sets that do not fit the array, and rows that do not fit the scratchpads.

    Strips of a set wider than the array lie above each other.
    """
    strips = ceil_div(mapping.e, columns)
    high = shape.kernel_rows * strips
    sets = mapping.r * mapping.t
    fit = (rows // high) * (1 if strips > 1 else columns // mapping.e) if high <= rows else 0
    if sets > fit:
        size = f"{shape.kernel_rows} x {mapping.e}"
        raise ValueError(f"RowMapping: {sets} sets of {size} PEs, rule at most {fit} on "
                         f"{rows} x {columns}")
    held = (mapping.q * shape.kernel_columns, mapping.p * mapping.q * shape.kernel_columns,
            mapping.p)
    for name, words, room in zip(("inputs", "weights", "sums"), held, SPADS, strict=True):
        if words > room:
            raise ValueError(f"RowMapping: {words} words of {name} in a PE, rule at most {room}")


def _alexnet(
    name: str, channels: int, filters: int, kernel: int, output: int, groups: int, stride: int,
    mapping: tuple[int, int, int, int, int, int, int], ms: float, pes: int,
) -> tuple[str, RowShape, RowMapping, float, int]:
    shape = RowShape(
        batch=4, groups=groups, channels=channels, filters=filters // groups, kernel_rows=kernel,
        kernel_columns=kernel, output_rows=output, output_columns=output, stride=stride,
        padding=0 if stride > 1 else kernel // 2,
    )
    m, n, e, p, q, r, t = mapping
    return name, shape, RowMapping(m=m, n=n, e=e, p=p, q=q, r=r, t=t), ms, pes


#: AlexNet, batch 4, 200 MHz: layer, shape, mapping (m n e p q r t, table III), published processing
#: ms, PEs.
ALEXNET = (
    _alexnet("CONV1", 3, 96, 11, 55, 1, 4, (96, 1, 7, 16, 1, 1, 2), 16.5, 154),
    _alexnet("CONV2", 48, 256, 5, 27, 2, 1, (64, 1, 27, 16, 2, 1, 1), 39.2, 135),
    _alexnet("CONV3", 256, 384, 3, 13, 1, 1, (64, 4, 13, 16, 4, 1, 4), 21.8, 156),
    _alexnet("CONV4", 192, 384, 3, 13, 2, 1, (64, 4, 13, 16, 3, 2, 2), 16.0, 156),
    _alexnet("CONV5", 192, 256, 3, 13, 2, 1, (64, 4, 13, 16, 3, 2, 2), 10.0, 156),
)
