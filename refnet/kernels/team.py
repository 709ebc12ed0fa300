"""Threads that go through the stages of a plan side by side, for images too few to share out.

All threads walk through all stages. A stage that can be cut is done in parts, any other by the
first thread alone, and nobody begins the next one before all have reached it. Stages take some
hundred microseconds, so waking sleeping threads for each would cost more than it gains: a thread
waits by looking at the numbers of the others, and gives way from time to time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numpy.typing import NDArray

from refnet.compiled import compiled
from refnet.kernels.microkernels import Builder, Value, microkernel
from refnet.kernels.tile import COMPILED

#: Numbers from one thread's slot to the next: no two in one cache line.
_SLOT = 16
#: Looks at a slot before the thread gives way.
_LOOKS = 2000
#: Reached by a thread that failed: nobody waits for it.
_GONE = 2**62

_INT64 = ir.IntType(64)


@microkernel
def _publish(typing: Any, address: Any, number: Any) -> Any:
    """Write a number; whoever reads it sees all that was written before."""

    def emit(context: Any, b: Builder, signature: Any, arguments: Any) -> Value:
        pointer = b.inttoptr(arguments[0], _INT64.as_pointer())
        b.store_atomic(arguments[1], pointer, "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), emit


@microkernel
def _look(typing: Any, address: Any) -> Any:
    """Read a number that another thread publishes."""

    def emit(context: Any, b: Builder, signature: Any, arguments: Any) -> Value:
        return b.load_atomic(b.inttoptr(arguments[0], _INT64.as_pointer()), "acquire", 8)

    return types.int64(types.int64), emit


@compiled
def _reach(slots: NDArray[np.int64], part: int, number: int) -> None:
    _publish(slots[part].ctypes.data, number)


@compiled
def _all_there(slots: NDArray[np.int64], number: int, looks: int) -> bool:
    """Whether every thread has reached ``number`` before ``looks`` looks are over."""
    for part in range(len(slots)):
        address = slots[part].ctypes.data
        while _look(address) < number:
            looks -= 1
            if looks < 0:
                return False
    return True


@dataclass(slots=True)
class Meeting:
    """Where the threads of one walk wait for each other."""

    parts: int
    _slots: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self._slots = np.zeros((self.parts, _SLOT), dtype=np.int64)

    def reach(self, part: int, number: int) -> None:
        """Say that this thread has come to ``number``, and wait for the others."""
        _reach(self._slots, part, number)
        while not _all_there(self._slots, number, _LOOKS):
            time.sleep(0)

    def leave(self, part: int) -> None:
        """Go for good."""
        _reach(self._slots, part, _GONE)


@dataclass(slots=True)
class Team:
    """Threads that are kept for the next walk. One walk at a time."""

    threads: int
    _pool: ThreadPoolExecutor | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def walk(self, work: Callable[[int, Meeting], None]) -> None:
        """work(part, meeting) on every thread; alone where the others are busy."""
        if self.threads == 1 or not COMPILED or not self._lock.acquire(blocking=False):
            work(0, Meeting(parts=1))
            return
        try:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.threads - 1)
            meeting = Meeting(parts=self.threads)

            def guarded(part: int) -> None:
                try:
                    work(part, meeting)
                finally:
                    meeting.leave(part)

            others = [self._pool.submit(guarded, part) for part in range(1, self.threads)]
            try:
                guarded(0)
            finally:
                wait(others)  # nobody may still be writing when the next walk begins
            for other in others:
                other.result()
        finally:
            self._lock.release()


def share(total: int, unit: int, part: int, parts: int) -> tuple[int, int]:
    """The part of 0 to ``total`` that a thread does, in whole units.

    >>> [share(23, 7, part, 2) for part in range(2)]
    [(0, 14), (14, 23)]
    """
    units = -(-total // unit)
    first, last = (unit * (units * p // parts) for p in (part, part + 1))
    return min(first, total), min(last, total)
