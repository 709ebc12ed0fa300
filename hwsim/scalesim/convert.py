"""Writing a workload in the conv layout of SCALE-Sim, which has no padding and no groups."""

from __future__ import annotations

from collections.abc import Iterator

from hwsim.layers import Gemm, Workload

_HEADER = (
    "Layer name,IFMAP height,IFMAP width,Filter height,Filter width,Channels,Num filter,Strides,"
)


def to_topology(workload: Workload) -> str:
    """The products of ``workload`` as a topology file; element-wise layers have no line.

    The padding becomes part of the map, which is cut to the rows and columns that windows touch:
    the tool then counts the same outputs. A depthwise layer becomes one line with ``DP`` at the
    end of its name, other groups a line each. Raises ``ValueError`` naming a layer that the layout
    cannot hold.
    """
    products = [layer for layer in workload.layers if isinstance(layer, Gemm)]
    return "\n".join([_HEADER, *(line for layer in products for line in _lines(layer))]) + "\n"


def _lines(layer: Gemm) -> Iterator[str]:
    window = layer.geometry
    what = f"layer {layer.name!r}"
    if window.batch != 1 or window.dilation != (1, 1) or len(set(window.stride)) != 1:
        raise ValueError(
            f"{what}: batch {window.batch}, dilation {window.dilation}, stride {window.stride}; "
            "rule batch 1, no dilation and one stride"
        )
    depthwise = layer.groups > 1 and window.channels == 1 and layer.n == 1
    if "DP" in layer.name or "," in layer.name:
        raise ValueError(f"{what}: rule a name without 'DP' and commas")
    size = [
        (out - 1) * step + reach
        for out, step, reach in zip(window.output, window.stride, window.kernel, strict=True)
    ]
    channels = layer.groups if depthwise else window.channels
    sizes = (*size, *window.kernel, channels, layer.n, window.stride[0])
    cells = ",".join(str(number) for number in sizes)
    if depthwise:
        yield f"{layer.name}_DP,{cells},"
    elif layer.groups == 1:
        yield f"{layer.name},{cells},"
    else:
        for group in range(layer.groups):
            yield f"{layer.name}_group{group},{cells},"
