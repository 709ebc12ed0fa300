"""Layers of VGG-16 and ResNet-18 against their block terms: 1x1, grouped 3x3, 1x1.

Ranks are half the channels on either side, in R = 8 blocks: for VGG-16 that is 6.57 times fewer
multiply-accumulates on all convolutions. Batch 1. The float chain stands against ONNX Runtime's
dense convolution, the chain of 8-bit codes against the dense 8-bit kernel of this project.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernel_suites import problems, runtime
from kernel_suites.timing import Contender, measured
from refnet.kernels.chain import Chain, FloatConv, IntegerConv, float_chain, integer_chain
from refnet.program import INT8, UINT8, Conv, Requantize

#: name:S,T,H,R of a 3x3 convolution from S to T channels on H x H maps.
SHAPES = (
    "conv2_1:64,128,112,8", "conv2_2:128,128,112,8", "conv3_1:128,256,56,8",
    "conv3_2:256,256,56,8", "conv3_3:256,256,56,8", "conv4_1:256,512,28,8",
    "conv4_2:512,512,28,8", "conv4_3:512,512,28,8", "conv5_1:512,512,14,8",
    "conv5_2:512,512,14,8", "conv5_3:512,512,14,8",
    "layer1:64,64,56,2", "layer2:128,128,28,4", "layer3:256,256,14,4", "layer4:512,512,7,8",
)  # fmt: skip


def run(shape: str, *, threads: int, seconds: float) -> list[dict[str, Any]]:
    """One row: MAC ratio and measured ratios of a layer."""
    name, sizes = shape.rsplit(":", 1) if ":" in shape else (shape, shape)
    S, T, H, R = (int(n) for n in sizes.split(","))
    dense_macs = S * T * 9 * H * H
    s, t = S // (2 * R), T // (2 * R)
    macs = (S * R * s + R * s * t * 9 + R * t * T) * H * H
    times = measured(contenders(S, T, H, R), threads=threads, seconds=seconds)
    ratio = dense_macs / macs
    found = {k: (v["median_ms"], v["least_ms"]) for k, v in times.items()}
    by_float = found["ORT fp32 dense"][0] / found["float32 chain"][0]
    by_int8 = found["int8 dense"][0] / found["int8 chain"][0]
    return [{
        "layer": name, "MAC ratio": round(ratio, 2),
        "fp32 measured": round(by_float, 2), "fp32 share": round(by_float / ratio, 2),
        "int8 measured": round(by_int8, 2), "int8 share": round(by_int8 / ratio, 2),
        **{f"{k} ms": round(v[0], 3) for k, v in found.items()},
        **{f"{k} least ms": round(v[1], 3) for k, v in found.items()},
    }]  # fmt: skip


def contenders(S: int, T: int, H: int, R: int) -> list[Contender]:
    """Dense and decomposed, in floats and in codes; ONNX Runtime in floats only."""
    rng, inner = np.random.default_rng(0), (S // 2, T // 2)
    shapes = [
        (Conv(), (inner[0], S, 1, 1)), (Conv(padding=1, groups=R), (inner[1], inner[0] // R, 3, 3)),
        (Conv(), (T, inner[1], 1, 1)),
    ]  # fmt: skip
    dense = [(Conv(padding=1), (T, S, 3, 3))]
    x = rng.integers(0, 256, (1, S, H, H)).astype(np.uint8)
    real = x.astype(np.float32) / 128
    out = 1, T, H, H
    found = []
    for name, layers in (("dense", dense), ("chain", shapes)):
        w = [problems.weights_of_bytes(rng, shape) for _, shape in layers]
        floats = [
            (v.astype(np.float32) / np.float32(74 * np.prod(v.shape[1:]) ** 0.5),
             runtime.attributes(op)) for v, (op, _) in zip(w, layers, strict=True)
        ]  # fmt: skip
        library = runtime.convolutions_float(real, floats, out, threads=1)
        ours = float_chain(
            [FloatConv(op=op, w=v) for (v, _), (op, _) in zip(floats, layers, strict=True)], (H, H)
        )
        result = _run(f"float32 {name}", ours, real, np.float32)
        problems.close(result[0], library.result(), f"float32 {name}")
        found += [Contender(name=f"ORT fp32 {name}", run=library), result[1]]
        found.append(_codes(name, layers, w, x))
    return found


def _codes(name: str, layers: Any, w: Any, x: Any) -> Contender:
    """Signed codes between the layers, as the decomposition lowers them."""
    held = []
    for i, ((op, shape), v) in enumerate(zip(layers, w, strict=True)):
        kind = UINT8 if i == len(w) - 1 else INT8
        ones = np.ones(shape[0], int)
        held.append(IntegerConv(
            op=op, w=v, b=None, mult=ones, shift=ones * problems.shift_for(np.prod(shape[1:])),
            requantize=Requantize(type=kind, rounding="half_even"),
        ))  # fmt: skip
    want = x
    for layer in held:
        acc = layer.op.evaluate(want, layer.w)
        want = layer.requantize.evaluate(acc, layer.mult, layer.shift)
    chain = integer_chain(held, x.shape[2:], UINT8)
    dtype = np.uint8 if chain.target.itemsize == 1 else np.int16
    got, contender = _run(f"int8 {name}", chain, x, dtype)
    problems.same(got, want, f"int8 {name}")
    return contender


def _run(name: str, chain: Chain, x: Any, dtype: Any) -> tuple[Any, Contender]:
    data, out = problems.laid(chain.source, x), chain.target.buffer(1)
    chain(data, 1, out)
    got = chain.target.view(out, 1, dtype).transpose(0, 3, 1, 2)
    return got, Contender(name=name, run=lambda: chain(data, 1, out), ours=True)
