"""The recorded graph and reverse-mode differentiation over it.

A node knows its parents and a closure from the output gradient to the input gradients. It does not
hold the value, so a value lives only as long as a tensor or a closure needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
# One entry an argument: its gradient, a function that computes it only if it is needed, or None
# where no gradient exists.
Gradients: TypeAlias = tuple[Array | Callable[[], Array] | None, ...]
Closure: TypeAlias = Callable[[Array], Gradients]

_recording: ContextVar[bool] = ContextVar("recording", default=True)


@contextmanager
def no_grad() -> Iterator[None]:
    """Compute values only: results inside the `with` block do not require gradients.

    >>> from refnet.autograd import Tensor
    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> with no_grad():
    ...     y = x * 2.0
    >>> y.requires_grad
    False
    """
    token = _recording.set(False)
    try:
        yield
    finally:
        _recording.reset(token)


def is_recording() -> bool:
    """Tell whether operations are recorded, that is, whether no `no_grad` block is open."""
    return _recording.get()


class Node:
    """One step of the recorded graph: a leaf (no closure) or the result of a function."""

    __slots__ = ("closure", "dtype", "grad", "name", "parents", "shape")

    def __init__(
        self,
        *,
        name: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        parents: tuple[Node | None, ...] = (),
        closure: Closure | None = None,
    ) -> None:
        self.name = name
        self.shape = shape
        self.dtype = dtype
        self.parents = parents
        self.closure = closure
        self.grad: Array | None = None

    def input_gradients(self, grad: Array) -> list[tuple[Node, Array]]:
        """Pull the gradient of this node's value back to every parent that needs one."""
        if self.closure is None:
            return []
        frozen = np.asarray(grad).view()
        frozen.flags.writeable = False  # closures share it: none may write into it
        entries = self.closure(frozen)
        if len(entries) != len(self.parents):
            raise TypeError(
                f"{self.name}: closure gave {len(entries)} gradients for {len(self.parents)} arrays"
            )
        result = []
        for position, (parent, entry) in enumerate(zip(self.parents, entries, strict=True)):
            if parent is None:
                continue
            where = f"{self.name}: gradient of argument {position}"
            if entry is None:
                raise ValueError(f"{where} does not exist; use .detach() to hold it constant")
            value = entry() if callable(entry) else entry
            result.append((parent, unbroadcast(where, value, parent)))
        return result


def unbroadcast(where: str, grad: Array, node: Node) -> Array:
    """Sum a gradient over the axes along which the node's value was broadcast."""
    if grad.shape != node.shape:
        extra = grad.ndim - len(node.shape)
        if extra < 0 or any(
            have != want and want != 1
            for have, want in zip(grad.shape[max(extra, 0) :], node.shape, strict=True)
        ):
            raise ValueError(f"{where} has shape {grad.shape}, the argument {node.shape}")
        stretched = tuple(
            extra + axis
            for axis, want in enumerate(node.shape)
            if want == 1 and grad.shape[extra + axis] != 1
        )
        grad = grad.sum(axis=(*range(extra), *stretched), keepdims=True)
        grad = grad.reshape(node.shape)
    return np.asarray(grad, dtype=node.dtype)  # also from a NumPy scalar


def execution_order(root: Node) -> list[Node]:
    """List the nodes below `root`, each after all nodes it depends on (no recursion)."""
    order: list[Node] = []
    seen = {root}
    stack: list[tuple[Node, Iterator[Node | None]]] = [(root, iter(root.parents))]
    while stack:
        node, parents = stack[-1]
        for parent in parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append((parent, iter(parent.parents)))
                break
        else:
            order.append(node)
            stack.pop()
    return order


def propagate(root: Node, seed: Array) -> None:
    """Add the gradient of every leaf below `root` to its `grad`, given that of `root`."""
    pending: dict[Node, Array] = {root: seed}
    leaves: list[tuple[Node, Array]] = []
    for node in reversed(execution_order(root)):
        grad = pending.pop(node)
        if node.closure is None:
            leaves.append((node, grad))
        for parent, part in node.input_gradients(grad):
            pending[parent] = pending[parent] + part if parent in pending else part
    # Only now, so that a failing closure leaves every .grad as it was.
    for node, grad in leaves:
        node.grad = np.array(grad if node.grad is None else node.grad + grad)
