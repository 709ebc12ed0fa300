"""The rank rule stands twice, since the simulator never sees the methods: both give the same."""

from fractions import Fraction

from hwsim_cases import ALEXNET
from hypothesis import example, given
from hypothesis import strategies as st

from hwsim import read_topology
from hwsim.layers import Gemm
from hwsim.shapes import Shape, as_method, ranks_within
from refnet.methods import costs

SIZE = st.one_of(st.integers(1, 12), st.integers(1, 300))


@given(
    S=SIZE, T=SIZE, P=st.integers(2, 25), R=st.integers(1, 9), groups=st.integers(1, 3),
    outputs=st.integers(1, 3000), stride=st.integers(1, 4),
    ratio=st.one_of(st.integers(1, 9), st.fractions(Fraction(1, 2), 300)),
)
@example(S=1, T=1, P=2, R=1, groups=1, outputs=1, stride=1, ratio=1)
@example(S=64, T=64, P=9, R=4, groups=1, outputs=3136, stride=1, ratio=2)
@example(S=3, T=300, P=9, R=9, groups=1, outputs=1, stride=4, ratio=1)
def test_terms_of_the_simulator_are_those_of_the_method(S, T, P, R, groups, outputs, stride, ratio):
    shape = costs.LayerShape(
        S=S, T=T, P=P, groups=groups, inputs=stride * stride * outputs, outputs=outputs,
    )
    limit = int(shape.macs // groups / ratio)
    theirs = costs.ranks_within(shape, R, limit * groups)
    mine = ranks_within(S, T, P, R, shape.inputs, outputs, limit)
    assert mine == (None if theirs is None else (theirs.s, theirs.t))


def test_networks_get_the_ranks_that_a_work_limit_gives():
    """Every product of three networks, 1 x 1 and linear ones among them."""
    for name in ("resnet50", "mobilenet_v2", "alexnet_grouped"):
        network = read_topology(ALEXNET.parent / f"{name}.csv")
        for R, ratio in ((4, 2), (1, 3), (8, 5)):
            method = Shape(method="blockterm", R=R, ratio=ratio)
            parts = {layer.name: layer for layer in as_method(network, method).layers}
            products = [layer for layer in network.layers if isinstance(layer, Gemm)]
            for layer in products[1:-1]:
                w = layer.geometry
                shape = costs.LayerShape(
                    S=w.channels, T=layer.n, P=w.kernel[0] * w.kernel[1], groups=layer.groups,
                    inputs=w.batch * w.height * w.width, outputs=layer.m,
                )
                terms = R if shape.P > 1 else 1
                limit = layer.macs // layer.groups // ratio * layer.groups
                ranks = costs.ranks_within(shape, terms, limit)
                if ranks is None:
                    assert layer.name in parts
                    continue
                low, high = parts[f"{layer.name}.a"], parts[f"{layer.name}.b"]
                assert (low.n, high.k) == (terms * ranks.s, terms * ranks.t), layer.name
                work = sum(parts[n].macs for n in parts if n.startswith(f"{layer.name}."))
                assert work == costs.macs(shape, terms, ranks.s, ranks.t)
