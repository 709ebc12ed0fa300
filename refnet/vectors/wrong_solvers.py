"""Wrong solvers: thresholds by a rule of thumb, other ties, other orders, steps left out."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from refnet.vectors.answering import Ints, right
from refnet.vectors.functions import Outputs
from refnet.vectors.record import Vector


def _ternary(w: Ints, keep: NDArray[np.bool_]) -> Outputs:
    return {
        "codes": np.where(keep, np.sign(w), 0), "support": np.array([keep.sum()]),
        "sum": np.array([np.abs(w[keep]).sum()]),
    }


def threshold_of_mean(vector: Vector) -> Outputs:
    """Keeps what is above 0.7 times the mean magnitude, as ternary weight networks do."""
    w = vector.arrays["w"].astype(np.int64)
    return _ternary(w, 10 * len(w) * np.abs(w) > 7 * np.abs(w).sum())


def largest_support(vector: Vector) -> Outputs:
    """Of equally good supports takes the largest."""
    w = vector.arrays["w"].astype(np.int64)
    sizes = sorted(np.abs(w).tolist(), reverse=True)
    gains = [Fraction(sum(sizes[:J]) ** 2, J) for J in range(1, len(w) + 1)]
    last = max(J for J, gain in enumerate(gains) if gain == max(gains))
    return _ternary(w, (np.abs(w) >= sizes[last]) & (w != 0))


def no_zero_codes(vector: Vector) -> Outputs:
    """Keeps the sign of every weight."""
    w = vector.arrays["w"].astype(np.int64)
    return _ternary(w, w != 0)


def sum_of_all(vector: Vector) -> Outputs:
    """Takes the scale from all weights, and not from those that are kept."""
    return {**right(vector), "sum": np.array([np.abs(vector.arrays["w"].astype(int)).sum()])}


def _on_top(vector: Vector) -> NDArray[np.float64]:
    """w in units in which the largest magnitude is the highest code."""
    w, bits = vector.arrays["w"].astype(np.float64), vector.attributes["bits"]
    top, largest = max(2 ** (bits - 1) - 1, 1), float(np.abs(w).max())
    scaled: NDArray[np.float64] = w * top / (largest if largest else 1.0)
    return scaled


def largest_on_top(vector: Vector) -> Outputs:
    """Rounds with the largest weight on the highest code, and does not alternate."""
    return {"codes": np.rint(_on_top(vector)).astype(np.int64)}


def truncated_on_top(vector: Vector) -> Outputs:
    """Truncates with the largest weight on the highest code."""
    return {"codes": np.trunc(_on_top(vector)).astype(np.int64)}


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongDescent:
    """A coordinate descent in exact numbers with a mistake; without one it is [6.2] and [6.3]."""

    descending: bool = False
    ties_move: bool = False
    turned: bool = True
    stale: bool = False
    silent_zero: bool = False
    live_scale: bool = False
    one_sweep: bool = False
    stitched: bool = True
    low_first: bool = False
    unsigned: bool = False
    half_forgotten: bool = False
    own_part_kept: bool = False
    zero_positive: bool = False

    def __call__(self, vector: Vector) -> Outputs:
        """Codes, N and D."""
        given, held = vector.attributes, vector.arrays
        X, z, start = (held[name].astype(np.int64) for name in ("X", "z", "start"))
        G, s, bits = X @ X.T, X @ z, given["bits"]
        sweeps = min(given["sweeps"], 1) if self.one_sweep else given["sweeps"]
        walk = partial(self._walk, G, s, given["form"], sweeps)
        if bits <= 2:
            w = walk(start[None], [1], 1, 2, 2 if bits == 1 else 1)[0]
        else:
            places = [2**m for m in range(bits - 1)]
            places = places if self.low_first else places[::-1]
            digits = np.array([np.sign(start) * (np.abs(start) // p % 2) for p in places])
            w = np.array(places) @ walk(digits, places, 1, 2, 1)
            if self.stitched:
                w = walk(w[None], [1], sum(places), 1, 1)[0]
        N, D = int(s @ w), int(w @ G @ w)
        alive = N > 0 and D > 0
        return {"codes": alive * w, "N": np.array([alive * N]), "D": np.array([alive * D])}

    def _walk(
        self, G: Ints, s: Ints, form: str, sweeps: int, q: Ints, places: list[int], top: int,
        reach: int, stride: int,
    ) -> Ints:
        q, scales = q.copy(), np.array(places)
        if self.turned and s @ (scales @ q) < 0:
            q = -q
        if self.silent_zero:
            q[:, np.diag(G) == 0] = 0
        for _ in range(sweeps):
            before = q.copy()
            N, D = _sums(G, s, scales @ q)
            if form == "fixed" and (N <= 0 or D == 0):
                break
            for b, j in np.ndindex(q.shape):
                if not G[j, j]:
                    continue
                w = scales @ (before if self.stale else q)
                if self.live_scale:
                    N, D = _sums(G, s, w)
                old = int((before if self.stale else q)[b, j])
                codes = range(max(-top, old - reach), min(top, old + reach) + 1, stride)
                if form == "profile":
                    q[b, j] = self._profile(G, s, w, j, places[b], old, codes)
                elif N > 0 and D > 0:
                    q[b, j] = self._fixed(G, s, w, j, places[b], old, codes, N, D)
            if np.array_equal(q, before):
                break
        return q

    def _profile(
        self, G: Ints, s: Ints, w: Ints, j: int, place: int, old: int, codes: range
    ) -> int:
        def explained(c: int) -> Fraction:
            v = w.copy()
            v[j] += place * (c - old)
            N, D = _sums(G, s, v)
            return Fraction(N * N if self.unsigned else N * abs(N), D) if D else Fraction(0)

        best, code = explained(old), old
        for c in reversed(codes) if self.descending else codes:
            value = explained(c)
            if value > best or (self.ties_move and c != old and value == best):
                best, code = value, c
        return code

    def _fixed(
        self, G: Ints, s: Ints, w: Ints, j: int, place: int, old: int, codes: range, N: int, D: int
    ) -> int:
        own = 0 if self.own_part_kept else place * old * int(G[j, j])
        x = Fraction(int(s[j]) * D - N * (int(G[j] @ w) - own), N * place * int(G[j, j]))
        if codes.step == 2:
            return (1 if x > 0 else -1) if x else 1 if self.zero_positive else old
        half = 1 - Fraction(1, 2) * (not self.half_forgotten)
        size = floor(abs(x) + half) if self.ties_move else ceil(abs(x) - half)
        return min(max(size if x > 0 else -size, codes[0]), codes[-1])


def _sums(G: Ints, s: Ints, w: Ints) -> tuple[int, int]:
    """N and D [6.2.1]."""
    return int(s @ w), int(w @ G @ w)


def start_kept(vector: Vector) -> Outputs:
    """Gives the codes of the start where no response helps, in place of zeros."""
    found = right(vector)
    dead = not found["D"].any()
    return {**found, "codes": vector.arrays["start"].astype(np.int64) if dead else found["codes"]}


def at_threshold(vector: Vector) -> Outputs:
    """Takes the threshold itself for the least point of the interval above it."""
    held = vector.arrays
    z = right(vector)["z"]
    for t in held["thresholds"].tolist():
        z = np.where(z == np.nextafter(t, np.inf), t, z)
    return {"z": z}


def level_of_y(vector: Vector) -> Outputs:
    """Goes to the level y whatever it costs."""
    held = vector.arrays
    t = np.concatenate([[-np.inf], held["thresholds"], [np.inf]])
    k = np.array([int(np.argmin(np.abs(held["levels"] - y))) for y in held["y"]])
    return {"z": np.clip(held["v"], np.nextafter(t[k], np.inf), t[k + 1])}


def middle_only(vector: Vector) -> Outputs:
    """Forgets the pieces of the relaxed quantizer where it is constant."""
    if vector.attributes["form"] != "relaxed":
        return right(vector)
    held, q = vector.arrays, vector.arrays["levels"]
    p = held["penalty"]
    return {"z": np.clip((p * held["v"] + held["y"]) / (1 + p), q[0], q[-1])}


def penalty_on_the_level(vector: Vector) -> Outputs:
    """Weighs the distance to the level by the penalty, and not that to the response."""
    from refnet.methods.zstep import Z_STEPS, Steps

    arrays = vector.arrays
    steps = Steps(arrays["thresholds"], arrays["levels"])
    (p,) = arrays["penalty"].tolist()
    return {"z": Z_STEPS[vector.attributes["form"]](arrays["y"], arrays["v"], 1 / p, steps)}
