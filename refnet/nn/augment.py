"""Random changes of training images that keep their label."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

# Maps a batch of images (N, C, H, W) to another of the same shape; the random choices come from
# the generator.
Augment: TypeAlias = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]


def flip_and_shift(*, flip: bool = True, shift: int = 4) -> Augment:
    """Mirror half of the images and move each by up to `shift` pixels both ways, filling with 0.

    This is the usual augmentation for CIFAR-10 (pad by 4, crop at random, flip).
    """
    if shift < 0:
        raise ValueError(f"flip_and_shift: shift={shift}, must be >= 0")

    def augment(images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        count, _, height, width = images.shape
        mirrored = rng.integers(0, 2, (count, 1, 1, 1), dtype=np.uint8) == 1
        top, left = rng.integers(0, 2 * shift + 1, (2, count))
        if flip:
            images = np.where(mirrored, images[..., ::-1], images)
        padded = np.pad(images, ((0, 0), (0, 0), (shift, shift), (shift, shift)))
        rows = (top[:, None] + np.arange(height))[:, None, :, None]
        columns = (left[:, None] + np.arange(width))[:, None, None, :]
        # Channels stand alone between the index arrays' axes, so they are indexed as well.
        chosen: NDArray[np.uint8] = padded[
            np.arange(count)[:, None, None, None], np.arange(images.shape[1])[:, None, None],
            rows, columns,
        ]
        return chosen

    return augment
