"""Where quantizers go wrong: ties, levels, bounds, and the floating-point numbers beside them.

Random reals do not come near these places: of seeded bugs they find half, these points find all.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.laws.grid import Grid

Floats = NDArray[np.floating[Any]]

#: Quotients at which a conversion to an integer type wraps, saturates or is undefined.
WRAPS = tuple(2.0**k for k in (7, 8, 15, 16, 23, 24, 31, 32, 53, 63, 64))
#: With room for so many codes, points within the cells are added.
WIDE = 2**12
#: The ties and levels of types of up to so many codes are all tried where there is room.
MOST_ENUMERATED = 2**16
#: Reals that are special whatever the scale.
SPECIAL = (0.0, 1.0, 0.5, 1.5, 2.5, 1e-3, 1e-8, 0.1, 100.0, 1000.5, 1e6, 1e30)


def finite(x: Floats) -> Floats:
    """The finite ones of ``x``."""
    found: Floats = x[np.isfinite(x)]
    return found


def nearest_floats(exact: Iterable[Fraction | float], dtype: np.dtype[Any]) -> Floats:
    """The finite floats of ``dtype`` nearest to each number; what overflows is left out."""
    with np.errstate(all="ignore"):
        wide = np.array([_to_float(v) for v in exact], dtype=np.float64).astype(dtype)
    return finite(wide)


def _to_float(value: Fraction | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def neighbours(x: Floats, ulps: int) -> Floats:
    """``x`` and the ``ulps`` floats of its dtype on either side; the infinite are left out."""
    found, low, high = [x], x, x
    for _ in range(ulps):
        with np.errstate(all="ignore"):
            low = np.nextafter(low, x.dtype.type(-np.inf))
            high = np.nextafter(high, x.dtype.type(np.inf))
        found += [low, high]
    return finite(np.concatenate(found))


def narrowed(wide: NDArray[np.float64], dtype: np.dtype[Any]) -> Floats:
    """In ``dtype``; what overflows there is left out."""
    with np.errstate(all="ignore"):
        return finite(wide.astype(dtype))


def tie_points(grid: Grid, dtype: np.dtype[Any], indices: Iterable[int], ulps: int = 2) -> Floats:
    """The floats nearest to the boundaries of these indices, and their neighbours."""
    places = np.fromiter(indices, dtype=np.int64)
    return neighbours(narrowed(grid.boundaries_as_floats(places), dtype), ulps)


def level_points(grid: Grid, dtype: np.dtype[Any], indices: Iterable[int], ulps: int = 1) -> Floats:
    """The floats nearest to the levels of these indices, and their neighbours."""
    places = np.fromiter(indices, dtype=np.int64)
    return neighbours(narrowed(grid.levels_as_floats(places), dtype), ulps)


def cell_points(
    grid: Grid, dtype: np.dtype[Any], rng: np.random.Generator, indices: Iterable[int], count: int
) -> Floats:
    """Within the cells of these indices: near both ends, at the quarters, and ``count`` anywhere.

    The outermost cells have no end and get none.
    """
    places = np.array([i for i in indices if 0 < i < len(grid.codes) - 1], dtype=np.int64)
    low, high = grid.boundaries_as_floats(places - 1), grid.boundaries_as_floats(places)
    fixed = np.broadcast_to([1 / 32, 1 / 4, 3 / 4, 31 / 32], (len(places), 4))
    parts = np.concatenate([fixed, rng.random((len(places), count))], axis=1)
    with np.errstate(all="ignore"):
        return narrowed((low[:, None] + parts * (high - low)[:, None]).ravel(), dtype)


def saturating_points(grid: Grid, dtype: np.dtype[Any]) -> Floats:
    """Reals beyond both ends: a little, by steps, and where integer conversions wrap."""
    first, last = grid.boundary(0), grid.boundary(len(grid.codes) - 2)
    # Steps of the width of a cell; a grid of two codes has no cell but its distance from zero.
    step = (last - first) / (len(grid.codes) - 2) if len(grid.codes) > 2 else abs(first)
    most = np.finfo(dtype).max
    exact = _outside(first, last, step or Fraction(1))
    return np.concatenate([nearest_floats(exact, dtype), np.array([most, -most], dtype=dtype)])


@lru_cache(maxsize=64)
def _outside(first: Fraction, last: Fraction, step: Fraction) -> tuple[Fraction, ...]:
    beside = [step * Fraction(k, 2) for k in range(1, 7)]
    steps = [step * (Fraction(w) + more) for w in WRAPS for more in (-1, 0, 1)]
    return (
        *(last + k for k in beside), *(first - k for k in beside), *steps, *(-k for k in steps)
    )


def special_points(dtype: np.dtype[Any]) -> Floats:
    """Zeros of both signs, subnormal and largest numbers, and round ones."""
    info = np.finfo(dtype)
    round_ones = nearest_floats(SPECIAL, dtype)
    ends = np.array([info.smallest_subnormal, info.tiny, info.eps, info.max], dtype=dtype)
    return np.concatenate([round_ones, -round_ones, ends, -ends])


def random_points(
    grid: Grid | None, dtype: np.dtype[Any], rng: np.random.Generator, count: int
) -> Floats:
    """Reals spread over the range of the grid and a little beyond, or over many magnitudes."""
    if grid is None or rng.random() < 0.3:
        exponents = rng.uniform(-12, 6, size=count)
        wide = rng.choice([-1.0, 1.0], size=count) * 10.0**exponents
    else:
        low, high = float(grid.boundary(0)), float(grid.boundary(len(grid.codes) - 2))
        room = max(high - low, abs(high), abs(low), 1e-300)
        wide = rng.uniform(low - 0.3 * room, high + 0.3 * room, size=count)
    with np.errstate(all="ignore"):
        narrow = wide.astype(dtype)
    return finite(narrow)


def critical_points(
    grid: Grid | None, dtype: np.dtype[Any], rng: np.random.Generator, most: int
) -> Floats:
    """About ``most`` points of every kind; all ties and levels where there is room for them."""
    parts = [special_points(dtype), random_points(grid, dtype, rng, 16)]
    if grid is not None:
        count = len(grid.codes)
        # A tie brings five points and a level three.
        room = max(4, most // 8)
        some = range(count) if count <= room else np.unique(
            np.concatenate([[0, 1, count - 2, count - 1], rng.integers(0, count, size=room - 4)])
        ).tolist()
        parts += [
            tie_points(grid, dtype, (i for i in some if i < count - 1)),
            level_points(grid, dtype, some), saturating_points(grid, dtype),
        ]
        if room >= WIDE:
            inside = max(2, min(32, WIDE // len(some)))
            parts.append(cell_points(grid, dtype, rng, some, inside))
        if room >= WIDE and count > room and count <= MOST_ENUMERATED:
            # Of wider types every tie and level, without the floats beside them.
            # Narrow dtypes hold only some of them.
            parts += [
                np.unique(tie_points(grid, dtype, range(count - 1), ulps=0)),
                np.unique(level_points(grid, dtype, range(count), ulps=0)),
            ]
    return np.concatenate(parts)


def as_columns(parts: list[Floats]) -> Floats:
    """Points of each channel as columns (C, n); the shorter are filled up with zeros."""
    longest = max(len(p) for p in parts)
    found = np.zeros((len(parts), longest), dtype=parts[0].dtype)
    for row, part in zip(found, parts, strict=True):
        row[: len(part)] = part
    return found
