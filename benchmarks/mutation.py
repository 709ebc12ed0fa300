"""Change the integer core in one place at a time and see whether vectors and tests notice.

    python benchmarks/mutation.py [--sample 150] [--seed 1] [--out benchmarks/results/mutation.json]

A mutant is one change of a comparison, an arithmetic or logical operator, a whole number, a
condition, `min` for `max`. Each runs in a process of its own: first the golden vectors of the core
tier, and the tests of its module only if those all pass. A sample is drawn with a fixed seed from
the list of all mutants; `--sample 0` takes all of them.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.machinery
import json
import os
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
#: Processor seconds after which a mutant counts as undecided.
SECONDS = 300
#: Module and the tests that speak of it.
TARGETS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (f"refnet.program.{name}" for name in (
            "arith", "op", "operators", "packing", "pooling", "program", "types", "window",
            "files",
        )),
        ("tests/test_program_*.py",),
    ),
    "refnet.quant.ternary": ("tests/test_quant_ternary.py", "tests/test_quant_weights.py"),
    "refnet.quant.halfwave": ("tests/test_quant_halfwave.py",),
    "refnet.methods.ternary_ls": ("tests/test_methods_ternary_ls.py",),
}  # fmt: skip
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult, ast.Div: ast.Mult, ast.Mod: ast.Mult, ast.LShift: ast.RShift,
    ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.And: ast.Or,
    ast.Or: ast.And, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A place in a module (the number of the change in the order of the tree) and what it does."""

    module: str
    number: int
    line: int
    change: str


def _changes(tree: ast.Module) -> Iterator[tuple[ast.AST, str, Callable[[], None]]]:
    """Every change that can be made in ``tree``: the node, in words, and what makes it."""
    silent = {id(n) for t in ast.walk(tree) if isinstance(t, (ast.JoinedStr, ast.Raise))
              for n in ast.walk(t)}
    silent |= {id(n) for f in ast.walk(tree) if isinstance(f, (ast.FunctionDef, ast.AnnAssign))
               for a in _annotations(f) for n in ast.walk(a)}
    for node in ast.walk(tree):
        if id(node) in silent:
            continue
        if isinstance(node, ast.Compare):
            for i, held in enumerate(node.ops):
                yield from _swapped(node, held, lambda new, n=node, i=i: n.ops.__setitem__(i, new))
        elif isinstance(node, (ast.BinOp, ast.BoolOp, ast.AugAssign)):
            yield from _swapped(node, node.op, lambda new, n=node: setattr(n, "op", new))
        elif isinstance(node, ast.Constant) and type(node.value) in (int, bool):
            new: Any = not node.value if node.value in (True, False) and isinstance(
                node.value, bool) else node.value + 1
            yield (node, f"{node.value} -> {new}",
                   lambda n=node, new=new: setattr(n, "value", new))
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            yield node, "- -> +", lambda n=node: setattr(n, "op", ast.UAdd())
        elif isinstance(node, (ast.If, ast.IfExp)):
            yield (node, "condition -> False",
                   lambda n=node: setattr(n, "test", ast.Constant(value=False)))
        elif isinstance(node, ast.Name) and node.id in NAMES:
            yield (node, f"{node.id} -> {NAMES[node.id]}",
                   lambda n=node: setattr(n, "id", NAMES[n.id]))
        elif isinstance(node, ast.Attribute) and node.attr in NAMES:
            yield (node, f"{node.attr} -> {NAMES[node.attr]}",
                   lambda n=node: setattr(n, "attr", NAMES[n.attr]))


