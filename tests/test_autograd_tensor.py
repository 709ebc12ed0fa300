"""Tensors, the recorded graph, the decorator: bookkeeping apart from any single function."""

import copy
import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

import refnet.autograd as ag
from refnet.autograd import Forward, Gradients, Operand, Tensor, differentiable, no_grad


def leaf(values: Any, dtype: type = np.float64) -> Tensor:
    return Tensor(np.asarray(values, dtype=dtype), requires_grad=True)


def test_gradients_accumulate_in_leaves_only() -> None:
    x = leaf([1.0, 2.0])
    y = x * x
    y.sum().backward()
    y.sum().backward()  # the graph is kept
    np.testing.assert_array_equal(x.grad, [4.0, 8.0])
    assert y.grad is None
    x.zero_grad()
    assert x.grad is None


def test_shared_subexpressions_are_visited_once_with_their_whole_gradient() -> None:
    calls = []

    @differentiable
    def double(x: Operand) -> Forward:
        def closure(g: np.ndarray) -> Gradients:
            calls.append(g)
            return (2 * g,)

        return 2 * x, closure

    x = leaf(3.0)
    y = double(x)
    (y * y + y).backward()
    assert x.grad == 2 * (2 * 6 + 1)
    assert len(calls) == 1


def test_deep_graphs_need_no_recursion() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(50_000):
        y = y + x
    y.backward()
    assert x.grad == 50_001
    del y
    gc.collect()


