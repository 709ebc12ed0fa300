"""Every differentiable function against central differences and against NumPy."""

import importlib
import importlib.util
import pkgutil
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import refnet.autograd as ag
from refnet.autograd import Tensor, check_gradient

Shape = tuple[int, ...]


class Case(NamedTuple):
    """A function, the shapes of its arrays, their domain, metadata."""

    function: Callable[..., Tensor]
    shapes: tuple[Shape, ...]
    domain: str = "real"
    metadata: dict[str, Any] = {}  # noqa: RUF012 - never written
    constants: tuple[Any, ...] = ()  # arrays without a gradient, before the others


PAIRS = [[True, False, True], [False, False, True]]

CASES = [
    Case(ag.add, ((2, 3), (3,))),
    Case(ag.subtract, ((2, 1), (4, 1, 3))),
    Case(ag.multiply, ((2, 3), ())),
    Case(ag.divide, ((3,), (2, 1)), "positive"),
    Case(ag.negative, ((2, 3),)),
    Case(ag.power, ((2, 3), (3,)), "positive"),
    Case(ag.exp, ((2, 3),)),
    Case(ag.log, ((2, 3),), "positive"),
    Case(ag.sqrt, ((2, 3),), "positive"),
    Case(ag.absolute, ((2, 3),), "distinct"),
    Case(ag.maximum, ((2, 3), (3,)), "distinct"),
    Case(ag.minimum, ((3,), (2, 3)), "distinct"),
    Case(ag.where, ((2, 3), (3,)), constants=(PAIRS,)),
    Case(ag.clip, ((4, 5),), "distinct", {"low": -0.52, "high": 0.71}),
    Case(ag.clip, ((4, 5),), "distinct", {"high": 0.71}),
    Case(ag.tanh, ((2, 3),)),
    Case(ag.sigmoid, ((2, 3),)),
    Case(ag.relu, ((4, 5),), "distinct"),
    Case(ag.matmul, ((2, 3), (3, 4))),
    Case(ag.matmul, ((5, 1, 2, 3), (4, 3, 2))),
    Case(ag.matmul, ((3,), (2, 3, 4))),
    Case(ag.matmul, ((2, 4, 3), (3,))),
    Case(ag.matmul, ((3,), (3,))),
    Case(ag.sum, ((2, 3, 4),), metadata={"axis": (0, -1)}),
    Case(ag.sum, ((2, 3),), metadata={"axis": 1, "keepdims": True}),
    Case(ag.mean, ((2, 3, 4),), metadata={"axis": 1}),
    Case(ag.max, ((2, 3, 4),), "distinct", {"axis": (0, 2)}),
    Case(ag.min, ((2, 3, 4),), "distinct", {"axis": 1, "keepdims": True}),
    Case(ag.max, ((2, 3),), "distinct"),
    Case(ag.var, ((2, 3, 4),), metadata={"axis": (0, 2), "correction": 1}),
    Case(ag.logsumexp, ((2, 3),), metadata={"axis": 0}),
    Case(ag.log_softmax, ((2, 5),)),
    Case(ag.log_softmax, ((2, 5, 2),), metadata={"axis": 1}),
    Case(ag.reshape, ((2, 3, 4),), metadata={"shape": (4, -1)}),
    Case(ag.transpose, ((2, 3, 4),), metadata={"axes": (1, -1, 0)}),
    Case(ag.concatenate, ((2, 3), (2, 1), (2, 0)), metadata={"axis": 1}),
    Case(ag.stack, ((2, 3), (2, 3)), metadata={"axis": 1}),
    Case(ag.pad, ((2, 3),), metadata={"width": ((1, 0), (0, 2)), "value": 3.0}),
    Case(ag.getitem, ((4, 5),), metadata={"index": (slice(None, None, -2), 1)}),
    Case(ag.getitem, ((4, 5),), metadata={"index": np.array([0, 0, 3, -1])}),
    Case(ag.batch_norm, ((4, 3), (3,), (3,))),
    Case(ag.batch_norm, ((4, 3, 2, 2), (3,), (3,)), metadata={"eps": 0.1}),
    Case(ag.batch_norm, ((4, 3, 2, 2),)),
    Case(ag.batch_norm_inference, ((2, 3, 2, 2), (3,), (3,), (3,), (3,)), "positive"),
    Case(ag.conv2d, ((2, 4, 5, 6), (6, 2, 3, 2), (6,)), metadata={"groups": 2, "padding": 1}),
    Case(ag.conv2d, ((2, 3, 7, 6), (4, 3, 3, 2)), metadata={"stride": 2, "dilation": (2, 1)}),
    Case(ag.max_pool2d, ((2, 2, 5, 6),), "distinct", {"kernel_size": 3, "stride": 2, "padding": 1}),
    Case(ag.max_pool2d, ((2, 2, 4, 5),), "distinct", {"kernel_size": 2}),
    Case(ag.avg_pool2d, ((2, 2, 5, 6),), metadata={"kernel_size": (3, 2), "padding": (1, 0)}),
    Case(ag.global_avg_pool2d, ((2, 3, 2, 4),)),
]


