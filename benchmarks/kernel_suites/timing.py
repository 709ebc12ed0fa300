"""Contenders measured turn by turn in one process, and the machine they ran on."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from typing import Any

import measuring

from refnet.kernels import tiers

#: Features that decide which instructions a kernel may use.
_FEATURES = ("avx2", "fma", "avx512f", "avx512bw", "avx512vnni", "avx512vpopcntdq", "avx512vbmi")


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A way to compute one thing: ``run`` does it once, ``layers`` times over.

    ``packing`` says whether activations are packed inside the time. ``ours`` marks this project.
    """

    name: str
    run: Callable[[], Any]
    layers: int = 1
    packing: bool = False
    ours: bool = False


def measured(contenders: list[Contender], *, threads: int, seconds: float) -> dict[str, Any]:
    """Median and least milliseconds a layer for each contender.

    In each round every contender runs twice, so that a change of clock or load meets all alike.
    Before the first time the others have filled the caches, some with weights of 151 MB: its median
    is ``after_others_ms``. The second time finds its own weights and code there as far as they fit,
    and is the one that counts. One thread is timed by its processor, several by the wall. Rounds
    go on for ``seconds``, at least 5; the first two are left out.
    """
    clock = time.process_time if threads == 1 else time.perf_counter
    times: dict[str, list[tuple[float, float]]] = {c.name: [] for c in contenders}
    started, rounds = time.process_time(), 0
    while rounds < 7 or time.process_time() - started < seconds:
        for contender in contenders:
            stamps = [clock()]
            for _ in range(2):
                contender.run()
                stamps.append(clock())
            first, second = (
                1e3 * (stop - start) / contender.layers for start, stop in pairwise(stamps)
            )
            times[contender.name].append((first, second))
        rounds += 1
    found = {}
    for name, pairs in times.items():
        first_ms, second_ms = zip(*pairs[2:], strict=True)
        found[name] = {
            "median_ms": statistics.median(second_ms), "least_ms": min(second_ms),
            "after_others_ms": statistics.median(first_ms),
        }  # fmt: skip
    return found


def rows(
    problem: str, macs: int, contenders: list[Contender], *, threads: int, seconds: float,
    against: dict[str, tuple[str, ...]],
) -> list[dict[str, Any]]:
    """A row for each contender of a problem of ``macs`` multiply-accumulates.

    ``against`` names columns: how many times the fastest of the named contenders' medians it is.
    """
    times = measured(contenders, threads=threads, seconds=seconds)
    found = []
    for c in contenders:
        median, least = times[c.name]["median_ms"], times[c.name]["least_ms"]
        ratios = {
            column: round(min(times[n]["median_ms"] for n in names if n in times) / median, 2)
            for column, names in against.items() if any(n in times for n in names)
        }
        found.append({
            "problem": problem, "contender": ("* " if c.ours else "") + c.name,
            "median_ms": round(median, 4), "least_ms": round(least, 4),
            "after_others_ms": round(times[c.name]["after_others_ms"], 4),
            "GMAC/s": round(macs / median / 1e6, 1), **ratios,
            "packing": "inside" if c.packing else "outside",
        })  # fmt: skip
    return found


def machine(threads: int) -> dict[str, Any]:
    """Processor and its features, cores, load, threads, versions."""
    return {
        **measuring.machine(),
        "features": sorted(set(_FEATURES) & tiers.features()),
        "tier": tiers.current().name.lower(),
        "threads": threads,
        "clock": "processor time" if threads == 1 else "wall time",
        **{name: _version(name) for name in ("llvmlite", "onnxruntime")},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
