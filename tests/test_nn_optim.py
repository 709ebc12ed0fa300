"""Optimisers against their definition in plain Python numbers, one scalar at a time."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.autograd import Tensor
from refnet.nn import SGD, Adam

unit = st.floats(0.0, 0.99)
decay = st.sampled_from([0.0, 0.01, 0.5])


def gradients(steps):
    """Gradients that change sign and size, one list of two a step."""
    return [[math.sin(3 * t) * (t + 1), 0.1 * (-1) ** t] for t in range(steps)]


def run(make, steps, factors, dtype=np.float64):
    """Values after each step; the gradient is set by backward of a linear function."""
    p = Tensor(np.array([1.5, -0.25], dtype), requires_grad=True)
    optimizer = make([p])
    seen = []
    for grad, factor in zip(gradients(steps), factors, strict=True):
        optimizer.zero_grad()
        (p * np.array(grad, dtype)).sum().backward()
        optimizer.step(factor)
        seen.append(p.numpy().tolist())
    assert p.dtype == dtype
    return seen


def sgd_longhand(start, grads, factors, lr, momentum, weight_decay, nesterov):
    p, v, seen = start, 0.0, []
    for grad, factor in zip(grads, factors, strict=True):
        g = grad + weight_decay * p
        v = momentum * v + g
        p = p - lr * factor * (g + momentum * v if nesterov else v)
        seen.append(p)
    return seen


def adam_longhand(start, grads, factors, lr, betas, eps, weight_decay, decoupled):
    p, m, s, seen = start, 0.0, 0.0, []
    for t, (grad, factor) in enumerate(zip(grads, factors, strict=True), start=1):
        g = grad if decoupled else grad + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        s = betas[1] * s + (1 - betas[1]) * g * g
        m_hat, s_hat = m / (1 - betas[0] ** t), s / (1 - betas[1] ** t)
        step = m_hat / (math.sqrt(s_hat) + eps)
        p = p - lr * factor * (step + (weight_decay * p if decoupled else 0))
        seen.append(p)
    return seen


FACTORS = [1.0, 0.5, 0.25, 1.0, 0.0]


@given(momentum=unit, weight_decay=decay, nesterov=st.booleans())
def test_sgd_longhand(momentum, weight_decay, nesterov):
    settings = {
        "lr": 0.1, "momentum": momentum, "weight_decay": weight_decay,
        "nesterov": nesterov and momentum > 0,
    }
    seen = run(lambda ps: SGD(ps, **settings), 5, FACTORS)
    for i, start in enumerate((1.5, -0.25)):
        grads = [g[i] for g in gradients(5)]
        expected = sgd_longhand(start, grads, FACTORS, **settings)
        assert [s[i] for s in seen] == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(beta1=unit, beta2=unit, weight_decay=decay, decoupled=st.booleans())
def test_adam_longhand(beta1, beta2, weight_decay, decoupled):
    settings = {
        "lr": 0.1, "betas": (beta1, beta2), "eps": 1e-3, "weight_decay": weight_decay,
        "decoupled": decoupled,
    }
    seen = run(lambda ps: Adam(ps, **settings), 5, FACTORS)
    for i, start in enumerate((1.5, -0.25)):
        grads = [g[i] for g in gradients(5)]
        expected = adam_longhand(start, grads, FACTORS, **settings)
        assert [s[i] for s in seen] == pytest.approx(expected, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("make", [
    lambda ps: SGD(ps, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    lambda ps: Adam(ps, lr=0.1, weight_decay=0.1),
])
def test_float32_stays_float32(make):
    narrow, wide = (run(make, 5, FACTORS, dtype) for dtype in (np.float32, np.float64))
    assert np.array(narrow) == pytest.approx(np.array(wide), rel=1e-5)


@pytest.mark.parametrize("make", [
    lambda ps: SGD(ps, lr=0.1, momentum=0.9, weight_decay=0.1), lambda ps: Adam(ps, lr=0.1),
])
def test_parameters_without_gradient_do_not_move_and_scalars_do(make):
    still, scalar = Tensor([1.0], requires_grad=True), Tensor(2.0, requires_grad=True)
    optimizer = make([still, scalar])
    (scalar * 3.0).backward()
    optimizer.step()
    assert still.numpy().tolist() == [1]
    assert scalar.shape == ()
    assert scalar.item() < 2
    optimizer.zero_grad()
    assert scalar.grad is None


@pytest.mark.parametrize("make", [
    lambda ps: SGD(ps, lr=0.1, momentum=0.9), lambda ps: Adam(ps, lr=0.1),
])
def test_a_saved_state_goes_on_with_the_same_bits(make):
    def steps(p, optimizer, which):
        for t in which:
            optimizer.zero_grad()
            (p * np.float32(math.sin(t))).sum().backward()
            optimizer.step()

    p = Tensor(np.ones(3, np.float32), requires_grad=True)
    optimizer = make([p])
    steps(p, optimizer, range(3))
    q = Tensor(p.numpy(), requires_grad=True)
    saved = optimizer.state_dict()
    steps(p, optimizer, range(3, 6))
    resumed = make([q])
    resumed.load_state_dict(saved)
    steps(q, resumed, range(3, 6))
    assert q.numpy().tobytes() == p.numpy().tobytes()
    for name, array in resumed.state_dict().items():
        assert array.tobytes() == optimizer.state_dict()[name].tobytes()
        # A state taken earlier is a copy: the steps since have not changed it.
        assert array.tobytes() != saved[name].tobytes()


def test_a_state_of_another_optimiser_is_refused():
    p = Tensor(np.ones(3), requires_grad=True)
    adam = Adam([p])
    with pytest.raises(ValueError, match=r"Adam: saved state lacks 'mean\.0'"):
        adam.load_state_dict(SGD([p], lr=1.0).state_dict() | {"mean.1": np.zeros(3)})
    with pytest.raises(ValueError, match=r"unknown 'mean\.1'"):
        adam.load_state_dict(adam.state_dict() | {"mean.1": np.zeros(3)})
    with pytest.raises(ValueError, match=r"'square.0' is float64 \(2,\), must be float64 \(3,\)"):
        adam.load_state_dict(adam.state_dict() | {"square.0": np.zeros(2)})


@pytest.mark.parametrize("make", [
    lambda ps: SGD(ps, lr=0.0), lambda ps: SGD(ps, lr=0.1, momentum=1.0),
    lambda ps: SGD(ps, lr=0.1, weight_decay=-1.0), lambda ps: SGD(ps, lr=0.1, nesterov=True),
    lambda ps: Adam(ps, lr=-1.0), lambda ps: Adam(ps, betas=(0.9, 1.0)),
    lambda ps: Adam(ps, eps=0.0), lambda ps: Adam(ps, weight_decay=-1.0),
    lambda ps: SGD(ps, lr=math.nan),
])
def test_impossible_settings_are_refused(make):
    with pytest.raises(ValueError, match="must be"):
        make([Tensor([1.0], requires_grad=True)])
