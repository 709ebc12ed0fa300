"""The eight networks of Bit Fusion's simulator, layer by layer, in a batch of 16.

Shapes and widths are those of its repository (``benchmarks.py``; AlexNet and ResNet-18 are the
twice as wide variants, which its committed sweep identifies: 3,025 positions x 3 x 23 steps of
AlexNet's first layer, 12,544 x 4 x 10 of ResNet's). Results leave as 32-bit sums, as its sweep
counts them.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.layers import Gemm, Operand, Window

BATCH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Layers, milliseconds an image published for Eyeriss and for Bit Fusion, and its clocks.

    ``fusion_clocks`` are those of the array for the batch, waits left out.
    """

    name: str
    layers: tuple[Gemm, ...]
    eyeriss_ms: float
    fusion_ms: float
    fusion_clocks: int


def _operand(bits: int, elements: int, *, signed: bool) -> Operand:
    """Codes of this width; one bit is 0 and 1."""
    if signed and bits > 1:
        return Operand(lo=-(1 << bits - 1), hi=(1 << bits - 1) - 1, elements=elements)
    return Operand(lo=0, hi=(1 << bits) - 1, elements=elements)


def dense(name: str, k: int, n: int, bits: tuple[int, int]) -> Gemm:
    """A fully connected layer: ``k`` inputs, ``n`` results."""
    return Gemm(
        name=name, m=BATCH, k=k, n=n, input=_operand(bits[0], BATCH * k, signed=False),
        weights=_operand(bits[1], k * n, signed=True),
        output=_operand(32, BATCH * n, signed=True),
    )


def conv(
    name: str, size: int, channels: int, filters: int, kernel: int, bits: tuple[int, int],
    stride: int = 1, pad: int | None = None,
) -> Gemm:
    """A convolution of a square map; without ``pad`` it keeps the size at stride 1."""
    edge = kernel // 2 if pad is None else pad
    out = (size + 2 * edge - kernel) // stride + 1
    k = channels * kernel**2
    return Gemm(
        name=name, m=BATCH * out**2, k=k, n=filters,
        input=_operand(bits[0], BATCH * channels * size**2, signed=False),
        weights=_operand(bits[1], k * filters, signed=True),
        output=_operand(32, BATCH * filters * out**2, signed=True),
        window=Window(
            batch=BATCH, channels=channels, height=size, width=size, kernel=(kernel, kernel),
            stride=(stride, stride), padding=((edge, edge), (edge, edge)), output=(out, out)),
    )


def _alexnet() -> tuple[Gemm, ...]:
    four, layers = (4, 4), []
    for half in "ab":
        layers += [
            conv(f"conv1_{half}", 227, 3, 96, 11, (8, 8), stride=4, pad=0),
            conv(f"conv2_{half}", 27, 96, 256, 5, four),
            conv(f"conv3_{half}", 13, 512, 384, 3, four),
            conv(f"conv4_{half}", 13, 384, 384, 3, four),
            conv(f"conv5_{half}", 13, 384, 256, 3, four),
        ]
    return (*layers, dense("fc1", 6 * 6 * 512, 8192, four), dense("fc2", 8192, 8192, four),
            dense("fc3", 8192, 1000, (8, 8)))


def _resnet() -> tuple[Gemm, ...]:
    four = (4, 4)
    layers, size, channels = [conv("conv1_a", 224, 3, 128, 7, (8, 8), stride=2)], 56, 128
    for module, filters in ((2, 128), (3, 256), (4, 512), (5, 1024)):
        for i in (1, 2):
            stride = 2 if module > 2 and i == 1 else 1
            name = f"conv{module}_{i}"
            layers.append(conv(f"{name}_a", size, channels, filters, 1, four, stride=stride))
            size, channels = size // stride, filters
            layers.append(conv(f"{name}_b", size, filters, filters, 3, four))
    return tuple(layers)


def _binary(width: int, edge: tuple[int, int], bits: int) -> tuple[Gemm, ...]:
    """Six convolutions and three dense layers; ``edge`` are the widths of the first."""
    w, inner = width, (bits, bits)
    shapes = ((32, 3, w), (32, w, w), (16, w, 2 * w), (16, 2 * w, 2 * w), (8, 2 * w, 4 * w),
              (8, 4 * w, 4 * w))
    layers = [conv(f"conv{i}", *shape, 3, inner if i else edge) for i, shape in enumerate(shapes)]
    return (*layers, dense("fc6", 64 * w, 1024, inner), dense("fc7", 1024, 1024, inner),
            dense("fc8", 1024, 10, inner))


def _lenet() -> tuple[Gemm, ...]:
    two = (2, 2)
    return (conv("conv0", 32, 1, 32, 5, two), conv("conv1", 16, 32, 64, 5, two),
            dense("fc1", 4096, 512, two), dense("fc2", 512, 10, two))


def _vgg7() -> tuple[Gemm, ...]:
    two, shapes = (2, 2), ((32, 3, 128), (16, 128, 256), (8, 256, 512))
    layers = [conv(f"conv{i + 1}_{half}", *shape, 3, two)
              for half in "ab" for i, shape in enumerate(shapes)]
    return (*layers, dense("fc1", 16 * 512, 1024, two))


def networks() -> tuple[Network, ...]:
    """All eight, in the order of the published table."""
    rows = (
        ("AlexNet", _alexnet(), 8.786, 4.708, 30_873_248),
        ("SVHN", _binary(64, (8, 1), 1), 1.412, 0.1647, 780_352),
        ("CIFAR10", _binary(128, (8, 8), 2), 5.519, 0.4117, 1_771_584),
        ("LeNet-5", _lenet(), 0.1397, 0.0513, 225_312),
        ("VGG-7", _vgg7(), 2.703, 0.3528, 1_032_192),
        ("ResNet-18", _resnet(), 11.936, 6.135, 39_538_688),
        ("RNN", (dense("matmul", 4096, 4096, (4, 4)),), 0.1311, 0.0493, 131_072),
        ("LSTM", (dense("matmul", 3600, 3600, (4, 4)),), 0.1026, 0.0421, 105_792),
    )
    return tuple(Network(name=name, layers=layers, eyeriss_ms=eyeriss, fusion_ms=fusion,
                         fusion_clocks=clocks)
                 for name, layers, eyeriss, fusion, clocks in rows)
