"""The one set of compiler options for functions that Numba compiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile ``function`` at its first call, with the options all compiled functions share.

    No fast-math, so sums of reals keep their stated order; no checks inside, so wrappers check
    shapes before. The lock of the interpreter is released. The cache on disk hits for module-level
    functions only, and its key does not cover what other files define: compiled functions call
    compiled functions of their own file only.
    """
    options = njit(cache=True, nogil=True, error_model="numpy", fastmath=False)
    return cast(Function, options(function))
