"""Columns of a layer's problem: inputs and wanted responses at randomly drawn positions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refnet.methods.base import LayerData
from refnet.nn import Conv2d, Linear

Reals = NDArray[np.float64]


def draw(
    layer: Conv2d | Linear, data: LayerData, samples: int, rng: np.random.Generator, *,
    original: bool = False,
) -> list[tuple[Reals, Reals]]:
    """For each group: inputs X (n, N) and responses Z (F/G, N), N at most ``samples``.

    Positions are drawn without replacement from all images and outputs, in ascending order.
    Row c*R*S + r*S + s of X is what weight (c, r, s) meets, padding included. ``original`` takes
    the inputs that the layer has in the original network, for the symmetric problem. Raises
    ``ValueError`` on inputs or targets that are not finite.
    """
    inputs = data.original_inputs if original else data.inputs
    if inputs is None:
        raise ValueError("draw: the data hold no original inputs")
    for what, array in (("inputs", inputs), ("targets", data.targets)):
        if not np.isfinite(array).all():
            raise ValueError(f"draw: {what} {array.shape} hold NaN or infinity, rule finite")
    if isinstance(layer, Linear):
        picked = _choose(len(inputs), samples, rng)
        X, Z = inputs[picked].T, data.targets[picked].T
        return [(np.ascontiguousarray(X, np.float64), np.ascontiguousarray(Z, np.float64))]
    count, _, height, width = data.targets.shape
    flat = _choose(count * height * width, samples, rng)
    image, i, j = np.unravel_index(flat, (count, height, width))
    padded = np.pad(inputs, ((0, 0), (0, 0), *layer.padding))
    per_group, *kernel = layer.weight.shape[1:]
    spans = [np.arange(size) * step for size, step in zip(kernel, layer.dilation, strict=True)]
    rows = (i * layer.stride[0]) + spans[0][:, None, None]
    columns = (j * layer.stride[1]) + spans[1][:, None]
    targets = np.ascontiguousarray(data.targets[image, :, i, j].T, dtype=np.float64)
    found = []
    for g in range(layer.groups):
        channels = np.arange(g * per_group, (g + 1) * per_group)[:, None, None, None]
        # Axes (c, r, s, sample): already the order of X.
        patches = padded[image, channels, rows, columns]
        filters = slice(*(k * len(targets) // layer.groups for k in (g, g + 1)))
        found.append((patches.reshape(-1, len(flat)).astype(np.float64), targets[filters]))
    return found


def _choose(total: int, samples: int, rng: np.random.Generator) -> NDArray[np.intp]:
    return np.sort(rng.choice(total, size=min(total, samples), replace=False))
