"""Direct quantization: weights and activations at once, trained together.

The procedure that two-step quantization (Wang et al. 2018) sets itself against, and that of most
earlier work: every layer of the pretrained network gets quantized weights, every ReLU a quantized
activation, and all of it is trained on with straight-through gradients. What a method is lies in
the two quantizers; see PEERS for the known pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from refnet.methods.activations import with_activations
from refnet.methods.base import FloatArray, LayerData, apply
from refnet.nn import BatchNorm2d, Conv2d, Linear, Module, Sequential
from refnet.quant import FakeQuantConv2d, FakeQuantLinear, Quantizer, WeightQuantizer


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
        return with_activations(net, data, self.activations)

    def compress_layer(
        self, layer: Conv2d | Linear, data: LayerData, rng: np.random.Generator
    ) -> Module:
        """The layer with its own weights as latents, and a batch norm behind it.

        Rules such as DoReFa's give weights of another size, so the batch norm brings mean and
        deviation of every response to those of the original layer: what re-estimating the batch
        norm of the pretrained network would do.
        """
        new = self._layer(layer)
        return Sequential(new, _matching(apply(new, data.inputs), data.targets)).eval()

    def _layer(self, layer: Conv2d | Linear) -> Module:
        weight = layer.weight.numpy()
        if isinstance(layer, Linear):
            return FakeQuantLinear(weight, quantizer=self.weights).eval()
        return FakeQuantConv2d(
            weight, quantizer=self.weights, stride=layer.stride, padding=layer.padding,
            dilation=layer.dilation, groups=layer.groups,
        ).eval()


def _matching(y: FloatArray, target: FloatArray) -> BatchNorm2d:
    """A batch norm that gives ``y`` (N, F, ...) the means and deviations of ``target``."""
    bn = BatchNorm2d(y.shape[1]).eval()
    assert bn.weight is not None
    assert bn.bias is not None
    axes = (0, 2, 3) if y.ndim == 4 else (0,)
    bn.running_mean[...] = y.mean(axis=axes, dtype=np.float64)
    bn.running_var[...] = y.var(axis=axes, dtype=np.float64)
    bn.weight.assign(target.std(axis=axes, dtype=np.float64).astype(np.float32))
    bn.bias.assign(target.mean(axis=axes, dtype=np.float64).astype(np.float32))
    return bn
