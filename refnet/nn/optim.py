"""Optimisers. Their state is arrays, so a run can stop, be saved and go on with the same bits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from refnet.autograd import Tensor

Array: TypeAlias = NDArray[Any]
#: A relative learning rate: one for the whole parameter, or an array that broadcasts to it.
Rate: TypeAlias = float | Array


def _fits(rate: tuple[int, ...], parameter: tuple[int, ...]) -> bool:
    """Whether a rate of the one shape broadcasts to a parameter of the other."""
    tail = parameter[len(parameter) - len(rate) :]
    return len(rate) <= len(parameter) and all(r in (1, p) for r, p in zip(rate, tail, strict=True))


class Optimizer(ABC):
    """Holds parameters and moves them against their gradients.

    `slots` names the arrays kept for every parameter; they start at zero. `steps` counts the
    steps taken. `rates` are relative learning rates, one for each parameter (None: all 1): a
    number, or an array that broadcasts to the parameter, such as one rate a filter.
    """

    slots: tuple[str, ...]

    def __init__(
        self, parameters: Sequence[Tensor], lr: float, rates: Sequence[Rate] | None = None
    ) -> None:
        if not lr > 0:
            raise ValueError(f"{type(self).__name__}: lr={lr}, must be positive")
        self.parameters = list(parameters)
        self.lr = lr
        self.rates = None if rates is None else self._checked(rates)
        self.steps = 0
        self._kept: dict[str, list[Array]] = {
            slot: [np.zeros(p.shape, p.dtype) for p in self.parameters] for slot in self.slots
        }

    def _checked(self, rates: Sequence[Rate]) -> list[Rate]:
        wanted = [p.shape for p in self.parameters]
        fit = len(rates) == len(wanted) and all(
            _fits(np.shape(rate), shape) for rate, shape in zip(rates, wanted, strict=True)
        )
        if not fit or not all(np.all(np.asarray(rate) > 0) for rate in rates):
            raise ValueError(
                f"{type(self).__name__}: {len(rates)} rates, must be positive, one for each of "
                f"{len(wanted)} parameters, numbers or of shapes that broadcast to theirs"
            )
        return list(rates)

    @abstractmethod
    def settings(self) -> dict[str, float | bool]:
        """The numbers that, with the class, determine what a step does."""

    @abstractmethod
    def _move(
        self, delta: Array, value: Array, grad: Array, lr: Rate, kept: tuple[Array, ...]
    ) -> None:
        """Write into `delta` what to add to `value`; update `kept` in place."""

    def step(self, factor: float = 1.0) -> None:
        """Move every parameter that has a gradient, with learning rate lr * factor (* its rate).

        `factor` is the value of a schedule. Gradients stay until `zero_grad`.
        """
        self.steps += 1
        for index, parameter in enumerate(self.parameters):
            if parameter.grad is not None:
                kept = tuple(self._kept[slot][index] for slot in self.slots)
                value = parameter.numpy()
                delta = np.empty_like(value)
                lr = self.lr * factor * (1.0 if self.rates is None else self.rates[index])
                self._move(delta, value, parameter.grad, lr, kept)
                delta += value
                parameter.assign(delta)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters:
            parameter.zero_grad()

    def state_dict(self) -> dict[str, Array]:
        """Copies of all that changes from step to step: "steps" and "SLOT.INDEX"."""
        state: dict[str, Array] = {"steps": np.array(self.steps, dtype=np.int64)}
        for slot, arrays in self._kept.items():
            state |= {f"{slot}.{i}": array.copy() for i, array in enumerate(arrays)}
        return state

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Go on from a saved state; ValueError, and no change, if it is of another optimiser."""
        own = self.state_dict()
        title = type(self).__name__
        if own.keys() != state.keys():
            odd = sorted(own.keys() ^ state.keys())[0]
            where = "lacks" if odd in own else "has an unknown"
            raise ValueError(f"{title}: saved state {where} {odd!r}, must have {len(own)} entries")
        for name, array in state.items():
            if (array.shape, array.dtype) != (own[name].shape, own[name].dtype):
                raise ValueError(
                    f"{title}: saved {name!r} is {array.dtype} {array.shape}, "
                    f"must be {own[name].dtype} {own[name].shape}"
                )
        self.steps = int(state["steps"])
        for slot, arrays in self._kept.items():
            for i, array in enumerate(arrays):
                array[...] = state[f"{slot}.{i}"]


