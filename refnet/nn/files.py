"""Networks in files: an `.npz` without pickle that holds the tree of layers and its state.

"network" is the tree as JSON text (bytes), "state/NAME" the parameters and buffers. A file is
written under another name and then renamed, so there is never half of one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.nn.composites import Residual, Sequential
from refnet.nn.datasets import npz
from refnet.nn.layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    ReLU,
)
from refnet.nn.module import Module

_PLAIN = {layer.__name__: layer for layer in (ReLU, Flatten, GlobalAvgPool2d)}
_POOLS = {layer.__name__: layer for layer in (MaxPool2d, AvgPool2d)}


def save(net: Module, path: str | Path) -> None:
    """Write a float network; it must consist of the layers of `refnet.nn`."""
    write(path, network_arrays(net))


def load(path: str | Path) -> Module:
    """Read a float network, in training mode, from a file of `save` or a checkpoint of `train`.

    Raises FileNotFoundError, or ValueError when the file does not describe a network.
    """
    return network_from(npz.read(Path(path)), str(path))


def network_arrays(net: Module, *, strict: bool = True) -> dict[str, NDArray[Any]]:
    """The arrays that `network_from` makes a network of.

    TypeError for layers that are not of `refnet.nn`; with strict=False their state alone.
    """
    arrays = {f"state/{name}": array for name, array in net.state_dict().items()}
    try:
        arrays["network"] = text_array(json.dumps(describe(net)))
    except TypeError:
        if strict:
            raise
    return arrays


def network_from(arrays: Mapping[str, NDArray[Any]], source: str) -> Module:
    """The network in `arrays`; ValueError naming `source` when they do not make one."""
    if "network" not in arrays:
        raise ValueError(f"{source}: no array 'network', this is not a network file")
    state = {
        name.removeprefix("state/"): array
        for name, array in arrays.items() if name.startswith("state/")
    }
    try:
        net = _build(json.loads(text_of(arrays["network"])), state, "")
        net.load_state_dict(state)
    except KeyError as error:
        raise ValueError(f"{source}: does not describe a network: lacks {error}") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{source}: does not describe a network: {error}") from error
    return net


def describe(net: Module) -> dict[str, Any]:
    """The tree of layers with their settings, as JSON values. TypeError for foreign layers."""
    kind = {"layer": type(net).__name__}
    match net:
        case Sequential():
            return kind | {"layers": [describe(layer) for layer in net]}
        case Residual():
            beside = None if net.shortcut is None else describe(net.shortcut)
            return kind | {"main": describe(net.main), "shortcut": beside}
        case Conv2d():
            settings = {"stride": net.stride, "padding": net.padding, "dilation": net.dilation}
            return kind | settings | {"groups": net.groups, "bias": net.bias is not None}
        case Linear():
            return kind | {"bias": net.bias is not None}
        case BatchNorm2d():
            affine = net.weight is not None
            return kind | {"affine": affine, "eps": net.eps, "momentum": net.momentum}
        case MaxPool2d() | AvgPool2d():
            settings = {"kernel_size": net.kernel_size, "stride": net.stride}
            return kind | settings | {"padding": net.padding}
        case ReLU() | Flatten() | GlobalAvgPool2d():
            return dict(kind)
    raise TypeError(f"{type(net).__name__} is not a layer of refnet.nn, cannot be written")


def _build(tree: Any, state: Mapping[str, NDArray[Any]], name: str) -> Module:
    below = f"{name}." if name else ""
    settings = {key: _tuples(value) for key, value in tree.items() if key != "layer"}
    match str(tree["layer"]):
        case "Sequential":
            layers = enumerate(tree["layers"])
            return Sequential(*(_build(layer, state, f"{below}{i}") for i, layer in layers))
        case "Residual":
            main, beside = _build(tree["main"], state, f"{below}main"), tree["shortcut"]
            return Residual(
                main, None if beside is None else _build(beside, state, f"{below}shortcut")
            )
        case "Conv2d" | "Linear" as kind:
            bias = state[f"{below}bias"] if settings.pop("bias") else None
            make: Any = Conv2d.of if kind == "Conv2d" else Linear.of
            layer: Module = make(state[f"{below}weight"], bias, **settings)
            return layer
        case "BatchNorm2d":
            mean = state[f"{below}running_mean"]
            return BatchNorm2d(mean.size, **settings).astype(mean.dtype)
        case kind if kind in _POOLS:
            return _POOLS[kind](**settings)
        case kind if kind in _PLAIN:
            return _PLAIN[kind](**settings)
    raise ValueError(f"unknown layer {tree['layer']!r}")


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def text_array(text: str) -> NDArray[np.uint8]:
    """The UTF-8 bytes of `text`, to be stored without pickle."""
    return np.frombuffer(text.encode(), dtype=np.uint8)


def text_of(array: NDArray[Any]) -> str:
    """The text stored in `array` by `text_array`."""
    return array.astype(np.uint8).tobytes().decode()


def write(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write `arrays` to an `.npz` file as a whole or, on any interruption, not at all."""
    path = Path(path)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with unfinished.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
