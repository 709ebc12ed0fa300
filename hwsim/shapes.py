"""A network under a compression method, by its shapes alone: a cost before anything is trained.

    blockterm    1x1, grouped kernel, 1x1, at 1 / ratio of the multiply-accumulates; 8 bits
    factorized   ternary kernel to min(m, n) channels, a scale, ternary 1x1; 8-bit activations
    twostep      ternary weights, 2-bit activations, thresholds behind every product

As in the methods themselves, the first and the last product stay as they are, with 8-bit weights.
Chapter [7b.7].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from hwsim.checks import whole
from hwsim.layers import Gemm, Layer, Operand, Vector, Window, Workload

#: Largest 2-bit code, and the number of thresholds that give it.
_CODE = 3
_TERNARY = (-1, 1)
# A fixed-point ratio: a 16-bit multiplier and a shift.
_RATIO_BITS = 16 + 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A method by name; ``R`` blocks and the ``ratio`` of multiply-accumulates, of blockterm."""

    method: str
    R: int = 4
    ratio: int = 2

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method {self.method!r}: exist {', '.join(METHODS)}")
        for name in ("R", "ratio"):
            whole(f"method {self.method!r}", name, getattr(self, name))

    @classmethod
    def parse(cls, text: str) -> Shape:
        """From text as on the command line.

        >>> Shape.parse("blockterm:R=8,ratio=4")
        Shape(method='blockterm', R=8, ratio=4)
        """
        method, _, rest = text.partition(":")
        settings: dict[str, int] = {}
        for part in rest.split(",") if rest else []:
            name, _, value = part.partition("=")
            if method != "blockterm" or name not in ("R", "ratio") or name in settings:
                raise ValueError(f"{text!r}: rule a method, or blockterm:R=...,ratio=...")
            if not (value.isascii() and value.isdigit() and len(value) < 10):
                raise ValueError(f"{text!r}: {name}={value!r}, rule an integer >= 1")
            settings[name] = int(value)
        return cls(method=method, **settings)


def as_method(workload: Workload, shape: Shape) -> Workload:
    """``workload`` with its products in the layers of a method; element-wise layers stay.

    Layers that stand for one are named after it, with a part behind a dot. Raises ``ValueError``
    if the workload is quantized already.
    """
    products = [layer for layer in workload.layers if isinstance(layer, Gemm)]
    if not products:
        raise ValueError(f"Workload {workload.name!r}: no products, rule one or more")
    for layer in workload.layers:
        if isinstance(layer, Vector) and layer.kind in ("Threshold", "Requantize"):
            seen = f"layer {layer.name!r} is a {layer.kind}"
            raise ValueError(f"{workload.name!r}: {seen}, rule a network before any method")
    make, edges = METHODS[shape.method], {products[0].name, products[-1].name}
    layers: list[Layer] = []
    for layer in workload.layers:
        inside = isinstance(layer, Gemm) and layer.name not in edges
        if shape.method == "twostep":
            layer = _in_codes(layer, first=layer is products[0], last=layer is products[-1])
        if inside:
            assert isinstance(layer, Gemm)
            layers += _linked(list(make(layer, shape)))
        else:
            layers.append(layer)
    return Workload(name=f"{workload.name} as {shape.method}", layers=tuple(layers))


def _linked(parts: list[Layer]) -> list[Layer]:
    """Parts of one layer: a product reads the one before it, and nobody else does."""
    products = [part.name for part in parts if isinstance(part, Gemm)]
    before = dict(pairwise(reversed(products)))
    return [replace(part, reads=(before[part.name],)) if part.name in before else part
            for part in parts]


def _codes(operand: Operand) -> Operand:
    return Operand(lo=0, hi=_CODE, elements=operand.elements)


def _in_codes(layer: Layer, *, first: bool, last: bool) -> Layer:
    """The layer between 2-bit codes; what enters and what leaves the network stays 8-bit."""
    if isinstance(layer, Vector):
        inputs = tuple(_codes(operand) for operand in layer.inputs)
        return replace(layer, inputs=inputs, output=_codes(layer.output))
    return replace(
        layer,
        input=layer.input if first else _codes(layer.input),
        output=layer.output if last else _codes(layer.output),
    )


def _twostep(layer: Gemm, shape: Shape) -> Iterator[Layer]:
    """A ternary product, and a ladder of thresholds a filter in place of bias and scale [4.2]."""
    yield replace(layer, weights=_weights(layer, *_TERNARY), additions=0, parameter_bits=0)
    largest = layer.k * _CODE
    yield Vector(
        name=f"{layer.name}.threshold", kind="Threshold",
        inputs=(Operand(lo=-largest, hi=largest, elements=layer.output.elements),),
        output=layer.output, comparisons=_CODE * layer.output.elements,
        parameter_bits=layer.groups * layer.n * (_CODE * (largest.bit_length() + 1) + 2),
        fused=True,
    )


def _weights(layer: Gemm, lo: int, hi: int) -> Operand:
    return Operand(lo=lo, hi=hi, elements=layer.groups * layer.k * layer.n)


