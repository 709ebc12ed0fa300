"""Change the integer core in one place at a time and see whether vectors and tests notice.

    python benchmarks/mutation.py [--sample 200] [--seed 1] [--out benchmarks/results/mutation.json]

Everything is loaded once; each mutant is a fork in which the code of the changed function is
exchanged (a change outside of functions loads the package anew). First come the golden vectors of
the core tier, the fast ones first, and the tests of its module only if those all pass. A sample is
drawn with a fixed seed from the list of all mutants; `--sample 0` takes all of them. Results are
kept as they come and taken up again, as long as the module is the same; `--again` tries the
survivors anew. A survivor needs its reason in `mutation_survivors.tsv`, by module, line and change.
"""

from __future__ import annotations

import argparse
import functools
import gc
import hashlib
import importlib.abc
import importlib.machinery
import json
import os
import random
import resource
import sys
import time
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Before NumPy and Numba are loaded: no thread, and Python whose code can be exchanged.
os.environ.update(OPENBLAS_NUM_THREADS="1", NUMBA_DISABLE_JIT="1")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]
sys.dont_write_bytecode = True

from mutants import Mutant, code_of, functions_in, mutants, path_of  # noqa: E402

#: Processor seconds of the vectors and of the tests; unchanged, they need some 1 and 20.
VECTOR_SECONDS, TEST_SECONDS = 20, 120
#: The most memory of a mutant, bytes.
MEMORY = 6 * 2**30
_PROGRAM = ("types", "arith", "op", "window", "operators", "pooling", "packing", "program", "files")
#: Module and the tests that speak of it, those that speak most of it first.
TARGETS: dict[str, tuple[str, ...]] = {
    **{f"refnet.program.{name}": ("test_quant_survivors.py", f"test_program_{name}.py",
                                  "test_program_refusals.py",
                                  "test_program_operators.py", "test_program_*.py",
                                  "test_vectors_golden.py")
       for name in _PROGRAM},
    "refnet.quant.ternary": ("test_quant_survivors.py", "test_quant_ternary.py",
                             "test_quant_weights.py"),
    "refnet.quant.halfwave": ("test_quant_survivors.py", "test_quant_halfwave.py",
                              "test_quant_activations.py"),
    "refnet.quant.staircase": ("test_quant_survivors.py", "test_quant_activations.py",
                               "test_quant_halfwave.py",
                               "test_quant_lloyd.py"),
    "refnet.methods.ternary_ls": ("test_methods_ternary_ls.py", "test_methods_descent.py"),
}  # fmt: skip
#: What a mutant may end as; all but the last are killed. A timeout is a hang that any runner sees.
VERDICTS = ("vectors", "tests", "timeout", "survived")


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads the changed source and keeps no compiled file."""

    mutant: Mutant

    def get_code(self, fullname: str) -> Any:
        return code_of(self.mutant)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname != self.mutant.module:
            return None
        loader = _Loader(fullname, str(path_of(fullname)))
        loader.mutant = self.mutant
        return importlib.machinery.ModuleSpec(fullname, loader, origin=str(path_of(fullname)))


def _load() -> list[Any]:
    """The vectors, the fast ones first, after everything that answers them is loaded."""
    from refnet.vectors.check import killed
    from refnet.vectors.cli import vectors_in
    from refnet.vectors.reference import reference

    timed = []
    for vector in vectors_in([ROOT / "specs" / "vectors"]):
        start = time.process_time()
        if killed(vector, reference):
            raise SystemExit(f"{vector.id} fails without a mutant")
        timed.append((time.process_time() - start, vector.id, vector))
    return [vector for *_, vector in sorted(timed, key=lambda row: row[:2])]


class _Bench:
    """What the forks share: vectors, the functions of the modules, the caches to be emptied."""

    def __init__(self) -> None:
        self.vectors = _load()
        self.functions: dict[tuple[str, str, int], list[types.FunctionType]] = {}
        self.caches = []
        for held in gc.get_objects():
            if isinstance(held, types.FunctionType) and held.__module__ in TARGETS:
                key = (held.__module__, held.__qualname__, held.__code__.co_firstlineno)
                self.functions.setdefault(key, []).append(held)
            elif isinstance(held, functools._lru_cache_wrapper):
                self.caches.append(held)

    def exchange(self, mutant: Mutant) -> bool:
        """Whether a function of the module has other code now."""
        changed = False
        for code in functions_in(code_of(mutant)):
            key = (mutant.module, code.co_qualname, code.co_firstlineno)
            for function in self.functions.get(key, ()):
                if function.__code__ != code:
                    function.__code__ = code
                    changed = True
        for cache in self.caches:
            cache.cache_clear()
        return changed

    def notices(self, mutant: Mutant) -> bool:
        """Whether a golden vector is answered otherwise than it must be."""
        if not (mutant.inside and self.exchange(mutant)):
            sys.meta_path.insert(0, _Finder(mutant))
            for name in [n for n in sys.modules if n.partition(".")[0] == "refnet"]:
                del sys.modules[name]
            self.vectors = _load()
            return False
        from refnet.vectors.check import killed
        from refnet.vectors.reference import reference

        return any(killed(v, reference) for v in self.vectors)


def _tests_notice(module: str) -> bool:
    import pytest

    found = [p for pattern in TARGETS[module] for p in sorted((ROOT / "tests").glob(pattern))]
    files = [str(p) for p in dict.fromkeys(found)]
    return pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", *files]) != 0


def _limited(seconds: int) -> None:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    until = int(spent.ru_utime + spent.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def _child(bench: _Bench, mutant: Mutant) -> str:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    _limited(VECTOR_SECONDS)
    try:
        if bench.notices(mutant):
            return "vectors"
    except BaseException:
        return "vectors"
    _limited(TEST_SECONDS)
    return "tests" if _tests_notice(mutant.module) else "survived"


def _tried(bench: _Bench, mutant: Mutant) -> str:
    """A verdict, from a process that may hang or crash."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        try:
            verdict = _child(bench, mutant)
        except BaseException as error:
            verdict = f"error {type(error).__name__}"
        os.write(writing, verdict.encode())
        os._exit(0)
    os.close(writing)
    verdict = os.read(reading, 100).decode()
    os.close(reading)
    os.waitpid(child, 0)
    return verdict or "timeout"


