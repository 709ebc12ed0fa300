"""Tensors: immutable arrays that remember how they were computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import refnet.autograd as ag
from refnet.autograd.graph import Array, Node, propagate


class Tensor:
    """An immutable array with a recorded history.

    `array` is copied, so later writes to it change neither the value nor a gradient; the dtype is
    kept (float32 stays float32). Operators and methods follow NumPy; operands may be tensors,
    arrays or Python numbers, and Python numbers do not change the dtype. Comparisons and `argmax`
    give plain NumPy arrays (they have no gradient); `==` is identity.

    Raises `TypeError` for values that are not real numbers, and for `requires_grad=True` on
    integers, which have no gradient.

    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    array([2., 4., 6.])
    """

    __slots__ = ("_array", "_node")
    __array_ufunc__ = None  # NumPy arrays on the left defer to the reflected operators

    def __init__(self, array: Any, requires_grad: bool = False) -> None:
        if isinstance(array, Tensor):
            array = array._array
        values = np.array(array)
        if values.dtype.kind not in "fiub":
            raise TypeError(f"Tensor: dtype {values.dtype} is not one of float, integer, bool")
        if requires_grad and values.dtype.kind != "f":
            raise TypeError(
                f"Tensor: requires_grad=True needs a float dtype, {values.dtype} has no gradient"
            )
        values.flags.writeable = False
        self._array: Array = values
        self._node: Node | None = None
        if requires_grad:
            self._node = Node(name="leaf", shape=values.shape, dtype=values.dtype)

    @classmethod
    def _of(cls, array: Array, node: Node | None) -> Tensor:
        """Wrap a fresh result without copying it."""
        tensor = object.__new__(cls)
        tensor._array = array.view()
        tensor._array.flags.writeable = False
        tensor._node = node
        return tensor

    def __reduce__(self) -> tuple[type[Tensor], tuple[Array, bool]]:
        if self._node is not None and self._node.closure is not None:
            raise TypeError(f"Tensor: a result of {self._node.name} cannot be copied; detach it")
        return Tensor, (self._array, self.requires_grad)

    def __repr__(self) -> str:
        suffix = ", requires_grad=True" if self.requires_grad else ""
        return f"Tensor({np.array2string(self._array, separator=', ')}{suffix})"

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow into or through this tensor."""
        return self._node is not None

    @property
    def grad(self) -> Array | None:
        """The accumulated gradient of a leaf that requires one; None before `backward`."""
        return None if self._node is None else self._node.grad

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        shape: tuple[int, ...] = self._array.shape
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the array."""
        return self._array.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._array.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._array.size

    def numpy(self) -> Array:
        """Return the values as a read-only array, without a copy."""
        return self._array

    def item(self) -> float | int | bool:
        """Return the only element as a Python number."""
        if self.size != 1:
            raise ValueError(f"item: shape {self.shape} has {self.size} elements, not 1")
        number: float | int | bool = self._array.item()
        return number

    def detach(self) -> Tensor:
        """Return the same values as a constant, cut from the recorded graph."""
        return Tensor._of(self._array, None)

    def zero_grad(self) -> None:
        """Forget the accumulated gradient."""
        if self._node is not None:
            self._node.grad = None

    def assign(self, array: Any) -> None:
        """Replace the values of a leaf (an optimizer step); shape and dtype stay.

        Graphs recorded before keep the old values.
        """
        if self._node is not None and self._node.closure is not None:
            raise ValueError(f"assign: the tensor is a result of {self._node.name}, not a leaf")
        values = np.array(array, dtype=self.dtype)
        if values.shape != self.shape:
            raise ValueError(f"assign: values {values.shape} do not fit the tensor {self.shape}")
        values.flags.writeable = False
        self._array = values

    def backward(self, grad: Any = None) -> None:
        """Add the gradient of this tensor to `.grad` of every leaf it depends on.

        `grad` is the gradient of some scalar with respect to this tensor, of the same shape; it
        may be left out for a tensor of one element. The graph is kept: a second call adds again.
        Raises `ValueError` where no gradient exists, and then changes no `.grad`.
        """
        if self._node is None:
            raise ValueError(
                f"backward: the tensor of shape {self.shape} and dtype {self.dtype}"
                " does not depend on anything that requires a gradient"
            )
        if grad is None:
            if self.size != 1:
                raise ValueError(f"backward: a tensor of shape {self.shape} needs an explicit grad")
            grad = np.ones(self.shape)
        seed = np.array(grad._array if isinstance(grad, Tensor) else grad, dtype=self.dtype)
        if seed.shape != self.shape:
            raise ValueError(f"backward: grad {seed.shape} does not fit the tensor {self.shape}")
        propagate(self._node, seed)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if self.requires_grad:
            raise TypeError("Tensor: NumPy functions would lose the gradient; use .numpy() instead")
        return np.array(self._array, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        return len(self._array)

    def __float__(self) -> float:
        return float(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __neg__(self) -> Tensor:
        return ag.negative(self)

    def __abs__(self) -> Tensor:
        return ag.absolute(self)

    def __add__(self, other: Any) -> Tensor:
        return ag.add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return ag.add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return ag.subtract(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return ag.subtract(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return ag.multiply(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return ag.multiply(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return ag.divide(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return ag.divide(other, self)

    def __pow__(self, other: Any) -> Tensor:
        return ag.power(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return ag.power(other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return ag.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return ag.matmul(other, self)

    def __getitem__(self, index: Any) -> Tensor:
        return ag.getitem(self, index=index)

    def __lt__(self, other: Any) -> Array:
        return np.asarray(self._array < _values(other))

    def __le__(self, other: Any) -> Array:
        return np.asarray(self._array <= _values(other))

    def __gt__(self, other: Any) -> Array:
        return np.asarray(self._array > _values(other))

    def __ge__(self, other: Any) -> Array:
        return np.asarray(self._array >= _values(other))

    def sum(self, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """Sum over `axis` (None: all axes)."""
        return ag.sum(self, axis=axis, keepdims=keepdims)

    def mean(self, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """Average over `axis` (None: all axes)."""
        return ag.mean(self, axis=axis, keepdims=keepdims)

    def max(self, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """Take the maximum over `axis` (None: all axes); the gradient goes to the first one."""
        return ag.max(self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: int | None = None) -> Array:
        """Return the index of the first maximum as a plain array: it has no gradient."""
        return np.asarray(self._array.argmax(axis=axis))

    def reshape(self, *shape: int | Sequence[int]) -> Tensor:
        """Reshape; one entry may be -1. Takes integers or one sequence of them."""
        return ag.reshape(self, shape=_flat(shape))

    def transpose(self, *axes: int | Sequence[int]) -> Tensor:
        """Permute the axes; without arguments, reverse them."""
        return ag.transpose(self, axes=_flat(axes) or None)

    @property
    def T(self) -> Tensor:
        """The tensor with its axes reversed."""
        return ag.transpose(self)


def _values(operand: Any) -> Any:
    return operand._array if isinstance(operand, Tensor) else operand


def _flat(numbers: tuple[int | Sequence[int], ...]) -> tuple[int, ...]:
    if len(numbers) == 1 and not isinstance(numbers[0], int | np.integer):
        return tuple(numbers[0])
    return tuple(int(n) for n in numbers if isinstance(n, int | np.integer))
