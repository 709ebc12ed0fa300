"""Activation quantizers in the places of the nonlinearities: what methods do before training."""

from __future__ import annotations

from refnet.methods.base import FloatArray, apply
from refnet.methods.walking import walked
from refnet.nn import AvgPool2d, Conv2d, GlobalAvgPool2d, Linear, Module, ReLU, Residual, Sequential
from refnet.program.types import SINT8, UINT8
from refnet.quant import Quantize, Quantizer, Uniform


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


def eight_bit_activations(net: Module, data: FloatArray) -> Module:
    """A copy of ``net`` whose layers with weights all take 8-bit codes.

    Unsigned codes stand in the place of every ReLU. A layer whose input is no code yet (behind an
    average, which needs more bits as an integer sum, behind a residual sum, or behind another
    layer) gets a quantizer before it. Each is fitted to what it meets when ``data`` (N, C, H, W)
    run through the network that is changed so far. The input is a code already.
    """
    layers, _, _ = _coded(net, data, True)
    return layers[0] if len(layers) == 1 else Sequential(*layers)


def _coded(
    net: Module, x: FloatArray, coded: bool
) -> tuple[list[Module], FloatArray, bool]:
    """The layers that stand for ``net``, their output on ``x``, and whether that is codes."""
    match net:
        case Sequential():
            layers: list[Module] = []
            for layer in net:
                new, x, coded = _coded(layer, x, coded)
                layers += new
            return [Sequential(*layers)], x, coded
        case Residual():
            main, y = _branch(net.main, x, coded)
            if net.shortcut is None:
                return [Residual(main)], y + x, False
            shortcut, short = _branch(net.shortcut, x, coded)
            return [Residual(main, shortcut)], y + short, False
        case ReLU():
            codes = Quantize(Uniform(type=UINT8).fit(x))
            return [codes], apply(codes, x), True
        case Conv2d() | Linear() if not coded:
            codes = Quantize(Uniform(type=UINT8 if x.min() >= 0 else SINT8).fit(x))
            return [codes, net.copy()], apply(net.copy().eval(), apply(codes, x)), False
    kept = coded and not isinstance(net, Conv2d | Linear | AvgPool2d | GlobalAvgPool2d)
    return [net.copy()], apply(net.copy().eval(), x), kept or isinstance(net, Quantize)


def _branch(net: Module, x: FloatArray, coded: bool) -> tuple[Module, FloatArray]:
    layers, y, _ = _coded(net, x, coded)
    return layers[0] if len(layers) == 1 else Sequential(*layers), y


def with_codes_between(net: Module, data: FloatArray) -> Module:
    """A copy with 8-bit codes between layers with weights that follow each other, behind averages.

    The codes of an average are unsigned where it is nowhere negative, all others signed.
    """
    def leaf(name: str, layer: Module, x: FloatArray, behind: tuple[Module, ...]) -> Module:
        new, following = layer.copy(), behind[0] if behind else None
        chained = isinstance(layer, Conv2d | Linear) and _begins_with_weights(following)
        average = isinstance(layer, AvgPool2d | GlobalAvgPool2d)
        if not chained and (not average or isinstance(following, Quantize)):
            return new
        y = apply(new.eval(), x)
        type = UINT8 if average and y.min() >= 0 else SINT8
        return Sequential(new, Quantize(Uniform(type=type).fit(y)))

    return walked("", net, data, leaf)[0]


def _begins_with_weights(module: Module | None) -> bool:
    """Whether the first thing that ``module`` does is a layer with weights."""
    if isinstance(module, Sequential):
        return _begins_with_weights(next(iter(module), None))
    return isinstance(module, Conv2d | Linear)
