"""Modules as data: a network is a tree of records, and everything else walks that tree.

A module is a dataclass. Its fields say what it is: a `Tensor` field is a parameter, a NumPy array
is a buffer (state that is saved but not trained), a `Module` or a tuple of modules are children,
anything else is a setting. A class is either abstract (this one) or final; its `__call__` is the
mathematics.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import DTypeLike, NDArray

from refnet.autograd import Tensor

# Gives the module to put in the place of the named one, or None to keep that one.
Replace: TypeAlias = "Callable[[str, Module], Module | None]"


class Module(ABC):
    """A layer or a composite of layers; a new one is in training mode.

    Names of modules and of state are paths in the tree, like `0.weight` or `2.main.1`; the
    tree itself is called "".
    """

    training: bool = True

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Map a batch x (N, ...) to the output (N, ...)."""

    def children(self) -> tuple[tuple[str, Module], ...]:
        """The modules directly below this one, with their names, in order of execution."""
        found: list[tuple[str, Module]] = []
        for name, value in self._fields():
            if isinstance(value, Module):
                found.append((name, value))
            elif isinstance(value, tuple):
                found.extend((str(i), v) for i, v in enumerate(value) if isinstance(v, Module))
        return tuple(found)

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, with their names, each before those below it."""
        yield prefix, self
        for name, child in self.children():
            yield from child.walk(_join(prefix, name))

    def train(self, mode: bool = True) -> Self:
        """Put the whole tree into training mode (or evaluation mode); gives the module itself."""
        for _, module in self.walk():
            object.__setattr__(module, "training", mode)
        return self

    def eval(self) -> Self:
        """Put the whole tree into evaluation mode; gives the module itself."""
        return self.train(False)

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """The tensors of the tree with their names, in a stable order, each tensor once."""
        seen: set[int] = set()
        for name, value in self._named_state():
            if isinstance(value, Tensor) and id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def parameters(self) -> list[Tensor]:
        """The tensors of the tree in a stable order, each once."""
        return [tensor for _, tensor in self.named_parameters()]

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Copies of all parameters and buffers by name."""
        return {
            name: np.array(value.numpy() if isinstance(value, Tensor) else value)
            for name, value in self._named_state()
        }

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over the values of `state`, which must have exactly the names and shapes of this.

        Values are converted to the dtype of this module. Raises ValueError otherwise, and then
        changes nothing.
        """
        own = dict(self._named_state())
        title = type(self).__name__
        for name in own:
            if name not in state:
                raise ValueError(f"{title}: state has no {name!r}, must hold all of {len(own)}")
        for name, value in state.items():
            if name not in own:
                raise ValueError(f"{title}: state holds {name!r}, which the network has not")
            if value.shape != own[name].shape:
                raise ValueError(
                    f"{title}: {name!r} is {value.shape} in the state, must be {own[name].shape}"
                )
            if not np.can_cast(value.dtype, own[name].dtype, "same_kind"):
                raise ValueError(
                    f"{title}: {name!r} is {value.dtype} in the state, must be {own[name].dtype}"
                )
        for name, target in own.items():
            if isinstance(target, Tensor):
                target.assign(state[name])
            else:
                target[...] = state[name]

    def copy(self) -> Self:
        """A network of the same modules with state of its own, without gradients."""
        return self._rebuild(_keep, "", None, {})  # type: ignore[return-value]

    def astype(self, dtype: DTypeLike) -> Self:
        """A copy whose floating-point parameters and buffers have `dtype`."""
        return self._rebuild(_keep, "", np.dtype(dtype), {})  # type: ignore[return-value]

    def rebuild(self, replace: Replace) -> Module:
        """A new tree in which modules are replaced; this one stays as it is.

        `replace(name, module)` is asked on the way down. What it gives stands in the new tree as
        it is; for None the module is copied, and those below it are asked about. A module that
        stands in two places is asked about once and stays one module.
        """
        return self._rebuild(replace, "", None, {})

    def _rebuild(
        self, replace: Replace, name: str, dtype: np.dtype[Any] | None, done: dict[int, Module]
    ) -> Module:
        if id(self) in done:
            return done[id(self)]
        new = replace(name, self)
        if new is None:
            new = copy.copy(self)
            for field, value in self._fields():
                if isinstance(value, Module):
                    fresh: Any = value._rebuild(replace, _join(name, field), dtype, done)
                elif isinstance(value, tuple):
                    fresh = tuple(
                        v._rebuild(replace, _join(name, str(i)), dtype, done)
                        if isinstance(v, Module) else v
                        for i, v in enumerate(value)
                    )
                else:
                    fresh = _fresh(value, dtype)
                object.__setattr__(new, field, fresh)
        done[id(self)] = new
        return new

    def _fields(self) -> Iterator[tuple[str, Any]]:
        return ((field.name, getattr(self, field.name)) for field in fields(self))  # type: ignore[arg-type]

    def _named_state(self) -> Iterator[tuple[str, Tensor | NDArray[Any]]]:
        for prefix, module in self.walk():
            for name, value in module._fields():
                if isinstance(value, Tensor | np.ndarray):
                    yield _join(prefix, name), value

    def __repr__(self) -> str:
        settings = [
            f"{name}={value.shape if isinstance(value, Tensor | np.ndarray) else value!r}"
            for name, value in self._fields()
            if not isinstance(value, Module) and not _holds_modules(value)
        ]
        below = [f"{name}: {child!r}" for name, child in self.children()]
        if not below:
            return f"{type(self).__name__}({', '.join(settings)})"
        inner = "\n".join(settings + below).replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {inner}\n)"


@runtime_checkable
class Constrained(Protocol):
    """A module whose parameters have a range that an optimiser may leave."""

    def constrain(self) -> None:
        """Bring the parameters back into their range; asked after every step of training."""


def _keep(name: str, module: Module) -> None:
    return None


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _holds_modules(value: object) -> bool:
    return isinstance(value, tuple) and any(isinstance(v, Module) for v in value)


def _fresh(value: Any, dtype: np.dtype[Any] | None) -> Any:
    """The field's value with memory of its own, floats in `dtype` when one is given."""
    if isinstance(value, Tensor):
        return Tensor(_fresh(value.numpy(), dtype), requires_grad=value.requires_grad)
    if isinstance(value, np.ndarray):
        keep = dtype is None or value.dtype.kind != "f"
        return np.array(value, dtype=value.dtype if keep else dtype)
    return value
