"""The door from integer programs to the simulator: the only file that knows both.

A convolution becomes a :class:`Gemm`, every other operator a :class:`Vector`, so that no work is
dropped. Thresholds and requantizations that alone consume a convolution's result are fused: they
happen as results leave the array, and the convolution then writes their codes.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.checks import whole
from hwsim.layers import Gemm, Layer, Operand, Vector, Window, Workload
from hwsim.topology import read_topology
from refnet import program as waist

Codes = Mapping[str, NDArray[np.integer[Any]]]


def load(
    path: str | os.PathLike[str], *, kind: str | None = None,
    codes: str | os.PathLike[str] | None = None,
) -> Workload:
    """The workload in a program file (known by its first bytes) or in a topology file.

    ``kind`` is that of a topology, by its header if None; it is refused for a program. ``codes`` is
    an .npy file of input codes (N, *input shape) of a program: it is run on them, so that the codes
    of every activation are known. Raises ``ValueError`` or ``OSError`` naming the file.
    """
    if not waist.is_program(path):
        if codes is not None:
            raise ValueError(f"{os.fspath(path)}: a topology, codes given; rule a program")
        return read_topology(path, kind=kind)
    if kind is not None:
        raise ValueError(f"{os.fspath(path)}: a program, topology {kind!r} given; rule not both")
    program = waist.load(path)
    return from_program(program, trace=None if codes is None else _trace(program, codes))


def _trace(program: waist.Program, path: str | os.PathLike[str]) -> Codes:
    """Every value of ``program`` on the input codes in an .npy file."""
    try:
        x = np.load(path, allow_pickle=False)
        if not isinstance(x, np.ndarray) or x.ndim == 0 or len(x) == 0:
            raise ValueError("rule an array of one image or more")
        return waist.run(program, x, trace=True)[1]
    except (ValueError, TypeError, EOFError) as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from None


def from_program(
    program: waist.Program, *, batch: int = 1, trace: Codes | None = None
) -> Workload:
    """The layers of ``program`` for a batch of images.

    ``trace`` is the second result of ``run(program, x, trace=True)``: with it, zeros and codes of
    every activation are known, and its number of images is the batch.

    Each convolution has m = batch * output positions, k = C/G * R * S, n = F/G.
    """
    if trace is not None:
        batch = len(trace[program.input])
    batch = whole("from_program", "batch", batch)
    return _Reader(program, batch, trace or {}).workload()


class _Reader:
    """One walk over the nodes of a program."""

    def __init__(self, program: waist.Program, batch: int, trace: Codes) -> None:
        self.program, self.batch, self.trace = program, batch, trace
        self.uses = Counter(name for node in program.nodes for name in node.inputs)

    def workload(self) -> Workload:
        fused_into: dict[str, str] = {}
        for node in self.program.nodes:
            if isinstance(node.op, (waist.Threshold, waist.Requantize)):
                source = self._producer(node.inputs[0])
                if source is not None and self.uses[node.inputs[0]] == 1:
                    root = fused_into.get(source.name, source.name)
                    if isinstance(source.op, waist.Conv) or source.name in fused_into:
                        fused_into[node.name] = root
        last = {root: name for name, root in fused_into.items()}
        layers: list[Layer] = []
        for node in self.program.nodes:
            if isinstance(node.op, waist.Conv):
                layers.append(self._gemm(node, node.op, last.get(node.name, node.name)))
            else:
                moves_nothing = isinstance(node.op, waist.Reshape)
                layers.append(self._vector(node, node.name in fused_into or moves_nothing))
            reads = dict.fromkeys(self._writer(name, fused_into) for name in node.inputs)
            known = tuple(name for name in reads if name is not None)
            layers[-1] = replace(layers[-1], reads=known)
        return Workload(name=self.program.name, layers=tuple(layers))

    def _writer(self, name: str, fused_into: dict[str, str]) -> str | None:
        """The layer that writes this value to memory; None for the input and for constants."""
        node = self._producer(name)
        if node is not None and isinstance(node.op, waist.Reshape):
            return self._writer(node.inputs[0], fused_into)
        return None if node is None else fused_into.get(name, name)

    def _producer(self, name: str) -> waist.Node | None:
        return next((node for node in self.program.nodes if node.name == name), None)

    def _activation(self, name: str) -> Operand:
        held = self.program.types[name]
        elements = self.batch * held.elements
        return Operand(
            lo=held.type.lo, hi=held.type.hi, elements=elements, codes=self.trace.get(name)
        )

    def _parameter_bits(self, names: tuple[str, ...]) -> int:
        held = [self.program.constants[n] for n in names if n in self.program.constants]
        return sum(constant.array.size * constant.type.bits for constant in held)

    def _gemm(self, node: waist.Node, op: waist.Conv, result: str) -> Gemm:
        weights = self.program.constants[node.inputs[1]]
        filters, channels, *kernel = weights.shape
        channels_all, height, width = self.program.types[node.inputs[0]].shape
        accumulator = self.program.types[node.name]
        size = accumulator.shape[1], accumulator.shape[2]
        return Gemm(
            name=node.name,
            groups=op.groups,
            m=self.batch * size[0] * size[1],
            k=channels * kernel[0] * kernel[1],
            n=filters // op.groups,
            input=self._activation(node.inputs[0]),
            weights=Operand(
                lo=weights.type.lo, hi=weights.type.hi, elements=weights.array.size,
                codes=weights.array,
            ),
            output=self._activation(result),
            accumulator_bits=accumulator.type.bits,
            additions=self.batch * op.work(*self.program.operands(node)).additions,
            parameter_bits=self._parameter_bits(node.inputs[2:]),
            window=Window(
                batch=self.batch, channels=channels_all // op.groups, height=height, width=width,
                kernel=(kernel[0], kernel[1]), stride=op.stride, padding=op.padding,
                dilation=op.dilation, output=size,
            ),
        )

    def _vector(self, node: waist.Node, fused: bool) -> Vector:
        work = node.op.work(*self.program.operands(node))
        activations = [name for name in node.inputs if name not in self.program.constants]
        return Vector(
            name=node.name,
            kind=type(node.op).__name__,
            inputs=tuple(self._activation(name) for name in activations),
            output=self._activation(node.name),
            additions=self.batch * work.additions,
            multiplications=self.batch * work.multiplications,
            comparisons=self.batch * work.comparisons,
            parameter_bits=self._parameter_bits(node.inputs),
            fused=fused,
        )
