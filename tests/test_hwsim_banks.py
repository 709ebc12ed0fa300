"""Banks: words put into banks one by one and taken out a word a clock, against the closed form."""

from dataclasses import replace

from hwsim_cases import conv, gemm, machine
from hypothesis import given
from hypothesis import strategies as st

from hwsim import presets
from hwsim.banks import bank_cycles
from hwsim.layers import Workload
from hwsim.mapping import problem
from hwsim.simulator import simulate

BASES = [
    presets.EDGE_16X16_OS, presets.GEMMINI_16X16_WS,
    replace(presets.GEMMINI_16X16_WS, dataflow="is"), replace(presets.BISMO_8X256X8, depth=4),
]


def with_banks(a, name, banks, word_bits):
    memory = replace(
        getattr(a, name), banks=banks, word_bits=word_bits,
        bytes=-(-getattr(a, name).bytes // banks) * banks,
        bandwidth_bits_per_cycle=banks * word_bits,
    )
    return replace(a, **{name: memory})


def emptied(bits_of_bank, word_bits):
    """Clocks until every bank has given its last word."""
    left, clocks = [-(-bits // word_bits) for bits in bits_of_bank], 0
    while any(left):
        left = [max(0, words - 1) for words in left]
        clocks += 1
    return clocks


def folds(layer, a):
    """Ports in use on both edges, fold by fold, and groups of a fold."""
    tall, wide = {"ws": (layer.k, layer.n), "is": (layer.k, layer.m)}.get(
        a.dataflow, (layer.m, layer.n))
    fit = min(a.rows // tall, a.columns // wide) if a.grouping == "packed" else 1
    if min(fit, layer.groups) > 1:
        for first in range(0, layer.groups, min(fit, layer.groups)):
            held = min(fit, layer.groups - first)
            yield held * tall, held * wide
        return
    for _ in range(layer.groups):
        for c in range(0, wide, a.columns):
            for r in range(0, tall, a.rows):
                yield min(a.rows, tall - r), min(a.columns, wide - c)


def walked(layer, a, name, banks, word_bits):
    """Bits that the array reads of one memory (writes, the output), put into their banks."""
    p, held, passes = problem(layer, a), [0] * banks, 1
    streamed = {"ws": layer.m, "is": layer.n}.get(a.dataflow)
    if streamed is not None:
        passes = -(-streamed // a.array.pass_rows)
    moving = "weights" if a.dataflow == "is" else "input"
    for rows, columns in folds(layer, a):
        for port in range(rows if name == moving else columns):
            if name == "output":
                # Under a column: results of the fold, or sums of all that streamed past.
                bits = (min(rows, layer.m) * p.output_bits if streamed is None
                        else streamed * p.accumulator_bits)
            elif a.dataflow == "bitserial":
                bits = layer.k * p.input_bits * p.weight_bits
            elif streamed is None:
                bits = layer.k * 8
            else:
                bits = (streamed if name == moving else passes * min(rows, layer.k)) * 8
            held[port % banks] += bits
    return emptied(held, word_bits)


@given(
    base=st.sampled_from(BASES), H=st.integers(1, 3), k=st.integers(1, 9), n=st.integers(1, 9),
    groups=st.integers(1, 4), grouping=st.sampled_from(["serial", "packed"]),
    rows=st.integers(1, 9), columns=st.integers(1, 9), banks=st.integers(1, 7),
    word_bits=st.sampled_from([4, 8, 12, 40]), name=st.sampled_from(["input", "weights", "output"]),
    sums=st.integers(1, 20),
)
def test_the_busiest_bank_by_walking(
    base, H, k, n, groups, grouping, rows, columns, banks, word_bits, name, sums
):
    layer = conv(H, 1, groups * k, groups * n, groups=groups)
    sizes = (4000, 4000, 8 * columns * sums)
    a = machine(base, rows=rows, columns=columns, sizes=sizes)
    if base.dataflow != "bitserial":
        a = replace(a, grouping=grouping)
    a = with_banks(a, name, banks, word_bits)
    counts = simulate(Workload(name="w", layers=(layer,)), a).counts
    if name == "output":  # writes alone; reads of sums and results have a port of their own
        counts = replace(counts, output_sram_read_bits=0)
    found = bank_cycles(problem(layer, a), a, counts)
    assert found == walked(layer, a, name, banks, word_bits)


@given(
    base=st.sampled_from(BASES), m=st.integers(1, 40), k=st.integers(1, 40), n=st.integers(1, 40),
    rows=st.integers(1, 9), columns=st.integers(1, 9), banks=st.integers(1, 8),
    name=st.sampled_from(["input", "weights", "output"]), word_bits=st.integers(1, 40),
)
def test_more_banks_and_wider_words_never_cost(
    base, m, k, n, rows, columns, banks, name, word_bits
):
    layer = Workload(name="w", layers=(gemm(m, k, n),))
    a = machine(base, rows=rows, columns=columns, sizes=(840, 840, 6720), bandwidth=999)
    cycles = [
        simulate(layer, with_banks(a, name, *size)).total_cycles
        for size in ((banks, word_bits), (banks + 1, word_bits), (banks + 1, word_bits + 3))
    ]
    assert cycles == sorted(cycles, reverse=True)


def test_a_bank_a_port_with_wide_words_costs_nothing():
    layer = Workload(name="w", layers=(gemm(40, 30, 20),))
    a = replace(presets.EDGE_16X16_OS, input=replace(presets.EDGE_16X16_OS.input, banks=16))
    plain = simulate(layer, presets.EDGE_16X16_OS)
    assert simulate(layer, a).total_cycles == plain.total_cycles
    one = replace(a.input, banks=1, word_bits=8, bandwidth_bits_per_cycle=8)
    # 40 x 30 words for each of two column folds from one bank, a word a clock.
    slow = simulate(layer, replace(a, input=one)).layers[0]
    assert slow.stall_cycles == 2 * 40 * 30 - plain.layers[0].compute_cycles - (
        plain.layers[0].fill_drain_cycles) + 1 + 2