def case_id(case: Case) -> str:
    return f"{case.function.__name__}-{case.shapes}"


def draw(case: Case, rng: np.random.Generator) -> list[np.ndarray]:
    """Arrays inside the domain; "distinct" ones keep all values 0.1 apart and away from 0."""
    sizes = [int(np.prod(shape)) for shape in case.shapes]
    if case.domain == "distinct":
        total = sum(sizes)
        values = (rng.permutation(total) - total // 2) * 0.1 + 0.05
    else:
        values = rng.standard_normal(sum(sizes))
        if case.domain == "positive":
            values = np.abs(values) + 0.5
    parts = np.split(values, np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, case.shapes, strict=True)]


def declared(value: bool) -> Iterator[Callable[..., Tensor]]:
    """All public functions of the package whose attribute `differentiable` is `value`."""
    for module in pkgutil.iter_modules(ag.__path__, "refnet.autograd."):
        for name, member in vars(importlib.import_module(module.name)).items():
            if getattr(member, "differentiable", None) is value and not name.startswith("_"):
                yield member


def test_every_differentiable_function_has_a_case_and_is_exported() -> None:
    functions = set(declared(True))
    assert len(functions) > 30
    assert functions == {case.function for case in CASES}
    assert all(getattr(ag, f.__name__) is f for f in functions | set(declared(False)))


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_gradient(case: Case) -> None:
    rng = np.random.default_rng(7)

    def f(*arrays: Tensor) -> Tensor:
        return case.function(*case.constants, *arrays, **case.metadata)

    check_gradient(f, *draw(case, rng), rng=rng)


@pytest.mark.parametrize("case", CASES, ids=case_id)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept_and_inputs_are_untouched(case: Case, dtype: type) -> None:
    arrays = [a.astype(dtype) for a in draw(case, np.random.default_rng(3))]
    before = [a.copy() for a in arrays]
    tensors = [Tensor(a, requires_grad=True) for a in arrays]
    y = case.function(*case.constants, *tensors, **case.metadata)
    assert y.dtype == dtype
    y.backward(np.ones(y.shape))
    for array, old, tensor in zip(arrays, before, tensors, strict=True):
        np.testing.assert_array_equal(array, old)
        np.testing.assert_array_equal(tensor.numpy(), old)
        assert tensor.grad is not None
        assert tensor.grad.dtype == dtype
        assert tensor.grad.shape == array.shape


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_each_gradient_is_the_same_alone_and_with_the_others(case: Case) -> None:
    arrays = draw(case, np.random.default_rng(5))
    together = [Tensor(a, requires_grad=True) for a in arrays]
    y = case.function(*case.constants, *together, **case.metadata)
    seed = np.random.default_rng(6).standard_normal(y.shape)
    y.backward(seed)
    for position, tensor in enumerate(together):
        alone = [Tensor(a, requires_grad=i == position) for i, a in enumerate(arrays)]
        case.function(*case.constants, *alone, **case.metadata).backward(seed)
        np.testing.assert_array_equal(alone[position].grad, tensor.grad)
        assert all(t.grad is None for i, t in enumerate(alone) if i != position)