def test_results_are_released_when_no_closure_needs_them() -> None:
    x = leaf(np.ones(3))
    y = x + 1.0
    values = weakref.ref(y._array.base)
    z = y + 1.0
    del y
    assert values() is None
    z.sum().backward()
    np.testing.assert_array_equal(x.grad, np.ones(3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_python_numbers_do_not_change_the_dtype(dtype: type) -> None:
    x = leaf([1.0, 2.0], dtype)
    y = 1 - (2.0 * x / 3 + True) ** 2 + -x + 2.0**x
    assert y.dtype == dtype
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == dtype
    assert ag.maximum(0.0, x).dtype == dtype
    assert ag.where([True, False], x, 0.0).dtype == dtype
    assert (Tensor(np.int8([1])) + 1).dtype == np.int8


def test_mixed_dtypes_give_each_leaf_its_own() -> None:
    x, y = leaf([1.0], np.float32), leaf([2.0], np.float64)
    (x * y).sum().backward()
    assert x.grad is not None
    assert y.grad is not None
    assert (x.grad.dtype, y.grad.dtype) == (np.float32, np.float64)


BROADCASTABLE = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0)


@given(BROADCASTABLE)
def test_broadcasting_is_undone(shapes: hnp.BroadcastableShapes) -> None:
    a, b = (leaf(np.ones(s)) for s in shapes.input_shapes)
    (a + b).backward(np.ones(shapes.result_shape))
    result = int(np.prod(shapes.result_shape))
    for x in (a, b):
        assert x.grad is not None
        assert x.grad.shape == x.shape
        assert x.grad.sum() == result
        assert np.all(x.grad == (result / x.size if x.size else 0))


OPERATORS = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "power": lambda a, b: a**b,
    "matmul": lambda a, b: a @ b,
    "less": lambda a, b: a < b,
    "less_equal": lambda a, b: a <= b,
    "greater": lambda a, b: a > b,
    "greater_equal": lambda a, b: a >= b,
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_follow_numpy_with_a_tensor_on_either_side(name: str) -> None:
    f = OPERATORS[name]
    a, b = np.array([1.0, 2.0]), np.array([2.0, 2.0])
    expected = f(a, b)
    for result in (f(Tensor(a), Tensor(b)), f(Tensor(a), b), f(a, Tensor(b))):
        values = result.numpy() if isinstance(result, Tensor) else result
        np.testing.assert_array_equal(values, expected)
        assert isinstance(result, Tensor) == (expected.dtype.kind == "f")


def test_methods_follow_numpy() -> None:
    array = np.arange(6.0).reshape(2, 3)
    x = Tensor(array)
    assert (x.shape, x.ndim, x.size, len(x), x.dtype) == ((2, 3), 2, 6, 2, np.float64)
    pairs = [
        (x.sum(axis=0), array.sum(axis=0)),
        (x.mean(axis=1, keepdims=True), array.mean(axis=1, keepdims=True)),
        (x.max(axis=1), array.max(axis=1)),
        (x.reshape(3, 2), array.reshape(3, 2)),
        (x.reshape((-1,)), array.reshape(-1)),
        (x.transpose(1, 0), array.T),
        (x.transpose((0, 1)), array),
        (x.T, array.T),
        (x[1], array[1]),
        (abs(-x), array),
    ]
    for ours, numpys in pairs:
        np.testing.assert_array_equal(ours.numpy(), numpys)
    np.testing.assert_array_equal(x.argmax(axis=1), [2, 2])
    np.testing.assert_array_equal([row.numpy() for row in x], array)
    assert float(x[1, 2]) == x[1, 2].item() == 5.0
    assert bool(x[0, 1])
    assert repr(leaf([1.0])) == "Tensor([1.], requires_grad=True)"
    with pytest.raises(ValueError, match=r"item: shape \(2, 3\) has 6 elements, not 1"):
        x.item()


def test_writing_into_an_input_later_changes_nothing() -> None:
    array, weights = np.array([1.0, 2.0]), np.array([5.0, 7.0])
    x = Tensor(array, requires_grad=True)
    y = (x * x * weights).sum()
    array[:] = 100
    weights[:] = 100
    y.backward()
    np.testing.assert_array_equal(x.numpy(), [1.0, 2.0])
    np.testing.assert_array_equal(x.grad, [10.0, 28.0])


def test_values_cannot_be_written_and_gradients_are_private() -> None:
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    seed = np.array([1.0, 1.0])
    z = x + y
    z.backward(seed)
    for tensor in (x, z, x.detach(), x.reshape(1, 2), x[:1]):
        with pytest.raises(ValueError, match="read-only"):
            tensor.numpy()[...] = 0
    assert x.grad is not None
    assert y.grad is not None
    x.grad[:] = 50
    np.testing.assert_array_equal(y.grad, [1.0, 1.0])
    np.testing.assert_array_equal(seed, [1.0, 1.0])


def test_assign_replaces_values_but_not_recorded_graphs() -> None:
    x = leaf([1.0, 2.0], np.float32)
    y = (x * x).sum()
    new = np.array([10.0, 20.0])
    x.assign(new)
    new[:] = 0
    y.backward()
    np.testing.assert_array_equal(x.grad, [2.0, 4.0])
    np.testing.assert_array_equal(x.numpy(), [10.0, 20.0])
    assert x.dtype == np.float32
    with pytest.raises(ValueError, match=r"assign: values \(3,\) do not fit the tensor \(2,\)"):
        x.assign(np.zeros(3))
    with pytest.raises(ValueError, match="assign: the tensor is a result of multiply, not a leaf"):
        (x * x).assign([0.0, 0.0])


def test_no_grad_records_nothing_and_ends_with_its_block() -> None:
    x = leaf([1.0])
    with no_grad():
        assert not (x * 2.0).requires_grad
    assert (x * 2.0).requires_grad
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert (x * 2.0).requires_grad


def test_no_grad_is_local_to_its_thread() -> None:
    x, seen = leaf([1.0]), []
    with no_grad():
        thread = threading.Thread(target=lambda: seen.append((x * 2.0).requires_grad))
        thread.start()
        thread.join()
    assert seen == [True]


def test_constants_make_no_graph() -> None:
    y = Tensor([1.0]) * 2.0
    assert not y.requires_grad
    assert y.grad is None
    with pytest.raises(ValueError, match="does not depend on anything that requires a gradient"):
        y.backward()


def test_only_needed_gradients_are_computed() -> None:
    def refuse() -> np.ndarray:
        raise AssertionError

    @differentiable
    def left(a: Operand, b: Operand) -> Forward:
        return a + b, lambda g: (g, refuse)

    x = leaf([1.0])
    left(x, np.ones(1)).backward()
    np.testing.assert_array_equal(x.grad, [1.0])


def test_backward_needs_a_fitting_seed() -> None:
    x = leaf([1.0, 2.0])
    with pytest.raises(ValueError, match=r"a tensor of shape \(2,\) needs an explicit grad"):
        (x * x).backward()
    with pytest.raises(ValueError, match=r"grad \(3,\) does not fit the tensor \(2,\)"):
        (x * x).backward(np.ones(3))
    (x * x).backward(Tensor([1.0, 0.0]))
    np.testing.assert_array_equal(x.grad, [2.0, 0.0])
    x.backward(np.ones(2))
    np.testing.assert_array_equal(x.grad, [3.0, 1.0])


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_])
def test_integers_have_no_gradient(dtype: type) -> None:
    with pytest.raises(TypeError, match="requires_grad=True needs a float dtype"):
        Tensor(np.ones(2, dtype=dtype), requires_grad=True)


