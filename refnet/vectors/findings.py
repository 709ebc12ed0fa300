"""What a check found: failures, expected failures, the diagnosis; as text, JSON and JUnit XML."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from refnet.vectors.lookalikes import LOOKALIKES

#: How much of what an implementation says is quoted.
_QUOTED = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One element: where, what the vector says, what came."""

    coordinates: tuple[int, ...]
    expected: int | str
    actual: int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A vector that does not pass.

    ``kind`` is ``differs``, ``refused`` (no answer where one must come), ``accepted`` (an answer
    where none may come) or ``broken`` (no usable answer: a crash, a timeout, garbage). ``array``
    names the first array that differs, intermediates first; ``lookalikes`` are those that answer
    the same.
    """

    id: str
    op: str
    clauses: tuple[str, ...]
    kind: str
    array: str
    detail: str
    differences: tuple[Difference, ...]
    differing: int
    lookalikes: tuple[str, ...]
    comment: str

    def line(self) -> str:
        """The failure in one line."""
        text = f"{self.id} [{', '.join(self.clauses)}] {self.kind}: {self.detail}"
        if self.lookalikes:
            text += f"; equals {', '.join(self.lookalikes)}"
        return text

    def lines(self) -> list[str]:
        """The failure with its coordinates, and what the vector is for."""
        places = [
            f"    {self.array}{list(d.coordinates)}: expected {d.expected}, got {d.actual}"
            for d in self.differences
        ]
        return [self.line(), *places, f"    {self.comment}"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What came of a check: ids that passed, failures, and ids that were not run and why.

    ``expected`` are failures that were announced, with the announced reason; ``unexpected`` are
    ids that were announced to fail and pass, which is an error like a failure: the announcement
    is out of date.
    """

    passed: tuple[str, ...]
    failures: tuple[Failure, ...]
    unsupported: tuple[tuple[str, str], ...]
    expected: tuple[tuple[Failure, str], ...] = ()
    unexpected: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every vector that was run did what was expected of it."""
        return not self.failures and not self.unexpected

    def diagnosis(self) -> tuple[tuple[str, int], ...]:
        """Look-alikes with the number of failing vectors whose output they give, most first."""
        seen = Counter(name for f in self.failures for name in f.lookalikes)
        return tuple(sorted(seen.items(), key=lambda item: (-item[1], item[0])))

    def causes(self) -> tuple[tuple[str, int], ...]:
        """Few look-alikes that explain as much as all: the one of most failing vectors, then the
        one of most that are left, and so on, each with the number that it adds."""
        left, found = [set(f.lookalikes) for f in self.failures if f.lookalikes], []
        while left:
            seen = Counter(name for names in left for name in names)
            name = min(seen, key=lambda n: (-seen[n], n))
            found.append((name, seen[name]))
            left = [names for names in left if name not in names]
        return tuple(found)

    def lines(self) -> list[str]:
        """The report as text: failures with their coordinates, the diagnosis, the totals."""
        out = [line for failure in self.failures for line in failure.lines()]
        out += [f"{id} passes, and was expected to fail" for id in self.unexpected]
        for name, number in self.diagnosis():
            out.append(
                f"your output equals look-alike {name} on {number} of {len(self.failures)} "
                f"failing vectors: {_MEANINGS[name]}"
            )
        if len(causes := self.causes()) > 1:
            explained = f"{sum(n for _, n in causes)} of {len(self.failures)} failing vectors"
            names = ", ".join(f"{name} ({n})" for name, n in causes)
            out.append(f"{len(causes)} look-alikes explain {explained}: {names}")
        total = f"{len(self.passed)} passed, {len(self.failures)} failed"
        if self.expected or self.unexpected:
            total += f", {len(self.expected)} failed as expected"
            total += f", {len(self.unexpected)} passed unexpectedly"
        return [*out, f"{total}, {len(self.unsupported)} not supported"]

    def plain(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "ok": self.ok,
            "passed": list(self.passed),
            "failures": [_plain(f) for f in self.failures],
            "expected_failures": [{**_plain(f), "reason": why} for f, why in self.expected],
            "unexpected_passes": list(self.unexpected),
            "unsupported": [list(u) for u in self.unsupported],
            "diagnosis": [list(d) for d in self.diagnosis()],
            "causes": [list(c) for c in self.causes()],
        }

    def junit(self) -> str:
        """The report as JUnit XML: a test case a vector, a broken one as an error."""
        suite = ElementTree.Element("testsuite", name="refnet vectors")
        for id in self.passed:
            _case(suite, id)
        for failure in self.failures:
            kind = "error" if failure.kind == "broken" else "failure"
            what = ElementTree.SubElement(
                _case(suite, failure.id), kind, type=failure.kind, message=clean(failure.line())
            )
            what.text = "\n".join(map(clean, failure.lines()))
        for id in self.unexpected:
            text = "passes, and was expected to fail"
            ElementTree.SubElement(_case(suite, id), "failure", type="unexpected", message=text)
        skipped = [(f.id, f"fails as expected: {why}") for f, why in self.expected]
        for id, why in (*skipped, *self.unsupported):
            ElementTree.SubElement(_case(suite, id), "skipped", message=clean(why))
        errors = sum(f.kind == "broken" for f in self.failures)
        failed = len(self.failures) - errors + len(self.unexpected)
        skips = len(skipped) + len(self.unsupported)
        counts = {"tests": len(suite), "failures": failed, "errors": errors, "skipped": skips}
        suite.attrib.update({name: str(number) for name, number in counts.items()})
        ElementTree.indent(suite)
        return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _plain(failure: Failure) -> dict[str, Any]:
    record = {n: getattr(failure, n) for n in Failure.__dataclass_fields__}
    record["differences"] = [
        {n: getattr(d, n) for n in Difference.__dataclass_fields__} for d in failure.differences
    ]
    return record


def _case(suite: ElementTree.Element, id: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=id.rpartition(".")[0], name=id)


def clean(said: str) -> str:
    """What an implementation said, in one line of bounded length without control characters."""
    text = " ".join(re.sub(r"[^\t\n\r -~\u00a0-\ud7ff]", "?", said[:_QUOTED * 2]).split())
    return text if len(text) <= _QUOTED else text[:_QUOTED] + "..."


_MEANINGS = {lookalike.name: lookalike.meaning for lookalike in LOOKALIKES}
