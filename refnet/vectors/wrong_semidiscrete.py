"""Wrong semidiscrete decompositions: other ties, other starts, other forms."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from refnet.vectors.decomposing import Outputs, answer, components
from refnet.vectors.record import Vector


def largest_support(vector: Vector) -> Outputs:
    """Of supports that are equally good, the largest is taken."""

    def half_step(s: list[Fraction]) -> list[int]:
        size = sorted((abs(v) for v in s), reverse=True)
        gains = [sum(size[:J], Fraction(0)) ** 2 / J for J in range(1, len(s) + 1)]
        kept = max(J for J, gain in enumerate(gains) if gain == max(gains))
        return [0 if abs(v) < size[kept] else (v > 0) - (v < 0) for v in s]

    return answer(components(vector, **_replacing(vector, half_step)))


def zero_is_negative(vector: Vector) -> Outputs:
    """The binary code of 0 is -1."""

    def half_step(s: list[Fraction]) -> list[int]:
        return [1 if v > 0 else -1 for v in s]

    return answer(components(vector, **_replacing(vector, half_step, binary=True)))


def _replacing(
    vector: Vector, half_step: Callable[[list[Fraction]], list[int]], *, binary: bool = False
) -> dict[str, Callable[[list[Fraction]], list[int]]]:
    return {"half_step": half_step} if vector.attributes["binary"] == binary else {}


def not_refined(vector: Vector) -> Outputs:
    """The greedy components stay as they are."""
    return answer(components(vector, sweeps=0))


def one_sweep(vector: Vector) -> Outputs:
    """There is one sweep at most."""
    return answer(components(vector, sweeps=min(1, vector.attributes["sweeps"])))


def first_start_only(vector: Vector) -> Outputs:
    """Starts but the first are not tried."""
    return answer(components(vector, starts=vector.attributes["starts"][:1]))


def last_start_wins(vector: Vector) -> Outputs:
    """Of starts that are equally good, the last one counts."""
    return answer(components(vector, starts=vector.attributes["starts"][::-1]))


def threshold_is_cycling(vector: Vector) -> Outputs:
    """The threshold start takes the first column of its walk, whatever stands in it."""
    starts = ["cycling" if s == "threshold" else s for s in vector.attributes["starts"]]
    return answer(components(vector, starts=starts))


def starts_in_x(vector: Vector) -> Outputs:
    """The start is one of x, not of y."""
    turned = vector.arrays["W"].T.tolist()
    return answer([_led_by_x((y, d, x)) for x, d, y in components(vector, W=turned)])


def _led_by_x(
    component: tuple[list[int], Fraction, list[int]]
) -> tuple[list[int], Fraction, list[int]]:
    from refnet.methods.sdd_exact import canonical

    return canonical(component)


def sign_by_y(vector: Vector) -> Outputs:
    """The first non-zero code of y is +1, not that of x."""
    turned = [_led_by_x((y, d, x)) for x, d, y in components(vector)]
    return answer([(x, d, y) for y, d, x in turned])


def sorted_by_scale(vector: Vector) -> Outputs:
    """Components are put in order of their scales."""
    return answer(sorted(components(vector), key=lambda c: -c[1]))


def scale_of_a_row(vector: Vector) -> Outputs:
    """The scale is divided by the support of x only."""
    return answer([(x, d * sum(map(abs, y)), y) for x, d, y in components(vector)])


WRONG: tuple[Callable[[Vector], Outputs], ...] = (
    largest_support, zero_is_negative, not_refined, one_sweep, first_start_only, last_start_wins,
    threshold_is_cycling, starts_in_x, sign_by_y, sorted_by_scale, scale_of_a_row,
)
