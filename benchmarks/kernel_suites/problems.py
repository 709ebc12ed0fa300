"""The project's own contenders: packed kernels and whole plans, on arrays that others get too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernel_suites.timing import Contender
from refnet import kernels
from refnet.kernels import bytepairs, float32, int8, tiers
from refnet.kernels.direct import codes, largest_sum
from refnet.kernels.places import Maps
from refnet.program import (
    TERNARY,
    UINT2,
    UINT8,
    Constant,
    Conv,
    Node,
    Program,
    Requantize,
    TensorType,
    constant,
    run,
)


def same(got: NDArray[Any], want: NDArray[Any], what: str) -> None:
    """End the benchmark where a kernel is not equal to the reference."""
    if not np.array_equal(got, want):
        wrong = int(np.sum(got != want))
        raise SystemExit(f"{what}: {wrong} of {want.size} values differ from the reference")


def close(got: NDArray[Any], want: NDArray[Any], what: str, share: float = 1e-4) -> None:
    """End the benchmark where reals are off by more than ``share`` of the largest."""
    error = float(np.abs(got - want).max() / np.abs(want).max())
    if not error <= share:
        raise SystemExit(f"{what}: off by {error:.2g} of the largest value, rule {share:.2g}")


def program(op: Conv, x: TensorType, w: NDArray[Any], *, shift: int | None = None) -> Program:
    """One convolution, and what requantizes it to 8 bits by 2**-shift."""
    weights = Constant(type=TERNARY, array=w) if np.abs(w).max() <= 1 else constant(w)
    nodes, held = [Node(name="c", op=op, inputs=("x", "w"))], {"w": weights}
    if shift is not None:
        nodes.append(Node(
            name="y", op=Requantize(type=UINT8, rounding="half_even"), inputs=("c", "m", "s"),
        ))  # fmt: skip
        held |= {"m": constant(np.ones(len(w), int)), "s": constant(np.full(len(w), shift))}
    return Program(
        name="problem", input="x", input_type=x, nodes=tuple(nodes), constants=held,
        output=nodes[-1].name,
    )


def plan(name: str, made: Program, x: NDArray[Any], *, threads: int) -> Contender:
    """A plan of the program, from and to the layout of programs."""
    ready = kernels.compile(made, threads=threads)
    same(ready(x), run(made, x), name)
    used = "+".join(dict.fromkeys(stage.kernel for stage in ready.stages))
    return Contender(name=f"{name}, plan ({used})", run=lambda: ready(x), packing=True, ours=True)


def packed_int8(
    op: Conv, x: NDArray[Any], w: NDArray[Any], *, shift: int
) -> tuple[Contender, Contender]:
    """Sums and codes of the tier's 8-bit kernel, maps lying place after place on both sides.

    x (1, C, H, W) of unsigned codes.
    """
    build = int8 if tiers.current() >= tiers.Tier.AVX512 else bytepairs
    ready = build.direct(op, x.shape[2:], w, None, signed=False)
    data = laid(ready.windows.maps, x)
    made = program(op, TensorType(type=UINT8, shape=x.shape[1:]), w, shift=shift)
    want, trace = run(made, x, trace=True)

    def contender(name: str, itemsize: int, dtype: Any, want: Any, ending: Any) -> Contender:
        target = Maps(channels=len(w), size=ready.windows.out, itemsize=itemsize)
        out = target.buffer(1)
        ready.run(data, 1, out, target, ending)
        same(target.view(out, 1, dtype).transpose(0, 3, 1, 2), want, name)
        return Contender(name=name, run=lambda: ready.run(data, 1, out, target, ending), ours=True)

    ones = np.ones(len(w), int)
    ending = codes(
        ready.windows, ones, ones * shift, UINT8, "half_even", largest=largest_sum(UINT8, w, None)
    )
    return (
        contender("int8", 4, np.int32, trace["c"], None),
        contender("int8 to codes", 1, np.uint8, want, ending),
    )


def packed_float(op: Conv, x: NDArray[Any], w: NDArray[Any], want: NDArray[Any]) -> Contender:
    """The float kernel, maps lying place after place on both sides; x (1, C, H, W)."""
    ready = float32.direct(op, x.shape[2:], w, None)
    data = laid(ready.windows.maps, x)
    target = Maps(channels=len(w), size=ready.windows.out, itemsize=4)
    out = target.buffer(1)
    ready.run(data, 1, out, target)
    close(target.view(out, 1, np.float32).transpose(0, 3, 1, 2), want, "float32")
    return Contender(name="float32", run=lambda: ready.run(data, 1, out, target), ours=True)


def laid(maps: Maps, x: NDArray[Any]) -> NDArray[np.uint8]:
    """x (N, C, H, W) in a buffer, place after place; codes as wide as the maps have them."""
    data = maps.buffer(len(x))
    dtype = x.dtype if x.dtype.itemsize == maps.itemsize else np.dtype(f"i{maps.itemsize}")
    maps.view(data, len(x), dtype)[...] = x.transpose(0, 2, 3, 1)
    return data


def weights_of_bytes(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.int8]:
    """Random 8-bit weights for which ONNX Runtime is right on this processor.

    Without VNNI its 8-bit products are added in pairs that saturate at 16 bits, for which its
    documentation asks for 7-bit weights; two of at most 64 cannot pass 2**15 / 255.
    """
    most = 127 if tiers.highest() >= tiers.Tier.AVX512 else 64
    return rng.integers(-most, most + 1, shape).astype(np.int8)


def shift_for(K: int) -> int:
    """A shift that brings sums of K products of random codes and weights to about 8 bits."""
    return max(0, round(np.log2(K**0.5 * 150 * 74 / 100)))


def ternary_weights(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.int8]:
    """Trits, each a third of them."""
    return rng.integers(-1, 2, shape).astype(np.int8)


def matrix_program(x: NDArray[Any], w: NDArray[Any], bits: int) -> tuple[Program, NDArray[Any]]:
    """x (N, K) of unsigned codes @ w (K, M) as a program on images (K, 1, 1)."""
    kind = UINT2 if bits == 2 else UINT8
    shape = TensorType(type=kind, shape=(x.shape[1], 1, 1))
    made = program(Conv(), shape, np.ascontiguousarray(w.T)[:, :, None, None])
    return made, np.ascontiguousarray(x[:, :, None, None])


