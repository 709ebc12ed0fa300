"""Where the values of a plan lie: each in one or more forms, in buffers made once.

A form is a layout: ``plain`` is (N, C, H, W) as operators have it, ``planes`` and ``rows`` are
those of ``layouts``, ``bytes`` is (N, H, W, C) of unsigned 8-bit codes as ``places`` has it. A
workspace holds one array a place; calls that run at the same time have workspaces of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from refnet.kernels.layouts import Layout, aligned, blocks_of
from refnet.kernels.microkernels import LANES
from refnet.kernels.places import Maps
from refnet.program import TensorType

Form = Literal["plain", "planes", "rows", "bytes"]
#: A value in a form.
Place = tuple[str, Form]
Arrays = dict[Place, NDArray[Any]]


def positions(kind: TensorType) -> int:
    """Places of a map (C, H, W); 1 for a vector."""
    return kind.elements // kind.shape[0]


def bytes_of(kind: TensorType) -> Maps:
    """The layout of bytes of a map (C, H, W)."""
    C, H, W = kind.shape
    return Maps(channels=C, size=(H, W))


def buffer(kind: TensorType, form: Form, planes: Layout | None, images: int) -> NDArray[Any]:
    """Memory for ``images`` values of ``kind`` in ``form``."""
    if form == "planes":
        assert planes is not None
        return planes.empty(images)
    if form == "rows":
        lanes = LANES * blocks_of(kind.shape[0])
        return aligned((images, positions(kind), lanes), np.int32)
    if form == "bytes":
        return bytes_of(kind).buffer(images)
    return aligned((images, *kind.shape), kind.type.dtype)


@dataclass(slots=True)
class Workspaces:
    """A shelf of workspaces: taken for a call, put back after it."""

    make: Callable[[], Arrays]
    _free: list[Arrays] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> Arrays:
        """One that nobody uses, or a new one."""
        with self._lock:
            if self._free:
                return self._free.pop()
        return self.make()

    def give(self, arrays: Arrays) -> None:
        """Put it back."""
        with self._lock:
            self._free.append(arrays)
