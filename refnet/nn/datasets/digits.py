"""The packaged images: 1,797 handwritten digits of 8x8 (see digits.txt for their origin)."""

from __future__ import annotations

from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray

from refnet.nn.datasets import npz
from refnet.nn.datasets.arrays import Arrays

TEST_PER_CLASS = 45


def read() -> Arrays:
    """1,347 training and 450 test images (N, 1, 8, 8), their values spread from 0..16 to 0..255.

    The file keeps the published order, in which the images of one writer follow each other.
    Each class gives its last 45 images to the test set: the test set is balanced, about a
    quarter of the whole, and mostly by writers of whom training has seen nothing, as a split
    at random would not be. Within both parts the published order is kept.
    """
    with as_file(files("refnet.nn.datasets") / "digits.npz") as path:
        stored = npz.read(path, ("images", "labels"))
    labels = stored["labels"].astype(np.int64)
    is_test = np.zeros(len(labels), dtype=bool)
    for digit in range(10):
        is_test[np.flatnonzero(labels == digit)[-TEST_PER_CLASS:]] = True
    images = spread(stored["images"])[:, None]
    return Arrays(images[~is_test], labels[~is_test], images[is_test], labels[is_test])


def spread(raw: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """round(255 v / 16) for v in 0..16, in integers; one to one, so nothing is lost.

    >>> spread(np.array([0, 1, 8, 16], dtype=np.uint8)).tolist()
    [0, 16, 128, 255]
    """
    return ((raw.astype(np.uint16) * 255 + 8) // 16).astype(np.uint8)
