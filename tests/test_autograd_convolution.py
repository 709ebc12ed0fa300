"""Convolution and pooling against plain loops over Python integers."""

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import refnet.autograd as ag
from refnet.autograd import Tensor, chunks, columns, convolution, no_grad, pooling
from refnet.autograd.windows import Window

ROOT = Path(__file__).resolve().parents[1]


class Geometry(NamedTuple):
    """One convolution: shapes and metadata."""

    images: int
    channels: int  # in one group
    filters: int  # in one group
    groups: int
    map: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    dilation: tuple[int, int]

    @property
    def output(self) -> tuple[int, int]:
        h, w = (
            (self.map[i] + sum(self.padding[i]) - self.dilation[i] * (self.kernel[i] - 1) - 1)
            // self.stride[i]
            + 1
            for i in (0, 1)
        )
        return h, w

    @property
    def metadata(self) -> dict[str, Any]:
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    small = st.integers(1, 3)
    kernel, dilation = draw(st.tuples(small, small)), draw(st.tuples(small, small))
    sides = st.tuples(st.integers(0, 3), st.integers(0, 3))
    padding = draw(st.tuples(sides, sides))
    smallest = [max(1, dilation[i] * (kernel[i] - 1) + 1 - sum(padding[i])) for i in (0, 1)]
    groups = draw(small)
    return Geometry(
        images=draw(st.integers(0, 3)),
        channels=draw(st.sampled_from([1, 1, 2])),
        filters=draw(st.integers(1, 2)),
        groups=groups,
        map=(smallest[0] + draw(st.integers(0, 3)), smallest[1] + draw(st.integers(0, 3))),
        kernel=kernel,
        stride=draw(st.tuples(small, small)),
        padding=padding,
        dilation=dilation,
    )


def taps(geometry: Geometry) -> Iterator[tuple[tuple[int, int], tuple[int, int], tuple[int, int]]]:
    """All (output position, tap, input position) inside the map."""
    for oh, ow in np.ndindex(*geometry.output):
        for r, s in np.ndindex(*geometry.kernel):
            h = oh * geometry.stride[0] + r * geometry.dilation[0] - geometry.padding[0][0]
            w = ow * geometry.stride[1] + s * geometry.dilation[1] - geometry.padding[1][0]
            if 0 <= h < geometry.map[0] and 0 <= w < geometry.map[1]:
                yield (oh, ow), (r, s), (h, w)


