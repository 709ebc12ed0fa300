"""Options of methods as one writes them, from a float network through fine-tuning to kernels."""

from dataclasses import replace

import numpy as np
import pytest

from refnet import kernels
from refnet.lower import lower
from refnet.methods import BlockTerm, Factorized, compress, planned
from refnet.methods.chains import kernels_of
from refnet.methods.costs import macs
from refnet.methods.naming import methods_of
from refnet.nn import (
    Adam,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    fold,
    load,
    train,
)
from refnet.program import UINT8, Conv, run
from refnet.quant import (
    QuantConv2d,
    QuantLinear,
    Uniform,
    absorb_batch_norm,
    freeze,
    insert_batch_norm,
    run_frozen,
)


@pytest.fixture(scope="module")
def digits():
    """A trained network with a dilated, a grouped and a linear layer between its edges."""
    whole, rng = load("digits"), np.random.default_rng(0)
    data = replace(
        whole, train_images=whole.train_images[:800], train_labels=whole.train_labels[:800],
        test_images=whole.test_images[:150], test_labels=whole.test_labels[:150],
    )
    net = Sequential(
        Conv2d(1, 12, 3, padding=1, rng=rng), BatchNorm2d(12), ReLU(),
        Conv2d(12, 12, 3, padding=2, dilation=2, rng=rng), BatchNorm2d(12), ReLU(), MaxPool2d(2),
        Conv2d(12, 32, 3, padding=1, groups=2, rng=rng), BatchNorm2d(32), ReLU(), MaxPool2d(2),
        Flatten(), Linear(128, 20, rng=rng), ReLU(), Linear(20, 10, rng=rng),
    )
    train(net, data, epochs=6, batch_size=32, rng=rng, progress=False)
    return fold(net).eval(), data


def compressed(net, data, method):
    images = data.calibration_of(200)
    return compress(
        net, method, images, rng=np.random.default_rng(0),
        input_quantizer=Uniform(type=UINT8, scale=data.scale),
    )


def accuracy_and_program(small, data):
    """After an epoch of fine-tuning; network, program and kernels give the same integers."""
    tuned = insert_batch_norm(small, data.calibration_of(200))
    train(tuned, data, epochs=1, batch_size=32, lr=1e-3, rng=np.random.default_rng(0),
          progress=False, optimizer=Adam)
    frozen = freeze(absorb_batch_norm(tuned))
    program = lower(frozen)
    scores = run(program, data.test_images)
    assert np.array_equal(run_frozen(frozen, data.test_images), scores)
    assert np.array_equal(kernels.compile(program)(data.test_images), scores)
    return np.mean(scores.argmax(axis=1) == data.test_labels), program


def pairs(small):
    """The first and the last layer of every factorized layer, and the codes between them."""
    return [(part[0], part[1], part[2]) for part in small if isinstance(part, Sequential)]


def inner(net):
    return [m for _, m in net.walk() if isinstance(m, Conv2d | Linear)][1:-1]


@pytest.mark.parametrize(
    ("text", "least"),
    [("factorized(bits=16)", 0.75), ("factorized(k=3)", 0.3), ("factorized(error=0.5)", 0.75),
     ("factorized(cost=0.5)", 0.6)],
)
def test_options_of_factorized_reach_the_program(digits, text, least):
    net, data = digits
    (method,) = methods_of(text)
    small, _ = compressed(net, data, method)
    parts = pairs(small)
    assert len(parts) == 3
    for layer, (first, codes, last) in zip(inner(net), parts, strict=True):
        groups = getattr(layer, "groups", 1)
        k = len(first.latent.numpy()) // groups
        kernels = [K.transpose(1, 0, 2).reshape(K.shape[1], -1) for K in kernels_of(layer)]
        assert last.latent.shape[1] == k
        assert codes.quantizer.type.bits == method.bits
        assert k <= max(method.components(W) for W in kernels)
        if method.k or method == Factorized(bits=16):
            assert k == (method.k or min(kernels[0].shape))
        if method.cost:
            m, n = kernels[0].shape
            assert k * (m + n) <= method.cost * m * n
        if isinstance(layer, Conv2d):
            assert (first.dilation, first.groups) == (layer.dilation, layer.groups)
    accuracy, program = accuracy_and_program(small, data)
    assert accuracy > least
    # The codes of 16 bits are those of the program too, between two convolutions.
    wide = [n for n in program.nodes if program.types[n.name].type.bits == method.bits
            and program.types[n.name].type.lo < 0 and not isinstance(n.op, Conv)]
    assert len(wide) >= 3


@pytest.mark.parametrize(
    ("text", "least"),
    [("blockterm(speedup=1.5)", 0.6), ("blockterm(rule=vbmf)", 0.1),
     ("blockterm(rule=energy, speedup=1.5)", 0.6), ("blockterm(rule=uniform, speedup=1.5)", 0.6),
     ("blockterm(cost=weights, speedup=1.5)", 0.6),
     ("blockterm(speedup=1.5)+twostep(weight_bits=8)", 0.3)],
)
def test_options_of_block_terms_reach_the_program(digits, text, least):
    net, data = digits
    (method,) = methods_of(text)
    method = planned(method, net, data.calibration_of(200), rng=np.random.default_rng(0))
    small, report = compressed(net, data, method)
    check_choices(net, small, report)
    assert any(c.ranks for c in report.choices)
    assert accuracy_and_program(small, data)[0] > least


def check_choices(net, small, report):
    """Layers are those of the choices: groups, dilation, two layers of a linear one."""
    found = [m for _, m in small.walk() if isinstance(m, QuantConv2d | QuantLinear)]
    layers = [m for _, m in net.walk() if isinstance(m, Conv2d | Linear)]
    at = 0
    for layer, choice in zip(layers, report.choices, strict=True):
        parts, at = found[at : at + choice.factors], at + choice.factors
        if isinstance(layer, Conv2d):
            middle = parts[len(parts) // 2]
            R = 1 if choice.ranks is None else choice.ranks.R
            assert (middle.groups, middle.dilation) == (layer.groups * R, layer.dilation)
        else:
            assert all(isinstance(part, QuantLinear) for part in parts)
    assert at == len(found)


def test_a_cost_that_the_caller_tells_chooses_ranks(digits):
    """A machine that needs clocks for every layer that it begins, beside its operations."""
    net, data = digits
    asked = set()

    def latency(name, shape, ranks):
        asked.add(name)
        if ranks is None:
            return 2000 + shape.macs
        return (2 if shape.P == 1 else 3) * 2000 + macs(shape, ranks.R, ranks.s, ranks.t)

    images, rng = data.calibration_of(200), np.random.default_rng(0)
    method = planned(BlockTerm(cost=latency, speedup=1.5), net, images, rng=rng)
    small, report = compressed(net, data, method)
    assert asked == {choice.name for choice in report.choices}
    assert any(choice.ranks for choice in report.choices)
    clocks = sum(latency(c.name, c.shape, c.ranks) for c in report.choices)
    assert clocks * 1.5 <= sum(latency(c.name, c.shape, None) for c in report.choices)
    check_choices(net, small, report)
    assert accuracy_and_program(small, data)[0] > 0.5
