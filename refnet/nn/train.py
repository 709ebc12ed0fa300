"""Training and evaluation. Same network, data and generator: same bits, also after interruption."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from refnet.autograd import Tensor, no_grad
from refnet.nn import files
from refnet.nn.augment import Augment
from refnet.nn.data import Dataset
from refnet.nn.datasets import npz
from refnet.nn.losses import cross_entropy, distillation
from refnet.nn.module import Constrained, Module
from refnet.nn.optim import Adam, Optimizer
from refnet.nn.schedules import Schedule, cosine

Loss: TypeAlias = Callable[[Tensor, NDArray[np.int64]], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingLog:
    """What happened, one entry an epoch.

    `losses` and `train_accuracy` are means over the epoch's batches as they were seen, so in
    training mode and while the network changed; `test_accuracy` is over all test images after
    the epoch. `seconds` are of wall time and take no part in comparison.
    """

    losses: tuple[float, ...] = ()
    train_accuracy: tuple[float, ...] = ()
    test_accuracy: tuple[float, ...] = ()
    seconds: tuple[float, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        lengths = [len(entries) for entries in asdict(self).values()]
        if len(set(lengths)) != 1:
            raise ValueError(f"TrainingLog: {lengths} entries, must be one of each an epoch")

    @property
    def epochs(self) -> int:
        """The number of epochs done."""
        return len(self.losses)

    def extended(
        self, loss: float, train_accuracy: float, test_accuracy: float, seconds: float
    ) -> TrainingLog:
        """A log with one more epoch."""
        return TrainingLog(
            losses=(*self.losses, loss), train_accuracy=(*self.train_accuracy, train_accuracy),
            test_accuracy=(*self.test_accuracy, test_accuracy), seconds=(*self.seconds, seconds),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """A training run: everything that a checkpoint has to bring back, or to agree with."""

    net: Module
    data: Dataset
    optimizer: Optimizer
    schedule: Schedule
    epochs: int
    batch_size: int
    loss: Loss
    augment: Augment | None
    teacher: Module | None
    rng: np.random.Generator

    def __post_init__(self) -> None:
        if self.epochs < 0 or self.batch_size < 1:
            raise ValueError(
                f"train: epochs={self.epochs}, batch_size={self.batch_size}, must be >= 0, >= 1"
            )

    def batches(self, order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """`order` cut into batches whose sizes differ by at most one.

        So batch norm never meets a last batch of a few images.
        """
        return np.array_split(order, -(-len(order) // self.batch_size))

    def settings(self) -> dict[str, Any]:
        """What must be the same for a run to be continued; the schedule by its values."""
        count = len(self.data.train_images)
        steps = -(-count // self.batch_size)
        return {
            "network": repr(self.net), "data": self.data.name, "images": count,
            "optimizer": type(self.optimizer).__name__, **self.optimizer.settings(),
            "rates": self._rates(),
            "schedule": [self.schedule(half * steps // 2) for half in range(2 * self.epochs)],
            "epochs": self.epochs, "batch_size": self.batch_size,
            "augment": self.augment is not None,
            "teacher": None if self.teacher is None else repr(self.teacher),
            "generator": type(self.rng.bit_generator).__name__,
        }

    def _rates(self) -> list[Any] | None:
        rates = self.optimizer.rates
        return None if rates is None else [np.asarray(rate).tolist() for rate in rates]

    def epoch(self, bar: Any) -> tuple[float, float]:
        """Train on every image once; mean loss and accuracy over the batches."""
        self.net.train()
        constrained = [m for _, m in self.net.walk() if isinstance(m, Constrained)]
        count = len(self.data.train_images)
        total_loss, right = 0.0, 0
        for batch in self.batches(self.rng.permutation(count)):
            images, labels = self.data.train_images[batch], self.data.train_labels[batch]
            if self.augment is not None:
                images = self.augment(images, self.rng)
            self.optimizer.zero_grad()
            x = Tensor(self.data.real(images))
            logits = self.net(x)
            loss = self._loss(x, logits, labels)
            loss.backward()
            self.optimizer.step(self.schedule(self.optimizer.steps))
            for module in constrained:
                module.constrain()
            value = float(loss)
            if not np.isfinite(value):
                raise FloatingPointError(
                    f"train: loss is {value} at step {self.optimizer.steps}, must be finite"
                )
            total_loss += value * len(batch)
            right += int(np.sum(logits.numpy().argmax(axis=1) == labels))
            bar.update()
            bar.set_postfix(loss=f"{value:.3f}", refresh=False)
        return total_loss / count, right / count

    def _loss(self, x: Tensor, logits: Tensor, labels: NDArray[np.int64]) -> Tensor:
        """The loss, or with a teacher the mean of it and of what the teacher says of the batch."""
        loss = self.loss(logits, labels)
        if self.teacher is None:
            return loss
        with no_grad():
            taught = self.teacher(x).numpy()
        return (loss + distillation(logits, taught)) * 0.5


def train(
    net: Module, data: Dataset, *, epochs: int, batch_size: int = 128, lr: float = 2e-3,
    optimizer: Callable[..., Optimizer] = Adam, schedule: Callable[[int], Schedule] = cosine,
    loss: Loss = cross_entropy, augment: Augment | None = None, teacher: Module | None = None,
    rng: np.random.Generator,
    checkpoint: str | Path | None = None, progress: bool = True,
) -> TrainingLog:
    """Train `net` in place on the training images of `data` and leave it in evaluation mode.

    `optimizer(parameters, lr=lr)` makes the optimiser and `schedule(steps)` the schedule for the
    whole run; options go in with functools.partial. `augment` changes the uint8 images of a batch.
    A `teacher`, a network in evaluation mode, adds the distillation of its logits to the loss.
    With `checkpoint`, an `.npz` file is written after every epoch; if it exists, the run goes on
    from it, and `net`, `rng` and the log end with the same bits as without the interruption.
    A progress bar goes to stderr. Raises ValueError for a checkpoint of another run, and
    FloatingPointError when the loss is no longer finite.
    """
    steps = -(-len(data.train_images) // batch_size) if batch_size > 0 else 1
    run = _Run(
        net=net, data=data, optimizer=optimizer(net.parameters(), lr=lr),
        schedule=schedule(max(1, epochs * steps)), epochs=epochs, batch_size=batch_size, loss=loss,
        augment=augment, teacher=teacher, rng=rng,
    )
    path = None if checkpoint is None else Path(checkpoint)
    log = _resume(run, path) if path is not None and path.exists() else TrainingLog()
    with tqdm(
        total=epochs * steps, initial=log.epochs * steps, disable=not progress, desc="train",
        unit="batch",
    ) as bar:
        for _ in range(log.epochs, epochs):
            start = time.perf_counter()
            mean_loss, seen = run.epoch(bar)
            tested = evaluate(net, data.test_images, data.test_labels, scale=data.scale)
            log = log.extended(mean_loss, seen, tested, time.perf_counter() - start)
            bar.set_description(f"train, test accuracy {tested:.4f}")
            if path is not None:
                _save(run, log, path)
    net.eval()
    return log


def evaluate(
    net: Module, images: NDArray[Any], labels: NDArray[np.int64], *, batch_size: int = 500,
    scale: float = 1 / 255,
) -> float:
    """The fraction of `images` (N, C, H, W) that `net` in evaluation mode labels as in `labels`.

    Integer images are multiplied by `scale`, others taken as they are. The mode of every module
    is afterwards as it was.
    """
    if len(images) != len(labels) or len(images) == 0:
        raise ValueError(
            f"evaluate: {len(images)} images, {len(labels)} labels, must be as many and not none"
        )
    right = sum(
        int(np.sum(logits.argmax(axis=1) == labels[batch]))
        for batch, logits in _predictions(net, images, batch_size, scale)
    )
    return right / len(images)


def predict(
    net: Module, images: NDArray[Any], *, batch_size: int = 500, scale: float = 1 / 255
) -> NDArray[Any]:
    """The outputs (N, K) of `net` in evaluation mode; images as in `evaluate`, at least one."""
    return np.concatenate([out for _, out in _predictions(net, images, batch_size, scale)])


def _predictions(
    net: Module, images: NDArray[Any], batch_size: int, scale: float
) -> Iterator[tuple[slice, NDArray[Any]]]:
    modes = [(module, module.training) for _, module in net.walk()]
    net.eval()
    try:
        for start in range(0, len(images), batch_size):
            batch = slice(start, start + batch_size)
            x = images[batch]
            if x.dtype.kind != "f":
                x = x.astype(np.float32) * np.float32(scale)
            with no_grad():
                out = net(Tensor(x)).numpy()
            yield batch, out
    finally:
        for module, mode in modes:
            object.__setattr__(module, "training", mode)


def _save(run: _Run, log: TrainingLog, path: Path) -> None:
    text = json.dumps(
        {"settings": run.settings(), "log": asdict(log), "rng": run.rng.bit_generator.state},
        default=lambda array: array.tolist(),  # some generators keep their state in arrays
    )
    arrays = files.network_arrays(run.net, strict=False)
    arrays["training"] = files.text_array(text)
    arrays |= {f"optimizer/{name}": a for name, a in run.optimizer.state_dict().items()}
    files.write(path, arrays)


def _resume(run: _Run, path: Path) -> TrainingLog:
    arrays = npz.read(path)
    if "training" not in arrays:
        raise ValueError(f"{path}: no array 'training', this is not a checkpoint of train")
    try:
        stored = json.loads(files.text_of(arrays["training"]))
        settings, rng_state = stored["settings"], stored["rng"]
        log = TrainingLog(**{name: tuple(entries) for name, entries in stored["log"].items()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: damaged checkpoint: {error!r}") from error
    own = json.loads(json.dumps(run.settings()))
    for name, value in own.items():
        if settings.get(name) != value:
            raise ValueError(
                f"{path}: checkpoint of another run: {name} was {settings.get(name)!r:.80}, "
                f"is {value!r:.80}"
            )
    run.net.load_state_dict(_part(arrays, "state/"))
    run.optimizer.load_state_dict(_part(arrays, "optimizer/"))
    run.rng.bit_generator.state = rng_state
    return log


def _part(arrays: dict[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
