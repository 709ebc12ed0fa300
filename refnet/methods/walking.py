"""A float network walked with data: what every layer sees, and a successor for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from refnet.methods.base import FloatArray, apply
from refnet.methods.costs import LayerShape
from refnet.nn import Conv2d, Linear, Module, Residual, Sequential

#: Gives the successor of a leaf from its name, itself, its input and the layers that follow it
#: in its Sequential and those around that one.
Leaf = Callable[[str, Module, FloatArray, tuple[Module, ...]], Module]


def walked(
    name: str, module: Module, x: FloatArray, leaf: Leaf, behind: tuple[Module, ...] = ()
) -> tuple[Module, NDArray[Any]]:
    """The tree of successors, each of which sees the outputs of those before it; its output."""
    if isinstance(module, Sequential):
        layers = list(module)
        for i, layer in enumerate(layers):
            after = (*layers[i + 1 :], *behind)
            layers[i], x = walked(_below(name, str(i)), layer, x, leaf, after)
        return Sequential(*layers), x
    if isinstance(module, Residual):
        main, y = walked(_below(name, "main"), module.main, x, leaf)
        if module.shortcut is None:
            return Residual(main), y + x
        shortcut, short = walked(_below(name, "shortcut"), module.shortcut, x, leaf)
        return Residual(main, shortcut), y + short
    new = leaf(name, module, x, behind)
    return new, apply(new.eval(), x)


def _below(name: str, child: str) -> str:
    return f"{name}.{child}" if name else child


def layer_shapes(net: Module, data: FloatArray) -> dict[str, LayerShape]:
    """Shapes of the layers with weights by their names in ``net``, in order of execution.

    ``data`` (N, C, H, W) is any batch; one image is enough.
    """
    found: dict[str, LayerShape] = {}

    def leaf(name: str, layer: Module, x: FloatArray, behind: tuple[Module, ...]) -> Module:
        if isinstance(layer, Conv2d | Linear):
            found[name] = LayerShape.of(layer, x.shape, apply(layer, x).shape)
        return layer

    walked("", net.copy().eval(), data[:1], leaf)
    return found
