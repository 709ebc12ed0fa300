"""Cross entropy and accuracy against sums written out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.autograd import Tensor, check_gradient
from refnet.nn import accuracy, cross_entropy, distillation


def by_hand(logits, labels, smoothing):
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        log_sum = math.log(sum(math.exp(z) for z in row))
        for k, z in enumerate(row):
            share = smoothing / len(row) + (1 - smoothing if k == label else 0)
            total -= share * (z - log_sum)
    return total / len(logits)


@given(
    count=st.integers(1, 4), classes=st.integers(1, 5), seed=st.integers(0, 99),
    smoothing=st.sampled_from([0.0, 0.1, 0.9]),
)
def test_cross_entropy_by_hand(count, classes, seed, smoothing):
    rng = np.random.default_rng(seed)
    logits = 3 * rng.standard_normal((count, classes))
    labels = rng.integers(0, classes, count)
    loss = cross_entropy(Tensor(logits), labels, label_smoothing=smoothing)
    assert float(loss) == pytest.approx(by_hand(logits, labels, smoothing), rel=1e-12, abs=1e-12)


def test_cross_entropy_gradient_and_dtype():
    rng = np.random.default_rng(0)
    labels = np.array([0, 2, 2])
    check_gradient(
        lambda z: cross_entropy(z, labels, label_smoothing=0.1), rng.standard_normal((3, 4)),
        rng=rng,
    )
    logits = Tensor(np.zeros((3, 4), np.float32), requires_grad=True)
    loss = cross_entropy(logits, labels.astype(np.uint8))
    loss.backward()
    assert loss.dtype == logits.grad.dtype == np.float32
    assert logits.grad[1].tolist() == pytest.approx([1 / 12, 1 / 12, -1 / 4, 1 / 12])


def test_cross_entropy_of_huge_logits_is_finite():
    logits = Tensor(np.array([[1e4, -1e4]], np.float32))
    assert float(cross_entropy(logits, np.array([0]))) == 0
    assert float(cross_entropy(logits, np.array([1]))) == 2e4


def test_accuracy_takes_the_first_of_equal_logits():
    logits = np.array([[1, 1, 0], [0, 2, 2], [0, 0, 1], [3, 0, 0]])
    assert accuracy(logits, np.array([0, 1, 0, 0])) == 0.75
    assert accuracy(logits, np.array([1, 2, 0, 0])) == 0.25


@pytest.mark.parametrize(
    ("shape", "labels", "said"),
    [
        ((2, 3), np.array([0]), r"labels \(1,\)"),
        ((2, 3, 1), np.array([0, 1]), r"logits \(2, 3, 1\)"),
        ((0, 3), np.zeros(0, int), "not empty"),
        ((2, 3), np.array([0.0, 1.0]), "float64"),
        ((2, 3), np.array([0, 3]), r"in 0\.\.2"),
        ((2, 3), np.array([-1, 0]), r"lie in -1\.\.0"),
    ],
)
def test_losses_refuse(shape, labels, said):
    with pytest.raises(ValueError, match=said):
        cross_entropy(Tensor(np.zeros(shape)), labels)
    with pytest.raises(ValueError, match=said):
        accuracy(np.zeros(shape), labels)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, math.nan])
def test_label_smoothing_must_be_a_fraction(smoothing):
    with pytest.raises(ValueError, match="label_smoothing"):
        cross_entropy(Tensor(np.zeros((1, 2))), np.array([0]), label_smoothing=smoothing)


@given(seed=st.integers(0, 99), temperature=st.sampled_from([0.5, 1.0, 2.0, 4.0]))
def test_distillation_by_hand(seed, temperature):
    rng = np.random.default_rng(seed)
    logits, taught = 3 * rng.standard_normal((2, 3, 4))
    total = 0.0
    for own, other in zip(logits / temperature, taught / temperature, strict=True):
        log_sum = math.log(sum(math.exp(z) for z in own))
        odds = [math.exp(z) for z in other]
        total -= sum(o / sum(odds) * (z - log_sum) for o, z in zip(odds, own, strict=True))
    found = float(distillation(Tensor(logits), taught, temperature=temperature))
    assert found == pytest.approx(temperature**2 * total / 3, rel=1e-12)


def test_distillation_has_no_gradient_where_the_teacher_agrees():
    rng = np.random.default_rng(0)
    taught = rng.standard_normal((3, 4))
    check_gradient(lambda z: distillation(z, taught), rng.standard_normal((3, 4)), rng=rng)
    logits = Tensor(taught + 5, requires_grad=True)  # a constant changes no probability
    distillation(logits, taught).backward()
    assert np.abs(logits.grad).max() < 1e-15
    assert np.isfinite(float(distillation(Tensor(taught), 1e4 * taught)))


@pytest.mark.parametrize(
    ("logits", "taught", "temperature"),
    [((2, 3), (2, 4), 2), ((0, 3), (0, 3), 2), ((2, 3), (2, 3), 0)],
)
def test_distillation_refuses(logits, taught, temperature):
    with pytest.raises(ValueError, match="distillation"):
        distillation(Tensor(np.zeros(logits)), np.zeros(taught), temperature=temperature)
