"""What every compression method must do, for each of METHODS."""

import numpy as np
import pytest

import hwsim
from refnet import kernels
from refnet.lower import lower
from refnet.methods import METHODS, PEERS, TwoStep, compress
from refnet.nn import (
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Residual,
    Sequential,
)
from refnet.nn.models import small_convnet, small_resnet
from refnet.program import UINT8, run
from refnet.quant import QuantInput, Uniform, freeze, run_frozen

ARCHITECTURES = (hwsim.presets.EDGE_16X16_OS, hwsim.presets.BISMO_8X256X8)


def settled(net: Module, x) -> Module:
    """The network with running statistics that suit ``x``, and batch norms that are not trivial."""
    from refnet.autograd import Tensor

    rng = np.random.default_rng(9)
    for _, layer in net.walk():
        if isinstance(layer, BatchNorm2d) and layer.weight is not None:
            layer.weight.assign(rng.uniform(-1.5, 1.5, layer.weight.shape).astype(np.float32))
            layer.bias.assign(rng.normal(size=layer.bias.shape).astype(np.float32))
    for _ in range(30):
        net(Tensor(x))
    return net.eval()


def cases():
    rng = np.random.default_rng(0)
    grouped = Sequential(
        Conv2d(2, 4, 3, padding=1, rng=rng), BatchNorm2d(4), ReLU(),
        Conv2d(4, 8, 3, stride=2, groups=2, bias=False, rng=rng), BatchNorm2d(8), ReLU(),
        Conv2d(8, 8, 3, padding=1, groups=8, rng=rng), MaxPool2d(2), ReLU(),
        Flatten(), Linear(8, 6, bias=False, rng=rng), BatchNorm2d(6), ReLU(), Linear(6, 3, rng=rng),
    )
    return {
        "plain": (small_convnet(image_size=8, filters=(4, 6, 6), rng=rng), (1, 8, 8)),
        "residual": (
            small_resnet(image_size=8, in_channels=3, filters=(4, 6, 8), rng=rng), (3, 8, 8)
        ),
        "grouped": (grouped, (2, 7, 7)),
        "one layer": (Sequential(Flatten(), Linear(8, 3, rng=rng)), (2, 2, 2)),
        "two layers": (
            Sequential(Flatten(), Linear(8, 5, rng=rng), ReLU(), Linear(5, 3, rng=rng)), (2, 2, 2)
        ),
        "identity shortcut": (
            Sequential(
                Conv2d(1, 4, 3, rng=rng), ReLU(),
                Residual(Sequential(Conv2d(4, 4, 3, padding=1, rng=rng))), ReLU(),
                Flatten(), Linear(64, 3, rng=rng),
            ), (1, 6, 6),
        ),
    }


NAMES = tuple(cases())
every = pytest.mark.parametrize("method", [*(m() for m in METHODS), *PEERS], ids=lambda m: m.name)
#: Settings of methods that lead to other layers or other code; few samples keep them fast.
SETTINGS = {
    "symmetric": TwoStep(asymmetric=False, samples=300),
    "exact z": TwoStep(z_step="exact", samples=300),
    "fixed": TwoStep(form="fixed", samples=300),
    "own bias": TwoStep(bias=False, samples=300),
    **{f"{bits} bits": TwoStep(weight_bits=bits, samples=300) for bits in (1, 2, 3, 4)},
}
every_setting = pytest.mark.parametrize(
    "method", [*(m() for m in METHODS), *PEERS, *SETTINGS.values()],
    ids=[*(m.name for m in (*(m() for m in METHODS), *PEERS)), *SETTINGS],
)
named = pytest.mark.parametrize("name", NAMES)


def compressed(name, method, seed=3):
    net, shape = cases()[name]
    codes = np.random.default_rng(seed).integers(0, 256, (12, *shape)).astype(np.uint8)
    x = (codes / np.float32(255)).astype(np.float32)
    net = settled(net, x)
    small, report = compress(
        net, method, x, rng=np.random.default_rng(1),
        input_quantizer=Uniform(type=UINT8, scale=1 / 255),
    )
    return net, x, codes, small, report


