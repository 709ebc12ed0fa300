"""The four arrays of a data set as a file gives them, and the identity of the well-known ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# No reader takes more memory than this for one array, whatever a header announces.
LIMIT_BYTES = 1 << 31


class Arrays(NamedTuple):
    """Images (N, C, H, W) uint8 and labels (N,) int64, for training and for testing."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the genuine arrays of a published data set must be."""

    title: str
    image_shape: tuple[int, int, int]
    train_per_class: int
    test_per_class: int
    sha256: str

    def check(self, arrays: Arrays, source: str) -> None:
        """Raise ValueError unless `arrays` are this data set; `source` names where they came from.

        Shape and class counts come first because they say more than two unequal hashes.
        """
        for part, images, labels, each in (
            ("training", arrays.train_images, arrays.train_labels, self.train_per_class),
            ("test", arrays.test_images, arrays.test_labels, self.test_per_class),
        ):
            if images.shape != (10 * each, *self.image_shape):
                raise ValueError(
                    f"{self.title} in {source}: {part} images have shape {images.shape}, "
                    f"must be {(10 * each, *self.image_shape)}"
                )
            counts = np.bincount(labels, minlength=10).tolist()
            if counts != [each] * 10:
                raise ValueError(
                    f"{self.title} in {source}: {part} class counts {counts}, "
                    f"must be {each} for each of 10 classes"
                )
        seen = digest(arrays)
        if seen != self.sha256:
            raise ValueError(
                f"{self.title} in {source}: the decoded arrays have SHA-256 {seen[:16]}..., "
                f"must be {self.sha256[:16]}..."
            )


def digest(arrays: Arrays) -> str:
    """SHA-256 (hex) of the four arrays as bytes: images, labels, test images, test labels."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(np.ascontiguousarray(array.astype(np.uint8, copy=False)).data)
    return sha.hexdigest()
