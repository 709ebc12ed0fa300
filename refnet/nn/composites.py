"""The two composites: layers in a row, and two ways whose outputs are added."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from refnet.autograd import Tensor
from refnet.nn.module import Module


@dataclass(eq=False, init=False, repr=False)
class Sequential(Module):
    """Layers one after the other; the children are called "0", "1", ..."""

    layers: tuple[Module, ...]

    def __init__(self, *layers: Module) -> None:
        for at, layer in enumerate(layers):
            if not isinstance(layer, Module):
                raise TypeError(f"Sequential: layer {at} is {layer!r}, must be a Module")
        self.layers = layers

    def __call__(self, x: Tensor) -> Tensor:
        """Run the layers in order."""
        for layer in self.layers:
            x = layer(x)
        return x

    def __getitem__(self, index: int) -> Module:
        return self.layers[index]

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)


@dataclass(eq=False, init=False, repr=False)
class Residual(Module):
    """main(x) + shortcut(x), or main(x) + x without a shortcut."""

    main: Module
    shortcut: Module | None

    def __init__(self, main: Module, shortcut: Module | None = None) -> None:
        self.main = main
        self.shortcut = shortcut

    def __call__(self, x: Tensor) -> Tensor:
        """Run both ways and add; ValueError for unequal shapes."""
        y = self.main(x)
        beside = x if self.shortcut is None else self.shortcut(x)
        if y.shape != beside.shape:
            raise ValueError(
                f"Residual: main gives {y.shape}, shortcut {beside.shape}, must be equal"
            )
        return y + beside
