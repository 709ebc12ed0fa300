"""Frozen networks against their programs, and freezing against exact rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.autograd import Tensor
from refnet.lower import lower
from refnet.nn import (
    AvgPool2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from refnet.program import SINT8, TERNARY, UINT8, ProgramError, run
from refnet.quant import (
    HalfWave,
    QuantConv2d,
    QuantInput,
    Quantize,
    QuantLinear,
    Uniform,
    freeze,
    run_frozen,
    trace_frozen,
)


def conv(rng, channels, filters, *, type=TERNARY, bias=True, dead=(), size=3, **geometry):
    """A convolution with random codes, scales of both signs and some dead filters."""
    shape = (filters, channels // geometry.get("groups", 1), size, size)
    latent = rng.integers(type.lo, type.hi + 1, shape).astype(float)
    latent[list(dead)] = 0
    scale = rng.choice([-1.0, 1.0], filters) * rng.uniform(0.01, 0.2, filters)
    offset = rng.normal(size=filters) if bias else None
    return QuantConv2d(latent, scale, offset, type=type, **geometry)


def linear(rng, features, classes, *, scales=1):
    latent = rng.integers(-127, 128, (classes, features)).astype(float)
    scale = rng.uniform(0.01, 0.02, scales)
    return QuantLinear(latent, scale, rng.normal(size=classes), type=SINT8)


def head(*shape):
    return QuantInput(Uniform(type=UINT8, scale=1 / 255), shape)


def networks(rng):
    """Networks that use every layer that freezes, by name."""
    residual = Residual(
        Sequential(conv(rng, 4, 6, padding=1), Quantize(HalfWave(2)), conv(rng, 6, 4, padding=1)),
        conv(rng, 4, 4, size=1),
    )
    identity = Residual(Sequential(conv(rng, 4, 4, padding=1, bias=False)))
    start = [head(2, 6, 6), conv(rng, 2, 4, type=SINT8, padding=1), Quantize(HalfWave(2))]
    return {
        "pools": Sequential(
            *start, AvgPool2d(2, padding=1), conv(rng, 4, 4, padding=1), MaxPool2d(3, padding=1),
            Quantize(HalfWave(2)), GlobalAvgPool2d(), Flatten(), linear(rng, 4, 3),
        ),
        "residual": Sequential(
            *start, residual, Quantize(HalfWave(2)), identity, Quantize(HalfWave(2)),
            Flatten(), linear(rng, 144, 3),
        ),
        "requantized": Sequential(
            *start, conv(rng, 4, 4, groups=2), Quantize(Uniform(type=SINT8, scale=0.02)),
            MaxPool2d(2),
            conv(rng, 4, 3, size=1), Flatten(), Quantize(Uniform(type=UINT8, scale=0.05)),
            linear(rng, 12, 3, scales=3),
        ),
        "one layer": Sequential(head(2, 6, 6), linear(rng, 72, 4)),
        "convolution last": Sequential(*start, GlobalAvgPool2d(), conv(rng, 4, 3, size=1)),
        "average of accumulators": Sequential(
            *start, conv(rng, 4, 4, dead=(1,), dilation=2, stride=(2, 1), padding=((1, 0), (2, 1))),
            GlobalAvgPool2d(), Quantize(HalfWave(2)), linear(rng, 4, 3)
        ),
        "flatten before the quantizer": Sequential(
            *start, conv(rng, 4, 4), MaxPool2d(2), Flatten(), Quantize(HalfWave(2)),
            linear(rng, 16, 3),
        ),
    }


NAMES = tuple(networks(np.random.default_rng(0)))


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 2**32))
def test_frozen_network_equals_its_program_at_every_step(name, seed):
    rng = np.random.default_rng(seed)
    net = networks(rng)[name]
    codes = rng.integers(0, 256, (3, 2, 6, 6)).astype(np.uint8)
    codes[0], codes[1] = 0, 255
    frozen = freeze(net)
    program = lower(frozen)
    scores, values = run(program, codes, trace=True)
    assert np.array_equal(run_frozen(frozen, codes), scores)
    steps = trace_frozen(frozen, codes)
    assert len(steps) == len(program.nodes)
    for node, step in zip(program.nodes, steps, strict=True):
        assert np.array_equal(values[node.name], step), node.name


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_batch_and_one_image(name):
    program = lower(freeze(networks(np.random.default_rng(4))[name]))
    codes = np.random.default_rng(5).integers(0, 256, (3, 2, 6, 6)).astype(np.uint8)
    assert run(program, codes[:0]).shape[0] == 0
    assert np.array_equal(run(program, codes)[1:2], run(program, codes[1:2]))


@given(seed=st.integers(0, 2**32))
def test_thresholds_are_the_exact_real_boundary(seed):
    """Codes behind a convolution equal those of its real response in rational arithmetic."""
    rng = np.random.default_rng(seed)
    quantizer = HalfWave(2, None, float(rng.uniform(0.2, 2)))
    layer = conv(rng, 1, 3, size=1, dead=(2,))
    net = Sequential(head(1, 2, 2), layer, Quantize(quantizer), Flatten(), linear(rng, 12, 2))
    codes = rng.integers(0, 256, (2, 1, 2, 2)).astype(np.uint8)
    got = trace_frozen(freeze(net), codes)[1]
    step = Fraction(net[0].quantizer.scale)
    for n, f, i, j in np.ndindex(got.shape):
        acc = int(layer.codes()[f, 0, 0, 0]) * int(codes[n, 0, i, j])
        scale = Fraction(float(layer.scale.numpy()[f]) * float(step))
        real = scale * acc + Fraction(float(layer.bias.numpy()[f]))
        want = sum(real > Fraction(float(t)) for t in quantizer.thresholds)
        assert got[n, f, i, j] == want


def test_a_network_on_the_grid_agrees_with_its_real_arithmetic():
    rng = np.random.default_rng(0)
    net = networks(rng)["pools"].astype(np.float64).eval()
    codes = rng.integers(0, 256, (20, 2, 6, 6)).astype(np.uint8)
    real = net(Tensor(codes / 255.0)).numpy()
    scores = run(lower(freeze(net)), codes)
    scale = float(net[-1].scale.numpy()[0]) * HalfWave(2).delta / 4
    # Off by the rounding of the integer bias only: half a step of the scores.
    assert np.max(np.abs(real - scores * scale)) <= scale * (0.5 + 1e-6)


def test_dead_filters_and_zero_scales_freeze_to_constants():
    rng = np.random.default_rng(0)
    layer = QuantConv2d(
        np.ones((2, 1, 1, 1)), np.array([0.0, 1.0]), np.array([9.0, 0.0]), type=TERNARY
    )
    net = Sequential(head(1, 1, 1), layer, Quantize(HalfWave(2)), linear(rng, 2, 2))
    codes = trace_frozen(freeze(net), np.array([[[[0]]], [[[255]]]]))[1]
    assert codes[:, 0].ravel().tolist() == [3, 3]


REFUSED = {
    "must be a Sequential that begins with QuantInput": lambda rng: Sequential(ReLU()),
    "ReLU has no integer form": lambda rng: Sequential(head(1, 2, 2), ReLU()),
    "Conv2d has no integer form": lambda rng: Sequential(head(1, 2, 2), Conv2d(1, 1, 1, rng=rng)),
    "has no quantizer before it": lambda rng: Sequential(
        head(1, 4, 4), conv(rng, 1, 2), conv(rng, 2, 2, size=1)
    ),
    "ends in a pool without a quantizer": lambda rng: Sequential(
        head(1, 4, 4), conv(rng, 1, 2), MaxPool2d(2)
    ),
    "no quantizer between it and the pool": lambda rng: Sequential(
        head(1, 4, 4), conv(rng, 1, 2), MaxPool2d(2), GlobalAvgPool2d()
    ),
    "a branch of Residual ends in a pool": lambda rng: Sequential(
        head(1, 4, 4),
        Residual(Sequential(conv(rng, 1, 2), MaxPool2d(2)), conv(rng, 1, 2, size=4)),
    ),
    "AvgPool2d with padding needs a quantizer": lambda rng: Sequential(
        head(1, 4, 4), conv(rng, 1, 2), AvgPool2d(2, padding=1)
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_has_no_integer_form_is_refused_by_name(message):
    with pytest.raises(ValueError, match=message):
        freeze(REFUSED[message](np.random.default_rng(0)))


def test_lower_refuses_a_network_that_is_not_frozen():
    with pytest.raises(ValueError, match="begins with FrozenInput"):
        lower(networks(np.random.default_rng(0))["pools"])
    frozen = freeze(networks(np.random.default_rng(0))["one layer"])
    with pytest.raises(ValueError, match="ReLU has no operator"):
        lower(Sequential(*frozen, ReLU()))


def test_an_accumulator_that_could_overflow_is_refused():
    big = QuantLinear(np.full((1, 70000), 127.0), np.ones(1), None, type=SINT8)
    net = Sequential(head(1, 1, 70000), big)
    with pytest.raises(ProgramError, match="accumulator"):
        freeze(net)


def test_freezing_changes_nothing_and_is_repeatable():
    net = networks(np.random.default_rng(1))["residual"]
    before = net.state_dict()
    first, second = lower(freeze(net)), lower(freeze(net))
    assert first == second
    assert all(np.array_equal(before[k], v) for k, v in net.state_dict().items())
