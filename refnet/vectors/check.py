"""The conformance checker: run an implementation on vectors and say what its mistakes look like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refnet.vectors.functions import Implementation, Outputs
from refnet.vectors.lookalikes import LOOKALIKES
from refnet.vectors.record import REAL, Array, Vector, VectorError
from refnet.vectors.reference import Unsupported, Unusable

#: How many differing coordinates a failure lists.
LISTED = 4


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


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What came of a check: ids that passed, failures, and ids that were not run and why."""

    passed: tuple[str, ...]
    failures: tuple[Failure, ...]
    unsupported: tuple[tuple[str, str], ...]

    @property
    def ok(self) -> bool:
        """Whether every vector that was run passed."""
        return not self.failures

    def diagnosis(self) -> tuple[tuple[str, int], ...]:
        """Look-alikes with the number of failing vectors whose output they give, most first."""
        seen = Counter(name for f in self.failures for name in f.lookalikes)
        return tuple(sorted(seen.items(), key=lambda item: (-item[1], item[0])))

    def lines(self) -> list[str]:
        """The report as text: failures with their coordinates, the diagnosis, the totals."""
        out = []
        for failure in self.failures:
            out.append(failure.line())
            out += [
                f"    {failure.array}{list(d.coordinates)}: expected {d.expected}, got {d.actual}"
                for d in failure.differences
            ]
            out.append(f"    {failure.comment}")
        for name, number in self.diagnosis():
            out.append(
                f"your output equals look-alike {name} on {number} of {len(self.failures)} "
                f"failing vectors: {_MEANINGS[name]}"
            )
        total = f"{len(self.passed)} passed, {len(self.failures)} failed"
        out.append(total + f", {len(self.unsupported)} not supported")
        return out

    def plain(self) -> dict[str, Any]:
        """The report as JSON."""
        records = []
        for f in self.failures:
            record = {n: getattr(f, n) for n in Failure.__dataclass_fields__}
            record["differences"] = [
                {n: getattr(d, n) for n in Difference.__dataclass_fields__} for d in f.differences
            ]
            records.append(record)
        return {
            "ok": self.ok,
            "passed": list(self.passed),
            "failures": records,
            "unsupported": [list(u) for u in self.unsupported],
            "diagnosis": [list(d) for d in self.diagnosis()],
        }


_MEANINGS = {lookalike.name: lookalike.meaning for lookalike in LOOKALIKES}


def _element(array: NDArray[Any], place: tuple[int, ...], real: bool) -> int | str:
    value = array[place]
    return np.float64(value).astype(">f8").tobytes().hex() if real else int(value)


def compare(want: Array, got: Any) -> tuple[str, tuple[Difference, ...], int]:
    """(what is wrong or "", first differences, their number) between an array and an answer."""
    real = want.type == REAL
    expected, actual = want.array(), np.asarray(got)
    if actual.dtype.kind not in ("f" if real else "iu") and actual.size:
        return f"{want.name} holds {actual.dtype}, rule {expected.dtype} integers", (), 0
    if actual.shape != expected.shape:
        return f"{want.name} has shape {actual.shape}, expected {expected.shape}", (), 0
    if real:
        differs = expected.view(np.uint64) != actual.astype(np.float64).view(np.uint64)
    else:
        differs = expected != actual
    places = [tuple(map(int, p)) for p in np.argwhere(differs)]
    first = tuple(
        Difference(
            coordinates=p, expected=_element(expected, p, real), actual=_element(actual, p, real)
        )
        for p in places[:LISTED]
    )
    text = f"{want.name} differs at {len(places)} of {expected.size}" if places else ""
    return text, first, len(places)


def differs(vector: Vector, outputs: Outputs) -> bool:
    """Whether ``outputs`` are not what a ``must`` vector expects (intermediates left aside)."""
    return any(
        want.name not in outputs or compare(want, outputs[want.name])[0] for want in vector.outputs
    )


