"""Matrix products: x (N, K) activations, w (K, M) weights, which are constant and packed before."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernel_suites import packed, problems, runtime
from kernel_suites.timing import Contender, rows
from refnet.kernels import tiers
from refnet.kernels.trits import TritMatrix
from refnet.program import Conv

#: Those of ResNet-18's convolutions, a square one, a feed-forward layer, and awkward ones.
GEMM = ("3136,576,64", "784,1152,128", "196,2304,256", "49,4608,512", "1024,1024,1024",
        "128,4096,4096", "101,577,67", "27,1201,333")  # fmt: skip
#: Fully connected layers at batch 1, and three images at once.
GEMV = ("1,9216,4096", "1,4096,1000", "3,1001,515")

AGAINST = {
    "x int8": ("ORT MatMulInteger", "ORT QLinearMatMul"),
    "x fp32": ("ORT fp32", "NumPy fp32"),
    "x 2-bit": ("ORT MatMulNBits 2-bit",),
}


def run(shape: str, *, threads: int, seconds: float) -> list[dict[str, Any]]:
    """A row for each contender on the shape "N,K,M"."""
    N, K, M = (int(n) for n in shape.split(","))
    where = f"{shape} ({K * M / 4e6:.1f} MB of trits, {K * M / 1e6:.1f} of bytes)"
    return rows(
        where, N * K * M, contenders(N, K, M, threads), threads=threads, seconds=seconds,
        against=AGAINST,
    )


def contenders(N: int, K: int, M: int, threads: int) -> list[Contender]:
    """Everybody, checked; integers exactly, floats by their bounds."""
    rng = np.random.default_rng(0)
    x, w = rng.integers(0, 256, (N, K)).astype(np.uint8), rng.integers(-127, 128, (K, M))
    w, trits = w.astype(np.int8), problems.ternary_weights(rng, (K, M))
    real, shift = x.astype(np.float32), problems.shift_for(K)
    return [
        *_libraries(x, real, w, trits, shift, threads),
        *_integers(x, w, trits, shift, threads),
    ]


def _libraries(x: Any, real: Any, w: Any, trits: Any, shift: int, threads: int) -> list[Contender]:
    exact = x.astype(np.float64) @ w
    floats, integers = w.astype(np.float32), exact.astype(np.int32)
    single = runtime.matmul_float(real, w, threads=threads)
    problems.close(single.result(), exact, "ORT fp32")
    multiply = runtime.matmul_integer(x, w, threads=threads)
    problems.same(multiply.result(), integers, "ORT MatMulInteger")
    quantized = runtime.matmul_quantized(x, w, shift, threads=threads)
    problems.same(
        quantized.result(), np.clip(np.rint(exact / 2.0**shift), 0, 255), "ORT QLinearMatMul"
    )
    two_bits = runtime.matmul_two_bits(real, trits, threads=threads)
    # It rounds activations to 8 bits inside, a step for each block.
    problems.close(two_bits.result(), x.astype(np.float64) @ trits, "ORT MatMulNBits", 0.02)
    return [
        Contender(name="NumPy fp32", run=lambda: real @ floats),
        Contender(name="ORT fp32", run=single),
        Contender(name="ORT MatMulInteger", run=multiply),
        Contender(name="ORT QLinearMatMul", run=quantized),
        Contender(name="ORT MatMulNBits 2-bit", run=two_bits, packing=True),
    ]


def _tables(x: Any, trits: Any) -> list[Contender]:
    """Tables are built from the activations inside the time."""
    found = []
    for name, values in (("ternary x int8", x), ("ternary x fp32", x.astype(np.float32))):
        matrix = TritMatrix.of(trits.T, floats=values.dtype == np.float32)
        # Sums stay below 2**24, where floats are exact as well.
        problems.same(matrix(values), x.astype(np.float64) @ trits, f"{name}, tables")
        rows = matrix.element.rows(values, len(matrix.indices))
        found.append(Contender(
            name=f"{name}, tables", run=lambda matrix=matrix, rows=rows: matrix.multiplied(rows),
            ours=True,
        ))  # fmt: skip
    return found


def _integers(x: Any, w: Any, trits: Any, shift: int, threads: int) -> list[Contender]:
    places = np.ascontiguousarray(x.T).reshape(1, x.shape[1], len(x), 1)
    weights = np.ascontiguousarray(w.T)[:, :, None, None]
    found = []
    if tiers.current() >= tiers.Tier.AVX512 and threads == 1:
        found += problems.packed_int8(Conv(), places, weights, shift=shift)
        want = (places[0, :, :, 0].T.astype(np.float64) @ w).T[None, :, :, None]
        found.append(problems.packed_float(Conv(), places.astype(np.float32), weights, want))
        found += [*_tables(x, trits), packed.sums(x & 3, trits)]
    two = x & 3
    for name, codes, held in (("int8", x, w), ("ternary x int8", x, trits),
                              ("ternary x 2-bit", two, trits)):  # fmt: skip
        made, maps = problems.matrix_program(codes, held, 2 if codes is two else 8)
        found.append(problems.plan(name, made, maps, threads=threads))
    return found
