"""Arrays that end where readable memory ends: one byte too far ends the process."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np
from numpy.typing import NDArray


def guarded(array: NDArray) -> NDArray:
    """A copy of ``array`` whose last byte is the last before a page that nobody may touch."""
    pages = -(-max(array.nbytes, 1) // mmap.PAGESIZE)
    memory = mmap.mmap(-1, (pages + 1) * mmap.PAGESIZE)
    first = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    last = ctypes.c_void_p(first + pages * mmap.PAGESIZE)
    assert libc.mprotect(last, ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
    offset = pages * mmap.PAGESIZE - array.nbytes
    copy = np.frombuffer(memory, dtype=array.dtype, count=array.size, offset=offset)
    copy = copy.reshape(array.shape)
    copy[...] = array
    return copy
