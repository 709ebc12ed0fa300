"""Activation quantizers in the places of the nonlinearities: what methods do before training."""

from __future__ import annotations

from refnet.methods.base import FloatArray, apply
from refnet.nn import Module, ReLU, Residual, Sequential
from refnet.quant import Quantize, Quantizer


def with_activations(net: Module, data: FloatArray, kind: Quantizer) -> Module:
    """A copy with every ReLU replaced by ``kind``, fitted to what it sees of ``data`` (N, ...)."""
    return _replaced(net, data, kind)[0]


def _replaced(net: Module, x: FloatArray, kind: Quantizer) -> tuple[Module, FloatArray]:
    """The new module and its output on ``x``."""
    if isinstance(net, Sequential):
        layers = []
        for layer in net:
            new, x = _replaced(layer, x, kind)
            layers.append(new)
        return Sequential(*layers), x
    if isinstance(net, Residual):
        main, y = _replaced(net.main, x, kind)
        if net.shortcut is None:
            return Residual(main), y + x
        shortcut, beside = _replaced(net.shortcut, x, kind)
        return Residual(main, shortcut), y + beside
    new = Quantize(kind.fit(x)) if isinstance(net, ReLU) else net.copy()
    return new, apply(new.eval(), x)
