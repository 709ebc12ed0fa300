"""How long to train what, and how: one recipe for each data set and network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from refnet.nn import (
    SGD,
    Adam,
    Dataset,
    Optimizer,
    Schedule,
    Sequential,
    cosine,
    flip_and_shift,
    linear,
)
from refnet.nn.models import lenet, small_convnet, small_resnet, vgg_small
from refnet.nn.optim import Rate

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adam": Adam, "sgd": partial(SGD, momentum=0.9, nesterov=True),
}
#: By which power of its multiplier the rate of a balanced factor is divided: see balanced_rates.
RATE_POWERS = {"adam": 1, "sgd": 2}
SCHEDULES: dict[str, Callable[..., Schedule]] = {"cosine": cosine, "linear": linear}
NETWORKS: dict[str, Callable[..., Sequential]] = {
    "convnet": small_convnet, "lenet": lenet, "vgg": vgg_small, "resnet": small_resnet,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One training: epochs, peak learning rate, optimiser, schedule, augmentation.

    ``warmup`` is the share of the steps in which the rate rises to its peak: plain gradient
    descent at a high rate needs it, or its first steps throw the classifier far off.
    ``shift`` moves images by up to that many pixels and ``flip`` mirrors half of them; by default
    images stay as they are.
    """

    epochs: int
    lr: float = 2e-3
    optimizer: str = "adam"
    weight_decay: float = 0.0
    schedule: str = "cosine"
    warmup: float = 0.0
    flip: bool = False
    shift: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise ValueError(f"Stage: epochs={self.epochs} must be at least 0")
        if not 0 < self.lr < math.inf:
            raise ValueError(f"Stage: lr={self.lr} must be positive and finite")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"Stage: warmup={self.warmup} must be in [0, 1)")
        for field, table in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            if getattr(self, field) not in table:
                raise ValueError(
                    f"Stage: {field}={getattr(self, field)!r} must be one of {', '.join(table)}"
                )

    def settings(self, rates: Sequence[Rate] | None = None) -> dict[str, Any]:
        """Keyword arguments of ``refnet.nn.train``; ``rates`` are those of the parameters."""
        augmented = self.flip or self.shift > 0
        return {
            "epochs": self.epochs, "lr": self.lr, "schedule": self._schedule,
            "optimizer": partial(
                OPTIMIZERS[self.optimizer], weight_decay=self.weight_decay, rates=rates
            ),
            "augment": flip_and_shift(flip=self.flip, shift=self.shift) if augmented else None,
        }

    def _schedule(self, steps: int) -> Schedule:
        return SCHEDULES[self.schedule](steps, warmup=int(self.warmup * steps))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The network of a data set and the three trainings of a compilation.

    ``real``: the network in real numbers; ``codes``: with quantized activations (stage 1 of
    two-step quantization); ``tune``: the compressed network. A method that trains both at once
    takes the epochs of ``codes`` and ``tune`` together. ``calibration`` images without labels are
    what layers are fitted to: more than the widest Linear has inputs, or its fit is not determined.
    With ``hold_codes``, fine-tuning moves scales, biases and batch norms only. If ``taught``, the
    float network teaches the quantized ones (distillation of its logits).
    """

    network: str = "convnet"
    filters: tuple[int, ...] = (16, 48, 64)
    batch_size: int = 128
    calibration: int = 1000
    real: Stage = Stage(epochs=5)
    codes: Stage = Stage(epochs=4)
    tune: Stage = Stage(epochs=5, lr=3e-3)
    hold_codes: bool = False
    taught: bool = False

    def __post_init__(self) -> None:
        lengths = {"convnet": (3,), "lenet": (2,)}
        if self.network not in NETWORKS:
            raise ValueError(
                f"Recipe: network {self.network!r} must be one of {', '.join(NETWORKS)}"
            )
        allowed = lengths.get(self.network, range(1, 9))
        if self.calibration < 1:
            raise ValueError(f"Recipe: calibration={self.calibration} images must be at least 1")
        if len(self.filters) not in allowed or min(*self.filters, self.batch_size) < 1:
            raise ValueError(
                f"Recipe: filters={self.filters}, batch_size={self.batch_size}, rule "
                f"{allowed[0] if len(allowed) == 1 else '1 to 8'} numbers >= 1 for "
                f"{self.network}, and >= 1"
            )

    def build(self, data: Dataset, rng: np.random.Generator) -> Sequential:
        """The network to train where none is given."""
        _, channels, size, width = data.train_images.shape
        if size != width:
            raise ValueError(f"data {data.name!r}: images {size} x {width}, rule square")
        return NETWORKS[self.network](
            in_channels=channels, image_size=size, classes=data.classes, filters=self.filters,
            rng=rng,
        )


#: Recipes by data set and network; the first of a data set is its own, others take `DEFAULT`.
RECIPES: dict[tuple[str, str], Recipe] = {
    ("digits", "convnet"): Recipe(
        filters=(16, 32, 32), batch_size=64, real=Stage(epochs=20),
        codes=Stage(epochs=10, lr=1e-3), tune=Stage(epochs=10, lr=1e-3),
    ),
    ("fashion-mnist", "convnet"): Recipe(),
    ("fashion-mnist", "lenet"): Recipe(
        network="lenet", filters=(32, 64), calibration=5000, real=Stage(epochs=6, flip=True),
        codes=Stage(epochs=8, flip=True), tune=Stage(epochs=8, flip=True), taught=True,
    ),
    ("cifar10", "vgg"): Recipe(
        network="vgg", filters=(32, 64, 128),
        real=Stage(
            epochs=12, lr=0.1, optimizer="sgd", weight_decay=5e-4, schedule="linear", warmup=0.05,
            flip=True, shift=4,
        ),
        codes=Stage(epochs=8, flip=True, shift=4),
        tune=Stage(epochs=12, lr=1e-3, flip=True, shift=4), taught=True,
    ),
}
DEFAULT_FILTERS = {"convnet": (16, 48, 64), "lenet": (32, 64)}


def recipe_for(data: str, network: str | None = None) -> Recipe:
    """The recipe of a data set and a network (None: the first there is for the data set)."""
    for (of_data, of_network), recipe in RECIPES.items():
        if of_data == data and network in (None, of_network):
            return recipe
    chosen = network or "convnet"
    return Recipe(network=chosen, filters=DEFAULT_FILTERS.get(chosen, (16, 32, 64)))
