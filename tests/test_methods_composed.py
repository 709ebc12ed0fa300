"""Block terms quantized by another method, and what a compilation says of decomposed layers."""

import json
from dataclasses import replace

import numpy as np
import pytest

from refnet import kernels
from refnet.compiler import Job, Recipe, Stage, run_job
from refnet.compiler.report import write_report
from refnet.compiler.timing import cut_out, dense_layer, layer_times
from refnet.lower import lower
from refnet.methods import BlockTerm, Composed, TwoStep, compress, planned
from refnet.methods.base import apply
from refnet.methods.naming import methods_of, spelled, tag_of
from refnet.methods.response import Response
from refnet.nn import BatchNorm2d, Conv2d, load, train
from refnet.nn.models import small_convnet
from refnet.program import UINT8, Conv, run
from refnet.quant import Quantize, Uniform, freeze, run_frozen

COMPOSED = Composed(first=BlockTerm(speedup=2, sweeps=20), then=TwoStep(samples=300))


@pytest.fixture(scope="module")
def digits():
    data, rng = load("digits"), np.random.default_rng(0)
    net = small_convnet(image_size=8, filters=(8, 16, 16), rng=rng)
    train(net, data, epochs=4, rng=rng, progress=False)
    return net.eval(), data


def test_prepared_once_it_is_the_decomposed_network_with_codes_between(digits):
    net, data = digits
    images, rng = data.calibration_of(200), np.random.default_rng(0)
    method = planned(COMPOSED, net, images, rng=rng)
    prepared = method.prepare(net, images)
    layers = [m for _, m in prepared.walk()]
    chains = sum(c.factors for c in method.choices)
    assert sum(isinstance(m, Conv2d) for m in layers) == chains - 1 > 3
    # Batch norms behind all but the classifier, and codes behind all of them.
    assert sum(isinstance(m, BatchNorm2d) for m in layers) == chains - 1
    assert sum(isinstance(m, Quantize) for m in layers) == chains - 1
    assert repr(method.prepare(prepared, images)) == repr(prepared)
    assert planned(COMPOSED, prepared, images, rng=rng) is COMPOSED
    again = planned(COMPOSED, net, images, rng=np.random.default_rng(0)).prepare(net, images)
    assert all(np.array_equal(a, again.state_dict()[k]) for k, a in prepared.state_dict().items())


@pytest.mark.parametrize("text", ["blockterm+twostep", "blockterm+factorized", "blockterm+twn"])
def test_the_composed_network_is_its_program(digits, text):
    net, data = digits
    (method,) = methods_of(text)
    small, report = compress(
        net, method, data.calibration_of(200), rng=np.random.default_rng(0),
        input_quantizer=Uniform(type=UINT8, scale=data.scale),
    )
    frozen = freeze(small)
    program = lower(frozen, name=method.name)
    codes = data.test_images[:20]
    assert np.array_equal(run_frozen(frozen, codes), run(program, codes))
    assert np.array_equal(kernels.compile(program)(codes), run(program, codes))
    assert report.macs == program.work().macs
    assert report.choices[1].ranks is not None
    # Factors that are two layers each cannot be told from the program: no times then.
    decomposed = sum(c.ranks is not None for c in report.choices)
    assert len(layer_times(program, report)) == (0 if "factorized" in text else decomposed)


@pytest.mark.parametrize("speedup", [2, 4])
def test_responses_without_labels_beat_the_weights_alone_on_digits(digits, speedup):
    """Scores of the compressed network against those of the float one, on images not seen."""
    net, data = digits
    images, unseen = data.calibration_of(400), data.real(data.test_images)
    missed = {}
    for response in (None, Response(penalties=()), Response()):
        method = BlockTerm(speedup=speedup, response=response)
        small, _ = compress(net, method, images, rng=np.random.default_rng(0))
        missed[response] = float(np.linalg.norm(apply(small, unseen) - apply(net, unseen)))
    alone, linear, nonlinear = missed.values()
    assert linear < 0.9 * alone
    assert nonlinear < 0.9 * alone


def test_methods_are_spelled_as_they_are_read():
    for text in (
        "blockterm+twostep", "blockterm(speedup=4)", "twn",
        "blockterm(cost=weights, budget=5000, blocks=(1, 2))+twostep(weight_bits=2)",
    ):
        (method,) = methods_of(text)
        assert methods_of(spelled(method)) == (method,)
        assert (tag_of(method) == "") == ("(" not in text)
    assert [m.name for m in methods_of("blockterm,blockterm+twostep")] == [
        "blockterm", "blockterm-twostep",
    ]
    for bad in ("twostep+blockterm", "blockterm+blockterm", "blockterm+twostep+twn"):
        with pytest.raises(ValueError, match=r"rule blockterm\+METHOD"):
            methods_of(bad)


def test_a_compilation_reports_time_beside_multiply_accumulates(digits, tmp_path):
    net, data = digits
    small = replace(
        data, train_images=data.train_images[:100], train_labels=data.train_labels[:100],
        test_images=data.test_images[:40], test_labels=data.test_labels[:40],
    )
    one = Stage(epochs=1)
    job = Job(
        data=small, methods=(COMPOSED, BlockTerm(speedup=2, sweeps=20)), architectures=(), seed=0,
        recipe=Recipe(batch_size=50, real=one, codes=one, tune=one), out=tmp_path, net=net,
        progress=False,
    )
    said = []
    result = run_job(job, said.append)
    write_report(result, tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    page = (tmp_path / "report.html").read_text()
    assert "times faster, measured" in page
    assert "blockterm(speedup=2, sweeps=20)+twostep(samples=300)" in page
    assert sum("multiply-accumulates, kernel error" in line for line in said) == 8
    for name, method in zip(("blockterm-twostep", "blockterm"), result.methods, strict=True):
        found = report["methods"][name]
        assert found["network_vs_program_differing_codes"] == 0
        assert found["program_vs_kernels_differing_codes"] == 0
        assert [row["layer"] for row in found["decomposed_layers"]] == [
            row["layer"] for row in found["choices"] if row["ranks"]
        ]
        for row in found["decomposed_layers"]:
            assert row["mac_ratio"] == row["dense_macs"] / row["macs"] > 1
            assert row["measured_ratio"] == row["dense_ms"] / row["ms"] > 0
        assert found["macs"] == sum(row["macs"] for row in found["choices"])
        # Both sides of a time: the layer as it is in the program, the dense one of its geometry.
        convolutions = [node for node in method.program.nodes if isinstance(node.op, Conv)]
        choice = method.compression.choices[1]
        factors = convolutions[1 : 1 + choice.factors]
        own, dense = cut_out(method.program, factors), dense_layer(method.program, factors)
        assert own.work().macs == choice.macs
        assert dense.work().macs == choice.shape.macs
        assert own.types[own.output] == dense.types[dense.output]
        values = run(method.program, small.test_images, trace=True)[1]
        assert np.array_equal(run(own, values[own.input]), values[own.output])
