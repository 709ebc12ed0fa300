"""Direct quantization and its named peers: what is put where, and one training instead of two."""

from dataclasses import replace

import numpy as np
import pytest

from refnet.autograd import Tensor
from refnet.cli import _methods
from refnet.compiler import Job, Recipe, Stage, run_job
from refnet.methods import METHODS, PEERS, Direct, compress, is_joint
from refnet.methods.base import LayerData, apply
from refnet.nn import Conv2d, Flatten, Linear, ReLU, Residual, Sequential, load
from refnet.quant import (
    BWN,
    TTQ,
    TWN,
    FakeQuantConv2d,
    FakeQuantLinear,
    HalfWave,
    LQActivations,
    Quantize,
    Ternary,
)

every = pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)


def layer_data(layer, shape, rng):
    inputs = rng.normal(size=(20, *shape)).astype(np.float32)
    return LayerData(inputs=inputs, targets=apply(layer, inputs), quantizer=None)


def test_peers_have_the_names_of_the_literature_and_methods_are_not_among_them():
    assert [peer.name for peer in PEERS] == [
        "direct", "twn", "ttq", "bwn", "hwgq", "dorefa", "lqnets",
    ]
    assert not {peer.name for peer in PEERS} & {make().name for make in METHODS}
    assert all(is_joint(peer) for peer in PEERS)
    assert not any(is_joint(make()) for make in METHODS)
    pairs = {peer.name: (peer.weights, peer.activations) for peer in PEERS}
    assert pairs["direct"] == (Ternary(), HalfWave(2))
    assert pairs["twn"] == (TWN(), HalfWave(2, 0.5))
    assert pairs["ttq"][0] == TTQ()
    assert pairs["hwgq"] == (BWN(), HalfWave(2, 0.5))


def test_the_command_line_knows_peers_by_name_and_runs_methods_by_default():
    assert [m.name for m in _methods("twn,twostep,twn")] == ["twn", "twostep"]
    assert [m.name for m in _methods(None)] == [make().name for make in METHODS]
    with pytest.raises(ValueError, match=r"'magic': exist twostep.*lqnets"):
        _methods("magic")


@every
def test_every_relu_becomes_a_fitted_quantizer_and_nothing_else_changes(peer):
    rng = np.random.default_rng(0)
    net = Sequential(
        Conv2d(1, 4, 3, padding=1, rng=rng), ReLU(),
        Residual(Sequential(Conv2d(4, 4, 3, padding=1, rng=rng), ReLU()), Conv2d(4, 4, 1, rng=rng)),
        ReLU(), Flatten(), Linear(4 * 36, 3, rng=rng),
    ).eval()
    x = rng.normal(size=(8, 1, 6, 6)).astype(np.float32)
    prepared = peer.prepare(net, x)
    kinds = [type(layer).__name__ for _, layer in net.walk()]
    assert [type(layer).__name__ for _, layer in prepared.walk()] == [
        "Quantize" if kind == "ReLU" else kind for kind in kinds
    ]
    first = prepared[1]
    assert first.quantizer == peer.activations.fit(net[0](Tensor(x)).numpy())
    # What a later quantizer sees has passed those before it.
    behind = Sequential(*list(prepared)[:3])(Tensor(x)).numpy()
    assert prepared[3].quantizer == peer.activations.fit(behind)
    again = peer.prepare(prepared, x)
    assert all(
        a.quantizer == b.quantizer
        for a, b in zip(again, prepared, strict=True) if isinstance(a, Quantize)
    )


@every
def test_a_layer_keeps_its_weights_as_latents_and_its_geometry(peer):
    rng = np.random.default_rng(1)
    conv = Conv2d(4, 6, (3, 2), stride=2, padding=(1, 0), dilation=(1, 2), groups=2, rng=rng)
    new, _ = peer.compress_layer(conv, layer_data(conv, (4, 7, 8), rng), rng)
    assert isinstance(new, FakeQuantConv2d)
    assert np.array_equal(new.latent.numpy(), conv.weight.numpy())
    assert (new.stride, new.padding, new.dilation, new.groups) == (
        conv.stride, conv.padding, conv.dilation, conv.groups
    )
    assert not new.training
    linear = Linear(5, 3, bias=False, rng=rng)
    other, _ = peer.compress_layer(linear, layer_data(linear, (5,), rng), rng)
    assert isinstance(other, FakeQuantLinear)
    # Latents are copies: training one does not change the other.
    new.latent.assign(np.zeros_like(new.latent.numpy()))
    assert conv.weight.numpy().any()