@pytest.mark.parametrize("function", sorted(declared(False), key=lambda f: f.__name__))
def test_functions_without_gradient_refuse(function: Callable[..., Tensor]) -> None:
    x = Tensor([0.4, -1.6], requires_grad=True)
    y = (function(x) + x).sum()
    with pytest.raises(ValueError, match=f"{function.__name__} has no gradient"):
        y.backward()
    assert x.grad is None
    (function(x).detach() + x).sum().backward()
    np.testing.assert_array_equal(x.grad, [1.0, 1.0])


def test_condition_of_where_has_no_gradient() -> None:
    condition = Tensor([1.0, 0.0], requires_grad=True)
    y = ag.where(condition, Tensor([1.0, 2.0]), 0.0).sum()
    with pytest.raises(ValueError, match="where: gradient of argument 0 does not exist"):
        y.backward()


def gradient(f: Callable[[Tensor], Tensor], x: Any) -> np.ndarray:
    tensor = Tensor(x, requires_grad=True)
    f(tensor).sum().backward()
    assert tensor.grad is not None
    return tensor.grad


def test_gradients_at_kinks_are_the_documented_ones() -> None:
    zero = [0.0]
    assert gradient(ag.relu, zero) == 0
    assert gradient(ag.absolute, zero) == 0
    assert gradient(lambda x: ag.power(x, 2.0), zero) == 0
    assert gradient(lambda x: ag.power(x, 0.0), zero) == 0
    assert gradient(lambda x: ag.maximum(x, 0.0), zero) == 1
    assert gradient(lambda x: ag.maximum(0.0, x), zero) == 0
    assert gradient(lambda x: ag.minimum(x, 0.0), zero) == 1
    assert gradient(lambda x: ag.minimum(0.0, x), zero) == 0
    np.testing.assert_array_equal(
        gradient(lambda x: ag.clip(x, low=-1, high=1), [-1.5, -1.0, 0.0, 1.0, 1.5]),
        [0, 1, 1, 1, 0],
    )


@given(hnp.arrays(np.int64, hnp.array_shapes(min_dims=1, max_dims=3), elements=st.integers(-1, 1)))
def test_extrema_give_the_gradient_to_the_first(x: np.ndarray) -> None:
    for f, first in ((ag.max, np.argmax), (ag.min, np.argmin)):
        whole = np.zeros(x.size)
        whole[first(x)] = 1
        np.testing.assert_array_equal(gradient(f, x.astype(float)).ravel(), whole)
        along = np.zeros(x.shape)
        np.put_along_axis(along, np.expand_dims(first(x, axis=0), 0), 1.0, axis=0)
        np.testing.assert_array_equal(gradient(lambda t, f=f: f(t, axis=0), x.astype(float)), along)


def test_repeated_indices_collect_gradients() -> None:
    np.testing.assert_array_equal(gradient(lambda x: x[[0, 0, 2]], np.zeros(3)), [2, 0, 1])
    np.testing.assert_array_equal(gradient(lambda x: x[True], np.zeros(3)), [1, 1, 1])
    mask = np.array([True, False, True])
    np.testing.assert_array_equal(gradient(lambda x: x[mask], np.zeros(3)), mask)


def test_sigmoid_and_softmax_survive_large_arguments() -> None:
    x = np.array([-1000.0, 0.0, 1000.0], dtype=np.float32)
    np.testing.assert_array_equal(ag.sigmoid(x).numpy(), [0, 0.5, 1])
    np.testing.assert_array_equal(ag.log_softmax(x).numpy(), [-2000, -1000, 0])
    assert ag.logsumexp(Tensor([-np.inf, -np.inf])).item() == -np.inf
    np.testing.assert_array_equal(ag.logsumexp(Tensor([[0.0], [5.0]]), axis=1).numpy(), [0, 5])


def test_batch_norm_reports_its_statistics_once() -> None:
    seen = []
    x = np.random.default_rng(0).standard_normal((5, 3, 2, 4))
    ag.batch_norm(x, observe=lambda mean, var: seen.append((mean, var)))
    assert len(seen) == 1
    np.testing.assert_allclose(seen[0][0], x.mean(axis=(0, 2, 3)), rtol=0, atol=1e-15)
    np.testing.assert_allclose(seen[0][1], x.var(axis=(0, 2, 3)), rtol=1e-14)


