"""The layers of float networks, with the signatures and the meaning that PyTorch gives them.

Images are (N, C, H, W). A kernel size, stride or dilation is one integer or a pair (height,
width) and is kept as a pair; padding may also be ((top, bottom), (left, right)) and is kept so.
New weights are drawn from a normal distribution of variance 2 / fan-in (He, Zhang, Ren, Sun 2015,
eq. 10), and new biases are zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

import refnet.autograd as ag
from refnet.autograd import Tensor
from refnet.nn.module import Module

Pair: TypeAlias = tuple[int, int]
Padding: TypeAlias = tuple[Pair, Pair]


@dataclass(eq=False, init=False, repr=False)
class Conv2d(Module):
    """Convolution: x (N, C, H, W) -> (N, F, H', W'), weight (F, C/G, R, S), bias (F,) or None."""

    weight: Tensor
    bias: Tensor | None
    stride: Pair
    padding: Padding
    dilation: Pair
    groups: int

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int | Pair, *,
        stride: int | Pair = 1, padding: int | Pair | Padding = 0, dilation: int | Pair = 1,
        groups: int = 1, bias: bool = True, rng: np.random.Generator,
    ) -> None:
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"Conv2d: groups={groups} must divide {in_channels} and {out_channels} channels"
            )
        shape = (out_channels, in_channels // groups, *_pair("kernel_size", kernel_size, 1))
        self._fill(
            he_normal(shape, rng), np.zeros(out_channels, np.float32) if bias else None,
            stride, padding, dilation, groups,
        )

    @classmethod
    def of(
        cls, weight: NDArray[Any], bias: NDArray[Any] | None = None, *, stride: int | Pair = 1,
        padding: int | Pair | Padding = 0, dilation: int | Pair = 1, groups: int = 1,
    ) -> Self:
        """A convolution with given weight (F, C/G, R, S) and bias (F,), whose dtype is kept."""
        if weight.ndim != 4 or len(weight) % groups:
            raise ValueError(
                f"Conv2d: weight {weight.shape} must be (F, C/G, R, S), groups={groups} divide F"
            )
        _check_bias("Conv2d", weight, bias)
        new = object.__new__(cls)
        new._fill(weight, bias, stride, padding, dilation, groups)
        return new

    def _fill(
        self, weight: NDArray[Any], bias: NDArray[Any] | None, stride: int | Pair,
        padding: int | Pair | Padding, dilation: int | Pair, groups: int,
    ) -> None:
        self.weight = Tensor(weight, requires_grad=True)
        self.bias = None if bias is None else Tensor(bias, requires_grad=True)
        self.stride = _pair("stride", stride, 1)
        self.padding = _padding(padding)
        self.dilation = _pair("dilation", dilation, 1)
        self.groups = groups

    def __call__(self, x: Tensor) -> Tensor:
        """Convolve a batch."""
        return ag.conv2d(
            x, self.weight, self.bias, stride=self.stride, padding=self.padding,
            dilation=self.dilation, groups=self.groups,
        )


@dataclass(eq=False, init=False, repr=False)
class Linear(Module):
    """Affine map: x (N, K) -> (N, F) = x weight^T + bias, weight (F, K), bias (F,) or None."""

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self, in_features: int, out_features: int, *, bias: bool = True, rng: np.random.Generator
    ) -> None:
        self.weight = Tensor(he_normal((out_features, in_features), rng), requires_grad=True)
        self.bias = Tensor(np.zeros(out_features, np.float32), requires_grad=True) if bias else None

    @classmethod
    def of(cls, weight: NDArray[Any], bias: NDArray[Any] | None = None) -> Self:
        """An affine map with given weight (F, K) and bias (F,), whose dtype is kept."""
        if weight.ndim != 2:
            raise ValueError(f"Linear: weight {weight.shape} must be (F, K)")
        _check_bias("Linear", weight, bias)
        new = object.__new__(cls)
        new.weight = Tensor(weight, requires_grad=True)
        new.bias = None if bias is None else Tensor(bias, requires_grad=True)
        return new

    def __call__(self, x: Tensor) -> Tensor:
        """Map a batch."""
        y = ag.matmul(x, self.weight.T)
        return y if self.bias is None else y + self.bias


@dataclass(eq=False, init=False, repr=False)
class BatchNorm2d(Module):
    """Normalisation of every channel of x (N, C, H, W) or (N, C), then weight * x + bias.

    Training mode uses the mean and variance of the batch and moves the running ones towards them
    (the variance as an unbiased estimate); evaluation mode uses the running ones.
    """

    weight: Tensor | None
    bias: Tensor | None
    running_mean: NDArray[Any]
    running_var: NDArray[Any]
    eps: float
    momentum: float

    def __init__(
        self, num_features: int, *, affine: bool = True, eps: float = 1e-5, momentum: float = 0.1
    ) -> None:
        if num_features < 1 or not eps > 0 or not 0 <= momentum <= 1:
            raise ValueError(
                f"BatchNorm2d: num_features={num_features}, eps={eps}, momentum={momentum}, "
                "must be >= 1, > 0, in [0, 1]"
            )
        one, zero = np.ones(num_features, np.float32), np.zeros(num_features, np.float32)
        self.weight = Tensor(one, requires_grad=True) if affine else None
        self.bias = Tensor(zero, requires_grad=True) if affine else None
        self.running_mean = zero.copy()
        self.running_var = one.copy()
        self.eps = eps
        self.momentum = momentum

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise a batch; ValueError if training sees one value a channel."""
        channels = len(self.running_mean)
        if x.ndim not in (2, 4) or x.shape[1] != channels:
            raise ValueError(
                f"BatchNorm2d: x {x.shape} must be (N, {channels}, H, W) or (N, {channels})"
            )
        if not self.training:
            return ag.batch_norm_inference(
                x, self.weight, self.bias, self.running_mean, self.running_var, eps=self.eps
            )
        count = x.size // channels
        if count < 2:
            raise ValueError(
                f"BatchNorm2d: x {x.shape} has {count} values a channel, training needs at least 2"
            )

        def observe(mean: NDArray[Any], var: NDArray[Any]) -> None:
            var *= count / (count - 1)
            self.running_mean += self.momentum * (mean - self.running_mean)
            self.running_var += self.momentum * (var - self.running_var)

        return ag.batch_norm(x, self.weight, self.bias, eps=self.eps, observe=observe)


