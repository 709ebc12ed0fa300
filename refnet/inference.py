"""Float networks made ready for inference, by the compiled convolutions of ``refnet.kernels``.

The float tower computes with NumPy alone and keeps what gradients need. Here a network in
evaluation mode becomes a list of steps on maps that lie place after place: batch norms are folded,
and convolutions that follow each other, with the rectifiers behind them, run as one chain in bands
of rows. That is what makes a decomposed layer as much faster as its multiply-accumulates are fewer.
The result equals the network's up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from refnet.autograd import Tensor, no_grad
from refnet.kernels.chain import Chain, FloatConv, float_chain
from refnet.kernels.tile import COMPILED
from refnet.nn import (
    AvgPool2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Residual,
    Sequential,
    fold,
)
from refnet.program import Conv

Floats: TypeAlias = NDArray[np.float32]
#: From maps (N, H, W, C) or rows (N, K) to the same.
Step: TypeAlias = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """``inference(x)``: what the network gives for x (N, C, H, W); threads may share it."""

    size: tuple[int, int, int]
    steps: tuple[Step, ...]

    def __call__(self, x: NDArray[Any]) -> Floats:
        """x (N, C, H, W) of numbers -> (N, F) or (N, F, H', W') as float32."""
        if x.ndim != 4 or x.shape[1:] != self.size or x.dtype.kind not in "fiu":
            raise ValueError(
                f"inference: x {x.dtype} {x.shape}, rule numbers of shape (N, *{self.size})"
            )
        y = np.ascontiguousarray(x.transpose(0, 2, 3, 1), dtype=np.float32)
        return _channels_first(_through(self.steps, y))


def compile_network(net: Module, size: tuple[int, int, int]) -> Inference:
    """Make ``net`` ready for images (C, H, W) of ``size``, as it is now and in evaluation mode.

    Conv2d, Linear, ReLU, pools, Flatten, Sequential and Residual have steps of their own; any other
    module runs as it is, as all do where nothing is compiled. Raises ``ValueError`` where an image
    does not fit the network.

    >>> from refnet.nn.models import vgg_small
    >>> rng = np.random.default_rng(0)
    >>> net = vgg_small(image_size=8, filters=(4, 8), rng=rng).eval()
    >>> x = rng.normal(size=(2, 3, 8, 8)).astype(np.float32)
    >>> y = compile_network(net, (3, 8, 8))(x)
    >>> bool(np.allclose(y, net(Tensor(x)).numpy(), atol=1e-4))
    True
    """
    folded = fold(net.copy().eval())
    # The network itself says what shapes its maps have, and refuses an image that does not fit.
    steps = _steps(folded, Tensor(np.zeros((1, *size), dtype=np.float32)))
    return Inference(size=size, steps=tuple(steps))


def _steps(net: Module, x: Tensor) -> list[Step]:
    """The steps of ``net`` for inputs of the shape of ``x``."""
    steps: list[Step] = []
    convolutions: list[FloatConv] = []
    first = x.shape

    def close() -> None:
        if convolutions:
            steps.append(_convolve(float_chain(tuple(convolutions), (first[2], first[3]))))
            convolutions.clear()

    with no_grad():
        for layer in _flat(net):
            if isinstance(layer, Conv2d) and COMPILED:
                first = first if convolutions else x.shape
                convolutions.append(_convolution(layer))
            elif isinstance(layer, ReLU) and convolutions:
                convolutions[-1] = _rectified(convolutions[-1])
            else:
                close()
                steps.append(_step(layer, x))
            x = layer(x)
        close()
    return steps


def _flat(net: Module) -> list[Module]:
    """Layers in a row, nested Sequentials opened."""
    return [m for layer in net for m in _flat(layer)] if isinstance(net, Sequential) else [net]


def _convolution(layer: Conv2d) -> FloatConv:
    op = Conv(
        stride=layer.stride, padding=layer.padding, dilation=layer.dilation, groups=layer.groups
    )
    bias = None if layer.bias is None else layer.bias.numpy()
    return FloatConv(op=op, w=layer.weight.numpy(), b=bias)


def _rectified(layer: FloatConv) -> FloatConv:
    return FloatConv(op=layer.op, w=layer.w, b=layer.b, rectified=True)


def _step(layer: Module, x: Tensor) -> Step:
    match layer:
        case ReLU():
            return lambda y: np.maximum(y, np.float32(0))
        case Flatten():
            return lambda y: np.ascontiguousarray(_channels_first(y).reshape(len(y), -1))
        case Linear() if COMPILED:
            return _linear(layer)
        case GlobalAvgPool2d():
            return lambda y: y.mean(axis=(1, 2), keepdims=True)
        case MaxPool2d():
            return _pool(layer, np.maximum, -np.inf)
        case AvgPool2d():
            area = np.float32(layer.kernel_size[0] * layer.kernel_size[1])
            summed = _pool(layer, np.add, 0.0)
            return lambda y: summed(y) / area
        case Residual():
            main = _steps(layer.main, x)
            beside = [] if layer.shortcut is None else _steps(layer.shortcut, x)
            return lambda y: _through(main, y) + _through(beside, y)
        case _:
            return lambda y: _channels_last(layer(Tensor(_channels_first(y))).numpy())


def _through(steps: list[Step] | tuple[Step, ...], x: Floats) -> Floats:
    return reduce(lambda y, step: step(y), steps, x)


def _convolve(chain: Chain) -> Step:
    def step(x: Floats) -> Floats:
        data, out = chain.source.buffer(len(x)), chain.target.buffer(len(x))
        chain.source.view(data, len(x), np.float32)[...] = x
        chain(data, len(x), out)
        return chain.target.view(out, len(x), np.float32)

    return step


def _linear(layer: Linear) -> Step:
    """A convolution of one place: its sums have one order, whatever the batch is."""
    bias = None if layer.bias is None else layer.bias.numpy()
    w = layer.weight.numpy()[:, :, None, None]
    convolve = _convolve(float_chain([FloatConv(op=Conv(), w=w, b=bias)], (1, 1)))
    return lambda y: convolve(y[:, None, None, :])[:, 0, 0, :]


def _pool(layer: MaxPool2d | AvgPool2d, join: np.ufunc, outside: float) -> Step:
    """Windows joined place by place; channels lie together, so each step is one long loop."""
    (R, S), (down, right) = layer.kernel_size, layer.stride

    def step(x: Floats) -> Floats:
        around = ((0, 0), *layer.padding, (0, 0))
        if any(map(any, layer.padding)):
            x = np.pad(x, around, constant_values=outside)
        H, W = (x.shape[1] - R) // down + 1, (x.shape[2] - S) // right + 1
        windows = [
            x[:, r : r + (H - 1) * down + 1 : down, s : s + (W - 1) * right + 1 : right]
            for r in range(R) for s in range(S)
        ]
        return np.ascontiguousarray(reduce(join, windows))

    return step


def _channels_first(y: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(y.transpose(0, 3, 1, 2)) if y.ndim == 4 else y


def _channels_last(y: NDArray[Any]) -> Floats:
    moved = y.transpose(0, 2, 3, 1) if y.ndim == 4 else y
    return np.ascontiguousarray(moved, dtype=np.float32)
