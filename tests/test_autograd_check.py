"""The gradient checker must accept right gradients and catch deliberately wrong ones."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.autograd import Forward, Operand, Tensor, check_gradient, differentiable
from refnet.autograd import round as rounded
from refnet.autograd import sum as total


@differentiable
def wrong_sign(a: Operand, b: Operand) -> Forward:
    return a * b, lambda g: (g * b, -g * a)


@differentiable
def wrong_factor(a: Operand, b: Operand) -> Forward:
    return a * b, lambda g: (2 * g * b, g * a)


@differentiable
def wrong_argument(a: Operand, b: Operand) -> Forward:
    return a * b, lambda g: (g * a, g * b)


@differentiable
def one_element_wrong(a: Operand, b: Operand) -> Forward:
    def of_b(g: np.ndarray) -> np.ndarray:
        result = g * a
        result.flat[2] *= 1.001
        return result

    return a * b, lambda g: (g * b, lambda: of_b(g))


@differentiable
def missing_sum(x: Operand) -> Forward:
    """Only the last row arrives, where all rows must be added up."""
    return np.broadcast_to(x, (4, *x.shape)) * 1.0, lambda g: (g[-1],)


def lost(a: Tensor, b: Tensor) -> Tensor:
    return a.detach() * b


A, B = np.array([1.0, -2.0, 0.5]), np.array([3.0, 1.5, -1.0])


@pytest.mark.parametrize(
    ("broken", "argument"),
    [
        (wrong_sign, 1),
        (wrong_factor, 0),
        (wrong_argument, 0),
        (one_element_wrong, 1),
        (lost, 0),
    ],
)
def test_broken_gradients_are_caught(broken: Callable[..., Tensor], argument: int) -> None:
    message = rf"^check_gradient: argument {argument} \(3,\), flat element \d: analytic .*"
    with pytest.raises(AssertionError, match=message + r"numeric .*bound .*$") as caught:
        check_gradient(broken, A, B, rng=np.random.default_rng(0))
    assert "\n" not in str(caught.value)


def test_missing_sum_over_a_broadcast_axis_is_caught() -> None:
    with pytest.raises(AssertionError, match="argument 0"):
        check_gradient(missing_sum, A, rng=np.random.default_rng(0))


def test_the_worst_element_is_named_with_its_values() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(AssertionError, match=r"argument 1 .*flat element 2") as caught:
        check_gradient(lambda a, b: total(one_element_wrong(a, b)), A, B, rng=rng)
    found = re.search(r"analytic (\S+), numeric (\S+),", str(caught.value))
    assert found is not None
    analytic, numeric = map(float, found.groups())
    assert analytic / numeric == pytest.approx(1.001, rel=1e-6)


@pytest.mark.parametrize("broken", [wrong_sign, wrong_factor, wrong_argument])
def test_large_arguments_are_caught_along_random_directions(broken: Callable[..., Tensor]) -> None:
    rng = np.random.default_rng(0)
    big = rng.standard_normal(1000)
    check_gradient(lambda a, b: a * b, big, big[::-1], rng=rng)
    with pytest.raises(AssertionError, match=r"argument \d \(1000,\), direction \d"):
        check_gradient(broken, big, big[::-1], rng=rng)


def test_a_gradient_that_is_not_a_number_is_caught() -> None:
    @differentiable
    def broken(x: Operand) -> Forward:
        return x * 2.0, lambda g: (g * np.nan,)

    with pytest.raises(AssertionError, match=r"analytic .*nan"):
        check_gradient(broken, A, rng=np.random.default_rng(0))


def test_missing_gradients_are_errors_not_zeros() -> None:
    with pytest.raises(ValueError, match="round has no gradient"):
        check_gradient(rounded, A, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="does not depend on anything"):
        check_gradient(lambda x: x.detach(), A, rng=np.random.default_rng(0))


@given(st.integers(0, 2**32 - 1), st.floats(-3, 3))
def test_smooth_functions_pass_at_every_scale(seed: int, exponent: float) -> None:
    rng = np.random.default_rng(seed)
    a, b = 10**exponent * rng.standard_normal((2, 4))
    check_gradient(lambda x, y: (x * y + x * 3.0) * x, a, b, rng=rng)


def test_degenerate_shapes_pass() -> None:
    rng = np.random.default_rng(0)
    check_gradient(lambda x: x * 2.0, np.zeros((0, 3)), rng=rng)
    check_gradient(lambda x, y: x * y, 2.0, [1.0], rng=rng)


def test_step_and_tolerance_can_be_chosen() -> None:
    with pytest.raises(AssertionError):
        check_gradient(lambda x: x * x * x, A, rng=np.random.default_rng(0), eps=0.1)
    check_gradient(lambda x: x * x * x, A, rng=np.random.default_rng(0), eps=0.1, tolerance=0.1)