@dataclass(eq=False, init=False, repr=False)
class ReLU(Module):
    """max(x, 0), element by element."""

    def __call__(self, x: Tensor) -> Tensor:
        """Cut off negative values."""
        return ag.relu(x)


@dataclass(eq=False, init=False, repr=False)
class MaxPool2d(Module):
    """Largest value of each window: x (N, C, H, W) -> (N, C, H', W'); padding never wins."""

    kernel_size: Pair
    stride: Pair
    padding: Padding

    def __init__(
        self, kernel_size: int | Pair, *, stride: int | Pair | None = None,
        padding: int | Pair | Padding = 0,
    ) -> None:
        self.kernel_size = _pair("kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else _pair("stride", stride, 1)
        self.padding = _padding(padding)

    def __call__(self, x: Tensor) -> Tensor:
        """Pool a batch."""
        return ag.max_pool2d(
            x, kernel_size=self.kernel_size, stride=self.stride, padding=self.padding
        )


@dataclass(eq=False, init=False, repr=False)
class AvgPool2d(Module):
    """Average of each window, padding counted as zeros: x (N, C, H, W) -> (N, C, H', W')."""

    kernel_size: Pair
    stride: Pair
    padding: Padding

    def __init__(
        self, kernel_size: int | Pair, *, stride: int | Pair | None = None,
        padding: int | Pair | Padding = 0,
    ) -> None:
        self.kernel_size = _pair("kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else _pair("stride", stride, 1)
        self.padding = _padding(padding)

    def __call__(self, x: Tensor) -> Tensor:
        """Pool a batch."""
        return ag.avg_pool2d(
            x, kernel_size=self.kernel_size, stride=self.stride, padding=self.padding
        )


@dataclass(eq=False, init=False, repr=False)
class GlobalAvgPool2d(Module):
    """Average of each whole map: x (N, C, H, W) -> (N, C, 1, 1)."""

    def __call__(self, x: Tensor) -> Tensor:
        """Pool a batch."""
        return ag.global_avg_pool2d(x).reshape(*x.shape[:2], 1, 1)


@dataclass(eq=False, init=False, repr=False)
class Flatten(Module):
    """All axes but the first in one, in row-major order: x (N, ...) -> (N, K)."""

    def __call__(self, x: Tensor) -> Tensor:
        """Reshape a batch."""
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))


def he_normal(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Weights of `shape` (F, ...) from a normal distribution of variance 2 / fan-in, float32."""
    fan_in = math.prod(shape[1:])
    if min(shape) < 1:
        raise ValueError(f"weights of shape {shape} must not be empty")
    draw = rng.standard_normal(shape, dtype=np.float32)
    return draw * np.float32(math.sqrt(2 / fan_in))


def _pair(name: str, value: int | Pair, least: int) -> Pair:
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or not all(isinstance(v, int) and v >= least for v in pair):
        raise ValueError(f"{name} is {value!r}, must be an integer or a pair, each >= {least}")
    return pair[0], pair[1]


def _padding(value: int | Pair | Padding) -> Padding:
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], tuple):
        vertical, horizontal = value
        return _pair("padding", vertical, 0), _pair("padding", horizontal, 0)
    height, width = _pair("padding", value, 0)
    return (height, height), (width, width)


def _check_bias(title: str, weight: NDArray[Any], bias: NDArray[Any] | None) -> None:
    if bias is not None and bias.shape != (len(weight),):
        raise ValueError(f"{title}: bias {bias.shape} must be ({len(weight)},) for {weight.shape}")
