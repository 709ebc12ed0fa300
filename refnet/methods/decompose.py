"""A float network with its layers decomposed, for float inference and for training on.

Methods compose: a decomposed network is a network like any other, and its layers may be quantized
by any method. Layers that follow each other without a nonlinearity then need codes between them,
which :func:`with_codes_between` puts in:

    ranks = plan(net, images, 0.25 * macs, rng=rng)            names as in fold(net)
    small = decompose(net, ranks, rng=rng)                     float: train it on
    ternary, report = compress(with_codes_between(small, images), TwoStep(), images, rng=rng)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.methods.base import FloatArray, apply
from refnet.methods.chains import chain, kernels_of
from refnet.methods.costs import LayerShape, Ranks
from refnet.methods.ranks import Cost, candidates, choose, count_macs
from refnet.methods.terms import block_term
from refnet.nn import (
    AvgPool2d,
    Conv2d,
    GlobalAvgPool2d,
    Linear,
    Module,
    Residual,
    Sequential,
    fold,
)
from refnet.program.types import SINT8, UINT8
from refnet.quant import Quantize, Uniform

# Gives the successor of a leaf from its name, itself, its input and the layer that follows it.
_Leaf = Callable[[str, Module, FloatArray, Module | None], Module]


def layer_shapes(net: Module, data: FloatArray) -> dict[str, LayerShape]:
    """Shapes of the layers with weights, by their names in ``fold(net)``, in order of execution.

    ``data`` (N, C, H, W) is any batch; one image is enough.
    """
    found: dict[str, LayerShape] = {}

    def leaf(name: str, layer: Module, x: FloatArray, following: Module | None) -> Module:
        if isinstance(layer, Conv2d | Linear):
            found[name] = LayerShape.of(layer, x.shape, apply(layer, x).shape)
        return layer

    _walked("", fold(net).eval(), data[:1], leaf)
    return found


def plan(
    net: Module, data: FloatArray, budget: float, *, cost: Cost = count_macs,
    blocks: Sequence[int] = (1, 2, 4, 8), speedups: Sequence[float] = (1.5, 2, 3, 4, 6, 8),
    sweeps: int = 10, rng: np.random.Generator,
) -> dict[str, Ranks | None]:
    """Ranks for every layer but the first and the last, so that their cost is within ``budget``.

    ``cost(name, shape, ranks)`` is any cost of a layer, summed; None as ranks keeps it dense.
    """
    folded = fold(net)
    shapes = layer_shapes(net, data)
    layers = dict(folded.walk())
    options = {}
    for name in list(shapes)[1:-1]:
        layer = layers[name]
        assert isinstance(layer, Conv2d | Linear)
        options[name] = (shapes[name], candidates(
            kernels_of(layer), shapes[name], blocks=blocks, speedups=speedups, sweeps=sweeps,
            rng=rng,
        ))
    return {name: c.ranks for name, c in choose(options, budget, cost=cost).items()}


def decompose(
    net: Module, ranks: Mapping[str, Ranks | None], *, rng: np.random.Generator,
    sweeps: int = 200, tol: float = 1e-6, restarts: int = 0,
) -> Module:
    """A new float network, batch norm folded, in which the named layers are chains of factors.

    Names are those of ``fold(net)``; a layer with None, or not named, stays. ``ValueError`` for
    names that no layer with weights has, and for ranks that exceed the channels.
    """
    folded = fold(net)
    known = {n for n, layer in folded.walk() if isinstance(layer, Conv2d | Linear)}
    for name in ranks:
        if name not in known:
            raise ValueError(f"decompose: no layer {name!r}, exist {', '.join(sorted(known))}")

    def replace(name: str, layer: Module) -> Module | None:
        wanted = ranks.get(name)
        if wanted is None or not isinstance(layer, Conv2d | Linear):
            return None
        try:
            factors = [
                block_term(
                    K, wanted.R, wanted.s, wanted.t, rng=rng, sweeps=sweeps, tol=tol,
                    restarts=restarts,
                )
                for K in kernels_of(layer)
            ]
        except ValueError as error:
            raise ValueError(f"layer {name!r}: {error}") from None
        return chain(layer, factors)

    return folded.rebuild(replace)


def with_codes_between(net: Module, data: FloatArray) -> Module:
    """A copy with 8-bit codes between layers with weights that follow each other, behind averages.

    The codes of an average are unsigned where it is nowhere negative, all others signed.
    """
    def leaf(name: str, layer: Module, x: FloatArray, following: Module | None) -> Module:
        new = layer.copy()
        chained = isinstance(layer, Conv2d | Linear) and isinstance(following, Conv2d | Linear)
        average = isinstance(layer, AvgPool2d | GlobalAvgPool2d)
        if not chained and (not average or isinstance(following, Quantize)):
            return new
        y = apply(new.eval(), x)
        type = UINT8 if average and y.min() >= 0 else SINT8
        return Sequential(new, Quantize(Uniform(type=type).fit(y)))

    return _walked("", net, data, leaf)[0]


def _walked(
    name: str, module: Module, x: FloatArray, leaf: _Leaf, following: Module | None = None
) -> tuple[Module, NDArray[Any]]:
    """The tree of successors, each of which sees the outputs of those before it; its output."""
    if isinstance(module, Sequential):
        layers = list(module)
        for i, layer in enumerate(layers):
            behind = layers[i + 1] if i + 1 < len(layers) else following
            layers[i], x = _walked(_below(name, str(i)), layer, x, leaf, behind)
        return Sequential(*layers), x
    if isinstance(module, Residual):
        main, y = _walked(_below(name, "main"), module.main, x, leaf)
        if module.shortcut is None:
            return Residual(main), y + x
        shortcut, short = _walked(_below(name, "shortcut"), module.shortcut, x, leaf)
        return Residual(main, shortcut), y + short
    new = leaf(name, module, x, following)
    return new, apply(new.eval(), x)


def _below(name: str, child: str) -> str:
    return f"{name}.{child}" if name else child
