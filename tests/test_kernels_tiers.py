"""Tiers: read from what the JIT may emit, lowered by a variable, never raised."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from itertools import pairwise

import pytest
from conftest import NO_JIT

from refnet.kernels import KERNELS, tiers
from refnet.kernels.tiers import RESTRICTIONS, Tier


def asked(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != tiers.VARIABLE}
    return subprocess.run(
        [sys.executable, "-c", f"from refnet.kernels import tiers; {code}"],
        capture_output=True, text=True, env={**environment, **variables},
    )


@pytest.mark.parametrize("tier", tiers.runnable())
def test_a_restricted_jit_has_the_tier_it_is_restricted_to(tier):
    done = asked("print(tiers.highest().name, len(tiers.runnable()))", **RESTRICTIONS[tier])
    assert done.stdout.split() == [tier.name, f"{tier + 1}"]


@pytest.mark.skipif(tiers.highest() == Tier.PORTABLE, reason="there is nothing to lower")
def test_the_variable_lowers_the_tier():
    done = asked("print(tiers.current().name)", REFNET_TIER="portable")
    assert done.stdout.strip() == "PORTABLE"


@pytest.mark.parametrize("name", ["sse9", "avx512"])
def test_the_variable_never_raises_the_tier(name):
    done = asked("tiers.current()", REFNET_TIER=name, **RESTRICTIONS[Tier.PORTABLE])
    assert f"tier {name}" in done.stderr.replace("'", "")
    assert "this process runs portable" in done.stderr


def test_without_the_jit_only_plain_kernels_run():
    done = asked("print(tiers.highest().name)", NUMBA_DISABLE_JIT="1")
    assert done.stdout.strip() == "PORTABLE"
    if NO_JIT:
        assert tiers.runnable() == (Tier.PORTABLE,)


def test_each_tier_contains_those_below():
    needs = [tiers._NEEDS[tier] for tier in Tier if tier]
    assert all(low < high for low, high in pairwise(needs))
    for tier in Tier:
        assert tiers.best(tiers._NEEDS.get(tier, frozenset())) == tier


def test_every_operator_has_a_kernel_for_any_cpu():
    assert {k.op for k in KERNELS} == {k.op for k in KERNELS if k.tier == Tier.PORTABLE}


def test_a_warm_cache_is_hit(tmp_path):
    code = (
        "from refnet.compiled import cache_folder\n"
        "from refnet.kernels import compile, int16, int8, tiers\n"
        "from refnet.kernels.families import family_of\n"
        "from refnet.kernels.warm import program\n"
        "import numpy as np\n"
        "compile(program())(np.zeros((1, 3, 32, 32), np.uint8))\n"
        "print(cache_folder())\n"
        "bytewise = int8._codes if tiers.highest() == tiers.Tier.AVX512 else int16._byte_codes\n"
        "for function in (family_of(tiers.highest()).pack_rows, bytewise):\n"
        "    hits, misses = function.stats.cache_hits, function.stats.cache_misses\n"
        "    print(sum(hits.values()), sum(misses.values()))"
    )
    if NO_JIT or tiers.highest() < Tier.AVX2:
        pytest.skip("nothing of this is compiled")
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    environment["XDG_CACHE_HOME"] = str(tmp_path)
    seen = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment
        )
        assert not done.stderr
        seen.append(done.stdout.split())
    (folder, *cold), (again, *warm) = seen
    assert folder == again
    assert folder.startswith(str(tmp_path / "refnet"))
    assert (cold, warm) == (["0", "1"] * 2, ["1", "0"] * 2)


@pytest.mark.skipif(
    NO_JIT or platform.machine() not in {"x86_64", "AMD64"}, reason="emits code of x86"
)
def test_code_of_the_highest_tier_is_emitted_on_any_machine(tmp_path):
    code = (
        "from numba import int64, types\n"
        "from refnet.kernels import float32, int8, layouts, popcount\n"
        "def array(kind, ndim): return types.Array(kind, ndim, 'C')\n"
        "longs, ints, words = (array(t, 1) for t in (int64, types.int32, types.uint32))\n"
        "planes, lanes = array(types.uint32, 5), array(types.int32, 3)\n"
        "for function, kinds, names in (\n"
        "    (int8._codes, (longs,), ['vpdpbusd', '%zmm']),\n"
        "    (float32._sums, (longs,), ['vfmadd231ps', '%zmm']),\n"
        "    (popcount.convolve_codes, (planes, longs, int64, int64, ints, longs,\n"
        "     array(types.uint32, 4), lanes, longs, int64, planes, longs), ['vpopcntd', '%zmm']),\n"
        "    (layouts._pack, (array(types.uint8, 3), longs, planes), ['vptest', '%k']),\n"
        "):\n"
        "    function.compile(kinds)\n"
        "    text = function.inspect_asm(function.signatures[-1])\n"
        "    print(all(name in text for name in names))\n"
    )
    needs = tiers._NEEDS[Tier.AVX512] | {"avx", "sse4.2", "popcnt"}
    done = asked(
        f"assert tiers.highest() == tiers.Tier.AVX512\n{code}", NUMBA_CPU_NAME="znver4",
        NUMBA_CPU_FEATURES=",".join(f"+{name}" for name in sorted(needs)),
        NUMBA_CACHE_DIR=str(tmp_path),
    )
    assert done.stdout.split() == ["True"] * 4, done.stderr