def loops(
    x: np.ndarray, w: np.ndarray, g: np.ndarray, geometry: Geometry
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The convolution of integers and its two gradients, one product at a time."""
    y, of_x, of_w = np.zeros_like(g), np.zeros_like(x), np.zeros_like(w)
    places = list(taps(geometry))
    for n, f, c in np.ndindex(x.shape[0], w.shape[0], w.shape[1]):
        channel = f // geometry.filters * geometry.channels + c
        for out, tap, place in places:
            y[n, f, *out] += x[n, channel, *place] * w[f, c, *tap]
            of_x[n, channel, *place] += g[n, f, *out] * w[f, c, *tap]
            of_w[f, c, *tap] += g[n, f, *out] * x[n, channel, *place]
    return y, of_x, of_w


@given(geometries(), st.sampled_from([1, 60, 2**18]), st.integers(0, 2**32 - 1))
def test_conv2d_equals_plain_loops(geometry: Geometry, chunk: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(-9, 10, (geometry.images, geometry.channels * geometry.groups, *geometry.map))
    w = rng.integers(
        -9, 10, (geometry.filters * geometry.groups, geometry.channels, *geometry.kernel)
    )
    g = rng.integers(-9, 10, (geometry.images, w.shape[0], *geometry.output))
    expected = loops(x, w, g, geometry)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK", chunk)
        patch.setattr(columns, "POSITIONS", 1)
        for dtype in (np.float64, np.float32):
            tx = Tensor(x.astype(dtype), requires_grad=True)
            tw = Tensor(w.astype(dtype), requires_grad=True)
            y = ag.conv2d(tx, tw, **geometry.metadata)
            y.backward(g)
            for ours, exact in zip((y.numpy(), tx.grad, tw.grad), expected, strict=True):
                assert ours is not None
                assert ours.dtype == dtype
                np.testing.assert_array_equal(ours, exact)


def test_float64_sums_of_large_integers_are_exact() -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(-(2**31), 2**31, (2, 8, 6, 6))
    w = rng.integers(-(2**14), 2**14, (4, 8, 3, 3))
    geometry = Geometry(2, 8, 4, 1, (6, 6), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
    expected = loops(x, w, np.zeros((2, 4, 6, 6), dtype=np.int64), geometry)[0]
    assert np.abs(expected).max() > 2**45
    y = ag.conv2d(x.astype(np.float64), w.astype(np.float64), padding=1)
    np.testing.assert_array_equal(y.numpy(), expected)
    np.testing.assert_array_equal(ag.conv2d(x, w, padding=1).numpy(), expected)


@pytest.mark.parametrize("shape", [(0, 2, 5, 5), (1, 2, 1, 1), (300, 2, 3, 3)])
def test_bias_is_added_per_filter(shape: tuple[int, ...]) -> None:
    x, w = Tensor(np.ones(shape), requires_grad=True), np.ones((3, 2, 1, 1))
    b = Tensor([10.0, 20.0, 30.0], requires_grad=True)
    y = ag.conv2d(x, w, b)
    expected = np.broadcast_to(np.array([12.0, 22.0, 32.0])[:, None, None], y.shape)
    np.testing.assert_array_equal(y.numpy(), expected)
    y.backward(np.ones(y.shape))
    np.testing.assert_array_equal(b.grad, [shape[0] * shape[2] * shape[3]] * 3)


def test_bias_of_a_wider_dtype_widens_the_result() -> None:
    x, w = np.ones((1, 1, 2, 2), np.float32), np.ones((1, 1, 1, 1), np.float32)
    assert ag.conv2d(x, w, np.ones(1)).dtype == np.float64
    assert ag.conv2d(x, w.astype(np.float64)).dtype == np.float64


def test_one_large_image_is_cut_into_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).integers(-4, 5, (1, 2, 40, 40)).astype(np.float64)
    w = np.random.default_rng(1).integers(-4, 5, (2, 2, 3, 3)).astype(np.float64)
    whole = ag.conv2d(x, w, padding=1).numpy()
    monkeypatch.setattr(chunks, "CHUNK", 1500)
    window = Window(
        name="conv2d",
        map=(40, 40),
        size=(3, 3),
        stride=(1, 1),
        padding=((1, 1), (1, 1)),
        dilation=(1, 1),
    )
    assert len(columns.cut(1, 2, window)) == 7
    np.testing.assert_array_equal(ag.conv2d(x, w, padding=1).numpy(), whole)


DETERMINISM = """
import hashlib
import numpy as np
import refnet.autograd as ag
from refnet.autograd import Tensor, chunks
rng = np.random.default_rng(0)
def leaf(*shape):
    return Tensor(rng.standard_normal(shape, dtype=np.float32), requires_grad=True)
x, w, v, u = leaf(64, 3, 24, 24), leaf(16, 3, 3, 3), leaf(16, 1, 3, 3), leaf(24, 16, 1, 1)
y = ag.relu(ag.batch_norm(ag.conv2d(x, w, padding=1)))
y = ag.avg_pool2d(ag.conv2d(y, v, stride=2, groups=16), kernel_size=3, stride=1)
y = ag.max_pool2d(ag.conv2d(y, u), kernel_size=2)
y.backward(rng.standard_normal(y.shape))
digest = hashlib.sha256()
for array in (y.numpy(), x.grad, w.grad, v.grad, u.grad):
    digest.update(array.tobytes())
print(chunks.thread_count(), digest.hexdigest())
"""


def run(program: str, threads: str) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ, REFNET_THREADS=threads, OPENBLAS_NUM_THREADS="1")
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        check=False,
    )


def test_the_same_bits_for_any_number_of_threads() -> None:
    results = []
    for threads in ("1", "2", "5"):
        count, digest = run(DETERMINISM, threads).stdout.split()
        assert count == threads
        results.append(digest)
    assert len(set(results)) == 1


def test_a_bad_number_of_threads_is_named() -> None:
    for bad in ("0", "two", "-1"):
        failed = run("from refnet.autograd import chunks; chunks.thread_count()", bad)
        assert f"REFNET_THREADS: '{bad}' is not an integer >= 1" in failed.stderr


def test_threads_keep_order_errors_and_numpy_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "thread_count", lambda: 2)
    orders = [chunks.sum_chunks(lambda i: [i], range(50), []) for _ in range(3)]
    assert orders == [list(range(50))] * 3
    with pytest.raises(ZeroDivisionError):
        chunks.run_chunks(lambda i: print(1 // i), range(3))
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        chunks.run_chunks(lambda i: print(np.float64(1) / i), [0.0, 0.0])


def test_the_input_gradient_is_not_computed_for_constants(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> np.ndarray:
        raise AssertionError

    monkeypatch.setattr(convolution, "_input_gradient", refuse)
    monkeypatch.setattr(convolution, "_input_gradient_by_correlation", refuse)
    w = Tensor(np.ones((1, 1, 2, 2)), requires_grad=True)
    ag.conv2d(np.ones((1, 1, 2, 2)), w).backward()
    np.testing.assert_array_equal(w.grad, np.ones((1, 1, 2, 2)))


@st.composite
def pools(draw: st.DrawFn) -> Geometry:
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    halves = [st.integers(0, k // 2) for k in kernel]
    padding = draw(st.tuples(st.tuples(halves[0], halves[0]), st.tuples(halves[1], halves[1])))
    size = [draw(st.integers(max(1, kernel[i] - sum(padding[i])), 7)) for i in (0, 1)]
    return Geometry(
        images=draw(st.integers(0, 3)),
        channels=draw(st.integers(1, 3)),
        filters=1,
        groups=1,
        map=(size[0], size[1]),
        kernel=kernel,
        stride=draw(st.tuples(st.integers(1, 4), st.integers(1, 4))),
        padding=padding,
        dilation=(1, 1),
    )


@given(pools(), st.sampled_from([1, 30, 2**18]), st.integers(0, 2**32 - 1))
def test_pooling_equals_plain_loops(geometry: Geometry, chunk: int, seed: int) -> None:
    """Few different values, so that ties are the rule; the first of a window wins."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 2, (geometry.images, geometry.channels, *geometry.map))
    g = rng.integers(-9, 10, (*x.shape[:2], *geometry.output))
    best = np.full(g.shape, -99)
    winner: dict[tuple[int, ...], tuple[int, ...]] = {}
    total, of_average, of_maximum = np.zeros_like(g), np.zeros_like(x), np.zeros_like(x)
    for n, c in np.ndindex(*x.shape[:2]):
        for out, _, place in taps(geometry):
            here, there = (n, c, *out), (n, c, *place)
            total[here] += x[there]
            of_average[there] += g[here]
            if x[there] > best[here]:
                best[here], winner[here] = x[there], there
    for here, there in winner.items():
        of_maximum[there] += g[here]
    metadata = {"kernel_size": geometry.kernel, **geometry.metadata}
    del metadata["dilation"], metadata["groups"]
    count = geometry.kernel[0] * geometry.kernel[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pooling, "CHUNK", chunk)
        a, b = (Tensor(x.astype(np.float64), requires_grad=True) for _ in range(2))
        largest, average = ag.max_pool2d(a, **metadata), ag.avg_pool2d(b, **metadata)
        largest.backward(g)
        average.backward(g * count)
        np.testing.assert_array_equal(ag.max_pool2d(x, **metadata).numpy(), best)
    np.testing.assert_array_equal(largest.numpy(), best)
    np.testing.assert_array_equal(average.numpy(), total / count)
    np.testing.assert_array_equal(a.grad, of_maximum)
    np.testing.assert_array_equal(b.grad, of_average)


def test_max_pool_hands_on_nan_and_its_gradient() -> None:
    x = Tensor(np.array([[1.0, np.nan], [np.nan, 4.0]]).reshape(1, 1, 2, 2), requires_grad=True)
    y = ag.max_pool2d(x, kernel_size=2)
    assert np.isnan(y.item())
    y.backward()
    assert x.grad is not None
    assert x.grad.sum() == 1


def test_integer_pooling_keeps_the_smallest_integer() -> None:
    x = np.full((1, 1, 2, 2), -128, dtype=np.int8)
    y = ag.max_pool2d(x, kernel_size=2, stride=1, padding=1)
    assert y.dtype == np.int8
    np.testing.assert_array_equal(y.numpy(), np.full((1, 1, 3, 3), -128))


def test_global_average_pool() -> None:
    x = np.arange(24.0).reshape(2, 3, 2, 2)
    with no_grad():
        np.testing.assert_array_equal(ag.global_avg_pool2d(x).numpy(), x.mean(axis=(2, 3)))


X, W = (1, 4, 8, 8), (8, 4, 3, 3)
MISFITS: list[tuple[str, list[tuple[int, ...]], dict[str, Any], str]] = [
    (
        "conv2d",
        [(1, 6, 8, 8), W],
        {"groups": 2},
        "conv2d: x (1, 6, 8, 8), w (8, 4, 3, 3), groups=2 do not fit: 6 != 4 * 2",
    ),
    ("conv2d", [(1, 4, 8), W], {}, "conv2d: x (1, 4, 8), w (8, 4, 3, 3), groups=1 do not fit"),
    ("conv2d", [X, (7, 2, 3, 3)], {"groups": 2}, "7 filters are not a multiple of groups"),
    ("conv2d", [X, W], {"groups": 0}, "groups=0 do not fit"),
    ("conv2d", [X, W, (4,)], {}, "conv2d: w (8, 4, 3, 3), b (4,) do not fit: b must be (8,)"),
    ("conv2d", [(1, 4, 2, 8), W], {}, "the window (3, 3) is larger than the padded map"),
    ("conv2d", [X, W], {"stride": 0}, "all must be >= 1"),
    ("conv2d", [X, W], {"padding": -1}, "it must be >= 0"),
    ("conv2d", [X, W], {"stride": 1.5}, "conv2d: stride: 1.5 is not an integer or a pair"),
    ("conv2d", [X, W], {"padding": (1, 1, 1)}, "conv2d: padding: (1, 1, 1) is not an integer or"),
    ("max_pool2d", [(1, 4, 8)], {"kernel_size": 2}, "max_pool2d: x (1, 4, 8) does not fit: needs"),
    ("max_pool2d", [X], {"kernel_size": 2, "padding": 2}, "padding must be at most half"),
    ("avg_pool2d", [X], {"kernel_size": 9}, "avg_pool2d: map (8, 8), padding ((0, 0), (0, 0)),"),
    ("global_avg_pool2d", [(1, 4)], {}, "global_avg_pool2d: x (1, 4) does not fit: needs (N, C"),
]


@pytest.mark.parametrize(
    ("name", "shapes", "metadata", "message"), MISFITS, ids=[m[-1] for m in MISFITS]
)
def test_misfits_get_one_line(
    name: str, shapes: list[tuple[int, ...]], metadata: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        getattr(ag, name)(*map(np.zeros, shapes), **metadata)
    assert "\n" not in str(caught.value)


if importlib.util.find_spec("torch"):

    @pytest.mark.parametrize("groups", [1, 2, 4])
    def test_conv2d_agrees_with_torch(groups: int) -> None:
        torch = importlib.import_module("torch")
        rng = np.random.default_rng(0)
        shapes = [(3, 4, 9, 8), (8, 4 // groups, 3, 2), (8,)]
        arrays = [rng.standard_normal(s) for s in shapes]
        ours = [Tensor(a, requires_grad=True) for a in arrays]
        theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
        metadata = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": groups}
        y = ag.conv2d(*ours, **metadata)
        z = torch.nn.functional.conv2d(*theirs, **metadata)
        g = rng.standard_normal(y.shape)
        y.backward(g)
        z.backward(torch.tensor(g))
        np.testing.assert_allclose(y.numpy(), z.detach().numpy(), atol=1e-12)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.grad, b.grad.numpy(), atol=1e-12)
