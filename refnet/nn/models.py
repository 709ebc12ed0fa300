"""Small networks for small images.

All are one Sequential of blocks: convolution without bias, batch norm, perhaps a 2x2 max-pool,
ReLU. The pool stands before the nonlinearity because both commute for ReLU, and a quantizer in
the place of the ReLU then sees only the values it keeps. The last layer is Linear.
"""

from __future__ import annotations

import numpy as np

from refnet.nn.composites import Residual, Sequential
from refnet.nn.layers import (
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    ReLU,
)
from refnet.nn.module import Module


def small_convnet(
    *, in_channels: int = 1, image_size: int = 28, classes: int = 10,
    filters: tuple[int, int, int] = (16, 48, 64), affine: bool = True, rng: np.random.Generator,
) -> Sequential:
    """Three 3x3 blocks of `filters`, each halving the map, and Linear.

    Images of less than 16 pixels a side keep their full map in the first block. `affine=False`
    gives batch norms without weight and bias. The first block is narrow because its maps are
    large: there batch norm and pooling cost more than the convolution.
    """
    pools = (image_size >= 16, True, True)
    layers: list[Module] = []
    channels, size = in_channels, image_size
    for count, pool in zip(filters, pools, strict=True):
        layers += block(channels, count, pool=pool, affine=affine, rng=rng)
        channels, size = count, size // 2 if pool else size
    return _with_classifier(layers, channels, size, image_size, classes, rng)


def lenet(
    *, in_channels: int = 1, image_size: int = 28, classes: int = 10,
    filters: tuple[int, int] = (32, 64), hidden: int = 128, rng: np.random.Generator,
) -> Sequential:
    """Two pooled 3x3 blocks, one hidden Linear layer with batch norm, and the classifier."""
    first, second = filters
    size = image_size // 4
    _check_size("lenet", image_size, 4)
    return Sequential(
        *block(in_channels, first, pool=True, rng=rng),
        *block(first, second, pool=True, rng=rng),
        Flatten(),
        Linear(second * size * size, hidden, bias=False, rng=rng), BatchNorm2d(hidden), ReLU(),
        Linear(hidden, classes, rng=rng),
    )


def vgg_small(
    *, in_channels: int = 3, image_size: int = 32, classes: int = 10,
    filters: tuple[int, ...] = (16, 32, 64), rng: np.random.Generator,
) -> Sequential:
    """For each of `filters` two 3x3 blocks, of which the second halves the map; then Linear."""
    layers: list[Module] = []
    channels = in_channels
    for count in filters:
        layers += block(channels, count, pool=False, rng=rng)
        layers += block(count, count, pool=True, rng=rng)
        channels = count
    size = image_size >> len(filters)
    return _with_classifier(layers, channels, size, image_size, classes, rng)


def small_resnet(
    *, in_channels: int = 3, image_size: int = 32, classes: int = 10,
    filters: tuple[int, ...] = (16, 32, 64), rng: np.random.Generator,
) -> Sequential:
    """A 3x3 block, then for each of `filters` one residual unit, average of the map, Linear.

    Every unit but the first halves the map and has a 1x1 convolution as its shortcut (He, Zhang,
    Ren, Sun 2016, option B).
    """
    _check_size("small_resnet", image_size, 1)
    layers = block(in_channels, filters[0], pool=False, rng=rng)
    channels = filters[0]
    for at, count in enumerate(filters):
        layers += [_residual_unit(channels, count, stride=1 if at == 0 else 2, rng=rng), ReLU()]
        channels = count
    return Sequential(*layers, GlobalAvgPool2d(), Flatten(), Linear(channels, classes, rng=rng))


def block(
    in_channels: int, filters: int, *, pool: bool, affine: bool = True, rng: np.random.Generator
) -> list[Module]:
    """3x3 convolution that keeps the map, batch norm, 2x2 max-pool if `pool`, ReLU."""
    conv = Conv2d(in_channels, filters, 3, padding=1, bias=False, rng=rng)
    pooling: list[Module] = [MaxPool2d(2)] if pool else []
    return [conv, BatchNorm2d(filters, affine=affine), *pooling, ReLU()]


def _residual_unit(
    channels: int, filters: int, *, stride: int, rng: np.random.Generator
) -> Residual:
    main = Sequential(
        Conv2d(channels, filters, 3, stride=stride, padding=1, bias=False, rng=rng),
        BatchNorm2d(filters), ReLU(),
        Conv2d(filters, filters, 3, padding=1, bias=False, rng=rng), BatchNorm2d(filters),
    )
    if stride == 1 and channels == filters:
        return Residual(main)
    shortcut = Sequential(
        Conv2d(channels, filters, 1, stride=stride, bias=False, rng=rng), BatchNorm2d(filters)
    )
    return Residual(main, shortcut)


def _with_classifier(
    layers: list[Module], channels: int, size: int, image_size: int, classes: int,
    rng: np.random.Generator,
) -> Sequential:
    _check_size("network", size, 1, of=image_size)
    return Sequential(*layers, Flatten(), Linear(channels * size * size, classes, rng=rng))


def _check_size(name: str, size: int, least: int, of: int | None = None) -> None:
    if size < least:
        raise ValueError(
            f"{name}: image_size={size if of is None else of} is too small, "
            f"the map would be {size}, must be at least {least}"
        )
