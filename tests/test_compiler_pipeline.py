"""The main job on a small slice of real images: what it writes, and that it can be resumed."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hwsim
from refnet.autograd import Tensor
from refnet.compiler import NETWORKS, Job, Recipe, Stage, pipeline, recipe_for, run_job
from refnet.compiler.report import write_report
from refnet.compiler.verify import verify
from refnet.lower import lower
from refnet.methods import METHODS, Factorized, TwoStep, balanced_rates, compress
from refnet.nn import Dataset, flip_and_shift, load, train
from refnet.nn.models import small_convnet
from refnet.program import load as load_program
from refnet.program import run
from refnet.quant import absorb_batch_norm, freeze, reestimate_batch_norm
from refnet.vectors.golden import check_golden

ONE = Stage(epochs=1)
RECIPE = Recipe(filters=(4, 6, 6), batch_size=50, real=ONE, codes=ONE, tune=ONE)


@pytest.fixture(scope="module")
def data() -> Dataset:
    digits = load("digits")
    return replace(
        digits, train_images=digits.train_images[:200], train_labels=digits.train_labels[:200],
        test_images=digits.test_images[:260], test_labels=digits.test_labels[:260],
    )


def job(data: Dataset, out: Path, **changes) -> Job:
    settings = {
        "data": data, "methods": tuple(m() for m in METHODS), "recipe": RECIPE, "seed": 0,
        "architectures": (hwsim.presets.EDGE_16X16_OS,), "out": out, "progress": False,
    }
    return Job(**(settings | changes))


@pytest.fixture(scope="module")
def done(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("job")
    said: list[str] = []
    result = run_job(job(data, out), said.append)
    write_report(result, out)
    return out, result, said


def test_report_has_the_promised_keys(done, data):
    out, result, _ = done
    report = json.loads((out / "report.json").read_text())
    assert report["data"] == "digits"
    assert report["test_images"] == 260
    assert 0 <= report["float_accuracy"] <= 1
    assert set(report["methods"]) == {m().name for m in METHODS}
    for method in report["methods"].values():
        assert method["network_vs_program_differing_codes"] == 0
        assert method["program_vs_kernels_differing_codes"] == 0
        assert method["weight_bits"] > 0
        assert method["macs"] > 0
        assert set(method["hardware"]["edge-16x16-os"]) >= {"cycles", "energy_pj"}
    factors = report["methods"]["factorized"]["factors"]
    assert [row["k"] is None for row in factors["layers"]] == [True, False, False, True]
    assert factors["fewer_multiplications_where_factored"] > 1
    assert report["methods"]["twostep"]["factors"] is None
    assert report["methods"]["blockterm"]["factors"] is None
    page = (out / "report.html").read_text()
    assert page.count("<h3>Factors</h3>") == 1
    assert f"{factors['layers'][1]['multiplications']:,}" in page
    assert report["seed"] == result.seed == 0
    assert "<html" in (out / "report.html").read_text()


@pytest.mark.parametrize("shift", [0, 2])
def test_statistics_come_after_training_from_images_changed_as_in_training(
    data, tmp_path, monkeypatch, shift
):
    seen, settled, absorbed = [], [], []

    def estimate(net, x):
        seen.append(x)
        settled.append(reestimate_batch_norm(net, x))
        return settled[-1]

    monkeypatch.setattr(pipeline, "reestimate_batch_norm", estimate)
    monkeypatch.setattr(
        pipeline, "absorb_batch_norm", lambda net: absorbed.append(net) or absorb_batch_norm(net)
    )
    recipe = replace(RECIPE, tune=Stage(epochs=1, shift=shift))
    of = job(data, tmp_path, methods=(TwoStep(),), recipe=recipe)
    run_job(of, lambda _: None)
    images = data.train_images
    if shift:
        images = flip_and_shift(flip=False, shift=shift)(images, of.rng("twostep-statistics"))
    assert np.array_equal(seen, [data.real(images)])
    assert absorbed[0] is settled[0]


@pytest.mark.parametrize(
    ("optimizer", "power", "method"),
    [("adam", 1, Factorized(balance="component")), ("sgd", 2, Factorized())],
)
def test_fine_tuning_alone_is_balanced_by_the_rule_of_the_method(
    data, tmp_path, monkeypatch, optimizer, power, method
):
    seen = []

    def trained(net, *args, **settings):
        seen.append((settings["optimizer"].keywords["rates"], net.copy()))
        return train(net, *args, **settings)

    monkeypatch.setattr(pipeline, "train", trained)
    tune = Stage(epochs=1, lr=1e-3, optimizer=optimizer)
    recipe = replace(RECIPE, tune=tune)
    run_job(job(data, tmp_path, methods=(method,), recipe=recipe), lambda _: None)
    assert [rates for rates, _ in seen[:-1]] == [None, None]
    rates, tuned = seen[-1]
    wanted = balanced_rates(tuned, "component", power=power)
    assert all(np.array_equal(a, b) for a, b in zip(rates, wanted, strict=True))
    assert any(np.ndim(rate) for rate in rates)


def test_accuracy_is_that_of_the_program_file(done, data):
    out, result, said = done
    for method in result.methods:
        program = load_program(out / method.name / "program.refnet")
        assert program == method.program
        scores = run(program, data.test_images)
        right = np.mean(scores.argmax(axis=1) == data.test_labels)
        assert method.agreement.accuracy == right
        assert method.agreement.images == 260
    assert any("differing codes: network/program 0, program/kernels 0" in line for line in said)


def test_golden_vectors_hold_every_step(done):
    out, result, _ = done
    for method in result.methods:
        report = check_golden(out / method.name / "golden", method.program)
        assert report.ok


def test_a_second_run_and_one_that_was_interrupted_give_the_same_programs(done, data, tmp_path):
    out, *_ = done
    first = (out / "twostep" / "program.refnet").read_bytes()
    fresh = tmp_path / "fresh"
    run_job(job(data, fresh), lambda line: None)
    assert (fresh / "twostep" / "program.refnet").read_bytes() == first
    # What an interruption during fine-tuning leaves: two finished trainings, nothing else.
    (fresh / "checkpoints" / "twostep-tune.npz").unlink()
    (fresh / "twostep" / "program.refnet").unlink()
    run_job(job(data, fresh), lambda line: None)
    assert (fresh / "twostep" / "program.refnet").read_bytes() == first


def test_a_given_network_is_not_trained_nor_changed(data, tmp_path):
    net = small_convnet(image_size=8, filters=(4, 6, 6), rng=np.random.default_rng(5))
    before = net.state_dict()
    result = run_job(job(data, tmp_path, net=net), lambda line: None)
    assert result.float_log.epochs == 0
    assert all(np.array_equal(a, net.state_dict()[k]) for k, a in before.items())
    assert not (tmp_path / "checkpoints" / "float.npz").exists()


def test_a_checkpoint_of_another_job_is_refused(done, data):
    out, _, _ = done
    changed = replace(RECIPE, real=Stage(epochs=1, lr=0.5))
    with pytest.raises(ValueError, match=r"float\.npz"):
        run_job(job(data, out, recipe=changed), lambda line: None)


def test_verify_counts_every_differing_integer(data):
    net = small_convnet(image_size=8, filters=(4, 6, 6), rng=np.random.default_rng(5)).eval()
    small, _ = compress(net, TwoStep(), data.calibration, rng=np.random.default_rng(0))
    frozen = freeze(small)
    program = lower(frozen)
    good = verify(frozen, program, data.test_images, data.test_labels, progress=False)
    assert (good.network_vs_program, good.program_vs_kernels) == (0, 0)
    threshold = next(layer for layer in frozen if hasattr(layer, "sign"))
    threshold.sign[0] *= -1
    bad = verify(frozen, program, data.test_images, data.test_labels, progress=False)
    assert bad.network_vs_program > 0
    assert bad.program_vs_kernels == 0


@pytest.mark.parametrize(
    "bad",
    [
        {"filters": (1, 2)}, {"filters": (0, 1, 1)}, {"batch_size": 0}, {"network": "alexnet"},
        {"calibration": 0}, {"network": "lenet", "filters": (1, 2, 3)},
        {"network": "vgg", "filters": ()},
    ],
)
def test_recipes_that_are_none_are_refused(bad):
    with pytest.raises(ValueError, match="Recipe"):
        Recipe(**bad)


@pytest.mark.parametrize(
    "bad", [{"epochs": -1}, {"optimizer": "lion"}, {"schedule": "steps"}, {"warmup": 1.0}]
)
def test_stages_that_are_none_are_refused(bad):
    with pytest.raises(ValueError, match="Stage"):
        Stage(**{"epochs": 1, **bad})


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_builds_for_colour_images_of_32_pixels(network):
    images = np.zeros((2, 3, 32, 32), np.uint8)
    labels = np.array([0, 3])
    data = Dataset(
        name="two", train_images=images, train_labels=labels, test_images=images,
        test_labels=labels, classes=4,
    )
    net = recipe_for("two", network).build(data, np.random.default_rng(0))
    assert net(Tensor(data.real(images))).shape == (2, 4)


def test_recipes_are_found_by_data_and_network():
    assert recipe_for("fashion-mnist").network == "convnet"
    assert recipe_for("fashion-mnist", "lenet").filters == (32, 64)
    assert recipe_for("cifar10").real.flip
    assert recipe_for("other", "vgg").network == "vgg"
