"""Row-stationary: the closed form against passes that are walked, and against the chip."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hwsim.rowstationary import ALEXNET, RowMapping, RowShape, active_pes, processing_cycles


def walked(s: RowShape, m: RowMapping) -> tuple[int, dict[tuple[int, ...], int]]:
    """Walk over every pass, every PE and every MAC; a pass lasts as long as a full PE would."""
    clocks, made = 0, {}
    for image, group in itertools.product(range(s.batch), range(s.groups)):
        for f0 in range(0, s.filters, m.p * m.t):
            for c0 in range(0, s.channels, m.q * m.r):
                for y0 in range(0, s.output_rows, m.e):
                    clocks += one_pass(s, m, (image, group, f0, c0, y0), made)
    return clocks, made


def one_pass(s, m, start, made) -> int:
    image, group, f0, c0, y0 = start
    for t, r, i, y in itertools.product(range(m.t), range(m.r), range(s.kernel_rows), range(m.e)):
        for p, q in itertools.product(range(m.p), range(m.q)):
            f, c, row = f0 + t * m.p + p, c0 + r * m.q + q, y0 + y
            if f < s.filters and c < s.channels and row < s.output_rows:
                for x, j in itertools.product(range(s.output_columns), range(s.kernel_columns)):
                    mac = image, group, f, c, row, x, i, j
                    made[mac] = made.get(mac, 0) + 1
    return sum(1 for _ in itertools.product(
        range(m.p), range(m.q), range(s.kernel_columns), range(s.output_columns)))


@given(
    sizes=st.tuples(*[st.integers(1, 3)] * 2, *[st.integers(1, 5)] * 2, *[st.integers(1, 3)] * 2,
                    *[st.integers(1, 4)] * 2),
    mapping=st.tuples(*[st.integers(1, 3)] * 5),
)
def test_closed_form_is_the_walk(sizes, mapping):
    names = ("batch", "groups", "channels", "filters", "kernel_rows", "kernel_columns",
             "output_rows", "output_columns")
    shape = RowShape(**dict(zip(names, sizes, strict=True)))
    m = RowMapping(**dict(zip("epqrt", mapping, strict=True)))
    assume(shape.macs <= 4000)
    try:
        cycles = processing_cycles(shape, m)
    except ValueError:
        assume(False)
    clocks, made = walked(shape, m)
    assert clocks == cycles
    assert len(made) == shape.macs
    assert set(made.values()) == {1}


@pytest.mark.parametrize(("name", "shape", "mapping", "ms", "pes"), ALEXNET)
def test_alexnet_on_the_chip(name, shape, mapping, ms, pes):
    """Within 20 % of the measured processing time a layer, and never slower than the chip."""
    modelled = processing_cycles(shape, mapping) / 200e6 * 1e3
    assert 0.8 * ms <= modelled <= ms
    assert active_pes(shape, mapping) == pes


def test_what_does_not_fit_is_refused():
    _, conv5, mapping, *_ = ALEXNET[4]
    for change, seen in (
        ({"t": 3}, "6 sets of 3 x 13 PEs, rule at most 4 on 12 x 14"),
        ({"e": 27}, "4 sets of 3 x 27 PEs, rule at most 2 on 12 x 14"),
        ({"q": 5, "p": 1}, "15 words of inputs in a PE, rule at most 12"),
        ({"p": 25}, "225 words of weights in a PE, rule at most 224"),
        ({"p": 25, "q": 1}, "25 words of sums in a PE, rule at most 24"),
    ):
        with pytest.raises(ValueError, match=seen):
            processing_cycles(conv5, replace(mapping, m=None, **change))
    with pytest.raises(ValueError, match="rule at most 0 on 2 x 14"):
        processing_cycles(conv5, mapping, rows=2)
    with pytest.raises(ValueError, match="RowShape: channels=0"):
        replace(conv5, channels=0)
