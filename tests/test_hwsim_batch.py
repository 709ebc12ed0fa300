"""The batch form against the scalar one: the same integers for every layer and architecture."""

from dataclasses import replace

import numpy as np
import pytest
from hwsim_cases import ALEXNET, conv, gemm, machine
from hypothesis import given
from hypothesis import strategies as st

from hwsim import presets, read_topology, simulate
from hwsim.architecture import Architecture
from hwsim.batch import evaluate
from hwsim.counts import OPTIONS
from hwsim.layers import Gemm, Operand, Vector, Workload


def check(layers: list[Gemm], architectures: list[Architecture]) -> None:
    batch = evaluate(layers, architectures)
    assert batch.total_cycles.shape == (len(architectures), len(layers))
    for i, a in enumerate(architectures):
        for j, layer in enumerate(layers):
            (one,) = simulate(Workload(name="w", layers=(layer,)), a).layers
            for name in ("compute_cycles", "fill_drain_cycles", "stall_cycles", "total_cycles"):
                assert getattr(batch, name)[i, j] == getattr(one, name), (name, a, layer)
            assert batch.dram_bits[i, j] == one.counts.dram_bits
            # Some 30 non-negative lines are added in another order: a few units in the last place.
            assert batch.energy_pj[i, j] == pytest.approx(one.energy_pj, rel=1e-13)
            assert batch.utilisation[i, j] == pytest.approx(one.utilisation, rel=1e-15)


def test_presets_on_alexnet():
    check(list(read_topology(ALEXNET).layers), list(presets.PRESETS))


LAYERS = st.one_of(
    st.builds(gemm, st.integers(1, 60), st.integers(1, 60), st.integers(1, 60)),
    st.builds(
        conv, st.integers(3, 12), st.integers(1, 3), st.sampled_from([2, 4]),
        st.sampled_from([2, 4, 8]), stride=st.integers(1, 4), pad=st.integers(0, 2),
        batch=st.integers(1, 3), groups=st.integers(1, 2),
    ),
)
SIZES = st.integers(32, 3000)


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    base = draw(st.sampled_from([
        presets.EDGE_16X16_OS, presets.GEMMINI_16X16_WS,
        replace(presets.GEMMINI_16X16_WS, dataflow="is"), replace(presets.BISMO_8X256X8, depth=4),
    ]))
    options = {name: draw(st.sampled_from(OPTIONS[name])) for name in base.flow.options}
    a = machine(
        base, rows=draw(st.integers(1, 8)), columns=draw(st.integers(1, 4)),
        sizes=draw(st.tuples(SIZES, SIZES, SIZES)), bandwidth=draw(st.integers(1, 99)),
        sram=draw(st.integers(1, 99)),
    )
    return replace(a, **options)


@given(
    layers=st.lists(LAYERS, min_size=1, max_size=5),
    machines=st.lists(architectures(), min_size=1, max_size=6),
)
def test_any_layers_on_any_architectures(layers, machines):
    check(layers, machines)


def test_of_equal_orders_the_first_is_taken():
    """A square product on a square array: both orders read as much, but not of the same operand."""
    a = machine(presets.EDGE_16X16_OS, sizes=(40, 40, 64))
    check([gemm(12, 5, 12)], [replace(a, weights=replace(a.weights, word_bits=64))])


def test_kept_rows_and_columns_are_in_the_order_given():
    layers = [gemm(5, 9, 2), gemm(300, 20, 70)]
    mixed = [presets.EDGE_16X16_OS, presets.GEMMINI_16X16_WS, presets.EYERISS_SIZE_OS]
    batch = evaluate(layers, mixed)
    back = evaluate(layers[::-1], mixed[::-1])
    assert np.array_equal(batch.total_cycles, back.total_cycles[::-1, ::-1])


def test_what_is_refused():
    layer, edge = gemm(2, 2, 2), presets.EDGE_16X16_OS
    with pytest.raises(ValueError, match="nothing to do"):
        evaluate([], [edge])
    one = Operand(lo=0, hi=1, elements=1)
    add = Vector(name="add", kind="Add", inputs=(one,), output=one)
    with pytest.raises(ValueError, match="layer 'add', rule matrix products only"):
        evaluate([add], [edge])
    with pytest.raises(ValueError, match=r"counts up to .*, rule below 2\*\*61"):
        evaluate([gemm(10**6, 10**6, 10**6)], [edge])
    wide = replace(layer, input=Operand(lo=-300, hi=300, elements=4))
    with pytest.raises(ValueError, match="10-bit inputs"):
        evaluate([wide], [edge])