@pytest.mark.parametrize("values", [[1j], ["a"], [None]])
def test_only_real_numbers_make_tensors(values: list[Any]) -> None:
    with pytest.raises(TypeError, match="is not one of float, integer, bool"):
        Tensor(values)


def test_numpy_cannot_lose_a_gradient_silently() -> None:
    with pytest.raises(TypeError, match="would lose the gradient"):
        np.asarray(leaf([1.0]))
    with pytest.raises(TypeError, match="__array_ufunc__"):
        np.exp(leaf([1.0]))  # type: ignore[call-overload]
    np.testing.assert_array_equal(np.asarray(leaf([1.0]).detach()), [1.0])


def test_copies_of_leaves_are_independent_and_results_refuse() -> None:
    x = leaf([1.0, 2.0])
    y = copy.deepcopy(x)
    y.assign([5.0, 6.0])
    np.testing.assert_array_equal(x.numpy(), [1.0, 2.0])
    assert y.requires_grad
    with pytest.raises(TypeError, match="a result of multiply cannot be copied"):
        copy.deepcopy(x * x)


@differentiable
def misshapen(x: Operand) -> Forward:
    return x * 1.0, lambda g: (g[:1],)


@differentiable
def short(a: Operand, b: Operand) -> Forward:
    return a + b, lambda g: (g,)


@differentiable
def writer(x: Operand) -> Forward:
    def closure(g: np.ndarray) -> Gradients:
        g *= 2
        return (g,)

    return x * 2.0, closure


@differentiable
def counting(x: Operand) -> Forward:
    return (x > 0).sum(), lambda g: (None,)


def test_mistakes_of_a_body_are_named() -> None:
    x = leaf([1.0, 2.0])
    with pytest.raises(
        ValueError, match=r"misshapen: gradient of argument 0 has shape \(1,\), the argument \(2,\)"
    ):
        misshapen(x).backward(np.ones(2))
    with pytest.raises(TypeError, match="short: closure gave 1 gradients for 2 arrays"):
        short(x, x).backward(np.ones(2))
    with pytest.raises(ValueError, match="read-only"):
        writer(x).backward(np.ones(2))
    with pytest.raises(TypeError, match="counting: the result has dtype int64"):
        counting(x)
    assert x.grad is None
    with pytest.raises(TypeError, match="bad: metadata 'scale' is not keyword-only"):

        @differentiable
        def bad(x: Operand, scale: float = 1.0) -> Forward:
            return x * scale, lambda g: (g * scale,)


def test_arrays_may_be_named_and_lists_spread() -> None:
    x, w = leaf(np.ones((1, 1, 2, 2))), np.ones((1, 1, 1, 1))
    y = ag.conv2d(x, w, b=np.array([2.0]))
    z = ag.conv2d(w=w, x=x)
    np.testing.assert_array_equal(y.numpy(), z.numpy() + 2)
    np.testing.assert_array_equal(ag.concatenate([[1.0], [2.0]]).numpy(), [1.0, 2.0])
    np.testing.assert_array_equal(ag.concatenate([1.0], [2.0]).numpy(), [1.0, 2.0])
    with pytest.raises(TypeError, match="unexpected keyword"):
        ag.relu(x, slope=1)  # type: ignore[call-arg]


def test_documentation_survives_the_decorator() -> None:
    assert ag.relu.__doc__ is not None
    assert ag.relu.__doc__.startswith("Return max(x, 0)")
    assert ag.relu.__name__ == "relu"
