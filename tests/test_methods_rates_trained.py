"""Training that balanced learning rates make possible, and gradients of a trained network."""

from dataclasses import replace
from functools import cache, partial

import numpy as np

from refnet.autograd import Tensor
from refnet.methods import Factorized, compress
from refnet.methods.balancing import spread
from refnet.methods.rates import balanced_rates, chains_of
from refnet.nn import SGD, cross_entropy, evaluate, load, train
from refnet.nn.models import small_convnet
from refnet.quant import insert_batch_norm


@cache
def digits():
    whole = load("digits")
    return replace(
        whole, train_images=whole.train_images[:640], train_labels=whole.train_labels[:640],
        test_images=whole.test_images[:300], test_labels=whole.test_labels[:300],
    )


@cache
def compressed():
    """A network of digits in few ternary components, with batch norms, as it is fine-tuned."""
    rng, data = np.random.default_rng(0), digits()
    net = small_convnet(image_size=8, filters=(8, 16, 16), rng=rng)
    train(net, data, epochs=8, batch_size=32, rng=rng, progress=False)
    images = data.calibration_of(200)
    small, _ = compress(net, Factorized(k=6, responses=0), images, rng=rng)
    return insert_batch_norm(small, images)


def fine_tuned(lr, rule):
    """Test accuracy after three epochs of plain gradient descent at a constant rate."""
    net, data = compressed().copy(), digits()
    sgd = partial(SGD, rates=balanced_rates(net, rule))
    with np.errstate(over="ignore", invalid="ignore"):
        log = train(net, data, epochs=3, batch_size=32, lr=lr, optimizer=sgd, progress=False,
                    schedule=lambda steps: lambda step: 1.0, rng=np.random.default_rng(1))
    return log.test_accuracy[-1]


def test_one_plain_rate_works_with_balancing_as_none_does_without():
    data = digits()
    before = evaluate(compressed(), data.test_images, data.test_labels, scale=data.scale)
    assert before < 0.4
    # Three epochs of so few images end at random: the middle of three rates near each other.
    with_balancing = min(
        np.median([fine_tuned(lr, rule) for lr in (0.05, 0.1, 0.2)])
        for rule in ("layer", "component")
    )
    assert with_balancing > 0.75
    # No rate from too small to too large comes up to it with factors as they are. Which accuracy
    # the best of them has hangs on the rounding of sums, and so on the BLAS and the processor.
    assert max(fine_tuned(lr, "none") for lr in 10.0 ** np.arange(-5, 1)) < with_balancing


def mean_gradients(net, data, rates, count):
    """Mean |gradient| of every scaled parameter over the first images, each of them alone."""
    means = np.zeros(len(rates))
    for i in range(count):
        net = net.copy()
        logits = net(Tensor(data.real(data.train_images[i : i + 1])))
        cross_entropy(logits, data.train_labels[i : i + 1]).backward()
        # In the factor l f the gradient is 1 / l of that of f, and the rate of f is 1 / l^2. What
        # training leaves alone has none.
        means += [
            0.0 if t.grad is None else np.abs(t.grad * np.sqrt(rate)).mean() / count
            for t, rate in zip(net.parameters(), rates, strict=True)
        ]
    return means


def test_balanced_gradients_of_a_trained_network_are_of_one_size_within_two():
    """Of single images: in the mean of a batch, what images have in common is left over."""
    net = compressed().copy().eval()
    place = {id(t): i for i, t in enumerate(net.parameters())}
    chains = [
        [place[id(t)] for link in chain for t in (link.layer.latent, link.diagonal)]
        for chain in chains_of(net)[1:-1]
    ]
    assert [len(chain) for chain in chains] == [4, 4]
    for rule in ("none", "layer", "component"):
        means = mean_gradients(net, digits(), balanced_rates(net, rule), 32)
        spreads = [spread(means[chain]) for chain in chains]
        assert min(spreads) > 10 if rule == "none" else max(spreads) < 2
