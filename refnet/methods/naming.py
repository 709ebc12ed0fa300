"""Methods as they are written on the command line: ``twostep(bits=3),blockterm+twostep``."""

from __future__ import annotations

import ast
import hashlib
from dataclasses import fields
from typing import Any

from refnet.methods import METHODS, PEERS, BlockTerm, Composed
from refnet.methods.base import Method


def methods_of(text: str | None) -> tuple[Method, ...]:
    """Methods by name, each with options in parentheses; None: all of the project's own.

    Options are the fields of the method's record; values are numbers, None, True, False, tuples
    of numbers, or words. ``blockterm(...)+METHOD`` decomposes first. Raises ``ValueError`` for
    unknown names, with those that exist.

    >>> [method.name for method in methods_of("factorized(k=16), twn")]
    ['factorized', 'twn']
    >>> methods_of("twostep(weight_bits=2, form=fixed)")[0].weight_bits
    2
    >>> methods_of("twostep(bit=2)")
    Traceback (most recent call last):
    ValueError: method 'twostep': no option 'bit'; has bits, theta, weight_bits, asymmetric, bias, \
samples, penalties, iterations, sweeps, form, z_step
    """
    if text is None:
        return tuple(method() for method in METHODS)
    try:
        tree = ast.parse(f"({text},)", mode="eval").body
    except (SyntaxError, ValueError):
        raise ValueError(f"method {text!r}: rule NAME or NAME(OPTION=VALUE, ...), commas") from None
    assert isinstance(tree, ast.Tuple)
    # The same method a second time is the same; with other options it would share a folder.
    found = list({repr(m): m for m in (_method(part, text) for part in tree.elts)}.values())
    names = [method.name for method in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"method {twice[0]!r}: twice with different options, rule once")
    return tuple(found)


def _method(part: ast.expr, text: str) -> Method:
    if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Add):
        first, then = _method(part.left, text), _method(part.right, text)
        if not isinstance(first, BlockTerm):
            raise ValueError(f"method {text!r}: rule blockterm+METHOD")
        return Composed(first=first, then=then)
    own = {method().name: method for method in METHODS}
    known: dict[str, Method] = {peer.name: peer for peer in PEERS}
    call = part if isinstance(part, ast.Call) else None
    name = ast.unparse(part if call is None else call.func)
    if name not in own and name not in known:
        raise ValueError(f"method {name!r}: exist {', '.join([*own, *known])}")
    if call is None:
        return own[name]() if name in own else known[name]
    if call.args or any(keyword.arg is None for keyword in call.keywords):
        raise ValueError(f"method {text!r}: rule OPTION=VALUE in the parentheses")
    allowed = [f.name for f in fields(own[name])] if name in own else []  # type: ignore[arg-type]
    options: dict[str, Any] = {}
    for keyword in call.keywords:
        option = str(keyword.arg)
        if option not in allowed:
            has = f"has {', '.join(allowed)}" if allowed else "it has none"
            raise ValueError(f"method {name!r}: no option {option!r}; {has}")
        options[option] = _value(keyword.value, f"method {name!r}: {option}")
    try:
        return own[name](**options) if name in own else known[name]
    except TypeError as error:
        raise ValueError(f"method {name!r}: {error}") from None


def _value(value: ast.expr, what: str) -> Any:
    """A literal, or a word that stands for itself."""
    if isinstance(value, ast.Name):
        return value.id
    try:
        return ast.literal_eval(value)
    except ValueError:
        raise ValueError(f"{what}={ast.unparse(value)}: rule a number, a word or None") from None


def spelled(method: Method) -> str:
    """The method as it is written on the command line, with the options that are not its default.

    >>> spelled(methods_of("blockterm(speedup=4, rule=uniform) + twostep")[0])
    'blockterm(speedup=4, rule=uniform)+twostep'
    """
    if isinstance(method, Composed):
        return f"{spelled(method.first)}+{spelled(method.then)}"
    if type(method) not in METHODS:
        return method.name
    plain = type(method)()
    options = [
        f"{f.name}={value if isinstance(value, str) and value.isidentifier() else repr(value)}"
        for f in fields(method)  # type: ignore[arg-type]
        if (value := getattr(method, f.name)) != getattr(plain, f.name)
    ]
    return f"{method.name}({', '.join(options)})" if options else method.name


def tag_of(method: Method) -> str:
    """What tells files of a method with options from those of its default: empty for that.

    >>> tag_of(methods_of("twostep")[0]), len(tag_of(methods_of("twostep(bits=3)")[0]))
    ('', 9)
    """
    plain = {repr(m) for m in (*(make() for make in METHODS), *PEERS)}
    parts = [method.first, method.then] if isinstance(method, Composed) else [method]
    if all(repr(part) in plain for part in parts):
        return ""
    return "-" + hashlib.sha256(repr(method).encode()).hexdigest()[:8]
