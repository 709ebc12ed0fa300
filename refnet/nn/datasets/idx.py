"""IDX files, the format of MNIST: a big-endian header of dimensions, then the bytes.

A header is untrusted: its size is compared with what the file can hold before memory is taken,
and no more than the announced bytes are ever decompressed.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from refnet.nn.datasets.arrays import LIMIT_BYTES, Arrays

# Deflate encodes at most 258 bytes in 2 bits, so no gzip file grows by more than this factor.
_DEFLATE_RATIO = 1032

_PARTS = (
    ("train-images", 3),
    ("train-labels", 1),
    ("t10k-images", 3),
    ("t10k-labels", 1),
)


def file_names(part: str, dimensions: int) -> tuple[str, ...]:
    """The names under which `part` is looked for, in this order."""
    stems = (f"{part}-idx{dimensions}-ubyte", f"{part}.idx{dimensions}-ubyte")
    return tuple(stem + ending for stem in stems for ending in ("", ".gz"))


def find(folder: Path) -> tuple[Path, ...] | None:
    """The four IDX files of `folder`, or None when one of them is not there."""
    found = []
    for part, dimensions in _PARTS:
        paths = [folder / name for name in file_names(part, dimensions)]
        there = next((path for path in paths if path.is_file()), None)
        if there is None:
            return None
        found.append(there)
    return tuple(found)


def read_folder(folder: Path) -> Arrays:
    """The data set in four IDX files of `folder`, named as MNIST's are, plain or `.gz`.

    Raises FileNotFoundError when a file is missing and ValueError when one is not as announced.
    """
    paths = find(folder)
    if paths is None:
        wanted = ", ".join(file_names(part, dimensions)[0] for part, dimensions in _PARTS)
        raise FileNotFoundError(f"{folder}: no IDX data, must hold {wanted} (plain or .gz)")
    arrays = [
        read_file(path, dimensions)
        for path, (_, dimensions) in zip(paths, _PARTS, strict=True)
    ]
    for images, labels, at in ((arrays[0], arrays[1], 0), (arrays[2], arrays[3], 2)):
        if len(images) != len(labels):
            raise ValueError(
                f"{paths[at]}: {len(images)} images, but {len(labels)} labels in "
                f"{paths[at + 1].name}, must be as many"
            )
    return Arrays(
        arrays[0][:, None], arrays[1].astype(np.int64),
        arrays[2][:, None], arrays[3].astype(np.int64),
    )


def read_file(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The uint8 array of an IDX file that must have `dimensions` axes.

    Raises ValueError for a wrong magic number, a size that the file does not hold, bytes after
    the last one announced, and a damaged gzip stream.
    """
    try:
        with _open(path) as stream:
            return _read(stream, path, dimensions)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: damaged gzip file: {error}") from error


def _open(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def _read(stream: BinaryIO, path: Path, dimensions: int) -> NDArray[np.uint8]:
    magic = 0x0800 | dimensions  # type 8: unsigned byte
    length = 4 + 4 * dimensions
    header = stream.read(length)
    if header[:4] != struct.pack(">I", magic):
        raise ValueError(
            f"{path}: first bytes {header[:4].hex() or 'absent'}, must be {magic:08x} "
            f"(IDX, unsigned bytes, {dimensions} axes)"
        )
    if len(header) < length:
        raise ValueError(f"{path}: {len(header)} bytes, must have a header of {length}")
    shape = struct.unpack(f">{dimensions}I", header[4:])
    announced = math.prod(shape)
    size = path.stat().st_size
    room = size * _DEFLATE_RATIO if path.suffix == ".gz" else size - length
    if announced > min(room, LIMIT_BYTES):
        raise ValueError(
            f"{path}: header announces {shape} = {announced} bytes, "
            f"more than its {size} bytes can hold (at most {min(room, LIMIT_BYTES)})"
        )
    content = stream.read(announced)
    if len(content) < announced:
        raise ValueError(f"{path}: {len(content)} bytes of data, header announces {announced}")
    if stream.read(1):
        raise ValueError(f"{path}: bytes follow the {announced} that the header announces")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)
