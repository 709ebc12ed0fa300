"""Reading SCALE-Sim topology files: networks as comma-separated lines, a layer each.

``conv``: ``name, map height, map width, kernel height, kernel width, channels, filters, stride,``
and ``gemm``: ``name, M, N, K,``. The first line is a header, every line ends in a comma. The format
has no padding (write padded map sizes), dilation, groups, batch or bias. Chapter [7.1.3].
"""

from __future__ import annotations

import os
from pathlib import Path

from hwsim.checks import ceil_div
from hwsim.layers import Gemm, Operand, Window, Workload

_FIELDS = {
    "conv": ("map height", "map width", "kernel height", "kernel width", "channels", "filters",
             "stride"),
    "gemm": ("M", "N", "K"),
}
_LARGEST = 10**9


def read_topology(path: str | os.PathLike[str], *, kind: str = "conv") -> Workload:
    """The workload in a topology file; operands are taken as 8-bit codes, outputs too.

    Output sizes follow the tool that defines the format: ceil((H - R + stride) / stride), which
    counts a last window that hangs over the edge. A name with ``DP`` means depthwise: one group a
    channel, ``filters`` filters in each. Raises ``ValueError`` with the file, the line, what was
    seen and the rule; ``OSError`` where the file cannot be read.
    """
    if kind not in _FIELDS:
        raise ValueError(f"topology kind {kind!r}: exist {', '.join(_FIELDS)}")
    where = os.fspath(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{where}: not a text file, rule a topology in UTF-8") from None
    layers = []
    for number, line in enumerate(text.splitlines(), start=1):
        if number == 1 or not line.strip():
            continue
        try:
            name, sizes = _parse(line, kind)
            layers.append(_conv(name, *sizes) if kind == "conv" else _gemm(name, *sizes))
        except ValueError as error:
            raise ValueError(f"{where}:{number}: {error}") from None
    try:
        return Workload(name=Path(path).stem, layers=tuple(layers))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _parse(line: str, kind: str) -> tuple[str, list[int]]:
    """Name and sizes of a line; the last comma is part of the format."""
    cells = [cell.strip() for cell in line.split(",")]
    names = _FIELDS[kind]
    rule = f"rule 'name, {', '.join(names)},' with the last comma"
    if cells[-1]:
        raise ValueError(f"line ends in {cells[-1]!r}, {rule}")
    cells = cells[:-1]
    if len(cells) > len(names) + 1 and ":" in cells[len(names) + 1]:
        ratio = cells[len(names) + 1]
        raise ValueError(f"sparsity {ratio!r}, rule dense layers: N:M sparsity is not modelled")
    if len(cells) != len(names) + 1:
        raise ValueError(f"{len(cells)} fields, {rule}")
    if not cells[0]:
        raise ValueError(f"empty layer name, {rule}")
    return cells[0], [_size(n, cell) for n, cell in zip(names, cells[1:], strict=True)]


def _size(name: str, cell: str) -> int:
    short = cell.isascii() and cell.isdigit() and len(cell) <= len(str(_LARGEST))
    if not short or not 1 <= int(cell) <= _LARGEST:
        raise ValueError(f"{name} {cell!r}, rule an integer from 1 to {_LARGEST}")
    return int(cell)


def _byte(elements: int, signed: bool) -> Operand:
    lo, hi = (-128, 127) if signed else (0, 255)
    return Operand(lo=lo, hi=hi, elements=elements)


def _conv(name: str, H: int, W: int, R: int, S: int, C: int, F: int, stride: int) -> Gemm:
    if R > H or S > W:
        raise ValueError(f"kernel {R}x{S} on a map of {H}x{W}, rule not larger than the map")
    out = ceil_div(H - R + stride, stride), ceil_div(W - S + stride, stride)
    groups = C if "DP" in name else 1
    m, k = out[0] * out[1], C // groups * R * S
    return Gemm(
        name=name,
        groups=groups,
        m=m,
        k=k,
        n=F,
        input=_byte(H * W * C, signed=False),
        weights=_byte(groups * k * F, signed=True),
        output=_byte(groups * m * F, signed=False),
        window=Window(
            channels=C // groups, height=H, width=W, kernel=(R, S), stride=(stride, stride),
            output=out,
        ),
    )


def _gemm(name: str, M: int, N: int, K: int) -> Gemm:
    return Gemm(
        name=name,
        m=M,
        k=K,
        n=N,
        input=_byte(M * K, signed=True),
        weights=_byte(K * N, signed=True),
        output=_byte(M * N, signed=True),
    )
