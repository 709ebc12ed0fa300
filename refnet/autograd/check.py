"""The gradient checker: recorded gradients against central differences."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from refnet.autograd.graph import Array, no_grad
from refnet.autograd.tensor import Tensor

# Half the digits of a float64 go into the step, see `check_gradient`.
UNIT = float(np.finfo(np.float64).eps)
ELEMENTWISE = 256  # arguments up to this size are also compared element by element
DIRECTIONS = 3


def check_gradient(
    f: Callable[..., Tensor],
    *arrays: Any,
    rng: np.random.Generator,
    eps: float | None = None,
    tolerance: float | None = None,
) -> None:
    """Compare the gradients that `f` records with central differences, in float64.

    `f` takes one tensor for each of `arrays` (real numbers, of any shape, converted to float64) and
    returns a tensor of any shape. With a random cotangent v the scalar s(x) = sum(v * f(x)) is
    differentiated along random directions of each argument alone, and, for arguments of at most 256
    elements, along every element: (s(x + h u) - s(x - h u)) / 2h against <gradient, u>.

    The bound. Central differences have the truncation error h**2 / 6 * s''' and the rounding error
    e / h * size(s), e = 2**-52 and size(s) = sum(|v * f(x)|). Both are about e**(2/3) = 4e-11 of
    the sizes of s and its derivatives for the default step h = e**(1/3) = 6e-6, relative to the
    largest element of the argument (at least 1). `f` itself may lose digits and its third
    derivative may be large, so the default `tolerance` is 1000 e**(2/3) = 4e-8, and a difference
    passes if it is at most tolerance * (size(s) + sum(|gradient * u|) + |numeric|). The mistakes
    that happen (a sign, a factor, a forgotten sum, a wrong argument) are far larger.

    `f` must be smooth within h of `arrays`; keep ties and kinks farther away than that.

    Raises `AssertionError` with one line that gives the argument, the worst element or direction,
    both values and the bound, and `ValueError` where `f` has no gradient.

    >>> from refnet.autograd import tanh
    >>> check_gradient(lambda a, b: tanh(a) * b, [0.5, 1.0], 2.0, rng=np.random.default_rng(0))
    """
    step = UNIT ** (1 / 3) if eps is None else eps
    tolerance = 1000 * UNIT ** (2 / 3) if tolerance is None else tolerance
    points = [np.array(a, dtype=np.float64) for a in arrays]
    for complaint in _complaints(f, points, rng, step, tolerance):
        raise AssertionError(f"check_gradient: {complaint}")


def _complaints(
    f: Callable[..., Tensor],
    points: list[Array],
    rng: np.random.Generator,
    step: float,
    tolerance: float,
) -> Iterator[str]:
    """Describe each argument whose gradient disagrees with the differences."""
    tensors = [Tensor(p, requires_grad=True) for p in points]
    y = f(*tensors)
    cotangent = rng.standard_normal(y.shape)
    y.backward(cotangent)
    size = float(np.sum(np.abs(cotangent * y.numpy())))
    for position, (point, tensor) in enumerate(zip(points, tensors, strict=True)):

        def scalar(moved: Array, position: int = position) -> float:
            inputs = [*points[:position], moved, *points[position + 1 :]]
            with no_grad():
                return float(np.sum(cotangent * f(*map(Tensor, inputs)).numpy()))

        gradient = np.zeros(point.shape) if tensor.grad is None else tensor.grad
        h = step * max(1.0, float(np.max(np.abs(point), initial=0.0)))
        worst = _compare(scalar, point, gradient, _directions(point, rng), h, tolerance, size)
        if worst:
            yield f"argument {position} {point.shape}, {worst}"


def _compare(
    scalar: Callable[[Array], float],
    point: Array,
    gradient: Array,
    directions: list[tuple[str, Array]],
    h: float,
    tolerance: float,
    size: float,
) -> str:
    """Describe the direction that exceeds its bound most; the empty string if none does."""
    worst = (0.0, "")
    for label, u in directions:
        numeric = (scalar(point + h * u) - scalar(point - h * u)) / (2 * h)
        analytic = float(np.sum(gradient * u))
        bound = tolerance * (size + float(np.sum(np.abs(gradient * u))) + abs(numeric))
        error = abs(numeric - analytic)
        if not error <= bound:  # a NaN fails too
            excess = error / bound if bound > 0 else np.inf
            text = f"{label}: analytic {analytic!r}, numeric {numeric!r}, bound {bound:.1e}"
            worst = max(worst, (np.inf if np.isnan(excess) else excess, text))
    return worst[1]


def _directions(point: Array, rng: np.random.Generator) -> list[tuple[str, Array]]:
    if point.size <= ELEMENTWISE:
        unit = np.eye(point.size).reshape(point.size, *point.shape)
        return [(f"flat element {i}", unit[i]) for i in range(point.size)]
    random = rng.standard_normal((DIRECTIONS, *point.shape))
    return [(f"direction {i}", u) for i, u in enumerate(random)]