@given(st.sampled_from([(1, 1), (7, 1), (1, 1, 1, 1), (3, 2, 1, 1), (2, 1, 3, 5), (40, 3, 5, 5)]))
def test_batch_norm_agrees_with_its_definition(shape: Shape) -> None:
    rng = np.random.default_rng(len(shape))
    x, gamma, beta = rng.normal(100, 1, shape), rng.normal(size=shape[1]), rng.normal(size=shape[1])
    axes, column = ((0, 2, 3), (-1, 1, 1)) if len(shape) == 4 else ((0,), (-1,))
    mean, var = x.mean(axis=axes), x.var(axis=axes)
    expected = (x - mean.reshape(column)) / np.sqrt(var + 1e-3).reshape(column)
    expected = expected * gamma.reshape(column) + beta.reshape(column)
    for y in (
        ag.batch_norm(x, gamma, beta, eps=1e-3),
        ag.batch_norm_inference(x, gamma, beta, mean, var, eps=1e-3),
    ):
        np.testing.assert_allclose(y.numpy(), expected, rtol=0, atol=1e-11)


MISFITS: list[tuple[Callable[[], object], str]] = [
    (lambda: ag.add(np.zeros(2), np.zeros(3)), "add: (2,), (3,) do not fit: operands could not be"),
    (lambda: ag.matmul(np.zeros((2, 3)), np.zeros((4, 2))), "matmul: a (2, 3), b (4, 2) do not"),
    (lambda: ag.matmul(np.zeros(()), np.zeros(2)), "matmul: a (), b (2,) do not fit"),
    (lambda: ag.reshape(np.zeros(6), shape=(4,)), "reshape: (6,) do not fit: cannot reshape array"),
    (lambda: ag.pad(np.zeros(3), width=((1, 1), (1, 1))), "pad: x (3,), width"),
    (lambda: ag.mean(np.zeros((0, 3)), axis=0), "mean: x (0, 3), axis=0 do not fit"),
    (lambda: ag.max(np.zeros(0)), "max: (0,) do not fit: zero-size array"),
    (lambda: ag.var(np.zeros(1), correction=1), "var: x (1,), axis=None, correction=1"),
    (lambda: ag.stack([np.zeros(2), np.zeros(3)]), "stack: (2,), (3,) do not fit"),
    (lambda: ag.batch_norm(np.zeros((0, 3))), "batch_norm: x (0, 3) has no values"),
    (lambda: ag.batch_norm(np.zeros((2, 3, 1))), "batch_norm: x (2, 3, 1) does not fit"),
    (
        lambda: ag.batch_norm(np.zeros((2, 3)), np.zeros(2)),
        "batch_norm: x (2, 3), gamma (2,) do not fit: gamma must be (3,)",
    ),
    (
        lambda: gradient(lambda p: ag.power(Tensor([-1.0]), p), [2.0]),
        "power: the gradient of the exponent does not exist at a negative x",
    ),
]


@pytest.mark.parametrize(("call", "message"), MISFITS, ids=[message for _, message in MISFITS])
def test_misfits_get_one_line(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        call()
    assert "\n" not in str(caught.value)


if importlib.util.find_spec("torch"):

    def test_batch_norm_agrees_with_torch() -> None:
        torch = importlib.import_module("torch")
        rng = np.random.default_rng(0)
        arrays = [rng.standard_normal(s) for s in [(4, 3, 5, 5), (3,), (3,)]]
        ours = [Tensor(a, requires_grad=True) for a in arrays]
        theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
        y = ag.batch_norm(*ours, eps=1e-5)
        z = torch.nn.functional.batch_norm(theirs[0], None, None, *theirs[1:], training=True)
        g = rng.standard_normal(y.shape)
        y.backward(g)
        z.backward(torch.tensor(g))
        np.testing.assert_allclose(y.numpy(), z.detach().numpy(), atol=1e-12)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.grad, b.grad.numpy(), atol=1e-12)