class SGD(Optimizer):
    """Gradient descent with momentum: v <- momentum v + g, p <- p - lr v.

    g is the gradient plus weight_decay * p. With `nesterov`, p <- p - lr (g + momentum v).
    Same as PyTorch's SGD (Sutskever et al. 2013 up to where lr stands).
    """

    slots = ("velocity",)

    def __init__(
        self, parameters: Sequence[Tensor], *, lr: float, momentum: float = 0.0,
        weight_decay: float = 0.0, nesterov: bool = False, rates: Sequence[Rate] | None = None,
    ) -> None:
        if not 0 <= momentum < 1 or weight_decay < 0 or (nesterov and momentum == 0):
            raise ValueError(
                f"SGD: momentum={momentum}, weight_decay={weight_decay}, nesterov={nesterov}, must "
                "be in [0, 1), >= 0, False without momentum"
            )
        super().__init__(parameters, lr, rates)
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.nesterov = nesterov

    def settings(self) -> dict[str, float | bool]:
        """The numbers that, with the class, determine what a step does."""
        return {
            "lr": self.lr, "momentum": self.momentum, "weight_decay": self.weight_decay,
            "nesterov": self.nesterov,
        }

    def _move(
        self, delta: Array, value: Array, grad: Array, lr: Rate, kept: tuple[Array, ...]
    ) -> None:
        (velocity,) = kept
        if self.weight_decay:
            grad = grad + self.weight_decay * value
        velocity *= self.momentum
        velocity += grad
        if self.nesterov:
            np.multiply(velocity, self.momentum, out=delta)
            delta += grad
            delta *= -lr
        else:
            np.multiply(velocity, -lr, out=delta)


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, algorithm 1).

    weight_decay * p is added to the gradient or, with `decoupled`, lr * weight_decay * p is
    subtracted from p beside the step (AdamW, Loshchilov and Hutter 2019).
    """

    slots = ("mean", "square")

    def __init__(
        self, parameters: Sequence[Tensor], *, lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.0,
        decoupled: bool = False, rates: Sequence[Rate] | None = None,
    ) -> None:
        if not all(0 <= beta < 1 for beta in betas) or not eps > 0 or weight_decay < 0:
            raise ValueError(
                f"Adam: betas={betas}, eps={eps}, weight_decay={weight_decay}, must be in [0, 1), "
                "> 0, >= 0"
            )
        super().__init__(parameters, lr, rates)
        self.betas = betas
        self.eps = eps
        self.weight_decay = weight_decay
        self.decoupled = decoupled

    def settings(self) -> dict[str, float | bool]:
        """The numbers that, with the class, determine what a step does."""
        return {
            "lr": self.lr, "beta1": self.betas[0], "beta2": self.betas[1], "eps": self.eps,
            "weight_decay": self.weight_decay, "decoupled": self.decoupled,
        }

    def _move(
        self, delta: Array, value: Array, grad: Array, lr: Rate, kept: tuple[Array, ...]
    ) -> None:
        mean, square = kept
        beta1, beta2 = self.betas
        if self.weight_decay and not self.decoupled:
            grad = grad + self.weight_decay * value
        np.multiply(grad, 1 - beta1, out=delta)
        mean *= beta1
        mean += delta
        np.multiply(grad, grad, out=delta)
        delta *= 1 - beta2
        square *= beta2
        square += delta
        # The bias corrections of eq. 3 as one factor of the step, and one inside the root.
        np.sqrt(square, out=delta)
        delta /= (1 - beta2**self.steps) ** 0.5
        delta += self.eps
        np.divide(mean, delta, out=delta)
        delta *= -lr / (1 - beta1**self.steps)
        if self.weight_decay and self.decoupled:
            delta -= lr * self.weight_decay * value