def answer(implementation: Implementation, vector: Vector) -> tuple[str, str, Outputs]:
    """(``answered``, ``refused``, ``unsupported`` or ``broken``; message; outputs).

    A :class:`VectorError` is about the vectors or the set-up and passes through.
    """
    try:
        outputs = implementation(vector)
    except Unsupported as error:
        return "unsupported", str(error), {}
    except VectorError:
        raise
    except ValueError as error:
        return "refused", str(error), {}
    except Unusable as error:
        return "broken", str(error), {}
    except Exception as error:
        return "broken", f"{type(error).__name__}: {error}", {}
    return "answered", "", outputs


def killed(vector: Vector, implementation: Implementation) -> bool:
    """Whether the vector tells this implementation from the right one."""
    state, _, outputs = answer(implementation, vector)
    if state == "unsupported":
        return False
    if vector.result == "must_fail":
        return state != "refused"
    return state != "answered" or differs(vector, outputs)


def _alike(vector: Vector, state: str, outputs: Outputs) -> tuple[str, ...]:
    """Look-alikes that answer a failing vector in the same way."""
    found = []
    for lookalike in LOOKALIKES:
        if lookalike.name not in vector.kills:
            continue
        its_state, _, its = answer(lookalike.function, vector)
        same = its_state == state and all(
            a.name in its and a.name in outputs and np.array_equal(its[a.name], outputs[a.name])
            for a in vector.outputs
        )
        if same and (vector.result == "must" or state == "answered"):
            found.append(lookalike.name)
    return tuple(found)


def _failure(vector: Vector, state: str, message: str, outputs: Outputs) -> Failure | None:
    kind, array, detail = state, "", message
    differences: tuple[Difference, ...] = ()
    number = 0
    if vector.result == "must_fail":
        if state == "refused":
            return None
        if state == "answered":
            kind, detail = "accepted", f"must be refused for its {vector.error}"
    elif state == "answered":
        kind = "differs"
        missing = [a.name for a in vector.outputs if a.name not in outputs]
        given = [a for a in vector.intermediates + vector.outputs if a.name in outputs]
        detail = f"no output {', '.join(missing)}" if missing else ""
        for want in () if missing else given:
            detail, differences, number = compare(want, outputs[want.name])
            if detail:
                array = want.name
                break
        if not detail:
            return None
    return Failure(
        id=vector.id,
        op=vector.op,
        clauses=vector.clauses,
        kind=kind,
        array=array,
        detail=detail,
        differences=differences,
        differing=number,
        lookalikes=() if kind == "broken" else _alike(vector, state, outputs),
        comment=vector.comment,
    )


def select(
    vectors: Iterable[Vector],
    *,
    tier: str | None = None,
    ops: Iterable[str] = (),
    without: Iterable[str] = (),
) -> list[Vector]:
    """Vectors of a tier (``core`` is all), of some ops, without some capabilities."""
    chosen, barred = set(ops), set(without)
    return [
        v
        for v in vectors
        if (tier in (None, "core") or v.tier == tier)
        and (not chosen or v.op in chosen)
        and not barred & set(v.capabilities)
    ]


def check(
    vectors: Iterable[Vector],
    implementation: Implementation,
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> CheckReport:
    """Ask ``implementation`` every vector.

    It gets a :class:`Vector` and returns its outputs by name (and intermediates, where it has
    them); it refuses by raising ``ValueError`` and passes by raising :class:`Unsupported`. Any
    other exception fails the vector. Raises :class:`VectorError` where no vector was run: a check
    of nothing is not a success.
    """
    passed: list[str] = []
    failures: list[Failure] = []
    unsupported: list[tuple[str, str]] = []
    for done, vector in enumerate(vectors, start=1):
        state, message, outputs = answer(implementation, vector)
        if state == "unsupported":
            unsupported.append((vector.id, message))
        elif (failure := _failure(vector, state, message, outputs)) is not None:
            failures.append(failure)
        else:
            passed.append(vector.id)
        progress(done)
    if not passed and not failures:
        raise VectorError(f"no vector was run ({len(unsupported)} not supported)")
    return CheckReport(
        passed=tuple(passed), failures=tuple(failures), unsupported=tuple(unsupported)
    )
