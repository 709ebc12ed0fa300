"""Augmentation: every result is one of the allowed flips and shifts of its own image."""

import numpy as np
import pytest

from refnet.nn import flip_and_shift


def candidates(image, shift, flip):
    """All allowed versions of an image (C, H, W), made one by one."""
    versions = []
    for mirrored in ([image, image[:, :, ::-1]] if flip else [image]):
        for down in range(-shift, shift + 1):
            for right in range(-shift, shift + 1):
                moved = np.zeros_like(image)
                for c, i, j in np.ndindex(*image.shape):
                    y, x = i - down, j - right
                    if 0 <= y < image.shape[1] and 0 <= x < image.shape[2]:
                        moved[c, i, j] = mirrored[c, y, x]
                versions.append(moved.tobytes())
    return versions


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_every_image_becomes_an_allowed_version_of_itself(flip, shift):
    images = np.random.default_rng(0).integers(1, 256, (60, 2, 4, 3), dtype=np.uint8)
    original = images.copy()
    made = flip_and_shift(flip=flip, shift=shift)(images, np.random.default_rng(1))
    assert (made.dtype, made.shape) == (images.dtype, images.shape)
    assert np.array_equal(images, original)
    allowed = [candidates(image, shift, flip) for image in images]
    chosen = [one.index(new.tobytes()) for one, new in zip(allowed, made, strict=True)]
    # 60 images over at most 50 versions: both flips and both extremes of the shift occur.
    if flip:
        assert {index >= len(allowed[0]) // 2 for index in chosen} == {False, True}
    if shift:
        rows = {index // (2 * shift + 1) % (2 * shift + 1) for index in chosen}
        assert rows == set(range(2 * shift + 1))


def test_the_generator_decides_and_an_empty_batch_is_fine():
    images = np.random.default_rng(0).integers(0, 256, (9, 1, 4, 4), dtype=np.uint8)
    augment = flip_and_shift(shift=2)
    one, same, other = (augment(images, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert augment(images[:0], np.random.default_rng(0)).shape == (0, 1, 4, 4)
    with pytest.raises(ValueError, match="shift=-1"):
        flip_and_shift(shift=-1)
