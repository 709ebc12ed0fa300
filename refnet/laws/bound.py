"""A quantizer with its parameters fixed: calls that are checked, and the grid of right answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.laws.grid import Grid, UniformGrid
from refnet.laws.sut import QuantizerUnderTest, keywords_of, name_of, parameters_of
from refnet.laws.tabulated import tabulated, uniform_step
from refnet.laws.watch import Watch

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
#: Codes beyond this are tabulated by nothing: grids of wider types must be uniform.
MOST_TABULATED = 2**16


class Broken(Exception):  # noqa: N818 - what the answer is
    """A function gave no usable answer: it raised, or shape or dtype are wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What the suite draws; None where the quantizer takes no such parameter."""

    scale: float | None = None
    zero_point: int | None = None


def call(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """``function(*arguments, **named)``; what it raises becomes :class:`Broken`."""
    try:
        return function(*arguments, **named)
    except Exception as error:
        text = " ".join(str(error).split())[:120]
        what = f"{name_of(function)} raised {type(error).__name__}: {text}"
        raise Broken(what) from error


class Bound:
    """``q`` with ``params``. Arrays go in as copies, so that nothing can spoil them.

    Columns are arrays (C, n): n reals for each of C channels, one channel without ``axis``.
    """

    def __init__(
        self, q: QuantizerUnderTest, params: Params, watch: Watch | None = None
    ) -> None:
        self.q = q
        self.params = params
        self.watch = Watch() if watch is None else watch
        self._memory: dict[Any, Any] = {}

    # --- calls -------------------------------------------------------------------------------

    def _asked(self, function: Callable[..., Any], *arrays: Any) -> Any:
        """What ``function`` returns for ``arrays`` and the parameters that it takes behind them."""
        # By identity: not every callable object can be hashed.
        known = self._memory.get(id(function))
        if known is None:
            held = {"scale": self.scale, "zero_point": self.zero_point or 0}
            names, by_name = parameters_of(function, len(arrays)), keywords_of(function)
            known = self._memory[id(function)] = (
                [held[n] for n in names if n not in by_name],
                {n: held[n] for n in names if n in by_name},
            )
        return call(function, *arrays, *known[0], **known[1])

    def raw(self, x: Floats) -> Any:
        """Whatever ``quantize`` returns for this very array."""
        assert self.q.quantize is not None
        return self._asked(self.q.quantize, x)

    def codes(self, x: Floats) -> Ints:
        """Codes of an array, in its shape, as int64; :class:`Broken` where they are none."""
        given = np.array(x, order="K")
        result = self.raw(given)
        self.watch.argument("quantize", x, given)
        found = integral(result, x.shape, "quantize")
        self.watch.codes(self.params, x, result, found)
        return found

    def ask(self, columns: Floats) -> Ints:
        """Codes (C, n) of columns (C, n)."""
        return self.columns(self.codes(self.embed(columns)), columns.shape)

    def embed(self, columns: NDArray[Any]) -> NDArray[Any]:
        """Columns as an array that the quantizer takes: the channels lie on its axis."""
        channels, count = columns.shape
        axis, ndim = self.q.axis, self.q.ndim
        if axis is None:
            return columns.reshape((channels * count,) + (1,) * ((ndim or 1) - 1))
        ndim = ndim or max(2, axis + 1, -axis)
        wide = columns.reshape((channels, count) + (1,) * (ndim - 2))
        return np.ascontiguousarray(np.moveaxis(wide, 0, axis))

    def columns(self, array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """Back from what :meth:`embed` made."""
        if self.q.axis is None:
            return array.reshape(shape)
        return np.moveaxis(array, self.q.axis, 0).reshape(shape)

    def raw_values(self, codes: NDArray[Any]) -> Any:
        """Whatever ``dequantize`` returns."""
        assert self.q.dequantize is not None
        return self._asked(self.q.dequantize, codes)

    def values(self, codes: NDArray[Any]) -> Floats:
        """Reals of codes, in their shape."""
        kind = self.q.code_dtype or self.watch.code_dtype(codes)
        given = codes.astype(kind)
        found = np.asarray(self.raw_values(given))
        self.watch.argument("dequantize", codes.astype(kind), given)
        if found.shape != codes.shape:
            raise Broken(f"dequantize: shape {found.shape} of codes {codes.shape}")
        if found.dtype.kind in "iu":
            found = found.astype(np.float64)
        if found.dtype.kind != "f" or found.dtype.itemsize > 8:
            raise Broken(f"dequantize: dtype {found.dtype}, rule a float of at most 64 bits")
        if np.isnan(found).any():
            raise Broken(f"dequantize: NaN of code {codes[np.isnan(found)].ravel()[0]}")
        return found

    def raw_gradient(self, x: Floats, g: Floats) -> Any:
        """Whatever ``grad`` returns for these very arrays, times g if it does not take g."""
        grad = self.q.grad
        assert grad is not None
        if _takes_two(grad):
            return self._asked(grad, x, g)
        return np.asarray(self._asked(grad, x)) * g

    def gradient(self, x: Floats, g: Floats) -> Floats:
        """The gradient of x for the output gradient g."""
        given = np.array(x), np.array(g)
        found = np.asarray(self.raw_gradient(*given))
        self.watch.argument("grad", x, given[0])
        self.watch.argument("grad", g, given[1])
        if found.shape != x.shape:
            raise Broken(f"grad: shape {found.shape} of x {x.shape}")
        if found.dtype.kind not in "bfiu":
            raise Broken(f"grad: dtype {found.dtype}, rule real numbers")
        return found

    # --- what is right -----------------------------------------------------------------------

    @property
    def scale(self) -> float | None:
        """The scale of a quantizer that is not per channel."""
        if self.params.scale is not None:
            return self.params.scale
        if self.q.scale is None or self.q.axis is not None:
            return None
        return float(np.ravel(self.q.scale)[0])

    @property
    def zero_point(self) -> int | None:
        """The zero point of a quantizer that is not per channel."""
        if self.params.zero_point is not None:
            return self.params.zero_point
        if self.q.zero_point is None or self.q.axis is not None:
            return None
        return int(np.ravel(self.q.zero_point)[0])

    @property
    def levels(self) -> Sequence[int]:
        """The codes, ascending."""
        found: Sequence[int] = self.q.levels
        return found

    @property
    def grids(self) -> tuple[Grid, ...] | None:
        """A grid for each channel, or None where too little is known."""
        if "grids" not in self._memory:
            self._memory["grids"] = self._grids()
        found: tuple[Grid, ...] | None = self._memory["grids"]
        return found

    def table(self) -> Floats | None:
        """The reals of all codes, where they can be asked for."""
        if self.q.dequantize is None or self.q.levels is None or self.q.axis is not None:
            return None
        if len(self.levels) > MOST_TABULATED:
            return None
        if "table" not in self._memory:
            self._memory["table"] = self.values(np.asarray(self.levels, dtype=np.int64))
        found: Floats = self._memory["table"]
        return found

    def _grids(self) -> tuple[Grid, ...] | None:
        q = self.q
        if q.levels is None:
            return None
        if q.axis is not None:
            scales = np.ravel(np.asarray(q.scale, dtype=np.float64))
            zeros = np.broadcast_to(
                np.ravel(0 if q.zero_point is None else q.zero_point), scales.shape
            )
            pairs = zip(scales.tolist(), zeros.tolist(), strict=True)
            return tuple(self._uniform(scale, zero) for scale, zero in pairs)
        if q.thresholds is None and self.scale is not None:
            return (self._uniform(self.scale, self.zero_point or 0),)
        values = self.table()
        if q.thresholds is None and values is not None:
            step = uniform_step(self.levels, values, self.zero_point)
            if step is not None:
                return (self._uniform(*step),)
            # Codes may be in another order than their reals, as those with a sign bit are.
            order = np.argsort(values, kind="stable")
            if not np.isfinite(values).all() or np.any(np.diff(values[order]) <= 0):
                return None
            codes = [self.levels[i] for i in order.tolist()]
            return (tabulated(codes, values[order], None, q.tie),)
        if q.thresholds is None:
            return None
        known = np.zeros(0) if values is None else values
        return (tabulated(self.levels, known, q.thresholds, q.tie),)

    @property
    def ends(self) -> tuple[int, int]:
        """The codes of the smallest and of the largest real."""
        codes = self.grids[0].codes if self.grids else self.levels
        return codes[0], codes[-1]

    def _uniform(self, scale: float, zero: int) -> Grid:
        codes = self.levels
        if isinstance(codes, range):
            return UniformGrid(
                codes=codes, scale=scale, zero=zero, tie=self.q.tie, division=self.q.division
            )
        values = scale * (np.asarray(codes, dtype=np.float64) - zero)
        return tabulated(codes, values, None, self.q.tie)


def _takes_two(grad: Callable[..., Any]) -> bool:
    """Whether ``grad`` takes x and g; a function without a signature does."""
    import inspect

    try:
        parameters = list(inspect.signature(grad).parameters.values())
    except (TypeError, ValueError):
        return True
    free = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if any(p.kind == p.VAR_POSITIONAL for p in parameters):
        return True
    return len([p for p in free if p.name not in ("scale", "zero_point")]) > 1


def untouched(function: Callable[..., Any], what: str, *arrays: NDArray[Any]) -> Any:
    """``function`` of copies of ``arrays``; :class:`Broken` where it changes one of them."""
    given = [a.copy() for a in arrays]
    found = call(function, *given)
    if not all(map(np.array_equal, given, arrays)):
        raise Broken(f"{what} changes its input")
    return found


def integral(result: Any, shape: tuple[int, ...], what: str) -> Ints:
    """A result as int64; :class:`Broken` unless it has that shape and holds integers."""
    found = np.asarray(result)
    if isinstance(result, list) and not found.size and 0 in shape:
        found = found.reshape(shape)  # a list cannot tell the other axes of nothing
    if found.shape != shape:
        raise Broken(f"{what}: shape {found.shape} of an argument of shape {shape}")
    if found.dtype == object and all(type(v) is int and abs(v) < 2**63 for v in found.flat):
        found = found.astype(np.int64)  # exact integers of Python
    if found.dtype.kind == "f":
        with np.errstate(all="ignore"):
            whole = np.isfinite(found) & (np.abs(found) < 2.0**63) & (found == np.rint(found))
        if not whole.all():
            raise Broken(f"{what}: {found[~whole].ravel()[0]!s} is no integer code")
    elif found.dtype.kind not in "iub":
        raise Broken(f"{what}: dtype {found.dtype}, rule integers")
    return found.astype(np.int64)
