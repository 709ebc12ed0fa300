"""All laws, and how they are run on one quantizer."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as seeded
from hypothesis.errors import Flaky
from hypothesis.strategies import SearchStrategy

from refnet.laws import bench as cases
from refnet.laws import elementary, exact, fits, gradient, integers, invariance
from refnet.laws.bench import Bench
from refnet.laws.bound import Broken
from refnet.laws.case import Case, Counterexample
from refnet.laws.law import (
    Law,
    by_name,
    clean_ties,
    has_zero,
    one_division,
    own_cells,
    rounding_rule,
    symmetric,
)
from refnet.laws.sut import QuantizerUnderTest

_GRID = "scale, thresholds or dequantize"

#: Every law. The order is that of a report.
LAWS: tuple[Law, ...] = (
    Law(
        clause="8.1.1", check=elementary.codes, needs=("quantize", "levels"), cases=cases.points,
        reaches="no clip, wrapping, ranges off by one, codes that are no integers",
    ),
    Law(
        clause="8.1.2", check=elementary.code_dtype, needs=("quantize", "code_dtype"),
        cases=cases.one_large, reaches="storage that depends on the input, floats as codes",
    ),
    Law(
        clause="8.1.3", check=elementary.onto, needs=("quantize", "dequantize", "levels"),
        cases=cases.parameters_only, implied=own_cells,
        reaches="levels missing or too many, truncation, a zero point that slips",
    ),
    Law(
        clause="8.1.4", check=elementary.idempotent, needs=("quantize", "dequantize", "levels"),
        cases=cases.points, implied=own_cells,
        reaches="truncation, quantize and dequantize of different scales",
    ),
    Law(
        clause="8.1.5", check=elementary.monotone, needs=("quantize",), cases=cases.points,
        reaches="wrapping, signs, look-up tables out of order",
    ),
    Law(
        clause="8.1.6", check=elementary.reached, needs=("quantize", "levels"),
        cases=cases.first_parameters_only, reaches="published formulas with one level too few",
    ),
    Law(
        clause="8.1.7", check=elementary.saturates, needs=("quantize", "levels"),
        cases=cases.first_parameters_only, reaches="conversion to integers before the clip",
    ),
    Law(
        clause="8.2.1", check=exact.nearest, needs=("quantize", "levels", _GRID), cases=cases.points,
        reaches="binary32 division, reciprocals, eps in the scale, dead zones, wrong bounds",
    ),
    Law(
        clause="8.2.2", check=exact.tie, needs=("quantize", "levels", _GRID, "tie"),
        cases=cases.points, reaches="every wrong rounding rule, > for >=",
    ),
    Law(
        clause="8.2.3", check=exact.values, needs=("dequantize", "levels", "scale"),
        cases=cases.parameters_only, reaches="2**b for 2**b - 1 in a scale, a zero point left out",
    ),
    Law(
        clause="8.2.4", check=exact.error_bound,
        needs=("quantize", "dequantize", "levels", _GRID), cases=cases.points,
        reaches="a clip at the wrong end, quantize and dequantize of different scales",
    ),
    Law(
        clause="8.2.5", check=exact.odd, needs=("quantize", "levels", _GRID), cases=cases.points,
        implied=symmetric, reaches="half-up where half-even is meant, ranges that are not symmetric",
    ),
    Law(
        clause="8.2.6", check=exact.zero, needs=("quantize", "levels"),
        cases=cases.parameters_only, implied=has_zero,
        reaches="zero that has no code, the sign of -0.0",
    ),
    Law(
        clause="8.2.7", check=exact.infinity, needs=("quantize", "levels", "infinity"),
        cases=cases.first_parameters_only, reaches="undefined conversions of infinity",
    ),
    Law(
        clause="8.2.8", check=exact.nan, needs=("quantize", "levels", "nan"),
        cases=cases.first_parameters_only, reaches="undefined conversions of NaN",
    ),
    Law(
        clause="8.3.1", check=invariance.elementwise, needs=("quantize",), cases=cases.few_points,
        reaches="scales taken from the batch, codes that depend on neighbours",
    ),
    Law(
        clause="8.3.2", check=invariance.size, needs=("quantize",), cases=cases.one_large,
        reaches="remainders of vector loops, buffers of fixed size",
    ),
    Law(
        clause="8.3.3", check=invariance.shape, needs=("quantize",), cases=cases.few_points,
        reaches="arrays without an axis, empty arrays, scales broadcast along an axis",
    ),
    Law(
        clause="8.3.4", check=invariance.layout, needs=("quantize",), cases=cases.few_points,
        reaches="raw memory read in place order, writing to read-only arrays",
    ),
    Law(
        clause="8.3.5", check=invariance.pure, needs=("quantize",), cases=cases.few_points,
        reaches="work in place, results that share a buffer",
    ),
    Law(
        clause="8.3.6", check=invariance.repeatable, needs=("quantize",), cases=cases.few_points,
        reaches="running statistics, caches, random rounding",
    ),
    Law(
        clause="8.3.7", check=invariance.float_dtype, needs=("quantize",), cases=cases.few_points,
        implied=one_division, reaches="work in the dtype of the input, one path that truncates",
    ),
    Law(
        clause="8.3.8", check=invariance.channels, needs=("quantize", "axis"),
        cases=cases.few_points, reaches="a scale for the wrong channel, statistics over all of them",
    ),
    Law(
        clause="8.3.9", check=invariance.scale_equivariant,
        needs=("quantize", "levels", "scale as a parameter"), cases=cases.points,
        reaches="eps added to the scale, scales that are rounded or bounded",
    ),
    Law(
        clause="8.3.10", check=invariance.zero_point_shift,
        needs=("quantize", "levels", "zero_point as a parameter"), cases=cases.points,
        implied=clean_ties, reaches="rounding after adding the zero point",
    ),
    Law(
        clause="8.4.1", check=gradient.gradient, needs=("grad", "passes"), cases=cases.bound_cases,
        reaches="open for closed bounds, masks from codes, bounds at levels or half a step beyond",
    ),
    Law(
        clause="8.4.2", check=gradient.gradient_saturated, needs=("grad", "passes"),
        cases=cases.few_points, reaches="a gradient that leaks where nothing is inside",
    ),
    Law(
        clause="8.4.3", check=gradient.gradient_linear, needs=("grad",), cases=cases.few_points,
        reaches="a mask without the gradient, its sign, a constant",
    ),
    Law(
        clause="8.4.4", check=gradient.gradient_elementwise, needs=("grad",),
        cases=cases.few_points, reaches="gradients divided by the size, work in place",
    ),
    Law(
        clause="8.5.1", check=integers.pack_roundtrip, needs=("pack", "unpack", "levels"),
        cases=cases.code_rows, reaches="signs lost, remainders of a byte, orders that differ",
    ),
    Law(
        clause="8.5.2", check=integers.pack_injective, needs=("pack", "levels"),
        cases=cases.code_rows, reaches="codes dropped, fields that overlap",
    ),
    Law(
        clause="8.5.3", check=integers.pack_order, needs=("pack", "packing", "levels"),
        cases=cases.code_rows, reaches="order of bits and bytes, padding that is not zero",
    ),
    Law(
        clause="8.5.4", check=integers.dot_exact, needs=("dot", "dot_types"),
        cases=cases.code_matrices, reaches="accumulators of too few bits, signs of ternary codes",
    ),
    Law(
        clause="8.5.5", check=integers.requantize_exact, needs=("requantize", "levels", "tie"),
        cases=cases.accumulators, implied=rounding_rule,
        reaches="double rounding, binary32 multipliers, shifts that truncate",
    ),
    Law(
        clause="8.6.1", check=fits.fit_ternary, needs=("fit",), cases=cases.weight_vectors,
        reaches="supports that are not the largest, groups of equal magnitude that are cut",
    ),
    Law(
        clause="8.6.2", check=fits.fit_scale, needs=("fit",), cases=cases.weight_vectors,
        reaches="eps in thresholds and scales",
    ),
    Law(
        clause="8.6.3", check=fits.fit_order, needs=("fit",), cases=cases.weight_vectors,
        reaches="unstable sorts, thresholds that look at signs",
    ),
    Law(
        clause="8.6.4", check=fits.fit_mean, needs=("fit",), cases=cases.weight_vectors,
        reaches="scales over all weights instead of the kept ones",
    ),
    Law(
        clause="8.6.5", check=fits.fit_optimal, needs=("fit",), cases=cases.weight_vectors,
        implied=by_name, reaches="thresholds of a rule of thumb where the optimum is promised",
    ),
    Law(
        clause="8.6.6", check=fits.factor_ternary, needs=("factorize",),
        cases=cases.weight_matrices, reaches="factors that are not ternary, negative scales",
    ),
    Law(
        clause="8.6.7", check=fits.factor_residual, needs=("factorize",),
        cases=cases.weight_matrices, reaches="terms that make things worse",
    ),
    Law(
        clause="8.6.8", check=fits.factor_gain, needs=("factorize",), cases=cases.weight_matrices,
        implied=by_name, reaches="scales that are not the least-squares ones",
    ),
    Law(
        clause="8.6.9", check=fits.reconstruct_exact, needs=("reconstruct",),
        cases=cases.integer_factors, reaches="floating-point sums where integers are meant",
    ),
)
NAMES = tuple(law.name for law in LAWS)


@dataclass(frozen=True, slots=True, kw_only=True)
class LawReport:
    """What came out: names of laws that failed, passed, and are unknown, with reasons.

    A law that is not claimed, or for which there was no case, is unknown; never passed.
    """

    name: str
    passed: tuple[str, ...]
    counterexamples: dict[str, Counterexample]
    reasons: dict[str, str]

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the laws that failed."""
        return tuple(self.counterexamples)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of the laws that were not checked."""
        return tuple(self.reasons)

    @property
    def ok(self) -> bool:
        """Whether no law failed and at least one passed."""
        return not self.counterexamples and bool(self.passed)

    def lines(self) -> list[str]:
        """The report as text."""
        found = [f"{self.name}: {len(self.failed)} failed, {len(self.passed)} passed, "
                 f"{len(self.unknown)} unknown"]
        found += [f"  FAILED  {n}: {c.detail}" for n, c in self.counterexamples.items()]
        found += [f"  passed  {n}" for n in self.passed]
        for why in dict.fromkeys(self.reasons.values()):
            names = [n for n, reason in self.reasons.items() if reason == why]
            found.append(f"  unknown {', '.join(names)}: {why}")
        return found

    def plain(self) -> dict[str, Any]:
        """The report as JSON."""
        failed = {
            name: {
                "detail": c.detail,
                "value": None if c.value is None else c.value.hex(),
                "got": c.got,
                "right": None if c.right is None else list(c.right),
                "distance": None if c.distance is None else str(c.distance),
            }
            for name, c in self.counterexamples.items()
        }
        return {
            "name": self.name, "ok": self.ok, "failed": failed, "passed": list(self.passed),
            "unknown": self.reasons,
        }


class _Violation(Exception):  # noqa: N818 - a signal to Hypothesis
    """A drawn case breaks a law."""


def judge(law: Law, bench: Bench, case: Case) -> int | Counterexample:
    """The verdict of one case; a function that gives nothing usable is a counterexample."""
    # Overflow and the like are part of the question; what a quantizer warns of is not.
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return law.check(bench.bound(case.params), case)
        except Broken as broken:
            return Counterexample(detail=str(broken), case=case)


def _settings(max_examples: int, *phases: Phase) -> settings:
    return settings(
        max_examples=max_examples, deadline=None, database=None, derandomize=False, phases=phases,
        verbosity=Verbosity.quiet, print_blob=False, report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )


def _drawn(strategy: SearchStrategy[Case], seed: int, max_examples: int) -> list[Case]:
    """The cases that Hypothesis draws."""
    found: list[Case] = []

    @_settings(max_examples, Phase.generate)
    @seeded(seed)
    @given(case=strategy)
    def collect(case: Case) -> None:
        found.append(case)

    with np.errstate(all="ignore"):
        collect()
    return found


def _smallest(
    law: Law, bench: Bench, strategy: SearchStrategy[Case], seed: int, max_examples: int
) -> Counterexample | None:
    """The counterexample to which Hypothesis shrinks the first one it draws."""
    seen: list[Counterexample] = []

    @_settings(max_examples, Phase.generate, Phase.shrink)
    @seeded(seed)
    @given(case=strategy)
    def search(case: Case) -> None:
        found = judge(law, bench, case)
        if isinstance(found, Counterexample):
            seen.append(found)
            raise _Violation

    with np.errstate(all="ignore"), contextlib.suppress(_Violation, Flaky):
        # A quantizer that answers differently when it is asked again is called flaky.
        search()
    # Hypothesis ends with the smallest case.
    return seen[-1] if seen else None


def _run(law: Law, bench: Bench, seed: int, max_examples: int) -> int | Counterexample:
    """The number of places looked at, or a counterexample.

    The drawn cases are drawn once and serve all laws of a family; a law that fails on one of them
    is tried again by Hypothesis, which shrinks the case.
    """
    first, strategy = bench.cases(law.cases)
    drawn = bench.drawn(law.cases, lambda s: _drawn(s, seed, max_examples))
    checked = 0
    for index, case in enumerate((*first, *drawn)):
        found = judge(law, bench, case)
        if isinstance(found, Counterexample):
            if index < len(first) or strategy is None:
                return found
            return _smallest(law, bench, strategy, seed, max_examples) or found
        checked += found
    return checked


def _known(names: Iterable[str], what: str) -> None:
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        raise ValueError(f"{what} {', '.join(unknown)}: no such law; see refnet.laws.LAWS")


def run_laws(
    q: QuantizerUnderTest, *, seed: int = 0, max_examples: int = 200,
    laws: Iterable[str] | None = None,
) -> LawReport:
    """Try ``q`` on every law that is claimed; the same seed gives the same report.

    Enumerated cases come first, then ``max_examples`` drawn ones a law. ``laws`` names the laws that
    are run at all. Raises ``ValueError`` for unknown names and for claims whose facts are missing.
    """
    if max_examples < 1:
        raise ValueError(f"max_examples {max_examples}: rule at least 1")
    _known(q.claims or (), "claims")
    _known(q.disclaims, "disclaims")
    wanted = NAMES if laws is None else tuple(laws)
    _known(wanted, "laws")
    bench = Bench(q)
    passed: list[str] = []
    failed: dict[str, Counterexample] = {}
    reasons: dict[str, str] = {}
    start = _probe(bench)
    for law in LAWS:
        if law.name not in wanted:
            continue
        if reason := law.unknown(bench):
            reasons[law.name] = reason
            continue
        found = _run(law, bench, seed, max_examples)
        if isinstance(found, Counterexample):
            failed[law.name] = found
        elif found == 0:
            reasons[law.name] = "no case: nothing that this quantizer takes could break it"
        else:
            passed.append(law.name)
    if "repeatable" in passed and start is not None and start != _probe(bench):
        passed.remove("repeatable")
        failed["repeatable"] = Counterexample(
            detail="the first call and one after all laws give other codes", case=Case()
        )
    return LawReport(name=q.name, passed=tuple(passed), counterexamples=failed, reasons=reasons)


def _probe(bench: Bench) -> bytes | None:
    """What the quantizer says to some plain reals, to be compared at the end."""
    if bench.q.quantize is None:
        return None
    row = np.array([0.0, 0.3, -0.3, 1.0, -1.0, 2.7, -9.0, 50.0], dtype=bench.q.float_types[-1])
    try:
        got = bench.bound(bench.first_params()[0]).ask(np.tile(row, (bench.q.channels, 1)))
    except Broken as broken:
        return str(broken).encode()
    return got.tobytes()