@every
def test_responses_have_the_means_and_deviations_of_the_original(peer):
    rng = np.random.default_rng(2)
    conv = Conv2d(3, 5, 3, rng=rng)
    conv.bias.assign(rng.normal(size=5).astype(np.float32))
    data = layer_data(conv, (3, 9, 9), rng)
    y = apply(peer.compress_layer(conv, data, rng), data.inputs).astype(np.float64)
    # binary32 sums of 27 products and the batch norm's epsilon: its 1e-5 beside variances that are
    # at least 0.05 here shifts a deviation by 1e-4 of itself at most.
    assert y.mean(axis=(0, 2, 3)) == pytest.approx(data.targets.mean(axis=(0, 2, 3)), abs=1e-5)
    assert y.std(axis=(0, 2, 3)) == pytest.approx(data.targets.std(axis=(0, 2, 3)), rel=2e-4)


@every
def test_filters_that_died_are_named_by_every_rule(peer):
    rng = np.random.default_rng(0)
    layers = [Conv2d(1, 2, 1, rng=rng), ReLU(), Conv2d(2, 3, 1, rng=rng), ReLU()]
    net = Sequential(*layers, Flatten(), Linear(12, 2, rng=rng))
    weight = layers[2].weight.numpy().copy()
    weight[1] = 0
    layers[2].weight.assign(weight)
    x = rng.uniform(size=(9, 1, 2, 2)).astype(np.float32)
    _, report = compress(net, peer, x, rng=rng)
    assert report.dead_filters == {"3": (1,)}


def test_a_threshold_that_kills_a_filter_is_reported():
    rng = np.random.default_rng(0)
    middle = Conv2d(2, 2, 1, rng=rng)
    middle.weight.assign(np.array([[1, -1], [3, 1]], np.float32).reshape(2, 2, 1, 1))
    net = Sequential(
        Conv2d(1, 2, 1, rng=rng), ReLU(), middle, ReLU(), Flatten(), Linear(8, 2, rng=rng)
    )
    harsh = Direct(name="harsh", weights=TWN(factor=1.0), activations=HalfWave(2))
    x = rng.uniform(size=(9, 1, 2, 2)).astype(np.float32)
    _, report = compress(net, harsh, x, rng=rng)
    assert report.dead_filters == {"3": (0,)}


def test_the_job_trains_direct_methods_once_for_the_sum_of_the_epochs(tmp_path):
    digits = load("digits")
    data = replace(
        digits, train_images=digits.train_images[:100], train_labels=digits.train_labels[:100],
        test_images=digits.test_images[:40], test_labels=digits.test_labels[:40],
    )
    stage = Stage(epochs=1)
    recipe = Recipe(
        filters=(4, 6, 6), batch_size=50, real=stage, codes=Stage(epochs=2), tune=stage
    )
    learned = next(peer for peer in PEERS if peer.name == "lqnets")
    job = Job(
        data=data, methods=(learned,), recipe=recipe, seed=0, architectures=(), out=tmp_path,
        progress=False,
    )
    result = run_job(job, lambda line: None).methods[0]
    assert [(name, log.epochs) for name, log in result.logs] == [("tune", 3)]
    assert [name for name, _ in result.stages] == [
        "float", "compressed, integer program", "fine-tuned, integer program",
    ]
    assert result.agreement.network_vs_program == result.agreement.program_vs_kernels == 0
    assert not (tmp_path / "checkpoints" / "lqnets-codes.npz").exists()
    # A checkpoint holds the bases: the same job ends at once and with the same program.
    again = run_job(job, lambda line: None).methods[0]
    assert again.program == result.program
    moved = result.activations[0].quantizer
    assert isinstance(moved, LQActivations)
