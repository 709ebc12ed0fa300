"""Balanced learning rates for the layers of a compressed network, by the rules of ``balancing``.

A *chain* is a run of quantized layers with nothing between them but batch norms and signed codes,
which pass values on as they are: two layers of a factorized one, two or three of block terms. Its
function is the product of all latents and diagonals. The diagonal of a layer is the weight of the
batch norm behind it, or else its scales: behind a scale, a batch norm undoes what the scale does.

Latents stay in units of one code, so a factor is not multiplied by l; its rate is divided by l^2
(plain gradient descent, see ``sgd_rates``) or by l (Adam, whose step ignores the gradient's size).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from refnet.autograd import Tensor
from refnet.methods.balancing import equal_component_norms, equal_norms, xavier_std
from refnet.nn import BatchNorm2d, Module, Residual, Sequential
from refnet.nn.optim import Rate
from refnet.quant import QuantConv2d, Quantize
from refnet.quant.layers import QuantWeights

Reals = NDArray[np.float64]

#: ``layer``: factors of equal Frobenius norms; ``component``: those of every component of a chain;
#: ``xavier``: latents of the standard deviation sqrt(2 / (fan_in + fan_out)); ``none``: rates of 1.
Rule = Literal["none", "layer", "component", "xavier"]
RULES: tuple[Rule, ...] = get_args(Rule)
#: What a method may ask for: ``auto`` is ``component`` for gradient descent and ``none`` for Adam.
Balance = Literal["auto", "none", "layer", "component", "xavier"]
BALANCES: tuple[Balance, ...] = get_args(Balance)


def check_balance(name: str, balance: str) -> None:
    """``ValueError`` for a word that is none of ``BALANCES``; ``name`` is who was given it."""
    if balance not in BALANCES:
        raise ValueError(f"{name}: balance={balance!r}, rule one of {', '.join(BALANCES)}")


def rule_for(balance: Balance, *, power: int) -> Rule:
    """The rule for an optimiser with the ``power`` of :func:`balanced_rates`."""
    if balance == "auto":
        return "component" if power == 2 else "none"
    return balance


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """A quantized layer of a chain and the batch norm behind it, if there is one."""

    layer: QuantWeights
    norm: BatchNorm2d | None

    @property
    def diagonal(self) -> Tensor:
        """What multiplies the responses of each filter."""
        if self.norm is not None and self.norm.weight is not None:
            return self.norm.weight
        return self.layer.scale

    @property
    def groups(self) -> int:
        """Groups of the layer; 1 where it is linear."""
        return self.layer.groups if isinstance(self.layer, QuantConv2d) else 1

    @property
    def fans(self) -> tuple[int, int]:
        """Inputs that an output of the layer depends on, and outputs that an input goes to."""
        filters, channels, *window = self.layer.latent.shape
        area = int(np.prod(window))
        return channels * area, filters // self.groups * area


Chain = tuple[Link, ...]


def balanced_rates(net: Module, rule: Rule = "layer", *, power: int = 2) -> list[Rate]:
    """Relative learning rates for ``net.parameters()``, each 1 / l^power.

    ``power`` is 2 for plain gradient descent and 1 for Adam. Parameters outside chains, and biases,
    have rate 1. ``component`` takes chains of two or three layers apart and treats others as
    ``layer`` does.
    """
    if rule not in RULES:
        raise ValueError(f"balanced_rates: rule={rule!r}, rule one of {', '.join(RULES)}")
    rates: dict[int, Rate] = {}
    for chain in chains_of(net) if rule != "none" else ():
        for tensor, multiplier in _multipliers(chain, rule):
            rates[id(tensor)] = multiplier**-power
    return [rates.get(id(tensor), 1.0) for tensor in net.parameters()]


def chains_of(net: Module) -> list[Chain]:
    """The chains of a network, in order of execution."""
    found: list[Chain] = []
    run: list[Link] = []
    for module in (*_leaves(net), None):
        match module:
            case QuantWeights():
                run.append(Link(module, None))
            case BatchNorm2d() if run and run[-1].norm is None:
                run[-1] = Link(run[-1].layer, module)
            case Quantize(quantizer=quantizer) if run and quantizer.type.lo < 0:
                pass
            case _ if run:
                found.append(tuple(run))
                run = []
    return found


def _leaves(module: Module) -> Iterator[Module | None]:
    """Modules in order of execution, with None where a branch begins or ends."""
    match module:
        case Sequential():
            for part in module:
                yield from _leaves(part)
        case Residual(main=main, shortcut=shortcut):
            yield None
            yield from _leaves(main)
            yield None
            if shortcut is not None:
                yield from _leaves(shortcut)
                yield None
        case _:
            yield module


def _multipliers(chain: Chain, rule: Rule) -> list[tuple[Tensor, Any]]:
    """Every factor of a chain with its multiplier, a number or an array that broadcasts to it."""
    factors = [t for link in chain for t in (link.layer.latent, link.diagonal)]
    arrays = [t.numpy() for t in factors]
    if rule == "component" and (parts := _Parts.of(chain)) is not None:
        return list(zip(factors, parts.multipliers(arrays), strict=True))
    if rule == "xavier":
        fans = [fan for link in chain for fan in (link.fans, None)]
        return list(zip(factors, xavier_std(fans, arrays), strict=True))
    return list(zip(factors, equal_norms(arrays), strict=True))


@dataclass(frozen=True, slots=True)
class _Parts:
    """How a chain is a sum of ``count`` components, ``groups`` of the last layer apart.

    With two layers a component is a channel between them, with three a group of the middle one.
    """

    count: int
    groups: int

    @staticmethod
    def of(chain: Chain) -> _Parts | None:
        """None for a chain that is one layer, or more than three, or does not divide so."""
        if len(chain) not in (2, 3):
            return None
        first, last = chain[0].layer.latent, chain[-1]
        count = len(first.numpy()) if len(chain) == 2 else chain[1].groups
        channels = last.groups * last.layer.latent.shape[1]
        sizes = [t.size for link in chain[:-1] for t in (link.layer.latent, link.diagonal)]
        fits = count % last.groups == 0 and all(s % count == 0 for s in (*sizes, channels))
        return _Parts(count, last.groups) if fits else None

    def multipliers(self, arrays: list[NDArray[Any]]) -> list[Reals]:
        """For factors in the order of the chain, latents and diagonals in turn.

        The last diagonal belongs to all components. Its gradient is the sum of what they give, some
        sqrt(count) times the size of one part, so each component takes a share of that norm; its
        multiplier is the geometric mean of theirs.
        """
        *before, last, diagonal = arrays
        columns = [a.reshape(self.count, -1).T for a in before]
        columns.append(self._split(last).reshape(self.count, -1).T)
        share = diagonal.astype(np.float64).reshape(-1, 1) / self.count**0.5
        columns.append(np.repeat(share, self.count, axis=1))
        *found, of_last, shared = equal_component_norms(columns)
        rows = [
            np.repeat(m, len(a) // self.count).reshape(-1, *(1,) * (a.ndim - 1))
            for m, a in zip(found, before, strict=True)
        ]
        return [*rows, self._joined(of_last, last), np.exp(np.log(shared).mean())]

    def _split(self, last: NDArray[Any]) -> NDArray[Any]:
        """The last latents (F, C/G, ...) as (G, components of a group, ...)."""
        per_group = self.count // self.groups
        shape = (self.groups, len(last) // self.groups, per_group, last.shape[1] // per_group, -1)
        return last.reshape(shape).transpose(0, 2, 1, 3, 4)

    def _joined(self, m: Reals, last: NDArray[Any]) -> Reals:
        """Multipliers of components in the layout of the last latents."""
        width = last.shape[1] * self.groups // self.count
        rows = np.repeat(m.reshape(self.groups, -1), width, axis=1)
        filters = np.repeat(rows, len(last) // self.groups, axis=0)
        return filters.reshape(*last.shape[:2], *(1,) * (last.ndim - 2))
