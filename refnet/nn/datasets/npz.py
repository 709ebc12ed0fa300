"""A data set in one `.npz` file, read without pickle and measured before memory is taken."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.nn.datasets.arrays import LIMIT_BYTES, Arrays

KEYS = ("train_images", "train_labels", "test_images", "test_labels")


def read_data(path: Path) -> Arrays:
    """Arrays under the four KEYS of `path`: images (N, C, H, W) or (N, H, W) uint8, integer labels.

    Raises FileNotFoundError, or ValueError when an array is absent or of another kind.
    """
    arrays = read(path, KEYS)
    images = [_images(arrays[key], path, key) for key in ("train_images", "test_images")]
    labels = [_labels(arrays[key], path, key) for key in ("train_labels", "test_labels")]
    return Arrays(images[0], labels[0], images[1], labels[1])


def read(path: Path, keys: tuple[str, ...] | None = None) -> dict[str, NDArray[Any]]:
    """The arrays called `keys` (None: all) of an `.npz` file; no pickles.

    Raises FileNotFoundError, or ValueError for a damaged file, an absent key, an array of
    objects, and a header whose size is not that of the data after it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            there = [name.removesuffix(".npy") for name in archive.namelist()]
            wanted = there if keys is None else keys
            absent = [key for key in wanted if key not in there]
            if absent:
                raise ValueError(
                    f"{path}: no array {absent[0]!r}, must hold {', '.join(wanted)}; "
                    f"holds {', '.join(there) or 'nothing'}"
                )
            return {key: _read_member(archive, key, path) for key in wanted}
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    # zipfile has NotImplementedError for a compression it lacks, RuntimeError for a password.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{path}: damaged .npz file: {error}") from error


def _read_member(archive: zipfile.ZipFile, key: str, path: Path) -> NDArray[Any]:
    member = archive.getinfo(f"{key}.npy")
    if member.file_size > LIMIT_BYTES:
        raise ValueError(
            f"{path}: array {key!r} takes {member.file_size} bytes, must be at most {LIMIT_BYTES}"
        )
    with archive.open(member) as stream:
        try:
            version = np.lib.format.read_magic(stream)
            if version not in ((1, 0), (2, 0)):
                raise ValueError(f"format version {version} is not (1, 0) or (2, 0)")
            reader = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, fortran, dtype = reader(stream)
        except ValueError as error:
            first_line = str(error).splitlines()[0]
            raise ValueError(f"{path}: array {key!r} has no valid header: {first_line}") from error
        if dtype.hasobject:
            raise ValueError(f"{path}: array {key!r} holds pickled objects, must hold numbers")
        size = math.prod(shape) * dtype.itemsize
        rest = member.file_size - stream.tell()
        if size != rest:
            raise ValueError(
                f"{path}: array {key!r} announces {shape} of {dtype} = {size} bytes, has {rest}"
            )
        flat: NDArray[Any] = np.frombuffer(stream.read(size), dtype=dtype)
    if len(flat) != math.prod(shape):
        raise ValueError(f"{path}: array {key!r} ends early")
    return flat.reshape(shape, order="F" if fortran else "C")


def _images(array: NDArray[Any], path: Path, key: str) -> NDArray[np.uint8]:
    if array.dtype != np.uint8 or array.ndim not in (3, 4):
        raise ValueError(
            f"{path}: {key} is {array.dtype} {array.shape}, must be uint8 (N, C, H, W) or (N, H, W)"
        )
    return array if array.ndim == 4 else array[:, None]


def _labels(array: NDArray[Any], path: Path, key: str) -> NDArray[np.int64]:
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise ValueError(f"{path}: {key} is {array.dtype} {array.shape}, must be integers (N,)")
    return array.astype(np.int64)
