"""A float network with its layers decomposed, for float inference and for training on.

Methods compose: a decomposed network is a network like any other, and its layers may be quantized
by any method. Layers that follow each other without a nonlinearity then need codes between them:

    small = decompose(net, BlockTerm(speedup=4), images, rng=rng)     float: train it on
    small = with_codes_between(small, images)
    ternary, report = compress(small, TwoStep(), images, rng=rng)

:class:`refnet.methods.composed.Composed` is that as one method.
"""

from __future__ import annotations

import numpy as np

from refnet.methods.base import FloatArray, LayerData, apply
from refnet.methods.blockterm import BlockTerm
from refnet.methods.walking import walked
from refnet.nn import Conv2d, Linear, Module, ReLU, Residual, Sequential, fold
from refnet.quant import Quantize


def decompose(
    net: Module, method: BlockTerm, data: FloatArray, *, rng: np.random.Generator
) -> Module:
    """A new float network, batch norm folded, with chains of factors in the places of layers.

    Ranks are those of ``method`` (see :meth:`BlockTerm.planned`). With ``method.response``, factors
    are fitted layer by layer to what the original answers on ``data`` (N, C, H, W), real-valued
    images without labels, from the inputs that the layers before it now give. ``net`` stays.
    """
    folded = fold(net).eval()
    method = method.planned(folded, data, rng)
    targets: list[FloatArray] = []

    def record(name: str, layer: Module, x: FloatArray, behind: tuple[Module, ...]) -> Module:
        if isinstance(layer, Conv2d | Linear):
            targets.append(apply(layer, x))
        return layer

    def replace(name: str, layer: Module, x: FloatArray, behind: tuple[Module, ...]) -> Module:
        if not isinstance(layer, Conv2d | Linear):
            return layer.copy()
        place = total - len(targets)
        seen = LayerData(inputs=x, targets=targets.pop(0), quantizer=None, place=place)
        try:
            factors = method.factors(layer, seen, rng)
        except ValueError as error:
            raise ValueError(f"layer {name!r}: {error}") from None
        if factors is None:
            return layer.copy()
        return method.chained(layer, factors, seen, rectified=_rectified(behind), rng=rng)

    walked("", folded, data, record)
    total = len(targets)
    return walked("", folded, data, replace)[0].eval()


def _rectified(behind: tuple[Module, ...]) -> bool:
    """Whether a ReLU, or unsigned codes, come before the next layer with weights or sum."""
    for layer in behind:
        if isinstance(layer, Quantize):
            return layer.quantizer.type.lo == 0
        if isinstance(layer, ReLU):
            return True
        if isinstance(layer, Conv2d | Linear | Residual | Sequential):
            return False
    return False
