"""Reading SCALE-Sim topology files: networks as comma-separated lines, a layer each.

``conv``: ``name, map height, map width, kernel height, kernel width, channels, filters, stride,``
and ``gemm``: ``name, M, N, K,``. The first line is a header, every line ends in a comma. The format
has no padding (write padded map sizes), dilation, groups, batch or bias. Chapter [7.1.3]. Files
with the project's own columns are read by :mod:`hwsim.network`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hwsim import network
from hwsim.checks import ceil_div
from hwsim.layers import Gemm, Operand, Pair, Window, Workload

_FIELDS = {
    "conv": ("map height", "map width", "kernel height", "kernel width", "channels", "filters",
             "stride"),
    "gemm": ("M", "N", "K"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a topology file: the sizes in the order of the format.

    ``sparsity`` (N, M) says that N of M weights are kept; (1, 1) where the field is missing.
    """

    number: int
    name: str
    sizes: tuple[int, ...]
    sparsity: Pair = (1, 1)


def read_topology(path: str | os.PathLike[str], *, kind: str | None = None) -> Workload:
    """The workload in a topology file; operands are taken as 8-bit codes, outputs too.

    ``kind`` is ``conv`` or ``gemm``; None means a network with named columns
    (:mod:`hwsim.network`) if the header names them, ``conv`` otherwise. Output sizes of SCALE-Sim
    layouts follow the tool that defines them: ceil((H - R + stride) / stride), which counts a last
    window that hangs over the edge. A name with ``DP`` means depthwise: one group a channel,
    ``filters`` filters in each. Raises ``ValueError`` with the file, the line, what was seen and
    the rule; ``OSError`` where the file cannot be read.
    """
    where = os.fspath(path)
    text = read_text(path)
    if kind is None and network.has_columns(text):
        return network.parse(text, where, Path(path).stem)
    kind = kind or "conv"
    layers = []
    for line in parse_lines(text, where, kind):
        try:
            if line.sparsity[0] != line.sparsity[1]:
                ratio = f"{line.sparsity[0]}:{line.sparsity[1]}"
                raise ValueError(f"sparsity {ratio!r}, rule dense layers: N:M is not modelled")
            make = _conv if kind == "conv" else _gemm
            layers.append(make(line.name, *line.sizes))
        except ValueError as error:
            raise ValueError(f"{where}:{line.number}: {error}") from None
    try:
        return Workload(name=Path(path).stem, layers=tuple(layers))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a file in UTF-8, with or without a byte-order mark."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{os.fspath(path)}: not a text file, rule a topology in UTF-8") from None


def parse_lines(text: str, where: str, kind: str, *, loose: bool = False) -> tuple[Line, ...]:
    """The lines of a SCALE-Sim layout, one or more; raises ``ValueError`` as the reader does.

    ``loose`` reads as that tool does: what stands behind the last comma is thrown away, and a layer
    needs no name.
    """
    if kind not in _FIELDS:
        raise ValueError(f"topology kind {kind!r}: exist {', '.join(_FIELDS)}")
    lines = []
    for number, line in enumerate(text.splitlines(), start=1):
        if number == 1:
            _check_header(line, where, kind)
        elif line.strip():
            try:
                lines.append(_parse(number, line, kind, loose))
            except ValueError as error:
                raise ValueError(f"{where}:{number}: {error}") from None
    if not lines:
        raise ValueError(f"{where}: no layers, rule a header and one or more lines")
    return tuple(lines)


def _check_header(line: str, where: str, kind: str) -> None:
    """The first line is never read as a layer; one that could be is a layer lost."""
    try:
        _parse(1, line, kind, loose=False)
    except ValueError:
        return
    raise ValueError(f"{where}:1: {line.strip()!r} is a layer, rule a header in the first line")


def _parse(number: int, line: str, kind: str, loose: bool) -> Line:
    """Name and sizes of a line; the last comma is part of the format."""
    cells = [cell.strip() for cell in line.split(",")]
    names = _FIELDS[kind]
    rule = f"rule 'name, {', '.join(names)},' with the last comma"
    if cells[-1] and (not loose or len(cells) <= len(names) + 1):
        raise ValueError(f"line ends in {cells[-1]!r}, {rule}")
    cells = cells[:-1]
    sparsity = (1, 1)
    if len(cells) == len(names) + 2 and ":" in cells[-1]:
        sparsity = _ratio(cells.pop())
    if len(cells) != len(names) + 1:
        raise ValueError(f"{len(cells)} fields, {rule}")
    if not cells[0] and not loose:
        raise ValueError(f"empty layer name, {rule}")
    sizes = tuple(network.size(n, cell) for n, cell in zip(names, cells[1:], strict=True))
    if kind == "conv":
        H, W, R, S = sizes[:4]
        if R > H or S > W:
            raise ValueError(f"kernel {R}x{S} on a map of {H}x{W}, rule not larger than the map")
    return Line(number=number, name=cells[0], sizes=sizes, sparsity=sparsity)


def _ratio(cell: str) -> Pair:
    """Sparsity ``N:M``."""
    rule = "rule N:M with 1 <= N <= M"
    parts = cell.split(":")
    if len(parts) != 2:
        raise ValueError(f"sparsity {cell!r}, {rule}")
    try:
        kept, block = (network.size("sparsity", part.strip()) for part in parts)
    except ValueError:
        raise ValueError(f"sparsity {cell!r}, {rule}") from None
    if kept > block:
        raise ValueError(f"sparsity {cell!r}, {rule}")
    return kept, block


def _conv(name: str, H: int, W: int, R: int, S: int, C: int, F: int, stride: int) -> Gemm:
    out = ceil_div(H - R + stride, stride), ceil_div(W - S + stride, stride)
    groups = C if "DP" in name else 1
    m, k = out[0] * out[1], C // groups * R * S
    return Gemm(
        name=name,
        groups=groups,
        m=m,
        k=k,
        n=F,
        input=network.byte(H * W * C, signed=False),
        weights=network.byte(groups * k * F, signed=True),
        output=network.byte(groups * m * F, signed=False),
        window=Window(
            channels=C // groups, height=H, width=W, kernel=(R, S), stride=(stride, stride),
            output=out,
        ),
    )


def _gemm(name: str, M: int, N: int, K: int) -> Gemm:
    def operand(elements: int) -> Operand:
        return network.byte(elements, signed=True)

    return Gemm(
        name=name, m=M, k=K, n=N, input=operand(M * K), weights=operand(K * N),
        output=operand(M * N),
    )
