"""Answers that were written beforehand: a folder of arrays and raw memory dumps.

For a device that cannot speak, such as a Verilog simulation or a board. The folder holds, for the
vector ``ID`` and each output ``NAME``, one of

* ``ID.NAME.npy``: an array of integers with its shape;
* ``ID.NAME.bin``: a memory dump: the elements in C order, little-endian, each in the storage of
  its type [1.1.3];
* ``ID.NAME.mem`` (or ``.hex``): words as ``$writememh`` writes them, one a field of the width of
  the type, two's complement; comments ``//`` and addresses ``@`` as that format has them;

and for a vector that the device refuses the file ``ID.refused``, whose text says why. Dumps have
no shape, so only the number of their elements is compared. Intermediates may lie beside the
outputs. A vector without a file fails; leave out what the device does not do by capability.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.vectors.export import read_npy
from refnet.vectors.functions import Outputs
from refnet.vectors.record import Array, Vector, VectorError, dtype_of
from refnet.vectors.reference import Unusable
from refnet.vectors.words import numbers_of_words, width_of


def _shaped(want: Array, flat: NDArray[Any]) -> NDArray[Any]:
    if flat.size != len(want.data):
        raise Unusable(f"{want.name}: {flat.size} elements, rule {len(want.data)}")
    return flat.reshape(want.shape)


def read_dump(data: bytes, want: Array) -> NDArray[Any]:
    """The elements of a memory dump as the type and shape of ``want``."""
    dtype = dtype_of(want.type)
    if len(data) % dtype.itemsize:
        raise Unusable(f"{want.name}: {len(data)} bytes, rule a multiple of {dtype.itemsize}")
    return _shaped(want, np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype))


def read_words(text: str, want: Array) -> NDArray[Any]:
    """The elements of a ``$writememh`` file as the type and shape of ``want``."""
    words: list[int] = []
    for token in re.sub(r"//.*|/\*.*?\*/", " ", text).split():
        if token.startswith("@"):
            if token[1:].lstrip("0") != f"{len(words):x}".lstrip("0"):
                raise Unusable(f"{want.name}: address {token:.20} after {len(words)} words")
            continue
        if not re.fullmatch(r"[0-9a-fA-F_]+", token):
            raise Unusable(f"{want.name}: word {len(words)} is {token:.20}, rule hexadecimal")
        words.append(int(token.replace("_", ""), 16))
        if words[-1] >> (width := width_of(want.type)):
            raise Unusable(f"{want.name}: word {len(words) - 1} has over {width} bits")
    return _shaped(want, numbers_of_words(want.type, words))


class FolderImplementation:
    """An implementation whose answers lie in ``directory``."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._folder = Path(directory)
        if not self._folder.is_dir():
            raise VectorError(f"{self._folder}: no such folder")

    def __call__(self, vector: Vector) -> Outputs:
        """The arrays that the folder holds of ``vector``."""
        refused = self._folder / f"{vector.id}.refused"
        found = {}
        for want in vector.outputs + vector.intermediates:
            array = self._array(f"{vector.id}.{want.name}", want)
            if array is not None:
                found[want.name] = array
        if refused.is_file():
            if found:
                raise Unusable(f"{refused.name} lies beside outputs")
            raise ValueError(refused.read_text(errors="replace") or "refused")
        if not found and vector.result == "must_fail" and self._any(vector.id):
            return {"y": np.zeros(0, dtype=np.int64)}
        if not found:
            raise Unusable(f"no file {vector.id}.*")
        return found

    def _any(self, id: str) -> bool:
        return any(self._folder.glob(f"{id}.*"))

    def _array(self, stem: str, want: Array) -> NDArray[Any] | None:
        paths = [self._folder / f"{stem}.{end}" for end in ("npy", "bin", "mem", "hex")]
        held = [path for path in paths if path.is_file()]
        if len(held) > 1:
            raise Unusable(f"{' and '.join(path.name for path in held)}: one of them")
        if not held:
            return None
        try:
            if held[0].suffix == ".npy":
                return read_npy(held[0].read_bytes())
            if held[0].suffix == ".bin":
                return read_dump(held[0].read_bytes(), want)
            return read_words(held[0].read_text(), want)
        except (VectorError, OSError, UnicodeDecodeError, MemoryError) as error:
            raise Unusable(f"{held[0].name}: {error}") from None
