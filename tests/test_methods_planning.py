"""Ranks for a whole network from one target: met, monotone, the same each time, refused by name."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
from refnet.methods import BlockTerm, compress, planned
from refnet.methods.knapsack import cheapest_loss
from refnet.methods.planning import RULES, Target, plan
from refnet.methods.ranks import choose
from refnet.nn import Conv2d, Flatten, GlobalAvgPool2d, Linear, ReLU, Sequential

X = np.random.default_rng(8).uniform(size=(3, 1, 6, 6)).astype(np.float32)


def network(widths=(6, 8, 6), kernels=(3, 3, 1), groups=1, seed=0):
    rng = np.random.default_rng(seed)
    layers, channels = [Conv2d(1, widths[0], 3, padding=1, rng=rng), ReLU()], widths[0]
    for width, kernel in zip(widths[1:], kernels, strict=False):
        layers += [
            Conv2d(channels, width, kernel, padding=kernel // 2, groups=groups, rng=rng), ReLU()
        ]
        channels = width
    return Sequential(*layers, GlobalAvgPool2d(), Flatten(), Linear(channels, 3, rng=rng)).eval()


def planned_for(net, target, seed=0):
    return plan(net, X, target, rng=np.random.default_rng(seed))


def best_speedup(net, target):
    """What the refusal of an absurd target says is possible, rounded down."""
    with pytest.raises(ValueError, match="speedup at most") as refused:
        planned_for(net, replace(target, speedup=1e6))
    return 0.999 * float(str(refused.value).rsplit(" ", 1)[1])


def loss(choices):
    return sum(-math.log(max(1 - c.error**2, 1e-300)) for c in choices)


@given(
    seed=st.integers(0, 50), speedup=st.sampled_from([1, 1.3, 2, 2.5]),
    widths=st.lists(st.integers(2, 9), min_size=3, max_size=5), cost=st.sampled_from(
        ["macs", "weights"]), rule=st.sampled_from(["error", "energy"]),
)  # fmt: skip
@settings(max_examples=15, deadline=None)
def test_the_target_is_met_or_refused_and_the_same_seed_chooses_the_same(
    seed, speedup, widths, cost, rule
):
    net = network(tuple(widths), (3,) * len(widths), seed=seed)
    target = Target(speedup=speedup, cost=cost, rule=rule, blocks=(1, 2))

    def total(choice):
        r = choice.ranks
        if r is None:
            return choice.shape.macs if cost == "macs" else choice.shape.weights
        times = (1, 1) if cost == "weights" else (choice.shape.inputs, choice.shape.outputs)
        inner = r.R * (r.s * r.t * choice.shape.P + r.t * choice.shape.T)
        return r.R * r.s * choice.shape.S * times[0] + inner * times[1]

    def dense(choice):
        return choice.shape.macs if cost == "macs" else choice.shape.weights

    possible = best_speedup(net, target)
    if possible < speedup:
        with pytest.raises(ValueError, match="speedup at most"):
            planned_for(net, target)
        return
    found = planned_for(net, target)
    assert sum(map(total, found)) * speedup <= sum(map(dense, found)) * (1 + 1e-12)
    assert [c.ranks for c in (found[0], found[-1])] == [None, None]
    assert planned_for(net, target) == found


def test_a_higher_target_never_has_less_loss_and_one_leaves_all_dense():
    net = network()
    losses = [
        loss(planned_for(net, Target(speedup=s, blocks=(1, 2)))) for s in (1, 1.2, 1.5, 2, 2.5, 3)
    ]
    assert losses == sorted(losses)
    assert losses[0] == 0
    assert losses[-1] > 0
    assert all(c.ranks is None for c in planned_for(net, Target(speedup=1)))


def test_more_numbers_of_terms_never_hurt():
    net = network()
    few, many = (
        loss(planned_for(net, Target(speedup=2, blocks=blocks))) for blocks in ((1,), (1, 2, 4))
    )
    assert many <= few


def test_an_impossible_target_is_refused_with_the_names_and_what_can_be():
    net = network()
    with pytest.raises(ValueError, match=r"speedup=99 in macs.* 2, 4 .*of which 0, 8 that stay"):
        planned_for(net, Target(speedup=99))
    best = best_speedup(net, Target())
    found = planned_for(net, Target(speedup=best))
    assert all(c.ranks is not None for c in found[1:-1])
    with pytest.raises(ValueError, match="speedup at most"):
        planned_for(net, Target(speedup=best * 1.002))
    with pytest.raises(ValueError, match=r"target 10 \(budget in weights\)"):
        planned_for(net, Target(budget=10, cost="weights"))
    # Without a target, the nearest that there is.
    found = planned_for(network((8, 8, 8), groups=8), Target())
    assert all(c.ranks is None for c in found)


@pytest.mark.parametrize("rule", RULES)
def test_networks_with_nothing_to_decompose_stay_as_they_are(rule):
    rng = np.random.default_rng(0)
    x = np.ones((2, 1, 2, 2), np.float32)
    one = Sequential(Flatten(), Linear(4, 3, rng=rng))
    two = Sequential(Flatten(), Linear(4, 5, rng=rng), ReLU(), Linear(5, 3, rng=rng))
    narrow = network((1, 1, 1))
    for net, images in ((one, x), (two, x), (narrow, X)):
        found = plan(net.eval(), images, Target(rule=rule), rng=rng)
        assert all(c.ranks is None and c.ratio == 1 for c in found)


def test_layers_that_are_grouped_already_get_ranks_for_each_group():
    found = planned_for(network((8, 8, 8), groups=2), Target(speedup=1.5))
    assert found[1].shape.groups == 2
    assert any(c.ranks for c in found)
    _, report = compress(
        network((8, 8, 8), groups=2), BlockTerm(speedup=1.5), X, rng=np.random.default_rng(0)
    )
    assert report.macs == sum(c.macs for c in report.choices)


def test_rules_that_look_at_one_layer():
    net = network((8, 12, 12))
    uniform = planned_for(net, Target(rule="uniform", speedup=2))
    assert all(c.ratio >= 2 for c in uniform if c.ranks)
    energy = planned_for(net, Target(rule="energy", speedup=1.5))
    assert {c.ranks.R for c in energy if c.ranks} == {1}
    best = planned_for(net, Target(speedup=1.5))
    assert loss(best) <= loss(energy)
    assert len(planned_for(net, Target(rule="vbmf"))) == 4


def test_the_callers_cost_decides():
    """Here the cycles of an output-stationary array of 16 x 16, by its closed form."""
    array = hwsim.presets.EDGE_16X16_OS

    def cycles(name, shape, ranks):
        parts = [(1, shape.outputs, shape.S * shape.P, shape.T)]
        if ranks is not None:
            R, s, t = ranks.R, ranks.s, ranks.t
            parts = [
                (1, shape.inputs, shape.S, R * s), (R, shape.outputs, s * shape.P, t),
                (1, shape.outputs, R * t, shape.T),
            ]
        return sum(
            g * -(-m // array.rows) * -(-n // array.columns) * (k + array.rows + array.columns - 2)
            for g, m, k, n in parts
        )

    net = network((8, 40, 40), (3, 3))
    found = planned_for(net, Target(speedup=1.2, cost=cycles))
    dense = sum(cycles(c.name, c.shape, None) for c in found)
    assert sum(cycles(c.name, c.shape, c.ranks) for c in found) * 1.2 <= dense
    # Sixteen rows and columns make many small groups dear: the choice is another one.
    assert found != planned_for(net, Target(speedup=1.2))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0])
def test_a_cost_that_is_none_is_refused_with_the_layer(bad):
    with pytest.raises(ValueError, match=r"cost of layer '2' with .*: .*finite and >= 0"):
        planned_for(network(), Target(cost=lambda name, *_: bad if name == "2" else 1.0))


def test_planning_twice_is_planning_once_and_other_methods_plan_nothing():
    net, rng = network(), np.random.default_rng(0)
    once = planned(BlockTerm(speedup=1.5), net, X, rng=rng)
    assert once.choices == planned_for(net, Target(speedup=1.5))
    assert planned(once, net, X, rng=rng) is once


@given(data=st.data())
@settings(max_examples=60)
def test_the_knapsack_is_the_best_of_every_combination(data):
    points = st.tuples(st.integers(0, 12), st.integers(0, 12))
    items = data.draw(st.lists(st.lists(points, min_size=1, max_size=4), min_size=1, max_size=4))
    every = [[]]
    for item in items:
        every = [[*some, i] for some in every for i in range(len(item))]
    totals = [tuple(sum(item[i][k] for item, i in zip(items, some, strict=True)) for k in (0, 1))
              for some in every]
    least = min(cost for cost, _ in totals)
    budget = data.draw(st.integers(least, least + 30))
    found = totals[every.index(cheapest_loss(items, budget))]
    assert found[0] <= budget
    assert found[1] == min(harm for cost, harm in totals if cost <= budget)


def test_nothing_to_choose_costs_nothing():
    assert choose({}, 0) == {}
