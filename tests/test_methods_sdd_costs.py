"""Costs by shapes: the published ratios, and counts by hand."""

import math

import numpy as np
import pytest

from refnet.methods import Factorized, TwoStep, compress
from refnet.methods.sdd_costs import LayerCost, NetworkCost, measured, network_cost
from refnet.nn import Conv2d, Flatten, Linear, ReLU, Residual, Sequential
from refnet.quant import absorb_batch_norm, insert_batch_norm


def conv(name, channels, filters, size, output, k):
    return LayerCost(name=name, m=filters, n=channels * size**2, k=k, positions=output**2)


def classifier(inputs, ranks):
    """The three linear layers of AlexNet and VGG-16."""
    sizes = (inputs, 4096, 4096, 1000)
    return [
        LayerCost(name=f"fc{i}", m=m, n=n, k=k)
        for i, (n, m, k) in enumerate(zip(sizes[:-1], sizes[1:], ranks, strict=True), start=6)
    ]


def vgg16(last):
    """Factored but for conv1_1; k = min(m, n), and 3072 for the first two linear layers."""
    plan = [(3, 64, 224), (64, 64, 224), (64, 128, 112), (128, 128, 112), (128, 256, 56),
            (256, 256, 56), (256, 256, 56), (256, 512, 28), (512, 512, 28), (512, 512, 28),
            (512, 512, 14), (512, 512, 14), (512, 512, 14)]
    convs = [conv(f"conv{i}", c, f, 3, p, f if i else None) for i, (c, f, p) in enumerate(plan)]
    return NetworkCost(layers=(*convs, *classifier(25088, (3072, 3072, last))))


def alexnet(last):
    """One tower with batch norm."""
    plan = [(3, 96, 11, 55), (96, 256, 5, 27), (256, 384, 3, 13), (384, 384, 3, 13),
            (384, 256, 3, 13)]
    convs = [
        conv(f"conv{i}", c, f, s, p, f if i else None) for i, (c, f, s, p) in enumerate(plan)
    ]
    return NetworkCost(layers=(*convs, *classifier(9216, (3072, 3072, last))))


def test_vgg16_by_shapes():
    assert vgg16(None).factored.fewer_multiplications == pytest.approx(1487, abs=0.5)
    assert vgg16(None).factored.compression() == pytest.approx(16.3, abs=0.05)
    assert vgg16(1000).compression() == pytest.approx(16.2, abs=0.05)
    assert vgg16(1000).compression(8 / 5) == pytest.approx(20.2, abs=0.05)
    convs = vgg16(None).layers[:13]
    assert sum(row.dense_macs for row in convs) == 15_346_630_656


def test_alexnet_by_shapes():
    assert alexnet(None).factored.fewer_multiplications == pytest.approx(2804, abs=0.5)
    assert alexnet(1000).compression() == pytest.approx(13.1, abs=0.05)
    assert alexnet(1000).compression(8 / 5) == pytest.approx(16.4, abs=0.05)


def test_counts_of_a_layer_by_hand():
    row = LayerCost(name="c", m=4, n=6, k=3, positions=5, groups=2)
    assert (row.dense_macs, row.trits, row.scales) == (240, 60, 6)
    assert (row.additions, row.multiplications) == (300, 30)
    assert row.bits() == 60 * 2 + 6 * 32
    assert row.bits(8 / 5) == pytest.approx(60 * 1.6 + 6 * 32)
    dense = LayerCost(name="d", m=4, n=6, k=None, positions=5)
    assert (dense.additions, dense.multiplications, dense.bits()) == (120, 120, 768)


def test_costs_from_codes():
    X, Y = np.array([[1, 0], [0, -1]]), np.array([[1, 1], [0, 0], [-1, 0], [0, 0]])
    row = measured("c", [(X, Y), (X, Y)], positions=10)
    assert (row.m, row.n, row.k, row.groups) == (2, 4, 2, 2)
    assert row.nonzero == pytest.approx(5 / 12)
    shares = np.array([2, 7, 3]) / 12
    assert row.entropy_bits == pytest.approx(-np.sum(shares * np.log2(shares)))
    assert row.additions_without_zeros == pytest.approx(2 * 5 * 10)
    only = measured("z", [(np.zeros((2, 1)), np.zeros((3, 1)))])
    assert (only.nonzero, only.entropy_bits) == (0, 0)


def test_rows_and_refusals():
    rows = vgg16(None).as_rows()
    assert len(rows) == 16
    assert rows[1]["bits_packed"] < rows[1]["bits"]
    assert rows[1]["bits_entropy"] < rows[1]["bits_packed"] * math.log2(3)
    with pytest.raises(ValueError, match="rule"):
        LayerCost(name="c", m=0, n=1, k=1)
    with pytest.raises(ValueError, match="rule"):
        LayerCost(name="c", m=1, n=1, k=0)


def test_costs_of_a_compressed_network_add_up_to_its_report():
    rng = np.random.default_rng(0)
    net = Sequential(
        Conv2d(1, 4, 3, padding=1, rng=rng), ReLU(),
        Conv2d(4, 6, 3, stride=2, groups=2, rng=rng), ReLU(),
        Residual(Sequential(Conv2d(6, 6, 1, rng=rng))), ReLU(),
        Flatten(), Linear(24, 8, rng=rng), ReLU(), Linear(8, 3, rng=rng),
    )
    x = rng.uniform(size=(10, 1, 5, 5)).astype(np.float32)
    small, report = compress(net, Factorized(k=2), x, rng=rng)
    cost = network_cost(small, x[:1])
    assert [row.k for row in cost.layers] == [None, 2, 2, 2, None]
    assert [row.groups for row in cost.layers] == [1, 2, 1, 1, 1]
    assert [row.positions for row in cost.layers] == [25, 4, 4, 1, 1]
    # Fine-tuning leaves the same layers, but flat.
    flat = network_cost(absorb_batch_norm(insert_batch_norm(small, x)), x[:1])
    assert [(row.k, row.m, row.n) for row in flat.layers] == [
        (row.k, row.m, row.n) for row in cost.layers
    ]
    assert flat.as_dict()["layers"][1]["bits"] == cost.layers[1].bits()
    assert flat.as_dict()["multiplications"] == sum(row.multiplications for row in cost.layers)
    trits = sum(row.trits for row in cost.layers)
    kept = sum(row.bits() for row in cost.layers if row.k is None)
    assert report.weight_bits == 2 * trits + kept
    weights = sum(row.groups * row.m * row.n for row in cost.layers)
    assert report.weights == weights


def test_two_ternary_layers_of_their_own_are_no_factorized_one():
    rng = np.random.default_rng(0)
    net = Sequential(*(
        part for _ in range(4)
        for part in (Conv2d(2, 2, 3, padding=1, rng=rng), ReLU())
    ), Flatten(), Linear(32, 2, rng=rng))
    x = rng.uniform(size=(10, 2, 4, 4)).astype(np.float32)
    prepared = TwoStep().prepare(net, x)
    small, _ = compress(prepared, TwoStep(), x, rng=rng)
    assert [row.k for row in network_cost(small, x[:1]).layers] == [None] * 5
