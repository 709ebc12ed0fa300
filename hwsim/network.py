"""Networks as data: comma-separated lines with named columns, padding and groups included.

The header names the columns, in any order: ``name`` and ``kind``, then what the kinds need.

    conv      height, width, channels, filters, kernel; stride, padding, dilation, groups
    linear    channels, filters
    maxpool   height, width, channels, kernel; stride, padding
    avgpool   as maxpool
    add       height, width, channels: the sum of two maps

``batch`` counts images and ``after`` says what a conv or linear layer adds to its products:
``bias`` (a number a filter) or ``norm`` (a scale and a bias a filter). Empty cells mean 1, for
``padding`` 0. ``3`` or ``3x5`` is height x width; padding may differ at the two ends of an axis:
``0+1`` is none before and one after. Chapter [7b.6].
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.layers import Gemm, Layer, Operand, Pair, Vector, Window, Workload

#: Largest size in a topology file.
LARGEST = 10**9
#: Biases and scales are taken as integers of so many bits.
PARAMETER_BITS = 32
_PARAMETERS = {"": 0, "bias": 1, "norm": 2}
_MAP = ("height", "width", "channels")
_POOL = ((*_MAP, "kernel"), ("stride", "padding"))
# Columns that a kind needs, and those that it may have beside batch.
_KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "conv": ((*_MAP, "filters", "kernel"), ("stride", "padding", "dilation", "groups", "after")),
    "linear": (("channels", "filters"), ("after",)),
    "maxpool": _POOL,
    "avgpool": _POOL,
    "add": (_MAP, ()),
}
_COLUMNS = ("name", "kind", "height", "width", "channels", "filters", "kernel", "stride", "padding",
            "dilation", "groups", "batch", "after")


def has_columns(text: str) -> bool:
    """Whether the header of a topology names the columns of a network."""
    return {"name", "kind"} <= set(_header(text))


def _header(text: str) -> list[str]:
    first = text.splitlines()[0] if text else ""
    return [cell.strip().lower() for cell in first.split(",")]


def parse(text: str, where: str, name: str) -> Workload:
    """The workload in ``text``; operands are taken as 8-bit codes, outputs too.

    Raises ``ValueError`` with the file ``where``, the line, the column, what was seen and the rule.
    """
    header = _header(text)
    if not header[-1]:
        header.pop()
    for i, column in enumerate(header):
        if column not in _COLUMNS or column in header[:i]:
            rule = f"rule each once of {', '.join(_COLUMNS)}"
            raise ValueError(f"{where}:1: column {column!r}, {rule}")
    layers = []
    for number, line in enumerate(text.splitlines()[1:], start=2):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            layers.append(_layer(_cells(header, line)))
        except ValueError as error:
            raise ValueError(f"{where}:{number}: {error}") from None
    try:
        return Workload(name=name, layers=tuple(layers))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def parameters(workload: Workload) -> int:
    """Weights, and the biases and scales behind the products."""
    products = [layer for layer in workload.layers if isinstance(layer, Gemm)]
    return sum(p.weights.elements + p.parameter_bits // PARAMETER_BITS for p in products)


def size(name: str, cell: str, least: int = 1) -> int:
    """A whole number of decimal digits; raises ``ValueError`` naming the column."""
    short = cell.isascii() and cell.isdigit() and len(cell) <= len(str(LARGEST))
    if not short or not least <= int(cell) <= LARGEST:
        raise ValueError(f"{name} {cell!r}, rule an integer from {least} to {LARGEST}")
    return int(cell)


def byte(elements: int, signed: bool) -> Operand:
    """A tensor of 8-bit codes."""
    lo, hi = (-128, 127) if signed else (0, 255)
    return Operand(lo=lo, hi=hi, elements=elements)


def _cells(header: list[str], line: str) -> dict[str, str]:
    """The cells that are not empty, by column."""
    cells = [cell.strip() for cell in line.split(",")]
    if len(cells) == len(header) + 1 and not cells[-1]:
        cells.pop()
    if len(cells) != len(header):
        raise ValueError(f"{len(cells)} fields, rule {len(header)} as in the header")
    return {column: cell for column, cell in zip(header, cells, strict=True) if cell}


def _layer(cells: dict[str, str]) -> Layer:
    kind = cells.get("kind", "")
    if kind not in _KINDS:
        raise ValueError(f"kind {kind!r}, rule {', '.join(_KINDS)}")
    needed, possible = _KINDS[kind]
    for column in ("name", *needed):
        if column not in cells:
            raise ValueError(f"no {column}, rule one for kind {kind!r}")
    for column in cells:
        if column not in ("name", "kind", "batch", *needed, *possible):
            raise ValueError(f"{column} {cells[column]!r}, rule none for kind {kind!r}")
    line = _Line.read(cells)
    if kind in ("conv", "linear"):
        return _conv(line)
    return _add(line) if kind == "add" else _pool(line)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A line with its cells as numbers."""

    name: str
    kind: str
    height: int
    width: int
    channels: int
    filters: int
    kernel: Pair
    stride: Pair
    padding: tuple[Pair, Pair]
    dilation: Pair
    groups: int
    batch: int
    parameters: int

    @classmethod
    def read(cls, cells: dict[str, str]) -> _Line:
        """Check every cell by itself."""

        def number(column: str) -> int:
            return size(column, cells.get(column, "1"))

        def pair(column: str, default: str = "1") -> Pair:
            return _pair(column, cells.get(column, default))

        after = cells.get("after", "")
        if after not in _PARAMETERS:
            raise ValueError(f"after {after!r}, rule bias, norm or nothing")
        kernel = pair("kernel")
        pool = cells["kind"].endswith("pool")
        return cls(
            name=cells["name"], kind=cells["kind"], height=number("height"), width=number("width"),
            channels=number("channels"), filters=number("filters"), kernel=kernel,
            stride=pair("stride", f"{kernel[0]}x{kernel[1]}" if pool else "1"),
            padding=_pads(cells.get("padding", "0")), dilation=pair("dilation"),
            groups=number("groups"), batch=number("batch"), parameters=_PARAMETERS[after],
        )

    @property
    def output(self) -> Pair:
        """Size of the result; the window must fit on the padded map."""
        out = []
        for axis, length in enumerate((self.height, self.width)):
            padded = length + sum(self.padding[axis])
            reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1
            if reach > padded:
                raise ValueError(
                    f"kernel reaches {reach} on {padded} padded places, rule not more than these"
                )
            out.append((padded - reach) // self.stride[axis] + 1)
        return out[0], out[1]

    @property
    def elements(self) -> int:
        """Elements of the map that comes in."""
        return self.batch * self.height * self.width * self.channels


def _pair(column: str, cell: str) -> Pair:
    """``3`` or ``3x5``."""
    parts = [size(column, part.strip()) for part in cell.split("x")]
    if len(parts) > 2:
        raise ValueError(f"{column} {cell!r}, rule one number or height x width")
    return parts[0], parts[-1]


def _pads(cell: str) -> tuple[Pair, Pair]:
    """``1``, ``1x2`` or ``0+1x0+1``."""
    axes = []
    for part in cell.split("x"):
        ends = [size("padding", end.strip(), 0) for end in part.split("+")]
        if len(ends) > 2:
            raise ValueError(f"padding {cell!r}, rule one number or before+after, an axis")
        axes.append((ends[0], ends[-1]))
    if len(axes) > 2:
        raise ValueError(f"padding {cell!r}, rule one entry or height x width")
    return axes[0], axes[-1]


def _conv(line: _Line) -> Gemm:
    for what, count in (("channels", line.channels), ("filters", line.filters)):
        if count % line.groups:
            raise ValueError(f"{what} {count}, rule a multiple of groups {line.groups}")
    out, channels = line.output, line.channels // line.groups
    m, k, n = line.batch * out[0] * out[1], channels * line.kernel[0] * line.kernel[1], (
        line.filters // line.groups
    )
    return Gemm(
        name=line.name, groups=line.groups, m=m, k=k, n=n,
        input=byte(line.elements, signed=False),
        weights=byte(line.groups * k * n, signed=True),
        output=byte(line.groups * m * n, signed=False),
        additions=line.groups * m * n if line.parameters else 0,
        parameter_bits=line.parameters * line.filters * PARAMETER_BITS,
        window=Window(
            batch=line.batch, channels=channels, height=line.height, width=line.width,
            kernel=line.kernel, stride=line.stride, padding=line.padding, dilation=line.dilation,
            output=out,
        ),
    )


def _pool(line: _Line) -> Vector:
    """An average is a sum and one multiplication an output."""
    for axis in (0, 1):
        if max(line.padding[axis]) >= line.kernel[axis]:
            raise ValueError(f"padding {line.padding[axis]}, rule below kernel {line.kernel[axis]}")
    results = line.batch * line.channels * line.output[0] * line.output[1]
    steps = results * (line.kernel[0] * line.kernel[1] - 1)
    average = line.kind == "avgpool"
    return Vector(
        name=line.name, kind="AvgPool" if average else "MaxPool",
        inputs=(byte(line.elements, signed=False),), output=byte(results, signed=False),
        additions=steps if average else 0, comparisons=0 if average else steps,
        multiplications=results if average else 0,
    )


def _add(line: _Line) -> Vector:
    inputs = byte(line.elements, signed=False)
    return Vector(
        name=line.name, kind="Add", inputs=(inputs, inputs), output=inputs,
        additions=line.elements,
    )
