"""What is known of a quantizer under test: its functions, and what is claimed of them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.laws.grid import DIVISIONS, TIES
from refnet.program.types import ACCUMULATOR_BOUND, IntType

#: Parameters that a function may take behind its first argument; the suite then draws them.
PARAMETERS = ("scale", "zero_point")
#: What becomes of infinity: the end codes, or an error.
INFINITIES = ("saturate", "refuse")
#: What becomes of NaN: an error, the code of zero, an end code; or a code as a number.
NANS = ("refuse", "zero", "lowest", "highest")
#: Where the straight-through gradient passes, measured in levels: everywhere; between the end
#: levels; up to half a step beyond them.
PASSES = ("everywhere", "levels", "cells")
#: Which ends of that interval belong to it.
INCLUSIVE = ("both", "neither", "low", "high")
#: Orders of packed codes: [2.1.1], [2.2.1], and [2.1.1] with the first code in the highest bits.
PACKINGS = ("bits", "trits", "bits_msb_first")
KEYWORD = inspect.Parameter.KEYWORD_ONLY
_FLOATS = ("float16", "float32", "float64")


def parameters_of(function: Callable[..., Any], given: int) -> tuple[str, ...]:
    """The required parameters behind the first ``given``; ``ValueError`` for unknown ones."""
    required = [name for name, _ in _required(function)]
    behind = required[given:]
    unknown = set(behind) - set(PARAMETERS)
    if unknown:
        raise ValueError(
            f"{name_of(function)}: parameters {behind}, rule only {', '.join(PARAMETERS)} "
            "behind the array; bind the others (functools.partial)"
        )
    return tuple(behind)


def keywords_of(function: Callable[..., Any]) -> frozenset[str]:
    """Required parameters that are given by name: behind a ``*``, or behind one that is bound."""
    return frozenset(name for name, kind in _required(function) if kind == KEYWORD)


def _required(function: Callable[..., Any]) -> tuple[tuple[str, Any], ...]:
    """Names and kinds of the parameters that must be given."""
    try:
        return _inspected(function)
    except TypeError:  # not every callable object can be hashed
        return _inspected.__wrapped__(function)


@lru_cache(maxsize=256)
def _inspected(function: Callable[..., Any]) -> tuple[tuple[str, Any], ...]:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-in functions have none
        return ()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, KEYWORD)
    return tuple(
        (p.name, p.kind)
        for p in signature.parameters.values() if p.default is p.empty and p.kind in kinds
    )


def name_of(function: Callable[..., Any]) -> str:
    """A name to show."""
    return str(getattr(function, "__name__", None) or type(function).__name__)


class Codes(tuple[int, ...]):
    """Codes with gaps, in ascending order; a pair of them is no pair of ends."""

    __slots__ = ()


def levels_of(levels: Any) -> Sequence[int]:
    """The codes in ascending order, as a ``range`` where they follow each other.

    ``levels`` is a ``range``, a type with ``lo`` and ``hi`` (an :class:`~refnet.program.IntType`),
    a pair ``(lo, hi)`` of inclusive ends, or the codes themselves as a list, set or array of any
    other length. Binary codes without a zero are the list ``[-1, 1]``.
    """
    if isinstance(levels, Codes):
        return levels
    if hasattr(levels, "lo") and hasattr(levels, "hi"):
        levels = (levels.lo, levels.hi)
    if isinstance(levels, tuple) and len(levels) == 2 and all(_is_int(v) for v in levels):
        levels = range(int(levels[0]), int(levels[1]) + 1)
    if isinstance(levels, str | bytes) or not isinstance(levels, Iterable):
        raise ValueError(f"levels {levels!r}: rule a range, (lo, hi) or the list of codes")
    listed = levels if isinstance(levels, range) else sorted(levels)
    if len(listed) < 2 or not all(_is_int(v) for v in listed[:: max(1, len(listed) // 999)]):
        raise ValueError(f"levels {levels!r:.60}: rule at least two integer codes")
    if listed[-1] - listed[0] == len(listed) - 1:
        return range(int(listed[0]), int(listed[-1]) + 1)
    codes = Codes(int(v) for v in listed)
    if len(set(codes)) != len(codes):
        raise ValueError(f"levels {levels!r:.60}: a code twice")
    return codes


def _is_int(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class QuantizerUnderTest:
    """A quantizer and what is known of it. Every fact that is given makes laws checkable.

    ``quantize(x)`` maps an array of reals to integer codes of the same shape. If it has the
    required parameters ``scale`` or ``zero_point`` behind x, the suite draws them.

    * ``dequantize(codes)``: the reals of codes. ``levels``: the codes, see :func:`levels_of`.
    * ``scale``, ``zero_point``: of ``scale * (code - zero_point)`` where ``quantize`` has them
      inside, one a channel with ``axis``. Found from ``dequantize`` where possible.
    * ``scale_range``, ``scale_dtype``: the scales that may be drawn; all positive binary32 numbers
      up to 2**46 or so unless said.
    * ``thresholds``: the reals between neighbouring codes, where they are not midpoints.
    * ``tie``: one of ``TIES``. ``nan``: one of ``NANS``, or a code. ``infinity``: one of
      ``INFINITIES``.
    * ``division``: one of ``DIVISIONS``, how exactly x / scale is found.
    * ``dtypes``: of inputs. ``code_dtype``: of codes. ``ndim``: where only so many axes are taken.
    * ``grad(x, g)``: the gradient of x for the output gradient g; or ``grad(x)``, the factor of g.
      ``passes``: where it passes: a pair (low, high), one of ``PASSES``, or a function x -> mask;
      ``inclusive``: one of ``INCLUSIVE``.
    * ``pack(codes)``, ``unpack(bytes, count)`` and ``packing``, one of ``PACKINGS``.
    * ``requantize(acc, mult, shift)``: [3.2.2] into ``levels``. ``dot(x, w)``: codes (M, K) and
      (F, K) to accumulators (M, F); ``dot_types``: the codes of x and those of w, as ``levels``.
    * ``fit(w)``: ternary codes and their scale. ``factorize(W, k)``: (X, d, Y) with ternary X
      (m, k), Y (n, k) and d (k,). ``reconstruct(X, d, Y)``: X diag(d) Y^T of integers.

    ``claims`` are names of laws; by default every law that the facts allow. ``disclaims`` are
    taken away. What is not claimed is reported as unknown. Raises ``ValueError`` on facts that do
    not fit.
    """

    quantize: Callable[..., Any] | None = None
    dequantize: Callable[..., Any] | None = field(default=None, kw_only=True)
    levels: Any = field(default=None, kw_only=True)
    scale: Any = field(default=None, kw_only=True)
    zero_point: Any = field(default=None, kw_only=True)
    scale_range: tuple[float, float] | None = field(default=None, kw_only=True)
    scale_dtype: str = field(default="float32", kw_only=True)
    thresholds: Sequence[float] | None = field(default=None, kw_only=True)
    tie: str | None = field(default=None, kw_only=True)
    nan: str | int | None = field(default=None, kw_only=True)
    infinity: str | None = field(default="saturate", kw_only=True)
    division: str = field(default="binary64", kw_only=True)
    dtypes: tuple[str, ...] = field(default=_FLOATS, kw_only=True)
    code_dtype: Any = field(default=None, kw_only=True)
    axis: int | None = field(default=None, kw_only=True)
    ndim: int | None = field(default=None, kw_only=True)
    grad: Callable[..., Any] | None = field(default=None, kw_only=True)
    passes: Any = field(default=None, kw_only=True)
    inclusive: str = field(default="both", kw_only=True)
    pack: Callable[..., Any] | None = field(default=None, kw_only=True)
    unpack: Callable[..., Any] | None = field(default=None, kw_only=True)
    packing: str | None = field(default=None, kw_only=True)
    requantize: Callable[..., Any] | None = field(default=None, kw_only=True)
    dot: Callable[..., Any] | None = field(default=None, kw_only=True)
    dot_types: tuple[Any, Any] | None = field(default=None, kw_only=True)
    fit: Callable[..., Any] | None = field(default=None, kw_only=True)
    factorize: Callable[..., Any] | None = field(default=None, kw_only=True)
    reconstruct: Callable[..., Any] | None = field(default=None, kw_only=True)
    claims: Iterable[str] | None = field(default=None, kw_only=True)
    disclaims: Iterable[str] = field(default=(), kw_only=True)
    name: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        _check_choices(self)
        if self.levels is not None:
            object.__setattr__(self, "levels", levels_of(self.levels))
        if self.dot_types is not None:
            object.__setattr__(self, "dot_types", _dot_types(self.dot_types))
        _check_numbers(self)
        for what in ("claims", "disclaims"):
            names = getattr(self, what)
            if isinstance(names, str):
                raise ValueError(f"{what} {names!r}: rule names of laws in a list")
            if names is not None:
                object.__setattr__(self, what, tuple(names))
        if not self.name:
            first = next((f for f in (self.quantize, *_functions(self)) if f is not None), None)
            object.__setattr__(self, "name", "quantizer" if first is None else name_of(first))

    @property
    def parameters(self) -> tuple[str, ...]:
        """What the suite draws for ``quantize``."""
        return () if self.quantize is None else parameters_of(self.quantize, 1)

    @property
    def channels(self) -> int:
        """Channels along ``axis``; 1 without one."""
        return 1 if self.axis is None else np.asarray(self.scale).size

    @property
    def float_types(self) -> tuple[np.dtype[Any], ...]:
        """``dtypes`` as NumPy knows them, the narrowest first."""
        return tuple(sorted((np.dtype(d) for d in self.dtypes), key=lambda d: d.itemsize))


def _dot_types(given: Any) -> tuple[IntType, IntType]:
    """The types of x and w of a dot product, from two of what :func:`levels_of` takes."""
    rule = "rule two ranges of codes, those of x and those of w"
    try:
        x, w = (levels_of(levels) for levels in given)
    except (TypeError, ValueError) as error:
        raise ValueError(f"dot_types {given!r:.60}: {rule}") from error
    if isinstance(x, Codes) or isinstance(w, Codes):
        raise ValueError(f"dot_types {given!r:.60}: codes with gaps, {rule}")
    product = max(abs(a * b) for a in (x[0], x[-1]) for b in (w[0], w[-1]))
    if product > ACCUMULATOR_BOUND:
        raise ValueError(
            f"dot_types {given!r:.60}: a product is {product}, rule at most {ACCUMULATOR_BOUND}"
        )
    return IntType(lo=x[0], hi=x[-1]), IntType(lo=w[0], hi=w[-1])


def _functions(q: QuantizerUnderTest) -> tuple[Callable[..., Any] | None, ...]:
    return (q.dequantize, q.grad, q.pack, q.unpack, q.requantize, q.dot, q.fit, q.factorize)


def _check_choices(q: QuantizerUnderTest) -> None:
    choices: tuple[tuple[str, Any, tuple[str, ...]], ...] = (
        ("tie", q.tie, TIES),
        ("division", q.division, DIVISIONS),
        ("infinity", q.infinity, INFINITIES),
        ("inclusive", q.inclusive, INCLUSIVE),
        ("packing", q.packing, PACKINGS),
    )
    for what, value, allowed in choices:
        if value is not None and value not in allowed:
            raise ValueError(f"{what} {value!r}: rule one of {', '.join(allowed)}")
    if q.nan is not None and not _is_int(q.nan) and q.nan not in NANS:
        raise ValueError(f"nan {q.nan!r}: rule a code or one of {', '.join(NANS)}")
    if isinstance(q.passes, str) and q.passes not in PASSES:
        raise ValueError(f"passes {q.passes!r}: rule (low, high), a function or one of {PASSES}")
    if q.scale_dtype not in _FLOATS:
        raise ValueError(f"scale_dtype {q.scale_dtype!r}: rule one of {', '.join(_FLOATS)}")
    if not q.dtypes or not {np.dtype(d).name for d in q.dtypes} <= set(_FLOATS):
        raise ValueError(f"dtypes {q.dtypes!r}: rule some of {', '.join(_FLOATS)}")
    for function in (q.quantize, *_functions(q), q.reconstruct):
        if function is not None and not callable(function):
            raise TypeError(f"{function!r:.60}: rule a function")
    if not any(f is not None for f in (q.quantize, *_functions(q), q.reconstruct)):
        raise ValueError("QuantizerUnderTest: no function is given, rule at least quantize")


def _check_numbers(q: QuantizerUnderTest) -> None:
    drawn = set(q.parameters)
    for what in drawn & {"scale", "zero_point"}:
        if getattr(q, what) is not None:
            raise ValueError(f"{what}: given, and also a parameter of quantize; rule one of them")
    if q.scale is not None:
        scales = [float(s) for s in np.ravel(np.asarray(q.scale))]
        if not all(math.isfinite(s) and s > 0 for s in scales):
            raise ValueError(f"scale {q.scale!r:.60}: rule finite and positive")
        if q.axis is None and np.ndim(q.scale) > 0 and len(scales) > 1:
            raise ValueError(f"scale of {len(scales)} channels: rule axis says where they are")
    if q.scale_range is not None:
        low, high = q.scale_range
        if not 0 < low <= high < math.inf:
            raise ValueError(f"scale_range {q.scale_range}: rule 0 < low <= high, both finite")
    if q.axis is not None and (q.scale is None or drawn):
        raise ValueError("axis: rule scale holds one number a channel, and nothing is drawn")
    if q.thresholds is not None:
        values: NDArray[np.float64] = np.asarray(q.thresholds, dtype=np.float64)
        if q.levels is None or values.shape != (len(q.levels) - 1,):
            raise ValueError(f"thresholds of shape {values.shape}: rule one less than levels")
        if not np.isfinite(values).all() or np.any(np.diff(values) <= 0):
            raise ValueError(f"thresholds {values.tolist()!r:.80}: rule finite and ascending")
    if drawn and q.levels is None:
        raise ValueError("levels: rule given where scale or zero_point are parameters")