@every_setting
@named
def test_network_program_kernels_and_hardware_agree_on_what_came_out(name, method):
    _, _, codes, small, report = compressed(name, method)
    frozen = freeze(small)
    program = lower(frozen, name=method.name)
    scores = run(program, codes)
    assert np.array_equal(run_frozen(frozen, codes), scores)
    assert np.array_equal(run(program, codes, execute=kernels.execute), scores)
    assert np.array_equal(kernels.compile(program, threads=2)(codes), scores)
    assert report.macs == program.work().macs
    assert report.weight_bits == program.weight_bits()
    for architecture in ARCHITECTURES:
        assert hwsim.simulate(hwsim.from_program(program), architecture).total_cycles > 0


@every
@named
def test_report_adds_up_and_names_every_layer(name, method):
    net, _, _, _, report = compressed(name, method)
    weights = sum(
        layer.weight.size for _, layer in net.walk() if isinstance(layer, Conv2d | Linear)
    )
    assert report.weights == weights
    assert report.weight_bits == sum(row.weight_bits for row in report.layers)
    assert len({row.name for row in report.layers}) == len(report.layers)
    assert all(0 <= row.zeros <= 1 and row.response_error >= 0 for row in report.layers)
    assert report.as_dict()["macs"] == report.macs


@every
@named
def test_inputs_are_untouched_and_the_same_seed_gives_the_same_network(name, method):
    net, x, _, small, report = compressed(name, method)
    state, images = net.state_dict(), x.copy()
    again, again_report = compress(
        net, method, x, rng=np.random.default_rng(1),
        input_quantizer=Uniform(type=UINT8, scale=1 / 255),
    )
    assert np.array_equal(images, x)
    assert all(np.array_equal(a, net.state_dict()[k]) for k, a in state.items())
    assert all(np.array_equal(a, again.state_dict()[k]) for k, a in small.state_dict().items())
    assert again_report == report


@named
def test_binary_layers_have_no_zero_but_in_dead_filters(name):
    _, _, _, small, report = compressed(name, SETTINGS["1 bits"])
    program = lower(freeze(small))
    weights = [c.array for k, c in program.constants.items() if k.endswith("weight")]
    dead = [row.dead_filters for row in report.layers]
    for w, row, gone in zip(weights, report.layers, dead, strict=True):
        if row.method == "twostep":
            alive = np.delete(w, gone, axis=0)
            assert set(np.unique(alive)) <= {-1, 1}
            assert not w[list(gone)].any()


def test_filters_that_died_are_named():
    rng = np.random.default_rng(0)
    layers = [Conv2d(1, 2, 1, rng=rng), ReLU(), Conv2d(2, 3, 1, rng=rng), ReLU()]
    net = Sequential(*layers, Flatten(), Linear(12, 2, rng=rng))
    weight = layers[2].weight.numpy().copy()
    weight[1] = 0
    layers[2].weight.assign(weight)
    x = rng.uniform(size=(9, 1, 2, 2)).astype(np.float32)
    _, report = compress(net, TwoStep(), x, rng=rng)
    assert report.dead_filters == {"3": (1,)}


def test_the_input_quantizer_is_fitted_or_kept():
    rng = np.random.default_rng(0)
    net = Sequential(Flatten(), Linear(4, 2, rng=rng))
    x = rng.normal(size=(5, 1, 2, 2)).astype(np.float32)
    small, _ = compress(net, TwoStep(), x, rng=rng)
    head = small[0]
    assert isinstance(head, QuantInput)
    assert head.quantizer.type.name == "sint8"
    positive, _ = compress(net, TwoStep(), np.abs(x), rng=rng)
    assert positive[0].quantizer.type == UINT8
    kept, _ = compress(
        Sequential(QuantInput(Uniform(scale=0.5), (1, 2, 2)), *net), TwoStep(), x, rng=rng
    )
    assert kept[0].quantizer.scale == 0.5


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((0, 1, 2, 2), np.float32), "N >= 1"),
        (np.zeros((2, 1, 2, 2), np.uint8), "must be real"),
        (np.full((2, 1, 2, 2), np.nan, np.float32), "NaN"),
    ],
)
def test_bad_calibration_data_are_refused(data, message):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=message):
        compress(Sequential(Flatten(), Linear(4, 2, rng=rng)), TwoStep(), data, rng=rng)


def test_a_network_without_weights_is_refused():
    with pytest.raises(ValueError, match="no Conv2d or Linear"):
        compress(
            Sequential(ReLU()), TwoStep(), np.ones((1, 2), np.float32), rng=np.random.default_rng(0)
        )
