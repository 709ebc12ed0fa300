"""Layers of frozen networks: they compute on codes, in binary64, and hold only integers.

A frozen network is the float side's own account of the integer program: every value is an integer
of at most 46 bits held in binary64, so its arithmetic is exact, and `lower` translates it layer by
layer. It is compared with the program by ``==``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import refnet.autograd as ag
from refnet.autograd import Tensor, no_grad
from refnet.nn.composites import Sequential
from refnet.nn.module import Module
from refnet.program.types import IntArray, IntType
from refnet.program.window import Pads, Pair


@dataclass(eq=False, repr=False)
class FrozenInput(Module):
    """Input codes of ``type`` and ``shape`` (without N); ``scale`` is the real value of a step."""

    type: IntType
    shape: tuple[int, ...]
    scale: float

    def __call__(self, x: Tensor) -> Tensor:
        """Check the codes x (N, *shape)."""
        codes = x.numpy()
        if x.shape[1:] != self.shape:
            raise ValueError(f"FrozenInput: x {x.shape} must be (N, *{self.shape})")
        if codes.size and not (self.type.lo <= codes.min() and codes.max() <= self.type.hi):
            raise ValueError(f"FrozenInput: codes [{codes.min()}, {codes.max()}] leave {self.type}")
        return Tensor(codes.astype(np.float64))


@dataclass(eq=False, repr=False)
class FrozenConv(Module):
    """Integer convolution: codes (F, C/G, R, S) of ``type``, integer bias (F,) or None."""

    codes: IntArray
    bias: NDArray[np.int32] | None
    type: IntType
    stride: Pair
    padding: Pads
    dilation: Pair
    groups: int

    def __call__(self, x: Tensor) -> Tensor:
        """Accumulators of x (N, C, H, W)."""
        bias = None if self.bias is None else Tensor(self.bias.astype(np.float64))
        return ag.conv2d(
            x, Tensor(self.codes.astype(np.float64)), bias, stride=self.stride,
            padding=self.padding, dilation=self.dilation, groups=self.groups,
        )


@dataclass(eq=False, repr=False)
class FrozenThreshold(Module):
    """Integer thresholds ``t`` (C, L) and ``sign`` (C,): accumulators -> codes [4.2]."""

    t: NDArray[np.int32]
    sign: NDArray[np.int8]

    def __call__(self, x: Tensor) -> Tensor:
        """Count the thresholds that x (N, C, ...) reaches."""
        acc = x.numpy()
        shape = (1, -1, *(1,) * (acc.ndim - 2))
        signed = acc * self.sign.reshape(shape)
        reached = [signed >= self.t[:, k].reshape(shape) for k in range(self.t.shape[1])]
        return Tensor(np.sum(reached, axis=0, dtype=np.float64))


@dataclass(eq=False, repr=False)
class FrozenRequantize(Module):
    """``saturate(round(acc * mult / 2**shift))`` by channel, ties to even [4.3]."""

    mult: NDArray[np.int16]
    shift: NDArray[np.int8]
    type: IntType

    def __call__(self, x: Tensor) -> Tensor:
        """Requantize x (N, C, ...); exact, since acc * mult has at most 46 bits."""
        acc = x.numpy()
        shape = (1, -1, *(1,) * (acc.ndim - 2))
        product = acc * self.mult.reshape(shape)
        scaled = np.ldexp(product, -self.shift.astype(np.int32).reshape(shape))
        return Tensor(np.clip(np.rint(scaled), self.type.lo, self.type.hi))


@dataclass(eq=False, repr=False)
class FrozenMaxPool(Module):
    """Largest code of each window; padding never wins [4.5]."""

    kernel: Pair
    stride: Pair
    padding: Pads

    def __call__(self, x: Tensor) -> Tensor:
        """Pool x (N, C, H, W)."""
        return ag.max_pool2d(
            x, kernel_size=self.kernel, stride=self.stride, padding=self.padding
        )


@dataclass(eq=False, repr=False)
class FrozenSumPool(Module):
    """Sum of each window; padding adds 0 [4.6]."""

    kernel: Pair
    stride: Pair
    padding: Pads

    def __call__(self, x: Tensor) -> Tensor:
        """Pool x (N, C, H, W)."""
        ones = np.ones((x.shape[1], 1, *self.kernel))
        return ag.conv2d(
            x, Tensor(ones), stride=self.stride, padding=self.padding, groups=x.shape[1]
        )


@dataclass(eq=False, repr=False)
class FrozenFlatten(Module):
    """All elements in C order [4.7]: as a map (K, 1, 1), what a linear layer takes, or as (K,)."""

    as_map: bool

    def __call__(self, x: Tensor) -> Tensor:
        """Reshape x (N, ...)."""
        size = math.prod(x.shape[1:])
        return x.reshape(x.shape[0], *((size, 1, 1) if self.as_map else (size,)))


@dataclass(eq=False, repr=False)
class FrozenAdd(Module):
    """Sum of two branches of integers of one scale [4.4]."""

    main: Module
    shortcut: Module

    def __call__(self, x: Tensor) -> Tensor:
        """Run both branches on x and add."""
        return self.main(x) + self.shortcut(x)


def run_frozen(net: Module, codes: IntArray) -> NDArray[np.int64]:
    """The scores (N, K) of a frozen network on input codes (N, C, H, W), as integers."""
    with no_grad():
        return net(Tensor(codes)).numpy().astype(np.int64)


def trace_frozen(net: Module, codes: IntArray) -> list[NDArray[np.int64]]:
    """What each layer gives on ``codes``, in the order in which ``lower`` translates them.

    A residual sum lists its main branch, its shortcut and then the sum.
    """
    found: list[NDArray[np.int64]] = []
    with no_grad():
        _trace(net, Tensor(codes), found)
    return found


def _trace(layer: Module, x: Tensor, found: list[NDArray[np.int64]]) -> Tensor:
    if isinstance(layer, Sequential):
        for part in layer:
            x = _trace(part, x, found)
        return x
    if isinstance(layer, FrozenAdd):
        y = _trace(layer.main, x, found) + _trace(layer.shortcut, x, found)
    else:
        y = layer(x)
    if not isinstance(layer, FrozenInput):
        found.append(y.numpy().astype(np.int64))
    return y
