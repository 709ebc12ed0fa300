"""What the activation quantizers of a network meet on real images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from refnet.autograd import Tensor, no_grad
from refnet.compiler.result import ActivationView
from refnet.nn import Module, Residual, Sequential
from refnet.quant import Quantize

_BINS = 80


def views(net: Module, images: np.ndarray) -> tuple[ActivationView, ...]:
    """A view of every activation quantizer of ``net`` on real ``images`` (N, C, H, W)."""
    with no_grad():
        meetings = [(n, m, x.numpy()) for n, m, x in _met("", net, Tensor(images))]
    found = []
    for name, layer, x in meetings:
        # The tails beyond three in a thousand would squeeze the picture.
        lo, hi = np.quantile(x, [0.0015, 0.9985])
        counts, edges = np.histogram(x, bins=_BINS, range=(float(lo), float(max(hi, lo + 1e-6))))
        codes = np.bincount(layer.quantizer.codes(x).ravel(), minlength=layer.quantizer.type.hi + 1)
        found.append(
            ActivationView(
                layer=name, quantizer=layer.quantizer, edges=edges, counts=counts,
                code_counts=codes,
            )
        )
    return tuple(found)


def _met(name: str, module: Module, x: Tensor) -> Iterator[tuple[str, Quantize, Tensor]]:
    """Every quantizer of unsigned codes below ``module`` with its input, in order of execution."""
    if isinstance(module, Sequential):
        for i, layer in enumerate(module):
            yield from _met(f"{name}.{i}" if name else str(i), layer, x)
            x = layer(x)
    elif isinstance(module, Residual):
        yield from _met(f"{name}.main", module.main, x)
        if module.shortcut is not None:
            yield from _met(f"{name}.shortcut", module.shortcut, x)
    elif isinstance(module, Quantize) and module.quantizer.type.lo == 0:
        yield name, module, x
