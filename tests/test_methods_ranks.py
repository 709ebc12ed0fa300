"""What decompositions cost, and the choice of ranks for a whole network."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refnet.autograd import Tensor
from refnet.methods.chains import chain, kernels_of
from refnet.methods.costs import LayerShape, Ranks, macs, ranks_within, weights
from refnet.methods.ranks import (
    DENSE,
    Candidate,
    candidates,
    choose,
    count_macs,
    count_weights,
    energy_ranks,
)
from refnet.methods.terms import block_term
from refnet.nn import Conv2d, Linear

# VGG-16: input channels, filters and map of each 3x3 convolution; then the three linear layers.
VGG16 = (
    (3, 64, 224), (64, 64, 224), (64, 128, 112), (128, 128, 112), (128, 256, 56), (256, 256, 56),
    (256, 256, 56), (256, 512, 28), (512, 512, 28), (512, 512, 28), (512, 512, 14),
    (512, 512, 14), (512, 512, 14),
)  # fmt: skip
LINEAR = 25088 * 4096 + 4096 * 4096 + 4096 * 1000
SHAPES = [LayerShape(S=s, T=t, P=9, inputs=n * n, outputs=n * n) for s, t, n in VGG16]
DENSE_MACS = sum(shape.macs for shape in SHAPES)


def decomposed_macs(ratio, R):
    """All convolutions but the first with total ranks ratio * S and ratio * T in R terms."""
    return SHAPES[0].macs + sum(
        macs(shape, R, ratio * shape.S / R, ratio * shape.T / R) for shape in SHAPES[1:]
    )


def test_multiply_accumulates_of_vgg16():
    assert DENSE_MACS == 15_346_630_656
    assert round(LINEAR / 1e9, 3) == 0.124
    assert round(DENSE_MACS / decomposed_macs(0.5, 8), 2) == 6.57


@pytest.mark.parametrize(
    ("ratio", "speedups"),
    [
        (1.00, (0.81, 1.36, 2.04, 2.73, 3.29)),
        (0.75, (1.35, 2.16, 3.08, 3.92, 4.54)),
        (0.50, (2.67, 3.98, 5.27, 6.29, 6.96)),
        (0.33, (5.09, 7.00, 8.62, 9.74, 10.42)),
    ],
)
def test_whole_network_speedups_of_vgg16(ratio, speedups):
    found = [
        (DENSE_MACS + LINEAR) / (decomposed_macs(ratio, R) + LINEAR) for R in (1, 2, 4, 8, 16)
    ]
    assert tuple(round(x, 2) for x in found) == speedups


def test_the_core_of_tucker_costs_as_many_times_more_as_there_are_terms():
    shape = LayerShape(S=64, T=64, P=9)
    outer = 2 * 64 * 32
    assert (weights(shape, 1, 32, 32) - outer) == 8 * (weights(shape, 8, 4, 4) - outer)


@pytest.mark.parametrize(
    ("layer", "ranks"),
    [
        (Conv2d(8, 12, 3, stride=2, padding=1, groups=2, rng=np.random.default_rng(0)), (2, 2, 3)),
        (Conv2d(6, 5, 1, stride=2, rng=np.random.default_rng(0)), (1, 3, 3)),
        (Linear(9, 7, rng=np.random.default_rng(0)), (1, 2, 2)),
    ],
)
def test_costs_are_what_the_layers_of_the_chain_have(layer, ranks):
    x = np.zeros((1, 9) if isinstance(layer, Linear) else (1, layer.weight.shape[1] * getattr(
        layer, "groups", 1), 9, 7), np.float32)
    shape = LayerShape.of(layer, x.shape, layer(Tensor(x)).shape)
    assert shape.weights == layer.weight.size
    parts = chain(
        layer, [block_term(K, *ranks, rng=np.random.default_rng(0)) for K in kernels_of(layer)]
    )
    total, y = 0, Tensor(x)
    for part in parts:
        y = part(y)
        total += part.weight.size * math.prod(y.shape[2:])
    assert macs(shape, *ranks) == total == count_macs("", shape, Ranks(R=ranks[0], s=ranks[1],
                                                                       t=ranks[2]))
    assert weights(shape, *ranks) == sum(part.weight.size for part in parts)


@given(
    S=st.integers(1, 40), T=st.integers(1, 40), P=st.sampled_from([1, 2, 9]),
    R=st.integers(1, 5), groups=st.integers(1, 3), stride=st.sampled_from([1, 4]),
    speedup=st.sampled_from([0.5, 1.0, 2.0, 7.5]),
)  # fmt: skip
def test_ranks_within_a_limit_fit_it_and_cannot_grow(S, T, P, R, groups, stride, speedup):
    shape = LayerShape(S=S, T=T, P=P, groups=groups, inputs=16 * stride, outputs=16)
    limit = shape.macs / speedup
    found = ranks_within(shape, R, limit)
    if found is None:
        assert macs(shape, R, 1, 1) > limit or (P == 1 and R > 1)
        return
    assert found.R == R
    assert 1 <= found.s <= min(S, found.t * P)
    assert 1 <= found.t <= min(T, found.s * P)
    assert macs(shape, R, found.s, found.t) <= limit
    if P > 1:
        for s, t in ((found.s + 1, found.t), (found.s, found.t + 1)):
            useful = s <= min(S, t * P) and t <= min(T, s * P)
            assert not useful or macs(shape, R, s, t) > limit


def random_layers(rng, count=3, options=4):
    shape = LayerShape(S=8, T=8, P=9)
    return {
        f"l{i}": (shape, [DENSE, *(
            Candidate(ranks=Ranks(R=1, s=int(rng.integers(1, 9)), t=int(rng.integers(1, 9))),
                      error=float(rng.uniform(0, 0.9)))
            for _ in range(options - 1)
        )]) for i in range(count)
    }  # fmt: skip


@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.3, 0.5, 0.8]))
@settings(max_examples=60)
def test_the_choice_is_the_optimum_over_every_combination(seed, share):
    """To the last bit; and it fits the budget whenever anything does."""
    layers = random_layers(np.random.default_rng(seed))
    every = list(itertools.product(*(options for _, options in layers.values())))

    def cost_of(combination):
        return sum(
            count_macs(name, shape, c.ranks)
            for (name, (shape, _)), c in zip(layers.items(), combination, strict=True)
        )

    budget = share * sum(shape.macs for shape, _ in layers.values())
    if min(map(cost_of, every)) > budget:
        with pytest.raises(ValueError, match="cheapest candidates"):
            choose(layers, budget)
        return
    found = tuple(choose(layers, budget).values())
    assert cost_of(found) <= budget
    best = min(sum(c.loss for c in combo) for combo in every if cost_of(combo) <= budget)
    assert sum(c.loss for c in found) == best


def test_costs_are_the_callers():
    layers = random_layers(np.random.default_rng(0))
    everything = sum(shape.weights for shape, _ in layers.values())
    assert all(c is DENSE for c in choose(layers, everything, cost=count_weights).values())

    def only_first(name, shape, ranks):
        return float(name == "l0") * count_macs(name, shape, ranks)

    found = choose(layers, 500, cost=only_first)
    assert found["l0"].ranks is not None
    assert found["l1"] is found["l2"] is DENSE


def test_candidates_get_worse_as_they_get_cheaper_and_hold_tucker():
    rng = np.random.default_rng(0)
    kernels = [rng.normal(size=(10, 12, 9)) for _ in range(2)]
    shape = LayerShape(S=10, T=12, P=9, groups=2, inputs=4, outputs=4)
    speedups = (1.5, 3, 6)
    found = candidates(kernels, shape, blocks=(1, 2), speedups=speedups, rng=rng)
    assert found[0] == DENSE
    assert [c.error for c in found] == sorted(c.error for c in found)
    tucker = candidates(kernels, shape, blocks=(1,), speedups=speedups, rng=rng)
    assert all(a.error <= b.error for a, b in zip(found, tucker, strict=True))
    for c, speedup in zip(found[1:-1], speedups, strict=True):
        assert count_macs("", shape, c.ranks) * speedup <= shape.macs
    assert found[-1].ranks == Ranks(R=1, s=1, t=1)
    assert Candidate(ranks=None, error=1.0).loss < math.inf


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="R=0"):
        Ranks(R=0, s=1, t=1)
    with pytest.raises(ValueError, match="sizes >= 1"):
        LayerShape(S=0, T=1, P=1)
    with pytest.raises(ValueError, match="energy=0"):
        energy_ranks(np.ones((2, 2, 1)), 0)
    with pytest.raises(ValueError, match="no candidates"):
        choose({"a": (LayerShape(S=1, T=1, P=1), [])}, 1.0)
