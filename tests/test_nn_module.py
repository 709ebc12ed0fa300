"""The tree of modules: names, state, copies, replacement."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.autograd import Tensor
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


def rng():
    return np.random.default_rng(0)


def make_net(seed=0):
    r = np.random.default_rng(seed)
    main = Sequential(Conv2d(2, 2, 3, padding=1, bias=False, rng=r), BatchNorm2d(2))
    return Sequential(
        Conv2d(1, 2, 3, rng=r), ReLU(), Residual(main, Conv2d(2, 2, 1, rng=r)), Flatten(),
        Linear(2 * 36, 3, rng=r),
    )


NAMES = [
    "0.weight", "0.bias", "2.main.0.weight", "2.main.1.weight", "2.main.1.bias",
    "2.main.1.running_mean", "2.main.1.running_var", "2.shortcut.weight", "2.shortcut.bias",
    "4.weight", "4.bias",
]


def test_names_follow_execution_and_count_buffers_as_state_only():
    net = make_net()
    assert list(net.state_dict()) == NAMES
    trained = [name for name in NAMES if "running" not in name]
    assert [name for name, _ in net.named_parameters()] == trained
    assert [p.shape for p in net.parameters()][:2] == [(2, 1, 3, 3), (2,)]
    walked = [name for name, _ in net.walk()]
    assert walked == [
        "", "0", "1", "2", "2.main", "2.main.0", "2.main.1", "2.shortcut", "3", "4",
    ]
    assert [name for name, _ in net[2].children()] == ["main", "shortcut"]
    assert net[1].children() == ()


def test_shared_parameters_are_given_once():
    layer = Linear(2, 2, rng=rng())
    net = Sequential(layer, ReLU(), layer)
    assert len(net.parameters()) == 2
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    copied = net.copy()
    assert copied[0] is copied[2]
    assert copied[0] is not layer


def test_state_dict_is_a_copy():
    net = make_net()
    for array in net.state_dict().values():
        array += 1
    assert net.state_dict()["2.main.1.running_mean"].max() == 0
    assert net.state_dict()["0.bias"].max() == 0


def test_state_travels_between_equal_trees():
    net, other = make_net(1), make_net(2)
    other[2].main[1].running_mean[...] = 5
    net.load_state_dict(other.state_dict())
    for name, array in other.state_dict().items():
        assert np.array_equal(net.state_dict()[name], array), name
    x = Tensor(rng().random((2, 1, 8, 8), dtype=np.float32))
    assert np.array_equal(net.eval()(x).numpy(), other.eval()(x).numpy())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.pop("4.bias"), "state has no '4.bias'"),
        (lambda s: s.update(extra=np.zeros(1)), "holds 'extra', which"),
        (lambda s: s.update({"4.bias": np.zeros(4)}), r"'4.bias' is \(4,\) in the state, must be"),
        (lambda s: s.update({"4.bias": np.zeros(3, complex)}), "'4.bias' is complex128"),
    ],
)
def test_state_of_another_network_is_refused_and_changes_nothing(change, said):
    net, state = make_net(1), make_net(2).state_dict()
    before = net.state_dict()
    change(state)
    with pytest.raises(ValueError, match=said) as error:
        net.load_state_dict(state)
    assert "\n" not in str(error.value)
    assert all(np.array_equal(array, before[name]) for name, array in net.state_dict().items())


def test_modes_reach_the_whole_tree():
    net = make_net()
    assert all(module.training for _, module in net.walk())
    assert net.eval() is net
    assert not any(module.training for _, module in net.walk())
    net.train()
    assert net[2].main[1].training


def test_copies_share_nothing_and_keep_modes():
    net = make_net()
    net[2].eval()
    before = net.state_dict()
    copied = net.copy()
    assert [m.training for _, m in copied.walk()] == [m.training for _, m in net.walk()]
    copied[0].bias.assign(np.ones(2))
    copied[2].main[1].running_mean += 1
    copied.train()
    assert all(np.array_equal(array, before[name]) for name, array in net.state_dict().items())
    assert not net[2].main[1].training
    assert all(p.requires_grad for p in copied.parameters())


def test_astype_changes_every_float_and_computes_the_same():
    net = make_net().eval()
    wide = net.astype(np.float64)
    assert {a.dtype for a in wide.state_dict().values()} == {np.dtype(np.float64)}
    assert {a.dtype for a in net.state_dict().values()} == {np.dtype(np.float32)}
    x = rng().random((2, 1, 8, 8))
    y, narrow = wide(Tensor(x)).numpy(), net(Tensor(x.astype(np.float32))).numpy()
    assert y.dtype == np.float64
    assert np.abs(y - narrow).max() < 1e-4


def test_rebuild_replaces_and_leaves_the_input_alone():
    net = make_net()
    before, asked = net.state_dict(), []

    def replace(name, module):
        asked.append(name)
        if name == "2.main":
            return Sequential(ReLU())
        return MaxPool2d(2) if name == "1" else None

    new = net.rebuild(replace)
    assert asked == ["", "0", "1", "2", "2.main", "2.shortcut", "3", "4"]
    assert isinstance(new[1], MaxPool2d)
    assert len(new[2].main) == 1
    assert isinstance(net[1], ReLU)
    new[0].bias.assign(np.ones(2))
    assert all(np.array_equal(array, before[name]) for name, array in net.state_dict().items())
    assert net.rebuild(lambda name, module: ReLU()).children() == ()


@dataclass(frozen=True, eq=False, repr=False)
class Scale(Module):
    """A record of one's own: frozen, with a scalar parameter."""

    factor: Tensor
    unit: str = "V"

    def __call__(self, x):
        return x * self.factor


def test_foreign_frozen_modules_work():
    net = Sequential(Scale(Tensor(np.float32(2.0), requires_grad=True)))
    assert list(net.state_dict()) == ["0.factor"]
    assert net.eval().copy()[0](Tensor(np.ones(2))).numpy().tolist() == [2, 2]
    assert repr(net[0]) == "Scale(factor=(), unit='V')"


def test_repr_shows_shapes_and_settings():
    text = repr(make_net())
    assert "0: Conv2d(weight=(2, 1, 3, 3), bias=(2,), stride=(1, 1)" in text
    assert "    main: Sequential(\n      0: Conv2d" in text


@st.composite
def trees(draw):
    leaf = st.sampled_from(["conv", "norm", "relu"])
    tree = draw(st.recursive(leaf, lambda below: st.lists(below, max_size=3), max_leaves=8))
    r = np.random.default_rng(draw(st.integers(0, 9)))

    def build(node):
        if isinstance(node, list):
            inner = Sequential(*(build(below) for below in node))
            return Residual(inner) if len(node) == 1 else inner
        return {
            "conv": lambda: Conv2d(2, 2, 1, rng=r), "norm": lambda: BatchNorm2d(2), "relu": ReLU,
        }[node]()

    return build(tree)


@given(tree=trees())
def test_any_tree_survives_copy_and_state(tree):
    tree.eval()
    copied = tree.copy()
    assert repr(copied) == repr(tree)
    assert len(copied.parameters()) == len(tree.parameters())
    copied.load_state_dict(tree.state_dict())
    x = Tensor(rng().random((2, 2, 3, 3), dtype=np.float32))
    assert np.array_equal(copied(x).numpy(), tree(x).numpy())
