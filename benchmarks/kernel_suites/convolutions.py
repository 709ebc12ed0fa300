"""Convolutions at batch 1: a chain of equal ones, so that libraries reorder maps only once."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernel_suites import packed, problems, runtime
from kernel_suites.timing import Contender, rows
from refnet.kernels import tiers
from refnet.kernels.chain import FloatConv, IntegerConv, float_chain, integer_chain
from refnet.program import UINT2, UINT8, Conv, Requantize, TensorType

#: C,H,k of C -> C channels on H x H maps: ResNet-18's, AlexNet's 27 and 13, odd ones.
SHAPES = ("64,56,3", "128,28,3", "256,14,3", "512,7,3", "192,13,3", "96,27,5", "70,30,3", "33,19,3")
#: Layers of a chain.
LAYERS = 6

AGAINST = {"x int8": ("ORT QLinearConv",), "x fp32": ("ORT fp32",)}


def run(shape: str, *, threads: int, seconds: float) -> list[dict[str, Any]]:
    """A row for each contender on the shape "C,H,k", times of one layer."""
    C, H, k = (int(n) for n in shape.split(","))
    return rows(
        f"{k}x{k}, {C} channels, {H}x{H}", C * C * k * k * H * H, contenders(C, H, k, threads),
        threads=threads, seconds=seconds, against=AGAINST,
    )


def contenders(C: int, H: int, k: int, threads: int) -> list[Contender]:
    """Everybody, checked on the last layer of the chain; integers exactly."""
    rng, op = np.random.default_rng(0), Conv(padding=k // 2)
    x = rng.integers(0, 256, (1, C, H, H)).astype(np.uint8)
    w = [rng.integers(-127, 128, (C, C, k, k)).astype(np.int8) for _ in range(LAYERS)]
    shift, attributes = problems.shift_for(C * k * k), runtime.attributes(op)
    layers = [(v, attributes) for v in w]
    real, scale = x.astype(np.float32), np.float32(2.0 ** -(shift - 1))
    scaled = [(v * scale, attributes) for v in w]
    single = runtime.convolutions_float(real, scaled, x.shape, threads=threads)
    library = runtime.convolutions_integer(x, layers, [shift] * LAYERS, x.shape, threads=threads)
    found = [
        Contender(name="ORT fp32", run=single, layers=LAYERS),
        Contender(name="ORT QLinearConv", run=library, layers=LAYERS),
    ]
    if threads == 1:
        found.append(_floats(op, real, scaled, single.result()))
        found.append(_codes(op, x, w, shift, library.result()))
    trits = problems.ternary_weights(rng, w[0].shape)
    if threads == 1 and tiers.current() >= tiers.Tier.AVX512:
        found.append(packed.codes(op, x & 3, [trits] * LAYERS))
    for name, kind, values in (("ternary x 2-bit", UINT2, x & 3), ("ternary x int8", UINT8, x)):
        made = problems.program(op, TensorType(type=kind, shape=x.shape[1:]), trits)
        found.append(problems.plan(name, made, values, threads=threads))
    return found


def _floats(op: Conv, x: Any, layers: Any, want: Any) -> Contender:
    chain = float_chain([FloatConv(op=op, w=w) for w, _ in layers], x.shape[2:])
    return _chained("float32", chain, x, np.float32, lambda y: problems.close(y, want, "float32"))


def _codes(op: Conv, x: Any, w: Any, shift: int, want: Any) -> Contender:
    ones = np.ones(len(w[0]), int)
    requantize = Requantize(type=UINT8, rounding="half_even")
    layers = [
        IntegerConv(op=op, w=v, b=None, requantize=requantize, mult=ones, shift=ones * shift)
        for v in w
    ]
    chain = integer_chain(layers, x.shape[2:], UINT8)
    dtype = np.uint8 if tiers.current() >= tiers.Tier.AVX512 else np.int16
    # The scales are powers of two, which both sides hold exactly, and both round half to even.
    return _chained(
        "int8 to codes", chain, x.astype(dtype), dtype,
        lambda y: problems.same(y, want, "int8 to codes"),
    )  # fmt: skip


def _chained(name: str, chain: Any, x: Any, dtype: Any, check: Any) -> Contender:
    data, out = problems.laid(chain.source, x), chain.target.buffer(1)
    chain(data, 1, out)
    check(chain.target.view(out, 1, dtype).transpose(0, 3, 1, 2))
    return Contender(name=name, run=lambda: chain(data, 1, out), layers=LAYERS, ours=True)
