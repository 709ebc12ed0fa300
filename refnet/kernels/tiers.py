"""Tiers of machine code: which vector instructions the compiler of this process may emit.

An instruction that the target of the JIT lacks does not raise, it ends the process. So a kernel
that asks for one names the tier it needs (``Kernel.tier``), and nothing of it is compiled below
that tier. ``PORTABLE`` is plain Numba: any CPU, and also ``NUMBA_DISABLE_JIT=1``.
"""

from __future__ import annotations

import os
from enum import IntEnum
from functools import cache
from typing import Any

from numba import config
from numba.core import codegen

#: Settings are made at run time, so a type checker cannot see them.
_OPTIONS: Any = config
_HOST_FEATURES: Any = codegen.get_host_cpu_features

#: The tier kernels are chosen for, where it is to be lower than the CPU allows.
VARIABLE = "REFNET_TIER"


class Tier(IntEnum):
    """Sets of instructions; each contains those below it."""

    PORTABLE = 0
    AVX2 = 1
    AVX512 = 2


_NEEDS: dict[Tier, frozenset[str]] = {
    Tier.AVX2: frozenset({"avx2", "fma"}),
    Tier.AVX512: frozenset(
        {"avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni",
         "avx512vpopcntdq"}
    ),
}  # fmt: skip

#: What restricts the JIT of a process to a tier: environment variables, to be set at its start.
RESTRICTIONS: dict[Tier, dict[str, str]] = {
    Tier.PORTABLE: {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
    Tier.AVX2: {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma,+popcnt"},
    Tier.AVX512: {},
}


def features() -> frozenset[str]:
    """Features of the CPU for which the JIT compiles, after ``NUMBA_CPU_FEATURES`` and the like."""
    text = _HOST_FEATURES() if _OPTIONS.CPU_FEATURES is None else _OPTIONS.CPU_FEATURES
    return frozenset(name[1:] for name in text.split(",") if name.startswith("+"))


def best(found: frozenset[str]) -> Tier:
    """The highest tier that a CPU with these features runs.

    >>> best(frozenset({"avx2", "fma"})).name, best(frozenset({"avx512f"})).name
    ('AVX2', 'PORTABLE')
    """
    return max((tier for tier, needs in _NEEDS.items() if needs <= found), default=Tier.PORTABLE)


@cache
def highest() -> Tier:
    """The highest tier of which this process may run code."""
    return Tier.PORTABLE if _OPTIONS.DISABLE_JIT else best(features())


def runnable() -> tuple[Tier, ...]:
    """The tiers of which this process may run code, the highest first."""
    return tuple(tier for tier in reversed(Tier) if tier <= highest())


@cache
def current() -> Tier:
    """The tier for which kernels are chosen: the highest, or the lower one ``REFNET_TIER`` names.

    Read once. Raises ``ValueError`` where the variable names no tier, or one this CPU has not.
    """
    return checked(os.environ.get(VARIABLE) or highest())


def checked(wanted: Tier | str) -> Tier:
    """``wanted``, if this process may run code of it; else ``ValueError``."""
    names = ", ".join(tier.name.lower() for tier in runnable())
    try:
        tier = Tier[wanted.upper()] if isinstance(wanted, str) else Tier(wanted)
    except (KeyError, ValueError):
        raise ValueError(f"tier {wanted!r}: this process runs {names}") from None
    if tier > highest():
        raise ValueError(f"tier {tier.name.lower()}: this process runs {names}")
    return tier
