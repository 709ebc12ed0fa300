"""The compiled convolution against columns and matrix products, in numbers whose sums are exact."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from refnet.autograd import chunks, convolution, direct
from refnet.autograd.windows import Window


@st.composite
def problems(draw: st.DrawFn) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], Window]:
    """x, w, g of small integers and their window: rows and filters that fill no block."""
    small, border = st.integers(1, 5), st.integers(0, 4)
    images, channels, filters, taps = draw(small), draw(small), draw(st.integers(1, 9)), draw(small)
    padding = ((draw(border), draw(border)), (draw(border), draw(border)))
    height = draw(st.integers(max(1, taps - sum(padding[0])), 12))
    width = draw(st.integers(max(1, 3 - sum(padding[1])), 20))
    window = Window(
        name="conv2d", map=(height, width), size=(taps, 3), stride=(1, 1), padding=padding,
        dilation=(1, 1),
    )  # fmt: skip
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def numbers(*shape: int) -> NDArray[Any]:
        return rng.integers(-8, 9, shape).astype(np.float32)

    return (
        numbers(images, channels, height, width), numbers(filters, channels, taps, 3),
        numbers(images, filters, *window.output), window,
    )  # fmt: skip


# At most 9 * 25 taps, or 5 * 16 * 24 positions, of products up to 64: far below 2**24.
@given(problems(), st.sampled_from([1, 40, 1024]))
def test_the_compiled_loops_equal_the_columns(
    problem: tuple[NDArray[Any], NDArray[Any], NDArray[Any], Window], band: int
) -> None:
    x, w, g, window = problem
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(direct, "BAND", band)
        y = direct.correlate(x, w, window)
        gradient = direct.weight_gradient(x, g, w.shape, window)
    assert np.array_equal(y, convolution._correlate_columns(x, w, window, 1))
    assert np.array_equal(
        gradient, convolution._weight_gradient_columns(x, g, w.shape, window, 1)
    )


def test_any_number_of_threads_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(37, 3, 13, 17)), rng.normal(size=(6, 3, 3, 3))
    g = rng.normal(size=(37, 6, 13, 17))
    x, w, g = (a.astype(np.float32) for a in (x, w, g))
    window = convolution._window(x, w, 1, 1, 1)
    found = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(chunks, "thread_count", lambda threads=threads: threads)
        found.append(
            direct.correlate(x, w, window).tobytes()
            + direct.weight_gradient(x, g, w.shape, window).tobytes()
        )
    assert len(set(found)) == 1


def test_infinities_behind_a_row_stay_where_they_are() -> None:
    x = np.zeros((1, 1, 4, 12), dtype=np.float32)
    x[0, 0, 1, 0] = np.inf
    w = np.ones((1, 1, 3, 3), dtype=np.float32)
    window = convolution._window(x, w, 1, 1, 1)
    with np.errstate(invalid="ignore"):  # filters of zeros fill the block, and are dropped
        y = direct.correlate(x, w, window)
    assert np.array_equal(np.isinf(y[0, 0]), np.isin(np.arange(12), [0, 1]) & np.array(
        [[True], [True], [True], [False]]))


def test_only_what_is_faster_is_served() -> None:
    def window(width: int, taps: int = 3, stride: int = 1) -> Window:
        return Window(
            name="conv2d", map=(width, width), size=(taps, taps), stride=(stride, stride),
            padding=((taps // 2,) * 2,) * 2, dilation=(1, 1),
        )  # fmt: skip

    single = np.dtype(np.float32)
    assert direct.serves(single, window(12), 1) == direct._COMPILED
    for dtype, served, groups in (
        (np.dtype(np.float64), window(12), 1), (single, window(12), 2), (single, window(11), 1),
        (single, window(12, taps=5), 1), (single, window(24, stride=2), 1),
    ):  # fmt: skip
        assert not direct.serves(dtype, served, groups)
