"""Seconds by the wall and by the processor, and what machine they were measured on."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from refnet.autograd.chunks import thread_count


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """The result of ``work`` and its seconds; CPU seconds are those of all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    seconds = (time.perf_counter() - wall, time.process_time() - cpu)
    names = ("wall_seconds", "cpu_seconds")
    return result, {k: round(v, 3) for k, v in zip(names, seconds, strict=True)}


def machine() -> dict[str, Any]:
    """Processor, cores, threads and versions."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": [round(x, 2) for x in os.getloadavg()],
        "threads": thread_count(),
        "blas_threads": os.environ.get("OPENBLAS_NUM_THREADS"),
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "scipy", "numba")},
    }


def _processor() -> str:
    """The name, with family and model: clouds often hide the rest."""
    info = Path("/proc/cpuinfo")
    found: dict[str, str] = {}
    for line in info.read_text().splitlines() if info.is_file() else []:
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    if "model name" not in found:
        return platform.processor() or platform.machine()
    model = (f"{what} {found[key]}" for what, key in
             (("family", "cpu family"), ("model", "model")) if key in found)
    return ", ".join((found["model name"], *model))
