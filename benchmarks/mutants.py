"""Mutants: a module with one change of an operator, a number, a condition, `min` for `max`."""

from __future__ import annotations

import ast
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
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
    """A place in a module (the number of the change in the order of the tree) and what it does.

    ``inside`` says that it is in the body of a function, so that exchanging code makes it.
    """

    module: str
    number: int
    line: int
    change: str
    inside: bool


def _changes(tree: ast.Module) -> Iterator[tuple[ast.AST, str, Callable[[], None]]]:
    """Every change that can be made in ``tree``: the node, in words, and what makes it."""
    silent = {
        id(n)
        for t in ast.walk(tree)
        if isinstance(t, (ast.JoinedStr, ast.Raise))
        for n in ast.walk(t)
    }
    silent |= {
        id(n)
        for f in ast.walk(tree)
        if isinstance(f, (ast.FunctionDef, ast.AnnAssign))
        for a in _annotations(f)
        for n in ast.walk(a)
    }
    for node in ast.walk(tree):
        if id(node) in silent:
            continue
        if isinstance(node, ast.Compare):
            for i, held in enumerate(node.ops):
                yield from _swapped(node, held, lambda new, n=node, i=i: n.ops.__setitem__(i, new))
        elif isinstance(node, (ast.BinOp, ast.BoolOp, ast.AugAssign)):
            yield from _swapped(node, node.op, lambda new, n=node: setattr(n, "op", new))
        elif isinstance(node, ast.Constant) and type(node.value) in (int, bool):
            new: Any = (
                not node.value
                if node.value in (True, False) and isinstance(node.value, bool)
                else node.value + 1
            )
            yield (node, f"{node.value} -> {new}", lambda n=node, new=new: setattr(n, "value", new))
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            yield node, "- -> +", lambda n=node: setattr(n, "op", ast.UAdd())
        elif isinstance(node, (ast.If, ast.IfExp)):
            yield (
                node,
                "condition -> False",
                lambda n=node: setattr(n, "test", ast.Constant(value=False)),
            )
        elif isinstance(node, ast.Name) and node.id in NAMES:
            yield (
                node,
                f"{node.id} -> {NAMES[node.id]}",
                lambda n=node: setattr(n, "id", NAMES[n.id]),
            )
        elif isinstance(node, ast.Attribute) and node.attr in NAMES:
            yield (
                node,
                f"{node.attr} -> {NAMES[node.attr]}",
                lambda n=node: setattr(n, "attr", NAMES[n.attr]),
            )


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


def path_of(module: str) -> Path:
    return ROOT / (module.replace(".", "/") + ".py")


def mutants(modules: Iterable[str]) -> list[Mutant]:
    """All of them, in the order of the modules and trees."""
    found = []
    for module in modules:
        tree = ast.parse(path_of(module).read_text())
        bodies = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef)
                  for part in f.body for n in ast.walk(part)}  # fmt: skip
        found += [
            Mutant(module=module, number=i, line=getattr(node, "lineno", 0), change=change,
                   inside=id(node) in bodies)
            for i, (node, change, _) in enumerate(_changes(tree))
        ]  # fmt: skip
    return found


def code_of(mutant: Mutant) -> types.CodeType:
    """The code of the changed module."""
    path = path_of(mutant.module)
    tree = ast.parse(path.read_text())
    for number, (_, _, make) in enumerate(_changes(tree)):
        if number == mutant.number:
            make()
            break
    code: types.CodeType = compile(ast.fix_missing_locations(tree), str(path), "exec")
    return code


def functions_in(code: types.CodeType) -> Iterator[types.CodeType]:
    """The code of everything that is defined in ``code``, at any depth."""
    for held in code.co_consts:
        if isinstance(held, types.CodeType):
            yield held
            yield from functions_in(held)
