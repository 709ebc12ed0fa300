"""``MODULE:OBJECT`` or ``FILE.py:OBJECT`` as an implementation: a function of a vector."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

from refnet.vectors.functions import Implementation
from refnet.vectors.record import VectorError


def _module(name: str) -> Any:
    """A module by path or dotted name; the working directory is looked into first."""
    if not name.endswith(".py"):
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
        return importlib.import_module(name)
    if not Path(name).is_file():
        raise VectorError(f"{name}: no such file")
    # A name of its own: the file may be called as a module that is loaded already.
    own = f"_implementation_{Path(name).stem}"
    spec = importlib.util.spec_from_file_location(own, name)
    if spec is None or spec.loader is None:
        raise VectorError(f"{name}: no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[own] = module
    spec.loader.exec_module(module)
    return module


def load_implementation(name: str) -> Implementation:
    """The callable that ``name`` gives; :class:`VectorError` where there is none.

    It gets a :class:`~refnet.vectors.Vector` and returns its outputs by name, raises
    ``ValueError`` to refuse and :class:`~refnet.vectors.Unsupported` for what it does not do. A
    function that hangs holds the check: give that a process of its own.
    """
    module, _, path = name.rpartition(":")
    if not module or not path:
        raise VectorError(f"{name!r}: rule MODULE:OBJECT")
    try:
        found = _module(module)
    except VectorError:
        raise
    except (Exception, SystemExit) as error:
        why = f"{type(error).__name__}: {error}"
        raise VectorError(f"{module}: cannot be imported: {why}") from None
    for part in path.split("."):
        if not hasattr(found, part):
            raise VectorError(f"{name}: no {part!r} in it")
        found = getattr(found, part)
    if not callable(found):
        raise VectorError(f"{name}: {type(found).__name__}, rule a function of a vector")
    return found  # type: ignore[no-any-return]
