"""One option for each of several items, of least total loss within a budget.

The multiple-choice knapsack problem, solved exactly: states (cost, loss) grow item by item, and a
state ends where another is neither dearer nor worse, or where the relaxed problem of the items
left (Sinha and Zoltners 1979: steps along the lower convex hulls, by loss for cost saved) shows
that it cannot beat what the steps alone reach. Costs and losses are summed in the order of the
items, so that a caller who sums them finds the budget kept to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
Reals = NDArray[np.float64]

# Rounding of sums must not cut the optimum off.
_SLACK = 1e-9


def cheapest_loss(items: Sequence[Sequence[Point]], budget: float) -> list[int]:
    """The index of an option (cost, loss) of each item; some combination must fit the budget.

    >>> cheapest_loss([[(4, 0), (1, 2)], [(4, 0), (2, 1), (1, 9)]], 6)
    [0, 1]
    """
    fronts = [_front(options) for options in items]
    bounds = [_Relaxed.of(fronts[i:]) for i in range(len(fronts) + 1)]
    most = _steps(fronts, budget)
    limit = most + _SLACK * (1 + abs(most))
    costs, losses = np.zeros(1), np.zeros(1)
    trail: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = []
    for front, rest in zip(fronts, bounds[1:], strict=True):
        prices = np.array([cost for cost, _, _ in front])
        harms = np.array([loss for _, loss, _ in front])
        grown = (costs[:, None] + prices).ravel(), (losses[:, None] + harms).ravel()
        kept = _worth_keeping(*grown, budget, limit, rest)
        trail.append((kept // len(front), kept % len(front)))
        costs, losses = grown[0][kept], grown[1][kept]
    at, picked = len(costs) - 1, []
    for (parents, options), front in zip(reversed(trail), reversed(fronts), strict=True):
        picked.append(front[options[at]][2])
        at = int(parents[at])
    return picked[::-1]


def _front(options: Sequence[Point]) -> list[tuple[float, float, int]]:
    """The options that no other is as cheap and as good as: by rising cost, with falling loss."""
    order = sorted(range(len(options)), key=lambda i: (*options[i], i))
    front: list[tuple[float, float, int]] = []
    for i in order:
        if not front or options[i][1] < front[-1][1]:
            front.append((*options[i], i))
    return front


def _worth_keeping(
    costs: Reals, losses: Reals, budget: float, limit: float, rest: _Relaxed
) -> NDArray[np.intp]:
    """The states, by rising cost and falling loss, that the best combination may go through."""
    fits = costs <= (budget if rest.last else (budget - rest.least) * (1 + _SLACK) + _SLACK)
    good = losses + rest.loss(budget - costs) <= limit
    alive = np.flatnonzero(fits & good)
    order = alive[np.lexsort((losses[alive], costs[alive]))]
    best = np.minimum.accumulate(losses[order])
    new = np.concatenate([[True], losses[order][1:] < best[:-1]])
    kept: NDArray[np.intp] = order[new]
    return kept


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Relaxed:
    """The least loss of some items for every budget, where options may be mixed."""

    costs: Reals
    losses: Reals
    last: bool

    @classmethod
    def of(cls, fronts: list[list[tuple[float, float, int]]]) -> _Relaxed:
        hulls = [_hull(front) for front in fronts]
        start = sum(hull[0][0] for hull in hulls), sum(hull[0][1] for hull in hulls)
        steps = sorted(
            ((b[1] - a[1]) / (b[0] - a[0]), b[0] - a[0], b[1] - a[1])
            for hull in hulls for a, b in pairwise(hull)
        )
        return cls(
            costs=np.cumsum([start[0], *(dear for _, dear, _ in steps)]),
            losses=np.cumsum([start[1], *(gain for _, _, gain in steps)]), last=not fronts,
        )

    @property
    def least(self) -> float:
        """The cost below which nothing fits."""
        return float(self.costs[0])

    def loss(self, budgets: Reals) -> Reals:
        """A bound from below."""
        found: Reals = np.interp(budgets, self.costs, self.losses)
        return found


def _hull(front: list[tuple[float, float, int]]) -> list[Point]:
    """The lower convex hull, from the cheapest to the best."""
    hull: list[Point] = []
    for cost, loss, _ in front:
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) >= _slope(hull[-1], (cost, loss)):
            hull.pop()
        hull.append((cost, loss))
    return hull


def _slope(a: Point, b: Point) -> float:
    return (b[1] - a[1]) / (b[0] - a[0])


def _steps(fronts: list[list[tuple[float, float, int]]], budget: float) -> float:
    """The loss that the steps of the relaxed problem reach in whole: of a combination that fits."""
    hulls = [_hull(front) for front in fronts]
    at = [0] * len(hulls)
    steps = sorted(
        (_slope(hull[j], hull[j + 1]), i, j)
        for i, hull in enumerate(hulls) for j in range(len(hull) - 1)
    )
    for _, i, j in steps:
        trial = [j + 1 if k == i else place for k, place in enumerate(at)]
        if at[i] == j and sum(h[k][0] for h, k in zip(hulls, trial, strict=True)) <= budget:
            at = trial
    return sum(hull[k][1] for hull, k in zip(hulls, at, strict=True))
