"""The compatibility mode: against reports of the real tool, and against a slow twin."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scalesim_twin
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.scalesim import Config, Layer, run, simulate
from hwsim.scalesim.layer import Folding
from hwsim.scalesim.misses import blocks, capacity, cyclic, windowed
from hwsim.scalesim.results import _sum
from hwsim.scalesim.skew import asked_before, clock_of, order
from hwsim.scalesim.windows import distinct, previous

GOLDEN, USER = (
    json.loads((Path(__file__).parent / "data" / name).read_text())
    for name in ("scalesim_3_0_0.json", "scalesim_3_0_0_user.json")
)
CASES = [*GOLDEN["cases"], *USER["cases"]]


def test_golden_data_name_their_source():
    assert GOLDEN["tool"] == "scalesim 3.0.0, numpy 1.26.4, Python 3.11.7"
    layers = sum(len(case["reports"]["COMPUTE_REPORT.csv"].splitlines()) - 1
                 for case in GOLDEN["cases"])
    assert layers == 132
    assert USER["tool"] == GOLDEN["tool"]
    assert len(USER["cases"]) >= 40


@pytest.mark.parametrize("case", range(len(CASES)))
def test_reports_equal_those_of_the_tool_byte_for_byte(tmp_path, case):
    case = CASES[case]
    (tmp_path / "t.csv").write_text(case["topology"])
    (tmp_path / "c.cfg").write_text(case["config"])
    done = simulate(tmp_path / "t.csv", tmp_path / "c.cfg", kind=case["kind"])
    assert done.reports() == case["reports"]


@st.composite
def layers(draw, largest=9):
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    height, width = (reach + draw(st.integers(0, largest)) for reach in kernel)
    block = draw(st.sampled_from([1, 1, 1, 2, 4]))
    return Layer(
        height=height, width=width, kernel=kernel, channels=draw(st.integers(1, 5)),
        filters=draw(st.integers(1, 20)), stride=draw(st.integers(1, 5)),
        kept=draw(st.integers(1, block)), block=block,
    )


@st.composite
def configs(draw):
    # A buffer of 1 kB holds 500 words: small layers then fill it once or twice.
    return Config(
        run_name="r", R=draw(st.integers(1, 9)), C=draw(st.integers(1, 9)),
        input_kb=draw(st.integers(1, 2)), filter_kb=draw(st.integers(1, 2)),
        output_kb=draw(st.integers(1, 2)), dataflow=draw(st.sampled_from(["os", "ws", "is"])),
        bandwidths=draw(st.none() | st.tuples(*[st.integers(1, 9) | st.integers(1, 800)] * 3)),
    )


def compare(layer, config):
    if config.bandwidths is None:
        mine, slow = run(layer, config), {"stalls": 0} | scalesim_twin.report(layer, config)
    else:
        slow = scalesim_twin.report_under_bandwidth(layer, config)
        if slow["total"] < 1:
            with pytest.raises(ValueError, match="rule 1 or later, the tool divides by it"):
                run(layer, config)
            return
        mine = run(layer, config)
    assert (mine.total_cycles, mine.stall_cycles) == (slow["total"], slow["stalls"])
    assert [(a.start, a.stop, a.words) for a in mine.sram] == slow["sram"]
    assert [(a.start, a.stop, a.words) for a in mine.dram] == slow["dram"]


@settings(max_examples=60, deadline=None)
@given(layers(), configs())
def test_equals_the_slow_twin(layer, config):
    if Folding.of(layer, config.dataflow, config.R, config.C).cycles > 1:
        compare(layer, config)


WIDE = Layer(height=12, width=11, kernel=(3, 3), channels=8, filters=13, stride=1)


@pytest.mark.parametrize("bandwidths", [None, (10, 10, 10), (3, 40, 1), (700, 5, 64)])
@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
@pytest.mark.parametrize(
    "layer",
    [
        WIDE, replace(WIDE, stride=2), replace(WIDE, kernel=(1, 1)),
        replace(WIDE, height=13, stride=4, channels=16),  # the last windows leave the map
        replace(WIDE, height=30, width=1, kernel=(1, 1), channels=40),
    ],
)
def test_equals_the_slow_twin_over_many_refills(layer, dataflow, bandwidths):
    config = Config(run_name="r", R=4, C=3, input_kb=1, filter_kb=1, output_kb=1,
                    dataflow=dataflow, bandwidths=bandwidths)
    compare(layer, config)


@given(st.integers(1, 7), st.integers(1, 7))
def test_skewed_blocks(time, ports):
    t, p = order(time, ports)
    clocks = (t + p).tolist()
    assert clocks == sorted(clocks)
    assert clocks == [clock_of(i, time, ports) for i in range(time * ports)]
    for clock in range(-1, time + ports + 2):
        assert asked_before(clock, time, ports) == sum(c < clock for c in clocks)


def reads_of(stream, half):
    """Reads, refills and the last of them, from the addresses themselves."""
    held, reads, refills, last = set(), 0, 0, -1
    for i, address in enumerate(stream):
        if address not in held:
            held.add(address)
            reads += 1
            if len(held) == half:
                held, refills, last = set(), refills + 1, i
    return reads, refills, last


def fields(misses):
    return misses.reads, misses.refills, misses.last


@given(st.integers(1, 12), st.integers(1, 40), st.integers(1, 15))
def test_cyclic_streams(length, requests, half):
    stream = [i % length for i in range(requests)]
    assert fields(cyclic(length, requests, half)) == reads_of(stream, half)


@given(st.integers(1, 8), st.integers(0, 9), st.integers(1, 4), st.integers(0, 7),
       st.integers(1, 30))
def test_streams_of_blocks(length, count, repeats, rest, half):
    sizes = [length] * count + ([rest % length] if rest % length else [])
    stream = [(b, i) for b, size in enumerate(sizes) for _ in range(repeats) for i in range(size)]
    assert fields(blocks(length, count, repeats, rest % length, half)) == reads_of(stream, half)


@given(st.lists(st.integers(-1, 5), min_size=1, max_size=30), st.integers(1, 4),
       st.integers(1, 9))
def test_streams_by_previous_requests(addresses, passes, half):
    """Address -1 asks for nothing."""
    size, before = len(addresses), []
    for i, address in enumerate(addresses):
        seen = [j for j in range(-size, i) if addresses[j % size] == address]
        before.append(i if address < 0 else max(seen))
    asked = [i for i, address in enumerate(addresses * passes) if address >= 0]
    reads, refills, last = reads_of([addresses[i % size] for i in asked], half)
    expected = reads, refills, asked[last] if refills else -1
    assert fields(windowed(np.array(before), passes, half)) == expected


@given(layers())
def test_distinct_counts_what_windows_touch(layer):
    layer = replace(layer, kept=1, block=1)
    X, _, _ = scalesim_twin.operands(layer)
    assert distinct(layer) == len({a for row in X for a in row if a is not None})


def test_chunks_change_nothing(monkeypatch):
    layer = replace(WIDE, stride=2)
    for dataflow in ("os", "ws", "is"):
        folding = Folding.of(layer, dataflow, 4, 3)
        whole = previous(layer, folding)
        with monkeypatch.context() as patch:
            patch.setattr("hwsim.scalesim.windows._CHUNK", 50)
            assert np.array_equal(previous(layer, folding), whole)


def test_a_large_mean_is_the_exact_sum_rounded_once(monkeypatch):
    folding = Folding.of(replace(WIDE, filters=100), "ws", 7, 3)

    def value(f, rows, columns):
        return rows * columns / 21

    added = _sum(folding, value)
    assert added == pytest.approx(value(folding, folding.rows, folding.columns), rel=1e-12)
    plain = 0.0
    for c in range(folding.column_folds):
        for r in range(folding.row_folds):
            plain += value(folding, min(7, folding.rows - 7 * r), min(3, folding.columns - 3 * c))
    assert added == plain


def test_huge_layers_cost_no_more_than_small_ones():
    config = Config(run_name="r", R=16, C=16, input_kb=64, filter_kb=64, output_kb=1,
                    dataflow="os")
    big = Layer(height=10**5, width=10**5, kernel=(1, 10**5), channels=1, filters=10**5, stride=1)
    done = run(big, config)
    assert done.total_cycles == (10**5 // 16) ** 2 * (30 + 10**5) - 1
    assert done.dram[0].words == 6250 * 10**10
    assert capacity(10**6) == 50 * 10_240_000


def test_refusals():
    config = Config(run_name="r", R=1, C=1, input_kb=1, filter_kb=1, output_kb=1, dataflow="os")
    one = Layer(height=1, width=1, kernel=(1, 1), channels=1, filters=1, stride=1)
    with pytest.raises(ValueError, match="rule two or more, the tool divides by"):
        run(one, config)
    wide = replace(config, R=501)
    with pytest.raises(ValueError, match="holds 500 words, one clock of the array asks for 501"):
        run(replace(one, height=600, channels=2), wide)
    high = Layer(height=2**15, width=2**15, kernel=(3, 3), channels=1, filters=1, stride=1)
    with pytest.raises(ValueError, match="rule at most 134217728 window elements"):
        run(high, config)
