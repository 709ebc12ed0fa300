"""``MODULE:OBJECT`` as quantizers under test, and files of expected failures."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from refnet.laws.protocol import is_quantizer, of
from refnet.laws.sut import QuantizerUnderTest, parameters_of
from refnet.laws.table import NAMES


def _module(name: str) -> Any:
    """A module by dotted name or path; the working directory is looked into first."""
    if name.endswith(".py"):
        path = Path(name)
        # A name of its own: the file may be called as a module that is loaded already.
        own = f"_under_test_{path.stem}"
        spec = importlib.util.spec_from_file_location(own, path)
        if not path.is_file() or spec is None or spec.loader is None:
            raise ValueError(f"{name}: no such file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[own] = module
        spec.loader.exec_module(module)
        return module
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ValueError(f"{name}: {error}") from None


def load(name: str, **facts: Any) -> list[QuantizerUnderTest]:
    """The quantizers that ``MODULE:OBJECT`` or ``FILE.py:OBJECT`` names.

    OBJECT is a :class:`QuantizerUnderTest`, a record with ``type``, ``codes``, ``values`` and
    ``mask``, a list of these, a function or class without arguments that gives them, or a plain
    function x -> codes, of which ``facts`` are all that is known. Raises ``ValueError`` for
    anything else.
    """
    module, colon, path = name.rpartition(":")
    if not colon or not module or not path:
        raise ValueError(f"{name!r}: rule MODULE:OBJECT")
    try:
        thing = _module(module)
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"{module}: cannot be imported: {type(error).__name__}: {error}") from None
    for part in path.split("."):
        if not hasattr(thing, part):
            raise ValueError(f"{name}: no {part!r} in it")
        thing = getattr(thing, part)
    return _quantizers(thing, name, facts)


def _quantizers(thing: Any, name: str, facts: dict[str, Any]) -> list[QuantizerUnderTest]:
    if isinstance(thing, QuantizerUnderTest):
        if facts:
            raise ValueError(f"{name}: states its own facts, rule no {', '.join(facts)} here")
        return [thing]
    if is_quantizer(thing):
        return [of(thing, **facts)]
    if isinstance(thing, list | tuple) and thing:
        return [q for one in thing for q in _quantizers(one, name, facts)]
    if callable(thing):
        if facts or (not isinstance(thing, type) and _wants_x(thing)):
            return [QuantizerUnderTest(thing, **facts)]
        made = thing()
        if made is not thing and not callable(made):
            return _quantizers(made, name, facts)
    raise ValueError(f"{name}: {type(thing).__name__}, rule a QuantizerUnderTest or a list of them")


def _wants_x(function: Any) -> bool:
    try:
        parameters_of(function, 0)
    except ValueError:
        return True
    return False


def read_expected(path: str | os.PathLike[str]) -> dict[str, str]:
    """Expected failures, a line each: the name of a law and the reason; ``#`` begins a comment."""
    found: dict[str, str] = {}
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        name, _, reason = text.partition(" ")
        if name not in NAMES or not reason.strip():
            raise ValueError(f"{os.fspath(path)}:{number}: {text!r}, rule a law and its reason")
        if name in found:
            raise ValueError(f"{os.fspath(path)}:{number}: {name} a second time")
        found[name] = reason.strip()
    return found


def unexpected(failed: Iterable[str], passed: Iterable[str], expected: dict[str, str]) -> list[str]:
    """What is wrong: laws that failed and were not expected to, and the other way round."""
    found = [f"{name} failed" for name in failed if name not in expected]
    return found + [f"{name} passed, expected to fail" for name in passed if name in expected]
