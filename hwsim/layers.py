"""What is to be computed: layers as matrix products or element-wise work, with their true tensors.

Letters: N batch, C input channels, R S kernel height and width, H W map, G groups; a product is
X (m, k) x W (k, n) in every group, with m = N * output positions, k = C/G * R * S, n = F/G.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwsim.checks import normalise, whole
from hwsim.loops import live_elements

Pair: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """A tensor: range of its integers, its true number of elements, and what is known of them.

    ``zeros`` counts the zero elements and ``codes`` holds the integers in the shape of the tensor;
    None where nothing is known. ``codes`` takes no part in comparisons.
    """

    lo: int
    hi: int
    elements: int
    zeros: int | None = None
    codes: NDArray[np.integer[Any]] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.lo <= self.hi:
            raise ValueError(f"Operand: range [{self.lo}, {self.hi}], rule lo <= hi")
        normalise(self, "Operand", "elements")
        if self.codes is not None:
            if self.codes.size != self.elements:
                raise ValueError(f"Operand: {self.codes.size} codes, {self.elements} elements")
            zeros = self.elements - int(np.count_nonzero(self.codes))
            if self.zeros not in (None, zeros):
                raise ValueError(f"Operand: zeros={self.zeros}, the codes hold {zeros}")
            object.__setattr__(self, "zeros", zeros)
        if self.zeros is not None and not 0 <= self.zeros <= self.elements:
            raise ValueError(f"Operand: zeros={self.zeros}, rule 0 to {self.elements}")

    @property
    def signed(self) -> bool:
        """Whether negative integers occur."""
        return self.lo < 0

    @property
    def bits(self) -> int:
        """Width of the narrowest unsigned or two's complement field of the range.

        >>> [Operand(lo=lo, hi=hi, elements=1).bits for lo, hi in ((0, 3), (-1, 1), (-128, 127))]
        [2, 2, 8]
        """
        if not self.signed:
            return max(1, self.hi.bit_length())
        return max((-self.lo - 1).bit_length(), max(self.hi, 0).bit_length()) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The sliding window of a convolution: where the rows of X come from.

    ``channels`` of one group, map ``height`` x ``width``, ``output`` (height, width). Padding is
    ((top, bottom), (left, right)); padding is made on the way to the array and never stored.
    """

    batch: int = 1
    channels: int
    height: int
    width: int
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))
    dilation: Pair = (1, 1)
    output: Pair

    def __post_init__(self) -> None:
        normalise(self, "Window", "batch channels height width")
        for name in ("kernel", "stride", "dilation", "output"):
            for value in getattr(self, name):
                whole("Window", name, value)
        for value in (*self.padding[0], *self.padding[1]):
            whole("Window", "padding", value, 0)

    def live_elements(self, positions: int, channels: int) -> int:
        """Input elements that ``positions`` consecutive output positions can touch at most.

        Whole rows of the map are counted, of ``channels`` channels; every seam between two images
        costs the overlap of two windows once more. Never more than the map itself; never falling
        when ``positions`` grows [7.4.2].
        """
        return int(live_elements(self, positions, channels))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gemm:
    """A layer of ``groups`` products X (m, k) x W (k, n): convolution, linear or plain product.

    ``input``, ``weights`` and ``output`` are the true tensors of all groups together, not the
    unfolded matrices. ``accumulator_bits`` is the width of the proved range of the sums, None where
    nothing is known of the values. ``additions`` are those of the bias, ``parameter_bits`` its
    constants. ``window`` is None for a plain product. ``reads`` names the layers whose results are
    its input, empty where that is not known.
    """

    name: str
    groups: int = 1
    m: int
    k: int
    n: int
    input: Operand
    weights: Operand
    output: Operand
    accumulator_bits: int | None = None
    additions: int = 0
    parameter_bits: int = 0
    window: Window | None = None
    reads: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        what = f"Gemm {self.name!r}"
        normalise(self, what, "groups m k n")
        normalise(self, what, "additions parameter_bits", least=0)
        if self.weights.elements != self.groups * self.k * self.n:
            raise ValueError(
                f"{what}: {self.weights.elements} weights, "
                f"rule groups * k * n = {self.groups * self.k * self.n}"
            )
        if self.output.elements != self.groups * self.m * self.n:
            raise ValueError(
                f"{what}: {self.output.elements} outputs, "
                f"rule groups * m * n = {self.groups * self.m * self.n}"
            )
        w = self.geometry
        stored = self.groups * w.batch * w.channels * w.height * w.width
        if self.input.elements != stored:
            raise ValueError(f"{what}: {self.input.elements} inputs, rule {stored} by its window")
        unfolded = w.batch * w.output[0] * w.output[1], w.channels * w.kernel[0] * w.kernel[1]
        if (self.m, self.k) != unfolded:
            raise ValueError(f"{what}: (m, k) = {(self.m, self.k)}, its window gives {unfolded}")

    @property
    def macs(self) -> int:
        """Multiply-accumulates, padding included, as is usual."""
        return self.groups * self.m * self.k * self.n

    @property
    def geometry(self) -> Window:
        """The window; of a plain product, m rows of one position with k channels."""
        if self.window is not None:
            return self.window
        return Window(channels=self.k, height=self.m, width=1, output=(self.m, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """Work that is no matrix product: thresholds, requantization, sums, pools, reshapes.

    ``fused`` work is done on results as they leave the array (or moves nothing at all): no memory
    traffic of its own but its constants. Operation counts are exact, for the whole batch. ``reads``
    names the layers whose results are its inputs, empty where that is not known.
    """

    name: str
    kind: str
    inputs: tuple[Operand, ...]
    output: Operand
    additions: int = 0
    multiplications: int = 0
    comparisons: int = 0
    parameter_bits: int = 0
    fused: bool = False
    reads: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = "additions multiplications comparisons parameter_bits"
        normalise(self, f"Vector {self.name!r}", names, least=0)
        if not self.inputs:
            raise ValueError(f"Vector {self.name!r}: no inputs, rule one or more")

    @property
    def operations(self) -> int:
        """All operations."""
        return self.additions + self.multiplications + self.comparisons


Layer: TypeAlias = Gemm | Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Layers in the order they run; names are unique."""

    name: str
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        if not self.layers:
            raise ValueError(f"Workload {self.name!r}: no layers, rule one or more")
        seen: set[str] = set()
        for layer in self.layers:
            if layer.name in seen:
                raise ValueError(f"Workload {self.name!r}: layer {layer.name!r} appears twice")
            seen.add(layer.name)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers."""
        return sum(layer.macs for layer in self.layers if isinstance(layer, Gemm))