def _factorized(layer: Gemm, shape: Shape) -> Iterator[Layer]:
    """W (n, k) = X D Y': k x min(n, k) and min(n, k) x n ternary, a scale a column between."""
    rank = min(layer.n, layer.k)
    hidden = Operand(lo=-128, hi=127, elements=layer.groups * layer.m * rank)
    yield _like(layer, "y", n=rank, output=hidden, ternary=True)
    wide = Operand(lo=-255 * layer.k, hi=255 * layer.k, elements=hidden.elements)
    yield Vector(
        name=f"{layer.name}.d", kind="Requantize", inputs=(wide,), output=hidden,
        multiplications=hidden.elements, parameter_bits=layer.groups * rank * _RATIO_BITS,
        fused=True,
    )
    yield _pointwise(layer, "x", layer.m, rank, layer.n, hidden, layer.output, ternary=True)


def _like(layer: Gemm, part: str, *, n: int, output: Operand, ternary: bool) -> Gemm:
    """The product with the windows of ``layer`` and ``n`` filters a group, without its bias."""
    lo, hi = _TERNARY if ternary else (-128, 127)
    return Gemm(
        name=f"{layer.name}.{part}", groups=layer.groups, m=layer.m, k=layer.k, n=n,
        input=layer.input, output=output, window=layer.window,
        weights=Operand(lo=lo, hi=hi, elements=layer.groups * layer.k * n),
    )


def _pointwise(
    layer: Gemm, part: str, m: int, k: int, n: int, input: Operand, output: Operand, *,
    ternary: bool = False,
) -> Gemm:
    """A 1x1 convolution; the one that gives the output of ``layer`` takes over its bias."""
    lo, hi = _TERNARY if ternary else (-128, 127)
    last = output is layer.output
    window = layer.geometry
    size = window.output if last else (window.height, window.width)
    return Gemm(
        name=f"{layer.name}.{part}", groups=layer.groups, m=m, k=k, n=n, input=input,
        output=output, weights=Operand(lo=lo, hi=hi, elements=layer.groups * k * n),
        additions=layer.additions if last else 0,
        parameter_bits=layer.parameter_bits if last else 0,
        window=Window(
            batch=window.batch, channels=k, height=size[0], width=size[1], output=size
        ),
    )


def _blockterm(layer: Gemm, shape: Shape) -> Iterator[Layer]:
    """R terms of rank (s, t), two layers of rank k where the kernel is 1x1, or the layer itself."""
    window = layer.geometry
    S, T, P = window.channels, layer.n, window.kernel[0] * window.kernel[1]
    inputs, limit = window.batch * window.height * window.width, layer.m * layer.k * layer.n
    if P == 1:
        yield from _low_rank(layer, limit // shape.ratio)
        return
    R = shape.R
    ranks = ranks_within(S, T, P, R, inputs, layer.m, limit // shape.ratio)
    if ranks is None:
        yield layer
        return
    s, t = ranks
    low, high = (
        Operand(lo=-128, hi=127, elements=layer.groups * rows * R * rank)
        for rows, rank in ((inputs, s), (layer.m, t))
    )
    yield _pointwise(layer, "a", inputs, S, R * s, layer.input, low)
    yield Gemm(
        name=f"{layer.name}.g", groups=layer.groups * R, m=layer.m, k=s * P, n=t, input=low,
        output=high, weights=Operand(lo=-128, hi=127, elements=layer.groups * R * s * P * t),
        window=replace(window, channels=s),
    )
    yield _pointwise(layer, "b", layer.m, R * t, T, high, layer.output)


def _low_rank(layer: Gemm, limit: int) -> Iterator[Layer]:
    rank = min(limit // (layer.m * (layer.k + layer.n)), layer.k, layer.n)
    if rank < 1:
        yield layer
        return
    hidden = Operand(lo=-128, hi=127, elements=layer.groups * layer.m * rank)
    yield _like(layer, "a", n=rank, output=hidden, ternary=False)
    yield _pointwise(layer, "b", layer.m, rank, layer.n, hidden, layer.output)


def ranks_within(
    S: int, T: int, P: int, R: int, inputs: int, outputs: int, limit: int
) -> tuple[int, int] | None:
    """The largest ranks (s, t), in proportion to S and T, that cost at most ``limit`` products.

    R terms cost R * (S * s * inputs + (s * t * P + t * T) * outputs). What is left goes into
    single ranks, the cheaper first; no rank exceeds S, T or P times the other. None where not
    even s = t = 1 fits.

    >>> ranks_within(64, 64, 9, 4, 3136, 3136, 64 * 64 * 9 * 3136 // 2)
    (17, 16)
    """

    def cost(pair: tuple[int, int]) -> int:
        s, t = pair
        return R * (S * s * inputs + (s * t * P + t * T) * outputs)

    def useful(s: int, t: int) -> tuple[int, int]:
        s, t = min(s, S), min(t, T)
        return min(s, t * P), min(t, s * P)

    best = None
    for step in range(1, max(S, T) + 1):
        pair = useful(*(max(1, round(step * size / max(S, T))) for size in (S, T)))
        if cost(pair) > limit:
            break
        best = pair
    while best is not None:
        s, t = best
        more = [p for p in (useful(s + 1, t), useful(s, t + 1)) if p != best and cost(p) <= limit]
        if not more:
            return best
        best = min(more, key=cost)
    return None


#: The methods by name; each turns one product into layers.
METHODS: dict[str, Callable[[Gemm, Shape], Iterator[Layer]]] = {
    "blockterm": _blockterm, "factorized": _factorized, "twostep": _twostep,
}
