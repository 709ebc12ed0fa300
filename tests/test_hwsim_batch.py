"""The batch form against the scalar one: the same integers for every layer and architecture."""

from dataclasses import replace

import numpy as np
import pytest
from hwsim_cases import ALEXNET, convolutions, gemm, machine, small_program
from hypothesis import given
from hypothesis import strategies as st

from hwsim import from_program, presets, read_topology, simulate
from hwsim.architecture import Architecture
from hwsim.batch import evaluate
from hwsim.counts import OPTIONS
from hwsim.layers import Layer, Operand, Vector, Workload


def check(layers: list[Layer] | Workload, architectures: list[Architecture]) -> None:
    batch = evaluate(layers, architectures)
    chain = layers.layers if isinstance(layers, Workload) else ()
    assert batch.total_cycles.shape == (len(architectures), len(chain or layers))
    for i, a in enumerate(architectures):
        whole = simulate(layers, a).layers if chain else ()
        for j, layer in enumerate(chain or layers):
            (one,) = whole[j:j + 1] or simulate(Workload(name="w", layers=(layer,)), a).layers
            for name in ("compute_cycles", "fill_drain_cycles", "stall_cycles", "total_cycles"):
                assert getattr(batch, name)[i, j] == getattr(one, name), (name, a, layer)
            assert batch.dram_bits[i, j] == one.counts.dram_bits
            # Some 30 non-negative lines are added in another order: a few units in the last place.
            assert batch.energy_pj[i, j] == pytest.approx(one.energy_pj, rel=1e-13)
            assert batch.utilisation[i, j] == pytest.approx(one.utilisation, rel=1e-15)


def test_presets_on_alexnet():
    check(list(read_topology(ALEXNET).layers), list(presets.PRESETS))


def operands(most):
    return st.builds(Operand, lo=st.sampled_from([0, -128, -40_000]), hi=st.sampled_from([3, 255]),
                     elements=st.integers(1, most))


LAYERS = st.one_of(
    st.builds(gemm, st.integers(1, 60), st.integers(1, 60), st.integers(1, 60)),
    convolutions(largest=12, channels=8),
    st.builds(
        Vector, name=st.just("v"), kind=st.just("Add"), output=operands(5000),
        inputs=st.lists(operands(5000), min_size=1, max_size=3).map(tuple),
        additions=st.integers(0, 9000), multiplications=st.integers(0, 9000),
        comparisons=st.integers(0, 9000), parameter_bits=st.integers(0, 9000),
        fused=st.booleans(),
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
    for name in ("input", "weights", "output"):
        banks = draw(st.sampled_from([None, None, 1, 2, 3, 5]))
        held = getattr(a, name)
        if banks is not None:
            options[name] = replace(held, banks=banks, bytes=-(-held.bytes // banks) * banks,
                                    bandwidth_bits_per_cycle=8 * banks)
    return replace(a, **options)


@given(
    layers=st.lists(LAYERS, min_size=1, max_size=5),
    machines=st.lists(architectures(), min_size=1, max_size=6),
)
def test_any_layers_on_any_architectures(layers, machines):
    check(layers, machines)


@given(
    layers=st.lists(LAYERS, min_size=1, max_size=6), fork=st.booleans(),
    machines=st.lists(architectures(), min_size=1, max_size=4),
    held=st.lists(st.integers(1, 9000), min_size=4, max_size=4),
)
def test_maps_that_wait_on_the_chip(layers, fork, machines, held):
    """A chain of any layers, and one in which the last reads the first as well."""
    chain = [replace(x, name=f"l{i}", reads=(f"l{i - 1}",) if i else ())
             for i, x in enumerate(layers)]
    if fork:
        chain[-1] = replace(chain[-1], reads=(f"l{max(0, len(chain) - 2)}", "l0"))
    port = replace(machines[0].input, bandwidth_bits_per_cycle=99, banks=None)
    machines = [replace(a, maps=replace(port, bytes=n))
                for a, n in zip(machines, held, strict=False)]
    check(Workload(name="w", layers=tuple(chain)), machines)


def test_a_program_with_maps_on_the_chip():
    check(from_program(small_program(), batch=3), [presets.TPU_V1_FULL, presets.EDGE_16X16_OS])


@pytest.mark.parametrize("name", ["mobilenet_v2", "alexnet_grouped"])
def test_whole_networks(name):
    packed = replace(presets.GEMMINI_16X16_WS, grouping="packed")
    check(read_topology(ALEXNET.parent / f"{name}.csv"), [packed, presets.SCALE_SIM_32X32_IS])


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
    add = Vector(name="add", kind="Add", inputs=(one,), output=one, additions=2**62)
    with pytest.raises(ValueError, match=r"counts up to .*, rule below 2\*\*61"):
        evaluate([add], [edge])
    with pytest.raises(ValueError, match=r"counts up to .*, rule below 2\*\*61"):
        evaluate([gemm(10**6, 10**6, 10**6)], [edge])
    wide = replace(layer, input=Operand(lo=-300, hi=300, elements=4))
    with pytest.raises(ValueError, match="10-bit inputs"):
        evaluate([wide], [edge])
