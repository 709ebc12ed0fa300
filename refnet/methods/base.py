"""What a compression method is, and the walk that applies one to a network."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from refnet.autograd import Tensor, no_grad
from refnet.methods.costs import Choice
from refnet.methods.rates import Balance
from refnet.nn import Conv2d, Linear, Module, Residual, Sequential, fold
from refnet.program.types import SINT8, UINT8
from refnet.quant import (
    FakeQuantConv2d,
    FakeQuantLinear,
    QuantConv2d,
    QuantInput,
    Quantize,
    Quantizer,
    QuantLinear,
    Uniform,
)
from refnet.quant.layers import QuantWeights
from refnet.quant.normalize import Weighted

FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerData:
    """What a method may know of the layer it compresses.

    ``inputs`` (N, C, H, W) or (N, K) are the layer's real inputs, from the prefix that is already
    compressed; ``targets`` (N, F, ...) are the outputs of the original layer in the original
    network. ``quantizer`` is the activation quantizer that follows, if there is one.
    ``original_inputs`` are the inputs of the original layer in the original network. ``place`` is
    the layer's among those with weights, in order of execution.
    """

    inputs: FloatArray
    targets: FloatArray
    quantizer: Quantizer | None
    original_inputs: FloatArray | None = None
    place: int | None = None


class Method(Protocol):
    """A frozen record of settings that turns float layers into quantized ones.

    A method that has ``joint = True`` quantizes weights and activations at once: its prepared
    network is compressed before any training (see :func:`is_joint`). One that makes several layers
    of one says by ``balance`` how their learning rates are balanced (see :func:`balance_of`). One
    that has ``planned(net, data, rng)`` decides for the network as a whole (see :func:`planned`).
    """

    @property
    def name(self) -> str:
        """Short name, as on the command line."""

    def prepare(self, net: Module, data: FloatArray) -> Module:
        """A new network with the activation quantizers that this method wants.

        ``data`` (N, C, H, W) are calibration images. A prepared network comes back as a copy.
        """

    def compress_layer(
        self, layer: Conv2d | Linear, data: LayerData, rng: np.random.Generator
    ) -> Module:
        """The layer, or Sequential of layers, that stands for ``layer``."""


def is_joint(method: Method) -> bool:
    """Whether the one training of the method comes after compression; by default there are two."""
    return bool(getattr(method, "joint", False))


def balance_of(method: Method) -> Balance:
    """How fine-tuning balances the learning rates of factors; by default not."""
    balance: Balance = getattr(method, "balance", "none")
    return balance


def planned(
    method: Method, net: Module, data: FloatArray, *, rng: np.random.Generator
) -> Method:
    """The method with what it decides for the whole network, such as the ranks of each layer.

    ``net`` is the float network, prepared or not; deciding twice is deciding once. A method that
    decides nothing comes back as it is.
    """
    decide = getattr(method, "planned", None)
    return method if decide is None else decide(fold(net).eval(), _calibration(data), rng)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerReport:
    """One compressed layer. Errors are relative, ||y - y'||^2 / ||y||^2, on calibration data."""

    name: str
    kind: str
    method: str
    weights: int
    weight_bits: int
    macs: int
    zeros: float
    response_error: float
    dead_filters: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionReport:
    """What ``compress`` did, layer by layer; totals are sums over the layers.

    ``choices`` are the ranks of all layers of the float network, from a method that chooses some.
    """

    method: str
    layers: tuple[LayerReport, ...]
    choices: tuple[Choice, ...] = ()

    @property
    def weights(self) -> int:
        """Weights of all layers before compression."""
        return sum(layer.weights for layer in self.layers)

    @property
    def weight_bits(self) -> int:
        """Bits of all weight codes after compression."""
        return sum(layer.weight_bits for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one image after compression."""
        return sum(layer.macs for layer in self.layers)

    @property
    def dead_filters(self) -> dict[str, tuple[int, ...]]:
        """Filters that became all zero, by layer."""
        return {layer.name: layer.dead_filters for layer in self.layers if layer.dead_filters}

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "method": self.method, "weights": self.weights, "weight_bits": self.weight_bits,
            "macs": self.macs, "layers": [asdict(layer) for layer in self.layers],
            "choices": [choice.as_dict() for choice in self.choices],
        }


def compress(
    net: Module, method: Method, data: FloatArray, *, rng: np.random.Generator,
    input_quantizer: Uniform | None = None,
) -> tuple[Sequential, CompressionReport]:
    """Compress a float network; returns a new network of quantized layers and a report.

    ``data`` (N, C, H, W) are real-valued calibration images without labels. Batch norm is folded,
    ``method.prepare`` puts in activation quantizers, and the layers are walked in order of
    execution: each sees its inputs from the compressed prefix and the outputs that the original
    gave. The first and the last layer become 8-bit. ``input_quantizer`` fixes the code of the
    input (bytes of images: ``Uniform(type=UINT8, scale=1/255)``); by default it is fitted.
    ``net`` and ``data`` are not changed.
    """
    data = _calibration(data)
    method = planned(method, net, data, rng=rng)
    # A method may have put batch norms back, for training.
    prepared = fold(method.prepare(fold(net).eval(), data))
    original = _with_input(prepared, data, input_quantizer).eval()
    walk = _Walk(method=method, rng=rng, edges=_edges(original))
    compressed, _, _ = walk.visit("", original, data, data, None)
    report = CompressionReport(
        method=method.name, layers=tuple(walk.rows), choices=getattr(method, "choices", None) or ()
    )
    assert isinstance(compressed, Sequential)
    return compressed.eval(), report


def _calibration(data: FloatArray) -> NDArray[np.float32]:
    data = np.asarray(data)
    if data.dtype.kind != "f" or data.ndim < 2 or not len(data):
        raise ValueError(f"compress: data {data.dtype} {data.shape} must be real (N, ...), N >= 1")
    if not np.isfinite(data).all():
        raise ValueError("compress: data holds NaN or infinity, rule finite")
    return data.astype(np.float32)


def _with_input(net: Module, data: FloatArray, quantizer: Uniform | None) -> Sequential:
    layers = list(net) if isinstance(net, Sequential) else [net]
    if layers and isinstance(layers[0], QuantInput):
        return Sequential(*layers)
    if quantizer is None:
        unsigned = data.min() >= 0
        quantizer = Uniform(type=UINT8 if unsigned else SINT8).fit(data)
    return Sequential(QuantInput(quantizer, data.shape[1:]), *layers)


def _edges(net: Module) -> tuple[str, str]:
    """Names of the first and the last layer with weights."""
    names = [name for name, layer in net.walk() if isinstance(layer, Conv2d | Linear)]
    if not names:
        raise ValueError("compress: the network has no Conv2d or Linear layer")
    return names[0], names[-1]


def apply(layer: Module, x: FloatArray) -> FloatArray:
    """The output of a layer without recording gradients."""
    with no_grad():
        return layer(Tensor(x)).numpy()


@dataclass(slots=True)
class _Walk:
    method: Method
    rng: np.random.Generator
    edges: tuple[str, str]
    rows: list[LayerReport] = field(default_factory=list)
    places: int = 0

    def visit(
        self, name: str, module: Module, x: FloatArray, x_original: FloatArray,
        quantizer: Quantizer | None,
    ) -> tuple[Module, FloatArray, FloatArray]:
        """The compressed module, its output, and the output of the original."""
        if isinstance(module, Sequential):
            layers = []
            for i, layer in enumerate(module):
                following = _following(list(module)[i + 1 :], quantizer)
                new, x, x_original = self.visit(
                    f"{name}.{i}" if name else str(i), layer, x, x_original, following
                )
                layers.append(new)
            return Sequential(*layers), x, x_original
        if isinstance(module, Residual):
            main = self.visit(f"{name}.main", module.main, x, x_original, None)
            if module.shortcut is None:
                return Residual(main[0]), main[1] + x, main[2] + x_original
            short = self.visit(f"{name}.shortcut", module.shortcut, x, x_original, None)
            return Residual(main[0], short[0]), main[1] + short[1], main[2] + short[2]
        target = apply(module, x_original)
        if isinstance(module, Conv2d | Linear):
            data = LayerData(
                inputs=x, targets=target, quantizer=quantizer, original_inputs=x_original,
                place=self.places,
            )
            self.places += 1
            return self._layer(name, module, data)
        return module.copy(), apply(module, x), target

    def _layer(
        self, name: str, layer: Conv2d | Linear, data: LayerData
    ) -> tuple[Module, FloatArray, FloatArray]:
        edge = name in self.edges
        new = (
            eight_bit(layer, one_scale=name == self.edges[1])
            if edge
            else self.method.compress_layer(layer, data, self.rng)
        )
        output = apply(new, data.inputs)
        self.rows += _rows(
            name, layer, new, "uniform 8-bit" if _plain(new) else self.method.name,
            output, data.targets, data.inputs,
        )
        return new, output, data.targets


def _plain(new: Module) -> bool:
    """Whether a layer only got 8-bit weights, as the first and the last one do."""
    return isinstance(new, QuantWeights) and new.type == SINT8


def _following(layers: list[Module], outer: Quantizer | None) -> Quantizer | None:
    """The activation quantizer that the output meets before the next layer with weights."""
    for layer in layers:
        if isinstance(layer, Quantize):
            return layer.quantizer
        if isinstance(layer, Conv2d | Linear | Residual | Sequential):
            return None
    return outer


def _rows(
    name: str, layer: Conv2d | Linear, new: Module, method: str, output: FloatArray,
    target: FloatArray, inputs: FloatArray,
) -> list[LayerReport]:
    """A row for each quantized layer that stands for ``layer``; the first carries its weights."""
    power = float(np.square(target, dtype=np.float64).sum())
    miss = float(np.square(target - output, dtype=np.float64).sum())
    rows: list[LayerReport] = []
    x = inputs
    parts = [m for _, m in new.walk() if not isinstance(m, Sequential)]
    weighted = sum(isinstance(part, Weighted) for part in parts)
    for part in parts:
        y = apply(part, x)
        if isinstance(part, FakeQuantConv2d | FakeQuantLinear):
            part = part.quantized()
        if isinstance(part, QuantWeights):
            codes = part.codes()
            rows.append(
                LayerReport(
                    name=name if weighted == 1 else f"{name}.{len(rows)}",
                    kind=type(layer).__name__, method=method,
                    weights=layer.weight.size if not rows else 0,
                    weight_bits=codes.size * part.type.bits,
                    macs=codes.size * int(np.prod(y.shape[2:])),
                    zeros=float(np.mean(codes == 0)),
                    response_error=miss / power if power else 0.0,
                    dead_filters=dead_filters(part),
                )
            )
        x = y
    return rows


def dead_filters(layer: QuantWeights) -> tuple[int, ...]:
    """Filters whose weights are all zero: every code is 0, or the scale is."""
    codes = layer.codes()
    alive = codes.reshape(len(codes), -1).any(axis=1) & (layer.scale.numpy() != 0)
    return tuple(np.flatnonzero(~alive).tolist())


def eight_bit(layer: Conv2d | Linear, *, one_scale: bool = False) -> QuantConv2d | QuantLinear:
    """The layer with symmetric 8-bit weights, the largest of each filter on code 127.

    ``one_scale`` takes one scale for all filters, so that the outputs have one scale too. Training
    leaves the scales alone: some 1/127 of the largest weight, they would double or turn their sign
    in a few steps of Adam that suit weights, and with them whole channels or all scores.
    """
    weight = layer.weight.numpy().astype(np.float64)
    rows = weight.reshape(1 if one_scale else len(weight), -1)
    scale = np.array([Uniform(type=SINT8).fit(row).scale for row in rows])
    new = quantized_like(layer, weight / _column(scale, weight), scale, SINT8)
    new.scale = Tensor(new.scale.numpy())
    return new


def _column(scale: FloatArray, weight: FloatArray) -> FloatArray:
    return scale.reshape(-1, *(1,) * (weight.ndim - 1))


def quantized_like(
    layer: Conv2d | Linear, latent: FloatArray, scale: FloatArray, type: Any,
    bias: FloatArray | None = None, *, binary: bool = False,
) -> QuantConv2d | QuantLinear:
    """The quantized layer of the same geometry; without ``bias``, with the bias of ``layer``."""
    if bias is None and layer.bias is not None:
        bias = layer.bias.numpy()
    latent, scale = latent.astype(np.float32), scale.astype(np.float32)
    bias = None if bias is None else bias.astype(np.float32)
    if isinstance(layer, Linear):
        return QuantLinear(latent, scale, bias, type=type, binary=binary)
    return QuantConv2d(
        latent, scale, bias, type=type, binary=binary, stride=layer.stride, padding=layer.padding,
        dilation=layer.dilation, groups=layer.groups,
    )
