"""Network files: what is written comes back, and anything else is refused in one line."""

import json

import numpy as np
import pytest

from refnet.autograd import Tensor
from refnet.nn import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Residual,
    Sequential,
    files,
)


def make_net():
    r = np.random.default_rng(0)
    return Sequential(
        Conv2d(2, 4, (3, 2), stride=(1, 2), padding=((0, 1), (1, 0)), groups=2, rng=r),
        BatchNorm2d(4, eps=1e-3, momentum=0.2), ReLU(),
        Residual(Conv2d(4, 4, 1, bias=False, rng=r), BatchNorm2d(4, affine=False)),
        Residual(ReLU()), MaxPool2d(2, stride=1), AvgPool2d((2, 1), padding=(1, 0)),
        GlobalAvgPool2d(), Flatten(), Linear(4, 3, rng=r), Linear(3, 2, bias=False, rng=r),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_network_comes_back(tmp_path, dtype):
    net = make_net().astype(dtype)
    net[1].running_mean[...] = 3
    path = tmp_path / "net.npz"
    files.save(net, path)
    back = files.load(path)
    assert repr(back) == repr(net)
    for name, array in net.state_dict().items():
        assert back.state_dict()[name].tobytes() == array.tobytes(), name
    x = Tensor(np.random.default_rng(1).random((2, 2, 7, 8)).astype(dtype))
    assert np.array_equal(back.eval()(x).numpy(), net.eval()(x).numpy())
    assert all(p.requires_grad for p in back.parameters())
    assert [p.name for p in tmp_path.iterdir()] == ["net.npz"]


class Foreign(Module):
    def __call__(self, x):
        return x

    def _fields(self):
        return iter(())


def test_foreign_layers_cannot_be_written(tmp_path):
    path = tmp_path / "net.npz"
    with pytest.raises(TypeError, match="Foreign is not a layer"):
        files.save(Sequential(Foreign()), path)
    assert not path.exists()


def test_an_interrupted_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net.npz"
    files.save(make_net(), path)
    before = path.read_bytes()

    def interrupted(stream, **arrays):
        stream.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.save(make_net(), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["net.npz"]


def broken(**changes):
    tree = {"layer": "Conv2d", "stride": [1, 1], "padding": [[0, 0], [0, 0]], "dilation": [1, 1],
            "groups": 1, "bias": True}
    return {"layer": "Sequential", "layers": [tree | changes]}


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        (broken(layer="Conv3d"), "unknown layer 'Conv3d'"),
        (broken(layer=["Conv2d"]), "unknown layer"),
        (broken(stride=[0, 1]), "stride"),
        (broken(stride="no"), "stride"),
        (broken(groups=5), "groups=5"),
        (broken(groups="x"), "network"),
        (broken(extra=1), "extra"),
        (broken(bias=False), "0.bias"),
        ({"layer": "Sequential"}, "layers"),
        ({"layers": []}, "layer"),
        ({"layer": "Residual", "main": None, "shortcut": None}, "network"),
        ([1], "network"), ("text", "network"), (None, "network"),
        ({"layer": "ReLU"}, "state holds"),
        ({"layer": "Linear", "bias": True}, "lacks 'bias'"),
        ({"layer": "BatchNorm2d", "affine": True, "eps": 1, "momentum": 1}, "running_mean"),
    ],
)
def test_a_file_that_describes_no_network(tmp_path, tree, said):
    path = tmp_path / "net.npz"
    state = {"state/0.weight": np.zeros((2, 2, 1, 1)), "state/0.bias": np.zeros(2)}
    np.savez(path, network=files.text_array(json.dumps(tree)), **state)
    with pytest.raises(ValueError, match=said) as error:
        files.load(path)
    assert str(error.value).startswith(f"{path}: does not describe a network")
    assert "\n" not in str(error.value)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "net.npz"
    with pytest.raises(FileNotFoundError, match="no such file"):
        files.load(path)
    np.savez(path, x=np.zeros(3))
    with pytest.raises(ValueError, match="no array 'network'"):
        files.load(path)
    np.savez(path, network=files.text_array("{"))
    with pytest.raises(ValueError, match="does not describe a network"):
        files.load(path)
    np.savez(path, network=np.array([255, 254], np.uint8))
    with pytest.raises(ValueError, match="does not describe a network"):
        files.load(path)
    nested = '{"layer": "Sequential", "layers": [' * 3000
    np.savez(path, network=files.text_array(nested))
    with pytest.raises(ValueError, match="does not describe a network"):
        files.load(path)