def _annotations(node: ast.FunctionDef | ast.AnnAssign) -> list[ast.AST]:
    if isinstance(node, ast.AnnAssign):
        return [node.annotation]
    arguments = [*node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
    found = [a.annotation for a in arguments if a is not None and a.annotation is not None]
    return [*found, *([node.returns] if node.returns else []), *node.decorator_list]


def _swapped(
    node: ast.AST, held: ast.AST, put: Callable[[Any], None]
) -> Iterator[tuple[ast.AST, str, Callable[[], None]]]:
    new = SWAPS.get(type(held))
    if new is not None:
        words = f"{type(held).__name__} -> {new.__name__}"
        yield node, words, lambda: put(new())


def _path(module: str) -> Path:
    return ROOT / (module.replace(".", "/") + ".py")


def mutants() -> list[Mutant]:
    """All of them, in the order of the modules and trees."""
    return [
        Mutant(module=module, number=i, line=getattr(node, "lineno", 0), change=change)
        for module in TARGETS
        for i, (node, change, _) in enumerate(_changes(ast.parse(_path(module).read_text())))
    ]


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads the changed source and keeps no compiled file."""

    mutant: Mutant

    def get_code(self, fullname: str) -> Any:
        tree = ast.parse(_path(fullname).read_text())
        if fullname == self.mutant.module:
            for i, (_, _, make) in enumerate(_changes(tree)):
                if i == self.mutant.number:
                    make()
                    break
        return compile(ast.fix_missing_locations(tree), str(_path(fullname)), "exec")


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname != self.mutant.module:
            return None
        loader = _Loader(fullname, str(_path(fullname)))
        loader.mutant = self.mutant
        return importlib.machinery.ModuleSpec(fullname, loader, origin=str(_path(fullname)))


def _vectors_notice() -> bool:
    from refnet.vectors.check import killed
    from refnet.vectors.cli import vectors_in
    from refnet.vectors.reference import reference

    found = vectors_in([ROOT / "specs" / "vectors"])
    return any(killed(v, reference) for v in found)


def _tests_notice(module: str) -> bool:
    import pytest

    files = [str(p) for pattern in TARGETS[module] for p in sorted(ROOT.glob(pattern))]
    return pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", *files]) != 0


def _child(mutant: Mutant) -> str:
    """``vectors``, ``tests`` or ``survived``."""
    sys.meta_path.insert(0, _Finder(mutant))
    try:
        if _vectors_notice():
            return "vectors"
    except BaseException:
        return "vectors"
    return "tests" if _tests_notice(mutant.module) else "survived"


def _tried(mutant: Mutant) -> str:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.close(reading)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        try:
            verdict = _child(mutant)
        except BaseException as error:
            verdict = f"error {type(error).__name__}"
        os.write(writing, verdict.encode())
        os._exit(0)
    os.close(writing)
    verdict = os.read(reading, 100).decode()
    os.close(reading)
    os.waitpid(child, 0)
    return verdict or "timeout"


def _line(mutant: Mutant) -> str:
    return _path(mutant.module).read_text().split("\n")[mutant.line - 1].strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/mutation.json")
    given = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    sys.dont_write_bytecode = True
    # What every child needs and no mutant changes.
    import hypothesis
    import hypothesis.extra.numpy
    import numpy
    import pytest  # noqa: F401

    everything = mutants()
    chosen = everything
    if given.sample:
        chosen = random.Random(given.seed).sample(everything, given.sample)
    rows, start = [], time.process_time()
    for mutant in chosen:
        verdict = _tried(mutant)
        rows.append({"module": mutant.module, "line": mutant.line, "change": mutant.change,
                     "code": _line(mutant), "verdict": verdict})
        print(f"{len(rows)}/{len(chosen)} {verdict:9} {mutant.module}:{mutant.line} "
              f"{mutant.change}", flush=True)
        counts = {v: sum(r["verdict"] == v for r in rows)
                  for v in ("vectors", "tests", "timeout", "survived")}
        assert sum(counts.values()) == len(rows), verdict
        report = {
            "mutants": len(everything), "sample": len(rows), "seed": given.seed,
            "versions": {"numpy": numpy.__version__, "hypothesis": hypothesis.__version__},
            "killed": counts["vectors"] + counts["tests"], "counts": counts,
            "survivors": [r for r in rows if r["verdict"] == "survived"],
        }
        given.out.write_text(json.dumps(report, indent=1) + "\n")
    print(f"{report['killed']} of {len(rows)} killed, {time.process_time() - start:.0f} s")


if __name__ == "__main__":
    main()
