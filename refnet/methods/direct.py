"""Direct quantization: weights and activations at once, trained together.

The procedure that two-step quantization (Wang et al. 2018) sets itself against, and that of most
earlier work: every layer of the pretrained network gets quantized weights, every ReLU a quantized
activation, and all of it is trained on with straight-through gradients. What a method is lies in
the two quantizers; see PEERS for the known pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from refnet.methods.base import FloatArray, LayerData, apply
from refnet.nn import Conv2d, Linear, Module, ReLU, Residual, Sequential
from refnet.quant import FakeQuantConv2d, FakeQuantLinear, Quantize, Quantizer, WeightQuantizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Direct:
    """Quantize ``weights`` anew at every step of training, behind fitted ``activations``."""

    name: str
    weights: WeightQuantizer
    activations: Quantizer

    @property
    def joint(self) -> bool:
        """There is one training, of the compressed network."""
        return True

    def prepare(self, net: Module, data: FloatArray) -> Module:
        """Every ReLU replaced by the activation quantizer fitted to what it sees of ``data``."""
        return _with_activations(net, data, self.activations)[0]

    def compress_layer(
        self, layer: Conv2d | Linear, data: LayerData, rng: np.random.Generator
    ) -> Module:
        """The layer with its own weights as latents, and its bias as it is."""
        weight = layer.weight.numpy()
        bias = None if layer.bias is None else layer.bias.numpy()
        if isinstance(layer, Linear):
            return FakeQuantLinear(weight, bias, quantizer=self.weights).eval()
        return FakeQuantConv2d(
            weight, bias, quantizer=self.weights, stride=layer.stride, padding=layer.padding,
            dilation=layer.dilation, groups=layer.groups,
        ).eval()


def _with_activations(net: Module, x: FloatArray, kind: Quantizer) -> tuple[Module, FloatArray]:
    """The prepared module and its output on ``x``."""
    if isinstance(net, Sequential):
        layers = []
        for layer in net:
            new, x = _with_activations(layer, x, kind)
            layers.append(new)
        return Sequential(*layers), x
    if isinstance(net, Residual):
        main, y = _with_activations(net.main, x, kind)
        if net.shortcut is None:
            return Residual(main), y + x
        shortcut, short = _with_activations(net.shortcut, x, kind)
        return Residual(main, shortcut), y + short
    new = Quantize(kind.fit(x)) if isinstance(net, ReLU) else net.copy()
    return new, apply(new.eval(), x)
