"""Weight balancing: gradients before and after, and the learning rates that train.

The network of digits is what the main job fine-tunes: small and convolutional, in ternary factors,
with the batch norms of fine-tuning or without them. Draws balancing-gradients.png and
balancing-rates.png beside the figures.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from refnet.autograd import Tensor
from refnet.methods import Factorized, balanced_rates, compress
from refnet.methods.balancing import equal_norms, spread
from refnet.methods.factorized import semidiscrete
from refnet.methods.rates import RULES, chains_of
from refnet.nn import SGD, Dataset, Sequential, cross_entropy, load, train
from refnet.nn.models import small_convnet
from refnet.quant import insert_batch_norm

RESULTS = Path(__file__).parents[1] / "results"
FACTORS = ("Y (kxk)", "D", "X (1x1)", "scale")
IMAGES = 64
RATES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
EPOCHS, SEEDS = 3, 2
Row = dict[str, Any]


def digits() -> Dataset:
    """The first images only: what is shown needs no more."""
    whole = load("digits")
    return replace(whole, train_images=whole.train_images[:640],
                   train_labels=whole.train_labels[:640])


def compressed(
    data: Dataset, seed: int, method: Factorized, filters: tuple[int, ...]
) -> Sequential:
    rng = np.random.default_rng(seed)
    net = small_convnet(image_size=8, filters=filters, rng=rng)
    train(net, data, epochs=8, batch_size=32, rng=rng, progress=False)
    return compress(net, method, data.calibration_of(200), rng=rng)[0]


def gradients() -> list[Row]:
    """Mean |gradient| of the factors of every layer before and after, and a histogram.

    Of ``IMAGES`` images each alone, and of the mean loss of a batch. In the mean of a batch the
    parts that differ from image to image cancel, and what the loss has of all images stays: along
    each factor f it is <g, f>, the same for all factors by Euler, so it weighs most where a factor
    has the fewest entries.
    """
    data, rows = digits(), []
    net = compressed(data, 0, Factorized(), (16, 32, 32)).train()
    for what, size in (("images", 1), ("batch", IMAGES)):
        means = {rule: _scaled(net, data, rule, size) for rule in RULES}
        rows += [
            _means(f"digits, layer {i + 2}, {what}", rule, means[rule][i])
            for i in range(2) for rule in RULES
        ]
    whole = {rule: _scaled(net, data, rule, IMAGES, entries=True)[1] for rule in RULES}
    _histogram(whole, RESULTS / "balancing-gradients.png")
    normal = _of_a_normal_matrix().items()
    return [*rows, *(_means("normal", rule, parts) for rule, parts in normal)]


def _scaled(
    net: Sequential, data: Dataset, rule: Any, size: int, entries: bool = False
) -> list[list[np.ndarray]]:
    """|gradient| of the scaled factors of each ternary layer, the mean over batches of ``size``.

    In the scaled factor l f the gradient is divided by l, and the rate of f is 1 / l^2.
    ``entries`` keeps the entries apart, else each factor has one number.
    """
    rates = dict(zip(map(id, net.parameters()), balanced_rates(net, rule), strict=True))
    sums: list[list[Any]] = []
    for start in range(0, IMAGES, size):
        for tensor in net.parameters():
            tensor.zero_grad()
        images = data.real(data.train_images[start : start + size])
        labels = data.train_labels[start : start + size]
        cross_entropy(net(Tensor(images)), labels).backward()
        found = [
            [np.abs(t.grad * np.sqrt(rates[id(t)])) for link in chain
             for t in (link.layer.latent, link.diagonal)]
            for chain in chains_of(net)[1:-1]
        ]
        parts = found if entries else [[np.mean(g) for g in of] for of in found]
        sums = parts if not sums else [
            [a + b for a, b in zip(x, y, strict=True)] for x, y in zip(sums, parts, strict=True)
        ]
    return [[total * size / IMAGES for total in of_chain] for of_chain in sums]


def _of_a_normal_matrix() -> dict[str, list[np.ndarray]]:
    """The same for 1200 inputs and 128 filters of normal weights, and normal gradients of them."""
    rng = np.random.default_rng(0)
    W, G = 0.01 * rng.normal(size=(128, 1200)), rng.normal(size=(128, 1200))
    X, d, Y = (f.astype(np.float64) for f in semidiscrete(W, 128))
    raw = [(G.T @ X) * d, np.sum(X * (G @ Y), axis=0), (G @ Y) * d]
    levelled = equal_norms([Y, d, X])
    return {"none": raw, "layer": [g / m for g, m in zip(raw, levelled, strict=True)]}


def _means(what: str, rule: str, parts: list[np.ndarray]) -> Row:
    means = {
        f"mean |g| of {n}": float(f"{np.abs(g).mean():.3g}")
        for n, g in zip(FACTORS, parts, strict=False)
    }
    blank = {f"mean |g| of {n}": "" for n in FACTORS[len(parts) :]}
    return {"layer": what, "balance": rule, **means, **blank, "spread": round(spread(parts), 2)}


def rates() -> list[Row]:
    """Test accuracy after plain gradient descent at constant rates, over the seeds."""
    data, rows = digits(), []
    for seed in range(SEEDS):
        small = compressed(data, seed, Factorized(k=6, responses=0), (8, 16, 16))
        for norms in (False, True):
            net = insert_batch_norm(small, data.calibration_of(200)) if norms else small
            rows += [
                {"seed": seed, "batch norm": norms, "balance": rule, "rate": rate,
                 "accuracy": tuned(net, data, rule, rate)}
                for rule in RULES for rate in RATES
            ]
    table = [
        {
            "batch norm": norms, "balance": rule,
            **{f"rate {rate:g}": f"{100 * np.mean(accuracies(rows, norms, rule, rate)):.1f}"
               for rate in RATES},
        }
        for norms in (False, True) for rule in RULES
    ]
    _curves(rows, RESULTS / "balancing-rates.png")
    return table


def accuracies(rows: list[Row], norms: bool, rule: str, rate: float) -> list[float]:
    wanted = (norms, rule, rate)
    return [r["accuracy"] for r in rows if (r["batch norm"], r["balance"], r["rate"]) == wanted]


def tuned(net: Sequential, data: Dataset, rule: Any, rate: float) -> float:
    """Test accuracy after training; 0.1, that of a guess, if the loss was no longer finite."""
    net = net.copy()
    sgd = partial(SGD, rates=balanced_rates(net, rule))
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            log = train(
                net, data, epochs=EPOCHS, batch_size=32, lr=rate, optimizer=sgd, progress=False,
                schedule=lambda steps: lambda step: 1.0, rng=np.random.default_rng(1),
            )
    except FloatingPointError:
        return 0.1
    return log.test_accuracy[-1]


def _histogram(found: dict[str, list[np.ndarray]], path: Path) -> None:
    """A panel for each factor, before and after balancing on one axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 2.8), layout="constrained")
    axes = figure.subplots(1, len(FACTORS), sharex=True)
    for i, (axis, factor) in enumerate(zip(axes, FACTORS, strict=True)):
        for rule, label, colour in (
            ("none", "before", "0.55"), ("layer", "after: equal norms", "tab:blue"),
            ("component", "after, by component", "tab:orange"),
        ):
            g = found[rule][i]
            size = np.log10(np.abs(g[g != 0]))
            axis.hist(size, bins=24, density=True, histtype="step", label=label, color=colour)
        entries = found["none"][i].size
        axis.set(title=f"{factor}, {entries:,} entries", xlabel="log10 |gradient|", yticks=[])
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3,
                  frameon=False)
    _save(figure, path)


def _curves(rows: list[Row], path: Path) -> None:
    """Mean accuracy against the rate, without and with batch norms; bars from least to most."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, norms in zip(axes, (False, True), strict=True):
        for rule, colour in zip(RULES, ("0.4", "tab:blue", "tab:orange", "tab:green"), strict=True):
            found = np.array([accuracies(rows, norms, rule, rate) for rate in RATES]) * 100
            mean = found.mean(axis=1)
            around = np.abs(np.stack([found.min(axis=1), found.max(axis=1)]) - mean)
            axis.errorbar(RATES, mean, yerr=around, label=rule, color=colour, marker="o", ms=4,
                          capsize=2)
        axis.set(xscale="log", xlabel="rate of plain gradient descent",
                 title=f"{'with' if norms else 'without'} batch norms")
        axis.axhline(10, color="0.8", lw=1)
    axes[0].set_ylabel(f"test accuracy after {EPOCHS} epochs, %")
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=4,
                  frameon=False)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=130, metadata={"Software": None})
