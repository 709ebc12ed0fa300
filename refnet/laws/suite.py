"""All laws, and how they are run on one quantizer."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as seeded
from hypothesis.errors import Flaky
from hypothesis.strategies import SearchStrategy

from refnet.laws.bench import Bench
from refnet.laws.bound import Broken
from refnet.laws.case import Case, Counterexample, real
from refnet.laws.elementary import Verdict
from refnet.laws.law import Law
from refnet.laws.sut import QuantizerUnderTest
from refnet.laws.table import LAWS, NAMES


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


def judge(law: Law, bench: Bench, case: Case) -> Verdict:
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


def draw_cases(strategy: SearchStrategy[Case], seed: int, max_examples: int) -> list[Case]:
    """The cases that Hypothesis draws for a seed."""
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


def _enumerated(law: Law, bench: Bench) -> Verdict:
    """The number of places looked at in the enumerated cases, or a counterexample."""
    checked = 0
    for case in bench.cases(law.cases)[0]:
        found = judge(law, bench, case)
        if isinstance(found, Counterexample):
            return found
        checked += found
    return checked


def _among_drawn(law: Law, bench: Bench, seed: int, max_examples: int) -> Verdict:
    """The same for drawn cases.

    They are drawn once and serve all laws of a family; a law that fails on one of them is tried
    again by Hypothesis, which shrinks the case.
    """
    strategy, checked = bench.cases(law.cases)[1], 0
    if strategy is None:
        return checked
    for case in bench.drawn(law.cases, lambda s: draw_cases(s, seed, max_examples)):
        found = judge(law, bench, case)
        if isinstance(found, Counterexample):
            return _smallest(law, bench, strategy, seed, max_examples) or found
        checked += found
    return checked


def _run(law: Law, bench: Bench, seed: int, max_examples: int) -> Verdict:
    """Enumerated cases, then drawn ones."""
    first = _enumerated(law, bench)
    if isinstance(first, Counterexample):
        return first
    more = _among_drawn(law, bench, seed, max_examples)
    return more if isinstance(more, Counterexample) else first + more


def _known(names: Iterable[str], what: str) -> None:
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        raise ValueError(f"{what} {', '.join(unknown)}: no such law; see refnet.laws.LAWS")


def run_laws(
    q: QuantizerUnderTest, *, seed: int = 0, max_examples: int = 200,
    laws: Iterable[str] | None = None,
) -> LawReport:
    """Try ``q`` on every law that is claimed; the same seed gives the same report.

    Enumerated cases come first, then ``max_examples`` drawn ones a law. ``laws`` names the laws
    that are run at all. Raises ``ValueError`` for unknown names and for claims whose facts are
    missing.
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
    _first_call(bench)
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
    for name, counterexample in afterwards(bench, passed).items():
        passed.remove(name)
        failed[name] = counterexample
    failed = {name: failed[name] for name in NAMES if name in failed}
    return LawReport(name=q.name, passed=tuple(passed), counterexamples=failed, reasons=reasons)


def broken_law(
    q: QuantizerUnderTest, *, seed: int = 0, max_examples: int = 200
) -> str | None:
    """The name of a law that ``q`` breaks, found as fast as may be; None where none is found.

    The laws that find most come first, and the first failure ends the search.
    """
    bench = Bench(q)
    _first_call(bench)
    strongest = sorted(LAWS, key=lambda law: law.check.__module__ != "refnet.laws.exact")
    tried = [law for law in strongest if not law.unknown(bench)]
    names = [law.name for law in tried]
    for law in tried:
        if isinstance(_enumerated(law, bench), Counterexample):
            return law.name
    if seen := afterwards(bench, names):
        return next(iter(seen))
    for law in tried:
        if isinstance(_among_drawn(law, bench, seed, max_examples), Counterexample):
            return law.name
    return next(iter(afterwards(bench, names)), None)


def _first_call(bench: Bench) -> None:
    """Some plain reals, the first that the quantizer is ever asked; asked again at the end."""
    if bench.q.quantize is None:
        return
    row = np.array([0.0, 0.3, -0.3, 1.0, -1.0, 2.7, -9.0, 50.0], dtype=bench.q.float_types[-1])
    with np.errstate(all="ignore"), warnings.catch_warnings(), contextlib.suppress(Broken):
        warnings.simplefilter("ignore")
        bench.bound(bench.first_params()[0]).ask(np.tile(row, (bench.q.channels, 1)))


def afterwards(bench: Bench, passed: Sequence[str]) -> dict[str, Counterexample]:
    """What the calls of all laws showed beside what they were made for; of laws that passed."""
    watch, found = bench.watch, {}
    laws = {"quantize": "pure", "dequantize": "pure", "grad": "gradient_elementwise"}
    for role, law in laws.items():
        if role in watch.spoilt and law in passed:
            found[law] = Counterexample(detail=watch.spoilt[role], case=Case())
    if "code_dtype" in passed:
        for kind, seen in watch.dtypes.items():
            if kind != np.dtype(bench.q.code_dtype):
                detail = f"dtype {kind} of codes of {seen}, declared {bench.q.code_dtype}"
                found["code_dtype"] = Counterexample(detail=detail, case=Case())
    if "repeatable" in passed and (again := _asked_again(bench)) is not None:
        found["repeatable"] = again
    return found


def _asked_again(bench: Bench) -> Counterexample | None:
    """The first of the kept calls whose answer is another one now."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for asked in list(bench.watch.asked):
            try:
                got = bench.bound(asked.params).codes(asked.x)
            except Broken as broken:
                return Counterexample(detail=f"at the end of all laws {broken}", case=Case())
            places = np.argwhere(got != asked.codes)
            if len(places):
                place = tuple(places[0])
                detail = (
                    f"at the end of all laws x = {real(asked.x[place])} has code {got[place]}, "
                    f"before {asked.codes[place]}"
                )
                case = Case(params=asked.params, arrays={"x": asked.x.reshape(1, -1)})
                return Counterexample(
                    detail=detail, case=case, value=float(asked.x[place]), got=int(got[place]),
                    right=(int(asked.codes[place]),),
                )
    return None
