"""Block terms as layers: the chain of three, its 8-bit form, the method, decomposed networks."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refnet.autograd import Tensor
from refnet.lower import lower
from refnet.methods import BlockTerm, LayerData, TwoStep, compress
from refnet.methods.activations import with_codes_between
from refnet.methods.als import reconstruct
from refnet.methods.base import apply
from refnet.methods.chains import chain, eight_bit_chain, kernels_of, weight_of
from refnet.methods.costs import Choice, Ranks
from refnet.methods.decompose import decompose
from refnet.methods.response import Response
from refnet.methods.walking import layer_shapes
from refnet.nn import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    ReLU,
    Residual,
    Sequential,
    fold,
)
from refnet.nn.models import small_convnet
from refnet.program import UINT8, run
from refnet.quant import QuantConv2d, Quantize, QuantLinear, Uniform, freeze, run_frozen

EPS = float(np.finfo(np.float64).eps)


def random_factors(rng, layer, R, s, t):
    groups = layer.groups if isinstance(layer, Conv2d) else 1
    S, T = layer.weight.shape[1], len(layer.weight.numpy()) // groups
    P = int(np.prod(layer.weight.shape[2:]))
    shapes = (R, S, s), (R, s, t, P), (R, T, t)
    return [tuple(rng.normal(size=n) for n in shapes) for _ in range(groups)]


def with_weight(layer, weight):
    new = layer.copy()
    new.weight.assign(weight)
    return new


def magnitude(layers, x):
    """What the chain gives if every weight and input is replaced by its magnitude."""
    for layer in layers:
        layer = layer.copy()
        layer.weight.assign(np.abs(layer.weight.numpy()))
        if layer.bias is not None:
            layer.bias.assign(np.abs(layer.bias.numpy()))
        x = apply(layer, np.abs(x))
    return x


@given(
    groups=st.sampled_from([1, 2, 3]), S=st.integers(1, 4), T=st.integers(1, 4),
    R=st.integers(1, 3), s=st.integers(1, 3), t=st.integers(1, 3),
    kernel=st.sampled_from([(1, 1), (3, 3), (1, 3), (5, 5), (2, 3)]),
    stride=st.sampled_from([1, 2, (2, 1)]), padding=st.sampled_from([0, 2, ((1, 0), (0, 2))]),
    dilation=st.sampled_from([1, 2]), bias=st.booleans(), seed=st.integers(0, 2**32),
)  # fmt: skip
@settings(max_examples=60)
def test_the_chain_is_the_dense_convolution_with_the_reconstructed_kernel(
    groups, S, T, R, s, t, kernel, stride, padding, dilation, bias, seed
):
    rng = np.random.default_rng(seed)
    layer = Conv2d(
        groups * S, groups * T, kernel, stride=stride, padding=padding, dilation=dilation,
        groups=groups, bias=bias, rng=rng,
    ).astype(np.float64)  # fmt: skip
    if bias:
        layer.bias.assign(rng.normal(size=groups * T))
    factors = random_factors(rng, layer, R, s, t)
    layers = chain(layer, factors)
    assert len(layers) == (2 if kernel == (1, 1) else 3)
    x = rng.normal(size=(2, groups * S, 10, 11))
    dense = apply(with_weight(layer, weight_of(layer, factors)), x)
    # Each of the three sums of n terms errs by at most n eps times the sum of magnitudes, on both
    # sides; scaling and storing a weight adds some roundings (Higham 2002, section 3.1).
    terms = S + s * np.prod(kernel) + R * t + 10
    assert np.all(np.abs(apply(layers, x) - dense) <= 2 * terms * EPS * magnitude(layers, x))


def test_a_linear_layer_becomes_two():
    rng = np.random.default_rng(0)
    layer = Linear(9, 7, rng=rng).astype(np.float64)
    factors = random_factors(rng, layer, 1, 3, 3)
    layers = chain(layer, factors, bias=np.arange(7.0))
    assert [type(m) for m in layers] == [Linear, Linear]
    x = rng.normal(size=(4, 9))
    dense = x @ weight_of(layer, factors).T + np.arange(7.0)
    assert np.allclose(apply(layers, x), dense, atol=1e-12)


def test_kernels_and_weight_are_inverse_of_each_other():
    rng = np.random.default_rng(0)
    layer = Conv2d(6, 4, 3, groups=2, rng=rng)
    kernels = kernels_of(layer)
    assert [K.shape for K in kernels] == [(3, 2, 9)] * 2
    exact = [(np.eye(3)[None], K[None], np.eye(2)[None]) for K in kernels]
    assert np.array_equal(weight_of(layer, exact), layer.weight.numpy())


def test_the_factors_of_a_chain_have_one_norm():
    rng = np.random.default_rng(0)
    layer = Conv2d(4, 4, 3, rng=rng).astype(np.float64)
    factors = [tuple(scale * f for scale, f in zip((1e-6, 1.0, 1e3), one, strict=True))
               for one in random_factors(rng, layer, 2, 2, 2)]
    norms = [np.linalg.norm(part.weight.numpy()) for part in chain(layer, factors)]
    assert np.ptp(norms) <= 1e-12 * max(norms)


@pytest.mark.parametrize("groups", [1, 2])
def test_eight_bits_stay_close_whatever_the_channels_ranges_are(groups):
    rng = np.random.default_rng(0)
    layer = Conv2d(8, 12, 3, padding=1, stride=2, groups=groups, rng=rng)
    factors = random_factors(rng, layer, 2, 2, 3)
    # Gauges of wildly different ranges, and a channel that is always zero.
    for A, G, _ in factors:
        A *= np.array([1e-3, 1e2])
        G /= np.array([1e-3, 1e2])[:, None, None]
        A[0, :, 0] = 0
    layers = chain(layer, factors)
    x = rng.integers(0, 256, (6, 8, 9, 9)).astype(np.float32) / 255
    exact, quantized = apply(layers, x), eight_bit_chain(layers, x)
    kinds = [type(m) for m in quantized]
    assert kinds == [QuantConv2d, Quantize, QuantConv2d, Quantize, QuantConv2d]
    # Two codes and three weights of 8 bits: each errs by at most 1/254 of its largest; in the mean
    # far less. A wrong scale anywhere gives an error of the order of 1.
    error = np.linalg.norm(apply(quantized, x) - exact) / np.linalg.norm(exact)
    assert error < 0.03


def data_for(layer, x, quantizer=None):
    return LayerData(inputs=x, targets=apply(layer, x), quantizer=quantizer)


def test_a_layer_that_is_a_sum_of_terms_is_answered_like_the_layer():
    rng = np.random.default_rng(1)
    layer = Conv2d(12, 16, 3, padding=1, rng=rng)
    layer.weight.assign(weight_of(layer, random_factors(rng, layer, 2, 2, 2)).astype(np.float32))
    x = rng.integers(0, 256, (8, 12, 6, 6)).astype(np.float32) / 255
    data = data_for(layer, x)
    new = BlockTerm(speedup=4, blocks=(1, 2)).compress_layer(layer, data, rng)
    error = np.linalg.norm(apply(new, x) - data.targets) / np.linalg.norm(data.targets)
    assert error < 0.02
    middle = new[2]
    assert middle.groups == 2
    assert middle.padding == layer.padding


@pytest.mark.parametrize(
    ("layer", "kinds"),
    [
        (Conv2d(8, 8, 3, groups=8, rng=np.random.default_rng(0)), 1),
        (Conv2d(1, 1, 3, rng=np.random.default_rng(0)), 1),
        (Conv2d(16, 16, 1, stride=2, padding=1, rng=np.random.default_rng(0)), 3),
        (Conv2d(12, 12, 3, groups=2, rng=np.random.default_rng(0)), 5),
    ],
)
def test_layers_that_no_terms_make_cheaper_stay_dense(layer, kinds):
    channels = layer.weight.shape[1] * layer.groups
    x = np.random.default_rng(1).uniform(size=(4, channels, 5, 5)).astype(np.float32)
    new = BlockTerm().compress_layer(layer, data_for(layer, x), np.random.default_rng(2))
    parts = list(new) if isinstance(new, Sequential) else [new]
    assert len(parts) == kinds
    assert apply(new, x).shape == apply(layer, x).shape


def test_the_report_names_dense_layers_and_counts_fewer_operations():
    rng = np.random.default_rng(0)
    net = Sequential(
        Conv2d(1, 8, 3, rng=rng), ReLU(), Conv2d(8, 8, 3, groups=8, rng=rng), ReLU(),
        Conv2d(8, 16, 3, rng=rng), ReLU(), Flatten(), Linear(64, 12, rng=rng), ReLU(),
        Linear(12, 3, rng=rng),
    )
    x = rng.uniform(size=(20, 1, 8, 8)).astype(np.float32)
    _, report = compress(net, BlockTerm(speedup=2.2), x, rng=rng)
    methods = [row.method for row in report.layers]
    assert methods == ["uniform 8-bit"] * 2 + ["blockterm"] * 5 + ["uniform 8-bit"]
    shapes = layer_shapes(net, x)
    assert [c.name for c in report.choices] == list(shapes)
    assert [c.shape for c in report.choices] == list(shapes.values())
    assert [c.factors for c in report.choices] == [1, 1, 3, 2, 1]
    assert report.macs == sum(c.macs for c in report.choices)
    assert report.macs * 2.2 <= sum(shape.macs for shape in shapes.values())
    rows, choices = report.as_dict()["layers"], report.as_dict()["choices"]
    assert choices[2]["macs"] == sum(row["macs"] for row in rows[2:5])
    assert choices[2]["mac_ratio"] == choices[2]["dense_macs"] / choices[2]["macs"]


def test_prepare_puts_codes_for_relus_and_behind_averages_and_is_idempotent():
    rng = np.random.default_rng(0)
    net = Sequential(
        Conv2d(1, 2, 3, rng=rng), ReLU(), Residual(Sequential(Conv2d(2, 2, 1, rng=rng), ReLU())),
        AvgPool2d(2), Conv2d(2, 2, 1, rng=rng), Conv2d(2, 3, 1, rng=rng), GlobalAvgPool2d(),
        Flatten(), Linear(3, 2, rng=rng),
    )
    x = rng.normal(size=(4, 1, 6, 6)).astype(np.float32)
    once = BlockTerm().prepare(net, x)
    kinds = [type(m) for _, m in once.walk()]
    assert kinds.count(Quantize) == 5
    assert ReLU not in kinds
    assert repr(BlockTerm().prepare(once, x)) == repr(once)
    assert sum(isinstance(m, ReLU) for _, m in net.walk()) == 2
    # 8-bit steps of the largest value, at five places in a row.
    assert np.allclose(apply(once.eval(), x), apply(net.eval(), x), atol=0.05)


def net_and_images(seed=0):
    rng = np.random.default_rng(seed)
    net = small_convnet(image_size=8, filters=(6, 12, 12), rng=rng)
    codes = rng.integers(0, 256, (30, 1, 8, 8)).astype(np.uint8)
    x = codes.astype(np.float32) / np.float32(255)
    for _ in range(20):
        net(Tensor(x))
    return net.eval(), codes, x


def with_ranks(net, x, ranks, **settings):
    """Block terms with ranks by the names of layers."""
    shapes = layer_shapes(fold(net), x)
    choices = tuple(
        Choice(name=n, shape=shape, ranks=ranks.get(n), error=0.0) for n, shape in shapes.items()
    )
    return BlockTerm(choices=choices, **settings)


def test_full_ranks_leave_the_float_network_what_it_was():
    net, _, x = net_and_images()
    shapes = layer_shapes(fold(net), x)
    assert list(shapes) == ["0", "2", "5", "9"]
    ranks = {n: Ranks(R=1, s=shapes[n].S, t=shapes[n].T) for n in ("2", "5")}
    for response in (None, Response()):
        method = with_ranks(net, x, ranks, response=response)
        small = decompose(net, method, x, rng=np.random.default_rng(0))
        assert [type(m).__name__ for _, m in small.walk()].count("Conv2d") == 7
        # float32 weights; two layers deep, sums of some hundred terms.
        assert np.allclose(apply(small, x), apply(net, x), atol=1e-4)
        assert all(p.requires_grad for p in small.parameters())


@pytest.mark.parametrize("seed", range(3))
def test_a_decomposed_float_network_answers_better_with_its_responses_reconstructed(seed):
    net, _, x = net_and_images(seed)
    ranks = {"2": Ranks(R=2, s=1, t=2), "5": Ranks(R=2, s=2, t=2)}
    missed = {}
    for response in (None, Response()):
        method = with_ranks(net, x, ranks, response=response)
        small = decompose(net, method, x, rng=np.random.default_rng(0))
        missed[response] = np.linalg.norm(apply(small, x) - apply(net, x))
    assert missed[Response()] < 0.8 * missed[None]


@pytest.mark.parametrize("method", [TwoStep(), BlockTerm(blocks=())], ids=["twostep", "8-bit"])
def test_methods_compose(method):
    net, codes, x = net_and_images()
    ranks = {"2": Ranks(R=2, s=2, t=3), "5": Ranks(R=3, s=2, t=2)}
    chosen = with_ranks(net, x, ranks)
    small = with_codes_between(decompose(net, chosen, x, rng=np.random.default_rng(0)), x)
    done, report = compress(
        small, method, x, rng=np.random.default_rng(1),
        input_quantizer=Uniform(type=UINT8, scale=1 / 255),
    )
    frozen = freeze(done)
    program = lower(frozen)
    assert np.array_equal(run_frozen(frozen, codes), run(program, codes))
    assert report.macs == program.work().macs
    assert len(report.layers) == 8
    assert any(getattr(node.op, "groups", 1) == 3 for node in program.nodes)
    bits = {layer.type.bits for _, layer in done.walk() if isinstance(layer, QuantConv2d)}
    assert bits == ({2, 8} if isinstance(method, TwoStep) else {8})


def test_decompose_refuses_ranks_that_are_none_and_choices_of_another_network():
    net, _, x = net_and_images()
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"layer '2': block_term: .* 1 <= s <= 6"):
        decompose(net, with_ranks(net, x, {"2": Ranks(R=1, s=7, t=1)}), x, rng=rng)
    short = replace(with_ranks(net, x, {}), choices=with_ranks(net, x, {}).choices[:2])
    with pytest.raises(ValueError, match="choices of 2 layers, layer number 2"):
        decompose(net, short, x, rng=rng)
    kept = decompose(net, with_ranks(net, x, {}), x, rng=rng)
    assert not any(isinstance(m, BatchNorm2d) for _, m in kept.walk())


@pytest.mark.parametrize(
    "bad",
    [{"speedup": 0}, {"speedup": "fast"}, {"budget": -1}, {"blocks": (0,)}, {"blocks": 4},
     {"cost": "joules"}, {"rule": "best"}, {"rule": "vbmf", "speedup": 2},
     {"budget": 5, "speedup": 2}, {"budget": 5, "rule": "uniform"}, {"sweeps": -1},
     {"restarts": -1}, {"samples": 0}],
)
def test_settings_that_are_none_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        BlockTerm(**bad)


def test_settings_reach_the_result():
    rng = np.random.default_rng(0)
    layer = Linear(20, 30, rng=rng)
    x = rng.uniform(size=(50, 20)).astype(np.float32)
    method = BlockTerm(speedup=4, response=None)
    new = method.compress_layer(layer, data_for(layer, x), rng)
    assert [type(m) for m in new] == [QuantLinear, Quantize, QuantLinear]
    assert new[0].latent.shape == (3, 20)
    dense = replace(method, speedup=None, blocks=()).compress_layer(layer, data_for(layer, x), rng)
    assert isinstance(dense, QuantLinear)
    assert reconstruct(np.ones((1, 2, 1)), np.ones((1, 1, 1, 1)), np.ones((1, 3, 1))).sum() == 6
