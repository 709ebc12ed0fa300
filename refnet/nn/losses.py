"""What training minimises, and what it is judged by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import refnet.autograd as ag
from refnet.autograd import Tensor


def cross_entropy(
    logits: Tensor, labels: NDArray[np.integer[Any]], *, label_smoothing: float = 0.0
) -> Tensor:
    """Mean over the batch of -log softmax(logits)[label]; logits (N, K), labels (N,) in [0, K).

    With `label_smoothing` s the target is (1 - s) at the label plus s / K everywhere.
    """
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"cross_entropy: label_smoothing={label_smoothing}, must be in [0, 1)")
    _check("cross_entropy", logits.shape, labels)
    count, classes = logits.shape
    target = np.full((count, classes), label_smoothing / classes, dtype=logits.dtype)
    target[np.arange(count), labels] += 1 - label_smoothing
    target /= -count
    return (ag.log_softmax(logits, axis=1) * target).sum()


def distillation(
    logits: Tensor, taught: NDArray[np.floating[Any]], *, temperature: float = 2.0
) -> Tensor:
    """Mean over the batch of T^2 times the cross entropy against softmax(taught / T).

    ``logits`` and ``taught``, the logits of a teacher, are (N, K). T^2 keeps the size of gradients
    (Hinton, Vinyals, Dean 2015, section 2).
    """
    if logits.shape != taught.shape or logits.ndim != 2 or 0 in logits.shape:
        raise ValueError(
            f"distillation: logits {logits.shape}, taught {taught.shape} must be (N, K) both"
        )
    if not temperature > 0:
        raise ValueError(f"distillation: temperature={temperature}, must be positive")
    scaled = taught / taught.dtype.type(temperature)
    odds = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    target = (odds / odds.sum(axis=1, keepdims=True)).astype(logits.dtype)
    target *= -temperature * temperature / len(logits)
    loss: Tensor = (ag.log_softmax(logits * (1 / temperature), axis=1) * target).sum()
    return loss


def accuracy(logits: NDArray[Any], labels: NDArray[np.integer[Any]]) -> float:
    """The fraction of rows of logits (N, K) whose largest (first largest) entry is the label."""
    _check("accuracy", logits.shape, labels)
    return float(np.mean(logits.argmax(axis=1) == labels))


def _check(name: str, shape: tuple[int, ...], labels: NDArray[np.integer[Any]]) -> None:
    if len(shape) != 2 or 0 in shape or labels.shape != shape[:1]:
        raise ValueError(
            f"{name}: logits {shape}, labels {labels.shape} must be (N, K), (N,) and not empty"
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{name}: labels are {labels.dtype}, must be integers")
    if labels.min() < 0 or labels.max() >= shape[1]:
        raise ValueError(
            f"{name}: labels lie in {labels.min()}..{labels.max()}, must be in 0..{shape[1] - 1}"
        )
