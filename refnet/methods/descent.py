"""Coordinate descent on integer weights: the two rules of stage 2, compiled ([6.2], [6.3]).

A weight is w_j = sum over b of place_b * q_bj, a sum of few-valued digits. For one filter with
s = X z and G = X X^T, and with

    N = s^T w,   D = w^T G w,   g = G w

the best scale of w is alpha = N / D and leaves the error ||z||^2 - N^2 / D. A change of digit q_bj
by c gives, with d = place_b * c,

    N' = N + s_j d,   D' = D + 2 d g_j + d^2 G_jj,   g' = g + d G[j]

Two rules choose it. The *profile* form eliminates alpha: the digit of the largest N'^2 / D'. The
*fixed* form holds alpha = N / D through a sweep: with r_j = s_j - alpha (g_j - place_b q_bj G_jj),
the integer nearest to r_j / (alpha place_b G_jj), ties towards zero; for digits -1, 0, 1 this is
sign(r_j) where 2 |r_j| > alpha place_b G_jj, else 0. On small integers X and z nothing is rounded
in a way that could change a decision. Filters share G, and none sees another.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from refnet.compiled import compiled
from refnet.methods.bitsplit import Codes, Grid, Reals

#: The two rules, by name.
FORMS = ("profile", "fixed")

#: A move must gain more than this share of the objective, or rounding could move digits for ever.
GAIN = 2.0**-40
#: Of the trace of G: a response X^T w of no more power counts as vanished.
LEAST = 2.0**-40


class State(NamedTuple):
    """Filters on the way: ``codes`` (m, n), and ``GW`` (m, n), the rows g = G w."""

    codes: Codes
    GW: Reals


class Descent(NamedTuple):
    """Where a descent ended: the state, and N = s^T w and D = w^T G w of every filter (m,)."""

    state: State
    N: Reals
    D: Reals

    def scales(self, G: Reals) -> Reals:
        """alpha = N / D (m,) >= 0; 0 where the response has vanished or does not help [6.2.2]."""
        alive = (_least(G) < self.D) & (self.N > 0)
        return np.where(alive, self.N / np.where(alive, self.D, 1.0), 0.0)


def _least(G: Reals) -> float:
    """The power at which a response has vanished [6.2.2]."""
    return float(LEAST * np.trace(G))


def start_at(G: Reals, codes: Codes) -> State:
    """The state of ``codes`` (m, n)."""
    return State(codes, codes.astype(np.float64) @ G)


def descend(
    G: Reals, S: Reals, state: State, *, grid: Grid, form: str = "profile", sweeps: int
) -> Descent:
    """Coordinate descent for every filter: ``G`` (n, n), ``S`` (m, n) the rows s.

    ||z - alpha X^T w||^2 at the best alpha never rises. Ends after ``sweeps`` or when one changes
    nothing; without sweeps, N and D of the start. A filter with N < 0 is turned over first. Weights
    of several digits descend digit by digit, and are then stitched and moved by one as a whole:
    from 3 = 2 + 1 to 4 no single digit leads.
    """
    if form not in FORMS:
        raise ValueError(f"descend: form {form!r}, rule one of {', '.join(FORMS)}")
    digits, GW = np.ascontiguousarray(grid.split(state.codes)), state.GW.copy("C")
    N, D = np.empty(len(S)), np.empty(len(S))
    rule = profile_rows if form == "profile" else fixed_rows
    shared = (np.ascontiguousarray(G), np.ascontiguousarray(S), sweeps, _least(G))
    places = np.array(grid.places, dtype=np.float64)
    rule(*shared, places, 1, 2, 2 if grid.binary else 1, digits, GW, N, D)
    codes = grid.stitch(digits)
    if len(places) > 1:
        whole = codes[:, None].copy("C")
        rule(*shared, np.ones(1), grid.type.hi, 1, 1, whole, GW, N, D)
        codes = whole[:, 0]
    return Descent(State(codes, GW), N, D)


@compiled
def response(s: Reals, g: Reals, places: Reals, q: Codes) -> tuple[float, float]:
    """N and D of one filter, terms added in the order of j, after turning it over if N < 0."""
    N, D = 0.0, 0.0
    for j in range(len(s)):
        w = 0.0
        for b in range(len(places)):
            w += places[b] * q[b, j]
        N += s[j] * w
        D += w * g[j]
    if N < 0:
        q[:] = -q
        g[:] = -g
        N = -N
    return N, D


@compiled
def explained(N: float, D: float, least: float) -> float:
    """N^2 / D with the sign of N: how much of ||z||^2 the response explains."""
    return N * abs(N) / D if least < D else 0.0


@compiled
def profile_rows(
    G: Reals, S: Reals, sweeps: int, least: float, places: Reals, top: int, reach: int, stride: int,
    digits: NDArray[np.int8], GW: Reals, tops: Reals, bottoms: Reals,
) -> None:
    """The profile form for digits within +-``top``, at most ``reach`` from where they are.

    Candidates ascend by ``stride``. ``digits``, ``GW``, ``tops`` (N) and ``bottoms`` (D) are
    written.
    """
    for f in range(len(S)):
        s, g, q = S[f], GW[f], digits[f]
        N, D = response(s, g, places, q)
        for _ in range(sweeps):
            changed = False
            for b in range(len(places)):
                for j in range(len(s)):
                    if G[j, j] <= 0:
                        continue
                    old = int(q[b, j])
                    now = explained(N, D, least)
                    best, code = now + GAIN * abs(now), old
                    for c in range(max(-top, old - reach), min(top, old + reach) + 1, stride):
                        d = places[b] * (c - old)
                        value = explained(N + s[j] * d, D + 2 * d * g[j] + d * d * G[j, j], least)
                        if value > best:
                            best, code = value, c
                    if code != old:
                        changed = True
                        d = places[b] * (code - old)
                        N += s[j] * d
                        D += 2 * d * g[j] + d * d * G[j, j]
                        g += d * G[j]
                        q[b, j] = code
            if not changed:
                break
        tops[f], bottoms[f] = N, D


@compiled
def fixed_rows(
    G: Reals, S: Reals, sweeps: int, least: float, places: Reals, top: int, reach: int, stride: int,
    digits: NDArray[np.int8], GW: Reals, tops: Reals, bottoms: Reals,
) -> None:
    """The fixed form, alpha = N / D as the sweep begins; r_j is multiplied by D."""
    for f in range(len(S)):
        s, g, q = S[f], GW[f], digits[f]
        N, D = response(s, g, places, q)
        for _ in range(sweeps):
            if least >= D or N <= 0:
                break
            changed, n, d = False, N, D
            for b in range(len(places)):
                for j in range(len(s)):
                    if G[j, j] <= 0:
                        continue
                    old = int(q[b, j])
                    r = s[j] * d - n * (g[j] - places[b] * old * G[j, j])
                    code = nearest(r / (n * places[b] * G[j, j]), old, top, stride)
                    code = max(old - reach, min(old + reach, code))
                    if code != old:
                        changed = True
                        step = places[b] * (code - old)
                        N += s[j] * step
                        D += 2 * step * g[j] + step * step * G[j, j]
                        g += step * G[j]
                        q[b, j] = code
            if not changed:
                break
        tops[f], bottoms[f] = N, D


@compiled
def nearest(x: float, old: int, top: int, stride: int) -> int:
    """The code of +-``top`` nearest to x, ties towards 0; binary, the sign, and ``old`` at 0."""
    if stride == 2:
        return 1 if x > 0 else -1 if x < 0 else old
    size = min(float(top), np.ceil(abs(x) - 0.5))
    return int(size) if x > 0 else -int(size)
