"""The decorator that turns plain NumPy code into functions of tensors.

A differentiable function takes its arrays as positional arguments and its metadata as
keyword-only arguments. Its body sees arrays only and returns `(value, closure)`:

    @differentiable
    def multiply(a: Operand, b: Operand) -> Forward:
        return a * b, lambda g: (lambda: g * b, lambda: g * a)

The closure maps the gradient of the value to one entry an array: the gradient itself, a function
that computes it (called only if that array needs it), or None where no gradient exists. It must
not write into `g`. Broadcasting is undone outside, never in a closure.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeAlias, cast

import numpy as np

from refnet.autograd.graph import Array, Closure, Gradients, Node, is_recording
from refnet.autograd.tensor import Tensor

# A tensor, an array, nested lists or a Python number for the caller; always an array in the body.
Operand: TypeAlias = Any
Forward: TypeAlias = tuple[Array, Closure]

P = ParamSpec("P")


def differentiable(body: Callable[P, Forward]) -> Callable[P, Tensor]:
    """Make a function of tensors from a body that returns `(value, closure)`.

    Optional arrays default to None and reach the body as None. Python numbers take the dtype of
    the arrays beside them. A function of any number of arrays (`*arrays`) also accepts them as one
    list. The result carries the attribute `differentiable = True`. Raises `TypeError` for a body
    whose metadata are not keyword-only.
    """
    names, variadic = _array_parameters(body)

    @functools.wraps(body)
    def call(*args: Any, **kwargs: Any) -> Tensor:
        args = _operands(args, kwargs, names, variadic)
        arrays, parents = _unwrap(args)
        value, closure = _evaluate(body, arrays, kwargs)
        return _record(body.__name__, value, parents, closure)

    cast(Any, call).differentiable = True
    return cast(Callable[P, Tensor], call)


def nondifferentiable(body: Callable[P, Array]) -> Callable[P, Tensor]:
    """Make a function of tensors from a body that returns a value and has no useful gradient.

    `backward` through its result raises `ValueError` and names the function; gradients are never
    silently zero. Use `.detach()` on the result to treat it as a constant.
    """
    names, variadic = _array_parameters(body)
    name = body.__name__

    def refuse(g: Array) -> Gradients:
        raise ValueError(f"{name} has no gradient; use .detach() to treat its result as a constant")

    @functools.wraps(body)
    def call(*args: Any, **kwargs: Any) -> Tensor:
        args = _operands(args, kwargs, names, variadic)
        arrays, parents = _unwrap(args)
        return _record(name, _evaluate(body, arrays, kwargs), parents, refuse)

    cast(Any, call).differentiable = False
    return cast(Callable[P, Tensor], call)


def _array_parameters(body: Callable[..., Any]) -> tuple[tuple[str, ...], bool]:
    names = []
    variadic = False
    for parameter in inspect.signature(body).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            variadic = True
        elif parameter.kind is not parameter.KEYWORD_ONLY:
            if parameter.default not in (parameter.empty, None):
                raise TypeError(f"{body.__name__}: metadata {parameter.name!r} is not keyword-only")
            names.append(parameter.name)
    return tuple(names), variadic


def _operands(
    args: tuple[Any, ...], kwargs: dict[str, Any], names: tuple[str, ...], variadic: bool
) -> tuple[Any, ...]:
    """Put arrays given by name in their place (taking them out of `kwargs`), spread one list."""
    if variadic and len(args) == 1 and isinstance(args[0], list | tuple):
        return tuple(args[0])
    if not kwargs.keys().isdisjoint(names):
        last = max(position for position, name in enumerate(names) if name in kwargs)
        args += tuple(kwargs.pop(name, None) for name in names[len(args) : last + 1])
    if not variadic:
        args += (None,) * (len(names) - len(args))
    return args


def _unwrap(operands: tuple[Any, ...]) -> tuple[list[Any], tuple[Node | None, ...]]:
    arrays: list[Any] = []
    nodes: list[Node | None] = []
    for operand in operands:
        if operand is not None and type(operand) not in (bool, int, float):
            tensor = operand if isinstance(operand, Tensor) else Tensor(operand)
            arrays.append(tensor._array)
            nodes.append(tensor._node)
        else:
            arrays.append(operand)
            nodes.append(None)
    if any(type(a) in (bool, int, float) for a in arrays):
        dtype = np.result_type(*(a for a in arrays if a is not None))
        arrays = [a if a is None else np.asarray(a, dtype=dtype) for a in arrays]
    return arrays, tuple(nodes)


def _evaluate(body: Callable[..., Any], arrays: list[Any], metadata: dict[str, Any]) -> Any:
    """Run the body; errors that NumPy raises get the name of the function and the shapes."""
    try:
        return body(*arrays, **metadata)
    except ValueError as error:
        name, text = body.__name__, str(error).strip()
        if text.startswith(f"{name}: "):
            raise
        shapes = ", ".join(str(a.shape) for a in arrays if a is not None)
        raise ValueError(f"{name}: {shapes} do not fit: {text}") from None


def _record(
    name: str, value: Array, parents: tuple[Node | None, ...], closure: Closure
) -> Tensor:
    value = np.asarray(value)
    if not is_recording() or all(parent is None for parent in parents):
        return Tensor._of(value, None)
    if value.dtype.kind != "f":
        raise TypeError(f"{name}: the result has dtype {value.dtype}, which has no gradient")
    node = Node(name=name, shape=value.shape, dtype=value.dtype, parents=parents, closure=closure)
    return Tensor._of(value, node)
