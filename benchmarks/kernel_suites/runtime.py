"""The same computations as ONNX Runtime does them: float, 8 bits, 2-bit weights.

Weights are constants, which the runtime packs when it loads the model; inputs and outputs are bound
once, so that nothing is copied at a call; all optimisations are on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_TYPES = {
    np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.uint8): TensorProto.UINT8,
    np.dtype(np.int8): TensorProto.INT8, np.dtype(np.int32): TensorProto.INT32,
}  # fmt: skip


class Session:
    """A model with one input x and one output y, bound to arrays."""

    def __init__(
        self, nodes: list[Any], constants: dict[str, NDArray[Any]], x: NDArray[Any],
        y_shape: tuple[int, ...], y_dtype: Any, *, threads: int,
    ) -> None:
        graph = helper.make_graph(
            nodes, "benchmark",
            [helper.make_tensor_value_info("x", _TYPES[x.dtype], x.shape)],
            [helper.make_tensor_value_info("y", _TYPES[np.dtype(y_dtype)], y_shape)],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        )
        domains = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=domains, ir_version=9)
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        self.session = ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self.y = ort.OrtValue.ortvalue_from_shape_and_type(y_shape, np.dtype(y_dtype), "cpu")
        self.binding = self.session.io_binding()
        self.binding.bind_ortvalue_input("x", ort.OrtValue.ortvalue_from_numpy(x))
        self.binding.bind_ortvalue_output("y", self.y)

    def __call__(self) -> None:
        self.session.run_with_iobinding(self.binding)

    def result(self) -> NDArray[Any]:
        """Run, and give a copy of y."""
        self()
        return self.y.numpy().copy()


def matmul_float(x: NDArray[Any], w: NDArray[Any], *, threads: int) -> Session:
    """x (N, K) @ w (K, M)."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    shape = len(x), w.shape[1]
    return Session(nodes, {"w": w.astype(np.float32)}, x, shape, np.float32, threads=threads)


def matmul_integer(x: NDArray[Any], w: NDArray[Any], *, threads: int) -> Session:
    """x (N, K) uint8 @ w (K, M) int8 -> int32."""
    nodes = [helper.make_node("MatMulInteger", ["x", "w"], ["y"])]
    return Session(nodes, {"w": w}, x, (len(x), w.shape[1]), np.int32, threads=threads)


def matmul_quantized(
    x: NDArray[Any], w: NDArray[Any], shift: int, *, threads: int
) -> Session:
    """x (N, K) uint8 @ w (K, M) int8, times 2**-shift, rounded to uint8."""
    one, zero = np.float32(1), np.uint8(0)
    constants = {
        "w": w, "one": np.array(one), "zero": np.array(zero),
        "step": np.array(np.float32(2.0**shift)),
        "w_step": np.ones(w.shape[1], np.float32), "w_zero": np.zeros(w.shape[1], np.int8),
    }
    names = ["x", "one", "zero", "w", "w_step", "w_zero", "step", "zero"]
    nodes = [helper.make_node("QLinearMatMul", names, ["y"])]
    return Session(nodes, constants, x, (len(x), w.shape[1]), np.uint8, threads=threads)


def matmul_two_bits(x: NDArray[Any], w: NDArray[Any], *, threads: int) -> Session:
    """x (N, K) float32 @ ternary w (K, M) in 2 bits, blocks of 128, 8-bit products inside."""
    K, M = w.shape
    blocks = -(-K // 128)
    codes = np.full((M, blocks * 128), 2, np.uint8)
    codes[:, :K] = w.T.astype(np.int16) + 2
    packed = np.zeros((M, blocks * 32), np.uint8)
    for i in range(4):
        packed |= codes[:, i::4] << np.uint8(2 * i)
    constants = {
        "w": packed.reshape(M, blocks, 32), "scales": np.ones((M, blocks), np.float32),
    }
    nodes = [helper.make_node(
        "MatMulNBits", ["x", "w", "scales"], ["y"], domain="com.microsoft",
        K=K, N=M, bits=2, block_size=128, accuracy_level=4,
    )]  # fmt: skip
    return Session(nodes, constants, x, (len(x), M), np.float32, threads=threads)


def convolutions_float(
    x: NDArray[Any], layers: list[tuple[NDArray[Any], dict[str, Any]]],
    y_shape: tuple[int, ...], *, threads: int,
) -> Session:
    """Conv after Conv on x (1, C, H, W): weights and attributes of each."""
    nodes, constants = [], {}
    for i, (w, attributes) in enumerate(layers):
        constants[f"w{i}"] = w.astype(np.float32)
        nodes.append(_node("Conv", i, len(layers), [f"w{i}"], attributes))
    return Session(nodes, constants, x, y_shape, np.float32, threads=threads)


def convolutions_integer(
    x: NDArray[Any], layers: list[tuple[NDArray[Any], dict[str, Any]]], shifts: list[int],
    y_shape: tuple[int, ...], *, threads: int,
) -> Session:
    """QLinearConv after QLinearConv, a scale for each channel: times 2**-shift, to uint8."""
    constants = {"zero": np.array(np.uint8(0)), "one": np.array(np.float32(1))}
    nodes = []
    for i, ((w, attributes), shift) in enumerate(zip(layers, shifts, strict=True)):
        constants |= {
            f"w{i}": w, f"s{i}": np.ones(len(w), np.float32), f"z{i}": np.zeros(len(w), np.int8),
            f"y{i}": np.array(np.float32(2.0**shift)),
        }
        # Codes are multiplied by one on the way in, so the step of the sums is that of the codes.
        names = ["one", "zero", f"w{i}", f"s{i}", f"z{i}", f"y{i}", "zero"]
        nodes.append(_node("QLinearConv", i, len(layers), names, attributes))
    return Session(nodes, constants, x, y_shape, np.uint8, threads=threads)


def _node(
    kind: str, i: int, count: int, operands: list[str], attributes: dict[str, Any]
) -> Any:
    source, result = "x" if i == 0 else f"v{i}", "y" if i == count - 1 else f"v{i + 1}"
    return helper.make_node(kind, [source, *operands], [result], **attributes)


def attributes(op: Any) -> dict[str, Any]:
    """The attributes of a refnet Conv as ONNX names them."""
    (top, bottom), (left, right) = op.padding
    return {
        "strides": list(op.stride), "dilations": list(op.dilation), "group": op.groups,
        "pads": [top, left, bottom, right],
    }


