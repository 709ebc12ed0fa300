"""How long to train what: one recipe for each data set, and a default."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from refnet.nn import Dataset, Sequential
from refnet.nn.models import small_convnet


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Epochs and learning rates of the three trainings of a compilation.

    ``float``: the network in real numbers; ``codes``: with quantized activations (stage 1 of
    two-step quantization); ``tune``: the compressed network.
    """

    filters: tuple[int, int, int] = (16, 48, 64)
    batch_size: int = 128
    float_epochs: int = 5
    float_lr: float = 2e-3
    code_epochs: int = 4
    code_lr: float = 2e-3
    tune_epochs: int = 5
    tune_lr: float = 3e-3

    def __post_init__(self) -> None:
        if len(self.filters) != 3 or min(*self.filters, self.batch_size) < 1:
            raise ValueError(
                f"Recipe: filters={self.filters}, batch_size={self.batch_size}, "
                "rule three numbers >= 1, and >= 1"
            )
        if min(self.float_epochs, self.code_epochs, self.tune_epochs) < 0:
            raise ValueError("Recipe: epochs must be at least 0")

    def network(self, data: Dataset, rng: np.random.Generator) -> Sequential:
        """The network to train where none is given."""
        _, channels, size, width = data.train_images.shape
        if size != width:
            raise ValueError(f"data {data.name!r}: images {size} x {width}, rule square")
        return small_convnet(
            in_channels=channels, image_size=size, classes=data.classes, filters=self.filters,
            rng=rng,
        )


#: Recipes by the name of the data set; any other data set takes the default of ``Recipe``.
RECIPES: dict[str, Recipe] = {
    "digits": Recipe(
        filters=(16, 32, 32), batch_size=64, float_epochs=20, code_epochs=10, tune_epochs=10,
        code_lr=1e-3, tune_lr=1e-3,
    ),
}