def _digest(module: str) -> str:
    return hashlib.sha256(path_of(module).read_bytes()).hexdigest()[:16]


def _row(mutant: Mutant, verdict: str) -> dict[str, Any]:
    line = path_of(mutant.module).read_text().split("\n")[mutant.line - 1].strip()
    return {"module": mutant.module, "number": mutant.number, "line": mutant.line,
            "change": mutant.change, "code": line, "verdict": verdict}  # fmt: skip


def reasons() -> dict[tuple[str, str, str], str]:
    """Why a survivor lives, by module, line of code and change."""
    text = (Path(__file__).parent / "mutation_survivors.tsv").read_text()
    rows = (line.split("\t") for line in text.splitlines()[1:])
    return {(module, code, change): why for module, code, change, why in rows}


def report(rows: Sequence[dict[str, Any]], total: int, seed: int) -> dict[str, Any]:
    """What is committed: counts, every survivor with its reason, and every verdict."""
    import hypothesis
    import numpy

    counts = {v: sum(r["verdict"] == v for r in rows) for v in VERDICTS}
    if sum(counts.values()) != len(rows):
        raise SystemExit(f"a mutant could not be tried: {rows[-1]}")
    why, by_module = reasons(), {}
    for row in rows:
        of = by_module.setdefault(row["module"], [0, 0])
        of[0] += row["verdict"] != "survived"
        of[1] += 1
    survivors = [
        {**r, "reason": why.get((r["module"], r["code"], r["change"]), "")}
        for r in rows if r["verdict"] == "survived"
    ]  # fmt: skip
    return {
        "mutants": total, "sample": len(rows), "seed": seed,
        "versions": {"numpy": numpy.__version__, "hypothesis": hypothesis.__version__},
        "killed": len(rows) - counts["survived"], "counts": counts,
        "killed_of_by_module": by_module, "survivors": survivors,
        "digests": {module: _digest(module) for module in sorted(by_module)},
        "verdicts": [[r["module"], r["number"], r["verdict"]] for r in rows],
    }  # fmt: skip


def _known(path: Path, again: bool) -> dict[tuple[str, int], str]:
    """Verdicts of an earlier run on modules that are the same now."""
    if not path.is_file():
        return {}
    held = json.loads(path.read_text())
    same = {m for m, digest in held.get("digests", {}).items() if digest == _digest(m)}
    return {(m, n): v for m, n, v in held.get("verdicts", ())
            if m in same and not (again and v == "survived")}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="try the survivors once more")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/mutation.json")
    given = parser.parse_args()
    everything = mutants(TARGETS)
    chosen = everything
    if given.sample:
        chosen = random.Random(given.seed).sample(everything, min(given.sample, len(everything)))
    known, bench = _known(given.out, given.again), None
    for mutant in chosen:
        if (mutant.module, mutant.number) not in known:
            import hypothesis.extra.numpy  # noqa: F401 - what every child needs
            import pytest  # noqa: F401

            bench = bench or _Bench()
            verdict = known[mutant.module, mutant.number] = _tried(bench, mutant)
            print(f"{len(known)}/{len(chosen)} {verdict:9} {mutant.module}:{mutant.line} "
                  f"{mutant.change}", flush=True)  # fmt: skip
        _keep(given.out, chosen, known, len(everything), given.seed)
    found = json.loads(given.out.read_text())
    print(f"{found['killed']} of {found['sample']} killed: {found['counts']}")


def _keep(
    path: Path, chosen: Sequence[Mutant], known: dict[tuple[str, int], str], total: int, seed: int
) -> None:
    """Write what is known so far, whole."""
    rows = [_row(m, known[m.module, m.number]) for m in chosen if (m.module, m.number) in known]
    part = path.with_suffix(".part")
    part.write_text(json.dumps(report(rows, total, seed), indent=1) + "\n")
    part.replace(path)


if __name__ == "__main__":
    main()
