"""Train a tiny network on digits, compress it with each method, and keep the integer programs.

    python benchmarks/golden_networks.py [--out refnet/vectors/cases/networks]

The vectors of the tier ``programs`` run these files. Training is real arithmetic and may end
elsewhere on another machine; what the vectors say follows from the files alone.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np

from refnet.lower import lower
from refnet.methods import METHODS, compress
from refnet.nn import Adam, cosine, evaluate, train
from refnet.nn.data import load
from refnet.nn.models import small_convnet
from refnet.program import UINT8, run, save
from refnet.quant import Uniform, freeze

FILTERS = (4, 6, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("refnet/vectors/cases/networks"))
    out = parser.parse_args().out
    data = load("digits")
    rng = partial(np.random.default_rng, 9)
    net = small_convnet(image_size=8, filters=FILTERS, rng=rng())
    settings = {
        "batch_size": 64, "rng": rng(), "progress": False, "optimizer": Adam, "schedule": cosine,
    }
    train(net, data, epochs=12, lr=4e-3, **settings)
    print(f"float network: {evaluate(net, data.test_images, data.test_labels, scale=data.scale)}")
    np.save(out / "images.npy", data.test_images[:2])
    images = data.calibration_of(1000)
    for kind in METHODS:
        method = kind()
        name = method.name
        prepared = method.prepare(net, images)
        train(prepared, data, epochs=4, lr=1e-3, **settings)
        small, _ = compress(
            prepared, method, images, rng=rng(),
            input_quantizer=Uniform(type=UINT8, scale=data.scale),
        )
        program = lower(freeze(small), name=name)
        scores = run(program, data.test_images)
        hits = float(np.mean(scores.argmax(axis=1) == data.test_labels))
        save(program, out / f"{name}.refnet")
        print(f"{name}: {hits:.4f}, {(out / f'{name}.refnet').stat().st_size} bytes")


if __name__ == "__main__":
    main()
