"""Work on blocks of images that stay in the cache, spread over a few threads.

How an array is cut into chunks depends on shapes alone, and results are handed back in chunk
order, so any number of threads gives the same bits. NumPy releases the interpreter lock in matrix
products and copies, which is where the time goes. The environment variable REFNET_THREADS, read
once at first use, sets the number of threads (default: the number of processors).
"""

import functools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

import numpy as np

from refnet.autograd.graph import Array

C = TypeVar("C")
T = TypeVar("T")
R = TypeVar("R")

# Elements a chunk works on: 1 MB of float32, so that a chunk stays in a second-level cache or near.
CHUNK = 2**18
# Handing a task to a thread costs as much as a small chunk, so a task is a group of chunks.
TASKS = 16

_local = threading.local()


@functools.cache
def thread_count() -> int:
    """Return the number of threads: REFNET_THREADS, or else the number of processors."""
    text = os.environ.get("REFNET_THREADS", "")
    if not text:
        return os.cpu_count() or 1
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"REFNET_THREADS: {text!r} is not an integer >= 1")
    return int(text)


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_count(), thread_name_prefix="refnet")


# A forked child inherits the pool but not its threads.
os.register_at_fork(after_in_child=_pool.cache_clear)


def slices(total: int, size: int) -> list[slice]:
    """Cut range(total) into consecutive slices of `size`, the last one possibly shorter."""
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]


def _groups(chunks: Sequence[C]) -> list[Sequence[C]]:
    """Cut the chunks into a fixed number of consecutive groups, one task of a thread each."""
    size = max(1, -(-len(chunks) // TASKS))
    return [chunks[part] for part in slices(len(chunks), size)]


def _map_in_order(work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
    if thread_count() == 1 or len(tasks) < 2:
        yield from map(work, tasks)
        return
    # The context carries the caller's floating-point error settings into the threads.
    futures = [_pool().submit(copy_context().run, work, task) for task in tasks]
    for future in futures:
        yield future.result()


def run_chunks(work: Callable[[C], None], chunks: Sequence[C]) -> None:
    """Do work(chunk) for every chunk and wait for all; chunks must not write to the same memory."""

    def run(group: Sequence[C]) -> None:
        for chunk in group:
            work(chunk)

    for _ in _map_in_order(run, _groups(chunks)):
        pass


def sum_chunks(work: Callable[[C], Array], chunks: Sequence[C], total: Array) -> Array:
    """Add work(chunk) of every chunk to `total`, in an order that depends on shapes alone.

    `work` returns a new array. Chunks are summed within their group, then the groups in order.
    """

    def run(group: Sequence[C]) -> Array:
        result = work(group[0])
        for chunk in group[1:]:
            result += work(chunk)
        return result

    for part in _map_in_order(run, _groups(chunks)):
        total += part
    return total


def scratch(role: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return uninitialised memory that the same thread gets again for the same role.

    It is valid until the next call with this role in this thread; never hand it out of a chunk.
    """
    buffers: dict[str, Array] = _local.__dict__
    count = int(np.prod(shape)) * dtype.itemsize
    if role not in buffers or buffers[role].size < count:
        buffers[role] = np.empty(count, dtype=np.uint8)
    return buffers[role][:count].view(dtype).reshape(shape)
