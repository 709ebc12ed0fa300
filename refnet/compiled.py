"""The one set of compiler options for functions that Numba compiles, and where results are kept.

Numba finds a compiled function again by its own source, its argument types and the CPU. It does not
look at what else makes the code what it is: the generators of vector code in other files, Numba's
version, the level of optimization. So the folder of the cache is named after all of these.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba import config, njit

Function = TypeVar("Function", bound=Callable[..., object])

_OPTIONS: Any = config
#: What a file that generates code imports.
_GENERATES = b"from llvmlite import ir"


def compiled(function: Function) -> Function:
    """Compile ``function`` at its first call, with the options all compiled functions share.

    No fast-math, so sums of reals keep their stated order; no checks inside, so wrappers check
    shapes before. The lock of the interpreter is released. The cache on disk hits for module-level
    functions only; compiled functions call compiled functions of their own file only, and
    intrinsics of any.
    """
    return _made(function, set())


def contracted(function: Function) -> Function:
    """As ``compiled``, but a product and the sum it goes into may be rounded once.

    So results differ in the last bits between processors with such an instruction and without.
    """
    return _made(function, {"contract"})


def reordered(function: Function) -> Function:
    """As ``contracted``, and sums over a loop are taken in an order that the vectors suggest.

    Only for sums of reals to which no order belongs, such as gradients.
    """
    return _made(function, {"contract", "reassoc", "nsz"})


def _made(function: Function, freedom: set[str]) -> Function:
    made = njit(nogil=True, error_model="numpy", fastmath=freedom or False)(function)
    if not _OPTIONS.DISABLE_JIT:
        with _cached_in(cache_folder()):
            made.enable_caching()
    return cast(Function, made)


@cache
def cache_folder() -> Path | None:
    """``refnet/<version>`` in the cache folder of the user; None where Numba's own rule holds.

    That is where ``NUMBA_CACHE_DIR`` is set, or the folder cannot be made.
    """
    if os.environ.get("NUMBA_CACHE_DIR"):
        return None
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "refnet" / _version()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def _version() -> str:
    """A name for everything that Numba does not look at."""
    digest = hashlib.sha256()
    optimization = (_OPTIONS.OPT, _OPTIONS.LOOP_VECTORIZE, _OPTIONS.SLP_VECTORIZE)
    digest.update(repr((numba.__version__, *map(str, optimization))).encode())
    digest.update(Path(__file__).read_bytes())
    for path in sorted(Path(__file__).parent.glob("kernels/*.py")):
        source = path.read_bytes()
        if _GENERATES in source:
            digest.update(source)
    return f"{numba.__version__}-{digest.hexdigest()[:12]}"


@contextmanager
def _cached_in(folder: Path | None) -> Iterator[None]:
    """Numba reads the setting where a function asks for a cache, and nowhere else."""
    before = _OPTIONS.CACHE_DIR
    if folder is not None:
        _OPTIONS.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        _OPTIONS.CACHE_DIR = before
