"""The programs of well-known networks: their shapes are the published ones, their values alive."""

import numpy as np
import pytest

from refnet.program import SINT8, TERNARY, UINT2, Conv, ProgramError, run
from refnet.program.networks import resnet18


def program(seed=0, **sizes):
    small = {"size": 33, "filters": 4, "classes": 5}
    return resnet18(**(small | sizes), rng=np.random.default_rng(seed))


def test_resnet18_has_the_published_size():
    net = resnet18(rng=np.random.default_rng(0))
    layers = [node for node in net.nodes if isinstance(node.op, Conv)]
    held = [net.constants[node.inputs[1]] for node in layers]
    # He et al. 2016: 11.69 M parameters, of which 9,600 are batch norm's and 1,000 a bias here too.
    assert sum(c.array.size for c in held) == 11_689_512 - 9_600 - 1_000
    assert [c.type for c in held] == [SINT8, *[TERNARY] * 19, SINT8]
    places = [int(np.prod(net.types[node.name].shape[1:])) for node in layers]
    macs = sum(c.array.size * count for c, count in zip(held, places, strict=True))
    assert macs == 1_814_073_344
    assert net.types[net.output].shape == (1000, 1, 1)


def test_values_are_alive_in_every_layer():
    net = program()
    images = np.random.default_rng(1).integers(0, 256, (3, 3, 33, 33))
    _, values = run(net, images, trace=True)
    for name, kind in net.types.items():
        assert len(np.unique(values[name])) > 1, name
        if name.endswith(".inner"):
            assert kind.type == UINT2
            assert 0.2 < np.mean(values[name] == 0) < 0.8, name


def test_the_generator_alone_decides():
    assert program() == program()
    assert program() != program(seed=1)


def test_one_pixel_is_enough_and_none_is_refused():
    assert program(size=1).types["scores"].shape == (5, 1, 1)
    with pytest.raises(ProgramError):
        program(size=0)
